// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDelegations} from "./interfaces/IDelegations.sol";
import {IDevices} from "./interfaces/IDevices.sol";
import {Delegated} from "./base/Delegated.sol";
import {DeviceWord} from "./libraries/DeviceWord.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

/// @title Devices
/// @notice The devices of all subjects, one storage slot each.
contract Devices is IDevices, Delegated {
    using DeviceWord for uint256;

    bytes32 private constant DEVICE_TYPEHASH = keccak256(
        "Device(address subject,address device,uint16 sequence,uint24 classes,uint32 validFrom,uint32 validUntil,"
        "uint256 deadline)"
    );
    bytes32 private constant REVOCATION_TYPEHASH = keccak256(
        "DeviceRevocation(address subject,address device,uint16 sequence,uint256 deadline)"
    );

    mapping(address subject => mapping(address device => uint256 word)) private _devices;

    // solhint-disable-next-line no-empty-blocks
    constructor(IDelegations delegations_) Delegated(delegations_) EIP712("MedProof Devices", "1") {}

    /// @inheritdoc IDevices
    function setDevice(
        address subject,
        address device,
        uint256 word,
        uint256 deadline,
        bytes calldata signature
    ) external {
        _requireAuthor(subject, GRANT, _hashDevice(subject, device, word, deadline), deadline, signature);
        if (device == address(0) || device == subject) revert DeviceNotPossible(device);
        word.requireWritable();
        uint256 stored = _devices[subject][device].sequence();
        uint256 sequence = word.sequence();
        if (sequence != stored + 1 || sequence == DeviceWord.LAST_SEQUENCE) revert DeviceStale(stored, sequence);

        _devices[subject][device] = word;

        emit DeviceSet(subject, device, word);
    }

    function _hashDevice(
        address subject,
        address device,
        uint256 word,
        uint256 deadline
    ) private pure returns (bytes32) {
        return
            keccak256(
                abi.encode(
                    DEVICE_TYPEHASH,
                    subject,
                    device,
                    word.sequence(),
                    word.classes(),
                    word.validFrom(),
                    word.validUntil(),
                    deadline
                )
            );
    }

    /// @inheritdoc IDevices
    /// @dev The registration stays as a tombstone, so that no old signature revives it. To overtake what the subject
    /// may have signed, or to close a device for good, takes every scope.
    function revokeDevice(
        address subject,
        address device,
        uint256 sequence,
        uint256 deadline,
        bytes calldata signature
    ) external {
        uint256 word = _devices[subject][device];
        uint256 stored = word.sequence();
        bool next = word.classes() != 0 && sequence == stored + 1 && sequence != DeviceWord.LAST_SEQUENCE;
        bytes32 structHash = keccak256(abi.encode(REVOCATION_TYPEHASH, subject, device, sequence, deadline));
        _requireAuthor(subject, next ? REVOKE : EVERY_SCOPE, structHash, deadline, signature);
        if (device == address(0) || device == subject) revert DeviceNotPossible(device);
        if (sequence <= stored || sequence > DeviceWord.LAST_SEQUENCE) revert DeviceStale(stored, sequence);

        word = word.revoked(sequence);
        _devices[subject][device] = word;

        emit DeviceRevoked(subject, device, word);
    }

    /// @inheritdoc IDevices
    function classesOf(address subject, address device) external view returns (uint256 classes) {
        return _devices[subject][device].classesAt(block.timestamp / 1 minutes);
    }

    /// @inheritdoc IDevices
    function deviceOf(address subject, address device) external view returns (uint256 word) {
        return _devices[subject][device];
    }
}

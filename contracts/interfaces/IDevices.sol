// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDelegated} from "./IDelegated.sol";

/// @title Devices
/// @notice Keeps which devices report readings of a subject: for which data classes and until when, one word each, laid
/// out in `DeviceWord`. A device has a key of its own for each subject, and no right but to report.
/// @dev Each function is the subject's, or its delegate's: with an empty signature of the caller, else of whoever
/// signed, sent by anyone.
interface IDevices is IDelegated {
    /// @notice Thrown when a device is nobody, or the subject itself.
    /// @dev Mend: name the account of the device's own key.
    error DeviceNotPossible(address device);

    /// @notice Thrown when a device is registered for no class, or for one that the rule word does not know.
    /// @dev Mend: set at least one of the bits 0 to 21, see docs/rule-word.md; to end it, revoke it.
    error DeviceClassesNotPossible(uint256 classes);

    /// @notice Thrown when a registration ends before it begins (minutes since 1970).
    /// @dev Mend: give a later `validUntil`; 2^28 - 1 is no end.
    error DevicePeriodEmpty(uint256 validFrom, uint256 validUntil);

    /// @notice Thrown when a device's word has bits that mean nothing.
    /// @dev Mend: leave all above bit 96 zero.
    error DeviceBitsUnknown(uint256 word);

    /// @notice Thrown when a registration does not carry the sequence that follows the stored one, or a revocation none
    /// above it.
    /// @dev Mend: read the device again and write the sequence `stored + 1`; the last, 65535, is kept for revocation.
    error DeviceStale(uint256 stored, uint256 given);

    /// @notice Emitted when a device is registered or changed; `word` is what is stored.
    event DeviceSet(address indexed subject, address indexed device, uint256 word);

    /// @notice Emitted when a device is revoked; `word` is what is stored.
    event DeviceRevoked(address indexed subject, address indexed device, uint256 word);

    /// @notice Registers a device, or changes the registration whose sequence it follows. The author is the subject, or
    /// its delegate for granting.
    /// @param word The registration as it is to be stored.
    /// @param deadline The last time at which the message counts, in seconds since 1970.
    /// @param signature The author's over `Device`; empty where it is the caller.
    function setDevice(
        address subject,
        address device,
        uint256 word,
        uint256 deadline,
        bytes calldata signature
    ) external;

    /// @notice Revokes a device. The author is the subject, or its delegate for revoking.
    /// @param sequence Any sequence above the stored one: the revocation overtakes what was signed below it and not
    /// sent yet; after 65535 the device is closed for good. A delegate names the very next.
    function revokeDevice(
        address subject,
        address device,
        uint256 sequence,
        uint256 deadline,
        bytes calldata signature
    ) external;

    /// @notice Returns the data classes that a device may report of a subject now, as a set of bits; zero for none.
    function classesOf(address subject, address device) external view returns (uint256 classes);

    /// @notice Returns a registration as it is stored; zero where there never was one.
    function deviceOf(address subject, address device) external view returns (uint256 word);
}

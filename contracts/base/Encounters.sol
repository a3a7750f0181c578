// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IEncounters} from "../interfaces/IEncounters.sol";
import {Agreed} from "./Agreed.sol";

/// @title Encounters
/// @notice The registered encounters of all patients, one slot each.
abstract contract Encounters is IEncounters, Agreed {
    bytes32 private constant ENCOUNTER_TYPEHASH = keccak256(
        "Encounter(address patient,bytes32 encounter,uint256 deadline)"
    );

    /// @inheritdoc IEncounters
    mapping(address patient => mapping(bytes32 encounter => uint256 time)) public encounterAt;

    /// @inheritdoc IEncounters
    function registerEncounter(
        address patient,
        bytes32 encounter,
        uint256 deadline,
        bytes calldata signature
    ) external {
        if (patient == address(0) || encounter == 0) revert EncounterIncomplete();
        if (encounterAt[patient][encounter] != 0) revert EncounterExists(patient, encounter);
        bytes32 structHash = keccak256(abi.encode(ENCOUNTER_TYPEHASH, patient, encounter, deadline));
        _requirePatientAgreed(patient, structHash, deadline, signature);

        encounterAt[patient][encounter] = block.timestamp;

        emit EncounterRegistered(patient, encounter);
    }

    /// @inheritdoc IEncounters
    function encounterId(address provider, bytes32 registration) public pure returns (bytes32) {
        return keccak256(abi.encode(provider, registration));
    }

    /// @dev Reverts unless a patient, whose pseudonym is no party, agrees to a step: it sends the step itself (empty
    /// signature) or signed it.
    function _requirePatientAgreed(
        address patient,
        bytes32 structHash,
        uint256 deadline,
        bytes calldata signature
    ) internal view {
        if (signature.length != 0) return _requireSigned(patient, structHash, deadline, signature);
        if (msg.sender != patient) revert StepNotYours(patient, msg.sender);
    }

    /// @dev Reverts unless a patient has registered an encounter with this provider.
    function _requireEncounter(address patient, address provider, bytes32 registration) internal view {
        bytes32 encounter = encounterId(provider, registration);
        if (encounterAt[patient][encounter] == 0) revert EncounterUnknown(patient, encounter);
    }
}

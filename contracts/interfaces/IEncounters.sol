// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAgreed} from "./IAgreed.sol";

/// @title Encounters
/// @notice Keeps which encounters patients registered before they are billed.
interface IEncounters is IAgreed {
    /// @notice Thrown when an encounter is registered without a patient or an id.
    /// @dev Mend: give the patient's pseudonym and a salted id of 32 bytes.
    error EncounterIncomplete();

    /// @notice Thrown when a patient registers an encounter again.
    /// @dev Mend: nothing needs doing; another encounter has another id.
    error EncounterExists(address patient, bytes32 encounter);

    /// @notice Thrown when a claim's rules ask for a registered encounter and its patient has registered none such.
    /// @dev Mend: have the patient register the encounter with this provider; name patient and salted id in the claim.
    error EncounterUnknown(address patient, bytes32 encounter);

    /// @notice Emitted when a patient registers an encounter.
    event EncounterRegistered(address indexed patient, bytes32 indexed encounter);

    /// @notice Registers an encounter. Owned by the patient: nobody else takes its id.
    /// @param patient The patient's pseudonym with the provider.
    /// @param encounter Its id, see `encounterId`: what the chain shows of it is of no use to another provider.
    function registerEncounter(address patient, bytes32 encounter, uint256 deadline, bytes calldata signature) external;

    /// @notice Returns the id of an encounter: the hash of the provider that may bill it and of a salted id, which
    /// patient and provider alone know until a claim names it as its registration.
    function encounterId(address provider, bytes32 registration) external pure returns (bytes32);

    /// @notice Returns when a patient registered an encounter, in seconds since 1970; zero where it did not.
    function encounterAt(address patient, bytes32 encounter) external view returns (uint256);
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAgreed} from "./IAgreed.sol";

/// @title Claims
/// @notice What a claim is on the chain, and where it stands.
interface IClaims is IAgreed {
    /// @notice Where a claim stands. Up to `Settled` it is open.
    enum Status {
        None,
        Submitted,
        Pended,
        Adjudicated,
        Appealed,
        Upheld,
        Overturned,
        Settled,
        Voided,
        Replaced
    }

    /// @notice What the payer decided.
    enum Outcome {
        None,
        Approved,
        Partial,
        Denied
    }

    /// @notice What a claim is; its id is the hash of these seven, and every step names them.
    /// @param provider The identity of the party that bills: a provider or a pharmacy.
    /// @param payer The identity of the party that is billed.
    /// @param patient The patient's pseudonym with the provider; zero where the plan asks nothing of the patient.
    /// @param registration The salted id of the registered encounter, or the prescription's; zero where the plan asks
    /// for none.
    /// @param commitment The salted hash of the canonical claim.
    /// @param nullifier The keyed hash of the service billed; each is billed once, across all payers.
    /// @param softKey The keyed hash of less of it, which claims that look alike share; zero for none.
    struct Claim {
        address provider;
        address payer;
        address patient;
        bytes32 registration;
        bytes32 commitment;
        bytes32 nullifier;
        bytes32 softKey;
    }

    /// @notice What is kept of a claim, in one slot under its id.
    /// @param status Where the claim stands.
    /// @param outcome What the payer decided; `None` before it did.
    /// @param rules The number of the payer's adjudication rules that govern the claim.
    /// @param paid Whether the service was settled, under this claim or one that it replaced: from then on it is undone
    /// only with the payer's agreement, since the service could be billed elsewhere.
    /// @param late Whether a step that the payer owed came after it was due, or never came and that was appealed.
    /// @param submitted When the claim got its slot, in seconds since 1970.
    /// @param since Since when it stands as it does, in seconds since 1970.
    /// @param used How many seconds of the payer's time to decide had passed before the last answer.
    /// @param pends How often it was pended; a signed request or answer names which of these it is.
    struct ClaimState {
        Status status;
        Outcome outcome;
        uint32 rules;
        bool paid;
        bool late;
        uint40 submitted;
        uint40 since;
        uint32 used;
        uint32 pends;
    }

    /// @notice Thrown when a step is taken from a state it does not start from.
    /// @dev Mend: read the claim's state; the specification lists the steps from each state.
    error StepNotPossible(bytes32 claim, Status status);

    /// @notice Thrown when an appeal or the decision of a flag has no grounds.
    /// @dev Mend: give the salted hash of the grounds.
    error GroundsMissing();

    /// @notice Returns the id of a claim.
    function claimId(Claim calldata claim) external pure returns (bytes32);

    /// @notice Returns where a claim stands; all zero where there is none.
    function stateOf(bytes32 claim) external view returns (ClaimState memory);
}

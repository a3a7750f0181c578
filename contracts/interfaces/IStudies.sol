// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IConsentRegistry} from "./IConsentRegistry.sol";
import {IDelegated} from "./IDelegated.sol";
import {IStudyRegister} from "./IStudyRegister.sol";

/// @title Studies
/// @notice Keeps research studies, which subjects take part in them, and when each cohort was fixed and each result
/// published. Taking part adds to consent and never replaces it.
/// @dev Researchers send their steps themselves. Subjects, their delegates and custodians need no ether: they sign.
interface IStudies is IStudyRegister, IDelegated {
    /// @notice Whether a study may use a subject's data, and if not, what is missing first.
    enum Use {
        Permitted,
        StudyNotOpen,
        NotOptedIn,
        NoConsent
    }

    /// @notice Whose data are used at one time; its id is the hash of all of it.
    /// @param study The study's id.
    /// @param root The root of a Merkle log (see `MerkleLog`) with a leaf for each subject, see `leafOf`.
    /// @param size How many there are.
    /// @param blockNumber The block as of which they were chosen.
    /// @param blockHash Its hash.
    struct Cohort {
        bytes32 study;
        bytes32 root;
        uint32 size;
        uint64 blockNumber;
        bytes32 blockHash;
    }

    /// @notice One custodian's answer over a cohort; its id is the hash of all of it.
    /// @param cohort The cohort's id.
    /// @param custodian The identity of the party that answered.
    /// @param commitment The salted hash of the answer, an aggregate.
    struct Result {
        bytes32 cohort;
        address custodian;
        bytes32 commitment;
    }

    /// @notice Thrown when a choice does not carry the sequence that follows the stored one, or none above it where the
    /// subject opts out.
    /// @dev Mend: read the choice again and use the sequence `stored + 1`; the last, 65535, is kept for opting out.
    error ChoiceStale(uint256 stored, uint256 given);

    /// @notice Thrown when a cohort is said to be as of a block that is not past, or that has another hash.
    /// @dev Mend: name a past block of this chain with its hash; `found` is zero where the block is not past. A node
    /// that tries a transaction out takes its latest block for the present one: name one before it.
    error BlockNotPast(uint256 blockNumber, bytes32 found);

    /// @notice Thrown when a cohort is fixed a second time.
    /// @dev Mend: nothing is to be done; the first counts.
    error CohortExists(bytes32 cohort);

    /// @notice Thrown when a cohort was never fixed, or belongs to another study.
    /// @dev Mend: give the cohort as the event `CohortFixed` has it.
    error CohortUnknown(bytes32 cohort);

    /// @notice Thrown when a result is by a party that the study does not name.
    /// @dev Mend: name one of the study's custodians by its identity.
    error CustodianNotNamed(bytes32 study, address custodian);

    /// @notice Thrown when a result is published a second time.
    /// @dev Mend: nothing is to be done; the first counts.
    error ResultExists(bytes32 result);

    /// @notice Emitted when a subject chooses to take part.
    event OptedIn(bytes32 indexed study, address indexed subject, uint16 sequence);

    /// @notice Emitted when a subject chooses not to take part, or no longer.
    event OptedOut(bytes32 indexed study, address indexed subject, uint16 sequence);

    /// @notice Emitted when a cohort is fixed; `blockChecked` says whether the chain still knew the block's hash.
    event CohortFixed(bytes32 indexed study, bytes32 indexed cohort, Cohort definition, bool blockChecked);

    /// @notice Emitted when a result is published.
    event ResultPublished(bytes32 indexed study, bytes32 indexed cohort, address indexed custodian, bytes32 commitment);

    /// @notice Chooses to take part. The author is the subject, or its delegate for granting.
    /// @param sequence The one that follows the stored one.
    /// @param deadline The last time at which the message counts, in seconds since 1970.
    /// @param signature The author's over `OptIn`; empty where it is the caller.
    function optIn(
        address subject,
        bytes32 study,
        uint16 sequence,
        uint256 deadline,
        bytes calldata signature
    ) external;

    /// @notice Chooses not to take part, at any time. The author is the subject, or its delegate for revoking, which
    /// names the very next sequence; with every scope it may do what the subject may.
    /// @param sequence Any above the stored one: it overtakes all that was signed up to it.
    /// @param signature The author's over `OptOut`; empty where it is the caller.
    function optOut(
        address subject,
        bytes32 study,
        uint16 sequence,
        uint256 deadline,
        bytes calldata signature
    ) external;

    /// @notice Fixes whose data are used. The caller is the study's researcher, and the study is open.
    /// @dev Warning: the root is the researcher's word. Who stands in it without having opted in is no member all the
    /// same, see `inCohort`; whose consent reached the request as of the block is proved off chain.
    function fixCohort(Cohort calldata cohort) external returns (bytes32 id);

    /// @notice Publishes a custodian's answer over a cohort. The caller is the study's researcher; the custodian, one
    /// of those the study names, signed.
    /// @param signature The custodian's over `Result`.
    function publishResult(
        Study calldata study,
        Cohort calldata cohort,
        Result calldata result,
        uint256 deadline,
        bytes calldata signature
    ) external returns (bytes32 id);

    /// @notice Returns whether a study may use a subject's data now: it is open, the subject has opted in, and consent
    /// permits the study's request to its researcher.
    function isParticipant(bytes32 study, address subject) external view returns (bool);

    /// @notice Returns the same with the reason.
    /// @return use What is missing first.
    /// @return state What the study is today.
    /// @return consent What the ConsentRegistry decides.
    function mayUse(
        bytes32 study,
        address subject
    ) external view returns (Use use, State state, IConsentRegistry.Reason consent);

    /// @notice Returns whether a subject is a member of a cohort: it stands in it at this index, and had opted in when
    /// the cohort was fixed.
    /// @dev The times of a choice's last five changes are kept; what lies before them counts as no.
    function inCohort(
        Cohort calldata cohort,
        address subject,
        uint64 index,
        bytes32[] calldata proof
    ) external view returns (bool);

    /// @notice Returns a subject's choice about a study, laid out in `StudyWord`; zero where it made none.
    function choiceOf(bytes32 study, address subject) external view returns (uint256 choice);

    /// @notice Returns when a cohort was fixed, in seconds since 1970; zero where it was not.
    function cohortAt(bytes32 cohort) external view returns (uint256 time);

    /// @notice Returns when a result was published, in seconds since 1970; zero where it was not.
    function resultAt(bytes32 result) external view returns (uint256 time);

    /// @notice Returns a cohort's id.
    function cohortId(Cohort calldata cohort) external pure returns (bytes32);

    /// @notice Returns a result's id.
    function resultId(Result calldata result) external pure returns (bytes32);

    /// @notice Returns the leaf of a subject in the Merkle log of a cohort of this study.
    function leafOf(bytes32 study, address subject) external pure returns (bytes32);

    /// @notice Returns the registry whose rules a study's request is put to.
    function consentRegistry() external view returns (IConsentRegistry);
}

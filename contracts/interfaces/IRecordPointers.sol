// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ISignedMessages} from "./ISignedMessages.sol";
import {IRegistrar} from "./IRegistrar.sol";

/// @title RecordPointers
/// @notice Keeps, for each record a custodian holds, a commitment to what it says and how its subject answered.
/// A pointer is found by what it points to: its id is the hash of subject, first custodian and commitment, so that
/// one slot keeps the rest, and who does not know the three learns nothing from it.
interface IRecordPointers is ISignedMessages {
    /// @notice How a pointer stands.
    enum Status {
        None,
        Posted,
        Accepted,
        Disputed,
        Amended,
        DisputeDenied
    }

    /// @notice What is kept of a pointer, in one slot under its id.
    /// @param custodian The identity of the party that holds the record now.
    /// @param dataClass The record's class: the number of the bit in the rule word's classes.
    /// @param status How the pointer stands.
    /// @param version Which version of the record it is, from 1.
    /// @param sequence How often the pointer has changed; a signed answer names the sequence it answers.
    struct Pointer {
        address custodian;
        uint8 dataClass;
        Status status;
        uint16 version;
        uint32 sequence;
    }

    /// @notice Where a pointer stands in a batch.
    /// @param root The batch's root.
    /// @param index The pointer's index in it, from 0.
    /// @param proof The inclusion proof, the leaf's neighbour first.
    struct Place {
        bytes32 root;
        uint64 index;
        bytes32[] proof;
    }

    /// @notice Thrown when the caller does not act for an active provider.
    /// @dev Mend: have the party accredited as a provider, renewed or reinstated by the authority.
    error ProviderRequired(address account);

    /// @notice Thrown when the caller's party is not the pointer's custodian.
    /// @dev Mend: send from the custodian's account.
    error CustodianRequired(bytes32 pointer, address custodian);

    /// @notice Thrown when a pointer has no subject.
    /// @dev Mend: give the subject's pseudonym with this custodian.
    error SubjectMissing();

    /// @notice Thrown when a pointer has no commitment.
    /// @dev Mend: give the salted hash of the canonical record.
    error CommitmentMissing();

    /// @notice Thrown when a data class is no bit of the rule word's classes that stands for a code.
    /// @dev Mend: give a number from 0 to 21, see docs/rule-word.md.
    error DataClassUnknown(uint256 dataClass);

    /// @notice Thrown when the same subject, custodian and commitment are posted again.
    /// @dev Mend: nothing needs doing; a new salt makes a new pointer.
    error PointerExists(bytes32 pointer);

    /// @notice Thrown when there is no such pointer.
    /// @dev Mend: check subject, first custodian and commitment: the three make the id.
    error PointerUnknown(bytes32 pointer);

    /// @notice Thrown when a pointer that a newer version has replaced is answered, amended or transferred.
    /// @dev Mend: use the newer version's pointer.
    error PointerOutdated(bytes32 pointer);

    /// @notice Thrown when a record has 65,535 versions and is amended once more.
    /// @dev Mend: post the record anew, under a new salt.
    error VersionsExhausted(bytes32 pointer);

    /// @notice Thrown when a subject gives the answer that already stands.
    /// @dev Mend: nothing needs doing.
    error AnswerUnchanged(bytes32 pointer);

    /// @notice Thrown when a signed answer names another sequence than the pointer's.
    /// @dev Mend: read the pointer again and sign for its present sequence.
    error PointerChanged(bytes32 pointer, uint256 sequence);

    /// @notice Thrown when a party takes custody that was not offered to it.
    /// @dev Mend: have the present custodian offer it.
    error CustodyNotOffered(bytes32 pointer, address party);

    /// @notice Thrown when a batch has no pointers.
    /// @dev Mend: give the number of its leaves.
    error BatchEmpty(bytes32 root);

    /// @notice Thrown when a custodian posts the same batch again.
    /// @dev Mend: nothing needs doing.
    error BatchExists(address custodian, bytes32 root);

    /// @notice Thrown when the proof does not show the pointer in a batch of its custodian.
    /// @dev Mend: check subject, custodian, class and commitment, and ask the custodian for the proof again.
    error PointerNotInBatch(bytes32 leaf, bytes32 root);

    /// @notice Thrown when a pointer of a batch is opened by neither its subject nor its custodian: it would show on
    /// chain whom the record is about.
    /// @dev Mend: send or sign with the subject, or send with the account of the party that posted the batch.
    error OpeningNotYours(address subject, address account);

    /// @notice Thrown when a custodian denies a dispute that does not stand.
    /// @dev Mend: nothing needs doing; to change the record, amend it.
    error PointerNotDisputed(bytes32 pointer);

    /// @notice Thrown when a custodian denies a dispute without a reason.
    /// @dev Mend: give a commitment to the written denial that the subject is sent.
    error ReasonMissing();

    /// @notice Emitted when a custodian posts a batch of so many pointers.
    event BatchPosted(address indexed custodian, bytes32 indexed root, uint64 size);

    /// @notice Emitted after `PointerPosted` when the pointer was taken out of a batch.
    event PointerOpened(bytes32 indexed pointer, bytes32 indexed root, uint64 index);

    /// @notice Emitted when a custodian denies what the subject disputed; `reason` commits to the written denial.
    event DisputeDenied(bytes32 indexed pointer, address indexed custodian, bytes32 reason);

    /// @notice Emitted when a custodian posts a pointer; `pointerId` of the three gives its id.
    event PointerPosted(address indexed subject, address indexed custodian, uint8 dataClass, bytes32 commitment);

    /// @notice Emitted when a subject accepts a pointer.
    event PointerAccepted(bytes32 indexed pointer, address indexed subject);

    /// @notice Emitted when a subject disputes a pointer; `reason` commits to the reason, which stays off chain.
    event PointerDisputed(bytes32 indexed pointer, address indexed subject, bytes32 reason);

    /// @notice Emitted when a custodian posts `pointer` as the new version of `previous`, which it replaces. The new
    /// version keeps the data class; its custodian is also the first custodian of its id.
    event PointerAmended(
        bytes32 indexed pointer,
        address indexed subject,
        bytes32 indexed previous,
        address custodian,
        bytes32 commitment
    );

    /// @notice Emitted when a custodian offers custody to another party, or withdraws the offer (zero).
    event CustodyOffered(bytes32 indexed pointer, address indexed to);

    /// @notice Emitted when custody has passed.
    event CustodyTransferred(bytes32 indexed pointer, address indexed from, address indexed to);

    /// @notice Posts a pointer. The caller acts for an active provider.
    /// @param subject The subject's pseudonym with this custodian.
    /// @param dataClass The record's class, 0 to 21.
    /// @param commitment The salted hash of the canonical record.
    /// @return pointer The pointer's id.
    /// @dev Warning: nothing here shows that the subject knows of it; that is what acceptance is for.
    function post(address subject, uint8 dataClass, bytes32 commitment) external returns (bytes32 pointer);

    /// @notice Posts many pointers at once, by the root of a `MerkleLog` whose leaves are theirs (`leafOf`). The caller
    /// acts for an active provider.
    /// @dev Nothing tells which they are, nor whose. Each is proved by its place, and opened where it is to be
    /// answered, amended or handed over.
    function postBatch(bytes32 root, uint64 size) external;

    /// @notice Takes a pointer out of a batch and gives it a slot of its own, as if it had been posted alone. The
    /// caller is its subject, or acts for the party that posted the batch; or anyone, with the subject's signature.
    /// @param origin The identity of the party that posted the batch.
    /// @param place Where in which batch it stands.
    /// @param deadline The last time at which the signature counts, in seconds since 1970.
    /// @param signature The subject's over `Opening`; empty where the caller opens.
    /// @return pointer The pointer's id.
    function open(
        address subject,
        address origin,
        uint8 dataClass,
        bytes32 commitment,
        Place calldata place,
        uint256 deadline,
        bytes calldata signature
    ) external returns (bytes32 pointer);

    /// @notice Posts a new version of a record, which replaces the one it names. The caller acts for its custodian.
    /// @param origin The identity of the party that posted the replaced version.
    function amend(
        address subject,
        address origin,
        bytes32 commitment,
        bytes32 newCommitment
    ) external returns (bytes32 pointer);

    /// @notice Accepts a pointer. The caller is its subject.
    /// @param origin The identity of the party that posted it.
    function accept(address origin, bytes32 commitment) external;

    /// @notice The same, by the subject's signature over `Acceptance`, sent by anyone.
    function acceptFor(
        address subject,
        address origin,
        bytes32 commitment,
        uint32 sequence,
        uint256 deadline,
        bytes calldata signature
    ) external;

    /// @notice Disputes a pointer. The caller is its subject.
    /// @param reason A commitment to the reason; zero for none.
    function dispute(address origin, bytes32 commitment, bytes32 reason) external;

    /// @notice The same, by the subject's signature over `Dispute`, sent by anyone.
    function disputeFor(
        address subject,
        address origin,
        bytes32 commitment,
        bytes32 reason,
        uint32 sequence,
        uint256 deadline,
        bytes calldata signature
    ) external;

    /// @notice Denies what the subject disputed. The caller acts for the pointer's custodian. The subject may dispute
    /// again, or accept after all; the custodian may still amend.
    /// @param reason A commitment to the written denial (45 CFR 164.526(d)), which stays off chain.
    function denyDispute(address subject, address origin, bytes32 commitment, bytes32 reason) external;

    /// @notice Offers custody of a record to another party; zero withdraws. The caller acts for its custodian.
    function offerCustody(address subject, address origin, bytes32 commitment, address to) external;

    /// @notice Takes custody that was offered. The caller acts for the active provider it was offered to.
    function takeCustody(address subject, address origin, bytes32 commitment) external;

    /// @notice Returns the id of a pointer.
    function pointerId(address subject, address origin, bytes32 commitment) external pure returns (bytes32);

    /// @notice Returns the leaf that stands for a pointer in a batch.
    function leafOf(
        address subject,
        address origin,
        uint8 dataClass,
        bytes32 commitment
    ) external pure returns (bytes32);

    /// @notice Returns how many pointers a custodian's batch has; zero where it posted none of this root.
    function batchOf(address custodian, bytes32 root) external view returns (uint64 size);

    /// @notice Returns what is kept of a pointer; all zero where there is none.
    function pointerOf(bytes32 pointer) external view returns (Pointer memory);

    /// @notice Returns the version that a pointer replaced; zero for a first version.
    function previousOf(bytes32 pointer) external view returns (bytes32);

    /// @notice Returns to whom custody of a record is offered; zero where it is not.
    function nextCustodianOf(bytes32 pointer) external view returns (address);

    /// @notice Returns the Registrar that says who a custodian is.
    function registrar() external view returns (IRegistrar);
}

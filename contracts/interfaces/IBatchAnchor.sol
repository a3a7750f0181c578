// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ISignedMessages} from "./ISignedMessages.sol";
import {IRegistrar} from "./IRegistrar.sol";

/// @title BatchAnchor
/// @notice Keeps the latest root of each log that a party publishes, and an event of every one: an append-only Merkle
/// log (see `MerkleLog`), anchored a batch at a time. What is in a log stays off chain, behind commitments.
/// @dev A batch is sent by its publisher's account with an empty signature, or by anyone with its signature. The latest
/// root commits to all before it, so only it is stored; an earlier one is read from its event, and a consistency proof
/// leads from it to any later one.
interface IBatchAnchor is ISignedMessages {
    /// @notice How a log stands.
    /// @param root The root over all its leaves.
    /// @param size How many leaves it has.
    /// @param number How many batches have been anchored.
    /// @param anchoredAt When the last one was, in seconds since 1970.
    struct Batch {
        bytes32 root;
        uint64 size;
        uint64 number;
        uint64 anchoredAt;
    }

    /// @notice Thrown when the account that sends or signs a batch does not act, active, for its publisher.
    /// @dev Mend: send or sign with the publisher's present account; have the party reinstated where it is inactive.
    error PublisherNotYours(address publisher, address account);

    /// @notice Thrown when a log would not grow: it has `latest` leaves already.
    /// @dev Mend: anchor a later state of the log; where its root differs at the same size, the log was rewritten.
    error LogNotGrown(uint64 size, uint64 latest);

    /// @notice Thrown when a batch has no root.
    /// @dev Mend: give the root of the log over all its leaves.
    error RootMissing();

    /// @notice Thrown when the proof does not show that the log of `size` leaves begins with the `latest` anchored.
    /// @dev Mend: prove consistency from the latest anchored size; where there is no proof, the log was rewritten.
    error ConsistencyUnproven(uint64 size, uint64 latest);

    /// @notice Emitted when a batch is anchored; batches of a log are numbered from 1.
    event BatchAnchored(
        address indexed publisher,
        uint32 indexed log,
        uint64 indexed number,
        uint64 size,
        bytes32 root
    );

    /// @notice Anchors a log as it stands now. Owned by the publisher, an active party of any kind.
    /// @param publisher The party's identity.
    /// @param log Which of its logs, by a number of its own choice.
    /// @param size How many leaves the log has, more than at the last time.
    /// @param root The root over all its leaves.
    /// @return number The batch's number, from 1.
    /// @dev Warning: that the log only added is not checked here but by whoever asks the publisher for the consistency
    /// proof between two anchored sizes; what it once anchored stays in the events and convicts it. Size and root are
    /// the publisher's word: a size that is far too large leaves no room for another batch, and only another log does.
    function anchor(
        address publisher,
        uint32 log,
        uint64 size,
        bytes32 root,
        uint256 deadline,
        bytes calldata signature
    ) external returns (uint64 number);

    /// @notice Anchors a log as `anchor` does, and reverts unless it begins with what was anchored last.
    /// @param proof The consistency proof from the last anchored size; empty for the first batch. Not signed is which:
    /// no other root passes with another one. Signed is that there must be one.
    function anchorConsistent(
        address publisher,
        uint32 log,
        uint64 size,
        bytes32 root,
        bytes32[] calldata proof,
        uint256 deadline,
        bytes calldata signature
    ) external returns (uint64 number);

    /// @notice Returns how a log stands; all zero before its first batch.
    function latest(address publisher, uint32 log) external view returns (Batch memory);

    /// @notice Returns whether a log, as it stands, has a leaf at an index (from 0).
    /// @param leaf The entry's commitment.
    /// @param proof The inclusion proof for the latest size, the leaf's neighbour first.
    function isIncluded(
        address publisher,
        uint32 log,
        bytes32 leaf,
        uint64 index,
        bytes32[] calldata proof
    ) external view returns (bool);

    /// @notice Returns whether a log of `size` leaves and this root has a leaf at an index.
    /// @dev Size and root are taken as given, together, as an event or `latest` names them.
    function verifyInclusion(
        bytes32 leaf,
        uint64 index,
        uint64 size,
        bytes32[] calldata proof,
        bytes32 root
    ) external pure returns (bool);

    /// @notice Returns whether a log of `second` leaves begins with that of `first` leaves.
    function verifyConsistency(
        uint64 first,
        uint64 second,
        bytes32[] calldata proof,
        bytes32 firstRoot,
        bytes32 secondRoot
    ) external pure returns (bool);

    /// @notice Returns the Registrar that says who a party is.
    function registrar() external view returns (IRegistrar);
}

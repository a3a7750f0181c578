// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAgreed} from "./IAgreed.sol";
import {IRegistrar} from "./IRegistrar.sol";

/// @title Nullifiers
/// @notice Keeps who holds each nullifier, so that one service is billed once: a claim, or a place in a batch of claims
/// that have no slot of their own yet.
interface INullifiers is IAgreed {
    /// @notice What is kept of a batch, in one slot under its provider and root.
    /// @param size How many claims it has.
    /// @param kind What its provider was when it submitted it: a provider or a pharmacy.
    struct Batch {
        uint32 size;
        IRegistrar.Kind kind;
    }

    /// @notice Thrown when the service was billed before: its nullifier has a holder, see `holderOf`.
    /// @dev Mend: replace or void the earlier claim, or release the earlier place; do not bill the service again.
    error AlreadyBilled(bytes32 nullifier, bytes32 by);

    /// @notice Thrown when a claim lacks a commitment or a nullifier.
    /// @dev Mend: give the salted hash of the claim and the keyed hash of the service.
    error ClaimIncomplete();

    /// @notice Thrown when a batch has no root.
    /// @dev Mend: give the root over the claims' leaves.
    error RootMissing();

    /// @notice Thrown when a batch has no claims or too many.
    /// @dev Mend: submit it in parts of at most `limit`.
    error BatchSizeOutOfRange(uint256 size, uint256 limit);

    /// @notice Thrown when a provider submits a batch of the same root again.
    /// @dev Mend: nothing needs doing; other claims have another root.
    error ClaimBatchExists(address provider, bytes32 root);

    /// @notice Thrown when a nullifier does not wait in the batch, at the place that is named.
    /// @dev Mend: give root and index as they were submitted; what was opened or released before does not wait.
    error NullifierNotWaiting(bytes32 nullifier, bytes32 root);

    /// @notice Emitted when a provider submits a batch. Its nullifiers stand in the transaction's input: in events they
    /// would cost a tenth of what anchoring them costs.
    event ClaimBatchSubmitted(address indexed provider, bytes32 indexed root, uint32 size, IRegistrar.Kind kind);

    /// @notice Emitted when the nullifier of a claim that was never opened is free again.
    event NullifierReleased(bytes32 indexed nullifier, address indexed provider, bytes32 indexed root);

    /// @notice Submits many claims at once, which have no slot of their own until one is opened: the chain shows
    /// nothing of them, but that their services are billed. Owned by a provider or a pharmacy.
    /// @param root The root of a `MerkleLog` over the claims' leaves.
    /// @param nullifiers Their nullifiers, in the same order.
    function submitBatch(
        address provider,
        bytes32 root,
        bytes32[] calldata nullifiers,
        uint256 deadline,
        bytes calldata signature
    ) external;

    /// @notice Frees the nullifier of a claim that waits in a batch, which can then never be opened. Owned by the
    /// batch's provider; one that was removed is not asked.
    function release(
        address provider,
        bytes32 root,
        bytes32 nullifier,
        uint256 deadline,
        bytes calldata signature
    ) external;

    /// @notice Returns the holder of a nullifier: a claim's id or a place in a batch; zero where nobody holds it.
    function holderOf(bytes32 nullifier) external view returns (bytes32);

    /// @notice Returns what stands for a place in a batch: 32 bits of the index, and above them 160 of the hash of
    /// provider and root.
    function placeOf(address provider, bytes32 root, uint32 index) external pure returns (bytes32);

    /// @notice Returns what is kept of a batch; all zero where there is none.
    function claimBatchOf(address provider, bytes32 root) external view returns (Batch memory);
}

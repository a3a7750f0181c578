// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {INullifiers} from "../interfaces/INullifiers.sol";
import {IRegistrar} from "../interfaces/IRegistrar.sol";
import {Agreed} from "./Agreed.sol";

/// @title Nullifiers
/// @notice The nullifiers of all services: a slot each, and one more for each batch.
abstract contract Nullifiers is INullifiers, Agreed {
    bytes32 private constant BATCH_TYPEHASH = keccak256(
        "ClaimBatch(address provider,bytes32 root,bytes32[] nullifiers,uint256 deadline)"
    );
    bytes32 private constant RELEASE_TYPEHASH = keccak256(
        "Release(address provider,bytes32 root,bytes32 nullifier,uint256 deadline)"
    );

    /// @dev So that a batch fits into a block of every chain.
    uint256 private constant BATCH_LIMIT = 500;

    mapping(bytes32 nullifier => uint256 holder) private _holders;
    mapping(address provider => mapping(bytes32 root => Batch batch)) private _batches;
    uint32 private _batchCount;

    /// @inheritdoc INullifiers
    function submitBatch(
        address provider,
        bytes32 root,
        bytes32[] calldata nullifiers,
        uint256 deadline,
        bytes calldata signature
    ) external returns (uint32 number) {
        uint256 size = nullifiers.length;
        if (size == 0 || size > BATCH_LIMIT) revert BatchSizeOutOfRange(size, BATCH_LIMIT);
        if (root == 0) revert BatchIncomplete();
        // What EIP-712 calls the encoding of an array: its elements one after the other.
        bytes32 structHash = keccak256(
            abi.encode(BATCH_TYPEHASH, provider, root, keccak256(abi.encodePacked(nullifiers)), deadline)
        );
        IRegistrar.Kind kind = _requireBiller(provider, structHash, deadline, signature);
        if (_batches[provider][root].number != 0) revert ClaimBatchExists(provider, root);

        number = ++_batchCount;
        _batches[provider][root] = Batch(number, uint32(size), kind);
        uint256 place = _place(number, 0);
        for (uint256 index = 0; index < size; ++index) _hold(nullifiers[index], place + index);

        emit ClaimBatchSubmitted(provider, root, number, uint32(size), kind);
    }

    /// @inheritdoc INullifiers
    /// @dev Whoever copies a nullifier into a batch blocks the service until this: a provider that was removed does not
    /// come back to free it. A root stands once for each provider, so that no signed release counts twice.
    function release(
        address provider,
        bytes32 root,
        bytes32 nullifier,
        uint256 deadline,
        bytes calldata signature
    ) external {
        uint32 number = _batches[provider][root].number;
        uint256 holder = _holders[nullifier];
        if (number == 0 || holder >> 32 != number) revert NullifierNotWaiting(nullifier, root);
        if (registrar.accountOf(provider) != address(0)) {
            bytes32 structHash = keccak256(abi.encode(RELEASE_TYPEHASH, provider, root, nullifier, deadline));
            _requireAgreed(provider, structHash, deadline, signature);
        }

        delete _holders[nullifier];

        emit NullifierReleased(nullifier, provider, root);
    }

    /// @inheritdoc INullifiers
    function holderOf(bytes32 nullifier) external view returns (bytes32) {
        return bytes32(_holders[nullifier]);
    }

    /// @inheritdoc INullifiers
    function claimBatchOf(address provider, bytes32 root) public view returns (Batch memory) {
        return _batches[provider][root];
    }

    /// @dev Reverts unless a provider or a pharmacy agrees to bill.
    function _requireBiller(
        address provider,
        bytes32 structHash,
        uint256 deadline,
        bytes calldata signature
    ) internal view returns (IRegistrar.Kind kind) {
        kind = _requireAgreed(provider, structHash, deadline, signature);
        if (kind != IRegistrar.Kind.Provider && kind != IRegistrar.Kind.Pharmacy) {
            revert KindNotAdmitted(provider, kind);
        }
    }

    /// @dev Gives a nullifier that is free to a holder.
    function _hold(bytes32 nullifier, uint256 holder) internal {
        if (nullifier == 0) revert BatchIncomplete();
        uint256 by = _holders[nullifier];
        if (by != 0) revert AlreadyBilled(nullifier, bytes32(by));

        _holders[nullifier] = holder;
    }

    /// @dev Frees the nullifier that waits at a place.
    function _takeFromBatch(bytes32 nullifier, Batch memory batch, bytes32 root, uint32 index) internal {
        if (_holders[nullifier] != _place(batch.number, index)) revert NullifierNotWaiting(nullifier, root);

        delete _holders[nullifier];
    }

    /// @dev Frees the nullifier of a claim.
    function _free(bytes32 nullifier) internal {
        delete _holders[nullifier];
    }

    function _place(uint32 number, uint32 index) private pure returns (uint256) {
        return (uint256(number) << 32) | index;
    }
}

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

    mapping(bytes32 nullifier => bytes32 holder) private _holders;
    mapping(address provider => mapping(bytes32 root => Batch batch)) private _batches;

    /// @inheritdoc INullifiers
    function submitBatch(
        address provider,
        bytes32 root,
        bytes32[] calldata nullifiers,
        uint256 deadline,
        bytes calldata signature
    ) external {
        uint256 size = nullifiers.length;
        if (size == 0 || size > BATCH_LIMIT) revert BatchSizeOutOfRange(size, BATCH_LIMIT);
        if (root == 0) revert RootMissing();
        bytes32 structHash;
        if (signature.length != 0) {
            // What EIP-712 calls the encoding of an array: its elements one after the other.
            bytes32 elements = keccak256(abi.encodePacked(nullifiers));
            structHash = keccak256(abi.encode(BATCH_TYPEHASH, provider, root, elements, deadline));
        }
        IRegistrar.Kind kind = _requireBiller(provider, structHash, deadline, signature);
        if (_batches[provider][root].size != 0) revert ClaimBatchExists(provider, root);

        _batches[provider][root] = Batch(uint32(size), kind);
        bytes32 place = placeOf(provider, root, 0);
        for (uint256 index = 0; index < size; ++index) _hold(nullifiers[index], place | bytes32(index));

        emit ClaimBatchSubmitted(provider, root, uint32(size), kind);
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
        bytes32 index = bytes32(uint256(uint32(uint256(_holders[nullifier]))));
        if (_holders[nullifier] != placeOf(provider, root, 0) | index) revert NullifierNotWaiting(nullifier, root);
        if (registrar.accountOf(provider) != address(0)) {
            bytes32 structHash = keccak256(abi.encode(RELEASE_TYPEHASH, provider, root, nullifier, deadline));
            _requireAgreed(provider, structHash, deadline, signature);
        }

        delete _holders[nullifier];

        emit NullifierReleased(nullifier, provider, root);
    }

    /// @inheritdoc INullifiers
    function holderOf(bytes32 nullifier) public view returns (bytes32) {
        return _holders[nullifier];
    }

    /// @inheritdoc INullifiers
    /// @dev No other party's batch has the same 160 bits, and no claim's id has 64 leading zeros.
    function placeOf(address provider, bytes32 root, uint32 index) public pure returns (bytes32) {
        uint256 batch = uint160(uint256(keccak256(abi.encode(provider, root))));
        return bytes32((batch << 32) | index);
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
    function _hold(bytes32 nullifier, bytes32 holder) internal {
        if (nullifier == 0) revert ClaimIncomplete();
        bytes32 by = _holders[nullifier];
        if (by != 0) revert AlreadyBilled(nullifier, by);

        _holders[nullifier] = holder;
    }

    /// @dev Frees a nullifier; the caller has seen that its holder lets go.
    function _free(bytes32 nullifier) internal {
        delete _holders[nullifier];
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IBatchAnchor} from "./interfaces/IBatchAnchor.sol";
import {IRegistrar} from "./interfaces/IRegistrar.sol";
import {SignedMessages} from "./base/SignedMessages.sol";
import {MerkleLog} from "./libraries/MerkleLog.sol";
import {PartyWord} from "./libraries/PartyWord.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

/// @title BatchAnchor
/// @notice The logs of all publishers: two slots for each, however many batches it has.
contract BatchAnchor is IBatchAnchor, SignedMessages {
    using PartyWord for IRegistrar;
    using PartyWord for uint256;

    bytes32 private constant BATCH_TYPEHASH = keccak256(
        "Batch(address publisher,uint32 log,uint64 size,bytes32 root,bool consistent,uint256 deadline)"
    );

    /// @inheritdoc IBatchAnchor
    IRegistrar public immutable registrar;

    mapping(address publisher => mapping(uint32 log => Batch latest)) private _latest;

    constructor(IRegistrar registrar_) EIP712("MedProof BatchAnchor", "1") {
        registrar = registrar_;
    }

    /* ANCHORING */

    /// @inheritdoc IBatchAnchor
    function anchor(
        address publisher,
        uint32 log,
        uint64 size,
        bytes32 root,
        uint256 deadline,
        bytes calldata signature
    ) external returns (uint64 number) {
        Batch storage last = _requireGrown(publisher, log, size, root);
        _requirePublished(publisher, log, size, root, false, deadline, signature);

        return _anchor(publisher, log, size, root, last);
    }

    /// @inheritdoc IBatchAnchor
    function anchorConsistent(
        address publisher,
        uint32 log,
        uint64 size,
        bytes32 root,
        bytes32[] calldata proof,
        uint256 deadline,
        bytes calldata signature
    ) external returns (uint64 number) {
        Batch storage last = _requireGrown(publisher, log, size, root);
        _requirePublished(publisher, log, size, root, true, deadline, signature);
        if (!MerkleLog.extends(last.root, last.size, root, size, proof)) revert ConsistencyUnproven(size, last.size);

        return _anchor(publisher, log, size, root, last);
    }

    function _anchor(
        address publisher,
        uint32 log,
        uint64 size,
        bytes32 root,
        Batch storage last
    ) private returns (uint64 number) {
        number = last.number + 1;
        last.root = root;
        (last.size, last.number, last.anchoredAt) = (size, number, uint64(block.timestamp));

        emit BatchAnchored(publisher, log, number, size, root);
    }

    function _requireGrown(
        address publisher,
        uint32 log,
        uint64 size,
        bytes32 root
    ) private view returns (Batch storage last) {
        last = _latest[publisher][log];
        if (size <= last.size) revert LogNotGrown(size, last.size);
        if (root == 0) revert RootMissing();
    }

    /// @dev Reverts unless the publisher agrees to a batch: it sends it itself (empty signature), or its present
    /// account signed. Either way it must be active now. A log only grows, so no signed batch counts twice, and none
    /// that was held back counts after a larger one. What was signed with its proof is not sent without.
    function _requirePublished(
        address publisher,
        uint32 log,
        uint64 size,
        bytes32 root,
        bool consistent,
        uint256 deadline,
        bytes calldata signature
    ) private view {
        address account = signature.length == 0 ? msg.sender : registrar.accountOf(publisher);
        uint256 standing = registrar.standing(account);
        if (standing == 0 || standing.id() != publisher) revert PublisherNotYours(publisher, account);

        if (signature.length == 0) return;
        bytes32 structHash = keccak256(abi.encode(BATCH_TYPEHASH, publisher, log, size, root, consistent, deadline));
        _requireSigned(account, structHash, deadline, signature);
    }

    /* READING */

    /// @inheritdoc IBatchAnchor
    function latest(address publisher, uint32 log) external view returns (Batch memory) {
        return _latest[publisher][log];
    }

    /// @inheritdoc IBatchAnchor
    function isIncluded(
        address publisher,
        uint32 log,
        bytes32 leaf,
        uint64 index,
        bytes32[] calldata proof
    ) external view returns (bool) {
        Batch storage last = _latest[publisher][log];
        return MerkleLog.hasLeaf(last.root, last.size, leaf, index, proof);
    }

    /// @inheritdoc IBatchAnchor
    function verifyInclusion(
        bytes32 leaf,
        uint64 index,
        uint64 size,
        bytes32[] calldata proof,
        bytes32 root
    ) external pure returns (bool) {
        return MerkleLog.hasLeaf(root, size, leaf, index, proof);
    }

    /// @inheritdoc IBatchAnchor
    function verifyConsistency(
        uint64 first,
        uint64 second,
        bytes32[] calldata proof,
        bytes32 firstRoot,
        bytes32 secondRoot
    ) external pure returns (bool) {
        return MerkleLog.extends(firstRoot, first, secondRoot, second, proof);
    }
}

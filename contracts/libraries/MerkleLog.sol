// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title MerkleLog
/// @notice Verifies the proofs of an append-only Merkle log: the tree of RFC 6962 with keccak-256, as
/// `medproof.merkle` builds it, by the algorithms of RFC 9162.
/// @dev A leaf is a commitment of 32 bytes and its hash is keccak256(leaf); a node's is keccak256(left, right). What is
/// hashed for a leaf has 32 bytes and for a node 64, so neither passes for the other. The halves are ordered, which
/// OpenZeppelin's MerkleProof does not do: a proof fixes the leaf's index, and consistency depends on the order.
library MerkleLog {
    /// @dev Whether the log of `size` leaves and this root has `leaf` at `index` (RFC 9162, 2.1.3.2). Up to the height
    /// at which the paths of this leaf and the last one meet, the bits of the index say on which side a neighbour
    /// stands; above it each stands to the left, one for each bit that is set.
    function hasLeaf(
        bytes32 root,
        uint64 size,
        bytes32 leaf,
        uint64 index,
        bytes32[] calldata proof
    ) internal pure returns (bool) {
        if (index >= size) return false;
        uint256 path = index;
        uint256 met = path ^ (size - 1);
        uint256 height = met == 0 ? 0 : Math.log2(met) + 1;
        uint256 length = height;
        for (uint256 above = path >> height; above != 0; above &= above - 1) ++length;
        if (proof.length != length) return false;
        bytes32 hash = keccak256(abi.encode(leaf));

        uint256 position = 0;
        for (; position < height; ++position) {
            bytes32 neighbour = proof[position];
            if (path & 1 == 0) {
                hash = Hashes.efficientKeccak256(hash, neighbour);
            } else {
                hash = Hashes.efficientKeccak256(neighbour, hash);
            }
            path >>= 1;
        }
        for (; position < length; ++position) hash = Hashes.efficientKeccak256(proof[position], hash);
        return hash == root;
    }

    /// @dev Whether the log of `second` leaves begins with that of `first` leaves (RFC 9162, 2.1.4.2). Every log begins
    /// with the empty one.
    function extends(
        bytes32 firstRoot,
        uint64 first,
        bytes32 secondRoot,
        uint64 second,
        bytes32[] calldata proof
    ) internal pure returns (bool) {
        if (first > second) return false;
        if (first == 0) return proof.length == 0;
        if (first == second) return proof.length == 0 && firstRoot == secondRoot;
        uint256 here = first - 1;
        uint256 last = second - 1;
        bool complete = first & here == 0; // the first tree is whole in the second: the path starts at its root
        if (!complete && proof.length == 0) return false;
        bytes32 before = complete ? firstRoot : proof[0];
        bytes32 hash = before;
        for (; here & 1 == 1; here >>= 1) last >>= 1;

        for (uint256 position = complete ? 0 : 1; position < proof.length; ++position) {
            if (last == 0) return false;
            if (_isRight(here, last)) {
                before = Hashes.efficientKeccak256(proof[position], before);
                hash = Hashes.efficientKeccak256(proof[position], hash);
                (here, last) = _climb(here, last);
            } else {
                hash = Hashes.efficientKeccak256(hash, proof[position]);
            }
            (here, last) = (here >> 1, last >> 1);
        }
        return last == 0 && before == firstRoot && hash == secondRoot;
    }

    /// @dev Whether the next sibling stands to the left of a node at this place of its level.
    function _isRight(uint256 here, uint256 last) private pure returns (bool) {
        return here & 1 == 1 || here == last;
    }

    /// @dev Skips the levels at which a node on the right edge has no sibling.
    function _climb(uint256 here, uint256 last) private pure returns (uint256, uint256) {
        for (; here & 1 == 0 && here != 0; here >>= 1) last >>= 1;
        return (here, last);
    }
}

"""A Merkle tree over a set that stands for good, as OpenZeppelin's MerkleProof verifies it and its package merkle-tree
(StandardMerkleTree) builds it.

    leaf_hash(v)     keccak256(keccak256(v)), for a value v that is ABI-encoded
    node_hash(a, b)  keccak256(a || b), the smaller one first

Leaves are sorted by their hash, so that the same set has the same root. Halves are not ordered: a proof shows that a
value is in the set, and its place only where the value says it. A log that grows is `medproof.merkle`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tiny_keccak import keccak256

__all__ = ["SortedMerkleTree", "leaf_hash", "path_root"]


class SortedMerkleTree:
    """The tree of a set with at least one value."""

    def __init__(self, values: Iterable[bytes]) -> None:
        """Build it; a million values take a few seconds.

        Raises:
            ValueError: there are none.
        """
        hashes = [leaf_hash(value) for value in values]
        if not hashes:
            raise ValueError("A tree has at least one value.")
        leaves = sorted(hashes, reverse=True)  # the last place of the array is the smallest
        nodes = [b""] * (len(leaves) - 1) + leaves
        for place in range(len(leaves) - 2, -1, -1):
            nodes[place] = _node_hash(nodes[2 * place + 1], nodes[2 * place + 2])
        self._nodes = nodes
        self._places = {hashed: len(leaves) - 1 + place for place, hashed in enumerate(leaves)}

    @property
    def root(self) -> bytes:
        """32 bytes."""
        return self._nodes[0]

    def path(self, value: bytes) -> tuple[bytes, ...]:
        """What shows that a value is in the set: the leaf's neighbour first.

        Raises:
            KeyError: it is not.
        """
        place = self._places[leaf_hash(value)]
        path = []
        while place:
            path.append(self._nodes[place + 1 if place % 2 else place - 1])
            place = (place - 1) // 2
        return tuple(path)


def leaf_hash(value: bytes) -> bytes:
    """The hash of a leaf."""
    return keccak256(keccak256(value))


def path_root(value: bytes, path: Sequence[bytes]) -> bytes:
    """The root of a set that has the value, as the path has it."""
    hashed = leaf_hash(value)
    for sibling in path:
        hashed = _node_hash(hashed, sibling)
    return hashed


def _node_hash(one: bytes, other: bytes) -> bytes:
    return keccak256(one + other if one < other else other + one)

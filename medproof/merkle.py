"""An append-only Merkle log: its root commits to every entry, and short proofs show that an entry is in it and that a
later state of it only added.

The tree is RFC 6962's (section 2.1; RFC 9162 says how its proofs are verified), with keccak-256 in place of SHA-256, so
that a contract verifies the same proofs (`contracts/libraries/MerkleLog.sol`). Formulas, with `||` for concatenation
and k the largest power of two below n::

    leaf_hash(c)                      keccak256(c), for a commitment c of exactly 32 bytes
    node_hash(l, r)                   keccak256(l || r)
    root([c])                         leaf_hash(c)
    root([c0, ..., cn-1])             node_hash(root([c0, ..., ck-1]), root([ck, ..., cn-1]))
    root([])                          keccak256("")

A leaf is a commitment (`medproof.hashing`), itself a salted hash, so each entry is hashed twice. What is hashed for a
leaf has 32 bytes and for a node 64: neither passes for the other, which is what RFC 6962 has its prefixes for. Unlike
OpenZeppelin's MerkleProof, the two halves of a node are ordered: a proof fixes the place of an entry, not only that it
is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from struct import iter_unpack

from tiny_keccak import keccak256

from medproof.errors import MerkleLeafError, MerkleProofError, MerkleSizeError

__all__ = [
    "EMPTY_ROOT",
    "MerkleLog",
    "inclusion_root",
    "leaf_hash",
    "node_hash",
    "verify_consistency",
    "verify_inclusion",
]

EMPTY_ROOT = keccak256(b"")
"""The root of a log without entries."""

_HASH = 32  # bytes in a hash
_CHUNK = 1 << 16  # leaves hashed at a time: bounds the memory of `MerkleLog.extend`


class MerkleLog:
    """A log that only grows. It keeps hashes, not entries: 64 bytes for each.

    >>> log = MerkleLog(commitments)
    >>> index = log.append(sealed.commitment)
    >>> verify_inclusion(sealed.commitment, index, len(log), log.inclusion_proof(index), log.root())
    """

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        """Begin with these leaves; see `extend`."""
        self._levels = [bytearray()]  # at height h, the hashes of all complete subtrees of 2**h leaves
        self.extend(leaves)

    def __len__(self) -> int:
        """How many leaves it has."""
        return len(self._levels[0]) // _HASH

    def append(self, leaf: bytes) -> int:
        """Add a leaf and return its index, from 0.

        Args:
            leaf: a commitment, 32 bytes.

        Raises:
            MerkleLeafError: it is no commitment.
        """
        index = len(self)
        self._add([leaf], index)
        return index

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add many leaves in order; a million takes one to two seconds.

        Raises:
            MerkleLeafError: one is no commitment; those before it may have been added.
        """
        remaining = iter(leaves)
        while chunk := list(islice(remaining, _CHUNK)):
            self._add(chunk, len(self))

    def root(self, size: int | None = None) -> bytes:
        """The root of the first `size` leaves, 32 bytes; of all where none is given.

        Raises:
            MerkleSizeError: it never had so many.
        """
        size = self._checked(size)
        return self._hash_of(0, size) if size else EMPTY_ROOT

    def inclusion_proof(self, index: int, size: int | None = None) -> tuple[bytes, ...]:
        """What shows that a leaf is at `index` among the first `size`: at most 64 hashes, the leaf's neighbour first.

        Raises:
            MerkleSizeError: there is no such leaf, or the log never had so many.
        """
        start, end = 0, self._checked(size)
        if not 0 <= index < end:
            raise MerkleSizeError(index, f"is no index of a log of {end} leaves", "Give one from 0 to one less.")
        path = []
        while end - start > 1:
            middle = start + _split(end - start)
            if index < middle:
                path.append(self._hash_of(middle, end))
                end = middle
            else:
                path.append(self._hash_of(start, middle))
                start = middle
        return tuple(reversed(path))

    def consistency_proof(self, first: int, second: int | None = None) -> tuple[bytes, ...]:
        """What shows that the first `second` leaves begin with the first `first`; empty where either is nothing new.

        Raises:
            MerkleSizeError: the sizes do not follow each other, or the log never had so many.
        """
        start, end = 0, self._checked(second)
        if not 0 <= first <= end:
            raise MerkleSizeError(first, f"does not come before {end}", "Give the smaller size first.")
        if first == 0:
            return ()
        path = []
        while first != end:
            middle = start + _split(end - start)
            if first <= middle:
                path.append(self._hash_of(middle, end))
                end = middle
            else:
                path.append(self._hash_of(start, middle))
                start = middle
        if start:  # else the verifier has it: it is the first root
            path.append(self._hash_of(start, end))
        return tuple(reversed(path))

    def _add(self, leaves: Sequence[bytes], first: int) -> None:
        self._check_leaves(leaves, first)
        self._add_hashes([keccak256(leaf) for leaf in leaves])

    def _check_leaves(self, leaves: Sequence[bytes], first: int) -> None:
        for index, leaf in enumerate(leaves, start=first):
            if len(leaf) != _HASH:
                raise MerkleLeafError(index, len(leaf))

    def _add_hashes(self, hashes: list[bytes]) -> None:
        height = 0
        while hashes:
            if height == len(self._levels):
                self._levels.append(bytearray())
            level = self._levels[height]
            level += b"".join(hashes)
            height += 1
            paired = len(self._levels[height]) * 2 if height < len(self._levels) else 0
            pairs = level[paired : len(level) - len(level) % (2 * _HASH)]
            hashes = [keccak256(pair) for (pair,) in iter_unpack(f"{2 * _HASH}s", pairs)]

    def _hash_of(self, start: int, end: int) -> bytes:
        """The hash of the subtree over these leaves, as RFC 6962 splits the tree."""
        width = end - start
        if width & (width - 1) == 0:
            height = width.bit_length() - 1
            place = (start >> height) * _HASH
            return bytes(self._levels[height][place : place + _HASH])
        middle = start + _split(width)
        return node_hash(self._hash_of(start, middle), self._hash_of(middle, end))

    def _checked(self, size: int | None) -> int:
        if size is None:
            return len(self)
        if not 0 <= size <= len(self):
            raise MerkleSizeError(size, f"is no size of a log of {len(self)} leaves", "Give one from 0 to that.")
        return size


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of a leaf, a commitment of 32 bytes.

    Raises:
        MerkleLeafError: it is no commitment.
    """
    if len(leaf) != _HASH:
        raise MerkleLeafError(None, len(leaf))
    return keccak256(leaf)


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node over its two halves."""
    return keccak256(left + right)


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Return if the log of `size` leaves and this root has the leaf at `index` (RFC 9162, 2.1.3.2).

    Raises:
        MerkleProofError: the proof does not show it.
        MerkleLeafError: the leaf is no commitment.
    """
    found = inclusion_root(leaf, index, size, proof)
    if found != root:
        what = f"leaf {index} of {size}"
        raise MerkleProofError(what, f"the proof leads to the root 0x{found.hex()}, not to 0x{root.hex()}")


def inclusion_root(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """The root of the log of `size` leaves that has the leaf at `index`, as the proof has it: 32 bytes.

    Raises:
        MerkleProofError: it is none for this index and size.
        MerkleLeafError: the leaf is no commitment.
    """
    what = f"leaf {index} of {size}"
    if not 0 <= index < size:
        raise MerkleProofError(what, "there is no such leaf")
    _check_hashes(what, proof)
    here, last, hashed = index, size - 1, leaf_hash(leaf)
    for sibling in proof:
        if last == 0:
            raise MerkleProofError(what, "the proof is too long")
        if here & 1 or here == last:
            hashed = node_hash(sibling, hashed)
            here, last = _climb(here, last)
        else:
            hashed = node_hash(hashed, sibling)
        here, last = here >> 1, last >> 1
    if last:
        raise MerkleProofError(what, "the proof is too short")
    return hashed


def verify_consistency(first: int, second: int, proof: Sequence[bytes], first_root: bytes, second_root: bytes) -> None:
    """Return if the log of `second` leaves and that root begins with that of `first` leaves (RFC 9162, 2.1.4.2).

    A log begins with the empty one, whatever its root.

    Raises:
        MerkleProofError: the proof does not show it.
    """
    what = f"that {second} leaves begin with the first {first}"
    if not 0 <= first <= second:
        raise MerkleProofError(what, "the sizes do not follow each other")
    _check_hashes(what, proof)
    if first == 0 and first_root != EMPTY_ROOT:
        raise MerkleProofError(what, f"0x{first_root.hex()} is not the root of nothing")
    if first in (0, second):
        if proof:
            raise MerkleProofError(what, "the proof is too long")
        if first == second and first_root != second_root:
            raise MerkleProofError(what, f"the roots differ, 0x{first_root.hex()} and 0x{second_root.hex()}")
        return

    here, last, path = first - 1, second - 1, list(proof)
    if first & here == 0:  # a complete tree: its own root is where the path starts
        path.insert(0, first_root)
    while here & 1:
        here, last = here >> 1, last >> 1
    if not path:
        raise MerkleProofError(what, "the proof is too short")
    before = after = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise MerkleProofError(what, "the proof is too long")
        if here & 1 or here == last:
            before, after = node_hash(sibling, before), node_hash(sibling, after)
            here, last = _climb(here, last)
        else:
            after = node_hash(after, sibling)
        here, last = here >> 1, last >> 1
    if last:
        raise MerkleProofError(what, "the proof is too short")
    for found, root in ((before, first_root), (after, second_root)):
        if found != root:
            raise MerkleProofError(what, f"the proof leads to the root 0x{found.hex()}, not to 0x{root.hex()}")


def _split(width: int) -> int:
    """The largest power of two below a width of 2 or more."""
    return 1 << (width - 1).bit_length() - 1


def _climb(here: int, last: int) -> tuple[int, int]:
    """Skip the heights at which a node on the right edge has no sibling."""
    while here and not here & 1:
        here, last = here >> 1, last >> 1
    return here, last


def _check_hashes(what: str, proof: Sequence[bytes]) -> None:
    for position, sibling in enumerate(proof):
        if len(sibling) != _HASH:
            raise MerkleProofError(what, f"its hash {position} has {len(sibling)} bytes, not {_HASH}")

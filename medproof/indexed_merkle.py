"""An indexed Merkle tree: a set of 32-byte values whose root lets anyone see that a value is in it, or is not.

Every value names the next larger one, and the tree is over these links in the order in which the values came. A value
is not in the set where a link leads past it: from a smaller value to a larger one. The set only grows: whoever inserts
a value changes the one link that led past it, and adds one. Formulas, with `||` for concatenation::

    link(value, next)   keccak256(keccak256("medproof:indexed:v1") || value || next)
    root                that of `medproof.merkle` over all links
    the first link      (0, 2**256 - 1): what lies between is not in the set

So the links are leaves of a tree such as `BatchAnchor` anchors and verifies: `isIncluded` with a link, its index and
its path shows on chain what is shown here, and needs no contract of its own. Unlike a log, the tree changes old leaves:
what leads from one root to the next is an `InsertionProof` for each value, or all values again.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce

from tiny_keccak import keccak256

from medproof.errors import IndexedValueError, MerkleProofError
from medproof.merkle import MerkleLog, inclusion_root, leaf_hash, node_hash, verify_inclusion

__all__ = ["EMPTY_SET_ROOT", "AbsenceProof", "IndexedMerkleTree", "InsertionProof", "Link", "PresenceProof"]

_HASH = 32  # bytes in a value and a hash
_TAG = keccak256(b"medproof:indexed:v1")
_SMALLEST, _LARGEST = bytes(_HASH), b"\xff" * _HASH  # the ends of the chain of links; no values
_PLACE = 8  # bytes in an index
_BEHIND = b"\xff" * _PLACE  # sorts a value behind its own key


@dataclass(frozen=True, slots=True)
class Link:
    """A value of the set, and the next larger one: nothing between them is in the set."""

    value: bytes  # 32 bytes
    next: bytes  # 32 bytes

    @property
    def commitment(self) -> bytes:
        """Its leaf in the tree, 32 bytes."""
        return keccak256(_TAG + self.value + self.next)


EMPTY_SET_ROOT = leaf_hash(Link(_SMALLEST, _LARGEST).commitment)
"""The root of a set without values."""


@dataclass(frozen=True, slots=True)
class _LinkProof:
    """That a link is in a tree."""

    link: Link
    index: int  # its place among the links, from 0
    size: int  # how many links the tree has: one more than values
    path: tuple[bytes, ...]  # the hashes that lead from the link to the root

    def _verify(self, root: bytes) -> None:
        verify_inclusion(self.link.commitment, self.index, self.size, self.path, root)


class PresenceProof(_LinkProof):
    """That a value is in the set."""

    def verify(self, value: bytes, root: bytes) -> None:
        """Return if the set of this root has the value.

        Raises:
            MerkleProofError: the proof does not show it.
        """
        if self.link.value != value:
            raise MerkleProofError(f"that 0x{value.hex()} is in the set", "the link is another value's")
        self._verify(root)


class AbsenceProof(_LinkProof):
    """That a value is not in the set."""

    def verify(self, value: bytes, root: bytes) -> None:
        """Return if the set of this root does not have the value.

        Raises:
            MerkleProofError: the proof does not show it.
        """
        if len(value) != _HASH or not self.link.value < value < self.link.next:
            raise MerkleProofError(f"that 0x{value.hex()} is not in the set", "the link does not lead past it")
        self._verify(root)


@dataclass(frozen=True, slots=True)
class InsertionProof:
    """That one root follows from another by one value more, and by nothing else."""

    value: bytes  # that was inserted
    absence: AbsenceProof  # before it was
    path: tuple[bytes, ...]  # from the new link to the root after it: the tree of before, in parts

    def verify(self, before: bytes, after: bytes, size: int) -> None:
        """Return if the set of the root `after` is that of the root `before` with the value.

        Args:
            before: the root that is known.
            after: the one that is said to follow.
            size: how many links the tree of `before` has, as it is anchored: its root alone does not tell.

        Raises:
            MerkleProofError: the proof does not show it.
        """
        what, absence = f"that 0x{self.value.hex()} alone was inserted", self.absence
        if absence.size != size:
            raise MerkleProofError(what, f"it is for a tree of {absence.size} links, not of {size}")
        absence.verify(self.value, before)
        low, new = Link(absence.link.value, self.value), Link(self.value, absence.link.next)
        between = inclusion_root(low.commitment, absence.index, absence.size, absence.path)
        verify_inclusion(new.commitment, absence.size, absence.size + 1, self.path, after)
        if reduce(lambda right, left: node_hash(left, right), self.path) != between:  # all of it stands to the left
            raise MerkleProofError(what, "something else changed as well")


class _Links(MerkleLog):
    """The tree over the links, of which old ones change."""

    def replace(self, changed: Mapping[int, bytes]) -> None:
        """Put other leaves in the places of these."""
        dirty = {index: leaf_hash(leaf) for index, leaf in changed.items()}
        for level in self._levels:
            for place, hashed in dirty.items():
                level[place * _HASH : (place + 1) * _HASH] = hashed
            pairs = {place >> 1 for place in dirty if (place | 1) < len(level) // _HASH}
            dirty = {pair: keccak256(bytes(level[2 * pair * _HASH : 2 * (pair + 1) * _HASH])) for pair in pairs}


class IndexedMerkleTree:
    """A set that only grows, in memory: some 150 bytes for each value. It is rebuilt from the values in their order.

    >>> tree = IndexedMerkleTree(nullifiers)
    >>> tree.insert([fresh])
    >>> tree.prove_absent(another).verify(another, tree.root())
    """

    def __init__(self, values: Iterable[bytes] = ()) -> None:
        """Begin with these values; see `insert`."""
        self._keys = [_SMALLEST + bytes(_PLACE)]  # every value with its index behind it, ascending
        self._links = _Links([Link(_SMALLEST, _LARGEST).commitment])
        self.insert(values)

    def __len__(self) -> int:
        """How many links it has, under which number its root is anchored: one more than values."""
        return len(self._links)

    def __contains__(self, value: bytes) -> bool:
        """Whether a value is in the set."""
        return value != _SMALLEST and self._link(self._low(value)).value == value

    def root(self) -> bytes:
        """The root over all links, 32 bytes."""
        return self._links.root()

    def insert(self, values: Iterable[bytes]) -> None:
        """Add values in order, all or none. Many at once take less time for each.

        Raises:
            IndexedValueError: one is in the set, is given twice, or is no value.
        """
        added = list(values)
        if not added:
            return
        self._check(added)
        changed = [self._keys[low] for low in {self._low(value) for value in added}]
        new = [value + index.to_bytes(_PLACE, "big") for index, value in enumerate(added, start=len(self))]
        if len(new) == 1:
            insort(self._keys, new[0])
        else:
            self._keys += sorted(new)
            self._keys.sort()  # merges two ascending runs
        self._links.replace({_index(key): self._link(bisect_left(self._keys, key)).commitment for key in changed})
        self._links.extend(self._link(bisect_left(self._keys, key)).commitment for key in new)

    def insert_proved(self, value: bytes) -> InsertionProof:
        """Add one value, and return what shows that nothing else changed.

        Raises:
            IndexedValueError: as `insert`.
        """
        absence = self.prove_absent(value)
        self.insert([value])
        return InsertionProof(value, absence, self._links.inclusion_proof(len(self) - 1))

    def prove_present(self, value: bytes) -> PresenceProof:
        """Return what shows that a value is in the set.

        Raises:
            IndexedValueError: it is not.
        """
        if value not in self:
            raise IndexedValueError(value, "is not in the set", "Ask for the proof that it is absent")
        return PresenceProof(*self._proved(value))

    def prove_absent(self, value: bytes) -> AbsenceProof:
        """Return what shows that a value is not in the set.

        Raises:
            IndexedValueError: it is in it, or is no value.
        """
        self._check([value])
        return AbsenceProof(*self._proved(value))

    def _proved(self, value: bytes) -> tuple[Link, int, int, tuple[bytes, ...]]:
        low = self._low(value)
        index = _index(self._keys[low])
        return self._link(low), index, len(self), self._links.inclusion_proof(index)

    def _low(self, value: bytes) -> int:
        """Where in the order the largest value stands that is not above this one."""
        return bisect_left(self._keys, value + _BEHIND) - 1

    def _link(self, place: int) -> Link:
        """The link at a place of the order."""
        after = self._keys[place + 1][:_HASH] if place + 1 < len(self._keys) else _LARGEST
        return Link(self._keys[place][:_HASH], after)

    def _check(self, values: list[bytes]) -> None:
        seen = set()
        for value in values:
            if len(value) != _HASH or not _SMALLEST < value < _LARGEST:
                step = "Give 32 bytes that are not all zeros or all ones"
                raise IndexedValueError(value, "is no value that a set has", step)
            if value in seen or value in self:
                raise IndexedValueError(value, "is in the set", "Give each value once")
            seen.add(value)


def _index(key: bytes) -> int:
    return int.from_bytes(key[_HASH:], "big")

"""The tree that forgets what it can read again is the tree that does not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from medproof.anchoring.leaf_tree import LeafTree
from medproof.errors import LogDamagedError, MerkleLeafError, MerkleSizeError
from medproof.merkle import MerkleLog

LEAVES = [keccak(number.to_bytes(4, "big")) for number in range(700)]
SIZES = (0, 1, 2, 3, 63, 64, 65, 127, 128, 129, 191, 192, 256, 257, 448, 511, 512, 513, 640, 699, 700)


def tree_of(leaves: Sequence[bytes], kept: Sequence[bytes] = LEAVES) -> LeafTree:
    tree = LeafTree(7, lambda start, end: kept[start:end])
    tree.extend(leaves)
    return tree


def test_it_proves_what_the_whole_tree_proves() -> None:
    tree, whole = tree_of(LEAVES), MerkleLog(LEAVES)
    for size in SIZES:
        assert tree.root(size) == whole.root(size)
        for index in range(0, size, 7):
            assert tree.inclusion_proof(index, size) == whole.inclusion_proof(index, size)
        for first in SIZES:
            if first <= size:
                assert tree.consistency_proof(first, size) == whole.consistency_proof(first, size)
    kept = sum(map(len, tree._runs._levels)) + sum(map(len, tree._rest._levels))
    assert kept < 5_000 < 40_000 < sum(map(len, whole._levels))


@given(st.lists(st.integers(0, 150), max_size=8))
@settings(deadline=None, max_examples=40)
def test_however_it_grows(steps: list[int]) -> None:
    tree, size = tree_of([]), 0
    for step in steps:
        step = min(step, len(LEAVES) - size)
        if step == 1:
            assert tree.append(LEAVES[size]) == size
        else:
            tree.extend(LEAVES[size : size + step])
        size += step
        assert (len(tree), tree.root()) == (size, MerkleLog(LEAVES[:size]).root())


def test_what_is_no_leaf_or_no_index() -> None:
    tree = tree_of(LEAVES[:100])
    for wrong in (b"", bytes(31)):
        with pytest.raises(MerkleLeafError, match="101"):
            tree.extend([LEAVES[100], wrong])
    assert (len(tree), tree.root()) == (100, MerkleLog(LEAVES[:100]).root())
    for size in (-1, 101):
        with pytest.raises(MerkleSizeError):
            tree.root(size)
    with pytest.raises(MerkleSizeError):
        tree.inclusion_proof(100)


@pytest.mark.parametrize("kept", [LEAVES[:64], [*LEAVES[:70], LEAVES[0], *LEAVES[71:]], LEAVES[::-1]])
def test_leaves_that_changed_are_found_out(kept: list[bytes]) -> None:
    tree = tree_of(LEAVES[:200], kept)
    assert tree.root(128) == MerkleLog(LEAVES[:128]).root()  # needs nothing from below
    with pytest.raises(LogDamagedError, match="leaves 64 to 127 are not those that it had"):
        tree.inclusion_proof(70)
    with pytest.raises(LogDamagedError):
        tree.root(70)

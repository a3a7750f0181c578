"""The contract verifies what the package proves, and nothing else."""

from __future__ import annotations

import pytest
from eth_utils import keccak

from medproof.merkle import leaf_hash, node_hash
from tests.unit.BatchAnchor.conftest import LEAVES

SIZES = [1, 2, 3, 5, 7, 8, 13]


def altered(proof):
    """A proof with a hash changed, left out, added or swapped with its neighbour."""
    kinds = [[*proof, bytes(32)]]
    for place, value in enumerate(proof):
        before, after = list(proof[:place]), list(proof[place + 1 :])
        kinds += [[*before, keccak(value), *after], [*before, *after]]
        kinds += [[*before, after[0], value, *after[1:]]] if after else []
    return kinds


@pytest.mark.spec("A10")
@pytest.mark.parametrize("size", SIZES)
def test_inclusion(batch_anchor, log, size):
    for index in range(size):
        proof = list(log.inclusion_proof(index, size))
        given = (size, proof, log.root(size))
        assert batch_anchor.verifyInclusion(LEAVES[index], index, *given)
        assert not batch_anchor.verifyInclusion(LEAVES[index + 1], index, *given)
        assert not batch_anchor.verifyInclusion(LEAVES[index], index, size, proof, log.root(size + 1))
    for place in set(range(size + 1)) - {index}:
        assert not batch_anchor.verifyInclusion(LEAVES[index], place, *given)
    for other in altered(proof):
        assert not batch_anchor.verifyInclusion(LEAVES[index], index, size, other, log.root(size))


@pytest.mark.spec("A11")
@pytest.mark.parametrize("second", SIZES)
def test_consistency(batch_anchor, log, second):
    for first in range(1, second + 1):
        proof = list(log.consistency_proof(first, second))
        assert batch_anchor.verifyConsistency(first, second, proof, log.root(first), log.root(second))
        assert not batch_anchor.verifyConsistency(first, second, proof, log.root(first + 1), log.root(second))
        assert not batch_anchor.verifyConsistency(first, second, proof, log.root(first), log.root(second + 1))
    first = max(1, second // 2)
    for other in altered(log.consistency_proof(first, second)):
        assert not batch_anchor.verifyConsistency(first, second, other, log.root(first), log.root(second))


@pytest.mark.spec("A11")
def test_every_log_begins_with_the_empty_one(batch_anchor, log):
    assert batch_anchor.verifyConsistency(0, 5, [], bytes(32), log.root(5))
    assert not batch_anchor.verifyConsistency(0, 5, [log.root(5)], bytes(32), log.root(5))
    assert not batch_anchor.verifyConsistency(5, 3, [], log.root(5), log.root(3))
    assert not batch_anchor.verifyConsistency(3, 5, [], log.root(3), log.root(5))


@pytest.mark.spec("A10", "A11")
def test_largest_sizes(batch_anchor):
    """A lone leaf to the right of 2**63 others, and the largest index; nothing overflows."""
    left, leaf = keccak(b"left"), LEAVES[0]
    size, root = 2**63 + 1, node_hash(left, leaf_hash(leaf))
    assert batch_anchor.verifyInclusion(leaf, 2**63, size, [left], root)
    assert batch_anchor.verifyConsistency(2**63, size, [leaf_hash(leaf)], left, root)

    path = [keccak(bytes([number])) for number in range(64)]
    hashed = leaf_hash(leaf)
    for sibling in path[1:]:
        hashed = node_hash(sibling, hashed)
    assert batch_anchor.verifyInclusion(leaf, 2**63 - 1, 2**63, path[1:], hashed)
    assert not batch_anchor.verifyInclusion(leaf, 2**64 - 1, 2**64 - 1, path, hashed)


@pytest.mark.spec("A12")
def test_node_is_no_leaf(batch_anchor, log):
    """The second preimage: a node's hash, given as a leaf, does not stand where the node does."""
    left, right = leaf_hash(LEAVES[0]), leaf_hash(LEAVES[1])
    above = list(log.inclusion_proof(0, 4)[1:])

    for leaf in (node_hash(left, right), left, right):
        assert not batch_anchor.verifyInclusion(leaf, 0, 2, above, log.root(4))
    assert node_hash(node_hash(left, right), above[0]) == log.root(4)  # as a node it does


@pytest.mark.spec("A8", "A10")
def test_leaf_of_the_log_as_it_stands(batch_anchor, press, log, clinic):
    press.anchor(5)
    proof = list(log.inclusion_proof(2, 5))
    assert batch_anchor.isIncluded(clinic, 1, LEAVES[2], 2, proof)
    assert not batch_anchor.isIncluded(clinic, 1, LEAVES[2], 3, proof)
    assert not batch_anchor.isIncluded(clinic, 2, LEAVES[2], 2, proof)

    press.anchor(9)
    assert not batch_anchor.isIncluded(clinic, 1, LEAVES[2], 2, proof)
    assert batch_anchor.isIncluded(clinic, 1, LEAVES[2], 2, list(log.inclusion_proof(2, 9)))


@pytest.mark.spec("A13")
def test_unknown_log(batch_anchor, parties, clinic, stranger):
    for publisher in (clinic, stranger):
        assert batch_anchor.latest(publisher, 7) == ("0x" + "00" * 32, 0, 0, 0)
        assert not batch_anchor.isIncluded(publisher, 7, LEAVES[0], 0, [])

"""The indexed Merkle tree against a plain set, and proofs that were altered; what it says is what the chain says."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from typing import Any

import pytest
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from medproof.client import MedProof
from medproof.errors import IndexedValueError, MerkleProofError
from medproof.indexed_merkle import EMPTY_SET_ROOT, AbsenceProof, IndexedMerkleTree, InsertionProof, Link
from medproof.merkle import MerkleLog, inclusion_root, leaf_hash, node_hash
from medproof.signing import LocalSigner

ENDS = (bytes(32), b"\xff" * 32)


def value(number: int) -> bytes:
    return keccak(number.to_bytes(4, "big"))


VALUES = [value(number) for number in range(40)]
NEAR = st.integers(1, 60).map(lambda number: number.to_bytes(32, "big"))  # neighbours, so that links are short
ANY = st.one_of(NEAR, st.binary(min_size=32, max_size=32).filter(lambda one: one not in ENDS))


def plain_root(values: list[bytes]) -> bytes:
    """The root by its definition: links in the order of insertion, each to the next larger value."""
    ordered = [ENDS[0], *sorted(values), ENDS[1]]
    following = dict(pairwise(ordered))
    return MerkleLog(Link(one, following[one]).commitment for one in [ENDS[0], *values]).root()


@given(st.lists(st.lists(ANY, max_size=8), max_size=8), st.lists(ANY, max_size=8))
@settings(deadline=None, max_examples=60)
def test_it_is_a_set(batches: list[list[bytes]], asked: list[bytes]) -> None:
    tree, inserted = IndexedMerkleTree(), list[bytes]()
    for batch in batches:
        if len(set(batch)) < len(batch) or set(batch) & set(inserted):
            before = tree.root()
            with pytest.raises(IndexedValueError):
                tree.insert(batch)
            assert (tree.root(), len(tree)) == (before, len(inserted) + 1)
            continue
        tree.insert(batch)
        inserted += batch
        assert (tree.root(), len(tree)) == (plain_root(inserted), len(inserted) + 1)
    for one in [*inserted, *asked]:
        assert (one in tree) == (one in inserted)
        if one in inserted:
            tree.prove_present(one).verify(one, tree.root())
            with pytest.raises(IndexedValueError):
                tree.prove_absent(one)
        else:
            tree.prove_absent(one).verify(one, tree.root())
            with pytest.raises(IndexedValueError):
                tree.prove_present(one)


@given(st.lists(ANY, unique=True, max_size=30))
@settings(deadline=None, max_examples=40)
def test_each_insertion_is_shown_and_the_root_is_that_of_a_batch(values: list[bytes]) -> None:
    tree = IndexedMerkleTree()
    assert tree.root() == EMPTY_SET_ROOT
    for one in values:
        before, size = tree.root(), len(tree)
        proof = tree.insert_proved(one)
        proof.verify(before, tree.root(), size)
        for wrong in ((tree.root(), before), (before, before), (tree.root(), tree.root())):
            with pytest.raises(MerkleProofError):
                proof.verify(*wrong, size)
    assert tree.root() == IndexedMerkleTree(values).root() == plain_root(values)


@pytest.mark.parametrize("wrong", [*ENDS, b"", bytes(31) + b"", b"\x01" * 33])
def test_what_is_no_value(wrong: bytes) -> None:
    tree = IndexedMerkleTree(VALUES[:3])
    root = tree.root()
    assert wrong not in tree
    for act in (tree.insert_proved, tree.prove_absent, tree.prove_present, lambda one: tree.insert([VALUES[9], one])):
        with pytest.raises(IndexedValueError):
            act(wrong)
    assert (tree.root(), VALUES[9] in tree) == (root, False)


def test_a_link_that_does_not_lead_past_a_value_shows_nothing() -> None:
    tree = IndexedMerkleTree(VALUES)
    root, ordered = tree.root(), sorted(VALUES)
    absent = ordered[10][:-1] + bytes([ordered[10][-1] ^ 1])
    proof = tree.prove_absent(absent)
    for other in (ordered[9], ordered[10], ordered[11], ordered[30], *ENDS, b"", absent + b"\0"):
        with pytest.raises(MerkleProofError, match="does not lead past it"):
            proof.verify(other, root)
    present = tree.prove_present(ordered[10])
    with pytest.raises(MerkleProofError, match="another value's"):
        present.verify(ordered[11], root)


def test_forged_proofs_show_nothing() -> None:
    tree = IndexedMerkleTree(VALUES)
    root, absent = tree.root(), value(100)
    proof = tree.prove_absent(absent)
    changes: list[dict[str, Any]] = [
        {"link": Link(ENDS[0], ENDS[1])},
        {"link": Link(proof.link.value, ENDS[1])},
        {"index": proof.index ^ 1},
        {"index": proof.size},
        {"index": -1},
        {"size": 2 * proof.size},
        {"path": proof.path[:-1]},
        {"path": (*proof.path, bytes(32))},
        {"path": (bytes(31), *proof.path[1:])},
    ]
    for changed in changes:
        with pytest.raises(MerkleProofError):
            dataclasses.replace(proof, **changed).verify(absent, root)
    with pytest.raises(MerkleProofError):
        proof.verify(absent, EMPTY_SET_ROOT)


def test_nothing_is_inserted_beside_what_is_shown() -> None:
    tree = IndexedMerkleTree(VALUES[:9])
    before, proof = tree.root(), tree.insert_proved(VALUES[9])
    after = tree.root()
    smuggled = IndexedMerkleTree(VALUES[:9])
    smuggled.insert([VALUES[20]])
    removed = IndexedMerkleTree([*VALUES[:8], VALUES[9]])
    for other in (smuggled.root(), removed.root(), IndexedMerkleTree(VALUES[:11]).root()):
        with pytest.raises(MerkleProofError):
            proof.verify(before, other, 10)
        with pytest.raises(MerkleProofError):
            proof.verify(other, after, 10)
    changes: list[dict[str, Any]] = [
        {"value": VALUES[10]},
        {"path": proof.path[1:]},
        {"path": ()},
        {"path": proof.path[::-1]},
        {"absence": tree.prove_absent(VALUES[11])},
    ]
    for changed in changes:
        with pytest.raises(MerkleProofError):
            dataclasses.replace(proof, **changed).verify(before, after, 10)


def test_a_tree_of_another_shape_does_not_follow() -> None:
    """A root does not tell its size: hung beside a new link as a whole, it would make a tree with room to lie in."""
    tree = IndexedMerkleTree(VALUES[:9])
    before, absence = tree.root(), tree.prove_absent(VALUES[9])
    low, new = Link(absence.link.value, VALUES[9]), Link(VALUES[9], absence.link.next)
    between = inclusion_root(low.commitment, absence.index, absence.size, absence.path)
    after = node_hash(between, leaf_hash(new.commitment))
    lopsided = InsertionProof(VALUES[9], dataclasses.replace(absence, size=16), (between,))
    for size, proof in ((10, lopsided), (10, dataclasses.replace(lopsided, absence=absence))):
        with pytest.raises(MerkleProofError):
            proof.verify(before, after, size)


def test_a_keeper_that_rewrites_an_old_link_has_no_proof_of_it() -> None:
    """The attack that an append-only root would not stop: a billed nullifier is unlinked, and billed again."""
    honest = IndexedMerkleTree(VALUES[:9])
    before, victim = honest.root(), sorted(VALUES[:9])[4]
    low = sorted(VALUES[:9])[3]
    links = [Link(ENDS[0], sorted(VALUES[:9])[0])]
    ordered = [*sorted(VALUES[:9]), ENDS[1]]
    links += [Link(one, ordered[ordered.index(one) + 1]) for one in VALUES[:9]]
    assert MerkleLog(one.commitment for one in links).root() == before
    rewritten = [Link(low, ordered[5]) if one.value == low else one for one in links]
    forged = MerkleLog(one.commitment for one in rewritten)
    index = [one.value for one in rewritten].index(low)
    absence = AbsenceProof(rewritten[index], index, 10, forged.inclusion_proof(index))
    absence.verify(victim, forged.root())  # under the forged root it was never billed
    with pytest.raises(MerkleProofError):
        absence.verify(victim, before)
    after = honest.root()
    insertion = InsertionProof(victim, absence, honest.insert_proved(VALUES[30]).path)
    for first, second in ((before, forged.root()), (before, after), (forged.root(), honest.root())):
        with pytest.raises(MerkleProofError):
            insertion.verify(first, second, 10)


def test_the_chain_verifies_absence_by_what_it_has(suite: MedProof, clinic: LocalSigner) -> None:
    tree = IndexedMerkleTree(VALUES)
    anchor = suite.batch_anchor
    anchor.anchor(clinic.address, len(tree), tree.root(), log=5, sender=clinic)
    for number in range(100, 110):
        proof = tree.prove_absent(value(number))
        arguments = (clinic.address, 5, proof.link.commitment, proof.index, list(proof.path))
        assert anchor.contract.functions.isIncluded(*arguments).call()
        anchor.verify_leaf(clinic.address, proof.link.commitment, proof.index, proof.path, log=5)
    tree.insert([value(100)])
    anchor.anchor(clinic.address, len(tree), tree.root(), log=5, sender=clinic)
    low = tree.prove_present(value(100))
    arguments = (clinic.address, 5, low.link.commitment, low.index, list(low.path))
    assert anchor.contract.functions.isIncluded(*arguments).call()

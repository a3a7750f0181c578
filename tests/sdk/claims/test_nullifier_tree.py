"""The nullifiers of a log: what was billed twice is named, and an anchored root is that of the log or found out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from eth_utils.crypto import keccak

from medproof.anchoring import Anchorer
from medproof.claims.event_log import ClaimEntry, ClaimEvent, ClaimEventLog, ClaimStep
from medproof.claims.nullifier_tree import TREE_NUMBER, NullifierTree, audit
from medproof.client import MedProof
from medproof.errors import MerkleProofError
from medproof.indexed_merkle import IndexedMerkleTree
from medproof.signing import LocalSigner
from tests.sdk.claims.logging_events import raise_it

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def nullifier(number: int) -> bytes:
    return keccak(text=f"nullifier {number}")


def entry(claim: int, service: int, step: ClaimStep = ClaimStep.SUBMITTED) -> ClaimEntry:
    return ClaimEntry.step(ClaimEvent(step, keccak(text=f"claim {claim}"), nullifier(service), NOON))


# Services 1 to 4; claim 3 bills the first again, claim 5 the fourth, which claim 4 had billed and voided.
ENTRIES = [
    entry(1, 1),
    entry(2, 2),
    entry(1, 1, ClaimStep.ADJUDICATED),
    entry(3, 1),
    entry(4, 4),
    entry(4, 4, ClaimStep.VOIDED),
    entry(5, 4),
    entry(6, 3),
]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[ClaimEventLog]:
    opened = ClaimEventLog(tmp_path / "claims.db")
    yield opened
    opened.close()


def test_what_is_billed_again_is_named_once(log: ClaimEventLog) -> None:
    log.append(ENTRIES)
    tree = NullifierTree()
    assert tree.follow(log.entries()) == (3, 6)
    assert (tree.read, len(tree.values)) == (8, 5)
    assert tree.follow(log.entries(tree.read)) == ()
    log.append([entry(7, 3), entry(8, 8), entry(9, 8)])
    assert tree.follow(log.entries(tree.read)) == (8, 10)
    root = tree.values.root()
    assert IndexedMerkleTree(map(nullifier, (1, 2, 4, 3, 8))).root() == root
    again = NullifierTree()
    assert again.follow(log.entries()) == (3, 6, 8, 10)
    assert again.values.root() == root
    tree.values.prove_absent(nullifier(9)).verify(nullifier(9), root)


def test_interrupted_it_reads_the_same_again() -> None:
    def interrupted() -> Iterator[ClaimEntry]:
        yield from ENTRIES[:4]
        raise KeyboardInterrupt

    tree = NullifierTree()
    with pytest.raises(KeyboardInterrupt):
        tree.follow(interrupted())
    assert (tree.read, len(tree.values)) == (0, 1)
    assert tree.follow(ENTRIES) == (3, 6)


def test_a_member_checks_every_root(log: ClaimEventLog, suite: MedProof, clinic: LocalSigner) -> None:
    tree, anchor = NullifierTree(), suite.batch_anchor
    anchorer = Anchorer(suite, log.leaves, clinic, trouble=raise_it)
    for start, end in ((0, 4), (4, 5), (5, 8)):
        log.append(ENTRIES[start:end])
        anchorer.work()
        tree.follow(log.entries(tree.read))
        anchor.anchor(clinic.address, len(tree.values), tree.values.root(), log=TREE_NUMBER, sender=clinic)
    batches = list(anchor.batches(clinic.address, log=TREE_NUMBER))
    assert [one.size for one in batches] == [3, 4, 5]
    checked = audit(log.entries(), batches)
    assert (checked.read, checked.values.root()) == (8, tree.values.root())
    assert audit(log.entries(), []).read == 8

    # A keeper that leaves one out, puts another in, or anchors ahead of its log is found at its first wrong root.
    other = IndexedMerkleTree(map(nullifier, (1, 9, 4))).root()
    for wrong, number in (
        ([batches[0], dataclasses.replace(batches[1], root=other), batches[2]], 2),
        ([batches[0], dataclasses.replace(batches[2], root=batches[1].root)], 3),
        ([*batches, dataclasses.replace(batches[2], number=4, size=6)], 4),
    ):
        with pytest.raises(MerkleProofError, match=f"batch {number} of the nullifiers"):
            audit(log.entries(), wrong)
    with pytest.raises(MerkleProofError, match="batch 1 of the nullifiers"):
        audit([*ENTRIES[1:4], ENTRIES[4]], batches)

"""The chain itself refuses a log that was rewritten."""

from __future__ import annotations

import pytest
from eth_utils import keccak

from medproof.merkle import MerkleLog
from tests.support.reverts import reverts
from tests.unit.BatchAnchor.conftest import LEAVES


@pytest.mark.spec("A9")
def test_consistent_batches_are_anchored(press, log, form):
    sizes = [1, 2, 3, 7, 8, 21]
    for number, (first, second) in enumerate(zip([0, *sizes], sizes, strict=False), start=1):
        tx = press.anchor(second, proof=press.proof(first, second))
        assert tx.return_value == number
        assert len(tx.events) == 1
    assert press.latest() == (log.root(21), 21, 6)


@pytest.mark.spec("A9")
@pytest.mark.parametrize("first", [4, 5], ids=["complete tree", "incomplete tree"])
def test_rewritten_log_is_refused(press, log, form, first):
    press.anchor(first)
    rewritten = MerkleLog([keccak(LEAVES[0]), *LEAVES[1:9]])

    for proof in (rewritten.consistency_proof(first), log.consistency_proof(first, 9), ()):
        with reverts("ConsistencyUnproven", 9, first):
            press.anchor(9, rewritten.root(), proof=list(proof))
    assert press.latest() == (log.root(first), first, 1)


@pytest.mark.spec("A9")
def test_proof_from_another_batch_is_refused(press):
    press.anchor(3)
    press.anchor(5)

    with reverts("ConsistencyUnproven", 9, 5):
        press.anchor(9, proof=press.proof(3, 9))


@pytest.mark.spec("A9")
def test_first_batch_takes_no_proof(press):
    with reverts("ConsistencyUnproven", 5, 0):
        press.anchor(5, proof=press.proof(3, 5))


@pytest.mark.spec("A6", "A7", "A9")
def test_proof_replaces_no_other_check(press, stranger):
    press.anchor(5)

    with reverts("LogNotGrown", 5, 5):
        press.anchor(5, proof=[])
    with reverts("RootMissing"):
        press.anchor(9, bytes(32), proof=[])
    with reverts("PublisherNotYours", press.publisher.address, stranger.address):
        press.anchor(9, proof=press.proof(5, 9), sender=stranger)


@pytest.mark.spec("A14")
def test_signature_for_a_batch_with_a_proof_counts_with_one_alone(press, log, clinic):
    """Whoever signs that the log is to begin with what was anchored last has not agreed to a rewritten one."""
    press.anchor(5)
    signature = press.signature(9, consistent=True)
    batch = (clinic, 1, 9, log.root(9))

    with reverts("SignatureInvalid", clinic.address):
        press.contract.anchor(*batch, press.deadline, signature, {"from": press.relayer})
    for proof in (press.proof(4, 9), []):
        with reverts("ConsistencyUnproven", 9, 5):
            press.contract.anchorConsistent(*batch, proof, press.deadline, signature, {"from": press.relayer})
    press.contract.anchorConsistent(*batch, press.proof(5, 9), press.deadline, signature, {"from": press.relayer})

    assert press.latest() == (log.root(9), 9, 2)


@pytest.mark.spec("A14")
def test_signature_for_a_batch_without_a_proof_counts_without_alone(press, log, clinic):
    press.anchor(5)
    signature = press.signature(9, consistent=False)
    batch = (clinic, 1, 9, log.root(9))

    with reverts("SignatureInvalid", clinic.address):
        press.contract.anchorConsistent(*batch, press.proof(5, 9), press.deadline, signature, {"from": press.relayer})
    press.contract.anchor(*batch, press.deadline, signature, {"from": press.relayer})

    assert press.latest() == (log.root(9), 9, 2)


@pytest.mark.spec("A14")
def test_who_sends_itself_chooses(press, log):
    press.anchor(5, proof=[])
    press.anchor(7)
    press.anchor(9, proof=press.proof(7, 9))

    assert press.latest() == (log.root(9), 9, 3)

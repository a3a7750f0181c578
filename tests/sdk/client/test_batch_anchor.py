"""The BatchAnchor's client: a log anchored by its publisher or a relayer, and what anyone verifies of it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from eth_utils.crypto import keccak

from medproof.client import MedProof
from medproof.client.batch_anchor import Batch, BatchAnchor
from medproof.client.contract import SignedMessage
from medproof.contract_errors import ConsistencyUnproven, LogNotGrown, PublisherNotYours
from medproof.errors import MerkleProofError, MessageError
from medproof.merkle import MerkleLog
from medproof.signing import LocalSigner

LEAVES = [keccak(bytes([number])) for number in range(40)]


@pytest.fixture
def anchor(suite: MedProof) -> BatchAnchor:
    return suite.batch_anchor


@pytest.fixture
def log() -> MerkleLog:
    return MerkleLog(LEAVES)


def test_batches(anchor: BatchAnchor, log: MerkleLog, clinic: LocalSigner) -> None:
    assert anchor.latest(clinic.address) is None
    receipts = [anchor.anchor(clinic.address, size, log.root(size), sender=clinic) for size in (3, 7, 21)]
    anchor.anchor(clinic.address, 5, log.root(5), log=1, sender=clinic)
    batches = [
        Batch(number, size, log.root(size), receipt.block)
        for number, (size, receipt) in enumerate(zip((3, 7, 21), receipts, strict=True), start=1)
    ]
    assert list(anchor.batches(clinic.address)) == batches
    assert anchor.batch(clinic.address, 2) == batches[1]
    assert anchor.batch(clinic.address, 4) is None
    state = anchor.latest(clinic.address)
    assert state is not None
    assert (state.number, state.size, state.root) == (3, 21, log.root(21))
    assert state.anchored_at.timestamp() == anchor.chain.timestamp() or state.anchored_at.tzinfo is not None
    assert [batch.size for batch in anchor.batches(clinic.address, log=1)] == [5]
    with pytest.raises(LogNotGrown):
        anchor.anchor(clinic.address, 21, log.root(20), sender=clinic)


def test_consistent_batches(anchor: BatchAnchor, log: MerkleLog, clinic: LocalSigner) -> None:
    anchor.anchor(clinic.address, 5, log.root(5), proof=(), sender=clinic)
    anchor.anchor(clinic.address, 12, log.root(12), proof=log.consistency_proof(5, 12), sender=clinic)
    with pytest.raises(ConsistencyUnproven):
        anchor.anchor(clinic.address, 20, log.root(20), proof=log.consistency_proof(5, 20), sender=clinic)


@pytest.mark.parametrize("consistent", [False, True])
def test_relayed(
    suite: MedProof, log: MerkleLog, clinic: LocalSigner, relayer: LocalSigner, stranger: LocalSigner, consistent: bool
) -> None:
    anchor = suite.batch_anchor
    anchor.anchor(clinic.address, 5, log.root(5), sender=clinic)
    proof = log.consistency_proof(5, 11) if consistent else None
    message = anchor.sign_anchor(clinic, clinic.address, 11, log.root(11), proof=proof)
    assert message.function == ("anchorConsistent" if consistent else "anchor")
    assert SignedMessage.from_json(message.to_json()) == message

    suite.relay(SignedMessage.from_json(message.to_json()), sender=relayer)

    assert [batch.size for batch in anchor.batches(clinic.address)] == [5, 11]
    with pytest.raises(LogNotGrown):
        suite.relay(message, sender=relayer)
    unsigned = SignedMessage(**{**message.__dict__, "arguments": (*message.arguments[:-1], b"")})
    with pytest.raises(MessageError, match="no signature"):
        suite.relay(unsigned, sender=relayer)
    with pytest.raises(PublisherNotYours):
        anchor.anchor(clinic.address, 12, log.root(12), sender=stranger)


def test_proof_of_a_relayed_message_is_a_list(anchor: BatchAnchor, log: MerkleLog, clinic: LocalSigner) -> None:
    message = anchor.sign_anchor(clinic, clinic.address, 11, log.root(11), proof=log.consistency_proof(5, 11))
    for wrong in ('"0x00"', "null", "7", '[["0x00"]]', "[0]"):
        text = message.to_json()
        start = text.index("[", text.index("arguments") + 13)
        with pytest.raises(MessageError):
            anchor.relay(SignedMessage.from_json(text[:start] + wrong + text[text.index("]") + 1 :]), sender=clinic)


def test_verify_leaf(anchor: BatchAnchor, log: MerkleLog, clinic: LocalSigner) -> None:
    for size in (7, 21):
        anchor.anchor(clinic.address, size, log.root(size), sender=clinic)
    anchor.verify_leaf(clinic.address, LEAVES[6], 6, log.inclusion_proof(6, 21))
    anchor.verify_leaf(clinic.address, LEAVES[6], 6, log.inclusion_proof(6, 7), number=1)
    for index, number, other in ((5, 1, 0), (6, None, 0), (6, 3, 0), (6, 1, 1)):
        with pytest.raises(MerkleProofError):
            anchor.verify_leaf(clinic.address, LEAVES[6], index, log.inclusion_proof(6, 7), number=number, log=other)


def test_audit(anchor: BatchAnchor, log: MerkleLog, clinic: LocalSigner) -> None:
    assert anchor.audit(clinic.address, log.consistency_proof) == 0
    for size in (1, 7, 8):
        anchor.anchor(clinic.address, size, log.root(size), sender=clinic)
    assert anchor.audit(clinic.address, log.consistency_proof) == 3

    rewritten = MerkleLog([*LEAVES[:4], keccak(LEAVES[4]), *LEAVES[5:]])
    anchor.anchor(clinic.address, 30, rewritten.root(30), sender=clinic)

    def either(first: int, second: int) -> Sequence[bytes]:
        return (rewritten if second == 30 else log).consistency_proof(first, second)

    for prove in (log.consistency_proof, rewritten.consistency_proof, either):
        with pytest.raises(MerkleProofError):
            anchor.audit(clinic.address, prove)
    with pytest.raises(MerkleProofError, match="that 30 leaves begin with the first 8"):
        anchor.audit(clinic.address, either)

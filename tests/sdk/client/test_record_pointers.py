"""The RecordPointers' client: posting, answering, amending and custody."""

from __future__ import annotations

from typing import Any

import pytest

from medproof.client import MedProof
from medproof.client.contract import SignedMessage
from medproof.client.record_pointers import Place, Pointer, PointerKey, RecordPointers, Status
from medproof.contract_errors import (
    AnswerUnchanged,
    BatchEmpty,
    BatchExists,
    CommitmentMissing,
    CustodianRequired,
    CustodyNotOffered,
    OpeningNotYours,
    PointerChanged,
    PointerExists,
    PointerNotDisputed,
    PointerNotInBatch,
    PointerOutdated,
    PointerUnknown,
    ProviderRequired,
    ReasonMissing,
    SignatureInvalid,
)
from medproof.errors import ArgumentError, MerkleProofError, MessageError
from medproof.merkle import MerkleLog
from medproof.policy.codes import DataClass
from medproof.signing import LocalSigner

FIRST, SECOND, REASON = b"\x01" * 32, b"\x02" * 32, b"\x03" * 32


@pytest.fixture
def pointers(suite: MedProof) -> RecordPointers:
    return suite.record_pointers


@pytest.fixture
def key(pointers: RecordPointers, patient: LocalSigner, clinic: LocalSigner) -> PointerKey:
    return pointers.post(patient.address, DataClass.LABORATORY, FIRST, sender=clinic)[0]


class PointerBatch:
    """A batch of laboratory results: those of the patient among strangers', as a custodian posts one."""

    def __init__(self, patient: str, custodian: str, size: int = 5) -> None:
        self.keys = [PointerKey(patient, custodian, bytes([number]) * 32) for number in range(1, size + 1)]
        self.log = MerkleLog(key.leaf(DataClass.LABORATORY) for key in self.keys)
        self.root = self.log.root()

    def place(self, index: int) -> Place:
        return Place(self.root, index, self.log.inclusion_proof(index))


@pytest.fixture
def batch(pointers: RecordPointers, patient: LocalSigner, clinic: LocalSigner) -> PointerBatch:
    """A batch that stands on the chain."""
    made = PointerBatch(patient.address, clinic.address)
    pointers.post_batch(made.root, len(made.keys), sender=clinic)
    return made


def answered(pointers: RecordPointers, key: PointerKey) -> Status:
    pointer = pointers.pointer(key)
    assert pointer is not None
    return pointer.status


@pytest.mark.parametrize("data_class", list(DataClass), ids=lambda one: one.code)
def test_post_each_class(
    pointers: RecordPointers, patient: LocalSigner, clinic: LocalSigner, data_class: DataClass
) -> None:
    key, receipt = pointers.post(patient.address, data_class, FIRST, sender=clinic)
    assert key == PointerKey(patient.address, clinic.address, FIRST)
    assert pointers.pointer(key) == Pointer(key, clinic.address, data_class, Status.POSTED, 1, 1)
    assert pointers.pointer(key, block=receipt.block - 1) is None
    assert pointers.previous(key) is None
    assert pointers.next_custodian(key) is None
    assert list(pointers.keys_of(patient.address)) == [key]


@pytest.mark.parametrize("data_class", [DataClass.EMPTY, DataClass.ALL, DataClass.LABORATORY | DataClass.CLAIM])
def test_post_no_one_class(
    pointers: RecordPointers, patient: LocalSigner, clinic: LocalSigner, data_class: DataClass
) -> None:
    with pytest.raises(ArgumentError, match="one class"):
        pointers.post(patient.address, data_class, FIRST, sender=clinic)


@pytest.mark.parametrize("form", ["direct", "relayed"])
def test_accept_and_dispute(
    suite: MedProof, pointers: RecordPointers, key: PointerKey, patient: LocalSigner, relayer: LocalSigner, form: str
) -> None:
    def answer(verb: str, sign: Any, **options: Any) -> None:
        if form == "direct":
            getattr(pointers, verb)(key, **options, sender=patient)
        else:
            message = sign(patient, key, **options)
            assert SignedMessage.from_json(message.to_json()) == message
            suite.relay(message, sender=relayer)

    answer("accept", pointers.sign_acceptance)
    assert answered(pointers, key) is Status.ACCEPTED
    with pytest.raises(AnswerUnchanged):
        answer("accept", pointers.sign_acceptance)
    answer("dispute", pointers.sign_dispute, reason=REASON)
    assert answered(pointers, key) is Status.DISPUTED
    (event,) = pointers.events("PointerDisputed")
    assert event.arguments["reason"] == REASON


def test_signed_answer_to_what_has_changed(
    pointers: RecordPointers, key: PointerKey, patient: LocalSigner, relayer: LocalSigner
) -> None:
    early = pointers.sign_acceptance(patient, key)
    pointers.dispute(key, sender=patient)
    with pytest.raises(PointerChanged) as caught:
        pointers.relay(early, sender=relayer)
    assert caught.value.sequence == 2


def test_amend(pointers: RecordPointers, key: PointerKey, patient: LocalSigner, clinic: LocalSigner) -> None:
    newer, receipt = pointers.amend(key, SECOND, sender=clinic)
    assert newer == PointerKey(patient.address, clinic.address, SECOND)
    assert answered(pointers, key) is Status.AMENDED
    assert pointers.pointer(newer) == Pointer(newer, clinic.address, DataClass.LABORATORY, Status.POSTED, 2, 1)
    assert pointers.previous(newer) == key.id
    assert list(pointers.keys_of(patient.address)) == [key, newer]
    before = pointers.pointer(key, block=receipt.block - 1)
    assert before is not None
    assert before.status is Status.POSTED
    with pytest.raises(PointerOutdated):
        pointers.accept(key, sender=patient)


def test_custody(
    pointers: RecordPointers, key: PointerKey, patient: LocalSigner, clinic: LocalSigner, second_clinic: LocalSigner
) -> None:
    with pytest.raises(CustodyNotOffered):
        pointers.take_custody(key, sender=second_clinic)
    pointers.offer_custody(key, second_clinic.address, sender=clinic)
    assert pointers.next_custodian(key) == second_clinic.address
    pointers.take_custody(key, sender=second_clinic)
    pointer = pointers.pointer(key)
    assert pointer is not None
    assert (pointer.custodian, pointer.key.origin) == (second_clinic.address, clinic.address)
    assert pointers.next_custodian(key) is None
    with pytest.raises(CustodianRequired):
        pointers.amend(key, SECOND, sender=clinic)
    newer, _ = pointers.amend(key, SECOND, sender=second_clinic)
    assert newer.origin == second_clinic.address
    assert list(pointers.keys_of(patient.address)) == [key, newer]


def test_errors_by_name(
    pointers: RecordPointers,
    key: PointerKey,
    patient: LocalSigner,
    clinic: LocalSigner,
    payer: LocalSigner,
    stranger: LocalSigner,
) -> None:
    with pytest.raises(PointerExists) as exists:
        pointers.post(patient.address, DataClass.CLAIM, FIRST, sender=clinic)
    assert exists.value.pointer == key.id
    for sender in (payer, stranger):
        with pytest.raises(ProviderRequired) as required:
            pointers.post(patient.address, DataClass.CLAIM, SECOND, sender=sender)
        assert required.value.account == sender.address
    with pytest.raises(CommitmentMissing):
        pointers.post(patient.address, DataClass.CLAIM, bytes(32), sender=clinic)
    with pytest.raises(PointerUnknown):
        pointers.accept(key, sender=stranger)
    for sign in (pointers.sign_acceptance, pointers.sign_dispute):
        with pytest.raises(ArgumentError, match="another subject"):
            sign(stranger, key)


# -- batches ----------------------------------------------------------------------------------------------------------


def test_leaf_is_the_contracts(pointers: RecordPointers, patient: LocalSigner, clinic: LocalSigner) -> None:
    key = PointerKey(patient.address, clinic.address, FIRST)
    leaves = {data_class: key.leaf(data_class) for data_class in DataClass}
    for data_class in (DataClass.DOCUMENT, DataClass.LABORATORY, max(DataClass, key=lambda one: one.value)):
        said = (key.subject, key.origin, data_class.value.bit_length() - 1, key.commitment)
        assert leaves[data_class] == pointers.contract.functions.leafOf(*said).call()
    assert len(set(leaves.values())) == len(leaves)
    with pytest.raises(ArgumentError, match="one class"):
        key.leaf(DataClass.LABORATORY | DataClass.CLAIM)


def test_post_batch(
    pointers: RecordPointers,
    patient: LocalSigner,
    clinic: LocalSigner,
    second_clinic: LocalSigner,
    payer: LocalSigner,
) -> None:
    batch = PointerBatch(patient.address, clinic.address)
    assert pointers.batch_size(clinic.address, batch.root) is None
    receipt = pointers.post_batch(batch.root, 5, sender=clinic)
    (event,) = receipt.events(pointers.contract)
    assert (event.name, event.arguments) == (
        "BatchPosted",
        {"custodian": clinic.address, "root": batch.root, "size": 5},
    )
    assert pointers.batch_size(clinic.address, batch.root) == 5
    assert pointers.batch_size(clinic.address, batch.root, block=receipt.block - 1) is None
    assert pointers.batch_size(second_clinic.address, batch.root) is None
    assert list(pointers.keys_of(patient.address)) == []
    with pytest.raises(BatchExists):
        pointers.post_batch(batch.root, 6, sender=clinic)
    with pytest.raises(BatchEmpty):
        pointers.post_batch(FIRST, 0, sender=clinic)
    with pytest.raises(CommitmentMissing):
        pointers.post_batch(bytes(32), 1, sender=clinic)
    with pytest.raises(ProviderRequired):
        pointers.post_batch(FIRST, 1, sender=payer)


@pytest.mark.parametrize("who", ["subject", "custodian", "relayer"])
def test_open(
    suite: MedProof,
    batch: PointerBatch,
    patient: LocalSigner,
    clinic: LocalSigner,
    relayer: LocalSigner,
    who: str,
) -> None:
    pointers, key, place = suite.record_pointers, batch.keys[4], batch.place(4)
    assert pointers.pointer(key) is None
    if who == "relayer":
        message = pointers.sign_opening(patient, key, DataClass.LABORATORY, place)
        assert message.subject == patient.address
        assert SignedMessage.from_json(message.to_json()) == message
        receipt = suite.relay(SignedMessage.from_json(message.to_json()), sender=relayer)
    else:
        sender = patient if who == "subject" else clinic
        receipt = pointers.open(key, DataClass.LABORATORY, place, sender=sender)
    posted, opened = receipt.events(pointers.contract)
    assert (posted.name, opened.name) == ("PointerPosted", "PointerOpened")
    assert opened.arguments == {"pointer": key.id, "root": batch.root, "index": 4}
    assert pointers.pointer(key) == Pointer(key, clinic.address, DataClass.LABORATORY, Status.POSTED, 1, 1)
    assert list(pointers.keys_of(patient.address)) == [key]
    pointers.accept(key, sender=patient)
    with pytest.raises(PointerExists):
        pointers.open(key, DataClass.LABORATORY, place, sender=clinic)


def test_opening_refused(
    pointers: RecordPointers,
    batch: PointerBatch,
    patient: LocalSigner,
    second_clinic: LocalSigner,
    relayer: LocalSigner,
    stranger: LocalSigner,
) -> None:
    key, place = batch.keys[1], batch.place(1)
    for sender in (stranger, second_clinic):
        with pytest.raises(OpeningNotYours) as refused:
            pointers.open(key, DataClass.LABORATORY, place, sender=sender)
        assert (refused.value.subject, refused.value.account) == (patient.address, sender.address)
    for data_class, other in ((DataClass.CLAIM, place), (DataClass.LABORATORY, batch.place(2))):
        with pytest.raises(PointerNotInBatch):
            pointers.open(key, data_class, other, sender=patient)
    with pytest.raises(ArgumentError, match="another subject"):
        pointers.sign_opening(stranger, key, DataClass.LABORATORY, place)
    signed = pointers.sign_opening(patient, key, DataClass.LABORATORY, place)
    altered = SignedMessage(**{**signed.__dict__, "arguments": (*signed.arguments[:3], REASON, *signed.arguments[4:])})
    with pytest.raises(SignatureInvalid):
        pointers.relay(altered, sender=relayer)
    unsigned = SignedMessage(**{**signed.__dict__, "arguments": (*signed.arguments[:-1], b"")})
    with pytest.raises(MessageError, match="no signature"):
        pointers.relay(unsigned, sender=patient)


@pytest.mark.parametrize(
    "place", ['["0x01", "1"]', '["0x01", "1", [], "2"]', '"0x01"', "7", "null", '["0x01", "1", 3]']
)
def test_opening_with_no_place(batch: PointerBatch, pointers: RecordPointers, patient: LocalSigner, place: str) -> None:
    message = pointers.sign_opening(patient, batch.keys[0], DataClass.LABORATORY, Place(FIRST, 0, (SECOND,)))
    whole = f'["0x{FIRST.hex()}", "0", ["0x{SECOND.hex()}"]]'
    assert whole in message.to_json()
    with pytest.raises(MessageError):
        SignedMessage.from_json(message.to_json().replace(whole, place))


@pytest.mark.parametrize("place", ['["0x01", "0", []]', '"012"', '["0x{root}", "18446744073709551616", []]'])
def test_place_that_does_not_fit_is_not_sent(
    batch: PointerBatch, pointers: RecordPointers, patient: LocalSigner, relayer: LocalSigner, place: str
) -> None:
    message = pointers.sign_opening(patient, batch.keys[0], DataClass.LABORATORY, Place(FIRST, 0, ()))
    text = message.to_json().replace(f'["0x{FIRST.hex()}", "0", []]', place.replace("{root}", FIRST.hex()))
    assert text != message.to_json()
    with pytest.raises(MessageError, match="do not fit"):
        pointers.relay(SignedMessage.from_json(text), sender=relayer)


def test_verify_place(
    pointers: RecordPointers, batch: PointerBatch, patient: LocalSigner, second_clinic: LocalSigner
) -> None:
    for index, key in enumerate(batch.keys):
        pointers.verify_place(key, DataClass.LABORATORY, batch.place(index))
    key, place = batch.keys[2], batch.place(2)
    elsewhere = PointerKey(patient.address, second_clinic.address, key.commitment)
    for other, data_class, where in (
        (batch.keys[3], DataClass.LABORATORY, place),
        (key, DataClass.CLAIM, place),
        (elsewhere, DataClass.LABORATORY, place),
        (key, DataClass.LABORATORY, Place(place.root, 3, place.proof)),
        (key, DataClass.LABORATORY, Place(place.root, 2, place.proof[1:])),
        (key, DataClass.LABORATORY, Place(FIRST, 2, place.proof)),
    ):
        with pytest.raises(MerkleProofError):
            pointers.verify_place(other, data_class, where)
    with pytest.raises(MerkleProofError, match="no such batch"):
        pointers.verify_place(key, DataClass.LABORATORY, place, block=pointers.chain.web3.eth.block_number - 1)


# -- denied disputes --------------------------------------------------------------------------------------------------


def test_deny_dispute(
    pointers: RecordPointers, key: PointerKey, patient: LocalSigner, clinic: LocalSigner, relayer: LocalSigner
) -> None:
    with pytest.raises(PointerNotDisputed):
        pointers.deny_dispute(key, reason=REASON, sender=clinic)
    disputed = pointers.sign_dispute(patient, key)
    pointers.relay(disputed, sender=relayer)
    with pytest.raises(ReasonMissing):
        pointers.deny_dispute(key, reason=bytes(32), sender=clinic)
    receipt = pointers.deny_dispute(key, reason=REASON, sender=clinic)
    (event,) = receipt.events(pointers.contract)
    assert event.arguments == {"pointer": key.id, "custodian": clinic.address, "reason": REASON}
    assert answered(pointers, key) is Status.DISPUTE_DENIED
    with pytest.raises(PointerChanged):
        pointers.relay(disputed, sender=relayer)
    pointers.dispute(key, sender=patient)
    assert answered(pointers, key) is Status.DISPUTED
    pointers.amend(key, SECOND, sender=clinic)
    with pytest.raises(PointerOutdated):
        pointers.deny_dispute(key, reason=REASON, sender=clinic)

"""The RecordPointers' client: posting, answering, amending and custody."""

from __future__ import annotations

from typing import Any

import pytest

from medproof.client import MedProof
from medproof.client.contract import SignedMessage
from medproof.client.record_pointers import Pointer, PointerKey, RecordPointers, Status
from medproof.contract_errors import (
    AnswerUnchanged,
    CommitmentMissing,
    CustodianRequired,
    CustodyNotOffered,
    PointerChanged,
    PointerExists,
    PointerOutdated,
    PointerUnknown,
    ProviderRequired,
)
from medproof.errors import ArgumentError
from medproof.policy.codes import DataClass
from medproof.signing import LocalSigner

FIRST, SECOND, REASON = b"\x01" * 32, b"\x02" * 32, b"\x03" * 32


@pytest.fixture
def pointers(suite: MedProof) -> RecordPointers:
    return suite.record_pointers


@pytest.fixture
def key(pointers: RecordPointers, patient: LocalSigner, clinic: LocalSigner) -> PointerKey:
    return pointers.post(patient.address, DataClass.LABORATORY, FIRST, sender=clinic)[0]


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

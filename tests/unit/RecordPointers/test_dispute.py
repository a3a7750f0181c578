from __future__ import annotations

import pytest

from tests.support.fixtures import SALTED
from tests.support.reverts import reverts

LABORATORY = 1
DISPUTED = 3
REASON = b"\x33" * 32


@pytest.mark.spec("P18", "P22")
def test_dispute_is_stored_and_announced(record_pointers, answering, clinic):
    pointer = answering.post()

    tx = answering.dispute()

    assert record_pointers.pointerOf(pointer) == (clinic, LABORATORY, DISPUTED, 1, 2)
    assert len(tx.events) == 1
    assert dict(tx.events["PointerDisputed"]) == {
        "pointer": pointer,
        "subject": answering.subject,
        "reason": "0x" + REASON.hex(),
    }


@pytest.mark.spec("P18")
def test_no_reason_need_be_given(record_pointers, answering):
    pointer = answering.post()

    tx = answering.dispute(b"\0" * 32)

    assert record_pointers.pointerOf(pointer)["status"] == DISPUTED
    assert tx.events["PointerDisputed"]["reason"] == "0x" + "00" * 32


@pytest.mark.spec("P19")
def test_acceptance_is_changed_into_dispute(record_pointers, answering, clinic):
    pointer = answering.post()
    answering.accept()

    answering.dispute()

    assert record_pointers.pointerOf(pointer) == (clinic, LABORATORY, DISPUTED, 1, 3)


@pytest.mark.spec("P19")
def test_dispute_that_stands_reverts(answering):
    pointer = answering.post()
    answering.dispute()

    with reverts("AnswerUnchanged", pointer):
        answering.dispute()


@pytest.mark.spec("P19")
def test_dispute_for_another_reason_reverts(answering):
    pointer = answering.post()
    answering.dispute()

    with reverts("AnswerUnchanged", pointer):
        answering.dispute(b"\x55" * 32)


@pytest.mark.spec("P15")
def test_pointer_unknown_reverts(record_pointers, answering, clinic):
    pointer = str(record_pointers.pointerId(answering.subject, clinic, SALTED))

    with reverts("PointerUnknown", pointer):
        answering.dispute()


@pytest.mark.spec("P13")
def test_pointer_outdated_reverts(record_pointers, answering, clinic):
    pointer = answering.post()
    record_pointers.amend(answering.subject, clinic, SALTED, b"\x44" * 32, {"from": clinic})

    with reverts("PointerOutdated", pointer):
        answering.dispute()


@pytest.mark.spec("P21")
def test_custodian_without_standing_is_no_obstacle(record_pointers, answering, lose_standing, clinic):
    pointer = answering.post()
    lose_standing(clinic)

    answering.dispute()

    assert record_pointers.pointerOf(pointer)["status"] == DISPUTED


@pytest.mark.spec("P31")
def test_record_in_other_custody_is_found_by_its_first_custodian(record_pointers, answering, clinic, second_clinic):
    pointer = answering.post()
    record_pointers.offerCustody(answering.subject, clinic, SALTED, second_clinic, {"from": clinic})
    record_pointers.takeCustody(answering.subject, clinic, SALTED, {"from": second_clinic})

    answering.dispute()

    assert record_pointers.pointerOf(pointer) == (second_clinic, LABORATORY, DISPUTED, 1, 3)


@pytest.fixture(params=["stranger", "clinic", "second_patient", "admin"])
def nobody_asked(request):
    return request.getfixturevalue(request.param)


@pytest.mark.spec("P20")
def test_caller_who_is_not_the_subject_reverts(record_pointers, pointer, nobody_asked, clinic):
    with reverts("PointerUnknown", str(record_pointers.pointerId(nobody_asked, clinic, SALTED))):
        record_pointers.dispute(clinic, SALTED, REASON, {"from": nobody_asked})

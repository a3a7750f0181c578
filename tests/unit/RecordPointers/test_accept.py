from __future__ import annotations

import pytest

from tests.support.fixtures import SALTED
from tests.support.reverts import reverts

LABORATORY = 1
ACCEPTED = 2


@pytest.mark.spec("P17", "P22")
def test_acceptance_is_stored_and_announced(record_pointers, answering, clinic):
    pointer = answering.post()

    tx = answering.accept()

    assert record_pointers.pointerOf(pointer) == (clinic, LABORATORY, ACCEPTED, 1, 2)
    assert len(tx.events) == 1
    assert dict(tx.events["PointerAccepted"]) == {"pointer": pointer, "subject": answering.subject}


@pytest.mark.spec("P19")
def test_dispute_is_changed_into_acceptance(record_pointers, answering, clinic):
    pointer = answering.post()
    answering.dispute()

    answering.accept()

    assert record_pointers.pointerOf(pointer) == (clinic, LABORATORY, ACCEPTED, 1, 3)


@pytest.mark.spec("P19")
def test_acceptance_that_stands_reverts(answering):
    pointer = answering.post()
    answering.accept()

    with reverts("AnswerUnchanged", pointer):
        answering.accept()


@pytest.mark.spec("P15")
def test_pointer_unknown_reverts(record_pointers, answering, clinic):
    pointer = str(record_pointers.pointerId(answering.subject, clinic, SALTED))

    with reverts("PointerUnknown", pointer):
        answering.accept()


@pytest.mark.spec("P13")
def test_pointer_outdated_reverts(record_pointers, answering, clinic):
    pointer = answering.post()
    record_pointers.amend(answering.subject, clinic, SALTED, b"\x44" * 32, {"from": clinic})

    with reverts("PointerOutdated", pointer):
        answering.accept()


@pytest.mark.spec("P21")
def test_custodian_without_standing_is_no_obstacle(record_pointers, answering, lose_standing, clinic):
    pointer = answering.post()
    lose_standing(clinic)

    answering.accept()

    assert record_pointers.pointerOf(pointer)["status"] == ACCEPTED


@pytest.mark.spec("P31")
def test_record_in_other_custody_is_found_by_its_first_custodian(record_pointers, answering, clinic, second_clinic):
    pointer = answering.post()
    record_pointers.offerCustody(answering.subject, clinic, SALTED, second_clinic, {"from": clinic})
    record_pointers.takeCustody(answering.subject, clinic, SALTED, {"from": second_clinic})

    answering.accept()

    assert record_pointers.pointerOf(pointer) == (second_clinic, LABORATORY, ACCEPTED, 1, 3)


@pytest.fixture(params=["stranger", "clinic", "second_patient", "admin"])
def nobody_asked(request):
    return request.getfixturevalue(request.param)


@pytest.mark.spec("P20")
def test_caller_who_is_not_the_subject_reverts(record_pointers, pointer, nobody_asked, clinic):
    with reverts("PointerUnknown", str(record_pointers.pointerId(nobody_asked, clinic, SALTED))):
        record_pointers.accept(clinic, SALTED, {"from": nobody_asked})

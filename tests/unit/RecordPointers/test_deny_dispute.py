from __future__ import annotations

import pytest

from tests.support.fixtures import NOBODY, SALTED
from tests.support.reverts import reverts
from tests.unit.RecordPointers.conftest import LABORATORY, OPENED, REASON

POSTED, ACCEPTED, DISPUTED, AMENDED, DENIED = range(1, 6)
DENIAL, OTHER = b"\x55" * 32, b"\x44" * 32


@pytest.fixture
def deny(record_pointers, clinic, patient):
    """Deny the dispute of the clinic's pointer."""

    def denied(by=clinic, reason=DENIAL, *, subject=patient, origin=clinic, commitment=SALTED):
        return record_pointers.denyDispute(subject, origin, commitment, reason, {"from": by})

    return denied


@pytest.fixture
def disputed(pointer, record_pointers, clinic, patient):
    """The id of a pointer that the patient disputes."""
    record_pointers.dispute(clinic, SALTED, REASON, {"from": patient})
    return pointer


@pytest.fixture
def denied(disputed, deny):
    """The id of a pointer whose dispute the clinic has denied."""
    deny()
    return disputed


@pytest.mark.spec("P46")
def test_denial_is_stored_and_announced(record_pointers, disputed, deny, clinic):
    tx = deny()

    assert record_pointers.pointerOf(disputed) == (clinic, LABORATORY, DENIED, 1, 3)
    assert record_pointers.previousOf(disputed) == "0x" + "00" * 32
    assert len(tx.events) == 1
    assert dict(tx.events["DisputeDenied"]) == {
        "pointer": disputed,
        "custodian": clinic,
        "reason": "0x" + DENIAL.hex(),
    }


@pytest.mark.spec("P46", "P39")
def test_dispute_of_an_opened_pointer_is_denied(record_pointers, batch, open_, deny, clinic, patient):
    pointer = open_(batch, patient, OPENED).return_value
    record_pointers.dispute(clinic, SALTED, REASON, {"from": patient})

    deny()

    assert record_pointers.pointerOf(pointer)["status"] == DENIED


@pytest.mark.spec("P46")
def test_offer_of_custody_stands(record_pointers, disputed, deny, clinic, second_clinic, patient):
    record_pointers.offerCustody(patient, clinic, SALTED, second_clinic, {"from": clinic})

    deny()

    assert record_pointers.nextCustodianOf(disputed) == second_clinic
    record_pointers.takeCustody(patient, clinic, SALTED, {"from": second_clinic})
    assert record_pointers.pointerOf(disputed) == (second_clinic, LABORATORY, DENIED, 1, 4)


@pytest.mark.spec("P46", "P33")
def test_rotated_custodian_denies(record_pointers, disputed, deny, rotate, clinic, fresh_account):
    rotate(clinic, fresh_account)

    with reverts("ProviderRequired", clinic.address):
        deny()
    tx = deny(fresh_account)

    assert tx.events["DisputeDenied"]["custodian"] == clinic


@pytest.mark.spec("P46", "P31")
def test_custodian_that_took_the_record_over_denies(
    record_pointers, disputed, deny, pass_custody, clinic, second_clinic
):
    pass_custody(second_clinic)

    with reverts("CustodianRequired", disputed, second_clinic.address):
        deny()
    tx = deny(second_clinic)

    assert tx.events["DisputeDenied"]["custodian"] == second_clinic
    assert record_pointers.pointerOf(disputed) == (second_clinic, LABORATORY, DENIED, 1, 4)


@pytest.mark.spec("P46")
@pytest.mark.parametrize("who", ["second_clinic", "emergency_department"])
def test_another_provider_reverts(request, disputed, deny, clinic, who):
    with reverts("CustodianRequired", disputed, clinic.address):
        deny(request.getfixturevalue(who))


@pytest.mark.spec("P46")
@pytest.mark.parametrize("who", ["stranger", "patient", "payer", "admin"])
def test_caller_who_is_no_provider_reverts(request, disputed, deny, who):
    caller = request.getfixturevalue(who)

    with reverts("ProviderRequired", caller.address):
        deny(caller)


@pytest.mark.spec("P46")
def test_custodian_without_standing_reverts(disputed, deny, lose_standing, clinic):
    lose_standing(clinic)

    with reverts("ProviderRequired", clinic.address):
        deny()


@pytest.mark.spec("P47")
def test_reason_missing_reverts(record_pointers, disputed, deny):
    with reverts("ReasonMissing"):
        deny(reason=b"\0" * 32)

    assert record_pointers.pointerOf(disputed)["status"] == DISPUTED


@pytest.mark.spec("P47")
def test_posted_pointer_reverts(pointer, deny):
    with reverts("PointerNotDisputed", pointer):
        deny()


@pytest.mark.spec("P47")
def test_accepted_pointer_reverts(record_pointers, disputed, deny, clinic, patient):
    record_pointers.accept(clinic, SALTED, {"from": patient})

    with reverts("PointerNotDisputed", disputed):
        deny()


@pytest.mark.spec("P47")
def test_denial_that_stands_reverts(denied, deny):
    with reverts("PointerNotDisputed", denied):
        deny(reason=OTHER)


@pytest.mark.spec("P13")
def test_pointer_outdated_reverts(record_pointers, disputed, deny, clinic, patient):
    record_pointers.amend(patient, clinic, SALTED, OTHER, {"from": clinic})

    with reverts("PointerOutdated", disputed):
        deny()


@pytest.mark.spec("P15")
@pytest.mark.parametrize("member", ["subject", "origin", "commitment"])
def test_pointer_unknown_reverts(record_pointers, disputed, deny, clinic, second_clinic, patient, stranger, member):
    key = {"subject": patient, "origin": clinic, "commitment": SALTED}
    key[member] = {"subject": stranger, "origin": second_clinic, "commitment": OTHER}[member]

    with reverts("PointerUnknown", str(record_pointers.pointerId(*key.values()))):
        deny(**key)


# -- what follows -----------------------------------------------------------------------------------------------


@pytest.mark.spec("P48")
def test_subject_accepts_after_a_denial(record_pointers, answering, clinic):
    pointer = answering.post()
    answering.dispute()
    record_pointers.denyDispute(answering.subject, clinic, SALTED, DENIAL, {"from": clinic})

    answering.accept()

    assert record_pointers.pointerOf(pointer) == (clinic, LABORATORY, ACCEPTED, 1, 4)


@pytest.mark.spec("P48")
def test_dispute_denied_disputed_again_and_amended(record_pointers, answering, clinic):
    pointer = answering.post()
    answering.dispute()
    record_pointers.denyDispute(answering.subject, clinic, SALTED, DENIAL, {"from": clinic})

    tx = answering.dispute(OTHER)
    assert record_pointers.pointerOf(pointer) == (clinic, LABORATORY, DISPUTED, 1, 4)
    assert tx.events["PointerDisputed"]["reason"] == "0x" + OTHER.hex()

    record_pointers.denyDispute(answering.subject, clinic, SALTED, OTHER, {"from": clinic})
    answering.dispute()
    newer = record_pointers.amend(answering.subject, clinic, SALTED, OTHER, {"from": clinic}).return_value

    assert record_pointers.pointerOf(pointer) == (clinic, LABORATORY, AMENDED, 1, 7)
    assert record_pointers.pointerOf(newer) == (clinic, LABORATORY, POSTED, 2, 1)


@pytest.mark.spec("P48")
def test_custodian_amends_after_a_denial(record_pointers, denied, clinic, patient):
    newer = record_pointers.amend(patient, clinic, SALTED, OTHER, {"from": clinic}).return_value

    assert record_pointers.pointerOf(denied)["status"] == AMENDED
    assert record_pointers.previousOf(newer) == denied


@pytest.mark.spec("P48")
def test_custody_passes_after_a_denial(record_pointers, denied, pass_custody, second_clinic):
    pass_custody(second_clinic)

    assert record_pointers.pointerOf(denied) == (second_clinic, LABORATORY, DENIED, 1, 4)
    assert record_pointers.nextCustodianOf(denied) == NOBODY


@pytest.mark.spec("P25")
def test_signed_dispute_sent_again_after_the_denial_reverts(pointer, answers, deny, patient):
    dispute = answers("dispute")
    signature = dispute.signature(patient)
    dispute.send(signature)
    deny()

    with reverts("PointerChanged", pointer, 3):
        dispute.send(signature)


@pytest.mark.spec("P25")
@pytest.mark.parametrize("verb", ["accept", "dispute"])
def test_denial_overtakes_an_answer_signed_before_it(disputed, answers, deny, patient, verb):
    answer = answers(verb, sequence=2)
    signature = answer.signature(patient)
    deny()

    with reverts("PointerChanged", disputed, 3):
        answer.send(signature)


@pytest.mark.spec("P22", "P48")
@pytest.mark.parametrize(("verb", "status"), [("accept", ACCEPTED), ("dispute", DISPUTED)])
def test_answer_signed_after_the_denial_counts(record_pointers, denied, answers, patient, clinic, verb, status):
    answer = answers(verb, sequence=3)

    answer.send(answer.signature(patient))

    assert record_pointers.pointerOf(denied) == (clinic, LABORATORY, status, 1, 4)


@pytest.mark.spec("P21", "P48")
def test_subject_answers_a_custodian_that_lost_its_standing(record_pointers, denied, lose_standing, clinic, patient):
    lose_standing(clinic)

    record_pointers.dispute(clinic, SALTED, REASON, {"from": patient})

    assert record_pointers.pointerOf(denied)["status"] == DISPUTED

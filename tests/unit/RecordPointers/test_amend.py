from __future__ import annotations

import pytest

from tests.support.fixtures import NOBODY, SALTED
from tests.support.reverts import reverts

LABORATORY = 1
POSTED, ACCEPTED, DISPUTED, AMENDED = 1, 2, 3, 4
CORRECTED = b"\x44" * 32


@pytest.fixture
def amend(record_pointers, patient, clinic):
    """Amend the clinic's pointer, changed as the keywords say."""

    def send(*, subject=patient, origin=clinic, commitment=SALTED, new=CORRECTED, sender=clinic):
        return record_pointers.amend(subject, origin, commitment, new, {"from": sender})

    return send


@pytest.mark.spec("P10")
def test_version_is_stored_and_announced(record_pointers, pointer, amend, clinic, patient):
    tx = amend()

    new = record_pointers.pointerId(patient, clinic, CORRECTED)
    assert tx.return_value == new
    assert record_pointers.pointerOf(pointer) == (clinic, LABORATORY, AMENDED, 1, 2)
    assert record_pointers.pointerOf(new) == (clinic, LABORATORY, POSTED, 2, 1)
    assert record_pointers.previousOf(new) == pointer
    assert record_pointers.previousOf(pointer) == "0x" + "00" * 32
    assert len(tx.events) == 1
    assert dict(tx.events["PointerAmended"]) == {
        "pointer": new,
        "subject": patient,
        "previous": pointer,
        "custodian": clinic,
        "commitment": "0x" + CORRECTED.hex(),
    }


@pytest.mark.spec("P10")
def test_versions_are_chained(record_pointers, pointer, amend):
    second = amend().return_value

    third = amend(commitment=CORRECTED, new=b"\x55" * 32).return_value

    assert record_pointers.pointerOf(third)["version"] == 3
    assert record_pointers.previousOf(third) == second
    assert record_pointers.previousOf(second) == pointer


@pytest.mark.spec("P14")
@pytest.mark.parametrize("verb", ["accept", "dispute"])
def test_new_version_awaits_its_own_answer(record_pointers, pointer, amend, clinic, patient, verb):
    if verb == "accept":
        record_pointers.accept(clinic, SALTED, {"from": patient})
    else:
        record_pointers.dispute(clinic, SALTED, b"\0" * 32, {"from": patient})

    new = amend().return_value

    assert record_pointers.pointerOf(pointer) == (clinic, LABORATORY, AMENDED, 1, 3)
    assert record_pointers.pointerOf(new) == (clinic, LABORATORY, POSTED, 2, 1)


@pytest.mark.spec("P14")
def test_custody_offer_ends(record_pointers, pointer, amend, clinic, second_clinic, patient):
    record_pointers.offerCustody(patient, clinic, SALTED, second_clinic, {"from": clinic})

    new = amend().return_value

    assert record_pointers.nextCustodianOf(pointer) == NOBODY
    assert record_pointers.nextCustodianOf(new) == NOBODY


@pytest.mark.spec("P31")
def test_second_custodian_becomes_the_origin_of_its_version(
    record_pointers, pointer, pass_custody, amend, clinic, second_clinic, patient
):
    pass_custody(second_clinic)

    tx = amend(sender=second_clinic)

    new = record_pointers.pointerId(patient, second_clinic, CORRECTED)
    assert tx.return_value == new
    assert record_pointers.pointerOf(pointer) == (second_clinic, LABORATORY, AMENDED, 1, 3)
    assert record_pointers.pointerOf(new) == (second_clinic, LABORATORY, POSTED, 2, 1)
    assert tx.events["PointerAmended"]["custodian"] == second_clinic


@pytest.mark.spec("P33")
def test_rotated_custodian_amends_under_its_identity(
    record_pointers, pointer, rotate, amend, clinic, fresh_account, patient
):
    rotate(clinic, fresh_account)

    tx = amend(sender=fresh_account)

    assert tx.return_value == record_pointers.pointerId(patient, clinic, CORRECTED)


@pytest.mark.spec("P15")
def test_pointer_unknown_reverts(record_pointers, amend, clinic, patient):
    with reverts("PointerUnknown", str(record_pointers.pointerId(patient, clinic, SALTED))):
        amend()


@pytest.mark.spec("P13")
def test_pointer_outdated_reverts(pointer, amended, amend):
    with reverts("PointerOutdated", pointer):
        amend(new=b"\x55" * 32)


@pytest.mark.spec("P11")
def test_caller_who_is_no_provider_reverts(pointer, amend, payer):
    with reverts("ProviderRequired", payer.address):
        amend(sender=payer)


@pytest.mark.spec("P11")
def test_subject_reverts(pointer, amend, patient):
    with reverts("ProviderRequired", patient.address):
        amend(sender=patient)


@pytest.mark.spec("P11")
def test_another_provider_reverts(pointer, amend, clinic, second_clinic):
    with reverts("CustodianRequired", pointer, clinic.address):
        amend(sender=second_clinic)


@pytest.mark.spec("P31")
def test_former_custodian_reverts(pointer, pass_custody, amend, second_clinic):
    pass_custody(second_clinic)

    with reverts("CustodianRequired", pointer, second_clinic.address):
        amend()


@pytest.mark.spec("P11")
def test_custodian_without_standing_reverts(pointer, lose_standing, amend, clinic):
    lose_standing(clinic)

    with reverts("ProviderRequired", clinic.address):
        amend()


@pytest.mark.spec("P12")
def test_commitment_missing_reverts(pointer, amend):
    with reverts("CommitmentMissing"):
        amend(new=b"\0" * 32)


@pytest.mark.spec("P12")
def test_same_commitment_reverts(pointer, amend):
    with reverts("PointerExists", pointer):
        amend(new=SALTED)


@pytest.mark.spec("P12")
def test_commitment_of_another_pointer_reverts(pointer, post, amend):
    other = post(commitment=CORRECTED)

    with reverts("PointerExists", other):
        amend(new=CORRECTED)


@pytest.mark.spec("P12")
def test_return_to_an_earlier_version_reverts(pointer, amended, amend):
    with reverts("PointerExists", pointer):
        amend(commitment=CORRECTED, new=SALTED)


@pytest.mark.spec("P16")
def test_last_version_is_stored(record_pointers, pointer, write_word, amend, clinic):
    write_word(pointer, custodian=clinic, version=65534)

    assert record_pointers.pointerOf(amend().return_value)["version"] == 65535


@pytest.mark.spec("P16")
def test_versions_exhausted_reverts(pointer, write_word, amend, clinic):
    write_word(pointer, custodian=clinic, version=65535)

    with reverts("VersionsExhausted", pointer):
        amend()

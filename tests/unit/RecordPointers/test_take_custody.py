from __future__ import annotations

import pytest

from tests.support.fixtures import NOBODY, SALTED
from tests.support.reverts import reverts

LABORATORY = 1
POSTED, ACCEPTED = 1, 2


@pytest.fixture
def offer(record_pointers, patient, clinic, second_clinic):
    """Offer custody of the clinic's pointer to the second clinic, or as the keyword says."""

    def send(*, to=second_clinic):
        return record_pointers.offerCustody(patient, clinic, SALTED, to, {"from": clinic})

    return send


@pytest.fixture
def take(record_pointers, patient, clinic, second_clinic):
    """Take custody of the clinic's pointer, the second clinic or as the keyword says."""

    def send(*, sender=second_clinic):
        return record_pointers.takeCustody(patient, clinic, SALTED, {"from": sender})

    return send


@pytest.mark.spec("P30")
def test_transfer_is_stored_and_announced(record_pointers, pointer, offer, take, clinic, second_clinic):
    offer()

    tx = take()

    assert record_pointers.pointerOf(pointer) == (second_clinic, LABORATORY, POSTED, 1, 2)
    assert record_pointers.nextCustodianOf(pointer) == NOBODY
    assert len(tx.events) == 1
    assert dict(tx.events["CustodyTransferred"]) == {"pointer": pointer, "from": clinic, "to": second_clinic}


@pytest.mark.spec("P30")
def test_answer_and_version_are_kept(record_pointers, pointer, offer, take, clinic, second_clinic, patient):
    record_pointers.accept(clinic, SALTED, {"from": patient})
    offer()

    take()

    assert record_pointers.pointerOf(pointer) == (second_clinic, LABORATORY, ACCEPTED, 1, 3)


@pytest.mark.spec("P33")
def test_rotated_party_takes_what_was_offered_to_its_identity(
    record_pointers, pointer, offer, take, rotate, second_clinic, fresh_account
):
    offer()
    rotate(second_clinic, fresh_account)

    take(sender=fresh_account)

    assert record_pointers.pointerOf(pointer)["custodian"] == second_clinic


@pytest.mark.spec("P32")
def test_offer_outlasts_the_custodians_standing(
    record_pointers, pointer, offer, take, lose_standing, clinic, second_clinic
):
    offer()
    lose_standing(clinic)

    take()

    assert record_pointers.pointerOf(pointer)["custodian"] == second_clinic


@pytest.mark.spec("P30")
def test_custody_not_offered_reverts(pointer, take, second_clinic):
    with reverts("CustodyNotOffered", pointer, second_clinic.address):
        take()


@pytest.mark.spec("P30")
def test_custody_offered_to_another_reverts(pointer, offer, take, emergency_department):
    offer()

    with reverts("CustodyNotOffered", pointer, emergency_department.address):
        take(sender=emergency_department)


@pytest.mark.spec("P29")
def test_custody_whose_offer_was_withdrawn_reverts(pointer, offer, take, second_clinic):
    offer()
    offer(to=NOBODY)

    with reverts("CustodyNotOffered", pointer, second_clinic.address):
        take()


@pytest.mark.spec("P30")
def test_custody_taken_already_reverts(pointer, offer, take, second_clinic):
    offer()
    take()

    with reverts("CustodyNotOffered", pointer, second_clinic.address):
        take()


@pytest.mark.spec("P33")
def test_custody_offered_to_an_account_instead_of_its_identity_reverts(
    pointer, offer, take, rotate, second_clinic, fresh_account
):
    rotate(second_clinic, fresh_account)
    offer(to=fresh_account)

    with reverts("CustodyNotOffered", pointer, second_clinic.address):
        take(sender=fresh_account)


@pytest.mark.spec("P30")
@pytest.mark.parametrize("taker", ["stranger", "patient", "payer"])
def test_taker_who_is_no_provider_reverts(request, pointer, offer, take, taker):
    account = request.getfixturevalue(taker)
    offer(to=account)

    with reverts("ProviderRequired", account.address):
        take(sender=account)


@pytest.mark.spec("P30")
def test_taker_without_standing_reverts(pointer, offer, take, lose_standing, second_clinic):
    offer()
    lose_standing(second_clinic)

    with reverts("ProviderRequired", second_clinic.address):
        take()


@pytest.mark.spec("P15")
def test_pointer_unknown_reverts(record_pointers, take, patient, clinic):
    with reverts("PointerUnknown", str(record_pointers.pointerId(patient, clinic, SALTED))):
        take()


@pytest.mark.spec("P13")
def test_pointer_outdated_reverts(record_pointers, pointer, offer, take, amended):
    with reverts("PointerOutdated", pointer):
        take()

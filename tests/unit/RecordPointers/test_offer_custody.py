from __future__ import annotations

import pytest

from tests.support.fixtures import NOBODY, SALTED
from tests.support.reverts import reverts

LABORATORY = 1
POSTED = 1


@pytest.fixture
def offer(record_pointers, patient, clinic, second_clinic):
    """Offer custody of the clinic's pointer, changed as the keywords say."""

    def send(*, to=second_clinic, sender=clinic):
        return record_pointers.offerCustody(patient, clinic, SALTED, to, {"from": sender})

    return send


@pytest.mark.spec("P29")
def test_offer_is_stored_and_announced(record_pointers, pointer, offer, clinic, second_clinic):
    tx = offer()

    assert record_pointers.nextCustodianOf(pointer) == second_clinic
    assert record_pointers.pointerOf(pointer) == (clinic, LABORATORY, POSTED, 1, 1)
    assert len(tx.events) == 1
    assert dict(tx.events["CustodyOffered"]) == {"pointer": pointer, "to": second_clinic}


@pytest.mark.spec("P29")
def test_later_offer_replaces_the_earlier(record_pointers, pointer, offer, emergency_department):
    offer()

    offer(to=emergency_department)

    assert record_pointers.nextCustodianOf(pointer) == emergency_department


@pytest.mark.spec("P29")
def test_zero_withdraws_the_offer(record_pointers, pointer, offer):
    offer()

    tx = offer(to=NOBODY)

    assert record_pointers.nextCustodianOf(pointer) == NOBODY
    assert len(tx.events) == 1
    assert dict(tx.events["CustodyOffered"]) == {"pointer": pointer, "to": NOBODY}


@pytest.mark.spec("P33")
def test_rotated_custodian_offers(record_pointers, pointer, rotate, offer, clinic, fresh_account, second_clinic):
    rotate(clinic, fresh_account)

    offer(sender=fresh_account)

    assert record_pointers.nextCustodianOf(pointer) == second_clinic


@pytest.mark.spec("P31")
def test_second_custodian_offers(record_pointers, pointer, pass_custody, offer, clinic, second_clinic):
    pass_custody(second_clinic)

    offer(to=clinic, sender=second_clinic)

    assert record_pointers.nextCustodianOf(pointer) == clinic


@pytest.mark.spec("P15")
def test_pointer_unknown_reverts(record_pointers, offer, patient, clinic):
    with reverts("PointerUnknown", str(record_pointers.pointerId(patient, clinic, SALTED))):
        offer()


@pytest.mark.spec("P13")
def test_pointer_outdated_reverts(pointer, amended, offer):
    with reverts("PointerOutdated", pointer):
        offer()


@pytest.mark.spec("P29")
@pytest.mark.parametrize("caller", ["stranger", "patient", "payer", "admin"])
def test_caller_who_is_no_provider_reverts(request, pointer, offer, caller):
    account = request.getfixturevalue(caller)

    with reverts("ProviderRequired", account.address):
        offer(sender=account)


@pytest.mark.spec("P29")
def test_another_provider_reverts(pointer, offer, clinic, second_clinic):
    with reverts("CustodianRequired", pointer, clinic.address):
        offer(sender=second_clinic)


@pytest.mark.spec("P31")
def test_former_custodian_reverts(pointer, pass_custody, offer, second_clinic):
    pass_custody(second_clinic)

    with reverts("CustodianRequired", pointer, second_clinic.address):
        offer()


@pytest.mark.spec("P29")
def test_custodian_without_standing_reverts(pointer, lose_standing, offer, clinic):
    lose_standing(clinic)

    with reverts("ProviderRequired", clinic.address):
        offer()

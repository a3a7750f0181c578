from __future__ import annotations

import pytest

from tests.support.fixtures import PROVIDER
from tests.support.prescribing import NOBODY
from tests.support.reverts import reverts


@pytest.fixture
def exhausted(counter, one, terms, clinic, pharmacy):
    """The prescription, of which the only fill was given."""
    counter.issue(one, terms.changed(fills=1), clinic)
    counter.fill(one.id, 1, 0, 30, pharmacy)
    return one


@pytest.mark.spec("F35")
def test_supply_without_a_fill_left_is_kept_and_announced(prescriptions, counter, exhausted, pharmacy, today, form):
    tx = counter.by(form).supply(exhausted, 6, pharmacy)

    assert prescriptions.supplyOf(exhausted.id) == (pharmacy.address, 6, today, 0)
    assert len(tx.events) == 1
    assert dict(tx.events["SupplyGiven"]) == {
        "prescription": "0x" + exhausted.id.hex(),
        "prescriber": exhausted.prescriber,
        "pharmacy": pharmacy.address,
        "quantity": 6,
        "day": today,
    }
    assert not prescriptions.isOverdue(exhausted.id)


@pytest.mark.spec("F35")
def test_supply_of_an_expired_prescription(counter, issued, pharmacy, wait):
    wait(366)

    counter.supply(issued, 30, pharmacy)


@pytest.mark.spec("F35")
def test_supply_of_a_held_prescription(prescriptions, counter, issued, clinic, pharmacy, suspend):
    suspend(clinic)
    prescriptions.recheck(tuple(issued), {"from": pharmacy})

    counter.supply(issued, 30, pharmacy)


@pytest.mark.spec("F36")
def test_no_supply_under_a_hold_that_nobody_took_away(
    prescriptions, counter, issued, clinic, pharmacy, suspend, reinstate
):
    """Its prescriber is active again: who rechecks it can fill it, and gets no fill more by waiting."""
    suspend(clinic)
    prescriptions.recheck(issued, {"from": pharmacy})
    reinstate(clinic)

    with reverts("SupplyNotNeeded", issued.id):
        counter.supply(issued, 30, pharmacy)

    prescriptions.recheck(issued, {"from": pharmacy})
    counter.fill(issued.id, 1, 0, 30, pharmacy)


@pytest.mark.spec("F35")
def test_supply_before_the_prescriber_issues(prescriptions, counter, one, terms, clinic, pharmacy, form):
    counter.by(form).supply(one, 65535, pharmacy)

    assert not prescriptions.isIssued(one.id)
    counter.issue(one, terms, clinic)  # which is no confirmation
    assert prescriptions.supplyOf(one.id)[3] == 0
    counter.confirm(one, clinic)
    counter.fill(one.id, 1, 0, 30, pharmacy)


@pytest.mark.spec("F35")
def test_supply_of_one_of_a_batch(prescriptions, counter, batch, pharmacy, today):
    counter.fill_batch(batch.id, [(1, 1), (1, 2), (1, 3)], pharmacy)
    counter.supply(batch.at(1), 30, pharmacy)

    assert prescriptions.supplyOf(batch.at(1).id)[2] == today
    assert prescriptions.supplyOf(batch.at(2).id)[2] == 0


@pytest.mark.spec("F36")
def test_no_supply_while_a_fill_is_left(counter, issued, pharmacy, refused_form):
    with reverts("SupplyNotNeeded", issued.id):
        counter.by(refused_form).supply(issued, 6, pharmacy)
    for number in (1, 2):
        counter.fill(issued.id, number, 0, 30, pharmacy)
    counter.fill(issued.id, 3, 0, 29, pharmacy)
    with reverts("SupplyNotNeeded", issued.id):
        counter.by(refused_form).supply(issued, 1, pharmacy)
    counter.fill(issued.id, 3, 29, 1, pharmacy)
    counter.by(refused_form).supply(issued, 1, pharmacy)


@pytest.mark.spec("F36")
def test_supply_is_given_once(counter, exhausted, clinic, pharmacy, refused_form):
    counter.supply(exhausted, 6, pharmacy)

    with reverts("SupplyRepeated", exhausted.id):
        counter.by(refused_form).supply(exhausted, 6, pharmacy)
    counter.confirm(exhausted, clinic)
    with reverts("SupplyRepeated", exhausted.id):
        counter.by(refused_form).supply(exhausted, 6, pharmacy)


@pytest.mark.spec("F36")
@pytest.mark.parametrize("quantity", [0, 31])
def test_supply_is_a_fill_at_most(counter, exhausted, pharmacy, quantity):
    with reverts("QuantityNotPossible", exhausted.id, 30):
        counter.supply(exhausted, quantity, pharmacy)


@pytest.mark.spec("F36")
def test_supply_of_nothing(counter, one, pharmacy):
    with reverts("QuantityNotPossible", one.id, 65535):
        counter.supply(one, 0, pharmacy)
    with reverts("PrescriptionIncomplete"):
        counter.supply(one._replace(content=b"\0" * 32), 1, pharmacy)


@pytest.mark.spec("F37")
def test_cancelled_prescription_is_not_supplied(counter, exhausted, clinic, pharmacy):
    counter.cancel(exhausted, clinic)

    with reverts("AlreadyCancelled", exhausted.id):
        counter.supply(exhausted, 6, pharmacy)


@pytest.mark.spec("F37")
def test_foreign_pharmacy_supplies_nothing(counter, exhausted, pharmacy, second_pharmacy):
    with reverts("PharmacyRequired", exhausted.id, pharmacy.address):
        counter.supply(exhausted, 6, second_pharmacy)


@pytest.mark.spec("F37")
def test_any_pharmacy_supplies_what_has_none(counter, one, terms, clinic, today, second_pharmacy, wait):
    counter.issue(one, terms.changed(pharmacy=NOBODY, valid_until=today), clinic)
    wait(1)

    counter.supply(one, 6, second_pharmacy)


@pytest.mark.spec("F37")
def test_nobody_but_an_active_pharmacy_supplies(counter, exhausted, clinic, pharmacy, stranger, suspend):
    with reverts("KindNotAdmitted", clinic.address, PROVIDER):
        counter.supply(exhausted, 6, clinic)
    with reverts("StepNotYours", pharmacy.address, stranger.address):
        counter.supply(exhausted, 6, stranger, pharmacy=pharmacy)
    with reverts("SignatureInvalid", pharmacy.address):
        counter.by("signed").supply(exhausted, 6, stranger, pharmacy=pharmacy)
    suspend(pharmacy)
    with reverts("StepNotYours", pharmacy.address, pharmacy.address):
        counter.supply(exhausted, 6, pharmacy)


@pytest.mark.spec("F37")
def test_who_is_named_is_an_active_provider(counter, one, clinic, payer, stranger, pharmacy, suspend):
    suspend(clinic)

    for prescriber, kind in ((clinic, 0), (stranger, 0), (payer, 2)):
        with reverts("KindNotAdmitted", prescriber.address, kind):
            counter.supply(one._replace(prescriber=prescriber.address), 6, pharmacy)


@pytest.mark.spec("F37")
def test_unissued_supply_has_no_place(counter, one, batch, pharmacy):
    """Else one prescription could be supplied 65,535 times."""
    for unknown in (one.at(1), batch, batch.at(101)):
        with reverts("PrescriptionUnknown", unknown.id):
            counter.supply(unknown, 6, pharmacy)


# -- confirming ---------------------------------------------------------------------------------------------------


@pytest.mark.spec("F38")
def test_prescriber_confirms(prescriptions, counter, one, clinic, pharmacy, today, form):
    counter.supply(one, 6, pharmacy)

    tx = counter.by(form).confirm(one, clinic)

    assert prescriptions.supplyOf(one.id) == (pharmacy.address, 6, today, today)
    assert len(tx.events) == 1
    assert dict(tx.events["SupplyConfirmed"]) == {"prescription": "0x" + one.id.hex(), "day": today}
    assert prescriptions.isIssued(one.id)


@pytest.mark.spec("F38")
def test_supply_is_confirmed_once(counter, one, clinic, pharmacy, refused_form):
    with reverts("SupplyUnknown", one.id):
        counter.by(refused_form).confirm(one, clinic)
    counter.supply(one, 6, pharmacy)
    counter.confirm(one, clinic)
    with reverts("SupplyUnknown", one.id):
        counter.by(refused_form).confirm(one, clinic)


@pytest.mark.spec("F38")
def test_nobody_else_confirms(counter, one, clinic, second_clinic, pharmacy, patient, suspend):
    counter.supply(one, 6, pharmacy)

    for by in (second_clinic, pharmacy, patient):
        with reverts("StepNotYours", clinic.address, by.address):
            counter.confirm(one, by)
        with reverts("SignatureInvalid", clinic.address):
            counter.by("signed").confirm(one, by)
    suspend(clinic)
    with reverts("StepNotYours", clinic.address, clinic.address):
        counter.confirm(one, clinic)


@pytest.mark.spec("F39")
def test_unconfirmed_supply_is_overdue_after_a_week(prescriptions, counter, one, pharmacy, wait):
    assert prescriptions.CONFIRMATION_DAYS() == 7
    assert not prescriptions.isOverdue(one.id)
    counter.supply(one, 6, pharmacy)
    wait(7)
    assert not prescriptions.isOverdue(one.id)
    wait(1)
    assert prescriptions.isOverdue(one.id)


@pytest.mark.spec("F39")
@pytest.mark.parametrize(("after", "overdue"), [(7, False), (8, True)])
def test_late_confirmation_stays_late(prescriptions, counter, one, clinic, pharmacy, wait, after, overdue):
    counter.supply(one, 6, pharmacy)
    wait(after)
    counter.confirm(one, clinic)
    wait(30)

    assert prescriptions.isOverdue(one.id) is overdue

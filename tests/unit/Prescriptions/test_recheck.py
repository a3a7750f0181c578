from __future__ import annotations

import pytest

from medproof.policy.prescription import decode_prescription
from tests.support.prescribing import NOBODY
from tests.support.reverts import reverts


@pytest.fixture
def recheck(prescriptions, stranger):
    """Anyone rechecks a prescription."""
    return lambda one: prescriptions.recheck(tuple(one), {"from": stranger})


@pytest.mark.spec("F34")
def test_prescription_of_a_suspended_prescriber_is_held(
    counter, recheck, issued, clinic, pharmacy, suspend, reinstate, refused_form
):
    suspend(clinic)
    tx = recheck(issued)

    assert len(tx.events) == 1
    assert tx.events["PrescriptionRechecked"]["prescription"] == "0x" + issued.id.hex()
    assert decode_prescription(tx.events["PrescriptionRechecked"]["word"]) == counter.state(issued.id)
    assert counter.state(issued.id).held
    with reverts("PrescriptionHeld", issued.id):
        counter.by(refused_form).fill(issued.id, 1, 0, 30, pharmacy)

    reinstate(clinic)
    assert counter.state(issued.id).held  # until somebody says so
    recheck(issued)
    counter.by(refused_form).fill(issued.id, 1, 0, 30, pharmacy)


@pytest.mark.spec("F34")
def test_prescription_of_a_removed_prescriber_stays_held(counter, recheck, issued, clinic, registrar, admin):
    registrar.remove(clinic, {"from": admin})
    recheck(issued)

    assert counter.state(issued.id).held


@pytest.mark.spec("F34")
def test_prescriber_with_another_account_is_active(counter, recheck, issued, clinic, fresh_account, rotate):
    rotate(clinic, fresh_account)

    assert len(recheck(issued).events) == 0
    assert not counter.state(issued.id).held


@pytest.mark.spec("F33")
@pytest.mark.parametrize("what", ["suspended", "removed", "rotated"])
def test_pharmacy_that_is_not_active_fills_no_more(
    counter, recheck, issued, pharmacy, fresh_account, registrar, admin, suspend, rotate, what
):
    if what == "suspended":
        suspend(pharmacy)
    elif what == "removed":
        registrar.remove(pharmacy, {"from": admin})
    else:
        rotate(pharmacy, fresh_account)
    tx = recheck(issued)

    assert decode_prescription(tx.events["PrescriptionRechecked"]["word"]) == counter.state(issued.id)
    assert counter.state(issued.id).checked_on is None
    with reverts("PharmacyRequired", issued.id, pharmacy.address):
        counter.fill(issued.id, 1, 0, 30, pharmacy)


@pytest.mark.spec("F33")
def test_nothing_changes_where_all_are_active(recheck, issued, batch, counter, one, terms, clinic):
    open_one = one._replace(content=b"\x55" * 32)
    counter.issue(open_one, terms.changed(pharmacy=NOBODY), clinic)

    for each in (issued, batch, open_one):
        assert len(recheck(each).events) == 0


@pytest.mark.spec("F34")
def test_recheck_reaches_what_the_batch_holds(counter, recheck, batch, clinic, pharmacy, suspend):
    counter.fill(batch.at(1).id, 1, 0, 10, pharmacy)
    suspend(clinic)
    recheck(batch)

    assert counter.state(batch.at(2).id).held
    assert not counter.state(batch.at(1).id).held
    recheck(batch.at(1))
    assert counter.state(batch.at(1).id).held


@pytest.mark.spec("F17")
def test_what_has_no_slot_is_not_rechecked(recheck, one, batch):
    for unknown in (one, batch.at(1), batch.at(101)):
        with reverts("PrescriptionUnknown", unknown.id):
            recheck(unknown)


@pytest.mark.spec("F34")
def test_held_prescription_is_moved_and_cancelled(
    counter, recheck, issued, clinic, patient, pharmacy, second_pharmacy, suspend, reinstate
):
    suspend(clinic)
    recheck(issued)

    counter.choose(issued, second_pharmacy, patient)
    assert counter.state(issued.id).held
    reinstate(clinic)
    counter.cancel(issued, clinic)

from __future__ import annotations

import pytest

from medproof.policy.prescription import decode_prescription
from tests.support.prescribing import NOBODY, Prescription
from tests.support.reverts import reverts


@pytest.mark.spec("F23")
def test_fills_of_a_batch_are_kept_and_announced(counter, batch, pharmacy):
    tx = counter.fill_batch(batch.id, [(place, 1) for place in range(1, 101)], pharmacy)

    assert len(tx.events) == 100
    for place, event in enumerate(tx.events, 1):
        state = counter.state(batch.at(place).id)
        assert event["prescription"] == "0x" + batch.at(place).id.hex()
        assert decode_prescription(event["word"]) == state
        assert (state.number, state.filled, state.checked_on) == (1, 30, None)


@pytest.mark.spec("F23")
def test_places_come_in_any_order(counter, batch, pharmacy):
    counter.fill_batch(batch.id, [(64, 1), (1, 1), (100, 1), (63, 1), (64, 2), (1, 2), (63, 2), (64, 3)], pharmacy)

    numbers = {place: counter.state(batch.at(place).id).number for place in (1, 2, 62, 63, 64, 65, 99, 100)}
    assert numbers == {1: 2, 2: 0, 62: 0, 63: 2, 64: 3, 65: 0, 99: 0, 100: 1}


@pytest.mark.spec("F23")
def test_no_fill_changes_nothing(counter, batch, pharmacy):
    assert len(counter.fill_batch(batch.id, [], pharmacy).events) == 0


@pytest.mark.spec("F24")
def test_fourteen_fills_and_no_more(counter, terms, clinic, pharmacy):
    many = Prescription(clinic.address, NOBODY, b"\x44" * 32)
    counter.issue(many, terms.changed(size=2, fills=14), clinic)
    counter.fill_batch(many.id, [(1, number) for number in range(1, 15)], pharmacy)

    assert counter.state(many.at(1).id).left == 0
    with reverts("FillsExhausted", many.at(1).id, 14):
        counter.fill_batch(many.id, [(1, 15)], pharmacy)
    assert counter.state(many.at(2).id).number == 0


@pytest.mark.spec("F24")
@pytest.mark.parametrize(
    ("fills", "error", "argument"),
    [
        ([(5, 1), (5, 1)], "AlreadyFilled", 2),
        ([(5, 2)], "FillSkipped", 1),
        ([(5, 0)], "AlreadyFilled", 1),
        ([(5, 1), (5, 2), (5, 3), (5, 4)], "FillsExhausted", 3),
        ([(5, 255)], "FillsExhausted", 3),
    ],
)
def test_one_that_is_refused_undoes_all(counter, batch, pharmacy, fills, error, argument):
    with reverts(error, batch.at(5).id, argument):
        counter.fill_batch(batch.id, [(70, 1), *fills], pharmacy)

    assert counter.state(batch.at(70).id).number == counter.state(batch.at(5).id).number == 0


@pytest.mark.spec("F24")
@pytest.mark.parametrize("place", [0, 101, 65535])
def test_place_is_in_the_batch(counter, batch, pharmacy, place):
    with reverts("PrescriptionUnknown", batch.at(place).id):
        counter.fill_batch(batch.id, [(place, 1)], pharmacy)


@pytest.mark.spec("F24")
def test_what_was_opened_is_filled_alone(counter, batch, pharmacy):
    counter.fill(batch.at(7).id, 1, 0, 10, pharmacy)

    with reverts("AlreadyOpened", batch.at(7).id):
        counter.fill_batch(batch.id, [(7, 2)], pharmacy)


@pytest.mark.spec("F24")
def test_batch_is_known(counter, issued, batch, pharmacy):
    for unknown in (issued.id, batch.at(1).id, b"\x77" * 32):
        with reverts("PrescriptionUnknown", unknown):
            counter.fill_batch(unknown, [(1, 1)], pharmacy)


@pytest.mark.spec("F24")
def test_foreign_pharmacy_fills_no_batch(counter, batch, pharmacy, second_pharmacy, clinic, stranger):
    for by in (second_pharmacy, clinic, stranger):
        with reverts("PharmacyRequired", batch.id, pharmacy.address):
            counter.fill_batch(batch.id, [(1, 1)], by)


@pytest.mark.spec("F20")
def test_pharmacy_of_a_batch_is_asked_for_each_time(counter, batch, pharmacy, suspend):
    counter.fill_batch(batch.id, [(1, 1)], pharmacy)
    suspend(pharmacy)

    with reverts("PharmacyRequired", batch.id, pharmacy.address):
        counter.fill_batch(batch.id, [(2, 1)], pharmacy)


@pytest.mark.spec("F16")
def test_batch_expires(counter, batch, terms, pharmacy, wait):
    wait(366)

    with reverts("PrescriptionExpired", batch.id, terms.valid_until):
        counter.fill_batch(batch.id, [(1, 1)], pharmacy)


@pytest.mark.spec("F31")
def test_cancelled_batch_is_not_filled(counter, batch, clinic, pharmacy):
    counter.cancel(batch, clinic)

    with reverts("AlreadyCancelled", batch.id):
        counter.fill_batch(batch.id, [(1, 1)], pharmacy)
    with reverts("AlreadyCancelled", batch.at(1).id):
        counter.fill(batch.at(1).id, 1, 0, 30, pharmacy)


@pytest.mark.spec("F31")
def test_what_was_opened_outlives_its_batch(counter, batch, clinic, pharmacy):
    counter.fill(batch.at(1).id, 1, 0, 10, pharmacy)
    counter.cancel(batch, clinic)

    counter.fill(batch.at(1).id, 1, 10, 20, pharmacy)
    counter.cancel(batch.at(1), clinic)
    with reverts("AlreadyCancelled", batch.at(1).id):
        counter.fill(batch.at(1).id, 2, 0, 30, pharmacy)


@pytest.mark.spec("F32")
def test_one_of_a_batch_is_cancelled_alone(counter, batch, clinic, pharmacy):
    counter.cancel(batch.at(2), clinic)

    with reverts("AlreadyOpened", batch.at(2).id):
        counter.fill_batch(batch.id, [(2, 1)], pharmacy)
    with reverts("AlreadyCancelled", batch.at(2).id):
        counter.fill(batch.at(2).id, 1, 0, 30, pharmacy)
    counter.fill_batch(batch.id, [(1, 1), (3, 1)], pharmacy)


@pytest.mark.spec("F34")
def test_held_batch_is_not_filled(counter, prescriptions, batch, clinic, pharmacy, suspend, reinstate, stranger):
    suspend(clinic)
    prescriptions.recheck(tuple(batch), {"from": stranger})

    with reverts("PrescriptionHeld", batch.id):
        counter.fill_batch(batch.id, [(1, 1)], pharmacy)
    reinstate(clinic)
    prescriptions.recheck(tuple(batch), {"from": stranger})
    counter.fill_batch(batch.id, [(1, 1)], pharmacy)

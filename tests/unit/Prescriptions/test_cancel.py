from __future__ import annotations

import pytest

from medproof.policy.prescription import decode_prescription
from tests.support.reverts import reverts


@pytest.mark.spec("F30")
def test_prescriber_cancels(counter, issued, clinic, pharmacy, form):
    counter.fill(issued.id, 1, 0, 10, pharmacy)

    tx = counter.by(form).cancel(issued, clinic)

    state = counter.state(issued.id)
    assert (state.cancelled, state.number, state.filled) == (True, 1, 10)
    assert len(tx.events) == 1
    assert tx.events["PrescriptionCancelled"]["prescription"] == "0x" + issued.id.hex()
    assert decode_prescription(tx.events["PrescriptionCancelled"]["word"]) == state


@pytest.mark.spec("F30")
def test_cancelled_prescription_is_not_filled(counter, prescriptions, issued, clinic, pharmacy, refused_form):
    counter.cancel(issued, clinic)

    with reverts("AlreadyCancelled", issued.id):
        counter.by(refused_form).fill(issued.id, 1, 0, 30, pharmacy)
    with reverts("AlreadyCancelled", issued.id):
        counter.by(refused_form).cancel(issued, clinic)
    assert prescriptions.isIssued(issued.id)


@pytest.mark.spec("F30")
def test_nobody_else_cancels(counter, issued, clinic, second_clinic, patient, pharmacy, stranger):
    for by in (second_clinic, patient, pharmacy, stranger):
        with reverts("StepNotYours", clinic.address, by.address):
            counter.cancel(issued, by)
        with reverts("SignatureInvalid", clinic.address):
            counter.by("signed").cancel(issued, by)
        with reverts("PrescriptionUnknown", issued._replace(prescriber=by.address).id):
            counter.cancel(issued._replace(prescriber=by.address), by)


@pytest.mark.spec("F30")
def test_suspended_prescriber_cancels_nothing(counter, issued, clinic, suspend, reinstate):
    suspend(clinic)
    for form in ("direct", "signed"):
        with reverts("StepNotYours", clinic.address, clinic.address):
            counter.by(form).cancel(issued, clinic)
    reinstate(clinic)
    counter.by("signed").cancel(issued, clinic)


@pytest.mark.spec("F30")
def test_new_account_of_the_prescriber_cancels(counter, issued, clinic, fresh_account, rotate):
    rotate(clinic, fresh_account)

    with reverts("StepNotYours", clinic.address, clinic.address):
        counter.cancel(issued, clinic)
    counter.cancel(issued, fresh_account)


@pytest.mark.spec("F31")
def test_batch_is_cancelled_as_a_whole(counter, batch, clinic, pharmacy):
    counter.fill_batch(batch.id, [(1, 1)], pharmacy)
    tx = counter.cancel(batch, clinic)

    assert decode_prescription(tx.events["PrescriptionCancelled"]["word"]).size == 100
    for place in (1, 50, 100):
        assert counter.state(batch.at(place).id).cancelled
    with reverts("AlreadyCancelled", batch.id):
        counter.cancel(batch, clinic)
    with reverts("AlreadyCancelled", batch.at(3).id):
        counter.cancel(batch.at(3), clinic)


@pytest.mark.spec("F17")
def test_what_was_never_issued_is_not_cancelled(counter, one, batch, clinic):
    for unknown in (one, batch.at(101)):
        with reverts("PrescriptionUnknown", unknown.id):
            counter.cancel(unknown, clinic)

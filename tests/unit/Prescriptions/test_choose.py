from __future__ import annotations

import pytest

from medproof.policy.prescription import decode_prescription
from tests.support.prescribing import NOBODY
from tests.support.reverts import reverts


@pytest.mark.spec("F26")
def test_patient_chooses_the_pharmacy(counter, one, terms, clinic, patient, pharmacy, form):
    counter.issue(one, terms.changed(pharmacy=NOBODY), clinic)

    tx = counter.by(form).choose(one, pharmacy, patient)

    state = counter.state(one.id)
    assert (state.pharmacy, state.sequence) == (pharmacy.address, 1)
    assert state.checked_on is not None
    assert len(tx.events) == 1
    assert tx.events["PharmacyNamed"]["prescription"] == "0x" + one.id.hex()
    assert tx.events["PharmacyNamed"]["pharmacy"] == pharmacy.address
    assert decode_prescription(tx.events["PharmacyNamed"]["word"]) == state


@pytest.mark.spec("F26")
def test_patient_changes_the_pharmacy_between_fills(counter, issued, patient, pharmacy, second_pharmacy):
    counter.fill(issued.id, 1, 0, 30, pharmacy)
    counter.choose(issued, second_pharmacy, patient)

    with reverts("PharmacyRequired", issued.id, second_pharmacy.address):
        counter.fill(issued.id, 2, 0, 30, pharmacy)
    with reverts("AlreadyFilled", issued.id, 2):
        counter.fill(issued.id, 1, 0, 30, second_pharmacy)
    counter.fill(issued.id, 2, 0, 30, second_pharmacy)


@pytest.mark.spec("F26")
def test_prescriber_chooses_where_no_patient_is_named(counter, one, terms, clinic, second_pharmacy, form):
    alone = one._replace(patient=NOBODY)
    counter.issue(alone, terms, clinic)
    counter.by(form).choose(alone, second_pharmacy, clinic)

    assert counter.state(alone.id).pharmacy == second_pharmacy.address


@pytest.mark.spec("F26")
def test_prescriber_chooses_for_one_of_a_batch(counter, batch, clinic, pharmacy, second_pharmacy):
    tx = counter.choose(batch.at(4), second_pharmacy, clinic)

    assert [event.name for event in tx.events] == ["PrescriptionOpened", "PharmacyNamed"]
    counter.fill(batch.at(4).id, 1, 0, 30, second_pharmacy)
    with reverts("AlreadyOpened", batch.at(4).id):
        counter.fill_batch(batch.id, [(4, 1)], pharmacy)


@pytest.mark.spec("F26")
def test_nobody_else_chooses(counter, issued, patient, clinic, pharmacy, second_pharmacy, stranger):
    for by in (clinic, pharmacy, second_pharmacy, stranger):
        with reverts("StepNotYours", patient.address, by.address):
            counter.choose(issued, second_pharmacy, by)
        with reverts("StepNotYours", patient.address, by.address):
            counter.choose(issued, second_pharmacy, by, whose=patient)
        with reverts("SignatureInvalid", patient.address):
            counter.by("signed").choose(issued, second_pharmacy, by, whose=patient)


@pytest.mark.spec("F26")
def test_suspended_prescriber_chooses_nothing(counter, one, terms, clinic, second_pharmacy, suspend):
    alone = one._replace(patient=NOBODY)
    counter.issue(alone, terms, clinic)
    suspend(clinic)

    with reverts("StepNotYours", clinic.address, clinic.address):
        counter.choose(alone, second_pharmacy, clinic)


@pytest.mark.spec("F26")
def test_nobody_is_no_patient(counter, one, terms, clinic, second_pharmacy, stranger):
    """The zero address chooses nothing, by no signature."""
    alone = one._replace(patient=NOBODY)
    counter.issue(alone, terms, clinic)

    with reverts("StepNotYours", NOBODY, stranger.address):
        counter.choose(alone, second_pharmacy, stranger, whose=NOBODY)
    with reverts("SignatureInvalid", NOBODY):
        counter.by("signed").choose(alone, second_pharmacy, stranger, whose=NOBODY)


@pytest.mark.spec("F27")
def test_not_while_a_fill_is_in_progress(counter, issued, patient, pharmacy, second_pharmacy, refused_form):
    counter.fill(issued.id, 1, 0, 10, pharmacy)

    with reverts("FillInProgress", issued.id, 1):
        counter.by(refused_form).choose(issued, second_pharmacy, patient)
    counter.fill(issued.id, 1, 10, 20, pharmacy)
    counter.by(refused_form).choose(issued, second_pharmacy, patient)


@pytest.mark.spec("F27")
def test_inactive_pharmacy_keeps_nobody_waiting(counter, issued, patient, pharmacy, second_pharmacy, suspend):
    counter.fill(issued.id, 1, 0, 10, pharmacy)
    suspend(pharmacy)

    counter.choose(issued, second_pharmacy, patient)
    counter.fill(issued.id, 1, 10, 20, second_pharmacy)


@pytest.mark.spec("F28")
def test_choice_counts_once(counter, issued, patient, pharmacy, second_pharmacy):
    """A relayer that sends it again, after another one took its effect back, meets a higher sequence."""
    signed = counter.by("signed")
    signed.choose(issued, second_pharmacy, patient)
    signed.choose(issued, pharmacy, patient, sequence=1)

    with reverts("PharmacyChanged", issued.id, 2):
        signed.choose(issued, second_pharmacy, patient)
    with reverts("PharmacyChanged", issued.id, 2):
        signed.choose(issued, second_pharmacy, patient, sequence=3)


@pytest.mark.spec("F28")
def test_pharmacy_is_another_one(counter, issued, patient, pharmacy):
    with reverts("PharmacyUnchanged", issued.id):
        counter.choose(issued, pharmacy, patient)


@pytest.mark.spec("F7")
def test_chosen_pharmacy_is_an_active_one(counter, issued, patient, clinic, second_pharmacy, stranger, suspend):
    suspend(second_pharmacy)

    for other in (second_pharmacy.address, clinic.address, stranger.address, NOBODY):
        with reverts("PharmacyInactive", other):
            counter.choose(issued, other, patient)


@pytest.mark.spec("F28")
def test_sequence_ends(counter, issued, patient, pharmacy, second_pharmacy):
    for sequence in range(255):
        counter.choose(issued, pharmacy if sequence % 2 else second_pharmacy, patient, sequence=sequence)

    with reverts("PharmacyChanged", issued.id, 255):
        counter.choose(issued, pharmacy, patient, sequence=255)
    counter.fill(issued.id, 1, 0, 30, second_pharmacy)


@pytest.mark.spec("F17")
def test_what_was_never_issued_has_no_pharmacy(counter, one, batch, clinic, patient, second_pharmacy):
    with reverts("PrescriptionUnknown", one.id):
        counter.choose(one, second_pharmacy, patient)
    for place in (0, 101):
        with reverts("PrescriptionUnknown", batch.at(place).id):
            counter.choose(batch.at(place), second_pharmacy, clinic)


@pytest.mark.spec("F30")
def test_cancelled_prescription_goes_nowhere(counter, issued, clinic, patient, second_pharmacy):
    counter.cancel(issued, clinic)

    with reverts("AlreadyCancelled", issued.id):
        counter.choose(issued, second_pharmacy, patient)


@pytest.fixture
def wallet(ContractWallet, patient, relayer):  # noqa: N803 - Brownie's name
    """The patient's contract wallet."""
    return ContractWallet.deploy(patient, {"from": relayer})


@pytest.mark.spec("F40")
def test_contract_wallet_of_a_patient_signs(counter, one, terms, clinic, second_pharmacy, patient, wallet):
    hers = one._replace(patient=wallet.address)
    counter.issue(hers, terms, clinic)

    counter.by("signed").choose(hers, second_pharmacy, patient, whose=wallet)

    assert counter.state(hers.id).pharmacy == second_pharmacy.address

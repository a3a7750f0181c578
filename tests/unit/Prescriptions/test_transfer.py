from __future__ import annotations

import pytest

from medproof.policy.prescription import decode_prescription
from tests.support.prescribing import NOBODY
from tests.support.reverts import reverts


@pytest.mark.spec("F29")
@pytest.mark.parametrize("sends", ["pharmacy", "second_pharmacy", "relayer"])
def test_both_pharmacies_agree(counter, issued, pharmacy, second_pharmacy, request, sends):
    sender = request.getfixturevalue(sends)

    tx = counter.transfer(issued.id, second_pharmacy, giving=pharmacy, receiving=second_pharmacy, sender=sender)

    state = counter.state(issued.id)
    assert (state.pharmacy, state.sequence) == (second_pharmacy.address, 1)
    assert len(tx.events) == 1
    assert tx.events["PharmacyNamed"]["pharmacy"] == second_pharmacy.address
    assert decode_prescription(tx.events["PharmacyNamed"]["word"]) == state


@pytest.mark.spec("F29")
def test_fill_in_progress_goes_with_it(counter, issued, pharmacy, second_pharmacy):
    counter.fill(issued.id, 1, 0, 10, pharmacy)
    counter.transfer(issued.id, second_pharmacy, giving=pharmacy, receiving=second_pharmacy, sender=pharmacy)

    counter.fill(issued.id, 1, 10, 20, second_pharmacy)
    with reverts("PharmacyRequired", issued.id, second_pharmacy.address):
        counter.fill(issued.id, 2, 0, 30, pharmacy)


@pytest.mark.spec("F29")
def test_one_alone_transfers_nothing(prescriptions, counter, issued, pharmacy, second_pharmacy, stranger):
    signed = {by: counter.agree(issued.id, second_pharmacy, by) for by in (pharmacy, second_pharmacy, stranger)}
    given = (issued.id, second_pharmacy, 0, counter.deadline)
    with reverts("StepNotYours", second_pharmacy.address, pharmacy.address):
        prescriptions.transfer(*given, b"", b"", {"from": pharmacy})
    with reverts("StepNotYours", pharmacy.address, second_pharmacy.address):
        prescriptions.transfer(*given, b"", b"", {"from": second_pharmacy})
    with reverts("SignatureInvalid", second_pharmacy.address):
        prescriptions.transfer(*given, b"", signed[stranger], {"from": pharmacy})
    with reverts("SignatureInvalid", pharmacy.address):
        prescriptions.transfer(*given, signed[second_pharmacy], b"", {"from": second_pharmacy})


@pytest.mark.spec("F29")
def test_transfer_counts_once(counter, issued, pharmacy, second_pharmacy, relayer):
    both = {"giving": pharmacy, "receiving": second_pharmacy, "sender": relayer}
    counter.transfer(issued.id, second_pharmacy, **both)
    back = {"giving": second_pharmacy, "receiving": pharmacy, "sender": relayer}
    counter.transfer(issued.id, pharmacy, **back, sequence=1)

    with reverts("PharmacyChanged", issued.id, 2):
        counter.transfer(issued.id, second_pharmacy, **both)


@pytest.mark.spec("F29")
def test_suspended_pharmacy_neither_gives_nor_receives(counter, issued, pharmacy, second_pharmacy, suspend, reinstate):
    both = {"giving": pharmacy, "receiving": second_pharmacy, "sender": pharmacy}
    suspend(second_pharmacy)
    with reverts("StepNotYours", second_pharmacy.address, second_pharmacy.address):
        counter.transfer(issued.id, second_pharmacy, **both)
    reinstate(second_pharmacy)
    suspend(pharmacy)
    with reverts("StepNotYours", pharmacy.address, pharmacy.address):
        counter.transfer(issued.id, second_pharmacy, **both)


@pytest.mark.spec("F7", "F29")
def test_nobody_but_a_pharmacy_receives(counter, issued, pharmacy, clinic):
    with reverts("PharmacyInactive", clinic.address):
        counter.transfer(issued.id, clinic, giving=pharmacy, receiving=clinic, sender=pharmacy)


@pytest.mark.spec("F29")
def test_nobody_gives_what_has_no_pharmacy(prescriptions, counter, one, terms, clinic, second_pharmacy):
    counter.issue(one, terms.changed(pharmacy=NOBODY), clinic)

    with reverts("StepNotYours", NOBODY, second_pharmacy.address):
        prescriptions.transfer(one.id, second_pharmacy, 0, 0, b"", b"", {"from": second_pharmacy})


@pytest.mark.spec("F29")
def test_transfer_to_itself_is_none(counter, issued, pharmacy):
    with reverts("PharmacyUnchanged", issued.id):
        counter.transfer(issued.id, pharmacy, giving=pharmacy, receiving=pharmacy, sender=pharmacy)


@pytest.mark.spec("F30")
def test_cancelled_prescription_is_not_transferred(counter, issued, clinic, pharmacy, second_pharmacy):
    counter.cancel(issued, clinic)

    with reverts("AlreadyCancelled", issued.id):
        counter.transfer(issued.id, second_pharmacy, giving=pharmacy, receiving=second_pharmacy, sender=pharmacy)


@pytest.mark.spec("F29")
def test_one_of_a_batch_is_transferred_alone(counter, batch, pharmacy, second_pharmacy):
    moved = batch.at(9).id
    counter.fill_batch(batch.id, [(9, 1)], pharmacy)
    tx = counter.transfer(moved, second_pharmacy, giving=pharmacy, receiving=second_pharmacy, sender=pharmacy)

    assert [event.name for event in tx.events] == ["PrescriptionOpened", "PharmacyNamed"]
    assert (counter.state(moved).number, counter.state(batch.at(8).id).pharmacy) == (1, pharmacy.address)
    counter.fill(moved, 2, 0, 30, second_pharmacy)

"""What somebody tries who wants a fill more, a fill less, or another's prescription."""

from __future__ import annotations

import pytest

from medproof import messages
from tests.support.prescribing import NOBODY, Prescription
from tests.support.reverts import reverts


@pytest.mark.spec("F12", "F15")
def test_old_pharmacys_signed_fill_waits_and_counts_once(
    prescriptions, counter, issued, patient, pharmacy, second_pharmacy, relayer
):
    """A relayer holds it back while the prescription goes away and comes back: it is one fill, or none."""
    said = {"number": 1, "before": 0, "quantity": 30, "deadline": counter.deadline}
    message = messages.fill(counter.domain, prescription=issued.id, **said)
    held_back = (pharmacy, issued.id, *said.values(), counter.sign(pharmacy, message))
    counter.choose(issued, second_pharmacy, patient)
    with reverts("PharmacyRequired", issued.id, second_pharmacy.address):
        prescriptions.fillFor(*held_back, {"from": relayer})
    counter.choose(issued, pharmacy, patient, sequence=1)
    prescriptions.fillFor(*held_back, {"from": relayer})
    with reverts("AlreadyFilled", issued.id, 2):
        prescriptions.fillFor(*held_back, {"from": relayer})


@pytest.mark.spec("F12", "F24")
def test_fill_alone_and_with_the_batch_is_one(counter, batch, pharmacy):
    counter.fill_batch(batch.id, [(1, 1)], pharmacy)

    with reverts("AlreadyFilled", batch.at(1).id, 2):
        counter.fill(batch.at(1).id, 1, 0, 30, pharmacy)
    counter.fill(batch.at(1).id, 2, 0, 30, pharmacy)
    with reverts("AlreadyOpened", batch.at(1).id):
        counter.fill_batch(batch.id, [(1, 2)], pharmacy)


@pytest.mark.spec("F6", "F8")
def test_content_is_issued_alone_or_as_a_batch(counter, terms, clinic):
    alone = Prescription(clinic.address, NOBODY, b"\x44" * 32)
    counter.issue(alone, terms, clinic)

    with reverts("PrescriptionExists", alone.id):
        counter.issue(alone, terms.changed(size=5), clinic)


@pytest.mark.spec("F24", "F25")
def test_places_of_one_row_do_not_touch_each_other(counter, batch, terms, clinic, pharmacy, second_pharmacy):
    """Opened, full and fresh neighbours, at both ends of a row."""
    counter.fill_batch(batch.id, [(63, 1), (63, 2), (63, 3), (65, 1)], pharmacy)
    counter.choose(batch.at(64), second_pharmacy, clinic)
    counter.choose(batch.at(1), second_pharmacy, clinic)
    counter.cancel(batch.at(100), clinic)

    numbers = {place: counter.state(batch.at(place).id).number for place in (1, 2, 62, 63, 64, 65, 66, 99, 100)}
    assert numbers == {1: 0, 2: 0, 62: 0, 63: 3, 64: 0, 65: 1, 66: 0, 99: 0, 100: 0}
    counter.fill_batch(batch.id, [(2, 1), (62, 1), (65, 2), (66, 1), (99, 1)], pharmacy)
    assert counter.state(batch.at(64).id).pharmacy == second_pharmacy.address


@pytest.mark.spec("F24")
def test_batch_of_the_largest_size_ends_there(counter, terms, clinic, pharmacy):
    many = Prescription(clinic.address, NOBODY, b"\x44" * 32)
    counter.issue(many, terms.changed(size=65535), clinic)

    counter.fill_batch(many.id, [(65535, 1), (1, 1)], pharmacy)
    assert counter.state(many.at(65535).id).number == counter.state(many.at(1).id).number == 1
    assert counter.state(many.at(65534).id).number == 0


@pytest.mark.spec("F36", "F37")
def test_supply_is_not_won_by_racing_the_prescriber(counter, one, terms, clinic, pharmacy, second_pharmacy):
    """Any pharmacy may claim a promise by telephone first; the prescription itself is filled all the same."""
    counter.supply(one, 65535, second_pharmacy)
    counter.issue(one, terms, clinic)

    with reverts("SupplyRepeated", one.id):
        counter.supply(one, 6, pharmacy)
    counter.fill(one.id, 1, 0, 30, pharmacy)


@pytest.mark.spec("F40")
def test_relayed_fill_of_a_stranger_is_its_own(prescriptions, counter, issued, pharmacy, stranger):
    """A call without a signature counts for who sends it, among others as well."""
    call = prescriptions.fill.encode_input(issued.id, 1, 0, 30)
    tx = prescriptions.relay([call], 200_000, {"from": stranger})

    assert [event.name for event in tx.events] == ["CallSkipped"]
    assert counter.state(issued.id).number == 0
    prescriptions.relay([call, prescriptions.fill.encode_input(issued.id, 2, 0, 30)], 0, {"from": pharmacy})
    assert counter.state(issued.id).number == 2

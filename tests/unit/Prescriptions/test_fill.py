from __future__ import annotations

import pytest

from medproof.policy.prescription import PRESCRIPTION_FIELDS, decode_prescription
from tests.support.fixtures import DAY
from tests.support.prescribing import NOBODY
from tests.support.reverts import reverts


@pytest.mark.spec("F9", "F10")
def test_whole_fill_is_kept_and_announced(prescriptions, counter, issued, pharmacy, form):
    before = counter.state(issued.id)

    tx = counter.by(form).fill(issued.id, 1, 0, 30, pharmacy)

    after = counter.state(issued.id)
    assert (after.number, after.filled, after.left, after.in_progress) == (1, 30, 2, False)
    assert (after.pharmacy, after.fills, after.quantity, after.valid_until, after.sequence) == (
        before.pharmacy,
        before.fills,
        before.quantity,
        before.valid_until,
        before.sequence,
    )
    assert len(tx.events) == 1
    assert dict(tx.events["PrescriptionFilled"]) == {
        "prescription": "0x" + issued.id.hex(),
        "word": prescriptions.prescriptionOf(issued.id),
    }


@pytest.mark.spec("F10")
def test_all_fills_are_given_in_turn(counter, issued, pharmacy, form):
    for number in (1, 2, 3):
        counter.by(form).fill(issued.id, number, 0, 30, pharmacy)

    assert counter.state(issued.id).left == 0


@pytest.mark.spec("F11")
def test_parts_add_up_to_the_fill(counter, issued, pharmacy, form):
    for before, quantity in ((0, 1), (1, 19), (20, 10)):
        counter.by(form).fill(issued.id, 1, before, quantity, pharmacy)
        assert counter.state(issued.id).filled == before + quantity
    assert not counter.state(issued.id).in_progress
    counter.by(form).fill(issued.id, 2, 0, 30, pharmacy)


@pytest.mark.spec("F11")
def test_rest_of_a_fill_lapses_with_the_next(counter, issued, pharmacy):
    counter.fill(issued.id, 1, 0, 10, pharmacy)
    counter.fill(issued.id, 2, 0, 30, pharmacy)

    with reverts("AlreadyFilled", issued.id, 3):
        counter.fill(issued.id, 1, 10, 20, pharmacy)


@pytest.mark.spec("F12")
def test_second_fill_of_a_number_reverts(counter, issued, pharmacy, refused_form):
    counter.fill(issued.id, 1, 0, 30, pharmacy)

    for before in (0, 30):
        with reverts("AlreadyFilled", issued.id, 2):
            counter.by(refused_form).fill(issued.id, 1, before, 30, pharmacy)
    counter.fill(issued.id, 2, 0, 30, pharmacy)
    with reverts("AlreadyFilled", issued.id, 3):
        counter.by(refused_form).fill(issued.id, 1, 0, 30, pharmacy)


@pytest.mark.spec("F12")
def test_part_that_is_sent_twice_counts_once(counter, issued, pharmacy, refused_form):
    counter.fill(issued.id, 1, 0, 10, pharmacy)

    with reverts("FillChanged", issued.id, 10):
        counter.by(refused_form).fill(issued.id, 1, 0, 10, pharmacy)
    assert counter.state(issued.id).filled == 10


@pytest.mark.spec("F12")
def test_fill_that_was_not_begun_has_nothing_before(counter, issued, pharmacy):
    with reverts("FillChanged", issued.id, 0):
        counter.fill(issued.id, 1, 10, 20, pharmacy)


@pytest.mark.spec("F13")
def test_no_fill_is_skipped(counter, issued, pharmacy, refused_form):
    with reverts("FillSkipped", issued.id, 1):
        counter.by(refused_form).fill(issued.id, 2, 0, 30, pharmacy)
    with reverts("AlreadyFilled", issued.id, 1):
        counter.by(refused_form).fill(issued.id, 0, 0, 30, pharmacy)


@pytest.mark.spec("F13")
def test_no_more_fills_than_allowed(counter, issued, pharmacy, refused_form):
    for number in (1, 2, 3):
        counter.fill(issued.id, number, 0, 30, pharmacy)

    for number in (4, 255):
        with reverts("FillsExhausted", issued.id, 3):
            counter.by(refused_form).fill(issued.id, number, 0, 30, pharmacy)


@pytest.mark.spec("F13")
def test_last_of_255_fills(counter, one, terms, clinic, pharmacy):
    counter.issue(one, terms.changed(fills=255, quantity=65535), clinic)
    for number in range(1, 256):
        counter.fill(one.id, number, 0, 1 if number < 255 else 65535, pharmacy)

    with reverts("AlreadyFilled", one.id, 256):
        counter.fill(one.id, 255, 65535, 1, pharmacy)
    assert counter.state(one.id).cancelled is counter.state(one.id).held is False


@pytest.mark.spec("F14")
@pytest.mark.parametrize(("before", "quantity", "left"), [(0, 0, 30), (0, 31, 30), (0, 65535, 30), (20, 11, 10)])
def test_quantity_is_what_is_left_at_most(counter, issued, pharmacy, before, quantity, left, refused_form):
    if before:
        counter.fill(issued.id, 1, 0, before, pharmacy)

    with reverts("QuantityNotPossible", issued.id, left):
        counter.by(refused_form).fill(issued.id, 1, before, quantity, pharmacy)


@pytest.mark.spec("F15")
def test_foreign_pharmacy_fills_nothing(counter, issued, pharmacy, second_pharmacy, clinic, patient, stranger):
    for by in (second_pharmacy, clinic, patient, stranger):
        with reverts("PharmacyRequired", issued.id, pharmacy.address):
            counter.fill(issued.id, 1, 0, 30, by)
        with reverts("SignatureInvalid", pharmacy.address):
            counter.by("signed").fill(issued.id, 1, 0, 30, by)


@pytest.mark.spec("F15")
def test_nobody_fills_while_no_pharmacy_is_named(prescriptions, counter, one, terms, clinic, pharmacy, relayer):
    counter.issue(one, terms.changed(pharmacy=NOBODY), clinic)

    with reverts("PharmacyRequired", one.id, NOBODY):
        counter.fill(one.id, 1, 0, 30, pharmacy)
    with reverts("PharmacyRequired", one.id, NOBODY):
        prescriptions.fillFor(pharmacy, one.id, 1, 0, 30, 0, b"", {"from": pharmacy})
    with reverts("StepNotYours", NOBODY, relayer.address):
        prescriptions.fillFor(NOBODY, one.id, 1, 0, 30, 0, b"", {"from": relayer})
    with reverts("StepNotYours", NOBODY, NOBODY):
        prescriptions.fillFor(NOBODY, one.id, 1, 0, 30, counter.deadline, b"\1" * 65, {"from": relayer})


@pytest.mark.spec("F16")
def test_last_day_is_the_last(counter, issued, terms, pharmacy, chain, refused_form):
    chain.sleep((terms.valid_until + 1) * DAY - 60 - chain.time())
    chain.mine()
    counter.fill(issued.id, 1, 0, 10, pharmacy)
    chain.sleep(120)
    chain.mine()

    late = counter.__class__(**{**vars(counter), "deadline": chain.time() + DAY}).by(refused_form)
    with reverts("PrescriptionExpired", issued.id, terms.valid_until):
        late.fill(issued.id, 1, 10, 20, pharmacy)


@pytest.mark.spec("F17")
def test_unknown_prescription_is_not_filled(counter, issued, batch, pharmacy, refused_form):
    for unknown in (b"\x77" * 32, issued.at(1).id, batch.id, batch.at(101).id):
        with reverts("PrescriptionUnknown", unknown):
            counter.by(refused_form).fill(unknown, 1, 0, 30, pharmacy)


# -- standing ---------------------------------------------------------------------------------------------------


@pytest.mark.spec("F18")
def test_pharmacy_is_asked_for_anew_each_day(prescriptions, counter, issued, pharmacy, today, wait):
    wait(2)
    tx = counter.fill(issued.id, 1, 0, 10, pharmacy)

    assert PRESCRIPTION_FIELDS["checkedOn"].of(prescriptions.prescriptionOf(issued.id)) == tx.timestamp // DAY > today


@pytest.mark.spec("F18", "F19")
def test_suspended_pharmacy_fills_until_midnight_at_most(counter, issued, pharmacy, suspend, reinstate, wait):
    suspend(pharmacy)
    counter.fill(issued.id, 1, 0, 10, pharmacy)
    wait(1)

    with reverts("PharmacyRequired", issued.id, pharmacy.address):
        counter.fill(issued.id, 1, 10, 20, pharmacy)
    reinstate(pharmacy)
    counter.fill(issued.id, 1, 10, 20, pharmacy)


@pytest.mark.spec("F18")
def test_lapsed_accreditation_ends_at_once(counter, one, terms, clinic, pharmacy, registrar, admin, today, wait):
    """It ends with a day, as the check does."""
    registrar.renew(pharmacy, b"\x66" * 32, today, {"from": admin})
    counter.issue(one, terms, clinic)
    counter.fill(one.id, 1, 0, 10, pharmacy)
    wait(1)

    with reverts("PharmacyRequired", one.id, pharmacy.address):
        counter.fill(one.id, 1, 10, 20, pharmacy)


@pytest.mark.spec("F20")
def test_signed_fill_asks_for_the_pharmacy_each_time(counter, issued, pharmacy, suspend):
    suspend(pharmacy)

    with reverts("StepNotYours", pharmacy.address, pharmacy.address):
        counter.by("signed").fill(issued.id, 1, 0, 30, pharmacy)


@pytest.mark.spec("F21")
def test_new_account_of_the_pharmacy_fills_and_is_asked_for_each_time(
    counter, issued, pharmacy, fresh_account, rotate, suspend
):
    rotate(pharmacy, fresh_account)
    counter.fill(issued.id, 1, 0, 10, fresh_account)

    assert counter.state(issued.id).checked_on is None
    with reverts("PharmacyRequired", issued.id, pharmacy.address):  # its old key
        counter.fill(issued.id, 1, 10, 20, pharmacy)
    suspend(pharmacy)
    with reverts("PharmacyRequired", issued.id, pharmacy.address):
        counter.fill(issued.id, 1, 10, 20, fresh_account)


@pytest.mark.spec("F19", "F21")
def test_old_key_fills_until_midnight_at_most(counter, issued, pharmacy, fresh_account, rotate, wait):
    rotate(pharmacy, fresh_account)
    counter.fill(issued.id, 1, 0, 10, pharmacy)
    wait(1)

    with reverts("PharmacyRequired", issued.id, pharmacy.address):
        counter.fill(issued.id, 1, 10, 20, pharmacy)


@pytest.mark.spec("F21")
def test_old_key_signs_no_fill(counter, issued, pharmacy, fresh_account, rotate):
    rotate(pharmacy, fresh_account)

    with reverts("SignatureInvalid", fresh_account.address):
        counter.by("signed").fill(issued.id, 1, 0, 30, pharmacy)
    counter.by("signed").fill(issued.id, 1, 0, 30, fresh_account)


@pytest.mark.spec("F22")
def test_prescriber_that_is_suspended_stops_no_fill_by_itself(counter, issued, clinic, pharmacy, suspend):
    suspend(clinic)

    counter.fill(issued.id, 1, 0, 30, pharmacy)


# -- of a batch ---------------------------------------------------------------------------------------------------


@pytest.mark.spec("F25")
def test_fill_opens_a_prescription_of_a_batch(prescriptions, counter, batch, pharmacy, form):
    third = batch.at(3).id
    counter.fill_batch(batch.id, [(2, 1), (3, 1), (4, 1)], pharmacy)

    tx = counter.by(form).fill(third, 2, 0, 10, pharmacy)

    assert [event.name for event in tx.events] == ["PrescriptionOpened", "PrescriptionFilled"]
    assert dict(tx.events["PrescriptionOpened"]) == {"prescription": "0x" + third.hex()}
    state = decode_prescription(tx.events["PrescriptionFilled"]["word"])
    assert state == counter.state(third)
    assert (state.number, state.filled) == (2, 10)
    for neighbour in (2, 4):
        assert counter.state(batch.at(neighbour).id).number == 1
    again = counter.by(form).fill(third, 2, 10, 20, pharmacy)
    assert [event.name for event in again.events] == ["PrescriptionFilled"]


@pytest.mark.spec("F25")
def test_fills_given_with_the_batch_count_when_it_is_opened(counter, batch, pharmacy):
    counter.fill_batch(batch.id, [(100, 1), (100, 2)], pharmacy)

    with reverts("AlreadyFilled", batch.at(100).id, 3):
        counter.fill(batch.at(100).id, 2, 0, 30, pharmacy)
    counter.fill(batch.at(100).id, 3, 0, 30, pharmacy)
    with reverts("FillsExhausted", batch.at(100).id, 3):
        counter.fill(batch.at(100).id, 4, 0, 30, pharmacy)

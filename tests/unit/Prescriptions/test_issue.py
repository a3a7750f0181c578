from __future__ import annotations

import pytest

from medproof.policy.prescription import PRESCRIPTION_FIELDS
from tests.support.fixtures import SALTED
from tests.support.prescribing import NOBODY, Prescription
from tests.support.reverts import reverts


@pytest.mark.spec("F1", "F3", "F4")
def test_prescription_is_kept_and_announced(prescriptions, registrar, counter, one, terms, clinic, today, form):
    tx = counter.by(form).issue(one, terms, clinic)

    state = counter.state(one.id)
    assert prescriptions.registrar() == registrar
    assert (state.pharmacy, state.fills, state.quantity) == (terms.pharmacy, 3, 30)
    assert (state.number, state.filled, state.sequence, state.cancelled, state.held) == (0, 0, 0, False, False)
    word = prescriptions.prescriptionOf(one.id)
    assert PRESCRIPTION_FIELDS["validUntil"].of(word) == terms.valid_until
    assert PRESCRIPTION_FIELDS["checkedOn"].of(word) == today
    assert prescriptions.isIssued(one.id)
    assert prescriptions.sizeOf(one.id) == 0
    assert len(tx.events) == 1
    assert dict(tx.events["PrescriptionIssued"]) == {
        "prescription": "0x" + one.id.hex(),
        "prescriber": one.prescriber,
        "patient": one.patient,
        "content": "0x" + SALTED.hex(),
        "word": word,
    }


@pytest.mark.spec("F2")
def test_id_is_the_hash_with_the_place_last(prescriptions, one):
    for place in (0, 1, 65535):
        assert bytes(prescriptions.prescriptionId(tuple(one.at(place)))) == one.at(place).id


@pytest.mark.spec("F2")
def test_content_that_another_issued_stays_free(counter, one, terms, clinic, second_clinic):
    """Whoever copies it from a waiting transaction has a prescription of its own."""
    copied = one._replace(prescriber=second_clinic.address)
    counter.issue(copied, terms, second_clinic)
    counter.issue(one, terms, clinic)

    assert copied.id != one.id


@pytest.mark.spec("F4")
def test_pharmacy_may_stay_open(counter, one, terms, clinic):
    counter.issue(one, terms.changed(pharmacy=NOBODY), clinic)

    assert counter.state(one.id).pharmacy is None
    assert counter.state(one.id).checked_on is None


@pytest.mark.spec("F3")
@pytest.mark.parametrize("who", ["payer", "pharmacy", "researcher"])
def test_other_kinds_do_not_prescribe(counter, one, terms, request, who, refused_form):
    party = request.getfixturevalue(who)
    kind = {"payer": 2, "pharmacy": 3, "researcher": 4}[who]

    with reverts("KindNotAdmitted", party.address, kind):
        counter.by(refused_form).issue(one._replace(prescriber=party.address), terms, party)


@pytest.mark.spec("F3")
def test_stranger_does_not_prescribe_for_another(counter, one, terms, stranger, second_clinic):
    for by in (stranger, second_clinic):
        with reverts("StepNotYours", one.prescriber, by.address):
            counter.issue(one, terms, by)
        with reverts("SignatureInvalid", one.prescriber):
            counter.by("signed").issue(one, terms, by)


@pytest.mark.spec("F3")
def test_suspended_provider_does_not_prescribe(counter, one, terms, clinic, suspend):
    suspend(clinic)

    for form in ("direct", "signed"):
        with reverts("StepNotYours", clinic.address, clinic.address):
            counter.by(form).issue(one, terms, clinic)


@pytest.mark.spec("F5")
@pytest.mark.parametrize("change", [{"fills": 0}, {"quantity": 0}])
def test_something_is_prescribed(counter, one, terms, clinic, change):
    with reverts("PrescriptionIncomplete"):
        counter.issue(one, terms.changed(**change), clinic)


@pytest.mark.spec("F5")
def test_content_is_committed_to(counter, one, terms, clinic):
    with reverts("PrescriptionIncomplete"):
        counter.issue(one._replace(content=b"\0" * 32), terms, clinic)


@pytest.mark.spec("F5")
def test_today_is_the_earliest_last_day(counter, one, terms, clinic, today):
    with reverts("PrescriptionPast", today - 1, today):
        counter.issue(one, terms.changed(valid_until=today - 1), clinic)
    counter.issue(one, terms.changed(valid_until=today), clinic)


@pytest.mark.spec("F5")
def test_largest_terms_are_kept(counter, one, terms, clinic):
    counter.issue(one, terms.changed(fills=255, quantity=65535, valid_until=65535), clinic)

    state = counter.state(one.id)
    assert (state.fills, state.quantity, state.valid_until.isoformat()) == (255, 65535, "2149-06-06")


@pytest.mark.spec("F6")
def test_prescription_is_issued_once(counter, issued, terms, clinic, refused_form):
    with reverts("PrescriptionExists", issued.id):
        counter.by(refused_form).issue(issued, terms.changed(fills=5), clinic)


@pytest.mark.spec("F7")
@pytest.mark.parametrize("who", ["clinic", "stranger"])
def test_pharmacy_is_an_active_one(counter, one, terms, clinic, request, who):
    other = request.getfixturevalue(who)

    with reverts("PharmacyInactive", other.address):
        counter.issue(one, terms.changed(pharmacy=other.address), clinic)


@pytest.mark.spec("F7")
def test_pharmacy_is_not_suspended(counter, one, terms, clinic, pharmacy, suspend):
    suspend(pharmacy)

    with reverts("PharmacyInactive", pharmacy.address):
        counter.issue(one, terms, clinic)


@pytest.mark.spec("F8")
def test_batch_is_kept(prescriptions, counter, batch, terms):
    assert prescriptions.sizeOf(batch.id) == 100
    assert prescriptions.prescriptionOf(batch.id) == 0
    assert not prescriptions.isIssued(batch.id)
    for place in (1, 63, 64, 100):
        state = counter.state(batch.at(place).id)
        assert (state.pharmacy, state.fills, state.quantity) == (terms.pharmacy, 3, 30)
        assert (state.number, state.filled, state.checked_on, state.size) == (0, 0, None, None)
        assert prescriptions.isIssued(batch.at(place).id)
    for place in (101, 65535):
        assert not prescriptions.isIssued(batch.at(place).id)


@pytest.mark.spec("F8")
def test_batch_announces_its_word_alone(prescriptions, counter, terms, clinic):
    many = Prescription(clinic.address, NOBODY, b"\x44" * 32)

    tx = counter.issue(many, terms.changed(size=65535), clinic)

    assert len(tx.events) == 1
    word = tx.events["PrescriptionIssued"]["word"]
    assert PRESCRIPTION_FIELDS["batch"].of(word) == 1
    assert PRESCRIPTION_FIELDS["filled"].of(word) == 65535
    assert prescriptions.isIssued(many.at(65535).id)


@pytest.mark.spec("F8")
@pytest.mark.parametrize("change", [{"fills": 15}, {"pharmacy": NOBODY}])
def test_batch_has_a_pharmacy_and_few_fills(counter, terms, clinic, change):
    with reverts("BatchNotPossible"):
        counter.issue(Prescription(clinic.address, NOBODY, SALTED), terms.changed(size=1, **change), clinic)


@pytest.mark.spec("F8")
def test_batch_names_no_patient(counter, one, terms, clinic):
    with reverts("BatchNotPossible"):
        counter.issue(one, terms.changed(size=1), clinic)

"""What a strict plan asks for: a registered encounter or prescription, and the patient's agreement."""

from __future__ import annotations

import pytest

from medproof import messages
from tests.support.claims import ADJUDICATED, APPROVED, NONE, OVERTURNED, RELAYER, SETTLED, SUBMITTED
from tests.support.fixtures import DAY, NOBODY, SALTED
from tests.support.reverts import reverts
from tests.unit.ClaimAnchor.conftest import VISIT

ENCOUNTER = b"\x5b" * 32
PRINTED = "0x" + ENCOUNTER.hex()


@pytest.mark.parametrize("relayed", [False, True])
@pytest.mark.spec("K38")
def test_encounter_is_registered_and_announced(claim_anchor, desk, patient, sign, relayed):
    message = messages.encounter(desk.domain, patient=patient.address, encounter=ENCOUNTER, deadline=desk.deadline)
    signature = sign(patient, message) if relayed else b""

    tx = claim_anchor.registerEncounter(
        patient, ENCOUNTER, desk.deadline, signature, {"from": desk.relayer if relayed else patient}
    )

    assert claim_anchor.encounterAt(patient, ENCOUNTER) == tx.timestamp
    assert len(tx.events) == 1
    assert dict(tx.events["EncounterRegistered"]) == {"patient": patient, "encounter": PRINTED}


@pytest.mark.spec("K38")
def test_encounter_is_registered_once(claim_anchor, desk, patient, sign):
    message = messages.encounter(desk.domain, patient=patient.address, encounter=ENCOUNTER, deadline=desk.deadline)
    given = (patient, ENCOUNTER, desk.deadline, sign(patient, message))
    claim_anchor.registerEncounter(*given, {"from": desk.relayer})

    with reverts("EncounterExists", patient.address, PRINTED):
        claim_anchor.registerEncounter(*given, {"from": desk.relayer})


@pytest.mark.spec("K38")
def test_nobody_takes_anothers_encounter(claim_anchor, patient, second_patient):
    """A copied id is another encounter: it neither registers the first nor stands in its way."""
    claim_anchor.registerEncounter(second_patient, ENCOUNTER, 0, b"", {"from": second_patient})

    assert claim_anchor.encounterAt(patient, ENCOUNTER) == 0
    claim_anchor.registerEncounter(patient, ENCOUNTER, 0, b"", {"from": patient})


@pytest.mark.spec("K38")
def test_encounter_in_another_patients_name_reverts(claim_anchor, desk, patient, second_patient, stranger, sign):
    with reverts("StepNotYours", patient.address, stranger.address):
        claim_anchor.registerEncounter(patient, ENCOUNTER, 0, b"", {"from": stranger})
    message = messages.encounter(desk.domain, patient=patient.address, encounter=ENCOUNTER, deadline=desk.deadline)
    with reverts("SignatureInvalid", patient.address):
        claim_anchor.registerEncounter(
            patient, ENCOUNTER, desk.deadline, sign(second_patient, message), {"from": stranger}
        )


@pytest.mark.spec("K38")
def test_encounter_without_patient_or_id_reverts(claim_anchor, patient):
    with reverts("EncounterIncomplete"):
        claim_anchor.registerEncounter(NOBODY, ENCOUNTER, 0, b"", {"from": patient})
    with reverts("EncounterIncomplete"):
        claim_anchor.registerEncounter(patient, bytes(32), 0, b"", {"from": patient})


@pytest.mark.spec("K39")
def test_claim_of_a_registered_encounter_is_submitted(claim_anchor, desk, strict, strict_claim, form):
    desk.take("submit", strict_claim, form, rules=strict)

    assert claim_anchor.stateOf(strict_claim.id)[:4] == (SUBMITTED, 0, strict, False)


@pytest.mark.spec("K39")
def test_claim_of_an_encounter_that_nobody_registered_reverts(desk, strict, strict_claim, form):
    unregistered = strict_claim.changed(registration=b"\x5d" * 32)

    with reverts("EncounterUnknown", unregistered.patient, unregistered.encounter):
        desk.take("submit", unregistered, form, rules=strict)


@pytest.mark.spec("K39")
def test_claim_of_another_patients_encounter_reverts(desk, strict, strict_claim, second_patient, form):
    anothers = strict_claim.changed(patient=second_patient.address)

    with reverts("EncounterUnknown", second_patient.address, anothers.encounter):
        desk.take("submit", anothers, form, rules=strict)


@pytest.mark.spec("K39")
def test_claim_of_an_encounter_with_another_provider_reverts(claim_anchor, desk, strict, strict_claim, second_clinic):
    """What an event showed, or the first claim of the encounter, serves nobody else."""
    desk.take("submit", strict_claim, rules=strict)
    for seen in (VISIT, bytes(claim_anchor.encounterId(strict_claim.provider, VISIT))):
        copied = strict_claim.changed(provider=second_clinic.address, registration=seen, nullifier=b"\x34" * 32)
        with reverts("EncounterUnknown", copied.patient, copied.encounter):
            desk.take("submit", copied, rules=strict)


@pytest.mark.spec("K39")
def test_claim_without_its_patient_reverts(desk, claim, strict, form):
    with reverts("PatientMissing", claim.payer, strict):
        desk.take("submit", claim, form, rules=strict)


@pytest.mark.spec("K39")
def test_replacement_is_held_to_the_same(desk, claim, strict, strict_claim, form):
    desk.take("submit", claim)
    unregistered = strict_claim.changed(registration=b"\x5d" * 32, commitment=b"\x44" * 32)

    with reverts("EncounterUnknown", strict_claim.patient, unregistered.encounter):
        desk.take("replace", claim, form, correction=unregistered, rules=strict)


@pytest.mark.spec("K39")
def test_pharmacys_claim_needs_a_prescription(
    claim_anchor, prescriptions, desk, strict, strict_claim, clinic, pharmacy, patient, chain
):
    """An encounter will not do for a pharmacy, nor a prescription for a clinic."""
    dispensed = strict_claim.changed(provider=pharmacy.address)
    with reverts("PrescriptionNotIssued", "0x" + VISIT.hex()):
        desk.take("submit", dispensed, rules=strict)
    terms = (pharmacy.address, 3, 30, chain.time() // DAY + 365, 0)
    issued = prescriptions.issue(clinic, patient, SALTED, terms, 0, b"", {"from": clinic}).return_value

    desk.take("submit", dispensed.changed(registration=bytes(issued)), rules=strict)

    visited = strict_claim.changed(registration=bytes(issued), nullifier=b"\x34" * 32)
    with reverts("EncounterUnknown", patient.address, visited.encounter):
        desk.take("submit", visited, rules=strict)


@pytest.mark.spec("K5", "K40")
def test_settlement_by_three(claim_anchor, desk, strict, strict_claim, joint_form):
    desk.bring(strict_claim, ADJUDICATED, rules=strict)

    desk.take("settle", strict_claim, joint_form)

    assert claim_anchor.stateOf(strict_claim.id)[:4] == (SETTLED, APPROVED, strict, True)


@pytest.mark.spec("K5", "K40")
def test_patient_sends_the_settlement(claim_anchor, desk, strict, strict_claim, patient):
    desk.bring(strict_claim, OVERTURNED, rules=strict)
    what = desk.what()
    by_two = [desk.signature("settle", strict_claim, owner, what) for owner in ("provider", "payer")]

    desk.send("settle", strict_claim, what, patient, *by_two)

    assert claim_anchor.stateOf(strict_claim.id)[0] == SETTLED


@pytest.mark.spec("K5", "K40")
def test_settlement_without_the_patient_reverts(desk, strict, strict_claim, payer, second_patient, sign):
    desk.bring(strict_claim, ADJUDICATED, rules=strict)
    what = desk.what()
    by_two = [desk.signature("settle", strict_claim, owner, what) for owner in ("provider", "payer")]

    with reverts("StepNotYours", strict_claim.patient, desk.relayer.address):
        desk.send("settle", strict_claim, what, desk.relayer, *by_two)
    with reverts("StepNotYours", strict_claim.patient, payer.address):
        desk.send("settle", strict_claim, what, payer, *by_two)
    with reverts("SignatureInvalid", strict_claim.patient):
        desk.send("settle", strict_claim, what, desk.relayer, *by_two, by_two[1])
    forged = sign(second_patient, desk.message("settle", strict_claim, what))
    with reverts("SignatureInvalid", strict_claim.patient):
        desk.send("settle", strict_claim, what, desk.relayer, *by_two, forged)


@pytest.mark.spec("K40")
def test_without_the_rules_asking_the_patient_is_not_read(claim_anchor, desk, claim):
    desk.bring(claim, ADJUDICATED)
    what = desk.what()
    by_two = [desk.signature("settle", claim, owner, what) for owner in ("provider", "payer")]

    desk.send("settle", claim, what, desk.relayer, *by_two, b"\xff" * 65)

    assert claim_anchor.stateOf(claim.id)[0] == SETTLED


@pytest.mark.spec("K41")
def test_claim_of_a_provider_suspended_meanwhile_is_adjudicated_but_not_settled(
    claim_anchor, desk, claim, registrar, admin
):
    desk.bring(claim, SUBMITTED)
    registrar.suspend(claim.provider, {"from": admin})

    desk.take("adjudicate", claim)
    with reverts("StepNotYours", claim.provider, claim.provider):
        desk.take("settle", claim, RELAYER)

    registrar.reinstate(claim.provider, {"from": admin})
    desk.take("settle", claim, RELAYER)
    assert claim_anchor.stateOf(claim.id)[0] == SETTLED
    assert claim_anchor.stateOf(claim.changed(commitment=b"\x5e" * 32).id)[0] == NONE

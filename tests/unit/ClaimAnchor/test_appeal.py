from __future__ import annotations

import pytest

from tests.support.claims import (
    ADJUDICATED,
    APPEALED,
    APPROVED,
    DENIED,
    GROUNDS,
    OVERTURNED,
    PARTIAL,
    RELAYER,
    RESPONSE,
    SECOND_RESPONSE,
    SETTLED,
    SUBMITTED,
    UPHELD,
)
from tests.support.reverts import reverts


@pytest.fixture
def patients_claim(claim, patient):
    return claim.changed(patient=patient.address)


@pytest.mark.parametrize("outcome", [APPROVED, PARTIAL, DENIED])
@pytest.mark.spec("K2", "K31")
def test_decision_is_appealed_and_announced(claim_anchor, desk, claim, form, outcome):
    desk.bring(claim, ADJUDICATED, outcome)

    tx = desk.take("appeal", claim, form)

    assert claim_anchor.stateOf(claim.id)[:5] == (APPEALED, outcome, 1, False, False)
    assert claim_anchor.responseOf(claim.id) == "0x" + RESPONSE.hex()
    assert len(tx.events) == 1
    assert dict(tx.events["ClaimAppealed"]) == {
        "claim": claim.id,
        "by": claim.provider,
        "grounds": "0x" + GROUNDS.hex(),
    }


@pytest.mark.parametrize("relayed", [False, True])
@pytest.mark.spec("K31")
def test_patient_appeals(claim_anchor, desk, patients_claim, patient, sign, relayed):
    desk.bring(patients_claim, ADJUDICATED, DENIED)
    what = desk.what(by=patient.address)
    signature = sign(patient, desk.message("appeal", patients_claim, what)) if relayed else b""

    tx = desk.send("appeal", patients_claim, what, desk.relayer if relayed else patient, signature)

    assert claim_anchor.stateOf(patients_claim.id)[0] == APPEALED
    assert tx.events["ClaimAppealed"]["by"] == patient


@pytest.mark.spec("K6", "K31")
def test_patient_appeals_where_the_provider_is_suspended(claim_anchor, desk, patients_claim, patient, registrar, admin):
    desk.bring(patients_claim, ADJUDICATED, DENIED)
    registrar.suspend(patients_claim.provider, {"from": admin})

    desk.send("appeal", patients_claim, desk.what(by=patient.address), patient)

    assert claim_anchor.stateOf(patients_claim.id)[0] == APPEALED


@pytest.mark.spec("K5", "K31")
def test_patient_that_the_claim_does_not_name_cannot_appeal(desk, claim, patient):
    desk.bring(claim, ADJUDICATED, DENIED)

    with reverts("StepNotYours", claim.provider, patient.address):
        desk.send("appeal", claim, desk.what(by=patient.address), patient)


@pytest.mark.spec("K6")
def test_suspended_provider_does_not_appeal_as_its_own_patient(desk, claim, registrar, admin, clinic):
    own = claim.changed(patient=clinic.address)
    desk.bring(own, ADJUDICATED, DENIED)
    registrar.suspend(clinic, {"from": admin})

    with reverts("StepNotYours", clinic.address, clinic.address):
        desk.take("appeal", own)


@pytest.mark.spec("K5", "K31")
def test_nobody_appeals_as_the_patient_of_a_claim_without_one(desk, claim, stranger):
    desk.bring(claim, ADJUDICATED, DENIED)

    with reverts("StepNotYours", claim.provider, claim.patient):
        desk.send("appeal", claim, desk.what(by=claim.patient), stranger)


@pytest.mark.spec("K5", "K31")
def test_appeal_in_a_patients_name_by_another_reverts(desk, patients_claim, patient, stranger, sign, second_patient):
    desk.bring(patients_claim, ADJUDICATED, DENIED)
    what = desk.what(by=patient.address)
    forged = sign(second_patient, desk.message("appeal", patients_claim, what))

    with reverts("StepNotYours", patient.address, stranger.address):
        desk.send("appeal", patients_claim, what, stranger)
    with reverts("SignatureInvalid", patient.address):
        desk.send("appeal", patients_claim, what, stranger, forged)


@pytest.mark.spec("K5", "K31")
def test_payer_does_not_appeal(desk, claim, payer):
    desk.bring(claim, ADJUDICATED, DENIED)

    with reverts("StepNotYours", claim.provider, payer.address):
        desk.send("appeal", claim, desk.what(by=payer.address), payer)


@pytest.mark.spec("K31")
def test_appeal_without_grounds_reverts(desk, claim, form):
    desk.bring(claim, ADJUDICATED, DENIED)

    with reverts("GroundsMissing"):
        desk.take("appeal", claim, form, grounds=bytes(32))


@pytest.mark.parametrize("outcome", [APPROVED, PARTIAL, DENIED])
@pytest.mark.spec("K2", "K32")
def test_appeal_is_upheld_and_announced(claim_anchor, desk, claim, form, outcome):
    desk.bring(claim, APPEALED, outcome)

    tx = desk.take("decideAppeal", claim, form, outcome=outcome, response=SECOND_RESPONSE)

    assert claim_anchor.stateOf(claim.id)[:4] == (UPHELD, outcome, 1, False)
    assert claim_anchor.responseOf(claim.id) == "0x" + SECOND_RESPONSE.hex()
    assert len(tx.events) == 1
    assert dict(tx.events["AppealDecided"]) == {
        "claim": claim.id,
        "upheld": True,
        "outcome": outcome,
        "response": "0x" + SECOND_RESPONSE.hex(),
    }


@pytest.mark.parametrize(
    ("before", "after"), [(DENIED, APPROVED), (DENIED, PARTIAL), (PARTIAL, APPROVED), (PARTIAL, PARTIAL)]
)
@pytest.mark.spec("K2", "K32")
def test_appeal_is_overturned_and_announced(claim_anchor, desk, claim, form, before, after):
    desk.bring(claim, APPEALED, before)

    tx = desk.take("decideAppeal", claim, form, upheld=False, outcome=after, response=SECOND_RESPONSE)

    assert claim_anchor.stateOf(claim.id)[:4] == (OVERTURNED, after, 1, False)
    assert claim_anchor.responseOf(claim.id) == "0x" + SECOND_RESPONSE.hex()
    assert dict(tx.events["AppealDecided"]) == {
        "claim": claim.id,
        "upheld": False,
        "outcome": after,
        "response": "0x" + SECOND_RESPONSE.hex(),
    }


@pytest.mark.parametrize(
    ("before", "upheld", "after", "response"),
    [
        (DENIED, True, APPROVED, SECOND_RESPONSE),
        (PARTIAL, True, DENIED, SECOND_RESPONSE),
        (PARTIAL, False, DENIED, SECOND_RESPONSE),
        (DENIED, False, DENIED, SECOND_RESPONSE),
        (PARTIAL, False, PARTIAL, RESPONSE),
    ],
)
@pytest.mark.spec("K32")
def test_outcome_that_does_not_fit_the_decision_reverts(desk, claim, form, before, upheld, after, response):
    desk.bring(claim, APPEALED, before)

    with reverts("OutcomeMismatch", claim.id, before):
        desk.take("decideAppeal", claim, form, upheld=upheld, outcome=after, response=response)


@pytest.mark.spec("K24", "K32")
def test_appeal_is_decided_under_the_claims_rules(desk, claim, form):
    desk.bring(claim, APPEALED, DENIED)

    with reverts("RulesMismatch", claim.id, 1):
        desk.take("decideAppeal", claim, form, rules=2)


@pytest.mark.parametrize("missing", [{"outcome": 0}, {"response": bytes(32)}])
@pytest.mark.spec("K18", "K32")
def test_decision_without_outcome_or_response_reverts(desk, claim, form, missing):
    desk.bring(claim, APPEALED, DENIED)

    with reverts("OutcomeMissing"):
        desk.take("decideAppeal", claim, form, **missing)


@pytest.mark.parametrize("decided", [UPHELD, OVERTURNED])
@pytest.mark.spec("K31")
def test_one_appeal_for_each_adjudication(desk, claim, form, decided):
    desk.bring(claim, decided, PARTIAL)

    with reverts("StepNotPossible", claim.id, decided):
        desk.take("appeal", claim, form)


@pytest.mark.spec("K19", "K32")
def test_settlement_signed_before_the_appeal_does_not_count_after_it(desk, claim):
    desk.bring(claim, ADJUDICATED, PARTIAL)
    what = desk.what()
    before = [desk.signature("settle", claim, owner, what) for owner in ("provider", "payer")]
    desk.take("appeal", claim)
    desk.take("decideAppeal", claim, outcome=APPROVED, response=SECOND_RESPONSE)

    with reverts("SignatureInvalid", claim.provider):
        desk.send("settle", claim, what, desk.relayer, *before)

    desk.take("settle", claim, RELAYER)
    assert desk.contract.stateOf(claim.id)[:4] == (SETTLED, APPROVED, 1, True)


@pytest.mark.spec("K31")
def test_adjudication_signed_before_the_appeal_does_not_count_after_it(desk, claim):
    desk.bring(claim, SUBMITTED)
    what = desk.what(outcome=DENIED)
    held_back = desk.signature("adjudicate", claim, "payer", what)
    desk.take("adjudicate", claim, outcome=PARTIAL)
    desk.take("appeal", claim)

    with reverts("StepNotPossible", claim.id, APPEALED):
        desk.send("adjudicate", claim, what, desk.relayer, held_back)

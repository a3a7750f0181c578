from __future__ import annotations

import pytest

from tests.support.claims import (
    ADJUDICATED,
    APPEALED,
    APPROVED,
    DENIED,
    OVERTURNED,
    PARTIAL,
    PENDED,
    SETTLED,
    SUBMITTED,
    UPHELD,
    VOIDED,
)
from tests.support.reverts import reverts

UNPAID = [(SUBMITTED, 0), (PENDED, 0), (ADJUDICATED, APPROVED), (ADJUDICATED, PARTIAL), (ADJUDICATED, DENIED)]
UNPAID += [(APPEALED, DENIED), (UPHELD, DENIED), (OVERTURNED, APPROVED)]


@pytest.mark.parametrize(("status", "outcome"), UNPAID)
@pytest.mark.spec("K2", "K14")
def test_unpaid_claim_is_voided_by_its_provider_and_announced(claim_anchor, desk, claim, form, status, outcome):
    desk.bring(claim, status, outcome)

    tx = desk.take("void", claim, form)

    assert claim_anchor.stateOf(claim.id)[:4] == (VOIDED, outcome, 1, False)
    assert not any(bytes(claim_anchor.holderOf(claim.nullifier)))
    assert len(tx.events) == 1
    assert dict(tx.events["ClaimVoided"]) == {"claim": claim.id}


@pytest.mark.spec("K5", "K14")
def test_settled_claim_is_voided_by_both_and_announced(claim_anchor, desk, claim, joint_form):
    desk.bring(claim, SETTLED)

    tx = desk.take("void", claim, joint_form)

    assert claim_anchor.stateOf(claim.id)[:4] == (VOIDED, APPROVED, 1, True)
    assert not any(bytes(claim_anchor.holderOf(claim.nullifier)))
    assert len(tx.events) == 1
    assert dict(tx.events["ClaimVoided"]) == {"claim": claim.id}


@pytest.mark.spec("K5")
def test_settled_claim_is_not_voided_by_its_provider_alone(claim_anchor, desk, claim, clinic):
    desk.bring(claim, SETTLED)

    with reverts("StepNotYours", claim.payer, clinic.address):
        claim_anchor.void(claim, desk.deadline, b"", b"", {"from": clinic})


@pytest.mark.spec("K5")
def test_settled_claim_is_not_voided_by_the_providers_signature_twice(desk, claim):
    desk.bring(claim, SETTLED)
    signed = desk.signature("void", claim, "provider", desk.what())

    with reverts("SignatureInvalid", claim.payer):
        desk.send("void", claim, desk.what(), desk.relayer, signed, signed)


@pytest.mark.spec("K5")
def test_void_signed_before_settlement_needs_the_payer_after_it(claim_anchor, desk, claim):
    desk.bring(claim, ADJUDICATED)
    signed = desk.signature("void", claim, "provider", desk.what())
    desk.take("settle", claim)

    with reverts("StepNotYours", claim.payer, desk.relayer.address):
        desk.send("void", claim, desk.what(), desk.relayer, signed)


@pytest.mark.spec("K2")
def test_unpaid_claim_is_not_voided_by_its_payer(claim_anchor, desk, claim, payer):
    desk.bring(claim, SUBMITTED)

    with reverts("StepNotYours", claim.provider, payer.address):
        claim_anchor.void(claim, desk.deadline, b"", b"", {"from": payer})


@pytest.mark.spec("K14")
def test_voided_service_is_billed_to_another_payer(claim_anchor, desk, claim, second_payer):
    desk.bring(claim, VOIDED)
    again = claim.changed(payer=second_payer.address)

    desk.take("submit", again)

    assert claim_anchor.holderOf(claim.nullifier) == again.id


@pytest.mark.spec("K14")
def test_closed_claim_does_not_release_the_nullifier_again(claim_anchor, desk, claim, correction):
    desk.bring(claim, VOIDED)
    desk.take("submit", correction)

    with reverts("StepNotPossible", claim.id, VOIDED):
        desk.take("void", claim)
    assert claim_anchor.holderOf(claim.nullifier) == correction.id


@pytest.mark.spec("K28")
def test_replacement_of_a_settled_claim_is_not_voided_by_its_provider_alone(
    claim_anchor, desk, claim, correction, clinic
):
    desk.bring(claim, SETTLED)
    desk.take("replace", claim, correction=correction)

    with reverts("StepNotYours", claim.payer, clinic.address):
        claim_anchor.void(correction, desk.deadline, b"", b"", {"from": clinic})
    assert claim_anchor.stateOf(correction.id)[:4] == (SUBMITTED, 0, 1, True)


@pytest.mark.spec("K28")
def test_replacement_of_a_settled_claim_is_voided_by_both(claim_anchor, desk, claim, correction, joint_form):
    desk.bring(claim, SETTLED)
    desk.take("replace", claim, correction=correction)

    desk.take("void", correction, joint_form)

    assert claim_anchor.stateOf(correction.id)[:4] == (VOIDED, 0, 1, True)


@pytest.mark.spec("K29")
def test_open_claim_of_a_removed_provider_is_voided_by_anyone(claim_anchor, desk, claim, registrar, admin, stranger):
    desk.bring(claim, SUBMITTED)
    registrar.remove(claim.provider, {"from": admin})

    claim_anchor.void(claim, 0, b"", b"", {"from": stranger})

    assert claim_anchor.stateOf(claim.id)[0] == VOIDED
    assert not any(bytes(claim_anchor.holderOf(claim.nullifier)))


@pytest.mark.spec("K29")
def test_paid_claim_of_a_removed_provider_is_voided_by_its_payer_alone(
    claim_anchor, desk, claim, registrar, admin, stranger, payer
):
    desk.bring(claim, SETTLED)
    registrar.remove(claim.provider, {"from": admin})

    with reverts("StepNotYours", claim.payer, stranger.address):
        claim_anchor.void(claim, 0, b"", b"", {"from": stranger})
    claim_anchor.void(claim, 0, b"", b"", {"from": payer})

    assert claim_anchor.stateOf(claim.id)[0] == VOIDED


@pytest.mark.spec("K29")
def test_claim_of_a_suspended_provider_is_not_voided_by_anyone(claim_anchor, desk, claim, registrar, admin, stranger):
    desk.bring(claim, SUBMITTED)
    registrar.suspend(claim.provider, {"from": admin})

    with reverts("StepNotYours", claim.provider, stranger.address):
        claim_anchor.void(claim, 0, b"", b"", {"from": stranger})

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
    REPLACED,
    SETTLED,
    SUBMITTED,
    UPHELD,
    VOIDED,
    Rules,
)
from tests.support.reverts import reverts

UNPAID = [(SUBMITTED, 0), (PENDED, 0), (ADJUDICATED, APPROVED), (ADJUDICATED, PARTIAL), (ADJUDICATED, DENIED)]
UNPAID += [(APPEALED, DENIED), (UPHELD, DENIED), (OVERTURNED, APPROVED)]


def assert_replaced(claim_anchor, tx, claim, correction, outcome, *, paid=False):
    assert tx.return_value == correction.id
    assert claim_anchor.stateOf(claim.id)[:4] == (REPLACED, outcome, 1, paid)
    assert claim_anchor.stateOf(correction.id)[:4] == (SUBMITTED, 0, 1, paid)
    assert not any(bytes(claim_anchor.responseOf(correction.id)))
    assert claim_anchor.holderOf(correction.nullifier) == correction.id
    assert len(tx.events) == 2
    assert dict(tx.events["ClaimReplaced"]) == {"claim": claim.id, "by": correction.id}
    assert dict(tx.events["ClaimSubmitted"]) == correction.submitted()


@pytest.mark.parametrize(("status", "outcome"), UNPAID)
@pytest.mark.spec("K2", "K15", "K17")
def test_unpaid_claim_is_replaced_by_its_provider_and_announced(
    claim_anchor, desk, claim, correction, form, status, outcome
):
    desk.bring(claim, status, outcome)

    tx = desk.take("replace", claim, form, correction=correction)

    assert_replaced(claim_anchor, tx, claim, correction, outcome)


@pytest.mark.spec("K5", "K15")
def test_settled_claim_is_replaced_by_both_and_announced(claim_anchor, desk, claim, correction, joint_form):
    desk.bring(claim, SETTLED)

    tx = desk.take("replace", claim, joint_form, correction=correction)

    assert_replaced(claim_anchor, tx, claim, correction, APPROVED, paid=True)


@pytest.mark.spec("K5")
def test_settled_claim_is_not_replaced_by_its_provider_alone(claim_anchor, desk, claim, correction, clinic):
    desk.bring(claim, SETTLED)

    with reverts("StepNotYours", claim.payer, clinic.address):
        claim_anchor.replace(claim, correction, 1, desk.deadline, b"", b"", {"from": clinic})


@pytest.mark.spec("K15")
def test_replacement_of_another_service_frees_the_nullifier(claim_anchor, desk, claim, correction, form):
    correction = correction.changed(nullifier=b"\x45" * 32)
    desk.bring(claim, SUBMITTED)

    desk.take("replace", claim, form, correction=correction)

    assert claim_anchor.holderOf(correction.nullifier) == correction.id
    assert not any(bytes(claim_anchor.holderOf(claim.nullifier)))


@pytest.mark.spec("K13")
def test_replacement_by_a_service_billed_elsewhere_reverts(desk, claim, correction, form):
    elsewhere = claim.changed(nullifier=b"\x45" * 32)
    desk.bring(claim, SUBMITTED)
    desk.bring(elsewhere, SUBMITTED)

    with reverts("AlreadyBilled", "0x" + elsewhere.nullifier.hex(), elsewhere.id):
        desk.take("replace", claim, form, correction=correction.changed(nullifier=elsewhere.nullifier))


@pytest.mark.spec("K16")
def test_claim_does_not_replace_itself(desk, claim, form):
    desk.bring(claim, SUBMITTED)

    with reverts("ClaimExists", claim.id):
        desk.take("replace", claim, form, correction=claim)


@pytest.mark.spec("K16")
def test_voided_claim_does_not_come_back_as_a_replacement(desk, claim, correction, form):
    desk.bring(correction, VOIDED)
    desk.bring(claim, SUBMITTED)

    with reverts("ClaimExists", correction.id):
        desk.take("replace", claim, form, correction=correction)


@pytest.mark.spec("K17")
def test_replacement_by_another_provider_reverts(desk, claim, correction, second_clinic, form):
    desk.bring(claim, SUBMITTED)

    with reverts("ReplacementMismatch", claim.id):
        desk.take("replace", claim, form, correction=correction.changed(provider=second_clinic.address))


@pytest.mark.spec("K17")
def test_replacement_to_another_payer_reverts(desk, claim, correction, second_payer, form):
    desk.bring(claim, SUBMITTED)

    with reverts("ReplacementMismatch", claim.id):
        desk.take("replace", claim, form, correction=correction.changed(payer=second_payer.address))


@pytest.mark.spec("K12")
def test_replacement_without_commitment_reverts(desk, claim, correction, form):
    desk.bring(claim, SUBMITTED)

    with reverts("ClaimIncomplete"):
        desk.take("replace", claim, form, correction=correction.changed(commitment=b"\0" * 32))


@pytest.mark.spec("K12")
def test_replacement_without_nullifier_reverts(desk, claim, correction, form):
    desk.bring(claim, SUBMITTED)

    with reverts("ClaimIncomplete"):
        desk.take("replace", claim, form, correction=correction.changed(nullifier=b"\0" * 32))


@pytest.mark.spec("K24")
def test_replacement_names_its_own_rules(claim_anchor, desk, claim, correction, payer, today, form):
    desk.bring(claim, SUBMITTED)
    claim_anchor.publishRules(Rules(b"\x61" * 32, 0, today), {"from": payer})

    desk.take("replace", claim, form, correction=correction, rules=2)

    assert claim_anchor.stateOf(claim.id)[:4] == (REPLACED, 0, 1, False)
    assert claim_anchor.stateOf(correction.id)[:4] == (SUBMITTED, 0, 2, False)


@pytest.mark.spec("K24")
def test_replacement_under_unknown_rules_reverts(desk, claim, correction, form):
    desk.bring(claim, SUBMITTED)

    with reverts("RulesUnknown", claim.payer, 2):
        desk.take("replace", claim, form, correction=correction, rules=2)


@pytest.mark.spec("K8")
def test_relayer_cannot_alter_the_correction(desk, claim, correction):
    desk.bring(claim, SUBMITTED)
    signed = desk.signature("replace", claim, "provider", desk.what(correction=correction))
    altered = desk.what(correction=correction.changed(commitment=b"\x46" * 32))

    with reverts("SignatureInvalid", claim.provider):
        desk.send("replace", claim, altered, desk.relayer, signed)


@pytest.mark.spec("K25")
def test_replacement_signed_for_other_rules_reverts(claim_anchor, desk, claim, correction, payer, today):
    claim_anchor.publishRules(Rules(b"\x61" * 32, 0, today), {"from": payer})
    desk.bring(claim, SUBMITTED)
    signed = desk.signature("replace", claim, "provider", desk.what(correction=correction, rules=2))

    with reverts("SignatureInvalid", claim.provider):
        desk.send("replace", claim, desk.what(correction=correction, rules=1), desk.relayer, signed)

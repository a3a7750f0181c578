from __future__ import annotations

import pytest

from medproof import messages
from tests.support.claims import ADJUDICATED, APPROVED, DENIED, PARTIAL, RESPONSE, RULES_HASH, SETTLED
from tests.support.reverts import reverts


@pytest.mark.parametrize("outcome", [APPROVED, PARTIAL])
@pytest.mark.spec("K2", "K5")
def test_claim_is_settled_and_announced(claim_anchor, desk, claim, joint_form, outcome):
    desk.bring(claim, ADJUDICATED, outcome)

    tx = desk.take("settle", claim, joint_form)

    assert claim_anchor.stateOf(claim.id)[:4] == (SETTLED, outcome, 1, True)
    assert claim_anchor.responseOf(claim.id) == "0x" + RESPONSE.hex()
    assert claim_anchor.holderOf(claim.nullifier) == claim.id
    assert len(tx.events) == 1
    assert dict(tx.events["ClaimSettled"]) == {"claim": claim.id}


@pytest.mark.spec("K18")
def test_denied_claim_is_not_settled(desk, claim, joint_form):
    desk.bring(claim, ADJUDICATED, DENIED)

    with reverts("StepNotPossible", claim.id, ADJUDICATED):
        desk.take("settle", claim, joint_form)


@pytest.mark.spec("K5")
def test_provider_alone_does_not_settle(claim_anchor, desk, claim, clinic):
    desk.bring(claim, ADJUDICATED)

    with reverts("StepNotYours", claim.payer, clinic.address):
        claim_anchor.settle(claim, desk.deadline, b"", b"", b"", {"from": clinic})


@pytest.mark.spec("K5")
def test_payer_alone_does_not_settle(claim_anchor, desk, claim, payer):
    desk.bring(claim, ADJUDICATED)

    with reverts("StepNotYours", claim.provider, payer.address):
        claim_anchor.settle(claim, desk.deadline, b"", b"", b"", {"from": payer})


@pytest.mark.spec("K5")
def test_swapped_signatures_do_not_settle(desk, claim):
    desk.bring(claim, ADJUDICATED)
    what = desk.what()
    by_provider, by_payer = (desk.signature("settle", claim, owner, what) for owner in ("provider", "payer"))

    with reverts("SignatureInvalid", claim.provider):
        desk.send("settle", claim, what, desk.relayer, by_payer, by_provider)


@pytest.mark.parametrize(
    "changed", [{"outcome": PARTIAL}, {"response": b"\x54" * 32}, {"rules": b"\x55" * 32}], ids=lambda c: next(iter(c))
)
@pytest.mark.spec("K19")
def test_settlement_signed_for_another_decision_reverts(desk, claim, sign, clinic, changed):
    desk.bring(claim, ADJUDICATED, APPROVED)
    decided = {"outcome": APPROVED, "response": RESPONSE, "rules": RULES_HASH} | changed
    message = messages.settlement(desk.domain, claim=claim.id_bytes, deadline=desk.deadline, **decided)
    by_payer = desk.signature("settle", claim, "payer", desk.what())

    with reverts("SignatureInvalid", claim.provider):
        desk.send("settle", claim, desk.what(), desk.relayer, sign(clinic, message), by_payer)

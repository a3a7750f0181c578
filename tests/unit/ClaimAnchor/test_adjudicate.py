from __future__ import annotations

import pytest
from brownie.exceptions import VirtualMachineError

from tests.support.claims import ADJUDICATED, APPROVED, DENIED, PARTIAL, PENDED, RESPONSE, SUBMITTED, Rules
from tests.support.reverts import reverts


@pytest.mark.parametrize("start", [SUBMITTED, PENDED])
@pytest.mark.parametrize("outcome", [APPROVED, PARTIAL, DENIED])
@pytest.mark.spec("K2", "K4", "K18")
def test_claim_is_adjudicated_and_announced(claim_anchor, desk, claim, form, start, outcome):
    desk.bring(claim, start)

    tx = desk.take("adjudicate", claim, form, outcome=outcome)

    assert claim_anchor.stateOf(claim.id)[:4] == (ADJUDICATED, outcome, 1, False)
    assert claim_anchor.responseOf(claim.id) == "0x" + RESPONSE.hex()
    assert claim_anchor.holderOf(claim.nullifier) == claim.id
    assert len(tx.events) == 1
    assert dict(tx.events["ClaimAdjudicated"]) == {
        "claim": claim.id,
        "outcome": outcome,
        "response": "0x" + RESPONSE.hex(),
    }


@pytest.mark.spec("K18")
def test_adjudication_without_outcome_reverts(desk, claim, form):
    desk.bring(claim, SUBMITTED)

    with reverts("OutcomeMissing"):
        desk.take("adjudicate", claim, form, outcome=0)


@pytest.mark.spec("K18")
def test_adjudication_without_response_reverts(desk, claim, form):
    desk.bring(claim, SUBMITTED)

    with reverts("OutcomeMissing"):
        desk.take("adjudicate", claim, form, response=b"\0" * 32)


@pytest.mark.spec("K18")
def test_outcome_that_has_no_meaning_reverts(claim_anchor, desk, claim, payer):
    desk.bring(claim, SUBMITTED)

    with pytest.raises(VirtualMachineError):
        claim_anchor.adjudicate(claim, 4, 1, RESPONSE, 0, b"", {"from": payer})


@pytest.mark.spec("K24")
def test_adjudication_under_other_rules_reverts(claim_anchor, desk, claim, payer, today, form):
    claim_anchor.publishRules(Rules(b"\x61" * 32, 0, today), {"from": payer})
    desk.bring(claim, SUBMITTED)

    with reverts("RulesMismatch", claim.id, 1):
        desk.take("adjudicate", claim, form, rules=2)


@pytest.mark.spec("K24")
def test_adjudication_keeps_the_claims_rules_after_later_ones_begin(claim_anchor, desk, claim, payer, today, form):
    desk.bring(claim, SUBMITTED)
    claim_anchor.publishRules(Rules(b"\x61" * 32, 0, today), {"from": payer})

    desk.take("adjudicate", claim, form, rules=1)

    assert claim_anchor.stateOf(claim.id)[:4] == (ADJUDICATED, APPROVED, 1, False)


@pytest.mark.parametrize("changed", [{"outcome": DENIED}, {"response": b"\x54" * 32}])
@pytest.mark.spec("K8")
def test_relayer_cannot_alter_the_decision(desk, claim, changed):
    desk.bring(claim, SUBMITTED)
    signed = desk.signature("adjudicate", claim, "payer", desk.what())

    with reverts("SignatureInvalid", claim.payer):
        desk.send("adjudicate", claim, desk.what(**changed), desk.relayer, signed)

"""Every step from every state."""

from __future__ import annotations

import pytest

from tests.support.claims import (
    ADJUDICATED,
    APPEALED,
    APPROVED,
    NONE,
    OVERTURNED,
    PENDED,
    POSSIBLE,
    REPLACED,
    SETTLED,
    STEPS,
    SUBMITTED,
    UPHELD,
    VOIDED,
)
from tests.support.reverts import reverts

LEADS_TO = {
    "submit": SUBMITTED,
    "pend": PENDED,
    "answer": SUBMITTED,
    "adjudicate": ADJUDICATED,
    "appeal": APPEALED,
    "settle": SETTLED,
    "void": VOIDED,
    "replace": REPLACED,
}

POSSIBLE_STEPS = [(*state, step) for state, steps in POSSIBLE.items() for step in STEPS if step in steps]
IMPOSSIBLE_STEPS = [(*state, step) for state, steps in POSSIBLE.items() for step in STEPS if step not in steps]


@pytest.mark.parametrize(("status", "outcome", "step"), POSSIBLE_STEPS)
@pytest.mark.spec("K2")
def test_possible_step_leads_to_its_state(claim_anchor, desk, claim, correction, status, outcome, step):
    desk.bring(claim, status, outcome)

    desk.take(step, claim, correction=correction)

    decided = UPHELD if outcome == APPROVED else OVERTURNED  # the decision is to approve
    assert claim_anchor.stateOf(claim.id)[0] == LEADS_TO.get(step, decided)


@pytest.mark.parametrize(("status", "outcome", "step"), IMPOSSIBLE_STEPS)
@pytest.mark.spec("K2", "K3", "K16")
def test_impossible_step_reverts_and_changes_nothing(claim_anchor, desk, claim, status, outcome, step):
    desk.bring(claim, status, outcome)
    before = claim_anchor.stateOf(claim.id), claim_anchor.holderOf(claim.nullifier)
    fresh = claim.changed(commitment=b"\x48" * 32)
    error = ("ClaimExists", claim.id) if step == "submit" else ("StepNotPossible", claim.id, status)

    with reverts(*error):
        desk.take(step, claim, correction=fresh)

    assert (claim_anchor.stateOf(claim.id), claim_anchor.holderOf(claim.nullifier)) == before
    assert claim_anchor.stateOf(fresh.id)[0] == NONE

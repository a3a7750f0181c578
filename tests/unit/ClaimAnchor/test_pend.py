from __future__ import annotations

import pytest

from tests.support.claims import PENDED, REQUEST, SUBMITTED


@pytest.mark.spec("K2", "K4")
def test_claim_is_pended_and_announced(claim_anchor, desk, claim, form):
    desk.bring(claim, SUBMITTED)

    tx = desk.take("pend", claim, form)

    assert claim_anchor.stateOf(claim.id)[:4] == (PENDED, 0, 1, False)
    assert claim_anchor.holderOf(claim.nullifier) == claim.id
    assert len(tx.events) == 1
    assert dict(tx.events["ClaimPended"]) == {"claim": claim.id, "request": "0x" + REQUEST.hex()}


def test_request_may_stay_empty(claim_anchor, desk, claim, form):
    desk.bring(claim, SUBMITTED)

    desk.take("pend", claim, form, request=b"\0" * 32)

    assert claim_anchor.stateOf(claim.id)[0] == PENDED

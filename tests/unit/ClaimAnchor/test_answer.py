from __future__ import annotations

import pytest

from tests.support.claims import PENDED, REPLY, SUBMITTED
from tests.support.reverts import reverts


@pytest.mark.spec("K2", "K4")
def test_request_is_answered_and_announced(claim_anchor, desk, claim, form):
    desk.bring(claim, PENDED)

    tx = desk.take("answer", claim, form)

    assert claim_anchor.stateOf(claim.id)[:4] == (SUBMITTED, 0, 1, False)
    assert claim_anchor.stateOf(claim.id)[8] == 1
    assert len(tx.events) == 1
    assert dict(tx.events["ClaimAnswered"]) == {"claim": claim.id, "answer": "0x" + REPLY.hex()}


@pytest.mark.spec("K3")
def test_signed_request_does_not_count_after_the_answer(desk, claim):
    desk.bring(claim, SUBMITTED)
    what = desk.what()
    request = desk.signature("pend", claim, "payer", what)
    desk.send("pend", claim, what, desk.relayer, request)
    desk.take("answer", claim)

    with reverts("SignatureInvalid", claim.payer):
        desk.send("pend", claim, what, desk.relayer, request)


@pytest.mark.spec("K3")
def test_signed_answer_does_not_count_for_the_next_request(desk, claim):
    desk.bring(claim, PENDED)
    what = desk.what()
    answer = desk.signature("answer", claim, "provider", what)
    desk.send("answer", claim, what, desk.relayer, answer)
    desk.take("pend", claim)

    with reverts("SignatureInvalid", claim.provider):
        desk.send("answer", claim, what, desk.relayer, answer)


@pytest.mark.spec("K30")
def test_relayer_cannot_alter_the_answer(desk, claim):
    desk.bring(claim, PENDED)
    answer = desk.signature("answer", claim, "provider", desk.what())

    with reverts("SignatureInvalid", claim.provider):
        desk.send("answer", claim, desk.what(reply=b"\x5c" * 32), desk.relayer, answer)

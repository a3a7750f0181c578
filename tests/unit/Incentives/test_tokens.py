"""Tokens that refuse, lie, take more or call back, after a bounty was funded in them."""

from __future__ import annotations

import pytest

from tests.support.bounties import HONEST, RETURNING_FALSE, SILENT, TAKING_A_FEE, TAKING_MORE
from tests.support.reverts import reverts
from tests.unit.Incentives.conftest import PAYMENT


@pytest.mark.spec("I15")
def test_blocked_receiver_blocks_nobody_else_and_names_another(
    paying_subjects, share, token, admin, patient, second_patient, purse, stranger
):
    token.setBlocked(purse, True, {"from": admin})
    with reverts("AccountBlocked", purse.address):
        share(paying_subjects, patient, purse, dry=True)

    share(paying_subjects, second_patient, second_patient)
    share(paying_subjects, patient, stranger)

    assert token.balanceOf(second_patient) == token.balanceOf(stranger) == PAYMENT


@pytest.mark.spec("I15")
def test_token_that_goes_bad_pays_nothing_and_marks_nobody_as_paid(
    incentives, accepted, answer, token, admin, clinic, purse, world, escrow
):
    one = accepted()
    held = token.balanceOf(incentives)
    for mood, *expected in (
        (RETURNING_FALSE, "SafeERC20FailedOperation", token.address),
        (TAKING_MORE, "TokenNotWhole", token.address, held - PAYMENT, held - PAYMENT - PAYMENT // 100),
    ):
        token.setMood(mood, {"from": admin})
        with reverts(*expected):
            answer(one, clinic, purse, dry=True)
    assert incentives.isPaid(one.id, world.results[0].id, clinic) is False
    token.setMood(HONEST, {"from": admin})

    answer(one, clinic, purse)

    assert escrow(one) == (9 * PAYMENT, 0)


@pytest.mark.spec("I15")
@pytest.mark.parametrize(("mood", "fee"), [(SILENT, 0), (TAKING_A_FEE, PAYMENT // 100)])
def test_token_that_is_silent_or_takes_a_fee_of_the_receiver_pays(
    accepted, answer, token, admin, clinic, purse, escrow, mood, fee
):
    one = accepted()
    token.setMood(mood, {"from": admin})

    answer(one, clinic, purse)

    assert token.balanceOf(purse) == PAYMENT - fee
    assert escrow(one) == (9 * PAYMENT, 0)


@pytest.mark.spec("I15")
def test_bad_token_touches_no_other(
    incentives, accepted, answer, Token, admin, clinic, purse, token, bounty, till, world, funder,  # noqa: N803
):  # fmt: skip
    one, bad = accepted(), Token.deploy({"from": admin})
    other = bounty(token=bad.address)
    till.fund(bad, other, PAYMENT, funder)
    till.accept(other, world.cohort, world.results[0], funder)
    bad.setMood(RETURNING_FALSE, {"from": admin})
    with reverts("SafeERC20FailedOperation", bad.address):
        answer(other, clinic, purse, dry=True)

    answer(one, clinic, purse)

    assert (token.balanceOf(purse), bad.balanceOf(incentives)) == (PAYMENT, PAYMENT)


@pytest.mark.spec("I7", "S9")
@pytest.mark.parametrize("through", ["claimShare", "relay"])
@pytest.mark.parametrize("whose", ["the same", "another's"])
def test_token_that_calls_back_in_a_payment_pays_nothing_else(
    incentives, paying_subjects, share, till, world, token, admin, sign, patient, second_patient, purse, stranger,
    escrow, guarded, through, whose,
):  # fmt: skip
    """In the middle of one payment it sends another that is in order."""
    subject, deadline = {"the same": patient, "another's": second_patient}[whose], till.deadline()
    signature = sign(subject, till.claiming(paying_subjects, world.cohort.id, subject, stranger, deadline))
    given = (paying_subjects, world.cohort, subject, *world.places[subject], stranger, deadline, signature)
    incentives.claimShare.call(*given, {"from": stranger})
    data = incentives.claimShare.encode_input(*given)
    if through == "relay":
        data = incentives.relay.encode_input([data], 300_000)
    token.setReentry(incentives, data, {"from": admin})

    share(paying_subjects, patient, purse)

    if through == "relay":  # it skips what fails
        assert token.entered() is True
    else:
        guarded()
    assert (token.balanceOf(purse), token.balanceOf(stranger)) == (PAYMENT, 0)
    assert escrow(paying_subjects) == (7 * PAYMENT, 2 * PAYMENT)


@pytest.mark.spec("I7", "S9")
def test_token_that_calls_back_takes_no_second_refund(
    incentives, funded, token, admin, until, chain, purse, funder, guarded
):
    one = funded()
    token.setReentry(incentives, incentives.refund.encode_input(one, purse), {"from": admin})
    chain.mine(timestamp=until + 1)

    incentives.refund(one, purse, {"from": funder})

    guarded()
    assert token.balanceOf(purse) == 10 * PAYMENT

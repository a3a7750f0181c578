"""What is left of a bounty, when its funder takes it back, and what it may not take."""

from __future__ import annotations

import pytest

from tests.support.fixtures import NOBODY
from tests.support.research import CLAIM_PERIOD, SUBJECTS, shown
from tests.support.reverts import reverts
from tests.unit.Incentives.conftest import PAYMENT


@pytest.fixture
def refund(incentives, funder):
    """Take back what is left: ``refund(bounty, to)``; `dry` only asks whether it would succeed."""

    def taken(bounty, to, *, by=funder, dry=False):
        return (incentives.refund.call if dry else incentives.refund)(bounty, to, {"from": by})

    return taken


@pytest.mark.spec("I17")
def test_nothing_is_taken_back_before_the_time_is_over(
    funded, refund, funder, until, chain, studies, world, researcher
):
    """Not even where the study was closed."""
    one = funded()
    studies.close(world.study.id, {"from": researcher})
    with reverts("BountyOpen", one.id, until):
        refund(one, funder, dry=True)
    chain.mine(timestamp=until)
    with reverts("BountyOpen", one.id, until):
        refund(one, funder, dry=True)
    chain.mine(timestamp=until + 1)

    refund(one, funder, dry=True)


@pytest.mark.spec("I17")
def test_what_is_free_is_taken_back_and_what_is_due_stays(
    accepted, refund, purse, token, incentives, until, chain, escrow
):
    one = accepted()
    chain.mine(timestamp=until + 1)

    tx = refund(one, purse)

    assert (token.balanceOf(purse), token.balanceOf(incentives)) == (9 * PAYMENT, PAYMENT)
    assert escrow(one) == (0, PAYMENT)
    assert [event.name for event in tx.events] == ["BountyRefunded", "Transfer"]
    said = {"bounty": shown(one.id), "to": purse, "free": 9 * PAYMENT, "due": 0}
    assert dict(tx.events["BountyRefunded"]) == said
    with reverts("NothingLeft", one.id):
        refund(one, purse, dry=True)


@pytest.mark.spec("I17")
def test_payment_is_claimed_after_a_refund(
    accepted, refund, answer, clinic, purse, stranger, token, until, chain, escrow
):
    one = accepted()
    chain.mine(timestamp=until + 1)
    refund(one, stranger)

    answer(one, clinic, purse)

    assert token.balanceOf(purse) == PAYMENT
    assert escrow(one) == (0, 0)


@pytest.mark.spec("I18")
def test_what_nobody_claimed_in_time_is_taken_back(
    accepted, refund, share, patient, purse, stranger, token, incentives, until, chain, escrow
):
    one = accepted(SUBJECTS)
    share(one, patient, purse)
    chain.mine(timestamp=until + CLAIM_PERIOD - 60)
    refund(one, stranger)
    assert token.balanceOf(stranger) == 7 * PAYMENT
    chain.mine(timestamp=until + CLAIM_PERIOD)
    with reverts("NothingLeft", one.id):
        refund(one, stranger, dry=True)
    chain.mine(timestamp=until + CLAIM_PERIOD + 1)

    tx = refund(one, stranger)

    assert dict(tx.events["BountyRefunded"])["due"] == 2 * PAYMENT
    assert (token.balanceOf(stranger), token.balanceOf(incentives)) == (9 * PAYMENT, 0)
    assert escrow(one) == (0, 0)


@pytest.mark.spec("I18")
def test_free_and_due_are_taken_back_together(accepted, refund, purse, token, until, chain, escrow):
    one = accepted()
    chain.mine(timestamp=until + CLAIM_PERIOD + 1)

    tx = refund(one, purse)

    said = dict(tx.events["BountyRefunded"])
    assert (said["free"], said["due"]) == (9 * PAYMENT, PAYMENT)
    assert token.balanceOf(purse) == 10 * PAYMENT
    assert escrow(one) == (0, 0)


@pytest.mark.spec("I17")
@pytest.mark.parametrize("who", ["researcher", "clinic", "stranger", "admin"])
def test_nobody_but_the_funder_takes_anything_back(funded, refund, funder, until, chain, request, who):
    one, account = funded(), request.getfixturevalue(who)
    chain.mine(timestamp=until + 1)

    with reverts("FunderRequired", funder.address, account.address):
        refund(one, account, by=account, dry=True)
    own = one._replace(funder=account.address)
    with reverts("NothingLeft", own.id):
        refund(own, account, by=account, dry=True)


@pytest.mark.spec("I17")
def test_refund_of_one_bounty_leaves_the_others(funded, refund, token, incentives, purse, until, chain, escrow):
    one, other = funded(), funded(payment=PAYMENT + 1)
    chain.mine(timestamp=until + 1)

    refund(one, purse)

    assert token.balanceOf(incentives) == 10 * PAYMENT
    assert escrow(other) == (10 * PAYMENT, 0)


@pytest.mark.spec("I13", "I15")
def test_blocked_funder_names_another_receiver(incentives, funded, refund, token, funder, purse, admin, until, chain):
    one = funded()
    token.setBlocked(funder, True, {"from": admin})
    chain.mine(timestamp=until + 1)
    for to, *refused in (
        (funder, "AccountBlocked", funder.address),
        (NOBODY, "ReceiverNotPossible", NOBODY),
        (incentives.address, "ReceiverNotPossible", incentives.address),
    ):
        with reverts(*refused):
            refund(one, to, dry=True)

    refund(one, purse)

    assert token.balanceOf(purse) == 10 * PAYMENT

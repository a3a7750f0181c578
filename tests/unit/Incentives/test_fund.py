"""Bounties: what they are, who funds them, with which tokens."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from brownie.exceptions import VirtualMachineError

from medproof.messages import MESSAGE_TYPES
from tests.support.bounties import RETURNING_FALSE, SILENT, TAKING_A_FEE, TAKING_MORE
from tests.support.fixtures import DAY, NOBODY
from tests.support.research import CLAIM_PERIOD, CLOSED, LONGEST, SUBJECTS, UNKNOWN, WITHDRAWN, shown
from tests.support.reverts import reverts
from tests.unit.Incentives.conftest import PAYMENT

ROOT = Path(__file__).resolve().parents[3]
MOST = 2**128 - 1


@pytest.fixture
def call(incentives, token, funder):
    """Ask whether a bounty could be funded, by a funder that has approved everything."""
    token.mint(funder, 2**255, {"from": funder})
    token.approve(incentives, 2**256 - 1, {"from": funder})
    return lambda bounty, amount=PAYMENT, by=funder: incentives.fund.call(bounty, amount, {"from": by})


@pytest.mark.spec("I1")
def test_answers_to_those_it_was_given(incentives, registrar, delegations, studies):
    assert incentives.registrar() == registrar
    assert incentives.delegations() == delegations
    assert incentives.studies() == studies
    assert incentives.CLAIM_PERIOD() == CLAIM_PERIOD == 180 * DAY


@pytest.mark.spec("I2", "I5")
def test_tokens_are_put_into_a_bounty(incentives, bounty, till, token, funder, escrow):
    one = bounty()

    tx = till.fund(token, one, 5 * PAYMENT, funder)

    assert tx.return_value == shown(one.id) == incentives.bountyId(one)
    assert escrow(one) == (5 * PAYMENT, 0)
    assert (token.balanceOf(incentives), token.balanceOf(funder)) == (5 * PAYMENT, 0)
    assert tx.events[0].name == "BountyFunded"
    said = dict(tx.events["BountyFunded"])
    assert tuple(said.pop("definition")) == shown(one)
    assert said == {"bounty": shown(one.id), "study": shown(one.study), "funder": funder, "amount": 5 * PAYMENT}


@pytest.mark.spec("I2", "I5")
def test_same_bounty_takes_more_and_each_part_makes_another(incentives, funded, bounty, escrow, until):
    one = funded(100)
    funded(50)

    assert escrow(one) == (150, 0)
    others = [
        bounty(study=b"\x01" * 32),
        bounty(token=NOBODY),
        bounty(payee=SUBJECTS),
        bounty(payment=PAYMENT + 1),
        bounty(accept_until=until + 1),
        bounty(funder=NOBODY),
    ]
    assert len({one.id, *(other.id for other in others)}) == 7
    for other in others:
        assert incentives.bountyId(other) == shown(other.id)
        assert escrow(other) == (0, 0)


@pytest.mark.spec("I3")
@pytest.mark.parametrize("who", ["researcher", "clinic", "stranger", "admin"])
def test_only_the_funder_it_names_funds_a_bounty(bounty, call, request, who, funder):
    account = request.getfixturevalue(who)

    with reverts("FunderRequired", funder.address, account.address):
        call(bounty(), by=account)


@pytest.mark.spec("I4")
def test_bounty_pays_something(bounty, call):
    with reverts("AmountMissing"):
        call(bounty(payment=0))
    with reverts("AmountMissing"):
        call(bounty(), 0)
    call(bounty(payment=1), 1)


@pytest.mark.spec("I4")
def test_time_to_accept_lies_within_ten_years(bounty, call, chain):
    now = chain[-1].timestamp
    for wrong in (0, now - 1, now + LONGEST + DAY, 2**64 - 1):
        with pytest.raises(VirtualMachineError, match=f"AcceptanceTimeNotPossible: {wrong}, "):
            call(bounty(accept_until=wrong))
    call(bounty(accept_until=now + DAY))
    call(bounty(accept_until=now + LONGEST - DAY))


@pytest.mark.spec("I4")
def test_study_exists_and_stands(studies, world, bounty, call, researcher, admin, chain):
    unknown = b"\x09" * 32
    with reverts("StudyNotFundable", unknown, UNKNOWN):
        call(bounty(study=unknown))
    chain.mine(timestamp=chain.time() + 31 * DAY)
    until = chain[-1].timestamp + DAY
    call(bounty(accept_until=until))  # the study is over, and its results may still come
    studies.close(world.study.id, {"from": researcher})
    with reverts("StudyNotFundable", world.study.id, CLOSED):
        call(bounty(accept_until=until))
    studies.withdrawApproval(world.study.id, {"from": admin})
    with reverts("StudyNotFundable", world.study.id, WITHDRAWN):
        call(bounty(accept_until=until))


@pytest.mark.spec("I6")
def test_token_is_a_contract(bounty, call, stranger):
    for nothing in (NOBODY, stranger.address):
        with reverts("TokenUnknown", nothing):
            call(bounty(token=nothing))


@pytest.mark.spec("I6")
def test_contract_that_is_no_token_is_refused(bounty, call, studies):
    with pytest.raises(VirtualMachineError):
        call(bounty(token=studies.address))


@pytest.mark.spec("I6")
def test_token_that_does_not_move_the_whole_amount_is_refused(bounty, call, token, admin):
    for mood, *expected in (
        (TAKING_A_FEE, "TokenNotWhole", token.address, PAYMENT, PAYMENT - PAYMENT // 100),
        (RETURNING_FALSE, "SafeERC20FailedOperation", token.address),
    ):
        token.setMood(mood, {"from": admin})
        with reverts(*expected):
            call(bounty())


@pytest.mark.spec("I6")
@pytest.mark.parametrize("mood", [SILENT, TAKING_MORE])
def test_token_that_is_silent_or_takes_more_of_the_funder_is_taken(bounty, token, till, funder, admin, escrow, mood):
    token.setMood(mood, {"from": admin})
    token.mint(funder, PAYMENT, {"from": funder})

    till.fund(token, bounty(), PAYMENT, funder)

    assert escrow(bounty()) == (PAYMENT, 0)


@pytest.mark.spec("I6")
def test_without_approval_or_balance_nothing_is_put_in(incentives, bounty, token, funder):
    with reverts("ERC20InsufficientAllowance", incentives.address, 0, PAYMENT):
        incentives.fund.call(bounty(), PAYMENT, {"from": funder})
    token.approve(incentives, PAYMENT, {"from": funder})
    with reverts("ERC20InsufficientBalance", funder.address, 0, PAYMENT):
        incentives.fund.call(bounty(), PAYMENT, {"from": funder})


@pytest.mark.spec("I7")
def test_token_that_calls_back_counts_nothing_twice(incentives, bounty, token, till, funder, admin, escrow, guarded):
    """It is a funder itself, and would have the same tokens counted for a bounty of its own."""
    own = bounty(funder=token.address)
    token.setReentry(incentives, incentives.fund.encode_input(own, PAYMENT), {"from": admin})

    till.fund(token, bounty(), PAYMENT, funder)

    guarded()
    assert (escrow(bounty()), escrow(own)) == ((PAYMENT, 0), (0, 0))


@pytest.mark.spec("I5")
def test_more_than_a_bounty_can_keep_is_refused(incentives, bounty, token, till, funder, escrow):
    till.fund(token, bounty(), MOST, funder)
    token.mint(funder, 1, {"from": funder})
    token.approve(incentives, 1, {"from": funder})

    with pytest.raises(VirtualMachineError):
        incentives.fund.call(bounty(), 1, {"from": funder})
    assert escrow(bounty()) == (MOST, 0)


@pytest.mark.spec("I14")
def test_messages_are_those_of_the_contract():
    source = re.sub(r'"\s+"', "", (ROOT / "contracts" / "Incentives.sol").read_text(encoding="utf-8"))

    for name in ("ResultAcceptance", "Payout"):
        assert f'"{name}({MESSAGE_TYPES[name]})"' in source


@pytest.mark.spec("I20")
def test_takes_no_ether(incentives, stranger):
    with pytest.raises(VirtualMachineError):
        stranger.transfer(incentives, 1)

"""Bounties funded, accepted, paid and refunded in any order, in a token that turns bad in between.

A model keeps what went in and out of each bounty. After every step, what was put in is what was paid, refunded and is
free or due, and the contract holds just that. At the end of every run all of it is out.
"""

from __future__ import annotations

from typing import Any

import pytest
from brownie import chain
from brownie.exceptions import VirtualMachineError
from hypothesis import strategies as st

from tests.support.bounties import HONEST, RETURNING_FALSE, SILENT, TAKING_MORE, Till
from tests.support.fixtures import DAY
from tests.support.profiles import effort
from tests.support.research import (
    CLAIM_PERIOD,
    CUSTODIAN,
    DIRECT,
    ETHICS,
    PROTOCOL,
    SIGNED,
    SUBJECTS,
    Bounty,
    Desk,
    Study,
    in_full,
)
from tests.support.reverts import reverts

PEOPLE = 3
FIRST, MUCH = 250, 10**9  # tokens in each bounty at first, and of each funder


class StateMachine:
    st_bounty = st.integers(0, 2)
    st_amount = st.sampled_from([1, 70, 100, 300, 1000])
    st_result = st.integers(0, 1)
    st_person = st.integers(0, PEOPLE - 1)
    st_form = st.sampled_from([DIRECT, SIGNED])
    st_mood = st.sampled_from([HONEST, HONEST, SILENT, RETURNING_FALSE, TAKING_MORE])
    st_wait = st.sampled_from([DAY, DAY, 5 * DAY, CLAIM_PERIOD])

    def __init__(cls, contract, token, till, world, funders, purse):  # noqa: N805 - Brownie calls it on the class
        cls.contract, cls.token, cls.till, cls.world = contract, token, till, world
        cls.funders, cls.purse = funders, purse
        for funder in funders:
            token.mint(funder, MUCH, {"from": funder})
            token.approve(contract, MUCH, {"from": funder})

    def setup(self):
        now = chain[-1].timestamp
        terms = ((0, CUSTODIAN, 100, 3), (1, SUBJECTS, 70, 6), (0, SUBJECTS, 1, 4))
        self.bounties = [
            Bounty(
                self.funders[who].address, self.world["study"].id, self.token.address, payee, payment, now + days * DAY
            )
            for who, payee, payment, days in terms
        ]
        self.free, self.due, self.put, self.out = ([0, 0, 0] for _ in range(4))
        self.accepted: set[tuple[int, bytes]] = set()
        self.paid: set[tuple[int, bytes, str]] = set()
        self.mood = HONEST
        self.before = self.token.balanceOf(self.purse)
        for number in range(len(self.bounties)):
            self.rule_fund(number, FIRST)

    # -- the model ----------------------------------------------------------------------------------------------

    def moved(self, amount):
        """Why a transfer out of the contract fails, if it does."""
        if self.mood == RETURNING_FALSE:
            return "SafeERC20FailedOperation", self.token.address
        extra = amount // 100
        if self.mood == TAKING_MORE and extra:
            held = self.token.balanceOf(self.contract)
            if held < amount + extra:
                return "ERC20InsufficientBalance", self.contract.address, held - amount, extra
            return "TokenNotWhole", self.token.address, held - amount, held - amount - extra
        return None

    def funder(self, number):
        return next(one for one in self.funders if one.address == self.bounties[number].funder)

    # -- what may happen ----------------------------------------------------------------------------------------

    def rule_fund(self, st_bounty, st_amount):
        one = self.bounties[st_bounty]
        self.token.setMood(HONEST, {"from": self.purse})
        if chain[-1].timestamp + 60 > one.accept_until:
            chain.mine(timestamp=max(chain[-1].timestamp, one.accept_until) + 1)
            with pytest.raises(VirtualMachineError, match="AcceptanceTimeNotPossible"):
                self.contract.fund.call(one, st_amount, {"from": self.funder(st_bounty)})
        else:
            self.contract.fund(one, st_amount, {"from": self.funder(st_bounty)})
            self.free[st_bounty] += st_amount
            self.put[st_bounty] += st_amount
        self.token.setMood(self.mood, {"from": self.purse})

    def rule_accept(self, st_bounty, st_result, st_form):
        one, cohort, result = self.bounties[st_bounty], self.world["cohort"], self.world["results"][st_result]
        answer = cohort.id if one.payee == SUBJECTS else result.id
        due = one.payment * (PEOPLE if one.payee == SUBJECTS else 1)
        refusal = None
        if chain[-1].timestamp > one.accept_until:
            refusal = "AcceptanceOver", one.id, one.accept_until
        elif (st_bounty, answer) in self.accepted:
            refusal = "AnswerAccepted", one.id, answer
        elif due > self.free[st_bounty]:
            refusal = "BountyShort", one.id, due, self.free[st_bounty]
        given = (one, cohort, result, self.funder(st_bounty))
        if refusal is not None:
            with reverts(*refusal):
                self.till.accept(*given, form=st_form, dry=True)
            return
        self.till.accept(*given, form=st_form)
        self.accepted.add((st_bounty, answer))
        self.free[st_bounty] -= due
        self.due[st_bounty] += due

    def rule_accept_and_pay(self, st_bounty, st_result, st_person, st_form):
        """Several steps of one rule, so that short runs go far as well; each is tried, in order or not."""
        self.rule_accept(st_bounty, st_result, st_form)
        for _ in range(2):  # the second time, it is refused
            self.rule_claim_answer(st_bounty, st_result, st_form)
            self.rule_claim_share(st_bounty, st_person, st_form)

    def rule_pay_all(self, st_form):
        """Everybody claims everything."""
        for number in range(len(self.bounties)):
            for result in range(2):
                self.rule_claim_answer(number, result, st_form)
            for person in range(PEOPLE):
                self.rule_claim_share(number, person, st_form)

    def rule_claim_answer(self, st_bounty, st_result, st_form):
        result, custodian = self.world["results"][st_result], self.world["custodians"][st_result]
        given = (self.bounties[st_bounty], result, self.purse, custodian)
        self.claim(st_bounty, result.id, custodian, self.till.claim_answer, given, {"form": st_form})

    def rule_claim_share(self, st_bounty, st_person, st_form):
        cohort, subject = self.world["cohort"], self.world["people"][st_person]
        given = (self.bounties[st_bounty], cohort, subject, self.world["places"][st_person], self.purse)
        self.claim(st_bounty, cohort.id, subject, self.till.claim_share, given, {"form": st_form})

    def claim(self, number, answer, payee, function, given, options):
        one = self.bounties[number]
        refusal: Any = None
        if (number, answer) not in self.accepted:
            refusal = "AnswerNotAccepted", one.id, answer
        elif (number, answer, payee.address) in self.paid:
            refusal = "PaidAlready", one.id, answer, payee.address
        elif chain[-1].timestamp > one.accept_until + CLAIM_PERIOD:
            refusal = "ClaimLate", one.id, one.accept_until + CLAIM_PERIOD
        else:
            refusal = self.moved(one.payment)
        if refusal is not None:
            with reverts(*refusal):
                function(*given, **options, dry=True)
            return
        function(*given, **options)
        self.paid.add((number, answer, payee.address))
        self.due[number] -= one.payment
        self.out[number] += one.payment

    def rule_refund(self, st_bounty):
        one = self.bounties[st_bounty]
        now, sender = chain[-1].timestamp, {"from": self.funder(st_bounty)}
        late = now > one.accept_until + CLAIM_PERIOD
        amount = self.free[st_bounty] + (self.due[st_bounty] if late else 0)
        if now <= one.accept_until:
            refusal: Any = ("BountyOpen", one.id, one.accept_until)
        else:
            refusal = self.moved(amount) if amount else ("NothingLeft", one.id)
        if refusal is not None:
            with reverts(*refusal):
                self.contract.refund.call(one, self.purse, sender)
            return
        self.contract.refund(one, self.purse, sender)
        self.free[st_bounty] = 0
        self.due[st_bounty] = 0 if late else self.due[st_bounty]
        self.out[st_bounty] += amount

    def rule_mood(self, st_mood):
        self.mood = st_mood
        self.token.setMood(st_mood, {"from": self.purse})

    def rule_time_moves(self, st_wait):
        chain.mine(timestamp=chain[-1].timestamp + st_wait)

    # -- what always holds --------------------------------------------------------------------------------------

    def invariant_what_was_put_in_is_accounted_for(self):
        for number, one in enumerate(self.bounties):
            free, due = self.contract.escrowOf(one.id)
            assert (free, due) == (self.free[number], self.due[number])
            assert self.put[number] == self.out[number] + free + due
        assert self.token.balanceOf(self.contract) == sum(self.free) + sum(self.due)
        assert self.token.balanceOf(self.purse) - self.before == sum(self.out)

    def teardown(self):
        """Whatever happened, once all times are over and the token is well again, all of it comes out."""
        self.rule_mood(HONEST)
        chain.mine(timestamp=chain[-1].timestamp + CLAIM_PERIOD + 7 * DAY)
        for number in range(len(self.bounties)):
            self.rule_refund(number)
        self.invariant_what_was_put_in_is_accounted_for()
        assert self.token.balanceOf(self.contract) == 0


@pytest.mark.spec("I5", "I8", "I9", "I12", "I15", "I17", "I18", "I19")
def test_incentives_agree_with_their_model(
    state_machine, incentives, studies, parties, Token, researcher, clinic, second_clinic, accounts, admin, relayer,  # noqa: N803
    sign, domain_of,
):  # fmt: skip
    desk = Desk(studies, domain_of(studies), sign, relayer, chain)
    custodians = sorted([clinic, second_clinic], key=lambda account: account.address.lower())
    today = chain[-1].timestamp // DAY
    names = tuple(account.address for account in custodians)
    study = Study(researcher.address, in_full(), PROTOCOL, ETHICS, today, today + 5, names)
    studies.register(study, {"from": researcher})
    people = accounts[13 : 13 + PEOPLE]
    for subject in people:
        desk.choose("optIn", study, subject, 1)
    cohort, log = desk.fix(study, people, researcher)
    world = {
        "study": study,
        "cohort": cohort,
        "results": [desk.publish(study, cohort, custodian, researcher) for custodian in custodians],
        "custodians": custodians,
        "people": people,
        "places": [(index, log.inclusion_proof(index)) for index in range(PEOPLE)],
    }
    token = Token.deploy({"from": admin})
    till = Till(incentives, domain_of(incentives), sign, relayer, chain)
    funders, purse = accounts[16:18], accounts[18]
    state_machine(StateMachine, incentives, token, till, world, funders, purse, settings=effort(6, steps=10))

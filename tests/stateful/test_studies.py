"""Studies, choices and cohorts in any order, with a relayer who sends signed choices whenever it harms.

A model says who has opted in and when, what a study is and who is a member of which cohort; after every step the
contract says the same. At the end of every run the subjects opt out, and no message that was ever signed brings them
back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from brownie import chain
from hypothesis import strategies as st

from tests.support.fixtures import DAY
from tests.support.profiles import effort
from tests.support.research import CLOSED, OPEN, OVER, PLANNED, WITHDRAWN, Cohort, Desk, Study, in_full, members
from tests.support.reverts import reverts

LAST = 65535
SUBJECTS = 2


@dataclass(frozen=True)
class Signed:
    """A choice that the relayer holds."""

    function: str
    study: int
    subject: int
    sequence: int
    deadline: int
    signature: bytes


class StateMachine:
    st_study = st.integers(0, 1)
    st_subject = st.integers(0, SUBJECTS - 1)
    st_in = st.booleans()
    st_step = st.sampled_from([1, 1, 1, 1, 3, 0, LAST])  # how far a sequence goes beyond the stored one
    st_kept = st.sampled_from([False, False, True])  # whether the subject leaves it to the relayer
    st_pick = st.integers(0, 1000)
    st_wait = st.sampled_from([1, 3600, DAY, 3 * DAY])
    st_end = st.sampled_from(["close", "withdrawApproval", None, None, None])

    def __init__(cls, contract, desk, sign, researcher, admin, subjects):  # noqa: N805 - Brownie calls it on the class
        cls.contract, cls.desk, cls.sign = contract, desk, staticmethod(sign)
        cls.researcher, cls.admin, cls.subjects = researcher, admin, subjects

    def setup(self):
        today = chain[-1].timestamp // DAY
        self.studies = [
            Study(
                self.researcher.address,
                in_full(),
                b"\x01" * 32,
                b"\x02" * 32,
                today + first,
                today + last,
                ("0x" + "09" * 20,),
            )
            for first, last in ((0, 5), (2, 4))
        ]
        for study in self.studies:
            self.contract.register(study, {"from": self.researcher})
        self.ended: dict[int, int] = {}
        self.choices: dict[tuple[int, int], tuple[int, list[int]]] = {
            (study, subject): (0, []) for study in range(2) for subject in range(SUBJECTS)
        }
        self.letters: list[Signed] = []
        self.cohorts: list[tuple[int, Cohort, Any, list[bool]]] = []
        self.do("optIn", 0, 0, 1)

    # -- the model ----------------------------------------------------------------------------------------------

    def state(self, number):
        if number in self.ended:
            return self.ended[number]
        study, today = self.studies[number], chain[-1].timestamp // DAY
        return PLANNED if today < study.first_day else OPEN if today <= study.last_day else OVER

    def is_in(self, study, subject):
        return len(self.choices[study, subject][1]) % 2 == 1

    def do(self, function, number, subject, sequence, deadline=0, signature=b""):
        """Choose, and see that it goes as the model says; a refusal is asked for at the present second."""
        study, (stored, changes) = self.studies[number], self.choices[number, subject]
        refusal = None
        if signature and chain[-1].timestamp > deadline:
            refusal = "MessageExpired", deadline, chain[-1].timestamp
        elif function == "optIn" and self.state(number) not in (PLANNED, OPEN):
            refusal = "StudyNotReady", study.id, self.state(number)
        elif (sequence != stored + 1 or sequence == LAST) if function == "optIn" else sequence <= stored:
            refusal = "ChoiceStale", stored, sequence
        sender = {"from": self.desk.relayer if signature else self.subjects[subject]}
        given = (self.subjects[subject], study.id, sequence, deadline, signature)
        if refusal is not None:
            with reverts(*refusal):
                getattr(self.contract, function).call(*given, sender)
            return
        tx = getattr(self.contract, function)(*given, sender)
        assert [event.name for event in tx.events] == [{"optIn": "OptedIn", "optOut": "OptedOut"}[function]]
        if self.is_in(number, subject) != (function == "optIn"):
            changes = [*changes, tx.timestamp]
        self.choices[number, subject] = sequence, changes

    # -- what may happen ----------------------------------------------------------------------------------------

    def rule_choose(self, st_in, st_study, st_subject, st_step, st_kept):
        function = "optIn" if st_in else "optOut"
        sequence = min(self.choices[st_study, st_subject][0] + st_step, LAST)
        deadline, study, subject = self.desk.deadline(), self.studies[st_study], self.subjects[st_subject]
        shown = self.desk.opting_in if st_in else self.desk.opting_out
        signature = self.sign(subject, shown(study, subject, sequence, deadline))
        self.letters.append(Signed(function, st_study, st_subject, sequence, deadline, signature))
        if not st_kept:
            self.do(function, st_study, st_subject, sequence)

    def rule_relay(self, st_pick):
        """Any message that was ever signed is sent, perhaps once more."""
        if self.letters:
            one = self.letters[st_pick % len(self.letters)]
            self.do(one.function, one.study, one.subject, one.sequence, one.deadline, one.signature)

    def rule_fix(self, st_study):
        study = self.studies[st_study]
        chain.mine(timestamp=chain[-1].timestamp + 1)
        log = members(study.id, self.subjects)
        cohort = Cohort(study.id, log.root(), len(log), chain[-2].number, bytes(chain[-2].hash))
        if self.state(st_study) != OPEN:
            with reverts("StudyNotReady", study.id, self.state(st_study)):
                self.contract.fixCohort.call(cohort, {"from": self.researcher})
            return
        tx = self.contract.fixCohort(cohort, {"from": self.researcher})
        with reverts("CohortExists", cohort.id):
            self.contract.fixCohort.call(cohort, {"from": self.researcher})
        then = [
            sum(time <= tx.timestamp for time in self.choices[st_study, who][1]) % 2 == 1 for who in range(SUBJECTS)
        ]
        self.cohorts.append((st_study, cohort, log, then))
        chain.mine(timestamp=tx.timestamp + 1)

    def rule_come_and_go(self, st_study, st_subject):
        """Several steps of one rule, so that short runs go far as well: in, a cohort, out, another, in again."""
        for function in ("optIn", "optOut", "optIn"):
            sequence = self.choices[st_study, st_subject][0] + 1
            if sequence < LAST:
                self.do(function, st_study, st_subject, sequence)
            self.rule_fix(st_study)

    def rule_end(self, st_study, st_end):
        if st_end is None:
            return
        study, before = self.studies[st_study], self.ended.get(st_study)
        sender = {"from": self.researcher if st_end == "close" else self.admin}
        if before == WITHDRAWN or (before == CLOSED and st_end == "close"):
            with reverts("StudyNotReady", study.id, before):
                getattr(self.contract, st_end).call(study.id, sender)
            return
        getattr(self.contract, st_end)(study.id, sender)
        self.ended[st_study] = CLOSED if st_end == "close" else WITHDRAWN

    def rule_time_moves(self, st_wait):
        chain.mine(timestamp=chain[-1].timestamp + st_wait)

    # -- what always holds --------------------------------------------------------------------------------------

    def invariant_contract_is_the_model(self):
        for number, study in enumerate(self.studies):
            for subject, account in enumerate(self.subjects):
                sequence, changes = self.choices[number, subject]
                times = sum(time << 17 + 40 * place for place, time in enumerate(reversed(changes[-5:])))
                kept = sequence | self.is_in(number, subject) << 16 | times
                assert self.contract.choiceOf(study.id, account) == kept

    def invariant_members_stay_members(self):
        """As far back as the five changes reach, which no later choice alters."""
        for number, cohort, log, then in self.cohorts:
            for subject, was_in in enumerate(then):
                changes = self.choices[number, subject][1]
                known = len(changes) <= 5 or changes[-5] <= self.contract.cohortAt(cohort.id)
                proof = log.inclusion_proof(subject)
                found = self.contract.inCohort(cohort, self.subjects[subject], subject, proof)
                assert found is (was_in and known)

    def teardown(self):
        """Whatever happened, each subject opts out of each study, and what was signed before brings none back."""
        for (number, subject), (sequence, _) in self.choices.items():
            ahead = max([sequence, *(one.sequence for one in self.letters)]) + 1
            if sequence < LAST:
                self.do("optOut", number, subject, min(ahead, LAST))
        for one in self.letters:
            self.do(one.function, one.study, one.subject, one.sequence, one.deadline, one.signature)
        self.invariant_contract_is_the_model()
        assert not any(self.is_in(*who) for who in self.choices)


@pytest.mark.spec("T9", "T12", "T13", "T15", "T16", "T17", "T19", "T24", "T27", "T31")
def test_studies_agree_with_their_model(
    state_machine, studies, parties, researcher, admin, accounts, relayer, sign, domain_of
):
    desk = Desk(studies, domain_of(studies), sign, relayer, chain)
    people = accounts[13 : 13 + SUBJECTS]
    state_machine(StateMachine, studies, desk, sign, researcher, admin, people, settings=effort(3, steps=12))

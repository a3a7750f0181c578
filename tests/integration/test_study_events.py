"""All that Studies and Incentives keep, rebuilt from their events with their blocks' times, compared with the chain."""

from __future__ import annotations

import json
from collections import defaultdict
from importlib.resources import files

import pytest
from eth_utils import keccak
from eth_utils.abi import event_abi_to_log_topic
from web3 import Web3

from tests.support.bounties import Till
from tests.support.fixtures import DAY
from tests.support.research import (
    CLAIM_PERIOD,
    CLOSED,
    CUSTODIAN,
    ETHICS,
    OPEN,
    PROTOCOL,
    SUBJECTS,
    WITHDRAWN,
    Bounty,
    Cohort,
    Desk,
    Result,
    Study,
    in_full,
)

IN = 1 << 16
KEPT = 5  # changes of a choice


class Replayed:
    """The state of both contracts, event by event; the ids are computed, not read."""

    def __init__(self):
        self.studies, self.ends = {}, {}
        self.choices = defaultdict(lambda: [0, False, []])
        self.cohorts, self.results = {}, {}
        self.escrows = defaultdict(lambda: [0, 0])
        self.accepted, self.paid, self.bounties = set(), set(), {}

    def on_StudyRegistered(self, study, researcher, definition, time):  # noqa: N802 - the event's name, here and below
        found = Study(*definition.values())._replace(custodians=tuple(definition["custodians"]))
        assert (found.id, found.researcher) == (study, researcher)
        self.studies[study], self.ends[study] = found, OPEN

    def on_StudyClosed(self, study, time):  # noqa: N802
        self.ends[study] = CLOSED

    def on_ApprovalWithdrawn(self, study, time):  # noqa: N802
        self.ends[study] = WITHDRAWN

    def choose(self, study, subject, sequence, time, in_):
        choice = self.choices[study, subject]
        if choice[1] != in_:
            choice[2].insert(0, time)
        choice[:2] = sequence, in_

    def on_OptedIn(self, study, subject, sequence, time):  # noqa: N802
        self.choose(study, subject, sequence, time, True)

    def on_OptedOut(self, study, subject, sequence, time):  # noqa: N802
        self.choose(study, subject, sequence, time, False)

    def on_CohortFixed(self, study, cohort, definition, blockChecked, time):  # noqa: N802, N803
        found = Cohort(*definition.values())
        assert (found.id, found.study, blockChecked) == (cohort, study, True)
        self.cohorts[cohort] = time

    def on_ResultPublished(self, study, cohort, custodian, commitment, time):  # noqa: N802
        assert study in self.studies
        self.results[Result(cohort, custodian, commitment).id] = time

    def on_BountyFunded(self, bounty, study, funder, definition, amount, time):  # noqa: N802
        found = Bounty(*definition.values())
        assert (found.id, found.study, found.funder) == (bounty, study, funder)
        self.bounties[bounty] = found
        self.escrows[bounty][0] += amount

    def on_ResultAccepted(self, bounty, answer, result, due, time):  # noqa: N802
        assert result in self.results
        self.accepted.add((bounty, answer))
        self.escrows[bounty][0] -= due
        self.escrows[bounty][1] += due

    def on_BountyPaid(self, bounty, answer, payee, to, amount, time):  # noqa: N802
        self.paid.add((bounty, answer, payee))
        self.escrows[bounty][1] -= amount

    def on_BountyRefunded(self, bounty, to, free, due, time):  # noqa: N802
        self.escrows[bounty][0] -= free
        self.escrows[bounty][1] -= due


def replay(web3, contracts):
    """Every event of both contracts, in the order of the chain."""
    logs, state = [], Replayed()
    for name, contract in contracts.items():
        abi = json.loads((files("medproof") / "abi" / f"{name}.json").read_text())["abi"]
        decoder, topics = Web3().eth.contract(abi=abi), {}
        topics = {bytes(event_abi_to_log_topic(entry)): entry["name"] for entry in abi if entry["type"] == "event"}
        for log in web3.eth.get_logs({"address": contract.address, "fromBlock": 0, "toBlock": "latest"}):
            event = topics[bytes(log["topics"][0])]
            said = dict(decoder.events[event]().process_log(log)["args"])
            logs.append(((log["blockNumber"], log["logIndex"]), event, said))
    for (block, _), event, said in sorted(logs, key=lambda entry: entry[0]):
        if event != "AuthorityUpdated":  # OpenZeppelin's, at deployment
            getattr(state, f"on_{event}")(**said, time=web3.eth.get_block(block)["timestamp"])
    return state


@pytest.mark.spec("S3")
def test_events_rebuild_studies_and_incentives(
    studies, incentives, Token, parties, researcher, clinic, second_clinic, patient, second_patient, stranger, accounts,  # noqa: N803
    admin, relayer, sign, domain_of, chain, web3,
):  # fmt: skip
    desk = Desk(studies, domain_of(studies), sign, relayer, chain)
    till = Till(incentives, domain_of(incentives), sign, relayer, chain)
    token, (funder, purse) = Token.deploy({"from": admin}), accounts[14:16]
    custodians, today = sorted([clinic, second_clinic], key=lambda one: one.address.lower()), chain.time() // DAY
    names = tuple(one.address for one in custodians)
    one, closed, withdrawn = (
        Study(researcher.address, in_full(), PROTOCOL, keccak(ETHICS + bytes([number])), today, today + 5, names)
        for number in range(3)
    )
    for study in (one, closed, withdrawn):
        studies.register(study, {"from": researcher})
    people = [patient, second_patient, stranger]
    for subject in people:
        desk.choose("optIn", one, subject, 1, form="signed")
    for sequence in range(2, 8):
        chain.sleep(7)
        desk.choose("optIn" if sequence % 2 else "optOut", closed, patient, sequence)
    desk.choose("optOut", withdrawn, second_patient, 65535)
    cohort, log = desk.fix(one, people, researcher)
    results = [desk.publish(one, cohort, custodian, researcher) for custodian in custodians]
    desk.choose("optOut", one, stranger, 2)
    studies.close(closed.id, {"from": researcher})
    studies.withdrawApproval(withdrawn.id, {"from": admin})
    until = chain[-1].timestamp + DAY
    for_custodians = Bounty(funder.address, one.id, token.address, CUSTODIAN, 50, until)
    for_subjects = for_custodians._replace(payee=SUBJECTS, payment=7)
    for bounty in (for_custodians, for_subjects):
        till.fund(token, bounty, 500, funder)
        till.accept(bounty, cohort, results[0], funder)
    till.accept(for_custodians, cohort, results[1], funder)
    till.claim_answer(for_custodians, results[0], purse, custodians[0])
    till.claim_share(for_subjects, cohort, patient, (0, log.inclusion_proof(0)), purse, form="signed")
    chain.mine(timestamp=until + 1)
    incentives.refund(for_custodians, funder, {"from": funder})
    chain.mine(timestamp=until + CLAIM_PERIOD + 1)
    incentives.refund(for_subjects, funder, {"from": funder})

    state = replay(web3, {"Studies": studies, "Incentives": incentives})

    assert {study: state.ends[study] for study in state.studies} == {
        one.id: OPEN,
        closed.id: CLOSED,
        withdrawn.id: WITHDRAWN,
    }
    for study, end in state.ends.items():
        word = state.studies[study].word + ({OPEN: 0, CLOSED: 1, WITHDRAWN: 2}[end] << 192)
        assert studies.studyOf(study) == word
        assert studies.requestOf(study) == state.studies[study].request
    assert len(state.choices) == 5
    for (study, subject), (sequence, in_, times) in state.choices.items():
        kept = sum(time << 17 + 40 * place for place, time in enumerate(times[:KEPT]))
        assert studies.choiceOf(study, subject) == sequence | in_ * IN | kept
    assert [studies.cohortAt(found) for found in state.cohorts] == list(state.cohorts.values()) != []
    assert [studies.resultAt(found) for found in state.results] == list(state.results.values()) != []
    assert len(state.bounties) == 2
    for bounty in state.bounties:
        assert tuple(incentives.escrowOf(bounty)) == tuple(state.escrows[bounty])
    assert (len(state.accepted), len(state.paid)) == (3, 2)
    assert all(incentives.isAccepted(*found) for found in state.accepted)
    assert all(incentives.isPaid(*found) for found in state.paid)

"""A view is one state of the index: it says which block's, and never mixes two."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.errors import ArgumentError, IndexRolledBackError, IndexTimeError, RuleFieldError
from medproof.indexer import Index, Indexer, View, view
from medproof.policy.word import Request, Rule
from medproof.signing import LocalSigner
from tests.sdk.conftest import rpc

QUESTIONS: dict[str, Callable[[View, str, str, Request], Any]] = {
    "rules": lambda state, subject, account, request: list(state.rules()),
    "party": lambda state, subject, account, request: state.party(account),
    "active_party": lambda state, subject, account, request: state.active_party(account),
    "decide": lambda state, subject, account, request: state.decide(subject, account, request),
    "events": lambda state, subject, account, request: list(state.events("ConsentRegistry")),
}


def moment(chain: Chain, block: int | str = "latest") -> datetime:
    return datetime.fromtimestamp(chain.timestamp(block), UTC)


@pytest.mark.parametrize("question", QUESTIONS)
def test_what_is_read_later_changes_no_answer_and_what_is_taken_back_refuses_it(
    question: str,
    suite: MedProof,
    chain: Chain,
    indexer: Indexer,
    patient: LocalSigner,
    stranger: LocalSigner,
    clinic: LocalSigner,
    rule: Rule,
    request_inside: Request,
) -> None:
    registry = suite.consent_registry
    registry.grant(clinic.address, rule, sender=stranger)
    indexer.update()
    older = view(indexer.indexed)
    fork = rpc(chain, "evm_snapshot")
    registry.grant(clinic.address, rule, sender=patient)
    indexer.update()
    state = view(indexer.indexed)

    def ask(of: View) -> Any:
        return QUESTIONS[question](of, patient.address, clinic.address, request_inside)

    answers = [ask(one) for one in (older, state)]
    registry.revoke(clinic.address, sender=patient)
    indexer.update()
    assert [ask(one) for one in (older, state)] == answers

    rpc(chain, "evm_revert", fork)
    for _ in range(3):
        rpc(chain, "evm_mine")
    assert indexer.update().rolled_back == 2
    assert ask(older) == answers[0]  # what was taken back lay above it
    with pytest.raises(IndexRolledBackError, match=f"block {state.block}") as refused:
        ask(state)
    assert refused.value.block == state.block
    assert ask(view(indexer.indexed, block=state.block, at=state.at)) == (
        ask(dataclasses.replace(older, at=state.at)) if question != "events" else answers[0]
    )


def test_rules_that_are_being_read_stay_of_one_state(
    suite: MedProof,
    chain: Chain,
    indexer: Indexer,
    patient: LocalSigner,
    stranger: LocalSigner,
    clinic: LocalSigner,
    rule: Rule,
) -> None:
    """Taken back between the first row and the second: the reader still sees what stood when it began."""
    fork = rpc(chain, "evm_snapshot")
    for signer in (patient, stranger):
        suite.consent_registry.grant(clinic.address, rule, sender=signer)
    indexer.update()
    reading = view(indexer.indexed).rules()
    first = next(reading)
    rpc(chain, "evm_revert", fork)
    for _ in range(4):
        rpc(chain, "evm_mine")
    assert indexer.update().rolled_back > 0
    assert {first.subject, *(one.subject for one in reading)} == {patient.address, stranger.address}
    assert list(view(indexer.indexed).rules()) == []


def test_a_block_whose_time_is_not_kept_names_its_neighbours(
    suite: MedProof, chain: Chain, indexer: Indexer, patient: LocalSigner, clinic: LocalSigner, rule: Rule
) -> None:
    before = suite.consent_registry.grant(clinic.address, rule, sender=patient).block
    for _ in range(3):
        rpc(chain, "evm_mine")
    after = suite.consent_registry.revoke(clinic.address, sender=patient).block
    indexer.update()
    with pytest.raises(IndexTimeError, match="The nearest are") as refused:
        view(indexer.indexed, block=before + 2)
    assert refused.value.near == ((before, moment(chain, before)), (after, moment(chain, after)))
    assert f"{before} ({moment(chain, before)})" in str(refused.value)
    state = view(indexer.indexed, block=before + 2, at=moment(chain, before))
    assert [one.word for one in state.rules()] == [one.word for one in view(indexer.indexed, block=before).rules()]


@pytest.mark.parametrize("skew", [timedelta(days=-400), timedelta(days=400)], ids=["behind", "ahead"])
def test_a_chain_whose_clock_is_not_the_machines(
    skew: timedelta,
    suite: MedProof,
    chain: Chain,
    sqlite_index: Index,
    patient: LocalSigner,
    clinic: LocalSigner,
    rule: Rule,
) -> None:
    """Only the chain's own times count, which are in its blocks."""
    offset = skew.total_seconds()
    if offset < 0:  # its blocks cannot go back: a node whose every time is older says the same
        import medproof.indexer.indexer as module

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module.Header, "time", property(lambda header: int(header.timestamp, 16) + int(offset)))
            suite.consent_registry.grant(clinic.address, rule, sender=patient)
            indexer = Indexer(sqlite_index, chain, suite.deployment)
            indexer.update()
    else:
        rpc(chain, "evm_increaseTime", int(offset))
        suite.consent_registry.grant(clinic.address, rule, sender=patient)
        indexer = Indexer(sqlite_index, chain, suite.deployment)
        indexer.update()
    state = view(indexer.indexed)
    assert abs(state.at - (datetime.now(UTC) + skew)) < timedelta(days=30)
    assert view(indexer.indexed, at=state.at).block == state.block
    if offset < 0:
        with pytest.raises(IndexTimeError, match="does not know"):
            view(indexer.indexed, at=datetime.now(UTC))
    else:
        assert list(view(indexer.indexed, at=datetime.now(UTC)).rules()) == []
    with pytest.raises(IndexTimeError):
        view(indexer.indexed, at=state.at + timedelta(seconds=1))


def test_what_cannot_be_asked(indexer: Indexer, clinic: LocalSigner, request_inside: Request) -> None:
    indexer.update()
    state = view(indexer.indexed)
    with pytest.raises(RuleFieldError, match="zone"):
        view(indexer.indexed, at=datetime(2026, 3, 1))
    with pytest.raises(RuleFieldError, match="zone"):
        view(indexer.indexed, block=state.block, at=datetime(2026, 3, 1))
    hostile = ("", "0x", "clinic", "0x' OR 1=1 --", clinic.address + "00", clinic.address[:-1] + "g")
    for wrong in hostile:
        for ask in (
            lambda text: list(state.rules(subject=text)),
            lambda text: list(state.rules(grantee=text)),
            state.party,
            state.active_party,
            lambda text: state.decide(text, clinic.address, request_inside),
            lambda text: state.decide(clinic.address, text, request_inside),
        ):
            with pytest.raises(ArgumentError, match="is no address"):
                ask(wrong)
    assert list(state.events("ConsentRegistry", "'; DROP TABLE events; --")) == []
    with pytest.raises(IndexTimeError):
        view(indexer.indexed, block=2**70)


@pytest.mark.parametrize("hours", [-11, 0, 14])
def test_a_partys_last_day_is_utcs_wherever_one_asks(
    hours: int, suite: MedProof, chain: Chain, indexer: Indexer, clinic: LocalSigner, far_day: date
) -> None:
    indexer.update()
    here, last = timezone(timedelta(hours=hours)), datetime(far_day.year, far_day.month, far_day.day, tzinfo=UTC)
    for moment, active in ((last, True), (last + timedelta(hours=23), True), (last + timedelta(hours=25), False)):
        state = view(indexer.indexed, block=chain.block_number(), at=moment.astimezone(here))
        assert (state.active_party(clinic.address) is not None) is active

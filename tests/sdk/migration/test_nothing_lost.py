"""A whole migration of a lively registry: nothing is lost, nothing becomes wider, and the two decide alike."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest

from medproof.chain import Block
from medproof.client import MedProof
from medproof.migration import Comparison, IndexEvents, Kind, hand_over, read_state
from medproof.migration.running import NOT_A_STEP
from medproof.policy.evaluation import Reason
from medproof.relayer import Relayer
from medproof.signing import LocalSigner
from tests.sdk.migration.conftest import Compare
from tests.sdk.migration.registry import (
    REQUESTS,
    TERMS,
    Lived,
    authorize,
    live,
    pass_time,
    sign_and_relay,
    signed_by,
)


def decisions(lived: Lived, suite: MedProof, *subjects: LocalSigner) -> list[Reason]:
    """What a deployment decides about subjects, for every party. What was revoked is as if it had never been."""
    asked = [
        (subject.address, party.address, request)
        for subject in subjects or lived.subjects
        for party in lived.parties
        for request in REQUESTS
    ]
    found = [one.reason for one in suite.consent_registry.decide_each(asked)]
    return [Reason.NO_RULE if reason is Reason.REVOKED else reason for reason in found]


def test_the_two_decide_alike_at_any_time(
    old: MedProof, new: MedProof, admin: LocalSigner, compare: Compare, relaying: Relayer
) -> None:
    for name in ("first here", "night shift"):  # groups and terms get other numbers
        new.registrar.create_group(name, sender=admin)
    new.consent_registry.publish_terms(TERMS[1], sender=admin)
    lived = live(old, admin, 1, subjects=3, steps=24)

    authorize(old, new, admin)
    for subject in lived.subjects:
        sign_and_relay(old, new, subject, relaying)

    found = compare()
    assert [*found.steps()] == []
    assert [*found.findings(Kind.STUCK, Kind.WIDER)] == []
    assert found.whole
    before = decisions(lived, old)
    assert decisions(lived, new) == before
    pass_time(old, timedelta(minutes=40))
    after = decisions(lived, old)
    assert decisions(lived, new) == after
    assert after != before
    assert {Reason.PERMITTED, Reason.DENIED} < set(after)


def test_wherever_it_stops_the_new_one_permits_no_more_and_going_on_ends_it(
    old: MedProof, new: MedProof, admin: LocalSigner, relayer: LocalSigner, relaying: Relayer
) -> None:
    lived = live(old, admin, 5, subjects=1, steps=20)
    [subject] = lived.subjects
    authorize(old, new, admin)
    messages = signed_by(old, new, subject)
    allowed = [reason is Reason.PERMITTED for reason in decisions(lived, old)]
    assert any(allowed)

    for place, message in enumerate(messages):
        new.relay(message, sender=relayer)
        now = [reason is Reason.PERMITTED for reason in decisions(lived, new)]
        assert not any(one and not was for one, was in zip(now, allowed, strict=True)), place
        if place % 8 == 0:  # what is left now is what was signed and not sent yet
            left = signed_by(old, new, subject)
            assert [one.arguments[:-2] for one in left] == [one.arguments[:-2] for one in messages[place + 1 :]]
    assert [reason is Reason.PERMITTED for reason in decisions(lived, new)] == allowed
    assert {one.why_not for one in hand_over(old, new, messages, relaying)} == {NOT_A_STEP}


def test_an_index_and_the_nodes_say_the_same(
    old: MedProof, new: MedProof, admin: LocalSigner, sqlite_index: object
) -> None:
    from medproof.indexer import Index, Indexer, view

    assert isinstance(sqlite_index, Index)
    live(old, admin, 4, subjects=2, steps=6)
    states = []
    for suite in (old, new):
        indexer = Indexer(sqlite_index, suite.chain, suite.deployment)
        indexer.update()
        state = view(indexer.indexed)
        found = read_state(suite, events=IndexEvents(state), block=state.block)
        assert found == read_state(suite, block=state.block)
        states.append(found)
    assert len([*Comparison(*states).steps()]) > 10


def test_a_state_is_of_one_block_although_the_chain_is_reorganised_meanwhile(
    old: MedProof, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, asked = old.chain.block, []

    def block(number: int | str = "latest") -> Block:
        asked.append(number)
        found = ask(number)
        return dataclasses.replace(found, hash="0x" + "00" * 32) if len(asked) == 1 else found

    monkeypatch.setattr(old.chain, "block", block)
    found = read_state(old)
    assert found.block == ask(found.block.number)
    assert len(asked) == 4  # before and after, twice

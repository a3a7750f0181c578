"""Messages of many subjects, relayed in batches."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from medproof.client import MedProof
from medproof.policy.word import Rule
from medproof.relayer import Fate, Relayer, State
from medproof.signing import LocalSigner
from tests.sdk.relayer.people import people


def test_batch_of_many_subjects(
    suite: MedProof, tmp_path: Path, relayer: LocalSigner, clinic: LocalSigner, rule: Rule
) -> None:
    told: list[Fate] = []
    work = Relayer(suite, tmp_path / "queue", relayer, size=5, progress=told.append)
    registry = suite.consent_registry
    messages = [registry.sign_grant(person, clinic.address, rule) for person in people(5)]
    ids = [work.submit(message) for message in messages]
    assert len(set(ids)) == 5
    assert [work.status(one).state for one in ids] == [State.QUEUED] * 5
    before = suite.chain.block_number()
    work.run_once()
    assert work.run_once() == 0
    assert suite.chain.block_number() == before + 1
    fates = [work.status(one) for one in ids]
    assert {fate.state for fate in fates} == {State.CONFIRMED}
    assert {fate.block for fate in fates} == {before + 1}
    for person in people(5):
        assert registry.rule(person.address, clinic.address) == rule
    print(told)

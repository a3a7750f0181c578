"""Killed at any point, the relayer sends no message twice and loses none."""

from __future__ import annotations

import multiprocessing
import random
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from medproof.client import MedProof
from medproof.client.contract import SignedMessage
from medproof.deployments import Deployment
from medproof.relayer import State
from medproof.signing import LocalSigner
from scripts.local_chain import LocalChain
from tests.sdk.relayer import crashing
from tests.sdk.relayer.conftest import Open
from tests.sdk.relayer.people import people, rules_set, work_off

COUNT = 5

Start = Callable[[str], BaseProcess]


@pytest.fixture
def start(
    suite: MedProof,
    deployment: Deployment,
    node: LocalChain,
    store: Path,
    relayer: LocalSigner,
    grant: Callable[..., SignedMessage],
) -> Start:
    """`start(point)`: a relayer in a process of its own, which submits all messages and works."""
    suite.chain.wait(suite.chain.send({"to": relayer.address}, sender=relayer))  # Ganache takes a second nonce 0
    messages, key = [grant(one) for one in people(COUNT)], bytes(relayer._account.key)

    def start_(point: str) -> BaseProcess:
        arguments = (node.url, deployment, store, key, point, messages)
        process = multiprocessing.get_context("fork").Process(target=crashing.work, args=arguments)
        process.start()
        return process

    return start_


def prove_each_once(suite: MedProof, work: Open, since: int) -> None:
    """A relayer that goes on with the queue brings every message to the chain, once."""
    again = work()
    work_off(again)
    assert [fate.state for fate in again.fates()] == [State.CONFIRMED] * COUNT
    assert sorted(rules_set(suite, since)) == sorted(one.address for one in people(COUNT))


@pytest.mark.parametrize(
    ("point", "queued"),
    [
        ("before signing", COUNT),
        ("signed, not stored", COUNT),
        ("stored, not sent", 0),  # all batches at once
        ("sent", 0),
        ("mined", 0),
        ("confirmed", 0),
    ],
)
def test_killed_at(
    suite: MedProof, start: Start, open_relayer: Open, relayer: LocalSigner, point: str, queued: int
) -> None:
    before, nonce = suite.chain.block_number(), suite.chain.transaction_count(relayer.address)
    process = start(point)
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert len(open_relayer().fates(State.QUEUED)) == queued
    prove_each_once(suite, open_relayer, before)
    assert suite.chain.transaction_count(relayer.address) == nonce + 3  # batches of two, two and one


def test_killed_while_submitting(
    suite: MedProof, start: Start, open_relayer: Open, grant: Callable[..., SignedMessage]
) -> None:
    before, process = suite.chain.block_number(), start("queued")
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    work = open_relayer()
    assert len(work.fates(State.QUEUED)) == 1
    for one in people(COUNT):  # whoever got no id submits again
        work.submit(grant(one))
    assert len(work.fates(State.QUEUED)) == COUNT
    prove_each_once(suite, open_relayer, before)


def test_killed_at_any_time(
    suite: MedProof, start: Start, open_relayer: Open, grant: Callable[..., SignedMessage]
) -> None:
    before, chance = suite.chain.block_number(), random.Random(3)
    messages = [grant(one) for one in people(COUNT)]
    for _ in range(5):
        process = start("never")
        time.sleep(chance.uniform(0.05, 0.5))
        process.kill()
        process.join()
    work = open_relayer()
    for message in messages:
        work.submit(message)
    prove_each_once(suite, open_relayer, before)

"""Killed at any point, a manager sends nothing twice and loses nothing."""

from __future__ import annotations

import multiprocessing
import random
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from medproof.chain import Chain
from medproof.sending import State
from medproof.signing import LocalSigner
from scripts.local_chain import LocalChain
from tests.sdk.sending import crashing
from tests.sdk.sending.conftest import Open
from tests.sdk.sending.crashing import GIFT, KEYS

Start = Callable[[str], BaseProcess]


@pytest.fixture
def start(chain: Chain, node: LocalChain, store: Path, relayer: LocalSigner, open_manager: Open) -> Start:
    """`start(point)`: a manager in a process of its own, which submits all and works."""
    key = bytes(relayer._account.key)

    def start_(point: str) -> BaseProcess:
        process = multiprocessing.get_context("fork").Process(target=crashing.work, args=(node.url, store, key, point))
        process.start()
        return process

    return start_


def prove_each_once(chain: Chain, open_manager: Open) -> None:
    """A manager that goes on with the file brings each to the chain, once."""
    manager = open_manager()
    assert manager.submit_many([GIFT] * len(KEYS), keys=KEYS) == KEYS  # as whoever was killed would do
    manager.wait(KEYS)
    assert [fate.state for fate in manager.fates()] == [State.CONFIRMED] * len(KEYS)
    assert chain.balance(GIFT["to"]) == len(KEYS)


@pytest.mark.parametrize(
    ("point", "queued"),
    [
        ("submitted", 5),
        ("before signing", 5),
        ("signed, not stored", 5),
        ("some signed", 5),
        ("stored, not sent", 2),
        ("some sent", 2),
        ("sent", 2),
        ("confirmed", 2),
    ],
)
def test_killed_at(
    chain: Chain, start: Start, open_manager: Open, relayer: LocalSigner, point: str, queued: int
) -> None:
    nonce, process = chain.transaction_count(relayer.address), start(point)
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert len(open_manager().fates(State.QUEUED)) == queued
    prove_each_once(chain, open_manager)
    assert chain.transaction_count(relayer.address) == nonce + len(KEYS)


def test_killed_at_any_time(chain: Chain, start: Start, open_manager: Open, relayer: LocalSigner) -> None:
    nonce, chance = chain.transaction_count(relayer.address), random.Random(3)
    for _ in range(4):
        process = start("never")
        time.sleep(chance.uniform(0.02, 0.3))
        process.kill()
        process.join()
    prove_each_once(chain, open_manager)
    assert chain.transaction_count(relayer.address) == nonce + len(KEYS)

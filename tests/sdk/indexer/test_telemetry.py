"""What operators see of an index that is followed."""

from __future__ import annotations

import json
import logging
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.errors import NodeLagsError
from medproof.indexer import Index, Indexer, Progress
from medproof.indexer.telemetry import FollowingMetrics
from medproof.policy.word import Rule
from medproof.signing import LocalSigner
from scripts.local_chain import LocalChain
from tests.support.metrics import Clock, samples

NONE: frozenset[tuple[str, str]] = frozenset()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def indexer(chain: Chain, suite: MedProof, tmp_path: Path) -> Indexer:
    return Indexer(Index(tmp_path / "index.db"), chain, suite.deployment, finality=1)


@pytest.fixture
def seen(indexer: Indexer, clock: Clock) -> FollowingMetrics:
    return FollowingMetrics(indexer.indexed, now=clock)


def numbers(seen: FollowingMetrics) -> dict[str, float]:
    return {
        name.removeprefix("medproof_index_"): value
        for (name, _), value in samples(seen.metrics.text().decode()).items()
    }


def test_how_far_it_is(indexer: Indexer, seen: FollowingMetrics, clock: Clock, chain: Chain) -> None:
    clock.now += 30
    assert "block_time_seconds" not in numbers(seen)
    assert numbers(seen)["lag_seconds"] == 30
    progress = indexer.update(report=seen.report)
    found = numbers(seen)
    assert found["block"] == found["target_block"] == chain.block_number() == progress.block
    assert found["lag_blocks"] == found["lag_seconds"] == 0
    assert found["events_total"] == progress.events > 20
    assert found["block_time_seconds"] == chain.timestamp()
    indexer.update(report=seen.report)
    assert numbers(seen)["events_total"] == progress.events


def test_behind_and_back(seen: FollowingMetrics, clock: Clock) -> None:
    for progress in (Progress(10, 30, 0), Progress(20, 30, 5), Progress(30, 30, 7)):
        seen.report(progress)
    clock.now += 5
    seen.report(Progress(30, 50, 0))
    assert (numbers(seen)["lag_blocks"], numbers(seen)["lag_seconds"]) == (20, 5)
    seen.report(Progress(40, 50, 2))
    seen.report(Progress(50, 50, 2))
    seen.report(Progress(45, 52, 0, 5))  # the next update found five blocks gone
    seen.report(Progress(52, 52, 4, 5))
    seen.report(Progress(49, 52, 0, 3))  # and the next three more
    found = numbers(seen)
    assert (found["events_total"], found["blocks_rolled_back_total"]) == (13, 8)
    assert (found["lag_blocks"], found["lag_seconds"]) == (3, 0)


def test_a_node_that_is_away_makes_it_late(seen: FollowingMetrics, clock: Clock) -> None:
    seen.report(Progress(30, 30, 0))
    clock.now += 4000
    seen.trouble(NodeLagsError("http://127.0.0.1:1", 31))
    found = samples(seen.metrics.text().decode())
    assert found["medproof_index_trouble_total", frozenset({("error", "NodeLagsError")})] == 1
    assert found["medproof_index_lag_seconds", NONE] == 4000
    assert seen.pulse.beats()


def test_the_log_tells_nothing_of_whom(
    indexer: Indexer,
    seen: FollowingMetrics,
    suite: MedProof,
    rule: Rule,
    patient: LocalSigner,
    clinic: LocalSigner,
    caplog: pytest.LogCaptureFixture,
) -> None:
    suite.consent_registry.grant(clinic.address, rule, sender=patient)
    with caplog.at_level(logging.INFO, logger="medproof.indexer"):
        indexer.update(report=seen.report)
        seen.trouble(NodeLagsError(f"http://node/{patient.address}", 31))
    assert "events=" in caplog.text
    assert 'waiting error="NodeLagsError"' in caplog.text
    for one in (patient, clinic):
        assert one.address.lower()[2:] not in caplog.text.lower() + seen.metrics.text().decode().lower()


def test_the_command_shows_them_and_ends_with_sigterm(
    suite: MedProof, chain: Chain, node: LocalChain, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    suite.deployment.save(tmp_path / "manifest.json")
    options = ["--index", "index.db", "--network", node.url, "--deployment", "manifest.json", "--follow"]
    operating = ["--metrics", f"127.0.0.1:{port}", "--log-format", "json", "--finality", "1"]
    command = [sys.executable, "-c", "from medproof.cli import main; main()", "index", *options, *operating]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while f"Block {chain.block_number()}" not in (process.stdout.readline() or pytest.fail("it ended")):
            time.sleep(0.01)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            found = samples(answer.read().decode())
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        out, log = process.communicate(timeout=20)
    assert found["medproof_index_lag_blocks", NONE] == 0
    assert found["medproof_index_block", NONE] == chain.block_number()
    assert process.returncode == 0, log
    assert "Read up to block" in out
    first, *others = log.splitlines()
    assert first.startswith("Following from block")
    assert json.loads(others[-1])["event"] == "read"

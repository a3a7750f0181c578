"""The gatekeeper behind a real server: over a socket, and to an orderly end."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from eth_utils.crypto import keccak

from medproof.client import MedProof
from medproof.errors import AnchorMismatchError
from medproof.gateway import Gatekeeper, GatekeeperClient, Settings
from medproof.gateway.server import serve, server_of
from medproof.policy.word import Rule
from medproof.signing import LocalSigner
from medproof.store import SqlStore
from tests.sdk.gateway.conftest import TREATMENT, Clock, observation, settle


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextmanager
def served(gatekeeper: Gatekeeper, port: int) -> Iterator[Any]:
    server = server_of(gatekeeper, host="127.0.0.1", port=port)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    limit = time.monotonic() + 10
    while not server.started:
        assert time.monotonic() < limit
        time.sleep(0.01)
    yield server
    server.should_exit = True
    thread.join(10)
    assert not thread.is_alive()


@pytest.fixture
def gatekeeper(
    suite: MedProof, store: SqlStore, settings: Settings, clinic: LocalSigner, clock: Clock, port: int
) -> Gatekeeper:
    built = Gatekeeper(suite, store, replace(settings, origin=f"http://127.0.0.1:{port}"), sender=clinic, clock=clock)
    clock.offset = 0.0
    return built


def test_what_keeps_it_from_starting_is_told(
    gatekeeper: Gatekeeper, suite: MedProof, clinic: LocalSigner, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medproof.gateway.server.log_to", lambda *_, **__: None)
    suite.batch_anchor.anchor(clinic.address, 1, keccak(b"another"), log=1, sender=clinic)
    with pytest.raises(AnchorMismatchError, match="Log 1 and the chain differ"):
        serve(gatekeeper, port=port)


def test_served_and_verified_over_a_socket(
    gatekeeper: Gatekeeper,
    port: int,
    suite: MedProof,
    relayer: LocalSigner,
    second_clinic: LocalSigner,
    patient: LocalSigner,
    granted: Rule,
) -> None:
    origin = f"http://127.0.0.1:{port}"
    with served(gatekeeper, port):
        with GatekeeperClient(origin, suite, relayer, claims=TREATMENT) as device:
            taken = device.create(patient.address, observation())
        settle(gatekeeper)
        with GatekeeperClient(origin, suite, second_clinic, claims=TREATMENT) as reader:
            assert reader.fetch("Observation", str(taken.record.id)).proof.pointer.id == taken.pointer
            [found] = reader.search("Observation", patient.address)
            assert found.record.id == taken.record.id
        answer = httpx.get(f"{origin}/health/live")
        assert "server" not in answer.headers
        with socket.create_connection(("127.0.0.1", port), 5) as raw:  # headers without end
            raw.sendall(b"GET / HTTP/1.1\r\n" + b"X: " + b"a" * 40_000)
            assert raw.recv(64).startswith(b"HTTP/1.1 4")


def test_it_says_so_once_it_answers(gatekeeper: Gatekeeper, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medproof.gateway.server.log_to", lambda *_, **__: None)
    heard: list[bool] = []

    def ready() -> None:
        with socket.create_connection(("127.0.0.1", port), 5):
            heard.append(True)
        server.should_exit = True

    server = server_of(gatekeeper, host="127.0.0.1", port=port)
    monkeypatch.setattr("medproof.gateway.server.server_of", lambda *_, **__: server)
    thread = threading.Thread(target=serve, args=(gatekeeper,), kwargs={"port": port, "ready": ready}, daemon=True)
    thread.start()
    thread.join(10)
    assert heard == [True]


def test_it_does_not_say_so_where_it_does_not_start(
    gatekeeper: Gatekeeper, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medproof.gateway.server.log_to", lambda *_, **__: None)
    heard: list[bool] = []
    with socket.create_server(("127.0.0.1", port)), pytest.raises(SystemExit):
        serve(gatekeeper, port=port, ready=lambda: heard.append(True))
    assert heard == []


def test_what_is_under_way_is_answered_before_the_end(
    gatekeeper: Gatekeeper, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    under_way = threading.Event()

    def slowly() -> None:
        under_way.set()
        time.sleep(0.3)

    monkeypatch.setattr(gatekeeper, "ready", slowly)
    answers: list[int] = []
    with served(gatekeeper, port) as server:
        asking = threading.Thread(
            target=lambda: answers.append(httpx.get(f"http://127.0.0.1:{port}/health/ready").status_code)
        )
        asking.start()
        assert under_way.wait(5)
        server.should_exit = True
        asking.join(5)
    assert answers == [200]
    assert gatekeeper.poster is not None
    assert gatekeeper.poster._thread is None
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/health/live")

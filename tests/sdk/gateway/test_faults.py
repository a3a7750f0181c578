"""A node or a store that is down, slow, wrong or late: nothing is decided on a guess, and all recovers by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.deployments import Deployment
from medproof.errors import GatekeeperRefusalError, StoreUnavailableError
from medproof.gateway import Access, Gatekeeper, GatekeeperClient, Settings, create_app
from medproof.policy.word import Rule
from medproof.signing import LocalSigner
from medproof.store import SqlStore
from tests.sdk.chain.odd_node import Call, odd_node
from tests.sdk.gateway.conftest import ORIGIN, TREATMENT, Bridge, Keep, Post, both_stores


def through(url: str, deployment: Deployment) -> MedProof:
    """The suite by a node that is not waited for."""
    return MedProof(Chain.connect(url, patience=1.0, poll=0.01), deployment)


class Answers:
    """What the node answers; the real one's where nothing is set."""

    def __init__(self) -> None:
        self.mood: Callable[[Call], Any] = lambda call: ...

    def __call__(self, call: Call) -> Any:
        return self.mood(call)


def slow(call: Call) -> Any:
    time.sleep(1.5)
    return ...


def wrong_chain(call: Call) -> Any:
    return call.result("0x2a") if call.method == "eth_chainId" else ...


def broken(call: Call) -> Any:
    return (200, b"<html>") if call.method == "eth_call" else ...


MOODS = {
    "down": (lambda call: None, "CHAIN_UNAVAILABLE"),
    "slow": (slow, "CHAIN_UNAVAILABLE"),
    "refusing": (lambda call: (503, b"busy"), "CHAIN_UNAVAILABLE"),
    "broken": (broken, "CHAIN_UNAVAILABLE"),
    "wrong-chain": (wrong_chain, "WRONG_CHAIN"),
}


def in_time(holds: Callable[[], bool]) -> bool:
    """Whether something holds before long: on a busy machine even a node that is well may be late once."""
    limit = time.monotonic() + 30
    while time.monotonic() < limit:
        with suppress(GatekeeperRefusalError):
            if holds():
                return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("mood", MOODS)
def test_a_node_in_trouble_closes_the_gate_until_it_is_well(
    keep: Keep,
    post: Post,
    granted: Rule,
    node: Any,
    deployment: Deployment,
    suite: MedProof,
    second_clinic: LocalSigner,
    mood: str,
) -> None:
    id_ = post()
    answers = Answers()
    with odd_node(answers, upstream=node.url) as odd:
        gatekeeper = keep(suite=through(odd.url, deployment), sender=None)
        http = httpx.Client(transport=Bridge(create_app(gatekeeper)))
        reader = GatekeeperClient(ORIGIN, suite, second_clinic, claims=TREATMENT, http=http)
        answers.mood, code = MOODS[mood]
        with pytest.raises(GatekeeperRefusalError) as caught:
            reader.fetch("Observation", id_)
        assert (caught.value.status, caught.value.code) == (503, code)
        assert caught.value.retry_after is not None
        if mood != "broken":
            assert http.get(f"{ORIGIN}/health/ready").status_code == 503
        assert http.get(f"{ORIGIN}/health/live").status_code == 200
        answers.mood = lambda call: ...
        assert in_time(lambda: http.get(f"{ORIGIN}/health/ready").status_code == 200)
        assert in_time(lambda: reader.fetch("Observation", id_).record.id == id_)


@pytest.mark.parametrize(("later", "code"), [(31.0, "CHAIN_LAGS"), (-16.0, "CHAIN_AHEAD")])
def test_a_node_that_lags_behind_or_is_ahead_of_time_closes_the_gate(
    later: float,
    code: str,
    keep: Keep,
    settings: Settings,
    post: Post,
    granted: Rule,
    suite: MedProof,
    second_clinic: LocalSigner,
) -> None:
    id_ = post()
    gatekeeper = keep(settings=replace(settings, max_block_age=30.0))
    http = httpx.Client(transport=Bridge(create_app(gatekeeper)))
    reader = GatekeeperClient(ORIGIN, suite, second_clinic, claims=TREATMENT, http=http)
    assert reader.fetch("Observation", id_)
    newest = suite.chain.timestamp()
    gatekeeper.head._clock = lambda: newest + later
    with pytest.raises(GatekeeperRefusalError) as caught:
        reader.fetch("Observation", id_)
    assert (caught.value.status, caught.value.code) == (503, code)


def test_a_chain_that_reorganises_meanwhile_closes_the_gate_once(
    keep: Keep,
    post: Post,
    granted: Rule,
    node: Any,
    deployment: Deployment,
    suite: MedProof,
    second_clinic: LocalSigner,
    accesses: list[Access],
) -> None:
    id_ = post()
    accesses.clear()
    answers = Answers()
    with odd_node(answers, upstream=node.url) as odd:
        gatekeeper = keep(suite=through(odd.url, deployment), sender=None)
        http = httpx.Client(transport=Bridge(create_app(gatekeeper)))
        reader = GatekeeperClient(ORIGIN, suite, second_clinic, claims=TREATMENT, http=http)

        def reorganised(call: Call) -> Any:
            if call.method != "eth_getBlockByNumber" or call.parameters[0] == "latest":
                return ...
            other = call.forward().replace(b'"hash":"0x', b'"hash":"0xffffffff')
            return other[: other.index(b"0xffffffff") + 66] + other[other.index(b"0xffffffff") + 74 :]

        answers.mood = reorganised
        with pytest.raises(GatekeeperRefusalError) as caught:
            reader.fetch("Observation", id_)
        assert (caught.value.status, caught.value.code) == (503, "REORGANISED")
        assert accesses == []  # nothing was served
        answers.mood = lambda call: ...
        assert reader.fetch("Observation", id_).record.id == id_


def test_decisions_are_made_at_the_final_block(
    keep: Keep,
    settings: Settings,
    post: Post,
    granted: Rule,
    suite: MedProof,
    patient: LocalSigner,
    second_clinic: LocalSigner,
) -> None:
    id_ = post()
    suite.consent_registry.revoke(second_clinic.address, sender=patient)
    gatekeeper = keep(settings=replace(settings, finality=2), sender=None)
    http = httpx.Client(transport=Bridge(create_app(gatekeeper)))
    reader = GatekeeperClient(ORIGIN, suite, second_clinic, claims=TREATMENT, http=http)
    served = reader.fetch("Observation", id_)  # the block before the revocation, as the proof says
    assert served.proof.block == suite.chain.block_number() - 1


def test_answers_as_of_a_block_are_remembered(
    keep: Keep,
    post: Post,
    granted: Rule,
    node: Any,
    deployment: Deployment,
    suite: MedProof,
    second_clinic: LocalSigner,
) -> None:
    id_ = post()
    with odd_node(lambda call: ..., upstream=node.url) as odd:
        gatekeeper = keep(suite=through(odd.url, deployment), sender=None)
        http = httpx.Client(transport=Bridge(create_app(gatekeeper)))
        reader = GatekeeperClient(ORIGIN, suite, second_clinic, claims=TREATMENT, http=http)
        reader.fetch("Observation", id_)
        asked = odd.count("eth_call")
        reader.fetch("Observation", id_)
        assert odd.count("eth_call") == asked


def test_a_store_in_trouble_closes_the_gate_until_it_is_well(
    reader: GatekeeperClient,
    http: httpx.Client,
    post: Post,
    granted: Rule,
    store: SqlStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    id_ = post()

    def down(*_: Any, **__: Any) -> Any:
        raise StoreUnavailableError("SQLITE_CANTOPEN")

    with monkeypatch.context() as trouble:
        trouble.setattr(store, "get", down)
        trouble.setattr(store, "check", down)
        with pytest.raises(GatekeeperRefusalError) as caught:
            reader.fetch("Observation", id_)
        assert (caught.value.status, caught.value.code) == (503, "STORE_UNAVAILABLE")
        assert "SQLITE" not in str(caught.value)
        assert http.get(f"{ORIGIN}/health/ready").status_code == 503
    assert reader.fetch("Observation", id_).record.id == id_


def test_without_a_trace_nothing_is_served(
    keep: Keep, post: Post, granted: Rule, suite: MedProof, second_clinic: LocalSigner
) -> None:
    id_ = post()

    def full(_: Access) -> None:
        raise OSError("no space left on device")

    http = httpx.Client(transport=Bridge(create_app(keep(audit=full, sender=None))))
    reader = GatekeeperClient(ORIGIN, suite, second_clinic, claims=TREATMENT, http=http)
    with pytest.raises(GatekeeperRefusalError) as caught:
        reader.fetch("Observation", id_)
    assert (caught.value.status, caught.value.code) == (503, "AUDIT_UNAVAILABLE")


def test_a_damaged_record_is_not_served(reader: GatekeeperClient, post: Post, granted: Rule, tmp_path: Path) -> None:
    import sqlite3

    id_ = post()
    with sqlite3.connect(tmp_path / "records.db") as database:
        database.execute("UPDATE records SET body = zeroblob(length(body))")
    with pytest.raises(GatekeeperRefusalError) as caught:
        reader.fetch("Observation", id_)
    assert (caught.value.status, caught.value.code) == (500, "RECORD_DAMAGED")


@both_stores
def test_an_erased_record_is_not_there(
    reader: GatekeeperClient, gatekeeper: Gatekeeper, post: Post, granted: Rule, store: SqlStore
) -> None:
    id_ = post()
    store.erase(store.get("Observation", id_).entry.pointer.id)
    with pytest.raises(GatekeeperRefusalError) as caught:
        reader.fetch("Observation", id_)
    assert caught.value.status == 404

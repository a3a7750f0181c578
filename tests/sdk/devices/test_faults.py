"""Readings when chain or database fail, and on PostgreSQL with two gatekeepers at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from medproof.client import MedProof
from medproof.deployments import Deployment
from medproof.errors import StoreUnavailableError
from medproof.gateway import Gatekeeper, Settings, create_app
from medproof.policy.device import Device
from medproof.signing import LocalSigner
from medproof.store import Query, SqlStore
from scripts.local_chain import LocalChain
from tests.sdk.chain.odd_node import odd_node
from tests.sdk.devices.conftest import METER, Measure, Send, codes, send_to
from tests.sdk.gateway.conftest import KEYS, Bridge, Keep, settle
from tests.sdk.gateway.test_faults import through
from tests.sdk.store.conftest import postgres, postgres_url  # noqa: F401


def code(answer: Any) -> tuple[int, str]:
    status, outcome = answer
    return status, outcome["issue"][0]["details"]["coding"][0]["code"]


def test_while_the_node_is_down_nothing_is_taken(
    keep: Keep, store: SqlStore, node: LocalChain, deployment: Deployment, measure: Measure, registered: Device
) -> None:
    down = False
    with odd_node(lambda call: None if down else ..., upstream=node.url) as odd:
        gatekeeper = keep(suite=through(odd.url, deployment))
        client = httpx.Client(transport=Bridge(create_app(gatekeeper)))
        assert codes(send_to(client, measure(1))[1]) == ["TAKEN"]
        settle(gatekeeper)
        down = True
        assert code(send_to(client, measure(2))) == (503, "CHAIN_UNAVAILABLE")
        assert len(store.search(Query()).entries) == 1
        down = False
        assert codes(send_to(client, measure(2))[1]) == ["TAKEN"]
        gatekeeper.stop()


def test_while_others_hold_the_store_nothing_is_taken(
    send: Send, measure: Measure, registered: Device, store: SqlStore, tmp_path: Path
) -> None:
    batch = [measure(1), measure(2)]
    other = sqlite3.connect(tmp_path / "records.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert code(send(*batch)) == (503, "STORE_UNAVAILABLE")
    other.execute("ROLLBACK")
    other.close()
    assert codes(send(*batch)[1]) == ["TAKEN", "TAKEN"]
    assert len(store.search(Query()).entries) == 2


def test_an_answer_that_was_lost_leaves_no_pointer_behind(
    send: Send,
    measure: Measure,
    registered: Device,
    gatekeeper: Gatekeeper,
    monkeypatch: pytest.MonkeyPatch,
    store: SqlStore,
) -> None:
    """The database took the batch, and the connection was lost at the very end."""
    assert gatekeeper.readings is not None
    log, write = gatekeeper.readings.log, gatekeeper.readings.log.write

    def lost(make: Any) -> Any:
        write(make)
        raise StoreUnavailableError("connection lost")

    monkeypatch.setattr(log, "write", lost)
    reading = measure(1)
    assert code(send(reading)) == (503, "STORE_UNAVAILABLE")
    monkeypatch.undo()
    [entry] = store.search(Query()).entries
    assert codes(send(reading)[1]) == ["TAKEN"]
    settle(gatekeeper)
    assert gatekeeper.head.now().pointer(entry.pointer) is not None
    assert len(store.search(Query()).entries) == 1


def test_what_a_process_wrote_down_and_never_posted_is_posted_when_the_reading_comes_again(
    send: Send, measure: Measure, registered: Device, gatekeeper: Gatekeeper, keep: Keep, store: SqlStore
) -> None:
    dead = keep()
    assert dead.poster is not None
    dead.poster.stop()
    readings = [measure(1), measure(2), measure(3)]
    client = httpx.Client(transport=Bridge(create_app(dead)))
    assert codes(send_to(client, *readings)[1]) == ["TAKEN"] * 3
    pointers = [one.pointer for one in store.search(Query()).entries]
    store.batches.assign([one.id for one in pointers[:2]])
    assert codes(send(*readings)[1]) == ["TAKEN"] * 3
    settle(gatekeeper)
    assert all(gatekeeper.head.now().pointer(one) is not None for one in pointers)


@pytest.fixture
def on_postgres(
    postgres_url: str,  # noqa: F811
    suite: MedProof,
    settings: Settings,
    clinic: LocalSigner,
) -> Iterator[list[Gatekeeper]]:
    """Two gatekeepers of one custodian, at one database."""
    stores = [SqlStore(postgres_url, KEYS) for _ in range(2)]
    yield [Gatekeeper(suite, one, settings, sender=clinic) for one in stores]
    for one in stores:
        one.close()


def test_two_gatekeepers_at_one_database(
    on_postgres: list[Gatekeeper], measure: Measure, registered: Device, suite: MedProof, clinic: LocalSigner
) -> None:
    clients = [httpx.Client(transport=Bridge(create_app(one))) for one in on_postgres]
    batch = [measure(number) for number in (1, 2, 4)]
    late = measure(3, ago=-600)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda place: send_to(clients[place % 2], *batch, late, measure(6)), range(4)))
    assert [status for status, _ in answers] == [200] * 4
    assert {tuple(codes(answer)[:4]) for _, answer in answers} == {("TAKEN", "TAKEN", "TAKEN", "NUMBER")}
    assert sorted(codes(answer)[4] for _, answer in answers) == ["NUMBER", "NUMBER", "NUMBER", "TAKEN"]
    first, second = (one.readings for one in on_postgres)
    assert first is not None
    assert second is not None
    assert first.log.refresh() == second.log.refresh() == 4
    assert first.standing(METER.address) == second.standing(METER.address)
    assert second.standing(METER.address).missing == ((3, 3), (5, 5))
    for one in (first, second):
        one.anchorer.work()
    assert [found.size for found in suite.batch_anchor.batches(clinic.address, log=1)] == [4]

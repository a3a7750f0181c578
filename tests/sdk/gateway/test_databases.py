"""Real databases that are down, killed or full below a gatekeeper: it refuses, recovers, and loses nothing it took."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import httpx
import psycopg
import pytest
from sqlalchemy import event, text

from medproof.errors import GatekeeperRefusalError
from medproof.gateway import Gatekeeper, GatekeeperClient
from medproof.policy.word import Rule
from medproof.signing import LocalSigner
from medproof.store import SqlStore
from tests.sdk.gateway.conftest import ORIGIN, Connect, Post, both_stores, observation, settle
from tests.sdk.store.postgres import LocalPostgres

on_postgres = pytest.mark.parametrize("store", ["postgresql"], indirect=True)


def unavailable(ask: Callable[[], object]) -> None:
    with pytest.raises(GatekeeperRefusalError) as caught:
        ask()
    assert (caught.value.status, caught.value.code) == (503, "STORE_UNAVAILABLE")
    assert caught.value.retry_after is not None


@on_postgres
def test_a_database_that_is_down_closes_the_gate_until_it_is_back(
    reader: GatekeeperClient,
    as_caller: Connect,
    relayer: LocalSigner,
    patient: LocalSigner,
    gatekeeper: Gatekeeper,
    http: httpx.Client,
    post: Post,
    granted: Rule,
    postgres: LocalPostgres,
) -> None:
    id_ = post()
    postgres.stop()
    try:
        unavailable(lambda: reader.fetch("Observation", id_))
        unavailable(lambda: list(reader.search("Observation", patient.address)))
        unavailable(lambda: as_caller(relayer).create(patient.address, observation()))
        assert http.get(f"{ORIGIN}/health/ready").status_code == 503
        assert http.get(f"{ORIGIN}/health/live").status_code == 200
    finally:
        postgres.start()
    assert reader.fetch("Observation", id_).record.id == id_
    second = as_caller(relayer).create(patient.address, observation()).record.id
    settle(gatekeeper)
    assert [one.record.id for one in reader.search("Observation", patient.address)] == [id_, second]


@on_postgres
def test_a_database_that_is_killed_while_records_come_in_loses_none_that_was_accepted(
    as_caller: Connect,
    reader: GatekeeperClient,
    relayer: LocalSigner,
    patient: LocalSigner,
    gatekeeper: Gatekeeper,
    granted: Rule,
    postgres: LocalPostgres,
) -> None:
    accepted: list[str] = []
    refused: list[GatekeeperRefusalError] = []
    stop = threading.Event()
    device = as_caller(relayer)

    def write() -> None:
        while not stop.is_set():
            try:
                accepted.append(str(device.create(patient.address, observation()).record.id))
            except GatekeeperRefusalError as refusal:
                refused.append(refusal)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        wait_for(lambda: len(accepted) > 2)
        postgres.kill()
        wait_for(lambda: bool(refused))
        postgres.start()
        before = len(accepted)
        wait_for(lambda: len(accepted) > before + 2)
    finally:
        stop.set()
        writer.join()
    assert {(one.status, one.code) for one in refused} == {(503, "STORE_UNAVAILABLE")}
    settle(gatekeeper)
    served = {one.record.id for one in reader.search("Observation", patient.address)}
    assert set(accepted) <= served


def wait_for(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.02)


@both_stores
def test_a_full_database_takes_nothing_and_goes_on_serving(
    reader: GatekeeperClient,
    as_caller: Connect,
    relayer: LocalSigner,
    patient: LocalSigner,
    gatekeeper: Gatekeeper,
    post: Post,
    granted: Rule,
    store: SqlStore,
    request: pytest.FixtureRequest,
) -> None:
    id_ = post()
    device = as_caller(relayer)
    make_space = fill(store, request)
    unavailable(lambda: device.create(patient.address, observation(note=[{"text": "x" * 500_000}])))
    assert reader.fetch("Observation", id_).record.id == id_
    make_space()
    second = device.create(patient.address, observation()).record.id
    settle(gatekeeper)
    assert reader.fetch("Observation", str(second))


def fill(store: SqlStore, request: pytest.FixtureRequest) -> Callable[[], None]:
    """Leave hardly any space for records; returns what undoes it."""
    if request.node.callspec.params["store"] == "postgresql":
        server: LocalPostgres = request.getfixturevalue("postgres")
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            connection.execute(
                "CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE EXCEPTION 'no space' USING ERRCODE = 'disk_full'; END $$;"
                "CREATE TRIGGER no_space BEFORE INSERT ON records FOR EACH ROW EXECUTE FUNCTION no_space()"
            )

        def drop() -> None:
            with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
                connection.execute("DROP TRIGGER no_space ON records")

        return drop
    with store.database.reading() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one() + 20
    limit = [pages]

    def bound(connection: object, *_: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {limit[0]}")  # type: ignore[attr-defined]

    event.listen(store.database.engine, "checkout", bound)

    def widen() -> None:
        limit[0] = 1_000_000

    return widen

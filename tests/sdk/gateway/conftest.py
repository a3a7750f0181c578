"""A gatekeeper with its store on the local chain, and callers who reach it over ASGI, without a socket."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from medproof import fhir, hashing
from medproof.client import MedProof
from medproof.fhir import Resource
from medproof.gateway import Access, Claims, Gatekeeper, GatekeeperClient, Settings, create_app
from medproof.policy.codes import Action, Purpose
from medproof.policy.word import Rule
from medproof.signing import LocalSigner
from medproof.store import KeyRing, MasterKey, SqlStore
from tests.sdk.store.conftest import postgres
from tests.sdk.store.postgres import LocalPostgres

__all__ = ["postgres"]

ORIGIN = "https://records.example.org"
KEYS = KeyRing(MasterKey(bytes(range(32))))
TREATMENT = Claims(Purpose.TREAT, Action.ACCESS)


class Clock:
    """The gatekeeper's clock: it started a minute ago, so that what is signed now counts."""

    def __init__(self) -> None:
        self.offset = -60.0

    def __call__(self) -> float:
        return time.time() + self.offset


class Bridge(httpx.BaseTransport):
    """httpx's ASGI transport for a client that does not know of asyncio; failures of the application are raised."""

    def __init__(self, app: Any, address: str = "192.0.2.7") -> None:
        self._asgi = httpx.ASGITransport(app, client=(address, 1234))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        async def send() -> httpx.Response:
            body = request.read()
            inner = httpx.Request(request.method, request.url, headers=request.headers, content=body)
            answer = await self._asgi.handle_async_request(inner)
            return httpx.Response(answer.status_code, headers=answer.headers, content=await answer.aread())

        return asyncio.run(send())


def observation(**changes: Any) -> Resource:
    """A laboratory result of nobody, of 10 January 2026."""
    content = {
        "resourceType": "Observation",
        "status": "final",
        "category": [
            {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory"}]}
        ],
        "code": {"coding": [{"system": "http://loinc.org", "code": "2345-7"}]},
        "effectiveDateTime": "2026-01-10",
        "valueQuantity": {"value": hashing.parse(b"6.30"), "unit": "mmol/l"},
        **changes,
    }
    return fhir.load({name: value for name, value in content.items() if value is not None})


def labelled(code: str) -> dict[str, Any]:
    return {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": code}]}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accesses() -> list[Access]:
    """What the audit was told, in order."""
    return []


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a store without records: copying it is quicker than making one."""
    path = tmp_path_factory.mktemp("store") / "empty.db"
    SqlStore(path, KEYS).close()
    return path


both_stores = pytest.mark.parametrize("store", ["sqlite", "postgresql"], indirect=True)
"""Runs a test on a real PostgreSQL as well."""


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path, empty_store: Path) -> Iterator[SqlStore]:
    if getattr(request, "param", "sqlite") == "postgresql":
        server: LocalPostgres = request.getfixturevalue("postgres")
        opened = SqlStore(server.empty_database(), KEYS, patience=2.0)
    else:
        opened = SqlStore(shutil.copy(empty_store, tmp_path / "records.db"), KEYS, patience=0.3)
    yield opened
    opened.close()


@pytest.fixture
def settings(relayer: LocalSigner, tmp_path: Path) -> Settings:
    queue, writers = tmp_path / "records.db.queue", frozenset({relayer.address})
    return Settings(ORIGIN, writers=writers, max_block_age=None, refresh=0.0, queue=queue, batch_wait=0.0)


Keep = Callable[..., Gatekeeper]


@pytest.fixture
def keep(
    suite: MedProof, store: SqlStore, settings: Settings, clinic: LocalSigner, accesses: list[Access], clock: Clock
) -> Iterator[Keep]:
    """Build gatekeepers that have started, one minute ago."""
    started: list[Gatekeeper] = []

    def build(**changes: Any) -> Gatekeeper:
        clock.offset = -60.0
        given = {"sender": clinic, "audit": accesses.append, "clock": clock, **changes}
        gatekeeper = Gatekeeper(given.pop("suite", suite), store, given.pop("settings", settings), **given)
        clock.offset = 0.0
        gatekeeper.start()
        started.append(gatekeeper)
        return gatekeeper

    yield build
    for one in started:
        one.stop()
        one.close()


@pytest.fixture
def gatekeeper(keep: Keep) -> Gatekeeper:
    return keep()


@pytest.fixture
def http(gatekeeper: Gatekeeper) -> httpx.Client:
    return httpx.Client(transport=Bridge(create_app(gatekeeper)))


Connect = Callable[..., GatekeeperClient]


@pytest.fixture
def as_caller(suite: MedProof, http: httpx.Client) -> Connect:
    """A client of the gatekeeper for an account, for treatment where nothing else is claimed."""

    def connect(signer: LocalSigner, claims: Claims = TREATMENT) -> GatekeeperClient:
        return GatekeeperClient(ORIGIN, suite, signer, claims=claims, http=http)

    return connect


@pytest.fixture
def reader(as_caller: Connect, second_clinic: LocalSigner) -> GatekeeperClient:
    """Another clinic, which asks for treatment."""
    return as_caller(second_clinic)


def settle(gatekeeper: Gatekeeper, seconds: float = 10.0) -> None:
    """Wait until every pointer is on the chain."""
    assert gatekeeper.poster is not None
    limit = time.monotonic() + seconds
    while gatekeeper.poster.open:
        assert time.monotonic() < limit, "the pointers were not posted"
        time.sleep(0.01)


Post = Callable[..., str]
PostAll = Callable[..., list[str]]


@pytest.fixture
def post_all(as_caller: Connect, gatekeeper: Gatekeeper, relayer: LocalSigner, patient: LocalSigner) -> PostAll:
    """Post records of the patient as the clinic's own device, and wait for their pointers; returns their ids."""

    def take(*given: Resource) -> list[str]:
        device = as_caller(relayer)
        ids = [str(device.create(patient.address, record).record.id) for record in given]
        settle(gatekeeper)
        return ids

    return take


@pytest.fixture
def post(post_all: PostAll) -> Post:
    """Post one record, and wait for its pointer; returns its id."""

    def take(record: Resource | None = None) -> str:
        [id_] = post_all(record or observation())
        return id_

    return take


@pytest.fixture
def granted(suite: MedProof, patient: LocalSigner, second_clinic: LocalSigner, rule: Rule) -> Rule:
    """The patient's permit for the other clinic."""
    suite.consent_registry.grant(second_clinic.address, rule, sender=patient)
    return rule

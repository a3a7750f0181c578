"""A record that is posted again under its writer's key is taken once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from medproof import fhir, hashing
from medproof.client import MedProof
from medproof.client.record_pointers import PointerKey
from medproof.errors import GatekeeperRefusalError
from medproof.gateway import Gatekeeper, GatekeeperClient
from medproof.signing import LocalSigner
from medproof.store import Query, SqlStore
from tests.sdk.gateway.conftest import Connect, observation, settle

KEY = "a1" * 16


@pytest.fixture
def app(as_caller: Connect, relayer: LocalSigner) -> GatekeeperClient:
    """One of the clinic's own apps."""
    return as_caller(relayer)


def test_the_same_again_is_the_one_that_was_taken(
    app: GatekeeperClient, gatekeeper: Gatekeeper, store: SqlStore, suite: MedProof, patient: LocalSigner
) -> None:
    first = app.create(patient.address, observation(), key=KEY)
    settle(gatekeeper)
    again = app.create(patient.address, observation(), key=KEY)
    assert (again.record.content, again.pointer) == (first.record.content, first.pointer)
    settle(gatekeeper)
    assert len(store.search(Query()).entries) == 1
    assert len(list(suite.record_pointers.keys_of(patient.address))) == 1


def test_another_under_the_key_is_refused(app: GatekeeperClient, store: SqlStore, patient: LocalSigner) -> None:
    app.create(patient.address, observation(), key=KEY)
    for other in (
        observation(status="amended"),
        observation(valueQuantity={"value": hashing.parse(b"6.3"), "unit": "mmol/l"}),
    ):
        with pytest.raises(GatekeeperRefusalError) as caught:
            app.create(patient.address, other, key=KEY)
        assert (caught.value.status, caught.value.code) == (409, "KEY_USED")
    assert len(store.search(Query()).entries) == 1


def test_a_key_is_of_one_writer_one_subject_and_one_type(
    app: GatekeeperClient, store: SqlStore, patient: LocalSigner, stranger: LocalSigner
) -> None:
    records = [
        app.create(patient.address, observation(), key=KEY),
        app.create(stranger.address, observation(), key=KEY),
        app.create(patient.address, observation(), key=KEY.upper()),
        app.create(patient.address, observation()),
        app.create(patient.address, observation()),
    ]
    assert len({one.record.id for one in records}) == len(store.search(Query()).entries) == 5


@pytest.mark.parametrize("key", ["", "short", "a" * 65, "a1" * 15 + "&x", "a1" * 15 + "\n", "ключ" * 5, "../" * 8])
def test_what_is_no_key_is_refused(app: GatekeeperClient, store: SqlStore, patient: LocalSigner, key: str) -> None:
    with pytest.raises(GatekeeperRefusalError) as caught:
        app.create(patient.address, observation(), key=key)
    assert (caught.value.status, caught.value.code) == (400, "PARAMETER")
    assert store.search(Query()).entries == ()


def test_a_record_of_nobody_is_refused(app: GatekeeperClient, store: SqlStore) -> None:
    """The contract would refuse its pointer for good."""
    with pytest.raises(GatekeeperRefusalError) as caught:
        app.create("0x" + "00" * 20, observation())
    assert (caught.value.status, caught.value.code) == (422, "SUBJECT")
    assert store.search(Query()).entries == ()


def test_many_at_once_make_one_record(
    app: GatekeeperClient, gatekeeper: Gatekeeper, store: SqlStore, patient: LocalSigner
) -> None:
    def post(_: int) -> bytes | None:
        try:
            return app.create(patient.address, observation(), key=KEY).pointer
        except GatekeeperRefusalError as refusal:
            refusals.append(refusal.status)
            return None

    refusals: list[int] = []
    with ThreadPoolExecutor(4) as pool:
        taken = {*pool.map(post, range(8))} - {None}
    assert len(taken) == len(store.search(Query()).entries) == 1
    assert {*refusals} <= {503}  # two met: ask again
    settle(gatekeeper)


def test_an_amended_record_keeps_its_key(app: GatekeeperClient, store: SqlStore, patient: LocalSigner) -> None:
    first = app.create(patient.address, observation(), key=KEY)
    stored = store.get_pointed(first.pointer)
    newer = fhir.load({**stored.resource.content, "status": "amended"})
    sealed = hashing.seal(newer.content)
    key = PointerKey(patient.address, stored.entry.pointer.origin, sealed.commitment)
    store.put(key, newer, sealed.salt, data_class=stored.entry.data_class, replaces=first.pointer)
    assert app.create(patient.address, observation(), key=KEY).pointer == first.pointer

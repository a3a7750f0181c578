"""New records: who may post them, what is refused, and that none that was accepted is lost."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest

from medproof import fhir
from medproof.client import MedProof
from medproof.errors import GatekeeperRefusalError
from medproof.gateway import Access, Gatekeeper, GatekeeperClient, create_app
from medproof.signing import LocalSigner
from medproof.store import Query, SqlStore
from tests.sdk.chain.odd_node import odd_node
from tests.sdk.gateway.conftest import (
    ORIGIN,
    TREATMENT,
    Bridge,
    Connect,
    Keep,
    both_stores,
    labelled,
    observation,
    settle,
)
from tests.sdk.store.examples import example


@pytest.fixture
def device(as_caller: Connect, relayer: LocalSigner) -> GatekeeperClient:
    """One of the clinic's own devices."""
    return as_caller(relayer)


def refusal(device: GatekeeperClient, subject: str, body: bytes, type_: str = "Observation") -> tuple[int, str]:
    with pytest.raises(GatekeeperRefusalError) as caught:
        device._send("POST", f"/fhir/{type_}?patient={subject}", body)
    return caught.value.status, caught.value.code


@both_stores
def test_a_record_is_stored_and_its_pointer_posted(
    device: GatekeeperClient, gatekeeper: Gatekeeper, store: SqlStore, suite: MedProof, patient: LocalSigner
) -> None:
    record = example()  # HL7's blood pressure, its decimals exact
    taken = device.create(patient.address, record)
    assert {**taken.record.content, "id": record.id} == record.content
    assert taken.record.id != record.id
    settle(gatekeeper)
    stored = store.get("Observation", str(taken.record.id))
    assert stored.entry.pointer.id == taken.pointer
    assert fhir.verify(stored.resource, stored.salt, stored.entry.pointer.commitment)
    pointer = suite.record_pointers.pointer(stored.entry.pointer)
    assert pointer is not None
    assert pointer.data_class is stored.entry.data_class


def test_only_the_custodians_own_may_post(
    as_caller: Connect, patient: LocalSigner, second_clinic: LocalSigner, store: SqlStore, accesses: list[Access]
) -> None:
    with pytest.raises(GatekeeperRefusalError) as caught:
        as_caller(second_clinic).create(patient.address, observation())
    assert (caught.value.status, caught.value.code) == (403, "WRITER")
    assert store.search(Query()).entries == ()
    assert [(one.action, one.permitted) for one in accesses] == [("create", False)]


def test_what_is_no_record_is_refused(device: GatekeeperClient, patient: LocalSigner, store: SqlStore) -> None:
    subject = patient.address
    good = json.loads(json.dumps({**observation().content, "valueQuantity": {"value": 6, "unit": "mmol/l"}}))
    assert refusal(device, subject, b"no json") == (400, "NOT_JSON")
    assert refusal(device, subject, b"[" * 5000) == (400, "NOT_JSON")
    assert refusal(device, subject, b'{"a":' * 200 + b"1" + b"}" * 200) == (400, "NOT_JSON")
    assert refusal(device, subject, b'{"a":1,"a":2}') == (400, "NOT_JSON")
    assert refusal(device, subject, b"\xff\xfe{}") == (400, "NOT_JSON")
    assert refusal(device, subject, b'{"resourceType":"Obs"}') == (422, "RECORD_REFUSED")
    assert refusal(device, subject, b'{"resourceType":"Observation"}') == (422, "RECORD_REFUSED")
    assert refusal(device, subject, json.dumps({**good, "extra": 1}).encode()) == (422, "RECORD_REFUSED")
    assert refusal(device, subject, json.dumps(good).encode(), "Procedure") == (422, "RESOURCE_TYPE")
    consent = json.dumps({"resourceType": "Parameters"}).encode()  # a type that no class stands for
    assert refusal(device, subject, consent, "Parameters") == (422, "RECORD_REFUSED")
    secret = {**good, "meta": labelled("NOT-A-LABEL")}
    assert refusal(device, subject, json.dumps(secret).encode()) == (422, "RECORD_REFUSED")
    assert store.search(Query()).entries == ()


def test_a_body_that_is_too_long_is_refused_before_it_is_read(
    http: httpx.Client, gatekeeper: Gatekeeper, device: GatekeeperClient, patient: LocalSigner
) -> None:
    limit = gatekeeper.settings.max_body
    assert refusal(device, patient.address, b" " * (limit + 1)) == (413, "BODY_TOO_LONG")
    said_less = http.post(f"{ORIGIN}/fhir/Observation", content=b" " * (limit + 1), headers={"Content-Length": "1"})
    assert said_less.status_code == 413


def test_a_record_in_another_format_is_refused(device: GatekeeperClient, patient: LocalSigner, http: Any) -> None:
    send = http.send

    def as_xml(request: httpx.Request, **options: Any) -> httpx.Response:
        request.headers["Content-Type"] = "application/fhir+xml"
        answer: httpx.Response = send(request, **options)
        return answer

    http.send = as_xml
    assert refusal(device, patient.address, b"<Observation/>") == (415, "CONTENT_TYPE")


def test_without_a_sender_no_record_is_taken(
    keep: Keep, suite: MedProof, relayer: LocalSigner, patient: LocalSigner
) -> None:
    http = httpx.Client(transport=Bridge(create_app(keep(sender=None))))
    device = GatekeeperClient(ORIGIN, suite, relayer, claims=TREATMENT, http=http)
    with pytest.raises(GatekeeperRefusalError) as caught:
        device.create(patient.address, observation())
    assert caught.value.code == "WRITER"


def test_what_was_accepted_while_the_node_was_down_is_posted_when_it_is_back(
    keep: Keep, store: SqlStore, node: Any, deployment: Any, suite: MedProof, relayer: LocalSigner, patient: LocalSigner
) -> None:
    down = False
    with odd_node(lambda call: None if down else ..., upstream=node.url) as odd:
        from tests.sdk.gateway.test_faults import through

        gatekeeper = keep(suite=through(odd.url, deployment))
        http = httpx.Client(transport=Bridge(create_app(gatekeeper)))
        device = GatekeeperClient(ORIGIN, suite, relayer, claims=TREATMENT, http=http)
        settle(gatekeeper)
        down = True
        taken = device.create(patient.address, observation())
        assert gatekeeper.poster is not None
        assert gatekeeper.poster.open == 1
        [entry] = store.search(Query()).entries
        assert suite.record_pointers.pointer(entry.pointer) is None
        down = False
        settle(gatekeeper)
        assert entry.pointer.id == taken.pointer
        assert suite.record_pointers.pointer(entry.pointer) is not None
        gatekeeper.stop()


@both_stores
def test_what_an_earlier_process_left_is_posted_once(
    keep: Keep, store: SqlStore, suite: MedProof, relayer: LocalSigner, patient: LocalSigner
) -> None:
    first = keep()
    http = httpx.Client(transport=Bridge(create_app(first)))
    device = GatekeeperClient(ORIGIN, suite, relayer, claims=TREATMENT, http=http)
    device.create(patient.address, observation())
    settle(first)
    first.stop()  # as if killed between storing and posting
    device.create(patient.address, observation())
    assert len(store.search(Query()).entries) == 2
    keep_posting = keep()
    assert keep_posting.poster is not None
    keep_posting.poster.recover()
    settle(keep_posting)
    assert len(list(suite.record_pointers.keys_of(patient.address))) == 2


def test_a_store_that_is_held_by_others_takes_nothing_until_it_is_free(
    device: GatekeeperClient, gatekeeper: Gatekeeper, store: SqlStore, tmp_path: Path, patient: LocalSigner
) -> None:
    other = sqlite3.connect(tmp_path / "records.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(GatekeeperRefusalError) as caught:
        device.create(patient.address, observation())
    assert (caught.value.status, caught.value.code) == (503, "STORE_UNAVAILABLE")
    other.execute("ROLLBACK")
    other.close()
    device.create(patient.address, observation())
    settle(gatekeeper)
    assert len(store.search(Query()).entries) == 1

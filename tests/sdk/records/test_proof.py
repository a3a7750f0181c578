"""A record whose pointer stands in a batch: served with its place, and refused where any part of the proof lies."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from medproof.client import MedProof
from medproof.client.record_pointers import Pointer, Status
from medproof.errors import RecordDamagedError, UnprovedRecordError
from medproof.gateway import GatekeeperClient, Proof
from medproof.gateway.moment import Moment
from medproof.policy.codes import DataClass
from medproof.policy.word import Rule
from medproof.signing import LocalSigner
from medproof.store import Entry, SqlStore, StoredRecord
from tests.sdk.gateway.conftest import ORIGIN, TREATMENT, Connect
from tests.sdk.records.conftest import Post, put

HASH = "0x" + "11" * 32


@pytest.fixture
def batched(store: SqlStore, poster: Post, patient: LocalSigner, stranger: LocalSigner, clinic: LocalSigner) -> Entry:
    """A record of the patient's whose pointer stands with four others in a batch."""
    subjects = [patient.address, *4 * [stranger.address]]
    [entry, *_] = put(store, clinic.address, subjects)
    working = poster()
    working.recover()
    working.work()
    return entry


@pytest.fixture
def stored(store: SqlStore, batched: Entry) -> StoredRecord:
    return store.get_pointed(batched.pointer.id)


@pytest.fixture
def proof(suite: MedProof, store: SqlStore, stored: StoredRecord) -> Proof:
    """What a gatekeeper hands over with it."""
    block = suite.chain.block()
    pointer = Moment(suite, block, store.batches.place).pointer(stored.entry.pointer)
    assert pointer is not None
    return Proof.of(pointer, stored.salt, block.number, block.hash, "PERMITTED")


def test_a_batched_pointer_is_proved_by_its_place(
    suite: MedProof, proof: Proof, stored: StoredRecord, clinic: LocalSigner
) -> None:
    assert proof.place is not None
    assert (proof.version, proof.status, len(proof.place.proof)) == (1, "posted", (proof.place.index == 4 and 1) or 3)
    assert Proof.read(proof.to_text()) == proof
    found = proof.verify(stored.resource.content, suite.record_pointers)
    assert (found.custodian, found.data_class, found.status) == (clinic.address, DataClass.LABORATORY, Status.POSTED)
    assert (found.version, found.sequence, found.place) == (1, 0, proof.place)
    proof.verify_record(stored.resource.content)  # without any chain


Alter = Callable[[dict[str, Any]], dict[str, Any]]


def in_place(**changes: Any) -> Alter:
    return lambda said: {**said, "place": {**said["place"], **changes}}


LIES: dict[str, tuple[Alter, str]] = {
    "subject": (lambda said: {**said, "subject": "0x" + "a1" * 20}, "pointer"),
    "origin": (lambda said: {**said, "origin": "0x" + "a1" * 20}, "pointer"),
    "commitment": (lambda said: {**said, "commitment": HASH}, "pointer"),
    "pointer": (lambda said: {**said, "pointer": HASH}, "pointer"),
    "class": (lambda said: {**said, "class": "imaging"}, "place"),
    "no-class": (lambda said: {**said, "class": "nonsense"}, "proof"),
    "two-classes": (lambda said: {**said, "class": ["laboratory"]}, "proof"),
    "salt": (lambda said: {**said, "salt": HASH}, "salt"),
    "version": (lambda said: {**said, "version": 2}, "version or status"),
    "no-version": (lambda said: {**said, "version": True}, "proof"),
    "status": (lambda said: {**said, "status": "accepted"}, "version or status"),
    "no-status": (lambda said: {**said, "status": "proved"}, "proof"),
    "block": (lambda said: {**said, "block": said["block"] - 1}, "blockHash"),
    "endless-block": (lambda said: {**said, "block": float("inf")}, "proof"),
    "block-hash": (lambda said: {**said, "blockHash": HASH}, "blockHash"),
    "root": (in_place(root=HASH), "root"),
    "index": (lambda said: in_place(index=(said["place"]["index"] + 1) % 5)(said), "place"),
    "index-beyond": (in_place(index=5), "place"),
    "index-below": (in_place(index=-1), "proof"),
    "index-text": (in_place(index="1"), "proof"),
    "index-fraction": (in_place(index=1.0), "proof"),
    "index-huge": (in_place(index=1 << 64), "proof"),
    "sibling": (lambda said: in_place(siblings=[HASH, *said["place"]["siblings"][1:]])(said), "place"),
    "sibling-more": (lambda said: in_place(siblings=[*said["place"]["siblings"], HASH])(said), "place"),
    "sibling-less": (lambda said: in_place(siblings=said["place"]["siblings"][1:])(said), "place"),
    "siblings-turned": (in_place(siblings=[HASH, "0x" + "22" * 32]), "place"),
    "siblings-none": (in_place(siblings=None), "proof"),
    "siblings-many": (in_place(siblings=[HASH] * 5000), "place"),
    "sibling-short": (in_place(siblings=["0x11"]), "proof"),
    "no-root": (lambda said: {**said, "place": {}}, "proof"),
    "place-list": (lambda said: {**said, "place": [1]}, "proof"),
    "no-place": (lambda said: {name: value for name, value in said.items() if name != "place"}, "pointer"),
}


def test_a_proof_that_lies_in_any_part_is_refused(suite: MedProof, proof: Proof, stored: StoredRecord) -> None:
    for name, (alter, field) in LIES.items():
        text = json.dumps(alter(json.loads(proof.to_text())))
        with pytest.raises(UnprovedRecordError) as caught:
            Proof.read(text).verify(stored.resource.content, suite.record_pointers)
        assert caught.value.field == field, name


def test_the_record_of_another_is_refused(suite: MedProof, proof: Proof, stored: StoredRecord) -> None:
    with pytest.raises(UnprovedRecordError) as caught:
        proof.verify({**stored.resource.content, "status": "amended"}, suite.record_pointers)
    assert caught.value.field == "salt"


def test_a_batch_of_another_custodian_proves_nothing(
    suite: MedProof, proof: Proof, stored: StoredRecord, second_clinic: LocalSigner
) -> None:
    """Whoever posts the same root says nothing of the first one's pointers."""
    assert proof.place is not None
    suite.record_pointers.post_batch(proof.place.root, 5, sender=second_clinic)
    other = replace(proof, pointer=replace(proof.pointer, origin=second_clinic.address))
    with pytest.raises(UnprovedRecordError) as caught:
        other.verify(stored.resource.content, suite.record_pointers)
    assert caught.value.field == "place"


def test_the_proof_holds_after_the_pointer_was_opened(
    suite: MedProof, proof: Proof, stored: StoredRecord, patient: LocalSigner, store: SqlStore
) -> None:
    pointers = suite.record_pointers
    assert proof.place is not None
    pointers.open(proof.pointer, proof.data_class, proof.place, sender=patient)
    pointers.accept(proof.pointer, sender=patient)
    found = proof.verify(stored.resource.content, pointers)
    assert (found.status, found.place) == (Status.ACCEPTED, None)
    now = Moment(suite, suite.chain.block(), store.batches.place).pointer(proof.pointer)
    assert now == found
    lie = replace(proof, data_class=DataClass.IMAGING, place=None)
    with pytest.raises(UnprovedRecordError) as caught:
        lie.verify(stored.resource.content, pointers)
    assert caught.value.field == "class"


def test_a_batch_counts_from_its_block_on(suite: MedProof, store: SqlStore, poster: Post, clinic: LocalSigner) -> None:
    entries = put(store, clinic.address, ["0x" + "a1" * 20, "0x" + "a2" * 20])
    before = suite.chain.block()
    working = poster()
    working.recover()
    working.work()
    for entry in entries:
        assert Moment(suite, before, store.batches.place).pointer(entry.pointer) is None
        assert Moment(suite, suite.chain.block(), store.batches.place).pointer(entry.pointer) is not None
        assert Moment(suite, suite.chain.block()).pointer(entry.pointer) is None  # of whose place nobody knows


def test_a_place_that_was_altered_in_the_database_is_damage(suite: MedProof, store: SqlStore, batched: Entry) -> None:
    known = store.batches.place(batched.pointer.id)
    assert known is not None
    data_class, place = known
    for altered in ((DataClass.IMAGING, place), (data_class, replace(place, index=place.index ^ 1))):
        with pytest.raises(RecordDamagedError):
            Moment(suite, suite.chain.block(), lambda _, found=altered: found).pointer(batched.pointer)  # type: ignore[misc]


# -- through a gatekeeper ----------------------------------------------------------------------------------------


def test_it_is_served_and_listed(
    batched: Entry,
    stored: StoredRecord,
    suite: MedProof,
    as_caller: Connect,
    granted: Rule,
    second_clinic: LocalSigner,
    patient: LocalSigner,
) -> None:
    reader, subject = as_caller(second_clinic), as_caller(patient)
    fetched = reader.fetch("Observation", str(stored.resource.id))
    assert (fetched.record.content, fetched.pointer.key) == (stored.resource.content, batched.pointer)
    assert fetched.proof.place is not None
    [found] = reader.search("Observation", patient.address)
    assert found.proof == fetched.proof
    [listed] = subject.pointers(patient.address)
    assert listed.pointer == fetched.pointer
    place = listed.pointer.place
    assert place is not None
    pointers = suite.record_pointers
    pointers.open(listed.pointer.key, listed.pointer.data_class, place, sender=patient)  # by her own hand
    [opened] = subject.pointers(patient.address)
    assert (opened.pointer.place, opened.pointer.sequence) == (None, 1)
    assert reader.fetch("Observation", str(stored.resource.id)).proof.place is None


@pytest.mark.parametrize(
    ("alter", "field"),
    [
        (lambda said: {**said, "class": "imaging"}, "place"),
        (in_place(root=HASH), "root"),
        (in_place(index=7), "place"),
        (in_place(siblings=[]), "place"),
        (in_place(siblings=[[]]), "pointers"),
        (lambda said: {**said, "subject": "0x" + "a1" * 20}, "pointer"),
        (lambda said: {"pointer": HASH}, "pointers"),
    ],
)
def test_a_listing_that_lies_is_refused(
    batched: Entry, http: httpx.Client, suite: MedProof, patient: LocalSigner, alter: Alter, field: str
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        page = http.send(httpx.Request(request.method, request.url, headers=request.headers)).json()
        return httpx.Response(200, json={**page, "pointers": [alter(one) for one in page["pointers"]]})

    lying = httpx.Client(transport=httpx.MockTransport(answer))
    client = GatekeeperClient(ORIGIN, suite, patient, claims=TREATMENT, http=lying)
    with pytest.raises(UnprovedRecordError) as caught:
        list(client.pointers(patient.address))
    assert caught.value.field == field


def test_a_listing_of_anothers_pointers_is_refused(
    batched: Entry, http: httpx.Client, suite: MedProof, patient: LocalSigner, stranger: LocalSigner, as_caller: Connect
) -> None:
    [listed] = as_caller(patient).pointers(patient.address)
    page = {"pointers": [json.loads(stand_in(listed.pointer))]}
    swapped = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=page)))
    client = GatekeeperClient(ORIGIN, suite, stranger, claims=TREATMENT, http=swapped)
    with pytest.raises(UnprovedRecordError) as caught:
        list(client.pointers(stranger.address))
    assert caught.value.field == "subject"


def stand_in(pointer: Pointer) -> str:
    """A pointer as a gatekeeper would list it: a proof says the same and more."""
    return Proof.of(pointer, bytes(32), 0, HASH, "SUBJECT").to_text()

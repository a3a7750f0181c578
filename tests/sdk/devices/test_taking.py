"""Readings on their way in: each has an outcome of its own, and none is lost, doubled or believed without proof."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from medproof import fhir, hashing
from medproof.client import MedProof
from medproof.errors import GatekeeperRefusalError, UnprovedRecordError
from medproof.gateway import Gatekeeper, GatekeeperClient, Settings, create_app
from medproof.hashing import Json
from medproof.merkle import verify_inclusion
from medproof.policy.codes import DataClass
from medproof.policy.device import Device
from medproof.policy.word import Rule
from medproof.reading_proof import ReadingProof
from medproof.signing import LocalSigner
from medproof.store import Query, SqlStore
from tests.sdk.devices.conftest import METER, Measure, Send, body_of, codes, pressure
from tests.sdk.gateway.conftest import ORIGIN, Bridge, Connect, Keep, observation, settle
from tests.support.metrics import samples


def refused(answer: Any) -> tuple[int, str]:
    status, outcome = answer
    return status, outcome["issue"][0]["details"]["coding"][0]["code"]


def count(store: SqlStore) -> int:
    return len(store.search(Query(), limit=1000).entries)


def test_a_batch_is_stored_logged_and_pointed_to(
    send: Send, measure: Measure, registered: Device, gatekeeper: Gatekeeper, store: SqlStore, suite: MedProof
) -> None:
    batch = [measure(number) for number in (1, 2, 3)]
    status, answer = send(*batch)
    assert (status, codes(answer), answer["last"]) == (200, ["TAKEN"] * 3, 3)
    assert gatekeeper.readings is not None
    assert list(gatekeeper.readings.log.leaves()) == [one.commitment for one in batch]
    for one, said in zip(batch, answer["readings"], strict=True):
        stored = store.get("Observation", said["id"])
        assert stored.resource.content == one.observation
        assert fhir.verify(stored.resource, stored.salt, one.commitment)
        assert said["pointer"] == f"0x{stored.entry.pointer.id.hex()}"
    settle(gatekeeper)
    moment = gatekeeper.head.now()
    assert all(moment.pointer(entry.pointer) is not None for entry in store.search(Query()).entries)


def test_the_same_batch_is_answered_as_before_and_stored_once(
    send: Send, measure: Measure, registered: Device, gatekeeper: Gatekeeper, store: SqlStore, keep: Keep
) -> None:
    future = measure(2, ago=-3600)
    batch = [measure(1), future, measure(3)]
    first = send(*batch)
    assert codes(first[1]) == ["TAKEN", "FUTURE", "TAKEN"]
    assert send(*batch, device=METER.address.lower()) == first
    settle(gatekeeper)
    assert send(*batch) == first
    later = keep()  # another process
    again = httpx.Client(transport=Bridge(create_app(later))).post(
        f"{ORIGIN}/devices/{METER.address}/readings",
        content=body_of(*batch, measure(4)),
        headers={"Content-Type": "application/json"},
    )
    assert again.json()["readings"][:3] == first[1]["readings"]
    assert codes(again.json()) == ["TAKEN", "FUTURE", "TAKEN", "TAKEN"]
    assert count(store) == 3


def test_numbers_only_grow_and_gaps_show(
    send: Send, measure: Measure, registered: Device, as_caller: Connect, patient: LocalSigner, stranger: LocalSigner
) -> None:
    assert codes(send(measure(5), measure(4), measure(9), measure(9))[1]) == ["TAKEN", "NUMBER", "TAKEN", "NUMBER"]
    assert codes(send(measure(9))[1]) == ["NUMBER"]  # another reading under the same number
    assert codes(send(measure(2))[1]) == ["NUMBER"]
    for signer in (METER, patient):
        answer = as_caller(signer)._send("GET", f"/devices/{METER.address}/readings")
        assert answer.json() == {"device": METER.address, "last": 9, "missing": [[1, 4], [6, 8]]}
    with pytest.raises(GatekeeperRefusalError, match="no such record"):
        as_caller(stranger)._send("GET", f"/devices/{METER.address}/readings")


def test_whoever_registers_anothers_device_sees_nothing_of_it(
    send: Send,
    measure: Measure,
    registered: Device,
    suite: MedProof,
    as_caller: Connect,
    patient: LocalSigner,
    stranger: LocalSigner,
) -> None:
    """The device's account is public, and anybody may register it; the answer is that of a device that sent nothing."""
    suite.devices.register(METER.address, registered, sender=stranger)
    before = as_caller(stranger)._send("GET", f"/devices/{METER.address}/readings").json()
    assert codes(send(measure(5))[1]) == ["TAKEN"]
    asked = {
        one: as_caller(one)._send("GET", f"/devices/{METER.address}/readings").json() for one in (stranger, patient)
    }
    assert asked[stranger] == before == {"device": METER.address, "last": 0, "missing": []}
    assert asked[patient]["last"] == 5


def test_who_sends_a_reading_again_learns_nothing_of_later_ones(
    send: Send, measure: Measure, registered: Device
) -> None:
    """As a reader could, to whom it was proved."""
    first = measure(1)
    send(first)
    assert send(measure(7))[1]["last"] == 7
    assert send(first)[1]["last"] == 1
    assert send(first, measure(8))[1]["last"] == 8
    for altered in (
        dataclasses.replace(first, signature=measure(1).signature),
        dataclasses.replace(first, taken_at=first.taken_at - 1),
    ):
        assert send(altered)[0] == 401


def test_a_reading_that_was_refused_may_come_again_until_a_later_one_was_taken(
    send: Send, measure: Measure, registered: Device, clock: Any
) -> None:
    early = measure(1, ago=-60)
    assert codes(send(early)[1]) == ["FUTURE"]
    clock.offset = 120.0
    assert codes(send(early)[1]) == ["TAKEN"]


def test_what_the_registration_does_not_cover_is_refused(
    send: Send, measure: Measure, suite: MedProof, patient: LocalSigner, registration: Device, registered: Device
) -> None:
    old = measure(1, ago=40 * 86400)
    weight = measure(2, observation=pressure(datetime.now(UTC), category=None), taken_at=datetime.now(UTC))
    other = measure(3, custodian=patient.address)
    assert codes(send(old, weight, other, measure(4))[1]) == [
        "DEVICE_NOT_YET_VALID",
        "DATA_CLASS",
        "CUSTODIAN",
        "TAKEN",
    ]


def test_a_device_is_revoked_between_two_batches(
    send: Send, measure: Measure, suite: MedProof, patient: LocalSigner, registered: Device, store: SqlStore
) -> None:
    first = measure(1)
    before = send(first)
    suite.devices.revoke(METER.address, sender=patient)
    assert codes(send(measure(2))[1]) == ["DEVICE_REVOKED"]
    assert send(first) == before
    suite.devices.register(METER.address, registered, sender=patient)
    assert codes(send(measure(3))[1]) == ["TAKEN"]
    assert count(store) == 2


def test_an_expired_device_is_refused(send: Send, measure: Measure, registered: Device, clock: Any) -> None:
    taken = measure(1)
    clock.offset = 31 * 86400.0
    assert codes(send(taken)[1]) == ["DEVICE_EXPIRED"]


def test_nobody_elses_readings_are_taken(
    send: Send,
    measure: Measure,
    patient: LocalSigner,
    stranger: LocalSigner,
    store: SqlStore,
    registration: Device,
    suite: MedProof,
) -> None:
    good = measure(1)
    assert refused(send(good)) == (403, "DEVICE_UNKNOWN")
    suite.devices.register(METER.address, registration, sender=patient)
    assert refused(send(measure(1, subject=stranger.address))) == (403, "DEVICE_UNKNOWN")
    forged = dataclasses.replace(good, signature=measure(2).signature)
    assert refused(send(measure(1), forged)) == (401, "SIGNATURE")  # none of the batch
    rest: list[Json] = [forged.to_json(), {"and nothing": "behind it is looked at"}]
    assert refused(send(body=hashing.canonical({"readings": rest}))) == (401, "SIGNATURE")
    moved = dataclasses.replace(good, taken_at=good.taken_at - 1)
    assert refused(send(moved)) == (401, "SIGNATURE")
    assert refused(send(good, device=stranger.address)) == (400, "BATCH")
    assert refused(send(good, measure(2, subject=stranger.address))) == (400, "BATCH")
    assert refused(send(good, measure(2, signer=stranger))) == (400, "BATCH")
    assert refused(send(good, device="0x1")) == (400, "PARAMETER")
    assert count(store) == 0


def test_a_stranger_cannot_have_the_custodian_keep_and_pay(
    send: Send,
    measure: Measure,
    stranger: LocalSigner,
    relayer: LocalSigner,
    registration: Device,
    suite: MedProof,
    store: SqlStore,
    as_caller: Connect,
) -> None:
    suite.relay(suite.devices.sign_registration(stranger, METER.address, registration), sender=relayer)
    reading = measure(1, subject=stranger.address)
    assert refused(send(reading)) == (403, "SUBJECT_UNKNOWN")
    assert count(store) == 0
    as_caller(relayer).create(stranger.address, observation())  # by which the stranger is a patient
    assert codes(send(reading)[1]) == ["TAKEN"]


def test_what_is_no_batch_is_refused(
    send: Send, measure: Measure, registered: Device, store: SqlStore, http: httpx.Client, gatekeeper: Gatekeeper
) -> None:
    good = measure(1)
    for body, expected in (
        (b"", (400, "NOT_JSON")),
        (b"[" * 5000, (400, "NOT_JSON")),
        (b"[]", (400, "BATCH")),
        (b"{}", (400, "BATCH")),
        (b'{"readings":[]}', (400, "BATCH")),
        (b'{"readings":{}}', (400, "BATCH")),
        (b'{"readings":[1]}', (400, "READING")),
        (b'{"readings":[{}],"more":1}', (400, "BATCH")),
        (body_of(good)[:-40], (400, "NOT_JSON")),
        (body_of(*[good] * (gatekeeper.settings.most_readings + 1)), (413, "BATCH_TOO_LONG")),
        (b" " * (gatekeeper.settings.max_body + 1), (413, "BODY_TOO_LONG")),
    ):
        assert refused(send(body=body)) == expected
    as_text = http.post(f"{ORIGIN}/devices/{METER.address}/readings", content=body_of(good))
    assert as_text.status_code == 415
    assert count(store) == 0


def test_batches_that_come_at_once_are_stored_once(
    send: Send, measure: Measure, registered: Device, store: SqlStore, gatekeeper: Gatekeeper
) -> None:
    batches = [[measure(number), measure(number + 1)] for number in (1, 1, 3, 3)]
    batches.append(batches[0])
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda batch: send(*batch), batches))
    assert all(status == 200 for status, _ in answers)
    taken = {
        one["number"]: one["id"] for _, answer in answers for one in answer["readings"] if one["status"] == "taken"
    }
    assert {3, 4} <= set(taken)
    assert count(store) == len(taken)
    assert gatekeeper.readings is not None
    assert gatekeeper.readings.log.size == len(taken)


def test_one_reading_is_proved_without_the_rest(
    send: Send,
    measure: Measure,
    registered: Device,
    granted: Rule,
    gatekeeper: Gatekeeper,
    suite: MedProof,
    reader: GatekeeperClient,
    as_caller: Connect,
    patient: LocalSigner,
    payer: LocalSigner,
) -> None:
    batch = [measure(number) for number in range(1, 6)]
    answer = send(*batch)[1]
    settle(gatekeeper)
    operator = httpx.Client(transport=Bridge(create_app(gatekeeper), address="127.0.0.1"))
    numbers = samples(operator.get(f"{ORIGIN}/metrics").text)
    assert numbers["medproof_gateway_readings_not_anchored", frozenset()] == 5
    target = f"/devices/readings/{answer['readings'][2]['id']}/proof"
    with pytest.raises(UnprovedRecordError, match="not anchored yet"):
        reader.prove_reading(str(answer["readings"][2]["id"]))
    assert gatekeeper.readings is not None
    gatekeeper.readings.anchorer.work()
    text = reader._send("GET", target).content
    for other in (batch[1], batch[3]):
        assert other.salt.hex() not in text.decode()
    proof = ReadingProof.from_json(hashing.parse(text))
    assert proof.reading == batch[2]
    assert proof.verify(suite).size == 5
    assert proof == reader.prove_reading(str(answer["readings"][2]["id"]))
    assert proof.leaf is not None
    verify_inclusion(batch[2].commitment, 2, 5, proof.leaf.path, proof.leaf.root)
    assert as_caller(patient)._send("GET", target).content == text
    with pytest.raises(GatekeeperRefusalError, match="no such record"):
        as_caller(payer)._send("GET", target)

    reading, leaf = proof.reading, proof.leaf
    for altered, field in (
        (dataclasses.replace(proof, reading=batch[1]), "leaf"),
        (dataclasses.replace(proof, leaf=dataclasses.replace(leaf, index=3)), "leaf"),
        (dataclasses.replace(proof, leaf=dataclasses.replace(leaf, size=4)), "leaf"),
        (dataclasses.replace(proof, leaf=dataclasses.replace(leaf, publisher=payer.address)), "publisher"),
        (dataclasses.replace(proof, reading=dataclasses.replace(reading, number=9)), "signature"),
    ):
        with pytest.raises(UnprovedRecordError) as caught:
            altered.verify(suite)
        assert caught.value.field == field


def test_a_reading_of_before_the_revocation_stays_proved_and_one_of_after_is_not(
    send: Send,
    measure: Measure,
    registered: Device,
    gatekeeper: Gatekeeper,
    suite: MedProof,
    patient: LocalSigner,
    store: SqlStore,
) -> None:
    send(measure(1))
    assert gatekeeper.readings is not None
    gatekeeper.readings.anchorer.work()
    proof = gatekeeper.readings.prove(store.search(Query()).entries[0].pointer)
    suite.devices.revoke(METER.address, sender=patient)
    proof.verify(suite)
    assert proof.leaf is not None
    late = measure(2, ago=-60)
    leaf = dataclasses.replace(proof.leaf, leaf=late.commitment)
    with pytest.raises(UnprovedRecordError, match="was not registered"):
        ReadingProof(late, leaf).verify(suite)


def test_a_reading_of_after_the_registration_was_narrowed_is_not_proved(
    send: Send,
    measure: Measure,
    registered: Device,
    gatekeeper: Gatekeeper,
    suite: MedProof,
    patient: LocalSigner,
    store: SqlStore,
) -> None:
    send(measure(1))
    assert gatekeeper.readings is not None
    gatekeeper.readings.anchorer.work()
    proof = gatekeeper.readings.prove(store.search(Query()).entries[0].pointer)
    assert proof.leaf is not None
    other = dataclasses.replace(registered, classes=DataClass.LABORATORY)
    suite.devices.register(METER.address, other, sender=patient)
    proof.verify(suite)
    late = measure(2, ago=-60)
    leaf = dataclasses.replace(proof.leaf, leaf=late.commitment)
    with pytest.raises(UnprovedRecordError, match="was not registered"):
        ReadingProof(late, leaf).verify(suite)


def test_a_process_that_is_behind_proves_what_others_anchored(
    send: Send,
    measure: Measure,
    registered: Device,
    gatekeeper: Gatekeeper,
    keep: Keep,
    suite: MedProof,
    store: SqlStore,
) -> None:
    other = keep()
    send(measure(1))
    assert gatekeeper.readings is not None
    gatekeeper.readings.anchorer.work()
    assert other.readings is not None
    assert other.readings.prove(store.search(Query()).entries[0].pointer).verify(suite).size == 1


def test_an_erased_reading_is_not_revived(
    send: Send,
    measure: Measure,
    registered: Device,
    store: SqlStore,
    gatekeeper: Gatekeeper,
    as_caller: Connect,
    patient: LocalSigner,
) -> None:
    first = measure(1)
    answer = send(first)
    settle(gatekeeper)
    store.erase(store.search(Query()).entries[0].pointer.id)
    assert send(first) == answer
    assert count(store) == 0
    with pytest.raises(GatekeeperRefusalError):
        as_caller(patient)._send("GET", f"/devices/readings/{answer[1]['readings'][0]['id']}/proof")


def test_what_is_no_reading_has_no_such_proof(
    gatekeeper: Gatekeeper, as_caller: Connect, relayer: LocalSigner, patient: LocalSigner
) -> None:
    taken = as_caller(relayer).create(patient.address, pressure(datetime.now(UTC)))
    settle(gatekeeper)
    with pytest.raises(GatekeeperRefusalError, match="no such record"):
        as_caller(patient)._send("GET", f"/devices/readings/{taken.record.id}/proof")


def test_a_gatekeeper_without_a_key_takes_none(keep: Keep, measure: Measure) -> None:
    client = httpx.Client(transport=Bridge(create_app(keep(sender=None))))
    answer = client.post(
        f"{ORIGIN}/devices/{METER.address}/readings",
        content=body_of(measure(1)),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 403


def test_a_device_may_not_send_without_end(
    keep: Keep, settings: Settings, measure: Measure, registered: Device, store: SqlStore
) -> None:
    slow = dataclasses.replace(settings, account_rate=0.001, account_burst=1)
    client = httpx.Client(transport=Bridge(create_app(keep(settings=slow))))

    def post(number: int) -> int:
        return client.post(
            f"{ORIGIN}/devices/{METER.address}/readings",
            content=body_of(measure(number)),
            headers={"Content-Type": "application/json"},
        ).status_code

    assert [post(1), post(2)] == [200, 429]
    assert count(store) == 1

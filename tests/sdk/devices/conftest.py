"""A blood pressure meter that the patient has registered, and the gatekeeper of her clinic."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from medproof import fhir, hashing
from medproof.chain import Chain
from medproof.client import MedProof
from medproof.fhir import Resource
from medproof.gateway import Settings
from medproof.hashing import Json, JsonObject
from medproof.policy.codes import DataClass
from medproof.policy.device import Device
from medproof.reading import Reading, sign_reading
from medproof.signing import LocalSigner
from tests.sdk.gateway.conftest import (  # noqa: F401
    ORIGIN,
    accesses,
    as_caller,
    clock,
    empty_store,
    gatekeeper,
    granted,
    http,
    keep,
    reader,
    store,
)
from tests.sdk.store.examples import example

METER = LocalSigner.from_key(b"\x77" * 32)


@pytest.fixture
def settings(relayer: LocalSigner, patient: LocalSigner, tmp_path: Path) -> Settings:
    """The clinic expects readings of its patient before it has a record of her."""
    patients, writers = frozenset({patient.address}), frozenset({relayer.address})
    queue = tmp_path / "records.db.queue"
    return Settings(ORIGIN, writers, patients, max_block_age=None, refresh=0.0, queue=queue, batch_wait=0.0)


@pytest.fixture
def registration(chain: Chain) -> Device:
    now = datetime.fromtimestamp(chain.timestamp(), UTC).replace(second=0, microsecond=0)
    return Device(DataClass.VITAL_SIGNS, now - timedelta(days=30), now + timedelta(days=30))


@pytest.fixture
def registered(suite: MedProof, patient: LocalSigner, registration: Device) -> Device:
    suite.devices.register(METER.address, registration, sender=patient)
    return registration


@pytest.fixture
def rule(rule: Any) -> Any:
    """The patient's permit is for vital signs."""
    return dataclasses.replace(rule, classes=DataClass.VITAL_SIGNS)


def pressure(taken_at: datetime, **changes: Json) -> Resource:
    """HL7's blood pressure, measured at some other time; an element set to None is left out."""
    content = {**example().content, "effectiveDateTime": taken_at.isoformat(timespec="seconds"), **changes}
    return fhir.load({name: value for name, value in content.items() if value is not None})


Measure = Callable[..., Reading]


@pytest.fixture
def measure(suite: MedProof, patient: LocalSigner, clinic: LocalSigner) -> Measure:
    """`measure(3)`: the meter's third reading, taken a minute ago."""

    def sign(number: int, *, signer: LocalSigner = METER, ago: float = 60, **changes: Any) -> Reading:
        taken_at = datetime.now(UTC) - timedelta(seconds=ago)
        given = {
            "subject": patient.address,
            "custodian": clinic.address,
            "number": number,
            "taken_at": taken_at,
            "domain": suite.devices.reading_domain,
            **changes,
        }
        return sign_reading(signer, given.pop("observation", None) or pressure(taken_at), **given)

    return sign


def body_of(*readings: Reading) -> bytes:
    return hashing.canonical({"readings": [one.to_json() for one in readings]})


Send = Callable[..., Any]


def send_to(client: httpx.Client, *readings: Reading, device: str = METER.address, body: bytes | None = None) -> Any:
    answer = client.post(
        f"{ORIGIN}/devices/{device}/readings",
        content=body_of(*readings) if body is None else body,
        headers={"Content-Type": "application/json"},
    )
    return answer.status_code, answer.json()


@pytest.fixture
def send(http: httpx.Client) -> Send:  # noqa: F811
    """Send a batch; status and answer."""

    def batch(*readings: Reading, **changes: Any) -> Any:
        return send_to(http, *readings, **changes)

    return batch


def codes(answer: JsonObject) -> list[str]:
    """What became of each reading: TAKEN, or the code of its refusal."""
    said = []
    for one in answer["readings"]:  # type: ignore[union-attr]
        outcome = one.get("outcome")  # type: ignore[union-attr]
        said.append("TAKEN" if outcome is None else outcome["issue"][0]["details"]["coding"][0]["code"])  # type: ignore[index,call-overload]
    return said

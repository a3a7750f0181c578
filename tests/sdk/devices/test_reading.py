"""A reading: what a device signs, and every reason for which one is not taken."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from eth_account.messages import _hash_eip191_message

from medproof import fhir, hashing
from medproof.errors import ReadingError, ReadingRefusedError
from medproof.fhir import Resource
from medproof.hashing import Json
from medproof.messages import Domain
from medproof.policy.codes import DataClass
from medproof.policy.device import Device
from medproof.reading import MOST_NUMBER, Reading, check_reading, check_signature, sign_reading
from medproof.signing import LocalSigner
from tests.sdk.store.examples import EXAMPLES, example

METER, SUBJECT, OTHER, CLINIC = (LocalSigner.from_key(bytes([number]) * 32) for number in (1, 2, 3, 4))
DOMAIN = Domain("Reading", 1337, "0x" + "De" * 20)
TAKEN = datetime(2026, 1, 10, 8, 30, tzinfo=UTC)
NOW = TAKEN + timedelta(hours=1)
REGISTERED = Device(DataClass.VITAL_SIGNS, TAKEN - timedelta(days=1), TAKEN + timedelta(days=1), 1)


def pressure(**changes: Json) -> Resource:
    """HL7's blood pressure, measured at `TAKEN`; an element set to None is left out."""
    content = {**example().content, "performer": None, "effectiveDateTime": TAKEN.isoformat(), **changes}
    return fhir.load({name: value for name, value in content.items() if value is not None})


def reading(observation: Resource | None = None, **changes: Any) -> Reading:
    given = {
        "subject": SUBJECT.address,
        "custodian": CLINIC.address,
        "number": 1,
        "taken_at": TAKEN,
        "domain": DOMAIN,
        **changes,
    }
    return sign_reading(given.pop("signer", METER), observation or pressure(), **given)


def checked(given: Reading, registration: Device | None, *, now: datetime) -> None:
    check_signature(given, DOMAIN)
    check_reading(given, registration, custodian=CLINIC.address, now=now)


def refusal(given: Reading, registration: Device | None = REGISTERED, **changes: Any) -> str:
    with pytest.raises(ReadingRefusedError) as caught:
        checked(given, registration, **{"now": NOW, **changes})
    assert caught.value.number == given.number
    return caught.value.code


def signed(given: Reading, **changes: Any) -> Reading:
    """The same with other members, signed by a device that checks nothing."""
    altered = dataclasses.replace(given, **changes)
    return dataclasses.replace(altered, signature=METER.sign_typed_data(altered.typed_data(DOMAIN)))


def test_a_genuine_reading_is_taken_to_its_last_digit() -> None:
    given = Reading.from_json(hashing.parse(hashing.canonical(reading().to_json())))
    assert check_signature(given, DOMAIN) == _hash_eip191_message(given.typed_data(DOMAIN).signable())
    record, classes = check_reading(given, REGISTERED, custodian=CLINIC.address, now=NOW)
    assert (record.content, classes) == (given.observation, DataClass.VITAL_SIGNS)
    assert given.commitment == hashing.commit(record.content, given.salt)
    kept = {name: value for name, value in pressure().content.items() if name not in ("id", "subject", "text")}
    assert {name: record.content[name] for name in kept} == kept
    assert SUBJECT.address in str(record.content["subject"])
    assert "Patient" not in str(hashing.canonical(record.content))


def test_hl7s_observations_become_readings() -> None:
    made = 0
    for path in sorted(EXAMPLES.glob("Observation-*.json")):
        observation = fhir.load(path)
        moment = observation.content.get("effectiveDateTime")
        if (
            not isinstance(moment, str)
            or "contained" in observation.content
            or path.stem.endswith(("656", "trachcare"))
        ):
            continue  # no time, or other patients in it: refused below
        whole = datetime.fromisoformat(moment if "T" in moment else f"{moment}-01-01"[:10])
        taken = whole if whole.tzinfo else whole.replace(tzinfo=UTC)
        given = reading(observation, taken_at=taken)
        classes = fhir.data_class(observation)
        registered = Device(classes, datetime(1970, 1, 1, tzinfo=UTC), None, 1)
        assert check_reading(given, registered, custodian=CLINIC.address, now=NOW)[1] == classes
        made += 1
    assert made >= 28


def test_an_altered_member_is_no_reading_of_the_device() -> None:
    given = reading()
    for changes in (
        {"number": 2},
        {"taken_at": given.taken_at + 1},
        {"subject": OTHER.address},
        {"custodian": OTHER.address},
        {"device": OTHER.address},
        {"salt": bytes([9]) * 32},
        {"observation": {**given.observation, "status": "amended"}},
        {"signature": OTHER.sign_typed_data(given.typed_data(DOMAIN))},
        {"signature": bytes(65)},
    ):
        assert refusal(dataclasses.replace(given, **changes)) == "SIGNATURE"  # type: ignore[arg-type]


def test_it_counts_on_one_chain_and_for_one_contract() -> None:
    for domain in (
        dataclasses.replace(DOMAIN, chain_id=1),
        dataclasses.replace(DOMAIN, address=OTHER.address),
        dataclasses.replace(DOMAIN, contract="Gatekeeper"),
    ):
        assert refusal(reading(domain=domain)) == "SIGNATURE"


def test_a_signature_has_no_twin() -> None:
    given = reading()
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    twin = (order - int.from_bytes(given.signature[32:64], "big")).to_bytes(32, "big")
    flipped = given.signature[:32] + twin + bytes([55 - given.signature[64]])
    low = given.signature[:64] + bytes([given.signature[64] - 27])
    for signature in (flipped, low):
        assert refusal(dataclasses.replace(given, signature=signature)) == "SIGNATURE"


@pytest.mark.parametrize(
    ("registration", "code"),
    [
        (None, "DEVICE_UNKNOWN"),
        (dataclasses.replace(REGISTERED, classes=DataClass.EMPTY), "DEVICE_REVOKED"),
        (dataclasses.replace(REGISTERED, classes=DataClass.LABORATORY), "DATA_CLASS"),
        (dataclasses.replace(REGISTERED, valid_from=TAKEN + timedelta(minutes=1)), "DEVICE_NOT_YET_VALID"),
        (dataclasses.replace(REGISTERED, valid_until=TAKEN), "DEVICE_EXPIRED"),  # over when it was taken
        (dataclasses.replace(REGISTERED, valid_until=NOW), "DEVICE_EXPIRED"),  # over now
    ],
)
def test_the_registration_must_cover_it(registration: Device | None, code: str) -> None:
    assert refusal(reading(), registration) == code


def test_times() -> None:
    assert refusal(reading(), now=TAKEN - timedelta(seconds=6)) == "FUTURE"
    check_reading(reading(), REGISTERED, custodian=CLINIC.address, now=TAKEN - timedelta(seconds=5))
    begins = dataclasses.replace(REGISTERED, valid_from=TAKEN)
    check_reading(reading(), begins, custodian=CLINIC.address, now=NOW)


def test_another_custodians_is_refused() -> None:
    assert refusal(reading(custodian=OTHER.address)) == "CUSTODIAN"


def test_an_observation_that_names_another_patient_is_refused() -> None:
    someone: Json = {"reference": "Patient/someone"}
    for change in (
        {"subject": someone},
        {"subject": {"identifier": {"system": "urn:medproof:subject", "value": OTHER.address}}},
        {"subject": {**reading().observation["subject"], "reference": "Patient/someone"}},  # type: ignore[dict-item]
        {"subject": None},
        {"performer": [someone]},
        {"performer": [{"reference": "https://fhir.example.org/Patient/someone/_history/2"}]},
        {"focus": [{"type": "Patient", "identifier": {"value": "1"}}]},
        {"contained": [{"resourceType": "Patient", "id": "p"}]},
    ):
        content = {**reading().observation, **change}
        given = signed(reading(), observation={name: value for name, value in content.items() if value is not None})
        assert refusal(given) == "PATIENT"


def test_what_is_no_observation_of_its_own_is_refused() -> None:
    content = reading().observation
    for observation in (
        {**content, "resourceType": "Procedure"},
        {**content, "extra": 1},
        {"resourceType": "Observation"},
        {"resourceType": "Parameters"},
        {**content, "id": "of-another-record"},
        {
            **content,
            "meta": {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "?"}]},
        },
    ):
        assert refusal(signed(reading(), observation=observation)) == "RECORD_REFUSED"


@pytest.mark.parametrize(
    ("element", "agrees"),
    [
        ({"effectiveDateTime": "2026-01-10T08:30:00Z"}, True),
        ({"effectiveDateTime": "2026-01-10T09:30:00.75+01:00"}, True),
        ({"effectiveDateTime": "2026-01-10T08:30:01Z"}, False),
        ({"effectiveDateTime": "2026-01-10"}, True),
        ({"effectiveDateTime": "2026-01-09"}, True),  # somewhere it is that day
        ({"effectiveDateTime": "2026-01-12"}, False),
        ({"effectiveDateTime": "2026-01"}, True),
        ({"effectiveDateTime": "2025"}, False),
        ({"effectiveInstant": "2026-01-10T08:30:00.000Z"}, True),
        ({"effectivePeriod": {"start": "2026-01-10T08:00:00Z", "end": "2026-01-10T09:00:00Z"}}, True),
        ({"effectivePeriod": {"start": "2026-01-10T08:31:00Z", "end": "2026-01-10T09:00:00Z"}}, False),
        ({"effectivePeriod": {"start": "2026-01-10T08:00:00Z"}}, True),
        ({"effectivePeriod": {"end": "2026-01-10T08:00:00Z"}}, False),
        ({"effectiveTiming": {"event": ["2026-01-10T08:30:00Z"]}}, False),
        ({}, False),
    ],
)
def test_taken_at_agrees_with_effective(element: dict[str, Json], agrees: bool) -> None:
    observation = pressure(**{"effectiveDateTime": None, **element})
    if agrees:
        check_reading(reading(observation), REGISTERED, custodian=CLINIC.address, now=NOW)
    else:
        with pytest.raises(ReadingError, match="EFFECTIVE"):
            reading(observation)


def test_what_cannot_be_signed() -> None:
    for changes, words in (
        ({"number": 0}, "number is no number from 1"),
        ({"number": MOST_NUMBER + 1}, "number is no number from 1"),
        ({"taken_at": datetime(2026, 1, 10)}, "takenAt names no zone"),
        ({"subject": SUBJECT.address.lower()}, "subject is no checksummed address"),
        ({"salt": bytes(32)}, "salt"),
        ({"observation": fhir.load({"resourceType": "Patient"})}, "of the type Patient"),
        ({"observation": pressure(performer=[{"reference": "Patient/1"}])}, "PATIENT"),
    ):
        with pytest.raises(ReadingError, match=words):
            reading(**changes)


def test_what_is_no_reading() -> None:
    good = reading().to_json()
    for changes in (
        {"number": "1"},
        {"number": True},
        {"number": -1},
        {"takenAt": 10**15},
        {"device": "0x1"},
        {"salt": "0x00"},
        {"salt": "0x" + "00" * 32},
        {"signature": "0x" + "AB" * 65},
        {"observation": []},
        {"extra": 1},
    ):
        with pytest.raises(ReadingError):
            Reading.from_json({**good, **changes})  # type: ignore[dict-item]
    for value in (None, [], "reading", {name: good[name] for name in list(good)[1:]}):
        with pytest.raises(ReadingError):
            Reading.from_json(value)  # type: ignore[arg-type]


def test_nothing_of_it_shows() -> None:
    shown = repr(reading())
    assert "blood" not in shown.lower()
    assert "salt" not in shown

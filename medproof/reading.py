"""A reading: a FHIR R4 Observation that a patient's device signs, so that nobody on its way to a reader can alter it,
invent one, give it to another patient or custodian, or bring it twice.

What the device signs is EIP-712 typed data in the domain `MedProof Reading`, version 1, with the chain's id and the
address of the Devices contract::

    Reading(address device,address subject,address custodian,uint64 number,uint64 takenAt,bytes32 observation)

`observation` is the record's commitment (`medproof.hashing`) under a salt that the device draws. The custodian stores
the record as it came, posts this commitment as its pointer and appends it to its log of readings: one hash ties the
device's signature, the pointer and the log to the last digit of what was measured.

`number` counts a device's readings. It only grows; what was left out stays visible.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache

from eth_utils.address import is_checksum_address
from eth_utils.crypto import keccak

from medproof import fhir, hashing
from medproof.errors import JsonError, ReadingError, ReadingRefusedError, RecordError, SaltError
from medproof.fhir import Resource
from medproof.hashing import Json, JsonObject
from medproof.messages import DOMAIN_FIELDS, Domain, FreeMessage, TypedData
from medproof.policy.codes import DataClass
from medproof.policy.device import Device
from medproof.signatures import signer_of
from medproof.signing import Signer

__all__ = [
    "MOST_NUMBER",
    "READING_FIELDS",
    "REFUSALS",
    "SUBJECT_SYSTEM",
    "Reading",
    "check_reading",
    "check_signature",
    "sign_reading",
]

READING_FIELDS = "address device,address subject,address custodian,uint64 number,uint64 takenAt,bytes32 observation"
SUBJECT_SYSTEM = "urn:medproof:subject"
"""The system of the identifier by which a reading's Observation names its subject: the pseudonym, and nothing else."""
MOST_NUMBER = 2**53 - 1
"""The largest number of a reading: what every reader of JSON keeps exactly."""

REFUSALS = {
    "SIGNATURE": "The signature is not the device's for this reading, chain and contract. Sign what is sent.",
    "CUSTODIAN": "The reading is for another custodian. Send it there.",
    "NUMBER": "A reading of this or a later number was taken. Give each reading a higher number than the one before.",
    "DEVICE_UNKNOWN": "The subject has not registered this device. Register it first.",
    "DEVICE_REVOKED": "The subject has revoked this device. Ask the subject.",
    "DEVICE_NOT_YET_VALID": "The registration was not in force yet when the reading was taken, or is not yet now.",
    "DEVICE_EXPIRED": "The registration was over when the reading was taken, or is now. Register the device again.",
    "FUTURE": "The reading was taken later than now. Set the device's clock.",
    "DATA_CLASS": "The registration does not cover data of this class. Change it, or do not send such readings.",
    "EFFECTIVE": "takenAt is not within Observation.effectiveDateTime, Instant or Period. Give both alike.",
    "PATIENT": "The Observation names another patient than the pseudonym. Name the pseudonym, and nobody else.",
    "RECORD_REFUSED": "This is no Observation of this reading, or none that a rule can speak of. Mend the source.",
}
"""Why a reading is refused, by code."""

_TYPE_HASH = keccak(text=f"Reading({READING_FIELDS})")
_DOMAIN_HASH = keccak(text=f"EIP712Domain({DOMAIN_FIELDS})")
_MEMBERS = ("device", "subject", "custodian", "number", "takenAt", "observation", "salt", "signature")
_HEX = re.compile(r"0x(?:[0-9a-f]{2})*", re.ASCII)
_MOMENT = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d{2})(?:-(?P<day>\d{2})(?P<time>T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2}))?)?)?",
    re.ASCII,
)
_FIRST, _LAST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
_WEST, _EAST = timedelta(hours=12), timedelta(hours=14)  # how far a day that names no zone may lie from UTC's


@dataclass(frozen=True)
class Reading:
    """One signed reading. What it says is checked by `check_signature` and `check_reading`."""

    device: str  # the account of the device's key
    subject: str  # the patient's pseudonym with the custodian
    custodian: str  # the identity of the party that it is for
    number: int  # from 1, above all that the device has sent
    taken_at: int  # seconds since 1970
    observation: JsonObject = field(repr=False)  # FHIR R4, decimals exact
    salt: bytes = field(repr=False)  # 32 bytes, drawn by the device
    signature: bytes = field(repr=False)  # 65 bytes r, s, v

    @cached_property
    def commitment(self) -> bytes:
        """The 32-byte commitment to the observation: what is signed, pointed to, and a leaf of the log.

        Raises:
            ReadingError: the salt hides nothing.
        """
        try:
            return hashing.commit(self.observation, self.salt)
        except SaltError as error:
            raise ReadingError("salt", str(error)) from None

    def typed_data(self, domain: Domain) -> TypedData:
        """What the device signs; `domain` is `Devices.reading_domain`."""
        return FreeMessage(
            domain,
            "Reading",
            {
                "device": self.device,
                "subject": self.subject,
                "custodian": self.custodian,
                "number": self.number,
                "takenAt": self.taken_at,
                "observation": self.commitment,
            },
            {"Reading": READING_FIELDS},
        )

    def digest(self, domain: Domain) -> bytes:
        """The 32 bytes under the signature: the same for two readings only if they are one."""
        addresses = map(_word, (self.device, self.subject, self.custodian))
        numbers = (number.to_bytes(32, "big") for number in (self.number, self.taken_at))
        members = b"".join((_TYPE_HASH, *addresses, *numbers, self.commitment))
        return keccak(b"\x19\x01" + _separator(domain) + keccak(members))

    def to_json(self) -> JsonObject:
        """The reading as it is sent."""
        return {
            "device": self.device,
            "subject": self.subject,
            "custodian": self.custodian,
            "number": self.number,
            "takenAt": self.taken_at,
            "observation": self.observation,
            "salt": f"0x{self.salt.hex()}",
            "signature": f"0x{self.signature.hex()}",
        }

    @classmethod
    def from_json(cls, value: Json) -> Reading:
        """Read what `to_json` gave, as `hashing.parse` reads it; the observation is not looked into.

        Raises:
            ReadingError: it is none.
        """
        if not isinstance(value, dict) or set(value) != set(_MEMBERS):
            raise ReadingError("The reading", f"is no object of {', '.join(_MEMBERS)}")
        observation = value["observation"]
        if not isinstance(observation, dict):
            raise ReadingError("observation", "is no JSON object")
        reading = cls(
            _address(value, "device"),
            _address(value, "subject"),
            _address(value, "custodian"),
            _number(value, "number", 1, MOST_NUMBER),
            _number(value, "takenAt", 0, int(_LAST.timestamp())),
            observation,
            _bytes(value, "salt", hashing.SALT_LENGTH),
            _bytes(value, "signature", 65),
        )
        _ = reading.commitment  # refuses a salt of zeros
        return reading


def sign_reading(
    signer: Signer,
    observation: Resource,
    *,
    subject: str,
    custodian: str,
    number: int,
    taken_at: datetime,
    domain: Domain,
    salt: bytes | None = None,
) -> Reading:
    """Sign an Observation as its device does.

    The record gets an id of its own, and the pseudonym as its subject in place of whatever name the patient had. Its
    narrative, which may say that name, is left out.

    Args:
        signer: the device's key.
        observation: FHIR R4, with the time in its effective[x].
        subject: the patient's pseudonym with the custodian.
        custodian: the identity of the party that it is for.
        number: above all that the device has sent; at most `MOST_NUMBER`.
        taken_at: when it was measured, aware; whole seconds count.
        domain: `Devices.reading_domain`.
        salt: 32 random bytes; drawn where none are given. The device forgets it when the reading was accepted.

    Raises:
        ReadingError: it is no Observation, names other patients or another time, or the number is none.
    """
    if observation.resource_type != "Observation":
        raise ReadingError("observation", f"is a resource of the type {observation.resource_type}")
    if taken_at.tzinfo is None:
        raise ReadingError("takenAt", "names no zone")
    content = {name: value for name, value in observation.content.items() if name != "text"}
    content["id"] = _id(signer.address, subject, custodian, number)
    content["subject"] = {"identifier": {"system": SUBJECT_SYSTEM, "value": subject}}
    seconds = int(taken_at.timestamp())
    unsigned = Reading(
        signer.address, subject, custodian, number, seconds, content, salt or hashing.new_salt(), bytes(65)
    )
    Reading.from_json(unsigned.to_json())
    try:
        _check_content(unsigned)
    except ReadingRefusedError as refusal:
        raise ReadingError("observation", f"would be refused as {refusal.code}") from refusal
    signature = signer.sign_typed_data(unsigned.typed_data(domain))
    return Reading.from_json({**unsigned.to_json(), "signature": f"0x{signature.hex()}"})


def check_signature(reading: Reading, domain: Domain) -> bytes:
    """Return the digest of a reading that its device signed, in the one form that a signature has.

    Raises:
        ReadingRefusedError: `SIGNATURE`.
    """
    digest = reading.digest(domain)
    if signer_of(digest, reading.signature) != reading.device:
        raise _refused(reading, "SIGNATURE")
    return digest


def check_reading(
    reading: Reading,
    registration: Device | None,
    *,
    custodian: str,
    now: datetime,
    skew: int = 5,
) -> tuple[Resource, DataClass]:
    """Return the record of a reading that may be taken, and its classes.

    Whether it is genuine, `check_signature` says; whether its number is new, whoever keeps the numbers.

    Args:
        reading: what came.
        registration: the device's registration for the reading's subject, as it stands; None for none.
        custodian: the identity of the party that takes it.
        now: the time at which the registration must be in force.
        skew: seconds that the device's clock may be ahead.

    Raises:
        ReadingRefusedError: it may not; `REFUSALS` has the codes.
    """
    taken = datetime.fromtimestamp(reading.taken_at, UTC)
    if reading.custodian != custodian:
        raise _refused(reading, "CUSTODIAN")
    if registration is None:
        raise _refused(reading, "DEVICE_UNKNOWN")
    if registration.revoked:
        raise _refused(reading, "DEVICE_REVOKED")
    if taken > now + timedelta(seconds=skew):
        raise _refused(reading, "FUTURE")
    for when in (taken, max(now, taken)):
        if when < registration.valid_from:
            raise _refused(reading, "DEVICE_NOT_YET_VALID")
        if registration.valid_until is not None and when >= registration.valid_until:
            raise _refused(reading, "DEVICE_EXPIRED")
    record, classes = _check_content(reading)
    if classes not in registration.classes:
        raise _refused(reading, "DATA_CLASS")
    return record, classes


# -- what an Observation says ------------------------------------------------------------------------------------


def _check_content(reading: Reading) -> tuple[Resource, DataClass]:
    """The record and its classes, where it is an Observation of this reading and of nobody else."""
    content = reading.observation
    try:
        record = fhir.load(content)
        classes = fhir.data_class(record)
        fhir.sensitivities(record)
        fhir.conditions(record)
    except (JsonError, RecordError) as error:
        raise ReadingRefusedError(reading.number, "RECORD_REFUSED", str(error)) from None
    own = _id(reading.device, reading.subject, reading.custodian, reading.number)
    if record.resource_type != "Observation" or record.id != own:
        raise _refused(reading, "RECORD_REFUSED")
    named: JsonObject = {"identifier": {"system": SUBJECT_SYSTEM, "value": reading.subject}}
    if content.get("subject") != named or any(_patients(content)):
        raise _refused(reading, "PATIENT")
    first, last = _effective(content)
    if not first <= datetime.fromtimestamp(reading.taken_at, UTC) <= last:
        raise _refused(reading, "EFFECTIVE")
    return record, classes


def _id(device: str, subject: str, custodian: str, number: int) -> str:
    """The id of a reading's record: nobody else's, whatever the device is up to."""
    parts = hashing.encode_parts(["medproof:reading:v1", device, subject, custodian, str(number)])
    return keccak(parts).hex()[:32]


def _patients(value: Json) -> Iterator[str]:
    """Every mention of a patient: a literal reference, a reference of that type, a resource inside."""
    if isinstance(value, list):
        for item in value:
            yield from _patients(item)
    elif isinstance(value, dict):
        reference = value.get("reference")
        if "Patient" in (value.get("resourceType"), value.get("type")):
            yield "Patient"
        elif isinstance(reference, str) and "Patient" in reference.split("/"):
            yield reference
        for item in value.values():
            yield from _patients(item)


def _effective(content: JsonObject) -> tuple[datetime, datetime]:
    """First and last second of effective[x]; a time that no measurement has where there is none to compare."""
    period = content.get("effectivePeriod")
    if isinstance(period, dict):
        first, _ = _span(period.get("start")) if "start" in period else (_FIRST, _LAST)
        _, last = _span(period.get("end")) if "end" in period else (_FIRST, _LAST)
        return (first, last) if len(period.keys() & {"start", "end"}) else (_LAST, _FIRST)
    return _span(content.get("effectiveDateTime", content.get("effectiveInstant")))


def _span(value: Json) -> tuple[datetime, datetime]:
    """First and last second of a FHIR dateTime; of one that names no zone, in whatever zone."""
    found = _MOMENT.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return _LAST, _FIRST
    try:
        if found["time"]:
            moment = datetime.fromisoformat(found[0]).astimezone(UTC).replace(microsecond=0)
            return moment, moment
        year, month, day = (int(found[name]) if found[name] else None for name in ("year", "month", "day"))
        last_month = month or 12
        last_day = day or calendar.monthrange(year or 0, last_month)[1]
        first = datetime(year or 0, month or 1, day or 1, tzinfo=UTC)
        return first - _EAST, datetime(first.year, last_month, last_day, 23, 59, 59, tzinfo=UTC) + _WEST
    except (ValueError, OverflowError):
        return _LAST, _FIRST


# -- what is signed ----------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _separator(domain: Domain) -> bytes:
    said = domain.as_dict()
    texts = (keccak(text=said[name]) for name in ("name", "version"))
    place = (said["chainId"].to_bytes(32, "big"), _word(said["verifyingContract"]))
    return keccak(b"".join((_DOMAIN_HASH, *texts, *place)))


def _word(address: str) -> bytes:
    return bytes.fromhex(address[2:]).rjust(32, b"\0")


# -- reading JSON ------------------------------------------------------------------------------------------------


def _address(said: JsonObject, name: str) -> str:
    text = said[name]
    if not isinstance(text, str) or not is_checksum_address(text):
        raise ReadingError(name, "is no checksummed address")
    return text


def _number(said: JsonObject, name: str, least: int, most: int) -> int:
    number = said[name]
    if not isinstance(number, int) or isinstance(number, bool) or not least <= number <= most:
        raise ReadingError(name, f"is no number from {least} to {most}")
    return number


def _bytes(said: JsonObject, name: str, length: int) -> bytes:
    text = said[name]
    if not isinstance(text, str) or not _HEX.fullmatch(text) or len(text) != 2 + 2 * length:
        raise ReadingError(name, f"is not 0x and {2 * length} small hexadecimal digits")
    return bytes.fromhex(text[2:])


def _refused(reading: Reading, code: str) -> ReadingRefusedError:
    return ReadingRefusedError(reading.number, code, REFUSALS[code])

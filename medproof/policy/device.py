"""The device word: what a device may report of a subject, and until when (`contracts/libraries/DeviceWord.sol`)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from medproof.errors import DeviceError
from medproof.policy.codes import DataClass
from medproof.policy.word import NO_END_MINUTE, Field, from_minute, minute

__all__ = ["DEVICE_FIELDS", "DEVICE_LAYOUT", "LAST_DEVICE_SEQUENCE", "Device", "decode_device", "encode_device"]

LAST_DEVICE_SEQUENCE = 0xFFFF
"""The sequence after which nothing comes: a device that is revoked with it is closed for good."""

DEVICE_LAYOUT: tuple[Field, ...] = (
    Field("sequence", 0, 16, None, "counts the changes of this registration; 0 = there never was one"),
    Field("classes", 16, 24, DataClass, "data classes that the device may report; none = revoked"),
    Field("validFrom", 40, 28, None, "in force from, inclusive, minutes since 1970-01-01T00:00Z"),
    Field("validUntil", 68, 28, None, "in force until, exclusive; 2^28-1 = no end"),
)

DEVICE_FIELDS: dict[str, Field] = {field.name: field for field in DEVICE_LAYOUT}


@dataclass(frozen=True)
class Device:
    """The registration of a device for a subject. What the client fills in comes last."""

    classes: DataClass  # what it may report; none: revoked
    valid_from: datetime  # in force from this minute on
    valid_until: datetime | None  # in force until this minute, exclusive; None for no end
    sequence: int = 0  # counts the changes

    @property
    def revoked(self) -> bool:
        """Whether it was revoked."""
        return not self.classes

    def classes_at(self, moment: datetime) -> DataClass:
        """What it may report at a moment: nothing before its period and from its end on."""
        ended = self.valid_until is not None and moment >= self.valid_until
        return DataClass.EMPTY if moment < self.valid_from or ended else self.classes


def encode_device(device: Device) -> int:
    """The registration's word.

    Raises:
        DeviceError: the contract would refuse it, or a field cannot hold its value.
    """
    until = device.valid_until
    if device.revoked or device.classes not in DataClass.ALL:
        raise DeviceError(f"{device.classes!r} is nothing to report. Name data classes; to take all away, revoke it.")
    values = {
        "sequence": device.sequence,
        "classes": device.classes.value,
        "validFrom": _minute(device.valid_from),
        "validUntil": NO_END_MINUTE if until is None else _minute(until),
    }
    if values["validFrom"] >= values["validUntil"]:
        raise DeviceError(f"A registration from {device.valid_from} is over by {until}. End it later.")
    word = 0
    for name, value in values.items():
        field = DEVICE_FIELDS[name]
        if not 0 <= value < 1 << field.width:
            raise DeviceError(f"{name} is {value}, which {field.width} bits do not hold. See DEVICE_LAYOUT.")
        word |= value << field.offset
    return word


def decode_device(word: int) -> Device:
    """The registration that a stored word says."""
    said = {name: field.of(word) for name, field in DEVICE_FIELDS.items()}
    return Device(
        classes=DataClass(said["classes"]),
        valid_from=from_minute(said["validFrom"]),
        valid_until=None if said["validUntil"] == NO_END_MINUTE else from_minute(said["validUntil"]),
        sequence=said["sequence"],
    )


def _minute(when: datetime) -> int:
    number = minute(when)
    if not 0 <= number < NO_END_MINUTE:
        last = from_minute(NO_END_MINUTE - 1)
        raise DeviceError(f"{when.isoformat()} is not between 1970 and {last.year}. Choose a moment in between.")
    if from_minute(number) != when:
        raise DeviceError(f"{when.isoformat()} is no whole minute. Drop seconds and microseconds.")
    return number

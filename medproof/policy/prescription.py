"""The prescription word: what was prescribed and how far it was filled (`contracts/libraries/PrescriptionWord.sol`)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from eth_utils.address import to_checksum_address

from medproof.policy.word import EPOCH_DAY, Field

__all__ = [
    "LAST_BATCH_FILLS",
    "LAST_PHARMACY_CHANGE",
    "PRESCRIPTION_FIELDS",
    "PRESCRIPTION_LAYOUT",
    "PrescriptionState",
    "PrescriptionStatus",
    "decode_prescription",
]

LAST_BATCH_FILLS = 14
"""The most fills that a prescription of a batch has: four bits count them, and one count says that it was opened."""
LAST_PHARMACY_CHANGE = 255
"""The sequence after which a prescription moves to no other pharmacy."""

PRESCRIPTION_LAYOUT: tuple[Field, ...] = (
    Field("pharmacy", 0, 160, None, "identity of the pharmacy that fills it; 0 = none yet"),
    Field("quantity", 160, 16, None, "how much a fill is, in parts that the content names"),
    Field("fills", 176, 8, None, "how many fills are allowed; 0 = no prescription"),
    Field("validUntil", 184, 16, None, "last day on which it is filled, days since 1970-01-01"),
    Field("sequence", 200, 8, None, "counts the changes of the pharmacy"),
    Field("number", 208, 8, None, "the latest fill, from 1; 0 = none was given"),
    Field("filled", 216, 16, None, "how much of that fill was given; of a batch, its size"),
    Field("checkedOn", 232, 16, None, "day on which the pharmacy was last found active; 0 = it has to be asked for"),
    Field("cancelled", 248, 1, None, "the prescriber cancelled it"),
    Field("held", 249, 1, None, "the prescriber was found inactive"),
    Field("batch", 250, 1, None, "a batch, from whose word each of its prescriptions starts"),
)

PRESCRIPTION_FIELDS: dict[str, Field] = {field.name: field for field in PRESCRIPTION_LAYOUT}


class PrescriptionStatus(StrEnum):
    """What can be done with a prescription on a day."""

    OPEN = "open"  # a fill, or the rest of one, is left
    COMPLETED = "completed"  # all was given
    EXPIRED = "expired"
    HELD = "held"  # its prescriber was found inactive
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class PrescriptionState:
    """A prescription as it stands, or a batch as it was issued."""

    pharmacy: str | None  # identity of the pharmacy that fills it; None for none yet
    fills: int  # how many are allowed
    quantity: int  # how much a fill is, in parts that the content names
    valid_until: date  # the last day on which it is filled
    number: int = 0  # the latest fill, from 1; 0 before the first
    filled: int = 0  # how much of it was given
    sequence: int = 0  # counts the changes of the pharmacy
    checked_on: date | None = None  # when the pharmacy was last found active, where it need not be asked for that day
    cancelled: bool = False
    held: bool = False
    size: int | None = None  # how many prescriptions a batch has; None for a prescription

    @property
    def in_progress(self) -> bool:
        """Whether a fill was begun and not given whole."""
        return self.size is None and bool(self.number) and self.filled < self.quantity

    @property
    def left(self) -> int:
        """How many fills are left, one in progress not counted."""
        return self.fills - self.number

    def next_fill(self) -> tuple[int, int]:
        """The fill that comes next, and how much of it was given before: the one in progress, else the next number."""
        return (self.number, self.filled) if self.in_progress else (self.number + 1, 0)

    def status_on(self, day: date) -> PrescriptionStatus:
        """What can be done with it on a day."""
        if self.cancelled:
            return PrescriptionStatus.CANCELLED
        if not self.left and not self.in_progress:
            return PrescriptionStatus.COMPLETED
        if day > self.valid_until:
            return PrescriptionStatus.EXPIRED
        return PrescriptionStatus.HELD if self.held else PrescriptionStatus.OPEN


def decode_prescription(word: int) -> PrescriptionState:
    """The prescription, or batch, that a stored word says."""
    said = {name: field.of(word) for name, field in PRESCRIPTION_FIELDS.items()}
    batch, pharmacy = bool(said["batch"]), said["pharmacy"]
    return PrescriptionState(
        pharmacy=to_checksum_address(pharmacy.to_bytes(20, "big")) if pharmacy else None,
        fills=said["fills"],
        quantity=said["quantity"],
        valid_until=EPOCH_DAY + timedelta(days=said["validUntil"]),
        number=said["number"],
        filled=0 if batch else said["filled"],
        sequence=said["sequence"],
        checked_on=EPOCH_DAY + timedelta(days=said["checkedOn"]) if said["checkedOn"] else None,
        cancelled=bool(said["cancelled"]),
        held=bool(said["held"]),
        size=said["filled"] if batch else None,
    )

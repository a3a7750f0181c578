"""The delegation word: who may act for a subject, for what and until when (`contracts/libraries/DelegationWord.sol`).

Source of the kinds' codes: HL7 v3 RoleCode, as published with FHIR R4 (4.0.1), version 2018-08-12.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import STRICT, IntEnum, IntFlag

from eth_utils.address import to_checksum_address

from medproof.errors import DelegationError
from medproof.policy.codes import CodeSystem
from medproof.policy.word import NO_END_MINUTE, Field, from_minute, minute

__all__ = [
    "DELEGATION_FIELDS",
    "DELEGATION_LAYOUT",
    "V3_ROLE_CODE",
    "DelegateKind",
    "Delegation",
    "Scope",
    "age_out",
    "decode_delegation",
    "encode_delegation",
]

V3_ROLE_CODE = CodeSystem("http://terminology.hl7.org/CodeSystem/v3-RoleCode", "2018-08-12", "HL7 v3 RoleCode")


class DelegateKind(IntEnum):
    """What a delegate is to the subject."""

    GUARDIAN = 1  # legally empowered with the care of a ward: a parent, a court's guardian
    STEWARD = 2  # given some of the subject's rights, by it or by another delegate
    HEALTH_PROXY = 3  # healthcare power of attorney
    SUCCESSOR = 4  # the subject itself, with another key after the recovery of a lost one

    @property
    def code(self) -> str:
        """Its code in HL7 v3 RoleCode (`V3_ROLE_CODE`)."""
        return ("GUARD", "DELEGATEE", "HPOWATT", "ONESELF")[self - 1]


class Scope(IntFlag, boundary=STRICT):
    """What a delegate may do."""

    NONE = 0
    GRANT = 1  # grant and change rules
    REVOKE = 2  # revoke rules
    VIEW = 4  # review the openings in an emergency
    DELEGATE = 8  # delegate further, to stewards, what it may do itself but this
    ALL = 15


DELEGATION_LAYOUT: tuple[Field, ...] = (
    Field("sequence", 0, 16, None, "counts the changes of this delegation; 0 = there never was one"),
    Field("kind", 16, 4, None, "what the delegate is to the subject"),
    Field("scopes", 20, 4, None, "what the delegate may do; none = revoked"),
    Field("validFrom", 24, 28, None, "in force from, inclusive, minutes since 1970-01-01T00:00Z"),
    Field("validUntil", 52, 28, None, "in force until, exclusive; 2^28-1 = no end"),
    Field("delegatorSequence", 80, 16, None, "sequence of the delegator's own delegation; 0 = it is the subject"),
    Field("delegator", 96, 160, None, "who gave it; of a revoked one, who revoked it"),
)

DELEGATION_FIELDS: dict[str, Field] = {field.name: field for field in DELEGATION_LAYOUT}


@dataclass(frozen=True)
class Delegation:
    """What a delegate may do for a subject. What the client fills in comes last."""

    kind: DelegateKind | None  # None: revoked before it was ever given
    scopes: Scope  # none: revoked
    valid_from: datetime  # in force from this minute on
    valid_until: datetime | None  # in force until this minute, exclusive; None for no end
    delegator: str = ""  # who gave it; of a revoked one, who revoked it
    delegator_sequence: int = 0  # the sequence of the delegator's own delegation that it hangs on; 0 for the subject
    sequence: int = 0  # counts the changes

    @property
    def revoked(self) -> bool:
        """Whether it was revoked."""
        return self.scopes is Scope.NONE


def encode_delegation(delegation: Delegation) -> int:
    """The delegation's word.

    Raises:
        DelegationError: the contract would refuse it, or a field cannot hold its value.
    """
    until = delegation.valid_until
    if delegation.kind is None or delegation.revoked:
        raise DelegationError(f"{delegation} gives nothing. Name a kind and a scope; to take all away, revoke it.")
    if delegation.kind is DelegateKind.SUCCESSOR:
        raise DelegationError("A successor comes by recovery, and by nothing else. Name another kind.")
    if until is None and delegation.kind is DelegateKind.GUARDIAN:
        raise DelegationError("A guardian's delegation has no end. End it when the subject comes of age: see age_out.")
    values = {
        "sequence": delegation.sequence,
        "kind": delegation.kind,
        "scopes": delegation.scopes,
        "validFrom": _minute(delegation.valid_from),
        "validUntil": NO_END_MINUTE if until is None else _minute(until),
        "delegatorSequence": delegation.delegator_sequence,
        "delegator": int(delegation.delegator or "0x0", 16),
    }
    if values["validFrom"] >= values["validUntil"]:
        raise DelegationError(f"A delegation from {delegation.valid_from} is over by {until}. End it later.")
    word = 0
    for name, value in values.items():
        field = DELEGATION_FIELDS[name]
        if not 0 <= value < 1 << field.width:
            raise DelegationError(f"{name} is {value}, which {field.width} bits do not hold. See DELEGATION_LAYOUT.")
        word |= value << field.offset
    return word


def decode_delegation(word: int) -> Delegation:
    """The delegation that a stored word says."""
    said = {name: field.of(word) for name, field in DELEGATION_FIELDS.items()}
    return Delegation(
        kind=DelegateKind(said["kind"]) if said["kind"] else None,
        scopes=Scope(said["scopes"]),
        valid_from=from_minute(said["validFrom"]),
        valid_until=None if said["validUntil"] == NO_END_MINUTE else from_minute(said["validUntil"]),
        delegator=to_checksum_address(f"0x{said['delegator']:040x}"),
        delegator_sequence=said["delegatorSequence"],
        sequence=said["sequence"],
    )


def age_out(birth_date: date, *, age: int = 18) -> datetime:
    """When a guardian's delegation ends, so that nobody reads more of the date of birth from it than the year.

    That is all that may be public of a date (45 CFR 164.514(b)(2)(i)(C)). The end is a day before the year in which the
    subject comes of age: a guardian never has power over an adult, in no time zone. For the months from then to the
    birthday the subject's key, or a delegation that it signs, stands in.
    """
    return datetime(birth_date.year + age - 1, 12, 31, tzinfo=UTC)


def _minute(when: datetime) -> int:
    number = minute(when)
    if not 0 <= number < NO_END_MINUTE:
        last = from_minute(NO_END_MINUTE - 1)
        raise DelegationError(f"{when.isoformat()} is not between 1970 and {last.year}. Choose a moment in between.")
    if from_minute(number) != when:
        raise DelegationError(f"{when.isoformat()} is no whole minute. Drop seconds and microseconds.")
    return number

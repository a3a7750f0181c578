"""Why consent is overridden in an emergency, and what the subject says of it afterwards.

`OverrideReason` is HL7 v3 ActReason, ActConsentInformationAccessOverrideReason, as published with FHIR R4 (4.0.1),
version 2018-08-12; its numbers are the contract's.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Self

from medproof.errors import UnknownCodeError
from medproof.policy.codes import V3_ACT_REASON

__all__ = ["OverrideReason", "Review"]


class OverrideReason(IntEnum):
    """Why a record is opened without consent."""

    EMERGENCY_TREATMENT = 1, "OVRER", "emergency treatment override", "an immediate threat to the patient's health"
    INCOMPETENCY = 2, "OVRINCOMP", "incompetency override", "a patient who cannot consent"
    PROFESSIONAL_JUDGMENT = 3, "OVRPJ", "professional judgment override", "a clinician's judgment of what care needs"
    PUBLIC_SAFETY = 4, "OVRPS", "public safety override", "public safety"
    THIRD_PARTY_SAFETY = 5, "OVRTPS", "third party safety override", "somebody else's safety"

    code: str  # the standard's
    display: str  # the standard's
    plain: str  # plain words for a patient: "because of …"

    def __new__(cls, value: int, code: str = "", display: str = "", plain: str = "") -> Self:
        """Build a member from its line of data."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.code, member.display, member.plain = code, display, plain
        return member

    @classmethod
    def from_code(cls, code: str) -> Self:
        """Return the reason with this code, or raise `UnknownCodeError`."""
        for member in cls:
            if member.code == code:
                return member
        raise UnknownCodeError(code, V3_ACT_REASON.title, tuple(member.code for member in cls))


class Review(IntEnum):
    """What a subject said of an opening; it may only become graver."""

    NONE = 0
    ACKNOWLEDGED = 1
    DISPUTED = 2

"""Who is insured by whom, and the question whether somebody is on a day: as FHIR R4 and X12 270 say both alike.

`medproof.fhir.coverage` and `medproof.x12` make these; `medproof.claims.eligibility` answers the question with a
signature. docs/claims.md says where each field comes from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from medproof.claims.claim import Code, Identifier

__all__ = ["Coverage", "EligibilityRequest", "EligibilityResponse"]


@dataclass(frozen=True, slots=True)
class Coverage:
    """A policy that insures somebody (FHIR Coverage; X12 2000B SBR, 271 2100C)."""

    number: Identifier | None = field(repr=False)  # the policy's, where it has one
    member: Identifier = field(repr=False)  # who is insured
    payer: Identifier  # who insures
    start: date | None = field(repr=False)  # the first day; None where it is not said
    end: date | None = field(repr=False)  # the last day; None where it goes on
    subscriber: Identifier | None = field(default=None, repr=False)  # who holds it, where another than the member

    def covers(self, start: date, end: date) -> bool:
        """Whether all of these days lie within it."""
        return (self.start is None or self.start <= start) and (self.end is None or end <= self.end)


@dataclass(frozen=True, slots=True)
class EligibilityRequest:
    """The question whether somebody is insured on a day of service (FHIR CoverageEligibilityRequest; X12 270)."""

    number: str  # the provider's for it (X12 270 TRN02)
    member: Identifier = field(repr=False)  # whom it is about (X12 270 2100C or 2100D NM109)
    provider: Identifier  # who asks (X12 270 2100B NM109)
    payer: Identifier  # who is asked (X12 270 2100A NM109)
    asked: date  # the day it was asked (X12 270 BHT04)
    start: date = field(repr=False)  # the first day of service (X12 270 DTP*291), else the day it was asked
    end: date = field(repr=False)  # the last; the same day where one day is given
    services: tuple[Code, ...] = field(default=(), repr=False)  # what for (X12 270 EQ01); none: whether at all
    coverage: Identifier | None = field(default=None, repr=False)  # the policy, where the question names one


@dataclass(frozen=True, slots=True)
class EligibilityResponse:
    """What a payer answered (FHIR CoverageEligibilityResponse; X12's is `medproof.x12.EligibilityAnswer`)."""

    request_number: str  # the provider's number for the question
    payer: Identifier  # who answers
    answered: date  # the day it was answered: it may be stale
    covered: bool = field(repr=False)  # whether a policy is in force for what was asked
    attestation: str | None = field(default=None, repr=False)  # the payer's signed word, where it came along

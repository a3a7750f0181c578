"""The claim and the response to it, as FHIR R4 and X12 5010 both say them: one model for all that is done with claims.

`medproof.fhir.claims` and `medproof.x12` make these of what payers and providers send; docs/claims.md says element by
element and segment by segment where each field comes from. A field that a standard does not carry is None or empty,
never guessed. Nothing here goes on chain: of a claim its salted commitment does (`medproof.claims.disclosure`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum

__all__ = [
    "Adjustment",
    "Claim",
    "ClaimKind",
    "ClaimOutcome",
    "ClaimResponse",
    "Code",
    "Frequency",
    "Identifier",
    "LineResponse",
    "Money",
    "ServiceLine",
]


class ClaimKind(StrEnum):
    """What is billed (HL7 claim-type; X12 837P is professional, 837I institutional)."""

    INSTITUTIONAL = "institutional"
    ORAL = "oral"
    PHARMACY = "pharmacy"
    PROFESSIONAL = "professional"
    VISION = "vision"


class Frequency(StrEnum):
    """Whether a claim is new or corrects one (NUBC claim frequency code, X12 CLM05-3)."""

    ORIGINAL = "1"
    REPLACEMENT = "7"
    VOID = "8"


class ClaimOutcome(StrEnum):
    """What a payer decided, as the chain keeps it (`medproof.client.Outcome`)."""

    APPROVED = "approved"
    PARTIAL = "partial"
    DENIED = "denied"


@dataclass(frozen=True, slots=True, order=True)
class Identifier:
    """Who or what is meant: FHIR's system and value; X12's qualifiers are given as the system that they stand for."""

    system: str  # such as "http://hl7.org/fhir/sid/us-npi"; empty where the standard names none
    value: str


@dataclass(frozen=True, slots=True, order=True)
class Code:
    """A code of a code system."""

    system: str  # such as "http://www.ama-assn.org/go/cpt"
    code: str


@dataclass(frozen=True, slots=True)
class Money:
    """An amount, with the digits that it was written with."""

    amount: Decimal
    currency: str  # ISO 4217, such as "USD"


@dataclass(frozen=True, slots=True)
class ServiceLine:
    """One service or product of a claim."""

    number: int  # from 1, as the claim numbers it
    service: tuple[Code, ...] = field(repr=False)  # what was done or given: at least one code; more are translations
    start: date = field(repr=False)  # the day it began
    end: date = field(repr=False)  # the day it ended; the same day where one day is given
    modifiers: tuple[Code, ...] = field(default=(), repr=False)  # as written: 76, 77 and 59 make a repeat legitimate
    places: tuple[Code, ...] = field(default=(), repr=False)  # on the body: site and subsites
    quantity: Decimal | None = field(default=None, repr=False)
    unit: str | None = None  # UCUM or X12 SV104's (UN, MJ)
    charge: Money | None = field(default=None, repr=False)
    encounter: str | None = field(default=None, repr=False)  # the registered encounter's id, where the line names one
    details: tuple[ServiceLine, ...] = ()  # what a line that bundles services is made of; their charges are in its own


@dataclass(frozen=True, slots=True)
class Claim:
    """A bill for services or products."""

    kind: ClaimKind
    number: str  # the provider's number for it (X12 CLM01, FHIR Claim.identifier)
    frequency: Frequency
    patient: Identifier = field(repr=False)
    provider: Identifier  # who bills
    payer: Identifier  # who is billed
    start: date = field(repr=False)  # the earliest day of a line; a statement period around them moves no key
    end: date = field(repr=False)  # the latest day of a line
    lines: tuple[ServiceLine, ...] = field(repr=False)  # at least one
    total: Money | None = field(repr=False)
    original: str | None = None  # the payer's or provider's number of the claim corrected (X12 REF*F8)
    subscriber: Identifier | None = field(default=None, repr=False)  # the insured, where another than the patient
    diagnoses: tuple[Code, ...] = field(default=(), repr=False)  # the principal one first
    prescription: str | None = field(default=None, repr=False)  # the registered prescription's id
    coverage: Identifier | None = field(default=None, repr=False)  # the policy that it is billed under, the focal one
    priority: str | None = None  # how soon it is to be processed (HL7 processpriority: stat, normal, deferred)


@dataclass(frozen=True, slots=True)
class Adjustment:
    """An amount that the payer does not pay, and why (X12 CAS)."""

    group: str  # X12 claim adjustment group code: CO, OA, PI, PR
    reason: str  # X12 claim adjustment reason code, such as "45"
    amount: Money = field(repr=False)


@dataclass(frozen=True, slots=True)
class LineResponse:
    """What was decided of one line."""

    number: int | None  # the claim's line, where the response names it
    service: tuple[Code, ...] = field(repr=False)
    charge: Money | None = field(repr=False)
    paid: Money | None = field(repr=False)
    adjustments: tuple[Adjustment, ...] = ()


@dataclass(frozen=True, slots=True)
class ClaimResponse:
    """What a payer decided of a claim (FHIR ClaimResponse, ExplanationOfBenefit; X12 835 CLP)."""

    claim_number: str  # the provider's number for the claim (X12 CLP01)
    payer_number: str | None  # the payer's (X12 CLP07): what a correction names
    outcome: ClaimOutcome
    payer: Identifier | None
    decided: date | None = field(repr=False)
    charge: Money | None = field(repr=False)
    paid: Money | None = field(repr=False)
    patient_share: Money | None = field(default=None, repr=False)  # X12 CLP05
    reversal: bool = False  # takes an earlier payment back (X12 CLP02 = 22)
    adjustments: tuple[Adjustment, ...] = field(default=(), repr=False)  # of the whole claim
    lines: tuple[LineResponse, ...] = field(default=(), repr=False)

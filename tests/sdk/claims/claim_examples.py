"""Claims for tests, put together by hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from medproof.claims import (
    Adjustment,
    Claim,
    ClaimKind,
    ClaimOutcome,
    ClaimResponse,
    Code,
    Frequency,
    Identifier,
    LineResponse,
    Money,
    ServiceLine,
)

CPT = "http://www.ama-assn.org/go/cpt"
NPI = "http://hl7.org/fhir/sid/us-npi"
DAY = date(2026, 3, 2)


def line(number: int, code: str = "99213", charge: str = "120.50") -> ServiceLine:
    return ServiceLine(
        number,
        (Code(CPT, code),),
        DAY,
        DAY,
        quantity=Decimal("1.0"),
        unit="UN",
        charge=Money(Decimal(charge), "USD"),
        encounter="E-1",
    )


def claim(*, lines: int = 2, number: str = "A-100") -> Claim:
    return Claim(
        kind=ClaimKind.PROFESSIONAL,
        number=number,
        frequency=Frequency.ORIGINAL,
        patient=Identifier("urn:members", "M-77"),
        provider=Identifier(NPI, "1234567893"),
        payer=Identifier("urn:payers", "P-1"),
        start=DAY,
        end=DAY,
        lines=tuple(line(place + 1) for place in range(lines)),
        total=Money(Decimal("120.50") * lines, "USD"),
        diagnoses=(Code("http://hl7.org/fhir/sid/icd-10-cm", "E11.9"),),
    )


def response(of: Claim) -> ClaimResponse:
    paid = Money(Decimal("100.00"), "USD")
    return ClaimResponse(
        claim_number=of.number,
        payer_number="PAY-1",
        outcome=ClaimOutcome.PARTIAL,
        payer=of.payer,
        decided=DAY,
        charge=of.total,
        paid=paid,
        adjustments=(Adjustment("CO", "45", Money(Decimal("20.50"), "USD")),),
        lines=tuple(LineResponse(one.number, one.service, one.charge, paid) for one in of.lines),
    )

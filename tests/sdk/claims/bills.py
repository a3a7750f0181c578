"""A claim that the tests of keys, plans and fraud start from."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

from medproof.claims import Claim, ClaimKind, Code, Frequency, Identifier, Money, ServiceLine
from medproof.claims.names import CPT, NPI

DAY = date(2026, 3, 1)
VISIT, BLOOD = Code(CPT, "99213"), Code(CPT, "85025")


def usd(amount: str) -> Money:
    return Money(Decimal(amount), "USD")


def line(number: int = 1, service: Code = VISIT, charge: str | Money = "125.00", **fields: object) -> ServiceLine:
    made = ServiceLine(number, (service,), DAY, DAY, charge=usd(charge) if isinstance(charge, str) else charge)
    return replace(made, **fields)  # type: ignore[arg-type]


FIRST = line(1, VISIT, "125.00", modifiers=(Code("", "25"),), encounter="visit-1")
SECOND = line(2, BLOOD, "40.00")

BILL = Claim(
    kind=ClaimKind.PROFESSIONAL,
    number="A-1",
    frequency=Frequency.ORIGINAL,
    patient=Identifier("urn:members", "M-1"),
    provider=Identifier(NPI, "1234567893"),
    payer=Identifier("urn:payers", "P-1"),
    start=DAY,
    end=DAY,
    lines=(FIRST, SECOND),
    total=usd("165.00"),
)

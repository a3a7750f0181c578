"""The two keys of a claim against double billing: 32 bytes each, under a key that the consortium shares.

**The hard nullifier** is the same for two bills of one service, and else different. The chain takes each once. Of a
claim it reads, each in the spelling of `medproof.claims.names`:

1. the patient;
2. the provider;
3. the day the service began, which is all that an X12 837 has of its time;
4. every line: its code, its modifiers, the places on the body, its day, and the same of what it is made of. All are
   sorted, so that their order does not matter, while a line billed twice counts twice;
5. the registered prescription, else the registered encounters.

Not read: amounts, quantities, diagnoses, payer, claim number, dates of entry. Who bills a service again changes these.

**The soft key** is looser: patient, provider, day and total. Two claims that share it are not refused: they are flagged
for review.
"""

from __future__ import annotations

from decimal import Decimal, localcontext

from medproof.claims.claim import Claim, Money, ServiceLine
from medproof.claims.currency import EXACT, plain_amount
from medproof.claims.names import Names, plain
from medproof.errors import ClaimElementError
from medproof.hashing import encode_parts, keyed_identifier

__all__ = ["NULLIFIER", "SOFT_KEY", "claim_nullifier", "claim_total", "registered_service", "soft_key"]

NULLIFIER = "claim-nullifier:v1"
"""The purpose under which the nullifier is keyed (`medproof.hashing.keyed_identifier`)."""
SOFT_KEY = "claim-soft-key:v1"
"""The purpose under which the soft key is keyed: under another one, the two tell nothing of each other."""

_AS_WRITTEN = Names()


def claim_nullifier(claim: Claim, key: bytes, *, names: Names = _AS_WRITTEN, registered: str | None = None) -> bytes:
    """The hard nullifier of a claim, 32 bytes; the module's head says what it reads.

    Args:
        claim: as `medproof.fhir` or `medproof.x12` read it.
        key: the consortium's key for the day of service (`medproof.claims.keyring`).
        names: what the consortium calls whom.
        registered: the id under which the encounter or prescription was registered, in place of the claim's.

    Raises:
        ClaimElementError: the claim lacks what is read, or gives it in a form that another claim cannot share.
        IdentifierError: the key is short, or `registered` is empty.
    """
    return keyed_identifier(
        key,
        names.identifier(claim.patient, "Claim.patient"),
        names.identifier(claim.provider, "Claim.provider"),
        claim.start.isoformat(),
        encode_parts(sorted(_line(line, names, f"Claim.lines[{index}]") for index, line in enumerate(claim.lines))),
        registered_service(claim) if registered is None else registered,
        purpose=NULLIFIER,
    )


def soft_key(claim: Claim, key: bytes, *, names: Names = _AS_WRITTEN) -> bytes:
    """The soft key of a claim, 32 bytes: patient, provider, day of service and total.

    Raises:
        ClaimElementError: the claim names no patient or provider, or nothing that it costs.
        ClaimCurrencyError: it costs so much in no currency of ISO 4217.
        IdentifierError: the key is short.
    """
    return keyed_identifier(
        key,
        names.identifier(claim.patient, "Claim.patient"),
        names.identifier(claim.provider, "Claim.provider"),
        claim.start.isoformat(),
        plain_amount(claim_total(claim), "Claim.total"),
        purpose=SOFT_KEY,
    )


def claim_total(claim: Claim) -> Money:
    """What a claim costs: its total, else the sum of its lines.

    Raises:
        ClaimElementError: it has neither.
    """
    if claim.total is not None:
        return claim.total
    charges = [line.charge for line in claim.lines if line.charge is not None]
    currencies = {charge.currency for charge in charges}
    if len(charges) != len(claim.lines) or len(currencies) != 1:
        raise ClaimElementError("Claim.total", "is missing, and so are charges of lines", "say what the claim costs")
    with localcontext(EXACT):
        return Money(sum((charge.amount for charge in charges), Decimal(0)), currencies.pop())


def registered_service(claim: Claim) -> bytes:
    """The registered prescription that a claim names, else its encounters, as one part of its nullifier.

    Raises:
        ClaimElementError: it names neither.
    """
    if claim.prescription is not None:
        return encode_parts(["prescription", plain(claim.prescription)])
    encounters = {plain(line.encounter) for line in claim.lines if line.encounter is not None}
    if not encounters:
        raise ClaimElementError(
            "Claim.lines.encounter",
            "is missing, and so is Claim.prescription",
            "name the encounter or prescription in it, or apart from it (--encounter, registered=)",
        )
    return encode_parts(["encounter", *sorted(encounters)])


def _line(line: ServiceLine, names: Names, path: str) -> bytes:
    parts = (
        names.service(line.service, f"{path}.service"),
        tuple(names.modifier(code, f"{path}.modifiers") for code in line.modifiers),
        tuple(names.code(code, f"{path}.places") for code in line.places),
    )
    said = [encode_parts(sorted(f"{code.system}|{code.code}" for code in codes)) for codes in parts]
    details = (_line(detail, names, f"{path}.details[{index}]") for index, detail in enumerate(line.details))
    return encode_parts([*said, line.start.isoformat(), *sorted(details)])

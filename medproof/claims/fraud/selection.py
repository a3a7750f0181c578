"""Which claims of a data set the keys are tried on: those that are bills of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from medproof.claims.claim import Claim, Frequency, Identifier
from medproof.claims.fraud.bill import Bill, Kind
from medproof.claims.fraud.ledger import ClaimLedger
from medproof.claims.keyring import Keyring
from medproof.claims.nullifier import registered_service
from medproof.errors import ClaimElementError

__all__ = ["Selection"]


@dataclass(frozen=True)
class Selection:
    """Claims that may be taken for legitimate, and why the others may not."""

    claims: tuple[Claim, ...]  # each bills a service that none before it does
    registered: dict[int, str] = field(repr=False)  # of claims that name no encounter, by index: one that is made up
    left_out: Counter[str]  # why, and how many; it names elements and no values

    @classmethod
    def of(cls, claims: Iterable[Claim], keyring: Keyring) -> Selection:
        """Choose from a data set, in its order.

        Left out are corrections, claims that no key can be made of, those that bill what an earlier one did (these
        would be refused, and rightly), and those with an earlier one's number: a correction would not say which it
        means.
        """
        chosen: list[Claim] = []
        registered: dict[int, str] = {}
        left_out: Counter[str] = Counter()
        numbers: set[tuple[Identifier, Identifier, str]] = set()
        ledger = ClaimLedger(keyring)
        for claim in claims:
            under = _made_up(claim, len(chosen))
            if claim.frequency is not Frequency.ORIGINAL:
                left_out["it corrects another claim"] += 1
                continue
            try:
                found = ledger.take(Bill(claim, Kind.ORIGINAL, under))
            except ClaimElementError as error:
                left_out[f"{error.path} {error.rule}"] += 1
                continue
            if found.refusal is not None:
                left_out[f"refused as {found.refusal}, since an earlier claim bills it"] += 1
                continue
            if (named := (claim.provider, claim.payer, claim.number)) in numbers:
                left_out["its provider numbered another claim to the payer alike"] += 1
                continue
            numbers.add(named)
            if under is not None:
                registered[len(chosen)] = under
            chosen.append(claim)
        return cls(tuple(chosen), registered, left_out)


def _made_up(claim: Claim, index: int) -> str | None:
    """An encounter for a claim that names none: who registered it beforehand knows it."""
    try:
        registered_service(claim)
    except ClaimElementError:
        return f"encounter {index}"
    return None

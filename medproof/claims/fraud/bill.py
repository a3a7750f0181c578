"""A bill in a stream of bills, and what it is in truth."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from medproof.claims.claim import Claim

__all__ = ["Bill", "Kind", "Tier"]


class Tier(StrEnum):
    """What is to become of a bill."""

    ACCEPTED = "accepted"  # it is legitimate
    HARD = "hard"  # to be refused by its nullifier, or for want of a fill
    SOFT = "soft"  # to be flagged by its soft key
    NEITHER = "neither"  # fraud that neither key is made to see


class Kind(StrEnum):
    """What a bill is."""

    ORIGINAL = "original"
    EXACT = "exact duplicate"
    REKEYED = "re-keyed duplicate"
    CROSS_PAYER = "rebill to another payer"
    SECOND_FILL = "second fill"
    OTHER_TOTAL = "duplicate, other total"
    OTHER_CODES = "duplicate, other codes"
    OTHER_BOTH = "duplicate, other codes and total"
    REPLACEMENT = "replacement (code 7)"
    VOID = "void (code 8)"
    REBILL = "rebill after a void"
    REPEAT = "repeat with modifier"

    @property
    def tier(self) -> Tier:
        """What is to become of such a bill."""
        return _TIERS.get(self, Tier.ACCEPTED)


_TIERS = {
    **dict.fromkeys((Kind.EXACT, Kind.REKEYED, Kind.CROSS_PAYER, Kind.SECOND_FILL, Kind.OTHER_TOTAL), Tier.HARD),
    Kind.OTHER_CODES: Tier.SOFT,
    Kind.OTHER_BOTH: Tier.NEITHER,
}


@dataclass(frozen=True, slots=True)
class Bill:
    """A claim as it arrives, with what only whoever made the stream knows."""

    claim: Claim
    kind: Kind  # in truth; no check looks at it
    registered: str | None = field(default=None, repr=False)  # of the service, where the claim itself names nothing

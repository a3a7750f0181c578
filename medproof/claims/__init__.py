"""What a claim is here, whichever standard it was written in: its content, its keys, and what is proved of it."""

from medproof.claims.claim import (
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

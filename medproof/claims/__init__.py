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
from medproof.claims.coverage import Coverage, EligibilityRequest, EligibilityResponse

__all__ = [
    "Adjustment",
    "Claim",
    "ClaimKind",
    "ClaimOutcome",
    "ClaimResponse",
    "Code",
    "Coverage",
    "EligibilityRequest",
    "EligibilityResponse",
    "Frequency",
    "Identifier",
    "LineResponse",
    "Money",
    "ServiceLine",
]

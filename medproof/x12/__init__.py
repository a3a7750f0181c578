"""X12 5010, as payers and providers in the United States send it: claims, remittances, status and eligibility.

It needs `medproof[x12]`. docs/x12.md says what is read and written, and what is refused.
"""

from medproof.errors import MissingExtraError

try:
    from medproof.x12.eligibility import EligibilityAnswer, EligibilityInquiry, write_eligibility
    from medproof.x12.hierarchy import Party
    from medproof.x12.interchange import Header, Kind
    from medproof.x12.reading import read, read_claims, read_responses
    from medproof.x12.status import STATUSES, Status, StatusAnswer, StatusRequest, status_of, write_status
except ModuleNotFoundError as missing:
    if (missing.name or "medproof").startswith("medproof"):
        raise
    raise MissingExtraError("Reading X12", "x12", str(missing.name)) from None

__all__ = [
    "STATUSES",
    "EligibilityAnswer",
    "EligibilityInquiry",
    "Header",
    "Kind",
    "Party",
    "Status",
    "StatusAnswer",
    "StatusRequest",
    "read",
    "read_claims",
    "read_responses",
    "status_of",
    "write_eligibility",
    "write_status",
]

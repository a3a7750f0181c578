"""Trying the two keys on claims: bills that defraud and bills that do not, and what the keys make of each.

`inject` mixes both into any claims, `ClaimLedger` takes them one after the other as the contracts do, `FraudReport`
counts. docs/fraud.md says what each kind is and what was measured; `make fraud-report` makes the report.
"""

from medproof.claims.fraud.bill import Bill, Kind, Tier
from medproof.claims.fraud.injection import inject, turns
from medproof.claims.fraud.ledger import ClaimLedger, Finding, Refusal, Review, review
from medproof.claims.fraud.report import FraudReport, Tally
from medproof.claims.fraud.selection import Selection

__all__ = [
    "Bill",
    "ClaimLedger",
    "Finding",
    "FraudReport",
    "Kind",
    "Refusal",
    "Review",
    "Selection",
    "Tally",
    "Tier",
    "inject",
    "review",
    "turns",
]

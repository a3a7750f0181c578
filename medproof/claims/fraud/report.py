"""The figures of a run: how much of the fraud was found, and how many legitimate bills were held up."""

from __future__ import annotations

from dataclasses import dataclass, field

from medproof.claims.fraud.bill import Bill, Kind, Tier
from medproof.claims.fraud.ledger import Finding
from medproof.hashing import JsonObject

__all__ = ["FraudReport", "Tally"]


@dataclass
class Tally:
    """What became of the bills of one kind."""

    bills: int = 0
    refused: int = 0
    flagged: int = 0  # taken, and alike an earlier claim
    confirmed: int = 0  # flagged, and found to be a duplicate
    cleared: int = 0  # flagged, and found to be none

    def add(self, finding: Finding) -> None:
        """Count one."""
        self.bills += 1
        self.refused += finding.refusal is not None
        self.flagged += bool(finding.alike)
        self.confirmed += finding.confirmed
        self.cleared += bool(finding.alike) and not finding.confirmed

    def __add__(self, other: Tally) -> Tally:
        """Both together."""
        return Tally(**{name: count + getattr(other, name) for name, count in vars(self).items()})

    def to_json(self) -> JsonObject:
        """The counts."""
        return {
            "bills": self.bills,
            "refused": self.refused,
            "flagged": self.flagged,
            "confirmed": self.confirmed,
            "cleared": self.cleared,
        }


@dataclass
class FraudReport:
    """All kinds of bills, and the rates of both tiers."""

    tallies: dict[Kind, Tally] = field(default_factory=lambda: {kind: Tally() for kind in Kind})

    def add(self, bill: Bill, finding: Finding) -> None:
        """Count a bill with what became of it."""
        self.tallies[bill.kind].add(finding)

    def total(self, tier: Tier) -> Tally:
        """The bills of all kinds that the tier stands for, together."""
        return sum((tally for kind, tally in self.tallies.items() if kind.tier is tier), Tally())

    @property
    def hard_recall(self) -> float | None:
        """The part that was refused of what the hard tier is to refuse; None where there was nothing."""
        return _part(self.total(Tier.HARD).refused, self.total(Tier.HARD).bills)

    @property
    def hard_false_positives(self) -> int:
        """How many legitimate bills were refused."""
        return self.total(Tier.ACCEPTED).refused

    @property
    def soft_recall(self) -> float | None:
        """The part that was flagged of what the hard tier let by of the soft one's; None where there was nothing."""
        soft = self.total(Tier.SOFT)
        return _part(soft.flagged, soft.bills - soft.refused)

    @property
    def soft_false_positive_rate(self) -> float | None:
        """The part that was flagged of all legitimate bills; None where there were none."""
        return _part(self.total(Tier.ACCEPTED).flagged, self.total(Tier.ACCEPTED).bills)

    @property
    def original_false_positive_rate(self) -> float | None:
        """The part that was flagged of the claims as they were given; None where there were none."""
        return _part(self.tallies[Kind.ORIGINAL].flagged, self.tallies[Kind.ORIGINAL].bills)

    def to_json(self) -> JsonObject:
        """The report as JSON; rates are text with four digits, null where nothing was to be measured."""
        return {
            "kinds": {str(kind): {"tier": str(kind.tier), **tally.to_json()} for kind, tally in self.tallies.items()},
            "hard": {"recall": _text(self.hard_recall), "falsePositives": self.hard_false_positives},
            "soft": {
                "recall": _text(self.soft_recall),
                "falsePositiveRate": _text(self.soft_false_positive_rate),
                "falsePositiveRateOfOriginals": _text(self.original_false_positive_rate),
            },
        }


def _part(some: int, of: int) -> float | None:
    return some / of if of else None


def _text(rate: float | None) -> str | None:
    return None if rate is None else f"{rate:.4f}"

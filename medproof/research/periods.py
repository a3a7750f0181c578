"""What happened in periods, and those of its counts that may be published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum

from medproof.research.suppression import Count, Suppression

__all__ = ["Every", "Period", "Published", "publish"]


class Every(Enum):
    """How long a period is; weeks begin on Monday (ISO 8601), all in UTC."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"

    def start(self, moment: datetime) -> datetime:
        """The first moment of the period in which a moment lies."""
        day = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        if self is Every.WEEK:
            return day - timedelta(days=day.weekday())
        return day.replace(day=1) if self is Every.MONTH else day

    def next(self, start: datetime) -> datetime:
        """The start of the period after the one that starts then."""
        return self.start(start + timedelta(days={Every.DAY: 1, Every.WEEK: 7, Every.MONTH: 31}[self]))


@dataclass(frozen=True)
class Period:
    """What happened in a period. A permit is open from its grant until it is revoked or its end date has come."""

    start: datetime  # its first moment
    end: datetime  # the first moment after it
    granted: int = 0  # rules that were opened
    changed: int = 0  # open rules that were written anew and stayed open
    revoked: int = 0  # open rules that were withdrawn, or written anew so that they permit this no more
    lapsed: int = 0  # open rules whose end date came
    new_subjects: int = 0  # whose first rule was opened
    joined: int = 0  # subjects who permitted it at the end and not at the start
    withdrew: int = 0  # subjects who permitted it at the start and not at the end, by an act on the chain, too
    ran_out: int = 0  # likewise, by end dates alone
    standing: int = 0  # subjects who permitted it at the end

    @property
    def at_start(self) -> int:
        """Subjects who permitted it at the start."""
        return self.standing - self.joined + self.withdrew + self.ran_out

    @property
    def churn(self) -> float | None:
        """Of the subjects at the start, the share that withdrew; None where there were none.

        It is the incidence proportion of epidemiology: those to whom it happened in the period, over those at risk at
        its start (CDC, Principles of Epidemiology in Public Health Practice, 3rd edition, lesson 3, section 2).
        """
        return self.withdrew / self.at_start if self.at_start else None


@dataclass(frozen=True)
class Published:
    """A period as it may be published: what has the names of a period's counts is one, or hidden."""

    start: datetime
    end: datetime
    at_start: Count
    counts: Mapping[str, Count]
    churn: float | None  # None also where what it is made of is hidden


def publish(periods: Sequence[Period], suppression: Suppression) -> tuple[Published, ...]:
    """Periods without what would give small counts away.

    Who came, who went and who stood add up from period to period, and are hidden together (`Suppression.flow`). What
    was done to rules hardly differs from who came and went, where most subjects have one rule: it is shown only in
    periods of which nothing else had to be hidden.
    """
    if not periods:
        return ()
    moves = [(one.joined, one.withdrew + one.ran_out) for one in periods]
    shown = suppression.flow(periods[0].at_start, moves)
    found, before = [], shown.opening
    for period, (came, went, standing) in zip(periods, shown.periods, strict=True):
        whole = None not in (before.value, came.value, went.value, standing.value)
        counts = {
            name: suppression.count(getattr(period, name)) if whole else Count(None)
            for name in ("granted", "changed", "revoked", "lapsed", "new_subjects", "withdrew", "ran_out")
        }
        if None in (counts["withdrew"].value, counts["ran_out"].value):  # each is what is left of those who went
            counts |= {"withdrew": Count(None), "ran_out": Count(None)}
        counts |= {"joined": came, "standing": standing}
        churn = None if counts["withdrew"].value is None else period.churn
        found.append(Published(period.start, period.end, before, counts, churn))
        before = standing
    return tuple(found)

"""The days that a record speaks of, to hold against the data period of a rule."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from datetime import date

from medproof.fhir.resource import Resource, records
from medproof.hashing import Json

__all__ = ["data_period"]

_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?(?:T.*)?", re.ASCII | re.DOTALL)

# Elements that say when what is recorded happened or was written down, at the top of a record of whatever type.
_MOMENTS = (
    *("effectiveDateTime", "effectiveInstant", "occurrenceDateTime", "performedDateTime", "onsetDateTime"),
    *("abatementDateTime", "recordedDate", "dateAsserted", "authoredOn", "dateWritten", "issued", "date", "created"),
    *("whenPrepared", "whenHandedOver", "started", "sent", "received", "recorded", "start", "end", "servicedDate"),
)
_PERIODS = (
    *("effectivePeriod", "occurrencePeriod", "performedPeriod", "onsetPeriod", "abatementPeriod", "period"),
    *("billablePeriod", "servicedPeriod", "executionPeriod"),
)


def data_period(record: Resource) -> tuple[date, date | None] | None:
    """Return the first and the last day that a record speaks of; None where it tells no days.

    A date without a month or day stands for the whole of it, a period without an end lasts on (None), and one
    without a beginning tells no first day, so that the record tells none. A bundle has the days of all its records,
    and tells none where one of them does not.
    """
    first: date | None = None
    last: date | None = date.min
    for one in records(record):
        days = list(_days(one))
        if not days or any(begin is None for begin, _ in days):
            return None
        begins = [begin for begin, _ in days if begin is not None]
        ends = [end for _, end in days]
        first = min(begins) if first is None else min(first, *begins)
        if last is not None:
            last = None if None in ends else max(last, *(end for end in ends if end is not None))
    return None if first is None else (first, last)


def _days(record: Resource) -> Iterator[tuple[date | None, date | None]]:
    """Yield first and last day of every element that tells any."""
    for name in _MOMENTS:
        if name in record.content:
            yield _span(record.content[name])
    for name in _PERIODS:
        period = record.content.get(name)
        if isinstance(period, dict):
            yield _span(period.get("start"))[0], _span(period.get("end"))[1]


def _span(value: Json) -> tuple[date | None, date | None]:
    """The first and last day of a date, which may lack its day or month; (None, None) for no date."""
    found = _DATE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None, None
    year, month, day = (int(part) if part else None for part in found.groups())
    try:
        first = date(year or 0, month or 1, day or 1)
        last_month = month or 12
        return first, date(first.year, last_month, day or calendar.monthrange(first.year, last_month)[1])
    except ValueError:
        return None, None

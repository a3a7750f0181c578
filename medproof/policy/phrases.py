"""Words and lists in plain English: what sentences about rules are made of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime

from medproof.policy.codes import CodedFlag, ResearchUse, Sensitivity

MOST_LEFT_OUT = 5  # a field that leaves out at most this many codes is told by what it leaves out

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
FIRST_DAY = date(1970, 1, 1)  # in the rule word it stands for that day and everything earlier


def told_by_exception(value: CodedFlag) -> bool:
    """Whether a field is told by what it leaves out: little, and less than what it covers."""
    left_out = len(~value)
    return left_out <= MOST_LEFT_OUT and left_out < len(value)


def plain(codes: CodedFlag) -> list[str]:
    """Return the plain words of every code in a set."""
    return [member.plain for member in codes]


def labelled(labels: Sensitivity, word: str) -> str:
    """Return sensitivity labels as `HIV or substance use information`."""
    if Sensitivity.NONE_LABELLED not in labels:
        return f"{join(plain(labels), word)} information" if labels else "nothing"
    rest = labels & ~Sensitivity.NONE_LABELLED
    unlabelled = Sensitivity.NONE_LABELLED.plain
    return f"{labelled(rest, word)} {word} {unlabelled}" if rest else unlabelled


def join(parts: Sequence[str], word: str) -> str:
    """Join as in speech: `a`, `a and b`, `a, b and c`."""
    if not parts:
        return "nothing"
    if len(parts) == 1:
        return parts[0]
    return f"{', '.join(parts[:-1])} {word} {parts[-1]}"


def day(day: date) -> str:
    """Return a day as `1 March 2026`, whatever the machine's language."""
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def moment(moment: datetime) -> str:
    """Return a moment as `1 March 2026`, with the time where it is not midnight (UTC)."""
    moment = moment.astimezone(UTC)
    if (moment.hour, moment.minute) == (0, 0):
        return day(moment)
    return f"{day(moment)}, {moment.hour:02}:{moment.minute:02} UTC"


def period(first: date, last: date | None) -> str:
    """Return a data period as `from 1 January 2020 on`."""
    if last is None:
        return "of any date" if first == FIRST_DAY else f"from {day(first)} on"
    if first == FIRST_DAY:
        return f"up to {day(last)}"
    return f"from {day(first)} to {day(last)}"


def capital(text: str) -> str:
    """Return the text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def widest(permissions: ResearchUse) -> ResearchUse:
    """Return the permissions that no other of them includes: any research says health research already."""
    included = ResearchUse.EMPTY
    for permission in permissions:
        included |= permission.with_narrower() & ~permission
    return permissions & ~included

"""X12 interchanges, written: `pyx12` pairs the control numbers and counts, and what is written is read again."""

from __future__ import annotations

import io
from collections.abc import Iterable
from datetime import datetime

from pyx12.segment import Segment as WrittenSegment  # type: ignore[import-untyped]
from pyx12.x12file import X12Writer  # type: ignore[import-untyped]

from medproof.errors import ArgumentError
from medproof.x12.hierarchy import Row
from medproof.x12.interchange import GUIDES, Header, Kind

__all__ = ["day", "write"]

_END, _BETWEEN, _WITHIN, _AGAIN = "~", "*", ":", "^"
_ISA_LENGTH = 107  # with the line end behind it
_ERRATA = {Kind.ELIGIBILITY: "A1"}


def write(kind: Kind, header: Header, rows: Iterable[Row], *, at: datetime) -> bytes:
    """Write one interchange with one transaction.

    Args:
        kind: what it is.
        header: from whom to whom, with the number that this interchange has for its receiver.
        rows: what stands between ST and SE.
        at: when it is written.

    Raises:
        ArgumentError: a value has a character that X12 separates by, and cannot carry; the message names the element.
    """
    guide, function = GUIDES[kind]
    guide += _ERRATA.get(kind, "")
    out = io.StringIO(newline="")
    writer = X12Writer(out, _END, _BETWEEN, _WITHIN, "\n", _AGAIN)
    number = f"{header.control_number:09}"
    parties = [f"{header.sender_kind:2}", f"{header.sender:15}", f"{header.receiver_kind:2}", f"{header.receiver:15}"]
    time = f"{at:%H%M}"
    begun = ["ISA", "00", " " * 10, "00", " " * 10, *parties, f"{at:%y%m%d}", time]
    _check(begun)
    writer.Write(_written([*begun, _AGAIN, "00501", number, "0", header.usage, _WITHIN]))
    if len(out.getvalue()) != _ISA_LENGTH:
        raise ArgumentError("ISA is not of its fixed length. Give numbers and names that fit into the header.")
    sender, receiver, group = header.application_sender, header.application_receiver, str(header.group_number)
    rest: list[Row] = [
        ["GS", function, sender, receiver, day(at), time, group, "X", guide],
        ["ST", kind[:3], "0001", guide],
    ]
    for row in (*rest, *rows):
        _check(row)
        writer.Write(_written(row))
    writer.close()
    return out.getvalue().encode()


def day(moment: datetime) -> str:
    """A day as X12 writes it."""
    return f"{moment:%Y%m%d}"


def _check(row: Row) -> None:
    for place, element in enumerate(row):
        if not all(_carried(part) for part in ([element] if isinstance(element, str) else element)):
            step = "Write it without * : ~ ^ and without what nobody sees."
            raise ArgumentError(f"{row[0]}{place:02} has a character that X12 cannot carry. {step}")


def _written(row: Row) -> WrittenSegment:
    elements = [one if isinstance(one, str) else _WITHIN.join(one).rstrip(_WITHIN) for one in row]
    return WrittenSegment(_BETWEEN.join(elements).rstrip(_BETWEEN), _END, _BETWEEN, _WITHIN, _AGAIN)


def _carried(text: str) -> bool:
    return text.isprintable() and not any(one in text for one in (_END, _BETWEEN, _WITHIN, _AGAIN))

"""X12 interchanges, read as a stream: separators, control numbers, counts and versions are checked.

`pyx12` takes the file apart and counts; what it finds wrong becomes a refusal here that names the segment and shows
no value. Read are the guides of 5010 that HIPAA names (45 CFR 162.1102 to 162.1602), by GS08, with all their errata.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

from pyx12.errors import X12Error  # type: ignore[import-untyped]
from pyx12.x12file import X12Reader  # type: ignore[import-untyped]

from medproof.errors import ClaimElementError, InterchangeError, InterchangeVersionError
from medproof.x12.segment import Segment

__all__ = ["GUIDES", "Header", "Kind", "Transaction", "ordinal", "read_transactions"]


class Kind(StrEnum):
    """A transaction of 5010, by the name that its users give it."""

    PROFESSIONAL = "837P"
    INSTITUTIONAL = "837I"
    DENTAL = "837D"
    REMITTANCE = "835"
    ELIGIBILITY_REQUEST = "270"
    ELIGIBILITY = "271"
    STATUS_REQUEST = "276"
    STATUS = "277"


GUIDES = {
    # GS08 without its errata, and GS01.
    Kind.PROFESSIONAL: ("005010X222", "HC"),
    Kind.INSTITUTIONAL: ("005010X223", "HC"),
    Kind.DENTAL: ("005010X224", "HC"),
    Kind.REMITTANCE: ("005010X221", "HP"),
    Kind.ELIGIBILITY_REQUEST: ("005010X279", "HS"),
    Kind.ELIGIBILITY: ("005010X279", "HB"),
    Kind.STATUS_REQUEST: ("005010X212", "HR"),
    Kind.STATUS: ("005010X212", "HN"),
}

_GUIDE = re.compile(r"(\d{6}X\d{3})([A-Z]\d)?", re.ASCII)
_MEND = "get the file again, whole and as it was sent"
_ENVELOPE = ("ISA", "GS", "ST", "SE", "GE", "IEA")
_INSIDE = {"ISA": None, "GS": "ISA", "ST": "GS", "SE": "ST", "GE": "GS", "IEA": "ISA"}  # where each may stand
_AFTER = {"ISA": "ISA", "GS": "GS", "ST": "ST", "SE": "GS", "GE": "ISA", "IEA": None}  # where one is then
_TRAILERS = {None: "ISA", "ISA": "IEA", "GS": "GE", "ST": "SE"}
# Of each header: the element with its number, the header below it, and what it begins.
_NUMBERS = {"ISA": (13, "GS", "an interchange"), "GS": (6, "ST", "a group"), "ST": (2, "", "a transaction")}
# What pyx12 finds, by its kind and code: the element, and the rule.
_FINDINGS = {
    ("isa", "001"): (2, "is not ISA13"),
    ("isa", "021"): (1, "is not how many groups there are"),
    ("gs", "4"): (2, "is not GS06"),
    ("gs", "5"): (1, "is not how many transactions there are"),
    ("st", "3"): (2, "is not ST02"),
    ("st", "4"): (1, "is not how many segments there are"),
    ("seg", "HL1"): (1, "does not count on"),
    ("seg", "HL2"): (2, "names a level that is not above it"),
}


@dataclass(frozen=True, slots=True)
class Header:
    """Who sends an interchange to whom (ISA and GS)."""

    sender_kind: str  # ISA05
    sender: str  # ISA06
    receiver_kind: str  # ISA07
    receiver: str  # ISA08
    usage: str  # ISA15: P for production, T for a test
    control_number: int  # ISA13
    application_sender: str  # GS02
    application_receiver: str  # GS03
    group_number: int = 1  # GS06

    def reply(self, control_number: int) -> Header:
        """The header of an answer: sender and receiver change places."""
        return replace(
            self,
            sender_kind=self.receiver_kind,
            sender=self.receiver,
            receiver_kind=self.sender_kind,
            receiver=self.sender,
            control_number=control_number,
            application_sender=self.application_receiver,
            application_receiver=self.application_sender,
            group_number=1,
        )


@dataclass(slots=True)
class Transaction:
    """One transaction set, while it is read."""

    kind: Kind
    header: Header
    segments: Iterator[Segment]  # after ST and before SE; the next transaction begins where they end
    repetition: str  # what separates repetitions within an element


def read_transactions(source: Path | bytes) -> Iterator[Transaction]:
    """Read the transactions of a file or of its content, one after the other; a file is never held whole.

    What is wrong is found where it stands: use what was given before only when the end came without a refusal.

    Raises:
        InterchangeError: it is no whole interchange; the message names the segment.
        InterchangeVersionError: a transaction is of a version or a kind that is not read.
        OSError: the file cannot be read.
    """
    if isinstance(source, Path) and (source.is_fifo() or source.is_char_device()):
        raise InterchangeError("The file", "is none that can be read twice", "save it first")
    with source.open("rb") if isinstance(source, Path) else io.BytesIO(source) as file:
        yield from _Stream(file).transactions()


def ordinal(number: int) -> str:
    """A number as it counts: 1st, 2nd, 3rd, 11th."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


class _Stream:
    """One file, from its first ISA to its last IEA."""

    def __init__(self, file: IO[bytes]) -> None:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        self._reader = self._opened(text)
        self._text = text
        self._inside: str | None = None  # the envelope that is open
        self._last = Segment("ISA", [], 0)
        self._numbers: dict[str, set[str]] = {"ISA": set(), "GS": set(), "ST": set()}  # within what they are in
        self._separators = (self._reader.ele_term, self._reader.subele_term, self._reader.repetition_term)

    def transactions(self) -> Iterator[Transaction]:
        header: Header | None = None
        group = self._last
        found = False
        segments = self._segments()
        for segment in segments:
            if segment.id == "ISA":
                isa = segment
            elif segment.id == "GS":
                group = segment
                header = _header(isa, group)
            elif segment.id == "ST":
                assert header is not None  # a GS came before
                found = True
                kind = _kind(group, segment)
                body = self._body(segments)
                yield Transaction(kind, header, body, str(self._reader.repetition_term))
                for _ in body:  # whoever left early did not see the end
                    pass
        if not found:
            raise InterchangeError("The file", "holds no transaction", "give one that has ST")

    def _body(self, segments: Iterator[Segment]) -> Iterator[Segment]:
        for segment in segments:
            if segment.id == "SE":
                return
            yield segment

    def _segments(self) -> Iterator[Segment]:
        for number, found in enumerate(self._raw(), start=1):
            elements = [[part.value for part in element.elements] for element in found.elements]
            segment = Segment(found.seg_id or "", elements, number)
            if segment.id in _ENVELOPE:
                self._follow(segment)
            elif self._inside != "ST":
                raise _broken(segment, 0, f"stands where {_TRAILERS[self._inside]} should")
            if self._reader.err_list:
                self._refuse_findings(segment)
            self._last = segment
            yield segment
        self._refuse_rest()

    def _raw(self) -> Iterator[Any]:
        try:
            yield from self._reader
        except IndexError:  # pyx12 closes a loop that was never opened
            number = self._last.number + 1
            raise InterchangeError(f"Segment {number}", "ends what was not begun", _MEND) from None
        except X12Error:
            number = self._last.number + 1
            raise InterchangeError(f"Segment {number}", "is no ISA with 16 elements", _MEND) from None
        except UnicodeDecodeError:
            number = self._last.number + 1
            raise InterchangeError(f"The text about segment {number}", "is not UTF-8", _MEND) from None

    def _follow(self, segment: Segment) -> None:
        """Go into an envelope or out of it."""
        if self._inside != _INSIDE[segment.id]:
            raise _broken(segment, 0, f"stands where {_TRAILERS[self._inside]} should")
        self._inside = _AFTER[segment.id]
        if segment.id == "ISA" and (segment.text(16), segment.text(11)) != self._separators[1:]:
            raise _broken(segment, 16, "has other separators than the interchange before it")
        if segment.id in _NUMBERS:
            self._check_number(segment, *_NUMBERS[segment.id])

    def _check_number(self, segment: Segment, element: int, below: str, within: str) -> None:
        """Make sure that a control number is the first of its kind.

        pyx12 looks numbers up in lists of all before them, which takes ever longer; so the lists are kept empty.
        """
        for numbers in (self._reader.isa_ids, self._reader.gs_ids, self._reader.st_ids):
            numbers.clear()
        if below:
            self._numbers[below].clear()
        number = segment.required(element)
        if number in self._numbers[segment.id]:
            raise _broken(segment, element, f"is that of {within} before it")
        self._numbers[segment.id].add(number)

    def _refuse_findings(self, segment: Segment) -> None:
        for kind, code, *_ in self._reader.pop_errors():
            if (kind, code) == ("seg", "SEG1"):  # empty elements at the end, which say nothing
                continue
            element, rule = _FINDINGS.get((kind, code), (0, "is no segment, or stands where it cannot"))
            raise _broken(segment, element, rule)

    def _refuse_rest(self) -> None:
        if self._inside is not None or not self._last.number:
            missing = _TRAILERS[self._inside]
            raise InterchangeError(f"The file, after segment {self._last.number},", f"ends before {missing}", _MEND)
        if self._reader.raw.buffer.strip() or self._text.read(1):
            number = self._last.number
            raise InterchangeError(f"The file, after segment {number},", "goes on with what is no segment", _MEND)

    @staticmethod
    def _opened(text: io.TextIOWrapper) -> Any:
        step = "give an X12 interchange, as it was sent"
        try:
            reader = X12Reader(text)
        except X12Error:
            rule = "is none of 106 characters in a version that is read (ISA12 = 00501)"
            raise InterchangeVersionError("ISA, segment 1,", rule, step) from None
        except UnicodeDecodeError:
            raise InterchangeError("ISA, segment 1,", "is not UTF-8", step) from None
        separators = [reader.seg_term, reader.ele_term, reader.subele_term, reader.repetition_term]
        if None in separators:
            raise InterchangeVersionError("ISA12, segment 1,", "is 00401, and HIPAA's 5010 is read", _UPGRADE)
        if len(set(separators)) < len(separators) or any(one.isalnum() or one == " " for one in separators):
            raise InterchangeError("ISA, segment 1,", "has separators that cannot separate", step)
        return reader


_UPGRADE = "have the sender write 5010, which has been required since 2012"


def _kind(group: Segment, start: Segment) -> Kind:
    """What a transaction is, by GS08, GS01 and ST01."""
    version, name = group.text(8), start.text(1)
    written = _GUIDE.fullmatch(version)
    shown = f"is {version}" if written else "names no guide"
    place = group.place(8)
    if not version.startswith("005010"):
        raise InterchangeVersionError(place, f"{shown}, and HIPAA's 5010 is read", _UPGRADE)
    for kind, (guide, function) in GUIDES.items():
        if written and written[1] == guide and kind.startswith(name) and name.isdigit():
            if group.text(1) != function:
                raise _broken(group, 1, f"is not {function}, as a group of {name} has it")
            if start.text(3) and start.text(3) != version:
                raise _broken(start, 3, "is not GS08")
            return kind
    rule = f"{shown}, which with this ST01 is not what is read"
    raise InterchangeVersionError(place, rule, f"give one of {', '.join(GUIDES)}")


def _header(isa: Segment, group: Segment) -> Header:
    return Header(
        sender_kind=isa.text(5),
        sender=isa.text(6),
        receiver_kind=isa.text(7),
        receiver=isa.text(8),
        usage=isa.text(15),
        control_number=isa.whole(13),
        application_sender=group.text(2),
        application_receiver=group.text(3),
        group_number=group.whole(6),
    )


def _broken(segment: Segment, element: int, rule: str) -> ClaimElementError:
    return segment.wrong(InterchangeError, element, rule, _MEND)

"""One segment of an X12 interchange: its elements as text, amounts and days, and what a refusal calls its place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import pairwise

from medproof.errors import ClaimAmountError, ClaimDateError, ClaimElementError, InterchangeError

__all__ = ["MOST", "MOST_ABOVE", "Segment", "before", "find", "find_all", "loops", "put"]

MOST = 10_000
"""Segments of one claim, response or patient: 5010 has at most 999 lines in a claim, and few segments in a line."""
MOST_ABOVE = 200
"""Segments of a level above them, which is looked at for each: a payer, a provider, the head of a remittance."""

# The segments of the guides that are read: what else stands where a segment's name should may be a person's.
_NAME = re.compile(
    "ISA|GS|ST|SE|GE|IEA|BHT|HL|NM1|N1|N2|N3|N4|PER|PRV|REF|DMG|DTP|DTM|CUR|SBR|PAT|CLM|CL1|PWK|CN1|AMT|"
    "K3|NTE|CRC|HI|HCP|CR1|CR2|CR3|CR5|CR6|DN1|DN2|LX|SV1|SV2|SV3|SV5|TOO|LIN|CTP|MEA|PS1|CAS|SVD|MIA|"
    "MOA|OI|LQ|FRM|QTY|HSD|BPR|TRN|RDM|TS3|TS2|CLP|SVC|PLB|EQ|III|EB|MSG|LS|LE|AAA|INS|MPI|STC"
)
_AMOUNT = re.compile(r"-?(\d{1,15}(\.\d{0,9})?|\.\d{1,9})", re.ASCII)
_DAY = re.compile(r"(\d{4})(\d{2})(\d{2})", re.ASCII)


@dataclass(slots=True)
class Segment:
    """One segment, such as `CLM*26463774*100.00***11:B:1~`."""

    id: str  # such as "CLM"
    elements: list[list[str]]  # each in its components; the first is CLM01
    number: int  # its place in the file, from 1
    within: str = ""  # what it belongs to, such as "in the 3rd claim"

    def text(self, element: int, component: int = 1) -> str:
        """An element, or one component of it; empty where it is not there.

        Raises:
            ClaimElementError: it has characters that nobody sees.
        """
        try:
            value = self.elements[element - 1][component - 1].strip()
        except IndexError:
            return ""
        if not value.isprintable():
            raise self.refusal(element, "has characters that X12 does not have", "write plain text", component)
        return value

    def required(self, element: int, component: int = 1) -> str:
        """An element that has to be there.

        Raises:
            ClaimElementError: it is not.
        """
        value = self.text(element, component)
        if not value:
            raise self.refusal(element, "is missing", "complete it at its source", component)
        return value

    def components(self, element: int) -> list[str]:
        """An element's components; none where it is not there."""
        count = len(self.elements[element - 1]) if element <= len(self.elements) else 0
        return [self.text(element, component) for component in range(1, count + 1)]

    def amount(self, element: int) -> Decimal:
        """An amount or a quantity, with the digits that it was written with.

        Raises:
            ClaimElementError: it is missing.
            ClaimAmountError: it is no number, or a longer one than X12 has.
        """
        value = self.required(element)
        if not _AMOUNT.fullmatch(value):
            raise self.wrong(ClaimAmountError, element, "is no amount", "write digits with a point, such as 12.50")
        return Decimal(value)

    def whole(self, element: int) -> int:
        """A whole number.

        Raises:
            ClaimElementError: it is missing or none.
        """
        value = self.required(element)
        if not (value.isascii() and value.isdigit() and len(value) <= 9):
            raise self.refusal(element, "is no whole number", "number from 1 on")
        return int(value)

    def day(self, element: int) -> date:
        """A day, as X12's D8 writes it: 20261122.

        Raises:
            ClaimElementError: it is missing.
            ClaimDateError: it is none.
        """
        return self._day(self.required(element), element)

    def period(self, form: int, element: int) -> tuple[date, date]:
        """The first and the last day of an element in form D8 (one day) or RD8 (20261122-20261124).

        Raises:
            ClaimElementError: it is missing.
            ClaimDateError: it is no day or period, or it ends before it starts.
        """
        written = self.required(form)
        if written not in ("D8", "RD8"):
            raise self.wrong(ClaimDateError, form, "is neither D8 nor RD8", "give days, as the guide says")
        first, _, last = self.required(element).partition("-")
        if bool(last) != (written == "RD8"):
            raise self.wrong(ClaimDateError, element, "is not of the form it names", f"write it as {written}")
        start = self._day(first, element)
        end = self._day(last, element) if last else start
        if end < start:
            raise self.wrong(ClaimDateError, element, "ends before it starts", "correct the days")
        return start, end

    def place(self, element: int, component: int = 1) -> str:
        """What a refusal calls an element: `CLM05-3 in the 3rd claim, segment 27`; element 0 is the segment."""
        many = component > 1 or (element and element <= len(self.elements) and len(self.elements[element - 1]) > 1)
        known = self.id if _NAME.fullmatch(self.id) else "What stands for a segment"
        name = f"{known}{element:02}{f'-{component}' if many else ''}" if element and known == self.id else known
        return f"{name}{f' {self.within}' if self.within else ''}, segment {self.number},"

    def refusal(self, element: int, rule: str, step: str, component: int = 1) -> ClaimElementError:
        """An error that names an element of this segment; element 0 is the segment itself."""
        return self.wrong(ClaimElementError, element, rule, step, component)

    def wrong(
        self, kind: type[ClaimElementError], element: int, rule: str, step: str, component: int = 1
    ) -> ClaimElementError:
        """The same, of a kind."""
        return kind(self.place(element, component), rule, step)

    def _day(self, text: str, element: int) -> date:
        written = _DAY.fullmatch(text)
        try:
            if not written:
                raise ValueError
            return date(int(written[1]), int(written[2]), int(written[3]))
        except ValueError:
            raise self.wrong(ClaimDateError, element, "is no day", "write it as 20261122") from None


def put(segments: list[Segment], segment: Segment, most: int) -> None:
    """Add a segment to what it belongs to.

    Raises:
        InterchangeError: there are more of them than any has, so that the file's size would matter.
    """
    if len(segments) >= most:
        raise segment.wrong(InterchangeError, 0, f"is one of more than {most} in one place", "send it in parts")
    segments.append(segment)


def find_all(segments: list[Segment], name: str, *qualifiers: str) -> list[Segment]:
    """The segments of a name whose first element is one of the qualifiers, where any is given."""
    return [one for one in segments if one.id == name and (not qualifiers or one.text(1) in qualifiers)]


def find(segments: list[Segment], name: str, *qualifiers: str) -> Segment | None:
    """The first of them.

    Raises:
        ClaimElementError: there are several, and only one can be meant.
    """
    found = find_all(segments, name, *qualifiers)
    if len(found) > 1:
        raise found[1].refusal(0, "is there a second time, where one can be meant", "keep the one that holds")
    return found[0] if found else None


def before(segments: list[Segment], *names: str) -> list[Segment]:
    """The segments before the first of these names."""
    for place, segment in enumerate(segments):
        if segment.id in names:
            return segments[:place]
    return segments


def loops(segments: list[Segment], name: str) -> list[list[Segment]]:
    """The segments from each of a name to the next."""
    starts = [place for place, segment in enumerate(segments) if segment.id == name]
    return [segments[start:end] for start, end in pairwise([*starts, len(segments)])]

"""Whether somebody is insured: asked by X12 270, answered by 271 (both 005010X279A1) with a payer's attestation.

A 271 has no place for a signature. It carries the attestation's id and the time it was made, in a trace of the
payer's own (TRN*1: TRN02 the id in base64url, TRN04 the time), and the day in DTP*636. So whoever has the 271 alone
sees how old the answer is, and whoever has the attestation (`medproof.claims.eligibility`), whether it is this one.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from medproof.claims.claim import Identifier
from medproof.claims.coverage import EligibilityRequest
from medproof.errors import ArgumentError
from medproof.x12 import codes
from medproof.x12.hierarchy import DEPENDENT, PAYER, RECEIVER, SUBSCRIBER, Party, Row, dependent, named, walk
from medproof.x12.interchange import Header, Kind, Transaction, ordinal
from medproof.x12.segment import Segment, before, find, find_all
from medproof.x12.writing import day, write

__all__ = [
    "EligibilityAnswer",
    "EligibilityInquiry",
    "eligibility_answers_of",
    "eligibility_inquiries_of",
    "write_eligibility",
]

_WHOLE_PLAN = "30"  # service type: health benefit plan coverage
_ACTIVE = frozenset(("1", "2", "3", "4", "5"))  # EB01
_INACTIVE = frozenset(("6", "7", "8"))
_TIME = "%Y%m%dT%H%M%SZ"
_ID = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


@dataclass(frozen=True, slots=True)
class EligibilityInquiry:
    """A question (270), and whom its answer goes to and names again."""

    request: EligibilityRequest  # the question, as the payer attests to it
    payer: Party
    provider: Party
    subscriber: Party
    patient: Party | None  # where the patient is another than the subscriber
    traces: tuple[tuple[str, ...], ...] = ()  # TRN02 to TRN04, as they are given back
    header: Header | None = field(default=None, repr=False)  # of the interchange it came in


@dataclass(frozen=True, slots=True)
class EligibilityAnswer:
    """An answer (271)."""

    numbers: tuple[str, ...]  # the question's (TRN*2)
    covered: bool | None = field(repr=False)  # None where the payer says neither
    refusals: tuple[str, ...] = ()  # why it cannot say (AAA03, code list of data element 901)
    attestation: bytes | None = None  # 32 bytes, the id of the payer's signed word
    made_at: datetime | None = None  # when that was made

    def is_stale(self, max_age: timedelta, *, now: datetime) -> bool:
        """Whether the answer is older than that, or says no time at all. The time is the payer's word.

        Args:
            max_age: how old an answer may be.
            now: aware.
        """
        return self.made_at is None or now - self.made_at > max_age


def eligibility_inquiries_of(transaction: Transaction, *, already: int = 0) -> Iterator[EligibilityInquiry]:
    """The questions of a 270, in the order written; `already` is how many came before it in the file.

    Raises:
        ClaimElementError: a question cannot be read whole; the message names the segment, and no value of the patient.
        InterchangeError: as `medproof.x12.interchange.read_transactions`.
    """
    count = already
    head: list[Segment] = []
    for levels in walk(transaction, head):
        here = levels[list(levels)[-1]]
        start = find(head, "BHT")
        if start is None:
            raise here[0].refusal(0, "has no BHT above it, which says when it was asked", "give it whole")
        if not find_all(here, "EQ"):
            continue
        count += 1
        for segment in (one for above in levels.values() for one in above):
            segment.within = f"in the {ordinal(count)} question"
        yield _inquiry(levels, start, transaction)


def eligibility_answers_of(transaction: Transaction, *, already: int = 0) -> Iterator[EligibilityAnswer]:
    """The answers of a 271, one for each level that has any; otherwise as `eligibility_inquiries_of`."""
    count = already
    for levels in walk(transaction):
        here = levels[list(levels)[-1]]
        if not find_all(here, "EB") and not find_all(here, "AAA"):
            continue
        count += 1
        for segment in here:
            segment.within = f"in the {ordinal(count)} answer"
        yield _answer(here, transaction.repetition)


def write_eligibility(
    inquiry: EligibilityInquiry,
    header: Header,
    *,
    covered: bool,
    attestation: bytes,
    made_at: datetime,
    originator: str,
    reference: str,
    at: datetime,
) -> bytes:
    """Answer a question by a 271.

    Args:
        inquiry: the question.
        header: from the payer to who asked (`Header.reply`).
        covered: what was attested.
        attestation: 32 bytes, its id (`EligibilityAttestation.leaf`).
        made_at: when it was made, aware.
        originator: who numbers the trace: ten characters, 1 and the payer's tax number (TRN03).
        reference: the payer's number for this answer (BHT03).
        at: when it is given.

    Raises:
        ArgumentError: the id has not 32 bytes, the originator not ten characters, or a value cannot be written in X12.
    """
    if len(attestation) != 32:
        raise ArgumentError(f"An attestation's id has 32 bytes, not {len(attestation)}. Give its leaf.")
    if len(originator) != 10:
        raise ArgumentError(f"TRN03 has ten characters, and {originator!r} has not. Give 1 and a tax number.")
    if made_at.tzinfo is None:
        raise ArgumentError(f"{made_at!r} names no zone. Give an aware datetime.")
    own = ["TRN", "1", _written_id(attestation), originator, f"{made_at.astimezone(UTC):{_TIME}}"]
    return write(Kind.ELIGIBILITY, header, _rows(inquiry, covered, own, made_at, reference, at), at=at)


def _inquiry(levels: Mapping[str, list[Segment]], start: Segment, transaction: Transaction) -> EligibilityInquiry:
    here = levels[list(levels)[-1]]
    if not {PAYER, RECEIVER, SUBSCRIBER} <= levels.keys():
        raise here[0].refusal(0, "has no payer, provider and subscriber above it", "complete the levels")
    payer, provider = named(levels[PAYER], "PR"), named(levels[RECEIVER], "1P", "FA", "GP", "80")
    subscriber = named(levels[SUBSCRIBER], "IL")
    member = subscriber.identifier
    if member is None:
        raise levels[SUBSCRIBER][0].refusal(0, "has no member number (NM109) below it", "say who is insured")
    below = levels.get(DEPENDENT)
    asked = start.day(4)
    head = before(here, "EQ")
    said = find(head, "DTP", "291")
    days = said.period(2, 3) if said else (asked, asked)
    traces = tuple(tuple(one.text(place) for place in (2, 3, 4)) for one in find_all(here, "TRN", "1"))
    policy = find(before(levels[SUBSCRIBER], "EQ"), "REF", "1L", "6P", "IG")
    return EligibilityInquiry(
        request=EligibilityRequest(
            number=traces[0][0] if traces else start.required(3),
            member=dependent(below, "03", member) if below else member,
            provider=_known(provider, levels[RECEIVER]),
            payer=_known(payer, levels[PAYER]),
            asked=asked,
            start=days[0],
            end=days[1],
            services=tuple(
                codes.service_type(one, code)
                for one in find_all(here, "EQ")
                for code in one.text(1).split(transaction.repetition)
                if code
            ),
            coverage=codes.reference(policy) if policy else None,
        ),
        payer=payer,
        provider=provider,
        subscriber=subscriber,
        patient=named(below, "03") if below else None,
        traces=traces,
        header=transaction.header,
    )


def _known(party: Party, segments: list[Segment]) -> Identifier:
    if party.identifier is None:
        raise segments[0].refusal(0, f"has an NM1*{party.role} without a number (NM109) below it", "say who it is")
    return party.identifier


def _answer(here: list[Segment], repetition: str) -> EligibilityAnswer:
    attestation, made_at = None, None
    for trace in find_all(here, "TRN", "1"):
        if (found := _read_id(trace.required(2))) and (time := _read_time(trace)):
            attestation, made_at = found, time
    return EligibilityAnswer(
        numbers=tuple(one.required(2) for one in find_all(here, "TRN", "2")),
        covered=_covered(find_all(here, "EB"), repetition),
        refusals=tuple(one.required(3) for one in find_all(here, "AAA")),
        attestation=attestation,
        made_at=made_at,
    )


def _covered(benefits: list[Segment], repetition: str) -> bool | None:
    """Whether the plan is in force, by what is said of the whole plan, else of its parts: one that is not decides."""
    whole = [one for one in benefits if not one.text(3) or _WHOLE_PLAN in one.text(3).split(repetition)]
    said = {one.required(1) for one in whole or benefits}
    return False if said & _INACTIVE else True if said & _ACTIVE else None


def _rows(
    inquiry: EligibilityInquiry, covered: bool, own: Row, made_at: datetime, reference: str, at: datetime
) -> Iterator[Row]:
    """What stands between ST and SE of a 271."""
    request = inquiry.request
    path = [(PAYER, inquiry.payer), (RECEIVER, inquiry.provider), (SUBSCRIBER, inquiry.subscriber)]
    path += [(DEPENDENT, inquiry.patient)] if inquiry.patient else []
    yield ["BHT", "0022", "11", reference, day(at), f"{at:%H%M}"]
    for number, (code, party) in enumerate(path, start=1):
        last = number == len(path)
        yield ["HL", str(number), str(number - 1) if number > 1 else "", code, "0" if last else "1"]
        if last:
            yield from (["TRN", "2", *trace] for trace in inquiry.traces)
            yield own
        yield party.row()
    yield _days("291", request.start, request.end)
    yield _days("636", made_at.date(), made_at.date())
    for service in [one.code for one in request.services] or [_WHOLE_PLAN]:
        yield ["EB", "1" if covered else "6", "", service]


def _days(qualifier: str, first: date, last: date) -> Row:
    if first == last:
        return ["DTP", qualifier, "D8", f"{first:%Y%m%d}"]
    return ["DTP", qualifier, "RD8", f"{first:%Y%m%d}-{last:%Y%m%d}"]


def _written_id(attestation: bytes) -> str:
    """32 bytes in 43 characters: TRN02 has room for 50."""
    return base64.urlsafe_b64encode(attestation).decode().rstrip("=")


def _read_id(text: str) -> bytes | None:
    try:
        return base64.urlsafe_b64decode(f"{text}=") if _ID.fullmatch(text) else None
    except binascii.Error:
        return None


def _read_time(trace: Segment) -> datetime | None:
    try:
        return datetime.strptime(trace.text(4), _TIME).replace(tzinfo=UTC)
    except ValueError:
        return None

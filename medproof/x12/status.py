"""The status of claims: asked by X12 276, answered by 277 (both 005010X212), out of what stands on the chain.

`STATUSES` says which status category code (code list 507) and status code (code list 508, both at x12.org/codes) a
claim has that stands so in `ClaimAnchor`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType

from medproof.claims.claim import Identifier
from medproof.errors import ClaimCodeError
from medproof.x12 import codes
from medproof.x12.hierarchy import DEPENDENT, PAYER, PROVIDER, RECEIVER, SUBSCRIBER, Party, Row, dependent, named, walk
from medproof.x12.interchange import Header, Kind, Transaction, ordinal
from medproof.x12.segment import Segment, before, find, find_all, loops
from medproof.x12.writing import day, write

__all__ = [
    "STATUSES",
    "Status",
    "StatusAnswer",
    "StatusRequest",
    "status_answers_of",
    "status_of",
    "status_requests_of",
    "write_status",
]

STATUSES: Mapping[tuple[str, str], tuple[str, str, str]] = MappingProxyType(
    {
        # status and outcome by the names that medproof.client has for them: category, code, and whom the code is about
        ("NONE", ""): ("A4", "35", ""),  # not found: claim not found
        ("SUBMITTED", ""): ("A2", "20", ""),  # accepted into the adjudication system: accepted for processing
        ("PENDED", ""): ("P3", "123", "1P"),  # waiting for information requested from the provider
        ("ADJUDICATED", "APPROVED"): ("F0", "3", ""),  # finalised: adjudicated, awaiting the payment cycle
        ("ADJUDICATED", "PARTIAL"): ("F0", "3", ""),
        ("ADJUDICATED", "DENIED"): ("F2", "1", ""),  # denied: see the remittance advice
        ("APPEALED", ""): ("P2", "46", ""),  # suspended pending review: internal review
        ("UPHELD", "APPROVED"): ("F0", "3", ""),
        ("UPHELD", "PARTIAL"): ("F0", "3", ""),
        ("UPHELD", "DENIED"): ("F2", "1", ""),
        ("OVERTURNED", ""): ("F3", "3", ""),  # revised: adjudicated, awaiting the payment cycle
        ("OVERTURNED", "DENIED"): ("F2", "1", ""),
        ("SETTLED", "APPROVED"): ("F1", "65", ""),  # paid: claim has been paid
        ("SETTLED", "PARTIAL"): ("F1", "68", ""),  # paid: partial payment made
        ("SETTLED", "DENIED"): ("F2", "1", ""),
        ("VOIDED", ""): ("F4", "9", ""),  # complete: no payment will be made for this claim
        ("REPLACED", ""): ("F4", "9", ""),
    }
)
"""What a 277 says of a claim, by its status and its outcome on the chain; "" stands for any outcome."""

_CATEGORIES = frozenset(("A0", "A1", "A2", "A3", "A4", "A5", "A6", "A7", "A8", "D0", "E0", "E1", "E2", "E3", "E4"))
_CATEGORIES |= {"F0", "F1", "F2", "F3", "F3F", "F3N", "F4", "F5", "P0", "P1", "P2", "P3", "P4", "P5", "RQ", "X0"}
_CATEGORIES |= {f"R{number}" for number in range(18)}


@dataclass(frozen=True, slots=True)
class StatusRequest:
    """One question after a claim (276)."""

    number: str  # the asker's for the question (TRN02); the answer gives it back
    payer: Party
    receiver: Party  # who asks (NM1*41)
    provider: Party  # who billed (NM1*1P)
    subscriber: Party
    patient: Party | None  # where the patient is another than the subscriber
    patient_identifier: Identifier = field(repr=False)  # as medproof.x12 names the patient of a claim
    claim_number: str | None  # the provider's number for the claim (REF*EJ, CLM01)
    payer_number: str | None  # the payer's (REF*1K)
    references: tuple[tuple[str, str], ...] = field(default=(), repr=False)  # all REF, as they are given back
    charge: Decimal | None = field(default=None, repr=False)  # AMT*T3
    days: tuple[date, date] | None = field(default=None, repr=False)  # DTP*472
    header: Header | None = field(default=None, repr=False)  # of the interchange it came in


@dataclass(frozen=True, slots=True)
class Status:
    """What is said of a claim (STC)."""

    category: str  # code list 507
    code: str  # code list 508
    entity: str  # whom the code is about (data element 98); empty where it needs nobody
    since: date = field(repr=False)  # STC02
    charge: Decimal | None = field(default=None, repr=False)  # STC04
    paid: Decimal | None = field(default=None, repr=False)  # STC05
    decided: date | None = field(default=None, repr=False)  # STC06


@dataclass(frozen=True, slots=True)
class StatusAnswer:
    """One answer (277): to a question after a claim, or to all questions of a provider or an asker."""

    number: str  # the question's (TRN02)
    statuses: tuple[Status, ...]  # at least one
    level: str  # HL03 of what it is about: 22 or 23 of a claim, 19 of a provider, 21 of the asker
    claim_number: str | None = None  # REF*EJ
    payer_number: str | None = None  # REF*1K


def status_of(
    status: str,
    outcome: str = "NONE",
    *,
    since: date,
    charge: Decimal | None = None,
    paid: Decimal | None = None,
    decided: date | None = None,
) -> Status:
    """What a 277 says of a claim that stands so on the chain.

    Args:
        status: its name, such as "SUBMITTED" (`medproof.client.claim_anchor`, `ClaimStatus`).
        outcome: likewise (`Outcome`).
        since: the day it came to stand so.
        charge: what was billed; it is not on the chain.
        paid: what is paid for it; likewise.
        decided: when it was adjudicated.

    Raises:
        ClaimCodeError: no claim can stand so.
    """
    said = STATUSES.get((status, outcome)) or STATUSES.get((status, ""))
    if said is None:
        step = "give the names that medproof.client has for what the chain says"
        raise ClaimCodeError("The claim's status", f"is {status} with the outcome {outcome}", step)
    category, code, entity = said
    return Status(category, code, entity, since, charge, paid, decided)


def status_requests_of(transaction: Transaction, *, already: int = 0) -> Iterator[StatusRequest]:
    """The questions of a 276, in the order written; `already` is how many came before it in the file.

    Raises:
        ClaimElementError: a question cannot be read whole; the message names the segment, and no value of the patient.
        InterchangeError: as `medproof.x12.interchange.read_transactions`.
    """
    count = already
    for levels in walk(transaction):
        here = list(levels)[-1]
        questions = loops(levels[here], "TRN") if here in (SUBSCRIBER, DEPENDENT) else []
        if not questions:
            continue
        for segment in (one for above in levels.values() for one in above):
            segment.within = f"in the {ordinal(count + 1)} request"
        people = _people(levels, questions[0][0])
        for asked in questions:
            count += 1
            for segment in asked:
                segment.within = f"in the {ordinal(count)} request"
            yield _request(people, asked, transaction.header)


def status_answers_of(transaction: Transaction, *, already: int = 0) -> Iterator[StatusAnswer]:
    """The answers of a 277, as `status_requests_of`."""
    count = already
    for levels in walk(transaction):
        here = list(levels)[-1]
        for said in loops(levels[here], "TRN"):
            count += 1
            for segment in said:
                segment.within = f"in the {ordinal(count)} answer"
            own = before(said, "SVC")  # each line has its own status
            statuses = tuple(_status(one) for one in find_all(own, "STC"))
            if not statuses:
                raise said[0].refusal(0, "has no STC below it", "say how the claim stands")
            references = _references(own)
            yield StatusAnswer(
                number=said[0].required(2),
                statuses=statuses,
                level=here,
                claim_number=references.get("EJ"),
                payer_number=references.get("1K"),
            )


def write_status(
    answers: Iterable[tuple[StatusRequest, Iterable[Status]]], header: Header, *, reference: str, at: datetime
) -> bytes:
    """Answer questions by a 277, in their order.

    Args:
        answers: each question with what is said of the claim; a payer's number in it is given back.
        header: from the payer to who asked (`Header.reply`).
        reference: the payer's number for this answer (BHT03).
        at: when it is given.

    Raises:
        ArgumentError: a value cannot be written in X12.
    """
    return write(Kind.STATUS, header, list(_rows(answers, reference, at)), at=at)


@dataclass(frozen=True, slots=True)
class _People:
    """Whom the levels above a question name."""

    payer: Party
    receiver: Party
    provider: Party
    subscriber: Party
    patient: Party | None
    identifier: Identifier  # of the patient


def _people(levels: Mapping[str, list[Segment]], asked: Segment) -> _People:
    for one in (PAYER, RECEIVER, PROVIDER):
        if one not in levels:
            raise asked.refusal(0, f"has no level {one} above it", "complete the levels")
    level = before(levels[SUBSCRIBER], "TRN")
    subscriber = named(level, "IL", "QC")
    member = subscriber.identifier
    if member is None:
        raise level[0].refusal(0, "has no member number (NM109) below it", "say who is insured")
    below = before(levels[DEPENDENT], "TRN") if DEPENDENT in levels else None
    return _People(
        payer=named(levels[PAYER], "PR"),
        receiver=named(levels[RECEIVER], "41"),
        provider=named(levels[PROVIDER], "1P"),
        subscriber=subscriber,
        patient=named(below, "QC") if below else None,
        identifier=dependent(below, "QC", member) if below else member,
    )


def _request(people: _People, asked: list[Segment], header: Header) -> StatusRequest:
    references = _references(asked)
    charge = find(asked, "AMT", "T3")
    days = find(before(asked, "SVC"), "DTP", "472")
    return StatusRequest(
        number=asked[0].required(2),
        payer=people.payer,
        receiver=people.receiver,
        provider=people.provider,
        subscriber=people.subscriber,
        patient=people.patient,
        patient_identifier=people.identifier,
        claim_number=references.get("EJ"),
        payer_number=references.get("1K"),
        references=tuple(references.items()),
        charge=codes.money(charge, 2, "USD").amount if charge else None,
        days=days.period(2, 3) if days else None,
        header=header,
    )


def _references(segments: list[Segment]) -> dict[str, str]:
    """What REF says, by its qualifier."""
    found: dict[str, str] = {}
    for one in find_all(before(segments, "SVC"), "REF"):
        qualifier = one.required(1)
        if qualifier in found:
            raise one.refusal(1, "is there a second time, where one can be meant", "keep the one that holds")
        found[qualifier] = one.required(2)
    return found


def _status(said: Segment) -> Status:
    category, code = said.required(1), said.required(1, 2)
    if category not in _CATEGORIES:
        step = "take it from code list 507"
        raise said.wrong(ClaimCodeError, 1, "is no claim status category code", step)
    if not (code.isascii() and code.isdigit() and len(code) <= 4):
        raise said.wrong(ClaimCodeError, 1, "is no claim status code", "take it from code list 508", 2)
    return Status(
        category=category,
        code=code,
        entity=said.text(1, 3),
        since=said.day(2),
        charge=said.amount(4) if said.text(4) else None,
        paid=said.amount(5) if said.text(5) else None,
        decided=said.day(6) if said.text(6) else None,
    )


def _rows(answers: Iterable[tuple[StatusRequest, Iterable[Status]]], reference: str, at: datetime) -> Iterator[Row]:
    """What stands between ST and SE of a 277."""
    yield ["BHT", "0010", "08", reference, day(at), f"{at:%H%M}", "DG"]
    above: list[tuple[str, Party, int]] = []  # the levels that are open: HL03, whom, HL01
    count = 0
    for request, statuses in answers:
        path = [(PAYER, request.payer), (RECEIVER, request.receiver), (PROVIDER, request.provider)]
        path += [(SUBSCRIBER, request.subscriber)] + ([(DEPENDENT, request.patient)] if request.patient else [])
        shared = 0  # each question has a level for its subscriber of its own
        while shared < min(len(above), 3) and above[shared][:2] == path[shared]:
            shared += 1
        above = above[:shared]
        for code, party in path[shared:]:
            count += 1
            more = "0" if code == path[-1][0] else "1"
            yield ["HL", str(count), str(above[-1][2]) if above else "", code, more]
            yield party.row()
            above.append((code, party, count))
        yield ["TRN", "2", request.number]
        for one in statuses:
            money = ["" if amount is None else f"{amount:f}" for amount in (one.charge, one.paid)]
            decided = f"{one.decided:%Y%m%d}" if one.decided else ""
            yield ["STC", [one.category, one.code, one.entity], f"{one.since:%Y%m%d}", "", *money, decided]
        for qualifier, value in request.references:
            yield ["REF", qualifier, value]
        if request.days:
            first, last = request.days
            form = "D8" if first == last else "RD8"
            span = f"{first:%Y%m%d}" if first == last else f"{first:%Y%m%d}-{last:%Y%m%d}"
            yield ["DTP", "472", form, span]

"""Which responses answer which claims: what is answered, reversed and corrected, and what answers nothing.

A response names the claim by the provider's number (CLP01 names CLM01), and by its payer where several payers were
billed under one number. A reversal takes back the last payment that it can be of, by the payer's number (CLP07). What
comes after it is a correction: of the claim that replaces the first where one was sent, else of the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from medproof.claims.checking import adds_up
from medproof.claims.claim import Claim, ClaimResponse, Frequency, Identifier, LineResponse, Money, ServiceLine

__all__ = ["Finding", "Match", "match"]


class Finding(StrEnum):
    """What stands out of a match."""

    UNANSWERED = "unanswered"  # a claim without a response
    UNKNOWN = "unknown"  # a response to no claim
    BILLED_TWICE = "billed twice"  # an original claim whose number and payer another one before it has
    ANSWERED_TWICE = "answered twice"  # two payments stand, and neither was taken back
    REVERSED = "reversed"  # a payment was taken back, and nothing stands
    CORRECTED = "corrected"  # a payment was taken back, and another stands
    REVERSAL_UNKNOWN = "reversal of nothing"  # a reversal, and no payment that it takes back
    REVERSAL_DIFFERS = "reversal of another amount"  # a reversal of more or less than was paid
    CHARGE_DIFFERS = "other charge"  # the response is to another amount than the claim's
    LINES_DIFFER = "other lines"  # a line is answered that was not billed, or one billed is not answered


@dataclass(frozen=True, slots=True)
class Match:
    """A claim and what answers it."""

    claim: Claim | None  # None where the responses answer nothing that was given
    responses: tuple[ClaimResponse, ...]  # in the order given
    standing: tuple[ClaimResponse, ...] = field(default=())  # those that were not taken back: one, where all is well
    lines: tuple[tuple[ServiceLine, LineResponse], ...] = field(default=(), repr=False)  # of the one that stands
    findings: tuple[Finding, ...] = ()  # in the order of `Finding`


@dataclass(slots=True)
class _Case:
    """A claim, while its responses come in."""

    claim: Claim | None
    responses: list[ClaimResponse] = field(default_factory=list)
    standing: list[ClaimResponse] = field(default_factory=list)
    findings: set[Finding] = field(default_factory=set)
    taken_back: bool = False

    def take(self, response: ClaimResponse) -> None:
        self.responses.append(response)
        if not response.reversal:
            self.standing.append(response)
            return
        reversed_one = self.payment_of(response)
        if reversed_one is None:
            self.findings.add(Finding.REVERSAL_UNKNOWN)
            return
        self.taken_back = True
        self.standing.remove(reversed_one)
        if not _equal(_negated(response.paid), reversed_one.paid):
            self.findings.add(Finding.REVERSAL_DIFFERS)

    def payment_of(self, reversal: ClaimResponse) -> ClaimResponse | None:
        """The payment that stands and that a reversal can be of."""
        for one in reversed(self.standing):
            if None in (one.payer_number, reversal.payer_number) or one.payer_number == reversal.payer_number:
                return one
        return None


def match(claims: Iterable[Claim], responses: Iterable[ClaimResponse]) -> tuple[Match, ...]:
    """Match responses to claims, each in the order of its coming.

    Args:
        claims: of any standard, the earlier first; a correction after what it corrects.
        responses: likewise.

    Returns:
        A match for each claim, in the order given, then one for each number that responses give and no claim has.
    """
    cases: list[_Case] = []
    billed: set[tuple[str, Identifier]] = set()
    by_number: dict[str, list[_Case]] = {}
    for claim in claims:
        case = _Case(claim)
        by_number.setdefault(claim.number, []).append(case)
        if claim.frequency is Frequency.ORIGINAL:
            if (claim.number, claim.payer) in billed:
                case.findings.add(Finding.BILLED_TWICE)
            billed.add((claim.number, claim.payer))
        cases.append(case)
    for response in responses:
        named = by_number.setdefault(response.claim_number, [])
        if not named:
            named.append(_Case(None))
            cases.append(named[0])
        case = _meant(named, response)
        case.take(response)
        if response.reversal:
            _answer_void(named, case, response)
    return tuple(_finished(case) for case in cases)


def _meant(cases: list[_Case], response: ClaimResponse) -> _Case:
    """Of the claims under one number the one that a response is to."""
    payers = [one for one in cases if one.claim is not None and one.claim.payer == response.payer]
    able = payers or cases
    if response.reversal:
        paid = [one for one in able if one.payment_of(response) is not None]
        return (paid or able)[-1]
    waiting = [one for one in able if not one.responses]
    before = [one for one in able if one.responses]
    if not before:
        return waiting[0]
    if waiting and (before[-1].taken_back or not _same_bill(waiting[0].claim, before[-1].claim)):
        return waiting[0]
    return before[-1]


def _answer_void(cases: list[_Case], taken: _Case, reversal: ClaimResponse) -> None:
    """A reversal answers the claim that voids, too."""
    for one in cases:
        if one is not taken and one.claim and one.claim.frequency is Frequency.VOID and not one.responses:
            one.responses.append(reversal)
            return


def _finished(case: _Case) -> Match:
    findings = set(case.findings)
    lines: tuple[tuple[ServiceLine, LineResponse], ...] = ()
    if not case.responses:
        findings.add(Finding.UNANSWERED)
    if case.claim is None:
        findings.add(Finding.UNKNOWN)
    if len(case.standing) > 1:
        findings.add(Finding.ANSWERED_TWICE)
    if case.taken_back:
        findings.add(Finding.CORRECTED if case.standing else Finding.REVERSED)
    if case.claim is not None and case.standing:
        latest = case.standing[-1]
        if not _equal(case.claim.total, latest.charge):
            findings.add(Finding.CHARGE_DIFFERS)
        lines = _lines(case.claim.lines, latest.lines)
        if latest.lines and not len(lines) == len(latest.lines) == len(case.claim.lines):
            findings.add(Finding.LINES_DIFFER)
    ordered = tuple(one for one in Finding if one in findings)
    return Match(case.claim, tuple(case.responses), tuple(case.standing), lines, ordered)


def _lines(
    billed: Sequence[ServiceLine], answered: Sequence[LineResponse]
) -> tuple[tuple[ServiceLine, LineResponse], ...]:
    """Lines with their answers: by number where the answer gives one and the service is the same, else by service.

    A FHIR ClaimResponse names no services: its answers go by number alone.
    """
    left = list(billed)
    found = []
    for answer in answered:
        able = [line for line in left if _may_answer(line, answer)]
        exact = [line for line in able if line.number == answer.number]
        charged = [line for line in able if _equal(line.charge, answer.charge)]
        for line in (exact or charged or able)[:1]:
            left.remove(line)
            found.append((line, answer))
    return tuple(found)


def _may_answer(line: ServiceLine, answer: LineResponse) -> bool:
    return line.number == answer.number if not answer.service else not set(line.service).isdisjoint(answer.service)


def _same_bill(claim: Claim | None, other: Claim | None) -> bool:
    """Whether two claims under one number are to one payer, and neither corrects the other."""
    return (
        claim is not None
        and other is not None
        and claim.payer == other.payer
        and claim.frequency is other.frequency is Frequency.ORIGINAL
    )


def _equal(one: Money | None, other: Money | None) -> bool:
    """Whether two amounts are the same, as far as both are given."""
    if one is None or other is None:
        return True
    return one.currency == other.currency and adds_up([one], other)


def _negated(money: Money | None) -> Money | None:
    return Money(money.amount.copy_negate(), money.currency) if money else None

"""Responses to claims out of X12 835 (005010X221), each balanced, and all of them with the payment.

docs/claims.md says which segment each field comes from. What 835 says of the provider rather than of a claim (PLB) is
in no response; it counts in the balance of the payment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal

from medproof.claims.checking import adds_up
from medproof.claims.claim import Adjustment, ClaimOutcome, ClaimResponse, Identifier, LineResponse, Money
from medproof.claims.currency import EXACT
from medproof.errors import ClaimAmountError, ClaimCodeError, ClaimTotalError, InterchangeError
from medproof.x12 import codes
from medproof.x12.interchange import Transaction, ordinal
from medproof.x12.segment import MOST, MOST_ABOVE, Segment, before, find, find_all, loops, put

__all__ = ["responses_of"]

_DENIED = "4"
_REVERSAL = "22"
_STATUSES = ("1", "2", "3", _DENIED, "19", "20", "21", _REVERSAL, "23", "25")  # CLP02 in 005010X221
_GROUPS = ("CO", "OA", "PI", "PR")  # CAS01 in 005010X221
_PATIENT = "PR"
_OTHER_PAYER = ("OA", "23")  # what another payer has paid or adjusted


def responses_of(transaction: Transaction, *, already: int = 0) -> Iterator[ClaimResponse]:
    """The responses of an 835, in the order written; `already` is how many came before it in the file.

    Raises:
        ClaimElementError: a response cannot be read whole; the message names the segment, and no value of the patient.
        ClaimTotalError: charge less adjustments is not what is paid, of a claim, a line or the whole payment.
        InterchangeError: as `medproof.x12.interchange.read_transactions`.
    """
    count = already
    head: list[Segment] = []
    claim: list[Segment] = []
    provider: list[Segment] = []  # PLB
    remittance: _Remittance | None = None
    for segment in transaction.segments:
        if segment.id in ("CLP", "LX", "PLB") and claim:
            assert remittance is not None
            yield remittance.response(claim)
            claim = []
        if segment.id == "CLP":
            remittance = remittance or _Remittance(head)
            count += 1
        if claim or segment.id == "CLP":
            segment.within = f"in the {ordinal(count)} response"
            put(claim, segment, MOST)
        elif segment.id == "PLB":
            put(provider, segment, MOST)
        elif remittance is None:
            put(head, segment, MOST_ABOVE)
    remittance = remittance or _Remittance(head)
    if claim:
        yield remittance.response(claim)
    remittance.check_payment(provider)


class _Remittance:
    """What an 835 says of all its claims, and what they come to."""

    def __init__(self, head: list[Segment]) -> None:
        payment = find(head, "BPR")
        if payment is None:
            raise InterchangeError("An 835", "has no BPR, which says what is paid", "give it whole")
        self._payment = payment
        self._currency = codes.currency(head)
        self._payer = _payer(head)
        self._decided = _decided(head, payment)
        self._paid = Decimal()

    def response(self, segments: list[Segment]) -> ClaimResponse:
        """The response that begins with CLP."""
        said = segments[0]
        status = said.required(2)
        if status not in _STATUSES:
            raise said.wrong(ClaimCodeError, 2, "is no status of an 835", f"give one of {', '.join(_STATUSES)}")
        reversal = status == _REVERSAL
        charge, paid = self._amount(said, 3, reversal), self._amount(said, 4, reversal)
        own = before(segments, "SVC")
        adjustments = self._adjustments(own)
        lines = tuple(self._line(loop, reversal) for loop in loops(segments, "SVC"))
        if lines:
            _balance(said, 3, [line.charge for line in lines], charge, "is not what its lines come to")
        less = [_minus(one.amount) for one in (*adjustments, *(each for line in lines for each in line.adjustments))]
        _balance(said, 4, [charge, *less], paid, "is not the charge less the adjustments")
        self._paid = EXACT.add(self._paid, paid.amount)
        return ClaimResponse(
            claim_number=said.required(1),
            payer_number=said.text(7) or None,
            outcome=_outcome(status, charge, paid, adjustments, lines),
            payer=self._payer,
            decided=self._decided,
            charge=charge,
            paid=paid,
            patient_share=codes.money(said, 5, self._currency, negative=reversal) if said.text(5) else None,
            reversal=reversal,
            adjustments=adjustments,
            lines=lines,
        )

    def check_payment(self, provider: list[Segment]) -> None:
        """Make sure that the payment is what is paid for all claims, less what PLB keeps back."""
        kept = Decimal()
        for segment in provider:
            for place in range(4, 15, 2):
                if segment.text(place):
                    kept = EXACT.add(kept, segment.amount(place))
        total = codes.money(self._payment, 2, self._currency)
        parts = [Money(self._paid, self._currency), Money(kept.copy_negate(), self._currency)]
        _balance(self._payment, 2, parts, total, "is not what its claims come to, less PLB")

    def _line(self, segments: list[Segment], reversal: bool) -> LineResponse:
        said = segments[0]
        decided = codes.service(said, 1)
        if not decided:
            raise said.refusal(1, "names no service", "say what was decided on")
        adjustments = self._adjustments(segments)
        charge, paid = self._amount(said, 2, reversal), self._amount(said, 3, reversal)
        less = [_minus(one.amount) for one in adjustments]
        _balance(said, 3, [charge, *less], paid, "is not the charge less the adjustments")
        named = find(segments, "REF", "6R")
        number = named.text(2) if named else ""
        return LineResponse(
            number=int(number) if number.isascii() and number.isdigit() and len(number) <= 6 else None,
            service=tuple(dict.fromkeys((*decided, *codes.service(said, 6)))),
            charge=charge,
            paid=paid,
            adjustments=adjustments,
        )

    def _adjustments(self, segments: list[Segment]) -> tuple[Adjustment, ...]:
        found = []
        for said in find_all(segments, "CAS"):
            group = said.required(1)
            if group not in _GROUPS:
                raise said.wrong(ClaimCodeError, 1, "is no group of adjustments", f"give one of {', '.join(_GROUPS)}")
            reasons = [place for place in range(2, 20, 3) if said.text(place) or said.text(place + 1)]
            if not reasons:
                raise said.refusal(2, "is missing", "say why less is paid")
            for place in reasons:
                reason = said.required(place)
                if not (reason.isascii() and reason.isalnum() and len(reason) <= 5):
                    step = "take it from code list 139"
                    raise said.wrong(ClaimCodeError, place, "is no claim adjustment reason code", step)
                amount = codes.money(said, place + 1, self._currency, negative=True)
                found.append(Adjustment(group, reason, amount))
        return tuple(found)

    def _amount(self, said: Segment, element: int, reversal: bool) -> Money:
        """What was charged or paid: not below zero, or in a reversal not above it."""
        amount = codes.money(said, element, self._currency, negative=reversal)
        if reversal and amount.amount > 0:
            rule = "is above zero, and a reversal takes back"
            raise said.wrong(ClaimAmountError, element, rule, "write it below zero, as the guide says")
        return amount


def _balance(said: Segment, element: int, parts: Iterable[Money | None], total: Money, rule: str) -> None:
    if not adds_up(parts, total):
        raise said.wrong(ClaimTotalError, element, rule, "have the payer balance it")


def _outcome(
    status: str, charge: Money, paid: Money, adjustments: tuple[Adjustment, ...], lines: tuple[LineResponse, ...]
) -> ClaimOutcome:
    """What the payer decided: denied by CLP02 = 4, partial where a line was refused, else approved.

    A line is refused where neither payer, nor another payer (OA 23), nor the patient (PR) bears any of its charge.
    """
    if status == _DENIED:
        return ClaimOutcome.DENIED
    parts = [(line.charge, line.paid, line.adjustments) for line in lines] or [(charge, paid, ())]
    refused = [
        bool(charged and charged.amount) and not (settled and settled.amount) and not _borne((*less, *adjustments))
        for charged, settled, less in parts
    ]
    if all(refused):
        return ClaimOutcome.DENIED
    return ClaimOutcome.PARTIAL if any(refused) else ClaimOutcome.APPROVED


def _borne(adjustments: tuple[Adjustment, ...]) -> bool:
    return any(one.group == _PATIENT or (one.group, one.reason) == _OTHER_PAYER for one in adjustments)


def _payer(head: list[Segment]) -> Identifier | None:
    """Who decided: N1*PR, else the REF below it."""
    name = find(head, "N1", "PR")
    if name is None:
        raise InterchangeError("An 835", "has no N1*PR, which names the payer", "give it whole")
    if said := codes.identifier(name, 3):
        return said
    below = before(head[head.index(name) + 1 :], "N1")
    references = find_all(below, "REF", "2U", "NF", "HI")
    return codes.reference(references[0]) if references else None


def _decided(head: list[Segment], payment: Segment) -> date | None:
    """The day of the decisions: DTM*405, else the day of the payment."""
    said = find(head, "DTM", "405")
    if said is not None:
        return said.day(2)
    return payment.day(16) if payment.text(16) else None


def _minus(money: Money) -> Money:
    return Money(money.amount.copy_negate(), money.currency)

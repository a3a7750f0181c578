"""FHIR R4 ClaimResponse and ExplanationOfBenefit as `medproof.claims.ClaimResponse`: what a payer decided of a claim.

FHIR says what is paid and what is left to the patient, each by a category; X12 says why something is not paid. The
categories whose meaning X12 has a reason code for become adjustments. docs/claims.md has the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import localcontext
from enum import Enum, auto
from types import MappingProxyType

from medproof.claims.checking import adds_up, check_amount, same_currency
from medproof.claims.claim import Adjustment, Claim, ClaimOutcome, ClaimResponse, Code, Identifier, LineResponse, Money
from medproof.claims.currency import EXACT
from medproof.claims.names import NPI
from medproof.errors import ClaimCodeError, ClaimElementError, ClaimLineError, ClaimStateError, ClaimTotalError
from medproof.fhir.claims import billed, claim_kind, claim_number, read_claim
from medproof.fhir.elements import codes, day, items, money, name_of, named_number, own_number, plain, target_of
from medproof.fhir.resource import Resource
from medproof.hashing import JsonObject

__all__ = ["read_claim_response"]

_ADJUDICATION = "http://terminology.hl7.org/CodeSystem/adjudication"
_BLUE_BUTTON = "https://bluebutton.cms.gov/resources/codesystem/adjudication"
_VARIABLES = "https://bluebutton.cms.gov/resources/variables/"
_CARIN = "http://hl7.org/fhir/us/carin-bb/CodeSystem/C4BBAdjudication"


class _Part(Enum):
    """What an amount of an adjudication is."""

    SUBMITTED = auto()  # what was charged
    ALLOWED = auto()  # what the payer takes as the price
    PAID = auto()
    DEDUCTIBLE = auto()
    COINSURANCE = auto()
    COPAY = auto()
    OTHER = auto()  # known, and not part of the model


# X12 claim adjustment reasons 1 to 3, which are the patient's (group PR).
_SHARES: Mapping[_Part, str] = MappingProxyType({_Part.DEDUCTIBLE: "1", _Part.COINSURANCE: "2", _Part.COPAY: "3"})

_PARTS: Mapping[Code, _Part] = MappingProxyType(
    {
        Code(_ADJUDICATION, "submitted"): _Part.SUBMITTED,
        Code(_ADJUDICATION, "eligible"): _Part.ALLOWED,
        Code(_ADJUDICATION, "benefit"): _Part.PAID,
        Code(_ADJUDICATION, "deductible"): _Part.DEDUCTIBLE,
        Code(_ADJUDICATION, "copay"): _Part.COPAY,
        Code(_ADJUDICATION, "unallocdeduct"): _Part.OTHER,
        Code(_ADJUDICATION, "eligpercent"): _Part.OTHER,
        Code(_ADJUDICATION, "tax"): _Part.OTHER,
        Code(_CARIN, "coinsurance"): _Part.COINSURANCE,
        Code(_CARIN, "paidtoprovider"): _Part.OTHER,  # with the next, parts of the benefit
        Code(_CARIN, "paidtopatient"): _Part.OTHER,
        Code(_CARIN, "paidbypatient"): _Part.OTHER,
        Code(_CARIN, "priorpayerpaid"): _Part.OTHER,
        Code(_CARIN, "memberliability"): _Part.OTHER,
        Code(_CARIN, "noncovered"): _Part.OTHER,
        Code(_CARIN, "discount"): _Part.OTHER,
        Code(_CARIN, "drugcost"): _Part.OTHER,
        Code(_BLUE_BUTTON, f"{_VARIABLES}line_sbmtd_chrg_amt"): _Part.SUBMITTED,
        Code(_BLUE_BUTTON, f"{_VARIABLES}line_alowd_chrg_amt"): _Part.ALLOWED,
        Code(_BLUE_BUTTON, f"{_VARIABLES}line_prvdr_pmt_amt"): _Part.PAID,
        Code(_BLUE_BUTTON, f"{_VARIABLES}line_bene_ptb_ddctbl_amt"): _Part.DEDUCTIBLE,
        Code(_BLUE_BUTTON, f"{_VARIABLES}line_coinsrnc_amt"): _Part.COINSURANCE,
        Code(_BLUE_BUTTON, f"{_VARIABLES}line_prcsg_ind_cd"): _Part.OTHER,
    }
)


@dataclass(frozen=True, slots=True)
class _Adjudication:
    """The amounts of one adjudication by what they are, each with its path."""

    amounts: Mapping[_Part, tuple[str, Money]] = field(default_factory=dict)

    def of(self, part: _Part) -> Money | None:
        found = self.amounts.get(part)
        return found[1] if found else None

    @property
    def borne(self) -> bool | None:
        """Whether payer or patient bears any of it; None where nothing is said."""
        allowed = self.of(_Part.ALLOWED)
        said = [allowed] if allowed is not None else [self.of(part) for part in (_Part.PAID, *_SHARES)]
        given = [one for one in said if one is not None]
        return any(one.amount for one in given) if given else None

    @property
    def adjustments(self) -> tuple[Adjustment, ...]:
        return tuple(
            Adjustment("PR", reason, amount)
            for part, reason in _SHARES.items()
            if (amount := self.of(part)) is not None and amount.amount
        )


def read_claim_response(
    resource: Resource, *, payer: Identifier | None = None, prefer: Sequence[str] = (NPI,)
) -> ClaimResponse:
    """Read a ClaimResponse, or the decision that an ExplanationOfBenefit explains.

    It is approved where payer or patient bears something of every line that was adjudicated, denied where of none, and
    partial in between. Where the claim is in the same bundle, the response must be to its lines.

    Args:
        resource: from `fhir.load`, or of a bundle from `fhir.records`, where references lead further.
        payer: who decided, in place of what the resource says.
        prefer: systems of identifiers to name organisations by, where they have several; the best first.

    Raises:
        ClaimStateError: it is no decision on a bill, or none yet.
        ClaimTotalError: it does not balance.
        ClaimElementError: an element is missing or of no use; the classes below it say in what way.
    """
    return _Reader(resource, prefer).response(payer)


_Line = tuple[LineResponse, _Adjudication]


class _Reader:
    """One response on its way from FHIR."""

    def __init__(self, resource: Resource, prefer: Sequence[str]) -> None:
        self._resource, self._prefer = resource, prefer
        self._root = resource.resource_type
        self._explains = self._root == "ExplanationOfBenefit"
        self._claim: Claim | None = None  # where it is at hand

    def response(self, payer: Identifier | None) -> ClaimResponse:
        if self._root not in ("ClaimResponse", "ExplanationOfBenefit"):
            step = "give an HL7 FHIR R4 ClaimResponse or ExplanationOfBenefit"
            raise ClaimElementError(self._root, "is no answer to a claim", step)
        content = billed(self._resource)
        claim_kind(self._resource)
        self._check_outcome(content)
        self._claim = self._claim_at_hand(content)
        answered = list(self._answered(content))
        lines = [*answered, *self._added(content)]
        header, totals = self._adjudication(content, self._root), self._adjudication(content, self._root, "total")
        payment = self._payment(content)
        self._check_currency([totals, header, *(made for _, made in lines)], [line for line, _ in answered], payment)
        charge = totals.of(_Part.SUBMITTED) or _sum([line.charge for line, _ in answered])
        paid = totals.of(_Part.PAID) or header.of(_Part.PAID) or _sum([line.paid for line, _ in lines]) or payment
        if paid is None:
            raise ClaimElementError(f"{self._root}.total", "does not say what is paid", "give the total of benefit")
        if charge is not None:
            self._check_charge(charge, paid, totals, [line.charge for line, _ in answered])
        if header.of(_Part.PAID) is None:
            self._check_paid(paid, totals, [line.paid for line, made in lines if made.amounts])
        if payment is not None and not adds_up([payment], paid):
            path = f"{self._root}.payment.amount"
            raise ClaimTotalError(path, "is not the benefit less its adjustment", "correct one of them")
        adjustments = [*header.adjustments, *(one for line, _ in lines for one in line.adjustments)]
        return ClaimResponse(
            claim_number=self._claim_number(content),
            payer_number=own_number(self._resource),
            outcome=_outcome([*(made for _, made in lines), header], paid),
            payer=payer or self._payer(content),
            decided=day(content.get("created"), f"{self._root}.created"),
            charge=charge,
            paid=paid,
            patient_share=_sum([one.amount for one in adjustments]),
            adjustments=header.adjustments,
            lines=tuple(line for line, _ in lines),
        )

    def _check_outcome(self, content: JsonObject) -> None:
        outcome = content.get("outcome")
        if outcome != "complete":
            shown = outcome if outcome in ("queued", "partial", "error") else "another code"
            step = "wait for the decision" if outcome in ("queued", "partial") else "mend the claim and send it again"
            raise ClaimStateError(f"{self._root}.outcome", f"is {shown}, and so no decision", step)

    def _claim_at_hand(self, content: JsonObject) -> Claim | None:
        target = target_of(self._resource, content.get("claim" if self._explains else "request"))
        if target is None or target.resource_type != "Claim":
            return None
        claim, path = read_claim(target, prefer=self._prefer), f"{self._root}.patient"
        patient = name_of(self._resource, content.get("patient"), path, step="name the patient", prefer=self._prefer)
        if patient != claim.patient:
            raise ClaimElementError(path, "is another than the claim's", "answer a claim with its own patient")
        return claim

    def _claim_number(self, content: JsonObject) -> str:
        if self._explains:
            return claim_number(self._resource)
        return named_number(self._resource, content.get("request"), f"{self._root}.request")

    def _payer(self, content: JsonObject) -> Identifier:
        path = f"{self._root}.insurer"
        step = "complete it, or pass payer="
        return name_of(self._resource, content.get("insurer"), path, step=step, prefer=self._prefer, named=True)

    # -- lines ----------------------------------------------------------------------------------------------------

    def _answered(self, content: JsonObject) -> Iterator[_Line]:
        """The lines of the claim that it answers."""
        lines = {line.number: line for line in self._claim.lines} if self._claim else {}
        seen: set[int] = set()
        for path, item in items(content, "item", self._root):
            name = "sequence" if self._explains else "itemSequence"
            number = int(str(item[name]))
            line = lines.get(number)
            if number in seen or (self._claim is not None and line is None):
                rule = "is there twice" if number in seen else "is no line of the claim"
                raise ClaimLineError(f"{path}.{name}", rule, "answer each line of the claim once")
            seen.add(number)
            made = self._line(item, path)
            charge = self._charge(item, path, made, line.charge if line else None)
            service = codes(item.get("productOrService")) or (line.service if line else ())
            yield LineResponse(number, service, charge, made.of(_Part.PAID), made.adjustments), made

    def _charge(self, item: JsonObject, path: str, made: _Adjudication, billed: Money | None) -> Money | None:
        """What was charged by a line: as adjudicated, as repeated, or as billed, which are the same where given."""
        net = money(item.get("net"), f"{path}.net")
        said = [made.of(_Part.SUBMITTED), net, billed]
        given = [one for one in said if one is not None]
        if net is not None:
            check_amount(net.amount, f"{path}.net")
        same_currency([(f"{path}.net", one) for one in given])
        if not all(adds_up([one], given[0]) for one in given):
            raise ClaimTotalError(f"{path}.net", "is not what was charged by this line", "answer the line as billed")
        return given[0] if given else None

    def _added(self, content: JsonObject) -> Iterator[_Line]:
        """The lines that the payer added in place of others: these were charged, not what replaces them."""
        for path, item in items(content, "addItem", self._root):
            made, replaced = self._line(item, path), item.get("itemSequence")
            number = int(str(replaced[0])) if isinstance(replaced, list) and len(replaced) == 1 else None
            service = codes(item.get("productOrService"))
            yield LineResponse(number, service, None, made.of(_Part.PAID), made.adjustments), made

    def _line(self, item: JsonObject, path: str) -> _Adjudication:
        """The adjudication of a line, which must be what those of its details come to."""
        plain(item, path)
        made = self._adjudication(item, path)
        parts = [self._line(one, inner) for name in ("detail", "subDetail") for inner, one in items(item, name, path)]
        known = [part.of(_Part.PAID) for part in parts]
        total = made.amounts.get(_Part.PAID)
        if parts and total is not None and not adds_up(known, total[1]):
            raise ClaimTotalError(total[0], "is not what the details come to", "correct one of them")
        return made

    # -- amounts --------------------------------------------------------------------------------------------------

    def _adjudication(self, element: JsonObject, path: str, name: str = "adjudication") -> _Adjudication:
        amounts: dict[_Part, tuple[str, Money]] = {}
        for inner, one in items(element, name, path):
            amount = money(one.get("amount"), f"{inner}.amount")
            part = _part(one, inner) if amount is not None else _Part.OTHER
            if amount is None or part is _Part.OTHER:
                continue
            check_amount(amount.amount, f"{inner}.amount")
            if part in amounts:
                raise ClaimElementError(f"{inner}.category", "is there twice", "give one amount for each")
            amounts[part] = (f"{inner}.amount", amount)
        same_currency(amounts.values())
        self._check_shares(amounts)
        return _Adjudication(amounts)

    def _check_shares(self, amounts: Mapping[_Part, tuple[str, Money]]) -> None:
        """Nobody pays more than the price: neither both together, nor where no price is said more than was charged."""
        price = amounts.get(_Part.ALLOWED) or amounts.get(_Part.SUBMITTED)
        paid = [amounts[part][1] for part in (_Part.PAID, *_SHARES) if part in amounts]
        if price is not None and not adds_up([*paid, None], price[1]):
            rule = "is less than what payer and patient pay of it"
            raise ClaimTotalError(price[0], rule, "correct the adjudication")

    def _payment(self, content: JsonObject) -> Money | None:
        """What is paid for the claim: the payment, without what it settles of other claims."""
        payment, path = content.get("payment"), f"{self._root}.payment"
        if not isinstance(payment, dict):
            return None
        amount = money(payment.get("amount"), f"{path}.amount")
        other = money(payment.get("adjustment"), f"{path}.adjustment")
        if amount is not None:
            check_amount(amount.amount, f"{path}.amount")
        if amount is None or other is None:
            return amount
        check_amount(abs(other.amount), f"{path}.adjustment")
        same_currency([(f"{path}.amount", amount), (f"{path}.adjustment", other)])
        check_amount(amount.amount + other.amount, f"{path}.adjustment")
        return Money(amount.amount + other.amount, amount.currency)

    def _check_currency(
        self, made: Iterable[_Adjudication], lines: Iterable[LineResponse], payment: Money | None
    ) -> None:
        amounts = [("Claim.total", self._claim.total if self._claim else None)]
        amounts += [one for each in made for one in each.amounts.values()]
        amounts += [(f"{self._root}.item[{index}].net", line.charge) for index, line in enumerate(lines)]
        amounts.append((f"{self._root}.payment.amount", payment))
        same_currency([(path, one) for path, one in amounts if one is not None])

    def _check_charge(self, charge: Money, paid: Money, totals: _Adjudication, lines: Sequence[Money | None]) -> None:
        total = self._claim.total if self._claim else None
        if total is not None and not adds_up([charge], total):
            raise self._unbalanced(totals, _Part.SUBMITTED, "is not what the claim comes to")
        if lines and not adds_up(lines, charge):
            raise self._unbalanced(totals, _Part.SUBMITTED, "is not what the lines come to")
        if not adds_up([paid, None], charge):
            raise self._unbalanced(totals, _Part.PAID, "is more than was charged")

    def _check_paid(self, paid: Money, totals: _Adjudication, lines: Sequence[Money | None]) -> None:
        if lines and not adds_up(lines, paid):
            raise self._unbalanced(totals, _Part.PAID, "is not what the lines come to")

    def _unbalanced(self, totals: _Adjudication, part: _Part, rule: str) -> ClaimTotalError:
        path = totals.amounts[part][0] if part in totals.amounts else f"{self._root}.total"
        return ClaimTotalError(path, rule, "correct the total or the lines")


def _part(adjudication: JsonObject, path: str) -> _Part:
    """What an amount is, by its category.

    Raises:
        ClaimCodeError: a category that is not known: what it does to the sums is not, either.
    """
    for code in codes(adjudication.get("category")):
        part = _PARTS.get(Code(code.system or _ADJUDICATION, code.code))
        if part is not None:
            return part
    step = "give one of HL7's adjudication codes beside it"
    raise ClaimCodeError(f"{path}.category", "is no code that is known here", step)


def _sum(amounts: Sequence[Money | None]) -> Money | None:
    """The sum of the amounts that are given, which are of one currency; None where none is."""
    known = [amount for amount in amounts if amount is not None]
    with localcontext(EXACT):
        return Money(sum((one.amount for one in known[1:]), known[0].amount), known[0].currency) if known else None


def _outcome(made: Sequence[_Adjudication], paid: Money) -> ClaimOutcome:
    borne = [one.borne for one in made if one.borne is not None]
    if not any(borne or [paid.amount > 0]):
        return ClaimOutcome.DENIED
    return ClaimOutcome.APPROVED if all(borne) else ClaimOutcome.PARTIAL

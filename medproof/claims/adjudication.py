"""Auto-adjudication by a plan: what is decided of a claim follows from claim, plan and history, whoever computes it.

Of each line, in the order of their numbers:

1. A line is not paid whose service is excluded (reason 96), has no fee in the plan (204), or needed authorisation and
   has none (197).
2. Allowed is the fee times the quantity, at most the charge; the provider writes off the rest (45).
3. Of what is allowed the patient pays what is left of the year's deductible (1), then what is left of the claim's copay
   (3), then her part of the rest (2), rounded to the currency's smallest amount, half of one up.
4. The plan pays what remains, up to the year's limit; what is beyond is the patient's (119).

A charge is always what was paid and what the adjustments come to. A claim is denied where everything that is not
written off was refused by 96, 119, 197 or 204, approved where nothing was, and else partial. A year is a calendar year.

Reasons are X12's claim adjustment reason codes, groups its claim adjustment group codes (CO: the provider's, PR: the
patient's): https://x12.org/codes/claim-adjustment-reason-codes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import date
from decimal import Decimal, localcontext
from enum import StrEnum
from typing import Any

from medproof.claims.checking import ClaimPaths, check_claim
from medproof.claims.claim import (
    Adjustment,
    Claim,
    ClaimOutcome,
    ClaimResponse,
    Code,
    Frequency,
    LineResponse,
    Money,
    ServiceLine,
)
from medproof.claims.currency import EXACT, rounded
from medproof.claims.names import Names
from medproof.claims.nullifier import claim_total
from medproof.claims.plan import Plan
from medproof.errors import ClaimAmountError, ClaimCurrencyError, ClaimDateError, ClaimStateError, PlanError

__all__ = ["Difference", "History", "Reason", "adjudicate", "recompute"]

_PATHS = ClaimPaths("Claim.lines", "number", "charge", "quantity", "end", "details", "Claim.total")
_PATIENT, _PROVIDER = "PR", "CO"
_NAMES = Names()


class Reason(StrEnum):
    """Why a line is not paid in full (X12 claim adjustment reason codes)."""

    DEDUCTIBLE = "1"
    COINSURANCE = "2"
    COPAY = "3"
    ABOVE_FEE = "45"
    EXCLUDED = "96"
    LIMIT_REACHED = "119"
    NOT_AUTHORISED = "197"
    NOT_IN_PLAN = "204"


_REFUSALS = frozenset({Reason.EXCLUDED, Reason.LIMIT_REACHED, Reason.NOT_AUTHORISED, Reason.NOT_IN_PLAN})


@dataclass(frozen=True, slots=True)
class History:
    """What counts of a patient's year before a claim: part of what is disclosed for recomputing."""

    year: int  # the calendar year
    deductible: Decimal = Decimal(0)  # what the patient paid of it
    paid: Decimal = Decimal(0)  # what the plan paid
    authorised: frozenset[Code] = field(default=frozenset(), repr=False)  # services that were authorised before

    @classmethod
    def before(
        cls,
        claim: Claim,
        decided: Iterable[tuple[Claim, ClaimResponse]],
        *,
        authorised: Iterable[Code] = (),
        names: Names = _NAMES,
    ) -> History:
        """The history before a claim, of all that was decided before.

        What was decided of others, of another year, in another currency, or of the claim that it replaces does not
        count. A reversal takes away what it says.

        Raises:
            ClaimElementError: a claim names no patient, or nothing that it costs.
        """
        patient, currency = names.identifier(claim.patient, "Claim.patient"), claim_total(claim).currency
        counted: list[Money] = []
        adjustments: list[Adjustment] = []
        for other, response in decided:
            if other.start.year != claim.start.year or names.identifier(other.patient, "Claim.patient") != patient:
                continue
            if claim.frequency is Frequency.REPLACEMENT and other.number == claim.original:
                continue
            if response.paid is not None and response.paid.currency == currency:
                counted.append(response.paid)
                adjustments += response.adjustments
                adjustments += (one for line in response.lines for one in line.adjustments)
        with localcontext(EXACT):
            paid = sum((one.amount for one in counted), Decimal(0))
            deductible = _total(one for one in adjustments if (one.group, one.reason) == (_PATIENT, Reason.DEDUCTIBLE))
        return cls(claim.start.year, deductible, paid, frozenset(names.code(one, "authorised") for one in authorised))


def adjudicate(
    claim: Claim,
    plan: Plan,
    history: History,
    *,
    payer_number: str | None = None,
    decided: date | None = None,
    names: Names = _NAMES,
) -> ClaimResponse:
    """Decide a claim by a plan; the module's head says how.

    Args:
        claim: an original or a replacement.
        plan: the one in force on the first day of service.
        history: of the patient's year before the claim.
        payer_number: the payer's number for it.
        decided: the day of the decision.
        names: how the consortium spells codes.

    Raises:
        PlanError: the plan does not govern the day, or the history is of another year.
        ClaimStateError: the claim is a void.
        ClaimElementError: a line has no charge, an amount is none, does not add up, or is in another currency.
    """
    with localcontext(EXACT):
        check_claim(claim, _PATHS)
    if claim.frequency is Frequency.VOID:
        raise ClaimStateError("Claim.frequency", "is 8, which takes a bill back", "void the claim that it names")
    if claim.start < plan.valid_from:
        raise PlanError("$.validFrom", f"is {plan.valid_from}, and the service was before")
    if history.year != claim.start.year:
        raise PlanError("history", f"is of {history.year}, and the service is of another year")
    with localcontext(EXACT):
        return _response(claim, plan, _Year(plan, history, names), payer_number, decided)


class _Year:
    """What is left of a patient's deductible, copay and limit while the lines of one claim are decided."""

    def __init__(self, plan: Plan, history: History, names: Names) -> None:
        self._plan, self._names, self._authorised = plan, names, history.authorised
        self._year = history.year
        self._deductible = max(plan.deductible - max(history.deductible, Decimal(0)), Decimal(0))
        self._copay = plan.copay
        limit, paid = plan.yearly_limit, max(history.paid, Decimal(0))
        self._limit = None if limit is None else max(limit - paid, Decimal(0))

    def decide(self, line: ServiceLine, path: str) -> LineResponse:
        charge = self._charge(line, path)
        taken = [(group, reason, amount) for group, reason, amount in self._taken(line, charge, path) if amount]
        paid = charge - sum((amount for _, _, amount in taken), Decimal(0))
        if self._limit is not None:
            beyond = max(paid - self._limit, Decimal(0))
            paid -= beyond
            self._limit -= paid
            taken += [(_PATIENT, Reason.LIMIT_REACHED, beyond)] if beyond else []
        adjustments = tuple(Adjustment(group, str(reason), self._money(amount)) for group, reason, amount in taken)
        return LineResponse(line.number, line.service, self._money(charge), self._money(paid), adjustments)

    def _charge(self, line: ServiceLine, path: str) -> Decimal:
        if line.start.year != self._year:
            step = "bill each year by a claim of its own"
            raise ClaimDateError(f"{path}.start", "is in another year than the claim's first day", step)
        if line.charge is None:
            raise ClaimAmountError(f"{path}.charge", "is missing", "say what each line costs")
        if line.charge.currency != self._plan.currency:
            rule = f"is in {line.charge.currency}, and the plan pays in {self._plan.currency}"
            raise ClaimCurrencyError(f"{path}.charge.currency", rule, "bill in the plan's currency")
        amount = rounded(line.charge.amount, self._plan.currency)
        if amount != line.charge.amount:
            raise ClaimAmountError(f"{path}.charge", "has less than the smallest amount in it", "round the bill")
        return amount

    def _taken(self, line: ServiceLine, charge: Decimal, path: str) -> list[tuple[str, Reason, Decimal]]:
        codes = self._names.service(line.service, f"{path}.service")
        if any(code in self._plan.excluded for code in codes):
            return [(_PATIENT, Reason.EXCLUDED, charge)]
        fee = next((self._plan.fee_of[code] for code in codes if code in self._plan.fee_of), None)
        if fee is None:
            return [(_PATIENT, Reason.NOT_IN_PLAN, charge)]
        if any(code in self._plan.authorisation and code not in self._authorised for code in codes):
            return [(_PROVIDER, Reason.NOT_AUTHORISED, charge)]
        quantity = Decimal(1) if line.quantity is None else line.quantity
        allowed = min(charge, rounded(fee * quantity, self._plan.currency))
        deductible = min(allowed, self._deductible)
        self._deductible -= deductible
        copay = min(allowed - deductible, self._copay)
        self._copay -= copay
        share = rounded((allowed - deductible - copay) * self._plan.coinsurance, self._plan.currency)
        return [
            (_PROVIDER, Reason.ABOVE_FEE, charge - allowed),
            (_PATIENT, Reason.DEDUCTIBLE, deductible),
            (_PATIENT, Reason.COPAY, copay),
            (_PATIENT, Reason.COINSURANCE, share),
        ]

    def _money(self, amount: Decimal) -> Money:
        return Money(rounded(amount, self._plan.currency), self._plan.currency)


def _response(claim: Claim, plan: Plan, year: _Year, payer_number: str | None, decided: date | None) -> ClaimResponse:
    decisions = {
        line.number: year.decide(line, f"Claim.lines[{index}]")
        for index, line in sorted(enumerate(claim.lines), key=lambda one: one[1].number)
    }
    lines = tuple(decisions[line.number] for line in claim.lines)
    everything = [one for line in lines for one in line.adjustments]
    paid = sum((line.paid.amount for line in lines if line.paid), Decimal(0))
    return ClaimResponse(
        claim_number=claim.number,
        payer_number=payer_number,
        outcome=_outcome(everything, paid),
        payer=claim.payer,
        decided=decided,
        charge=Money(sum((line.charge.amount for line in lines if line.charge), Decimal(0)), plan.currency),
        paid=Money(paid, plan.currency),
        patient_share=Money(_total(one for one in everything if one.group == _PATIENT), plan.currency),
        lines=lines,
    )


def _outcome(adjustments: list[Adjustment], paid: Decimal) -> ClaimOutcome:
    refused = _total(one for one in adjustments if one.reason in _REFUSALS)
    borne = _total(one for one in adjustments if one.reason not in _REFUSALS and one.reason != Reason.ABOVE_FEE)
    if not refused:
        return ClaimOutcome.APPROVED
    return ClaimOutcome.PARTIAL if paid or borne else ClaimOutcome.DENIED


def _total(adjustments: Iterable[Adjustment]) -> Decimal:
    return sum((one.amount.amount for one in adjustments), Decimal(0))


# -- recomputing ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Difference:
    """The first place at which a payer's response is not what claim, plan and history come to."""

    path: str  # such as "lines[1].adjustments[0].amount"
    computed: object = field(repr=False)  # what they come to
    said: object = field(repr=False)  # what the response says


def recompute(
    claim: Claim, plan: Plan, history: History, response: ClaimResponse, *, names: Names = _NAMES
) -> Difference | None:
    """Decide a claim once more and compare: None where the response is what the plan comes to.

    The payer's number and the day of the decision follow from nothing, and count as the response has them.

    Raises:
        PlanError, ClaimElementError: as `adjudicate`.
    """
    numbered = {"payer_number": response.payer_number, "decided": response.decided}
    computed = adjudicate(claim, plan, history, names=names, **numbered)  # type: ignore[arg-type]
    return _first_difference(computed, replace(response, payer=response.payer or computed.payer), "")


def _first_difference(computed: Any, said: Any, path: str) -> Difference | None:
    if is_dataclass(computed) and type(computed) is type(said):
        pairs = [
            (f"{path}.{one.name}", getattr(computed, one.name), getattr(said, one.name)) for one in fields(computed)
        ]
    elif isinstance(computed, tuple) and isinstance(said, tuple) and len(computed) == len(said):
        pairs = [(f"{path}[{at}]", mine, theirs) for at, (mine, theirs) in enumerate(zip(computed, said, strict=True))]
    else:
        return None if computed == said else Difference(path.removeprefix("."), computed, said)
    return next((found for where, mine, theirs in pairs if (found := _first_difference(mine, theirs, where))), None)

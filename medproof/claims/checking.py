"""What holds of every claim, whichever standard it was written in: money that is money, and sums that add up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal, localcontext

from medproof.claims.claim import Claim, Money, ServiceLine
from medproof.claims.currency import EXACT, rounded, smallest_amount
from medproof.errors import ClaimAmountError, ClaimCurrencyError, ClaimDateError, ClaimLineError, ClaimTotalError

__all__ = ["ClaimPaths", "adds_up", "check_amount", "check_claim", "same_currency"]

_MOST_DIGITS = 15  # before the point: more than any bill has, and sums of them keep their cents


@dataclass(frozen=True, slots=True)
class ClaimPaths:
    """What a standard calls the places that a check may find wrong, so that a refusal names them as the sender does."""

    lines: str  # of all lines, such as "Claim.item"; one of them is "Claim.item[0]"
    number: str  # within a line, such as "sequence"
    charge: str  # within a line, such as "net"
    quantity: str  # within a line
    end: str  # within a line
    details: str  # within a line, of what it bundles, such as "detail"
    total: str  # of the claim


def check_claim(claim: Claim, paths: ClaimPaths) -> Claim:
    """Return a claim of which no amount contradicts another.

    That is: line numbers differ, no line ends before it starts, no amount or quantity is below zero, every currency is
    one of ISO 4217 and the same, a line's details come to its charge, and the lines to the total. Sums are compared in
    the currency's smallest unit; where some charges are not given, the others must not exceed the total.

    Raises:
        ClaimLineError, ClaimDateError, ClaimAmountError, ClaimCurrencyError, ClaimTotalError: one of these does not
            hold; the message names the place.
    """
    _check_lines(claim.lines, paths, paths.lines)
    if claim.total is not None:
        check_amount(claim.total.amount, paths.total)
    same_currency(_amounts(claim, paths))
    _check_sums(claim.lines, paths, paths.lines)
    if claim.total is not None and not adds_up([line.charge for line in claim.lines], claim.total):
        raise ClaimTotalError(paths.total, "is not what its lines come to", "correct the total or the lines")
    return claim


def check_amount(amount: Decimal, path: str) -> None:
    """Make sure that an amount or a quantity is one.

    Raises:
        ClaimAmountError: it is no number, below zero, or longer than any is.
    """
    if not amount.is_finite():
        raise ClaimAmountError(path, "is no number", "say how much")
    if amount < 0:
        raise ClaimAmountError(path, "is below zero", "take a bill back by voiding it (frequency 8)")
    if amount.adjusted() >= _MOST_DIGITS:
        raise ClaimAmountError(path, f"has more than {_MOST_DIGITS} digits before the point", "correct it")


def same_currency(amounts: Iterable[tuple[str, Money]]) -> None:
    """Make sure that amounts, each with its path, are all in one currency of ISO 4217.

    Raises:
        ClaimCurrencyError: they are not; the message names the first that is not.
    """
    expected: str | None = None
    for path, money in amounts:
        smallest_amount(money.currency, path)
        expected = expected or money.currency
        if money.currency != expected:
            rule = f"is in {money.currency} and what comes before it in {expected}"
            raise ClaimCurrencyError(path, rule, "bill in one currency")


def adds_up(parts: Iterable[Money | None], total: Money) -> bool:
    """Whether amounts of one currency come to a total; to no more than it, where some of them are not given."""
    given = list(parts)
    known = [part.amount for part in given if part is not None]
    with localcontext(EXACT):
        found, expected = (rounded(one, total.currency) for one in (sum(known, Decimal()), total.amount))
    return found == expected if len(known) == len(given) else found <= expected


def _check_lines(lines: Iterable[ServiceLine], paths: ClaimPaths, where: str) -> None:
    seen: set[int] = set()
    for index, line in enumerate(lines):
        path = f"{where}[{index}]"
        if line.number in seen:
            rule = f"is {line.number}, as that of a line before it"
            raise ClaimLineError(f"{path}.{paths.number}", rule, "give each line a number of its own")
        if line.number < 1:
            raise ClaimLineError(f"{path}.{paths.number}", "is below 1", "number lines from 1")
        seen.add(line.number)
        if line.end < line.start:
            raise ClaimDateError(f"{path}.{paths.end}", "lies before the start", "correct the days of service")
        if line.quantity is not None:
            check_amount(line.quantity, f"{path}.{paths.quantity}")
        if line.charge is not None:
            check_amount(line.charge.amount, f"{path}.{paths.charge}")
        _check_lines(line.details, paths, f"{path}.{paths.details}")


def _check_sums(lines: Iterable[ServiceLine], paths: ClaimPaths, where: str) -> None:
    for index, line in enumerate(lines):
        path = f"{where}[{index}]"
        if line.details:
            if line.charge is not None and not adds_up([one.charge for one in line.details], line.charge):
                rule = f"is not what its {paths.details} comes to"
                raise ClaimTotalError(f"{path}.{paths.charge}", rule, "correct the charge or what it is made of")
            _check_sums(line.details, paths, f"{path}.{paths.details}")


def _amounts(claim: Claim, paths: ClaimPaths) -> Iterator[tuple[str, Money]]:
    yield from _charges(claim.lines, paths, paths.lines)
    if claim.total is not None:
        yield paths.total, claim.total


def _charges(lines: Iterable[ServiceLine], paths: ClaimPaths, where: str) -> Iterator[tuple[str, Money]]:
    for index, line in enumerate(lines):
        path = f"{where}[{index}]"
        if line.charge is not None:
            yield f"{path}.{paths.charge}", line.charge
        yield from _charges(line.details, paths, f"{path}.{paths.details}")

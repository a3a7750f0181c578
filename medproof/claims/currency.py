"""Currencies of ISO 4217, and how small their amounts go (from the official list, by the package `iso4217`)."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal

from iso4217 import Currency

from medproof.claims.claim import Money
from medproof.errors import ClaimAmountError, ClaimCurrencyError

__all__ = ["EXACT", "plain_amount", "rounded", "smallest_amount"]

EXACT = Context(prec=100, rounding=ROUND_HALF_UP)
"""What sums are computed in, so that no setting of the process makes them others; no bill has so many digits."""


def smallest_amount(currency: str, path: str) -> Decimal:
    """The smallest amount of a currency: 0.01 for USD, 1 for JPY, 0.001 for KWD.

    Raises:
        ClaimCurrencyError: ISO 4217 does not list it, or counts no money in it (gold, codes for testing); `path` says
            which element names it.
    """
    try:
        exponent = Currency(currency).exponent
    except ValueError:
        exponent = None
    if exponent is None:
        raise ClaimCurrencyError(path, "is no currency of ISO 4217 that is paid in", "write its three capital letters")
    return Decimal(1).scaleb(-exponent)


def rounded(amount: Decimal, currency: str) -> Decimal:
    """An amount in whole smallest amounts of its currency; half of one goes away from zero, as on a bill.

    Raises:
        ClaimCurrencyError: as `smallest_amount`.
    """
    return EXACT.add(amount.quantize(smallest_amount(currency, "currency"), context=EXACT), Decimal(0))  # no minus zero


def plain_amount(money: Money, path: str) -> str:
    """An amount in the one form that says how much, not how it was written: 12.50 and 12.5 USD are `12.5|USD`.

    Raises:
        ClaimCurrencyError: as `smallest_amount`.
        ClaimAmountError: it is no number, or longer than any is.
    """
    smallest_amount(money.currency, f"{path}.currency")
    if not money.amount.is_finite() or money.amount.adjusted() >= EXACT.prec:
        raise ClaimAmountError(f"{path}.amount", "is no number that is billed", "say how much")
    amount = EXACT.add(money.amount.normalize(EXACT), Decimal(0))  # which makes zero of minus zero
    return f"{amount:f}|{money.currency}"

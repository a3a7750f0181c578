"""Currencies of ISO 4217: their smallest amounts, rounding, and what is none."""

from __future__ import annotations

from decimal import ROUND_DOWN, Context, Decimal, localcontext

import pytest

from medproof.claims import Money
from medproof.claims.checking import adds_up
from medproof.claims.currency import plain_amount, rounded, smallest_amount
from medproof.errors import ClaimCurrencyError


@pytest.mark.parametrize(("currency", "amount"), [("USD", "0.01"), ("JPY", "1"), ("KWD", "0.001"), ("CLF", "0.0001")])
def test_smallest_amount(currency: str, amount: str) -> None:
    assert smallest_amount(currency, "x") == Decimal(amount)


@pytest.mark.parametrize("currency", ["usd", "US", "DOLLARS", "XAU", "XXX", "XTS", ""])
def test_what_is_no_currency_is_refused_by_its_place(currency: str) -> None:
    with pytest.raises(ClaimCurrencyError) as caught:
        smallest_amount(currency, "CLM02")
    assert caught.value.path == "CLM02"


@pytest.mark.parametrize(
    ("amount", "currency", "whole"),
    [
        ("2.345", "USD", "2.35"),
        ("2.355", "USD", "2.36"),
        ("-2.345", "USD", "-2.35"),
        ("2.5", "JPY", "3"),
        ("2", "KWD", "2.000"),
        ("-0", "USD", "0.00"),
        ("-0.004", "USD", "0.00"),
    ],
)
def test_half_goes_away_from_zero(amount: str, currency: str, whole: str) -> None:
    assert str(rounded(Decimal(amount), currency)) == whole


@pytest.mark.parametrize(
    ("amount", "plain"), [("12.50", "12.5"), ("1E+2", "100"), ("0.00", "0"), ("-0", "0"), ("-5.0", "-5")]
)
def test_one_amount_has_one_form(amount: str, plain: str) -> None:
    assert plain_amount(Money(Decimal(amount), "USD"), "x") == f"{plain}|USD"


def test_no_setting_of_the_process_makes_another_amount() -> None:
    with localcontext(Context(prec=2, rounding=ROUND_DOWN)):
        assert plain_amount(Money(Decimal("1234.50"), "USD"), "x") == "1234.5|USD"
        assert rounded(Decimal("1234.565"), "USD") == Decimal("1234.57")
        parts = [Money(Decimal("10000.01"), "USD"), Money(Decimal("10000.02"), "USD")]
        assert adds_up(parts, Money(Decimal("20000.03"), "USD"))
        assert not adds_up(parts, Money(Decimal("20000.00"), "USD"))

"""Reading JSON strictly and writing it in its one canonical form."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from medproof import hashing
from medproof.errors import JsonError

UNICODE = st.text(st.characters(blacklist_categories=("Cs",)), max_size=20)
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30)
PLAIN = st.none() | st.booleans() | UNICODE | st.integers(-(2**53) + 1, 2**53 - 1)


def trees(leaves: Any) -> Any:
    return st.recursive(leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(UNICODE, inner, max_size=4))


@given(trees(PLAIN))
def test_canonical_is_rfc8785_where_that_is_exact(value: Any) -> None:
    assert hashing.canonical(value) == rfc8785.dumps(value)


@given(trees(PLAIN | DECIMALS | st.integers()))
def test_canonical_is_a_fixed_point(value: Any) -> None:
    once = hashing.canonical(value)
    assert hashing.canonical(hashing.parse(once)) == once


@given(DECIMALS, DECIMALS)
def test_decimals_agree_exactly_when_digits_and_exponent_do(one: Decimal, other: Decimal) -> None:
    same = hashing.canonical(one) == hashing.canonical(other)
    assert same == (one.as_tuple() == other.as_tuple())


def test_integer_and_decimal_of_the_same_digits_agree() -> None:
    assert hashing.canonical(Decimal(100)) == hashing.canonical(100) == b"100"


def test_true_is_not_one() -> None:
    assert hashing.canonical(True) != hashing.canonical(1)


def test_order_of_keys_and_blanks_do_not_matter() -> None:
    one = hashing.parse(b'{"b": [1, 2],\n "a": "x"}')
    other = hashing.parse(b'{"a":"x","b":[1,2]}')
    assert hashing.canonical(one) == hashing.canonical(other)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "not JSON at line 1, column 1"),
        (b'{"a": 1,\n "b" 2}', "not JSON at line 2"),
        (b"[1] [2]", "not JSON"),
        (b"[01]", "not JSON"),
        (b'{"status": 1, "status": 1}', '"status" twice'),
        (b'{"a": {"b": 1, "c": 2, "b": 3}}', '"b" twice'),
        (b"[NaN]", "NaN"),
        (b"[-Infinity]", "Infinity"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        ("{}".encode("utf-16"), "byte order mark"),
        (b'{"a": "\xff"}', "Byte 7 is not UTF-8"),
        (b'{"a": "\\ud800"}', "surrogate"),
        (b'{"\\udc00": 1}', "not Unicode"),
        (b"[" * 102 + b"]" * 102, "deeper than 100"),
        (b"[" * 200_000 + b"]" * 200_000, "deeper than 100"),
        (b"1" * 401, "401 characters"),
        (b"0." + b"1" * 400, "402 characters"),
        (b"1e1001", "exponent"),
        (b"1e-99999999999999999999", "exponent"),
        (b"1e99999999999999999999", "exponent"),
    ],
)
def test_parse_refuses(text: bytes, says: str) -> None:
    with pytest.raises(JsonError, match=says):
        hashing.parse(text)


def test_parse_refuses_giants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "MAX_BYTES", 10)
    with pytest.raises(JsonError, match="11 bytes and the limit is 10"):
        hashing.parse(b'"123456789"')


def test_message_about_a_key_said_twice_hides_odd_keys() -> None:
    with pytest.raises(JsonError) as caught:
        hashing.parse(b'{"Jane Doe": 1, "Jane Doe": 2}')
    assert "Jane" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"valueQuantity": {"value": 2.5}}, r"\$\.valueQuantity\.value is a float"),
        ([1, [float("nan")]], r"\$\[1\]\[0\] is a float"),
        ({"a": b"x"}, "bytes"),
        ({1: "x"}, "not Unicode text"),
        ({"a": "\ud800"}, "surrogate"),
        (Decimal("NaN"), "NaN"),
        (Decimal("-Infinity"), "Infinity"),
        (Decimal("1e5000"), "exponent"),
        (10**400, "400 digits"),
    ],
)
def test_canonical_refuses(value: Any, says: str) -> None:
    with pytest.raises(JsonError, match=says):
        hashing.canonical(value)


def test_canonical_refuses_a_value_within_itself() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(JsonError, match="deeper than 100"):
        hashing.canonical(value)


def test_canonical_takes_what_parse_takes_at_the_deepest() -> None:
    text = b"[" * 101 + b"]" * 101
    assert hashing.canonical(hashing.parse(text)) == text

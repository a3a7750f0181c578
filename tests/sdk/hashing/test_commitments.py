"""Salts, commitments and keyed identifiers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medproof import hashing
from medproof.errors import IdentifierError, SaltError

SALT = bytes(range(32))
KEY = bytes(range(1, 33))
PARTS = st.lists(st.binary(min_size=1, max_size=8), min_size=1, max_size=5)


def test_salts_are_32_fresh_bytes() -> None:
    salts = {hashing.new_salt() for _ in range(100)}
    assert len(salts) == 100
    assert {len(salt) for salt in salts} == {32}


def test_commitment_has_32_bytes() -> None:
    assert len(hashing.commit({"a": 1}, SALT)) == 32


def test_commitment_changes_with_the_salt() -> None:
    assert hashing.commit({"a": 1}, SALT) != hashing.commit({"a": 1}, KEY)


def test_commitment_to_bytes_is_not_the_one_to_json() -> None:
    assert hashing.commit_bytes(b"{}", SALT) != hashing.commit({}, SALT)


@pytest.mark.parametrize("salt", [b"", bytes(31), SALT + b"x", bytes(32)])
def test_commit_refuses_a_weak_salt(salt: bytes) -> None:
    with pytest.raises(SaltError, match=r"new_salt\(\)"):
        hashing.commit({}, salt)
    with pytest.raises(SaltError):
        hashing.commit_bytes(b"", salt)


def test_seal_opens_with_its_salt() -> None:
    sealed = hashing.seal({"a": 1})
    assert sealed.commitment == hashing.commit({"a": 1}, sealed.salt)


def test_seal_takes_a_given_salt() -> None:
    assert hashing.seal({"a": 1}, salt=SALT).salt == SALT


def test_seal_does_not_print_record_or_salt() -> None:
    sealed = hashing.seal({"family": "Chalmers"}, salt=SALT)
    assert "Chalmers" not in repr(sealed)
    assert repr(SALT) not in repr(sealed)


@given(PARTS, PARTS)
def test_encoded_parts_are_unambiguous(one: list[bytes], other: list[bytes]) -> None:
    assert (hashing.encode_parts(one) == hashing.encode_parts(other)) == (one == other)


def test_no_parts_encode_to_something() -> None:
    assert hashing.encode_parts([]) == bytes(8)


@given(PARTS, PARTS)
def test_keyed_identifiers_differ_when_parts_do(one: list[bytes], other: list[bytes]) -> None:
    same = hashing.keyed_identifier(KEY, *one, purpose="t") == hashing.keyed_identifier(KEY, *other, purpose="t")
    assert same == (one == other)


def test_purpose_is_not_a_part() -> None:
    one = hashing.keyed_identifier(KEY, "b", "c", purpose="a")
    other = hashing.keyed_identifier(KEY, "c", purpose="ab")
    assert one != other


@given(st.lists(st.text(min_size=1), max_size=5))
def test_many_keyed_identifiers_are_those_of_each(texts: list[str]) -> None:
    each = [hashing.keyed_identifier(KEY, one, purpose="t") for one in texts]
    assert hashing.keyed_identifiers(KEY, texts, purpose="t") == each


@pytest.mark.parametrize(("key", "texts", "purpose"), [(KEY[:31], ["a"], "t"), (KEY, ["a"], ""), (KEY, ["a", ""], "t")])
def test_many_keyed_identifiers_refuse_what_one_does(key: bytes, texts: list[str], purpose: str) -> None:
    with pytest.raises(IdentifierError):
        hashing.keyed_identifiers(key, texts, purpose=purpose)


def test_keyed_identifier_refuses_a_short_key() -> None:
    with pytest.raises(IdentifierError, match="31 bytes and needs at least 32"):
        hashing.keyed_identifier(KEY[:31], "a", purpose="t")


def test_keyed_identifier_refuses_an_empty_part() -> None:
    with pytest.raises(IdentifierError, match="Part 2 of 3 is empty"):
        hashing.keyed_identifier(KEY, "a", "", "c", purpose="t")


def test_keyed_identifier_refuses_no_parts() -> None:
    with pytest.raises(IdentifierError, match="No part"):
        hashing.keyed_identifier(KEY, purpose="t")


def test_keyed_identifier_refuses_no_purpose() -> None:
    with pytest.raises(IdentifierError, match="purpose is empty"):
        hashing.keyed_identifier(KEY, "a", purpose="")

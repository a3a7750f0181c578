"""Subjects without ether, as many as a test needs."""

from __future__ import annotations

from functools import cache

from eth_utils.crypto import keccak

from medproof.signing import LocalSigner


@cache
def person(number: int) -> LocalSigner:
    return LocalSigner.from_key(keccak(text=f"subject {number}"))


def people(count: int) -> list[LocalSigner]:
    return [person(number) for number in range(count)]

"""Subjects without ether, as many as a test needs, and what a chain says of their rules."""

from __future__ import annotations

from functools import cache

from eth_utils.crypto import keccak

from medproof.client import MedProof
from medproof.relayer import Relayer
from medproof.signing import LocalSigner


@cache
def person(number: int) -> LocalSigner:
    return LocalSigner.from_key(keccak(text=f"subject {number}"))


def people(count: int) -> list[LocalSigner]:
    return [person(number) for number in range(count)]


def rules_set(suite: MedProof, since: int) -> list[str]:
    """The subjects whose rules were set after a block, in the chain's order, as often as they were set."""
    events = suite.consent_registry.events("RuleSet", from_block=since + 1)
    return [event.arguments["subject"] for event in events]


def work_off(relayer: Relayer, rounds: int = 20) -> None:
    """Work until nothing is open."""
    for _ in range(rounds):
        if relayer.run_once(flush=True) == 0:
            return
    raise AssertionError(f"still open: {relayer.fates()}")

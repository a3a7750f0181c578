"""Finding all of a patient's relationships again, from the seed phrase and the chain alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from medproof.client import MedProof
from medproof.client.record_pointers import PointerKey
from medproof.decoding import Event
from medproof.wallet import Wallet

__all__ = ["Relationship", "recover"]


@dataclass(frozen=True)
class Relationship:
    """What the chain knows of a patient under one pseudonym."""

    custodian: str  # the identity of the party it was made for
    number: int  # which relationship with this custodian, from 0
    subject: str  # the pseudonym
    pointers: tuple[PointerKey, ...]  # posted for it, oldest first
    history: tuple[Event, ...]  # its grants, changes and revocations, oldest first


def recover(
    suite: MedProof, wallet: Wallet, *, progress: Callable[[int, int], None] = lambda done, total: None
) -> Iterator[Relationship]:
    """Find every relationship of a wallet; nothing but the seed phrase is needed.

    Every party in the Registrar, removed ones included, is tried; with each, relationships are tried in order until
    one has left no trace.

    Args:
        suite: where to look.
        wallet: whose relationships.
        progress: called with the number of parties tried and the number of all.
    """
    parties = suite.registrar.parties()
    for done, custodian in enumerate(parties, start=1):
        number = 0
        while found := _relationship(suite, wallet, custodian, number):
            yield found
            number += 1
        progress(done, len(parties))


def _relationship(suite: MedProof, wallet: Wallet, custodian: str, number: int) -> Relationship | None:
    subject = wallet.pseudonym(custodian, relationship=number).address
    pointers = tuple(suite.record_pointers.keys_of(subject))
    history = tuple(suite.consent_registry.history(subject))
    return Relationship(custodian, number, subject, pointers, history) if pointers or history else None

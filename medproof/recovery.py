"""Finding all of a patient's relationships again, from the seed phrase and the chain alone.

The chain shows nothing of pointers that stand in batches: those are for the custodians to list, and for the chain to
confirm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from medproof.client import MedProof
from medproof.client.record_pointers import Pointer, PointerKey
from medproof.decoding import Event
from medproof.errors import MerkleProofError, UnprovedRecordError
from medproof.signing import LocalSigner
from medproof.wallet import Wallet

__all__ = ["Listings", "Relationship", "no_listings", "recover"]

Listings = Callable[[str, LocalSigner], Iterable[Pointer]]
"""What a custodian, by its identity, lists to a pseudonym: its pointers, those in batches with their places
(`GatekeeperClient.pointers`). Nothing where the custodian is not asked."""


def no_listings(custodian: str, subject: LocalSigner) -> Iterable[Pointer]:
    """Ask nobody: the chain alone."""
    return ()


@dataclass(frozen=True)
class Relationship:
    """What the chain knows of a patient under one pseudonym."""

    custodian: str  # the identity of the party it was made for
    number: int  # which relationship with this custodian, from 0
    subject: str  # the pseudonym
    pointers: tuple[PointerKey, ...]  # posted for it, oldest first
    history: tuple[Event, ...]  # its grants, changes and revocations, oldest first
    batched: tuple[Pointer, ...] = ()  # those that stand in batches, as the custodian lists them and the chain confirms


def recover(
    suite: MedProof,
    wallet: Wallet,
    *,
    listings: Listings = no_listings,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[Relationship]:
    """Find every relationship of a wallet; nothing but the seed phrase is needed.

    Every party in the Registrar, removed ones included, is tried; with each, relationships are tried in order until
    one has left no trace.

    Args:
        suite: where to look.
        wallet: whose relationships.
        listings: what custodians say beside the chain.
        progress: called with the number of parties tried and the number of all.

    Raises:
        UnprovedRecordError: a custodian lists what the chain does not confirm.
    """
    parties = suite.registrar.parties()
    for done, custodian in enumerate(parties, start=1):
        number = 0
        while found := _relationship(suite, wallet, custodian, number, listings):
            yield found
            number += 1
        progress(done, len(parties))


def _relationship(
    suite: MedProof, wallet: Wallet, custodian: str, number: int, listings: Listings
) -> Relationship | None:
    signer = wallet.pseudonym(custodian, relationship=number)
    pointers = tuple(suite.record_pointers.keys_of(signer.address))
    history = tuple(suite.consent_registry.history(signer.address))
    batched = tuple(_batched(suite, signer.address, listings(custodian, signer)))
    if not (pointers or history or batched):
        return None
    return Relationship(custodian, number, signer.address, pointers, history, batched)


def _batched(suite: MedProof, subject: str, listed: Iterable[Pointer]) -> Iterator[Pointer]:
    """Those of the listed pointers that stand in batches; of the others the chain speaks itself."""
    told: set[PointerKey] = set()
    for said in listed:
        if said.key.subject != subject:
            raise UnprovedRecordError("subject", "is not the one that was asked for")
        if said.place is None or said.key in told:
            continue
        told.add(said.key)
        try:
            pointer = suite.record_pointers.batched(said.key, said.data_class, said.place)
        except MerkleProofError:
            raise UnprovedRecordError("place", "is not where the batch has this pointer with this class") from None
        if pointer.place is not None:
            yield pointer

"""A patient's longitudinal record: what happened with all custodians, in one order, put together by her wallet alone.

Nobody else can put it together: each custodian knows her by another pseudonym, and only the seed phrase joins them.
Pointers that stand in batches are not seen on the chain; her wallet asks the custodians for them, and the chain
confirms what they say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from medproof.client import MedProof
from medproof.client.record_pointers import PointerKey
from medproof.decoding import Event
from medproof.policy.codes import DataClass
from medproof.recovery import Listings, Relationship, no_listings, recover
from medproof.wallet import Wallet

__all__ = ["Entry", "timeline"]

# Of a pointer that is there already; each names it by its id.
_ANSWERS = (
    "PointerOpened",
    "PointerAccepted",
    "PointerDisputed",
    "DisputeDenied",
    "CustodyOffered",
    "CustodyTransferred",
)


@dataclass(frozen=True)
class Entry:
    """One thing that happened to a patient's records, rules or choices about studies."""

    when: datetime  # time of the block, UTC
    custodian: str  # the identity of the party that the relationship is with
    relationship: int  # which with this custodian, from 0
    event: Event  # as the contract says it: PointerPosted, BatchPosted, RuleSet, GlassBroken, OptedIn, …
    pointer: PointerKey | None  # the record, where it is about one
    data_class: DataClass | None  # of the record


def timeline(
    suite: MedProof,
    wallet: Wallet,
    *,
    listings: Listings = no_listings,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[Entry]:
    """Everything on the chain about a patient, with all custodians, oldest first.

    Args:
        suite: where to look.
        wallet: whose.
        listings: what custodians list of pointers in batches, which nothing on the chain speaks of; see
            `medproof.recovery.Listings`. What one raises ends the timeline: it would not be whole.
        progress: called with the number of parties tried and the number of all.

    Raises:
        UnprovedRecordError: a custodian lists what the chain does not confirm.
    """
    relationships = recover(suite, wallet, listings=listings, progress=progress)
    entries = [entry for found in relationships for entry in _entries(suite, found)]
    moments: dict[int, datetime] = {}
    for relationship, event, pointer, data_class in sorted(entries, key=lambda entry: (entry[1].block, entry[1].index)):
        if event.block not in moments:
            moments[event.block] = datetime.fromtimestamp(suite.chain.timestamp(event.block), UTC)
        yield Entry(moments[event.block], relationship.custodian, relationship.number, event, pointer, data_class)


def _entries(
    suite: MedProof, found: Relationship
) -> Iterator[tuple[Relationship, Event, PointerKey | None, DataClass | None]]:
    """The events of one relationship."""
    pointers = suite.record_pointers
    by_id = {key.id: key for key in found.pointers}
    classes: dict[bytes, DataClass | None] = {}
    for identity, key in by_id.items():
        stored = pointers.pointer(key)
        classes[identity] = stored.data_class if stored else None

    for name in ("PointerPosted", "PointerAmended"):
        for event in pointers.events(name, filters={"subject": found.subject}):
            key = PointerKey(found.subject, event.arguments["custodian"], event.arguments["commitment"])
            yield found, event, key, classes[key.id]
    for name in _ANSWERS if by_id else ():
        for event in pointers.events(name, filters={"pointer": list(by_id)}):
            identity = bytes(event.arguments["pointer"])
            yield found, event, by_id[identity], classes[identity]
    for pointer in found.batched:
        assert pointer.place is not None
        batch = {"custodian": pointer.key.origin, "root": pointer.place.root}
        for event in pointers.events("BatchPosted", filters=batch):
            yield found, event, pointer.key, pointer.data_class
    registry, studies = suite.consent_registry, suite.studies
    choices = (
        event for name in ("OptedIn", "OptedOut") for event in studies.events(name, filters={"subject": found.subject})
    )
    for event in (*found.history, *registry.opening_history(found.subject), *choices):
        yield found, event, None, None

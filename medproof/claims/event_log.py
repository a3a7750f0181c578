"""The log of claim events of a clearing house: one leaf for each step of each claim, in batches on chain.

An event names its claim by the salted commitment, and says which step it was and when; what is in the claim it does not
say. The log is its own queue: what `append` returned for is on disk, and what the chain lacks waits there for the
`Anchorer`. An event that is given again stays the one leaf that it is, so that whoever was interrupted, on either side,
gives everything once more. docs/volume.md has the figures. Formula::

    leaf    keccak256(encode_parts(["medproof:claim-event:v1", step, at, claim, nullifier, response]))

with `at` in microseconds since 1970 as 8 bytes, big end first, and `response` empty where there is none. The
commitments are salted, so a leaf tells nothing to who does not know them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, null, select, update
from tiny_keccak import keccak256

from medproof import hashing
from medproof.anchoring.named_log import NamedLog
from medproof.claims import disclosure
from medproof.claims.claim import Claim
from medproof.claims.document import to_json
from medproof.client.batch_anchor import Batch, BatchAnchor
from medproof.errors import ClaimEventError, LogDamagedError, MerkleProofError, NamedLogError
from medproof.hashing import Json, JsonObject, encode_parts
from medproof.leaf_proof import LeafProof
from medproof.store.database import Database
from medproof.store.schema import claim_events

__all__ = ["LOG_NUMBER", "ClaimEntry", "ClaimEvent", "ClaimEventLog", "ClaimEventProof", "ClaimStep"]

LOG_NUMBER = 4
"""The number of the log on chain, unless another is given; docs/access-log.md has those of the other logs."""

_TAG = "medproof:claim-event:v1"
_NAME_TAG = "medproof:claim-event-name:v1"
_HASH = 32  # bytes
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_CHUNK = 5_000  # events read at a time


class ClaimStep(StrEnum):
    """What happened to a claim."""

    SUBMITTED = "submitted"
    PENDED = "pended"
    ADJUDICATED = "adjudicated"
    SETTLED = "settled"
    APPEALED = "appealed"
    UPHELD = "upheld"
    OVERTURNED = "overturned"
    VOIDED = "voided"
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class ClaimEvent:
    """One step of one claim, as its leaf commits to it."""

    step: ClaimStep
    claim: bytes  # 32 bytes, the claim's salted commitment (medproof.claims.disclosure)
    nullifier: bytes  # 32 bytes (medproof.claims.nullifier)
    at: datetime  # when, with its time zone
    response: bytes | None = None  # 32 bytes, the commitment to the payer's response, where the step has one

    def __post_init__(self) -> None:
        """Refuse what has no leaf.

        Raises:
            ClaimEventError: a commitment is none, or the time has no zone or lies before 1970.
        """
        for name in ("claim", "nullifier", "response"):
            value = getattr(self, name)
            if len(value or b"") != _HASH and (value is not None or name != "response"):
                raise ClaimEventError(name, f"is not {_HASH} bytes")
        if self.at.tzinfo is None or self.at < _EPOCH:
            raise ClaimEventError("at", "has no time zone, or lies before 1970")

    @property
    def micros(self) -> int:
        """When, in microseconds since 1970."""
        return (self.at - _EPOCH) // _MICROSECOND

    @property
    def leaf(self) -> bytes:
        """Its leaf in the log, 32 bytes; the module's head gives the formula."""
        at = self.micros.to_bytes(8, "big")
        return keccak256(encode_parts([_TAG, self.step, at, self.claim, self.nullifier, self.response or b""]))

    def to_json(self) -> JsonObject:
        """The event as JSON."""
        return {
            "step": str(self.step),
            "claim": f"0x{self.claim.hex()}",
            "nullifier": f"0x{self.nullifier.hex()}",
            "at": self.at.astimezone(UTC).isoformat(),
            "response": None if self.response is None else f"0x{self.response.hex()}",
        }

    @classmethod
    def from_json(cls, value: Json) -> ClaimEvent:
        """Read what `to_json` gave.

        Raises:
            ClaimEventError: it is none.
        """
        try:
            said: Any = value
            at = datetime.fromisoformat(said["at"])
            claim, nullifier = _hash(said["claim"]), _hash(said["nullifier"])
            response = None if said["response"] is None else _hash(said["response"])
            return cls(ClaimStep(said["step"]), claim, nullifier, at, response)
        except (ValueError, TypeError, LookupError, AttributeError):
            raise ClaimEventError("", "is none, or a part of it is missing") from None


@dataclass(frozen=True, slots=True)
class ClaimEntry:
    """An event as the log is given it, and as it keeps it."""

    name: bytes  # 32 bytes: the same event has the same, however often it is given
    event: ClaimEvent
    salt: bytes | None = field(default=None, repr=False)  # opens the claim's commitment; None where another keeps it

    def __post_init__(self) -> None:
        """Refuse what the log cannot keep.

        Raises:
            ClaimEventError: name or salt are not 32 bytes.
        """
        for part, value in (("name", self.name), ("salt", self.salt)):
            if value is not None and len(value) != _HASH:
                raise ClaimEventError(part, f"is not {_HASH} bytes")

    @classmethod
    def submission(cls, claim: Claim, nullifier: bytes, at: datetime) -> ClaimEntry:
        """The entry of a claim that comes in, with a fresh salt. The same claim once more is the same entry.

        Raises:
            ClaimEventError: as `ClaimEvent`.
        """
        name = _name(ClaimStep.SUBMITTED, hashing.canonical(to_json(claim)))
        salt = hashing.new_salt()
        return cls(name, ClaimEvent(ClaimStep.SUBMITTED, disclosure.commit(claim, salt), nullifier, at), salt)

    @classmethod
    def step(cls, event: ClaimEvent, *, occasion: bytes = b"") -> ClaimEntry:
        """The entry of any step.

        Args:
            event: what happened.
            occasion: what tells it from the same step of the same claim at another time, where a claim takes a step
                twice: the hash of the transaction or message that brought it.
        """
        return cls(_name(event.step, event.claim, event.response or b"", occasion), event)


@dataclass(frozen=True)
class ClaimEventProof:
    """That an event is in an anchored log: all that a stranger needs."""

    event: ClaimEvent
    leaf: LeafProof

    def verify(self, root: bytes | None = None) -> None:
        """Return if the event is in the log of the proof's root, or of one that is known from elsewhere.

        Raises:
            MerkleProofError: it is not.
        """
        self._check_leaf()
        self.leaf.verify(root)

    def verify_anchored(self, anchor: BatchAnchor) -> Batch:
        """Return the batch on chain that has the event; the chain is asked, and nothing in the proof is believed.

        Raises:
            MerkleProofError, LeafProofError, NodeError: as `LeafProof.verify_anchored`.
        """
        self._check_leaf()
        return self.leaf.verify_anchored(anchor)

    def to_json(self) -> JsonObject:
        """Event and place."""
        return {"event": self.event.to_json(), "leaf": self.leaf.to_json()}

    @classmethod
    def from_json(cls, value: Json) -> ClaimEventProof:
        """Read what `to_json` gave.

        Raises:
            ClaimEventError, LeafProofError: it is none.
        """
        said = value if isinstance(value, dict) else {}
        return cls(ClaimEvent.from_json(said.get("event")), LeafProof.from_json(said.get("leaf")))

    def _check_leaf(self) -> None:
        if self.event.leaf != self.leaf.leaf:
            raise MerkleProofError(f"leaf {self.leaf.index} of log {self.leaf.log}", "it is another event's")


class ClaimEventLog(NamedLog[ClaimEntry]):
    """The events of all claims that a clearing house sees. Threads may share it, and processes the database.

    >>> log = ClaimEventLog("sqlite:///claims.db")
    >>> log.settle(suite, house.address)
    >>> log.append(ClaimEntry.submission(claim, nullifier, now) for claim, nullifier in incoming)
    >>> Anchorer(suite, log.leaves, house, interval=600, trouble=print).start()
    """

    _table = claim_events

    def __init__(
        self, database: Database | str | os.PathLike[str], *, number: int = LOG_NUMBER, patience: float = 10.0
    ) -> None:
        """Open a log, or begin it; see `LeafLog`. Its file is as secret as the salts that are in it."""
        super().__init__(database, number=number, patience=patience)

    # -- reading --------------------------------------------------------------------------------------------------

    def find(self, name: bytes) -> int | None:
        """The index of an entry; None where it is not in the log."""
        with self._database.reading() as connection:
            row = self._rows(connection, [name]).get(name)
            return None if row is None else int(row.position)

    def of_claim(self, claim: bytes) -> tuple[int, ...]:
        """The indices of all events of the claim with this commitment, in order."""
        columns = self._table.c
        here = select(columns.position).where(columns.log == self.leaves.number, columns.claim == claim)
        with self._database.reading() as connection:
            return tuple(connection.execute(here.order_by(columns.position)).scalars())

    def entries(self, start: int = 0, end: int | None = None) -> Iterator[ClaimEntry]:
        """The entries from `start` to before `end`, in order.

        Raises:
            LogDamagedError: one is missing, or is not what its leaf commits to.
            StoreError: the database cannot be read now.
        """
        end = self.leaves.size if end is None else min(end, self.leaves.size)
        while start < end:
            stop = min(end, start + _CHUNK)
            found = list(self._between(start, stop))
            yield from found
            start = stop

    def prove(self, index: int) -> ClaimEventProof:
        """Return the proof of the event at `index`, in the log as it was anchored last.

        Raises:
            NamedLogError: there is no such event, or it is not anchored yet.
            LogDamagedError, StoreError: as `entries`.
        """
        for proof in self.proofs(index, index + 1):
            return proof
        raise NamedLogError(f"has {self.leaves.size} events, and none at {index}", "Ask `find` or `of_claim` for it")

    def proofs(self, start: int, end: int) -> Iterator[ClaimEventProof]:
        """The proofs of all events from `start` to before `end`, in the log as it was anchored last.

        Raises:
            NamedLogError: one of them is not anchored yet.
            LogDamagedError, StoreError: as `entries`.
        """
        size = self.leaves.anchored()
        for index, entry in enumerate(self.entries(start, end), start=start):
            yield ClaimEventProof(entry.event, self._prove(entry.event.leaf, index, f"event {index}", size=size))

    # -- erasing --------------------------------------------------------------------------------------------------

    def erase(self, claim: bytes) -> None:
        """Delete the salt of a claim, and the name by which its content could be found. The leaves stay as they are.

        Raises:
            StoreError: the database cannot take it now; nothing is erased before it returns.
        """
        columns = self._table.c
        here = (columns.log == self.leaves.number, columns.claim == claim, columns.salt.is_not(None))
        with self._database.writing() as connection:
            for position in connection.execute(select(columns.position).where(*here)).scalars().all():
                forgotten = {"salt": null(), "name": hashing.new_salt()}
                connection.execute(update(self._table).where(*here, columns.position == position).values(**forgotten))
        self._database.scrub(self._table.name)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _written(self, entry: ClaimEntry) -> tuple[bytes, Mapping[str, object]]:
        event = entry.event
        return event.leaf, {
            "step": str(event.step),
            "at": event.micros,
            "claim": event.claim,
            "nullifier": event.nullifier,
            "response": event.response,
            "salt": entry.salt,
        }

    def _between(self, start: int, end: int) -> Iterator[ClaimEntry]:
        columns = self._table.c
        here = (columns.log == self.leaves.number, columns.position >= start, columns.position < end)
        with self._database.reading() as connection:
            rows = connection.execute(select(self._table).where(*here).order_by(columns.position)).all()
        leaves = list(self.leaves.leaves(start, end))
        if len(rows) != len(leaves):
            raise LogDamagedError(self.leaves.number, f"an event between {start} and {end} is missing")
        for row, leaf in zip(rows, leaves, strict=True):
            yield self._entry(row, leaf)

    def _entry(self, row: Row[Any], leaf: bytes) -> ClaimEntry:
        response = None if row.response is None else bytes(row.response)
        at = _EPOCH + row.at * _MICROSECOND
        try:
            event = ClaimEvent(ClaimStep(row.step), bytes(row.claim), bytes(row.nullifier), at, response)
        except (ValueError, ClaimEventError):
            event = None
        if event is None or event.leaf != leaf:
            raise LogDamagedError(self.leaves.number, f"leaf {row.position} is not the commitment to its event")
        return ClaimEntry(bytes(row.name), event, None if row.salt is None else bytes(row.salt))


def _name(step: ClaimStep, *parts: bytes) -> bytes:
    return keccak256(encode_parts([_NAME_TAG, step, *parts]))


def _hash(text: str) -> bytes:
    if not text.startswith("0x") or len(text) != 2 + 2 * _HASH:
        raise ValueError(text)
    return bytes.fromhex(text[2:])

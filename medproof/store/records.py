"""What a record store keeps and gives: the interface that every store has, and the shapes that pass through it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol

from medproof.client.record_pointers import PointerKey
from medproof.fhir import Resource
from medproof.policy.codes import DataClass
from medproof.store.batches import Batches

__all__ = ["MAX_PAGE", "Entry", "Erasure", "Page", "Query", "RecordStore", "StoredRecord"]

MAX_PAGE = 1000
"""The most entries that a page has."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a store says of one version of a record without opening it."""

    pointer: PointerKey  # subject, origin and commitment, as on chain
    resource_type: str  # such as "Observation"
    data_class: DataClass  # one class, as on chain
    days: tuple[date, date] | None  # first and last day that the data speaks of; None where they are not told
    version: int  # from 1
    current: bool  # whether no newer version has replaced it
    stored: datetime  # when it was put, in UTC


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as it was put, with the salt that opens its commitment."""

    entry: Entry
    resource: Resource
    salt: bytes = field(repr=False)  # 32 bytes
    attachment: bytes = field(default=b"", repr=False)  # what came with it, such as a device's signature


@dataclass(frozen=True, slots=True)
class Query:
    """What to search for. Every condition must hold; one that is empty or None holds for all records."""

    subjects: tuple[str, ...] = ()  # pseudonyms, any of them
    resource_types: tuple[str, ...] = ()  # any of them
    classes: DataClass | None = None  # any of them
    first_day: date | None = None  # data of that day or later; records that tell no days are left out
    last_day: date | None = None  # data of that day or earlier; records that tell no days are left out
    stored_from: datetime | None = None  # put at that time or later
    stored_until: datetime | None = None  # put before that time


@dataclass(frozen=True, slots=True)
class Page:
    """A part of what a search finds, oldest first."""

    entries: tuple[Entry, ...]
    cursor: str | None  # for the next page; None where this is the last


@dataclass(frozen=True, slots=True)
class Erasure:
    """What is left of an erased version."""

    pointer: bytes  # its id, 32 bytes
    erased: datetime  # in UTC


class RecordStore(Protocol):
    """A custodian's records, each under its pointer. Several threads may use one store."""

    batches: Batches  # how the pointers get on the chain

    def put(
        self,
        pointer: PointerKey,
        resource: Resource,
        salt: bytes,
        *,
        data_class: DataClass,
        days: tuple[date, date] | None = None,
        replaces: bytes | None = None,
    ) -> Entry:
        """Store a record, or a new version of one; it is on disk when this returns.

        The same pointer again stores nothing anew, so that a put whose answer was lost may be repeated. Put a record
        before its pointer is posted on chain: a pointer without its record cannot be mended.

        Args:
            pointer: what is or will be on chain; its commitment must be the record's under this salt.
            resource: a record with an id, no bundle's part that only makes sense beside others.
            salt: 32 bytes.
            data_class: the one class that the pointer has on chain.
            days: first and last day that the data speaks of, for searches. They stand in the database as they are.
            replaces: the pointer id of the version that this one amends, which must be the newest.

        Raises:
            ArgumentError: the parts do not belong together.
            RecordExistsError: the store has a record of this type and id, and `replaces` is not given.
            RecordVersionError: `replaces` is not the newest version.
            RecordUnknownError, RecordErasedError: what `replaces` names is not here; the pointer was erased.
            StoreError: the database cannot take it now; nothing is stored by halves.
        """

    def get(self, resource_type: str, id_: str, *, version: int | None = None) -> StoredRecord:
        """Return a record by its FHIR type and id, in its newest version or the one that is named.

        Raises:
            RecordUnknownError: it is not here, or was erased.
            RecordDamagedError: it was altered in the database.
            StoreError: the database cannot be read now.
        """

    def get_pointed(self, pointer: bytes) -> StoredRecord:
        """Return the record that a pointer leads to, by the pointer's id.

        Raises:
            RecordUnknownError, RecordErasedError: it is not here, or not any more.
            RecordDamagedError, StoreError: as `get`.
        """

    def open(self, entries: Iterable[Entry]) -> Iterator[StoredRecord]:
        """Return the records of a page, in its order, without those erased meanwhile.

        Raises:
            RecordDamagedError, StoreError: as `get`.
        """

    def search(self, query: Query, *, limit: int = 50, cursor: str | None = None) -> Page:
        """Return a page of the newest versions that a query finds, oldest first.

        What was there when the first page was asked for, and is still, comes exactly once; what is put or amended
        meanwhile comes at the end.

        Raises:
            ArgumentError: the limit is not 1 to `MAX_PAGE`.
            CursorError: the cursor is not of this store and query.
            StoreError: the database cannot be read now.
        """

    def history(self, pointer: bytes) -> tuple[Entry, ...]:
        """Return all versions of the record that a pointer leads to, newest first.

        Raises:
            RecordUnknownError, RecordErasedError, StoreError: as `get_pointed`.
        """

    def erase(self, pointer: bytes) -> int:
        """Erase a record in all its versions; returns how many there were, 0 where it was erased before.

        Keys, salts and places in batches are deleted, so that nobody can read the record or prove what its pointers
        say.

        Raises:
            RecordUnknownError: the store never had it.
            StoreBusyError: it is erased, and copies of its key linger in the database's files, since somebody reads
                just now. Erase it again.
            StoreError: the database cannot be used now.
        """

    def erasures(self) -> Iterator[Erasure]:
        """Return all that was erased, oldest first: keep it outside of the database, to erase again after a restore."""

    def check(self) -> None:
        """Ask the database for a sign of life.

        Raises:
            StoreError: it gives none.
        """

    def close(self) -> None:
        """Let go of the database."""

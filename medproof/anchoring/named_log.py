"""A log whose entries have names: given again under the same name, an entry stays the one leaf that it is.

The commitments stand in a `LeafLog`; what belongs to each stands in a row beside it, written in the same transaction.
So whoever was interrupted gives everything once more, and nothing is lost and nothing is in the log twice.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

from sqlalchemy import Connection, Row, Table, insert, select

from medproof.anchoring.leaf_log import Home, LeafLog
from medproof.client import MedProof
from medproof.errors import NamedLogError
from medproof.leaf_proof import LeafProof
from medproof.store.database import Database
from medproof.store.schema import log_homes

__all__ = ["Named", "NamedLog"]

_BATCH = 500  # names of one statement


class Named(Protocol):
    """What an entry is given as."""

    @property
    def name(self) -> bytes:
        """What it is found by, 32 bytes: the same entry has the same, and no other has it."""


Entry = TypeVar("Entry", bound=Named)


class NamedLog(ABC, Generic[Entry]):
    """A log of one kind of entries. Threads may share it, and processes the database."""

    _table: Table  # of the rows beside the leaves; it has the columns log, position and name

    def __init__(self, database: Database | str | os.PathLike[str], *, number: int, patience: float = 10.0) -> None:
        """Open a log, or begin it.

        Args:
            database: as for `LeafLog`.
            number: which of the party's logs on the chain: each of them has a number of its own.
            patience: seconds to wait for another's change.

        Raises:
            ArgumentError, LogDamagedError, StoreError: as `LeafLog`.
        """
        self.leaves = LeafLog(database, number=number, patience=patience)
        self._database = self.leaves.database
        self._home: Home | None = None

    def close(self) -> None:
        """Let go of the database."""
        self.leaves.close()

    def append(self, given: Iterable[Entry]) -> tuple[range, int]:
        """Add those that are not in it yet, in order, all or none; of two under one name the first.

        Returns:
            The indices of those that were added, and how many were in it before.

        Raises:
            StoreError: the database cannot take it now.
        """
        wanted: dict[bytes, Entry] = {}
        for one in given:
            wanted.setdefault(one.name, one)

        def make(connection: Connection, first: int, _: bytes | None) -> Sequence[bytes]:
            there = self._rows(connection, list(wanted))
            rows: list[dict[str, object]] = []
            leaves: list[bytes] = []
            for name, one in wanted.items():
                if name not in there:
                    leaf, row = self._written(one)
                    place = {"log": self.leaves.number, "position": first + len(leaves), "name": name}
                    rows.append({**place, **row})
                    leaves.append(leaf)
            if rows:
                connection.execute(insert(self._table), rows)
            return leaves

        added = self.leaves.write(make)
        return added, len(wanted) - len(added)

    @abstractmethod
    def _written(self, entry: Entry) -> tuple[bytes, Mapping[str, object]]:
        """The leaf of an entry that is new, and what its row says."""

    # -- where it is anchored -------------------------------------------------------------------------------------

    def settle(self, suite: MedProof, publisher: str) -> None:
        """Write down where the log is anchored, before it is: once and for all.

        Raises:
            NamedLogError: it is anchored elsewhere.
            StoreError: the database cannot take it now.
        """
        here = Home(suite.chain.chain_id, suite.batch_anchor.address, publisher)
        with self._database.writing() as connection:
            home = self._settled(connection)
            if home is None:
                values = {"chain": here.chain_id, "anchor": here.anchor, "publisher": publisher}
                connection.execute(insert(log_homes).values(log=self.leaves.number, **values))
            elif home != here:
                raise NamedLogError(
                    f"is anchored by {home.publisher} in {home.anchor} on chain {home.chain_id}",
                    "Anchor it there, or begin another log",
                )

    def home(self) -> Home | None:
        """Where the log is anchored; None before the first time."""
        if self._home is None:  # it never changes
            with self._database.reading() as connection:
                self._home = self._settled(connection)
        return self._home

    def _prove(self, leaf: bytes, index: int, what: str, *, size: int | None = None) -> LeafProof:
        """The proof of a leaf, in the log as it was anchored last, or at that size."""
        home = self.home()
        proof = None if home is None else self.leaves.prove(leaf, index, home, size=size)
        if proof is None:
            raise NamedLogError(f"has {what} and is not anchored yet", "Anchor it (Anchorer.work), and ask again")
        return proof

    # -- inside ---------------------------------------------------------------------------------------------------

    def _settled(self, connection: Connection) -> Home | None:
        row = connection.execute(select(log_homes).where(log_homes.c.log == self.leaves.number)).one_or_none()
        return None if row is None else Home(row.chain, row.anchor, row.publisher)

    def _rows(self, connection: Connection, names: Sequence[bytes]) -> dict[bytes, Row[Any]]:
        """The rows of those that are in the log, by name."""
        columns = self._table.c
        found: dict[bytes, Row[Any]] = {}
        for start in range(0, len(names), _BATCH):
            some = columns.name.in_(names[start : start + _BATCH])
            rows = connection.execute(select(self._table).where(columns.log == self.leaves.number, some))
            found.update((bytes(row.name), row) for row in rows)
        return found

"""A Merkle log that lasts: its leaves in a table, the upper tree in memory, and the sizes at which it was anchored.

Several logs stand in one database, by number, beside a custodian's records or in an SQLite file of their own. What is
appended is on disk when the call returns, whole or not at all, and is never changed.

Whoever appends holds the log's row until it is done, so that threads and processes take turns. Each first reads what
others have appended: an entry that names the one before it names the right one (`LeafLog.write`).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from medproof.anchoring.leaf_tree import LeafTree
from medproof.errors import ArgumentError, LogDamagedError, MerkleLeafError
from medproof.leaf_proof import LeafProof
from medproof.store.database import Database
from medproof.store.schema import leaf_logs, leaves, log_anchors, upgrade

__all__ = ["Home", "LeafLog"]

_HASH = 32  # bytes in a leaf
_CHUNK = 1 << 16  # leaves read at a time
_MOST_LOGS = 1 << 32  # the contract counts them in 32 bits


@dataclass(frozen=True)
class Home:
    """Where a log is anchored."""

    chain_id: int
    anchor: str  # address of the BatchAnchor
    publisher: str  # the identity of the party


class LeafLog:
    """One log of a database. Threads may share it, and processes the database.

    >>> log = LeafLog(Path("readings.db"))
    >>> index = log.append(sealed.commitment)
    >>> proof = log.inclusion_proof(index)
    """

    def __init__(
        self,
        database: Database | str | os.PathLike[str],
        *,
        number: int = 0,
        connections: int = 4,
        patience: float = 10.0,
    ) -> None:
        """Open a log, or begin it; a million leaves take some seconds.

        Args:
            database: the path of an SQLite file, a URL as for `SqlStore`, or a database that is open, which stays so.
            number: which log; the number under which it is anchored.
            connections: to the database, at most.
            patience: seconds to wait for another's change.

        Raises:
            ArgumentError: another kind of database, or no number of a log.
            LogDamagedError: leaves are missing, or do not lead to the root that was anchored last.
            StoreError: the database cannot be used.
        """
        if not 0 <= number < _MOST_LOGS:
            raise ArgumentError(f"{number} is no number of a log. Give one from 0 to {_MOST_LOGS - 1}.")
        self.number = number
        self._own = not isinstance(database, Database)
        self.database = (
            database
            if isinstance(database, Database)
            else Database(database, connections=connections, patience=patience)
        )
        self._row = select(leaf_logs.c.size).where(leaf_logs.c.log == number)
        self._tree, self._last = LeafTree(number, self._read_again), b""
        self._lock = threading.RLock()
        try:
            with self.database.upgrading() as connection:
                upgrade(connection)
                if connection.execute(select(leaf_logs).where(leaf_logs.c.log == number)).one_or_none() is None:
                    connection.execute(insert(leaf_logs).values(log=number, size=0))
            self.refresh()
            self._check_anchor()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the database."""
        if self._own:
            self.database.close()

    # -- appending ------------------------------------------------------------------------------------------------

    def append(self, leaf: bytes) -> int:
        """Add a leaf, a commitment of 32 bytes, and return its index.

        Raises:
            MerkleLeafError, LogDamagedError, StoreError: as `write`.
        """
        return self.extend([leaf]).start

    def extend(self, added: Iterable[bytes]) -> range:
        """Add leaves in order, all or none, and return their indices.

        Raises:
            MerkleLeafError, LogDamagedError, StoreError: as `write`.
        """
        given = list(added)
        return self.write(lambda connection, first, last: given)

    def write(self, make: Callable[[Connection, int, bytes | None], Sequence[bytes]]) -> range:
        """Add the leaves that `make` returns, with whatever it writes beside them, in one transaction.

        `make` is called while nobody else can append, with the open transaction, the index of the first leaf that it
        adds, and the leaf before it; None where it is the first of all.

        Raises:
            MerkleLeafError: a leaf is no commitment; nothing was written.
            LogDamagedError: the database has not what was appended before.
            StoreError: the database cannot take it now. Where the connection was lost at the very end it may have
                taken it: `refresh`, and look at `size`.
        """
        with self._lock:
            try:
                with self.database.writing() as connection:
                    self._read_on(connection, lock=True)
                    first = len(self._tree)
                    made = make(connection, first, self._last or None)
                    for index, leaf in enumerate(made, start=first):
                        if len(leaf) != _HASH:
                            raise MerkleLeafError(index, len(leaf))
                    rows = [
                        {"log": self.number, "position": index, "leaf": leaf}
                        for index, leaf in enumerate(made, start=first)
                    ]
                    if rows:
                        connection.execute(insert(leaves), rows)
                        connection.execute(
                            update(leaf_logs).where(leaf_logs.c.log == self.number).values(size=first + len(rows))
                        )
            except IntegrityError:
                raise LogDamagedError(self.number, "it has leaves beyond its size") from None
            self._tree.extend(made)
            self._last = bytes(made[-1]) if made else self._last
        return range(first, first + len(made))

    # -- reading --------------------------------------------------------------------------------------------------

    @property
    def size(self) -> int:
        """How many leaves it has, as far as this object knows; `refresh` reads what other processes appended."""
        return len(self._tree)

    def refresh(self) -> int:
        """Read what other processes have appended, and return the size.

        Raises:
            LogDamagedError: leaves are missing.
            StoreError: the database cannot be read now.
        """
        with self._lock, self.database.reading() as connection:
            self._read_on(connection)
            return len(self._tree)

    def root(self, size: int | None = None) -> bytes:
        """The root of the first `size` leaves, of all where none is given; see `MerkleLog.root`.

        Raises:
            MerkleSizeError: as there.
            LogDamagedError, StoreError: leaves that it takes are not what they were, or cannot be read now.
        """
        with self._lock:
            return self._tree.root(size)

    def inclusion_proof(self, index: int, size: int | None = None) -> tuple[bytes, ...]:
        """What shows that a leaf is at `index` among the first `size`; see `MerkleLog.inclusion_proof`.

        Raises:
            MerkleSizeError: as there.
            LogDamagedError, StoreError: leaves that it takes are not what they were, or cannot be read now.
        """
        with self._lock:
            return self._tree.inclusion_proof(index, size)

    def prove(self, leaf: bytes, index: int, home: Home, *, size: int | None = None) -> LeafProof | None:
        """The proof of a leaf, in the log as it was anchored last or at that size; None where it is not in there.

        Raises:
            LogDamagedError, StoreError: leaves that it takes are not what they were, or cannot be read now.
        """
        size = self.anchored() if size is None else size
        if size <= index or (size > self.size and size > self.refresh()):
            return None
        with self._lock:
            root, path = self._tree.root(size), self._tree.inclusion_proof(index, size)
        return LeafProof(home.chain_id, home.anchor, home.publisher, self.number, leaf, index, size, root, path)

    def consistency_proof(self, first: int, second: int | None = None) -> tuple[bytes, ...]:
        """What shows that `second` leaves begin with the first `first`; see `MerkleLog.consistency_proof`.

        Raises:
            MerkleSizeError: as there.
            LogDamagedError, StoreError: leaves that it takes are not what they were, or cannot be read now.
        """
        with self._lock:
            return self._tree.consistency_proof(first, second)

    def leaves(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The leaves from `start` to before `end`, from the database.

        Raises:
            StoreError: the database cannot be read now.
        """
        end = self.size if end is None else end
        while start < end:
            with self.database.reading() as connection:
                found = self._stored(connection, start, min(end, start + _CHUNK))
            if not found:
                return
            yield from found
            start += len(found)

    def find(self, leaf: bytes) -> int | None:
        """The first index at which a leaf is; None where it is nowhere. Every leaf is looked at.

        Raises:
            StoreError: the database cannot be read now.
        """
        here = select(func.min(leaves.c.position)).where(leaves.c.log == self.number, leaves.c.leaf == leaf)
        with self.database.reading() as connection:
            found: int | None = connection.execute(here).scalar()
            return found

    # -- what was anchored ----------------------------------------------------------------------------------------

    def anchors(self) -> dict[int, bytes]:
        """The sizes at which it was anchored, smallest first, with their roots."""
        here = select(log_anchors.c.size, log_anchors.c.root).where(log_anchors.c.log == self.number)
        with self.database.reading() as connection:
            return {row.size: bytes(row.root) for row in connection.execute(here.order_by(log_anchors.c.size))}

    def anchored(self) -> int:
        """The size at which it was anchored last; 0 before the first."""
        newest = select(func.max(log_anchors.c.size)).where(log_anchors.c.log == self.number)
        with self.database.reading() as connection:
            return connection.execute(newest).scalar() or 0

    def keep_anchors(self, sizes: Iterable[int], *, above: int = 0) -> None:
        """Note the sizes that the chain has above one, in place of those noted before.

        Raises:
            MerkleSizeError: the log never had so many leaves.
            StoreError: the database cannot take it now.
        """
        rows = [{"log": self.number, "size": size, "root": self.root(size)} for size in sorted(set(sizes))]
        with self.database.writing() as connection:
            connection.execute(self._row.with_for_update()).one()
            connection.execute(delete(log_anchors).where(log_anchors.c.log == self.number, log_anchors.c.size > above))
            if rows:
                connection.execute(insert(log_anchors), rows)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _read_on(self, connection: Connection, *, lock: bool = False) -> None:
        """Read what is not in memory yet; where `lock` is given nobody else appends until the transaction ends."""
        size = connection.execute(self._row.with_for_update() if lock else self._row).scalar()
        if size is None or size < len(self._tree):
            raise LogDamagedError(self.number, f"it has {size or 0} leaves on disk and had {len(self._tree)} before")
        while (known := len(self._tree)) < size:
            found = self._stored(connection, known, min(size, known + _CHUNK))
            if not found:
                raise LogDamagedError(self.number, f"leaf {known} of {size} is missing")
            self._tree.extend(found)
            self._last = found[-1]

    def _read_again(self, start: int, end: int) -> list[bytes]:
        with self.database.reading() as connection:
            return self._stored(connection, start, end)

    def _stored(self, connection: Connection, start: int, end: int) -> list[bytes]:
        here = (leaves.c.log == self.number, leaves.c.position >= start, leaves.c.position < end)
        rows = connection.execute(select(leaves.c.position, leaves.c.leaf).where(*here).order_by(leaves.c.position))
        found = []
        for index, row in enumerate(rows, start=start):
            if row.position != index or len(row.leaf) != _HASH:
                raise LogDamagedError(self.number, f"leaf {index} is missing, or is none")
            found.append(bytes(row.leaf))
        return found

    def _check_anchor(self) -> None:
        newest = list(self.anchors().items())[-1:]
        for size, root in newest:
            if size > self.size or self.root(size) != root:
                raise LogDamagedError(self.number, f"its first {size} leaves do not lead to the root that was anchored")

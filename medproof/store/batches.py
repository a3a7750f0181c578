"""How the pointers of records get on the chain: each by itself, or many as a batch; written down before it is done.

The order in a batch is that of the leaves, which are hashes with 256 random bits behind them: it tells neither when a
record came nor whose it is, and the same pointers always make the same root.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Row, Select, func, insert, select
from sqlalchemy.exc import IntegrityError

from medproof.client.record_pointers import Place, PointerKey
from medproof.errors import StoreDamagedError
from medproof.merkle import MerkleLog
from medproof.policy.codes import DataClass
from medproof.store.database import Database
from medproof.store.schema import pointer_batches, pointer_places, records

__all__ = ["Batch", "Batches", "Single"]

_ATTEMPTS = 3  # at a change that met another one
_PAGE = 500  # rows of one statement
_HASH = 32  # bytes
_KEPT = 256  # trees that are not built again


@dataclass(frozen=True, slots=True)
class Single:
    """A pointer that is posted by itself."""

    pointer: PointerKey
    data_class: DataClass


@dataclass(frozen=True, slots=True)
class Batch:
    """Pointers that are posted together."""

    origin: str  # the custodian that posts it
    root: bytes  # 32 bytes
    size: int


class Batches:
    """Which pointer of a store is posted how. Several threads and processes may use one."""

    def __init__(self, database: Database) -> None:
        """Use the database of a store."""
        self._database = database

    def assign(self, pointers: Sequence[bytes]) -> Batch | Single | None:
        """Write down that pointers are posted together; it is on disk when this returns.

        Args:
            pointers: ids of pointers to records of the store, all of one origin. Those that were erased meanwhile, or
                that it is written of already how they are posted, are left out.

        Returns:
            What is to be posted: a batch, one pointer where no more are left, or nothing.

        Raises:
            StoreError: the database cannot take it now; nothing is written by halves.
        """
        for attempt in range(_ATTEMPTS):
            try:
                with self._database.writing() as connection:
                    return self._assign(connection, pointers)
            except IntegrityError:  # one was erased or assigned at this very moment
                if attempt == _ATTEMPTS - 1:
                    raise StoreDamagedError("pointer_places") from None
        raise AssertionError("unreachable")

    def _assign(self, connection: Connection, pointers: Sequence[bytes]) -> Batch | Single | None:
        found = [
            row
            for start in range(0, len(pointers), _PAGE)
            for row in connection.execute(
                _UNASSIGNED.where(records.c.pointer.in_(pointers[start : start + _PAGE]))
            ).all()
        ]
        if not found:
            return None
        singles = [_single(row) for row in found]
        if len(singles) == 1:
            connection.execute(insert(pointer_places).values(pointer=singles[0].pointer.id))
            return singles[0]
        placed = sorted((one.pointer.leaf(one.data_class), one.pointer.id) for one in singles)
        leaves = b"".join(leaf for leaf, _ in placed)
        root = _tree(leaves).root()
        values = {"root": root, "origin": singles[0].pointer.origin, "leaves": leaves}
        connection.execute(insert(pointer_batches).values(values))
        rows = [{"pointer": pointer, "root": root, "position": number} for number, (_, pointer) in enumerate(placed)]
        connection.execute(insert(pointer_places), rows)
        return Batch(singles[0].pointer.origin, root, len(placed))

    def place(self, pointer: bytes) -> tuple[DataClass, Place] | None:
        """Return where a pointer stands in a batch, by its id, and the class in its leaf; None where in none.

        Raises:
            StoreError: the database cannot be read now.
        """
        found = (
            select(records.c.data_class, pointer_places.c.root, pointer_places.c.position, pointer_batches.c.leaves)
            .join(pointer_places, pointer_places.c.pointer == records.c.pointer)
            .join(pointer_batches, pointer_batches.c.root == pointer_places.c.root)
            .where(records.c.pointer == pointer)
        )
        with self._database.reading() as connection:
            row = connection.execute(found).one_or_none()
        if row is None:
            return None
        proof = _tree(bytes(row.leaves)).inclusion_proof(row.position)
        return DataClass(1 << row.data_class), Place(bytes(row.root), row.position, proof)

    def posting(self, pointer: bytes) -> Batch | Single | None:
        """Return how it is written that a pointer is posted, by its id; None where it is not, or was erased.

        Raises:
            StoreError: the database cannot be read now.
        """
        found = (
            select(records, pointer_places.c.root, func.length(pointer_batches.c.leaves).label("length"))
            .join(pointer_places, pointer_places.c.pointer == records.c.pointer)
            .outerjoin(pointer_batches, pointer_batches.c.root == pointer_places.c.root)
            .where(records.c.pointer == pointer)
        )
        with self._database.reading() as connection:
            row = connection.execute(found).one_or_none()
        if row is None or row.root is None:
            return None if row is None else _single(row)
        return Batch(row.origin, bytes(row.root), row.length // _HASH)

    def unassigned(self, origin: str) -> Iterator[Single]:
        """Return the first versions of a custodian's records of which it is not written how they are posted.

        Raises:
            StoreError: the database cannot be read now.
        """
        yield from self._singles(_UNASSIGNED.where(records.c.origin == origin, records.c.version == 1))

    def assigned(self, origin: str) -> Iterator[Batch | Single]:
        """Return all of a custodian's batches, and the pointers that are posted by themselves.

        Raises:
            StoreError: the database cannot be read now.
        """
        after = b""
        size = func.length(pointer_batches.c.leaves).label("length")
        while True:
            page = select(pointer_batches.c.root, size).where(
                pointer_batches.c.origin == origin, pointer_batches.c.root > after
            )
            with self._database.reading() as connection:
                rows = connection.execute(page.order_by(pointer_batches.c.root).limit(_PAGE)).all()
            yield from (Batch(origin, bytes(row.root), row.length // _HASH) for row in rows)
            if len(rows) < _PAGE:
                break
            after = bytes(rows[-1].root)
        alone = select(records).join(pointer_places, pointer_places.c.pointer == records.c.pointer)
        yield from self._singles(alone.where(records.c.origin == origin, pointer_places.c.root.is_(None)))

    def _singles(self, statement: Select[Any]) -> Iterator[Single]:
        after = 0
        while True:
            page = statement.where(records.c.position > after).order_by(records.c.position).limit(_PAGE)
            with self._database.reading() as connection:
                rows = connection.execute(page).all()
            yield from map(_single, rows)
            if len(rows) < _PAGE:
                return
            after = rows[-1].position


_UNASSIGNED = (
    select(records)
    .outerjoin(pointer_places, pointer_places.c.pointer == records.c.pointer)
    .where(pointer_places.c.pointer.is_(None))
)


def _single(row: Row[Any]) -> Single:
    return Single(PointerKey(row.subject, row.origin, bytes(row.commitment)), DataClass(1 << row.data_class))


@lru_cache(maxsize=_KEPT)
def _tree(leaves: bytes) -> MerkleLog:
    return MerkleLog(leaves[start : start + _HASH] for start in range(0, len(leaves), _HASH))

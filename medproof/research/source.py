"""What an index holds of a deployment, as the data set's tables, a row group at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from sqlalchemy import Connection, LargeBinary, and_, case, or_, select
from sqlalchemy import Table as SqlTable

from medproof.errors import IndexTimeError
from medproof.indexer import IndexedDeployment, schema
from medproof.indexer.index import BlockHash
from medproof.policy.codes import PartyKind
from medproof.research.arrays import Bytes, RuleRows, days, hexadecimal, history_columns, in_parts, minutes, times
from medproof.research.columns import TABLES, Table

__all__ = ["About", "Progress", "Source", "Tables"]

_FETCH = 50_000
_HISTORY = ("block", "position", "time", "until_block", "until_time")

Progress = Callable[[str, int], None]  # the table, and how many of its rows are done

Tables = Iterable[tuple[Table, Iterator[pa.Table]]]  # every table, in parts of a row group at most

_SECONDS = ("accept_until",)  # other moments are kept in minutes, as the rule word has them
_KINDS = np.array([0, *(kind.value for kind in PartyKind)])  # by the contract's number


@dataclass(frozen=True)
class About:
    """What a data set is of."""

    chain: int  # the chain's id
    authority: str  # address of the deployment's Authority, 0x…
    first: int  # the deployment's first block
    block: BlockHash  # as of which block
    contracts: Mapping[str, str]  # addresses, 0x…, by name


@dataclass(frozen=True)
class Source:
    """One deployment in an index, as of one block."""

    indexed: IndexedDeployment
    about: About

    @classmethod
    def of(cls, indexed: IndexedDeployment, block: int | None) -> Source:
        """The deployment as of a block; of the last that was read where none is named.

        Raises:
            IndexTimeError: that block is not read yet, lies before the deployment, or its hash is not kept.
        """
        first, last = indexed.first, indexed.block
        number = last if block is None else block
        known = indexed.block_hash(number) if first <= number <= last else None
        if known is None:
            raise IndexTimeError(block, None, None if last < first else last)
        contracts = schema.contracts
        with indexed.database.reading() as connection:
            rows = connection.execute(
                select(contracts.c.name, contracts.c.address).where(contracts.c.deployment == indexed.number)
            )
            places = {str(name): "0x" + bytes(address).hex() for name, address in rows}
        return cls(indexed, About(indexed.chain, places["Authority"], first, known, dict(sorted(places.items()))))

    def tables(self, *, progress: Progress | None = None) -> Tables:
        """Every table, in parts of a row group at most; all as of one state of the index.

        Raises:
            IndexTimeError: the index was rolled back below the block meanwhile.
        """
        with self.indexed.database.snapshot() as connection:
            blocks = schema.blocks
            kept = connection.scalar(
                select(blocks.c.hash).where(
                    blocks.c.chain == self.indexed.chain, blocks.c.block == self.about.block.number
                )
            )
            if kept is None or bytes(kept) != self.about.block.hash:
                raise IndexTimeError(self.about.block.number, None, self.indexed.block)
            counted = self._rules(connection).tables(self.about.chain, self.about.authority)
            for name, table in TABLES.items():
                parts = counted.get(name) or self._others(connection, table)
                yield table, _told(parts, name, progress)

    def _rules(self, connection: Connection) -> RuleRows:
        raw = _columns(connection, self._history(schema.HISTORIES["rules"]))
        return RuleRows(
            _bytes(raw["subject"], 20),
            _bytes(raw["grantee"], 20),
            raw["number"],
            _bytes(raw["word"], 32),
            {name: raw[name] for name in _HISTORY},
        )

    def _others(self, connection: Connection, table: Table) -> Iterator[pa.Table]:
        source: SqlTable = schema.blocks if table.name == "blocks" else schema.HISTORIES[table.name]
        query = self._blocks() if table.name == "blocks" else self._history(source)
        raw = _columns(connection, query)
        found = history_columns(raw) if "until_block" in raw else {"block_time": times(raw["time"])}
        for column in table.columns:
            if column.name in raw and column.name not in found:
                kind = source.c[column.name].type
                values = raw[column.name]
                found[column.name] = (
                    hexadecimal(_bytes(values, kind.length or 0))
                    if isinstance(kind, LargeBinary)
                    else _as(column.name, column.type, values)
                )
        return in_parts(table, found, len(raw["block"]), self.about.chain, self.about.authority)

    def _history(self, table: SqlTable) -> Any:
        """A history's rows up to the block, in the chain's order; what ended later still stands."""
        ended = and_(table.c.until_block.is_not(None), table.c.until_block <= self.about.block.number)
        skipped = {"contract", "until_block", "until_time"}
        return (
            select(
                *(column for column in table.c if column.name not in skipped),
                case((ended, table.c.until_block), else_=-1).label("until_block"),
                case((ended, table.c.until_time), else_=-1).label("until_time"),
            )
            .where(
                table.c.contract.in_(tuple(self.indexed.contracts.values())), table.c.block <= self.about.block.number
            )
            .order_by(table.c.block, table.c.position)
        )

    def _blocks(self) -> Any:
        """The blocks in which this deployment's contracts said something, and the last: not the ends of ranges."""
        blocks, events = schema.blocks, schema.events
        mine = select(events.c.block).where(events.c.contract.in_(tuple(self.indexed.contracts.values())))
        return (
            select(blocks.c.block, blocks.c.hash, blocks.c.time)
            .where(
                blocks.c.chain == self.indexed.chain,
                blocks.c.block <= self.about.block.number,
                or_(blocks.c.block == self.about.block.number, blocks.c.block.in_(mine)),
            )
            .order_by(blocks.c.block)
        )


def _told(parts: Iterator[pa.Table], name: str, progress: Progress | None) -> Iterator[pa.Table]:
    done = 0
    for part in parts:
        done += part.num_rows
        yield part
        if progress is not None:
            progress(name, done)


def _columns(connection: Connection, query: Any) -> dict[str, Any]:
    """A query's columns: integers as an array, bytes one after the other, all else as a list."""
    result = connection.execution_options(stream_results=True).execute(query)
    names = list(result.keys())
    parts: list[list[Any]] = [[] for _ in names]
    for rows in result.partitions(_FETCH):
        for part, values in zip(parts, zip(*rows, strict=True), strict=True):
            if isinstance(values[0], int):
                part.append(np.array(values, dtype=np.int64))
            else:
                part.append(b"".join(values) if isinstance(values[0], bytes) else list(values))
    return {name: _joined(part) for name, part in zip(names, parts, strict=True)}


def _joined(parts: list[Any]) -> Any:
    if not parts:
        return np.empty(0, dtype=np.int64)
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    if isinstance(parts[0], bytes):
        return b"".join(parts)
    return [value for part in parts for value in part]


def _bytes(joined: Any, length: int) -> Bytes:
    data = joined if isinstance(joined, bytes) else b""  # no rows
    return np.frombuffer(data, dtype=np.uint8).reshape(-1, length)


def _as(name: str, kind: str, values: Any) -> Any:
    """A column of a small table, from how the index keeps it."""
    if name == "kind":
        return _KINDS[values]
    if kind == "date":
        return days(values)
    if name in _SECONDS:
        return times(values)
    if kind.startswith("timestamp"):
        return minutes(values)
    if kind == "boolean":
        return np.array(values, dtype=bool)
    return values

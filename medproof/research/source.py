"""What an index holds of a deployment, as columns: the data set's tables, in their order, a row group at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import ibis
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlalchemy import Connection, and_, case, literal, or_, select
from sqlalchemy import Table as SqlTable

from medproof.client.registrar import EVERYONE
from medproof.errors import IndexTimeError
from medproof.indexer import IndexedDeployment, schema
from medproof.indexer.index import BlockHash
from medproof.policy.codes import PartyKind
from medproof.policy.word import FLAG_FIELDS, LAYOUT, NO_END_DAY, NO_END_MINUTE, Field
from medproof.research.columns import TABLES, Table, column_name

__all__ = ["ROW_GROUP", "Progress", "Source", "arrow_schema"]

ROW_GROUP = 122_880  # rows that are read and written at once: what DuckDB reads at once, too
_FETCH = 50_000
_MINUTE = 60

Progress = Callable[[str, int], None]  # the table, and how many of its rows are done
Numbers = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]  # a row of bytes for each value

_KINDS = np.array([0, *(kind.value for kind in PartyKind)])  # by the contract's number


def arrow_schema(table: Table, *, partitions: Sequence[str] = ()) -> pa.Schema:
    """A table's columns as Arrow has them, but for those that are folders."""
    types = {name: kind for name, kind in table.types.items() if name not in partitions}
    return ibis.schema(types).to_pyarrow()


@dataclass(frozen=True)
class Source:
    """One deployment in an index, as of one block."""

    indexed: IndexedDeployment
    first: int  # the deployment's first block
    block: BlockHash  # as of which block
    authority: str  # 0x…
    contracts: dict[str, str]  # addresses, 0x…, by name

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
        return cls(indexed, first, known, places["Authority"], dict(sorted(places.items())))

    def tables(self, *, progress: Progress | None = None) -> Iterator[tuple[Table, Iterator[pa.Table]]]:
        """Every table, in parts of a row group at most; all as of one state of the index.

        Raises:
            IndexTimeError: the index was rolled back below the block meanwhile.
        """
        with self.indexed.database.snapshot() as connection:
            blocks = schema.blocks
            kept = connection.scalar(
                select(blocks.c.hash).where(blocks.c.chain == self.indexed.chain, blocks.c.block == self.block.number)
            )
            if kept is None or bytes(kept) != self.block.hash:
                raise IndexTimeError(self.block.number, None, self.indexed.block)
            for table in TABLES.values():
                yield table, self._parts(connection, table, progress)

    def _parts(self, connection: Connection, table: Table, progress: Progress | None) -> Iterator[pa.Table]:
        done = 0
        rows = self._rules(connection) if table.name == "rules" else self._others(connection, table)
        for part in rows:
            done += part.num_rows
            yield part
            if progress is not None:
                progress(table.name, done)

    # -- the rules ----------------------------------------------------------------------------------------------

    def _rules(self, connection: Connection) -> Iterator[pa.Table]:
        """The rules, first those that ended and then those that stand, sorted."""
        raw = _columns(connection, self._history(schema.HISTORIES["rules"]))
        subjects, subject_numbers = _numbered(raw["subject"], 20)
        grantees, grantee_numbers = _numbered(raw["grantee"], 20)
        words = _words(raw["word"])
        standing = raw["until_block"] < 0
        deny = _field(words, FLAG_FIELDS["deny"])
        rank = np.empty(len(grantees), dtype=np.int64)  # a grantee's place in their order
        rank[np.lexsort(grantees.T[::-1])] = np.arange(len(grantees))
        index = raw["number"]
        order = np.lexsort((raw["block"], index, subject_numbers, rank[grantee_numbers], deny, standing))
        subject_names, grantee_names = _hexadecimal(subjects), _hexadecimal(grantees)
        kinds = pa.array([_grantee_type(int(name.as_py(), 16)) for name in grantee_names], pa.string())
        table = TABLES["rules"]
        boundary = int((~standing).sum())  # a part is of one partition
        for start, end in (*_ranges(0, boundary), *_ranges(boundary, len(order))):
            rows = order[start:end]
            part, grantee = words[rows], pa.array(grantee_numbers[rows])
            found = {
                "subject_number": subject_numbers[rows],
                "subject": subject_names.take(pa.array(subject_numbers[rows])),
                "grantee": grantee_names.take(grantee),
                "grantee_type": kinds.take(grantee),
                "rule_index": index[rows],
                "standing": standing[rows],
                "word": _hexadecimal(np.ascontiguousarray(part[:, ::-1].astype(">u8")).view(np.uint8), prefix=""),
                **_rule_columns(part),
                **_history_columns({name: raw[name][rows] for name in _HISTORY}),
            }
            yield self._table(table, found, len(rows))

    # -- the others ---------------------------------------------------------------------------------------------

    def _others(self, connection: Connection, table: Table) -> Iterator[pa.Table]:
        if table.name == "blocks":
            raw = _columns(connection, self._blocks())
            found = {
                "block": raw["block"],
                "hash": _hexadecimal(_bytes(raw["hash"], 32)),
                "block_time": _times(raw["time"]),
            }
        else:
            source = schema.HISTORIES[table.name]
            raw = _columns(connection, self._history(source))
            found = _history_columns(raw)
            for column in table.columns:
                if column.name not in source.c or column.name in found:
                    continue
                values = raw[column.name]
                found[column.name] = (
                    _hexadecimal(_bytes(values, source.c[column.name].type.length))  # type: ignore[attr-defined]
                    if column.type == "string" and not _is_text(source, column.name)
                    else _as(column.name, column.type, values)
                )
        for start, end in _ranges(0, len(raw["block"])):
            rows = slice(start, end)
            yield self._table(table, {name: values[rows] for name, values in found.items()}, end - start)

    def _table(self, table: Table, found: dict[str, Any], rows: int) -> pa.Table:
        shape = arrow_schema(table)
        found["chain"] = pa.repeat(pa.scalar(self.indexed.chain, pa.int64()), rows)
        found["authority"] = pa.repeat(pa.scalar(self.authority, pa.string()), rows)
        return pa.Table.from_arrays([_arrow(found[field.name], field.type) for field in shape], schema=shape)

    # -- queries ------------------------------------------------------------------------------------------------

    def _history(self, table: SqlTable) -> Any:
        """A history's rows up to the block, in the chain's order; what ended later still stands."""
        ended = and_(table.c.until_block.is_not(None), table.c.until_block <= self.block.number)
        skipped = {"contract", "until_block", "until_time"}
        return (
            select(
                *(column for column in table.c if column.name not in skipped),
                case((ended, table.c.until_block), else_=-1).label("until_block"),
                case((ended, table.c.until_time), else_=-1).label("until_time"),
            )
            .where(table.c.contract.in_(tuple(self.indexed.contracts.values())), table.c.block <= self.block.number)
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
                blocks.c.block <= self.block.number,
                or_(blocks.c.block == literal(self.block.number), blocks.c.block.in_(mine)),
            )
            .order_by(blocks.c.block)
        )


_HISTORY = ("block", "position", "time", "until_block", "until_time")


def _columns(connection: Connection, query: Any) -> dict[str, Any]:
    """A query's columns: integers as an array, all else as a list."""
    result = connection.execution_options(stream_results=True).execute(query)
    names = list(result.keys())
    parts: list[list[Any]] = [[] for _ in names]
    for rows in result.partitions(_FETCH):
        for part, values in zip(parts, zip(*rows, strict=True), strict=True):
            if isinstance(values[0], int):
                part.append(np.array(values, dtype=np.int64))
            else:
                part.append(b"".join(values) if isinstance(values[0], bytes | memoryview) else list(values))
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
    data = joined if isinstance(joined, bytes) else b""
    return np.frombuffer(data, dtype=np.uint8).reshape(-1, length)


def _is_text(table: SqlTable, name: str) -> bool:
    return table.c[name].type.python_type is str


def _ranges(start: int, end: int) -> Iterator[tuple[int, int]]:
    for first in range(start, end, ROW_GROUP):
        yield first, min(first + ROW_GROUP, end)


def _numbered(joined: Any, length: int) -> tuple[Bytes, Numbers]:
    """Different values in the order in which they come first, and for each row the place of its own."""
    values = _bytes(joined, length)
    encoded = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(length), len(values), [None, pa.py_buffer(values)]
    ).dictionary_encode()
    kept = np.frombuffer(b"".join(encoded.dictionary.to_pylist()), dtype=np.uint8).reshape(-1, length)
    return kept, encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)


# -- the rule word, many at once ----------------------------------------------------------------------------------


def _words(joined: Any) -> npt.NDArray[np.uint64]:
    """Words as four integers of 64 bits each, the least significant first."""
    return np.ascontiguousarray(_bytes(joined, 32).view(">u8").astype(np.uint64)[:, ::-1])


def _field(words: npt.NDArray[np.uint64], field: Field) -> Numbers:
    """A field of each word."""
    limb, shift = divmod(field.offset, 64)
    value = words[:, limb] >> np.uint64(shift)
    if shift + field.width > 64:
        value = value | words[:, limb + 1] << np.uint64(64 - shift)
    return (value & np.uint64((1 << field.width) - 1)).astype(np.int64)


def _rule_columns(words: npt.NDArray[np.uint64]) -> dict[str, Any]:
    fields = {field.name: _field(words, field) for field in LAYOUT}
    found: dict[str, Any] = {
        column_name(field.name): fields[field.name] for field in LAYOUT if field.codes or field.name in _NUMBERS
    }
    found |= {column_name(flag.name): _field(words, flag).astype(bool) for flag in FLAG_FIELDS.values()}
    found["valid_from"] = _times(fields["validFrom"] * _MINUTE)
    found["valid_until"] = _times(fields["validUntil"] * _MINUTE, fields["validUntil"] == NO_END_MINUTE)
    found["data_from"] = _days(fields["dataFrom"], fields["dataFrom"] == 0)
    found["data_until"] = _days(fields["dataUntil"], fields["dataUntil"] == NO_END_DAY)
    return found


_NUMBERS = ("sequence", "terms")


# -- values as Arrow has them -------------------------------------------------------------------------------------


def _history_columns(raw: dict[str, Any]) -> dict[str, Any]:
    standing = raw["until_block"] < 0
    return {
        "block": raw["block"],
        "position": raw["position"],
        "block_time": _times(raw["time"]),
        "until_block": pa.array(raw["until_block"], mask=standing),
        "until_time": _times(raw["until_time"], standing),
    }


def _as(name: str, kind: str, values: Any) -> Any:
    """A column of a small table, from how the index keeps it."""
    if name == "kind":
        return _KINDS[values]
    if kind == "date":
        return _days(values)
    if kind.startswith("timestamp"):
        return _times(values * _MINUTE)
    if kind == "boolean":
        return np.array(values, dtype=bool)
    return values


def _times(seconds: Numbers, missing: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    return pa.array(seconds * 1_000_000, mask=missing).cast(pa.timestamp("us", "UTC"))


def _days(days: Numbers, missing: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    return pa.array(days.astype(np.int32), mask=missing).cast(pa.date32())


_DIGITS = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), dtype=np.uint16)


def _hexadecimal(values: Bytes, *, prefix: str = "0x") -> pa.Array:
    """Each row of bytes as lower-case digits."""
    rows, width = values.shape[0], 2 * values.shape[1] + len(prefix)
    digits = np.empty((rows, width), dtype=np.uint8)
    digits[:, : len(prefix)] = np.frombuffer(prefix.encode(), dtype=np.uint8)
    digits[:, len(prefix) :] = _DIGITS[values].view(np.uint8)
    offsets = np.arange(0, (rows + 1) * width, width, dtype=np.int64)
    whole = pa.LargeStringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(digits))
    return whole.cast(pa.string()) if rows * width < 1 << 31 else whole


def _arrow(values: Any, kind: pa.DataType) -> pa.Array:
    array = values if isinstance(values, pa.Array) else pa.array(values)
    return array if array.type == kind else array.cast(kind)


def _grantee_type(number: int) -> str:
    if number == int(EVERYONE, 16):
        return "everyone"
    return "group" if number < _GROUPS else "party"


_GROUPS = 1 << 16  # grantees below it are groups


def moment_of(block: BlockHash) -> datetime:
    """A block's time."""
    return datetime.fromtimestamp(block.time, UTC)

"""The canonical form of a row, and what stands for it in a Merkle log.

A row is a JSON array of its values in the order of its table's columns, in the canonical form of `medproof.hashing`
(RFC 8785): numbers and booleans as JSON has them, days as "2026-03-01", times as "2026-03-01T00:00:00Z", empty as null.
So whoever reads an export with any tool computes its leaves again. Formulas, with `||` for concatenation::

    schema(table)    keccak256(canonical([table, [[column, type, may be empty], ...]]))
    leaf(row)        keccak256(schema(table) || canonical(row))

The log hashes each leaf once more (`medproof.merkle`). A whole batch is written and hashed at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc
from tiny_keccak import keccak256

from medproof import hashing
from medproof.research.columns import Table

__all__ = ["cells", "leaves", "lines", "quoted", "schema_hash"]

_DAY = 86_400
_SIGNS_TO_ESCAPE = r'["\\\x00-\x1f]'
_CLOCK = pa.array([f"T{s // 3600:02}:{s // 60 % 60:02}:{s % 60:02}Z" for s in range(_DAY)])  # each second of a day


def schema_hash(table: Table) -> bytes:
    """What a table's columns are, as 32 bytes: none of its leaves is one of another table."""
    columns: list[hashing.Json] = [[one.name, one.type, one.optional] for one in table.columns]
    return keccak256(hashing.canonical([table.name, columns]))


def leaves(table: Table, batch: pa.RecordBatch) -> list[bytes]:
    """What stands for each row in the Merkle log, 32 bytes each."""
    return [keccak256(line) for line in _joined(lines(batch), schema_hash(table), b"").to_pylist()]


def lines(batch: pa.RecordBatch) -> pa.Array:
    """Each row in its canonical form, as UTF-8."""
    values = [quoted(column) for column in batch.columns]
    joined = pc.binary_join_element_wise(*values, ",", null_handling="replace", null_replacement="null")
    return _joined(joined.cast(pa.binary()), b"[", b"]")


def cells(column: pa.Array) -> pa.Array:
    """The values of a column as text; empty ones stay empty."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        return _times(column)
    return column if pa.types.is_string(kind) else column.cast(pa.string())


def quoted(column: pa.Array) -> pa.Array:
    """The values of a column as JSON; empty ones stay empty."""
    kind, texts = column.type, cells(column)
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        return texts
    if pa.types.is_string(kind) and pc.any(pc.match_substring_regex(texts, _SIGNS_TO_ESCAPE)).as_py():
        return pa.array(_escaped(texts.to_pylist()), pa.string())
    return pc.binary_join_element_wise('"', texts, '"', "")


def _escaped(texts: Iterable[str | None]) -> list[str | None]:
    return [None if text is None else json.dumps(text, ensure_ascii=False) for text in texts]


def _times(column: pa.Array) -> pa.Array:
    """Times as text: whole seconds, UTC. Days repeat, and so do the seconds of a day: each is written once."""
    days = pc.cast(column.cast(pa.timestamp("s")), pa.date32(), safe=False)
    within = pc.subtract(
        column.cast(pa.timestamp("s")).cast(pa.int64()), pc.multiply(days.cast(pa.int32()).cast(pa.int64()), _DAY)
    )
    encoded = days.dictionary_encode()
    names = encoded.dictionary.cast(pa.string()).take(encoded.indices)
    return pc.binary_join_element_wise(names, _CLOCK.take(within), "")


def _joined(values: pa.Array, before: bytes, after: bytes) -> pa.Array:
    first, last = (pa.scalar(text, pa.binary()) for text in (before, after))
    return pc.binary_join_element_wise(first, values, last, pa.scalar(b"", pa.binary()))

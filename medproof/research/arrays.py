"""Values of the chain as Arrow has them, many at once: rule words split into columns, addresses, times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import ibis
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from medproof.client.registrar import EVERYONE
from medproof.policy.word import FLAG_FIELDS, LAYOUT, NO_END_DAY, NO_END_MINUTE, Field
from medproof.research.columns import TABLES, Table, column_name

__all__ = [
    "ROW_GROUP",
    "Bytes",
    "Numbers",
    "RuleRows",
    "arrow_schema",
    "days",
    "hexadecimal",
    "history_columns",
    "in_parts",
    "minutes",
    "times",
]

ROW_GROUP = 122_880  # rows that are read and written at once: what DuckDB reads at once, too
_GROUPS = 1 << 16  # grantees below it are groups
_LIMB = 64
_SECONDS = 60

Numbers = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]  # a row of bytes for each value
Words = npt.NDArray[np.uint64]  # four integers for each word, the least significant first


def arrow_schema(table: Table, *, without: tuple[str, ...] = ()) -> pa.Schema:
    """A table's columns as Arrow has them, but for some."""
    return ibis.schema({name: kind for name, kind in table.types.items() if name not in without}).to_pyarrow()


def in_parts(table: Table, found: Mapping[str, Any], rows: int, chain: int, authority: str) -> Iterator[pa.Table]:
    """Columns as a table, a row group at a time."""
    for start in range(0, max(rows, 1), ROW_GROUP):
        part = slice(start, min(start + ROW_GROUP, rows))
        yield _table(table, {name: values[part] for name, values in found.items()}, part.stop - start, chain, authority)


def _table(table: Table, found: dict[str, Any], rows: int, chain: int, authority: str) -> pa.Table:
    shape = arrow_schema(table)
    found["chain"] = pa.repeat(pa.scalar(chain, pa.int64()), rows)
    found["authority"] = pa.repeat(pa.scalar(authority, pa.string()), rows)
    return pa.Table.from_arrays([_arrow(found[field.name], field.type) for field in shape], schema=shape)


def _arrow(values: Any, kind: pa.DataType) -> pa.Array:
    array = values if isinstance(values, pa.Array) else pa.array(values)
    return array if array.type == kind else array.cast(kind)


# -- rules ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RuleRows:
    """Changes of rules in the chain's order, as the index keeps them."""

    subject: Bytes
    grantee: Bytes
    index: Numbers
    word: Bytes  # big-endian
    history: Mapping[str, Numbers]  # block, position, time, until_block and until_time, which are -1 where it stands

    def tables(self, chain: int, authority: str) -> dict[str, Iterator[pa.Table]]:
        """The rules, sorted, what ended before what stands, and no part of both; the grantees; and the scopes."""
        words = _words(self.word)
        subjects, subject_numbers = _numbered(self.subject)
        grantees, grantee_numbers = _numbered(self.grantee)
        scopes, scope_numbers = _numbered((words & _SCOPE).view(np.uint8).reshape(-1, 32))
        names = {
            "subject": hexadecimal(subjects),
            "grantee": hexadecimal(grantees),
            "grantee_type": pa.array([_grantee_type(int.from_bytes(one, "big")) for one in grantees], pa.string()),
        }
        numbers = {"subject": subject_numbers, "grantee": grantee_numbers, "scope": scope_numbers}
        kept = {
            "grantee_number": np.arange(len(grantees)),
            **{name: names[name] for name in ("grantee", "grantee_type")},
        }
        said = {"scope_number": np.arange(len(scopes)), **_rule_columns(scopes.view(np.uint64).reshape(-1, 4))}
        return {
            "rules": self._rules(words, numbers, names, chain, authority),
            "grantees": in_parts(TABLES["grantees"], kept, len(grantees), chain, authority),
            "scopes": in_parts(TABLES["scopes"], said, len(scopes), chain, authority),
        }

    def _rules(
        self,
        words: Words,
        numbers: Mapping[str, Numbers],
        names: Mapping[str, pa.Array],
        chain: int,
        authority: str,
    ) -> Iterator[pa.Table]:
        standing = self.history["until_block"] < 0
        deny = _field(words, FLAG_FIELDS["deny"])
        # The sort is stable, and rows come in the chain's order: of one rule, the older first.
        order = np.lexsort((numbers["subject"] << 4 | self.index, numbers["grantee"], deny, standing))
        boundary = int((~standing).sum())
        for whole in (order[:boundary], order[boundary:]):
            for start in range(0, len(whole), ROW_GROUP):
                rows = whole[start : start + ROW_GROUP]
                found = {
                    **{f"{name}_number": values[rows] for name, values in numbers.items()},
                    "subject": names["subject"].take(pa.array(numbers["subject"][rows])),
                    "grantee": names["grantee"].take(pa.array(numbers["grantee"][rows])),
                    "grantee_type": names["grantee_type"].take(pa.array(numbers["grantee"][rows])),
                    "rule_index": self.index[rows],
                    "standing": standing[rows],
                    "word": hexadecimal(self.word[rows], prefix=""),
                    **_rule_columns(words[rows]),
                    **history_columns({name: values[rows] for name, values in self.history.items()}),
                }
                yield _table(TABLES["rules"], found, len(rows), chain, authority)


def _words(joined: Bytes) -> Words:
    return np.ascontiguousarray(joined.view(">u8").astype(np.uint64)[:, ::-1])


# The bits of a word that say what it speaks of, in its four integers.
_SCOPE = _words(
    np.frombuffer(
        sum(field.mask for field in LAYOUT if field.codes or field.name in ("dataFrom", "dataUntil")).to_bytes(
            32, "big"
        ),
        np.uint8,
    ).reshape(1, 32)
)


def _numbered(values: Bytes) -> tuple[Bytes, Numbers]:
    """Different values in the order in which they come first, and for each row the place of its own."""
    length = values.shape[1]
    array = pa.FixedSizeBinaryArray.from_buffers(pa.binary(length), len(values), [None, pa.py_buffer(values)])
    encoded = array.dictionary_encode()
    kept = np.frombuffer(b"".join(encoded.dictionary.to_pylist()), dtype=np.uint8).reshape(-1, length)
    return kept, encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)


def _grantee_type(number: int) -> str:
    if number == int(EVERYONE, 16):
        return "everyone"
    return "group" if number < _GROUPS else "party"


def _field(words: Words, field: Field) -> Numbers:
    """A field of each word."""
    limb, shift = divmod(field.offset, _LIMB)
    value = words[:, limb] >> np.uint64(shift)
    if shift + field.width > _LIMB:
        value = value | words[:, limb + 1] << np.uint64(_LIMB - shift)
    return (value & np.uint64((1 << field.width) - 1)).astype(np.int64)


def _rule_columns(words: Words) -> dict[str, Any]:
    known = TABLES["rules"].types
    fields = {field.name: _field(words, field) for field in LAYOUT}
    found: dict[str, Any] = {column_name(name): values for name, values in fields.items() if column_name(name) in known}
    found |= {column_name(name): _field(words, flag).astype(bool) for name, flag in FLAG_FIELDS.items()}
    found["valid_from"] = minutes(fields["validFrom"])
    found["valid_until"] = minutes(fields["validUntil"], fields["validUntil"] == NO_END_MINUTE)
    found["data_from"] = days(fields["dataFrom"], fields["dataFrom"] == 0)
    found["data_until"] = days(fields["dataUntil"], fields["dataUntil"] == NO_END_DAY)
    return found


def history_columns(raw: Mapping[str, Numbers]) -> dict[str, Any]:
    """Since when and until when each row stands."""
    standing = raw["until_block"] < 0
    return {
        "block": raw["block"],
        "position": raw["position"],
        "block_time": times(raw["time"]),
        "until_block": pa.array(raw["until_block"], mask=standing),
        "until_time": times(raw["until_time"], standing),
    }


# -- values -----------------------------------------------------------------------------------------------------------


def times(seconds: Numbers, missing: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """Seconds since 1970 as times."""
    return pa.array(seconds * 1_000_000, mask=missing).cast(pa.timestamp("us", "UTC"))


def minutes(values: Numbers, missing: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """Minutes since 1970 as times."""
    return times(values * _SECONDS, missing)


def days(values: Numbers, missing: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """Days since 1970 as days."""
    return pa.array(values.astype(np.int32), mask=missing).cast(pa.date32())


_DIGITS = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), dtype=np.uint16)


def hexadecimal(values: Bytes, *, prefix: str = "0x") -> pa.Array:
    """Each row of bytes as lower-case digits."""
    rows, width = values.shape[0], 2 * values.shape[1] + len(prefix)
    digits = np.empty((rows, width), dtype=np.uint8)
    digits[:, : len(prefix)] = np.frombuffer(prefix.encode(), dtype=np.uint8)
    digits[:, len(prefix) :] = _DIGITS[values].view(np.uint8)
    offsets = np.arange(0, (rows + 1) * width, width, dtype=np.int64)
    return pa.LargeStringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(digits))

"""The files of an export: Parquet, CSV and JSON Lines, written and read again a batch of rows at a time.

The same batches give the same bytes. CSV is RFC 4180's (a header, CR LF, quotes where they are needed): an empty cell
is an empty value, and `""` a text without signs. A text that a spreadsheet would take for a formula, because it begins
with `= + - @`, a tab or a carriage return, begins with an apostrophe there (OWASP, "CSV Injection"), and so does one
that begins with an apostrophe itself: whoever reads the file takes one away. JSON Lines have one object a row.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from medproof.errors import ExportError
from medproof.research import rows
from medproof.research.arrays import arrow_schema
from medproof.research.columns import Table

__all__ = ["FORMATS", "ROWS", "Writer", "read_rows"]

ROWS = 65_536
"""Rows in a batch, and in a row group of Parquet."""

_FORMULA = re.compile(r"[=+\-@\t\r']")
_GUARDED = re.compile(r"'[=+\-@\t\r']")
_NEEDS_QUOTES = re.compile('[",\r\n]|^ | $|^$')
_MICRO = 1_000_000  # in a second
_LONGEST_LINE = 1 << 20  # bytes; what is longer is no row
_CSV_BLOCK = 16 << 20  # bytes that are read at a time


class Writer(ABC):
    """A file that rows are added to."""

    def __init__(self, path: Path, table: Table) -> None:
        """Begin it."""
        self.path, self.table = path, table

    @abstractmethod
    def write(self, batch: pa.RecordBatch) -> None:
        """Add a batch."""

    @abstractmethod
    def close(self) -> None:
        """End it."""


class _Parquet(Writer):
    def __init__(self, path: Path, table: Table) -> None:
        super().__init__(path, table)
        self._file = pq.ParquetWriter(path, arrow_schema(table), compression="zstd", store_schema=False)

    def write(self, batch: pa.RecordBatch) -> None:
        self._file.write_batch(batch, row_group_size=ROWS)

    def close(self) -> None:
        self._file.close()


class _Text(Writer):
    """A file of one line a row."""

    def __init__(self, path: Path, table: Table) -> None:
        super().__init__(path, table)
        self._file = path.open("wb")
        self._file.write(self.head())

    def head(self) -> bytes:
        """What stands before the rows."""
        return b""

    @abstractmethod
    def lines(self, batch: pa.RecordBatch) -> pa.Array:
        """Each row's line, with its end."""

    def write(self, batch: pa.RecordBatch) -> None:
        self._file.write(b"".join(self.lines(batch).cast(pa.binary()).to_pylist()))

    def close(self) -> None:
        self._file.close()


class _Csv(_Text):
    def head(self) -> bytes:
        return ",".join(one.name for one in self.table.columns).encode() + b"\r\n"

    def lines(self, batch: pa.RecordBatch) -> pa.Array:
        values = [_csv_cells(c) if pa.types.is_string(c.type) else rows.cells(c) for c in batch.columns]
        lines = pc.binary_join_element_wise(*values, ",", null_handling="replace", null_replacement="")
        return pc.binary_join_element_wise(lines, "\r\n", "")


class _JsonLines(_Text):
    def lines(self, batch: pa.RecordBatch) -> pa.Array:
        parts: list[Any] = []
        for number, (column, values) in enumerate(zip(self.table.columns, batch.columns, strict=True)):
            parts += [f'{"," if number else "{"}"{column.name}":', rows.quoted(values)]
        return pc.binary_join_element_wise(*parts, "}\n", "", null_handling="replace", null_replacement="null")


FORMATS: dict[str, type[Writer]] = {"parquet": _Parquet, "csv": _Csv, "jsonl": _JsonLines}
"""How rows are written, by the name of the format, which is the ending of the files."""


def read_rows(path: Path, table: Table) -> Iterator[pa.RecordBatch]:
    """Read a file of an export again, a batch at a time.

    Raises:
        ExportError: it is damaged, or its columns are not the table's; the message names the column and the row.
    """
    read = _READERS[path.suffix[1:]]
    try:
        yield from read(path, table)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0][:200]
        raise ExportError(path.name, f"cannot be read ({reason})") from None


def _read_parquet(path: Path, table: Table) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as file:
        found, wanted = file.schema_arrow, arrow_schema(table)
        _check_columns(path, found.names, wanted.names)
        for field in wanted:
            if found.field(field.name).type != field.type:
                raise ExportError(
                    f"{path.name}, column {field.name}", f"is {found.field(field.name).type}, not {field.type}"
                )
        for group in range(file.num_row_groups):  # which are read one at a time: a file cannot take all memory
            if (count := file.metadata.row_group(group).num_rows) > ROWS:
                raise ExportError(path.name, f"has {count} rows in a group, more than {ROWS}")
        start = 0
        for batch in file.iter_batches(ROWS):
            yield _conformed(batch, table, path, start)
            start += batch.num_rows


def _read_csv(path: Path, table: Table) -> Iterator[pa.RecordBatch]:
    convert = arrow_csv.ConvertOptions(
        column_types={one.name: pa.string() for one in table.columns},
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    parse = arrow_csv.ParseOptions(newlines_in_values=True)
    options = arrow_csv.ReadOptions(block_size=_CSV_BLOCK)
    with arrow_csv.open_csv(path, read_options=options, parse_options=parse, convert_options=convert) as reader:
        _check_columns(path, reader.schema.names, [one.name for one in table.columns])
        start = 0
        for batch in reader:
            plain = [_unguarded(column) for column in batch.columns]
            yield _conformed(pa.RecordBatch.from_arrays(plain, schema=batch.schema), table, path, start)
            start += batch.num_rows


def _read_json_lines(path: Path, table: Table) -> Iterator[pa.RecordBatch]:
    names = [one.name for one in table.columns]
    with path.open("rb") as file:
        start, kept = 0, []
        for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE), b"")):
            try:
                row = msgspec.json.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                raise ExportError(f"{path.name}, row {number}", "is no JSON") from None
            if not isinstance(row, dict):
                raise ExportError(f"{path.name}, row {number}", "is no JSON object")
            if list(row) != names:
                _check_columns(path, list(row), names, row=number)
            kept.append(row)
            if len(kept) == ROWS:
                yield _of_objects(kept, table, path, start)
                start, kept = number + 1, []
        if kept:
            yield _of_objects(kept, table, path, start)


_READERS: dict[str, Callable[[Path, Table], Iterator[pa.RecordBatch]]] = {
    "parquet": _read_parquet,
    "csv": _read_csv,
    "jsonl": _read_json_lines,
}


def _check_columns(path: Path, found: list[str], wanted: list[str], *, row: int | None = None) -> None:
    where = path.name if row is None else f"{path.name}, row {row}"
    for name in wanted:
        if name not in found:
            raise ExportError(f"{where}, column {name}", "is missing")
    for name in found:
        if name not in wanted:
            raise ExportError(f"{where}, column {name!r}", "is none of the table's")
    if found != wanted:
        first = next((one for one, other in zip(found, wanted, strict=False) if one != other), found[-1])
        raise ExportError(f"{where}, column {first}", "is not in its place, or there twice")


def _of_objects(objects: list[dict[str, Any]], table: Table, path: Path, start: int) -> pa.RecordBatch:
    """Rows of JSON as a batch: texts are cast to what their columns are, and nothing else is."""
    arrays = []
    for field in arrow_schema(table):
        values = [one[field.name] for one in objects]
        kind = field.type if pa.types.is_boolean(field.type) or pa.types.is_integer(field.type) else pa.string()
        for number, value in enumerate(values):
            if value is not None and type(value) is not _PYTHON[kind.id]:
                raise _bad_value(path, field, start + number, value)
        try:
            arrays.append(pa.array(values, kind))
        except (pa.ArrowInvalid, OverflowError):
            raise ExportError(f"{path.name}, column {field.name}", "holds a number that is too large") from None
    names = [one.name for one in table.columns]
    return _conformed(pa.RecordBatch.from_arrays(arrays, names=names), table, path, start)


_PYTHON = {pa.bool_().id: bool, pa.int32().id: int, pa.int64().id: int, pa.string().id: str}


def _conformed(batch: pa.RecordBatch, table: Table, path: Path, start: int) -> pa.RecordBatch:
    """The batch with the table's own types."""
    arrays, schema = [], arrow_schema(table)
    for field in schema:
        column = batch[field.name]
        if column.type != field.type:
            column = _cast(column, field, path, start)
        if column.null_count and not field.nullable:
            row = start + pc.index(column.is_null(), True).as_py()
            raise ExportError(f"{path.name}, column {field.name}, row {row}", "is empty, and never may be")
        if pa.types.is_timestamp(field.type):
            _check_times(column, field, path, start)
        arrays.append(column)
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _check_times(column: pa.Array, field: pa.Field, path: Path, start: int) -> None:
    """Refuse times that no block and no rule has: they are whole seconds since 1970."""
    counted = column.cast(pa.int64())
    odd = pc.or_(pc.less(counted, 0), pc.not_equal(pc.multiply(pc.divide(counted, _MICRO), _MICRO), counted))
    if pc.any(odd).as_py():
        row = pc.index(odd, True).as_py()
        raise _bad_value(path, field, start + row, f"{counted[row]} microseconds")


def _cast(column: pa.Array, field: pa.Field, path: Path, start: int) -> pa.Array:
    try:
        return column.cast(field.type)
    except pa.ArrowInvalid:
        for number, value in enumerate(column):
            try:
                value.cast(field.type)
            except pa.ArrowInvalid:
                raise _bad_value(path, field, start + number, value.as_py()) from None
        raise


def _bad_value(path: Path, field: pa.Field, row: int, value: object) -> ExportError:
    return ExportError(
        f"{path.name}, column {field.name}, row {row}", f"is {str(value)[:80]!r}, which is no {field.type}"
    )


def _csv_cells(texts: pa.Array) -> pa.Array:
    """Texts as they stand in CSV."""
    special = pc.match_substring_regex(texts, r"^[=+\-@\t\r' ]|[\",\r\n]|^$| $")
    if not pc.any(special).as_py():
        return texts
    return pa.array([None if text is None else _csv_cell(text) for text in texts.to_pylist()], pa.string())


def _csv_cell(text: str) -> str:
    guarded = f"'{text}" if _FORMULA.match(text) else text
    return '"' + guarded.replace('"', '""') + '"' if _NEEDS_QUOTES.search(guarded) else guarded


def _unguarded(column: pa.Array) -> pa.Array:
    if not pc.any(pc.match_substring_regex(column, "^'")).as_py():
        return column
    texts = (text[1:] if text is not None and _GUARDED.match(text) else text for text in column.to_pylist())
    return pa.array(texts, pa.string())

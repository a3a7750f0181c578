"""Exports: a data set's tables, or a cohort, as files with a data dictionary and a manifest.

    rules.parquet rules.csv rules.jsonl    the rows, in the formats that were asked for
    rules.leaves                           32 bytes a row: what stands for it in the Merkle log of all rows
    consents.json                          a FHIR R4 Bundle, a Consent for each subject (`medproof.research.consents`)
    dictionary.json dictionary.md          what the columns say
    manifest.json                          `medproof.research.manifest`

The same block and question give the same bytes, from an index in either database or from the Parquet data set. An
export is written in a folder beside its own and moved when it is whole: an error, or Ctrl-C, leaves nothing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
from ibis.expr.types import Table as Expression

from medproof import __version__
from medproof.errors import ExportError, IndexTimeError
from medproof.hashing import JsonObject
from medproof.indexer.index import BlockHash
from medproof.merkle import MerkleLog
from medproof.new_folder import written_aside
from medproof.research import rows
from medproof.research.arrays import arrow_schema
from medproof.research.cohort import Cohort
from medproof.research.columns import PARTITIONS, TABLES, Table
from medproof.research.consents import CONSENTS, bundle, rendered
from medproof.research.dataset import Dataset
from medproof.research.dictionary import dictionary_files
from medproof.research.formats import FORMATS, ROWS, Writer
from medproof.research.manifest import MANIFEST, ExportedFile, ExportedTable, Manifest, time_text
from medproof.research.question_json import write_question
from medproof.research.suppression import Suppression

__all__ = ["COHORT", "FHIR", "LEAVES", "as_of", "export_cohort", "write_export"]

LEAVES = "leaves"
"""The ending of the files with what stands for each row."""
COHORT = Table(
    "cohort",
    "a subject who consents to what was asked",
    (*PARTITIONS, *(one for one in TABLES["rules"].columns if one.name in ("subject_number", "subject"))),
    ("subject_number",),
)
"""A cohort, as a table."""
FHIR = "fhir"
"""The format that is written by itself, beside those of rows."""

_USUAL = ("rules", "terms", "parties", "party_groups")
_SUBJECT = ("subject", "patient")  # columns that name one

Progress = Callable[[str, int, int], None]
"""Is told the table, and how many of how many rows are done."""


def write_export(
    dataset: Dataset,
    folder: Path | str,
    *,
    formats: Sequence[str] = ("parquet",),
    tables: Sequence[str] = _USUAL,
    block: int | None = None,
    suppression: Suppression | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Write tables as of a block to a new folder.

    Args:
        dataset: whose tables.
        folder: where; there must be nothing yet.
        formats: of `medproof.research.formats.FORMATS`; or `FHIR`, for the consents of all subjects.
        tables: their names.
        block: as of which block; the data set's last where none is named.
        suppression: from how many subjects on they are listed; the usual rule where none is given.
        progress: is told the table, and how many of how many rows are done.

    Raises:
        ExportError: the folder is there already or cannot be written, a format or table is unknown or named twice.
        SmallCohortError: a table is about too few subjects.
        IndexTimeError: the data set does not know the block.
    """
    rule = Suppression() if suppression is None else suppression
    known = _known_block(dataset, dataset.as_of(block=block).block)
    chosen = [_table(name) for name in _distinct("table", tables)]
    sources = [(table, as_of(dataset, table, known.number)) for table in chosen]
    for table, source in sources:
        _require(rule, table, source)
    if {"cohorts", "bounties"} & set(tables):  # the sizes of cohorts, and what is promised to each of their subjects
        rule.require(int(as_of(dataset, TABLES["cohorts"], known.number)["size"].min().to_pyarrow().as_py() or 0))
    rules = as_of(dataset, TABLES["rules"], known.number)
    if FHIR in formats:
        _require(rule, TABLES["rules"], rules)
    return _write(_Contents(dataset, known, sources, rules, rule, None), Path(folder), formats, progress)


def export_cohort(
    cohort: Cohort,
    folder: Path | str,
    *,
    formats: Sequence[str] = ("parquet",),
    suppression: Suppression | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Write a cohort to a new folder: its subjects, and their rules as they stood.

    Args:
        cohort: who consents to something, as of a block that the data set knows.
        folder, formats, suppression, progress: as for `write_export`; the consents are those of the cohort.

    Raises:
        ExportError, SmallCohortError, IndexTimeError: as there.
    """
    rule = Suppression() if suppression is None else suppression
    rule.require(cohort.count())
    dataset = cohort.dataset
    known = _known_block(dataset, cohort.as_of.block)
    subjects = cohort.table.mutate(
        chain=ibis.literal(dataset.chain, "int64"), authority=ibis.literal(dataset.authority, "string")
    )
    rules = as_of(dataset, TABLES["rules"], known.number)
    standing = rules.filter(rules.standing).semi_join(cohort.table, "subject_number")
    sources = [(COHORT, subjects), (TABLES["rules"], standing)]
    contents = _Contents(dataset, known, sources, standing, rule, write_question(cohort))
    return _write(contents, Path(folder), formats, progress)


def as_of(dataset: Dataset, table: Table, block: int) -> Expression:
    """The rows of a table as the chain knew them at a block: what ended later still stands."""
    found = dataset.table(table.name).filter(ibis._.block <= block)
    ended = (found.until_block <= block).fill_null(False)
    changed = {
        "until_block": ended.ifelse(found.until_block, ibis.null(found.until_block.type())),
        "until_time": ended.ifelse(found.until_time, ibis.null(found.until_time.type())),
    }
    if "standing" in table.types:
        changed["standing"] = ~ended
    return found.mutate(**changed)


@dataclass(frozen=True)
class _Contents:
    """What goes into an export, whatever its formats."""

    dataset: Dataset
    block: BlockHash
    tables: Sequence[tuple[Table, Expression]]
    rules: Expression  # those whose subjects' consents are rendered
    suppression: Suppression
    question: JsonObject | None


def _write(contents: _Contents, folder: Path, formats: Sequence[str], progress: Progress | None) -> Manifest:
    kinds = _distinct("format", formats)
    for name in kinds:
        if name not in (*FORMATS, FHIR):
            raise ExportError(f"format {name!r}", "is unknown", f"Name one of {', '.join((*FORMATS, FHIR))}")
    row_kinds = [name for name in kinds if name in FORMATS]
    described = [table for table, _ in contents.tables] if row_kinds else []
    with written_aside(folder, ExportError) as draft:
        tables = [
            _write_table(draft, table, source, row_kinds, progress) for table, source in contents.tables if row_kinds
        ]
        if FHIR in kinds:
            tables.append(_write_consents(draft, contents, progress))
            described.append(CONSENTS)
        texts = dictionary_files(described)
        for name, text in texts.items():
            (draft / name).write_text(text, encoding="utf-8", newline="\n")
        dataset = contents.dataset
        manifest = Manifest(
            medproof=__version__,
            writers={"pyarrow": pa.__version__} if "parquet" in kinds else {},
            chain=dataset.chain,
            authority=dataset.authority,
            contracts=dict(sorted(dataset.contracts.items())),
            block=contents.block,
            question=contents.question,
            suppression=contents.suppression.to_json(),
            tables=tuple(tables),
            files=tuple(_file(path, {one.name for one in tables}) for path in sorted(draft.iterdir())),
        )
        (draft / MANIFEST).write_text(manifest.to_text(), encoding="utf-8", newline="\n")
    return manifest


def _write_table(
    draft: Path, table: Table, source: Expression, formats: Sequence[str], progress: Progress | None
) -> ExportedTable:
    total = int(source.count().execute())
    log, done = MerkleLog(), 0
    with ExitStack() as stack:
        kept = stack.enter_context((draft / f"{table.name}.{LEAVES}").open("wb"))
        writers = [FORMATS[name](draft / f"{table.name}.{name}", table) for name in formats]
        for writer in writers:
            stack.callback(writer.close)
        # Arrow and the hashes leave each other room: the files are written while the next rows are hashed.
        pool = stack.enter_context(ThreadPoolExecutor(1))
        behind = None
        for batch in _batches(table, source):
            leaves = rows.leaves(table, batch)
            if behind is not None:
                behind.result()
            behind = pool.submit(_write_batch, writers, batch)
            log.extend(leaves)
            kept.write(b"".join(leaves))
            done += batch.num_rows
            if progress is not None:
                progress(table.name, done, total)
        if behind is not None:
            behind.result()
    return ExportedTable(table.name, done, rows.schema_hash(table), log.root())


def _write_consents(draft: Path, contents: _Contents, progress: Progress | None) -> ExportedTable:
    standing = contents.rules.filter(contents.rules.standing & ~contents.rules.revoked)
    total = int(standing.subject.nunique().execute())
    order = standing.order_by(["subject", "grantee", "rule_index"])
    read = order.select("subject", "grantee", "word", "block_time")
    found = rendered(row for batch in _stream(read) for row in batch.to_pylist())
    log = MerkleLog()
    with (draft / f"{CONSENTS.name}.{LEAVES}").open("wb") as kept, (draft / f"{CONSENTS.name}.json").open("wb") as file:

        def noted() -> Iterator[JsonObject]:
            for consent, leaf in found:
                log.append(leaf)
                kept.write(leaf)
                yield consent
                if progress is not None:
                    progress(CONSENTS.name, len(log), total)

        dataset = contents.dataset
        file.writelines(bundle(dataset.chain, dataset.authority, time_text(contents.block), noted()))
    return ExportedTable(CONSENTS.name, len(log), rows.schema_hash(CONSENTS), log.root())


def _write_batch(writers: Iterable[Writer], batch: pa.RecordBatch) -> None:
    for writer in writers:
        writer.write(batch)


def _batches(table: Table, source: Expression) -> Iterator[pa.RecordBatch]:
    """The rows in the table's order."""
    shape = arrow_schema(table)
    return _whole(_stream(source.order_by(list(table.order)).select(shape.names)), shape)


def _whole(parts: Iterable[pa.RecordBatch], shape: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Each batch full but the last: files do not show how an engine cuts its rows."""
    kept: list[pa.RecordBatch] = []
    count = 0
    for part in parts:
        while part.num_rows:
            piece = part.slice(0, ROWS - count)
            part = part.slice(piece.num_rows)
            kept.append(piece)
            count += piece.num_rows
            if count == ROWS:
                yield _one(kept, shape)
                kept, count = [], 0
    if kept:
        yield _one(kept, shape)


def _stream(source: Expression) -> Iterator[pa.RecordBatch]:
    """The rows of an expression as its engine gives them."""
    engine: Any = source.get_backend()
    if engine.name == "duckdb":  # Ibis 12 asks DuckDB 2 for batches by a name that is gone
        with closing(engine.con.cursor()) as cursor:  # of its own: whoever stops here leaves no open result
            yield from cursor.sql(engine.compile(source)).to_arrow_reader(ROWS)
    else:
        yield from source.to_pyarrow().to_batches()


def _one(parts: Sequence[pa.RecordBatch], shape: pa.Schema) -> pa.RecordBatch:
    whole = pa.Table.from_batches(parts).combine_chunks().to_batches()[0]
    columns = [whole[field.name].cast(field.type) for field in shape]
    return pa.RecordBatch.from_arrays(columns, schema=shape)


def _known_block(dataset: Dataset, block: int) -> BlockHash:
    """A block, whose hash and time the data set has to know: it is what the manifest names."""
    blocks = dataset.table("blocks")
    known = blocks.filter(blocks.block == block).to_pyarrow().to_pylist()
    if not known:
        raise IndexTimeError(block, None, dataset.block.number)
    [row] = known
    return BlockHash(block, bytes.fromhex(row["hash"][2:]), int(row["block_time"].timestamp()))


def _require(suppression: Suppression, table: Table, source: Expression) -> None:
    for name in _SUBJECT:
        if name in table.types:
            suppression.require(int(source[name].nunique().execute()))


def _table(name: str) -> Table:
    histories = {table.name: table for table in TABLES.values() if "until_block" in table.types}
    if name not in histories:
        raise ExportError(f"table {name!r}", "is unknown", f"Name one of {', '.join(histories)}")
    return histories[name]


def _distinct(what: str, names: Sequence[str]) -> tuple[str, ...]:
    if not names:
        raise ExportError(what, "is not named", f"Name a {what} at least")
    if len(set(names)) < len(names):
        raise ExportError(what, "is named twice", "Name each once")
    return tuple(names)


def _file(path: Path, tables: set[str]) -> ExportedFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
        os.fsync(file.fileno())
    table = path.name.partition(".")[0]
    return ExportedFile(path.name, path.stat().st_size, digest, table if table in tables else None)

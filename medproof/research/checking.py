"""Reading an export again: all that its manifest says is computed anew, and the first thing that differs is named.

The leaves are checked against the root, and each row of each file against its leaf: so a row that was changed is named
though nobody has the original. Its column is named where another file of the same table still has the row.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import pyarrow as pa

from medproof import hashing
from medproof.errors import ExportError
from medproof.hashing import JsonObject
from medproof.json_reader import JsonReader
from medproof.merkle import MerkleLog
from medproof.research import rows
from medproof.research.cohort import cohort
from medproof.research.columns import TABLES, Table
from medproof.research.consents import CONSENTS, read_consents
from medproof.research.dataset import Dataset
from medproof.research.dictionary import dictionary_files
from medproof.research.export import COHORT, FHIR, LEAVES, Progress, export_cohort, write_export
from medproof.research.formats import FORMATS, read_rows
from medproof.research.manifest import MANIFEST, ExportedFile, ExportedTable, Manifest
from medproof.research.question_json import read_question
from medproof.research.suppression import Suppression

__all__ = ["EXPORTED", "CheckedExport", "check_export", "json_rows", "read_leaves"]

_LEAF = 32
_RUN = 1 << 16  # leaves that are read at a time
EXPORTED = {**TABLES, COHORT.name: COHORT, CONSENTS.name: CONSENTS}
"""Every table that an export may hold, by name."""


@dataclass(frozen=True)
class CheckedExport:
    """An export that is what its manifest says."""

    manifest: Manifest
    sha256: bytes  # of the manifest, which pins all else
    same_bytes: bool | None  # whether exporting again gave the same files; None where that was not tried


def check_export(
    folder: Path | str, *, dataset: Dataset | None = None, progress: Progress | None = None
) -> CheckedExport:
    """Read an export again, all of it.

    Args:
        folder: where it is.
        dataset: exports again from here and compares, where it is given.
        progress: is told the file, and how many of how many rows are done.

    Raises:
        ExportError: it is half-written, or not what its manifest says, or the data set is of another chain or
            deployment or says otherwise; the message names the first file, column or row.
    """
    root = Path(folder)
    manifest = Manifest.read(root)
    files = _check_files(root, manifest)
    for entry in manifest.tables:
        _check_table(root, manifest, entry, files, progress)
    for file in manifest.files:
        _check_bytes(root / file.name, file)
    digest = hashlib.sha256((root / MANIFEST).read_bytes()).digest()
    if dataset is None:
        return CheckedExport(manifest, digest, None)
    return CheckedExport(manifest, digest, _export_again(root, manifest, dataset, progress))


# -- what is there ------------------------------------------------------------------------------------------------


def _check_files(root: Path, manifest: Manifest) -> dict[str, list[ExportedFile]]:
    """Each table's files of rows: whether the folder holds what the manifest lists, and that is an export."""
    listed = {one.name for one in manifest.files}
    for path in sorted(root.iterdir()):
        if path.name != MANIFEST and path.name not in listed:
            raise ExportError(path.name, "is not in the manifest")
    for one in manifest.files:
        if not (root / one.name).is_file() or (root / one.name).is_symlink():
            raise ExportError(one.name, "is missing")
    if not manifest.tables:
        raise ExportError(MANIFEST, "lists no table")
    for name in dictionary_files(()):
        if name not in listed:
            raise ExportError(name, "is missing")
    found: dict[str, list[ExportedFile]] = {}
    for entry in manifest.tables:
        if entry.name not in EXPORTED:
            raise ExportError(f"table {entry.name!r}", "is none that this MedProof knows", "Update MedProof")
        if entry.schema != rows.schema_hash(EXPORTED[entry.name]):
            raise ExportError(f"table {entry.name}", "has other columns than this MedProof's", "Update MedProof")
        kinds = ("json",) if entry.name == CONSENTS.name else FORMATS
        wanted = {f"{entry.name}.{kind}" for kind in kinds}
        found[entry.name] = [one for one in manifest.files if one.name in wanted]
        if not found[entry.name] or f"{entry.name}.{LEAVES}" not in listed:
            raise ExportError(f"table {entry.name}", "has no file of rows, or none of leaves")
    expected = dictionary_files(EXPORTED[entry.name] for entry in manifest.tables)
    for one in manifest.files:
        if one.name in expected:
            place, wanted_bytes = root / one.name, expected[one.name].encode()
            if place.stat().st_size != len(wanted_bytes) or place.read_bytes() != wanted_bytes:
                raise ExportError(one.name, "is not what this MedProof writes of these tables")
        elif one.table is None or (one not in found[one.table] and one.name != f"{one.table}.{LEAVES}"):
            raise ExportError(one.name, "is no file of an export")
    return found


def _check_bytes(path: Path, file: ExportedFile) -> None:
    with path.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").digest()
    if digest != file.sha256 or path.stat().st_size != file.size:
        raise ExportError(file.name, "has other bytes than the manifest says, though its rows are the same")


def read_leaves(root: Path, table: str) -> Iterator[bytes]:
    """What stands for each row of a table, as an export keeps it."""
    return _leaves(root / f"{table}.{LEAVES}")


def json_rows(root: Path, manifest: Manifest, table: str) -> Iterator[JsonObject]:
    """The rows of a table of an export, by column, as the canonical form has their values."""
    if table == CONSENTS.name:
        for consent, _ in read_consents(root / f"{table}.json"):
            yield consent
        return
    names = [column.name for column in EXPORTED[table].columns]
    kept = {one.name for one in manifest.files}
    place = next(root / name for kind in FORMATS if (name := f"{table}.{kind}") in kept)
    for batch in read_rows(place, EXPORTED[table]):
        for line in rows.lines(batch).to_pylist():
            values = hashing.parse(line)
            assert isinstance(values, list)
            yield dict(zip(names, values, strict=True))


# -- rows ---------------------------------------------------------------------------------------------------------


def _check_table(
    root: Path,
    manifest: Manifest,
    entry: ExportedTable,
    files: dict[str, list[ExportedFile]],
    progress: Progress | None,
) -> None:
    table, kept = EXPORTED[entry.name], root / f"{entry.name}.{LEAVES}"
    size = kept.stat().st_size
    if size != entry.rows * _LEAF:
        raise ExportError(kept.name, f"has {size} bytes, and {entry.rows} rows have {entry.rows * _LEAF}")
    if MerkleLog(_leaves(kept)).root() != entry.root:
        raise ExportError(kept.name, "leads to another root than the manifest's")
    for file in files[entry.name]:
        done = 0
        for number, (found, wanted) in enumerate(zip_longest(_leaves_of(root / file.name, table), _leaves(kept))):
            if found is None:
                raise ExportError(file.name, f"has {number} rows, not {entry.rows}")
            if wanted is None:
                raise ExportError(file.name, f"has more than {entry.rows} rows")
            if found != wanted:
                others = [one for one in files[entry.name] if one is not file]
                column = _column(root, table, file, others, number, wanted)
                raise ExportError(
                    f"{file.name}{column}, row {number}", "is not the one that the manifest's root is over"
                )
            done = number + 1
            if progress is not None and (done % _RUN == 0 or done == entry.rows):
                progress(file.name, done, entry.rows)


def _leaves(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while run := file.read(_RUN * _LEAF):
            yield from (run[at : at + _LEAF] for at in range(0, len(run), _LEAF))


def _leaves_of(path: Path, table: Table) -> Iterator[bytes]:
    """What stands for each row of a file."""
    if table is CONSENTS:
        return (leaf for _, leaf in read_consents(path))
    return (leaf for batch in read_rows(path, table) for leaf in rows.leaves(table, batch))


def _column(
    root: Path, table: Table, file: ExportedFile, others: Iterable[ExportedFile], number: int, wanted: bytes
) -> str:
    """In which column a row was changed, where another file still has it as it was; else nothing."""
    for other in others:
        try:
            whole = _row(root / other.name, table, number)
        except ExportError:
            continue
        if whole is not None and rows.leaves(table, whole) == [wanted]:
            changed = _row(root / file.name, table, number)
            return _differing(table, changed, whole)
    return ""


def _differing(table: Table, one: pa.RecordBatch | None, other: pa.RecordBatch | None) -> str:
    """The first column in which two rows differ."""
    if one is None or other is None:
        return ""
    for column in table.columns:
        if rows.quoted(one[column.name]) != rows.quoted(other[column.name]):
            return f", column {column.name}"
    return ""


def _row(path: Path, table: Table, number: int) -> pa.RecordBatch | None:
    """One row of a file."""
    for batch in read_rows(path, table):
        if number < batch.num_rows:
            return batch.slice(number, 1)
        number -= batch.num_rows
    return None


# -- once more ----------------------------------------------------------------------------------------------------


def _export_again(root: Path, manifest: Manifest, dataset: Dataset, progress: Progress | None) -> bool:
    """Export from a data set what the manifest says, and compare: whether the files have the same bytes."""
    of = f"chain {dataset.chain}, authority {dataset.authority}"
    if (manifest.chain, manifest.authority) != (dataset.chain, dataset.authority):
        raise ExportError(
            f"chain {manifest.chain}, authority {manifest.authority}", f"is not the index's: {of}", _NAME_IT
        )
    if dict(manifest.contracts) != dict(dataset.contracts):
        raise ExportError("contracts", "are not those of the index")
    with tempfile.TemporaryDirectory() as place:
        again = Path(place) / "again"
        found = _written_again(manifest, dataset, again, progress)
        if found.block != manifest.block:
            block = manifest.block
            raise ExportError(f"block {block.number}", "has another hash or time in the index", _NAME_IT)
        for said, now in zip(manifest.tables, found.tables, strict=True):
            _compare(root, again, said, now)
        if (manifest.medproof, dict(manifest.writers)) != (found.medproof, dict(found.writers)):
            return False  # the rows are the same, and other writers may give them other bytes
        for file, written in zip(manifest.files, found.files, strict=True):
            if file != written:
                raise ExportError(file.name, "has other bytes than the index gives, though its rows are the same")
        if (root / MANIFEST).read_bytes() != (again / MANIFEST).read_bytes():
            raise ExportError(MANIFEST, "is not the one that the index gives")
    return True


def _written_again(manifest: Manifest, dataset: Dataset, folder: Path, progress: Progress | None) -> Manifest:
    names = [one.name for one in manifest.tables]
    formats = [kind for kind in FORMATS if any(one.name.endswith(f".{kind}") for one in manifest.files)]
    if CONSENTS.name in names:
        formats.append(FHIR)
    suppression = _suppression(manifest)
    if manifest.question is not None:
        reader = JsonReader(manifest.question, lambda path, rule: ExportError(f"{MANIFEST}: {path}", rule), "question.")
        question, moment = read_question(reader)
        found = cohort(dataset, question, block=manifest.block.number, moment=moment)
        return export_cohort(found, folder, formats=formats, suppression=suppression, progress=progress)
    tables = [name for name in names if name != CONSENTS.name] or [TABLES["rules"].name]
    block = manifest.block.number
    return write_export(
        dataset, folder, formats=formats, tables=tables, block=block, suppression=suppression, progress=progress
    )


_NAME_IT = "Name the index that it was made of, or do not rely on it"


def _compare(root: Path, again: Path, said: ExportedTable, now: ExportedTable) -> None:
    """Name the first row, and its column, that is not the index's."""
    if said == now:
        return
    table = EXPORTED[said.name]
    pairs = zip_longest(_leaves(root / f"{said.name}.{LEAVES}"), _leaves(again / f"{said.name}.{LEAVES}"))
    for number, (ours, theirs) in enumerate(pairs):
        if ours != theirs:
            column = ""
            if table is not CONSENTS and ours is not None and theirs is not None:
                kind = next(kind for kind in FORMATS if (root / f"{said.name}.{kind}").exists())
                name = f"{said.name}.{kind}"
                column = _differing(table, _row(root / name, table, number), _row(again / name, table, number))
            raise ExportError(f"table {said.name}{column}, row {number}", "is not the one that the index gives")


def _suppression(manifest: Manifest) -> Suppression:
    said = manifest.suppression
    threshold, off = said.get("threshold"), said.get("off")
    if set(said) != {"threshold", "off"} or not isinstance(threshold, int) or not isinstance(off, str | None):
        raise ExportError(f"{MANIFEST}: suppression", "is none")
    return Suppression(threshold, off or "")

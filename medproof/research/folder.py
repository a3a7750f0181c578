"""The folder of a data set: hive-partitioned Parquet with a manifest, and its writing and checking.

Several deployments and chains share a folder. The same block gives the same bytes. A manifest is written last and
removed first: what has none is being written, or whoever wrote it was stopped.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from medproof.errors import DatasetError
from medproof.indexer import IndexedDeployment
from medproof.indexer.index import BlockHash
from medproof.research.arrays import ROW_GROUP, arrow_schema
from medproof.research.columns import TABLES, Table
from medproof.research.source import About, Progress, Source, Tables

FORMAT = 1  # of the folder; a newer MedProof counts it up where an older one cannot read it
_FILE = r"(/standing=(true|false))?/[0-9]+-[0-9a-f]{8}\.parquet"  # below the folder of its table and deployment
STANDING = "standing=true"
_MANIFESTS = "_manifests"  # engines pass over folders that begin with an underscore


# -- writing ----------------------------------------------------------------------------------------------------------


def write_dataset(
    indexed: IndexedDeployment, folder: Path | str, *, block: int | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """Write a deployment as of a block to a folder, in place of what the folder has of it; give the manifest.

    Args:
        indexed: the deployment, in its index.
        folder: where; made where there is none.
        block: as of which block; the last that was read where none is named.
        progress: is told the table, and how many of its rows are done.

    Raises:
        IndexTimeError: the index does not know that block.
        DatasetError: the folder cannot be written.
    """
    source = Source.of(indexed, block)
    return write_tables(source.about, source.tables(progress=progress), folder)


def write_tables(about: About, tables: Tables, folder: Path | str) -> dict[str, Any]:
    """Write tables to a folder, in place of what it has of this deployment; give the manifest.

    Raises:
        DatasetError: the folder cannot be written.
    """
    root = Path(folder)
    with _writing(root, about) as draft:
        written = {table.name: _write_table(draft, table, parts, about) for table, parts in tables}
        block = about.block
        manifest = {
            "format": FORMAT,
            "chain": about.chain,
            "authority": about.authority,
            "contracts": dict(about.contracts),
            "first": about.first,
            "block": {"number": block.number, "hash": "0x" + block.hash.hex(), "time": block.time},
            "schema": schema_hash(),
            "tables": written,
        }
        _put_in_place(root, draft, manifest)
    return manifest


def schema_hash() -> str:
    """SHA-256 of all tables' columns and types, 0x…: what tells one form of the data set from another."""
    shape = [[table.name, sorted(table.types.items()), list(table.order)] for table in TABLES.values()]
    return "0x" + hashlib.sha256(json.dumps(shape, separators=(",", ":")).encode()).hexdigest()


def datasets(folder: Path | str) -> list[dict[str, Any]]:
    """The manifests of all data sets in a folder, by chain and Authority.

    Raises:
        DatasetError: one is damaged, or of a newer MedProof.
    """
    places = sorted((Path(folder) / _MANIFESTS).glob("*.json"))
    return sorted((_manifest(place) for place in places), key=lambda one: (one["chain"], one["authority"]))


@contextmanager
def _writing(root: Path, about: About) -> Iterator[Path]:
    """A folder beside the data, gone at the end whatever happens."""
    draft = root / f"_writing-{about.chain}-{about.authority}"
    try:
        root.mkdir(parents=True, exist_ok=True)
        draft.mkdir()
    except FileExistsError:
        rule = "is being written by another, or by one that was ended while it did"
        raise DatasetError(str(root), rule, f"Remove {draft} if nobody does") from None
    except OSError as error:
        raise _unwritable(root, error) from None
    try:
        yield draft
    except OSError as error:
        raise _unwritable(root, error) from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _unwritable(root: Path, error: OSError) -> DatasetError:
    return DatasetError(str(root), f"cannot be written ({error.strerror or error})", "Check the folder and the disk")


def _write_table(draft: Path, table: Table, parts: Iterator[pa.Table], about: About) -> dict[str, Any]:
    name = f"{about.block.number}-{about.block.hash[:4].hex()}.parquet"
    place = _place(table.name, about.chain, about.authority)
    folders = ("chain", "authority", "standing") if "standing" in table.types else ("chain", "authority")
    shape = arrow_schema(table, without=folders)
    files: list[dict[str, Any]] = []
    writers: dict[Path, pq.ParquetWriter] = {}
    counts: dict[Path, int] = {}
    try:
        if "standing" not in folders:
            writers[place / name] = _writer(draft / place / name, shape)
        for part in parts:
            inner = place
            if "standing" in folders:
                inner = place / f"standing={str(part['standing'][0].as_py()).lower()}"
            path = inner / name
            if path not in writers:
                writers[path] = _writer(draft / path, shape)
            writers[path].write_table(part.select(shape.names), row_group_size=ROW_GROUP)
            counts[path] = counts.get(path, 0) + part.num_rows
        if not writers:  # an empty table still says what its columns are
            path = place / "standing=true" / name
            writers[path] = _writer(draft / path, shape)
    finally:
        for writer in writers.values():
            writer.close()
    for path in sorted(writers):
        whole = draft / path
        size, digest = whole.stat().st_size, _digest(whole)
        files.append({"path": path.as_posix(), "rows": counts.get(path, 0), "size": size, "sha256": digest})
    return {"rows": sum(counts.values()), "files": files}


def _writer(path: Path, shape: pa.Schema) -> pq.ParquetWriter:
    path.parent.mkdir(parents=True, exist_ok=True)
    return pq.ParquetWriter(path, shape, compression="snappy", store_schema=False)


def _put_in_place(root: Path, draft: Path, manifest: dict[str, Any]) -> None:
    """Move the tables where they belong; the manifest goes first and comes last."""
    name = _manifest_name(about_of(manifest))
    written = draft / name
    with written.open("w", encoding="utf-8") as file:
        json.dump(manifest, file, indent=2, sort_keys=True)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    final = root / _MANIFESTS / name
    final.parent.mkdir(exist_ok=True)
    final.unlink(missing_ok=True)
    for number, table in enumerate(TABLES):
        place = _place(table, manifest["chain"], manifest["authority"])
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        if (root / place).exists():
            (root / place).rename(draft / f"old-{number}")
        (draft / place).rename(root / place)
    written.rename(final)


# -- reading ----------------------------------------------------------------------------------------------------------


def choose(root: Path, chain: int | None, authority: str | None) -> dict[str, Any]:
    """The manifest of the one data set that was meant.

    Raises:
        DatasetError: there is none, or more than one.
    """
    kept = datasets(root)
    found = [one for one in kept if chain in (None, one["chain"]) and authority in (None, one["authority"])]
    if len(found) == 1:
        return found[0]
    known = "; ".join(f"chain {one['chain']}, authority {one['authority']}" for one in kept)
    if found:
        raise DatasetError(str(root), f"keeps more than one data set ({known})", "Name the chain and the authority")
    rule = f"keeps no such data set, but: {known}" if kept else "keeps no whole data set"
    raise DatasetError(str(root), rule, "Name another folder, or write it from an index: medproof research dataset")


def _manifest(place: Path) -> dict[str, Any]:
    try:
        said = json.loads(place.read_text(encoding="utf-8"))
        if said["format"] > FORMAT:
            raise DatasetError(
                str(place), f"is of format {said['format']}, and this MedProof reads {FORMAT}", "Update MedProof"
            )
        about = about_of(said)
        if said["schema"] != schema_hash():
            raise DatasetError(str(place), "has other columns than this MedProof", "Write it again from the index")
        manifest: dict[str, Any] = said
        if place.name != _manifest_name(about):
            raise ValueError(place.name)
        for file in files_of(manifest):
            int(file["size"]), str(file["sha256"])
        return manifest
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise DatasetError(str(place), "is no manifest of a data set", "Write it again from the index") from None


def _manifest_name(about: About) -> str:
    return f"{about.chain}-{about.authority}.json"


def about_of(manifest: Mapping[str, Any]) -> About:
    """What a manifest is about."""
    block = manifest["block"]
    return About(
        int(manifest["chain"]),
        str(manifest["authority"]),
        int(manifest["first"]),
        BlockHash(int(block["number"]), bytes.fromhex(block["hash"][2:]), int(block["time"])),
        dict(manifest["contracts"]),
    )


def files_of(manifest: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every file that a manifest lists, each in its table's folder."""
    for name in TABLES:
        place = _place(name, manifest["chain"], manifest["authority"]).as_posix()
        for file in manifest["tables"][name]["files"]:
            if not re.fullmatch(re.escape(place) + _FILE, file["path"]):
                raise ValueError(file["path"])
            yield file


def check_file(root: Path, file: Mapping[str, Any], *, whole: bool) -> None:
    """Hold a file against its manifest: its size, and its hash where `whole`.

    Raises:
        DatasetError: it is missing, or another.
    """
    path = root / file["path"]
    try:
        size = path.stat().st_size
        digest = _digest(path) if whole else file["sha256"]
    except OSError:
        raise DatasetError(str(path), "is missing, though its manifest lists it", "Write it again") from None
    if size != file["size"]:
        raise DatasetError(str(path), f"has {size} bytes, and its manifest says {file['size']}", "Write it again")
    if digest != file["sha256"]:
        raise DatasetError(str(path), "is not the file that was written: its hash is another", "Write it again")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"0x{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _place(table: str, chain: int, authority: str) -> Path:
    return Path(table, f"chain={chain}", f"authority={authority}")

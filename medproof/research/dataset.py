"""The research data set: the public registry as tables that any engine reads, as of one block.

It comes straight from an index, or from a folder of hive-partitioned Parquet::

    rules/chain=1/authority=0x…/standing=true/24000000-1f0c….parquet
    parties/chain=1/authority=0x…/24000000-1f0c….parquet
    _manifests/1-0x….json

Several deployments and chains share a folder. The same block gives the same bytes. A manifest is written last and
removed first: what has none is being written, or whoever wrote it was stopped.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import secrets
import shutil
import threading
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from ibis import BaseBackend
from ibis.expr.types import Table as Expression

from medproof.errors import DatasetError, IndexTimeError
from medproof.indexer import IndexedDeployment
from medproof.indexer.index import BlockHash
from medproof.policy.word import minute
from medproof.research.arrays import ROW_GROUP, Numbers, arrow_schema
from medproof.research.columns import TABLES, Table
from medproof.research.parties import Parties
from medproof.research.source import About, Progress, Source, Tables
from medproof.research.statement import Build, Value, compiled, executed

__all__ = ["AsOf", "Dataset", "datasets", "schema_hash", "write_dataset"]

FORMAT = 1  # of the folder; a newer MedProof counts it up where an older one cannot read it
_FILE = r"(/standing=(true|false))?/[0-9]+-[0-9a-f]{8}\.parquet"  # below the folder of its table and deployment
_STANDING = "standing=true"
_STANDING_RULES = "standing_rules"
_MANIFESTS = "_manifests"  # engines pass over folders that begin with an underscore
_ENGINE = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}


@dataclass(frozen=True)
class AsOf:
    """What a question is asked as of."""

    block: int  # what the chain knew
    moment: datetime  # when rules are to be in force, by what their signers set


class Dataset:
    """The tables of one deployment as of one block, on an engine."""

    def __init__(self, about: About, engine: BaseBackend, tables: Mapping[str, Expression]) -> None:
        """See `open` and `of_index`."""
        self.chain, self.authority = about.chain, about.authority  # the chain's id; the Authority's address, 0x…
        self.first, self.block = about.first, about.block  # the deployment's first block; the last that is known
        self.contracts = about.contracts  # their addresses, 0x…, by name
        self.engine = engine
        self.about, self._tables = about, dict(tables)
        self._statements: dict[Hashable, str] = {}
        self._own = threading.local()

    @classmethod
    def open(
        cls,
        folder: Path | str,
        *,
        chain: int | None = None,
        authority: str | None = None,
        engine: BaseBackend | None = None,
        check: bool = False,
    ) -> Dataset:
        """Open a folder that `write_dataset` wrote.

        Args:
            folder: where.
            chain: the chain's id, where the folder keeps several.
            authority: the address of the deployment's Authority, where it keeps several of a chain.
            engine: an Ibis backend that reads Parquet; DuckDB, embedded, where none is given.
            check: whether to read every file and compare its hash with the manifest's; else its size is compared.

        Raises:
            DatasetError: there is no such data set, or more than one; it is half-written, damaged, or of a newer
                MedProof.
        """
        root = Path(folder)
        manifest = _choose(root, chain, None if authority is None else authority.lower())
        for file in _files(manifest):
            _check_file(root, file, whole=check)
        own = engine is None
        backend = _embedded() if engine is None else engine
        about = _about(manifest)
        listed = {name: manifest["tables"][name]["files"] for name in TABLES}
        try:
            tables = {name: _parquet(backend, root, table, listed[name], about) for name, table in TABLES.items()}
            still = [file for file in listed["rules"] if _STANDING in file["path"]]
            tables[_STANDING_RULES] = _parquet(backend, root, TABLES["rules"], still, about, name=_STANDING_RULES)
        except Exception as error:
            if own:
                backend.disconnect()
            raise DatasetError(
                str(root), f"cannot be read ({_reason(error)})", "Write it again from the index"
            ) from None
        return cls(about, backend, tables)

    @classmethod
    def of_index(
        cls, indexed: IndexedDeployment, *, block: int | None = None, progress: Progress | None = None
    ) -> Dataset:
        """Take a deployment from an index into the embedded engine's memory.

        Args:
            indexed: the deployment.
            block: as of which block; the last that was read where none is named.
            progress: is told the table, and how many of its rows are done.

        Raises:
            IndexTimeError: the index does not know that block.
        """
        source = Source.of(indexed, block)
        return cls.of_tables(source.about, source.tables(progress=progress))

    @classmethod
    def of_tables(cls, about: About, tables: Tables) -> Dataset:
        """Take tables into the embedded engine's memory, in the order of their rows."""
        engine, found = _embedded(), {}
        for table, parts in tables:
            found[table.name] = engine.create_table(table.name, schema=ibis.schema(table.types))
            batches = (batch for part in parts for batch in part.to_batches())
            reader = pa.RecordBatchReader.from_batches(arrow_schema(table), batches)
            engine.con.from_arrow(reader).insert_into(table.name)
        return cls(about, engine, found)

    def copied_to(self, engine: BaseBackend, *, prefix: str = "") -> Dataset:
        """The same data set in tables of another engine, such as PostgreSQL.

        Args:
            engine: an Ibis backend on which tables can be made; none of these names may be there yet.
            prefix: what their names begin with.
        """
        tables = {}
        for name, table in self._tables.items():
            tables[name] = engine.create_table(
                prefix + name, table.to_pyarrow(), schema=ibis.schema(TABLES[name].types)
            )
        return Dataset(self.about, engine, tables)

    def table(self, name: str) -> Expression:
        """A table, with the columns that `medproof.research.columns.TABLES` lists.

        Raises:
            DatasetError: there is none of that name.
        """
        if name not in TABLES:
            raise DatasetError(name, "is no table of the data set", f"Name one of {', '.join(TABLES)}")
        return self._tables[name]

    def rules(self, *, standing: bool) -> Expression:
        """The rules; those that still stand may be all there is to read where `standing`, and are not filtered here."""
        return self._tables.get(_STANDING_RULES, self._tables["rules"]) if standing else self._tables["rules"]

    @property
    def deployment(self) -> str:
        """How the deployment is named: chain id and Authority."""
        return f"{self.chain}-{self.authority}"

    def as_of(self, *, block: int | None = None, at: datetime | None = None, moment: datetime | None = None) -> AsOf:
        """The block as of which to ask, and the moment at which rules are to be in force.

        Args:
            block: a block, its own transactions included.
            at: a time, aware, which stands for the last block that was not later; the last of all where neither is
                named. Beside a block, the moment.
            moment: aware; the block's time, or `at`, where none is given.

        Raises:
            IndexTimeError: the data set ends before or the deployment begins after, or the block's time is not kept,
                since nothing happened in it.
            RuleFieldError: a time has no zone.
        """
        for given in (at, moment):
            if given is not None:
                minute(given)  # refuses a time without a zone
        numbers, times = self._blocks
        asked = at if moment is None else moment
        asked = asked and asked.astimezone(UTC)  # a party's last day is UTC's, as on chain
        if block is not None:
            if not self.first <= block <= self.block.number:
                raise IndexTimeError(block, at, self.block.number)
            place = int(np.searchsorted(numbers, block))
            if asked is None and numbers[place] != block:
                raise IndexTimeError(block, at, self.block.number)
            return AsOf(block, asked or _moment(times[place]))
        if at is None:
            return AsOf(self.block.number, asked or _moment(self.block.time))
        place = int(np.searchsorted(times, math.floor(at.timestamp()), side="right"))
        if at.timestamp() > self.block.time or place == 0:
            raise IndexTimeError(block, at, self.block.number)
        return AsOf(int(numbers[place - 1]), asked or at)

    @cached_property
    def parties(self) -> Parties:
        """Every party that was ever accredited."""
        return Parties(self._rows(self._tables["parties"].order_by("block", "position")).to_pylist())

    @cached_property
    def grantee_numbers(self) -> Mapping[str, int]:
        """The number of each grantee, 0x and lower-case digits, that any rule ever named."""
        kept = self._rows(self._tables["grantees"].select("grantee", "grantee_number"))
        return dict(zip(kept["grantee"].to_pylist(), kept["grantee_number"].to_pylist(), strict=True))

    @cached_property
    def _blocks(self) -> tuple[Numbers, Numbers]:
        """The blocks that are kept, rising, and their times."""
        kept = self._rows(self._tables["blocks"].order_by("block").select("block", "block_time"))
        times = kept["block_time"].cast(pa.timestamp("s", "UTC")).cast(pa.int64())
        return kept["block"].to_numpy(), times.to_numpy()

    def asked(self, key: Hashable, build: Build, values: Mapping[str, Value]) -> int:
        """The answer to a question that is one number.

        Args:
            key: what the question has in common with others whose values alone are different; its SQL is kept for it.
            build: the question, as an expression of its values.
            values: the values.
        """
        if self.engine.name != "duckdb":
            return executed(build, values)
        statement = self._statements.get(key)
        if statement is None:
            statement = self._statements[key] = compiled(self.engine, build, values)
        cursor = getattr(self._own, "cursor", None)  # a connection for each thread
        if cursor is None:
            cursor = self._own.cursor = self.engine.con.cursor()
        with self._reading():
            [[found]] = cursor.execute(statement, values).fetchall()
        return int(found)

    def _rows(self, table: Expression) -> pa.Table:
        with self._reading():
            return table.to_pyarrow()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """A file that is gone or changed since the data set was opened is told so."""
        try:
            yield
        except (duckdb.IOException, duckdb.InvalidInputException) as error:
            rule = f"can no longer be read ({_reason(error)})"
            step = "Open it again; where that fails, write it again from the index"
            raise DatasetError(f"Data set {self.deployment}", rule, step) from None

    def close(self) -> None:
        """Leave the engine."""
        self.engine.disconnect()

    def __enter__(self) -> Dataset:
        """Use it and leave the engine at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the engine."""
        self.close()


def _moment(seconds: Any) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)


def _embedded() -> BaseBackend:
    engine = ibis.duckdb.connect(**_ENGINE)
    engine.raw_sql("SET parquet_metadata_cache = true")
    return engine


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
    name = _manifest_name(_about(manifest))
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


def _choose(root: Path, chain: int | None, authority: str | None) -> dict[str, Any]:
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
        about = _about(said)
        if said["schema"] != schema_hash():
            raise DatasetError(str(place), "has other columns than this MedProof", "Write it again from the index")
        manifest: dict[str, Any] = said
        if place.name != _manifest_name(about):
            raise ValueError(place.name)
        for file in _files(manifest):
            int(file["size"]), str(file["sha256"])
        return manifest
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise DatasetError(str(place), "is no manifest of a data set", "Write it again from the index") from None


def _manifest_name(about: About) -> str:
    return f"{about.chain}-{about.authority}.json"


def _about(manifest: Mapping[str, Any]) -> About:
    block = manifest["block"]
    return About(
        int(manifest["chain"]),
        str(manifest["authority"]),
        int(manifest["first"]),
        BlockHash(int(block["number"]), bytes.fromhex(block["hash"][2:]), int(block["time"])),
        dict(manifest["contracts"]),
    )


def _files(manifest: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every file that a manifest lists, each in its table's folder."""
    for name in TABLES:
        place = _place(name, manifest["chain"], manifest["authority"]).as_posix()
        for file in manifest["tables"][name]["files"]:
            if not re.fullmatch(re.escape(place) + _FILE, file["path"]):
                raise ValueError(file["path"])
            yield file


def _check_file(root: Path, file: Mapping[str, Any], *, whole: bool) -> None:
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


def _parquet(
    backend: BaseBackend,
    root: Path,
    table: Table,
    files: list[dict[str, Any]],
    about: About,
    *,
    name: str | None = None,
) -> Expression:
    """A table of Parquet files; what their folders say comes as columns."""
    parts = []
    for file in files:
        place = str((root / file["path"]).resolve())
        found = _duckdb_view(backend, place) if backend.name == "duckdb" else backend.read_parquet(place)
        fixed: dict[str, Any] = {"chain": about.chain, "authority": about.authority}
        if "standing" in table.types:
            fixed["standing"] = _STANDING in file["path"]
        columns = {one: ibis.literal(value).cast(table.types[one].lstrip("!")) for one, value in fixed.items()}
        parts.append(found.mutate(**columns))
    whole = (ibis.union(*parts) if len(parts) > 1 else parts[0]).select(*table.types)
    if backend.name != "duckdb":
        return whole
    if table.name == "scopes":  # small, and part of every count: DuckDB plans sooner what it has in memory
        backend.raw_sql(f"CREATE TABLE {table.name} AS {backend.compile(whole)}")
        return backend.table(table.name)
    return backend.create_view(name or table.name, whole)


def _duckdb_view(backend: BaseBackend, place: str) -> Expression:
    """A view that all threads' connections see, which Ibis' own would not be."""
    name = f"file_{secrets.token_hex(8)}"
    literal = "".join(f"[{sign}]" if sign in "*?[" else sign for sign in place).replace("'", "''")
    backend.raw_sql(f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{literal}', hive_partitioning = false)")
    return backend.table(name)


def _reason(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]

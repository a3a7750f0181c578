"""The research data set: the public registry as tables that any engine reads, as of one block.

It comes straight from an index, or from a folder of hive-partitioned Parquet::

    rules/chain=1/authority=0x…/standing=true/24000000-1f0c….parquet
    parties/chain=1/authority=0x…/24000000-1f0c….parquet
    _manifests/1-0x….json

Several deployments and chains share a folder. The same block gives the same bytes. A manifest is written last and
removed first: what has none is being written, or whoever wrote it was stopped.
"""

from __future__ import annotations

import math
import secrets
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
from ibis import BaseBackend
from ibis.expr.types import Table as Expression

from medproof.errors import DatasetError, IndexTimeError
from medproof.indexer import IndexedDeployment
from medproof.policy.word import minute
from medproof.research.arrays import Numbers, arrow_schema
from medproof.research.columns import TABLES, Table
from medproof.research.folder import STANDING, about_of, check_file, choose, files_of
from medproof.research.parties import Parties
from medproof.research.source import About, Progress, Source, Tables
from medproof.research.statement import Build, Value, compiled, executed

__all__ = ["AsOf", "Dataset"]

_STANDING_RULES = "standing_rules"
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
        manifest = choose(root, chain, None if authority is None else authority.lower())
        for file in files_of(manifest):
            check_file(root, file, whole=check)
        own = engine is None
        backend = _embedded() if engine is None else engine
        about = about_of(manifest)
        listed = {name: manifest["tables"][name]["files"] for name in TABLES}
        try:
            tables = {name: _parquet(backend, root, table, listed[name], about) for name, table in TABLES.items()}
            still = [file for file in listed["rules"] if STANDING in file["path"]]
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
            fixed["standing"] = STANDING in file["path"]
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

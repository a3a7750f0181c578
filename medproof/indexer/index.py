"""The index: what the suite's contracts said on any number of chains, in one database.

Whatever is read of a chain is written with the block up to which it was read, in one transaction: an index is always
whole, as of that block.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Connection,
    Integer,
    LargeBinary,
    Table,
    and_,
    delete,
    event,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.sql.type_api import TypeEngine

from medproof.deployments import Deployment
from medproof.errors import IndexedChainError, IndexedContractError, IndexedDeploymentError, IndexMovedError
from medproof.indexer import histories, schema
from medproof.indexer.event_codec import codecs
from medproof.indexer.histories import Key, Values
from medproof.store.database import Database

__all__ = ["Batch", "BlockHash", "Index", "IndexedDeployment", "IndexedEvent"]

_CONNECTIONS = 4
_CACHE_KIB = 65_536  # of SQLite's pages; keys fall anywhere in an index of them
_CHECKPOINT_PAGES = 16_384  # in SQLite's log before they are moved into the file
_VARIABLES = 900  # in one statement; older SQLites take 999
_PATIENCE = 30.0  # seconds for another's change


Row = tuple[int, int, int, bytes, str, bytes]  # of the table of events


@dataclass(frozen=True, slots=True)
class BlockHash:
    """A block as the index keeps it."""

    number: int
    hash: bytes
    time: int  # seconds since 1970


@dataclass(frozen=True, slots=True)
class Batch:
    """What a range of blocks holds."""

    first: int  # the first block
    last: BlockHash  # the last
    blocks: Mapping[int, BlockHash]  # those with events
    events: Sequence[Row]  # rows of the table of events, in the chain's order
    rules: list[tuple[Any, ...]]  # of those that write rules: rows of their table, which end nothing yet
    others: Sequence[Row]  # those that write none


@dataclass(frozen=True, slots=True)
class IndexedEvent:
    """One event as the index keeps it."""

    contract: str  # its name, such as "ConsentRegistry"
    block: int
    position: int  # in the block
    transaction: str  # the hash, 0x…
    name: str  # such as "RuleSet"
    arguments: Mapping[str, Any]  # by the contract's names; addresses and bytes as 0x and lower-case digits


class Index:
    """A database of what happened on chains. Several may read it while one process writes."""

    def __init__(self, where: str | os.PathLike[str], *, as_it_is: bool = False) -> None:
        """Open it, or make it.

        Args:
            where: the path of an SQLite file, or a URL: sqlite:///index.db, postgresql://user@host/index.
            as_it_is: change nothing: neither make one, nor bring the tables of an older MedProof up to date.

        Raises:
            StoreError: the database does not answer, is damaged, or is of a newer MedProof; of an older one, or none,
                where it is opened as it is.
            ArgumentError: another kind of database.
        """
        self.database = Database(where, connections=_CONNECTIONS, patience=_PATIENCE, of="index")
        if self.database.is_sqlite:
            event.listen(self.database.engine, "connect", _prepare_sqlite)
        if as_it_is:
            with self.database.reading() as connection:
                schema.check(connection)
        else:
            with self.database.upgrading() as connection:
                schema.upgrade(connection)

    def close(self) -> None:
        """Close it."""
        self.database.close()

    def deployments(self) -> tuple[IndexedDeployment, ...]:
        """All deployments that are kept, as they were added."""
        deployments, contracts = schema.deployments, schema.contracts
        names: dict[int, dict[str, int]] = {}
        with self.database.reading() as connection:
            rows = connection.execute(select(deployments.c.number, deployments.c.chain).order_by(deployments.c.number))
            kept = [(int(number), int(chain)) for number, chain in rows]
            for number, of, name in connection.execute(
                select(contracts.c.number, contracts.c.deployment, contracts.c.name)
            ):
                names.setdefault(int(of), {})[name] = int(number)
        return tuple(IndexedDeployment(self.database, chain, number, names[number]) for number, chain in kept)

    def indexed(self, deployment: Deployment, genesis: bytes) -> IndexedDeployment:
        """The part of the index that keeps one deployment; made where there is none.

        Args:
            deployment: where the contracts stand.
            genesis: the hash of its chain's block 0.

        Raises:
            IndexedChainError: the index keeps another chain of this id.
            IndexedDeploymentError: it keeps this deployment with other contracts.
            IndexedContractError: it has read past the first block of a contract that it does not keep.
        """
        chains, deployments, contracts = schema.chains, schema.deployments, schema.contracts
        places = {name: bytes.fromhex(entry.address[2:]) for name, entry in deployment.contracts.items()}
        with self.database.writing() as connection:
            kept = connection.scalar(select(chains.c.genesis).where(chains.c.chain == deployment.chain_id))
            if kept is None:
                connection.execute(insert(chains).values(chain=deployment.chain_id, genesis=genesis))
            elif bytes(kept) != genesis:
                raise IndexedChainError(deployment.chain_id, bytes(kept), genesis)
            place = and_(deployments.c.chain == deployment.chain_id, deployments.c.authority == places["Authority"])
            number = connection.scalar(select(deployments.c.number).where(place))
            if number is None:
                row = {
                    "chain": deployment.chain_id,
                    "authority": places["Authority"],
                    "first": deployment.first_block,
                    "block": deployment.first_block - 1,
                }
                number = connection.execute(insert(deployments).values(**row)).inserted_primary_key[0]  # type: ignore[index]
                connection.execute(
                    insert(contracts),
                    [{"deployment": number, "name": name, "address": address} for name, address in places.items()],
                )
            rows = connection.execute(
                select(contracts.c.name, contracts.c.address, contracts.c.number).where(
                    contracts.c.deployment == number
                )
            ).all()
            for name, address, _ in rows:
                if places.get(name) != bytes(address):
                    raise IndexedDeploymentError(name, "0x" + bytes(address).hex(), deployment.chain_id)
            numbers = {name: at for name, _, at in rows}
            read = int(connection.scalar(select(deployments.c.block).where(deployments.c.number == number)) or 0)
            for name in places.keys() - numbers.keys():  # a deployment that was gone on with
                if deployment.contracts[name].block <= read:
                    raise IndexedContractError(name, deployment.contracts[name].block, read)
                row = {"deployment": number, "name": name, "address": places[name]}
                numbers[name] = connection.execute(insert(contracts).values(**row)).inserted_primary_key[0]  # type: ignore[index]
            return IndexedDeployment(self.database, deployment.chain_id, int(number), numbers)


class IndexedDeployment:
    """One deployment in an index: how far it was read, and what comes next."""

    def __init__(self, database: Database, chain: int, number: int, contracts: Mapping[str, int]) -> None:
        """See `Index.indexed` and `Index.deployments`."""
        self.chain, self.number, self.contracts = chain, number, contracts
        self.database = database
        self._folds = {  # how events tell histories; rules have a way of their own
            (contracts[history.contract], name): (codecs(history.contract)[name], history)
            for history in histories.HISTORIES
            if history.standing and history.contract in contracts
            for name in history.folds
        }

    # -- where it stands ----------------------------------------------------------------------------------------

    @property
    def authority(self) -> str:
        """The address of its Authority, 0x and lower-case digits: what no other deployment of the chain has."""
        with self.database.reading() as connection:
            return "0x" + bytes(connection.scalar(self._select(schema.deployments.c.authority))).hex()

    @property
    def block(self) -> int:
        """The last block that was read."""
        with self.database.reading() as connection:
            return int(connection.scalar(self._select(schema.deployments.c.block)))

    @property
    def first(self) -> int:
        """The first block that there is to read."""
        with self.database.reading() as connection:
            return int(connection.scalar(self._select(schema.deployments.c.first)))

    @property
    def final(self) -> int | None:
        """The last block that could not be replaced any more when it was read; None where none is known to be."""
        with self.database.reading() as connection:
            found = connection.scalar(self._select(schema.deployments.c.final))
        return None if found is None else int(found)

    def block_hash(self, number: int) -> BlockHash | None:
        """A block that is kept, by its number."""
        with self.database.reading() as connection:
            return self._block(connection, schema.blocks.c.block == number)

    def blocks_before(self, number: int, count: int) -> list[BlockHash]:
        """Blocks that are kept below a number, the newest first."""
        blocks = schema.blocks
        kept = (
            select(blocks.c.block, blocks.c.hash, blocks.c.time)
            .where(blocks.c.chain == self.chain, blocks.c.block < number)
            .order_by(blocks.c.block.desc())
            .limit(count)
        )
        with self.database.reading() as connection:
            return [BlockHash(int(n), bytes(h), int(t)) for n, h, t in connection.execute(kept)]

    def block_after(self, number: int) -> BlockHash | None:
        """The first block that is kept above a number."""
        with self.database.reading() as connection:
            return self._block(connection, schema.blocks.c.block > number)

    def block_at(self, time: int) -> BlockHash | None:
        """The last block that is kept and not later than a time, in seconds since 1970."""
        blocks = schema.blocks
        kept = (
            select(blocks.c.block, blocks.c.hash, blocks.c.time)
            .where(blocks.c.chain == self.chain, blocks.c.time <= time, blocks.c.block <= self.block)
            .order_by(blocks.c.block.desc())
            .limit(1)
        )
        with self.database.reading() as connection:
            found = connection.execute(kept).first()
        return None if found is None else BlockHash(int(found[0]), bytes(found[1]), int(found[2]))

    def roll_backs(self) -> int:
        """How often something of this chain was taken back, as a number that only grows."""
        with self.database.reading() as connection:
            newest = select(func.max(schema.roll_backs.c.number)).where(schema.roll_backs.c.chain == self.chain)
            return int(connection.scalar(newest) or 0)

    def counts(self) -> dict[str, int]:
        """How many events and rows of each history there are of this deployment."""
        found = {}
        with self.database.reading() as connection:
            for name, table in {"events": schema.events, **schema.HISTORIES}.items():
                mine = table.c.contract.in_(tuple(self.contracts.values()))
                found[name] = int(connection.scalar(select(func.count()).select_from(table).where(mine)) or 0)
        return found

    # -- writing ------------------------------------------------------------------------------------------------

    def append(self, batch: Batch, *, final: bool = False) -> None:
        """Write a range and the block up to which all is read now, whole or not at all.

        Args:
            batch: the range.
            final: whether its blocks cannot be replaced any more, as their chain says.

        Raises:
            IndexMovedError: another process has read on, or rolled back, meanwhile.
            StoreError: the database cannot take it.
        """
        with self.database.writing() as connection:
            self._move(connection, batch.first - 1, batch.last.number, final)
            writer = _Writer(connection, self.database.is_sqlite)
            kept = {**batch.blocks, batch.last.number: batch.last}
            writer.insert_missing(
                schema.blocks, [(self.chain, one.number, one.hash, one.time) for one in kept.values()]
            )
            writer.insert(schema.events, batch.events)
            times = {number: one.time for number, one in batch.blocks.items()}
            self._write_rules(writer, batch.rules)
            self._write_histories(connection, writer, batch.others, times)

    def roll_back(self, to: int) -> None:
        """Forget what this chain's blocks above a number said, of all its deployments, whole or not at all."""
        deployments, contracts = schema.deployments, schema.contracts
        with self.database.writing() as connection:
            connection.execute(insert(schema.roll_backs).values(chain=self.chain, block=to))
            for column in (deployments.c.block, deployments.c.final):
                connection.execute(
                    update(deployments).where(deployments.c.chain == self.chain, column > to).values({column.name: to})
                )
            numbers = connection.scalars(
                select(contracts.c.number).join(deployments).where(deployments.c.chain == self.chain)
            ).all()
            for table in (schema.events, *schema.HISTORIES.values()):
                connection.execute(delete(table).where(table.c.contract.in_(numbers), table.c.block > to))
            for table in schema.HISTORIES.values():
                ended = and_(table.c.contract.in_(numbers), table.c.until_block > to)
                connection.execute(update(table).where(ended).values(until_block=None, until_time=None))
            blocks = schema.blocks
            connection.execute(delete(blocks).where(blocks.c.chain == self.chain, blocks.c.block > to))

    def _select(self, column: Any) -> Any:
        return select(column).where(schema.deployments.c.number == self.number)

    def _block(self, connection: Connection, where: Any) -> BlockHash | None:
        blocks = schema.blocks
        found = connection.execute(
            select(blocks.c.block, blocks.c.hash, blocks.c.time)
            .where(blocks.c.chain == self.chain, where)
            .order_by(blocks.c.block)
            .limit(1)
        ).first()
        return None if found is None else BlockHash(int(found[0]), bytes(found[1]), int(found[2]))

    def _move(self, connection: Connection, expected: int, to: int, final: bool) -> None:
        deployments = schema.deployments
        moved = connection.execute(
            update(deployments)
            .where(deployments.c.number == self.number, deployments.c.block == expected)
            .values({"block": to, **({"final": to} if final else {})})
        )
        if moved.rowcount != 1:
            raise IndexMovedError(expected)

    def _write_rules(self, writer: _Writer, rules: list[tuple[Any, ...]]) -> None:
        """Each rule ends the one before it under its key; whether there was one, its word says."""
        table, ended = schema.HISTORIES["rules"], []
        changes = {place for place, row in enumerate(rules) if not histories.is_new_rule(row[-1])}
        if changes:
            newest: dict[Key, int] = {}
            for place, row in enumerate(rules):
                key = row[6:9]
                before = newest.get(key)
                newest[key] = place
                if before is not None:
                    rules[before] = (*rules[before][:4], row[1], row[3], *rules[before][6:])
                elif place in changes:
                    ended.append((row[1], row[3], row[0], *key))
        writer.end(table, ended)
        writer.insert(table, rules)

    def _write_histories(
        self, connection: Connection, writer: _Writer, events: Sequence[Row], times: Mapping[int, int]
    ) -> None:
        tales: dict[str, _Tale] = {}
        for contract, block, position, _, name, said in events:
            found = self._folds.get((contract, name))
            if found is None:
                continue
            codec, history = found
            tale = tales.get(history.table) or _Tale(connection, schema.HISTORIES[history.table])
            tales[history.table] = tale
            arguments = codec.arguments(said)
            key = history.key(arguments)
            standing = None if name in history.starts else tale.standing(contract, key)
            tale.turn(contract, key, history.folds[name](arguments, standing), block, position, times[block])
        for tale in tales.values():
            writer.end(tale.table, tale.ended)
            writer.insert(tale.table, [tuple(row) for row in tale.rows])


@dataclass
class _Tale:
    """What a range adds to one history."""

    connection: Connection
    table: Table
    rows: list[list[Any]] = field(default_factory=list)
    ended: list[tuple[Any, ...]] = field(default_factory=list)
    _open: dict[Key, list[Any] | None] = field(default_factory=dict)  # rows of this range that stand, None for ended
    _kept: dict[Key, Values | None] = field(default_factory=dict)  # what stands in the database

    def standing(self, contract: int, key: Key) -> Values | None:
        """What stands under a key."""
        if key in self._open:
            row = self._open[key]
            return None if row is None else tuple(row[6 + len(key) :])
        if key not in self._kept:
            columns = list(self.table.c)[6:]
            where = [column == value for column, value in zip(columns, key, strict=False)]
            found = self.connection.execute(
                select(*columns[len(key) :]).where(
                    self.table.c.contract == contract, self.table.c.until_block.is_(None), *where
                )
            ).first()
            self._kept[key] = None if found is None else tuple(found)
        return self._kept[key]

    def turn(self, contract: int, key: Key, values: Values | None, block: int, position: int, time: int) -> None:
        """What stands from here on; None for nothing."""
        before = self._open.get(key)
        if before is not None:
            before[4], before[5] = block, time
        elif key not in self._open and self._kept.get(key) is not None:
            self.ended.append((block, time, contract, *key))
        self._open[key] = None
        if values is not None:
            row = [contract, block, position, time, None, None, *key, *values]
            self._open[key] = row
            self.rows.append(row)


class _Writer:
    """Many rows at once, as each database likes them best."""

    def __init__(self, connection: Connection, is_sqlite: bool) -> None:
        self._connection, self._is_sqlite = connection, is_sqlite

    def insert(self, table: Table, rows: Sequence[Sequence[Any]], *, more: str = "") -> None:
        """Insert rows whose values are in the order of the table's columns."""
        columns = list(table.c)
        names = ", ".join(f'"{column.name}"' for column in columns)
        if self._is_sqlite:
            # Many rows in a statement: for each statement Python's lock is let go and taken again.
            many = _VARIABLES // len(columns)
            whole = len(rows) - len(rows) % many
            marks = f"({', '.join('?' * len(columns))})"
            for count, part in ((many, rows[:whole]), (len(rows) - whole, rows[whole:])):
                statement = f"INSERT INTO {table.name} ({names}) VALUES {', '.join([marks] * count)}{more}"
                starts = range(0, len(part), count or 1)
                self._run(statement, [tuple(chain.from_iterable(part[at : at + count])) for at in starts])
        else:
            arrays = ", ".join(f"%s::{_postgres(column.type)}[]" for column in columns)
            self._run(f"INSERT INTO {table.name} ({names}) SELECT * FROM unnest({arrays}){more}", rows)

    def insert_missing(self, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows, but for those that are there; SQLite's grammar needs no WHERE here, since VALUES are given."""
        self.insert(table, rows, more=" ON CONFLICT DO NOTHING")

    def end(self, table: Table, ended: Sequence[Sequence[Any]]) -> None:
        """End what stands: block, time, contract and key of each."""
        keys = [column for column in table.c if column.name in _key_names(table)]
        columns = [table.c.until_block, table.c.until_time, *keys]
        if self._is_sqlite:
            where = " AND ".join(f"{column.name} = ?" for column in keys)
            self._run(
                f"UPDATE {table.name} SET until_block = ?, until_time = ? WHERE {where} AND until_block IS NULL", ended
            )
        else:
            arrays = ", ".join(f"%s::{_postgres(column.type)}[]" for column in columns)
            where = " AND ".join(f"{table.name}.{column.name} = ended.{column.name}" for column in keys)
            self._run(
                f"UPDATE {table.name} SET until_block = ended.until_block, until_time = ended.until_time "
                f"FROM unnest({arrays}) AS ended ({', '.join(column.name for column in columns)}) "
                f"WHERE {where} AND {table.name}.until_block IS NULL",
                ended,
            )

    def _run(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        if not rows:
            return
        if self._is_sqlite:
            self._connection.exec_driver_sql(statement, list(rows))
        else:
            self._connection.exec_driver_sql(statement, tuple(list(column) for column in zip(*rows, strict=True)))


def _prepare_sqlite(connection: Any, _: Any) -> None:
    """Beside what `Database` sets: what a power cut takes from the end of an index, the next update reads again; what
    is on a chain need not be erased; and numbers of contracts are written by one place, which reads them here."""
    for pragma in (
        "synchronous = NORMAL",
        "secure_delete = OFF",
        "foreign_keys = OFF",
        f"cache_size = -{_CACHE_KIB}",
        f"wal_autocheckpoint = {_CHECKPOINT_PAGES}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _key_names(table: Table) -> tuple[str, ...]:
    """The columns that say what a history's row speaks of, its contract first."""
    [index] = [one for one in table.indexes if one.name == f"{table.name}_key"]
    return tuple(column.name for column in index.columns)


def _postgres(kind: TypeEngine[Any]) -> str:
    if isinstance(kind, LargeBinary):
        return "bytea"
    if isinstance(kind, Boolean):
        return "boolean"
    return "bigint" if isinstance(kind, (BigInteger, Integer)) else "text"

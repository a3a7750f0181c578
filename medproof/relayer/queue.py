"""The relayer's durable queue: messages, the batches they ride in and every signed transaction, in one SQLite file.

What is here is on disk before the step after it is taken: a message before its id is returned, a signed transaction
before it is sent. Every change is one database transaction that checks what it builds on, so that several threads and
processes may use one file.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from medproof.chain import transaction_hash
from medproof.errors import QueueError, UnknownMessageError

__all__ = ["Attempt", "Batch", "Entry", "Fate", "Queue", "State"]

_VERSION = 1  # of the tables below
_LOCK_PATIENCE = 30.0  # seconds to wait for another process's change
_END_OF_TIME = 2**63 - 1  # the largest number that SQLite keeps

_TABLES = """
CREATE TABLE owner (chain_id INTEGER NOT NULL, sender TEXT NOT NULL);
CREATE TABLE batches (
    batch INTEGER PRIMARY KEY,
    nonce INTEGER NOT NULL,
    contract TEXT NOT NULL,
    request TEXT NOT NULL,
    state TEXT NOT NULL,
    mined_by TEXT,
    block INTEGER
);
CREATE UNIQUE INDEX nonces ON batches (nonce) WHERE state <> 'lost';
CREATE TABLE attempts (
    hash TEXT PRIMARY KEY,
    batch INTEGER NOT NULL REFERENCES batches,
    raw BLOB NOT NULL,
    fees TEXT NOT NULL,
    signed REAL NOT NULL,
    block INTEGER NOT NULL
);
CREATE INDEX attempts_of ON attempts (batch);
CREATE TABLE messages (
    arrival INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    contract TEXT NOT NULL,
    function TEXT NOT NULL,
    subject TEXT NOT NULL,
    data BLOB NOT NULL,
    deadline INTEGER NOT NULL,
    received REAL NOT NULL,
    share INTEGER NOT NULL,
    state TEXT NOT NULL,
    batch INTEGER REFERENCES batches,
    place INTEGER,
    reason TEXT
);
CREATE INDEX messages_in_state ON messages (state, arrival);
CREATE INDEX messages_of ON messages (subject, state);
CREATE INDEX messages_in ON messages (batch);
"""

# Until its turn is over, the subject's next messages wait: one that was skipped may have to be sent again.
_HOLDING = "(state = 'sent' OR (state = 'mined' AND reason IS NOT NULL))"

_FATES = """
SELECT m.*, b.block AS mined_in, b.state AS batch_state, COALESCE(b.mined_by, (
    SELECT hash FROM attempts a WHERE a.batch = m.batch ORDER BY a.rowid DESC LIMIT 1
)) AS hash FROM messages m LEFT JOIN batches b USING (batch)
"""


class State(StrEnum):
    """How far a message is."""

    QUEUED = "queued"  # waits for its batch
    SENT = "sent"  # in a signed transaction, which is sent again until it is mined
    MINED = "mined"  # in a block; a reorganisation may still put it back to sent
    CONFIRMED = "confirmed"  # took effect, as deep in the chain as was asked for
    REFUSED = "refused"  # by the contract; see the reason
    EXPIRED = "expired"  # its deadline passed first


OPEN = (State.QUEUED, State.SENT, State.MINED)


@dataclass(frozen=True)
class Fate:
    """What became of a message."""

    id: str  # 0x…, the hash of the chain, the contract's address and the call
    contract: str  # the contract's name
    function: str
    subject: str  # in whose name it acts
    state: State
    transaction: str | None  # the hash of the transaction it is or was in, 0x…
    block: int | None  # the number of that transaction's block
    reason: str | None  # why it was refused or skipped
    deadline: int  # seconds since 1970
    received: datetime

    @property
    def final(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state not in OPEN


@dataclass(frozen=True)
class Entry:
    """A queued message, as batches are made of them."""

    id: str
    contract: str
    function: str
    subject: str
    data: bytes  # the call
    deadline: int
    received: float  # seconds since 1970
    share: int  # the largest batch that it may ride in
    arrival: int = 0  # its turn among all messages; the queue gives it


@dataclass(frozen=True)
class Attempt:
    """A signed transaction; later attempts of a batch replace earlier ones, with the same nonce and higher fees."""

    hash: str  # 0x…
    raw: bytes
    fees: Mapping[str, int]  # as in a transaction
    signed: float  # seconds since 1970
    block: int  # the newest one when it was signed


@dataclass(frozen=True)
class Batch:
    """Messages that go in one transaction."""

    number: int
    nonce: int  # of the relayer's account
    contract: str  # the contract's name
    request: Mapping[str, Any]  # the transaction without its fees
    state: str  # "sent", "mined", "settled", or "lost": another transaction took its nonce
    mined_by: str | None  # the hash of the attempt that is in a block
    block: int | None
    attempts: tuple[Attempt, ...]  # oldest first
    messages: tuple[str, ...]  # their ids, by place

    @property
    def latest(self) -> Attempt:
        """The attempt that replaces all before it."""
        return self.attempts[-1]


class Queue:
    """The file."""

    def __init__(self, path: Path, *, chain_id: int, sender: str) -> None:
        """Open a queue, or make one.

        Args:
            path: the file; SQLite keeps two more beside it while it is open.
            chain_id: the chain that it is for.
            sender: the account that it is for.

        Raises:
            QueueError: it is no queue, of another version, or another account's or chain's.
        """
        self.path = path
        self._lock = threading.RLock()
        try:
            path.touch(mode=0o600)  # who sent what when is nobody else's business
            self._database = sqlite3.connect(
                path, timeout=_LOCK_PATIENCE, isolation_level=None, check_same_thread=False
            )
            self._database.row_factory = sqlite3.Row
            try:
                self._prepare(chain_id, sender)
            except BaseException:
                self._database.close()
                raise
        except OSError as error:
            raise QueueError(str(path), "cannot be opened", "Check the path and its permissions") from error
        except sqlite3.Error as error:
            step = "Name another file, or put a copy of it back"
            raise QueueError(str(path), f"cannot be read ({error})", step) from error

    def _prepare(self, chain_id: int, sender: str) -> None:
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.execute("PRAGMA foreign_keys = ON")
        with self._writing() as database:
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if version == 0 and not database.execute("SELECT 1 FROM sqlite_master").fetchone():
                for statement in _TABLES.split(";"):
                    database.execute(statement)
                database.execute("INSERT INTO owner VALUES (?, ?)", (chain_id, sender))
                database.execute(f"PRAGMA user_version = {_VERSION}")
            elif version != _VERSION:
                raise QueueError(
                    str(self.path), f"is none, or of version {version} and not {_VERSION}", "Name another file"
                )
            owner = database.execute("SELECT * FROM owner").fetchone()
        if (owner["chain_id"], owner["sender"]) != (chain_id, sender):
            rule = f"belongs to {owner['sender']} on chain {owner['chain_id']}, not to {sender} on chain {chain_id}"
            raise QueueError(str(self.path), rule, "Use a file for each account and chain")

    def close(self) -> None:
        """Close the file; what is in it stays."""
        with self._lock:
            self._database.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One change, whole or not at all, on disk when it is done."""
        with self._using() as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
            except BaseException:
                database.execute("ROLLBACK")
                raise
            database.execute("COMMIT")

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._database
            except sqlite3.Error as error:
                step = "Check the disk, and that the relayer is not closed; what was stored before is safe"
                raise QueueError(str(self.path), f"cannot be used ({error})", step) from error

    def _rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        with self._using() as database:
            return database.execute(query, values).fetchall()

    # -- messages -----------------------------------------------------------------------------------------------

    def add(self, entry: Entry) -> bool:
        """Queue a message, or queue it again where it was refused or expired; False where it is here already."""
        with self._writing() as database:
            # One that comes again takes its turn anew.
            over = (entry.id, State.REFUSED, State.EXPIRED)
            database.execute("DELETE FROM messages WHERE id = ? AND state IN (?, ?)", over)
            added = database.execute(
                "INSERT INTO messages (id, contract, function, subject, data, deadline, received, share, state)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (
                    entry.id,
                    entry.contract,
                    entry.function,
                    entry.subject,
                    entry.data,
                    min(entry.deadline, _END_OF_TIME),
                    entry.received,
                    entry.share,
                    State.QUEUED,
                ),
            )
            return added.rowcount == 1

    def holds(self, id_: str) -> bool:
        """Whether a message is here, and neither refused nor expired."""
        over = (State.REFUSED, State.EXPIRED)
        return bool(self._rows("SELECT 1 FROM messages WHERE id = ? AND state NOT IN (?, ?)", id_, *over))

    def fate(self, id_: str) -> Fate:
        """What became of a message.

        Raises:
            UnknownMessageError: it was never queued.
        """
        for row in self._rows(f"{_FATES} WHERE m.id = ?", id_):
            return _fate(row)
        raise UnknownMessageError(id_)

    def fates(self, states: Sequence[State]) -> list[Fate]:
        """What became of all messages that are in one of the states, in order of arrival."""
        chosen = json.dumps(list(states))
        return [
            _fate(row)
            for row in self._rows(
                f"{_FATES} WHERE m.state IN (SELECT value FROM json_each(?)) ORDER BY m.arrival", chosen
            )
        ]

    def waiting(self) -> list[Entry]:
        """All messages that are queued, in order of arrival."""
        return [_entry(row) for row in self._rows("SELECT * FROM messages WHERE state = 'queued' ORDER BY arrival")]

    def late(self, now: int) -> list[Entry]:
        """The messages that are queued and whose deadline, in seconds since 1970, has passed."""
        query = "SELECT * FROM messages WHERE state = 'queued' AND deadline < ? ORDER BY arrival"
        return [_entry(row) for row in self._rows(query, now)]

    def open_count(self) -> int:
        """How many messages are not final."""
        states = ", ".join(f"'{state}'" for state in OPEN)
        return int(self._rows(f"SELECT COUNT(*) AS count FROM messages WHERE state IN ({states})")[0]["count"])

    def before(self, subject: str, contract: str) -> list[Entry]:
        """The messages of a subject to a contract that wait or hold others back, in order of arrival."""
        query = f"SELECT * FROM messages WHERE subject = ? AND contract = ? AND (state = 'queued' OR {_HOLDING})"
        return [_entry(row) for row in self._rows(f"{query} ORDER BY arrival", subject, contract)]

    def busy(self) -> set[str]:
        """The subjects whose next messages wait for one that is on its way."""
        return {row["subject"] for row in self._rows(f"SELECT DISTINCT subject FROM messages WHERE {_HOLDING}")}

    def finish(self, state: State, reasons: Mapping[str, str]) -> list[str]:
        """End queued messages, each for its reason; returns those that were still queued."""
        with self._writing() as database:
            return [
                id_
                for id_, reason in reasons.items()
                if database.execute(
                    "UPDATE messages SET state = ?, reason = ? WHERE id = ? AND state = 'queued'", (state, reason, id_)
                ).rowcount
            ]

    # -- batches ------------------------------------------------------------------------------------------------

    def open_batches(self) -> list[Batch]:
        """All batches that are not settled, by nonce."""
        with self._lock:
            rows = self._rows("SELECT * FROM batches WHERE state IN ('sent', 'mined') ORDER BY nonce")
            return [self._batch(row) for row in rows]

    def _batch(self, row: sqlite3.Row) -> Batch:
        number = row["batch"]
        attempts = self._rows("SELECT * FROM attempts WHERE batch = ? ORDER BY rowid", number)
        messages = self._rows("SELECT id FROM messages WHERE batch = ? ORDER BY place", number)
        return Batch(
            number=number,
            nonce=row["nonce"],
            contract=row["contract"],
            request=json.loads(row["request"]),
            state=row["state"],
            mined_by=row["mined_by"],
            block=row["block"],
            attempts=tuple(
                Attempt(one["hash"], one["raw"], json.loads(one["fees"]), one["signed"], one["block"])
                for one in attempts
            ),
            messages=tuple(one["id"] for one in messages),
        )

    def claim(
        self,
        entries: Sequence[Entry],
        request: Mapping[str, Any],
        fees: Mapping[str, int],
        sign: Callable[[dict[str, Any]], bytes],
        *,
        from_nonce: int,
        block: int,
    ) -> Batch | None:
        """Give messages a batch and a signed transaction, before anything is sent.

        Args:
            entries: the messages, in the batch's order.
            request: the transaction without nonce and fees.
            fees: its fees.
            sign: signs the whole.
            from_nonce: the lowest nonce that no transaction of the account has.
            block: the newest one.

        Returns:
            The batch; None where a message is not queued any more, or one of its subject must go before it.
        """
        ids = json.dumps([entry.id for entry in entries])
        with self._writing() as database:
            queued = "SELECT COUNT(*) FROM messages WHERE state = 'queued' AND id IN (SELECT value FROM json_each(?))"
            if database.execute(queued, (ids,)).fetchone()[0] != len(entries):
                return None
            overtaken = (
                "SELECT 1 FROM messages late JOIN"
                f" (SELECT * FROM messages WHERE state = 'queued' OR {_HOLDING}) early"
                " ON early.subject = late.subject AND early.arrival < late.arrival"
                " WHERE late.id IN (SELECT value FROM json_each(?1))"
                " AND early.id NOT IN (SELECT value FROM json_each(?1))"
            )
            if database.execute(overtaken, (ids,)).fetchone():
                return None

            taken = {
                row["nonce"]
                for row in database.execute(
                    "SELECT nonce FROM batches WHERE nonce >= ? AND state <> 'lost'", (from_nonce,)
                )
            }
            nonce = next(number for number in range(from_nonce, from_nonce + len(taken) + 1) if number not in taken)
            whole = {**request, "nonce": nonce}
            number = database.execute(
                "INSERT INTO batches (nonce, contract, request, state) VALUES (?, ?, ?, 'sent')",
                (nonce, entries[0].contract, json.dumps(whole)),
            ).lastrowid
            database.executemany(
                "UPDATE messages SET state = 'sent', batch = ?, place = ?, reason = NULL WHERE id = ?",
                [(number, place, entry.id) for place, entry in enumerate(entries)],
            )
            _keep(database, number, sign({**whole, **fees}), fees, block)
            return self._batch(database.execute("SELECT * FROM batches WHERE batch = ?", (number,)).fetchone())

    def replace(
        self, batch: Batch, fees: Mapping[str, int], sign: Callable[[dict[str, Any]], bytes], block: int
    ) -> Batch:
        """Sign a batch's transaction again with other fees, before it is sent; what another did meanwhile stays."""
        with self._writing() as database:
            stored = self._batch(database.execute("SELECT * FROM batches WHERE batch = ?", (batch.number,)).fetchone())
            if stored.state != "sent" or stored.latest.hash != batch.latest.hash:
                return stored
            _keep(database, batch.number, sign({**batch.request, **fees}), fees, block)
            return self._batch(database.execute("SELECT * FROM batches WHERE batch = ?", (batch.number,)).fetchone())

    def mined(self, batch: Batch, transaction: str, block: int, reasons: Mapping[int, str]) -> None:
        """Note that an attempt is in a block, and why it skipped the messages at some places."""
        with self._writing() as database:
            database.execute(
                "UPDATE batches SET state = 'mined', mined_by = ?, block = ? WHERE batch = ?"
                " AND state IN ('sent', 'mined')",
                (transaction, block, batch.number),
            )
            self._move(database, batch, State.MINED, reasons)

    def unmined(self, batch: Batch) -> None:
        """Note that the block of a batch is gone."""
        with self._writing() as database:
            database.execute(
                "UPDATE batches SET state = 'sent', mined_by = NULL, block = NULL WHERE batch = ? AND state = 'mined'",
                (batch.number,),
            )
            self._move(database, batch, State.SENT, {})

    def settle(self, batch: Batch, ends: Sequence[tuple[State, str | None]], *, share: int) -> None:
        """End a batch for good.

        Args:
            batch: which.
            ends: the last state and the reason of each message, by place; QUEUED has it sent again.
            share: the largest batch in which those may ride that are sent again.
        """
        with self._writing() as database:
            if not _end(database, batch, "settled"):
                return
            for place, (state, reason) in enumerate(ends):
                database.execute(
                    "UPDATE messages SET state = ?, reason = ? WHERE batch = ? AND place = ?",
                    (state, reason, batch.number, place),
                )
            self._requeue(database, batch, share)

    def lose(self, batch: Batch) -> None:
        """Note that another transaction took the nonce of a batch: its messages queue again, in their old order."""
        with self._writing() as database:
            if _end(database, batch, "lost"):
                database.execute("UPDATE messages SET state = 'queued' WHERE batch = ?", (batch.number,))
                self._requeue(database, batch, len(batch.messages))

    @staticmethod
    def _requeue(database: sqlite3.Connection, batch: Batch, share: int) -> None:
        database.execute(
            "UPDATE messages SET batch = NULL, place = NULL, reason = NULL, share = MIN(share, ?)"
            " WHERE batch = ? AND state = 'queued'",
            (share, batch.number),
        )

    @staticmethod
    def _move(database: sqlite3.Connection, batch: Batch, state: State, reasons: Mapping[int, str]) -> None:
        database.executemany(
            "UPDATE messages SET state = ?, reason = ? WHERE batch = ? AND place = ? AND state IN ('sent', 'mined')",
            [(state, reasons.get(place), batch.number, place) for place in range(len(batch.messages))],
        )


def _end(database: sqlite3.Connection, batch: Batch, state: str) -> bool:
    """End a batch; False where another process has done so."""
    ended = database.execute(
        "UPDATE batches SET state = ? WHERE batch = ? AND state IN ('sent', 'mined')", (state, batch.number)
    )
    return ended.rowcount == 1


def _keep(database: sqlite3.Connection, number: int | None, raw: bytes, fees: Mapping[str, int], block: int) -> None:
    database.execute(
        "INSERT INTO attempts VALUES (?, ?, ?, ?, ?, ?)",
        (transaction_hash(raw), number, raw, json.dumps(dict(fees)), time.time(), block),
    )


def _entry(row: sqlite3.Row) -> Entry:
    return Entry(**{name: row[name] for name in Entry.__dataclass_fields__})


def _fate(row: sqlite3.Row) -> Fate:
    return Fate(
        id=row["id"],
        contract=row["contract"],
        function=row["function"],
        subject=row["subject"],
        state=State(row["state"]),
        transaction=row["hash"],
        block=row["mined_in"],
        reason=row["reason"],
        deadline=row["deadline"],
        received=datetime.fromtimestamp(row["received"], UTC),
    )

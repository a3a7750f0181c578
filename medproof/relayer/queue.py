"""The relayer's messages, in the file of the transactions that they ride in.

A message is on disk before its id is returned. That it rides in a transaction is one change of the file, and so is
what becomes of both: several threads and processes may use it.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from medproof.errors import UnknownMessageError
from medproof.sending import Transaction, TransactionStore
from medproof.sending.transaction import Intent

__all__ = ["TABLES", "Batch", "Entry", "Fate", "Outcome", "Queue", "State"]

_END_OF_TIME = 2**63 - 1  # the largest number that SQLite keeps
_KEYS = "relay:"  # how the key of each batch's transaction begins

# A message that is taken is as far as its batch, and has the outcome when that is final. One that is queued again keeps
# the batch that it was in, which is over.
TABLES = (
    """CREATE TABLE messages (
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
        batch TEXT REFERENCES transactions (key),
        place INTEGER,
        outcome TEXT,
        reason TEXT
    )""",
    "CREATE INDEX messages_in_state ON messages (state, arrival)",
    "CREATE INDEX messages_of ON messages (subject, state)",
    "CREATE INDEX messages_in ON messages (batch, place)",
)
_ALL = "messages m LEFT JOIN transactions t ON t.key = m.batch AND m.state <> 'queued'"
_STATE = "CASE m.state WHEN 'taken' THEN t.state ELSE m.state END"
# Until its turn is over, the subject's next messages wait: one that was skipped may have to be sent again.
_HOLDING = "(m.state = 'taken' AND (t.state <> 'mined' OR m.reason IS NOT NULL))"
_AMONG = "IN (SELECT value FROM json_each(?))"
_FATES = f"""
SELECT m.*, {_STATE} AS far, t.block AS mined_in, COALESCE(t.mined_by, (
    SELECT hash FROM attempts a WHERE a.number = t.number ORDER BY a.rowid DESC LIMIT 1
)) AS hash FROM {_ALL}
"""
_COUNTS = f"SELECT {_STATE} AS state, COUNT(*) AS many FROM {_ALL} GROUP BY 1"


class State(StrEnum):
    """How far a message is."""

    QUEUED = "queued"  # waits for its batch, or for the batch to be signed
    SENT = "sent"  # in a signed transaction, which is sent again until it is mined
    MINED = "mined"  # in a block; a reorganisation may still put it back to sent
    CONFIRMED = "confirmed"  # took effect, as deep in the chain as was asked for
    REFUSED = "refused"  # by the contract; see the reason
    EXPIRED = "expired"  # its deadline passed first


OPEN = (State.QUEUED, State.SENT, State.MINED)
Outcome = tuple[State, str | None]
"""What a message ends as, QUEUED where it is sent again, and why if it took no effect."""


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
class Batch:
    """Messages that go in one transaction."""

    transaction: Transaction
    contract: str  # the contract's name
    messages: tuple[str, ...]  # their ids, by place


class Queue:
    """The messages of a file."""

    def __init__(self, store: TransactionStore) -> None:
        """Keep messages beside a manager's transactions; the file has the `TABLES` already."""
        self._store = store

    # -- messages -----------------------------------------------------------------------------------------------

    def add(self, entry: Entry) -> bool:
        """Queue a message, or queue it again where it was refused or expired; False where it is here already."""
        with self._store.writing() as database:
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
        return bool(self._store.rows("SELECT 1 FROM messages WHERE id = ? AND state NOT IN (?, ?)", id_, *over))

    def fate(self, id_: str) -> Fate:
        """What became of a message.

        Raises:
            UnknownMessageError: it was never queued.
        """
        for row in self._store.rows(f"{_FATES} WHERE m.id = ?", id_):
            return _fate(row)
        raise UnknownMessageError(id_)

    def fates(self, states: Sequence[State]) -> list[Fate]:
        """What became of all messages that are in one of the states, in order of arrival."""
        query = f"{_FATES} WHERE {_STATE} {_AMONG} ORDER BY m.arrival"
        return [_fate(row) for row in self._store.rows(query, json.dumps(list(states)))]

    def counts(self) -> dict[State, int]:
        """How many messages are in each state."""
        found = {row["state"]: int(row["many"]) for row in self._store.rows(_COUNTS)}
        return {state: found.get(state, 0) for state in State}

    def oldest_open(self) -> float | None:
        """When the first of those was taken that are not final, in seconds since 1970."""
        oldest = self._store.rows("SELECT MIN(received) FROM messages WHERE state IN ('queued', 'taken')")[0][0]
        return None if oldest is None else float(oldest)

    def waiting(self) -> list[Entry]:
        """All messages that wait for their batch, in order of arrival."""
        return self._entries("SELECT * FROM messages WHERE state = 'queued' ORDER BY arrival")

    def late(self, now: int) -> list[Entry]:
        """Those of them whose deadline, in seconds since 1970, has passed."""
        return self._entries("SELECT * FROM messages WHERE state = 'queued' AND deadline < ? ORDER BY arrival", now)

    def before(self, subject: str, contract: str) -> list[Entry]:
        """The messages of a subject to a contract that wait or hold others back, in order of arrival."""
        held = f"m.subject = ? AND m.contract = ? AND (m.state = 'queued' OR {_HOLDING})"
        return self._entries(f"SELECT m.* FROM {_ALL} WHERE {held} ORDER BY m.arrival", subject, contract)

    def busy(self) -> set[str]:
        """The subjects whose next messages wait for one that is on its way."""
        return {row["subject"] for row in self._store.rows(f"SELECT DISTINCT m.subject FROM {_ALL} WHERE {_HOLDING}")}

    def open_count(self) -> int:
        """How many messages are not final."""
        return int(self._store.rows("SELECT COUNT(*) FROM messages WHERE state IN ('queued', 'taken')")[0][0])

    def finish(self, state: State, reasons: Mapping[str, str]) -> list[str]:
        """End queued messages, each for its reason; returns those that were still queued."""
        with self._store.writing() as database:
            return [
                id_
                for id_, reason in reasons.items()
                if database.execute(
                    "UPDATE messages SET state = ?, reason = ? WHERE id = ? AND state = 'queued'", (state, reason, id_)
                ).rowcount
            ]

    def _entries(self, query: str, *values: Any) -> list[Entry]:
        names = Entry.__dataclass_fields__
        return [Entry(**{name: row[name] for name in names}) for row in self._store.rows(query, *values)]

    # -- batches ------------------------------------------------------------------------------------------------

    def claim(self, entries: Sequence[Entry], intent: Intent) -> str | None:
        """Give messages a batch: queue the transaction that carries them.

        Args:
            entries: the messages, in the batch's order.
            intent: the transaction.

        Returns:
            The key of the transaction; None where a message is not queued any more, or one of its subject must go
            before it.
        """
        ids = json.dumps([entry.id for entry in entries])
        key = f"{_KEYS}{uuid.uuid4().hex}"
        with self._store.writing() as database:
            queued = f"SELECT COUNT(*) FROM messages WHERE state = 'queued' AND id {_AMONG}"
            if database.execute(queued, (ids,)).fetchone()[0] != len(entries):
                return None
            overtaken = (
                "SELECT 1 FROM messages late JOIN"
                f" (SELECT m.* FROM {_ALL} WHERE m.state = 'queued' OR {_HOLDING}) early"
                " ON early.subject = late.subject AND early.arrival < late.arrival"
                " WHERE late.id IN (SELECT value FROM json_each(?1))"
                " AND early.id NOT IN (SELECT value FROM json_each(?1))"
            )
            if database.execute(overtaken, (ids,)).fetchone():
                return None
            self._store.add(database, [(key, intent)], None)
            database.executemany(
                "UPDATE messages SET state = 'taken', batch = ?, place = ?, outcome = NULL, reason = NULL WHERE id = ?",
                [(key, place, entry.id) for place, entry in enumerate(entries)],
            )
        return key

    def in_flight(self) -> int:
        """How many batches are in no block yet."""
        query = f"SELECT COUNT(*) FROM transactions WHERE key GLOB '{_KEYS}*' AND state IN ('queued', 'sent')"
        return int(self._store.rows(query)[0][0])

    def batch(self, key: str) -> Batch | None:
        """A batch, by the key of its transaction; None where that is another's."""
        rows = self._store.rows("SELECT id, contract FROM messages WHERE batch = ? ORDER BY place", key)
        ids = tuple(row["id"] for row in rows)
        return Batch(self._store.transaction(key), rows[0]["contract"], ids) if rows else None

    def batches(self) -> list[Batch]:
        """All that are not final, in the order in which they were made."""
        query = f"SELECT key FROM transactions WHERE key GLOB '{_KEYS}*' AND state {_AMONG} ORDER BY number"
        found = [self.batch(row["key"]) for row in self._store.rows(query, json.dumps(OPEN))]
        return [batch for batch in found if batch is not None]

    # Each of these is part of the change that moves the transaction.

    @staticmethod
    def foresee(database: sqlite3.Connection, batch: Batch, outcomes: Sequence[Outcome]) -> None:
        """Note what becomes of the messages of a batch when its block is deep enough, with the reason, by place."""
        database.executemany(
            "UPDATE messages SET outcome = ?, reason = ? WHERE batch = ? AND place = ?",
            [(state, reason, batch.transaction.key, place) for place, (state, reason) in enumerate(outcomes)],
        )

    @staticmethod
    def reopen(database: sqlite3.Connection, batch: Batch) -> None:
        """Take up again what had ended with a batch, and was not queued again."""
        database.execute(
            "UPDATE messages SET state = 'taken' WHERE batch = ? AND state <> 'queued'", (batch.transaction.key,)
        )

    @staticmethod
    def end(database: sqlite3.Connection, batch: Batch, *, share: int) -> None:
        """End a batch for good; those of its messages that are sent again ride in batches of `share` at most."""
        database.execute(
            "UPDATE messages SET state = outcome, share = IIF(outcome = 'queued', MIN(share, ?), share),"
            " reason = IIF(outcome = 'queued', NULL, reason) WHERE batch = ? AND state = 'taken'",
            (share, batch.transaction.key),
        )


def _fate(row: sqlite3.Row) -> Fate:
    state = State(row["far"])
    return Fate(
        id=row["id"],
        contract=row["contract"],
        function=row["function"],
        subject=row["subject"],
        state=state,
        transaction=row["hash"],
        block=row["mined_in"],
        reason=None if state in (State.QUEUED, State.SENT) else row["reason"],  # of a block that is gone
        deadline=row["deadline"],
        received=datetime.fromtimestamp(row["received"], UTC),
    )

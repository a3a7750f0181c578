"""The file of a queue of transactions: each with its nonce and every signed form, in SQLite.

What is here is on disk before the step after it is taken: a transaction before its key is returned, its signed bytes
before they are sent. Every change checks what it builds on, so that several threads and processes may use one file.
Others may keep tables of their own in the file, and change them in the same `writing`.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from medproof.errors import KeyReusedError, QueueError, UnknownTransactionError
from medproof.sending.schema import TABLES, VERSION, attempt_of, fate_of, transaction_of
from medproof.sending.transaction import Attempt, Fate, Intent, State, Transaction

__all__ = ["TransactionStore", "queue_of"]

_LOCK_PATIENCE = 30.0  # seconds to wait for another process's change

_AMONG = "IN (SELECT value FROM json_each(?))"
_INSERT = (
    "INSERT INTO transactions (key, pinned, account, nonce, recipient, data, value, gas, state, filler, received)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_FATES = """
SELECT t.*, COALESCE(t.mined_by, (
    SELECT hash FROM attempts a WHERE a.number = t.number ORDER BY a.rowid DESC LIMIT 1
)) AS hash FROM transactions t
"""


class TransactionStore:
    """The file."""

    def __init__(self, path: Path, *, chain_id: int, genesis: str, tables: Sequence[str] = ()) -> None:
        """Open a file, or make one.

        Args:
            path: the file; SQLite keeps two more beside it while it is open.
            chain_id: the chain that it is for.
            genesis: the hash of that chain's first block: others have the same number.
            tables: statements that make what others keep in it: who keeps anything else opens another file.

        Raises:
            QueueError: it is no such file, of another version, another chain's, or keeps something else.
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
                self._prepare(chain_id, genesis, tables)
            except BaseException:
                self._database.close()
                raise
        except OSError as error:
            raise QueueError(str(path), "cannot be opened", "Check the path and its permissions") from error
        except sqlite3.Error as error:
            step = "Name another file, or put a copy of it back"
            raise QueueError(str(path), f"cannot be read ({error})", step) from error

    def _prepare(self, chain_id: int, genesis: str, tables: Sequence[str]) -> None:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "fullfsync = ON"):
            self._database.execute(f"PRAGMA {pragma}")
        with self.writing() as database:
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if version == 0 and not database.execute("SELECT 1 FROM sqlite_master").fetchone():
                for statement in (*TABLES, *tables):
                    database.execute(statement)
                database.execute("INSERT INTO chain VALUES (?, ?)", (chain_id, genesis))
                database.execute(f"PRAGMA user_version = {VERSION}")
            elif version != VERSION:
                rule = f"is none, or of version {version} and not {VERSION}"
                raise QueueError(str(self.path), rule, "Name another file")
            of = tuple(database.execute("SELECT chain_id, genesis FROM chain").fetchone())
            if of != (chain_id, genesis):
                rule = f"is for chain {of[0]} from block {of[1]}, not for chain {chain_id} from block {genesis}"
                raise QueueError(str(self.path), rule, "Use a file for each chain")
            if _tables(database) != _tables_of((*TABLES, *tables)):
                # Whoever keeps nothing beside transactions would settle those that others keep something with.
                rule = f"keeps {', '.join(sorted(_tables(database)))}: it is another's, such as a relayer's"
                raise QueueError(str(self.path), rule, "Use a file for each relayer, gatekeeper and manager")

    def close(self) -> None:
        """Close the file; what is in it stays."""
        with self._lock:
            self._database.close()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
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
                step = "Check the disk, and that the queue is not closed; what was stored before is safe"
                raise QueueError(str(self.path), f"cannot be used ({error})", step) from error

    def rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        """What a query finds."""
        with self._using() as database:
            return database.execute(query, values).fetchall()

    # -- what is asked ------------------------------------------------------------------------------------------

    def fate(self, key: str) -> Fate:
        """What became of a transaction.

        Raises:
            UnknownTransactionError: it was never submitted.
        """
        for fate in self.fates([key]):
            return fate
        raise UnknownTransactionError(key)

    def fates(self, keys: Sequence[str]) -> list[Fate]:
        """What became of those that are known, in order of submission."""
        query = f"{_FATES} WHERE t.key {_AMONG} ORDER BY t.number"
        return [fate_of(row) for row in self.rows(query, json.dumps(list(keys)))]

    def fates_in(self, states: Sequence[State]) -> list[Fate]:
        """What became of all that are in one of the states, in order of submission."""
        query = f"{_FATES} WHERE t.state {_AMONG} ORDER BY t.number"
        return [fate_of(row) for row in self.rows(query, json.dumps(list(states)))]

    def unsettled(self, keys: Sequence[str]) -> int:
        """How many of these transactions are not final."""
        query = f"SELECT COUNT(*) FROM transactions WHERE key {_AMONG} AND state IN ('queued', 'sent', 'mined')"
        return int(self.rows(query, json.dumps(list(keys)))[0][0])

    def key_of(self, attempt: str) -> str:
        """The key of the transaction of which this is the hash of an attempt.

        Raises:
            UnknownTransactionError: it was not signed here.
        """
        query = "SELECT key FROM transactions JOIN attempts USING (number) WHERE hash = ?"
        for row in self.rows(query, attempt):
            return str(row["key"])
        raise UnknownTransactionError(attempt)

    def transaction(self, key: str) -> Transaction:
        """A transaction with its attempts.

        Raises:
            UnknownTransactionError: it was never submitted.
        """
        for one in self._transactions("key = ?", key):
            return one
        raise UnknownTransactionError(key)

    def under_way(self, accounts: Sequence[str]) -> list[Transaction]:
        """All that these accounts have signed and that are not final, by account and nonce."""
        where = f"state IN ('sent', 'mined') AND account {_AMONG} ORDER BY account, nonce"
        return self._transactions(where, json.dumps(list(accounts)))

    def others(self, accounts: Sequence[str]) -> list[str]:
        """Who else has something here that is not final, so that none of these accounts can end it."""
        query = (
            "SELECT DISTINCT coalesce(account, pinned) AS whose FROM transactions "
            f"WHERE state IN ('queued', 'sent', 'mined') AND whose IS NOT NULL AND whose NOT {_AMONG} ORDER BY whose"
        )
        return [str(row["whose"]) for row in self.rows(query, json.dumps(list(accounts)))]

    def final_from(self, account: str, nonce: int) -> list[Transaction]:
        """All of an account that are final, from this nonce on."""
        where = "state IN ('confirmed', 'failed', 'refused') AND account = ? AND nonce >= ? ORDER BY nonce"
        return self._transactions(where, account, nonce)

    def counted(self, account: str, mined: int) -> list[Transaction]:
        """What an account has sent with nonces that the chain counts, and that is not noted in a block yet."""
        return self._transactions("state = 'sent' AND account = ? AND nonce < ? ORDER BY nonce", account, mined)

    def final_blocks(self, most: int) -> dict[int, str]:
        """The newest blocks in which something became final, their hashes by their numbers."""
        query = (
            "SELECT DISTINCT block, block_hash FROM transactions"
            " WHERE block IS NOT NULL AND state NOT IN ('sent', 'mined') ORDER BY block DESC LIMIT ?"
        )
        return {row["block"]: row["block_hash"] for row in self.rows(query, most)}

    def final_in(self, blocks: Iterable[int], accounts: Sequence[str]) -> list[Transaction]:
        """What these accounts sent and became final in these blocks."""
        where = f"block {_AMONG} AND state NOT IN ('sent', 'mined') AND account {_AMONG}"
        return self._transactions(where, json.dumps(list(blocks)), json.dumps(list(accounts)))

    def queued(self, pinned: str | None, most: int) -> list[Transaction]:
        """The first that wait for this account, or for any, in order of submission."""
        query = "SELECT * FROM transactions WHERE state = 'queued' AND pinned IS ? ORDER BY number LIMIT ?"
        return [transaction_of(row) for row in self.rows(query, pinned, most)]

    def _transactions(self, where: str, *values: Any) -> list[Transaction]:
        with self._lock:
            rows = self.rows(f"SELECT * FROM transactions WHERE {where}", *values)
            attempts: defaultdict[int, list[Attempt]] = defaultdict(list)
            numbers = json.dumps([row["number"] for row in rows])
            for row in self.rows(f"SELECT * FROM attempts WHERE number {_AMONG} ORDER BY number, rowid", numbers):
                attempts[row["number"]].append(attempt_of(row))
        return [transaction_of(row, attempts[row["number"]]) for row in rows]

    def nonces(self, account: str, lowest: int) -> set[int]:
        """The nonces of an account, from the lowest on, that its transactions have here."""
        query = "SELECT nonce FROM transactions WHERE account = ? AND nonce >= ?"
        return {row["nonce"] for row in self.rows(query, account, lowest)}

    def count(self) -> dict[State, int]:
        """How many transactions are in each state."""
        found = {
            row["state"]: row["many"]
            for row in self.rows("SELECT state, COUNT(*) AS many FROM transactions GROUP BY state")
        }
        return {state: found.get(state, 0) for state in State}

    def oldest_open(self) -> float | None:
        """When the oldest was submitted that is not final, in seconds since 1970."""
        query = "SELECT MIN(received) FROM transactions WHERE state IN ('queued', 'sent', 'mined')"
        found = self.rows(query)[0][0]
        return None if found is None else float(found)

    # -- what changes: each within `writing` --------------------------------------------------------------------

    def add(self, database: sqlite3.Connection, intents: Iterable[tuple[str, Intent]], pinned: str | None) -> None:
        """Queue transactions by their keys; those that are here already stay, and refused ones queue again.

        Raises:
            KeyReusedError: a key stands for another one.
        """
        now = time.time()
        for key, intent in intents:
            content = (pinned, intent.to, intent.data, str(intent.value))
            values = (key, pinned, None, None, *content[1:], intent.gas, State.QUEUED, False, now)
            if database.execute(f"{_INSERT} ON CONFLICT DO NOTHING", values).rowcount:
                continue
            row = database.execute("SELECT * FROM transactions WHERE key = ?", (key,)).fetchone()
            if (row["pinned"], row["recipient"], row["data"], row["value"]) != content or row["filler"]:
                raise KeyReusedError(key)
            if row["state"] == State.REFUSED:  # one that comes again takes its turn anew
                database.execute("DELETE FROM transactions WHERE key = ?", (key,))
                database.execute(_INSERT, values)

    def sign(self, database: sqlite3.Connection, signed: Sequence[tuple[Transaction, str, int, int, Attempt]]) -> bool:
        """Keep queued transactions as signed: each with account, nonce, gas and its first attempt.

        Returns:
            Whether they are kept: none is where another process has taken one of them, or one of the nonces.
        """
        database.execute("SAVEPOINT signing")
        try:
            kept = database.executemany(
                "UPDATE transactions SET state = 'sent', account = ?, nonce = ?, gas = ?, reason = NULL"
                " WHERE number = ? AND state = 'queued'",
                [(account, nonce, gas, transaction.number) for transaction, account, nonce, gas, _ in signed],
            ).rowcount
        except sqlite3.IntegrityError:  # of the nonce
            kept = 0
        if kept < len(signed):
            database.execute("ROLLBACK TO signing")
            return False
        self._keep(database, [(transaction.number, attempt) for transaction, *_, attempt in signed])
        return True

    def fill(
        self, database: sqlite3.Connection, key: str, account: str, nonce: int, gas: int, attempt: Attempt
    ) -> bool:
        """Keep a signed transaction that does nothing but fill a gap in the nonces; False where another fills it."""
        values = (key, account, account, nonce, account, b"", "0", gas)
        try:
            number = database.execute(_INSERT, (*values, State.SENT, True, time.time())).lastrowid
        except sqlite3.IntegrityError:
            return False
        self._keep(database, [(number, attempt)])
        return True

    def replace(self, database: sqlite3.Connection, transaction: Transaction, attempt: Attempt) -> bool:
        """Keep another attempt; False where another process has kept one, or it is not under way any more."""
        query = (
            "SELECT hash FROM attempts JOIN transactions USING (number) WHERE number = ? AND state = 'sent'"
            " ORDER BY attempts.rowid DESC LIMIT 1"
        )
        latest = database.execute(query, (transaction.number,)).fetchone()
        if latest is None or latest["hash"] != transaction.latest.hash:
            return False
        self._keep(database, [(transaction.number, attempt)])
        return True

    @staticmethod
    def _keep(database: sqlite3.Connection, attempts: Iterable[tuple[int | None, Attempt]]) -> None:
        database.executemany(
            "INSERT OR IGNORE INTO attempts VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (one.hash, number, one.raw, json.dumps(dict(one.fees)), one.signed, one.block, one.cancels)
                for number, one in attempts
            ],
        )

    def move(
        self,
        database: sqlite3.Connection,
        transaction: Transaction,
        state: State,
        *,
        came: State | None = None,
        **fields: Any,
    ) -> bool:
        """Put a transaction into another state, with what is known then; False where another process has moved it."""
        names = "".join(f", {name} = ?" for name in fields)
        values = (state, *fields.values(), transaction.number, came or transaction.state)
        return (
            database.execute(
                f"UPDATE transactions SET state = ?{names} WHERE number = ? AND state = ?", values
            ).rowcount
            == 1
        )

    def requeue(self, database: sqlite3.Connection, transaction: Transaction, *, came: State = State.LOST) -> bool:
        """Queue a transaction again that took no effect: none of its attempts can be mined any more."""
        cleared = dict.fromkeys(("account", "nonce", "mined_by", "block", "block_hash", "gas_used", "reason"))
        if came is not State.LOST:
            cleared["gas"] = None  # it may take more by now
        if not self.move(database, transaction, State.QUEUED, came=came, **cleared):
            return False
        database.execute("DELETE FROM attempts WHERE number = ?", (transaction.number,))
        return True

    def note(self, database: sqlite3.Connection, reasons: Mapping[int, str | None]) -> None:
        """Keep why the node does not take transactions, by number; None where it does."""
        database.executemany(
            "UPDATE transactions SET reason = ? WHERE number = ? AND state IN ('queued', 'sent')",
            [(reason, number) for number, reason in reasons.items()],
        )


def _tables(database: sqlite3.Connection) -> set[str]:
    return {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _tables_of(statements: Sequence[str]) -> set[str]:
    """The tables that statements make."""
    with closing(sqlite3.connect(":memory:")) as database:
        for statement in statements:
            database.execute(statement)
        return _tables(database)


def queue_of(file: Path) -> Path:
    """Where the queue is that belongs to a file, such as a record store: beside it."""
    return file.with_name(f"{file.name}.queue")

"""The tables of a queue of transactions, and what their rows stand for."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime

from medproof.sending.transaction import Attempt, Fate, State, Transaction

__all__ = ["TABLES", "VERSION", "attempt_of", "fate_of", "transaction_of"]

VERSION = 2  # of the tables below; 1 had the relayer's batches
TABLES = (
    "CREATE TABLE chain (chain_id INTEGER NOT NULL, genesis TEXT NOT NULL)",
    """CREATE TABLE transactions (
        number INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        pinned TEXT,
        account TEXT,
        nonce INTEGER,
        recipient TEXT,
        data BLOB NOT NULL,
        value TEXT NOT NULL,
        gas INTEGER,
        state TEXT NOT NULL,
        mined_by TEXT,
        block INTEGER,
        block_hash TEXT,
        gas_used INTEGER,
        reason TEXT,
        filler INTEGER NOT NULL,
        received REAL NOT NULL
    )""",
    "CREATE UNIQUE INDEX nonces ON transactions (account, nonce) WHERE nonce IS NOT NULL",
    "CREATE INDEX transactions_in_state ON transactions (state, pinned, number)",
    "CREATE INDEX transactions_by_block ON transactions (block) WHERE block IS NOT NULL",
    """CREATE TABLE attempts (
        hash TEXT PRIMARY KEY,
        number INTEGER NOT NULL REFERENCES transactions ON DELETE CASCADE,
        raw BLOB NOT NULL,
        fees TEXT NOT NULL,
        signed REAL NOT NULL,
        block INTEGER NOT NULL,
        cancels INTEGER NOT NULL
    )""",
    "CREATE INDEX attempts_of ON attempts (number)",
)


def transaction_of(row: sqlite3.Row, attempts: Iterable[Attempt] = ()) -> Transaction:
    """A row of `transactions`, with those of `attempts` that are its."""
    number, key, pinned, account, nonce, to, data, value, gas, state, mined_by, *rest = row
    block, block_hash, gas_used, reason, filler, received = rest
    return Transaction(
        number=number,
        key=key,
        pinned=pinned,
        account=account,
        nonce=nonce,
        to=to,
        data=data,
        value=int(value),
        gas=gas,
        state=State(state),
        mined_by=mined_by,
        block=block,
        block_hash=block_hash,
        gas_used=gas_used,
        reason=reason,
        filler=bool(filler),
        received=received,
        attempts=tuple(attempts),
    )


def attempt_of(row: sqlite3.Row) -> Attempt:
    """A row of `attempts`."""
    return Attempt(row["hash"], row["raw"], json.loads(row["fees"]), row["signed"], row["block"], bool(row["cancels"]))


def fate_of(row: sqlite3.Row) -> Fate:
    """A row of `transactions`, with the hash of the attempt that counts."""
    return Fate(
        key=row["key"],
        account=row["account"] or row["pinned"],
        nonce=row["nonce"],
        state=State(row["state"]),
        transaction=row["hash"],
        block=row["block"],
        gas_used=row["gas_used"],
        reason=row["reason"],
        received=datetime.fromtimestamp(row["received"], UTC),
    )

"""A watcher that writes down what it is told, and what it wrote."""

from __future__ import annotations

from typing import Any

from medproof.sending import State, Transaction, TransactionManager, Watcher


class Diary(Watcher):
    """Writes what it is told into the file's own change."""

    TABLE = "CREATE TABLE IF NOT EXISTS diary (line TEXT)"

    def __init__(self, *, gives_up: bool = False) -> None:
        self.gives_up = gives_up

    def mined(self, database: Any, transaction: Transaction, found: Any) -> None:
        assert found["transactionHash"] == transaction.mined_by
        database.execute("INSERT INTO diary VALUES (?)", (f"mined {found['status']}",))

    def unmined(self, database: Any, transaction: Transaction) -> None:
        database.execute("INSERT INTO diary VALUES ('unmined')")

    def settled(self, database: Any, transaction: Transaction, state: State) -> None:
        database.execute("INSERT INTO diary VALUES (?)", (f"settled {state}",))

    def lost(self, database: Any, transaction: Transaction) -> bool:
        database.execute("INSERT INTO diary VALUES ('lost')")
        return self.gives_up


def diary(manager: TransactionManager) -> list[str]:
    return [row["line"] for row in manager.store.rows("SELECT line FROM diary ORDER BY rowid")]

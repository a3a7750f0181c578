"""What the parts of a manager share: who sends, where it is kept, who is told."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from medproof.chain import Chain, transaction_hash
from medproof.sending.node import Node
from medproof.sending.store import TransactionStore
from medproof.sending.transaction import Attempt, Fate, State, Transaction
from medproof.signing import TransactionSigner

__all__ = ["Watcher", "Work"]


class Watcher:
    """Is told what becomes of transactions within the very change of the file that notes it: what it writes to the
    same database is on disk with it, or neither is. It is told each thing once, whatever crashes."""

    def mined(self, database: sqlite3.Connection, transaction: Transaction, found: Mapping[str, Any]) -> None:
        """One is in a block; `found` is its receipt, as `Chain.find` has it. A reorganisation may undo it."""

    def unmined(self, database: sqlite3.Connection, transaction: Transaction) -> None:
        """Its block is gone; it is sent again."""

    def settled(self, database: sqlite3.Connection, transaction: Transaction, state: State) -> None:
        """It is final: confirmed, failed on the chain, or refused, which never took a place there."""

    def lost(self, database: sqlite3.Connection, transaction: Transaction) -> bool:
        """Another transaction took its nonce. Whether it is given up; it is queued again where not."""
        return False


@dataclass
class Work:
    """The parts."""

    chain: Chain
    node: Node
    store: TransactionStore
    senders: Mapping[str, TransactionSigner]  # by address
    watcher: Watcher | None
    in_flight: int  # the most transactions of an account that are sent and in no block yet
    patience: float  # seconds before one is replaced
    highest_fee: int  # wei, of a unit of gas
    progress: Callable[[Fate], object] | None
    counts: Counter[str] = field(default_factory=Counter)  # what happened since the start

    def sign(
        self,
        call: Mapping[str, Any],
        account: str,
        nonce: int,
        gas: int,
        fees: Mapping[str, int],
        newest: int,
        *,
        cancels: bool = False,
    ) -> Attempt:
        """Sign a transaction; `newest` is the newest block's number."""
        whole = {**call, "chainId": self.chain.chain_id, "nonce": nonce, "gas": gas, **fees}
        raw = self.senders[account].sign_transaction(whole)
        return Attempt(transaction_hash(raw), raw, fees, time.time(), newest, cancels)

    def tell(self, transactions: Iterable[Transaction]) -> None:
        """Call `progress` for what has changed."""
        if self.progress is not None:
            for fate in self.store.fates([one.key for one in transactions if not one.filler]):
                self.progress(fate)

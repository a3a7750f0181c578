"""What becomes of messages, from what becomes of the transaction that they ride in."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from medproof.client import MedProof
from medproof.contract_errors import MessageExpired
from medproof.decoding import decode_error, decode_logs
from medproof.errors import MedProofError, MessageGasError
from medproof.relayer.queue import Batch, Outcome, Queue, State
from medproof.sending import State as Far
from medproof.sending import Transaction, Watcher

__all__ = ["Following", "reason_of"]


class Following(Watcher):
    """Writes it into the change that says it of the transaction."""

    def __init__(self, suite: MedProof, queue: Queue, *, gas_each: int) -> None:
        """For the messages of a queue, each of which may take so much gas."""
        self._suite, self._queue, self._gas_each = suite, queue, gas_each

    def mined(self, database: sqlite3.Connection, transaction: Transaction, found: Mapping[str, Any]) -> None:
        """Note what the block makes of each message."""
        if batch := self._queue.batch(transaction.key):
            self._queue.foresee(database, batch, self._outcomes(batch, found))

    def unmined(self, database: sqlite3.Connection, transaction: Transaction) -> None:
        """Take up again what was final in a block that is gone."""
        if batch := self._queue.batch(transaction.key):
            self._queue.reopen(database, batch)

    def settled(self, database: sqlite3.Connection, transaction: Transaction, state: Far) -> None:
        """End each message as its block said; what was in no block is sent again in halves, down to each alone."""
        if batch := self._queue.batch(transaction.key):
            if state is Far.REFUSED:
                alone = len(batch.messages) == 1
                refused = (State.REFUSED if alone else State.QUEUED, transaction.reason)
                self._queue.foresee(database, batch, [refused] * len(batch.messages))
            share = 1 if state is Far.CONFIRMED else max(len(batch.messages) // 2, 1)
            self._queue.end(database, batch, share=share)

    def _outcomes(self, batch: Batch, found: Mapping[str, Any]) -> Sequence[Outcome]:
        reasons: dict[int, MedProofError] = {}
        if found.get("status") == 0:  # all of it ran out of gas: some call took more than when it was tried
            reasons = {place: MessageGasError(self._gas_each) for place in range(len(batch.messages))}
        else:
            contract = self._suite.client_for(batch.contract).contract
            for event in decode_logs(contract, found["logs"]):
                if event.name == "CallSkipped":
                    reason = reason_of(bytes(event.arguments["reason"]), gas_each=self._gas_each)
                    reasons[int(event.arguments["position"])] = reason
        return [_outcome(batch, reasons.get(place)) for place in range(len(batch.messages))]


def reason_of(data: bytes, *, gas_each: int) -> MedProofError:
    """Why a call failed. One without a reason ran out of gas: the contracts give one for all else."""
    return decode_error(data) if data else MessageGasError(gas_each)


def _outcome(batch: Batch, reason: MedProofError | None) -> Outcome:
    if reason is None:
        return State.CONFIRMED, None
    if isinstance(reason, MessageExpired):
        return State.EXPIRED, str(reason)
    if isinstance(reason, MessageGasError) and len(batch.messages) > 1:
        return State.QUEUED, str(reason)  # it may have been another's fault
    return State.REFUSED, str(reason)

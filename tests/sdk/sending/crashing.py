"""A manager that kills its own process, as `kill -9` does, at a named point."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medproof.chain import Chain
from medproof.sending import Fate, TransactionManager
from medproof.signing import LocalSigner

KEYS = [f"gift {number}" for number in range(5)]
# Unlike those of other tests: Ganache keeps a transaction that it was sent twice, even after its state is put back.
GIFT = {"to": "0x" + "43" * 20, "value": 1, "gas": 21_000}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class CrashingSigner(LocalSigner):
    """Dies around signing: before the transaction is stored."""

    point = ""
    signed = 0

    def sign_transaction(self, transaction: dict[str, Any]) -> bytes:
        if self.point == "before signing":
            die()
        raw = super().sign_transaction(transaction)
        CrashingSigner.signed += 1
        if self.point == "signed, not stored" or (self.point == "some signed" and self.signed == 3):
            die()
        return raw


class CrashingChain(Chain):
    """Dies around sending: after the transactions are stored."""

    point = ""

    def answers(self, questions: Sequence[tuple[str, list[Any]]]) -> list[Mapping[str, Any]]:
        sending = questions[0][0] == "eth_sendRawTransaction"
        if sending and self.point == "stored, not sent":
            die()
        if sending and self.point == "some sent":
            super().answers(questions[:1])
            die()
        said = super().answers(questions)
        if sending and self.point == "sent":
            die()
        return said


def work(url: str, store: Path, key: bytes, point: str) -> None:
    """Submit all and work until nothing is open, or until the point is reached."""
    CrashingChain.point = CrashingSigner.point = point

    def progress(fate: Fate) -> None:
        if fate.state == point:  # such as "confirmed"
            die()

    signer = CrashingSigner.from_key(key)
    manager = TransactionManager(
        CrashingChain.connect(url, poll=0.001), store, [signer], in_flight=3, progress=progress
    )
    manager.submit_many([GIFT] * len(KEYS), keys=KEYS)
    if point == "submitted":
        die()
    manager.wait(KEYS)

"""A relayer that kills its own process, as `kill -9` does, at a named point."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.client.contract import SignedMessage
from medproof.deployments import Deployment
from medproof.relayer import Fate, Relayer
from medproof.signing import LocalSigner


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class CrashingSigner(LocalSigner):
    """Dies around signing: before the transaction is stored."""

    point = ""

    def sign_transaction(self, transaction: dict[str, Any]) -> bytes:
        if self.point == "before signing":
            die()
        raw = super().sign_transaction(transaction)
        if self.point == "signed, not stored":
            die()
        return raw


class CrashingChain(Chain):
    """Dies around sending: after the transaction is stored."""

    point = ""

    def answers(self, questions: Sequence[tuple[str, list[Any]]]) -> list[Mapping[str, Any]]:
        sends = any(method == "eth_sendRawTransaction" for method, _ in questions)
        if sends and self.point == "stored, not sent":
            die()
        said = super().answers(questions)
        if sends and self.point == "sent":
            die()
        return said


def work(url: str, deployment: Deployment, store: Path, key: bytes, point: str, messages: list[SignedMessage]) -> None:
    """Submit all messages and work until nothing is open, or until the point is reached."""
    suite = MedProof(CrashingChain.connect(url, poll=0.001, confirmations=2), deployment)
    CrashingChain.point = CrashingSigner.point = point

    def progress(fate: Fate) -> None:
        if fate.state == point:  # such as "mined"
            die()

    relayer = Relayer(suite, store, CrashingSigner.from_key(key), size=2, progress=progress)
    for message in messages:
        relayer.submit(message)
    while relayer.run_once(flush=True):
        pass

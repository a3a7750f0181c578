"""A relayer that kills its own process, as `kill -9` does, at a named point; run by test_crashes.py.

Arguments: the node's URL, the deployment's manifest, the queue, the sender's key, the point, the messages' file.
"""

from __future__ import annotations

import json
import os
import signal
import sys
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

    def broadcast(self, raw: bytes) -> str:
        if self.point == "stored, not sent":
            die()
        sent = super().broadcast(raw)
        if self.point == "sent":
            die()
        return sent


def main(url: str, manifest: str, store: str, key: str, point: str, messages: str) -> None:
    chain = CrashingChain.connect(url, poll=0.001)
    suite = MedProof(chain, Deployment.load(manifest))
    signer = CrashingSigner.from_key(key)
    CrashingChain.point = CrashingSigner.point = point

    def progress(fate: Fate) -> None:
        if fate.state == point:  # such as "mined"
            die()

    relayer = Relayer(suite, Path(store), signer, size=2, progress=progress)
    for message in json.loads(Path(messages).read_text()):
        relayer.submit(SignedMessage.from_json(message))
    print("submitted", flush=True)
    while relayer.run_once(flush=True):
        pass


if __name__ == "__main__":
    main(*sys.argv[1:])

"""A clearing house that logs and anchors claim events, and kills its own process, as `kill -9` does, at a point."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import event

from medproof.anchoring import Anchorer, LeafLog
from medproof.chain import Chain
from medproof.claims import event_log
from medproof.claims.event_log import ClaimEntry, ClaimEventLog
from medproof.client import MedProof
from medproof.client.batch_anchor import BatchAnchor
from medproof.deployments import Deployment
from medproof.errors import MedProofError
from medproof.signing import LocalSigner

POINTS = ("opened", "writing", "before the commit", "committed", "appended", "settled", "sending", "anchored", "noted")


def die(*_: Any, **__: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def raise_it(error: MedProofError) -> None:
    raise error


def after(kind: Any, name: str) -> None:
    """Die after a method has done its work."""
    method: Callable[..., Any] = getattr(kind, name)

    def then_die(*arguments: Any, **options: Any) -> None:
        method(*arguments, **options)
        die()

    setattr(kind, name, then_die)


def run(url: str, deployment: Deployment, path: Path, key: bytes, entries: Sequence[ClaimEntry], point: str) -> None:
    """Append the entries in two batches, anchor them, and die at the point."""
    suite, signer = MedProof(Chain.connect(url, poll=0.001), deployment), LocalSigner.from_key(key)
    log = ClaimEventLog(path)
    if point == "opened":
        die()
    half = len(entries) // 2
    log.append(entries[:half])
    if point == "writing":
        event_log.ClaimEventLog._written = die  # type: ignore[method-assign]
    elif point == "before the commit":
        event.listen(log.leaves.database.engine, "commit", die)
    elif point == "committed":
        after(LeafLog, "write")
    log.append(entries[half:])
    if point == "appended":
        die()
    log.settle(suite, signer.address)
    if point == "settled":
        die()
    elif point == "sending":
        BatchAnchor.anchor = die  # type: ignore[method-assign]
    elif point == "anchored":
        after(BatchAnchor, "anchor")
    elif point == "noted":
        after(LeafLog, "keep_anchors")
    Anchorer(suite, log.leaves, signer, trouble=raise_it).work()

"""A gatekeeper that takes one batch and kills its own process, as `kill -9` does, at a named point."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from sqlalchemy import event

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.client.batch_anchor import BatchAnchor
from medproof.deployments import Deployment
from medproof.gateway import Gatekeeper, Settings
from medproof.gateway.posting import Poster
from medproof.signing import LocalSigner
from medproof.store import KeyRing, SqlStore

POINTS = (
    "judged",
    "deciding",
    "records put",
    "before the commit",
    "committed",
    "answered",
    "pointers posted",
    "anchored",
)


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def after(kind: Any, name: str) -> None:
    """Die after a method has done its work."""
    method = getattr(kind, name)

    def then_die(*arguments: Any, **options: Any) -> None:
        method(*arguments, **options)
        die()

    setattr(kind, name, then_die)


def take(
    url: str,
    deployment: Deployment,
    path: Path,
    keys: KeyRing,
    settings: Settings,
    key: bytes,
    device: str,
    body: bytes,
    point: str,
) -> None:
    """Take a batch, post and anchor what it brought, and die at the point."""
    from medproof.gateway import readings

    suite = MedProof(Chain.connect(url, poll=0.001), deployment)
    gatekeeper = Gatekeeper(suite, SqlStore(path, keys), settings, sender=LocalSigner.from_key(key))
    assert gatekeeper.readings is not None
    assert gatekeeper.poster is not None
    if point == "judged":
        readings.Readings._store_batch = die  # type: ignore[method-assign,assignment]
    elif point == "deciding":
        SqlStore.put_new = die  # type: ignore[method-assign,assignment]
    elif point == "records put":
        readings.keep_fates = die  # type: ignore[assignment]
    elif point == "before the commit":
        event.listen(gatekeeper.readings.log.database.engine, "commit", die)
    elif point == "committed":
        Poster.add = die  # type: ignore[method-assign]
    elif point == "anchored":
        after(BatchAnchor, "anchor")
    gatekeeper.readings.take(device, body)
    if point == "answered":
        die()
    while gatekeeper.poster.open:
        gatekeeper.poster.work()
    if point == "pointers posted":
        die()
    gatekeeper.readings.anchorer.work()

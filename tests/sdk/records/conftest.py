"""Custodians with their records and the chain: what the gatekeeper's tests have, and posters that work when told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from medproof import hashing
from medproof.client import MedProof
from medproof.client.record_pointers import PointerKey
from medproof.gateway.moment import Head
from medproof.gateway.posting import Poster
from medproof.policy.codes import DataClass
from medproof.sending import TransactionManager
from medproof.signing import LocalSigner
from medproof.store import Entry, Query, SqlStore
from tests.sdk.gateway.conftest import (
    accesses,
    as_caller,
    clock,
    empty_store,
    gatekeeper,
    granted,
    http,
    keep,
    observation,
    post,
    post_all,
    reader,
    settings,
    store,
)
from tests.sdk.store.examples import Sealed

__all__ = [
    "accesses",
    "as_caller",
    "clock",
    "empty_store",
    "gatekeeper",
    "granted",
    "http",
    "keep",
    "post",
    "post_all",
    "reader",
    "settings",
    "store",
]


def put(store: SqlStore, custodian: str, subjects: Sequence[str]) -> list[Entry]:
    """Store a laboratory result of each subject, whose pointer nobody has posted."""
    entries = []
    for number, subject in enumerate(subjects):
        record = observation(id=f"{len(store.search(Query()).entries)}-{number}")
        sealed = hashing.seal(record.content)
        pointer = PointerKey(subject, custodian, sealed.commitment)
        entries.append(Sealed(pointer, record, sealed.salt).put(store, data_class=DataClass.LABORATORY))
    return entries


Post = Callable[..., Poster]


@pytest.fixture
def poster(suite: MedProof, store: SqlStore, clinic: LocalSigner, tmp_path: Path) -> Iterator[Post]:
    """`poster()`: the clinic's poster without a thread: it works when it is told to."""
    opened: list[TransactionManager] = []

    def build(*, size: int = 256, wait: float = 0.0, on: MedProof = suite) -> Poster:
        head = Head(on, finality=1, max_age=None, refresh=0.0, places=store.batches.place)
        opened.append(TransactionManager(on.chain, tmp_path / "records.db.queue", [clinic]))
        return Poster(on, store, head, opened[-1], batch_size=size, batch_wait=wait, trouble=_raise)

    yield build
    for one in opened:
        one.close()


def _raise(error: Exception) -> None:
    raise error

"""Posting the pointers of stored records: every record that was accepted gets its pointer on the chain, once.

Pointers wait for others, to be posted together by one Merkle root: it costs as much as one alone, and nothing shows
whose they are. One that stays alone is posted by itself. The store writes down how a pointer is posted before it is
(`medproof.store.Batches`), and the transaction manager sends it, under the name of what is posted: a pointer's id or a
batch's root. The chain is what counts: what it has not is to be posted, and the contract refuses it twice.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from medproof.client import MedProof
from medproof.client.record_pointers import PointerKey
from medproof.contract_errors import BatchExists, PointerExists
from medproof.errors import ArgumentError, ConfirmationTimeoutError, MedProofError, StoreError
from medproof.gateway.moment import Head
from medproof.sending import TransactionManager, queue_of
from medproof.store import Batch, RecordStore, Single, SqlStore

__all__ = ["Poster", "queue_for"]

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0  # seconds between rounds while something is open
_SETTLING = 30.0  # seconds for which what is sent for good may not be on the chain as of the decisive block
_NEVER = float("-inf")


class Poster:
    """Posts, in a thread of its own, what the store has and the chain has not."""

    def __init__(
        self,
        suite: MedProof,
        store: RecordStore,
        head: Head,
        manager: TransactionManager,
        *,
        batch_size: int,
        batch_wait: float,
        trouble: Callable[[MedProofError], None],
    ) -> None:
        """Post for the custodian that the manager's account acts for.

        Args:
            suite: the suite on the chain.
            store: where the records are.
            head: what stands on the chain.
            manager: sends.
            batch_size: the most pointers of a batch; when so many wait they are posted at once.
            batch_wait: seconds for which a pointer waits for others, at most.
            trouble: told what keeps pointers from being posted; the poster goes on.
        """
        self._suite, self._store, self._head, self._manager, self._trouble = suite, store, head, manager, trouble
        self._size, self._wait = batch_size, batch_wait
        self._waiting: dict[PointerKey, float] = {}  # for others, and since when; the longest first
        self._under_way: dict[Batch | Single, float] = {}  # when it was last seen not to be where it should be
        self._lock = threading.Lock()
        self._wake, self._stop = threading.Event(), threading.Event()
        self._recovered, self._following = False, False
        self._thread: threading.Thread | None = None

    @property
    def open(self) -> int:
        """How many pointers are not on the chain yet, as far as is known."""
        with self._lock:
            return len(self._waiting) + sum(one.size if isinstance(one, Batch) else 1 for one in self._under_way)

    def start(self) -> None:
        """Begin, with what an earlier process left."""
        self._stop.clear()
        self._recovered = False
        self._thread = threading.Thread(target=self._run, name="medproof-poster", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the round under way; what is open stays in store and queue, for the next start."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def add(self, pointer: PointerKey) -> None:
        """Post the pointer of a record that has just been stored."""
        with self._lock:
            self._waiting.setdefault(pointer, time.monotonic())
        self._wake.set()

    def recover(self) -> None:
        """Find what an earlier process left: the records of first versions whose pointers are not on the chain.

        Raises:
            NodeError, StoreError, QueueError: it cannot be found now.
        """
        sender = self._manager.accounts[0]
        party = self._suite.registrar.party(sender)
        origin = party.id if party else sender
        mine, pointers = {"custodian": origin}, self._suite.record_pointers
        alone = {event.arguments["commitment"] for event in pointers.events("PointerPosted", filters=mine)}
        roots = {event.arguments["root"] for event in pointers.events("BatchPosted", filters=mine)}
        self._give(
            one
            for one in self._store.batches.assigned(origin)
            if not (one.root in roots if isinstance(one, Batch) else one.pointer.commitment in alone)
        )
        for single in self._store.batches.unassigned(origin):
            if single.pointer.commitment not in alone:
                self.add(single.pointer)
        self._recovered = self._following = True

    def work(self) -> None:
        """One round: put those that have waited enough in batches, send, and forget what is on the chain for good.

        Raises:
            MedProofError: something is in the way; what is open stays open.
        """
        while due := self._due():
            posting = self._store.batches.assign([pointer.id for pointer in due])
            postings = {posting}
            if posting is None or (posting.size if isinstance(posting, Batch) else 1) < len(due):
                # Another process wrote down how some are posted, and may be gone.
                postings |= {self._store.batches.posting(pointer.id) for pointer in due}
            self._give(one for one in postings if one is not None)
            with self._lock:
                for pointer in due:
                    self._waiting.pop(pointer, None)
        refused: MedProofError | None = None
        if self._under_way or self._following:
            try:
                self._following = self._manager.run_once() > 0
            except MedProofError as error:
                refused = error  # what was sent before it may stand all the same
            self._head.forget()
        for posting, seen in list(self._under_way.items()):
            if self._stop.is_set():
                return
            if self._stands(posting):
                with self._lock:
                    self._under_way.pop(posting, None)
            elif time.monotonic() - seen > _SETTLING:
                refused = refused or self._look(posting)
        if refused is not None:
            raise refused

    def _due(self) -> list[PointerKey]:
        """The pointers of the next batch; none where there is still time."""
        with self._lock:
            longest = next(iter(self._waiting.values()), None)
            if longest is None or (len(self._waiting) < self._size and time.monotonic() - longest < self._wait):
                return []
            return list(islice(self._waiting, self._size))

    def _give(self, postings: Iterable[Batch | Single]) -> None:
        """Have the manager send these; each once, however often it is given."""
        given = list(postings)
        if given:
            self._manager.submit_many([self._request(one) for one in given], keys=[self._key(one) for one in given])
            with self._lock:
                for one in given:
                    self._under_way.setdefault(one, _NEVER)

    def _key(self, posting: Batch | Single) -> str:
        """What its transaction is known by, in this deployment."""
        what = f"batch {posting.root.hex()}" if isinstance(posting, Batch) else f"pointer {posting.pointer.id.hex()}"
        return f"{self._suite.record_pointers.address} {what}"

    def _request(self, posting: Batch | Single) -> dict[str, Any]:
        pointers = self._suite.record_pointers
        if isinstance(posting, Batch):
            return pointers.posting_batch(posting.root, posting.size)
        return pointers.posting(posting.pointer, posting.data_class)

    def _look(self, posting: Batch | Single) -> MedProofError | None:
        """Why the manager has given up what is not on the chain, if it has; it is sent again after a while."""
        key = self._key(posting)
        if not self._manager.status(key).final:
            return None
        first, self._under_way[posting] = self._under_way[posting] == _NEVER, time.monotonic()
        self._following = True
        if not first and self._manager.renew(key):
            return None
        try:
            self._manager.wait([key], timeout=0)
        except (PointerExists, BatchExists, ConfirmationTimeoutError):
            pass  # another process was quicker: the next look shows
        except MedProofError as error:
            return error
        return None

    def _stands(self, posting: Batch | Single) -> bool:
        """Whether it is on the chain as of the decisive block."""
        moment = self._head.now()
        if isinstance(posting, Batch):
            return moment.batch_size(posting.origin, posting.root) is not None
        return moment.pointer(posting.pointer) is not None

    def _run(self) -> None:
        pause = _SHORTEST_PAUSE
        while not self._stop.is_set():
            if self._wake.is_set():
                pause = _SHORTEST_PAUSE
            self._wake.clear()
            try:
                if not self._recovered:
                    self.recover()
                self.work()
            except MedProofError as error:
                if isinstance(error, StoreError):
                    self._recovered = False  # what it did before it failed is to be looked up
                self._trouble(error)
            self._wake.wait(self._pause(pause))
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _pause(self, pause: float) -> float | None:
        """Seconds until the next round; None until somebody wakes it."""
        with self._lock:
            longest = next(iter(self._waiting.values()), None)
            if self._under_way or self._following or not self._recovered:
                return pause
            return None if longest is None else max(longest + self._wait - time.monotonic(), _SHORTEST_PAUSE)


def queue_for(store: RecordStore, named: Path | None) -> Path:
    """The file of a custodian's transactions: as it is named, else beside the store's.

    Raises:
        ArgumentError: none is named, and the store is in no file.
    """
    file = store.database.file if isinstance(store, SqlStore) else None
    if named is not None:
        return named
    if file is None:
        raise ArgumentError(
            "The store is in no file that the queue of transactions could stand beside. Name a file on a local disk: "
            "Settings.queue, or --queue."
        )
    return queue_of(file)

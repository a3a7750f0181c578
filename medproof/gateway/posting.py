"""Posting the pointers of stored records: every record that was accepted gets its pointer on the chain, once.

Pointers wait for others, to be posted together by one Merkle root: it costs as much as one alone, and nothing shows
whose they are. One that stays alone is posted by itself. The store is the durable queue: it writes down how a pointer
is posted before anything is sent (`medproof.store.Batches`), and what it has and the chain has not is to be posted.
What is posted is found by what it is, a pointer by its key and a batch by its root, and the contract refuses it twice:
nothing needs to be kept of what was sent.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import islice

from medproof.chain import Sender
from medproof.client import MedProof
from medproof.client.record_pointers import PointerKey
from medproof.contract_errors import BatchExists, PointerExists
from medproof.errors import ConfirmationTimeoutError, ContractError, MedProofError, StoreError
from medproof.gateway.moment import Head
from medproof.store import Batch, RecordStore, Single

__all__ = ["Poster"]

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0  # seconds between rounds while something is open
_SETTLING = 30.0  # seconds for which what was posted may stay below the decisive block
_NEVER = float("-inf")


class Poster:
    """Posts, in a thread of its own, what the store has and the chain has not."""

    def __init__(
        self,
        suite: MedProof,
        store: RecordStore,
        head: Head,
        sender: Sender,
        *,
        batch_size: int,
        batch_wait: float,
        trouble: Callable[[MedProofError], None],
    ) -> None:
        """Post for the custodian that `sender` acts for.

        Args:
            suite: the suite on the chain.
            store: where the records are.
            head: what stands on the chain.
            sender: the custodian's account.
            batch_size: the most pointers of a batch; when so many wait they are posted at once.
            batch_wait: seconds for which a pointer waits for others, at most.
            trouble: told what went wrong; the poster goes on.
        """
        self._suite, self._store, self._head, self._sender, self._trouble = suite, store, head, sender, trouble
        self._size, self._wait = batch_size, batch_wait
        self._waiting: dict[PointerKey, float] = {}  # for others, and since when; the longest first
        self._under_way: dict[Batch | Single, float] = {}  # when it was sent last
        self._lock = threading.Lock()
        self._wake, self._stop = threading.Event(), threading.Event()
        self._recovered = False
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
        """End after what is under way; what is open stays in the store, for the next start."""
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
            NodeError, StoreError: it cannot be found now.
        """
        party = self._suite.registrar.party(self._sender.address)
        origin = party.id if party else self._sender.address
        mine, pointers = {"custodian": origin}, self._suite.record_pointers
        alone = {event.arguments["commitment"] for event in pointers.events("PointerPosted", filters=mine)}
        roots = {event.arguments["root"] for event in pointers.events("BatchPosted", filters=mine)}
        for posting in self._store.batches.assigned(origin):
            if not (posting.root in roots if isinstance(posting, Batch) else posting.pointer.commitment in alone):
                with self._lock:
                    self._under_way.setdefault(posting, _NEVER)
        for single in self._store.batches.unassigned(origin):
            if single.pointer.commitment not in alone:
                self.add(single.pointer)
        self._recovered = True

    def work(self) -> None:
        """One round: put those that have waited enough in batches, post, and forget what is on the chain for good.

        Raises:
            MedProofError: something is in the way; what is open stays open.
        """
        while due := self._due():
            posting = self._store.batches.assign([pointer.id for pointer in due])
            postings = {posting}
            if posting is None or (posting.size if isinstance(posting, Batch) else 1) < len(due):
                # Another process wrote down how some are posted, and may be gone.
                postings |= {self._store.batches.posting(pointer.id) for pointer in due}
            with self._lock:
                for pointer in due:
                    self._waiting.pop(pointer, None)
                for one in postings:
                    if one is not None:
                        self._under_way.setdefault(one, _NEVER)
        refused: ContractError | None = None
        for posting, sent in list(self._under_way.items()):
            if self._stop.is_set():
                return
            try:
                if time.monotonic() - sent > _SETTLING and not self._stands(posting):
                    self._post(posting)
            except ContractError as error:
                refused = refused or error  # nothing that the others have to wait for
            if self._stands(posting):
                with self._lock:
                    self._under_way.pop(posting, None)
        if refused is not None:
            raise refused

    def _due(self) -> list[PointerKey]:
        """The pointers of the next batch; none where there is still time."""
        with self._lock:
            longest = next(iter(self._waiting.values()), None)
            if longest is None or (len(self._waiting) < self._size and time.monotonic() - longest < self._wait):
                return []
            return list(islice(self._waiting, self._size))

    def _post(self, posting: Batch | Single) -> None:
        pointers = self._suite.record_pointers
        # It came through before and the answer did not, or it is on its way: the next look shows.
        with suppress(PointerExists, BatchExists, ConfirmationTimeoutError):
            if isinstance(posting, Batch):
                pointers.post_batch(posting.root, posting.size, sender=self._sender)
            else:
                key = posting.pointer
                pointers.post(key.subject, posting.data_class, key.commitment, sender=self._sender)
        with self._lock:
            self._under_way[posting] = time.monotonic()
        self._head.forget()

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
            if self._under_way or not self._recovered:
                return pause
            return None if longest is None else max(longest + self._wait - time.monotonic(), _SHORTEST_PAUSE)

"""Posting the pointers of stored records: every record that was accepted gets its pointer on the chain, once.

The store is the durable queue: what is in it and not yet on the chain is to be posted. A pointer is found by what it
points to, so posting it twice is refused by the contract, and nothing needs to be kept of what was sent.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from medproof.chain import Sender
from medproof.client import MedProof
from medproof.client.record_pointers import PointerKey
from medproof.contract_errors import PointerExists
from medproof.errors import ConfirmationTimeoutError, MedProofError
from medproof.gateway.moment import Head
from medproof.policy.codes import DataClass
from medproof.store import MAX_PAGE, Query, RecordStore

__all__ = ["Poster"]

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0  # seconds between rounds while something is open
_SETTLING = 30.0  # seconds for which a pointer that was posted may stay below the decisive block


class Poster:
    """Posts, in a thread of its own, what the store has and the chain has not."""

    def __init__(
        self,
        suite: MedProof,
        store: RecordStore,
        head: Head,
        sender: Sender,
        *,
        trouble: Callable[[MedProofError], None],
    ) -> None:
        """Post for the custodian that `sender` acts for; `trouble` is told what went wrong, and it goes on."""
        self._suite, self._store, self._head, self._sender, self._trouble = suite, store, head, sender, trouble
        self._open: dict[PointerKey, DataClass] = {}
        self._sent: dict[PointerKey, float] = {}
        self._lock = threading.Lock()
        self._wake, self._stop = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def open(self) -> int:
        """How many pointers are not on the chain yet, as far as is known."""
        return len(self._open)

    def start(self) -> None:
        """Begin, with what an earlier process left."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="medproof-poster", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the pointer that is under way; what is open stays in the store, for the next start."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def add(self, pointer: PointerKey, data_class: DataClass) -> None:
        """Post the pointer of a record that has just been stored."""
        with self._lock:
            self._open[pointer] = data_class
        self._wake.set()

    def recover(self) -> None:
        """Find what an earlier process left: the records of first versions whose pointers nobody has posted.

        Raises:
            NodeError, StoreError: it cannot be found now.
        """
        identity = self._identity()
        posted = {
            event.arguments["commitment"]
            for event in self._suite.record_pointers.events("PointerPosted", filters={"custodian": identity})
        }
        cursor: str | None = None
        while True:
            page = self._store.search(Query(), limit=MAX_PAGE, cursor=cursor)
            for entry in page.entries:
                key = entry.pointer
                if entry.version == 1 and key.origin == identity and key.commitment not in posted:
                    self.add(key, entry.data_class)
            cursor = page.cursor
            if cursor is None:
                return

    def work(self) -> None:
        """One round: post what is open, and forget what stands below the decisive block.

        Raises:
            MedProofError: something is in the way; what is open stays open.
        """
        with self._lock:
            todo = list(self._open.items())
        for key, data_class in todo:
            if self._stop.is_set():
                return
            due = time.monotonic() - self._sent.get(key, float("-inf")) > _SETTLING
            if due and self._head.now().pointer(key) is None:
                # It came through before and the answer did not, or it is on its way: the next look shows.
                with suppress(PointerExists, ConfirmationTimeoutError):
                    self._suite.record_pointers.post(key.subject, data_class, key.commitment, sender=self._sender)
                self._sent[key] = time.monotonic()
                self._head.forget()
            if self._head.now().pointer(key) is not None:
                with self._lock:
                    self._open.pop(key, None)
                    self._sent.pop(key, None)

    def _identity(self) -> str:
        party = self._suite.registrar.party(self._sender.address)
        return party.id if party else self._sender.address

    def _run(self) -> None:
        recovered, pause = False, _SHORTEST_PAUSE
        while not self._stop.is_set():
            if self._wake.is_set():
                pause = _SHORTEST_PAUSE
            self._wake.clear()
            try:
                if not recovered:
                    self.recover()
                    recovered = True
                self.work()
            except MedProofError as error:
                self._trouble(error)
            self._wake.wait(pause if self._open or not recovered else None)
            pause = min(2 * pause, _LONGEST_PAUSE)

"""Anchoring a log on chain: a thread that anchors what was appended, and nothing twice.

The chain is what counts. Each round looks at how the chain has the log, compares the root with the log's own, and
anchors only what it lacks. A sender of the transaction manager keeps what was sent, under the size that is anchored:
again, it is the same transaction.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from medproof.anchoring.leaf_log import LeafLog
from medproof.chain import Sender
from medproof.client import MedProof
from medproof.client.batch_anchor import LogState
from medproof.contract_errors import ConsistencyUnproven, LogNotGrown
from medproof.errors import AnchorMismatchError, ConfirmationTimeoutError, ContractError, MedProofError
from medproof.sending import ManagedSender

__all__ = ["Anchorer"]

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.05, 10.0  # seconds between rounds after trouble


class Anchorer:
    """Anchors one log, in a thread of its own.

    >>> anchorer = Anchorer(suite, log, clinic_signer, interval=600, trouble=print)
    >>> anchorer.start()
    """

    def __init__(
        self,
        suite: MedProof,
        log: LeafLog,
        sender: Sender,
        *,
        trouble: Callable[[MedProofError], None],
        interval: float = 600.0,
        consistent: bool = True,
    ) -> None:
        """Anchor a log for the party that `sender` acts for.

        Args:
            suite: where.
            log: what; its number is its number on chain.
            sender: the party's account; of a manager, so that what is sent is kept (`TransactionManager.sender`).
            trouble: told what went wrong; it goes on.
            interval: seconds between batches, where the log grows.
            consistent: whether the chain itself checks that each batch only adds (`anchorConsistent`); else whoever
                wants to know asks for the proof.
        """
        self._suite, self._log, self._sender, self._trouble = suite, log, sender, trouble
        self._interval, self._consistent = interval, consistent
        self.mismatch: AnchorMismatchError | None = None  # at the last look: what is appended cannot be anchored
        self._publisher: str | None = None
        self._sent: int | None = None  # the size that was sent and not seen, which is waited for first
        self._recovered = False
        self._turn = threading.Lock()
        self._wake, self._stop = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def publisher(self) -> str:
        """The identity of the party that the sender acts for.

        Raises:
            NodeError: nobody answers.
        """
        if self._publisher is None:
            party = self._suite.registrar.party(self._sender.address)
            self._publisher = party.id if party else self._sender.address
        return self._publisher

    def behind(self) -> int:
        """How many leaves are not anchored yet, as far as is known."""
        return self._log.size - self._log.anchored()

    def start(self) -> None:
        """Begin, with what an earlier process left."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="medproof-anchorer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Anchor what is left, if the chain takes it now, and end."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def wake(self) -> None:
        """Look now, without waiting for the interval to pass."""
        self._wake.set()

    def recover(self) -> None:
        """Take over from the chain which sizes were anchored, by whichever process.

        Raises:
            AnchorMismatchError: the log does not lead to a root that was anchored; the first one is named.
            NodeError, StoreError: it cannot be found now.
        """
        self._log.refresh()
        sizes = []
        for batch in self._suite.batch_anchor.batches(self.publisher, log=self._log.number):
            self._compare(batch.size, batch.root)
            sizes.append(batch.size)
        if sizes != list(self._log.anchors()):
            self._log.keep_anchors(sizes)
        self._recovered = True

    def work(self) -> None:
        """One round: anchor what was appended since the last one.

        Raises:
            AnchorMismatchError: the chain has another log under this number than this one.
            MedProofError: something is in the way; the next round goes on.
        """
        with self._turn:
            if not self._recovered:
                self.recover()
            self._log.refresh()
            if self._sent is not None:
                self._anchor(self._sent)
            if self._sent is None:
                self._anchor(self._log.size)

    def _anchor(self, size: int) -> None:
        state = self._state()
        at = state.size if state else 0
        if size <= at:
            return
        proof = self._log.consistency_proof(at, size) if self._consistent else None
        by, root, self._sent = self._by(at, size), self._log.root(size), size
        try:
            self._suite.batch_anchor.anchor(self.publisher, size, root, log=self._log.number, proof=proof, sender=by)
        except ConfirmationTimeoutError:
            pass
        except ContractError as error:
            self._sent = None
            # Another process was quicker, or what was sent before came through: the look shows.
            if not isinstance(error, LogNotGrown | ConsistencyUnproven):
                raise
        self._state()

    def _state(self) -> LogState | None:
        """How the chain has the log; noted, if it is this one."""
        state = self._suite.batch_anchor.latest(self.publisher, log=self._log.number)
        at = state.size if state else 0
        if state is not None:
            self._compare(state.size, state.root)
        if at != (known := self._log.anchored()):
            if at < known:  # the chain has reorganised
                self.recover()
            else:
                self._log.keep_anchors([at], above=known)
        if self._sent is not None and self._sent <= at:
            self._sent = None
        return state

    def _compare(self, size: int, root: bytes) -> None:
        if size > self._log.size and size > self._log.refresh():
            raise AnchorMismatchError(self._log.number, size, f"the log has only {self._log.size}")
        if self._log.root(size) != root:
            own = self._log.root(size).hex()
            raise AnchorMismatchError(self._log.number, size, f"the chain has the root 0x{root.hex()}, the log 0x{own}")

    def _by(self, at: int, size: int) -> Sender:
        """Who anchors this size upon that one."""
        if not isinstance(self._sender, ManagedSender):
            return self._sender
        log = f"{self._suite.batch_anchor.address} log {self._log.number} of {self.publisher}"
        return self._sender.under(f"{log} from {at} to {size} by {self._sender.address}")

    def _run(self) -> None:
        pause = _SHORTEST_PAUSE
        while True:
            last = self._stop.is_set()
            self._wake.clear()
            try:
                self.work()
                wait, pause = self._interval, _SHORTEST_PAUSE
                self.mismatch = None
            except MedProofError as error:
                if isinstance(error, AnchorMismatchError):
                    self.mismatch = error
                self._trouble(error)
                wait, pause = min(pause, self._interval), min(2 * pause, _LONGEST_PAUSE)
            if last:
                return
            if not self._stop.is_set():
                self._wake.wait(wait)

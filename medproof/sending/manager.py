"""The transaction manager: takes transactions, sends each once from one of its accounts, and follows it to its end."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from medproof.chain import Chain, Receipt, Sender
from medproof.errors import (
    ArgumentError,
    ConfirmationTimeoutError,
    ExternalSignerError,
    FeesTooHighError,
    MedProofError,
    NodeError,
    SenderFundsError,
    SigningNeededError,
    TransactionFailedError,
    TransactionRefusedError,
)
from medproof.sending.dispatching import Dispatch
from medproof.sending.fees import price, raised
from medproof.sending.following import follow, overdue
from medproof.sending.node import Node, receipt_of
from medproof.sending.sender import ManagedSender
from medproof.sending.store import TransactionStore
from medproof.sending.transaction import Fate, Intent, State
from medproof.sending.work import Watcher, Work
from medproof.signing import TransactionSigner

__all__ = ["TransactionManager", "open_store"]

_LONGEST_KEY = 500  # characters
_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")


def open_store(chain: Chain, path: Path | str, *, tables: Sequence[str] = ()) -> TransactionStore:
    """The file of a queue for a chain; it is made where there is none.

    Args:
        chain: where its transactions go.
        path: the file.
        tables: statements that make what others keep in it: who keeps anything else opens another file.

    Raises:
        QueueError: it cannot be used, or is another chain's.
        NodeError: nobody answers.
    """
    return TransactionStore(Path(path), chain_id=chain.chain_id, genesis=chain.block(0).hash, tables=tables)


class TransactionManager:
    """Sends transactions from one or more accounts, each once, whatever crashes meanwhile.

    A transaction is on disk before `submit` returns, and its signed bytes with their nonce before they are sent.
    Several threads and processes may submit to one file, and several may work it. The accounts should send nothing
    else; where they do, what loses its nonce is queued again.
    """

    def __init__(
        self,
        chain: Chain,
        store: Path | str | TransactionStore,
        senders: Sequence[Sender],
        *,
        in_flight: int = 16,
        patience: float = 60.0,
        highest_fee: int = 500 * 10**9,
        watcher: Watcher | None = None,
        progress: Callable[[Fate], object] | None = None,
    ) -> None:
        """Open a queue.

        Args:
            chain: where transactions go.
            store: the queue's file, for this chain alone, made where there is none; or what `open_store` opened.
            senders: who may send and pay; none for whoever only submits and looks.
            in_flight: the most transactions of an account that are sent and in no block yet. Nodes promise 16 places.
            patience: seconds after which one that is in no block yet is replaced by one with higher fees.
            highest_fee: the most wei that a unit of gas may cost.
            watcher: told within the change of the file what becomes of each.
            progress: called with a transaction's fate whenever it has changed.

        Raises:
            QueueError: the file cannot be used.
            SigningNeededError: a sender cannot sign here, so that nothing of it could be kept before it is sent.
        """
        signers: dict[str, TransactionSigner] = {}
        for sender in senders:
            if not isinstance(sender, TransactionSigner):
                raise SigningNeededError(
                    f"A queue keeps each transaction before it sends it, and {sender} signs none here. "
                    "Give an account with its key, such as LocalSigner.from_keystore."
                )
            signers[sender.address] = sender
        kept = store if isinstance(store, TransactionStore) else open_store(chain, store)
        self.chain, self.store = chain, kept
        self._work = Work(
            chain=chain,
            node=Node(chain),
            store=kept,
            senders=signers,
            watcher=watcher,
            in_flight=in_flight,
            patience=patience,
            highest_fee=highest_fee,
            progress=progress,
        )
        self._turn = threading.Lock()
        self._looked = time.monotonic()  # when the chain was asked last

    def close(self) -> None:
        """Close the file; what is in it stays."""
        self.store.close()

    @property
    def accounts(self) -> tuple[str, ...]:
        """Who may send."""
        return tuple(self._work.senders)

    # -- submitting ---------------------------------------------------------------------------------------------

    def submit(self, request: Mapping[str, Any], *, key: str | None = None, account: str | None = None) -> str:
        """Take a transaction to send, and return its key once it is on disk. The same key again is the same one.

        One that was refused may be submitted again.

        Args:
            request: "to", "data", "value", "gas", as `Chain.send` takes it; gas is estimated where none is given.
            key: the idempotency key: whatever names what is to be done once. A fresh one where none is given.
            account: who must send it; the transactions of one account go in order of submission. Whoever has least to
                do where none is named, in no order.

        Raises:
            KeyReusedError: the key stands for another transaction.
            ArgumentError: it is no transaction, or the account is none of the manager's.
        """
        return self.submit_many([request], keys=None if key is None else [key], account=account)[0]

    def submit_many(
        self, requests: Sequence[Mapping[str, Any]], *, keys: Sequence[str] | None = None, account: str | None = None
    ) -> list[str]:
        """Take several at once, all or none; see `submit`."""
        given = [uuid.uuid4().hex for _ in requests] if keys is None else list(keys)
        if len(given) != len(requests):
            raise ArgumentError(f"There are {len(given)} keys for {len(requests)} transactions. Give one for each.")
        for key in given:
            if not isinstance(key, str) or not 0 < len(key) <= _LONGEST_KEY or "\0" in key:
                raise ArgumentError(
                    f"{key!r} is no key. Give a text of at most {_LONGEST_KEY} characters, none of them NUL."
                )
        if account is not None and self.accounts and account not in self.accounts:
            step = f"It has {', '.join(self.accounts)}."
            raise ArgumentError(f"{account!r} is no account of this manager. {step}")
        intents = [Intent.of(request) for request in requests]
        with self.store.writing() as database:
            self.store.add(database, zip(given, intents, strict=True), account)
        return given

    def renew(self, key: str) -> bool:
        """Send a transaction again that is final and not on the chain as it should be: whether it is open again.

        One that failed or was refused is queued anew. One that is confirmed and in no block any more, by a
        reorganisation deeper than `Chain.confirmations`, is sent as it was.

        Raises:
            UnknownTransactionError: it was never submitted here.
            NodeError: nobody answers.
        """
        one = self.store.transaction(key)
        if one.state is State.CONFIRMED:
            if one.mined_by is None or self._work.node.receipts([one.mined_by]):
                return False
            nowhere = dict.fromkeys(("mined_by", "block", "block_hash", "gas_used"))
            with self.store.writing() as database:
                moved = self.store.move(database, one, State.SENT, **nowhere)
                if moved and self._work.watcher is not None and not one.filler:
                    self._work.watcher.unmined(database, one)
        elif one.state in (State.FAILED, State.REFUSED, State.LOST):
            with self.store.writing() as database:
                moved = self.store.requeue(database, one, came=one.state)
        else:
            return False
        if moved:
            self._work.tell([one])
        return moved

    def sender(self, account: str | None = None, *, key: str | None = None) -> ManagedSender:
        """An account that sends through the queue, for the methods of the clients: `post(…, sender=manager.sender())`.

        Args:
            account: who; the first one where none is named.
            key: the idempotency key of the one transaction that it is for; each has its own where none is given.
        """
        return ManagedSender(self, account or self.accounts[0], key)

    # -- looking ------------------------------------------------------------------------------------------------

    def status(self, key: str) -> Fate:
        """What became of a transaction.

        Raises:
            UnknownTransactionError: it was never submitted here.
        """
        return self.store.fate(key)

    def fates(self, *states: State) -> list[Fate]:
        """What became of all transactions in one of the states, in all where none is given, in order of submission."""
        return self.store.fates_in(states or tuple(State))

    def stuck(self) -> list[Fate]:
        """Those that are in no block in time, and whose fees may not rise further."""
        late = [
            one for one in self.store.under_way(self.accounts) if one.state is State.SENT and overdue(self._work, one)
        ]
        fees = self.chain.fees() if late else {}
        return self.store.fates(
            [one.key for one in late if price(raised(one.latest.fees, fees)) > self._work.highest_fee]
        )

    def counts(self) -> Mapping[str, int]:
        """How many transactions are in each state; and how often one was replaced, sent again or lost its nonce since
        this manager was opened."""
        events: Counter[str] = self._work.counts
        states = {str(state): many for state, many in self.store.count().items() if state is not State.LOST}
        return {**states, **{name: events[name] for name in ("replaced", "resent", "lost")}}

    def oldest_open(self) -> float | None:
        """When the oldest was submitted that is not final, in seconds since 1970."""
        return self.store.oldest_open()

    # -- work ---------------------------------------------------------------------------------------------------

    def run_once(self) -> int:
        """Follow what was sent, and send what waits.

        Returns:
            How many transactions of the file are not final.

        Raises:
            SenderFundsError: an account cannot pay.
            FeesTooHighError: the chain asks for more than may be paid.
            WrongChainError: another chain answers than the queue's.
            NodeError: nobody answers.
            Nothing is lost in any of these: what was begun goes on with the next run.
        """
        with self._turn:
            if self._work.senders and (self._is_open() or time.monotonic() - self._looked >= self._work.patience):
                self._looked = time.monotonic()
                look = self._work.node.look(self.accounts)
                fees = self.chain.fees()
                under_way, missing = follow(self._work, look, fees)
                Dispatch(self._work, look, fees, under_way).run(missing)
            return self._is_open()

    def run(
        self,
        stop: threading.Event,
        *,
        pause: float = 1.0,
        trouble: Callable[[MedProofError], object] = lambda error: None,
    ) -> None:
        """Work until told to stop.

        Args:
            stop: set it to stop after the round under way.
            pause: seconds between rounds.
            trouble: called with what `run_once` raised; the next round tries again.
        """
        while not stop.is_set():
            try:
                self.run_once()
            except MedProofError as error:
                _LOG.warning("round ended early: %s", type(error).__name__)
                trouble(error)
            stop.wait(pause)

    def wait(self, keys: Sequence[str], *, timeout: float | None = None) -> list[Receipt]:
        """Work until these are final, through replacements and reorganisations; a node that fails is asked again.

        Returns:
            Their receipts, in the order of the keys.

        Raises:
            ContractError: the contract refused one, as the exception of its error's name.
            TransactionRefusedError, TransactionFailedError: it is refused, or failed, for another reason.
            ConfirmationTimeoutError: one is not final in time; it stays queued.
            SenderFundsError, FeesTooHighError, ExternalSignerError: one that is not sent yet cannot be now; it stays
                queued. What keeps others back is waited through.
            UnknownTransactionError: it was never submitted here.
            NodeError: they are final, and the node says no more of them in time.
        """
        while True:
            self._until(keys, lambda: not self.store.unsettled(keys), timeout)
            fates = {fate.key: fate for fate in self.store.fates(keys)}
            for key in keys:
                self._require(fates.get(key) or self.store.fate(key))
            hashes = {key: str(fates[key].transaction) for key in keys}
            found = self._insist(lambda hashes=hashes: self._work.node.receipts(list(hashes.values())), timeout)  # type: ignore[misc]
            gone = [key for key in keys if hashes[key] not in found]
            if not gone:
                return [receipt_of(found[hashes[key]]) for key in keys]
            for key in gone:
                self._insist(lambda key=key: self.renew(key), timeout)  # type: ignore[misc]
            time.sleep(self.chain.poll)

    def sent(self, key: str, *, timeout: float | None = None) -> str:
        """Work until a transaction is signed and sent, and return its hash; a replacement will have another.

        Raises:
            As `wait`, but for what happens on the chain.
        """
        self._until([key], lambda: self.status(key).state is not State.QUEUED, timeout)
        fate = self.status(key)
        if fate.state is State.REFUSED:
            self._require(fate)
        return str(fate.transaction)

    def _until(self, keys: Sequence[str], done: Callable[[], bool], timeout: float | None) -> None:
        limit = time.monotonic() + (self.chain.timeout if timeout is None else timeout)
        silence: MedProofError | None = None
        while not done():
            try:
                self.run_once()
            except NodeError as error:
                silence = error
            except (SenderFundsError, FeesTooHighError, ExternalSignerError) as error:
                if self._is_kept_back(keys, error):
                    raise
                silence = error
            if done():
                return
            if time.monotonic() > limit:
                late = [fate for fate in self.store.fates(keys) if not fate.final]
                if not late:
                    return  # another thread or process has ended them just now
                of = late[0].transaction or late[0].key
                raise ConfirmationTimeoutError(of, self.chain.confirmations) from silence
            time.sleep(self.chain.poll)

    def _is_kept_back(self, keys: Sequence[str], error: MedProofError) -> bool:
        """Whether this may keep one of them from being sent. What is sent already is not to be taken for unsent."""
        poor = error.address if isinstance(error, SenderFundsError) else None
        queued = [fate.account for fate in self.store.fates(keys) if fate.state is State.QUEUED]
        return any(poor is None or account in (None, poor) for account in queued)

    def _insist(self, question: Callable[[], _T], timeout: float | None) -> _T:
        """Ask again while the node does not answer: what is final is not to be taken for unsent."""
        limit = time.monotonic() + (self.chain.timeout if timeout is None else timeout)
        while True:
            try:
                return question()
            except NodeError:
                if time.monotonic() > limit:
                    raise
            time.sleep(self.chain.poll)

    def _require(self, fate: Fate) -> None:
        """Raise what kept a transaction from taking effect."""
        if fate.state is State.FAILED:
            with suppress(NodeError):
                self.chain.receipt(str(fate.transaction))
            raise TransactionFailedError(str(fate.transaction), fate.block or 0)
        if fate.state in (State.REFUSED, State.LOST):
            one = self.store.transaction(fate.key)
            if not one.attempts:
                with suppress(NodeError):
                    self.chain.gas({"from": one.pinned or self.accounts[0], **one.call()})
            raise TransactionRefusedError(fate.key, fate.reason or "")

    def _is_open(self) -> int:
        query = "SELECT COUNT(*) FROM transactions WHERE state IN ('queued', 'sent', 'mined')"
        return int(self.store.rows(query)[0][0])

"""The relayer's work: take messages, put them in batches, and have each sent and followed by the manager."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from eth_abi.packed import encode_packed
from eth_utils.crypto import keccak

from medproof.chain import Sender, UnclearAnswerError
from medproof.client import MedProof
from medproof.client.contract import ContractClient, SignedMessage
from medproof.contract_errors import CallFailed, MessageExpired
from medproof.errors import ContractError, MedProofError, NodeError, UnknownRevertError
from medproof.relayer.batch import mix, pick
from medproof.relayer.following import Following, reason_of
from medproof.relayer.queue import TABLES, Batch, Entry, Fate, Queue, State
from medproof.sending import Fate as Sent
from medproof.sending import TransactionManager, open_store
from medproof.sending.transaction import Intent

__all__ = ["MOST_GAS", "Relayer", "error_name"]

MOST_GAS = 1 << 24  # in one transaction, EIP-7825
_BASE_GAS = 30_000  # of a transaction around its calls
_CALL_GAS = 10_000  # around each of them: what it is wrapped in, and what is said of one that failed
_BYTE_GAS = 40  # for each byte of data, at most (EIP-7623)
_LOG = logging.getLogger(__name__)


class Relayer:
    """Sends signed messages in batches that mix subjects, each message once.

    A message is on disk before `submit` returns, and a signed transaction before it is sent; after a crash the very
    same transaction is sent again. Several threads and processes may submit to one queue, and several may work it.
    The account that sends should do nothing else.
    """

    def __init__(
        self,
        suite: MedProof,
        store: Path | str,
        senders: Sender | Sequence[Sender],
        *,
        size: int = 100,
        age: float = 30.0,
        in_flight: int = 4,
        block_share: float = 0.5,
        gas_each: int = 500_000,
        patience: float = 60.0,
        highest_fee: int = 500 * 10**9,
        progress: Callable[[Fate], object] = lambda fate: None,
    ) -> None:
        """Open a queue.

        Args:
            suite: the contracts that the messages are for.
            store: the queue's file, for this chain alone; it is made where there is none.
            senders: who sends and pays: one account, or several that send side by side; none for whoever only
                submits and looks.
            size: how many messages make a batch that is sent at once.
            age: seconds after which a smaller one is sent, too. The longer, the better subjects mix.
            in_flight: the most batches of an account that are in no block yet.
            block_share: the most of a block's gas that a batch may take.
            gas_each: the most gas that one message may take.
            patience: seconds after which a transaction that is in no block yet is replaced by one with higher fees.
            highest_fee: the most wei that a unit of gas may cost.
            progress: called with a message's fate whenever it changes.

        Raises:
            QueueError: the file cannot be used.
            SigningNeededError: a sender cannot sign here, so that no transaction could be kept before it is sent.
        """
        self._suite = suite
        self._chain = suite.chain
        file = open_store(suite.chain, store, tables=TABLES)
        self._queue = Queue(file)
        try:
            self._manager = TransactionManager(
                suite.chain,
                file,
                list(senders) if isinstance(senders, Sequence) else [senders],
                in_flight=in_flight,
                patience=patience,
                highest_fee=highest_fee,
                watcher=Following(suite, self._queue, gas_each=gas_each),
                progress=self._moved,
            )
        except BaseException:
            file.close()
            raise
        self._size = size
        self._age = age
        self._in_flight = in_flight
        self._block_share = block_share
        self._gas_each = gas_each
        self._progress = progress

    def close(self) -> None:
        """Close the queue; what is in it stays."""
        self._manager.close()

    # -- messages -----------------------------------------------------------------------------------------------

    def submit(self, message: SignedMessage) -> str:
        """Take a message to send, and return its id once it is on disk. The same one again changes nothing.

        A message that was refused or expired may be submitted again.

        Raises:
            MessageError: it is for another chain, contract or function, or bears no signature.
            ContractError: the contract would refuse it, as the exception of its error's name: `MessageExpired`,
                `SignatureInvalid`, `SequenceStale`, …
            MessageGasError: it takes more gas than one message may.
            NodeError: nobody answers.
        """
        client = self._suite.client_for(message.contract)
        data = client.call_data(message)
        id_ = (
            "0x"
            + keccak(encode_packed(["uint256", "address", "bytes"], [message.chain_id, client.address, data])).hex()
        )
        if self._queue.holds(id_):
            return id_

        before = self._queue.before(message.subject, client.name)
        refusals = self._refusals(client, [[*(entry.data for entry in before), data]])[0]
        if (refusal := refusals.get(len(before))) is not None:
            raise refusal
        entry = Entry(
            id=id_,
            contract=client.name,
            function=message.function,
            subject=message.subject,
            data=data,
            deadline=message.deadline,
            received=time.time(),
            # A contract wallet answers for itself and may change its mind: what it burns is not to harm others.
            share=1 if self._chain.code(message.subject) else self._size,
        )
        if self._queue.add(entry):
            self._tell([id_])
        return id_

    def status(self, id_: str) -> Fate:
        """What became of a message.

        Raises:
            UnknownMessageError: it was never submitted here.
        """
        return self._queue.fate(id_)

    def fates(self, *states: State) -> list[Fate]:
        """What became of all messages in one of the states, in all where none is given, in order of arrival."""
        return self._queue.fates(states or tuple(State))

    def batches(self) -> list[Batch]:
        """The batches that are not final yet, each with its transaction."""
        return self._queue.batches()

    def stuck(self) -> list[Batch]:
        """The batches that are in no block in time, and whose fees may not rise further."""
        stuck = {fate.key for fate in self._manager.stuck()}
        return [batch for batch in self._queue.batches() if batch.transaction.key in stuck]

    @property
    def accounts(self) -> tuple[str, ...]:
        """Who sends and pays."""
        return self._manager.accounts

    def counts(self) -> Mapping[State, int]:
        """How many messages are in each state."""
        return self._queue.counts()

    def oldest_open(self) -> float | None:
        """When the first of those was taken that are not final, in seconds since 1970."""
        return self._queue.oldest_open()

    def transactions(self) -> Mapping[str, int]:
        """The same of the transactions that carry them, and what befell them (`TransactionManager.counts`)."""
        return self._manager.counts()

    # -- work ---------------------------------------------------------------------------------------------------

    def run_once(self, *, flush: bool = False) -> int:
        """Follow what was sent, and send what is due.

        Args:
            flush: send what waits, however little and young it is.

        Returns:
            How many messages are not final yet.

        Raises:
            SenderFundsError: an account cannot pay.
            FeesTooHighError: the chain asks for more than the relayer may pay.
            NodeError: nobody answers.
            Nothing is lost in any of these: what was begun goes on with the next run.
        """
        self._manager.run_once()
        self._end_late()
        made = False
        while self._make_next(flush):
            made = True
        if made:
            self._manager.run_once()
        return self._queue.open_count()

    def run(
        self,
        stop: threading.Event,
        *,
        pause: float = 1.0,
        report: Callable[[int], object] = lambda left: None,
        trouble: Callable[[MedProofError], object] = lambda error: None,
    ) -> None:
        """Work until told to stop.

        Args:
            stop: set it to stop after the round under way.
            pause: seconds between rounds.
            report: called after each round with how many messages are not final.
            trouble: called with what `run_once` raised; the next round tries again.
        """
        while not stop.is_set():
            try:
                report(self.run_once())
            except MedProofError as error:
                _LOG.warning("round ended early: %s", type(error).__name__)
                trouble(error)
            stop.wait(pause)

    def _end_late(self) -> None:
        now = self._chain.timestamp()
        late = self._queue.late(now)
        self._finish(
            State.EXPIRED, {entry.id: str(MessageExpired(deadline=entry.deadline, timestamp=now)) for entry in late}
        )

    # -- making batches -----------------------------------------------------------------------------------------

    def _make_next(self, flush: bool) -> bool:
        """Make the next batch that is due; whether there may be another."""
        if self._queue.in_flight() >= self._in_flight * len(self._manager.accounts):
            return False
        waiting, busy = self._queue.waiting(), self._queue.busy()
        for contract in dict.fromkeys(entry.contract for entry in waiting):
            picked, full = pick(waiting, contract, busy=busy, size=self._size)
            if picked and (flush or full or time.time() - picked[0].received >= self._age):
                self._make(self._suite.client_for(contract), mix(picked))
                return True
        return False

    def _make(self, client: ContractClient, entries: Sequence[Entry]) -> None:
        if entries := self._sound(client, entries):
            request, entries = self._fitting(client, entries)
            key = self._queue.claim(entries, Intent.of(request))
            if key is not None:  # else another process has taken some of them
                _LOG.info("batch %s: %d messages", key, len(entries))

    def _sound(self, client: ContractClient, entries: Sequence[Entry]) -> list[Entry]:
        """Those that the contract would take now; the others are refused."""
        groups: defaultdict[str, list[Entry]] = defaultdict(list)
        for entry in entries:
            groups[entry.subject].append(entry)
        refused: dict[str, str] = {}
        expired: dict[str, str] = {}
        tried = self._refusals(client, [[entry.data for entry in group] for group in groups.values()])
        for group, refusals in zip(groups.values(), tried, strict=True):
            for place, refusal in refusals.items():
                (expired if isinstance(refusal, MessageExpired) else refused)[group[place].id] = str(refusal)
        self._finish(State.REFUSED, refused)
        self._finish(State.EXPIRED, expired)
        return [entry for entry in entries if entry.id not in refused and entry.id not in expired]

    def _refusals(self, client: ContractClient, groups: Sequence[Sequence[bytes]]) -> list[dict[int, MedProofError]]:
        """Try groups of calls, each in order and one group apart from the others: why which would be refused."""
        refusals: list[dict[int, MedProofError]] = [{} for _ in groups]
        open_groups = list(range(len(groups)))
        while open_groups:
            places = {
                number: [place for place in range(len(groups[number])) if place not in refusals[number]]
                for number in open_groups
            }
            arguments = [([groups[number][place] for place in places[number]], 0) for number in open_groups]
            most = max(self._most_gas(calls) for calls, _ in arguments)  # a hostile wallet burns all it is given
            answers = self._chain.call_each(client.contract, "relay", arguments, gas=most)
            for number, answer in zip(tuple(open_groups), answers, strict=True):
                if answer is None or not places[number]:
                    open_groups.remove(number)
                elif isinstance(answer, CallFailed):
                    failed = places[number][answer.position]
                    refusals[number][failed] = reason_of(answer.reason, gas_each=self._gas_each)
                else:  # not even the first could be tried to its end
                    refusals[number][places[number][0]] = answer
        return refusals

    def _fitting(self, client: ContractClient, entries: Sequence[Entry]) -> tuple[dict[str, Any], Sequence[Entry]]:
        """The transaction for as many of the messages, from the first on, as its gas may be for; the rest wait."""
        bound = min(int(self._chain.gas_limit() * self._block_share), MOST_GAS)
        while True:
            request = self._request(client, entries)
            if len(entries) == 1:
                # Room for all that one message may take: what a wallet burns is bounded, and paid by this batch.
                return {**request, "gas": min(self._most_gas([entries[0].data]), bound)}, entries
            try:
                trial = {**self._request(client, entries, gas_each=0), "from": self._manager.accounts[0]}
                if (gas := self._chain.gas(trial)) <= bound:
                    return {**request, "gas": gas}, entries
            except UnclearAnswerError:
                raise
            except (ContractError, UnknownRevertError, NodeError) as refusal:
                _LOG.info("a batch of %d is tried in halves: %s", len(entries), type(refusal).__name__)
            entries = entries[: len(entries) // 2]

    def _most_gas(self, calls: Sequence[bytes]) -> int:
        """What calls may take at most, in one transaction."""
        each = self._gas_each * 64 // 63 + _CALL_GAS  # a call gets 63 parts of 64
        return min(_BASE_GAS + sum(each + _BYTE_GAS * len(data) for data in calls), MOST_GAS)

    def _request(
        self, client: ContractClient, entries: Sequence[Entry], *, gas_each: int | None = None
    ) -> dict[str, Any]:
        bound = self._gas_each if gas_each is None else gas_each
        data = self._chain.call_data(client.contract, "relay", [[entry.data for entry in entries], bound])
        return {"to": client.address, "data": data}

    # -- telling ------------------------------------------------------------------------------------------------

    def _finish(self, state: State, reasons: Mapping[str, str]) -> None:
        if reasons:
            self._tell(self._queue.finish(state, reasons))

    def _moved(self, transaction: Sent) -> None:
        if batch := self._queue.batch(transaction.key):
            self._tell(batch.messages)

    def _tell(self, ids: Iterable[str]) -> None:
        for id_ in ids:
            fate = self._queue.fate(id_)
            _LOG.info("message %s: %s%s", id_, fate.state, f" ({error_name(fate.reason)})" if fate.reason else "")
            self._progress(fate)


def error_name(reason: str) -> str:
    """The name of an error, for the log, which is to say nothing of whom it is about."""
    return reason.partition("(")[0].partition(" ")[0]

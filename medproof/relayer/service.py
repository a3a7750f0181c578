"""The relayer's work: take messages, send them in batches, follow each until it is final."""

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
from medproof.decoding import decode_error, decode_logs
from medproof.errors import (
    ConfirmationTimeoutError,
    ContractError,
    FeesTooHighError,
    MedProofError,
    MessageGasError,
    NodeError,
    SenderFundsError,
    SigningNeededError,
    UnknownRevertError,
)
from medproof.relayer.batch import mix, pick
from medproof.relayer.queue import Batch, Entry, Fate, Queue, State
from medproof.signing import NodeSigner, TransactionSigner

__all__ = ["MOST_GAS", "Relayer"]

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
        sender: Sender | None,
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
        """Open the queue of an account.

        Args:
            suite: the contracts that the messages are for.
            store: the queue's file, for this account and chain alone; it is made where there is none.
            sender: who sends and pays.
            size: how many messages make a batch that is sent at once.
            age: seconds after which a smaller one is sent, too. The longer, the better subjects mix.
            in_flight: the most batches that are sent and in no block yet.
            block_share: the most of a block's gas that a batch may take.
            gas_each: the most gas that one message may take.
            patience: seconds after which a transaction that is in no block yet is replaced by one with higher fees.
            highest_fee: the most wei that a unit of gas may cost.
            progress: called with a message's fate whenever it changes.

        Raises:
            QueueError: the file cannot be used.
            SigningNeededError: the sender cannot sign here, so that no transaction could be kept before it is sent.
        """
        if sender is None or isinstance(sender, NodeSigner):
            raise SigningNeededError(
                f"The relayer keeps each transaction before it sends it, and {sender} signs none here. "
                "Give an account with its key, such as LocalSigner.from_keystore."
            )
        self._suite = suite
        self._chain = suite.chain
        self._sender: TransactionSigner = sender
        self._queue = Queue(Path(store), chain_id=self._chain.chain_id, sender=sender.address)
        self._size = size
        self._age = age
        self._in_flight = in_flight
        self._block_share = block_share
        self._gas_each = gas_each
        self._patience = patience
        self._highest_fee = highest_fee
        self._progress = progress

    def close(self) -> None:
        """Close the queue; what is in it stays."""
        self._queue.close()

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
        """The batches that are sent and not final yet, with every attempt."""
        return self._queue.open_batches()

    def stuck(self) -> list[Batch]:
        """The batches that are in no block in time, and whose fees may not rise further."""
        overdue = [batch for batch in self._queue.open_batches() if batch.state == "sent" and self._overdue(batch)]
        fees = self._chain.fees() if overdue else {}
        return [batch for batch in overdue if _price(_raised(batch.latest.fees, fees)) > self._highest_fee]

    # -- work ---------------------------------------------------------------------------------------------------

    def run_once(self, *, flush: bool = False) -> int:
        """Follow what was sent, and send what is due.

        Args:
            flush: send what waits, however little and young it is.

        Returns:
            How many messages are not final yet.

        Raises:
            SenderFundsError: the account cannot pay.
            FeesTooHighError: the chain asks for more than the relayer may pay.
            NodeError: nobody answers.
            Nothing is lost in any of these: what was begun goes on with the next run.
        """
        self._follow()
        self._expire()
        while self._send_next(flush):
            pass
        return self._queue.open_count()

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
            except (NodeError, SenderFundsError, FeesTooHighError) as error:
                _LOG.warning("round ended early: %s", type(error).__name__)
                trouble(error)
            stop.wait(pause)

    # -- following ----------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        batches = self._queue.open_batches()
        if not batches:
            return
        # The newest block and the nonce first: what is read after them is as new, or newer.
        newest = self._chain.block_number()
        deep = max(newest - self._chain.confirmations + 1, 0)
        settled_nonce = self._chain.transaction_count(self._sender.address, block=deep)
        first = True  # the others wait for the first that is in no block: paying more for them changes nothing
        for batch in batches:
            found = self._find(batch)
            if found is not None:
                self._mined(batch, found, final=newest - found["blockNumber"] + 1 >= self._chain.confirmations)
            elif batch.state == "mined":
                _LOG.warning("batch %d: its block is gone, sent again", batch.number)
                self._queue.unmined(batch)
                self._tell(batch.messages)
                self._broadcast(batch)
            elif settled_nonce > batch.nonce and not any(self._chain.knows(one.hash) for one in batch.attempts):
                _LOG.warning("batch %d: another transaction took nonce %d", batch.number, batch.nonce)
                self._queue.lose(batch)
                self._tell(batch.messages)
            else:
                if not (first and self._overdue(batch) and newest > batch.latest.block and self._raise(batch, newest)):
                    self._remind(batch)
                first = False

    def _find(self, batch: Batch) -> Mapping[str, Any] | None:
        for attempt in reversed(batch.attempts):
            if (found := self._chain.find(attempt.hash)) is not None:
                return {**found, "hash": attempt.hash}
        return None

    def _mined(self, batch: Batch, found: Mapping[str, Any], *, final: bool) -> None:
        reasons = self._reasons(batch, found)
        if (batch.state, batch.mined_by, batch.block) != ("mined", found["hash"], found["blockNumber"]):
            self._queue.mined(batch, found["hash"], found["blockNumber"], {p: str(e) for p, e in reasons.items()})
            self._tell(batch.messages)
        if final:
            ends = [self._end(batch, reasons.get(place)) for place in range(len(batch.messages))]
            failed = found.get("status") == 0
            self._queue.settle(batch, ends, share=max(len(batch.messages) // 2, 1) if failed else 1)
            self._tell(batch.messages)

    def _reasons(self, batch: Batch, found: Mapping[str, Any]) -> dict[int, MedProofError]:
        """Why messages of a batch in a block took no effect, by place."""
        if found.get("status") == 0:  # all of it ran out of gas: some call took more than when it was tried
            return {place: MessageGasError(self._gas_each) for place in range(len(batch.messages))}
        contract = self._suite.client_for(batch.contract).contract
        return {
            int(event.arguments["position"]): self._reason(bytes(event.arguments["reason"]))
            for event in decode_logs(contract, found["logs"])
            if event.name == "CallSkipped"
        }

    def _end(self, batch: Batch, reason: MedProofError | None) -> tuple[State, str | None]:
        if reason is None:
            return State.CONFIRMED, None
        if isinstance(reason, MessageExpired):
            return State.EXPIRED, str(reason)
        if isinstance(reason, MessageGasError) and len(batch.messages) > 1:
            return State.QUEUED, None  # it may have been another's fault
        return State.REFUSED, str(reason)

    def _reason(self, data: bytes) -> MedProofError:
        """Why a call failed. One without a reason ran out of gas: the contracts give one for all else."""
        return decode_error(data) if data else MessageGasError(self._gas_each)

    def _raise(self, batch: Batch, newest: int) -> bool:
        """Replace a transaction by one with higher fees; False where they may not rise further."""
        fees = _raised(batch.latest.fees, self._chain.fees())
        if _price(fees) > self._highest_fee:
            _LOG.warning("batch %d: stuck, the fees may not rise further", batch.number)
            return False
        self._require_funds(batch.request["gas"] * _price(fees))
        batch = self._queue.replace(batch, fees, self._sender.sign_transaction, newest)
        _LOG.info("batch %d: attempt %d, %s", batch.number, len(batch.attempts), batch.latest.hash)
        self._tell(batch.messages)
        self._broadcast(batch)
        return True

    def _remind(self, batch: Batch) -> None:
        """See that the node has a transaction."""
        if not self._chain.knows(batch.latest.hash):
            self._broadcast(batch)

    def _overdue(self, batch: Batch) -> bool:
        return time.time() - batch.latest.signed >= self._patience

    def _expire(self) -> None:
        now = self._chain.timestamp()
        late = self._queue.late(now)
        self._finish(
            State.EXPIRED, {entry.id: str(MessageExpired(deadline=entry.deadline, timestamp=now)) for entry in late}
        )

    # -- sending ------------------------------------------------------------------------------------------------

    def _send_next(self, flush: bool) -> bool:
        """Send the next batch that is due; whether there may be another."""
        if sum(batch.state == "sent" for batch in self._queue.open_batches()) >= self._in_flight:
            return False
        waiting, busy = self._queue.waiting(), self._queue.busy()
        for contract in dict.fromkeys(entry.contract for entry in waiting):
            picked, full = pick(waiting, contract, busy=busy, size=self._size)
            if picked and (flush or full or time.time() - picked[0].received >= self._age):
                return self._send(self._suite.client_for(contract), mix(picked))
        return False

    def _send(self, client: ContractClient, entries: Sequence[Entry]) -> bool:
        entries = self._sound(client, entries)
        if not entries:
            return True
        request, entries = self._fitting(client, entries)
        fees = self._chain.fees()
        if _price(fees) > self._highest_fee:
            raise FeesTooHighError(_price(fees), self._highest_fee)
        self._require_funds(request["gas"] * _price(fees))
        batch = self._queue.claim(
            entries,
            request,
            fees,
            self._sender.sign_transaction,
            from_nonce=self._chain.transaction_count(self._sender.address),
            block=self._chain.block_number(),
        )
        if batch is None:  # another process has taken some of them
            return True
        _LOG.info("batch %d: %d messages, nonce %d, %s", batch.number, len(entries), batch.nonce, batch.latest.hash)
        self._tell(batch.messages)
        self._broadcast(batch)
        return True

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
                    refusals[number][failed] = self._reason(answer.reason)
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
                trial = {**self._request(client, entries, gas_each=0), "from": self._sender.address}
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
        return {"to": client.address, "data": data, "value": 0, "chainId": self._chain.chain_id}

    def _broadcast(self, batch: Batch) -> None:
        try:
            self._chain.broadcast(batch.latest.raw)
        except (NodeError, ConfirmationTimeoutError) as error:
            # It is kept, and sent again with the next round unless it is found in a block by then.
            _LOG.warning("batch %d: not taken by the node (%s)", batch.number, type(error).__name__)
            self._require_funds(batch.request["gas"] * _price(batch.latest.fees))

    def _require_funds(self, needed: int) -> None:
        balance = self._chain.balance(self._sender.address)
        if balance < needed:
            raise SenderFundsError(self._sender.address, balance, needed)

    # -- telling ------------------------------------------------------------------------------------------------

    def _finish(self, state: State, reasons: Mapping[str, str]) -> None:
        if reasons:
            self._tell(self._queue.finish(state, reasons))

    def _tell(self, ids: Iterable[str]) -> None:
        for id_ in ids:
            fate = self._queue.fate(id_)
            _LOG.info("message %s: %s%s", id_, fate.state, f" ({_name(fate.reason)})" if fate.reason else "")
            self._progress(fate)


def _name(reason: str) -> str:
    """The name of an error, for the log, which is to say nothing of whom it is about."""
    return reason.partition("(")[0].partition(" ")[0]


def _price(fees: Mapping[str, int]) -> int:
    """The most that a unit of gas costs."""
    return fees["maxFeePerGas"] if "maxFeePerGas" in fees else fees["gasPrice"]


def _raised(fees: Mapping[str, int], current: Mapping[str, int]) -> dict[str, int]:
    """Fees of a replacement: an eighth more, which every node takes, or what the chain asks for by now."""
    return {name: max(fee * 9 // 8 + 1, current.get(name, 0)) for name, fee in fees.items()}

"""What waits gets an account, a nonce, gas, fees and a signature, and goes to the node."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from itertools import count

from medproof.errors import FeesTooHighError, MedProofError, NodeError, SenderFundsError
from medproof.sending.fees import price
from medproof.sending.following import notice
from medproof.sending.node import Look, Verdict, hopeless, poor
from medproof.sending.transaction import State, Transaction
from medproof.sending.work import Work

__all__ = ["Dispatch"]

_AT_ONCE = 250  # transactions signed, kept and sent together
_LOG = logging.getLogger(__name__)


class Dispatch:
    """One round of sending: transactions are signed and kept while the node takes those before them."""

    def __init__(self, work: Work, look: Look, fees: Mapping[str, int], under_way: Sequence[Transaction]) -> None:
        """Begin a round.

        Args:
            work: whose transactions.
            look: how chain and accounts stand.
            fees: what the chain asks for.
            under_way: what is sent and in no block.
        """
        self._work, self._look, self._fees = work, look, fees
        self._room = dict.fromkeys(work.senders, work.in_flight)
        self._purse = {address: account.balance for address, account in look.accounts.items()}
        for one in under_way:
            self._room[one.where[0]] -= 1
            self._purse[one.where[0]] -= _cost(one, one.gas or 0, one.latest.fees)
        self._nonces = {one: self._free(one) for one in work.senders}
        self._closed: set[str] = set()  # accounts that send nothing more in this round
        self._later: set[int] = set()  # numbers of transactions that have to wait for another round
        # Accounts that cannot pay, and what they need; or whose signer does not sign, and why.
        self._troubles: dict[str, int | MedProofError] = {}
        self._sending = ThreadPoolExecutor(max_workers=1)  # one: transactions of an account go in their order
        self._sent: list[tuple[Sequence[Transaction], Future[list[Verdict]]]] = []

    def run(self, missing: Sequence[Transaction]) -> None:
        """Send what the node lacks, then what waits, as much as there is room and money for.

        Raises:
            SenderFundsError: an account cannot pay; the others' transactions were sent.
            MedProofError: an account's signer does not sign; likewise.
            FeesTooHighError: the chain asks for more than may be paid.
        """
        with self._sending:
            missing = self._deliver_again(missing)
            while chosen := self._choose():
                if price(self._fees) > self._work.highest_fee:
                    raise FeesTooHighError(price(self._fees), self._work.highest_fee)
                signed = self._sign(self._with_gas(chosen))
                if signed is None:
                    break  # another process works this queue
                self._deliver(signed)
            self._deliver_again(missing)
            self._look_on()
        self._listen()
        for account, trouble in self._troubles.items():
            if isinstance(trouble, MedProofError):
                raise trouble
            raise SenderFundsError(account, self._work.chain.balance(account), trouble)

    # -- choosing -----------------------------------------------------------------------------------------------

    def _choose(self) -> list[tuple[Transaction, str]]:
        """The next transactions and who sends them: in order for each account, the rest to who has least to do."""
        chosen: list[tuple[Transaction, str]] = []
        room = {one: room for one, room in self._room.items() if room > 0 and one not in self._closed}
        for address in room:
            mine = self._queued(address, min(room[address], _AT_ONCE - len(chosen)))
            chosen += [(one, address) for one in mine]
            room[address] -= len(mine)
        for one in self._queued(None, min(sum(room.values()), _AT_ONCE - len(chosen))):
            address = max(room, key=lambda address: room[address])
            chosen.append((one, address))
            room[address] -= 1
        return chosen

    def _queued(self, pinned: str | None, most: int) -> list[Transaction]:
        if most <= 0:
            return []
        found = self._work.store.queued(pinned, most + len(self._later))
        return [one for one in found if one.number not in self._later][:most]

    def _with_gas(self, chosen: Sequence[tuple[Transaction, str]]) -> list[tuple[Transaction, str, int]]:
        """With the gas of each; without those that would fail."""
        unknown = [(one, address) for one, address in chosen if one.gas is None]
        asked = [{"from": address, **one.call()} for one, address in unknown]
        found = self._work.chain.gas_each(asked) if asked else []
        estimates = {one.number: gas for (one, _), gas in zip(unknown, found, strict=True)}
        ready = []
        for one, address in chosen:
            gas = one.gas if one.gas is not None else estimates[one.number]
            if isinstance(gas, MedProofError):
                self._put_off(one, address, gas)
            elif address not in self._closed:
                ready.append((one, address, gas))
        return ready

    def _put_off(self, one: Transaction, address: str, error: MedProofError) -> None:
        """Refuse a transaction that would fail, unless what goes before it may change that."""
        said = str(error)
        if isinstance(error, NodeError) and poor(said):
            self._stop(address, one.value)
            return  # where it names no account, another's turn comes in this round
        if (isinstance(error, NodeError) and not hopeless(said)) or self._has_earlier(one):
            with self._work.store.writing() as database:
                self._work.store.note(database, {one.number: said})
        else:
            with self._work.store.writing() as database:
                moved = self._work.store.move(database, one, State.REFUSED, reason=said)
                if moved and self._work.watcher is not None:
                    self._work.watcher.settled(database, one, State.REFUSED)
            self._work.tell([one])
            return
        self._later.add(one.number)
        if one.pinned:  # those after it wait
            self._closed.add(address)

    def _has_earlier(self, one: Transaction) -> bool:
        query = "SELECT 1 FROM transactions WHERE number < ? AND state IN ('queued', 'sent') LIMIT 1"
        return bool(self._work.store.rows(query, one.number))

    def _stop(self, address: str, trouble: int | MedProofError) -> None:
        """Send nothing more from an account in this round, and raise why when the others are done."""
        self._troubles.setdefault(address, trouble)
        self._closed.add(address)

    # -- signing ------------------------------------------------------------------------------------------------

    def _sign(self, ready: Sequence[tuple[Transaction, str, int]]) -> list[Transaction] | None:
        """Sign and keep; None where another process was quicker."""
        kept = []
        for one, address, gas in ready:
            cost = _cost(one, gas, self._fees)
            if address not in self._troubles and cost > self._purse[address]:
                self._stop(address, cost)
            if address in self._troubles:
                continue
            nonce = next(self._nonces[address])
            try:
                attempt = self._work.sign(one.call(), address, nonce, gas, self._fees, self._look.newest)
            except MedProofError as error:
                self._stop(address, error)
                continue
            self._purse[address] -= cost
            self._room[address] -= 1
            kept.append((one, address, nonce, gas, attempt))
        if not kept:
            return []
        with self._work.store.writing() as database:
            if not self._work.store.sign(database, kept):
                return None
        self._work.tell([one for one, *_ in kept])
        return [
            replace(one, state=State.SENT, account=address, nonce=nonce, gas=gas, attempts=(attempt,))
            for one, address, nonce, gas, attempt in kept
        ]

    def _free(self, address: str) -> Iterator[int]:
        """The nonces from the lowest on that no transaction of the account has, here or at the node."""
        lowest = self._look.accounts[address].pending
        held = self._work.store.nonces(address, lowest)
        return (nonce for nonce in count(lowest) if nonce not in held)

    # -- delivering ---------------------------------------------------------------------------------------------

    def _deliver(self, transactions: Sequence[Transaction]) -> None:
        for start in range(0, len(transactions), _AT_ONCE):
            part = transactions[start : start + _AT_ONCE]
            raws = [one.latest.raw for one in part]
            self._sent.append((part, self._sending.submit(self._work.node.deliver, raws)))

    def _deliver_again(self, missing: Sequence[Transaction]) -> Sequence[Transaction]:
        """Send what the node lacks, but for what is above a gap in the nonces and would only wait there: the rest."""
        gaps = {address: next(self._free(address)) for address in {one.where[0] for one in missing}}
        ready = [one for one in missing if one.where[1] < gaps[one.where[0]]]
        self._deliver(ready)
        self._work.counts["resent"] += len(ready)
        return [one for one in missing if one.where[1] > gaps[one.where[0]]]

    def _look_on(self) -> None:
        """Note what is in blocks already while the node takes the rest."""
        while len(open_ := [answer for _, answer in self._sent if not answer.done()]) > 1:
            try:
                notice(self._work, self._work.node.look(list(self._work.senders)))
            except NodeError:
                return  # the next round looks again
            wait(open_, return_when=FIRST_COMPLETED)

    def _listen(self) -> None:
        """What the node said to all that was sent."""
        reasons: dict[int, str | None] = {}
        for part, answer in self._sent:
            try:
                verdicts = answer.result()
            except NodeError as error:
                # They are kept, and sent again with the next round unless the node has them by then.
                _LOG.warning("%d transactions: no clear answer (%s)", len(part), type(error).__name__)
                continue
            for one, verdict in zip(part, verdicts, strict=True):
                if verdict.poor:
                    self._troubles[one.where[0]] = _cost(one, one.gas or 0, one.latest.fees)
                if verdict.reason != one.reason and not one.latest.cancels:
                    reasons[one.number] = verdict.reason
        if reasons:
            with self._work.store.writing() as database:
                self._work.store.note(database, reasons)


def _cost(one: Transaction, gas: int, fees: Mapping[str, int]) -> int:
    """The most that it takes from its account, in wei."""
    return gas * price(fees) + one.value

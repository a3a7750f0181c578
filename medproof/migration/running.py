"""Taking the steps: transactions of the authority and the parties, and the relaying of what subjects signed.

What is to be done is always what separates the two deployments now. So whatever interrupts the work, running it again
goes on, and nothing is done twice; and what the old deployment says no more is not carried, signed or not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from medproof.client import MedProof
from medproof.client.contract import SignedMessage
from medproof.errors import ContractError, MessageError, MessageGasError, QueueError, UnknownRevertError
from medproof.migration.calls import call_of
from medproof.migration.comparison import Comparison
from medproof.migration.rules import refuses
from medproof.migration.signing import compare_subject
from medproof.migration.step import Step
from medproof.relayer import Relayer
from medproof.sending import State, TransactionManager

__all__ = ["Handed", "Taken", "hand_over", "take_steps"]


@dataclass(frozen=True)
class Taken:
    """A step that was tried."""

    step: Step
    transaction: str | None  # the hash, 0x…; None where it was refused
    refused: str | None  # why


def take_steps(
    new: MedProof,
    compare: Callable[[], Comparison],
    actor: str,
    manager: TransactionManager,
    *,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> list[Taken]:
    """Take all steps of an actor that can be taken now, round by round: one may be what another waits for.

    Args:
        new: the new deployment.
        compare: compares the two as they stand when it is called.
        actor: "authority", or a party's identity.
        manager: of the one account that acts for it, with a queue for this work alone. What an earlier run has left
            there is ended first.
        progress: called with how many steps of a round are taken, and of how many.

    Raises:
        QueueError: another account has begun something in the queue, which would never end.
        SenderFundsError: the account cannot pay. What was taken before stands: running it again goes on.
        NodeError: nobody answers; likewise.
    """
    if others := manager.store.others(manager.accounts):
        rule = f"has what {others[0]} began and has not ended"
        raise QueueError(str(manager.store.path), rule, "Run it again as that account, or name another file (--queue)")
    taken: dict[tuple[object, ...], Taken] = {}
    while True:
        while manager.run_once():
            time.sleep(new.chain.poll)
        ready = [step for step in compare().steps(actor=actor) if not step.waits and _name(step) not in taken]
        if not ready:
            return [*taken.values()]
        keys = manager.submit_many([call_of(new, step) for step in ready], account=manager.accounts[0])
        while left := manager.run_once():
            progress(len(ready) - left, len(ready))
            time.sleep(new.chain.poll)
        for step, key in zip(ready, keys, strict=True):
            fate = manager.status(key)
            done = fate.state is State.CONFIRMED
            refused = None if done else fate.reason or str(fate.state)
            taken[_name(step)] = Taken(step, fate.transaction if done else None, refused)


def _name(step: Step) -> tuple[object, ...]:
    return step.contract, step.function, step.arguments


@dataclass(frozen=True)
class Handed:
    """A signed message that was looked at."""

    message: SignedMessage
    id: str | None  # in the relayer's queue; None where it is not relayed
    why_not: str | None  # relayed


NOT_A_STEP = "It is no step of this migration now: it was taken, or the old deployment says it no more."
_AFTER = "What its subject signed before it was not taken."
REFUSALS_FIRST = "What its subject refuses comes before it, and was not given, or later."


def hand_over(
    old: MedProof,
    new: MedProof,
    messages: Iterable[SignedMessage],
    relayer: Relayer,
    *,
    progress: Callable[[int], object] = lambda done: None,
) -> list[Handed]:
    """Hand signed messages over to a relayer, those alone that the old deployment says now.

    Once one of a subject's is refused, those after it wait: what refuses stands before what permits.

    Args:
        old: the deployment that is left.
        new: the one that the messages are for.
        messages: in the order in which each subject signed them.
        relayer: of the new deployment; it sends them when it runs.
        progress: called with how many were looked at.

    Raises:
        MessageError: one is for another contract, chain or deployment.
        NodeError: nobody answers.
        QueueError: the relayer's queue cannot be used.
    """
    handed: list[Handed] = []
    subjects: dict[str, _Order] = {}
    last: Comparison | None = None
    for message in messages:
        new.client_for(message.contract).call_data(message)  # for this deployment, signed, and whole
        subject = message.subject
        if subject not in subjects:
            last = compare_subject(old, new, subject, shared=last)
            subjects[subject] = _Order([step for step in last.subject_steps(subject) if not step.waits])
        handed.append(subjects[subject].hand(relayer, message))
        progress(len(handed))
    return handed


class _Order:
    """The steps of one subject that can be taken now, handed over in no order that permits more than the old one."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = {_name(step): place for place, step in enumerate(steps)}
        self._refusals = {_name(step): place for place, step in enumerate(steps) if refuses(step)}  # not handed over
        self._halted = False

    def hand(self, relayer: Relayer, message: SignedMessage) -> Handed:
        name = (message.contract, message.function, message.arguments[:-2])
        place = self._steps.get(name)
        if place is None:
            return Handed(message, None, NOT_A_STEP)
        if self._halted:
            return Handed(message, None, _AFTER)
        if name not in self._refusals and any(before < place for before in self._refusals.values()):
            return Handed(message, None, REFUSALS_FIRST)
        try:
            handed = Handed(message, relayer.submit(message), None)
        except (ContractError, UnknownRevertError, MessageError, MessageGasError) as error:
            self._halted = True
            return Handed(message, None, str(error))
        self._refusals.pop(name, None)
        return handed

"""Taking the steps: transactions of the authority and the parties, and the relaying of what subjects signed.

What is to be done is always what separates the two deployments now. So whatever interrupts the work, running it again
goes on, and nothing is done twice; and what the old deployment says no more is not carried, signed or not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from medproof.client import MedProof
from medproof.client.contract import SignedMessage
from medproof.errors import ContractError, MessageError, MessageGasError, UnknownRevertError
from medproof.migration.calls import call_of
from medproof.migration.comparison import Comparison
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
        SenderFundsError: the account cannot pay. What was taken before stands: running it again goes on.
        NodeError: nobody answers; likewise.
    """
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
    steps: dict[str, set[tuple[object, ...]]] = {}
    halted: set[str] = set()
    last: Comparison | None = None
    for message in messages:
        new.client_for(message.contract).call_data(message)  # for this deployment, signed, and whole
        subject = message.subject
        if subject not in steps:
            last = compare_subject(old, new, subject, shared=last)
            steps[subject] = {_name(step) for step in last.subject_steps(subject) if not step.waits}
        handed.append(_hand(relayer, message, steps[subject], halted))
        progress(len(handed))
    return handed


def _hand(relayer: Relayer, message: SignedMessage, steps: set[tuple[object, ...]], halted: set[str]) -> Handed:
    if (message.contract, message.function, message.arguments[:-2]) not in steps:
        return Handed(message, None, NOT_A_STEP)
    if message.subject in halted:
        return Handed(message, None, _AFTER)
    try:
        return Handed(message, relayer.submit(message), None)
    except (ContractError, UnknownRevertError, MessageError, MessageGasError) as error:
        halted.add(message.subject)
        return Handed(message, None, str(error))

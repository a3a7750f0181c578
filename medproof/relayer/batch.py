"""Which messages go in one batch, and in what order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from secrets import SystemRandom

from medproof.relayer.queue import Entry

__all__ = ["mix", "pick"]

_MOST_BYTES = 110_000  # of calls in a transaction: geth's pool refuses one of more than 128 KiB
_WRAPPING = 96  # bytes at most that a call takes in the encoding beside its own


def pick(entries: Iterable[Entry], contract: str, *, busy: Iterable[str], size: int) -> tuple[list[Entry], bool]:
    """The messages of the next batch for a contract.

    Args:
        entries: all that wait, for whatever contract, in order of arrival.
        contract: the contract's name.
        busy: subjects whose next messages wait for one that is on its way.
        size: the most messages.

    Returns:
        The messages in order of arrival, none before an earlier one of its subject; and whether the batch is full.
    """
    picked: list[Entry] = []
    waiting = set(busy)
    room, full = _MOST_BYTES, False
    for entry in entries:
        if entry.subject in waiting:
            continue
        length = len(entry.data) + _WRAPPING
        mates = len(picked) < min(size, entry.share)
        if entry.contract == contract and (not picked or (mates and length <= room)):
            picked.append(entry)
            room -= length
            size = min(size, entry.share)
        else:
            waiting.add(entry.subject)
            # One that will not share its batch is no reason to send the others early.
            full = full or (entry.contract == contract and length > room)
    return picked, full or len(picked) >= size


def mix(entries: Sequence[Entry]) -> list[Entry]:
    """Entries in an order that tells nothing of their arrival, but for each subject's own, which stay in theirs."""
    turns: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in sorted(entries, key=lambda entry: entry.arrival, reverse=True):
        turns[entry.subject].append(entry)
    return [turns[entry.subject].pop() for entry in SystemRandom().sample(entries, len(entries))]

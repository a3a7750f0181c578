"""Was a log rewritten, and where: a copy of it against itself, against the chain, and against promises.

What can be told depends on what whoever rewrote it could do.

- It cannot recompute: an entry no longer opens its commitment, an index is missing or twice, or an entry names another
  one before it than the one that stands there. The entry is named, and what was done to it.
- It recomputes every hash, and has not the key that signs promises: the signatures end to fit at the first entry that
  is another one.
- It recomputes and signs again, as the custodian can: the roots that were anchored no longer fit from one size on, so
  that the first changed entry lies before it, and after the last size that fits. A promise that a reader kept fits or
  not at its own index, and since each entry commits to all before it, bounds the place from both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from medproof.access.export import LogLine
from medproof.access.promise import Promise
from medproof.client.batch_anchor import Batch
from medproof.errors import MerkleLeafError, PromiseError, SaltError
from medproof.merkle import MerkleLog

__all__ = ["Change", "Finding", "Report", "verify"]


class Change(Enum):
    """What was done to a log."""

    EDITED = "edited"  # the entry says something else than it did
    DELETED = "deleted"  # the entry is missing
    INSERTED = "inserted"  # the entry was not there
    REORDERED = "reordered"  # another entry stands in its place, and it stands elsewhere
    REMOVED = "removed behind a promise"  # somebody was promised an entry that is not there
    REWRITTEN = "rewritten"  # all from here on was made anew; what was done first cannot be told


@dataclass(frozen=True)
class Finding:
    """The first entry of a log that is not as it was."""

    change: Change
    first: int  # its index, or the first one that it can be
    last: int  # its index again, or the last one that it can be
    why: str  # a sentence

    def __str__(self) -> str:
        """The finding as a sentence."""
        where = f"Entry {self.first}" if self.first == self.last else f"One of the entries {self.first} to {self.last}"
        return f"{where} was {self.change.value}: {self.why}."


@dataclass(frozen=True)
class Report:
    """What a copy of a log is worth."""

    entries: int  # how many it has
    erased: int  # how many of them were erased
    anchored: int  # how many are anchored on chain, as the copy has them
    kept: int  # how many promises are kept: their entries are there
    pending: int  # how many are neither kept nor due
    finding: Finding | None  # the first entry that is not as it was; None where all is well


def verify(
    lines: Iterable[LogLine],
    *,
    custodian: str,
    log: int,
    batches: Iterable[Batch],
    signed: Callable[[Promise], bool],
    now: int,
    promises: Iterable[Promise] = (),
) -> Report:
    """Check a copy of a log.

    Args:
        lines: the copy, in its order.
        custodian: whose log it is to be.
        log: its number.
        batches: as they were anchored (`BatchAnchor.batches`).
        signed: whether the log's key signed a promise (`Promise.is_by`).
        now: seconds since 1970; what was promised until then must be there.
        promises: what readers kept.

    Raises:
        PromiseError: a promise that was kept is of another log, or the log's key did not sign it; it proves nothing.
    """
    copy = _Copy(list(lines), custodian, log, signed)
    kept = list(promises)
    for promise in kept:
        if (promise.custodian, promise.log) != (custodian, log):
            raise PromiseError(f"it is of log {promise.log} of {promise.custodian}, not of log {log} of {custodian}")
        if not signed(promise):
            raise PromiseError(f"the key of log {log} of {custodian} did not sign it")
    found = [finding for finding in (copy.broken(), copy.unlike(list(batches), kept, now)) if finding is not None]
    there = sum(promise.entry in copy.places for promise in kept)
    pending = sum(promise.entry not in copy.places and not copy.broke(promise, now) for promise in kept)
    return Report(
        entries=len(copy.lines),
        erased=sum(line.erased for line in copy.lines),
        anchored=copy.anchored,
        kept=there,
        pending=pending,
        finding=min(found, key=lambda finding: (finding.last, finding.change is Change.REWRITTEN), default=None),
    )


class _Copy:
    """A copy of a log, and what can be said of it."""

    def __init__(self, lines: Sequence[LogLine], custodian: str, log: int, signed: Callable[[Promise], bool]) -> None:
        self.lines = lines
        self._whose, self._signed = (custodian, log), signed
        self.anchored = 0
        self.places: dict[bytes, int] = {}  # by commitment
        for place, line in enumerate(lines):
            if line.promise is not None:
                self.places.setdefault(line.promise.entry, place)

    # -- against itself -----------------------------------------------------------------------------------------

    def broken(self) -> Finding | None:
        """The first entry that does not hold by itself, or does not follow the one before it."""
        for place, line in enumerate(self.lines):
            if line.index != place and line.index is not None:
                return self._misplaced(place, line.index)
            if (why := self._wrong(line)) is not None:
                return self._forged(place, why)
            if place and (last := self.lines[place - 1]).promise is not None:
                if line.opening is not None and line.opening.entry.previous != last.promise.entry:
                    return self._forged(place - 1, f"entry {place} names another one before it")
            elif line.opening is not None and line.opening.entry.previous is not None:
                return self._forged(place, "it is the first one and names another before it")
        return None

    def _wrong(self, line: LogLine) -> str | None:
        """What is wrong with a line by itself."""
        promise, opening = line.promise, line.opening
        if promise is None or (opening is None and not line.erased):
            return "it cannot be read"
        try:
            if opening is not None and opening.commitment != promise.entry:
                return "it does not open its commitment"
        except SaltError:
            return "it does not open its commitment"
        whose = {(promise.custodian, promise.log)}
        if opening is not None:
            whose.add((opening.entry.custodian, opening.entry.log))
        if whose != {self._whose} or promise.index != line.index:
            return "it is of another log, or another index"
        return None if self._signed(promise) else "the log's key did not sign its promise"

    def _forged(self, place: int, why: str) -> Finding:
        """What was done where an entry is not the log's own."""
        if any(line.index == place and self._wrong(line) is None for line in self.lines[place + 1 :]):
            return Finding(Change.INSERTED, place, place, f"{why}, and the entry of that index stands further down")
        following = self.lines[place + 1 : place + 2]
        if following and all(self._resigned(line) for line in self.lines[place : place + 2]):
            return Finding(Change.REWRITTEN, place, place, f"{why}, and that of no other from there on")
        return Finding(Change.EDITED, place, place, why)

    def _resigned(self, line: LogLine) -> bool:
        """Whether a line is well made but for its signature."""
        return self._wrong(line) == "the log's key did not sign its promise"

    def _misplaced(self, place: int, index: int) -> Finding:
        """What was done where an entry of another index stands."""
        if index > place:
            further = [line.index for line in self.lines[place + 1 :]]
            if index in further:
                return Finding(Change.INSERTED, place, place, f"it is entry {index} a second time")
            if place in further:
                return Finding(Change.REORDERED, place, place, f"entry {index} stands in its place")
            return Finding(Change.DELETED, place, place, f"entry {index} stands in its place")
        return Finding(Change.INSERTED, place, place, f"it is entry {index} a second time")

    # -- against the chain and its promises -----------------------------------------------------------------------

    def broke(self, promise: Promise, now: int) -> bool:
        """Whether a promise of an entry that is not there is broken, and not only still to be kept."""
        if promise.index is not None and promise.index < len(self.lines):
            return True
        return promise.due <= now

    def unlike(self, batches: Sequence[Batch], promises: Sequence[Promise], now: int) -> Finding | None:
        """The first entry that is not the one that was anchored or promised."""
        tree, sound, finding = MerkleLog(), 0, None
        for batch in sorted(batches, key=lambda batch: batch.size):
            if batch.size > len(self.lines):
                end = len(self.lines)
                finding = Finding(
                    Change.DELETED, end, end, f"{batch.size} entries were anchored, and the copy ends here"
                )
                break
            self._grow(tree, batch.size)
            if len(tree) < batch.size or tree.root(batch.size) != batch.root:
                why = f"the root over {batch.size} entries is not the one that was anchored in block {batch.block}"
                finding = Finding(Change.REWRITTEN, sound, batch.size - 1, why)
                break
            sound = self.anchored = batch.size
        sound = self._proved(sound, promises)
        if finding is not None and finding.change is Change.REWRITTEN:
            finding = Finding(finding.change, min(sound, finding.last), finding.last, finding.why)
        for promise in promises:
            if promise.entry in self.places or not self.broke(promise, now):
                continue
            known = promise.index is not None
            last = promise.index if promise.index is not None else max(len(self.lines) - 1, sound)
            if finding is None or last < finding.last + (finding.change is Change.REWRITTEN):
                why = f"its promise is 0x{promise.entry.hex()}, and what is left is sound up to entry {sound}"
                finding = Finding(Change.REMOVED, last if known else sound, last, why)
        return finding

    def _grow(self, tree: MerkleLog, size: int) -> None:
        """Bring a tree to a size, as far as commitments can be read."""
        for line in self.lines[len(tree) : size]:
            if line.promise is None:
                return
            try:
                tree.append(line.promise.entry)
            except MerkleLeafError:
                return

    def _proved(self, sound: int, promises: Sequence[Promise]) -> int:
        """Up to where entries are as they were, for what was promised is there, and commits to all before it.

        An entry that was erased shows no more what it names, so that nothing before it is proved.
        """
        for place in sorted(self.places[promise.entry] for promise in promises if promise.entry in self.places):
            if place >= sound and not any(line.erased for line in self.lines[sound : place + 1]):
                sound = place + 1
        return sound

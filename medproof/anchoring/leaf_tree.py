"""The tree over a log's leaves, of which memory holds one byte a leaf: what is below a run of 64 is read again.

Nothing else changes: it is `medproof.merkle.MerkleLog` to whoever asks it for roots and proofs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from medproof.errors import LogDamagedError
from medproof.merkle import MerkleLog

__all__ = ["LeafTree"]

_RUN = 64  # leaves whose inner hashes are forgotten together
_HEIGHT = _RUN.bit_length() - 1


class _Runs(MerkleLog):
    """The tree above the runs: their hashes stand where leaves' hashes do."""

    def add(self, hashes: list[bytes]) -> None:
        """Add the hashes of runs, in order."""
        self._add_hashes(hashes)

    def hash_of(self, start: int, end: int) -> bytes:
        """The hash of the subtree over these runs."""
        return self._hash_of(start, end)


class LeafTree(MerkleLog):
    """A `MerkleLog` whose leaves are kept elsewhere."""

    def __init__(self, log: int, read: Callable[[int, int], Sequence[bytes]]) -> None:
        """Begin without leaves.

        Args:
            log: the log's number, for errors.
            read: gives the leaves from one index to before another, as they were added.
        """
        self._log, self._read = log, read
        self._runs, self._rest = _Runs(), MerkleLog()
        self._recent: tuple[int, MerkleLog] = (-1, MerkleLog())  # a run that was read again, and its number
        super().__init__()

    def __len__(self) -> int:
        """How many leaves it has."""
        return len(self._runs) * _RUN + len(self._rest)

    def _add(self, leaves: Sequence[bytes], first: int) -> None:
        self._check_leaves(leaves, first)
        done, full = 0, []
        while done < len(leaves):
            some = leaves[done : done + _RUN - len(self._rest)]
            self._rest.extend(some)
            done += len(some)
            if len(self._rest) == _RUN:
                full.append(self._rest.root())
                self._rest = MerkleLog()
        self._runs.add(full)

    def _hash_of(self, start: int, end: int) -> bytes:
        number, within = divmod(start, _RUN)
        if end - start >= _RUN and (end - start) & (end - start - 1) == 0:
            return self._runs.hash_of(number, end >> _HEIGHT)
        if number == (end - 1) >> _HEIGHT:
            return self._run(number)._hash_of(within, within + end - start)
        return super()._hash_of(start, end)

    def _run(self, number: int) -> MerkleLog:
        """The tree of a run; the last one may not be full yet."""
        if number == len(self._runs):
            return self._rest
        if self._recent[0] != number:
            start = number * _RUN
            run = MerkleLog(self._read(start, start + _RUN))
            if run.root() != self._runs.hash_of(number, number + 1):
                raise LogDamagedError(self._log, f"leaves {start} to {start + _RUN - 1} are not those that it had")
            self._recent = (number, run)
        return self._recent[1]

"""What operators see of an index that is followed: how far it is, what it read and took back, what it waited for."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from medproof.indexer.index import IndexedDeployment
from medproof.indexer.indexer import Progress
from medproof.metrics import Metrics, Pulse
from medproof.telemetry import log

__all__ = ["LOGGER", "FollowingMetrics"]

LOGGER = logging.getLogger("medproof.indexer")


class FollowingMetrics:
    """The numbers of `Indexer.follow`, and its log: its `report` and `trouble`."""

    def __init__(self, indexed: IndexedDeployment, *, now: Callable[[], float] = time.time) -> None:
        """Count from here.

        Args:
            indexed: where the index stands.
            now: the clock, in seconds since 1970.
        """
        self.metrics, self.pulse = Metrics("index"), Pulse(now)
        self._now = now
        self._block = self._target = indexed.block
        self._read_in_update = 0
        self._complete = now()
        gauge = self.metrics.gauge
        gauge("block", "The last block that was read.", lambda: self._block)
        gauge("target_block", "The last block of the chain that counts.", lambda: self._target)
        gauge("lag_blocks", "Blocks that count and are not read yet.", lambda: self._target - self._block)
        gauge("lag_seconds", "Seconds since the index was known to have all that counts.", self._lag)
        gauge("block_time_seconds", "When the last block was made, in seconds since 1970.", lambda: _time(indexed))
        self._events = self.metrics.counter("events_total", "Events that were read.")
        self._taken_back = self.metrics.counter("blocks_rolled_back_total", "Blocks that the chain took back.")
        self._trouble = self.metrics.counter("trouble_total", "What was waited out, by its error.", ("error",))

    def report(self, progress: Progress) -> None:
        """Note how far it is."""
        self.pulse.beat()
        self._read_in_update = min(self._read_in_update, progress.events)  # each update counts from 0
        read, taken_back = progress.events - self._read_in_update, max(self._block - progress.block, 0)
        self._events.inc(read)
        self._taken_back.inc(taken_back)
        moved = progress.block != self._block
        self._read_in_update, self._block, self._target = progress.events, progress.block, progress.target
        if self._block >= self._target:
            self._complete = self._now()
        if moved:
            log(LOGGER, "read", block=self._block, target=self._target, events=read, rolledBack=taken_back)

    def trouble(self, error: Exception) -> None:
        """Note what is waited out."""
        self.pulse.beat()
        self._trouble.labels(type(error).__name__).inc()
        log(LOGGER, "waiting", level=logging.WARNING, error=type(error).__name__)

    def _lag(self) -> float:
        return max(self._now() - self._complete, 0.0)


def _time(indexed: IndexedDeployment) -> float | None:
    kept = indexed.block_hash(indexed.block)
    return None if kept is None else kept.time

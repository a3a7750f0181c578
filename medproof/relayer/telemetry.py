"""What operators see of a relayer: its queue, its transactions, its fees and funds, and why messages are refused."""

from __future__ import annotations

import time
from collections.abc import Callable

from medproof.chain import Chain
from medproof.errors import MedProofError
from medproof.metrics import Metrics, Pulse
from medproof.relayer.queue import Fate, State
from medproof.relayer.service import Relayer, error_name
from medproof.sending.telemetry import show_transactions

__all__ = ["RelayingMetrics"]


class RelayingMetrics:
    """The numbers of `Relayer.run`: its `report` and `trouble`, and the relayer's `progress`."""

    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        """Count from here; `now` is the clock, in seconds since 1970."""
        self.metrics, self.pulse = Metrics("relayer"), Pulse(now)
        self._now = now
        counter = self.metrics.counter
        self._refused = counter("messages_refused_total", "Messages that took no effect, by the error.", ("error",))
        self._trouble = counter("trouble_total", "Rounds that ended early, by the error.", ("error",))

    def watch(self, relayer: Relayer, chain: Chain) -> None:
        """Ask a relayer and its chain for what stands, whenever the numbers are read."""
        gauge, gauges = self.metrics.gauge, self.metrics.gauges
        gauges("messages", "Messages, by how far they are.", "state", lambda: _by_name(relayer))
        show_transactions(self.metrics, relayer.transactions)
        gauge("oldest_open_seconds", "How long the oldest waits that is not final.", lambda: self._age(relayer))
        gauge("stuck_batches", "Batches in no block whose fees may not rise.", lambda: len(relayer.stuck()))
        gauge("fee_wei", "The most that the chain asks for a unit of gas now.", chain.highest_price)
        said = "What an account has left, in wei."
        gauges("funds_wei", said, "account", lambda: {one: chain.balance(one) for one in relayer.accounts})

    def progress(self, fate: Fate) -> None:
        """Note what became of a message."""
        if fate.state in (State.REFUSED, State.EXPIRED):
            self._refused.labels(error_name(fate.reason or fate.state)).inc()

    def report(self, left: int) -> None:
        """Note that a round is over."""
        self.pulse.beat()

    def trouble(self, error: MedProofError) -> None:
        """Note why a round ended early."""
        self.pulse.beat()
        self._trouble.labels(type(error).__name__).inc()

    def _age(self, relayer: Relayer) -> float:
        oldest = relayer.oldest_open()
        return 0.0 if oldest is None else max(self._now() - oldest, 0.0)


def _by_name(relayer: Relayer) -> dict[str, float]:
    return {str(state): many for state, many in relayer.counts().items()}

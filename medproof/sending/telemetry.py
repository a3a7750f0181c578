"""What operators see of a queue of transactions, whoever keeps one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from medproof.metrics import Metrics

__all__ = ["show_transactions"]

_HAPPENED = ("replaced", "resent", "lost")


def show_transactions(metrics: Metrics, counts: Callable[[], Mapping[str, int]]) -> None:
    """Show how far transactions are and what befell them.

    Args:
        metrics: the numbers of whoever keeps the queue.
        counts: as `TransactionManager.counts` has them.
    """

    def among(wanted: bool) -> dict[str, float]:
        return {name: many for name, many in counts().items() if (name in _HAPPENED) is wanted}

    metrics.gauges("transactions", "Transactions, by how far they are.", "state", lambda: among(False))
    said = "Transactions that were replaced, sent again, or lost their nonce to another, since the start."
    metrics.gauges("transaction_events", said, "event", lambda: among(True))

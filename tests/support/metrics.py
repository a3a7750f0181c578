"""Reading what Prometheus reads, by the parser of its own client."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

__all__ = ["Clock", "samples"]


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        """Begin."""
        self.now = 1_000_000.0

    def __call__(self) -> float:
        """Seconds since 1970."""
        return self.now


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample by its name and labels; none stands twice, each metric says what it is."""
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for family in text_string_to_metric_families(text):
        assert family.type != "unknown", family.name
        assert family.documentation, family.name
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, key
            found[key] = sample.value
    return found

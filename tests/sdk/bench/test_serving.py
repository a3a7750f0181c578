"""The serving benchmark: it runs, every answer verified, and the committed figures are within their target."""

from __future__ import annotations

import json

from bench.serving import CLIENTS, MODES, RESULTS, STORES, TARGET, measure


def test_a_small_run_serves_and_verifies() -> None:
    result = measure(stores=["SQLite"], clients=[2], runs=1, requests={2: 6}, subjects=2, records=4)
    figures = result["stores"]["SQLite"]["2"]

    assert all(figures[mode]["records_a_second"] > 0 for mode in MODES)
    assert all(figures[mode]["p50_ms"] <= figures[mode]["p99_ms"] for mode in MODES)


def test_committed_figures_meet_their_target() -> None:
    recorded = json.loads(RESULTS.read_text(encoding="utf-8"))

    assert set(recorded["stores"]) == set(STORES)
    for by_clients in recorded["stores"].values():
        assert set(by_clients) == {str(number) for number in CLIENTS}
        assert all(figures["p50_ratio"] <= TARGET == recorded["target_ratio"] for figures in by_clients.values())

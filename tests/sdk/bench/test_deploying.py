"""What a deployment takes may only change together with bench/results/deploying.json, in the same commit."""

from __future__ import annotations

import json
from pathlib import Path

from bench import deploying

TIMES = {"plan_seconds", "seconds", "floor_seconds", "times_the_floor"}
RENEW = "Run `make bench-deploying` and commit bench/results/deploying.json."


def test_gas_is_what_is_written(tmp_path: Path) -> None:
    written = json.loads(deploying.RESULTS.read_text(encoding="utf-8"))["nodes"]["Ganache"]
    found, signed = deploying.full("Ganache", tmp_path)
    for figure in found.keys() - TIMES:
        assert found[figure] == written[figure], f"{figure} differs. {RENEW}"
    assert len(signed) == found["transactions"] == 15
    assert found["gas"] < found["planned_gas"] < 1.3 * found["gas"]
    assert deploying.floor("Ganache", signed[:2]) > 0

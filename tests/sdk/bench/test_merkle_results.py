"""The Merkle log's figures: taken by the code as it is, and within their target in the file."""

from __future__ import annotations

import json
from typing import Any

from bench.merkle import LEAVES, LIBRARIES, RESULTS, TARGET, measure


def shape(content: Any) -> Any:
    """What a result has, without its figures."""
    return {name: shape(value) for name, value in content.items()} if isinstance(content, dict) else None


def test_file_has_what_is_measured_and_its_target_is_met() -> None:
    recorded = json.loads(RESULTS.read_text(encoding="utf-8"))
    small = measure(leaves=1_000, compared=200, runs=1, proofs=5)

    assert shape(small) == shape(recorded)
    assert set(small["keccak"]) == set(LIBRARIES)
    assert small["bytes_a_leaf"] < 64
    assert 9 <= small["proofs"]["inclusion"]["hashes"]["longest"] <= 10
    assert recorded["leaves"] == LEAVES
    assert recorded["build_seconds"] <= TARGET == recorded["target_seconds"]

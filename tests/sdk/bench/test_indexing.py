"""The benchmark of the index runs, and its committed figures meet their targets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import indexing
from scripts.local_anvil import anvil
from scripts.local_chain import ChainError


@pytest.mark.parametrize("node", indexing.NODES)
def test_a_small_one(node: str, tmp_path: Path) -> None:
    if node == "Anvil":
        try:
            anvil()
        except ChainError as error:
            pytest.skip(f"Anvil cannot be started: {error}.")
    found = indexing.measure(node, tmp_path, subjects=3, rules=4, runs=1)
    assert found["events"] > 3 * 4
    assert found["times_plain"] > 0


def test_the_committed_figures() -> None:
    content = json.loads(indexing.RESULTS.read_text(encoding="utf-8"))
    assert set(content["nodes"]) == set(indexing.NODES)
    for found in content["nodes"].values():
        assert found["events"] >= indexing.SUBJECTS * indexing.RULES

"""The benchmark of sending runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import sending
from scripts.local_anvil import anvil
from scripts.local_chain import ChainError


@pytest.mark.parametrize("node", sending.NODES)
def test_a_small_one(node: str, tmp_path: Path) -> None:
    if node == "Anvil":
        try:
            anvil()
        except ChainError as error:
            pytest.skip(f"Anvil cannot be started: {error}.")
    sizes = sending.Sizes(loop=2, single=9, estimated=2, batched=1, roots=2)
    found = sending.measure(node, tmp_path, sizes, runs=1)
    assert found["targets"].keys() <= found.keys()
    assert all(rate > 0 for rate in found["per_second"].values())

"""The benchmark of permissions in bulk runs, with every answer right."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import permissions
from scripts.local_anvil import anvil
from scripts.local_chain import ChainError


def test_a_small_one(tmp_path: Path) -> None:
    try:
        anvil()
    except ChainError as error:
        pytest.skip(f"Anvil cannot be started: {error}.")
    found = permissions.measure(tmp_path, subjects=4, times=3, loops=4, runs=1)
    assert (found["checks"], found["wrong"]) == (12, 0)
    assert min(found[f"{way}_per_second"] for way in ("loop", "batch", "are_permitted", "ceiling")) > 0

"""Takes out of Brownie what costs half of a test's time and serves none: a fixture for a conftest."""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest


@pytest.fixture(scope="session", autouse=True)
def swift_isolation() -> Iterator[None]:
    """Make taking and restoring a snapshot cheap (from 0.4 s a test to some milliseconds).

    Brownie collects garbage at every restoring, over the syntax trees of all contracts: they are frozen here. And it
    reads the source of every caller up to pytest's main to see whether one of them is itself: one frame is enough.
    """

    def stack() -> list[Any]:
        # As `inspect.stack()[1]` of the caller, of which Brownie reads `frame` alone.
        return [None, SimpleNamespace(frame=sys._getframe(2))]

    patch = pytest.MonkeyPatch()
    module = importlib.import_module("brownie.network.rpc")  # `brownie.network` has an object of that name
    patch.setattr(module, "inspect", SimpleNamespace(stack=stack))
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
    patch.undo()

"""Takes out of Brownie what costs half of a test's time and serves none: fixtures for a conftest."""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from brownie import chain, web3


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


@pytest.fixture(scope="session", autouse=True)
def few_requests() -> Iterator[None]:
    """Ask the node less (six requests where ten were), and without looking for a proxy each time.

    The chain's id is asked for twice with every call and transaction: it is remembered. After each transaction Brownie
    takes a snapshot for `chain.undo`, which no test uses.
    """
    patch = pytest.MonkeyPatch()
    patch.setattr(web3.provider, "cache_allowed_requests", True)
    patch.setattr(type(chain), "_add_to_undo_buffer", lambda *_: None)
    patch.setattr("requests.sessions.get_environ_proxies", lambda *_, **__: {})
    yield
    patch.undo()

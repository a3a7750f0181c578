"""Takes out of Brownie what costs half of a test's time and serves none: fixtures for a conftest."""

from __future__ import annotations

import gc
import http.client
import importlib
import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from brownie import chain, web3
from brownie.exceptions import VirtualMachineError
from brownie.network import state
from brownie.network.transaction import TransactionReceipt


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
    patch.setattr(state, "gc", SimpleNamespace(collect=lambda: 0))
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
    patch.undo()


@pytest.fixture(scope="session", autouse=True)
def few_requests() -> Iterator[None]:
    """Ask the node less, and over one connection.

    The chain's id is asked for twice with every call and transaction: it is remembered. After each transaction Brownie
    takes a snapshot for `chain.undo`, which no test uses; web3 reads the price of gas and the latest block before it,
    though the price is given.
    """
    patch = pytest.MonkeyPatch()
    patch.setattr(web3.provider, "cache_allowed_requests", True)
    patch.setattr(type(chain), "_add_to_undo_buffer", lambda *_: None)
    patch.setattr(web3.provider, "_make_request", OneConnection(web3.provider.endpoint_uri).post)
    if "gas_price_strategy" in web3.middleware_onion:  # another folder's conftest has these fixtures too
        web3.middleware_onion.remove("gas_price_strategy")
    yield
    patch.undo()


class OneConnection:
    """One connection to the node for all threads, without what makes one ready for any server."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)
        self._lock = threading.Lock()

    def post(self, method: str, request: bytes) -> bytes:
        with self._lock:
            try:
                return self._post(request)
            except ConnectionError:  # it was idle for long: the node ended it
                self._connection.close()
                return self._post(request)

    def _post(self, request: bytes) -> bytes:
        self._connection.request("POST", "/", request, {"Content-Type": "application/json"})
        return self._connection.getresponse().read()


@pytest.fixture(scope="session", autouse=True)
def reverts_without_traces() -> Iterator[None]:
    """Ask again, as a call in the block of the transaction, why this reverted: Brownie reads it off every step's trace.

    A transaction that reverted changed nothing, so the call is refused with the same error. What has no error of a
    contract, as a deployment, is traced as before.
    """
    patch = pytest.MonkeyPatch()
    raise_traced = TransactionReceipt._raise_if_reverted

    def raise_if_reverted(receipt: TransactionReceipt, error: Any) -> None:
        if receipt.status or receipt.receiver is None or receipt._revert_msg is not None:
            return raise_traced(receipt, error)
        transaction = {
            "from": str(receipt.sender),
            "to": str(receipt.receiver),
            "value": receipt.value,
            "gas": receipt.gas_limit,
            "data": receipt.input,
        }
        try:
            web3.eth.call(transaction, receipt.block_number)
        except ValueError as refused:
            reason = VirtualMachineError(refused).revert_msg
            if reason and not reason.startswith("Unknown"):
                raise error._with_attr(revert_msg=reason) from None
        return raise_traced(receipt, error)

    patch.setattr(TransactionReceipt, "_raise_if_reverted", raise_if_reverted)
    patch.setattr(TransactionReceipt, "_confirm_output", lambda receipt: "")
    yield
    patch.undo()

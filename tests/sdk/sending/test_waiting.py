"""Whoever waits for a transaction learns what became of that one: neither trouble of others nor a node that is silent
for a moment makes it look unsent."""

from __future__ import annotations

from typing import Any

import pytest

from medproof.chain import Chain
from medproof.errors import SenderFundsError, TransactionFailedError, TransactionRefusedError
from medproof.sending import State
from medproof.signing import LocalSigner
from scripts.local_chain import LocalChain
from tests.sdk.chain.odd_node import Call, odd_node
from tests.sdk.conftest import funded
from tests.sdk.sending.conftest import Open, Unwilling
from tests.sdk.sending.nodes import Swallowing, deciding, refusing, through

SOMEBODY = "0x" + "42" * 20
GIFT = {"to": SOMEBODY, "value": 1, "gas": 21_000}


@pytest.mark.parametrize("why", ["funds", "signer"])
def test_trouble_of_another_account_is_waited_through(
    chain: Chain, open_manager: Open, relayer: LocalSigner, why: str
) -> None:
    other = LocalSigner.from_key(b"\x55" * 32) if why == "funds" else Unwilling(funded(10)._account)
    manager = open_manager(senders=[other, relayer])
    theirs = manager.submit(GIFT, account=other.address)
    ours = manager.submit(GIFT, account=relayer.address)
    (receipt,) = manager.wait([ours])
    assert receipt.transaction == manager.status(ours).transaction
    assert manager.status(theirs).state is State.QUEUED
    if why == "funds":
        with pytest.raises(SenderFundsError):
            manager.wait([theirs])
    assert chain.balance(SOMEBODY) == 1


def test_hash_of_what_lost_its_nonce_meanwhile(
    chain: Chain, node: LocalChain, open_manager: Open, relayer: LocalSigner
) -> None:
    with odd_node(deciding(Swallowing(1)), upstream=node.url) as server:
        manager = open_manager(chain=through(server.url))
        sender = manager.sender()
        sent = sender.send(GIFT)
        chain.wait(chain.send({"to": relayer.address}, sender=relayer))  # takes the nonce
        while not manager.counts()["lost"]:
            manager.run_once()
        receipt = sender.wait(sent)
    assert receipt.transaction != sent
    assert chain.balance(SOMEBODY) == 1


def test_node_that_is_silent_when_all_is_done(node: LocalChain, open_manager: Open) -> None:
    key = (manager := open_manager()).submit(GIFT)
    (stands,) = manager.wait([key])
    silent = 3

    def answer(call: Call) -> Any:
        nonlocal silent
        if call.method != "eth_getTransactionReceipt" or silent == 0:
            return ...
        silent -= 1
        return None

    with odd_node(answer, upstream=node.url) as server:
        assert open_manager(chain=through(server.url, patience=5.0)).wait([key]) == [stands]
    assert silent == 0


def test_failed_one_has_failed_where_the_node_is_silent(node: LocalChain, open_manager: Open) -> None:
    up = True
    with odd_node(lambda call: ... if up else None, upstream=node.url) as server:
        manager = open_manager(chain=through(server.url, patience=5.0))
        key = manager.submit({"data": "0xfe", "gas": 100_000})
        while manager.run_once():
            pass
        up = False
        with pytest.raises(TransactionFailedError):
            manager.wait([key])


def test_refused_one_is_refused_for_what_the_node_said(node: LocalChain, open_manager: Open) -> None:
    said = "gas required exceeds allowance (30000000)"

    def decide(method: str, parameters: list[Any]) -> Any:
        return refusing(said) if method == "eth_estimateGas" else ...

    with odd_node(deciding(decide), upstream=node.url) as server:
        manager = open_manager(chain=through(server.url))
        with pytest.raises(TransactionRefusedError, match="gas required exceeds allowance"):
            manager.wait([manager.submit({"to": SOMEBODY})])


def test_ended_by_another_at_the_last_moment(open_manager: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = open_manager()
    key = manager.submit(GIFT)
    receipts = manager.wait([key])
    looks = iter([1, 1])
    monkeypatch.setattr(manager.store, "unsettled", lambda keys: next(looks, 0))  # as it was just before
    assert manager.wait([key], timeout=0.0) == receipts

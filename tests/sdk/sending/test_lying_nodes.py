"""What a node says that cannot be so, or is of another chain or transaction, leads to nothing done twice."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import pytest

from medproof.chain import Chain, UnclearAnswerError
from medproof.errors import NodeError, WrongChainError
from medproof.sending import State, Watcher
from medproof.signing import LocalSigner
from scripts.local_chain import LocalChain
from tests.sdk.chain.odd_node import Call, odd_node
from tests.sdk.conftest import rpc
from tests.sdk.sending.conftest import Open
from tests.sdk.sending.nodes import Swallowing, deciding, through

SOMEBODY = "0x" + "42" * 20
GIFT = {"to": SOMEBODY, "value": 1, "gas": 21_000}


def test_other_transactions_receipt(chain: Chain, node: LocalChain, open_manager: Open, relayer: LocalSigner) -> None:
    other = chain.wait(chain.send({"to": relayer.address}, sender=relayer))
    receipt = chain.ask([("eth_getTransactionReceipt", [other.transaction])])[0]
    lying = True

    def decide(method: str, parameters: list[Any]) -> Any:
        return receipt if lying and method == "eth_getTransactionReceipt" else ...

    with odd_node(deciding(decide), upstream=node.url) as server:
        manager = open_manager(chain=through(server.url))
        key = manager.submit(GIFT)
        manager.run_once()
        with pytest.raises(UnclearAnswerError, match="another transaction's receipt"):
            manager.run_once()
        assert manager.status(key).state is State.SENT
        lying = False
        (found,) = manager.wait([key])
    assert found.transaction != other.transaction


@pytest.mark.parametrize("said", [{}, {"transactionHash": 7}, "0x00", [], {"transactionHash": None}, True])
def test_receipt_that_is_none(chain: Chain, node: LocalChain, open_manager: Open, said: Any) -> None:
    def decide(method: str, parameters: list[Any]) -> Any:
        return said if method == "eth_getTransactionReceipt" else ...

    with odd_node(deciding(decide), upstream=node.url) as server:
        manager = open_manager(chain=through(server.url))
        key = manager.submit(GIFT)
        manager.run_once()
        with pytest.raises(NodeError):
            manager.run_once()
    assert manager.status(key).state is State.SENT
    open_manager().wait([key])


@pytest.mark.parametrize("member", ["blockNumber", "blockHash", "gasUsed", "logs"])
@pytest.mark.parametrize("value", [None, "0xzz", [None], -1])
def test_receipt_with_a_member_that_is_none(
    chain: Chain, node: LocalChain, open_manager: Open, member: str, value: Any
) -> None:
    """Nothing is noted of it, whatever its watcher would have been told."""

    def answer(call: Call) -> Any:
        said = json.loads(call.forward())
        for asked, one in zip(call.each, said if isinstance(said, list) else [said], strict=True):
            if asked["method"] == "eth_getTransactionReceipt" and one["result"]:
                one["result"][member] = value
        return json.dumps(said).encode()

    with odd_node(answer, upstream=node.url) as server:
        manager = open_manager(chain=through(server.url), watcher=Watcher())
        key = manager.submit(GIFT)
        manager.run_once()
        with pytest.raises(NodeError):
            manager.run_once()
    assert manager.status(key).state is State.SENT


@pytest.mark.parametrize(
    ("mined", "pending"),
    [(1 << 63, 1 << 63), ((1 << 64) - 1, (1 << 64) - 1), (0, 200_000), (0, 1 << 70)],
)
def test_counts_that_cannot_be(
    chain: Chain, node: LocalChain, open_manager: Open, relayer: LocalSigner, mined: int, pending: int
) -> None:
    def decide(method: str, parameters: list[Any]) -> Any:
        if method != "eth_getTransactionCount":
            return ...
        return hex(pending if parameters[1] == "pending" else mined)

    with odd_node(deciding(decide), upstream=node.url) as server:
        manager = open_manager(chain=through(server.url))
        key = manager.submit(GIFT)
        with pytest.raises(UnclearAnswerError, match="which cannot be"):
            manager.run_once()
    assert manager.status(key).state is State.QUEUED
    open_manager().wait([key])
    assert chain.balance(SOMEBODY) == 1


@pytest.mark.parametrize("said", [None, "", "0x", "many", 5, {}, "-0x1"])
def test_count_that_is_none(chain: Chain, node: LocalChain, open_manager: Open, said: Any) -> None:
    def decide(method: str, parameters: list[Any]) -> Any:
        return said if method == "eth_getTransactionCount" else ...

    with odd_node(deciding(decide), upstream=node.url) as server:
        manager = open_manager(chain=through(server.url))
        manager.submit(GIFT)
        with pytest.raises(NodeError):
            manager.run_once()
    assert [fate.state for fate in manager.fates()] == [State.QUEUED]


def test_node_that_counts_too_few(chain: Chain, node: LocalChain, open_manager: Open, relayer: LocalSigner) -> None:
    """A nonce that a transaction here had is never given to another."""
    manager, before = open_manager(), chain.transaction_count(relayer.address)
    manager.wait(manager.submit_many([GIFT] * 3))

    def decide(method: str, parameters: list[Any]) -> Any:
        return hex(before) if method == "eth_getTransactionCount" else ...

    with odd_node(deciding(decide), upstream=node.url) as server:
        late = open_manager(chain=through(server.url))
        key = late.submit(GIFT)
        late.run_once()
        assert late.status(key).nonce == before + 3
    manager.wait([key])
    assert chain.balance(SOMEBODY) == 4


def test_node_that_counts_a_nonce_as_taken(
    chain: Chain, node: LocalChain, open_manager: Open, relayer: LocalSigner
) -> None:
    """It is not queued again as long as no block shows who took it, and the node knows it."""
    before, lying = chain.transaction_count(relayer.address), False

    def decide(method: str, parameters: list[Any]) -> Any:
        return hex(before + 1) if lying and method == "eth_getTransactionCount" else ...

    with odd_node(deciding(decide), upstream=node.url) as server:
        manager = open_manager(chain=through(server.url))
        rpc(chain, "miner_stop")
        key = manager.submit(GIFT)
        manager.run_once()
        lying = True
        manager.run_once()
        manager.run_once()
        assert (manager.status(key).state, manager.status(key).nonce) == (State.SENT, before)
        lying = False
        rpc(chain, "miner_start")
        manager.wait([key])
    assert manager.counts()["lost"] == 0
    assert chain.balance(SOMEBODY) == 1


def test_node_that_hides_receipts(chain: Chain, node: LocalChain, open_manager: Open, relayer: LocalSigner) -> None:
    """The block has the transaction itself: it is not sent again with another nonce."""
    hiding = True

    def decide(method: str, parameters: list[Any]) -> Any:
        hidden = ("eth_getTransactionReceipt", "eth_getTransactionByHash", "eth_getBlockReceipts")
        return None if hiding and method in hidden else ...

    before = chain.transaction_count(relayer.address)
    with odd_node(deciding(decide), upstream=node.url) as server:
        manager = open_manager(chain=through(server.url))
        key = manager.submit(GIFT)
        for _ in range(3):
            manager.run_once()
        assert (manager.status(key).state, manager.status(key).nonce) == (State.SENT, before)
        hiding = False
        manager.wait([key])
    assert chain.balance(SOMEBODY) == 1


def test_chain_that_changes_underneath(chain: Chain, node: LocalChain, open_manager: Open) -> None:
    other = False

    def decide(method: str, parameters: list[Any]) -> Any:
        return "0x5" if other and method == "eth_chainId" else ...

    with odd_node(deciding(decide), upstream=node.url) as server:
        manager = open_manager(chain=through(server.url))
        key = manager.submit(GIFT)
        other = True
        with pytest.raises(WrongChainError, match="serves chain 5, but chain 1337"):
            manager.run_once()
        with pytest.raises(WrongChainError):
            manager.wait([key])
        assert server.count("eth_sendRawTransaction") == 0
        other = False
        manager.wait([key])
    assert chain.balance(SOMEBODY) == 1


@pytest.mark.parametrize("way", ["twice", "shuffled", "fewer", "others"])
def test_answers_to_a_list_that_are_not_one_each(chain: Chain, node: LocalChain, open_manager: Open, way: str) -> None:
    def answer(call: Call) -> Any:
        if "eth_sendRawTransaction" not in {one["method"] for one in call.each} or len(call.each) == 1:
            return ...
        said = json.loads(call.forward())
        changed = {
            "twice": [*said, *said],
            "shuffled": said[::-1],
            "fewer": said[:-1],
            "others": [{**one, "id": one["id"] + 7} for one in said],
        }
        return json.dumps(changed[way]).encode()

    with odd_node(answer, upstream=node.url) as server:
        manager = open_manager(chain=through(server.url))
        manager.wait(manager.submit_many([GIFT] * 5))
    assert chain.balance(SOMEBODY) == 5


def test_node_that_takes_no_lists(chain: Chain, node: LocalChain, open_manager: Open) -> None:
    def answer(call: Call) -> Any:
        return ... if len(call.each) == 1 else (413, b"")

    with odd_node(answer, upstream=node.url) as server:
        manager = open_manager(chain=through(server.url))
        manager.wait(manager.submit_many([GIFT] * 3))
    assert chain.balance(SOMEBODY) == 3


def test_file_restored_from_before(
    chain: Chain, node: LocalChain, open_manager: Open, relayer: LocalSigner, store: Any, tmp_path: Any
) -> None:
    """An old copy of the file knows of its transactions and not of their nonces: those come from the chain."""
    manager = open_manager()
    manager.submit(GIFT, key="paid")
    with sqlite3.connect(store) as now, sqlite3.connect(tmp_path / "copy.db") as copy:
        now.backup(copy)
    chain.wait(chain.send({"to": SOMEBODY}, sender=relayer))
    swallowing = Swallowing(0)
    with odd_node(deciding(swallowing), upstream=node.url) as server:
        restored = open_manager(chain=through(server.url), store=tmp_path / "copy.db")
        restored.wait(["paid"])
    assert chain.balance(SOMEBODY) == 1

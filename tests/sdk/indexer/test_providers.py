"""Nodes that limit, delay, cut off, lag or lie: the index holds what the chain says, or nothing of it."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.deployments import Deployment
from medproof.errors import AnswerTooLongError, NodeError, NodeLagsError, NodesDisagreeError, WrongChainError
from medproof.indexer import BusyError, Index, Indexer, Node, view
from medproof.policy.word import Rule
from medproof.signing import LocalSigner
from scripts.local_chain import LocalChain
from tests.sdk.chain.odd_node import Call, odd_node
from tests.sdk.chain.test_events import REFUSALS
from tests.sdk.conftest import rpc
from tests.sdk.indexer.contents import contents

BUSY: dict[str, Callable[[Call], Any]] = {
    "HTTP 429": lambda call: (429, b"Too Many Requests"),
    "Alchemy": lambda call: call.error(
        "Your app has exceeded its compute units per second capacity. If you have retries enabled, you can safely "
        "ignore this message.",
        code=429,
    ),
    "Infura": lambda call: call.error("project ID request rate exceeded: too many requests", code=-32005),
    "QuickNode": lambda call: call.error("50/second request limit reached - reduce calls per second", code=-32007),
    "hung up": lambda call: None,
}


def part(call: Call, method: str) -> dict[str, Any] | None:
    """The question of a method in a request of several."""
    content = json.loads(call.body)
    return next((one for one in content if one["method"] == method), None)


def whole(call: Call, method: str, change: Callable[[Any], Any]) -> bytes:
    """The real node's answers, with that to one method changed."""
    content, answers = json.loads(call.body), json.loads(call.forward())
    names = {one["id"]: one["method"] for one in content}
    for answer in answers:
        if names[answer["id"]] == method:
            answer["result"] = change(answer["result"])
    return json.dumps(answers).encode()


@pytest.fixture
def granted(suite: MedProof, chain: Chain, patient: LocalSigner, clinic: LocalSigner, rule: Rule) -> Iterator[int]:
    """Rules over some blocks; how many."""
    for index in range(3):
        suite.consent_registry.grant(clinic.address, dataclasses.replace(rule, index=index), sender=patient)
        rpc(chain, "evm_mine")
    return 5  # two of them are written again, since another follows


@pytest.fixture
def reader(sqlite_index: Index, chain: Chain, deployment: Deployment) -> Callable[..., tuple[Indexer, list[float]]]:
    """An indexer that reads through another node, and the seconds that it would have waited."""

    def make(url: str, **options: Any) -> tuple[Indexer, list[float]]:
        waits: list[float] = []
        options = {"timeout": 1.0, "patience": 60.0} | options
        check = options.pop("check", None)
        node = Node(url, sleep=waits.append, **options)
        return Indexer(sqlite_index, chain, deployment, node=node, check=check), waits

    return make


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refused_range_is_halved(
    refusal: str, node: LocalChain, suite: MedProof, reader: Any, granted: int, sqlite_index: Index
) -> None:
    def answer(call: Call) -> Any:
        asked = part(call, "eth_getLogs")
        if asked is None:
            return ...
        first, last = (int(asked["params"][0][name], 16) for name in ("fromBlock", "toBlock"))
        return REFUSALS[refusal](call) if last - first + 1 > 20 else ...

    with odd_node(answer, upstream=node.url) as server:
        indexer, _ = reader(server.url)
        indexer.update()
    assert indexer.indexed.counts()["rules"] == granted
    assert indexer.indexed.block == suite.chain.block_number()


def test_an_answer_that_is_too_long_is_not_read_and_its_range_halved(
    node: LocalChain,
    suite: MedProof,
    reader: Any,
    granted: int,
    sqlite_index: Index,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("medproof.indexer.node._LONGEST_ANSWER", 100_000)

    def answer(call: Call) -> Any:
        asked = part(call, "eth_getLogs")
        if asked is None:
            return ...
        first, last = (int(asked["params"][0][name], 16) for name in ("fromBlock", "toBlock"))
        return b"[" + b" " * 100_000 + call.forward()[1:] if last - first + 1 > 20 else ...

    with odd_node(answer, upstream=node.url) as server:
        indexer, _ = reader(server.url)
        indexer.update()
    assert indexer.indexed.counts()["rules"] == granted
    with odd_node(lambda call: b"[" + b" " * 100_000) as server, pytest.raises(AnswerTooLongError, match="100,000"):
        Node(server.url).header("latest")


@pytest.mark.parametrize("busy", BUSY)
def test_a_busy_node_is_asked_again_later(busy: str, node: LocalChain, reader: Any, granted: int) -> None:
    refusals = iter([BUSY[busy]] * 3)

    def answer(call: Call) -> Any:
        return next(refusals, lambda call: ...)(call) if part(call, "eth_getLogs") else ...

    with odd_node(answer, upstream=node.url) as server:
        indexer, waits = reader(server.url)
        indexer.update()
    assert indexer.indexed.counts()["rules"] == granted
    assert len(waits) == 3
    assert waits == sorted(waits)


def test_retry_after_is_heeded() -> None:
    from medproof.indexer.node import _retry_after

    at = format_datetime(datetime.now(UTC) + timedelta(seconds=600), usegmt=True)
    found = _retry_after(at)
    assert found is not None
    assert 500 < found <= 600
    assert (_retry_after("7"), _retry_after("soon")) == (7.0, None)


def test_waiting_is_at_least_what_the_node_wants() -> None:
    waits: list[float] = []
    node = Node("http://127.0.0.1:1", patience=20.0, sleep=waits.append)
    assert node.wait(0, 0.0, 7.0) == 7.0
    assert node.wait(0, 14.0, 7.0) is None
    assert waits == [7.0]


def test_patience_ends(reader: Any, node: LocalChain) -> None:
    def answer(call: Call) -> Any:
        return (429, b"") if part(call, "eth_getLogs") else ...

    with odd_node(answer, upstream=node.url) as server:
        indexer, waits = reader(server.url, patience=5.0)
        with pytest.raises(BusyError, match="HTTP 429"):
            indexer.update()
    assert sum(waits) <= 5.0
    assert indexer.indexed.block == indexer.indexed.first - 1


def test_what_even_a_single_block_does_not_get(reader: Any, node: LocalChain, sqlite_index: Index) -> None:
    def answer(call: Call) -> Any:
        return call.error("query returned more than 10000 results", code=-32005) if part(call, "eth_getLogs") else ...

    with odd_node(answer, upstream=node.url) as server:
        indexer, _ = reader(server.url)
        with pytest.raises(NodeError, match="more than 10000 results"):
            indexer.update()
    assert contents(sqlite_index)["events"] == []


LIES: dict[str, Callable[[list[dict[str, Any]]], list[Any]]] = {
    "of another contract": lambda logs: [{**one, "address": "0x" + "11" * 20} for one in logs],
    "twice": lambda logs: [one for one in logs for _ in range(2)],
    "out of order": lambda logs: logs[::-1],
    "removed": lambda logs: [{**one, "removed": True} for one in logs],
    "of another range": lambda logs: [{**one, "blockNumber": "0xfffff"} for one in logs],
    "of another event": lambda logs: [{**one, "topics": ["0x" + "22" * 32]} for one in logs],
    "without topics": lambda logs: [{**one, "topics": []} for one in logs],
    "with a short argument": lambda logs: [{**one, "data": one["data"][:-2]} for one in logs],
    "no hexadecimal digits": lambda logs: [{**one, "transactionHash": "0xzz"} for one in logs],
    "no numbers": lambda logs: [{**one, "logIndex": "first"} for one in logs],
    "no text": lambda logs: [{**one, "data": None} for one in logs],
    "no block's numbers": lambda logs: [{**one, "blockNumber": "first"} for one in logs],
    "a number that no database takes": lambda logs: [{**one, "logIndex": "0x" + "f" * 32} for one in logs],
    "a time that no calendar has": lambda logs: [{**one, "blockTimestamp": "0x" + "f" * 16} for one in logs],
    "a hash cut short": lambda logs: [{**one, "transactionHash": one["transactionHash"][:20]} for one in logs],
    "pending": lambda logs: [{**one, "blockNumber": None} for one in logs],
}


@pytest.mark.parametrize("lie", LIES)
def test_log_entries_that_do_not_fit_are_not_indexed(
    lie: str, node: LocalChain, reader: Any, granted: int, sqlite_index: Index
) -> None:
    def answer(call: Call) -> Any:
        return whole(call, "eth_getLogs", LIES[lie]) if part(call, "eth_getLogs") else ...

    with odd_node(answer, upstream=node.url) as server:
        indexer, _ = reader(server.url)
        with pytest.raises(NodeError):
            indexer.update()
    assert contents(sqlite_index)["events"] == []


def test_a_second_node_that_agrees(node: LocalChain, reader: Any, granted: int) -> None:
    indexer, _ = reader(node.url, check=Node(node.url))
    indexer.update()
    assert indexer.indexed.counts()["rules"] == granted


SECOND: dict[str, tuple[str, Callable[[Any], Any], str]] = {
    "another fork": ("eth_getBlockByNumber", lambda block: block and {**block, "hash": "0x" + "33" * 32}, "the hash"),
    "an event less": ("eth_getLogs", lambda logs: logs[:-1], "the events"),
    "another event": (
        "eth_getLogs",
        lambda logs: [{**one, "data": "0x" + "44" * 32} for one in logs],
        "the events",
    ),
    "another time": (
        "eth_getBlockByNumber",
        lambda block: block and {**block, "timestamp": hex(int(block["timestamp"], 16) + 1)},
        "the time",
    ),
    "no time": ("eth_getBlockByNumber", lambda block: block and {**block, "timestamp": "soon"}, ""),
}


@pytest.mark.parametrize("lie", SECOND)
def test_a_second_node_that_says_something_else_stops_it(
    lie: str, node: LocalChain, reader: Any, granted: int, sqlite_index: Index
) -> None:
    method, change, what = SECOND[lie]

    def answer(call: Call) -> Any:
        return whole(call, method, change) if part(call, "eth_getLogs") else ...

    with odd_node(answer, upstream=node.url) as server:
        indexer, _ = reader(node.url, check=Node(server.url))
        with pytest.raises(
            NodesDisagreeError if what else NodeError, match=f"disagree on {what}" if what else "for a number"
        ):
            indexer.update()
    assert contents(sqlite_index)["events"] == []


def test_a_second_node_that_tells_another_time_of_a_block_with_events_stops_it(
    node: LocalChain, reader: Any, granted: int, sqlite_index: Index
) -> None:
    def later(block: Any) -> Any:
        return block and {**block, "timestamp": hex(int(block["timestamp"], 16) + 3600)}

    def answer(call: Call) -> Any:
        alone = part(call, "eth_getBlockByNumber") and not part(call, "eth_getLogs")
        return whole(call, "eth_getBlockByNumber", later) if alone else ...

    with odd_node(answer, upstream=node.url) as server:
        indexer, _ = reader(node.url, check=Node(server.url))
        with pytest.raises(NodesDisagreeError, match="disagree on the time"):
            indexer.update()
    assert contents(sqlite_index)["events"] == []


def test_a_second_node_that_lags_is_waited_for(node: LocalChain, reader: Any, granted: int) -> None:
    behind = iter([True] * 2)

    def answer(call: Call) -> Any:
        if part(call, "eth_getLogs") and next(behind, False):
            return whole(call, "eth_getBlockByNumber", lambda block: None)
        return ...

    waits: list[float] = []
    with odd_node(answer, upstream=node.url) as server:
        indexer, _ = reader(node.url, check=Node(server.url, sleep=waits.append))
        indexer.update()
    assert len(waits) == 2
    assert indexer.indexed.counts()["rules"] == granted


def test_a_second_node_that_stays_behind(node: LocalChain, reader: Any, sqlite_index: Index) -> None:
    def answer(call: Call) -> Any:
        return whole(call, "eth_getBlockByNumber", lambda block: None) if part(call, "eth_getLogs") else ...

    with odd_node(answer, upstream=node.url) as server:
        indexer, _ = reader(node.url, check=Node(server.url, patience=1.0, sleep=lambda _: None))
        with pytest.raises(NodeLagsError):
            indexer.update()
    assert contents(sqlite_index)["events"] == []


def test_a_second_node_of_another_chain(
    node: LocalChain, chain: Chain, deployment: Deployment, sqlite_index: Index
) -> None:
    def answer(call: Call) -> Any:
        return whole(call, "eth_chainId", lambda _: "0x1")

    with odd_node(answer, upstream=node.url) as server, pytest.raises(WrongChainError, match="serves chain 1,"):
        Indexer(sqlite_index, chain, deployment, check=Node(server.url))


def test_keys_in_urls_are_not_told() -> None:
    node = Node("http://user:word@127.0.0.1:1/v3/secret-key", patience=0.0)
    with pytest.raises(BusyError) as caught:
        node.header("latest")
    assert "secret" not in str(caught.value)
    assert "word" not in str(caught.value)


def test_no_json_rpc_node(node: LocalChain) -> None:
    with odd_node(lambda call: b"<html></html>") as server, pytest.raises(NodeError, match="cannot be used"):
        Node(server.url).header(1)
    with odd_node(lambda call: call.error("no batches")) as server, pytest.raises(NodeError, match="no batches"):
        Node(server.url).header(1)
    with odd_node(lambda call: call.result(None)) as server, pytest.raises(NodeError, match="several questions"):
        Node(server.url).header(1)


def test_following_outlives_a_node_that_is_away(node: LocalChain, reader: Any, granted: int, chain: Chain) -> None:
    away, stop, troubles = iter([True] * 2), threading.Event(), []

    def answer(call: Call) -> Any:
        return None if part(call, "eth_blockNumber") and next(away, False) else ...

    with odd_node(answer, upstream=node.url) as server:
        indexer, _ = reader(server.url, patience=0.0)
        indexer.follow(
            stop,
            pause=0.001,
            trouble=troubles.append,
            report=lambda progress: stop.set() if progress.block == chain.block_number() else None,
        )
    assert len(troubles) == 2
    assert indexer.indexed.counts()["rules"] == granted
    assert view(indexer.indexed).block == chain.block_number()


def test_the_next_ranges_are_asked_for_while_one_is_written(node: LocalChain, reader: Any, chain: Chain) -> None:
    with odd_node(lambda call: ..., upstream=node.url) as server:
        indexer, _ = reader(server.url)
        indexer._range = 2

        def asked() -> int:
            return sum(part(call, "eth_getLogs") is not None for call in server.calls)

        batches = indexer._batches(indexer.indexed.first, chain.block_number())
        next(batches)
        deadline = time.monotonic() + 10.0
        while asked() < 3 and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(0.05)
        assert asked() == 3  # two ahead, and no more: memory is bounded
        batches.close()


def test_a_range_of_another_fork_behind_one_of_this_is_not_used(
    node: LocalChain, suite: MedProof, reader: Any, granted: int, sqlite_index: Index, tmp_path: Path
) -> None:
    """The block before it is not the one that the range before it ended with."""
    lied: list[int] = []

    def answer(call: Call) -> Any:
        asked = part(call, "eth_getLogs")
        if asked is None or lied:
            return ...
        before = int(asked["params"][0]["fromBlock"], 16) - 1
        if before <= suite.deployment.first_block + 2:
            return ...
        lied.append(before)
        return whole(
            call,
            "eth_getBlockByNumber",
            lambda block: {**block, "hash": "0x" + "33" * 32} if int(block["number"], 16) == before else block,
        )

    with odd_node(answer, upstream=node.url) as server:
        indexer, _ = reader(server.url)
        indexer._range = 4
        indexer.update()
        firsts = [asked["params"][0]["fromBlock"] for call in server.calls if (asked := part(call, "eth_getLogs"))]
    assert firsts.count(hex(lied[0] + 1)) == 2  # it was asked for anew
    fresh = Index(tmp_path / "fresh.db")
    Indexer(fresh, suite.chain, suite.deployment).update()
    assert contents(sqlite_index) == contents(fresh)
    fresh.close()

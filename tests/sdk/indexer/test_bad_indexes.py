"""What is no index, or of another version or chain, is refused in an index's own words."""

from __future__ import annotations

import dataclasses
import sqlite3
from pathlib import Path

import pytest

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.deployments import Deployment
from medproof.errors import (
    ArgumentError,
    DeploymentError,
    NodeError,
    StoreBusyError,
    StoreDamagedError,
    StoreUnavailableError,
    StoreVersionError,
)
from medproof.indexer import Index, Indexer, Node, view
from scripts.local_chain import LocalChain
from tests.sdk.chain.odd_node import Call, odd_node
from tests.sdk.indexer.test_providers import part, whole


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    path.write_bytes(b"%PDF-1.7 " * 500)
    with pytest.raises(StoreDamagedError, match=r"no index .* make it anew from the chain"):
        Index(path)
    assert path.read_bytes() == b"%PDF-1.7 " * 500


def test_a_place_where_none_can_be(tmp_path: Path) -> None:
    for path in (tmp_path / "missing" / "index.db", tmp_path):
        with pytest.raises(StoreUnavailableError, match="The index's database"):
            Index(path)


@pytest.mark.parametrize("where", ["sqlite://", "sqlite:///:memory:", "mysql://127.0.0.1/index", "index.db", "://"])
def test_a_url_of_another_kind(where: str) -> None:
    with pytest.raises(ArgumentError, match="index"):
        Index(where)


def test_a_newer_one(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    Index(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE index_version SET version_num = '9999'")
    with pytest.raises(StoreVersionError, match="index's tables are of a newer MedProof"):
        Index(path)


def test_one_that_is_only_looked_at_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    Index(path).close()
    Index(path, as_it_is=True).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE index_version SET version_num = '0002'")
    with pytest.raises(StoreVersionError, match="older MedProof than this one, and only looked at here"):
        Index(path, as_it_is=True)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT version_num FROM index_version").fetchall() == [("0002",)]
        connection.execute("UPDATE index_version SET version_num = '9999'")
    with pytest.raises(StoreVersionError, match="newer MedProof"):
        Index(path, as_it_is=True)


def test_a_database_of_nothing_is_no_index_and_becomes_none(where: str) -> None:
    with pytest.raises(StoreVersionError, match="keeps no index"):
        Index(where, as_it_is=True)
    Index(where).close()
    Index(where, as_it_is=True).close()


def test_one_that_another_process_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medproof.indexer.index._PATIENCE", 0.05)
    path = tmp_path / "index.db"
    Index(path).close()
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusyError, match="The index's database is held by others"):
            Index(path)


def test_an_index_cut_short(tmp_path: Path, chain: Chain, deployment: Deployment) -> None:
    path = tmp_path / "index.db"
    index = Index(path)
    Indexer(index, chain, deployment).update()
    index.close()
    path.write_bytes(path.read_bytes()[: 5 * 4096])

    def use() -> None:
        opened = Index(path)  # only what is read shows what is missing
        list(view(opened.deployments()[0]).rules())

    with pytest.raises(StoreDamagedError, match="index"):
        use()


def test_a_manifest_of_another_chain(chain: Chain, sqlite_index: Index, deployment: Deployment) -> None:
    other = dataclasses.replace(deployment, chain_id=11155111)
    with pytest.raises(DeploymentError, match="11155111"):
        Indexer(sqlite_index, chain, other)
    assert sqlite_index.deployments() == ()


@pytest.mark.parametrize("what", ["missing trie node 0123 (path )", "header not found", "history has been pruned"])
def test_a_node_that_forgot_the_old_blocks(
    what: str, node: LocalChain, suite: MedProof, chain: Chain, sqlite_index: Index, deployment: Deployment
) -> None:
    """A pruned node: the reason is told in its own words, and nothing is written of what is missing."""

    def answer(call: Call) -> object:
        return call.error(what) if part(call, "eth_getLogs") else ...

    with odd_node(answer, upstream=node.url) as server:
        forgetful = Node(server.url, patience=1.0, sleep=lambda _: None)
        indexer = Indexer(sqlite_index, chain, deployment, node=forgetful)
        with pytest.raises(NodeError, match=what.replace("(", r"\(").replace(")", r"\)")):
            indexer.update()
    assert indexer.indexed.block == indexer.indexed.first - 1
    Indexer(sqlite_index, chain, deployment).update()  # a node that remembers goes on
    assert view(indexer.indexed).block == chain.block_number()


HEADERS = {
    "no time": {"timestamp": "yesterday"},
    "no number": {"number": "0xzz"},
    "another block": {"number": "0x7fffffff"},
    "no hash": {"hash": "0x"},
    "no text": {"hash": 7},
}


@pytest.mark.parametrize("lie", HEADERS)
def test_headers_that_are_none(
    lie: str, node: LocalChain, chain: Chain, sqlite_index: Index, deployment: Deployment
) -> None:
    def answer(call: Call) -> object:
        if part(call, "eth_getLogs"):
            return whole(call, "eth_getBlockByNumber", lambda block: block and {**block, **HEADERS[lie]})
        return ...

    with odd_node(answer, upstream=node.url) as server:
        liar = Node(server.url, patience=1.0, sleep=lambda _: None)
        indexer = Indexer(sqlite_index, chain, deployment, node=liar)
        with pytest.raises(NodeError):
            indexer.update()
    assert indexer.indexed.block == indexer.indexed.first - 1

"""What a queue takes: on disk when it says so, the same key once, and nothing that is no transaction."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from medproof.chain import Chain
from medproof.errors import (
    ArgumentError,
    KeyReusedError,
    QueueError,
    SigningNeededError,
    UnknownTransactionError,
)
from medproof.sending import State, TransactionManager, TransactionStore
from medproof.signing import LocalSigner, NodeSigner
from tests.sdk.sending.conftest import Open

SOMEBODY = "0x" + "42" * 20


def test_key_again_is_the_same_transaction(chain: Chain, open_manager: Open, relayer: LocalSigner) -> None:
    manager, before = open_manager(), chain.transaction_count(relayer.address)
    request = {"to": SOMEBODY, "value": 5}
    assert manager.submit(request, key="invoice 7") == "invoice 7"
    assert manager.submit({**request, "data": "0x", "gas": 50_000}, key="invoice 7") == "invoice 7"
    (receipt,) = manager.wait(["invoice 7"])
    assert open_manager().submit(request, key="invoice 7") == "invoice 7"  # after it was confirmed, by another
    assert manager.wait(["invoice 7"]) == [receipt]
    assert chain.transaction_count(relayer.address) == before + 1
    assert chain.balance(SOMEBODY) == 5


@pytest.mark.parametrize(
    "other", [{"value": 6}, {"to": "0x" + "43" * 20}, {"to": None, "data": "0x00"}, {"data": "0x01"}, {"account": True}]
)
def test_key_with_another_content(open_manager: Open, relayer: LocalSigner, other: dict[str, Any]) -> None:
    manager = open_manager()
    manager.submit({"to": SOMEBODY, "value": 5}, key="one")
    account = relayer.address if other.pop("account", False) else None
    with pytest.raises(KeyReusedError, match="'one' stands for another transaction"):
        manager.submit_many(
            [{"to": SOMEBODY, "value": 5}, {"to": SOMEBODY, "value": 5, **other}], keys=["two", "one"], account=account
        )
    assert [fate.key for fate in manager.fates()] == ["one"]  # all or none


def test_one_that_was_refused_may_come_again(chain: Chain, open_manager: Open, relayer: LocalSigner) -> None:
    manager = open_manager()
    burning = {"data": "0xfe"}  # creates a contract by an invalid instruction
    key = manager.submit(burning, key="again")
    manager.run_once()
    assert manager.status(key).state is State.REFUSED
    manager.submit(burning, key="again")
    assert manager.status(key).state is State.QUEUED


@pytest.mark.parametrize(
    "request_",
    [
        {"to": "0x12"},
        {"to": "0x52908400098527886E0F7030069857D2E4169Ee7"},  # its last capital is wrong
        {"to": 7},
        {"to": SOMEBODY, "value": -1},
        {"to": SOMEBODY, "value": 1 << 256},
        {"to": SOMEBODY, "value": "5"},
        {"to": SOMEBODY, "value": 1.5},
        {"to": SOMEBODY, "gas": 0},
        {"to": SOMEBODY, "gas": 1 << 70},
        {"to": SOMEBODY, "data": "0x1"},
        {"to": SOMEBODY, "data": None},
        {"to": SOMEBODY, "data": 40},
        {"to": SOMEBODY, "nonce": 3},
        {"to": SOMEBODY, "maxFeePerGas": 3},
    ],
)
def test_what_is_no_transaction(open_manager: Open, request_: dict[str, Any]) -> None:
    manager = open_manager()
    with pytest.raises(ArgumentError):
        manager.submit(request_)
    assert manager.fates() == []


@pytest.mark.parametrize("key", ["", "x" * 501, "nul\0", 7, b"bytes"])
def test_what_is_no_key(open_manager: Open, key: Any) -> None:
    with pytest.raises(ArgumentError, match="is no key"):
        open_manager().submit({"to": SOMEBODY}, key=key)


def test_hostile_key_is_a_text_like_any_other(open_manager: Open) -> None:
    manager = open_manager()
    for key in ("'; DROP TABLE transactions; --", '["a"]', "☃\n", "gap 1"):
        assert manager.submit({"to": SOMEBODY}, key=key) == key
        assert manager.status(key).state is State.QUEUED
    assert len(manager.fates()) == 4


def test_keys_for_each(open_manager: Open) -> None:
    with pytest.raises(ArgumentError, match="1 keys for 2 transactions"):
        open_manager().submit_many([{"to": SOMEBODY}] * 2, keys=["one"])


def test_account_that_the_manager_has_not(open_manager: Open) -> None:
    with pytest.raises(ArgumentError, match="is no account of this manager"):
        open_manager().submit({"to": SOMEBODY}, account=SOMEBODY)


def test_unknown_key(open_manager: Open) -> None:
    manager = open_manager()
    with pytest.raises(UnknownTransactionError, match="'what' is no transaction"):
        manager.status("what")
    with pytest.raises(UnknownTransactionError):
        manager.wait(["what"])


def test_whoever_only_submits_needs_no_key(chain: Chain, open_manager: Open, relayer: LocalSigner) -> None:
    clerk = open_manager(senders=[])
    key = clerk.submit({"to": SOMEBODY, "value": 1}, account=relayer.address)
    assert clerk.run_once() == 1
    open_manager().wait([key])
    assert clerk.status(key).state is State.CONFIRMED


def test_account_whose_key_the_node_has(chain: Chain, store: Path) -> None:
    with pytest.raises(SigningNeededError, match="signs none here"):
        TransactionManager(chain, store, [NodeSigner(chain.accounts()[0])])  # type: ignore[list-item]
    assert not store.exists()


# -- the file ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("other", [{"chain_id": 1}, {"genesis": "0x00"}])
def test_file_of_another_chain(chain: Chain, open_manager: Open, store: Path, other: dict[str, Any]) -> None:
    open_manager()
    this = {"chain_id": chain.chain_id, "genesis": chain.block(0).hash}
    with pytest.raises(QueueError, match="is for chain 1337 from block 0x"):
        TransactionStore(store, **{**this, **other})


def test_file_that_is_none(open_manager: Open, store: Path, tmp_path: Path) -> None:
    store.write_text("some text that is longer than the head of a database, " * 20)
    with pytest.raises(QueueError, match="cannot be read"):
        open_manager()
    with pytest.raises(QueueError, match="cannot be opened"):
        open_manager(store=tmp_path / "nowhere" / "queue.db")


def test_file_of_another_kind_or_version(open_manager: Open, store: Path) -> None:
    with sqlite3.connect(store) as database:
        database.execute("CREATE TABLE batches (batch)")
        database.execute("PRAGMA user_version = 1")
    database.close()
    with pytest.raises(QueueError, match="of version 1 and not 2"):
        open_manager()


def test_file_is_its_owners_alone(open_manager: Open, store: Path) -> None:
    open_manager()
    assert store.stat().st_mode & 0o777 == 0o600


def test_closed(open_manager: Open) -> None:
    manager = open_manager()
    manager.close()
    with pytest.raises(QueueError, match="what was stored before is safe"):
        manager.submit({"to": SOMEBODY})


def test_others_keep_their_tables_in_the_same_change(chain: Chain, store: Path) -> None:
    kept = TransactionStore(
        store,
        chain_id=chain.chain_id,
        genesis=chain.block(0).hash,
        tables=["CREATE TABLE IF NOT EXISTS notes (text TEXT)"],
    )

    def fail() -> None:
        with kept.writing() as database:
            database.execute("INSERT INTO notes VALUES ('gone')")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with kept.writing() as database:
        database.execute("INSERT INTO notes VALUES ('kept')")
    assert [row["text"] for row in kept.rows("SELECT text FROM notes")] == ["kept"]
    kept.close()

"""Databases that are down, held, full, damaged or killed: a named error, nothing by halves, nothing lost."""

from __future__ import annotations

import multiprocessing
import sqlite3
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import event, text

from medproof.errors import (
    RecordErasedError,
    StoreBusyError,
    StoreDamagedError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)
from medproof.store import KeyRing, Query, SqlStore
from tests.sdk.store.examples import Sealed, fresh, sealed
from tests.sdk.store.postgres import LocalPostgres


def refused(error: type[StoreError], record: Sealed, ask: Callable[[], object]) -> None:
    """What is asked fails with this error, and shows nothing of the record."""
    with pytest.raises(error) as caught:
        ask()
    shown = "".join(traceback.format_exception(caught.value))
    assert caught.value.__cause__ is None
    for secret in (str(record.resource.id), record.salt.hex(), repr(record.salt)[2:-1], "Systolic"):
        assert secret not in shown


def all_readable(store: SqlStore) -> set[bytes]:
    found, cursor = set(), None
    while True:
        page = store.search(Query(), limit=1000, cursor=cursor)
        found |= {record.entry.pointer.id for record in store.open(page.entries)}
        cursor = page.cursor
        if cursor is None:
            return found


def test_sqlite_held_by_another(sqlite_file: Path, keys: KeyRing) -> None:
    store = SqlStore(sqlite_file, keys, patience=0.1)
    first, second = fresh(), fresh()
    first.put(store)
    holder = sqlite3.connect(sqlite_file, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    refused(StoreBusyError, second, lambda: second.put(store))
    assert store.get_pointed(first.pointer.id).salt == first.salt
    holder.execute("ROLLBACK")
    holder.close()
    second.put(store)
    assert all_readable(store) == {first.pointer.id, second.pointer.id}


def test_sqlite_full(sqlite_file: Path, keys: KeyRing) -> None:
    store = SqlStore(sqlite_file, keys, connections=1)
    stored = {fresh().put(store).pointer.id}
    with store.database.reading() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
        connection.execute(text(f"PRAGMA max_page_count = {pages + 3}"))
    big = sealed(id="too-big", note=[{"text": "x" * 100_000}])
    refused(StoreFullError, big, lambda: big.put(store))
    assert all_readable(store) == stored
    with store.database.reading() as connection:
        connection.execute(text("PRAGMA max_page_count = 100000"))
    stored.add(big.put(store).pointer.id)
    assert all_readable(store) == stored


def test_all_connections_in_use(sqlite_file: Path, keys: KeyRing) -> None:
    store = SqlStore(sqlite_file, keys, connections=1, patience=0.1)
    with store.database.reading():
        refused(StoreBusyError, sealed(), store.check)
    store.check()


def test_sqlite_files_of_no_use(tmp_path: Path, keys: KeyRing) -> None:
    text_file = tmp_path / "notes.db"
    text_file.write_text("Peter Chalmers, seen on Monday. " * 200)
    with pytest.raises(StoreDamagedError, match="SQLITE_NOTADB"):
        SqlStore(text_file, keys)
    with pytest.raises(StoreUnavailableError, match="No such file"):
        SqlStore(tmp_path / "missing" / "records.db", keys)
    with pytest.raises(StoreUnavailableError):
        SqlStore(tmp_path, keys)


def test_sqlite_damaged_pages(sqlite_file: Path, keys: KeyRing) -> None:
    store = SqlStore(sqlite_file, keys)
    records = [fresh() for _ in range(20)]
    for record in records:
        record.put(store)
    store.close()
    content = bytearray(sqlite_file.read_bytes())
    part = len(content) * 3 // 4
    content[part:] = b"\xff" * (len(content) - part)
    sqlite_file.write_bytes(content)

    store = SqlStore(sqlite_file, keys)
    failures = 0
    for record in records:
        try:
            assert store.get_pointed(record.pointer.id).salt == record.salt
        except StoreError:
            failures += 1
    assert failures


def test_writes_are_flushed_before_they_return(sqlite_file: Path, keys: KeyRing) -> None:
    store = SqlStore(sqlite_file, keys)
    with store.database.reading() as connection:
        settings = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "secure_delete", "foreign_keys")
        }
    assert settings == {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1, "foreign_keys": 1}


def test_postgres_confirms_what_is_durable(postgres_url: str, keys: KeyRing) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("ALTER ROLE postgres SET synchronous_commit = off")
    store = SqlStore(postgres_url, keys)
    with store.database.reading() as connection:
        assert connection.execute(text("SHOW synchronous_commit")).scalar_one() == "on"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("off",)
        connection.execute("ALTER ROLE postgres RESET synchronous_commit")
    store.close()


def test_postgres_down_and_up(postgres: LocalPostgres, postgres_url: str, keys: KeyRing) -> None:
    store = SqlStore(postgres_url, keys, patience=2.0)
    first, second = fresh(), fresh()
    first.put(store)
    postgres.stop()
    try:
        refused(StoreUnavailableError, second, lambda: second.put(store))
        refused(StoreUnavailableError, first, lambda: store.get_pointed(first.pointer.id))
        refused(StoreUnavailableError, first, store.check)
        with pytest.raises(StoreUnavailableError):
            SqlStore(postgres_url, keys, patience=2.0)
    finally:
        postgres.start()
    second.put(store)
    assert all_readable(store) == {first.pointer.id, second.pointer.id}
    store.close()


def test_postgres_killed_while_many_write(postgres: LocalPostgres, postgres_url: str, keys: KeyRing) -> None:
    store = SqlStore(postgres_url, keys, patience=2.0)
    confirmed: list[Sealed] = []
    failed: list[Sealed] = []
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            record = fresh()
            try:
                record.put(store)
            except StoreError:
                failed.append(record)
                stop.wait(0.02)
            else:
                confirmed.append(record)

    writers = [threading.Thread(target=write) for _ in range(3)]
    for writer in writers:
        writer.start()
    try:
        wait_for(lambda: len(confirmed) > 20)
        postgres.kill()
        wait_for(lambda: bool(failed))
    finally:
        postgres.start()
        before = len(confirmed)
        wait_for(lambda: len(confirmed) > before + 5)
        stop.set()
        for writer in writers:
            writer.join()

    readable = all_readable(store)
    assert {record.pointer.id for record in confirmed} <= readable
    assert readable <= {record.pointer.id for record in (*confirmed, *failed)}
    for record in failed[:20]:
        record.put(store)  # whether or not it was stored before its answer was lost
        assert store.get_pointed(record.pointer.id).salt == record.salt
    store.close()


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        threading.Event().wait(0.02)
    raise AssertionError("it did not come about")


def test_postgres_tables_held(postgres_url: str, keys: KeyRing) -> None:
    store = SqlStore(postgres_url, keys, patience=0.2)
    record = fresh()
    with psycopg.connect(postgres_url) as holder:
        holder.execute("LOCK TABLE records IN ACCESS EXCLUSIVE MODE")
        refused(StoreBusyError, record, lambda: record.put(store))
    record.put(store)
    store.close()


def test_postgres_erasure_that_a_reader_holds_up_says_so(postgres_url: str, keys: KeyRing) -> None:
    store = SqlStore(postgres_url, keys, patience=0.2)
    record = fresh()
    record.put(store)
    with psycopg.connect(postgres_url) as reader:
        reader.execute("SELECT count(*) FROM record_keys")
        refused(StoreBusyError, record, lambda: store.erase(record.pointer.id))
        with pytest.raises(RecordErasedError):
            store.get_pointed(record.pointer.id)
    assert store.erase(record.pointer.id) == 0
    store.close()


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ("53100", StoreFullError),
        ("40001", StoreBusyError),
        ("57P01", StoreUnavailableError),
        ("XX001", StoreDamagedError),
    ],
)
def test_postgres_errors_by_name(postgres_url: str, keys: KeyRing, state: str, error: type[StoreError]) -> None:
    store = SqlStore(postgres_url, keys)
    record = fresh()
    with psycopg.connect(postgres_url) as connection:
        connection.execute(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION 'row %', NEW USING ERRCODE = '{state}'; END $$"
        )
        connection.execute("CREATE TRIGGER fail BEFORE INSERT ON record_keys FOR EACH ROW EXECUTE FUNCTION fail()")
    refused(error, record, lambda: record.put(store))
    assert store.search(Query()).entries == ()
    store.close()


def put_until_killed(database: str, keys: KeyRing, said: Connection) -> None:
    store = SqlStore(database, keys)
    while True:
        said.send(fresh().put(store).pointer.id)


def test_killed_in_the_middle_of_a_put(database: str, keys: KeyRing) -> None:
    fork = multiprocessing.get_context("fork")  # a spawned process would import for seconds
    heard, said = fork.Pipe(duplex=False)
    writer = fork.Process(target=put_until_killed, args=(database, keys, said), daemon=True)
    writer.start()
    said.close()
    confirmed = {heard.recv() for _ in range(25)}
    writer.kill()
    with suppress(EOFError):
        while True:
            confirmed.add(heard.recv())
    writer.join()

    store = SqlStore(database, keys)
    stored = all_readable(store)
    assert confirmed <= stored
    assert len(stored) <= len(confirmed) + 1
    store.close()


def test_half_of_a_put_is_none(store: SqlStore) -> None:
    record = fresh()

    def fail(connection: object, cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT INTO record_keys"):
            raise KeyboardInterrupt

    event.listen(store.database.engine, "before_cursor_execute", fail)
    with pytest.raises(KeyboardInterrupt):
        record.put(store)
    event.remove(store.database.engine, "before_cursor_execute", fail)
    assert store.search(Query()).entries == ()
    record.put(store)
    assert all_readable(store) == {record.pointer.id}

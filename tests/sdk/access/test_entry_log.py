"""The log of accesses on disk: chained, sealed, whole or not at all, erasable, and shared by threads and processes."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

import pytest
from eth_utils.crypto import keccak
from sqlalchemy import Engine, create_engine, event, text

from medproof.access import Promised, PromiseFile
from medproof.access.entry_log import EntryLog
from medproof.access.export import LogLine, read_lines
from medproof.access.verification import verify
from medproof.anchoring import LeafLog
from medproof.errors import (
    AccessEntryError,
    ArgumentError,
    LogDamagedError,
    MasterKeyError,
    PromiseError,
    SigningNeededError,
)
from medproof.store import KeyRing, MasterKey, SqlStore
from tests.sdk.access import logs
from tests.sdk.access.logs import CUSTODIAN, DOMAIN, LOG, READER, SUBJECT, access, account, signed
from tests.sdk.store.conftest import database, keys, postgres, postgres_url, sqlite_file

__all__ = ["database", "keys", "postgres", "postgres_url", "sqlite_file"]

NOW = 1_800_000_000
Open = Callable[..., EntryLog]


@pytest.fixture
def open_log(database: str, keys: KeyRing) -> Iterator[Open]:
    opened: list[EntryLog] = []

    def build(**changes: object) -> EntryLog:
        given = {"custodian": CUSTODIAN, "domain": DOMAIN, "signer": logs.KEY, "number": LOG, "clock": lambda: NOW}
        given |= {"patience": 5.0, **changes}
        opened.append(EntryLog(database, given.pop("keys", keys), **given))  # type: ignore[arg-type]
        return opened[-1]

    yield build
    for one in opened:
        one.close()


@pytest.fixture
def log(open_log: Open) -> EntryLog:
    return open_log()


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    made = create_engine(database.replace("postgresql:", "postgresql+psycopg:"))
    yield made
    made.dispose()


def alter(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(statement))


def sound(log: EntryLog) -> int:
    """How many entries a log has, if nothing is wrong with it."""
    report = verify(log.lines(), custodian=CUSTODIAN, log=LOG, batches=[], signed=signed, now=NOW)
    assert report.finding is None
    assert report.entries == log.leaves.size
    return report.entries


def test_an_entry_is_chained_promised_and_read_back(log: EntryLog, open_log: Open) -> None:
    given = [access(number, account=account(20 + number % 2)) for number in range(5)]
    told = [log.add(one) for one in given]
    for again in (log, open_log(signer=None)):
        kept = list(again.entries())
        assert [one.opening and one.opening.entry.access for one in kept] == given
        assert [one.promise for one in kept] == [one.promise for one in told]
        assert [one.opening for one in kept] == [one.opening for one in told]
        previous = None
        for index, one in enumerate(kept):
            assert one.opening is not None
            assert (one.opening.entry.index, one.opening.entry.previous) == (index, previous)
            assert (one.promise.index, one.promise.due) == (index, NOW + 3600)
            assert signed(one.promise)
            previous = one.opening.commitment
        assert list(again.leaves.leaves()) == [one.promise.entry for one in told]
    assert len({one.opening.salt for one in told if one.opening}) == 5
    assert sound(log) == 5


def test_whatever_is_written_can_be_read(log: EntryLog) -> None:
    odd = [
        access(account=READER.lower(), subject=SUBJECT.lower(), signed="0x", party=READER.lower()),
        access(records=(), subject=None, party=None, block=None, block_hash=None, permitted=False),
        access(reason="Ä" * 200, when=logs.NOON.astimezone()),
    ]
    for one in odd:
        log.add(one)
    assert [one.opening and one.opening.entry.access for one in log.entries()] == odd
    assert [one.promise.index for one in log.entries(account=READER)] == [0, 1, 2]
    assert sound(log) == 3
    with pytest.raises(ArgumentError, match="no action"):
        access(action="prove")


def test_whose_entries(log: EntryLog) -> None:
    mine, yours = account(30), account(31)
    for number in range(7):
        log.add(access(number, account=mine if number % 3 else yours, subject=[SUBJECT, None, yours][number % 3]))

    def places(**query: object) -> list[int | None]:
        return [one.promise.index for one in log.entries(**query)]  # type: ignore[arg-type]

    assert places() == [0, 1, 2, 3, 4, 5, 6]
    assert places(subject=SUBJECT) == places(account=yours) == [0, 3, 6]
    assert places(subject=SUBJECT.lower(), start=1) == [3, 6]
    assert places(account=mine) == [1, 2, 4, 5]
    assert places(account=mine, start=2, end=5, limit=1) == [2]
    assert places(account=yours, subject=yours) == []
    assert places(limit=0) == places(subject=account(32)) == []


def test_requests_at_the_same_time_share_a_transaction(log: EntryLog, monkeypatch: pytest.MonkeyPatch) -> None:
    entered, gate, batches = threading.Event(), threading.Event(), []
    write = log.leaves.write

    def slow(make: object) -> range:
        entered.set()
        assert gate.wait(10)
        indices = write(make)  # type: ignore[arg-type]
        batches.append(len(indices))
        return indices

    monkeypatch.setattr(log.leaves, "write", slow)
    with ThreadPoolExecutor(24) as pool:
        first = pool.submit(log.add, access(0))
        assert entered.wait(10)
        rest = [pool.submit(log.add, access(number)) for number in range(1, 20)]
        while len(log._waiting) < 19:
            pass
        gate.set()
        told = [one.result() for one in (first, *rest)]
    assert batches == [1, 19]
    assert sorted(one.promise.index or 0 for one in told) == list(range(20))
    for one in told:
        assert one.opening is not None
        assert one.opening.commitment == one.promise.entry
    assert sound(log) == 20


def test_what_cannot_be_written_is_told_to_all_who_wait_and_leaves_nothing(
    log: EntryLog, open_log: Open, engine: Engine
) -> None:
    log.add(access())

    def fail(connection: object, cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT INTO leaves"):
            raise OSError("no space")

    event.listen(log._database.engine, "before_cursor_execute", fail)
    with ThreadPoolExecutor(6) as pool:
        failed = [pool.submit(log.add, access(number)).exception() for number in range(6)]
    assert all(isinstance(one, OSError) for one in failed)
    event.remove(log._database.engine, "before_cursor_execute", fail)
    for table in ("access_entries", "access_keys", "leaves"):
        with engine.connect() as connection:
            assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar() == 1
    assert log.add(access(1)).promise.index == 1
    assert sound(open_log()) == 2


def write_until_killed(database: str, keys: KeyRing, said: Pipe) -> None:
    log = EntryLog(database, keys, custodian=CUSTODIAN, domain=DOMAIN, signer=logs.KEY, number=LOG, clock=lambda: NOW)
    number = 0
    while True:
        said.send(log.add(access(number)).to_text())
        number += 1


def test_processes_write_one_chain_and_may_be_killed(database: str, keys: KeyRing, log: EntryLog) -> None:
    fork = multiprocessing.get_context("fork")
    ends = []
    for _ in range(2):
        ours, theirs = fork.Pipe(duplex=False)
        process = fork.Process(target=write_until_killed, args=(database, keys, theirs), daemon=True)
        process.start()
        theirs.close()
        ends.append((process, ours))
    texts = [pipe.recv() for _ in range(6) for _, pipe in ends]
    for process, _ in ends:
        process.kill()
    for process, pipe in ends:
        try:
            while True:
                texts.append(pipe.recv())
        except EOFError:
            process.join()
    log.leaves.refresh()
    count = sound(log)
    pointers = [record.pointer for record in access().records]
    told = [Promised.read(one, pointers).promise for one in texts]
    kept = [one.promise for one in log.entries()]
    assert set(told) <= set(kept)
    assert count <= len(told) + 2
    log.add(access())
    assert sound(log) == count + 1


def test_an_erased_entry_leaves_its_place(log: EntryLog, open_log: Open, engine: Engine, database: str) -> None:
    told = [log.add(access(number)) for number in range(4)]
    assert log.erase([1, 2, 99]) == 2
    assert log.erase([1]) == 0
    kept = list(open_log().entries())
    assert [one.promise for one in kept] == [one.promise for one in told]
    assert [one.opening is None for one in kept] == [False, True, True, False]
    assert [one.promise.index for one in log.entries(subject=SUBJECT)] == [0, 3]
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT subject, account, body FROM access_entries WHERE position IN (1, 2)"))
        assert rows.all() == [(None, None, None)] * 2
        assert connection.execute(text("SELECT count(*) FROM access_keys")).scalar() == 2
    assert sound(log) == 4
    assert log.add(access(4)).promise.index == 4
    assert sound(log) == 5


def test_a_thief_of_the_file_sees_who_read_what_of_nobody(sqlite_file: Path, keys: KeyRing) -> None:
    log = EntryLog(sqlite_file, keys, custodian=CUSTODIAN, domain=DOMAIN, signer=logs.KEY, number=LOG)
    told = log.add(access())
    assert told.opening is not None
    log.erase([])  # writes the file
    seen = b"".join(path.read_bytes() for path in sqlite_file.parent.glob("records.db*"))
    assert told.promise.entry in seen
    for secret in (READER, SUBJECT, CUSTODIAN, access().signed):
        assert secret.encode() not in seen
        assert secret.lower().encode() not in seen
        assert bytes.fromhex(secret[2:]) not in seen
    assert told.opening.salt not in seen
    log.close()


def test_rotating_the_master_key(log: EntryLog, open_log: Open, keys: KeyRing) -> None:
    for number in range(3):
        log.add(access(number))
    new = MasterKey(bytes(range(1, 33)))
    both = open_log(keys=KeyRing(new, retired=(keys.current,)))
    both.erase([1])
    assert both.rotate() == 2
    assert both.rotate() == 0
    alone = open_log(keys=KeyRing(new))
    assert sound(alone) == 3
    assert [one.promise.index for one in alone.entries(account=READER)] == [0, 2]
    for act in (open_log, lambda: list(log.entries())):
        with pytest.raises(MasterKeyError):
            act()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("UPDATE access_entries SET body = (SELECT body FROM access_entries AS o WHERE o.position = 0)", "entry 1 was"),
        (
            "UPDATE access_keys SET wrapped = (SELECT wrapped FROM access_keys AS o WHERE o.position = 0)",
            "key of entry 1",
        ),
        ("UPDATE access_entries SET body = NULL", "entry 1 was altered"),
        ("DELETE FROM access_keys", "entry 1 was altered"),
        (
            "UPDATE leaves SET leaf = (SELECT leaf FROM leaves AS o WHERE o.position = 0)",
            "leaf 1 is not the commitment",
        ),
    ],
)
def test_an_altered_row_is_not_shown(log: EntryLog, engine: Engine, harm: str, said: str) -> None:
    log.add(access(0))
    log.add(access(1))
    alter(engine, f"{harm} WHERE position = 1")
    with pytest.raises(LogDamagedError, match=said):
        list(log.entries())


def test_logs_are_kept_apart(open_log: Open, database: str, keys: KeyRing) -> None:
    store = SqlStore(database, keys)
    readings = LeafLog(database, number=0)
    readings.append(keccak(b"a reading"))
    with pytest.raises(ArgumentError, match="leaves that are no accesses"):
        open_log(number=0)
    log = open_log()
    log.add(access())
    assert open_log(number=LOG + 1).leaves.size == 0
    with pytest.raises(LogDamagedError, match="is not the access log of"):
        open_log(custodian="0x" + "33" * 20)
    with pytest.raises(SigningNeededError):
        open_log(signer=None).add(access())
    assert (open_log().leaves.size, open_log().signer) == (1, logs.KEY.address)
    readings.close()
    store.close()


def test_a_copy_as_text(log: EntryLog) -> None:
    for number in range(3):
        log.add(access(number))
    log.erase([1])
    lines = list(log.lines())
    copied = list(read_lines(f"{one.to_text()}\n".encode() for one in lines))
    assert copied == lines
    assert list(log.lines(start=1, end=2)) == lines[1:2]
    for bad in (LogLine(None, None), replace(lines[0], opening=None)):
        with pytest.raises(AccessEntryError):
            bad.to_text()


def test_kept_promises(log: EntryLog, tmp_path: Path) -> None:
    file = PromiseFile(tmp_path / "promises")
    told = [log.add(access(number)).promise for number in range(3)]
    for one in told:
        file.add(one)
    assert list(PromiseFile(tmp_path / "promises")) == told
    assert (tmp_path / "promises").stat().st_mode & 0o077 == 0
    with (tmp_path / "promises").open("a") as more:
        more.write('{"custodian": "0x"}\n')
    with pytest.raises(PromiseError):
        list(file)

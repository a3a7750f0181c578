"""Merkle logs on disk: what was appended stays, in order, for threads and processes, and nothing stays half."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

import pytest
from eth_utils.crypto import keccak
from sqlalchemy import Connection, Engine, create_engine, text

from medproof.anchoring import LeafLog
from medproof.errors import ArgumentError, LogDamagedError, MerkleLeafError, MerkleSizeError
from medproof.merkle import EMPTY_ROOT, MerkleLog, verify_consistency, verify_inclusion
from medproof.store import KeyRing, MasterKey, SqlStore
from medproof.store.database import Database
from tests.sdk.store.conftest import database, postgres, postgres_url, sqlite_file

__all__ = ["database", "postgres", "postgres_url", "sqlite_file"]

LEAVES = [keccak(number.to_bytes(4, "big")) for number in range(50)]
Open = Callable[..., LeafLog]


@pytest.fixture
def reopen(database: str) -> Iterator[Open]:
    """Open a log of the database, as often as wanted."""
    opened: list[LeafLog] = []

    def build(**options: int) -> LeafLog:
        opened.append(LeafLog(database, **options))
        return opened[-1]

    yield build
    for one in opened:
        one.close()


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    made = create_engine(database.replace("postgresql:", "postgresql+psycopg:"))
    yield made
    made.dispose()


def alter(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(statement))


def test_append_and_reopen(reopen: Open) -> None:
    log = reopen()
    assert (log.size, log.root(), log.anchored(), log.anchors()) == (0, EMPTY_ROOT, 0, {})
    assert [log.append(leaf) for leaf in LEAVES[:3]] == [0, 1, 2]
    assert log.extend(LEAVES[3:21]) == range(3, 21)
    assert log.extend([]) == range(21, 21)
    same = MerkleLog(LEAVES[:21])
    again = reopen()
    for one in (log, again):
        assert (one.size, one.root(), one.root(8)) == (21, same.root(), same.root(8))
        verify_inclusion(LEAVES[5], 5, 21, one.inclusion_proof(5), same.root())
        verify_inclusion(LEAVES[5], 5, 9, one.inclusion_proof(5, 9), same.root(9))
        verify_consistency(8, 21, one.consistency_proof(8), same.root(8), same.root())
        assert list(one.leaves()) == LEAVES[:21]
        assert list(one.leaves(19, 500)) == LEAVES[19:21]
        assert (one.find(LEAVES[20]), one.find(LEAVES[21])) == (20, None)
    assert again.append(LEAVES[21]) == 21
    assert log.refresh() == 22


def test_a_leaf_that_is_altered_while_the_log_is_open_proves_nothing(reopen: Open, engine: Engine) -> None:
    log = reopen()
    log.extend([keccak(leaf) for leaf in LEAVES] + LEAVES)
    root = log.root(64)
    alter(engine, "UPDATE leaves SET leaf = (SELECT leaf FROM leaves WHERE position = 1) WHERE position = 0")
    with pytest.raises(LogDamagedError, match="leaves 0 to 63 are not those that it had"):
        log.inclusion_proof(5)
    assert log.root(64) == root
    alter(engine, "DELETE FROM leaves WHERE position = 0")
    with pytest.raises(LogDamagedError):
        log.inclusion_proof(5)


def test_several_logs_beside_the_records(database: str, reopen: Open) -> None:
    store = SqlStore(database, KeyRing(MasterKey(bytes(range(32)))))
    first, second = reopen(number=0), reopen(number=(1 << 32) - 1)
    first.extend(LEAVES[:5])
    second.extend(LEAVES[5:7])
    first.keep_anchors([5])
    assert (list(first.leaves()), list(second.leaves())) == (LEAVES[:5], LEAVES[5:7])
    assert (first.anchored(), second.anchored()) == (5, 0)
    store.check()
    store.close()
    for number in (-1, 1 << 32):
        with pytest.raises(ArgumentError):
            reopen(number=number)


def test_a_database_that_is_shared_stays_open(database: str) -> None:
    shared = Database(database, connections=2, patience=2.0)
    for number in range(2):
        log = LeafLog(shared, number=number)
        log.append(LEAVES[0])
        log.close()
    with shared.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM leaves")).scalar() == 2
    shared.close()


@pytest.mark.parametrize("leaf", [b"", bytes(31), bytes(33)])
def test_what_is_no_leaf_is_refused_with_all_beside_it(reopen: Open, leaf: bytes) -> None:
    log = reopen()
    with pytest.raises(MerkleLeafError):
        log.extend([LEAVES[0], leaf])
    assert (log.refresh(), reopen().size) == (0, 0)


def test_what_belongs_to_leaves_is_written_with_them_or_not_at_all(reopen: Open, engine: Engine) -> None:
    log = reopen()
    seen = []

    def make(connection: Connection, first: int, last: bytes | None) -> list[bytes]:
        seen.append((first, last))
        connection.execute(text(f"INSERT INTO leaf_logs (log, size) VALUES ({100 + first}, 0)"))
        return [keccak((last or b"") + b"next")]

    log.write(make)
    log.write(make)
    assert seen == [(0, None), (1, keccak(b"next"))]

    def fail(connection: Connection, first: int, last: bytes | None) -> list[bytes]:
        make(connection, first, last)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        log.write(fail)
    assert (log.size, reopen().size) == (2, 2)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT log FROM leaf_logs WHERE log >= 100 ORDER BY log")).scalars().all()
    assert list(rows) == [100, 101]
    assert log.append(LEAVES[0]) == 2


def chained(connection: Connection, first: int, last: bytes | None) -> list[bytes]:
    """An entry that names the one before it."""
    return [keccak(first.to_bytes(8, "big") + (last or b""))]


def is_chain(log: LeafLog) -> bool:
    last, expected = b"", []
    for index in range(log.size):
        last = keccak(index.to_bytes(8, "big") + last)
        expected.append(last)
    return list(log.leaves()) == expected


def test_threads_and_objects_take_turns(reopen: Open) -> None:
    logs = [reopen(), reopen()]
    with ThreadPoolExecutor(6) as pool:
        indices = list(pool.map(lambda number: logs[number % 2].write(chained).start, range(40)))
    assert sorted(indices) == list(range(40))
    assert {log.refresh() for log in logs} == {40}
    assert all(is_chain(log) for log in logs)
    assert logs[0].root() == logs[1].root()


def append_until_killed(database: str, said: Pipe) -> None:
    log = LeafLog(database)
    while True:
        said.send(log.write(chained).start)


def test_processes_take_turns_and_may_be_killed(database: str, reopen: Open) -> None:
    log = reopen()
    fork = multiprocessing.get_context("fork")
    writers, heard = [], []
    for _ in range(2):
        ours, theirs = fork.Pipe(duplex=False)
        writer = fork.Process(target=append_until_killed, args=(database, theirs), daemon=True)
        writer.start()
        theirs.close()
        writers.append(writer)
        heard.append(ours)
    indices = [pipe.recv() for _ in range(8) for pipe in heard]
    for writer in writers:
        writer.kill()
    for pipe in heard:
        try:
            while True:
                indices.append(pipe.recv())
        except EOFError:
            pass
    for writer in writers:
        writer.join()
    assert len(set(indices)) == len(indices)
    assert set(indices) <= set(range(log.refresh()))
    assert is_chain(log)
    log.write(chained)
    assert is_chain(log)


def test_anchored_sizes(reopen: Open) -> None:
    log = reopen()
    log.extend(LEAVES[:10])
    log.keep_anchors([3, 7])
    log.keep_anchors([10], above=7)
    assert log.anchors() == {3: log.root(3), 7: log.root(7), 10: log.root(10)}
    log.keep_anchors([9], above=3)
    assert (list(log.anchors()), reopen().anchored()) == ([3, 9], 9)
    log.keep_anchors([])
    assert log.anchored() == 0
    with pytest.raises(MerkleSizeError):
        log.keep_anchors([11])


@pytest.mark.parametrize(
    "harm",
    [
        "DELETE FROM leaves WHERE position = 4",
        "DELETE FROM leaves WHERE position = 9",
        "DELETE FROM leaves WHERE position = 0",
        "UPDATE leaves SET position = 77 WHERE position = 2",
        "UPDATE leaf_logs SET size = 11",
        "UPDATE leaf_logs SET size = 7",
        "UPDATE leaves SET leaf = (SELECT leaf FROM leaves AS other WHERE other.position = 1) WHERE position = 2",
    ],
)
def test_a_log_that_was_harmed_does_not_open(reopen: Open, engine: Engine, harm: str) -> None:
    log = reopen()
    log.extend(LEAVES[:10])
    log.keep_anchors([8])
    alter(engine, harm)
    with pytest.raises(LogDamagedError, match="Log 0 is damaged"):
        reopen()


def test_leaves_that_vanish_under_an_open_log(reopen: Open, engine: Engine) -> None:
    log = reopen()
    log.extend(LEAVES[:10])
    alter(engine, "DELETE FROM leaves WHERE position = 9")
    alter(engine, "UPDATE leaf_logs SET size = 9")
    for act in (log.refresh, lambda: log.append(LEAVES[9])):
        with pytest.raises(LogDamagedError, match="9 leaves on disk and had 10"):
            act()
    with pytest.raises(LogDamagedError):
        list(log.leaves(8, 10)) and log.append(LEAVES[10])


def test_leaves_beyond_the_size_are_not_written_over(reopen: Open, engine: Engine) -> None:
    log = reopen()
    log.extend(LEAVES[:3])
    alter(engine, "UPDATE leaves SET position = 3 WHERE position = 2")
    with pytest.raises(LogDamagedError, match="beyond its size"):
        log.append(LEAVES[3])
    assert log.size == 3


def test_a_file_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "readings.db"
    log = LeafLog(path)
    log.extend(LEAVES)
    log.close()
    assert path.stat().st_mode & 0o077 == 0
    again = LeafLog(path)
    assert again.root() == MerkleLog(LEAVES).root()
    again.close()

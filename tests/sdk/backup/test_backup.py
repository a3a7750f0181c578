"""Backups: of what is being written to, whole or not at all, and what of a folder that was tampered with is refused."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from medproof.backup import Backup, Kind
from medproof.errors import BackupError
from tests.sdk.store.conftest import postgres
from tests.sdk.store.postgres import LocalPostgres

__all__ = ["postgres"]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "records.db"
    with closing(sqlite3.connect(path)) as made:
        made.executescript("PRAGMA journal_mode = WAL; CREATE TABLE pairs (one INTEGER, other INTEGER)")
        made.execute("INSERT INTO pairs VALUES (0, 0)")
        made.commit()
    return path


@pytest.fixture
def keystore(tmp_path: Path) -> Path:
    path = tmp_path / "clinic.json"
    path.write_text('{"crypto": {"kdfparams": {}}}')
    path.chmod(0o600)
    return path


@pytest.fixture
def backup(database: Path, keystore: Path, tmp_path: Path) -> Backup:
    return Backup.create(tmp_path / "backup", [str(database), str(keystore)])


def rows(path: Path) -> list[tuple[int, int]]:
    with closing(sqlite3.connect(path)) as opened:
        return opened.execute("SELECT one, other FROM pairs ORDER BY one").fetchall()


def rewrite(backup: Backup, **changes: Any) -> None:
    manifest = backup.folder / "backup.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **changes}))


def refused(backup: Backup, tmp_path: Path, match: str) -> None:
    """Neither checked nor restored, and nothing is left of the attempt."""
    before = set(tmp_path.iterdir())
    with pytest.raises(BackupError, match=match):
        Backup.load(backup.folder).check()
    with pytest.raises(BackupError, match=match):
        Backup.load(backup.folder).restore(tmp_path / "restored")
    assert set(tmp_path.iterdir()) == before


def test_there_and_back(backup: Backup, database: Path, keystore: Path, tmp_path: Path) -> None:
    assert [(one.name, one.kind) for one in backup.items] == [("records.db", Kind.SQLITE), ("clinic.json", Kind.FILE)]
    assert Backup.load(backup.folder) == backup
    backup.check()
    done: list[int] = []
    backup.restore(tmp_path / "restored", report=done.append)
    assert done == [1, 2]
    assert {one.name for one in (tmp_path / "restored").iterdir()} == {"records.db", "clinic.json"}
    assert rows(tmp_path / "restored" / "records.db") == rows(database)
    assert (tmp_path / "restored" / "clinic.json").read_bytes() == keystore.read_bytes()
    for folder in (backup.folder, tmp_path / "restored"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(one.stat().st_mode) for one in folder.iterdir()} == {0o600}


def test_of_one_moment_while_others_write(database: Path, tmp_path: Path) -> None:
    """Each change writes two rows that belong together; some of it lies in the write-ahead log alone."""
    stop, began = threading.Event(), threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(database, timeout=30, isolation_level=None)) as writer:
            writer.execute("PRAGMA wal_autocheckpoint = 0")
            for number in range(1, 1_000_000):
                writer.execute("BEGIN IMMEDIATE")
                writer.execute("INSERT INTO pairs VALUES (?, ?)", (number, -number))
                writer.execute("INSERT INTO pairs VALUES (?, ?)", (-number, number))
                writer.execute("COMMIT")
                if number == 50:
                    began.set()
                if stop.is_set():
                    return

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert began.wait(20)
        made = [Backup.create(tmp_path / f"backup-{n}", [str(database)]) for n in range(3)]
    finally:
        stop.set()
        thread.join()
    counts = []
    for one in made:
        kept = rows(one.folder / "records.db")
        assert sum(first for first, _ in kept) == 0  # no half of a change
        counts.append(len(kept))
    assert 101 <= counts[0] <= counts[1] <= counts[2] <= len(rows(database))


def test_a_database_that_is_locked_for_writing_is_copied_as_it_was(database: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO pairs VALUES (7, 7)")
        Backup.create(tmp_path / "backup", [str(database)])
        writer.execute("COMMIT")
    assert rows(tmp_path / "backup" / "records.db") == [(0, 0)]


def test_nothing_is_overwritten(backup: Backup, database: Path, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="is there already"):
        Backup.create(backup.folder, [str(database)])
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for taken in (backup.folder, database, tmp_path / "link"):
        with pytest.raises(BackupError, match="is there already"):
            backup.restore(taken)
    backup.check()


def test_whole_or_not_at_all(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "copyfile", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    (tmp_path / "note.txt").write_text("a note")
    before = set(tmp_path.iterdir())
    with pytest.raises(BackupError, match="No space left on device"):
        Backup.create(tmp_path / "backup", [str(database), str(tmp_path / "note.txt")])
    assert set(tmp_path.iterdir()) == before


def test_killed_in_the_middle(database: Path, tmp_path: Path) -> None:
    """A backup that was killed is none; the next one is not in its way."""
    code = (
        "import os, sys; from pathlib import Path; import medproof.backup as b\n"
        "b._sums = lambda path: os.kill(os.getpid(), 9)\n"
        "b.Backup.create(Path(sys.argv[1]), [sys.argv[2]])"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "backup", database], check=False)
    assert done.returncode == -9
    assert not (tmp_path / "backup").exists()
    Backup.create(tmp_path / "backup", [str(database)]).check()


# -- what is not copied ------------------------------------------------------------------------------------------


def test_what_cannot_be_copied(database: Path, tmp_path: Path) -> None:
    (tmp_path / ".hidden").write_text("")
    (tmp_path / "backup.json").write_text("{}")
    (tmp_path / "other").mkdir()
    shutil.copy(database, tmp_path / "other" / "records.db")
    for what, match in (
        ([], "Name what is to be kept"),
        ([str(tmp_path / "nothing")], "is no file"),
        ([str(tmp_path)], "is no file"),
        ([f"{database}-wal"], "Name records.db, which comes whole"),
        ([str(tmp_path / ".hidden")], "plainer"),
        ([str(tmp_path / "backup.json")], "plainer"),
        ([str(database), str(tmp_path / "other" / "records.db")], "is the name of two items"),
        (["mysql://localhost/records"], "no URL of PostgreSQL"),
        (["postgresql://[/records"], "no URL of PostgreSQL"),
        (["postgresql://h/a", "postgresql://h/b"], "named twice"),
    ):
        with pytest.raises(BackupError, match=match):
            Backup.create(tmp_path / "backup", what)
    assert not (tmp_path / "backup").exists()


@pytest.mark.parametrize("secret", ["ab" * 32 + "\n", "0x" + "00" * 32, "legal winner " * 6 + "\n"])
def test_no_key_in_the_clear_beside_a_database(secret: str, database: Path, tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    path.write_text(secret)
    with pytest.raises(BackupError, match="together with the database they are the records") as caught:
        Backup.create(tmp_path / "backup", [str(database), str(path)])
    assert secret.strip()[:10] not in str(caught.value)
    Backup.create(tmp_path / "keys", [str(path)]).check()  # by itself, to be kept elsewhere


def test_a_damaged_database(database: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(database)) as opened:
        opened.executemany("INSERT INTO pairs VALUES (?, ?)", [(n, n) for n in range(5000)])
        opened.commit()
        opened.execute("PRAGMA journal_mode = DELETE")
    content = bytearray(database.read_bytes())
    content[8192:12288] = b"\xff" * 4096
    database.write_bytes(content)
    with pytest.raises(BackupError, match=r"records\.db (is damaged|cannot be read)"):
        Backup.create(tmp_path / "backup", [str(database)])
    assert not (tmp_path / "backup").exists()


# -- a folder that somebody had hands on -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["records.db", "clinic.json"])
def test_an_item_that_was_altered_cut_or_taken_away(name: str, backup: Backup, tmp_path: Path) -> None:
    path = backup.folder / name
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    refused(backup, tmp_path, "is not what was copied")
    path.write_bytes(content[: len(content) // 2])
    refused(backup, tmp_path, "is not what was copied")
    path.unlink()
    refused(backup, tmp_path, "is missing")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(content)
    path.symlink_to(elsewhere)
    refused(backup, tmp_path, "is missing")


ITEM = {"name": "a", "kind": "file", "size": 1, "sha256": "0" * 64}


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"items": [{**ITEM, "name": "../clinic.json"}]}, "no name of a file"),
        ({"items": [{**ITEM, "name": "/etc/passwd"}]}, "no name of a file"),
        ({"items": [{**ITEM, "name": ".."}]}, "no name of a file"),
        ({"items": [{**ITEM, "name": "backup.json"}]}, "no name of a file"),
        ({"items": [{**ITEM, "name": "a\x1b[31m"}]}, "name"),
        ({"items": [ITEM, ITEM]}, "twice"),
        ({"items": [{**ITEM, "kind": "mysql"}]}, "kind"),
        ({"items": [{**ITEM, "size": -1}]}, "size"),
        ({"items": [{**ITEM, "sha256": "0" * 63}]}, "SHA-256"),
        ({"items": [{**ITEM, "more": 1}]}, "not known"),
        ({"items": []}, "items"),
        ({"items": [{**ITEM, "name": str(n)} for n in range(1001)]}, "items"),
        ({"made": "yesterday"}, "no time"),
        ({"made": "2030-01-01T00:00:00"}, "offset"),
        ({"version": 2}, "version"),
        ({"format": "tar"}, "format"),
        ({"more": 1}, "not known"),
    ],
)
def test_a_forged_manifest(changes: dict[str, Any], match: str, backup: Backup, tmp_path: Path) -> None:
    rewrite(backup, **changes)
    refused(backup, tmp_path, match)


def test_no_manifest(backup: Backup, tmp_path: Path) -> None:
    manifest = backup.folder / "backup.json"
    for content in (b"", b"\xff\xfe", b"[]", manifest.read_bytes()[:-20], b" " * (1 << 20) + b"{}", b"[" * 10_000):
        manifest.write_bytes(content)
        refused(backup, tmp_path, r"backup\.json")
    manifest.unlink()
    refused(backup, tmp_path, "cannot be read")


def test_a_database_for_nothing(backup: Backup, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="Leave --database away"):
        backup.restore(tmp_path / "restored", database="postgresql://localhost/records")


# -- PostgreSQL --------------------------------------------------------------------------------------------------


@pytest.fixture
def tools(postgres: LocalPostgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client tools of the server that runs."""
    monkeypatch.setenv("PATH", f"{postgres._binaries}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def second(postgres: LocalPostgres) -> Iterator[str]:
    """A second, empty database."""
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE restored")
        yield postgres.url("restored")
        connection.execute("DROP DATABASE restored WITH (FORCE)")


@pytest.mark.usefixtures("tools")
def test_postgresql_there_and_back(postgres: LocalPostgres, second: str, keystore: Path, tmp_path: Path) -> None:
    url = postgres.empty_database()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE pairs (one BIGINT PRIMARY KEY, other BYTEA)")
        connection.execute("INSERT INTO pairs VALUES (1, '\\xff00')")
    made = Backup.create(tmp_path / "backup", [url, str(keystore)])
    assert (made.items[0].name, made.items[0].kind) == ("postgres.pgdump", Kind.POSTGRESQL)
    with pytest.raises(BackupError, match="none is named for it"):
        made.restore(tmp_path / "restored")
    made.restore(tmp_path / "restored", database=second)
    with psycopg.connect(second) as connection:
        assert connection.execute("SELECT one, other FROM pairs").fetchall() == [(1, b"\xff\x00")]
    with pytest.raises(BackupError, match="already exists"):  # never over what is there
        made.restore(tmp_path / "again", database=second)
    assert not (tmp_path / "again").exists()


@pytest.mark.usefixtures("tools")
def test_a_dump_that_fails_in_the_middle_leaves_nothing(postgres: LocalPostgres, second: str, tmp_path: Path) -> None:
    url = postgres.empty_database()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE a (one BIGINT); CREATE TABLE b (one BIGINT)")
    made = Backup.create(tmp_path / "backup", [url])
    with psycopg.connect(second) as connection:
        connection.execute("CREATE TABLE b (one BIGINT)")
    with pytest.raises(BackupError, match='relation "b" already exists'):
        made.restore(tmp_path / "restored", database=second)
    with psycopg.connect(second) as connection:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert found == [("b",)]
    assert not (tmp_path / "restored").exists()


@pytest.mark.usefixtures("tools")
def test_postgresql_that_does_not_answer(tmp_path: Path, unused_port: int) -> None:
    with pytest.raises(BackupError, match=r"pg_dump failed \(.*refused") as caught:
        Backup.create(tmp_path / "backup", [f"postgresql://me:very-secret@127.0.0.1:{unused_port}/records"])
    assert "very-secret" not in str(caught.value)


def test_the_password_stands_on_no_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "bin" / "pg_dump"
    tool.parent.mkdir()
    tool.write_text('#!/bin/sh\nprintf "%s\\n" "$PGPASSWORD" "$@" > "$OUT"\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("OUT", str(tmp_path / "said"))
    where = "postgresql://me@host/records?sslmode=require"
    for number, url in enumerate(
        (
            "postgresql+psycopg://me:p%40ss@host/records?sslmode=require",
            "postgresql://me@host/records?sslmode=require&password=p%40ss",
            "postgresql://me:p%40ss@host/records?sslmode=require&password=p%40ss",
        )
    ):
        Backup.create(tmp_path / f"backup-{number}", [url])
        password, database, *others = (tmp_path / "said").read_text().splitlines()
        assert (password, database) == ("p@ss", f"--dbname={where}")
        assert not any("p@ss" in one or "p%40ss" in one for one in others)


def test_without_the_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackupError, match="pg_dump, which is not on the PATH"):
        Backup.create(tmp_path / "backup", ["postgresql://localhost/records"])


def test_a_database_that_somebody_never_lets_go_of(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that waited for ever would be a backup that nobody misses."""
    monkeypatch.setattr("medproof.backup._PATIENCE", 0.1)
    with closing(sqlite3.connect(database, isolation_level=None)) as held:
        held.executescript("PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE")
        held.execute("INSERT INTO pairs VALUES (1, 1)")
        with pytest.raises(BackupError, match=r"records\.db is being changed by another"):
            Backup.create(tmp_path / "backup", [str(database)])
    assert not (tmp_path / "backup").exists()

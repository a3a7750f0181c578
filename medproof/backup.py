"""Backups of what a custodian or a relayer keeps: databases as of one moment, files, and the sums of all of them.

A backup is a folder: a copy of each item and `backup.json`, which names them with their sizes and SHA-256. SQLite files
are copied by SQLite's own backup, PostgreSQL by its `pg_dump`, while others write to them. What is encrypted stays so.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Self
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from medproof.errors import BackupError
from medproof.json_reader import JsonReader
from medproof.new_folder import written_aside

__all__ = ["Backup", "Item", "Kind"]

_MANIFEST = "backup.json"
_FORMAT, _VERSION = "medproof-backup", 1
_LONGEST = 1 << 20  # bytes of a manifest
_MOST_ITEMS = 1000
_PATIENCE = 30.0  # seconds for another's change
_SQLITE = b"SQLite format 3\0"
_BESIDE = ("-wal", "-shm", "-journal")  # files that SQLite keeps beside its own
_DUMP = ".pgdump"
_BARE_KEY = re.compile(rb"\s*(0x)?[0-9a-fA-F]{64}\s*")
_PHRASE = re.compile(rb"\s*([a-z]{3,8}\s+){11,23}[a-z]{3,8}\s*")
_HEAD = 4096  # bytes of a file that tell what it is
_SHA256 = re.compile("[0-9a-f]{64}", re.ASCII)
_LONGEST_NAME = 200


class Kind(StrEnum):
    """What an item is."""

    FILE = "file"
    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


@dataclass(frozen=True)
class Item:
    """One thing in a backup."""

    name: str  # of its file in the backup, and where it is restored
    kind: Kind
    size: int  # bytes
    sha256: str  # 64 hexadecimal digits


@dataclass(frozen=True)
class Backup:
    """A backup in its folder."""

    folder: Path
    made: datetime  # when it was begun
    items: tuple[Item, ...]

    @classmethod
    def create(cls, folder: Path, what: Sequence[str], *, report: Callable[[int], object] = lambda done: None) -> Self:
        """Make a backup: whole, or not at all. Every item is copied as of one moment of its own, in this order.

        Args:
            folder: a new folder.
            what: files, SQLite databases (recognised as such), and the URL of one PostgreSQL database at most.
            report: called with how many items are done.

        Raises:
            BackupError: something cannot be copied, is damaged, or would be a key in the clear beside a database.
        """
        made = datetime.now(UTC).replace(microsecond=0)
        sources = _sources(what)
        with written_aside(folder, BackupError, mode=0o700) as draft:
            items = []
            for done, (name, (kind, source)) in enumerate(sources.items(), start=1):
                target = draft / name
                target.touch(mode=0o600)
                if kind is Kind.SQLITE:
                    _copy_sqlite(Path(source), target)
                elif kind is Kind.POSTGRESQL:
                    _run("pg_dump", source, ["--format=custom", f"--file={target}"], name)
                else:
                    shutil.copyfile(source, target)
                size, digest = _sums(target)
                items.append(Item(name, kind, size, digest))
                report(done)
            content = {
                "format": _FORMAT,
                "version": _VERSION,
                "made": made.isoformat(),
                "items": [
                    {"name": one.name, "kind": one.kind, "size": one.size, "sha256": one.sha256} for one in items
                ],
            }
            manifest = draft / _MANIFEST
            manifest.touch(mode=0o600)
            manifest.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
            _sums(manifest)
        return cls(folder, made, tuple(items))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what a backup says of itself.

        Raises:
            BackupError: it is none.
        """
        path = folder / _MANIFEST
        try:
            with path.open("rb") as file:
                text = file.read(_LONGEST + 1)
        except OSError as error:
            raise BackupError(
                str(path), f"cannot be read ({error.strerror})", "Name a folder that create made"
            ) from None
        said = JsonReader.document(text, _malformed, format=_FORMAT, version=_VERSION, longest=_LONGEST)
        try:
            made = datetime.fromisoformat(said.text("made"))
        except ValueError:
            raise said.wrong("made", "is no time") from None
        items = tuple(_item(one) for one in said.items("items", _MOST_ITEMS))
        said.finish()
        if made.tzinfo is None:
            raise said.wrong("made", "is no time with its offset")
        if len({one.name for one in items}) < len(items):
            raise said.wrong("items", "names one twice")
        return cls(folder, made, items)

    def check(self, *, report: Callable[[int], object] = lambda done: None) -> None:
        """Compare every item with its sum, and look whether the databases are whole.

        Raises:
            BackupError: one is missing, was altered, or is damaged.
        """
        for done, item in enumerate(self.items, start=1):
            path = self.folder / item.name
            _require(item, path)
            if item.kind is Kind.SQLITE:
                with _opened(path, item.name, immutable=True) as database:
                    _require_whole(database, item.name)
            report(done)

    def restore(
        self, into: Path, *, database: str | None = None, report: Callable[[int], object] = lambda done: None
    ) -> None:
        """Put everything in a new folder, and PostgreSQL into an empty database: whole, or not at all.

        Args:
            into: a new folder.
            database: the URL of the database for what came out of PostgreSQL.
            report: called with how many items are done.

        Raises:
            BackupError: the backup is not as it was made, or something is in the way.
        """
        dumps = [one for one in self.items if one.kind is Kind.POSTGRESQL]
        if dumps and database is None:
            step = "Give the URL of an empty one (--database)"
            raise BackupError(dumps[0].name, "is a PostgreSQL database, and none is named for it", step)
        if database is not None and not dumps:
            raise BackupError("database", "is named, and nothing here is from PostgreSQL", "Leave --database away")
        self.check()
        with written_aside(into, BackupError, mode=0o700) as draft:
            files = [one for one in self.items if one.kind is not Kind.POSTGRESQL]
            for done, item in enumerate(files, start=1):
                target = draft / item.name
                target.touch(mode=0o600)
                shutil.copyfile(self.folder / item.name, target)
                _require(item, target)  # whatever changed meanwhile
                report(done)
            for item in dumps:
                options = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"]
                assert database is not None
                _run("pg_restore", database, [*options, str(self.folder / item.name)], item.name)
                report(len(self.items))


def _malformed(part: str, rule: str) -> BackupError:
    return BackupError(f"{_MANIFEST}, {part}" if part else _MANIFEST, rule)


def _item(said: JsonReader) -> Item:
    name, kind, size, digest = (
        said.line("name", _LONGEST_NAME),
        said.text("kind"),
        said.number("size"),
        said.text("sha256"),
    )
    if not _is_name(name):
        raise said.wrong("name", "is no name of a file")
    if kind not in tuple(Kind):
        raise said.wrong("kind", f"is none of {', '.join(Kind)}")
    if not _SHA256.fullmatch(digest):
        raise said.wrong("sha256", "is no SHA-256")
    said.finish()
    return Item(name, Kind(kind), size, digest)


def _is_name(name: str) -> bool:
    """Whether it names a file in a folder, and neither the manifest nor what is hidden."""
    plain = name.isprintable() and not name.startswith(".") and not set(name) & set('/\\:"*?<>|')
    return plain and 0 < len(name) <= _LONGEST_NAME and name == name.strip() and name != _MANIFEST


def _sources(what: Sequence[str]) -> dict[str, tuple[Kind, str]]:
    """What is to be copied, by its name in the backup."""
    if not what:
        raise BackupError("items", "are missing", "Name what is to be kept")
    found: dict[str, tuple[Kind, str]] = {}
    for one in what:
        name, kind = (f"{_name_of(one)}{_DUMP}", Kind.POSTGRESQL) if "://" in one else _file(Path(one))
        if not _is_name(name):
            raise BackupError(name, "cannot be the name of a file in a backup", "Give it a plainer one")
        if name in found:
            raise BackupError(name, "is the name of two items", "Make a backup of each, or rename one")
        found[name] = (kind, one)
    if sum(kind is Kind.POSTGRESQL for kind, _ in found.values()) > 1:
        raise BackupError("PostgreSQL", "is named twice", "Make a backup of each database")
    if any(kind is not Kind.FILE for kind, _ in found.values()):
        for name, (kind, source) in found.items():
            if kind is Kind.FILE and _is_bare_secret(Path(source)):
                step = "Keep its copy apart: together with the database they are the records"
                raise BackupError(name, "holds a key or a seed phrase in the clear, beside a database", step)
    return found


def _file(path: Path) -> tuple[str, Kind]:
    if path.name.endswith(_BESIDE):
        database = next(path.name.removesuffix(end) for end in _BESIDE if path.name.endswith(end))
        raise BackupError(path.name, f"is SQLite's own, beside {database}", f"Name {database}, which comes whole")
    if not path.is_file():
        raise BackupError(str(path), "is no file", "Check the path")
    return path.name, Kind.SQLITE if _head(path).startswith(_SQLITE) else Kind.FILE


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD)
    except OSError as error:
        raise BackupError(str(path), f"cannot be read ({error.strerror})", "Check the file") from None


def _is_bare_secret(path: Path) -> bool:
    head = _head(path)
    return bool(_BARE_KEY.fullmatch(head) or _PHRASE.fullmatch(head))


def _require(item: Item, path: Path) -> None:
    if path.is_symlink() or not path.is_file():
        raise BackupError(item.name, "is missing")
    if _sums(path) != (item.size, item.sha256):
        raise BackupError(item.name, "is not what was copied: its size or SHA-256 is another")


def _sums(path: Path) -> tuple[int, str]:
    """A file's size and SHA-256, once it is on the disk."""
    try:
        with path.open("rb") as file:
            os.fsync(file.fileno())
            return os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BackupError(str(path), f"cannot be read ({error.strerror})", "Check the disk") from None


# -- databases ---------------------------------------------------------------------------------------------------


@contextmanager
def _opened(path: Path, name: str, *, immutable: bool = False) -> Iterator[sqlite3.Connection]:
    """An SQLite file; one of a backup, to which nobody writes, without anything beside it."""
    where = f"file:{quote(os.fspath(path.absolute()))}?{'immutable=1' if immutable else 'mode=rw'}"
    try:
        with closing(sqlite3.connect(where, uri=True, timeout=_PATIENCE)) as database:
            yield database
    except sqlite3.Error as error:
        reason = getattr(error, "sqlite_errorname", type(error).__name__)
        raise BackupError(name, f"cannot be read ({reason})", "Check the database and the disk") from None


def _copy_sqlite(source: Path, target: Path) -> None:
    def in_time(status: int, *pages: int) -> None:
        """Called once another's change was waited for: tried again, it could be for ever."""
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            step = "See who holds it, and try again"
            raise BackupError(source.name, f"is being changed by another for over {_PATIENCE:.0f} s", step)

    with _opened(source, source.name) as database, closing(sqlite3.connect(target)) as copy:
        database.backup(copy, progress=in_time)  # in one step: as of one moment, whoever writes meanwhile
        copy.execute("PRAGMA journal_mode = DELETE")  # so that the copy is one file
        _require_whole(copy, source.name)


def _require_whole(database: sqlite3.Connection, name: str) -> None:
    [[found]] = database.execute("PRAGMA integrity_check(1)").fetchall()
    if found != "ok":
        raise BackupError(name, "is damaged", "Take an earlier copy")


def _name_of(url: str) -> str:
    """The name of a PostgreSQL database."""
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme.partition("+")[0] not in ("postgresql", "postgres"):
        raise BackupError("database", "is no URL of PostgreSQL", "Give postgresql://user@host/name, or a file")
    return unquote(parts.path.strip("/")) or "postgresql"


def _apart(url: str) -> tuple[str, str | None]:
    """A URL as PostgreSQL's tools take it, without its password; and that."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    asked = query.pop("password", None)
    password = asked if parts.password is None else unquote(parts.password)
    user, at, place = parts.netloc.rpartition("@")
    where = f"postgresql://{user.partition(':')[0]}{at}{place}{parts.path}"
    return f"{where}?{urlencode(query)}" if query else where, password


def _run(tool: str, url: str, options: Sequence[str], name: str) -> None:
    """Run PostgreSQL's own tool; a password goes by its environment, where no list of processes shows it."""
    where, password = _apart(url)
    environment = os.environ | ({} if password is None else {"PGPASSWORD": password})
    try:
        done = subprocess.run(
            [tool, f"--dbname={where}", "--no-password", *options],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
        )
    except FileNotFoundError:
        step = "Install PostgreSQL's client tools, of the server's version or later"
        raise BackupError(name, f"needs {tool}, which is not on the PATH", step) from None
    if done.returncode:
        step = "Name an empty database that the account may write to" if tool == "pg_restore" else "Check the database"
        raise BackupError(name, f"{tool} failed ({_reason(done.stderr)})", step)


def _reason(said: bytes) -> str:
    """What a tool said was wrong, in its first line; the others may quote rows."""
    lines = said.decode("utf-8", "replace").splitlines()
    first = next((line for line in lines if "error:" in line), lines[0] if lines else "it says nothing")
    return "".join(sign if sign.isprintable() else "?" for sign in first.partition("error: ")[2] or first)[:200]

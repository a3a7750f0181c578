"""The database of a record store or an index: SQLite or PostgreSQL, durable writes, errors by name without parameters.

Nothing of what is written or asked for gets into a message, a log or a traceback's own text.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, exc, make_url, text

from medproof.errors import (
    ArgumentError,
    MissingExtraError,
    StoreBusyError,
    StoreDamagedError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)

__all__ = ["Database"]

_UPGRADE_LOCK = 0x6D656470726F6F66  # "medproof": PostgreSQL's advisory lock while tables are made
_BUSY = {"SQLITE_BUSY", "SQLITE_LOCKED", "55P03", "57014", "40001", "40P01"}
_FULL = {"SQLITE_FULL", "53100"}
_DAMAGED = {"SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_ERROR", "42P01", "42703", "XX001", "XX002"}


class Database:
    """Connections to one database, and the transactions on it."""

    def __init__(
        self, where: str | os.PathLike[str], *, connections: int, patience: float, of: str = "record store"
    ) -> None:
        """Prepare it; nothing is opened yet.

        Args:
            where: the path of an SQLite file, or a URL: sqlite:///records.db, postgresql://user@host/records.
            connections: how many are kept at most.
            patience: seconds to wait for another's change, and for a server's answer to a new connection.
            of: whose it is, for whoever reads an error.

        Raises:
            ArgumentError: another kind of database.
            MissingExtraError: the driver for PostgreSQL is not installed.
        """
        self._of = of
        url = _url(where, of)
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self.file = Path(url.database or "") if self.is_sqlite else None  # SQLite's
        arguments: dict[str, Any] = (
            {"timeout": patience, "isolation_level": None, "check_same_thread": False}
            if self.is_sqlite
            else {
                "connect_timeout": max(2, round(patience)),
                "application_name": "medproof",
                "options": f"-c synchronous_commit=on -c lock_timeout={round(patience * 1000)}",
            }
        )
        try:
            self.engine: Engine = create_engine(
                url,
                connect_args=arguments,
                hide_parameters=True,
                max_overflow=0,
                pool_pre_ping=not self.is_sqlite,  # a server that was restarted is found again
                pool_size=connections,
                pool_timeout=patience,
            )
        except ModuleNotFoundError as missing:
            raise MissingExtraError(f"The {of} in PostgreSQL", "postgres", str(missing.name)) from None
        if self.is_sqlite:
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Single statements that write nothing."""
        with _named(self._of), self.engine.connect() as connection:
            if not self.is_sqlite:
                connection.execution_options(isolation_level="AUTOCOMMIT")
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Statements that write nothing and all see the same state, whatever others write meanwhile."""
        with _named(self._of), self.engine.connect() as connection:
            if self.is_sqlite:
                with connection.begin():
                    connection.exec_driver_sql("BEGIN")  # the first SELECT takes the snapshot
                    yield connection
            else:
                connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
                with connection.begin():
                    yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One change, whole or not at all, on disk when it is done."""
        with _named(self._of), self.engine.connect().execution_options(writing=True) as connection, connection.begin():
            yield connection

    @contextmanager
    def upgrading(self) -> Iterator[Connection]:
        """A change of the tables, one at a time among all that open this database."""
        if self.file is not None:
            try:
                self.file.touch(mode=0o600)  # SQLite gives the files beside it the same permissions
            except OSError as error:
                raise StoreUnavailableError(error.strerror or "the file cannot be made", self._of) from None
        with self.writing() as connection:
            if not self.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})
            yield connection

    def scrub(self, table: str) -> None:
        """Remove what was deleted from a table from the database's own files, as far as the database can.

        SQLite has overwritten it in the file; what remains is the log, which is written back and cut off. PostgreSQL
        writes the table anew; its write-ahead log keeps the old for a while (docs/store.md).

        Raises:
            StoreBusyError: others read at this moment.
        """
        with _named(self._of), self.engine.connect() as connection:
            if self.is_sqlite:
                busy, *_ = connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)")).one()
                if busy:
                    raise StoreBusyError("SQLITE_BUSY", self._of)
            else:
                connection.execution_options(isolation_level="AUTOCOMMIT")
                connection.execute(text(f"VACUUM (FULL) {table}"))

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _url(where: str | os.PathLike[str], of: str) -> URL:
    if not isinstance(where, str):
        return URL.create("sqlite", database=os.fspath(where))
    try:
        url = make_url(where)
    except exc.ArgumentError:
        raise ArgumentError(
            f"The {of}'s database is no URL. Give sqlite:///file.db or postgresql://user@host/name."
        ) from None
    backend = url.get_backend_name()
    if backend == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if backend != "sqlite" or url.database in (None, "", ":memory:"):
        raise ArgumentError(
            f"A database of the kind {backend} without a file or server is no {of}. "
            "Give sqlite:///file.db or postgresql://user@host/name."
        )
    return url


def _prepare_sqlite(connection: Any, _: Any) -> None:
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("PRAGMA fullfsync = ON")  # on macOS, fsync alone leaves it in the drive's cache
    connection.execute("PRAGMA temp_store = MEMORY")  # no copies in files beside the database


def _begin_sqlite(connection: Connection) -> None:
    if connection.get_execution_options().get("writing"):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextmanager
def _named(of: str) -> Iterator[None]:
    """Raise the store's errors instead of the database's, which carry what was written."""
    found: StoreError | None = None
    try:
        yield
    except exc.IntegrityError:
        raise  # two writers met: the store looks again
    except exc.DBAPIError as error:
        found = _error(error, of)
    except exc.TimeoutError:
        found = StoreBusyError("all connections are in use", of)
    if found is not None:
        raise found  # outside of the handler, so that it carries no trace of the other


def _error(error: exc.DBAPIError, of: str) -> StoreError:
    original = error.orig
    reason = str(getattr(original, "sqlite_errorname", None) or getattr(original, "sqlstate", None) or "no connection")
    family = "_".join(reason.split("_")[:2])  # SQLITE_BUSY_SNAPSHOT is a SQLITE_BUSY
    if family in _FULL:
        return StoreFullError(reason, of)
    if family in _BUSY:
        return StoreBusyError(reason, of)
    if family in _DAMAGED:
        return StoreDamagedError(reason, of)
    return StoreUnavailableError(reason, of)

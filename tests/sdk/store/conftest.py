"""The same tests on SQLite and on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from medproof.store import KeyRing, MasterKey, SqlStore
from tests.sdk.store.postgres import LocalPostgres, NoPostgresError


@pytest.fixture(scope="session")
def postgres() -> Iterator[LocalPostgres]:
    try:
        server = LocalPostgres()
        with server:
            yield server
    except NoPostgresError as error:
        pytest.skip(f"PostgreSQL cannot be started: {error}.")


@pytest.fixture
def sqlite_file(tmp_path: Path) -> Path:
    return tmp_path / "records.db"


@pytest.fixture
def postgres_url(postgres: LocalPostgres) -> str:
    return postgres.empty_database()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    """An empty database's URL."""
    if request.param == "sqlite":
        return f"sqlite:///{request.getfixturevalue('sqlite_file')}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def keys() -> KeyRing:
    return KeyRing(MasterKey(bytes(range(32))))


@pytest.fixture
def store(database: str, keys: KeyRing) -> Iterator[SqlStore]:
    opened = SqlStore(database, keys, patience=2.0)
    yield opened
    opened.close()

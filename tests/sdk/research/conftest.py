"""One registry made up by chance, in an index, and the data set of it on each engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import ibis
import pytest
from ibis import BaseBackend

from medproof.indexer import IndexedDeployment
from medproof.research import Dataset, write_dataset
from tests.sdk.research.registry import fill, new_index
from tests.sdk.store.conftest import postgres  # noqa: F401 - a fixture
from tests.sdk.store.postgres import LocalPostgres


@pytest.fixture(scope="session")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IndexedDeployment]:
    """An index of a registry in which much happened."""
    index, found = new_index(tmp_path_factory.mktemp("registry") / "index.db")
    fill(found, seed=12, blocks=220)
    yield found
    index.close()


@pytest.fixture(scope="session")
def folder(indexed: IndexedDeployment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as Parquet files."""
    place = tmp_path_factory.mktemp("data set")
    write_dataset(indexed, place)
    return place


@pytest.fixture(scope="session", params=["memory", "parquet", "postgresql"])
def dataset(request: pytest.FixtureRequest, indexed: IndexedDeployment, folder: Path) -> Iterator[Dataset]:
    """The data set, wherever it is asked."""
    if request.param == "parquet":
        with Dataset.open(folder) as found:
            yield found
        return
    with Dataset.of_index(indexed) as found:
        if request.param == "memory":
            yield found
            return
        server: LocalPostgres = request.getfixturevalue("postgres")
        engine: BaseBackend = ibis.connect(server.empty_database())
        with found.copied_to(engine) as copied:
            yield copied

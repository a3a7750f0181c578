"""A registry of some hundred subjects, and its pages."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI

from medproof.explore import Explorer, OfDataset, create_explore_app
from medproof.indexer import IndexedDeployment
from medproof.research import Dataset
from medproof.research.suppression import Suppression
from tests.sdk.explore.seed import NAMES, deployment_of, seeded
from tests.sdk.gateway.conftest import Bridge

HOSTILE = '<script>alert("1")</script><img src=x onerror=alert(1)>'


@pytest.fixture(scope="session")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IndexedDeployment]:
    index = seeded(tmp_path_factory.mktemp("explore") / "index.db", subjects=260, names=(*NAMES[:2], HOSTILE))
    yield deployment_of(index)
    index.close()


@pytest.fixture(scope="session")
def dataset(indexed: IndexedDeployment) -> Iterator[Dataset]:
    with Dataset.of_index(indexed) as opened:
        yield opened


@pytest.fixture(scope="session")
def explorer(dataset: Dataset) -> Explorer:
    return Explorer(OfDataset(dataset, suppression=Suppression()))


@pytest.fixture(scope="session")
def app(explorer: Explorer) -> FastAPI:
    return create_explore_app(explorer)


@pytest.fixture
def http(app: FastAPI) -> httpx.Client:
    return httpx.Client(transport=Bridge(app), base_url="http://127.0.0.1")

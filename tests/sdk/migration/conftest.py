"""A deployment that has lived, and an empty one to leave it for, on the same chain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.deployments import Deployment, deploy
from medproof.migration import Comparison, read_state
from medproof.relayer import Relayer
from medproof.signing import LocalSigner
from tests.sdk.cli.conftest import here, keys, put_together_once, run, verified  # noqa: F401 - fixtures
from tests.sdk.conftest import funded, rpc
from tests.sdk.indexer.conftest import sqlite_index  # noqa: F401 - a fixture
from tests.sdk.migration.registry import authorize

Compare = Callable[[], Comparison]


@pytest.fixture(scope="session")
def second_deployment(
    deployed: tuple[Chain, Deployment], admin: LocalSigner, tmp_path_factory: pytest.TempPathFactory
) -> Deployment:
    """Another deployment on the chain, with nobody in it."""
    chain, _ = deployed
    return deploy(chain, admin, manifest=tmp_path_factory.mktemp("second") / "manifest.json")


@pytest.fixture(scope="session", autouse=True)
def _both_before_any_snapshot(second_deployment: Deployment) -> None:
    """Deployed before a test's state is put back, which would take it away."""


@pytest.fixture(scope="session")
def both_suites(deployed: tuple[Chain, Deployment], second_deployment: Deployment) -> tuple[MedProof, MedProof]:
    """The two, made once: they keep nothing of a test."""
    chain, first = deployed
    return MedProof(chain, first), MedProof(chain, second_deployment)


@pytest.fixture
def old(chain: Chain, both_suites: tuple[MedProof, MedProof]) -> MedProof:
    """The deployment that is left; what a test does to it is put back."""
    return both_suites[0]


@pytest.fixture
def new(chain: Chain, both_suites: tuple[MedProof, MedProof]) -> MedProof:
    """The one that takes its place; likewise."""
    return both_suites[1]


@pytest.fixture(scope="module")
def authorized(deployed: tuple[Chain, Deployment], second_deployment: Deployment, admin: LocalSigner) -> Iterator[None]:
    """The authority has done its part in the new one: once for all tests of a module."""
    chain, first = deployed
    snapshot = rpc(chain, "evm_snapshot")
    authorize(MedProof(chain, first), MedProof(chain, second_deployment), admin)
    yield
    rpc(chain, "evm_revert", snapshot)


@pytest.fixture
def keeper() -> LocalSigner:
    """Who holds what was billed."""
    return funded(10)


@pytest.fixture
def compare(old: MedProof, new: MedProof) -> Compare:
    """`compare()`: the two as they stand now."""
    return lambda: Comparison(read_state(old), read_state(new))


@pytest.fixture
def queue(tmp_path: Path) -> Path:
    return tmp_path / "queue.db"


@pytest.fixture
def relaying(new: MedProof, relayer: LocalSigner, queue: Path) -> Iterator[Relayer]:
    opened = Relayer(new, queue, relayer)
    yield opened
    opened.close()

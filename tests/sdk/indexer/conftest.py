"""An empty index in SQLite and in a real PostgreSQL, and the same stories on Ganache and on Anvil."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.deployments import Deployment, deploy
from medproof.indexer import Index, Indexer
from medproof.policy.codes import PartyKind
from medproof.signing import LocalSigner
from scripts.local_anvil import LocalAnvil
from scripts.local_chain import ChainError
from tests.sdk.conftest import CREDENTIAL, rpc
from tests.sdk.store.conftest import postgres  # noqa: F401 - a fixture
from tests.sdk.store.postgres import LocalPostgres


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database's URL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'index.db'}"
    server: LocalPostgres = request.getfixturevalue("postgres")
    return server.empty_database()


@pytest.fixture
def index(where: str) -> Iterator[Index]:
    opened = Index(where)
    yield opened
    opened.close()


@pytest.fixture
def sqlite_index(tmp_path: Path) -> Iterator[Index]:
    """For what is the same on both."""
    opened = Index(tmp_path / "index.db")
    yield opened
    opened.close()


@pytest.fixture
def indexer(index: Index, chain: Chain, deployment: Deployment) -> Indexer:
    return Indexer(index, chain, deployment)


@pytest.fixture(scope="session")
def anvil_suite(
    admin: LocalSigner, clinic: LocalSigner, far_day: date, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MedProof]:
    """The suite on Anvil, with a clinic."""
    try:
        node = LocalAnvil()
    except ChainError as error:
        pytest.skip(f"Anvil cannot be started: {error}.")
    with node:
        chain = Chain.connect(node.url, poll=0.005, timeout=20.0)
        manifest = tmp_path_factory.mktemp("anvil") / "manifest.json"
        deployment = deploy(chain, admin, manifest=manifest)
        suite = MedProof(chain, deployment)
        suite.registrar.accredit(
            clinic.address, PartyKind.PROVIDER, credential=CREDENTIAL, valid_until=far_day, sender=admin
        )
        yield suite


@pytest.fixture
def on_anvil(anvil_suite: MedProof) -> Iterator[MedProof]:
    """That suite, whose state is put back after the test."""
    snapshot = rpc(anvil_suite.chain, "evm_snapshot")
    yield anvil_suite
    rpc(anvil_suite.chain, "evm_revert", snapshot)


@pytest.fixture(params=["ganache", "anvil"])
def any_suite(request: pytest.FixtureRequest) -> MedProof:
    """The suite on either node."""
    found: MedProof = request.getfixturevalue("suite" if request.param == "ganache" else "on_anvil")
    return found

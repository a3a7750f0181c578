"""Four geth nodes, and the suite deployed through the first of them by an account in a key file."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.deployments import Deployment, deploy
from medproof.policy.codes import PartyKind
from medproof.signing import LocalSigner
from scripts.local_chain import ChainError
from scripts.local_network import CHAIN_ID, LocalNetwork, geth
from tests.network.scene import CLINIC, PATIENCE, READER, Custody, Scene, events_of, through
from tests.sdk.conftest import CREDENTIAL, funded

ACCOUNTS = [funded(number).address for number in range(20)]


@pytest.fixture(scope="session")
def network() -> Iterator[LocalNetwork]:
    try:
        geth()
    except ChainError as error:
        pytest.skip(str(error))
    with LocalNetwork(funded=ACCOUNTS) as running:
        yield running


def deployed(network: LocalNetwork, folder: Path) -> Deployment:
    """The suite, deployed through the first node by an account in a key file, and its parties accredited."""
    keystore = folder / "deployer.json"
    keystore.write_text(funded(0).to_keystore("only here"))
    deployer = LocalSigner.from_keystore(keystore, "only here")
    chain = Chain.connect(network.nodes[0].url, chain_id=CHAIN_ID, timeout=PATIENCE)
    made = deploy(chain, deployer, manifest=folder / "manifest.json")
    registrar = MedProof(chain, made, sender=deployer).registrar
    until = datetime.now(UTC).date() + timedelta(days=1000)
    for party in (CLINIC, READER):
        registrar.accredit(party.address, PartyKind.PROVIDER, credential=CREDENTIAL, valid_until=until)
    return made


@pytest.fixture(scope="session")
def deployment(network: LocalNetwork, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    return deployed(network, tmp_path_factory.mktemp("deployment"))


@pytest.fixture(scope="session")
def custody(network: LocalNetwork, deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Custody:
    return Custody.prepare(through(network, 0, deployment), tmp_path_factory.mktemp("custody"))


@pytest.fixture
def scene(network: LocalNetwork, deployment: Deployment, custody: Custody, tmp_path: Path) -> Iterator[Scene]:
    """What goes on meanwhile; the network is whole before it and after it."""
    network.agree()
    playing = Scene(network, deployment, custody, tmp_path, before=events_of(through(network, 0, deployment)))
    yield playing
    for node in network.nodes:
        if node.process is None:
            network.start(node)
    network.heal()
    network.agree()
    playing.close()

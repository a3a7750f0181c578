"""Four geth nodes, and the suite deployed through the first of them by an account in a key file."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.deployments import Deployment, deploy
from medproof.policy.codes import Action, CareSetting, Condition, DataClass, PartyKind, Purpose, Sensitivity
from medproof.policy.word import Rule
from medproof.signing import LocalSigner
from scripts.local_chain import ChainError
from scripts.local_network import CHAIN_ID, LocalNetwork, geth
from tests.sdk.conftest import CREDENTIAL, funded

PATIENCE = 90.0  # seconds until a transaction counts


@pytest.fixture(scope="session")
def network() -> Iterator[LocalNetwork]:
    try:
        geth()
    except ChainError as error:
        pytest.skip(str(error))
    with LocalNetwork(funded=[funded(number).address for number in range(12)]) as running:
        yield running


@pytest.fixture(scope="session")
def deployment(network: LocalNetwork, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """Deployed through the first node, from a key file, and its parties accredited."""
    folder = tmp_path_factory.mktemp("deployment")
    keystore = folder / "deployer.json"
    keystore.write_text(funded(0).to_keystore("only here"))
    deployer = LocalSigner.from_keystore(keystore, "only here")
    chain = Chain.connect(network.nodes[0].url, chain_id=CHAIN_ID, timeout=PATIENCE)
    made = deploy(chain, deployer, manifest=folder / "manifest.json")
    registrar = MedProof(chain, made, sender=deployer).registrar
    until = datetime.now(UTC).date() + timedelta(days=1000)
    registrar.accredit(funded(1).address, PartyKind.PROVIDER, credential=CREDENTIAL, valid_until=until)
    return made


@pytest.fixture
def rule() -> Rule:
    """An open permit for treatment with laboratory results."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    return Rule(
        purposes=Purpose.TREAT,
        classes=DataClass.LABORATORY,
        conditions=Condition.ALL,
        sensitivities=Sensitivity.NONE_LABELLED,
        settings=CareSetting.ALL,
        actions=Action.ALL,
        party_kinds=PartyKind.PROVIDER,
        valid_from=now - timedelta(hours=1),
        valid_until=now + timedelta(days=365),
    )


@pytest.fixture
def healed(network: LocalNetwork) -> Iterator[LocalNetwork]:
    """The network, put together again after the test."""
    yield network
    for node in network.nodes:
        if node.process is None:
            network.start(node)
    network.heal()
    network.agree()


def through(network: LocalNetwork, number: int, deployment: Deployment, *, confirmations: int = 1) -> MedProof:
    """The suite, seen through one of the nodes."""
    url = network.nodes[number].url
    chain = Chain.connect(url, chain_id=CHAIN_ID, confirmations=confirmations, timeout=PATIENCE, poll=0.1)
    return MedProof(chain, deployment)

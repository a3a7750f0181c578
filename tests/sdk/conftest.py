"""The suite on a local chain, once for all tests of the package, and the people of its stories.

Every test that takes `chain` starts from the same state and leaves nothing behind. The chain is Ganache's; most topics
are as well tried on Anvil's, three times as fast, and are, except in the deep lane and where Anvil does not run.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import requests
from eth_account.hdaccount import key_from_seed, seed_from_mnemonic

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.deployments import Deployment, deploy
from medproof.policy.codes import Action, CareSetting, Condition, DataClass, PartyKind, Purpose, Sensitivity
from medproof.policy.word import Request, Rule
from medproof.signing import LocalSigner
from scripts.local_anvil import LocalAnvil, anvil
from scripts.local_chain import ChainError, LocalChain
from tests.support.profiles import DEEP

MNEMONIC = "test test test test test test test test test test test junk"
PLAIN = {"chain": {"vmErrorsOnRPCResponse": False}}  # as other nodes answer: a hash, and the failure in the receipt
CREDENTIAL = b"\x11" * 32

# The topics that need no node in particular. The others have both, or are about how a node answers.
ON_ANVIL = {
    *("access", "anchoring", "claims", "cli", "client", "consent", "consents", "devices", "gateway", "policy"),
    *("prescriptions", "receipt", "records", "sharing", "store", "wallet", "x12"),
}
AS_GANACHE = ("--chain-id=1337", "--accounts=20", "--balance=1000000", "--gas-price=2000000000")
_ANVIL_SAYS = {"miner_stop": ("evm_setAutomine", False), "miner_start": ("evm_setAutomine", True)}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Choose the node of each topic: the tests of one are run together, whatever their order."""
    topic = Path(metafunc.definition.path).parent.name
    if "node" not in metafunc.fixturenames or DEEP or topic not in ON_ANVIL:
        return
    if metafunc.definition.get_closest_marker("ganache") is None and anvil_runs_here():
        metafunc.parametrize("node", ["anvil"], ids=[pytest.HIDDEN_PARAM], indirect=True, scope="session")


@cache
def anvil_runs_here() -> bool:
    """Whether npm has one for this kind of machine."""
    try:
        return anvil().exists()
    except ChainError:
        return False


@cache
def funded(number: int) -> LocalSigner:
    """One of the local chain's twenty accounts."""
    return LocalSigner.from_key(key_from_seed(seed_from_mnemonic(MNEMONIC, ""), f"m/44'/60'/0'/0/{number}"))


def rpc(chain: Chain, method: str, *parameters: object) -> object:
    """Ask the node something that the package does not."""
    if method in _ANVIL_SAYS and "anvil" in chain.web3.client_version:
        method, *parameters = _ANVIL_SAYS[method]
    answer = chain.web3.provider.make_request(method, list(parameters))  # type: ignore[arg-type]
    assert "error" not in answer, answer
    return answer["result"]


@pytest.fixture(scope="session", autouse=True)
def proxies_where_named() -> Iterator[None]:
    """Requests reads the whole environment for proxies at every question to a node: here, where it names one."""
    look = requests.sessions.get_environ_proxies
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")

    def found(*asked: Any, **options: Any) -> Any:
        return look(*asked, **options) if any(name in os.environ for name in names) else {}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("requests.sessions.get_environ_proxies", found)
        yield


@pytest.fixture(scope="session")
def node(request: pytest.FixtureRequest) -> Iterator[LocalChain | LocalAnvil]:
    """A chain that answers as most nodes do."""
    on_anvil = getattr(request, "param", "ganache") == "anvil"
    with LocalAnvil(*AS_GANACHE) if on_anvil else LocalChain(options=PLAIN) as local:
        yield local


@pytest.fixture(scope="session")
def admin() -> LocalSigner:
    return funded(0)


@pytest.fixture(scope="session")
def clinic() -> LocalSigner:
    return funded(1)


@pytest.fixture(scope="session")
def second_clinic() -> LocalSigner:
    return funded(2)


@pytest.fixture(scope="session")
def payer() -> LocalSigner:
    return funded(3)


@pytest.fixture(scope="session")
def second_payer() -> LocalSigner:
    return funded(4)


@pytest.fixture(scope="session")
def researcher() -> LocalSigner:
    return funded(5)


@pytest.fixture(scope="session")
def patient() -> LocalSigner:
    return funded(6)


@pytest.fixture(scope="session")
def relayer() -> LocalSigner:
    return funded(7)


@pytest.fixture(scope="session")
def stranger() -> LocalSigner:
    return funded(8)


@pytest.fixture(scope="session")
def fresh_account() -> LocalSigner:
    """An account with funds that has done nothing yet."""
    return funded(9)


@pytest.fixture(scope="session")
def far_day() -> date:
    return datetime.now(UTC).date() + timedelta(days=1000)


@pytest.fixture(scope="session")
def deployed(
    node: LocalChain | LocalAnvil,
    admin: LocalSigner,
    clinic: LocalSigner,
    second_clinic: LocalSigner,
    payer: LocalSigner,
    second_payer: LocalSigner,
    researcher: LocalSigner,
    far_day: date,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Chain, Deployment]:
    """The suite, with its parties accredited."""
    chain = Chain.connect(node.url, poll=0.005, timeout=20.0)
    chain.web3.provider._request_kwargs["timeout"] = 5  # type: ignore[attr-defined]  # Ganache may drop an estimate
    deployment = deploy(chain, admin, manifest=tmp_path_factory.mktemp("deployment") / "manifest.json")
    registrar = MedProof(chain, deployment, sender=admin).registrar
    for signer, kind in (
        (clinic, PartyKind.PROVIDER),
        (second_clinic, PartyKind.PROVIDER),
        (payer, PartyKind.PAYER),
        (second_payer, PartyKind.PAYER),
        (researcher, PartyKind.RESEARCHER),
    ):
        registrar.accredit(signer.address, kind, credential=CREDENTIAL, valid_until=far_day)
    return chain, deployment


@pytest.fixture
def chain(deployed: tuple[Chain, Deployment]) -> Iterator[Chain]:
    """The chain, whose state is put back after the test."""
    connected, _ = deployed
    snapshot = rpc(connected, "evm_snapshot")
    yield connected
    rpc(connected, "miner_start")
    rpc(connected, "evm_revert", snapshot)
    if "anvil" in connected.web3.client_version:  # its clock goes back, too
        rpc(connected, "evm_setTime", int(time.time()))


@pytest.fixture
def deployment(chain: Chain, deployed: tuple[Chain, Deployment]) -> Deployment:
    return deployed[1]


@pytest.fixture
def suite(chain: Chain, deployment: Deployment) -> MedProof:
    """The suite as seen by nobody in particular: every transaction names its sender."""
    return MedProof(chain, deployment)


@pytest.fixture
def rule(chain: Chain) -> Rule:
    """An open permit for treatment with laboratory results."""
    now = datetime.fromtimestamp(chain.timestamp(), UTC).replace(second=0, microsecond=0)
    return Rule(
        purposes=Purpose.TREAT,
        classes=DataClass.LABORATORY,
        conditions=Condition.ALL,
        sensitivities=Sensitivity.NONE_LABELLED,
        settings=CareSetting.ALL,
        actions=Action.ACCESS | Action.USE,
        party_kinds=PartyKind.ALL,
        valid_from=now - timedelta(hours=1),
        valid_until=now + timedelta(days=365),
    )


@pytest.fixture
def request_inside() -> Request:
    """What that permit permits."""
    return Request(
        purposes=Purpose.TREAT,
        classes=DataClass.LABORATORY,
        conditions=Condition.from_icd10cm("I10"),
        sensitivities=Sensitivity.NONE_LABELLED,
        settings=CareSetting.AMB,
        actions=Action.ACCESS,
        data_until=date(2026, 1, 1),
    )


@pytest.fixture
def unused_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        yield taken.getsockname()[1]

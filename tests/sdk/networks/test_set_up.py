"""The examination of a deployment, and of who pays."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
from eth_utils.abi import function_signature_to_4byte_selector

from medproof.artifacts import artifact
from medproof.chain import Chain
from medproof.deployments import ADMIN_ROLE, ROLES, Deployment
from medproof.examination import Finding, State, examine_account, examine_deployment
from medproof.signing import LocalSigner
from tests.sdk.conftest import rpc


@pytest.fixture
def undone(chain: Chain) -> Iterator[None]:
    """What a test does to the deployment is taken back."""
    snapshot = rpc(chain, "evm_snapshot")
    yield
    rpc(chain, "evm_revert", snapshot)


def found(deployed: tuple[Chain, Deployment]) -> dict[str, Finding]:
    return {one.what: one for one in examine_deployment(*deployed)}


def act(deployed: tuple[Chain, Deployment], admin: LocalSigner, function: str, *arguments: object) -> None:
    chain, deployment = deployed
    authority = chain.contract(deployment.address("Authority"), artifact("Authority").abi)
    chain.transact(authority, function, arguments, sender=admin)


def test_as_it_was_deployed(deployed: tuple[Chain, Deployment]) -> None:
    findings = found(deployed)
    roles = ["role ADMIN", *(f"role {role.label}" for role in ROLES)]
    assert list(findings) == ["contracts", "functions", *roles, "deployer", "delays", "announced"]
    assert findings.pop("role ADMIN").state is State.DOUBTFUL  # one key has it
    assert {one.state for one in findings.values()} == {State.GOOD}


def test_another_build(deployed: tuple[Chain, Deployment]) -> None:
    chain, deployment = deployed
    entries = dict(deployment.contracts)
    entries["Devices"] = dataclasses.replace(entries["Devices"], address=deployment.address("Registrar"))
    [one] = examine_deployment(chain, dataclasses.replace(deployment, contracts=entries))
    assert (one.what, one.state) == ("contracts", State.BAD)


@pytest.mark.usefixtures("undone")
def test_another_admin_is_an_intruder(
    deployed: tuple[Chain, Deployment], admin: LocalSigner, stranger: LocalSigner
) -> None:
    act(deployed, admin, "grantRole", ADMIN_ROLE, stranger.address, 0)
    one = found(deployed)["role ADMIN"]
    assert one.state is State.BAD
    assert stranger.address in one.said


@pytest.mark.usefixtures("undone")
def test_an_admin_that_is_a_contract(deployed: tuple[Chain, Deployment], admin: LocalSigner) -> None:
    chain, deployment = deployed
    multisig = deployment.address("Registrar")  # any contract
    act(deployed, admin, "grantRole", ADMIN_ROLE, multisig, 0)
    act(deployed, admin, "renounceRole", ADMIN_ROLE, admin.address)
    assert found((chain, dataclasses.replace(deployment, admin=multisig)))["role ADMIN"].state is State.GOOD
    assert found(deployed)["role ADMIN"].state is State.BAD  # not as the manifest says


@pytest.mark.usefixtures("undone")
def test_a_role_that_nobody_has(deployed: tuple[Chain, Deployment], admin: LocalSigner) -> None:
    act(deployed, admin, "revokeRole", 3, admin.address)
    one = found(deployed)["role TERMS"]
    assert (one.state, one.said) == (State.BAD, "nobody has it")
    act(deployed, admin, "renounceRole", ADMIN_ROLE, admin.address)
    assert "For good" in found(deployed)["role ADMIN"].step


@pytest.mark.usefixtures("undone")
@pytest.mark.parametrize("closed", [False, True])
def test_functions_that_anybody_or_nobody_may_call(
    closed: bool, deployed: tuple[Chain, Deployment], admin: LocalSigner
) -> None:
    target = deployed[1].address("Registrar")
    if closed:
        act(deployed, admin, "setTargetClosed", target, True)
    else:
        selector = function_signature_to_4byte_selector("suspend(address)")
        act(deployed, admin, "setTargetFunctionRole", target, [selector], 2**64 - 1)  # everybody
    one = found(deployed)["functions"]
    assert one.state is State.BAD
    assert ("Registrar is closed" if closed else "Registrar.suspend") in one.said


def test_who_pays(chain: Chain, admin: LocalSigner) -> None:
    assert examine_account(chain, admin.address, "relayer").state is State.GOOD
    one = examine_account(chain, "0x" + "00" * 19 + "77", "relayer")
    assert (one.what, one.state) == ("relayer", State.BAD)
    assert "Send it some" in one.step

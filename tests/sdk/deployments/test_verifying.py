"""Verifying: the code, immutables included, and whom each contract works with."""

from __future__ import annotations

import dataclasses

import pytest

from medproof.artifacts import artifact
from medproof.chain import Chain
from medproof.deployments import Deployment, verify
from medproof.errors import DeploymentError
from medproof.signing import LocalSigner
from scripts.local_chain import LocalChain
from tests.sdk.conftest import funded, rpc
from tests.sdk.deployments.conftest import Counting


def moved(deployment: Deployment, **addresses: str) -> Deployment:
    contracts = {
        name: dataclasses.replace(entry, address=addresses.get(name, entry.address))
        for name, entry in deployment.contracts.items()
    }
    return dataclasses.replace(deployment, contracts=contracts)


def test_verify(chain: Chain, deployment: Deployment) -> None:
    verify(chain, deployment)


def test_verify_missing_code(chain: Chain, deployment: Deployment) -> None:
    with pytest.raises(DeploymentError, match="no contract at"):
        verify(chain, moved(deployment, Registrar=funded(13).address))


def test_verify_other_code(chain: Chain, deployment: Deployment) -> None:
    with pytest.raises(DeploymentError, match="not this build of Registrar"):
        verify(chain, moved(deployment, Registrar=deployment.address("ClaimAnchor")))


def test_verify_contract_of_another_suite(counting: Counting, deployment: Deployment, admin: LocalSigner) -> None:
    """The right code, but wired to somebody else's neighbour."""
    build = artifact("ConsentRegistry")
    neighbours = ("Authority", "Registrar", "Delegations")
    for foreigner in neighbours:
        arguments = [funded(13).address if name == foreigner else deployment.address(name) for name in neighbours]
        match = f"works with the {foreigner} at"
        sent = counting.send(counting.creation(build.bytecode, build.abi, arguments), sender=admin)
        foreign = counting.wait(sent).contract
        assert foreign is not None
        with pytest.raises(DeploymentError, match=match):
            verify(counting, moved(deployment, ConsentRegistry=foreign))


def test_verify_altered_code(chain: Chain, deployment: Deployment, node: LocalChain) -> None:
    address = deployment.address("ClaimAnchor")
    code = bytearray(chain.code(address))
    code[100] ^= 1
    rpc(chain, "evm_setAccountCode", address, "0x" + code.hex())
    with pytest.raises(DeploymentError, match="not this build of ClaimAnchor"):
        verify(chain, deployment)


@pytest.mark.parametrize("name", ["_cachedThis", "_cachedChainId", "_cachedDomainSeparator", "_hashedName", "_name"])
def test_verify_immutables_of_another_place(name: str, chain: Chain, deployment: Deployment, node: LocalChain) -> None:
    """All the code is compared: what was made for another chain or address would take other signatures."""
    address, build = deployment.address("Devices"), artifact("Devices")
    code = bytearray(chain.code(address))
    [place] = [one for one in build.immutables if one["name"] == name]
    code[place["start"] + place["length"] - 1] ^= 1
    rpc(chain, "evm_setAccountCode", address, "0x" + code.hex())
    assert build.code_hash(bytes(code)) == build.expected_code_hash
    with pytest.raises(DeploymentError, match=f"for {name}: it was not made for Devices"):
        verify(chain, deployment)


def test_verify_another_chain(chain: Chain, deployment: Deployment) -> None:
    with pytest.raises(DeploymentError, match="is of chain 5, but the node serves chain 1337"):
        verify(chain, dataclasses.replace(deployment, chain_id=5))

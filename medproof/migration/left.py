"""The deployment that is left: it may be of another build than this package's, and is only read."""

from __future__ import annotations

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.deployments import Deployment
from medproof.errors import DeploymentError

__all__ = ["left_deployment"]


def left_deployment(chain: Chain, deployment: Deployment) -> MedProof:
    """A deployment by its manifest, whose contracts are there, whatever their build.

    Whoever leaves a deployment knows it: its manifest is theirs. The new one is verified (`deployments.verify`).

    Raises:
        DeploymentError: it is on another chain, or nothing is at a contract's address.
    """
    if deployment.chain_id != chain.chain_id:
        raise DeploymentError(
            f"The old manifest is of chain {deployment.chain_id}, but the node serves chain {chain.chain_id}. "
            "Name a node of the old deployment's chain."
        )
    for name in deployment.contracts:
        if not chain.code(deployment.address(name)):
            raise DeploymentError(
                f"There is no contract at {deployment.address(name)}, where the old manifest has {name}. "
                "Name a node of the chain that it is on."
            )
    return MedProof(chain, deployment)

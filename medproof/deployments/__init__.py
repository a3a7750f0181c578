"""Deploying the suite and knowing where it stands: the manifest, and the steps that write it.

Addresses follow from a salt (CREATE2), so that they are known before anything is sent. The manifest is written, whole
or not at all, before a transaction is sent and again when it counts; what is missing is read from the chain. Whatever
interrupts a deployment, deploying again goes on where it stopped. The deployer's rights end with the hand-over: at once
to a contract such as a Safe, or when an account that is to administer accepts.
"""

from __future__ import annotations

from medproof.deployments.deploying import accept, deploy
from medproof.deployments.factory import FACTORY, contract_address, create2_address, new_salt
from medproof.deployments.manifest import Deployed, Deployment
from medproof.deployments.planning import Plan, Planned, plan
from medproof.deployments.roles import ADMIN_ROLE, ROLES, Authority, Call, Role, safe_transactions
from medproof.deployments.safes import Safe, is_contract, read_safe
from medproof.deployments.verifying import verify

__all__ = [
    "ADMIN_ROLE",
    "FACTORY",
    "ROLES",
    "Authority",
    "Call",
    "Deployed",
    "Deployment",
    "Plan",
    "Planned",
    "Role",
    "Safe",
    "accept",
    "contract_address",
    "create2_address",
    "deploy",
    "is_contract",
    "new_salt",
    "plan",
    "read_safe",
    "safe_transactions",
    "verify",
]

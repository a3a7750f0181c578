"""Deploy the suite to the network that Brownie is connected to: ``brownie run deploy --network …``.

The record is written to ``deployments/<chain id>.json``, or to ``deployments/local`` for a development chain. Deploying
again goes on where it stopped. MEDPROOF_KEYSTORE names the key file of the account that pays (its password is asked
for, or stands in MEDPROOF_PASSWORD), MEDPROOF_ADMIN the account that is to administer, MEDPROOF_OVERWRITE=1 lets a
manifest of another deployment be replaced.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

if __package__ in (None, ""):  # started by Brownie
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from medproof.artifacts import CONTRACTS
from medproof.chain import Chain
from medproof.deployments import deploy, verify
from medproof.errors import MedProofError
from scripts.demo import brownie_url, payer_of
from scripts.local_chain import ROOT

DEVELOPMENT = {1337, 31337}  # chain ids of Ganache and Anvil: their deployments vanish with the chain


def manifest_of(chain_id: int) -> Path:
    """Where the record of a chain's deployment is kept."""
    folder = ROOT / "deployments" / "local" if chain_id in DEVELOPMENT else ROOT / "deployments"
    return folder / f"{chain_id}.json"


def main() -> None:
    """Deploy, or go on deploying, and check the result against the chain."""
    try:
        run(brownie_url())
    except MedProofError as error:
        print(f"The deployment stops: {error}", file=sys.stderr)
        raise SystemExit(1) from None


def run(url: str) -> None:
    """Deploy as the environment says."""
    chain = Chain.connect(url)
    deployment = deploy(
        chain,
        payer_of(chain, os.environ.get("MEDPROOF_KEYSTORE")),
        manifest=manifest_of(chain.chain_id),
        admin=os.environ.get("MEDPROOF_ADMIN") or None,
        overwrite=os.environ.get("MEDPROOF_OVERWRITE") == "1",
        report=print,
    )
    verify(chain, deployment)
    for name in CONTRACTS:
        print(f"{name:16} {deployment.address(name)}")
    print(f"Recorded in {manifest_of(chain.chain_id).relative_to(ROOT)}, admin {deployment.admin}.")

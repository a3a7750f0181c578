"""Deploy the suite, or go on with a deployment that was interrupted.

    make deploy URL=https://… KEYSTORE=deployer.json ADMIN=0x…    a testnet or a consortium's chain
    make brownie ARGS="run deploy --network ganache-cli"          any network of your Brownie configuration

The record is written to ``deployments/<chain id>.json``, or to ``deployments/local`` for a development chain. Deploying
again goes on where it stopped. The key file's password is asked for, or stands in MEDPROOF_PASSWORD. Inside Brownie,
MEDPROOF_KEYSTORE, MEDPROOF_ADMIN, MEDPROOF_OVERWRITE=1 and MEDPROOF_YES=1 stand for the options.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):  # started as a file, or by Brownie
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from medproof.artifacts import CONTRACTS
from medproof.chain import Chain
from medproof.deployments import deploy, plan, verify
from medproof.errors import MedProofError
from scripts.demo import brownie_url, payer_of
from scripts.local_chain import ROOT

DEVELOPMENT = {1337, 31337}  # chain ids of Ganache and Anvil: their deployments vanish with the chain


def manifest_of(chain_id: int) -> Path:
    """Where the record of a chain's deployment is kept."""
    folder = ROOT / "deployments" / "local" if chain_id in DEVELOPMENT else ROOT / "deployments"
    return folder / f"{chain_id}.json"


def run(network: str, *, keystore: str | None, admin: str | None, overwrite: bool, yes: bool) -> None:
    """Say what is going to happen, ask, deploy, and check the result against the chain."""
    chain = Chain.connect(network)
    payer = payer_of(chain, keystore)
    manifest = manifest_of(chain.chain_id)
    planned = plan(chain, payer, manifest=manifest, admin=admin, overwrite=overwrite)
    for one in planned.contracts:
        print(f"{one.name:16} {one.address} {one.gas:>11,} gas")
    balance = chain.balance(payer.address) / 10**18
    most = f"at most {planned.gas:,} gas or {planned.cost / 10**18:.4f} ether"
    print(f"Chain {chain.chain_id}: {len(planned.contracts)} contracts, {most}, and their roles.")
    print(f"{payer.address} pays and has {balance:.4f} ether.")
    print(f"Admin: {planned.admin}. Record: {manifest.relative_to(ROOT)}.")
    if chain.chain_id not in DEVELOPMENT and not yes:
        answer = input("Deploy? [y/N] ") if sys.stdin.isatty() else ""
        if answer.strip().lower() not in ("y", "yes"):
            raise MedProofError("Nothing was deployed. Say yes, or give --yes where nobody can be asked.")
    deployment = deploy(
        chain, payer, manifest=manifest, admin=admin, salt=planned.salt, overwrite=overwrite, report=print
    )
    verify(chain, deployment)
    for name in CONTRACTS:
        print(f"{name:16} {deployment.address(name)}")
    print(f"Recorded in {manifest.relative_to(ROOT)}, admin {deployment.admin}.")


def main() -> None:
    """Deploy to the network that Brownie is connected to: ``brownie run deploy --network …``."""
    arguments = ["--url", brownie_url()]
    for option in ("keystore", "admin"):
        if value := os.environ.get(f"MEDPROOF_{option.upper()}"):
            arguments += [f"--{option}", value]
    arguments += [f"--{flag}" for flag in ("overwrite", "yes") if os.environ.get(f"MEDPROOF_{flag.upper()}") == "1"]
    if code := command_line(arguments):
        raise SystemExit(code)


def command_line(argv: Sequence[str] | None = None) -> int:
    """Deploy as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="the node's URL, or a named network of the package")
    parser.add_argument("--keystore", help="key file of the account that pays, where the node holds none")
    parser.add_argument("--admin", help="who is to administer; the account that pays where nobody is named")
    parser.add_argument("--overwrite", action="store_true", help="replace the record of another deployment")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    options = parser.parse_args(argv)
    try:
        if not options.url:  # as `make deploy` alone gives it
            step = "make deploy URL=https://…, or URL=sepolia. To try it on this machine, see docs/first-steps.md."
            raise MedProofError(f"No chain is named. {step}")
        run(
            options.url,
            keystore=options.keystore,
            admin=options.admin,
            overwrite=options.overwrite,
            yes=options.yes,
        )
    except MedProofError as error:
        print(f"The deployment stops: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nThe deployment was interrupted. Deploying again goes on where it stopped.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(command_line())

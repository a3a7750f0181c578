"""Deploy the suite, or go on with a deployment that was interrupted: `medproof deploy run`, for make and for Brownie.

    make deploy URL=https://… KEYSTORE=deployer.json ADMIN=0x…    a testnet or a consortium's chain
    make brownie ARGS="run deploy --network ganache-cli"          any network of your Brownie configuration

The record is written to ``deployments/<chain id>.json``, or to ``deployments/local`` for a development chain. All
options are those of the command (docs/deploying.md). Inside Brownie, MEDPROOF_KEYSTORE, MEDPROOF_ADMIN,
MEDPROOF_OVERWRITE=1 and MEDPROOF_YES=1 stand for the options.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):  # started as a file, or by Brownie
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from medproof.cli.app import app
from scripts.demo import brownie_url
from scripts.local_chain import ROOT


def main() -> None:
    """Deploy to the network that Brownie is connected to: ``brownie run deploy --network …``."""
    flags = [f"--{flag}" for flag in ("overwrite", "yes") if os.environ.get(f"MEDPROOF_{flag.upper()}") == "1"]
    with contextlib.chdir(ROOT):  # where the records are; make is there already
        code = command_line(["--network", brownie_url(), *flags])
    if code:
        raise SystemExit(code)


def command_line(argv: Sequence[str]) -> int:
    """Deploy as the command line says."""
    try:
        app(["deploy", "run", *argv])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


if __name__ == "__main__":
    sys.exit(command_line(sys.argv[1:]))

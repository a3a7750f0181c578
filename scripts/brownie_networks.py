"""Give Brownie the networks that the package knows by name: ``make brownie`` runs this first.

They stand under the heading MedProof in Brownie's list, which lies in the home folder that scripts/local_chain.py gives
it; a network of the same name elsewhere in that list makes room. A URL in the environment is read when Brownie
connects, as the package does it. Development networks stay Brownie's.
"""

from __future__ import annotations

import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

if __package__ in (None, ""):  # started as a file
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from medproof.errors import MedProofError
from medproof.networks import Network, networks

HEADING = "MedProof"


def described(network: Network) -> dict[str, Any]:
    """A network as Brownie describes it."""
    host = network.url if network.url and not os.environ.get(network.variable) else f"${network.variable}"
    entry = {"name": network.name, "id": network.name, "chainid": network.chain_id, "host": host}
    return entry | ({"explorer": network.explorer} if network.explorer else {})


def merged(listed: dict[str, Any], ours: dict[str, Network]) -> dict[str, Any]:
    """Brownie's list with these networks in it; what runs on this machine stays as Brownie has it."""
    local = {one["id"] for one in listed.get("development") or ()}
    added = [one for name, one in ours.items() if name not in local and one.chain_id not in (1337, 31337)]
    names = {one.name for one in added}
    others = [
        {**group, "networks": [one for one in group["networks"] if one["id"] not in names]}
        for group in listed.get("live") or ()
        if group["name"] != HEADING
    ]
    return {**listed, "live": [*others, {"name": HEADING, "networks": [described(one) for one in added]}]}


def main() -> int:
    """Write the list."""
    path = Path.home() / ".brownie" / "network-config.yaml"
    try:
        ours = networks()
    except MedProofError as error:
        print(f"Brownie gets no networks: {error}", file=sys.stderr)
        return 1
    if not path.exists():  # Brownie copies its own there only where there is none
        package = find_spec("brownie")
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(str(package and package.origin)).parent / "data" / path.name, path)
    before = yaml.safe_load(path.read_text(encoding="utf-8"))
    after = merged(before, ours)
    if after != before:
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.touch(mode=0o600)  # a URL of one's own may hold a key
        draft.write_text(yaml.safe_dump(after, sort_keys=False), encoding="utf-8")
        draft.replace(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())

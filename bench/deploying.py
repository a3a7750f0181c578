"""What a full deployment takes: transactions, gas by contract, and time beside the node's own for the same.

The suite is deployed through a factory from a fixed salt, its roles are set and it is handed over to an account that
accepts, on Anvil, where the factory stands, and on Ganache, where it is deployed first. The floor of the time is the
very same signed transactions, each sent when the one before is in a block, on a fresh chain. Beside each contract's gas
stands that of a plain creation (results/gas.json). ``make bench-deploying`` prints the figures and writes
bench/results/deploying.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # started as a file
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.run import recorded
from bench.sending import account
from medproof.artifacts import CONTRACTS
from medproof.chain import Chain
from medproof.deployments import accept, deploy, plan
from medproof.signing import LocalSigner
from scripts.local_anvil import LocalAnvil
from scripts.local_chain import ROOT, LocalChain

RESULTS = ROOT / "bench" / "results" / "deploying.json"
SALT = "0x" + "5a" * 32
RUNS = 3
POLL = 0.002


@contextmanager
def node(kind: str) -> Iterator[str]:
    """A fresh chain that puts each transaction into a block at once; its URL."""
    if kind == "Anvil":
        with LocalAnvil() as anvil:
            yield anvil.url
    else:
        with LocalChain(options={"chain": {"vmErrorsOnRPCResponse": False}}) as ganache:
            yield ganache.url


class Recording:
    """A signer that keeps what it signed."""

    def __init__(self, signer: LocalSigner, signed: list[bytes]) -> None:
        """Sign as another."""
        self._signer, self._signed = signer, signed
        self.address = signer.address

    def sign_transaction(self, transaction: dict[str, Any]) -> bytes:
        """Sign, and keep it."""
        self._signed.append(self._signer.sign_transaction(transaction))
        return self._signed[-1]


def full(kind: str, folder: Path) -> tuple[dict[str, Any], list[bytes]]:
    """Deploy, set the roles, hand over and accept on a fresh chain: what it took, and what was signed."""
    signed: list[bytes] = []
    deployer, admin = (Recording(account(number), signed) for number in (0, 1))
    manifest = folder / f"{kind}-{time.monotonic_ns()}.json"
    with node(kind) as url:
        chain = Chain.connect(url, poll=POLL)
        started = time.perf_counter()
        planned = plan(chain, deployer, manifest=manifest, admin=admin.address, salt=SALT)
        planning = time.perf_counter() - started
        started = time.perf_counter()
        deploy(chain, deployer, manifest=manifest, admin=admin.address, salt=planned.salt)
        made = accept(chain, admin, manifest=manifest)
        seconds = time.perf_counter() - started
        used = [int(block["gasUsed"], 16) for block in _blocks(chain)]
    assert made.complete
    assert len(used) == len(signed) == planned.transactions + 1
    plain = recorded()["operations"]
    return {
        "transactions": len(signed),
        "gas": sum(used),
        "planned_gas": planned.gas,
        "factory_gas": 0 if made.factory is None else made.factory.gas_used,
        "contracts": {
            name: {"gas": made.contracts[name].gas_used, "plain": plain[f"deploy_{name}"]["gas"]} for name in CONTRACTS
        },
        "roles_gas": used[-2],
        "accept_gas": used[-1],
        "plan_seconds": planning,
        "seconds": seconds,
    }, signed


def floor(kind: str, signed: list[bytes]) -> float:
    """Seconds for the same transactions, already signed, on a fresh chain."""
    with node(kind) as url:
        chain = Chain.connect(url, poll=POLL)
        started = time.perf_counter()
        for raw in signed:
            chain.wait(chain.broadcast(raw))
        return time.perf_counter() - started


def _blocks(chain: Chain) -> list[Mapping[str, Any]]:
    return chain.ask([("eth_getBlockByNumber", [hex(number), False]) for number in range(1, chain.block_number() + 1)])


def measure(folder: Path, runs: int) -> dict[str, Any]:
    """Both nodes, in turns."""
    found: dict[str, Any] = {}
    for kind in ("Anvil", "Ganache"):
        taken = []
        for _ in range(runs):
            said, signed = full(kind, folder)
            taken.append((said, floor(kind, signed)))
        said = taken[0][0]
        seconds = statistics.median(one["seconds"] for one, _ in taken)
        least = statistics.median(least for _, least in taken)
        found[kind] = said | {
            "plan_seconds": round(statistics.median(one["plan_seconds"] for one, _ in taken), 3),
            "seconds": round(seconds, 3),
            "floor_seconds": round(least, 3),
            "times_the_floor": round(seconds / least, 2),
        }
    return {"nodes": found, "salt": SALT, "runs": runs, "machine": f"{platform.machine()}, {platform.system()}"}


def table(found: Mapping[str, Any]) -> str:
    """The figures as lines of text."""
    lines = []
    for kind, said in found["nodes"].items():
        lines.append(
            f"{kind}: {said['transactions']} transactions, {said['gas']:,} gas (planned {said['planned_gas']:,}), "
            f"{said['seconds']:.2f} s, {said['times_the_floor']:.2f} times the floor of {said['floor_seconds']:.2f} s"
        )
        for name, gas in said["contracts"].items():
            lines.append(f"  {name:16} {gas['gas']:>10,}  {gas['gas'] - gas['plain']:>+7,} beside a plain creation")
        for name in ("factory", "roles", "accept"):
            lines.append(f"  {name:16} {said[f'{name}_gas']:>10,}")
    return "\n".join(lines)


def main() -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=RUNS, help="runs on each node; the figures are their medians")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), options.runs)
    print(table(found))
    RESULTS.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

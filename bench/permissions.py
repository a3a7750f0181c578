"""How fast permissions are checked in bulk: `ConsentRegistry.are_permitted` beside a loop of `.call()` in the same run.

The loop is what one writes first: ``contract.functions.isPermitted(…).call()``. Beside both stand the same in a JSON
batch with an eth_call for each check, as for a node that takes no packed calls, and the node's ceiling: the very
requests of `are_permitted`, their answers thrown away. Half of the subjects permit the request, the others another
purpose. ``make bench-permissions`` prints the figures and writes
bench/results/permissions.json; the exit code is 1 where it is slower than its target, or an answer is wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # started as a file
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import requests
from web3 import Web3

from bench.indexing import anvil, grant, treatment
from medproof.artifacts import artifact
from medproof.chain import Chain
from medproof.client import MedProof
from medproof.deployments import Deployment, deploy
from medproof.policy.codes import Action, CareSetting, Condition, DataClass, PartyKind, Purpose, Sensitivity
from medproof.policy.word import Request, encode, encode_request
from medproof.signing import NodeSigner
from scripts.local_chain import ROOT

RESULTS = ROOT / "bench" / "results" / "permissions.json"
TARGET = 100.0  # times the loop
SUBJECTS, TIMES = 2_000, 10  # each subject is asked about so many times
LOOP = 500  # checks of the loop, which is slow, in each run
RUNS = 5
REQUEST = Request(
    Purpose.TREAT,
    DataClass.LABORATORY,
    Condition.ALL,
    Sensitivity.NONE_LABELLED,
    settings=CareSetting.AMB,
    actions=Action.ACCESS,
)


def prepare(url: str, manifest: Path, subjects: int) -> tuple[MedProof, str, list[str]]:
    """The suite with an accredited clinic that every other subject permits to read; the clinic and the subjects."""
    chain = Chain.connect(url, timeout=300.0)
    clinic, *others = chain.accounts()
    admin = NodeSigner(clinic)
    suite = MedProof(chain, deploy(chain, admin, manifest=manifest), sender=admin)
    suite.registrar.accredit(clinic, PartyKind.PROVIDER, credential=b"\x01" * 32, valid_until=date(2052, 2, 20))
    permit = treatment(chain)
    words = encode(permit), encode(replace(permit, purposes=Purpose.PUBHLTH))
    found = others[:subjects]
    grant(chain, suite.deployment, {one: [(clinic, words[at % 2])] for at, one in enumerate(found)})
    return suite, clinic, found


# -- the ways -------------------------------------------------------------------------------------------------------


def loop(url: str, deployment: Deployment, clinic: str, subjects: list[str]) -> list[bool]:
    """One by one, as web3's documentation shows it."""
    web3 = Web3(Web3.HTTPProvider(url))
    registry = web3.eth.contract(
        address=web3.to_checksum_address(deployment.address("ConsentRegistry")),
        abi=list(artifact("ConsentRegistry").abi),
    )
    request = encode_request(REQUEST)
    return [registry.functions.isPermitted(subject, clinic, request).call() for subject in subjects]


def batch(suite: MedProof, clinic: str, subjects: list[str]) -> tuple[bool, ...]:
    """An eth_call for each, many in a request."""
    suite.chain._packs = False
    try:
        return suite.consent_registry.are_permitted([(subject, clinic, REQUEST) for subject in subjects])
    finally:
        suite.chain._packs = True


class Recorder(requests.Session):
    """Keeps what is sent."""

    def __init__(self) -> None:
        """Begin with nothing."""
        super().__init__()
        self.sent: list[Any] = []

    def post(self, url: Any, data: Any = None, *arguments: Any, **options: Any) -> requests.Response:
        """Post it, as ever."""
        self.sent.append(data)
        return super().post(url, data, *arguments, **options)


def ceiling(url: str, bodies: list[Any]) -> int:
    """The same requests, written before, their answers thrown away."""
    session = requests.Session()
    return sum(
        len(session.post(url, body, headers={"Content-Type": "application/json"}, timeout=300).content)
        for body in bodies
    )


def measure(folder: Path, subjects: int, times: int, loops: int, runs: int) -> dict[str, Any]:
    """All ways in turns, so that the machine treats them alike."""
    with anvil(subjects + 1) as url:
        suite, clinic, found = prepare(url, folder / "manifest.json", subjects)
        asked = [(subject, clinic, REQUEST) for _ in range(times) for subject in found]
        right = [at % 2 == 0 for _ in range(times) for at in range(len(found))]
        recorder = suite.chain._session = Recorder()
        wrong = sum(
            one is not other for one, other in zip(suite.consent_registry.are_permitted(asked), right, strict=True)
        )
        bodies = recorder.sent
        suite.chain._session = requests.Session()
        some = found[:loops]
        ways: dict[str, tuple[int, Callable[[], Any]]] = {
            "loop": (len(some), lambda: loop(url, suite.deployment, clinic, some)),
            "batch": (len(found), lambda: batch(suite, clinic, found)),
            "are_permitted": (len(asked), lambda: suite.consent_registry.are_permitted(asked)),
            "ceiling": (len(asked), lambda: ceiling(url, bodies)),
        }
        wrong += sum(
            one is not other for one, other in zip(loop(url, suite.deployment, clinic, some), right, strict=False)
        )
        rates: dict[str, list[float]] = {name: [] for name in ways}
        load = os.getloadavg()[0]
        for _ in range(runs):
            for name, (count, way) in ways.items():
                start = time.perf_counter()
                way()
                rates[name].append(count / (time.perf_counter() - start))
    ratios = [fast / slow for fast, slow in zip(rates["are_permitted"], rates["loop"], strict=True)]
    return {
        "checks": len(asked),
        "wrong": wrong,
        **{f"{name}_per_second": round(statistics.median(found)) for name, found in rates.items()},
        "times_loop": round(statistics.median(ratios), 1),
        "times_loop_of_each_run": [round(ratio, 1) for ratio in ratios],
        "load_before": round(load, 1),  # what else the machine did: processes that ran or waited for a core
        "target": TARGET,
    }


def main() -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subjects", type=int, default=SUBJECTS, help="how many subjects there are")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), options.subjects, TIMES, LOOP, options.runs)
    print(
        f"Anvil: {found['are_permitted_per_second']:,} checks a second, the loop {found['loop_per_second']:,}: "
        f"{found['times_loop']} times (target {TARGET:.0f}); a batch of eth_calls {found['batch_per_second']:,}; "
        f"the node gives {found['ceiling_per_second']:,}; {found['wrong']} answers wrong"
    )
    if not options.no_write:
        machine = {"cores": os.cpu_count(), "python": platform.python_version()}
        RESULTS.write_text(json.dumps({**found, "machine": machine}, indent=2) + "\n", encoding="utf-8")
    return 1 if found["wrong"] or found["times_loop"] < TARGET else 0


if __name__ == "__main__":
    sys.exit(main())

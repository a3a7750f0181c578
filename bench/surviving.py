"""What the suite loses where nodes die and part: messages lost or doubled, and the time until all goes on.

Four geth nodes (`scripts/local_network.py`). A relayer with two accounts, an index and a gatekeeper work through the
first of them, messages are submitted half a second apart, and meanwhile a signer is killed, then the first node itself,
then all of them, and the network is parted in halves. It is measured how long it takes, from the moment when all is
mended, until a message submitted then is confirmed, and until the index has the block that is the newest then. The same
without any trouble stands beside it. ``make bench-surviving`` prints the figures and writes
bench/results/surviving.json; the exit code is 1 where anything was lost, doubled, or served without a permission.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # started as a file
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from medproof.errors import MedProofError
from scripts.local_chain import ROOT
from scripts.local_network import LocalNetwork
from tests.network.conftest import ACCOUNTS, deployed
from tests.network.scene import DEPTH, Custody, Scene, events_of, fresh_grant, through

RESULTS = ROOT / "bench" / "results" / "surviving.json"
AWAY = 10.0  # seconds for which nodes are gone, or do not hear each other
PAUSE = 0.5  # seconds between two messages


@contextlib.contextmanager
def nothing(network: LocalNetwork) -> Iterator[None]:
    """For comparison."""
    yield


@contextlib.contextmanager
def killed(network: LocalNetwork, *numbers: int) -> Iterator[None]:
    """Some nodes are gone."""
    for number in numbers:
        network.kill(network.nodes[number])
    yield
    for number in numbers:
        network.start(network.nodes[number])


@contextlib.contextmanager
def parted(network: LocalNetwork) -> Iterator[None]:
    """The first node has no other signer with it."""
    network.part([0, 3], [1, 2])
    yield
    network.heal()


TROUBLES: dict[str, Callable[[LocalNetwork], contextlib.AbstractContextManager[None]]] = {
    "no trouble": nothing,
    "a signer killed": lambda network: killed(network, 1),
    "the node killed that all work through": lambda network: killed(network, 0),
    "parted 2|2": parted,
    "every node killed": lambda network: killed(network, 0, 1, 2, 3),
}


def measure(folder: Path, rounds: int) -> dict[str, Any]:
    """Every trouble, several times, in one run."""
    with LocalNetwork(funded=ACCOUNTS) as network, contextlib.ExitStack() as end:
        deployment = deployed(network, folder)
        suite = through(network, 0, deployment)
        scene = Scene(network, deployment, Custody.prepare(suite, folder), folder, before=events_of(suite))
        end.callback(scene.close)
        relayer, indexer = scene.relayer(0, 5, 6), scene.indexer(0)
        scene.gatekeeper(0)
        found: dict[str, list[dict[str, float]]] = {name: [] for name in TROUBLES}
        for _ in range(rounds):
            for name, trouble in TROUBLES.items():
                with trouble(network):
                    until = time.monotonic() + AWAY
                    while time.monotonic() < until:
                        with contextlib.suppress(MedProofError):  # the relayer's own node is gone: it takes nothing
                            scene.submit(relayer, fresh_grant, "RuleSet", patience=0)
                        time.sleep(PAUSE)
                mended = time.monotonic()
                [last] = scene.grant(relayer)
                newest = max(node.block() for node in network.nodes)
                scene.until(lambda newest=newest: indexer.indexed.block >= newest, "indexed")  # type: ignore[misc]
                indexed = time.monotonic() - mended
                scene.until(lambda last=last: relayer.status(last).final, "confirmed")  # type: ignore[misc]
                confirmed = time.monotonic() - mended
                found[name].append({"confirmed": round(confirmed, 1), "indexed": round(indexed, 1)})
                print(f"{name}: confirmed after {confirmed:.1f} s, indexed after {indexed:.1f} s", flush=True)
        scene.settle()
        network.agree()
        network.wait(DEPTH)
        on_chain = scene.on_the_chain(3)
        scene.check()
        return {
            "messages": scene.accepted.total(),
            "lost": (scene.accepted - on_chain).total(),
            "doubled": (on_chain - scene.accepted).total(),
            "served": len(scene.served),
            "confirmations": DEPTH,
            "seconds_away": AWAY,
            "seconds_until": found,
        }


def main() -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="how often each trouble comes")
    parser.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), options.rounds)
    lost = f"{found['lost']} lost, {found['doubled']} doubled"
    print(f"{found['messages']} messages: {lost}; {found['served']} answers, each permitted")
    if not options.no_write:
        machine = {"cores": os.cpu_count(), "python": platform.python_version()}
        RESULTS.write_text(json.dumps({**found, "machine": machine}, indent=2) + "\n", encoding="utf-8")
    return 1 if found["lost"] or found["doubled"] else 0


if __name__ == "__main__":
    sys.exit(main())

"""The Merkle log at a million leaves: speed, proofs, and the keccak libraries side by side; ``make bench-merkle``.

Times differ from machine to machine; what is compared is measured in turns in one run, and each figure is the median of
several. Written are bench/results/merkle.json and a table; the exit code is 1 where a million leaves take longer than
their target.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

if __package__ in (None, ""):  # started as a file
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import sha3  # type: ignore[import-untyped]
import tiny_keccak
from Crypto.Hash import keccak as pycryptodome

from medproof import merkle
from medproof.merkle import MerkleLog, verify_consistency, verify_inclusion
from scripts.local_chain import ROOT

RESULTS = ROOT / "bench" / "results" / "merkle.json"
LEAVES = 1_000_000
TARGET = 4.0  # seconds for so many leaves, with wheels alone
RUNS = 5
COMPARED = 50_000  # leaves of the logs that compare the libraries
PROOFS = 1_000  # of each kind, at random places

LIBRARIES: Mapping[str, Callable[[bytes], bytes]] = {
    "tiny-keccak": tiny_keccak.keccak256,  # the package's own
    "safe-pysha3": lambda data: sha3.keccak_256(data).digest(),
    "pycryptodome": lambda data: pycryptodome.new(data=data, digest_bits=256).digest(),
}


def measure(
    *, leaves: int = LEAVES, compared: int = COMPARED, runs: int = RUNS, proofs: int = PROOFS
) -> dict[str, Any]:
    """Measure everything and return the results as they are written."""
    random = Random(6962)
    commitments = [random.randbytes(32) for _ in range(leaves)]
    libraries = compare(commitments[:compared], runs)
    build = median(lambda: MerkleLog(commitments), runs)
    log = MerkleLog(commitments)
    return {
        "leaves": leaves,
        "build_seconds": round(build, 3),
        "target_seconds": TARGET if leaves == LEAVES else None,
        "leaves_a_second": {
            "in bulk": round(leaves / build),
            "one by one": round(compared / median(lambda: append_all(commitments[:compared]), runs)),
        },
        "bytes_a_leaf": round(sum(map(len, log._levels)) / leaves, 1),
        "proofs": {
            "inclusion": inclusion(log, commitments, [random.randrange(leaves) for _ in range(proofs)]),
            "consistency": consistency(log, [random.randrange(1, leaves) for _ in range(proofs)]),
        },
        "keccak": libraries,
        "runs": runs,
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
    }


def compare(commitments: Sequence[bytes], runs: int) -> dict[str, Any]:
    """The same log built with each library, in turns: leaves a second, and the time beside the package's own."""
    seconds: dict[str, list[float]] = {name: [] for name in LIBRARIES}
    roots = set()
    for _ in range(runs):
        for name, function in LIBRARIES.items():
            with patch.object(merkle, "keccak256", function):
                seconds[name].append(timed(lambda: roots.add(MerkleLog(commitments).root())))
    assert len(roots) == 1, "the libraries disagree"
    own = statistics.median(seconds["tiny-keccak"])
    return {
        name: {
            "version": importlib.metadata.version(name),
            "leaves_a_second": round(len(commitments) / statistics.median(times)),
            "times_as_long": round(statistics.median(times) / own, 2),
        }
        for name, times in seconds.items()
    }


def inclusion(log: MerkleLog, commitments: Sequence[bytes], places: Sequence[int]) -> dict[str, Any]:
    """Inclusion proofs at these places: their size, and the time to make and to verify one."""
    root, size = log.root(), len(log)
    made = [log.inclusion_proof(place) for place in places]
    checks = [
        partial(verify_inclusion, commitments[place], place, size, proof, root)
        for place, proof in zip(places, made, strict=True)
    ]
    return described(made, [partial(log.inclusion_proof, place) for place in places], checks)


def consistency(log: MerkleLog, firsts: Sequence[int]) -> dict[str, Any]:
    """Consistency proofs from these sizes to the whole log: their size, and the time to make and to verify one."""
    root, size = log.root(), len(log)
    made = [log.consistency_proof(first) for first in firsts]
    checks = [
        partial(verify_consistency, first, size, proof, log.root(first), root)
        for first, proof in zip(firsts, made, strict=True)
    ]
    return described(made, [partial(log.consistency_proof, first) for first in firsts], checks)


def described(
    made: Sequence[Sequence[bytes]], making: Sequence[Callable[[], object]], verifying: Sequence[Callable[[], object]]
) -> dict[str, Any]:
    """What is said of proofs of one kind."""
    lengths = [len(proof) for proof in made]
    return {
        "hashes": {"median": int(statistics.median(lengths)), "longest": max(lengths)},
        "bytes": {"median": 32 * int(statistics.median(lengths)), "longest": 32 * max(lengths)},
        "microseconds": {
            "to make": round(statistics.median(map(timed, making)) * 1e6, 1),
            "to verify": round(statistics.median(map(timed, verifying)) * 1e6, 1),
        },
    }


def append_all(commitments: Sequence[bytes]) -> None:
    """Append one leaf at a time."""
    log = MerkleLog()
    for leaf in commitments:
        log.append(leaf)


def median(work: Callable[[], object], runs: int) -> float:
    """The median of so many runs, in seconds."""
    return statistics.median(timed(work) for _ in range(runs))


def timed(work: Callable[[], object]) -> float:
    """How many seconds it takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def show(content: Mapping[str, Any]) -> None:
    """Print the figures."""
    rate = content["leaves_a_second"]
    print(f"{content['leaves']:,} leaves in {content['build_seconds']} s: {rate['in bulk']:,} a second in bulk, "
          f"{rate['one by one']:,} one by one; {content['bytes_a_leaf']} bytes kept for each")  # fmt: skip
    for kind, said in content["proofs"].items():
        time_ = said["microseconds"]
        print(f"{kind} proof: {said['hashes']['median']} hashes, {said['hashes']['longest']} at most; "
              f"{time_['to make']} µs to make, {time_['to verify']} µs to verify")  # fmt: skip
    for name, said in content["keccak"].items():
        print(f"{name} {said['version']}: {said['leaves_a_second']:,} leaves a second, "
              f"{said['times_as_long']} times as long as the package's own")  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description="Measure the Merkle log at a million leaves.")
    parser.add_argument("--no-write", action="store_true", help="leave bench/results/merkle.json as it is")
    options = parser.parse_args(argv)
    content = measure()
    show(content)
    if not options.no_write:
        RESULTS.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    if content["build_seconds"] > TARGET:
        print(f"{LEAVES:,} leaves take longer than {TARGET} s", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What a set-up takes on disk and in memory: bytes of an indexed rule, a record, an entry of the access log, a message.

``make bench-sizing`` fills each store with what it is for, on a local Anvil, and writes bench/results/sizing.json,
which docs/operating.md cites. Disk is what the files have when they are closed; memory is what a process of each
service holds once its modules are loaded, as Linux counts it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # started as a file
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.indexing import anvil, fill, indexed, treatment
from bench.serving import observation
from medproof.access import Access
from medproof.access.entry_log import EntryLog
from medproof.chain import Chain
from medproof.client import MedProof
from medproof.client.record_pointers import PointerKey
from medproof.deployments import Deployment
from medproof.hashing import new_salt, seal
from medproof.policy.codes import (
    Action,
    DataClass,
    Purpose,
    ResearchUse,
)
from medproof.relayer import Relayer
from medproof.signing import LocalSigner, NodeSigner
from medproof.store import KeyRing, MasterKey, SqlStore
from scripts.local_chain import ROOT

RESULTS = ROOT / "bench" / "results" / "sizing.json"
KEYS = KeyRing(MasterKey(bytes(range(32))))
SIGNER = LocalSigner.from_key(b"\x0a" * 32)
COMMANDS = {
    "index": "import medproof.indexer, medproof.indexer.telemetry",
    "relayer": "import medproof.client, medproof.relayer.telemetry",
    "gatekeeper": "import medproof.gateway, medproof.access.entry_log",
}


def size_of(path: Path, before: int = 0) -> int:
    """Bytes of a database's files, above those that it had when it was empty."""
    return sum(one.stat().st_size for one in path.parent.glob(f"{path.name}*")) - before


def account(number: int) -> LocalSigner:
    """An account by its number."""
    return LocalSigner.from_key(number.to_bytes(32, "big"))


def index_size(chain: Chain, deployment: Deployment, folder: Path) -> dict[str, float]:
    """Bytes that an index takes for each event, nearly all of them rules."""
    path = folder / "index.db"
    *_, events = indexed(chain, deployment, path)
    return {"events": events, "bytes_an_event": round(size_of(path) / events)}


def record_size(folder: Path, many: int) -> dict[str, float]:
    """Bytes that a record store takes for each record, of the size of an Observation."""
    path = folder / "records.db"
    SqlStore(path, KEYS).close()
    empty, clinic = size_of(path), account(1).address
    with closing(SqlStore(path, KEYS)) as store:
        for number in range(many):
            record = observation(number)
            sealed = seal(record.content)
            key = PointerKey(account(number % 1000 + 2).address, clinic, sealed.commitment)
            store.put(key, record, sealed.salt, data_class=DataClass.LABORATORY)
    return {"records": many, "bytes_a_record": round(size_of(path, empty) / many)}


def log_size(suite: MedProof, folder: Path, many: int) -> dict[str, float]:
    """Bytes that the access log takes for each entry."""
    path, clinic = folder / "log.db", account(1).address
    options = {"custodian": clinic, "domain": suite.access_log.domain, "signer": SIGNER}
    EntryLog(path, KEYS, **options).close()
    empty = size_of(path)
    with closing(EntryLog(path, KEYS, **options)) as log:
        for number in range(many):
            log.add(_access(number))
    return {"entries": many, "bytes_an_entry": round(size_of(path, empty) / many)}


def _access(number: int) -> Access:
    asking = account(number % 50 + 2).address
    return Access(
        when=datetime.now(UTC),
        account=asking,
        party=asking,
        signed="0x" + new_salt().hex(),
        purposes=Purpose.TREAT,
        actions=Action.ACCESS,
        research=ResearchUse(0),
        action="read",
        subject=account(number % 1000 + 100).address,
        records=(),
        permitted=True,
        reason="PERMITTED",
        block=number,
        block_hash="0x" + new_salt().hex(),
    )


def queue_size(chain: Chain, deployment: Deployment, folder: Path, many: int) -> dict[str, float]:
    """Bytes that a relayer's queue takes for each message, once it is confirmed."""
    path, suite = folder / "relay.db", MedProof(chain, deployment)
    sender = SIGNER
    chain.wait(chain.send({"to": sender.address, "value": 10**19}, sender=NodeSigner(chain.accounts()[0])))
    Relayer(suite, path, sender).close()
    empty = size_of(path)
    with closing(Relayer(suite, path, sender, age=0.0)) as relayer:
        for number in range(many):
            relayer.submit(
                suite.consent_registry.sign_grant(account(10_000 + number), account(2).address, treatment(chain))
            )
        while relayer.run_once(flush=True):
            chain.ask([("evm_mine", [])])
    return {"messages": many, "bytes_a_message": round(size_of(path, empty) / many)}


def memory() -> Iterator[tuple[str, int]]:
    """What a process of each service holds before it works, in bytes."""
    for name, code in COMMANDS.items():
        said = f"{code}; print(open('/proc/self/status').read())"
        done = subprocess.run([sys.executable, "-c", said], cwd=ROOT, capture_output=True, text=True, check=True)
        [line] = [line for line in done.stdout.splitlines() if line.startswith("VmRSS:")]
        yield name, int(line.split()[1]) * 1024


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="a tenth of everything, and nothing is written")
    small = parser.parse_args(argv).small
    part = 10 if small else 1
    subjects = 200 // part
    with tempfile.TemporaryDirectory() as name, anvil(subjects) as url:
        folder = Path(name)
        chain, deployment = fill(url, folder / "suite.json", subjects, 100)
        results: dict[str, Any] = {
            "index": index_size(chain, deployment, folder),
            "records": record_size(folder, 5_000 // part),
            "access_log": log_size(MedProof(chain, deployment), folder, 5_000 // part),
            "queue": queue_size(chain, deployment, folder, 500 // part),
            "memory_bytes": dict(memory()),
            "machine": {"cores": os.cpu_count(), "python": platform.python_version()},
        }
    if not small:
        RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(results, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())

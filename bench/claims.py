"""Claim events a second, from the bytes of a claim to its proof against a root on a chain; and what nullifiers cost.

A clearing house takes claims in FHIR and X12, reads, keys and salts them, logs an event for each on disk and anchors
the log in batches on a local chain, until every event has its proof under an anchored root: in one process and in two.
Beside it, in the same run: the floor (SQLite alone with the same bytes, keccak alone), the gas of the Ethereum
Attestation Service, and indexed Merkle trees of nullifiers. ``make bench-claims`` prints a table and writes
bench/results/claims.json; the exit code is 1 where two processes do fewer than 579 events a second.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import islice, pairwise
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from random import Random
from typing import Any

if __package__ in (None, ""):  # started as a file
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tiny_keccak import keccak256

from bench.merkle import timed
from bench.meter import CHANGED_SLOT, NEW_SLOT, TRANSACTION, Meter, fixed_account, fixed_chain, fixed_hash
from bench.peers import eas_version, install, measure_eas
from medproof import fhir, hashing, x12
from medproof.anchoring import Anchorer
from medproof.chain import Chain
from medproof.claims import Claim
from medproof.claims.event_log import ClaimEntry, ClaimEventLog, ClaimEventProof
from medproof.claims.keyring import Keyring, KeyVersion
from medproof.client import MedProof
from medproof.deployments import deploy
from medproof.errors import MedProofError
from medproof.fhir.claims import read_claim
from medproof.hashing import Json
from medproof.indexed_merkle import AbsenceProof, IndexedMerkleTree, InsertionProof
from medproof.policy.codes import PartyKind
from medproof.signing import LocalSigner, NodeSigner
from scripts.local_chain import ROOT, LocalChain

RESULTS = ROOT / "bench" / "results" / "claims.json"
GAS = ROOT / "bench" / "results" / "gas.json"
TARGET = 579  # claim events a second: 50 million a day
CLAIMS = 12_000  # in each run
RUNS = 3
PROCESSES = (1, 2)
BATCH = 500  # events of one transaction on disk
INTERVAL = 2.0  # seconds between batches on chain
PROOFS = 2_000
TREES = (100_000, 1_000_000)  # nullifiers
AT_ONCE = 10_000  # inserted into a tree
READY_SECONDS = 120.0  # for processes to start
ALONE = 500  # inserted one by one, with a proof for each

EXAMPLES = ROOT / "node_modules" / "hl7.fhir.r4.examples"
FHIR_CLAIMS = ("860150", "960150", "760150", "100150")  # HL7's: professional, institutional, pharmacy, oral
INTERCHANGE = 50  # claims of one X12 interchange
KEYS = Keyring((KeyVersion(1, date.min, bytes(range(1, 33))),))
STAGES = ("read", "nullifier", "commitment", "log")  # of a process that takes claims; "chain" is beside them

A_DAY = 50_000_000  # claim events
BLOCK_GAS = 30_000_000
BLOCK_SECONDS = (12, 1)
GAS_PRICES = (0.01, 1, 10)  # gwei
ANCHOR_SECONDS = 600  # between batches on chain, as the anchorer does by itself
MEASURED_HASHES = (8, 12)  # of proofs that a contract verifies


# -- the claims -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Delivery:
    """What a provider sends: one FHIR Claim, or an X12 interchange with many."""

    standard: str  # "FHIR" or "X12"
    content: bytes
    claims: int

    def read(self) -> list[Claim]:
        """The claims in it."""
        if self.standard == "X12":
            return list(x12.read_claims(self.content))
        return [read_claim(fhir.load(self.content))]


def deliveries(count: int, *, first: int = 0) -> list[Delivery]:
    """So many claims, half of them in FHIR and half in X12, numbered from `first`."""
    templates = [hashing.parse((EXAMPLES / f"Claim-{name}.json").read_bytes()) for name in FHIR_CLAIMS]
    made: list[Delivery] = []
    numbers = iter(range(first, first + count))
    while some := list(islice(numbers, 2 * INTERCHANGE)):
        half = (len(some) + 1) // 2
        made += [Delivery("FHIR", fhir_claim(templates[one % len(templates)], one), 1) for one in some[:half]]
        if some[half:]:
            made.append(Delivery("X12", x12_claims(some[half:]), len(some) - half))
    return made


def fhir_claim(template: Json, number: int) -> bytes:
    """One of HL7's example claims with a number and an encounter of its own, as it goes over the wire."""
    claim: Any = template
    items = [{**item, "encounter": [{"reference": f"Encounter/{number}"}]} for item in claim["item"]]
    own: Any = {"identifier": [{"system": "http://happyvalley.com/claim", "value": f"B-{number}"}], "item": items}
    return hashing.canonical({**claim, **own})


def x12_claims(numbers: Sequence[int]) -> bytes:
    """An interchange of 837 professional claims."""
    body = [
        "BHT*0019*00*0123*20260302*1023*CH",
        "NM1*41*2*BILLING SERVICE*****46*TGJ23",
        "PER*IC*DESK*TE*3055552222",
        "NM1*40*2*INSURANCE COMPANY*****46*66783JJT",
        "HL*1**20*1",
        "NM1*85*2*BILLING PROVIDER*****XX*1912301953",
        "N3*234 SEAWAY ST",
        "N4*MIAMI*FL*33111",
        "REF*EI*587654321",
        "HL*2*1*22*0",
        "SBR*P*18*2222-SJ******CI",
        "NM1*IL*1*DOE*JANE****MI*JS00111223333",
        "N3*236 N MAIN ST",
        "N4*MIAMI*FL*33413",
        "DMG*D8*19430501*F",
        "NM1*PR*2*INSURANCE COMPANY*****PI*999996666",
    ]
    for number in numbers:
        body += [
            f"CLM*B-{number}*100***11:B:1*Y*A*Y*I",
            "HI*ABK:J020*ABF:Z1159",
            "LX*1",
            "SV1*HC:99213*40*UN*1***1",
            "DTP*472*D8*20260302",
            "LX*2",
            "SV1*HC:87070*60*UN*1***1",
            "DTP*472*D8*20260302",
        ]
    segments = [
        "ISA*00*          *00*          *ZZ*SUBMITTER      *ZZ*RECEIVER       *260302*1253*^*00501*000000905*0*T*:",
        "GS*HC*SENDER*RECEIVER*20260302*0802*1*X*005010X222A1",
        "ST*837*0001*005010X222A1",
        *body,
        f"SE*{len(body) + 2}*0001",
        "GE*1*1",
        "IEA*1*000000905",
    ]
    return "".join(f"{one}~\n" for one in segments).encode()


# -- the clearing house ---------------------------------------------------------------------------------------------


def take(path: Path, number: int, given: Sequence[Delivery], ready: Any, said: Pipe) -> None:
    """Read, key, salt and log claims, in a process of its own; says the CPU seconds of each stage."""
    with closing(ClaimEventLog(path, number=number)) as log:
        for one in deliveries(2, first=1 << 30):  # what is loaded at the first use is loaded now
            one.read()
        ready.wait()
        said.send(log_all(log, given))


def log_all(log: ClaimEventLog, given: Sequence[Delivery]) -> dict[str, float]:
    """Log all claims of the deliveries, and return the CPU seconds of each stage."""
    spent = dict.fromkeys(STAGES, 0.0)

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        began = time.thread_time()
        yield
        spent[name] += time.thread_time() - began

    waiting: list[ClaimEntry] = []
    for number, delivery in enumerate(given, start=1):
        with stage("read"):
            claims = delivery.read()
        with stage("nullifier"):
            nullifiers = [KEYS.nullifier(claim, registered=claim.number) for claim in claims]
        with stage("commitment"):
            now = datetime.now(UTC)
            waiting += [ClaimEntry.submission(*pair, now) for pair in zip(claims, nullifiers, strict=True)]
        if len(waiting) >= BATCH or number == len(given):
            with stage("log"):
                log.append(waiting)
            waiting.clear()
    return spent


@dataclass(frozen=True)
class Run:
    """How one run went."""

    claims: int
    seconds: float  # from the first byte read to the last event anchored
    spent: Mapping[str, float]  # CPU seconds by stage, of all processes
    batches: Sequence[int]  # gas of each batch on chain
    proofs: Mapping[str, Any]
    disk: int = 0  # bytes of the database


def run(suite: MedProof, house: LocalSigner, folder: Path, count: int, processes: int, number: int) -> Run:
    """Take so many claims in so many processes, with the anchorer beside them, until all are anchored."""
    path, whole, spawn = folder / f"claims-{number}.db", deliveries(count), get_context("spawn")
    with closing(ClaimEventLog(path, number=number)) as log:
        log.settle(suite, house.address)
        ready = spawn.Barrier(processes + 1, timeout=READY_SECONDS)
        workers, heard = [], []
        for worker in range(processes):
            ours, theirs = spawn.Pipe(duplex=False)
            arguments = (path, number, whole[worker::processes], ready, theirs)
            workers.append(spawn.Process(target=take, args=arguments, daemon=True))
            heard.append(ours)
            workers[-1].start()
        anchorer = Anchorer(suite, log.leaves, house, trouble=fail, interval=INTERVAL, consistent=False)
        ready.wait()
        began, cpu = time.perf_counter(), time.process_time()
        anchorer.start()
        said = [pipe.recv() for pipe in heard]
        anchorer.stop()
        seconds, chain = time.perf_counter() - began, time.process_time() - cpu
        for process in workers:
            process.join()
        assert log.leaves.anchored() == count, f"{log.leaves.anchored()} of {count} are anchored"
        spent = {stage: sum(one[stage] for one in said) for stage in STAGES} | {"chain": chain}
        made = Run(count, seconds, spent, gas_of_batches(suite, house, number), prove(suite, log))
    return replace(made, disk=path.stat().st_size)  # closed, it is one file


def fail(error: MedProofError) -> None:
    """Nothing may go wrong here."""
    raise error


def gas_of_batches(suite: MedProof, house: LocalSigner, number: int) -> list[int]:
    """The gas of each batch of a log, as the receipts say it."""
    eth, gas = suite.chain.web3.eth, []
    for batch in suite.batch_anchor.batches(house.address, log=number):
        [transaction] = eth.get_block(batch.block)["transactions"]  # a block for each transaction
        assert isinstance(transaction, bytes)
        gas.append(int(eth.get_transaction_receipt(transaction)["gasUsed"]))
    return gas


def prove(suite: MedProof, log: ClaimEventLog) -> dict[str, Any]:
    """The proofs of some events: how fast they are made and verified, and how large they are."""
    many = min(PROOFS, log.leaves.size)
    made: list[ClaimEventProof] = []
    making = timed(lambda: made.extend(log.proofs(0, many)))
    root = log.leaves.root()

    def verify() -> None:
        for one in made:
            one.verify(root)

    verifying = timed(verify)
    made[0].verify_anchored(suite.batch_anchor)
    made[-1].verify_anchored(suite.batch_anchor)
    return {
        "made_a_second": round(many / making),
        "verified_a_second": round(many / verifying),
        "hashes": max(len(one.leaf.path) for one in made),
        "bytes": max(32 * len(one.leaf.path) for one in made),
        "bytes_as_json": max(len(hashing.canonical(one.to_json())) for one in made),
    }


# -- the floor ------------------------------------------------------------------------------------------------------


def floor(folder: Path, count: int) -> dict[str, Any]:
    """The same bytes into one table of SQLite, as durable and in batches as large; and through keccak."""
    rows = []
    for one in deliveries(count):
        share = len(one.content) // one.claims
        rows += [one.content[place * share :][:share] for place in range(one.claims)]

    def insert() -> None:
        with closing(sqlite3.connect(folder / "floor.db", isolation_level=None)) as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            database.execute("CREATE TABLE claims (position INTEGER PRIMARY KEY, content BLOB)")
            for start in range(0, len(rows), BATCH):
                database.execute("BEGIN IMMEDIATE")
                some = enumerate(rows[start : start + BATCH], start=start)
                database.executemany("INSERT INTO claims VALUES (?, ?)", some)
                database.execute("COMMIT")

    return {
        "bytes_a_claim": round(sum(map(len, rows)) / len(rows)),
        "sqlite_a_second": round(count / timed(insert)),
        "keccak_a_second": round(count / timed(lambda: [keccak256(row) for row in rows])),
    }


# -- the nullifiers -------------------------------------------------------------------------------------------------


def nullifier_tree(values: int) -> dict[str, Any]:
    """An indexed Merkle tree of so many nullifiers: insertions and proofs a second, their size."""
    random = Random(values)
    tree = IndexedMerkleTree(random.randbytes(32) for _ in range(values))
    fresh = [random.randbytes(32) for _ in range(AT_ONCE)]
    at_once = timed(lambda: tree.insert(fresh))
    alone = [random.randbytes(32) for _ in range(ALONE)]
    absences: list[AbsenceProof] = []
    proving = timed(lambda: absences.extend(map(tree.prove_absent, alone)))
    root = tree.root()

    def verify_absences() -> None:
        for one, value in zip(absences, alone, strict=True):
            one.verify(value, root)

    verifying = timed(verify_absences)
    steps = [(root, len(tree))]
    insertions: list[InsertionProof] = []

    def insert() -> None:
        for value in alone:
            insertions.append(tree.insert_proved(value))
            steps.append((tree.root(), len(tree)))

    inserting = timed(insert)

    def verify_insertions() -> None:
        for one, ((before, size), (after, _)) in zip(insertions, pairwise(steps), strict=True):
            one.verify(before, after, size)

    return {
        "inserted_a_second_at_once": round(AT_ONCE / at_once),
        "inserted_a_second_with_proof": round(ALONE / inserting),
        "insertions_verified_a_second": round(ALONE / timed(verify_insertions)),
        "absences_proved_a_second": round(ALONE / proving),
        "absences_verified_a_second": round(ALONE / verifying),
        "absence_bytes": max(32 * len(one.path) for one in absences),
        "insertion_bytes": max(32 * (len(one.path) + len(one.absence.path)) for one in insertions),
    }


def absence_on_chain(suite: MedProof, house: LocalSigner) -> dict[str, Any]:
    """The gas of showing the contract that a nullifier is absent, in a transaction of its own, by hashes of the proof.

    It is measured in two small trees; the rest follows, since each further hash costs the same.
    """
    gas = {}
    for hashes in MEASURED_HASHES:
        tree = IndexedMerkleTree(fixed_hash(f"nullifier {one}") for one in range((1 << hashes) - 1))
        suite.batch_anchor.anchor(house.address, len(tree), tree.root(), log=hashes, sender=house)
        proof = tree.prove_absent(fixed_hash("nullifier that nobody used"))
        given = (house.address, hashes, proof.link.commitment, proof.index, list(proof.path))
        assert suite.batch_anchor.contract.functions.isIncluded(*given).call()
        gas[len(proof.path)] = suite.batch_anchor.contract.functions.isIncluded(*given).estimate_gas()
    (few, least), (many, most) = gas.items()
    a_hash = (most - least) / (many - few)
    needed = A_DAY.bit_length()
    return {
        "gas_by_hashes": {str(hashes): spent for hashes, spent in gas.items()},
        "gas_a_hash": round(a_hash),
        "hashes_after_a_day": needed,
        "gas_after_a_day": round(most + a_hash * (needed - many)),
    }


def arithmetic(gas: Mapping[str, Any], eas: Mapping[str, int], absence: int) -> dict[str, Any]:
    """What 50 million nullifiers a day cost, by scheme; `absence` is the gas of showing that one is absent."""
    anchor = int(gas["anchor_batch"]["gas"])
    slot = int(gas["nullifier_batch_100_each"]["gas"])
    each = {
        "EAS attest": eas["attest"],
        "EAS multiAttest of 100": eas["multiAttest of 100, each"],
        "absence shown to the contract, in a batch of 100": absence - TRANSACTION + TRANSACTION // 100,
        "one slot, in a batch of 100": slot,
        "four fingerprints of 64 bits in a slot": fingerprints(slot, 4),
        "indexed tree, its root anchored": anchor * (24 * 3600 // ANCHOR_SECONDS) / A_DAY,
    }
    return {name: a_day(one) for name, one in each.items()}


def fingerprints(slot: int, many: int) -> int:
    """The gas of a nullifier where `many` fingerprints share a slot: one fills it, and the others change it."""
    return slot - NEW_SLOT + (NEW_SLOT + (many - 1) * CHANGED_SLOT) // many


def a_day(each: float) -> dict[str, Any]:
    """The gas of a day's events, as a share of what a chain has, and in ether."""
    whole = each * A_DAY
    capacity = {seconds: BLOCK_GAS * 24 * 3600 // seconds for seconds in BLOCK_SECONDS}
    return {
        "gas_each": round(each, 3),
        "gas_a_day": round(whole),
        "blocks_a_day": round(whole / BLOCK_GAS, 1),
        "share_of_chain": {f"{seconds} s": float(f"{whole / had:.4g}") for seconds, had in capacity.items()},
        "ether_a_day": {f"{price} gwei": float(f"{whole * price / 1e9:.4g}") for price in GAS_PRICES},
    }


# -- the figures ----------------------------------------------------------------------------------------------------


def measure(
    *,
    claims: int = CLAIMS,
    runs: int = RUNS,
    processes: Sequence[int] = PROCESSES,
    trees: Sequence[int] = TREES,
    peers: bool = True,
) -> dict[str, Any]:
    """Measure everything and return the results as they are written."""
    done: dict[int, list[Run]] = {number: [] for number in processes}
    floors = []
    with tempfile.TemporaryDirectory(dir=ROOT / ".cache") as temporary, LocalChain() as node:
        folder = Path(temporary)
        suite, house = set_scene(Chain.connect(node.url), folder / "manifest.json")
        for turn in range(runs):
            for number in processes if turn % 2 else reversed(processes):
                log = 100 + 10 * turn + number
                done[number].append(run(suite, house, folder, claims, number, log))
            floors.append(floor(Path(tempfile.mkdtemp(dir=folder)), claims))
        absence = absence_on_chain(suite, house)
    if peers:
        install()
        with fixed_chain() as node:
            eas = {name: gas for name, gas in measure_eas(Meter(node.url)).items() if "ttest" in name}
    else:
        eas = dict(json.loads(RESULTS.read_text(encoding="utf-8"))["eas"]["gas"])
    gas = json.loads(GAS.read_text(encoding="utf-8"))["operations"]
    return {
        "claims": claims,
        "events_on_disk_at_once": BATCH,
        "seconds_between_anchors": INTERVAL,
        "target_a_second": TARGET,
        "processes": {str(number): described(several) for number, several in done.items()},
        "floor": {name: round(statistics.median(one[name] for one in floors)) for name in floors[0]},
        "nullifier_trees": {str(values): median_of(partial(nullifier_tree, values), runs) for values in trees},
        "absence_on_chain": absence,
        "eas": {"version": eas_version() if peers else None, "gas": eas},
        "a_day": {"events": A_DAY, "block_gas": BLOCK_GAS, "schemes": arithmetic(gas, eas, absence["gas_after_a_day"])},
        "runs": runs,
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
    }


def set_scene(chain: Chain, manifest: Path) -> tuple[MedProof, LocalSigner]:
    """Deploy, and accredit a clearing house."""
    admin = NodeSigner(chain.accounts()[0])
    suite = MedProof(chain, deploy(chain, admin, manifest=manifest), sender=admin)
    house = LocalSigner.from_key(bytes(fixed_account("clearing house").key))
    chain.wait(chain.send({"to": house.address, "value": 10**20}, sender=admin))
    until = date.today() + timedelta(days=365)
    suite.registrar.accredit(house.address, PartyKind.PAYER, credential=fixed_hash("house"), valid_until=until)
    return suite, house


def described(several: Sequence[Run]) -> dict[str, Any]:
    """What is said of runs with the same number of processes: medians."""
    whole = statistics.median(sum(one.spent.values()) for one in several)
    spent = {name: statistics.median(one.spent[name] for one in several) for name in several[0].spent}
    return {
        "events_a_second": round(statistics.median(one.claims / one.seconds for one in several)),
        "events_a_second_of_each_run": [round(one.claims / one.seconds) for one in several],
        "events_a_second_of_a_core": round(several[0].claims / whole),
        "cpu_microseconds_an_event": {name: round(1e6 * one / several[0].claims) for name, one in spent.items()},
        "share_of_cpu": {name: round(one / whole, 3) for name, one in spent.items()},
        "bytes_on_disk_an_event": round(statistics.median(one.disk / one.claims for one in several)),
        "batches_on_chain": statistics.median(len(one.batches) for one in several),
        "gas_of_a_batch": round(statistics.median(gas for one in several for gas in one.batches[1:] or one.batches)),
        "proofs": {name: statistics.median(one.proofs[name] for one in several) for name in several[0].proofs},
    }


def median_of(work: Callable[[], Mapping[str, float]], runs: int) -> dict[str, float]:
    """The median of each figure in so many runs."""
    several = [work() for _ in range(runs)]
    return {name: statistics.median(one[name] for one in several) for name in several[0]}


def show(content: Mapping[str, Any]) -> None:
    """Print the figures."""
    for number, said in content["processes"].items():
        shares = ", ".join(f"{name} {share:.0%}" for name, share in said["share_of_cpu"].items())
        print(f"{number} process(es): {said['events_a_second']:,} claim events a second, read to anchored "
              f"({said['events_a_second_of_a_core']:,} for each second of a core); {shares}")  # fmt: skip
        proofs = said["proofs"]
        print(f"  proofs: {proofs['made_a_second']:,} made a second, {proofs['verified_a_second']:,} verified, "
              f"{proofs['bytes']} bytes; {said['gas_of_a_batch']:,} gas a batch")  # fmt: skip
    beneath = content["floor"]
    print(f"floor: SQLite alone {beneath['sqlite_a_second']:,} a second, keccak alone {beneath['keccak_a_second']:,}")
    for values, said in content["nullifier_trees"].items():
        print(f"tree of {int(values):,} nullifiers: {said['inserted_a_second_at_once']:,.0f} inserted a second at "
              f"once, {said['inserted_a_second_with_proof']:,.0f} with a proof each; "
              f"{said['absences_proved_a_second']:,.0f} absences proved a second")  # fmt: skip
    for name, said in content["a_day"]["schemes"].items():
        print(f"{name}: {said['gas_each']:,} gas each; of all blocks of a chain {said['share_of_chain']}")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description="Claim events a second, from reading to an anchored proof.")
    parser.add_argument("--no-write", action="store_true", help="leave bench/results/claims.json as it is")
    parser.add_argument("--no-peers", action="store_true", help="keep the figures of EAS as they are in the file")
    options = parser.parse_args(argv)
    content = measure(peers=not options.no_peers)
    show(content)
    if not options.no_write:
        RESULTS.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    best = max(said["events_a_second"] for said in content["processes"].values())
    if best < TARGET:
        print(f"{best} claim events a second, below {TARGET}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

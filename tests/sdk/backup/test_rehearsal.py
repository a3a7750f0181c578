"""The rehearsal: a set-up in use is backed up, destroyed and restored elsewhere, and nothing is lost or doubled.

What was promised before the backup began is there afterwards; what came later is told by the chain.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import pytest
from typer.testing import CliRunner

from medproof.access import Promise
from medproof.access.entry_log import EntryLog
from medproof.access.verification import verify
from medproof.backup import Backup
from medproof.chain import Chain
from medproof.cli.app import app
from medproof.client import MedProof
from medproof.client.contract import SignedMessage
from medproof.deployments import Deployment
from medproof.errors import AnchorMismatchError
from medproof.gateway import Gatekeeper, GatekeeperClient, Settings, create_app
from medproof.indexer import Index, Indexer
from medproof.policy.word import Rule
from medproof.relayer import Relayer, State
from medproof.signing import LocalSigner
from medproof.store import SqlStore
from scripts.local_chain import LocalChain
from tests.sdk.gateway.conftest import KEYS, ORIGIN, TREATMENT, Bridge, Clock, observation, settle
from tests.sdk.indexer.contents import contents
from tests.sdk.store.conftest import postgres
from tests.sdk.store.postgres import LocalPostgres

__all__ = ["postgres"]

LOG_KEY = LocalSigner.from_key(b"\x0a" * 32)
PASSWORD = "only for this test"


@dataclass
class Custody:
    """A custodian's gatekeeper with its store and its access log, in one database."""

    suite: MedProof
    where: Path | str
    queue: Path
    clinic: LocalSigner
    writer: LocalSigner
    log_number: int = 0

    def __post_init__(self) -> None:
        settings = Settings(
            ORIGIN,
            writers=frozenset({self.writer.address}),
            max_block_age=None,
            refresh=0.0,
            batch_wait=0.0,
            anchor_interval=3600.0,
            queue=self.queue,
        )
        clock = Clock()
        self.store = SqlStore(self.where, KEYS, patience=5.0)
        self.log = self.read_log(self.log_number)
        self.gatekeeper = Gatekeeper(
            self.suite, self.store, settings, sender=self.clinic, entry_log=self.log, clock=clock
        )
        clock.offset = 0.0
        self.gatekeeper.start()
        self.http = httpx.Client(transport=Bridge(create_app(self.gatekeeper)))

    def read_log(self, number: int) -> EntryLog:
        who = {"custodian": self.clinic.address, "domain": self.suite.access_log.domain, "signer": LOG_KEY}
        return EntryLog(self.where, KEYS, number=number, patience=5.0, **who)

    def crash(self) -> None:
        """End without anchoring what is not anchored yet."""
        assert self.gatekeeper.anchorer is not None
        self.gatekeeper.anchorer.work = lambda: None  # type: ignore[method-assign]
        self.close()

    def close(self) -> None:
        self.gatekeeper.stop()
        self.gatekeeper.close()
        self.store.close()
        self.log.close()

    def client(self, signer: LocalSigner, promises: list[Promise]) -> GatekeeperClient:
        options = {"claims": TREATMENT, "http": self.http, "insist": True, "keep": promises.append}
        return GatekeeperClient(ORIGIN, self.suite, signer, **options)


@pytest.fixture
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where the custodian's records are."""
    if request.param == "sqlite":
        (tmp_path / "running").mkdir()
        return tmp_path / "running" / "records.db"
    server: LocalPostgres = request.getfixturevalue("postgres")
    monkeypatch = request.getfixturevalue("monkeypatch")
    monkeypatch.setenv("PATH", f"{server._binaries}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "running").mkdir()
    return server.empty_database()


@pytest.fixture
def elsewhere(where: Path | str, request: pytest.FixtureRequest) -> Iterator[str | None]:
    """An empty database for what is restored; none for files."""
    if isinstance(where, Path):
        yield None
        return
    server: LocalPostgres = request.getfixturevalue("postgres")
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE elsewhere")
        yield server.url("elsewhere")
        connection.execute("DROP DATABASE elsewhere WITH (FORCE)")


@pytest.fixture
def message(suite: MedProof, patient: LocalSigner, payer: LocalSigner, rule: Rule) -> SignedMessage:
    """What waits in the relayer's queue: the patient's grant to her insurer."""
    return suite.consent_registry.sign_grant(patient, payer.address, rule)


def indexed(chain: Chain, deployment: Deployment, path: Path) -> dict[str, list[tuple[object, ...]]]:
    with closing(Index(path)) as index:
        Indexer(index, chain, deployment, finality=1).update()
        return contents(index)


def destroy(where: Path | str, folder: Path) -> None:
    shutil.rmtree(folder)
    if isinstance(where, str):
        with psycopg.connect(where, autocommit=True) as connection:
            connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")


@pytest.mark.parametrize(
    ("where", "anchored_since"),
    [("sqlite", False), ("postgresql", False), ("sqlite", True)],
    indirect=["where"],
)
def test_backed_up_while_in_use_destroyed_and_restored_elsewhere(
    where: Path | str,
    elsewhere: str | None,
    anchored_since: bool,
    suite: MedProof,
    chain: Chain,
    node: LocalChain,
    deployment: Deployment,
    message: SignedMessage,
    rule: Rule,
    clinic: LocalSigner,
    second_clinic: LocalSigner,
    patient: LocalSigner,
    payer: LocalSigner,
    relayer: LocalSigner,
    stranger: LocalSigner,
    tmp_path: Path,
) -> None:
    running, safe, restored = tmp_path / "running", tmp_path / "backup", tmp_path / "restored"
    deployment.save(running / "suite.json")
    (running / "clinic.json").write_text(clinic.to_keystore(PASSWORD))
    suite.access_log.open(0, LOG_KEY.address, sender=clinic)
    suite.consent_registry.grant(second_clinic.address, rule, sender=patient)

    # -- in use ---------------------------------------------------------------------------------------------------
    with closing(Relayer(suite, running / "relay.db", relayer)) as work:
        id_ = work.submit(message)
    custody = Custody(suite, where, running / "gateway.db", clinic, relayer)
    promises: list[Promise] = []
    device, reader = custody.client(relayer, []), custody.client(second_clinic, promises)
    ids = [str(device.create(patient.address, observation()).record.id) for _ in range(2)]
    settle(custody.gatekeeper)
    seen = [reader.fetch("Observation", one) for one in ids]
    assert custody.gatekeeper.anchorer is not None
    custody.gatekeeper.anchorer.work()
    reader.fetch("Observation", ids[0])  # promised, and in no batch yet
    before = indexed(chain, deployment, running / "index.db")

    # -- backed up while more comes in ----------------------------------------------------------------------------
    stop, later = threading.Event(), list[str]()

    def go_on() -> None:
        while not stop.is_set():
            later.append(str(device.create(patient.address, observation()).record.id))

    writing = threading.Thread(target=go_on)
    writing.start()
    try:
        while len(later) < 2:
            time.sleep(0.01)
        taken = later[:]
        kept = [str(where), *(str(running / name) for name in ("gateway.db", "relay.db", "suite.json", "clinic.json"))]
        Backup.create(safe, kept)
        while len(later) < len(taken) + 2:
            time.sleep(0.01)
    finally:
        stop.set()
        writing.join()
    settle(custody.gatekeeper)
    custody.close() if anchored_since else custody.crash()

    # -- destroyed, and restored ----------------------------------------------------------------------------------
    destroy(where, running)
    Backup.load(safe).restore(restored, database=elsewhere)
    assert json.loads((restored / "clinic.json").read_text())["crypto"]["kdfparams"]  # encrypted, as it was
    signer = LocalSigner.from_keystore(restored / "clinic.json", PASSWORD)
    suite = MedProof(chain, Deployment.load(restored / "suite.json"))
    number = 0
    if anchored_since:  # the chain knows of entries that are lost: the log cannot go on as if they had never been
        with pytest.raises(AnchorMismatchError, match="go on under a new number"):
            Custody(suite, restored / "records.db", restored / "gateway.db", signer, relayer)
        number = 4  # 1 to 3 are readings, receipts and documents
        suite.access_log.open(number, LOG_KEY.address, sender=signer)
    custody = Custody(suite, elsewhere or restored / "records.db", restored / "gateway.db", signer, relayer, number)
    reader = custody.client(second_clinic, promises)

    # Records are served, with the same proofs, and what was taken before the backup began is among them.
    for one in seen:
        again = reader.fetch("Observation", str(one.record.id))
        assert (again.record.content, again.proof.salt) == (one.record.content, one.proof.salt)
    settle(custody.gatekeeper)
    there = {str(one.record.id) for one in reader.search("Observation", patient.address)}
    assert there >= {*ids, *taken}
    assert there <= {*ids, *later}

    # Every promise of before the backup is kept, and the roots on the chain tell of what was lost.
    assert custody.gatekeeper.anchorer is not None
    custody.gatekeeper.anchorer.work()
    with closing(custody.read_log(0)) as log:
        report = verify(
            log.lines(),
            custodian=clinic.address,
            log=0,
            batches=suite.batch_anchor.batches(clinic.address),
            signed=lambda promise: promise.is_by(suite, LOG_KEY.address),
            now=int(time.time()),
            promises=[one for one in promises if one.log == 0],
        )
    assert (report.kept, report.pending) == (len([one for one in promises if one.log == 0]), 0)
    assert (report.finding is not None) is anchored_since
    assert {one.log for one in promises} == {0, number}

    # The message that waited is sent once, though two copies of the queue were worked.
    shutil.copytree(restored, tmp_path / "second-copy")
    for folder in (restored, tmp_path / "second-copy"):
        with closing(Relayer(suite, folder / "relay.db", relayer, age=0.0)) as work:
            deadline = time.monotonic() + 20
            while work.run_once(flush=True):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            assert work.status(id_).state in (State.CONFIRMED, State.REFUSED)
    registry = chain.contract(deployment.address("ConsentRegistry"), suite.consent_registry.contract.abi)
    granted = [
        event
        for event in chain.events(registry, "RuleSet", from_block=deployment.first_block)
        if event.arguments["grantee"] == payer.address
    ]
    assert len(granted) == 1

    # The index is made anew, equal in all that it had; a doctor finds nothing that will not work.
    after = indexed(chain, deployment, restored / "index.db")
    assert set(before["events"]) <= set(after["events"])
    second = indexed(chain, deployment, tmp_path / "second-copy" / "index.db")
    assert second == after
    options = ["--network", node.url, "--deployment", str(restored / "suite.json"), "--json"]
    custody.close()
    place = elsewhere or str(restored / "records.db")
    looked = CliRunner().invoke(app, ["doctor", *options, "--index", str(restored / "index.db"), "--store", place])
    assert looked.exit_code == 0, looked.output
    assert json.loads(looked.stdout)["good"]

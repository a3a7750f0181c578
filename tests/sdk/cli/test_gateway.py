"""`medproof gateway`: the service as a process, from its key to its end."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
import types
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from medproof import hashing
from medproof.access import Access
from medproof.access.entry_log import EntryLog
from medproof.client import MedProof
from medproof.client.record_pointers import PointerKey
from medproof.errors import MasterKeyError
from medproof.gateway import GatekeeperClient
from medproof.policy.codes import Action, DataClass, Purpose, ResearchUse
from medproof.signing import LocalSigner
from medproof.store import KeyRing, MasterKey, SqlStore
from scripts.local_chain import ROOT, LocalChain
from tests.sdk.cli.conftest import PASSWORD, Run
from tests.sdk.gateway.conftest import TREATMENT, observation

PROGRAM = ROOT / ".venv" / "bin" / "medproof"
ORIGIN = "https://records.example.org"


def test_a_master_key_is_for_its_owner_alone(run: Run, here: Path) -> None:
    assert run("gateway", "key", "master.key").code == 0
    assert stat.S_IMODE((here / "master.key").stat().st_mode) == 0o600
    assert run("gateway", "key", "master.key").code != 0  # no key is ever overwritten


def test_what_cannot_be_served_is_said(run: Run, here: Path) -> None:
    run("gateway", "key", "master.key")
    serve = ("gateway", "serve", "--store", "records.db", "--master-key", "master.key")
    for changes, words in (
        (("--origin", "records.example.org/fhir"), "is no origin"),
        (("--origin", "http://records.example.org"), "is plain http"),
        (("--origin", ORIGIN, "--finality", "soon"), "--finality is 'soon'"),
        (("--origin", ORIGIN, "--plain-terms", "0x1"), "--plain-terms is '0x1'"),
        (("--origin", ORIGIN, "--operator", "metrics.internal"), "--operator is 'metrics.internal'"),
        (("--origin", ORIGIN, "--writer", "0x1"), "--writer is '0x1'"),
        (("--origin", ORIGIN, "--master-key", "nowhere.key"), "nowhere.key cannot be read"),
        (("--origin", ORIGIN, "--log-key", "key.json"), "--log-key is named without --keystore"),
    ):
        said = run(*serve, *changes)
        assert said.code != 0
        assert words in said.err
    assert not (here / "records.db").exists()


def test_it_serves_until_it_is_ended(
    here: Path,
    keys: Path,
    node: LocalChain,
    suite: MedProof,
    run: Run,
    patient: LocalSigner,
    relayer: LocalSigner,
    clinic: LocalSigner,
    payer: LocalSigner,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run("gateway", "key", "master.key")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    origin = f"http://127.0.0.1:{port}"
    command = [sys.executable, str(PROGRAM), "gateway", "serve", "--origin", origin, "--port", str(port)]
    command += ["--store", "records.db", "--master-key", "master.key", "--max-block-age", "0", "--batch-wait", "0"]
    command += ["--keystore", str(keys / "1.json"), "--writer", relayer.address, "--log-key", str(keys / "3.json")]
    assert run("index", "--index", "index.db", "--finality", "1").code == 0
    command += ["--explore", "index.db"]
    environment = {"PATH": os.defpath, "HOME": str(here), "MEDPROOF_NETWORK": node.url, "MEDPROOF_PASSWORD": PASSWORD}
    environment["MEDPROOF_LOG_PASSWORD"] = PASSWORD
    assert run("access", "open", payer.address, "--keystore", keys / "1.json").code == 0
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, cwd=here, env=environment, text=True, **pipes)
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        assert process.stderr.readline() == f"Serving {origin} on 127.0.0.1:{port}. Ctrl-C stops.\n"
        assert httpx.get(f"{origin}/health/live").status_code == 200
        shown = httpx.get(f"{origin}/explore/")
        assert shown.status_code == 200
        assert suite.deployment.contracts["ConsentRegistry"].address.lower() in shown.text
        assert shown.headers["content-security-policy"].startswith("default-src 'self';")
        limit = time.monotonic() + 30
        # What was signed before the start does not count: a clock that is ahead is as good as waiting.
        ahead = types.SimpleNamespace(time=lambda: time.time() + 5)
        monkeypatch.setattr("medproof.gateway.client.time", ahead)
        time.sleep(1)
        with GatekeeperClient(origin, suite, relayer, claims=TREATMENT, insist=True) as device:
            taken = device.create(patient.address, observation())
        while not list(suite.record_pointers.keys_of(patient.address)):
            assert time.monotonic() < limit
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        lines = [json.loads(line) for line in process.stdout.read().splitlines()]
        assert process.wait(10) in (0, -signal.SIGTERM, 128 + signal.SIGTERM)
        assert lines[-1]["status"] == 201
        assert str(taken.record.id) not in json.dumps(lines)
        [key] = suite.record_pointers.keys_of(patient.address)
        assert key.id == taken.pointer
        assert taken.access is not None
        entry = taken.access.promise.entry
        suite.batch_anchor.verify_leaf(clinic.address, entry, 0, ())  # anchored, at the end at the latest
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_leaked_master_key_opens_nothing_any_more(run: Run, here: Path, suite: MedProof, clinic: LocalSigner) -> None:
    for name in ("old.key", "new.key"):
        assert run("gateway", "key", name).code == 0
    old, new = (KeyRing(MasterKey.from_file(here / name)) for name in ("old.key", "new.key"))
    record = observation(id="one")
    sealed = hashing.seal(record.content)
    who = {"custodian": clinic.address, "domain": suite.access_log.domain}
    with closing(SqlStore(here / "records.db", old)) as store:
        pointer = PointerKey(clinic.address, clinic.address, sealed.commitment)
        store.put(pointer, record, sealed.salt, data_class=DataClass.LABORATORY)
        EntryLog(store.database, old, signer=clinic, number=4, **who).add(access())
    rotate = ("gateway", "rotate", "--store", "records.db", "--master-key", "new.key", "--of", clinic.address)
    assert run(*rotate).code == 2  # no retired key is named
    assert "is needed and not at hand" in run(*rotate, "--retired", "new.key").err
    said = run(*rotate, "--retired", "old.key", "--json").document
    assert said == {"rotated": 2, "master": new.current.id}
    assert run(*rotate, "--retired", "old.key", "--json").document["rotated"] == 0
    with closing(SqlStore(here / "records.db", new)) as store:
        assert store.get("Observation", "one").resource.content == record.content
        [entry] = EntryLog(store.database, new, number=4, **who).entries()
        assert entry.opening is not None
        assert store.access_logs() == (4,)
    with pytest.raises(MasterKeyError):
        SqlStore(here / "records.db", old)


def access() -> Access:
    return Access(
        when=datetime.now(UTC),
        account="0x" + "11" * 20,
        party=None,
        signed="0x" + "22" * 32,
        purposes=Purpose.TREAT,
        actions=Action.ACCESS,
        research=ResearchUse(0),
        action="read",
        subject=None,
        records=(),
        permitted=False,
        reason="NOTHING",
        block=None,
        block_hash=None,
    )

"""`medproof access`: a patient, a reader, an auditor and the custodian, each at the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import httpx
import pytest

from medproof.access import PromiseFile
from medproof.access.entry_log import EntryLog
from medproof.client import MedProof
from medproof.gateway import Gatekeeper, GatekeeperClient, Settings, create_app
from medproof.policy.word import Rule
from medproof.signing import LocalSigner
from medproof.store import KeyRing, MasterKey, SqlStore
from tests.sdk.cli.conftest import Run
from tests.sdk.conftest import rpc
from tests.sdk.gateway.conftest import ORIGIN, TREATMENT, Bridge, Clock, observation, settle

KEY = LocalSigner.from_key(b"\x0a" * 32)


@pytest.fixture
def gatekeeper(
    suite: MedProof, here: Path, run: Run, keys: Path, clinic: LocalSigner, relayer: LocalSigner
) -> Iterator[Gatekeeper]:
    """The clinic's gatekeeper, with the log that the command opened."""
    assert run("access", "open", KEY.address, "--keystore", keys / "1.json").code == 0
    ring, clock = KeyRing(MasterKey.create(here / "master.key")), Clock()
    store = SqlStore(here / "records.db", ring)
    domain = suite.access_log.domain
    log = EntryLog(here / "records.db", ring, custodian=clinic.address, domain=domain, signer=KEY, promised_within=60)
    settings = Settings(
        ORIGIN,
        writers=frozenset({relayer.address}),
        max_block_age=None,
        refresh=0.0,
        anchor_interval=3600,
        batch_wait=0.0,
    )
    made = Gatekeeper(suite, store, settings, sender=clinic, entry_log=log, clock=clock)
    clock.offset = 0.0
    made.start()
    yield made
    made.stop()
    log.close()
    store.close()


@pytest.fixture
def http(gatekeeper: Gatekeeper, monkeypatch: pytest.MonkeyPatch) -> httpx.Client:
    """Commands reach the gatekeeper, too."""
    http = httpx.Client(transport=Bridge(create_app(gatekeeper)))
    make = GatekeeperClient.__init__
    monkeypatch.setattr(
        GatekeeperClient, "__init__", lambda self, *given, **options: make(self, *given, **{"http": http, **options})
    )
    return http


@pytest.fixture
def read(
    gatekeeper: Gatekeeper,
    http: httpx.Client,
    suite: MedProof,
    here: Path,
    rule: Rule,
    pseudonym: LocalSigner,
    relayer: LocalSigner,
    second_clinic: LocalSigner,
) -> None:
    """A record of the wallet's pseudonym, which another clinic has read; its promise is kept in kept.jsonl."""
    suite.relay(suite.consent_registry.sign_grant(pseudonym, second_clinic.address, rule), sender=relayer)
    device = GatekeeperClient(ORIGIN, suite, relayer, claims=TREATMENT)
    taken = device.create(pseudonym.address, observation())
    settle(gatekeeper)
    keep = PromiseFile(here / "kept.jsonl").add
    reader = GatekeeperClient(ORIGIN, suite, second_clinic, claims=TREATMENT, keep=keep, insist=True)
    reader.fetch("Observation", str(taken.record.id))


def anchor(gatekeeper: Gatekeeper) -> None:
    assert gatekeeper.anchorer is not None
    gatekeeper.anchorer.work()


def test_a_patient_sees_who_read_what(
    run: Run,
    read: None,
    gatekeeper: Gatekeeper,
    me: tuple[str, ...],
    keys: Path,
    clinic: LocalSigner,
    second_clinic: LocalSigner,
) -> None:
    said = run("access", "log", "--from", ORIGIN, *me)
    assert said.code == 0, said.err
    assert second_clinic.address in said.out
    assert "not yet" in said.out
    anchor(gatekeeper)
    # With the wallet alone, over all of its pseudonyms.
    everywhere = run("access", "log", "--from", f"{clinic.address}={ORIGIN}", "--wallet", keys / "seed.txt", "--json")
    assert everywhere.code == 0, everywhere.err
    posted, fetched = everywhere.document
    assert (posted["action"], posted["reason"], posted["anchored"]) == ("create", "WRITER", True)
    assert (fetched["action"], fetched["party"], fetched["permitted"]) == ("read", second_clinic.address, True)
    assert fetched["records"][0]["rule"] == {"grantee": second_clinic.address, "index": 0, "sequence": 1, "terms": 0}
    assert (fetched["break_glass"], fetched["purposes"]) == (False, ["TREAT"])
    day = fetched["when"][:10]
    assert len(run("access", "log", "--from", ORIGIN, *me, "--since", day, "--json").document) == 2
    tomorrow = str(date.fromisoformat(day) + timedelta(days=1))
    later = run("access", "log", "--from", ORIGIN, *me, "--since", tomorrow)
    assert f"Nobody has asked for these records since {tomorrow}." in later.out + later.err
    assert run("access", "log", "--from", ORIGIN, *me, "--since", "yesterday").code == 2
    stranger = run("access", "log", "--from", ORIGIN, "--keystore", keys / "3.json", "--subject", fetched["subject"])
    assert (stranger.code, "NOT_THE_SUBJECT" in stranger.err or "Only the subject" in stranger.err) == (4, True)


def test_a_reader_at_the_command_line_keeps_promises(
    run: Run, read: None, here: Path, keys: Path, pseudonym: LocalSigner
) -> None:
    fetched = run(
        *("records", "fetch", "Observation", "--subject", pseudonym.address, "--gatekeeper", ORIGIN),
        *("--keystore", keys / "2.json", "--purpose", "TREAT", "--action", "access"),
        *("--promises", "mine.jsonl", "--json"),
    )
    assert fetched.code == 0, fetched.err
    assert len(fetched.document["records"]) == 1
    assert len([*PromiseFile(here / "mine.jsonl")]) == 1


def test_an_auditor_checks_a_copy(
    run: Run, read: None, gatekeeper: Gatekeeper, here: Path, keys: Path, clinic: LocalSigner
) -> None:
    of = ("--of", clinic.address)
    anchor(gatekeeper)
    exported = run("access", "export", "copy.jsonl", "--store", "records.db", "--master-key", "master.key", *of)
    assert exported.code == 0, exported.err
    assert (here / "copy.jsonl").stat().st_mode & 0o077 == 0
    who = ("--keystore", keys / "2.json")
    said = run("access", "verify", "copy.jsonl", *of, "--promises", "kept.jsonl", "--from", ORIGIN, *who, "--json")
    assert said.code == 0, said.err
    assert (said.document["whole"], said.document["entries"], said.document["promises_kept"]) == (True, 2, 1)
    assert "Whole: 2 entries, 2 of them anchored." in run("access", "verify", "copy.jsonl", *of).out

    lines = (here / "copy.jsonl").read_text().splitlines()
    (here / "shorter.jsonl").write_text(lines[1] + "\n")
    said = run("access", "verify", "shorter.jsonl", *of)
    assert said.code == 1
    assert "Entry 0 was deleted" in said.out
    changed = json.loads(lines[1])
    changed["entry"]["action"] = "search"
    (here / "changed.jsonl").write_text("\n".join([lines[0], json.dumps(changed)]))
    said = run("access", "verify", "changed.jsonl", *of, "--json")
    assert (said.code, said.document["finding"]["change"], said.document["finding"]["first"]) == (1, "EDITED", 1)

    assert run("access", "verify", *of).code == 2
    assert run("access", "verify", "copy.jsonl", "--of", clinic.address, "--log", 5).code == 2
    assert run("access", "verify", "nowhere.jsonl", *of).code == 2


def test_a_reader_complains_and_the_custodian_answers(
    run: Run, read: None, gatekeeper: Gatekeeper, suite: MedProof, keys: Path, clinic: LocalSigner
) -> None:
    of = ("--of", clinic.address)
    complain = ("access", "complain", "--promises", "kept.jsonl", "--keystore", keys / "2.json")
    assert "Nothing to complain of" in run(*complain).out  # not due
    rpc(suite.chain, "evm_increaseTime", 120)
    rpc(suite.chain, "evm_mine")
    assert run(*complain, answer="n\n").code == 2
    said = run(*complain, "--yes", "--json")
    assert said.code == 0, said.err
    assert len(said.document["complaints"]) == 1
    assert "Nothing to complain of" in run(*complain, "--yes").out  # once

    answer = ("access", "answer", "--store", "records.db", *of)
    assert run(*answer).code == 2
    payer = ("--relay-as", keys / "7.json")
    assert run("access", "complaints", *of).code == 1
    gatekeeper.stop()  # anchors what is left
    said = run(*answer, *payer, "--json")
    assert (said.code, said.document) == (0, {"answered": 1, "not_anchored": 0})
    assert run(*answer, *payer, "--json").document == {"answered": 0, "not_anchored": 0}
    listed = run("access", "complaints", *of, "--json")
    assert listed.code == 0
    assert listed.document[0]["answered"]


def test_what_is_in_the_log_is_not_complained_of(
    run: Run, read: None, gatekeeper: Gatekeeper, suite: MedProof, keys: Path
) -> None:
    anchor(gatekeeper)
    rpc(suite.chain, "evm_increaseTime", 120)
    rpc(suite.chain, "evm_mine")
    complain = ("access", "complain", "--promises", "kept.jsonl", "--keystore", keys / "2.json", "--yes")
    assert "Nothing to complain of" in run(*complain, "--from", ORIGIN).out
    assert run("access", "open", KEY.address, "--keystore", keys / "1.json").code == 4
    assert run("access", "open", "0x12", "--keystore", keys / "1.json").code == 2

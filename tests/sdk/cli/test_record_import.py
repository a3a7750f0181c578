"""`medproof records import`: a custodian's own records, each taken once and each with its pointer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from medproof import hashing
from medproof.client import MedProof
from medproof.signing import LocalSigner
from medproof.store import KeyRing, MasterKey, Query, SqlStore
from scripts.local_chain import ROOT, LocalChain
from tests.sdk.cli.conftest import PASSWORD, Run
from tests.sdk.gateway.conftest import observation

COUNT = 7
PEOPLE = {"Patient/a": "0x" + "A1" * 20, "Patient/b": "0x" + "b2" * 20}
Words = tuple[str, ...]


@pytest.fixture
def options(run: Run, here: Path, keys: Path) -> Words:
    assert run("gateway", "key", "master.key").code == 0
    store = ("--store", "records.db", "--master-key", "master.key", "--batch-size", "2")
    people = [word for name, address in PEOPLE.items() for word in ("--subject", f"{name}={address.lower()}")]
    return (*store, *people, "--keystore", str(keys / "1.json"))


@pytest.fixture
def bundle(here: Path) -> str:
    """Records of two patients, and one about nobody."""
    records = [
        observation(
            id=str(number),
            subject={"reference": list(PEOPLE)[number % 2]},
            valueQuantity={"value": number, "unit": "mmol/l"},
        ).content
        for number in range(COUNT)
    ]
    nobody = {"resourceType": "Organization", "id": "o", "name": "A laboratory"}
    content: Any = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": one} for one in (*records, nobody)],
    }
    (here / "bundle.json").write_bytes(hashing.canonical(content))
    return "bundle.json"


def stored(here: Path) -> list[str]:
    """The subjects of the records in the store."""
    store = SqlStore(here / "records.db", KeyRing(MasterKey.from_file(here / "master.key")))
    try:
        return sorted(entry.pointer.subject for entry in store.search(Query()).entries)
    finally:
        store.close()


def posted(suite: MedProof) -> int:
    """How many pointers are on the chain."""
    sizes = [event.arguments["size"] for event in suite.record_pointers.events("BatchPosted")]
    return sum(sizes) + len(list(suite.record_pointers.events("PointerPosted")))


def test_records_are_imported_once(run: Run, here: Path, suite: MedProof, options: Words, bundle: str) -> None:
    first = run("records", "import", bundle, *options, "--json")
    assert first.code == 0, first.err
    rows = first.document["records"]
    assert [row["new"] for row in rows] == [True] * COUNT
    assert posted(suite) == COUNT
    assert [one.lower() for one in stored(here)] == sorted(
        list(PEOPLE.values())[number % 2].lower() for number in range(COUNT)
    )
    again = run("records", "import", bundle, *options)
    assert f"0 new records, {COUNT} were there already. All have their pointers." in again.out
    assert posted(suite) == COUNT
    for row in rows:
        assert row["record"].startswith("Observation/")
        assert len(row["pointer"]) == 66


def test_pointers_are_sent_together(
    run: Run, suite: MedProof, options: Words, bundle: str, clinic: LocalSigner
) -> None:
    before = suite.chain.transaction_count(clinic.address)
    assert run("records", "import", bundle, *options).code == 0
    assert suite.chain.transaction_count(clinic.address) == before + 4  # 2, 2, 2 and 1 by itself
    assert sorted(event.arguments["size"] for event in suite.record_pointers.events("BatchPosted")) == [2, 2, 2]


def test_a_patient_whom_nobody_names(run: Run, here: Path, suite: MedProof, options: Words, bundle: str) -> None:
    of_b = options.index(f"Patient/b={PEOPLE['Patient/b'].lower()}")
    said = run("records", "import", bundle, *options[: of_b - 1], *options[of_b + 1 :], "--json")
    assert said.code == 1
    refused = [row["refused"] for row in said.document["records"] if row["refused"]]
    assert len(refused) == COUNT // 2
    assert {"a patient whom no --subject names" in one for one in refused} == {True}
    assert posted(suite) == len(stored(here)) == COUNT - COUNT // 2
    everyone = run(
        "records", "import", bundle, *options[: of_b - 3], *options[of_b + 1 :], "--subject", "0x" + "c3" * 20
    )
    assert everyone.code == 0


def test_what_cannot_be_imported_is_said(
    run: Run, here: Path, options: Words, bundle: str, clinic: LocalSigner
) -> None:
    (here / "text.json").write_text("{")
    (here / "not.queue").write_text("no database" * 100)
    for words, said in (
        (("text.json", *options), "text.json cannot be imported, and nothing was"),
        ((bundle, *options, "--subject", "0x12"), "--subject is '0x12'"),
        ((bundle, *options, "--queue", "not.queue"), "The queue not.queue cannot be read"),
        ((bundle, *options[:-1], clinic.address), "signs none here"),
        ((bundle, *options, "--batch-size", "0"), "--batch-size"),
    ):
        answer = run("records", "import", *words)
        assert answer.code not in (0, 1)
        assert said in answer.err
    nobody = run(
        "records", "import", bundle, *options, "--subject", "0x" + "00" * 20, "--subject", "Patient/a=0x" + "00" * 20
    )
    assert nobody.code == 1
    assert "The subject is zero" in nobody.err


def test_interrupted_it_goes_on(
    run: Run, here: Path, suite: MedProof, options: Words, bundle: str, node: LocalChain
) -> None:
    program = [sys.executable, str(ROOT / ".venv" / "bin" / "medproof"), "records", "import", bundle, *options]
    environment = {"PATH": os.defpath, "HOME": str(here), "MEDPROOF_NETWORK": node.url, "MEDPROOF_PASSWORD": PASSWORD}
    for number in (signal.SIGKILL, signal.SIGINT):
        process = subprocess.Popen(program, cwd=here, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        limit = time.monotonic() + 120
        while not (here / "records.db.queue").exists() and process.poll() is None:
            assert time.monotonic() < limit
            time.sleep(0.01)
        time.sleep(0.1)
        process.send_signal(number)
        process.communicate(timeout=120)
    assert run("records", "import", bundle, *options).code == 0
    assert posted(suite) == len(stored(here)) == COUNT
    again = run("records", "import", bundle, *options, "--json").document["records"]
    assert {row["new"] for row in again} == {False}

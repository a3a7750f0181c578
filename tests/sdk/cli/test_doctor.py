"""`medproof doctor`: all that is right, and all that is wrong, at once."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from medproof.chain import Chain
from medproof.deployments import ROLES, Deployment
from medproof.signing import LocalSigner
from scripts.local_chain import LocalChain
from tests.sdk.cli.conftest import Run


@pytest.mark.ganache  # on Anvil it has something to say of proofs
def test_doctor_goes_through_it(run: Run, here: Path, deployed: tuple[Chain, Deployment], admin: LocalSigner) -> None:
    assert run("index", "--index", "index.db").code == 0
    sqlite3.connect(here / "records.db").close()
    (here / "records.db").touch()
    said = run("doctor", "--sender", admin.address, "--index", "index.db", "--store", "records.db", "--json")
    states = {one["what"]: one["state"] for one in said.document["findings"]}
    good = {
        *(
            "clock",
            "syncing",
            "finality",
            "fees",
            "proofs",
            "events",
            "node",
            "store",
            "contracts",
            "functions",
            "sender",
        ),
        *(f"role {role.label}" for role in ROLES),
        *("deployer", "delays", "announced", "index"),
    }
    assert {what for what, state in states.items() if state == "good"} - {"blocks"} == good
    assert set(states) - good == {"role ADMIN", "chain id", "blocks"}
    assert (said.code, said.document["good"]) == ((1, False) if states["blocks"] == "bad" else (0, True))
    assert "✔ index: read up to block" in run("doctor", "--index", "index.db").out


def test_doctor_says_all_that_is_wrong(run: Run, here: Path, deployed: tuple[Chain, Deployment]) -> None:
    (here / "broken.db").write_bytes(b"not a database" * 100)
    said = run("doctor", "--index", "none.db", "--store", "broken.db", "--sender", "0x" + "00" * 19 + "77", "--json")
    states = {one["what"]: one["state"] for one in said.document["findings"]}
    assert (said.code, said.document["good"]) == (1, False)
    assert {what for what, state in states.items() if state == "bad"} == {"store", "index", "sender"}
    assert not (here / "none.db").exists()


def test_doctor_of_an_index_of_nothing(run: Run, here: Path, deployed: tuple[Chain, Deployment]) -> None:
    assert run("index", "--index", "index.db", "--to-block", 0).code == 0
    with sqlite3.connect(here / "index.db") as database:
        database.execute("UPDATE deployments SET authority = x'" + "11" * 20 + "'")
    said = run("doctor", "--index", "index.db")
    assert said.code == 1
    assert "it keeps other deployments" in said.out


def test_doctor_without_a_chain(run: Run, here: Path, unused_port: int) -> None:
    said = run("doctor", "--network", f"http://127.0.0.1:{unused_port}", "--store", "none.db")
    assert said.code == 1
    assert "✘ node" in said.out
    assert "✘ store" in said.out


def test_doctor_of_another_manifest(run: Run, here: Path, node: LocalChain) -> None:
    (here / "bad.json").write_text("{")
    said = run("doctor", "--network", node.url, "--deployment", "bad.json")
    assert said.code == 1
    assert "✘ manifest" in said.out

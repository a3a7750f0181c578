"""`medproof index`: one line, whole state, and what it refuses."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.policy.word import Rule
from medproof.signing import LocalSigner
from scripts.local_chain import LocalChain
from tests.sdk.cli.conftest import Run


@pytest.fixture
def granted(suite: MedProof, patient: LocalSigner, clinic: LocalSigner, rule: Rule) -> None:
    suite.consent_registry.grant(clinic.address, rule, sender=patient)


@pytest.mark.usefixtures("granted")
def test_it_reads_up_to_the_newest_block_and_goes_on(run: Run, here: Path, suite: MedProof, chain: Chain) -> None:
    said = run("index", "--index", "index.db", "--json")
    assert (said.code, said.out.count("\n")) == (0, 1)
    assert said.document["block"] == chain.block_number()
    assert said.document["events"] > 20
    assert (said.document["rows"]["rules"], said.document["rolled_back"]) == (1, 0)
    again = run("index", "--index", "index.db")
    assert again.out == f"Read up to block {chain.block_number()}. The index is index.db.\n"


@pytest.mark.usefixtures("granted")
def test_part_of_it(run: Run, here: Path, suite: MedProof, chain: Chain, node: LocalChain) -> None:
    last = chain.block_number() - 1
    said = run("index", "--index", "index.db", "--to-block", last, "--check", node.url, "--json").document
    assert (said["block"], said["rows"]["rules"]) == (last, 0)
    assert run("index", "--index", "index.db", "--finality", "1", "--json").document["rows"]["rules"] == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--finality", "soon"), "Give a number of blocks, safe, or finalized"),
        (("--follow", "--to-block", "7"), "Give one of them"),
        (("--check", "nowhere"), "nowhere"),
        (("--metrics", "127.0.0.1:9101"), "add --follow"),
        (("--metrics", "9101", "--follow"), "such as 127.0.0.1:9101"),
    ],
)
def test_what_it_refuses(options: tuple[str, ...], said: str, run: Run, here: Path, suite: MedProof) -> None:
    refused = run("index", "--index", "index.db", *options)
    assert refused.code == 2
    assert said in refused.err
    assert not (here / "index.db").exists()


def test_no_database(run: Run, here: Path, suite: MedProof) -> None:
    (here / "index.db").write_text("this is a letter and no database, however long it may become")
    refused = run("index", "--index", "index.db")
    assert refused.code == 2
    assert "database" in refused.err


@pytest.mark.usefixtures("granted")
def test_following_ends_with_ctrl_c(
    here: Path, suite: MedProof, chain: Chain, node: LocalChain, patient: LocalSigner, clinic: LocalSigner
) -> None:
    suite.deployment.save(here / "manifest.json")
    options = ("--index", "index.db", "--network", node.url, "--deployment", "manifest.json", "--follow", "--json")
    command = [sys.executable, "-c", "from medproof.cli import main; main()", "index", *options]
    with subprocess.Popen(command, cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = json.loads(process.stdout.readline())
        while line["block"] < chain.block_number():
            line = json.loads(process.stdout.readline())
        suite.consent_registry.revoke(clinic.address, sender=patient)
        news = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        _, trouble = process.communicate(timeout=20)
    assert (news["events"], news["block"]) == (1, chain.block_number())
    assert (process.returncode, trouble) == (0, "")


@pytest.mark.usefixtures("granted")
def test_a_named_network_says_what_counts(
    run: Run, here: Path, suite: MedProof, chain: Chain, node: LocalChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDPROOF_NETWORKS", str(here / "networks.json"))
    assert run("network", "add", "ours", "--url", node.url, "--chain-id", 1337, "--finality", 3).code == 0
    said = run("index", "--index", "index.db", "--network", "ours", "--json")
    assert said.document["block"] == chain.block_number() - 2

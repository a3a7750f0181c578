"""`medproof network`: list, check, add."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.local_chain import LocalChain
from tests.sdk.chain.odd_node import odd_node
from tests.sdk.cli.conftest import Run
from tests.sdk.networks.test_network_signers import FIRST, FOURTH, SECOND, THIRD, Clique

KEY = "0123456789abcdef"


@pytest.fixture(autouse=True)
def own_file(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = here / "networks.json"
    monkeypatch.setenv("MEDPROOF_NETWORKS", str(path))
    return path


def test_a_chain_of_ones_own(run: Run, node: LocalChain, own_file: Path) -> None:
    added = run("network", "add", "ours", "--url", node.url, "--chain-id", 1337, "--finality", 4, "--json")
    assert (added.code, added.document) == (0, {"name": "ours", "file": str(own_file)})
    listed = {one["name"]: one for one in run("network", "list", "--json").document}
    assert listed["ours"] | {"url": ""} == {
        "name": "ours", "chain_id": 1337, "url": "", "variable": "MEDPROOF_OURS_URL", "confirmations": 1, "finality": 4,
        "explorer": None, "own": True,
    }  # fmt: skip
    assert listed["sepolia"]["own"] is False
    checked = run("network", "check", "ours", "--json")
    assert (checked.code, checked.document["good"]) == (0, True)
    assert "✔ chain id: 1337" in run("network", "check", "ours").out


def test_a_wrong_chain_ends_with_1(run: Run, node: LocalChain) -> None:
    run("network", "add", "ours", "--url", node.url, "--chain-id", 7777)
    said = run("network", "check", "ours")
    assert said.code == 1
    assert "✘ chain id" in said.out


def test_no_key_is_shown(run: Run) -> None:
    run("network", "add", "ours", "--url", f"http://127.0.0.1:1/v3/{KEY}", "--chain-id", 7777)
    for said in (run("network", "list"), run("network", "list", "--json"), run("network", "check", "ours")):
        assert KEY not in said.out + said.err
    assert "http://127.0.0.1:1" in run("network", "list").out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("Ours", "--chain-id", "1"), "name"),
        (("ours", "--chain-id", "1", "--url", "ftp://x"), "url"),
        (("ours", "--chain-id", "1", "--url", "http://a:secret@x"), "--url has a password"),
        (("ours", "--chain-id", "1", "--finality", "soon"), "finality"),
        (("ours", "--chain-id", "0"), "chain-id"),
    ],
)
def test_what_is_refused(options: tuple[str, ...], said: str, run: Run, own_file: Path) -> None:
    refused = run("network", "add", *options)
    assert refused.code == 2
    assert said in refused.err
    assert "secret" not in refused.err
    assert not own_file.exists()


def test_signers_of_a_chain_without_clique(run: Run, node: LocalChain) -> None:
    said = run("network", "signers", "list", node.url)
    assert said.code == 3
    assert "says nothing of signers" in said.err
    assert "Traceback" not in said.err


def test_signers_and_votes(run: Run) -> None:
    clique = Clique(votes=[(SECOND, FOURTH, True)])
    with odd_node(clique) as node:
        listed = run("network", "signers", "list", node.url)
        assert listed.code == 0
        assert "2 of them have to seal for the chain to go on" in listed.out
        assert f"1 of 2 needed vote for {FOURTH} to become a signer: 1 more has to vote." in listed.out
        voted = run("network", "signers", "propose", node.url, FOURTH)
        assert voted.code == 0
        assert f"2 of 2 needed vote for {FOURTH} to become a signer: that is enough." in voted.out
        assert clique.proposals == {FOURTH: True}
        clique.signers.append(FOURTH)
        assert "That is so: withdraw it" in run("network", "signers", "list", node.url).out
        assert run("network", "signers", "withdraw", node.url, FOURTH, "--json").document == {
            "account": FOURTH,
            "withdrawn": True,
        }
        assert run("network", "signers", "withdraw", node.url, FOURTH).code == 1
        dropped = run("network", "signers", "drop", node.url, FOURTH, "--json")
        assert dropped.document == {"account": FOURTH, "joins": False, "voters": [FIRST], "needed": 3}
        known = run("network", "signers", "list", node.url, "--json").document
        assert (known["needed"], known["node"]) == (3, FIRST)
        assert {one["account"] for one in known["signers"]} == {FIRST, SECOND, THIRD, FOURTH}
        assert known["proposals"] == [{"account": FOURTH, "joins": False}]


def test_a_vote_that_could_stop_the_network_is_asked_for_twice(run: Run) -> None:
    clique = Clique(silent=(THIRD,))
    with odd_node(clique) as node:
        refused = run("network", "signers", "drop", node.url, SECOND)
        assert refused.code == 2
        assert "it would stop" in refused.err
        assert clique.proposals == {}
        assert run("network", "signers", "drop", node.url, SECOND, "--anyway").code == 0
        assert clique.proposals == {SECOND: False}

"""`medproof network`: list, check, add."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.local_chain import LocalChain
from tests.sdk.cli.conftest import Run

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

"""Brownie knows the package's networks, and those of the user's own file, by the same names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from medproof.networks import Network, networks
from scripts.brownie_networks import HEADING, described, merged
from scripts.local_chain import ROOT, tool_environment

OURS = Network("consortium", "http://127.0.0.1:9/v3/key", 7777, 1, 1, "https://explorer.example", ours=True)


def test_those_of_the_package_take_the_place_of_their_namesakes() -> None:
    listed = {
        "live": [
            {"name": "Ethereum", "networks": [{"id": "sepolia", "chainid": 1}, {"id": "mainnet", "chainid": 1}]},
            {"name": HEADING, "networks": [{"id": "of last time"}]},
        ],
        "development": [{"id": "anvil"}, {"id": "consortium"}],
    }
    found = merged(listed, networks() | {"consortium": OURS, "other": Network("other", "http://127.0.0.1:9", 7778)})
    assert found["development"] == listed["development"]
    assert found["live"][0] == {"name": "Ethereum", "networks": [{"id": "mainnet", "chainid": 1}]}
    assert [one["name"] for one in found["live"]] == ["Ethereum", HEADING]
    assert [one["id"] for one in found["live"][1]["networks"]] == ["sepolia", "hoodi", "base-sepolia", "other"]
    assert merged(found, networks()) == merged(listed, networks())


def test_a_url_in_the_environment_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEDPROOF_CONSORTIUM_URL", raising=False)
    entry = {"name": "consortium", "id": "consortium", "chainid": 7777, "explorer": "https://explorer.example"}
    assert described(OURS) == entry | {"host": OURS.url}
    monkeypatch.setenv("MEDPROOF_CONSORTIUM_URL", "http://127.0.0.1:8/secret")
    assert described(OURS) == entry | {"host": "$MEDPROOF_CONSORTIUM_URL"}
    assert described(networks()["sepolia"])["host"] == "$MEDPROOF_SEPOLIA_URL"


def test_brownie_lists_them(tmp_path: Path) -> None:
    environment = tool_environment() | {"HOME": str(tmp_path)}
    script = [sys.executable, str(ROOT / "scripts" / "brownie_networks.py")]
    for _ in range(2):
        subprocess.run(script, cwd=ROOT, env=environment, check=True)
    path = tmp_path / ".brownie" / "network-config.yaml"
    [ours] = [group for group in yaml.safe_load(path.read_text())["live"] if group["name"] == HEADING]
    assert {one["id"]: one["chainid"] for one in ours["networks"]}["hoodi"] == 560048
    listed = subprocess.run(
        ["brownie", "networks", "list"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert "base-sepolia" in listed.stdout, listed.stderr


def test_a_broken_file_of_ones_own_is_said(tmp_path: Path) -> None:
    broken = tmp_path / "networks.json"
    broken.write_text("{")
    environment = tool_environment() | {"HOME": str(tmp_path), "MEDPROOF_NETWORKS": str(broken)}
    script = [sys.executable, str(ROOT / "scripts" / "brownie_networks.py")]
    finished = subprocess.run(script, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (finished.returncode, str(broken) in finished.stderr) == (1, True)
    assert not (tmp_path / ".brownie").exists()


def test_the_tools_know_the_users_own_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MEDPROOF_NETWORKS", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert tool_environment()["MEDPROOF_NETWORKS"] == str(tmp_path / "medproof" / "networks.json")
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tool_environment()["MEDPROOF_NETWORKS"] == str(tmp_path / ".config" / "medproof" / "networks.json")
    assert os.environ.get("MEDPROOF_NETWORKS") is None

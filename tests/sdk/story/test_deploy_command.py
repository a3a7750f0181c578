"""`make deploy` and Brownie's script are `medproof deploy run`, with its options, in the project's own folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medproof.chain import Chain
from scripts import deploy
from scripts.local_chain import LocalChain
from tests.sdk.conftest import funded


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploy, "ROOT", tmp_path)
    for name in ("NETWORK", "DEPLOYMENT", "KEYSTORE", "ADMIN", "YES", "OVERWRITE"):
        monkeypatch.delenv(f"MEDPROOF_{name}", raising=False)


@pytest.fixture
def in_brownie(node: LocalChain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploy, "brownie_url", lambda: node.url)


def test_brownie_deploys_and_goes_on(
    in_brownie: None, chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = funded(11).address
    monkeypatch.setenv("MEDPROOF_ADMIN", admin)
    deploy.main()
    made = json.loads((tmp_path / "deployments" / "local" / "1337.json").read_text())
    assert made["admin"] == admin
    blocks = chain.block_number()
    deploy.main()
    assert chain.block_number() == blocks


def test_flags_of_the_environment(in_brownie: None, node: LocalChain, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[list[str]] = []
    monkeypatch.setattr(deploy, "app", given.append)
    deploy.main()
    monkeypatch.setenv("MEDPROOF_OVERWRITE", "1")
    monkeypatch.setenv("MEDPROOF_YES", "1")
    deploy.main()
    usual = ["deploy", "run", "--network", node.url]
    assert given == [usual, [*usual, "--overwrite", "--yes"]]


def test_it_ends_with_the_commands_exit_code(
    in_brownie: None, chain: Chain, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = chain.block_number()
    monkeypatch.setenv("MEDPROOF_ADMIN", "0x1234")
    with pytest.raises(SystemExit) as ended:
        deploy.main()
    assert ended.value.code == 3
    assert "no checksummed address" in capsys.readouterr().err
    assert deploy.command_line(["--url", ""]) == 2  # as `make deploy` alone gives it
    assert "--network is missing" in capsys.readouterr().err
    assert chain.block_number() == blocks

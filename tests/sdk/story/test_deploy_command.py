"""Deploying from the command line: it says what it will do, asks where that costs, and stops with a sentence."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from medproof.chain import Chain
from scripts import deploy
from scripts.deploy import command_line
from scripts.local_chain import LocalChain
from tests.sdk.conftest import PLAIN, funded

PUBLIC = 11155111


class Typed(io.StringIO):
    """What somebody types, at a terminal or not."""

    def __init__(self, text: str, terminal: bool) -> None:
        super().__init__(text)
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploy, "ROOT", tmp_path)


@pytest.fixture(scope="module")
def public() -> Iterator[LocalChain]:
    """A chain with the number of a public one."""
    with LocalChain(options={"chain": {**PLAIN["chain"], "chainId": PUBLIC}}) as local:
        yield local


def test_deploys_and_goes_on(
    node: LocalChain, chain: Chain, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    admin = funded(11).address
    assert command_line(["--url", node.url, "--admin", admin]) == 0
    output = capsys.readouterr().out
    made = json.loads((tmp_path / "deployments" / "local" / "1337.json").read_text())["contracts"]
    planned, done = output.split("and their roles.")
    for name, entry in made.items():
        assert f"{name:16} {entry['address']} " in planned  # said before it was sent
        assert f"{name:16} {entry['address']}\n" in done
    assert "deploy Authority" in output
    assert f"Recorded in deployments/local/1337.json, admin {admin}." in output
    blocks = chain.block_number()
    assert command_line(["--url", node.url, "--admin", admin]) == 0
    assert "deploy Authority" not in capsys.readouterr().out
    assert chain.block_number() == blocks
    assert json.loads((tmp_path / "deployments" / "local" / "1337.json").read_text())["admin"] == admin


def test_asks_where_it_costs(public: LocalChain, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    for typed, terminal in (("y\n", False), ("n\n", True), ("perhaps\n", True)):
        monkeypatch.setattr("sys.stdin", Typed(typed, terminal))
        assert command_line(["--url", public.url]) == 1
        assert "Nothing was deployed" in capsys.readouterr().err
    assert Chain.connect(public.url).block_number() == 0
    monkeypatch.setattr("sys.stdin", Typed("y\n", terminal=True))
    assert command_line(["--url", public.url]) == 0
    assert f"deployments/{PUBLIC}.json" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--url", "nowhere"], "no network's name"),
        (["--url", "http://127.0.0.1:9"], "does not answer"),
        (["--admin", "0x1234"], "no checksummed address"),
        (["--keystore", "/no/such/key.json"], "cannot be read"),
    ],
)
def test_stops_with_a_sentence(
    node: LocalChain,
    chain: Chain,
    arguments: list[str],
    says: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: Any,
) -> None:
    monkeypatch.setenv("MEDPROOF_PASSWORD", "x")
    blocks = chain.block_number()
    assert command_line(["--url", node.url, *arguments]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("The deployment stops: ")
    assert says in captured.err
    assert chain.block_number() == blocks


def test_interrupted(node: LocalChain, chain: Chain, monkeypatch: Any, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(deploy, "deploy", interrupt)
    assert command_line(["--url", node.url]) == 130
    assert "goes on where it stopped" in capsys.readouterr().err


def test_nobody_is_there_to_ask_for_the_password(
    node: LocalChain, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    key = tmp_path / "key.json"
    key.write_text("{}")
    monkeypatch.delenv("MEDPROOF_PASSWORD", raising=False)
    monkeypatch.setattr("sys.stdin", Typed("", terminal=False))
    assert command_line(["--url", node.url, "--keystore", str(key)]) != 0
    assert "Set MEDPROOF_PASSWORD" in capsys.readouterr().err

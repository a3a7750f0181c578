"""docs/operating.md: its commands are the package's, its services and files are there, its figures as measured."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from scripts.local_chain import ROOT
from tests.support.command_lines import parsed, shell_commands

PAGE = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
RESULTS = ROOT / "bench" / "results"
SESSIONS = "\n".join(re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL))
COMMANDS = list(shell_commands(SESSIONS))
STEPS = list(shell_commands("\n".join(re.findall(r"`(medproof [^`…]+)`", PAGE))))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_is_understood(words: list[str]) -> None:
    shown = [word.replace("…", "0x00").replace("$", "") for word in words]
    assert parsed(shown)


def test_they_are_many() -> None:
    assert len(COMMANDS) > 30
    assert all(line.startswith(("$ medproof", "$ docker", "$ .venv")) for line in SESSIONS.splitlines() if line)


@pytest.mark.parametrize("words", STEPS, ids=" ".join)
def test_commands_in_the_text_are_commands(words: list[str]) -> None:
    """They leave out what the sentence is not about: the parser that is reached refuses an option that there is not."""
    names = [word for word in words if not word.startswith(("-", "$"))]
    with pytest.raises(Exception, match="No such option"):
        parsed([*names, "--no-such-option"])


def test_its_services_and_files_are_there() -> None:
    services = set(yaml.safe_load((ROOT / "compose.yaml").read_text())["services"])
    for line in SESSIONS.splitlines():
        if line.startswith("$ docker compose"):
            named = re.search(r"(?:run --rm|logs --tail 50) ([\w-]+)", line)
            assert named is None or named[1] in services
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target
    for path in re.findall(r"`((?:tests|scripts)/[\w/.-]+)`", PAGE):
        assert (ROOT / path).exists(), path
    headings = {
        re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in PAGE.splitlines()
        if line.startswith("#")
    }
    for anchor in re.findall(r"\]\(#([^)]+)\)", PAGE):
        assert anchor in headings, anchor


def result(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return found


def test_its_figures_are_those_measured() -> None:
    sizes = result("sizing")
    rows = {
        f"| {sizes['index']['bytes_an_event']} bytes an event |",
        f"| {sizes['records']['bytes_a_record']:,} bytes |",
        f"| {sizes['access_log']['bytes_an_entry']:,} bytes |",
        f"| {sizes['queue']['bytes_a_message']:,} bytes |",
        f"| {result('indexing')['nodes']['Anvil']['index_per_second']:,} events a second |",
        f"| {result('gas')['operations']['grant_signed_batch_100_each']['gas']:,} gas |",
        f"| {result('gas')['operations']['anchor_batch']['gas']:,} gas |",
    }
    served = result("serving")["stores"]["PostgreSQL"]["8"]["checked"]
    rows.add(f"| {served['records_a_second']:.0f} records a second, 99 of 100 within {served['p99_ms']:.0f} ms |")
    memory = [round(sizes["memory_bytes"][name] / 1e6) for name in ("index", "relayer", "gatekeeper")]
    rows.add(f"| {memory[0]}, {memory[1]}, {memory[2]} MB |")
    for row in rows:
        assert row in PAGE, row
    for name in re.findall(r"`(\w+\.json)` \|", PAGE):
        assert (RESULTS / name).is_file(), name

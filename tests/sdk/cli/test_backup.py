"""`medproof backup`: what it prints, and what it refuses."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from medproof.cli.app import app
from tests.sdk.cli.conftest import Said


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a database and a file; no chain is asked."""
    monkeypatch.chdir(tmp_path)
    with closing(sqlite3.connect("records.db")) as made:
        made.executescript("PRAGMA journal_mode = WAL; CREATE TABLE one (number INTEGER); INSERT INTO one VALUES (7)")
    Path("suite.json").write_text("{}")
    return tmp_path


def run(*words: str) -> Said:
    result = CliRunner().invoke(app, ["backup", *words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return Said(result.exit_code, result.stdout, result.stderr)


@pytest.mark.usefixtures("folder")
def test_there_checked_and_back() -> None:
    made = run("create", "copy", "records.db", "suite.json", "--json").document
    assert [(one["name"], one["kind"]) for one in made["items"]] == [("records.db", "sqlite"), ("suite.json", "file")]
    assert run("check", "copy", "--json").document == made
    assert run("check", "copy").out.startswith("All 2 items are as they were made at 2")
    assert run("restore", "copy", "back", "--json").document == {**made, "restored": "back"}
    with closing(sqlite3.connect("back/records.db")) as kept:
        assert kept.execute("SELECT number FROM one").fetchall() == [(7,)]


@pytest.mark.usefixtures("folder")
def test_what_it_refuses(folder: Path) -> None:
    (folder / "master.key").write_text("ab" * 32)
    assert run("create", "copy", "suite.json").code == 0
    for words, said in (
        (("create", "copy", "suite.json"), "is there already"),
        (("create", "other", "records.db", "master.key"), "together with the database"),
        (("create", "other", "nothing.db"), "is no file"),
        (("check", "other"), "cannot be read"),
        (("restore", "copy", "copy"), "is there already"),
        (("restore", "copy", "back", "--database", "postgresql://localhost/x"), "Leave --database away"),
    ):
        refused = run(*words)
        assert (refused.code, said in refused.err) == (2, True), refused
    assert {one.name for one in folder.iterdir()} == {"copy", "master.key", "records.db", "suite.json"}
    (folder / "copy" / "suite.json").write_text("[]")
    altered = run("check", "copy", "--json")
    assert (altered.code, altered.error["error"]) == (2, "BackupError")


@pytest.mark.usefixtures("folder")
def test_a_secret_on_the_command_line_is_not_repeated() -> None:
    secret = "0x" + "ab" * 32
    refused = run("create", "copy", secret)
    assert refused.code == 2
    assert secret[2:] not in refused.err + refused.out
    assert json.loads(run("create", "copy", secret, "--json").err)["error"] == "SecretArgumentError"

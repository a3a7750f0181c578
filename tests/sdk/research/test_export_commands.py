"""medproof research export, check and row, and verify, as a person uses them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from medproof.cli.app import app
from tests.sdk.cli.conftest import Said, put_together_once  # noqa: F401 - a fixture
from tests.sdk.research.registry import SUBJECTS, fill, new_index

Run = Callable[..., Said]
ASKED = ("--purpose", "TREAT", "--class", "laboratory", "--sensitivity", "NONE_LABELLED", "--setting", "AMB")
ASKED += ("--condition", "C00-D49", "--action", "access", "--kind", "researcher", "--group", "group:3")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an index."""
    for name in ("INDEX", "NETWORK", "DEPLOYMENT"):
        monkeypatch.delenv(f"MEDPROOF_{name}", raising=False)
    monkeypatch.chdir(tmp_path)
    index, indexed = new_index(tmp_path / "index.db")
    fill(indexed, seed=6, blocks=60)
    index.close()
    return tmp_path


@pytest.fixture
def run(here: Path) -> Run:
    def command_line(*arguments: object) -> Said:
        result = CliRunner().invoke(app, [str(one) for one in arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert "Traceback" not in result.output
        return Said(result.exit_code, result.stdout, result.stderr)

    return command_line


def test_tables_exported_checked_and_one_row_proved(run: Run, here: Path) -> None:
    said = run("research", "export", "out", "--index", "index.db", "--tables", "rules,parties", "--format", "csv,fhir")
    assert said.code == 0, said.err
    assert "Written to out, as of block" in said.out
    assert "The manifest pins all of it: SHA-256 0x" in said.out
    again = run("research", "export", "more", "--index", "index.db", "--tables", "rules", "--json").document
    assert [one["name"] for one in again["tables"]] == ["rules"]
    assert "rules.parquet" in again["files"]

    checked = run("research", "check", "out")
    assert checked.code == 0
    assert "--index or --dataset tells" in checked.out
    assert run("research", "dataset", "data", "--index", "index.db").code == 0
    for source in (("--index", "index.db"), ("--dataset", "data")):
        assert "Exported again, it has the same bytes." in run("research", "check", "out", *source).out
    document = run("research", "check", "out", "--index", "index.db", "--json").document
    assert (document["verified"], document["same_bytes"]) == (True, True)
    assert document["manifest_sha256"] in said.out

    proved = run("research", "row", "out", "rules", 3, "--out", "row.json", "--json")
    assert proved.code == 0, proved.err
    assert proved.document["manifest_sha256"] == document["manifest_sha256"]
    shown = run("verify", "row.json")
    assert shown.code == 0, shown.err
    assert "Verified: row 3 of rules stands in the export." in shown.out
    assert document["manifest_sha256"] in shown.out
    row = run("verify", "row.json", "--json").document
    assert (row["verified"], row["index"], row["row"]["chain"]) == (True, 3, 1337)
    content = json.loads((here / "row.json").read_text())
    content["row"]["deny"] = not content["row"]["deny"]
    (here / "row.json").write_text(json.dumps(content))
    assert run("verify", "row.json").code == 1
    assert run("verify", "row.json", "--json").document["verified"] is False


def test_a_file_without_end_is_not_read_whole(run: Run, here: Path) -> None:
    with (here / "endless.json").open("wb") as file:
        file.truncate(1 << 40)  # of zeros, which take no place
    refused = run("verify", "endless.json")
    assert refused.code not in (0, 1)
    assert "is no JSON document" in refused.err
    assert "more than" in refused.err


def test_what_was_tampered_with_is_no(run: Run, here: Path) -> None:
    run("research", "export", "out", "--index", "index.db", "--tables", "rules", "--format", "csv")
    text = (here / "out" / "rules.csv").read_text()
    (here / "out" / "rules.csv").write_text(text.replace("party", "group", 1))
    said = run("research", "check", "out")
    assert said.code == 1
    assert "rules.csv" in said.out
    assert run("research", "check", "out", "--json").document["verified"] is False
    assert run("research", "check", "nowhere").code == 1


def test_a_cohort(run: Run, here: Path) -> None:
    small = run("research", "export", "out", "--index", "index.db", *ASKED)
    assert small.code == 2
    assert "fewer than 11 subjects" in small.err
    assert not (here / "out").exists()
    why = ("--no-suppression", "made up by chance")
    said = run("research", "export", "out", "--index", "index.db", *ASKED, *why, "--format", "jsonl", "--json")
    assert said.code == 0, said.err
    cohort, rules = said.document["tables"]
    assert 0 < cohort["rows"] < len(SUBJECTS)
    assert rules["rows"] >= cohort["rows"]
    manifest = json.loads((here / "out" / "manifest.json").read_text())
    assert manifest["question"]["request"]["purposes"] == ["TREAT"]
    assert manifest["suppression"]["off"] == "made up by chance"
    assert run("research", "check", "out", "--index", "index.db", "--json").document["same_bytes"] is True
    counted = run("research", "count", "--index", "index.db", *ASKED, *why, "--json")
    assert counted.code == 0, counted.err
    assert cohort["rows"] in counted.document.values()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--tables", "blocks"), "table 'blocks' is unknown"),
        (("--tables", "rules", "--purpose", "TREAT"), "asks for whole tables, beside a question"),
        (("--tables", "rules", "--format", "xlsx"), "'xlsx' is unknown"),
        (("--tables", "rules", "--no-suppression", "yes"), "says nothing"),
        (("--tables", "rules", "--threshold", "0"), "threshold is 0"),
        (("--tables", "rules", "--block", "999999999"), "does not know"),
        ((), "Name one of them"),
        (("--kind", "doctor"), "doctor"),
        (("--kind", "researcher", "--group", "x"), "--group"),
        (("--party", "0x' OR 1=1"), "no address"),
    ],
)
def test_what_is_refused(run: Run, here: Path, arguments: tuple[str, ...], message: str) -> None:
    said = run("research", "export", "out", "--index", "index.db", *arguments)
    assert said.code == 2, said.out
    assert message in said.err
    assert sorted(path.name for path in here.iterdir() if "out" in path.name) == []


def test_no_registry(run: Run) -> None:
    assert run("research", "export", "out", "--tables", "rules").code == 2
    assert run("research", "export", "out", "--index", "none.db", "--tables", "rules").code == 2
    assert run("research", "row", "nowhere", "rules", 0, "--out", "row.json").code == 2

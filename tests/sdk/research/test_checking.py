"""An export that was tampered with is found out, and the first file, column or row is named."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medproof.client.registrar import EVERYONE
from medproof.errors import ExportError, MedProofError
from medproof.merkle import MerkleLog
from medproof.policy.codes import Action, CareSetting, Condition, DataClass, PartyKind, Purpose, Sensitivity
from medproof.policy.word import Rule
from medproof.research import Dataset, Question, checking, cohort
from medproof.research.checking import check_export
from medproof.research.columns import TABLES
from medproof.research.export import export_cohort, write_export
from medproof.research.formats import FORMATS, read_rows
from medproof.research.suppression import Suppression
from tests.sdk.research.registry import REQUESTS, START, SUBJECTS, fill, new_index

ALL = (*FORMATS, "fhir")
QUESTION = Question(REQUESTS[0], kind=PartyKind.RESEARCHER, groups=(3,))
WIDE = Rule(
    Purpose.TREAT,
    DataClass.ALL,
    Condition.ALL,
    Sensitivity.ALL,
    CareSetting.ALL,
    Action.ALL,
    PartyKind.ALL,
    START,
    terms=1,
)
Change = Callable[[Path], None]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dataset]:
    index, indexed = new_index(tmp_path_factory.mktemp("registry") / "index.db")
    registry = fill(indexed, seed=6, blocks=60)
    for subject in SUBJECTS[:18]:  # beside what chance made, so that there is a cohort
        index_number = sum(key[:2] == (subject, EVERYONE) for key in registry.words)
        registry.write(subject, EVERYONE, replace(WIDE, index=index_number))
    registry.mine()
    with Dataset.of_index(indexed) as opened:
        yield opened
    index.close()


@pytest.fixture(scope="module")
def original(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("original") / "export"
    write_export(dataset, folder, formats=ALL)
    return folder


@pytest.fixture
def copy(original: Path, tmp_path: Path) -> Path:
    """A copy of the export, to be tampered with."""
    return Path(shutil.copytree(original, tmp_path / "copy"))


def edit(name: str, old: str | bytes, new: str | bytes, count: int = 1) -> Change:
    """Change a text in a file."""

    def change(folder: Path) -> None:
        before = (folder / name).read_bytes()
        after = before.replace(*(one.encode() if isinstance(one, str) else one for one in (old, new)), count)
        assert before != after
        (folder / name).write_bytes(after)

    return change


def manifest(change: Callable[[dict[str, Any]], object]) -> Change:
    def apply(folder: Path) -> None:
        said = json.loads((folder / "manifest.json").read_text())
        change(said)
        (folder / "manifest.json").write_text(json.dumps(said))

    return apply


def parquet(change: Callable[[pa.Table], pa.Table], name: str = "rules.parquet") -> Change:
    def apply(folder: Path) -> None:
        pq.write_table(change(pq.read_table(folder / name)), folder / name)

    return apply


def set_value(table: pa.Table, column: str, row: int, value: Any) -> pa.Table:
    values = table[column].to_pylist()
    values[row] = value
    place = table.column_names.index(column)
    return table.set_column(place, table.schema.field(column), pa.array(values, table.schema.field(column).type))


def test_what_is_whole(original: Path, dataset: Dataset) -> None:
    told: list[tuple[str, int, int]] = []
    found = check_export(original, dataset=dataset, progress=lambda *said: told.append(said))
    assert found.same_bytes is True
    assert check_export(original).same_bytes is None
    assert len(found.sha256) == 32
    rules = found.manifest.tables[0].rows
    assert ("rules.parquet", rules, rules) in told
    assert ("rules", rules, rules) in told


TAMPERED: dict[str, tuple[Change, str]] = {
    "a file is missing": (lambda folder: (folder / "rules.csv").unlink(), "rules.csv is missing"),
    "a file is a link": (
        lambda folder: [(folder / "rules.csv").unlink(), (folder / "rules.csv").symlink_to("/etc/passwd")],
        "rules.csv is missing",
    ),
    "a file more": (lambda folder: (folder / "more.csv").write_text("x"), "more.csv is not in the manifest"),
    "no manifest": (lambda folder: (folder / "manifest.json").unlink(), "half-written, or no export"),
    "half a manifest": (lambda folder: (folder / "manifest.json").write_text('{"format": "med'), "no JSON text"),
    "a huge manifest": (lambda folder: (folder / "manifest.json").write_bytes(b" " * (2 << 20)), "more than 1048576"),
    "a member more": (manifest(lambda said: said.update(note="trust me")), "members that are not known"),
    "a newer version": (manifest(lambda said: said.update(version=2)), "version is not 1"),
    "another format": (manifest(lambda said: said.update(format="medproof-evidence")), "format is not medproof-export"),
    "a file elsewhere": (manifest(lambda said: said["files"][0].update(name="../x")), "files\\[0\\].name is no name"),
    "a hidden file": (manifest(lambda said: said["files"][0].update(name=".x")), "files\\[0\\].name is no name"),
    "no tables": (manifest(lambda said: said.update(tables=[], files=[])), "tables is no list of 1 to 100"),
    "a table that none has": (
        manifest(lambda said: said["tables"][0].update(name="x; DROP TABLE rules")),
        "files has rules.csv, of a table that is not there",
    ),
    "a table twice": (manifest(lambda said: said["tables"].append(said["tables"][0])), "a name twice"),
    "a table without files": (
        manifest(lambda said: said.update(files=[one for one in said["files"] if one["table"] != "terms"])),
        "terms.csv is not in the manifest",
    ),
    "other columns": (manifest(lambda said: said["tables"][0].update(schema="0x" + "00" * 32)), "other columns"),
    "rows that are not there": (manifest(lambda said: said["tables"][0].update(rows=10**9)), "rules.leaves has"),
    "another root": (
        manifest(lambda said: said["tables"][0].update(root="0x" + "00" * 32)),
        "rules.leaves leads to another root",
    ),
    "a block hash cut short": (manifest(lambda said: said["block"].update(hash="0x00")), "block.hash"),
    "no time": (manifest(lambda said: said["block"].update(time="yesterday")), "block.time is no time"),
    "a leaf": (
        lambda folder: edit("rules.leaves", (folder / "rules.leaves").read_bytes()[:4], b"fake")(folder),
        "rules.leaves leads",
    ),
    "leaves cut short": (
        lambda folder: (folder / "rules.leaves").write_bytes((folder / "rules.leaves").read_bytes()[:-7]),
        "rules.leaves has",
    ),
    "a dictionary without end": (
        lambda folder: os.truncate(folder / "dictionary.md", 1 << 40),
        "dictionary.md is not what",
    ),
    "a dictionary": (edit("dictionary.md", "the rule refuses", "the rule permits"), "dictionary.md is not what"),
    "a value in CSV": (edit("rules.csv", ",party,", ",group,"), "rules.csv, column grantee_type, row"),
    "no number in CSV": (edit("rules.csv", "\r\n1337,", "\r\n13e37,"), "rules.csv, column chain, row 0 is '13e37'"),
    "a number too large in CSV": (
        edit("rules.csv", "\r\n1337,", "\r\n99999999999999999999,"),
        "rules.csv, column chain, row 0 is '99999999999999999999'",
    ),
    "a time in CSV": (edit("rules.csv", "T00:00:00Z", "T24:00:00Z"), "rules.csv, column .*, row .* is '.*T24:00:00Z'"),
    "an empty cell in CSV": (edit("rules.csv", "\r\n1337,", "\r\n,"), "column chain, row 0 is empty"),
    "a column renamed in CSV": (edit("rules.csv", "deny", "permit"), "rules.csv, column deny is missing"),
    "columns swapped in CSV": (
        edit("rules.csv", "deny,delegable", "delegable,deny"),
        "column delegable is not in its place",
    ),
    "a column twice in CSV": (
        lambda folder: (folder / "terms.csv").write_bytes(
            b"\r\n".join(
                line and line + b"," + line.split(b",")[-1]
                for line in (folder / "terms.csv").read_bytes().split(b"\r\n")
            )
        ),
        "terms.csv, column until_time is not in its place, or there twice",
    ),
    "a part of a second": (
        edit("terms.csv", "T00:00:00Z", "T00:00:00.5Z"),
        "terms.csv, column block_time, row 0 is '.* microseconds', which is no timestamp",
    ),
    "a time before all blocks": (
        edit("terms.jsonl", '"block_time":"2026-', '"block_time":"1926-'),
        "terms.jsonl, column block_time, row 0 is '-.* microseconds', which is no timestamp",
    ),
    "a row less in CSV": (
        lambda folder: (folder / "rules.csv").write_bytes(
            b"\r\n".join((folder / "rules.csv").read_bytes().split(b"\r\n")[:-2]) + b"\r\n"
        ),
        "rules.csv has [0-9]+ rows, not",
    ),
    "a row more in CSV": (
        lambda folder: (folder / "rules.csv").write_bytes(
            (folder / "rules.csv").read_bytes() + (folder / "rules.csv").read_bytes().split(b"\r\n")[1] + b"\r\n"
        ),
        "rules.csv has more than",
    ),
    "half a row in CSV": (
        lambda folder: (folder / "rules.csv").write_bytes((folder / "rules.csv").read_bytes()[:-40]),
        "rules.csv cannot be read",
    ),
    "other line ends in CSV": (edit("rules.csv", "\r\n", "\n", -1), "rules.csv has other bytes"),
    "quotes that CSV does not need": (edit("rules.csv", ",party,", ',"party",'), "rules.csv has other bytes"),
    "a value in JSON": (edit("rules.jsonl", '"deny":false', '"deny":true'), "rules.jsonl, column deny, row"),
    "a text for a number": (edit("rules.jsonl", '"chain":1337', '"chain":"1337"'), "column chain, row 0 is '1337'"),
    "a fraction": (edit("rules.jsonl", '"chain":1337', '"chain":1337.0'), "column chain, row 0 is '1337.0'"),
    "a number for a flag": (edit("rules.jsonl", '"deny":false', '"deny":0'), "column deny, row . is '0'"),
    "a number too large": (edit("rules.jsonl", '"chain":1337', '"chain":99999999999999999999'), "column chain"),
    "no JSON": (edit("rules.jsonl", '{"chain"', "{chain"), "rules.jsonl, row 0 is no JSON"),
    "a list for an object": (edit("terms.jsonl", '{"chain"', '[{"chain"'), "terms.jsonl, row 0 is no JSON"),
    "a member renamed in JSON": (edit("rules.jsonl", '"deny"', '"permit"'), "row 0, column deny is missing"),
    "white space in JSON": (edit("rules.jsonl", '"chain":1337', '"chain": 1337'), "rules.jsonl has other bytes"),
    "an endless line": (
        lambda folder: (folder / "terms.jsonl").write_bytes(b'{"chain":"' + b"x" * (3 << 20) + b'"}'),
        "terms.jsonl, row 0 is no JSON",
    ),
    "JSON without a bottom": (
        lambda folder: (folder / "terms.jsonl").write_bytes(b"[" * 200_000),
        "terms.jsonl, row 0 is no JSON",
    ),
    "FHIR without a bottom": (
        edit("consents.json", '"resource":', '"resource":' + "[" * 200_000),
        "consents.json, row 0 is no entry",
    ),
    "no UTF-8": (edit("party_groups.jsonl", "script", b"scr\xff\xfe"), "party_groups.jsonl, row 1 is no JSON"),
    "a value in Parquet": (
        parquet(lambda table: set_value(table, "purposes", 3, 1)),
        "rules.parquet, column purposes, row 3 is not the one",
    ),
    "a type in Parquet": (
        parquet(lambda table: table.set_column(0, "chain", table["chain"].cast(pa.int32()))),
        "rules.parquet, column chain is int32, not int64",
    ),
    "a column less in Parquet": (parquet(lambda table: table.drop_columns(["word"])), "column word is missing"),
    "a column more in Parquet": (
        parquet(lambda table: table.append_column("name", table["subject"])),
        "column 'name' is none of the table's",
    ),
    "other rows in Parquet": (parquet(lambda table: table.slice(1)), "rules.parquet, row 0|rules.parquet, column"),
    "written by another in Parquet": (parquet(lambda table: table), "rules.parquet has other bytes"),
    "no Parquet": (lambda folder: (folder / "rules.parquet").write_bytes(b"PAR1"), "rules.parquet cannot be read"),
    "half a Parquet": (
        lambda folder: (folder / "rules.parquet").write_bytes((folder / "rules.parquet").read_bytes()[:-50]),
        "rules.parquet cannot be read",
    ),
    "a consent": (edit("consents.json", '"permit"', '"deny"'), "consents.json, row [0-9]+ is not the one"),
    "a consent less": (
        lambda folder: (folder / "consents.json").write_bytes(
            b"\n".join([*(folder / "consents.json").read_bytes().split(b"\n")[:-3], b"]}", b""])
        ),
        "consents.json has [0-9]+ rows, not",
    ),
    "no FHIR": (edit("consents.json", '"resource":{', '"resource":{{'), "consents.json, row 0 is no entry"),
    "the head of a bundle": (edit("consents.json", "collection", "transaction"), "consents.json has other bytes"),
    "another suppression": (manifest(lambda said: said.update(suppression=[])), "suppression is no JSON object"),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_whatever_was_tampered_with_is_named(copy: Path, what: str) -> None:
    change, message = TAMPERED[what]
    change(copy)
    with pytest.raises(ExportError, match=message):
        check_export(copy)


FORGED: dict[str, tuple[Change, str]] = {
    "another chain": (
        manifest(lambda said: said.update(chain=1)),
        "chain 1, authority .* is not the index's: chain 1337",
    ),
    "another authority": (manifest(lambda said: said.update(authority="0x" + "01" * 20)), "is not the index's"),
    "other contracts": (
        manifest(lambda said: said["contracts"].update(ConsentRegistry="0x" + "01" * 20)),
        "contracts are not those",
    ),
    "another hash": (manifest(lambda said: said["block"].update(hash="0x" + "01" * 32)), "has another hash or time"),
    "another time": (
        manifest(lambda said: said["block"].update(time="2026-01-01T00:00:01Z")),
        "has another hash or time",
    ),
    "a block that is unknown": (manifest(lambda said: said["block"].update(number=10**9)), "does not know"),
    "an earlier block": (manifest(lambda said: said["block"].update(number=100)), "fewer than 11|another hash"),
    "nothing was hidden": (
        manifest(lambda said: said["suppression"].update(off="it is fine with me")),
        "manifest.json is not the one",
    ),
    "no suppression": (manifest(lambda said: said.update(suppression={})), "suppression is none"),
    "a suppression that hides nothing": (
        manifest(lambda said: said["suppression"].update(threshold=0)),
        "threshold is 0",
    ),
    "a question that was not asked": (
        manifest(lambda said: said.update(question={"request": {}})),
        "question",
    ),
    "white space": (lambda folder: manifest(lambda said: None)(folder), "manifest.json is not the one"),
}


@pytest.mark.parametrize("what", FORGED)
def test_what_only_an_index_tells(copy: Path, dataset: Dataset, what: str) -> None:
    """By itself the export is whole: whoever forged it hashed it again."""
    change, message = FORGED[what]
    change(copy)
    check_export(copy)
    with pytest.raises(MedProofError, match=message):
        check_export(copy, dataset=dataset)


def test_what_another_version_wrote(copy: Path, dataset: Dataset) -> None:
    """Its rows are compared; its bytes may be others."""
    manifest(lambda said: said["writers"].update(pyarrow="9.9.9"))(copy)
    assert check_export(copy, dataset=dataset).same_bytes is False


def test_rows_forged_with_all_their_hashes(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A forger who writes a whole export anew is found out against the index, row and column."""
    table = TABLES["rules"]
    forged = dataset.table("rules").mutate(terms=(dataset.table("rules").terms + 1).cast("int32"))
    monkeypatch.setitem(dataset._tables, "rules", forged)
    write_export(dataset, tmp_path / "forged", formats=("csv",))
    monkeypatch.undo()
    check_export(tmp_path / "forged")
    with pytest.raises(ExportError, match="table rules, column terms, row 0 is not the one that the index gives"):
        check_export(tmp_path / "forged", dataset=dataset)
    assert next(read_rows(tmp_path / "forged" / "rules.csv", table)).num_rows


def test_the_column_is_left_out_where_nobody_has_it(dataset: Dataset, tmp_path: Path) -> None:
    write_export(dataset, tmp_path / "one", formats=("csv",))
    edit("rules.csv", ",party,", ",group,")(tmp_path / "one")
    with pytest.raises(ExportError, match=r"rules.csv, row [0-9]+ is not the one that the manifest's root is over"):
        check_export(tmp_path / "one")


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="is not there"):
        check_export(tmp_path / "none")
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="is not there"):
        check_export(tmp_path / "file")


def test_a_parquet_bomb_is_not_read(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet(lambda table: pa.concat_tables([table] * 40))(copy)
    monkeypatch.setattr("medproof.research.formats.ROWS", 1000)
    with pytest.raises(ExportError, match=r"rules.parquet has [0-9]+ rows in a group, more than"):
        check_export(copy)


# -- cohorts ----------------------------------------------------------------------------------------------------------

OFF = Suppression(off="a registry made up by chance")


def test_a_cohort_and_its_question(dataset: Dataset, tmp_path: Path) -> None:
    """The cohort's subjects, their rules and consents; checked by asking once more."""
    found = cohort(dataset, QUESTION)
    subjects = found.subjects().to_pyarrow()["subject"].to_pylist()
    assert 11 <= len(subjects) < len(SUBJECTS)
    said = export_cohort(found, tmp_path / "cohort", formats=ALL)
    [batch] = read_rows(tmp_path / "cohort" / "cohort.csv", checking.COHORT)
    assert batch["subject"].to_pylist() == subjects
    rules = [
        row for batch in read_rows(tmp_path / "cohort" / "rules.jsonl", TABLES["rules"]) for row in batch.to_pylist()
    ]
    standing = [
        row for row in dataset.table("rules").to_pyarrow().to_pylist() if row["standing"] and row["subject"] in subjects
    ]
    assert {row["subject"] for row in rules} == set(subjects)
    assert len(rules) == len(standing)
    assert said.question is not None
    assert said.question["kind"] == "researcher"
    assert check_export(tmp_path / "cohort", dataset=dataset).same_bytes is True
    assert check_export(tmp_path / "cohort").manifest == said
    consents = json.loads((tmp_path / "cohort" / "consents.json").read_bytes())
    assert {one["resource"]["id"] for one in consents["entry"]} == set(subjects)


def test_a_cohort_at_another_moment(dataset: Dataset, tmp_path: Path) -> None:
    party = dataset.table("parties").to_pyarrow()["party"][0].as_py()
    moment = datetime(2026, 1, 1, 8, tzinfo=UTC)
    found = cohort(dataset, Question(REQUESTS[0], party=party, terms=1), moment=moment)
    export_cohort(found, tmp_path / "cohort", suppression=OFF)
    assert check_export(tmp_path / "cohort", dataset=dataset).same_bytes is True
    text = (tmp_path / "cohort" / "manifest.json").read_text()
    assert '"moment": "2026-01-01T08:00:00+00:00"' in text


def test_a_small_cohort_is_not_written(dataset: Dataset, tmp_path: Path) -> None:
    found = cohort(dataset, QUESTION)
    assert 0 < found.count() < len(SUBJECTS)
    with pytest.raises(MedProofError, match=f"fewer than {found.count() + 1}"):
        export_cohort(found, tmp_path / "cohort", suppression=Suppression(found.count() + 1))
    assert not list(tmp_path.iterdir())
    export_cohort(found, tmp_path / "cohort", suppression=Suppression(found.count()))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("moment", "now", "question.moment cannot be read"),
        ("moment", "2026-01-01T08:00:00", "question.moment has no zone"),
        ("kind", "doctor", "question.kind cannot be read"),
        ("kind", None, "is no question"),
        ("party", "0x' OR 1=1 --", "is no question"),
        ("groups", ["3"], "question.groups is no list of numbers"),
        ("groups", [70000], "is no question"),
        ("terms", True, "question.terms is no number"),
        ("study", "0x12", "is no question"),
        ("study", 7, "question.study is no text"),
        ("request", None, "question.request is no JSON object"),
        ("more", 1, "members that are not known"),
    ],
)
def test_a_question_that_is_none(dataset: Dataset, tmp_path: Path, name: str, value: Any, message: str) -> None:
    found = cohort(dataset, QUESTION)
    export_cohort(found, tmp_path / "cohort")
    manifest(lambda said: said["question"].update({name: value}))(tmp_path / "cohort")
    with pytest.raises(ExportError, match=message):
        check_export(tmp_path / "cohort", dataset=dataset)


def test_the_root_is_over_the_rows_in_their_order(original: Path) -> None:
    leaves = (original / "rules.leaves").read_bytes()
    said = json.loads((original / "manifest.json").read_text())["tables"][0]
    kept = [leaves[at : at + 32] for at in range(0, len(leaves), 32)]
    assert "0x" + MerkleLog(kept).root().hex() == said["root"]
    assert "0x" + MerkleLog(kept[::-1]).root().hex() != said["root"]

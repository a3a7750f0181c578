"""Exports: the same block gives the same bytes, wherever they come from; nothing half-written stays."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from eth_utils.address import to_checksum_address
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_keccak import keccak256

from medproof import hashing
from medproof.errors import ExportError, IndexTimeError, MedProofError, SmallCohortError
from medproof.fhir import compile_consent, structure
from medproof.fhir.consent.vocabulary import GRANTEE
from medproof.indexer import Index, IndexedDeployment
from medproof.merkle import MerkleLog
from medproof.policy.word import Rule, decode
from medproof.research import Dataset, export, rows, write_dataset
from medproof.research.checking import check_export
from medproof.research.columns import TABLES, Column, Table
from medproof.research.export import write_export
from medproof.research.formats import FORMATS, ROWS, read_rows
from medproof.research.manifest import Manifest
from medproof.research.suppression import Suppression
from tests.sdk.research.registry import SUBJECTS, Registry, fill, new_index
from tests.sdk.store.conftest import postgres  # noqa: F401 - a fixture
from tests.sdk.store.postgres import LocalPostgres

ROOT = Path(__file__).parents[3]
ALL = (*FORMATS, "fhir")
HOSTILE = ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "'=x", "'x", '"', 'a "b", c', "a\r\nb", "", " "]
HOSTILE += ["é 漢 \U0001f600", "\x00\x1f\x7f", "null", "\\"]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def seeded(where: Any, **options: Any) -> tuple[Index, IndexedDeployment, Registry]:
    index, indexed = new_index(where)
    return index, indexed, fill(indexed, seed=6, blocks=60, **options)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, IndexedDeployment]]:
    """An index in SQLite, and the file that it is in."""
    file = tmp_path_factory.mktemp("registry") / "index.db"
    index, indexed, _ = seeded(file)
    yield file, indexed
    index.close()


@pytest.fixture(scope="module")
def dataset(kept: tuple[Path, IndexedDeployment]) -> Iterator[Dataset]:
    with Dataset.of_index(kept[1]) as opened:
        yield opened


@pytest.fixture(scope="module")
def exported(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of everything, in all formats: for reading."""
    folder = tmp_path_factory.mktemp("exports") / "all"
    write_export(dataset, folder, formats=ALL)
    return folder


# -- the same bytes ---------------------------------------------------------------------------------------------------


def test_again(dataset: Dataset, exported: Path, tmp_path: Path) -> None:
    write_export(dataset, tmp_path / "again", formats=ALL)
    assert contents(tmp_path / "again") == contents(exported)


def test_in_another_process(kept: tuple[Path, IndexedDeployment], exported: Path, tmp_path: Path) -> None:
    script = Path(__file__).with_name("exporting.py")
    environment = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Kolkata", "LC_ALL": "C", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, script, kept[0], tmp_path / "other"], check=True, env=environment, cwd=tmp_path)
    assert contents(tmp_path / "other") == contents(exported)


def test_killed_half_way(kept: tuple[Path, IndexedDeployment], exported: Path, tmp_path: Path) -> None:
    """Nothing has the export's name, and the next export is whole."""
    script = Path(__file__).with_name("exporting.py")
    command = [sys.executable, script, kept[0], tmp_path / "out", "kill"]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=tmp_path, check=False)
    assert done.returncode == -signal.SIGKILL
    [left] = tmp_path.iterdir()
    assert left.name.startswith(".out.")
    with pytest.raises(ExportError, match="half-written"):
        check_export(left)
    with Dataset.of_index(kept[1]) as dataset:
        write_export(dataset, tmp_path / "out", formats=ALL)
    assert contents(tmp_path / "out") == contents(exported)


def test_from_postgresql(exported: Path, tmp_path: Path, postgres: LocalPostgres) -> None:  # noqa: F811
    index, indexed, _ = seeded(postgres.empty_database())
    with Dataset.of_index(indexed) as other:
        write_export(other, tmp_path / "other", formats=ALL)
    index.close()
    assert contents(tmp_path / "other") == contents(exported)


def test_from_the_parquet_data_set(kept: tuple[Path, IndexedDeployment], exported: Path, tmp_path: Path) -> None:
    write_dataset(kept[1], tmp_path / "data")
    with Dataset.open(tmp_path / "data") as other:
        write_export(other, tmp_path / "other", formats=ALL)
    assert contents(tmp_path / "other") == contents(exported)


def test_after_the_index_went_on(tmp_path: Path) -> None:
    """What ended later still stands in the export, however much later it is written."""
    index, indexed, registry = seeded(tmp_path / "index.db")
    block = indexed.block
    with Dataset.of_index(indexed) as then:
        write_export(then, tmp_path / "then", formats=ALL)
    standing = [key for key, word in registry.words.items() if not word >> 24 & 1]
    for subject, grantee, index_number in standing[:5]:
        registry.revoke(subject, grantee, index_number)
    registry.say("Registrar", "PartySuspended", party=next(iter(registry.words))[1])
    registry.mine(3)
    with Dataset.of_index(indexed) as later:
        assert later.block.number > block
        write_export(later, tmp_path / "now", formats=ALL)
        with pytest.raises(IndexTimeError):
            write_export(later, tmp_path / "none", block=later.block.number - 1)  # nothing happened there
    with Dataset.of_index(indexed, block=block) as as_of:
        write_export(as_of, tmp_path / "later", formats=ALL)
    assert contents(tmp_path / "later") == contents(tmp_path / "then") != contents(tmp_path / "now")
    index.close()


def test_as_of_a_block_in_between(kept: tuple[Path, IndexedDeployment], dataset: Dataset, tmp_path: Path) -> None:
    blocks = [row["block"] for row in dataset.table("blocks").to_pyarrow().to_pylist()]
    for block in (blocks[0], blocks[len(blocks) // 2], blocks[-1]):
        off = Suppression(off="a registry made up by chance")
        write_export(dataset, tmp_path / f"whole-{block}", formats=ALL, block=block, suppression=off)
        with Dataset.of_index(kept[1], block=block) as short:
            write_export(short, tmp_path / f"short-{block}", formats=ALL, suppression=off)
        assert contents(tmp_path / f"whole-{block}") == contents(tmp_path / f"short-{block}")


def test_nothing_tells_when_or_where(dataset: Dataset, exported: Path) -> None:
    said = Manifest.read(exported)
    assert said.block == dataset.block
    text = (exported / "manifest.json").read_text()
    assert said.to_text() == text
    assert str(exported) not in text
    day = f"{datetime.fromtimestamp(said.block.time, UTC):%Y-%m-%d}"
    assert re.findall("([0-9]{4}-[0-9]{2}-[0-9]{2})T", text) == [day]


# -- what stands in it ------------------------------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """A value of Arrow as the canonical form has it, in plain Python."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return value.isoformat() if isinstance(value, date) else value


@pytest.mark.parametrize("name", ["rules", "terms", "parties", "party_groups"])
def test_rows_leaves_and_root(dataset: Dataset, exported: Path, name: str) -> None:
    """Each format has every row of the data set; leaves and root are what the formulas say, computed apart."""
    table = TABLES[name]
    columns = [column.name for column in table.columns]
    truth = dataset.table(name).to_pyarrow().sort_by([(column, "ascending") for column in table.order])
    wanted = [[plain(row[column]) for column in columns] for row in truth.to_pylist()]
    assert wanted
    parquet = pq.read_table(exported / f"{name}.parquet").to_pylist()
    assert [[plain(row[column]) for column in columns] for row in parquet] == wanted
    lines = (exported / f"{name}.jsonl").read_text(encoding="utf-8").split("\n")
    assert lines.pop() == ""
    assert [list(json.loads(line).values()) for line in lines] == wanted
    assert all(list(json.loads(line)) == columns for line in lines)
    with (exported / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        head, *cells = csv.reader(file)
    assert head == columns
    texts = [["" if v is None else str(v).lower() if isinstance(v, bool) else str(v) for v in row] for row in wanted]
    assert cells == texts
    shape = [name, [[column.name, column.type, column.optional] for column in table.columns]]
    tag = keccak256(json.dumps(shape, separators=(",", ":")).encode())
    leaves = [keccak256(tag + json.dumps(row, separators=(",", ":"), ensure_ascii=False).encode()) for row in wanted]
    assert (exported / f"{name}.leaves").read_bytes() == b"".join(leaves)
    [said] = [one for one in Manifest.read(exported).tables if one.name == name]
    assert (said.rows, said.schema, said.root) == (len(wanted), tag, MerkleLog(leaves).root())


TEXT = st.text(st.characters(blacklist_categories=("Cs",)), max_size=12) | st.sampled_from(HOSTILE)
ROW = st.tuples(
    st.none() | TEXT,
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.booleans(),
    st.none() | st.dates(date(1, 1, 1)),
    st.none() | st.integers(0, 2**38).map(lambda s: datetime.fromtimestamp(s % 250_000_000_000, UTC)),
)
ANY = Table(
    "any",
    "whatever",
    tuple(
        Column(name, kind, "", "", "", True)
        for name, kind in (
            ("text", "string"),
            ("number", "int64"),
            ("flag", "boolean"),
            ("day", "date"),
            ("time", "timestamp('UTC')"),
        )
    ),
    ("text",),
)


def batch_of(values: list[tuple[Any, ...]]) -> pa.RecordBatch:
    shape = export.arrow_schema(ANY)
    columns = zip(*values, strict=True) if values else ([] for _ in shape)
    arrays = [pa.array(list(column), field.type) for column, field in zip(columns, shape, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=shape)


@given(st.lists(ROW, max_size=6))
@settings(deadline=None, max_examples=60)
def test_the_canonical_form_is_that_of_hashing(values: list[tuple[Any, ...]]) -> None:
    lines = rows.lines(batch_of(values)).to_pylist()
    assert lines == [hashing.canonical([plain_any(value) for value in row]) for row in values]


def plain_any(value: Any) -> Any:
    if isinstance(value, datetime):  # years before 1000 have four digits, too
        return f"{value.year:04}-{value:%m-%dT%H:%M:%S}Z"
    return plain(value)


@pytest.mark.parametrize("kind", FORMATS)
@given(values=st.lists(ROW, max_size=6))
@settings(deadline=None, max_examples=40)
def test_every_format_gives_back_what_it_took(
    kind: str, tmp_path_factory: pytest.TempPathFactory, values: list[tuple[Any, ...]]
) -> None:
    path = tmp_path_factory.mktemp("formats") / f"any.{kind}"
    writer = FORMATS[kind](path, ANY)
    if values:
        writer.write(batch_of(values))
    writer.close()
    found = [tuple(row.values()) for batch in read_rows(path, ANY) for row in batch.to_pylist()]
    assert found == values


def test_no_spreadsheet_takes_a_cell_for_a_formula(tmp_path: Path) -> None:
    writer = FORMATS["csv"](tmp_path / "any.csv", ANY)
    writer.write(batch_of([(text, -1, None, None, None) for text in HOSTILE]))
    writer.close()
    with (tmp_path / "any.csv").open(encoding="utf-8", newline="") as file:
        cells = [row[0] for row in csv.reader(file)][1:]
    assert all(not cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells)
    assert cells[:3] == ["'=1+1", "'+1", "'-1"]
    assert b"\r\n" in (tmp_path / "any.csv").read_bytes()


def test_batches_are_whole_however_they_come(monkeypatch: pytest.MonkeyPatch, dataset: Dataset, tmp_path: Path) -> None:
    """Small batches: files of several, the last one short; the leaves stay the same."""
    whole = write_export(dataset, tmp_path / "whole", formats=("jsonl", "csv"))
    monkeypatch.setattr(export, "ROWS", 7)
    small = write_export(dataset, tmp_path / "small", formats=("jsonl", "csv"))
    assert small.tables == whole.tables
    assert contents(tmp_path / "small") == contents(tmp_path / "whole")
    assert ROWS > 7


def test_what_several_hundred_thousand_rows_would_do(tmp_path: Path) -> None:
    """More than one row group, each full but the last: what an engine cuts is not seen."""
    values = [(f"{number:08}", number, None, None, None) for number in range(ROWS + 5)]
    for cut in (1000, ROWS + 5):
        pieces = [batch_of(values[at : at + cut]) for at in range(0, len(values), cut)]
        found = list(export._whole(pieces, export.arrow_schema(ANY)))
        assert [piece.num_rows for piece in found] == [ROWS, 5]
        kept = pa.Table.from_batches(found)
        assert [(row["text"], row["number"]) for row in kept.to_pylist()] == [row[:2] for row in values]


# -- FHIR -------------------------------------------------------------------------------------------------------------


def test_consents_are_fhir_and_say_what_the_rules_say(dataset: Dataset, exported: Path) -> None:
    said = json.loads((exported / "consents.json").read_bytes())
    assert structure.problems(said) == ()
    assert said["timestamp"] == datetime.fromtimestamp(dataset.block.time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    standing = [
        row for row in dataset.table("rules").to_pyarrow().to_pylist() if row["standing"] and not row["revoked"]
    ]
    assert [one["resource"]["id"] for one in said["entry"]] == sorted({row["subject"] for row in standing})
    for one in said["entry"]:
        consent = one["resource"]
        mine = [row for row in standing if row["subject"] == consent["id"]]
        assert len(consent["provision"]["provision"]) == len(mine)
        assert consent["patient"]["reference"] == f"Patient/{consent['id']}"
        grantees = {f"{GRANTEE}|{to_checksum_address(row['grantee'])}": row["grantee"] for row in mine}
        compiled = compile_consent(hashing.parse(json.dumps(consent).encode()), grantees=grantees).rules
        stored = {(row["grantee"], placed(decode(int(row["word"], 16)))) for row in mine}
        assert {(grantee.lower(), placed(rule)) for grantee, rule in compiled} == stored


def placed(rule: Rule) -> Rule:
    """A rule wherever it stands among the others."""
    return replace(rule, index=0, sequence=1, follows=False)


def test_no_consents_at_all(tmp_path: Path) -> None:
    index, indexed = new_index(tmp_path / "index.db")
    fill(indexed, seed=1, blocks=0)
    with Dataset.of_index(indexed) as empty:
        manifest = write_export(empty, tmp_path / "none", formats=ALL)
    assert (manifest.tables[0].name, manifest.tables[0].rows) == ("rules", 0)
    said = json.loads((tmp_path / "none" / "consents.json").read_bytes())
    assert "entry" not in said
    assert structure.problems(said) == ()
    assert manifest.tables[0].root == MerkleLog().root()
    index.close()


# -- refusals ---------------------------------------------------------------------------------------------------------


def test_few_subjects_are_not_listed(tmp_path: Path) -> None:
    index, indexed = new_index(tmp_path / "index.db")
    fill(indexed, seed=6, blocks=40, subjects=SUBJECTS[:10])
    with Dataset.of_index(indexed) as few:
        for formats in (("csv",), ("fhir",)):
            with pytest.raises(SmallCohortError, match="fewer than 11"):
                write_export(few, tmp_path / "few", formats=formats)
        assert [path.name for path in tmp_path.iterdir() if "few" in path.name] == []
        write_export(few, tmp_path / "others", tables=("parties", "terms"))  # in which there are no subjects
        off = Suppression(off="approved by our review board")
        assert write_export(few, tmp_path / "few", suppression=off).suppression["off"] == off.off
        assert write_export(few, tmp_path / "lower", suppression=Suppression(10)).suppression["threshold"] == 10
    index.close()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"formats": ()}, "format is not named"),
        ({"formats": ("xlsx",)}, "'xlsx' is unknown"),
        ({"formats": ("csv", "csv")}, "named twice"),
        ({"formats": ("../csv",)}, "is unknown"),
        ({"tables": ()}, "table is not named"),
        ({"tables": ("blocks",)}, "'blocks' is unknown"),
        ({"tables": ("rules; DROP TABLE rules",)}, "is unknown"),
        ({"tables": ("terms", "terms")}, "named twice"),
        ({"block": 10**9}, "does not know"),
        ({"block": 1}, "does not know"),
        ({"block": -1}, "does not know"),
    ],
)
def test_what_cannot_be_exported(dataset: Dataset, tmp_path: Path, options: Any, message: str) -> None:
    with pytest.raises(MedProofError, match=message):
        write_export(dataset, tmp_path / "none", **options)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("file", "folder", "link"):
        with pytest.raises(ExportError, match="is there already"):
            write_export(dataset, tmp_path / name)
    for name in (".", "..", "/", "", "nowhere/at/all"):
        with pytest.raises(ExportError, match=r"is there already|No such file"):
            write_export(dataset, Path(name) if name in ("/", ".", "..", "") else tmp_path / name)
    assert (tmp_path / "file").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder", "link"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device"), RuntimeError])
def test_whatever_stops_it_nothing_stays(dataset: Dataset, tmp_path: Path, error: Any) -> None:
    def stop(table: str, done: int, total: int) -> None:
        assert any(tmp_path.iterdir())  # it is being written
        if table == "consents":
            raise error

    wanted = ExportError if isinstance(error, OSError) else error
    with pytest.raises(wanted):
        write_export(dataset, tmp_path / "none", formats=ALL, progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_ends_it(
    monkeypatch: pytest.MonkeyPatch, dataset: Dataset, tmp_path: Path
) -> None:
    """Also where the writing goes on behind the hashing."""

    def full(self: Any, batch: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FORMATS["csv"], "write", full)
    with pytest.raises(ExportError, match="No space left on device"):
        write_export(dataset, tmp_path / "none", formats=("parquet", "csv"))
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_a_formula(tmp_path: Path) -> None:
    """What an authority named a group comes back as it is, in every format."""
    index, indexed = new_index(tmp_path / "index.db")
    registry = fill(indexed, seed=6, blocks=20)
    for number, name in enumerate(HOSTILE, start=20):
        if "\x00" not in name:  # PostgreSQL takes none, so neither does the index
            registry.say("Registrar", "GroupCreated", group=number, name=name)
    registry.mine()
    with Dataset.of_index(indexed) as hostile:
        write_export(hostile, tmp_path / "out", tables=("party_groups",), formats=tuple(FORMATS))
    wanted = {name for name in HOSTILE if "\x00" not in name}
    for kind in FORMATS:
        batches = read_rows(tmp_path / "out" / f"party_groups.{kind}", TABLES["party_groups"])
        assert wanted <= {row["name"] for batch in batches for row in batch.to_pylist()}
    index.close()


def test_a_manifest_is_a_value(exported: Path) -> None:
    said = Manifest.read(exported)
    assert replace(said, chain=5).to_text() != said.to_text()

"""The data set says what the index says, in memory and as files, and refuses what is damaged."""

from __future__ import annotations

import importlib
import json
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medproof.errors import DatasetError, IndexTimeError, MissingExtraError
from medproof.indexer import IndexedDeployment, view
from medproof.policy.codes import PartyKind
from medproof.policy.word import FIELDS, FLAG_FIELDS, decode
from medproof.research import Dataset, Question, cohort, datasets, write_dataset
from medproof.research.arrays import RuleRows
from medproof.research.columns import CODE_COLUMNS, TABLES
from medproof.research.source import Source
from tests.sdk.research.registry import REQUESTS, Registry, fill, new_index
from tests.sdk.store.postgres import LocalPostgres


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> IndexedDeployment:
    """A registry in which little happened."""
    _, found = new_index(tmp_path_factory.mktemp("small") / "index.db")
    fill(found, seed=3, blocks=25)
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def everything(dataset: Dataset) -> dict[str, list[dict[str, Any]]]:
    return {name: dataset.table(name).to_pyarrow().to_pylist() for name in TABLES}


# -- what it says -----------------------------------------------------------------------------------------------------


def test_every_word_is_split_as_the_layout_says() -> None:
    draw = random.Random(8)
    words = [draw.getrandbits(256) for _ in range(400)] + [0, (1 << 256) - 1]
    zeros = np.zeros(len(words), np.int64)
    rows = RuleRows(
        np.zeros((len(words), 20), np.uint8),
        np.zeros((len(words), 20), np.uint8),
        zeros,
        np.frombuffer(b"".join(word.to_bytes(32, "big") for word in words), np.uint8).reshape(-1, 32),
        {
            "block": np.arange(len(words)),
            "position": zeros,
            "time": zeros,
            "until_block": zeros - 1,
            "until_time": zeros,
        },
    )
    tables = {name: pa.concat_tables(parts).to_pylist() for name, parts in rows.tables(1, "0x").items()}
    found = {row["block"]: row for row in tables["rules"]}
    scopes = {row["scope_number"]: row for row in tables["scopes"]}
    for number, word in enumerate(words):
        row = found[number]
        assert row["word"] == f"{word:064x}"
        for name in CODE_COLUMNS:
            spelled = "partyKinds" if name == "party_kinds" else name
            assert row[name] == FIELDS[spelled].of(word)
        for name, column in (("deny", "deny"), ("breakGlassRefused", "break_glass_refused"), ("revoked", "revoked")):
            assert row[column] is bool(FLAG_FIELDS[name].of(word))
        scope = scopes[row["scope_number"]]
        assert all(row[name] == scope[name] for name in (*CODE_COLUMNS, "data_from", "data_until"))
        assert (row["sequence"], row["terms"]) == (FIELDS["sequence"].of(word), FIELDS["terms"].of(word))


def test_every_rule_is_the_view_s(dataset: Dataset, indexed: IndexedDeployment) -> None:
    standing = {
        (row["subject"], row["grantee"], row["rule_index"]): row
        for row in dataset.table("rules").filter(ibis._.standing).to_pyarrow().to_pylist()
    }
    wanted = {(one.subject.lower(), one.grantee.lower(), one.index): one.word for one in view(indexed).rules()}
    assert {key: int(row["word"], 16) for key, row in standing.items()} == wanted
    assert len(wanted) > 60
    for key, row in standing.items():
        rule = decode(wanted[key])
        assert (row["valid_from"], row["valid_until"]) == (rule.valid_from, rule.valid_until)
        assert row["data_until"] == rule.data_until
        assert row["data_from"] == (rule.data_from if FIELDS["dataFrom"].of(wanted[key]) else None)
        assert all(row[name] == getattr(rule, name).value for name in CODE_COLUMNS)
        assert row["grantee_type"] == (
            "party" if int(key[1], 16) > 0xFFFF else "everyone" if key[1][-2:] == "01" else "group"
        )
        assert row["until_block"] is row["until_time"] is None


def test_subjects_and_grantees_are_counted_without_gaps(dataset: Dataset) -> None:
    rows = dataset.table("rules").to_pyarrow().to_pylist()
    for name in ("subject", "grantee"):
        numbers = {(row[name], row[f"{name}_number"]) for row in rows}
        assert sorted(number for _, number in numbers) == list(range(len(numbers)))
        first = {}
        for row in sorted(rows, key=lambda row: (row["block"], row["position"])):
            first.setdefault(row[name], len(first))
        assert dict(numbers) == first
    assert dict(dataset.grantee_numbers) == first


def test_parties_and_blocks_are_the_index_s(dataset: Dataset, indexed: IndexedDeployment) -> None:
    state = view(indexed)
    standing = dataset.table("parties").filter(ibis._.until_block.isnull()).to_pyarrow().to_pylist()
    assert standing
    for row in standing:
        party = state.party(row["account"])
        assert party is not None
        assert (row["party"], row["kind"], row["suspended"], row["valid_until"], json.loads(row["groups"])) == (
            party.id.lower(),
            party.kind.value,
            party.suspended,
            party.valid_until,
            list(party.groups),
        )
    for row in dataset.table("blocks").to_pyarrow().to_pylist():
        kept = indexed.block_hash(row["block"])
        assert kept is not None
        assert (row["hash"], int(row["block_time"].timestamp())) == (f"0x{kept.hash.hex()}", kept.time)
    names = dataset.table("party_groups").to_pyarrow()["name"].to_pylist()
    assert names == ['cardiology "1"', "<script>alert(1)</script>"]


def test_columns_are_those_of_the_dictionary(dataset: Dataset) -> None:
    for name, table in TABLES.items():
        found = dataset.table(name).to_pyarrow().schema
        assert found.names == [column.name for column in table.columns]
        assert found.types == ibis.schema(table.types).to_pyarrow().types
        assert all(column.description and column.source for column in table.columns)


def test_memory_and_parquet_have_the_same_rows_in_the_same_order(indexed: IndexedDeployment, folder: Path) -> None:
    with Dataset.of_index(indexed) as memory, Dataset.open(folder, check=True) as parquet:
        assert (memory.chain, memory.authority, memory.first, memory.block, memory.contracts) == (
            parquet.chain,
            parquet.authority,
            parquet.first,
            parquet.block,
            parquet.contracts,
        )
        one, two = everything(memory), everything(parquet)
        for name, table in TABLES.items():
            order = [column for column in table.order if column in table.types]
            assert sorted(one[name], key=repr) == sorted(two[name], key=repr)
            for standing in (True, False):
                kept = [row for row in one[name] if row.get("standing", standing) is standing]
                assert kept == [row for row in two[name] if row.get("standing", standing) is standing]
                keys = [tuple(row[column] for column in order) for row in kept]
                assert keys == sorted(keys)


# -- the same block gives the same bytes ------------------------------------------------------------------------------


def test_the_same_block_gives_the_same_bytes(small: IndexedDeployment, postgres: LocalPostgres, tmp_path: Path) -> None:
    write_dataset(small, tmp_path / "one")
    write_dataset(small, tmp_path / "two")
    write_dataset(small, tmp_path / "two")
    index, other = new_index(postgres.empty_database())
    fill(other, seed=3, blocks=25)
    write_dataset(other, tmp_path / "three")
    index.close()
    assert contents(tmp_path / "one") == contents(tmp_path / "two") == contents(tmp_path / "three")


def test_a_block_before_the_last_is_what_the_index_was_then(tmp_path: Path) -> None:
    _, indexed = new_index(tmp_path / "index.db")
    registry = fill(indexed, seed=5, blocks=30)
    block = max(row for row in range(registry.block - 12) if indexed.block_hash(row))
    write_dataset(indexed, tmp_path / "one", block=block)
    with Dataset.of_index(indexed, block=block) as memory:
        rows = everything(memory)
    indexed.roll_back(block)
    write_dataset(indexed, tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    with Dataset.of_index(indexed) as memory:
        assert everything(memory) == rows


def test_a_later_block_takes_the_place_of_an_earlier(tmp_path: Path) -> None:
    _, indexed = new_index(tmp_path / "index.db")
    registry = fill(indexed, seed=5, blocks=10)
    place = tmp_path / "data"
    write_dataset(indexed, place)
    with Dataset.open(place) as before:
        registry.say("Registrar", "GroupCreated", group=9, name="later")
        registry.mine()
        write_dataset(indexed, place)
        with pytest.raises(DatasetError, match="Open it again"):
            cohort(before, Question(REQUESTS[0], kind=PartyKind.PROVIDER)).count()
    with Dataset.open(place) as after:
        assert after.block.number == registry.block - 1
        assert "later" in after.table("party_groups").to_pyarrow()["name"].to_pylist()
    fresh = tmp_path / "fresh"
    write_dataset(indexed, fresh)
    assert contents(place) == contents(fresh)


def test_several_deployments_and_chains_share_a_folder(small: IndexedDeployment, tmp_path: Path) -> None:
    _, salted = new_index(tmp_path / "salted.db", salt=7)
    _, elsewhere = new_index(tmp_path / "elsewhere.db", chain=5)
    for one in (salted, elsewhere):
        fill(one, seed=9, blocks=4)
    place = tmp_path / "it's [a] fold?r*"
    for one in (small, salted, elsewhere):
        write_dataset(one, place)
    assert [(one["chain"], one["authority"][-4:]) for one in datasets(place)] == [
        (5, "a000"),
        (1337, "a000"),
        (1337, "a700"),
    ]
    with pytest.raises(DatasetError, match="more than one"):
        Dataset.open(place)
    with pytest.raises(DatasetError, match="more than one"):
        Dataset.open(place, chain=1337)
    with pytest.raises(DatasetError, match="no such data set, but: chain 5"):
        Dataset.open(place, chain=6)
    with Dataset.open(place, chain=5) as found:
        assert (found.chain, found.deployment) == (5, f"5-{found.authority}")
    with Dataset.of_index(small) as one, Dataset.open(place, chain=1337, authority=one.authority.upper()) as two:
        assert sorted(everything(one)["rules"], key=repr) == sorted(everything(two)["rules"], key=repr)


def test_any_engine_reads_the_folders(folder: Path) -> None:
    whole = pq.read_table(folder / "rules", partitioning="hive")
    assert {"chain", "authority", "standing"} <= set(whole.schema.names)
    engine = ibis.duckdb.connect()
    found = engine.read_parquet(str(folder / "rules" / "**" / "*.parquet"), hive_partitioning=True)
    assert found.count().execute() == whole.num_rows
    engine.disconnect()


# -- refusals ---------------------------------------------------------------------------------------------------------


def test_what_the_index_has_not_read(tmp_path: Path, small: IndexedDeployment) -> None:
    _, empty = new_index(tmp_path / "empty.db")
    with pytest.raises(IndexTimeError, match="has read nothing"):
        Dataset.of_index(empty)
    for block in (small.block + 1, small.first - 1):
        with pytest.raises(IndexTimeError, match="does not know"):
            write_dataset(small, tmp_path / "data", block=block)
    assert not (tmp_path / "data").exists()


def test_an_index_that_is_rolled_back_meanwhile(tmp_path: Path) -> None:
    _, indexed = new_index(tmp_path / "index.db")
    fill(indexed, seed=2, blocks=8)
    source = Source.of(indexed, None)
    indexed.roll_back(source.about.block.number - 3)
    with pytest.raises(IndexTimeError):
        next(iter(source.tables()))


def test_an_empty_registry_is_a_data_set(tmp_path: Path) -> None:
    _, indexed = new_index(tmp_path / "index.db")
    Registry(indexed).mine()
    write_dataset(indexed, tmp_path / "data")
    with Dataset.open(tmp_path / "data") as found:
        assert {name: len(rows) for name, rows in everything(found).items() if rows} == {"blocks": 1}
        assert cohort(found, Question(REQUESTS[0], kind=PartyKind.PROVIDER)).count() == 0


def test_whoever_is_stopped_leaves_what_was_there(small: IndexedDeployment, tmp_path: Path) -> None:
    place = tmp_path / "data"
    write_dataset(small, place, block=small.first)
    before = contents(place)

    def stop(table: str, done: int) -> None:
        if table == "parties":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_dataset(small, place, progress=stop)
    assert contents(place) == before
    told: list[tuple[str, int]] = []
    write_dataset(small, place, progress=lambda table, done: told.append((table, done)))
    with Dataset.open(place) as found:
        assert ("rules", found.table("rules").count().execute()) in told


def test_one_writes_at_a_time(small: IndexedDeployment, tmp_path: Path) -> None:
    with Dataset.of_index(small) as found:
        draft = tmp_path / f"_writing-{found.deployment}"
    draft.mkdir()
    with pytest.raises(DatasetError, match="being written by another") as refused:
        write_dataset(small, tmp_path)
    assert str(draft) in str(refused.value)
    assert draft.exists()
    (tmp_path / "file").touch()
    with pytest.raises(DatasetError, match=r"Remove|cannot be written"):
        write_dataset(small, tmp_path / "file")


def first_file(place: Path) -> Path:
    return next(path for path in sorted(place.rglob("*.parquet")) if "standing=true" in str(path))


def rewritten(place: Path, change: Callable[[dict[str, Any]], None]) -> None:
    [manifest] = (place / "_manifests").iterdir()
    said = json.loads(manifest.read_text())
    change(said)
    manifest.write_text(json.dumps(said))


def other_path(said: dict[str, Any], path: str) -> None:
    said["tables"]["rules"]["files"][0]["path"] = path


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no manifest": (lambda place: shutil.rmtree(place / "_manifests"), "keeps no whole data set"),
    "no folder": (shutil.rmtree, "keeps no whole data set"),
    "a file is missing": (lambda place: first_file(place).unlink(), "is missing"),
    "a file is cut short": (
        lambda place: first_file(place).write_bytes(first_file(place).read_bytes()[:-9]),
        "bytes, and",
    ),
    "a file is other bytes": (
        lambda place: first_file(place).write_bytes(bytes(first_file(place).stat().st_size)),
        "cannot be read",
    ),
    "the manifest is cut short": (
        lambda place: [one.write_text(one.read_text()[:99]) for one in (place / "_manifests").iterdir()],
        "is no manifest",
    ),
    "the manifest is a list": (
        lambda place: [one.write_text("[1]") for one in (place / "_manifests").iterdir()],
        "is no manifest",
    ),
    "the manifest is nested too deep": (
        lambda place: [one.write_text("[" * 100_000) for one in (place / "_manifests").iterdir()],
        "is no manifest",
    ),
    "a newer MedProof": (lambda place: rewritten(place, lambda said: said.update(format=2)), "Update MedProof"),
    "other columns": (lambda place: rewritten(place, lambda said: said.update(schema="0x00")), "other columns"),
    "another chain": (lambda place: rewritten(place, lambda said: said.update(chain=1)), "is no manifest"),
    "no tables": (lambda place: rewritten(place, lambda said: said.pop("tables")), "is no manifest"),
    "a path outside": (
        lambda place: rewritten(place, lambda said: other_path(said, "../../secret.parquet")),
        "is no manifest",
    ),
    "a path of another table": (
        lambda place: rewritten(place, lambda said: other_path(said, said["tables"]["terms"]["files"][0]["path"])),
        "is no manifest",
    ),
    "SQL in a path": (
        lambda place: rewritten(place, lambda said: other_path(said, "rules/x'); DROP TABLE rules; --.parquet")),
        "is no manifest",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_is_refused(folder: Path, tmp_path: Path, damage: str) -> None:
    place = tmp_path / "data"
    shutil.copytree(folder, place)
    change, said = DAMAGES[damage]
    change(place)
    with pytest.raises(DatasetError, match=said):
        Dataset.open(place)


def test_a_changed_byte_is_found_where_it_is_asked_for(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "data"
    shutil.copytree(folder, place)
    path = first_file(place)
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(DatasetError, match="its hash is another"):
        Dataset.open(place, check=True)


def test_no_such_table(dataset: Dataset) -> None:
    with pytest.raises(DatasetError, match="Name one of rules, grantees, scopes"):
        dataset.table("rules; DROP TABLE rules")


@pytest.mark.parametrize("absent", ["ibis", "pyarrow", "duckdb"])
def test_without_its_extra(monkeypatch: pytest.MonkeyPatch, absent: str) -> None:
    for name in [name for name in sys.modules if name.startswith("medproof.research")]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.partition(".")[0] == absent]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'medproof\[research\]'"):
        importlib.import_module("medproof.research")
    importlib.import_module("medproof")

"""The data dictionary: every column with its unit, source and codes; what is committed is what the columns say."""

from __future__ import annotations

import json

import pytest

from medproof.policy.codes import Condition, DataClass, PartyKind, Purpose
from medproof.policy.word import LAYOUT
from medproof.research.columns import TABLES, Column, Table
from medproof.research.dictionary import code_lists, dictionary, dictionary_files, dictionary_text
from scripts.data_dictionary import PLACE, text


def test_what_is_committed_is_what_the_columns_say() -> None:
    assert PLACE.read_text(encoding="utf-8") == text(), "run: python scripts/data_dictionary.py"


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_column_is_described(table: Table) -> None:
    [said] = dictionary([table])["tables"]  # type: ignore[misc]
    assert isinstance(said, dict)
    columns = said["columns"]
    assert isinstance(columns, list)
    assert [one["name"] for one in columns] == [one.name for one in table.columns]  # type: ignore[index,call-overload]
    for one in table.columns:
        assert one.description
        assert one.source
        assert not one.description.endswith(".")
        assert f"| `{one.name}` | {one.type} |" in dictionary_text([table])


def test_code_lists_with_their_sources() -> None:
    lists = {one.__name__: one for one in code_lists(TABLES.values())}
    assert {field.codes.__name__ for field in LAYOUT if field.codes} <= set(lists)
    said = {one["name"]: one for one in dictionary(TABLES.values())["code_lists"]}  # type: ignore[index,call-overload,union-attr]
    for kind in (Purpose, DataClass, Condition, PartyKind):
        one = said[kind.__name__]
        assert (one["system"], one["version"]) == (kind.system.uri, kind.system.version)
        assert [code["code"] for code in one["codes"]] == [code.code for code in kind]
        assert all(code["value"] == 1 << code["bit"] for code in one["codes"])
    assert "| 2048 | `genomics` | Genomics |" in dictionary_text(TABLES.values())


def test_nothing_in_a_description_breaks_its_table() -> None:
    odd = Table("odd", "odd", (Column("a", "string", "this | that", "x", "p | q"),), ())
    assert r"| `a` | string | p \| q | this \| that | x |  |" in dictionary_text([odd])


def test_the_files_are_what_they_are_made_of() -> None:
    files = dictionary_files([TABLES["rules"]])
    assert json.loads(files["dictionary.json"]) == dictionary([TABLES["rules"]])
    assert files["dictionary.md"] == dictionary_text([TABLES["rules"]])
    assert all(one.endswith("\n") for one in files.values())

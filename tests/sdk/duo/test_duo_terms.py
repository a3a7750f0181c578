"""The 25 terms of DUO: known, dated, and the same as the bits of the rule word and the table of the docs."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import fields

import pytest

from medproof.errors import UnknownCodeError
from medproof.policy.codes import DUO, ResearchUse
from medproof.policy.duo import DataUse, StudyUse, term, terms
from scripts.local_chain import ROOT

PERMISSION, MODIFIER = "DUO:0000001", "DUO:0000017"


def test_all_25_terms_are_known() -> None:
    assert len({one.id for one in terms()}) == len(terms()) == 25
    assert Counter(one.category for one in terms()) == {"": 2, PERMISSION: 5, MODIFIER: 18}


def test_the_list_is_data_with_version_source_and_licence() -> None:
    content = json.loads((ROOT / "medproof" / "policy" / "duo.json").read_text(encoding="utf-8"))
    assert content["version"] == DUO.version == "2021-02-23"
    assert content["version"] in content["source"]
    assert content["licence"] == "CC BY 4.0"


def test_every_term_but_the_two_categories_has_its_bit() -> None:
    held = {one.research_use: one for one in terms() if one.research_use is not None}
    assert set(held) == set(ResearchUse)
    for use, one in held.items():
        assert (one.shorthand, one.label, one.id) == (use.name, use.display, use.code.replace("_", ":"))
        assert (use in ResearchUse.PERMISSIONS) == (one.category == PERMISSION)


def test_parameters_are_fields_of_both_sides() -> None:
    named = {one.parameter for one in terms()} - {""}
    assert named == {field.name for field in fields(DataUse)} - {"terms"}
    assert named <= {field.name for field in fields(StudyUse)}


@pytest.mark.parametrize("code", ["DUO:0000006", "DUO_0000006", "http://purl.obolibrary.org/obo/DUO_0000006", "HMB"])
def test_a_term_is_found_by_each_of_its_names(code: str) -> None:
    assert term(code).id == "DUO:0000006"


# GRU-CC and RU were withdrawn, NPU meant another term before 2021.
@pytest.mark.parametrize("code", ["", "DUO:0000005", "DUO:0000014", "GRU-CC", "RU", "hmb", "DUO:6"])
def test_unknown_and_withdrawn_terms_are_refused(code: str) -> None:
    with pytest.raises(UnknownCodeError, match=r"GA4GH Data Use Ontology.*2021-02-23"):
        term(code)


def test_the_document_lists_each_term() -> None:
    text = (ROOT / "docs" / "duo.md").read_text(encoding="utf-8")
    rows = [[cell.strip().strip("`") for cell in line.split("|")[1:5]] for line in text.splitlines()]
    listed = [tuple(row) for row in rows if row and row[0].startswith("DUO:")]
    assert listed == [(one.id, one.shorthand, one.label, one.parameter) for one in terms()]


def test_the_document_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "duo.md").read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, object] = {}
    exec(code, names)
    assert capsys.readouterr().out.startswith(
        "Outcome.DENY\nNCU The consent obliges researchers to use it non-commercially,"
    )
    assert len(names["requests"]) == 1  # type: ignore[arg-type]

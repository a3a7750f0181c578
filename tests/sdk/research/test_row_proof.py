"""One row of an export, proved without the rest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from medproof import hashing
from medproof.errors import ExportError
from medproof.research import Dataset
from medproof.research.export import write_export
from medproof.research.formats import FORMATS
from medproof.research.row_proof import RowProof
from tests.sdk.research.registry import fill, new_index


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("row proofs")
    index, indexed = new_index(folder / "index.db")
    fill(indexed, seed=6, blocks=60)
    with Dataset.of_index(indexed) as dataset:
        write_export(dataset, folder / "export", formats=(*FORMATS, "fhir"))
        write_export(dataset, folder / "csv", formats=("csv",))
    yield folder / "export"
    index.close()


@pytest.fixture
def proof(exported: Path) -> RowProof:
    return RowProof.of(exported, "rules", 17)


@pytest.mark.parametrize("table", ["rules", "terms", "parties", "party_groups", "consents"])
def test_every_row(exported: Path, table: str) -> None:
    rows = next(one.rows for one in RowProof.of(exported, table, 0).manifest.tables if one.name == table)
    assert rows
    for index in {0, rows // 2, rows - 1}:
        found = RowProof.of(exported, table, index)
        again = RowProof.from_json(hashing.canonical(found.to_json()))
        again.verify()
        assert (again.row, again.index, again.path) == (found.row, index, found.path)
        assert again.manifest.sha256 == found.manifest.sha256
    for index in (-1, rows, 10**9):
        with pytest.raises(ExportError, match="has no row"):
            RowProof.of(exported, table, index)


def test_whatever_the_format(exported: Path, proof: RowProof) -> None:
    assert RowProof.of(exported.with_name("csv"), "rules", 17).row == proof.row
    lines = (exported / "rules.jsonl").read_text().splitlines()
    assert json.loads(lines[17]) == proof.row


def test_what_is_forged_is_refused(proof: RowProof) -> None:
    forged = [
        replace(proof, row={**proof.row, "deny": not proof.row["deny"]}),
        replace(proof, index=18),
        replace(proof, index=10**6),
        replace(proof, path=proof.path[:-1]),
        replace(proof, path=(*proof.path, b"\x00" * 32)),
        replace(proof, path=(b"\x00" * 32, *proof.path[1:])),
        replace(proof, row={name: value for name, value in proof.row.items() if name != "word"}),
        replace(proof, row={**proof.row, "more": 1}),
        replace(proof, table="parties"),
        replace(proof, table="none"),
    ]
    for one in forged:
        with pytest.raises(ExportError, match=r"is not proved|other columns|is not in the manifest"):
            one.verify()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "medproof-export"}, "format is not"),
        ({"version": 2}, "version is not 1"),
        ({"row": []}, "row is no JSON object"),
        ({"index": -1}, "index is no number"),
        ({"path": ["0x00"]}, "path.0 has not the form"),
        ({"path": ["0x" + "00" * 32] * 65}, "path is no list of at most 64"),
        ({"manifest": {}}, "format is missing"),
        ({"manifest": None}, "is no JSON object"),
        ({"more": 1}, "members that are not known"),
    ],
)
def test_what_is_no_proof(proof: RowProof, change: Any, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        RowProof.from_json(json.dumps({**proof.to_json(), **change}).encode())


def test_what_is_no_json() -> None:
    for text in (b"", b"{", b"[]", b"\xff", b'{"format":"medproof-export-row","version":1'):
        with pytest.raises(ExportError):
            RowProof.from_json(text)

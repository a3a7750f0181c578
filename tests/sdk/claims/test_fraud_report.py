"""The fraud report as it is made: on HL7's examples and a data set with all sorts of files in it."""

from __future__ import annotations

import json
import re
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from scripts import fraud_report
from tests.sdk.claims.bills import BILL
from tests.sdk.fhir.fhir_records import CLAIM, bundle, changed, needs_examples

MEMBER = {"identifier": {"system": "urn:members", "value": "MEMBER-77"}}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A data set: three claims, one that cannot be read, a truncated bundle, and what is no claim."""
    visits = [
        changed(
            CLAIM,
            id=f"c{number}",
            patient=MEMBER,
            insurer={"display": "Mutual"},
            billablePeriod={"start": f"2026-03-0{number}"},
            item=[changed(one, encounter=[{"reference": f"Encounter/e{number}"}]) for one in CLAIM["item"]],
        )
        for number in range(1, 4)
    ]
    lost = changed(visits[0], id="lost", patient={"display": "MEMBER-88"})
    text = json.dumps(bundle(*visits, lost), default=str)
    path = tmp_path / "clinic.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("bundle.json", re.sub(r'"(125\.00)"', r"\1", text))
        file.writestr("truncated.json", text[:300])
        file.writestr("readme.txt", "not looked at")
        file.writestr("truncated.837", b"ISA*00*")
    return path


@needs_examples
def test_report_is_one_file_with_every_figure_and_nothing_of_a_claim(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "reports"
    assert fraud_report.main([str(archive), "--out", str(out), "--seed", "3"]) == 0
    said = json.loads((out / "fraud.json").read_text(encoding="utf-8"))
    examples, clinic = said["data"]
    assert (said["seed"], examples["name"], clinic["name"]) == (3, "HL7's examples", "clinic")
    assert (examples["claims"], clinic["claims"]) == (10, 3)
    for one in said["data"]:
        assert one["met"] is True
        assert one["anchoredAndProven"] == one["claims"]
        assert one["hard"] == {"recall": "1.0000", "falsePositives": 0}
        assert one["soft"]["recall"] == "1.0000"
        assert one["kinds"]["exact duplicate"]["refused"] == one["claims"]
    assert sum(clinic["unread"].values()) == 3
    html = (out / "fraud.html").read_text(encoding="utf-8")
    assert "<svg" in html
    assert not re.search(
        r"(src|href)=[\"'](?!#)|url\(\s*['\"]?(?!#)|@import|<script", html
    )  # but for what is in the file itself
    assert "All targets are met." in html
    printed = capsys.readouterr().out
    for text in (html, json.dumps(said), printed):
        assert "MEMBER-" not in text
        assert "2026-03-0" not in text


def trial(**changes: object) -> fraud_report.Trial:
    made = fraud_report.Trial(
        "x",
        fraud_report.Selection((), {}, fraud_report.Counter()),
        fraud_report.Counter(),
        fraud_report.FraudReport(),
        0.0,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def test_missed_target_is_told() -> None:
    assert trial(proven=1, selection=one_claim()).met
    assert not trial(proven=0, selection=one_claim()).met
    assert not trial().met  # nothing was found to try it on
    for kind, tally in (
        (fraud_report.Kind.EXACT, fraud_report.Tally(bills=100, refused=99)),
        (fraud_report.Kind.REPEAT, fraud_report.Tally(bills=100, refused=1)),
        (fraud_report.Kind.OTHER_CODES, fraud_report.Tally(bills=1000, refused=500, flagged=494)),
    ):
        report = fraud_report.FraudReport()
        report.tallies[kind] = tally
        missed = trial(proven=1, selection=one_claim(), report=report)
        assert not missed.met
        assert "Targets are missed." in fraud_report.page([missed], 1)


def one_claim() -> fraud_report.Selection:
    return fraud_report.Selection((BILL,), {}, fraud_report.Counter())


def test_broken_archive_is_refused(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = bytearray(archive.read_bytes())
    broken[60:90] = bytes(30)
    (tmp_path / "broken.zip").write_bytes(broken)
    with pytest.raises(SystemExit) as caught:
        fraud_report.main([str(tmp_path / "broken.zip"), "--out", str(tmp_path)])
    assert caught.value.code == 2
    assert "cannot be read" in capsys.readouterr().err


def test_data_set_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        fraud_report.main([str(tmp_path / "none.zip")])
    assert caught.value.code == 2
    assert "none.zip is not there" in capsys.readouterr().err

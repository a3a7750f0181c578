"""The tables of docs/prescriptions.md are the package's and the benchmark's."""

from __future__ import annotations

import json
import re

from medproof.policy.prescription import PRESCRIPTION_LAYOUT
from scripts.local_chain import ROOT

DOCUMENT = ROOT / "docs" / "prescriptions.md"
OPERATIONS = {
    "issue": "prescription_issue",
    "a fill, again on one day": "prescription_fill_next",
    "a fill, the first of a day": "prescription_fill_next_day",
    "a fill, signed and relayed": "prescription_fill_signed",
    "issue in a batch of 100, each": "prescription_issue_batch_100_each",
    "the first fills of such a batch, each": "prescription_fill_batch_100_each",
    "its next fills, each": "prescription_fill_batch_next_100_each",
    "a change of the pharmacy, signed by the patient": "prescription_choose_signed",
    "a transfer, signed by one pharmacy": "prescription_transfer",
}


def test_the_page_gives_every_field_its_width() -> None:
    rows = re.findall(r"^\| ([\d +]+) \| ([\w, ]+) \| ", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    said = {
        name: int(width)
        for widths, names in rows
        for width, name in zip(widths.split(" + "), names.split(", "), strict=True)
    }

    assert said == {field.name: field.width for field in PRESCRIPTION_LAYOUT}


def test_the_page_has_the_figures_that_were_measured() -> None:
    measured = json.loads((ROOT / "bench" / "results" / "gas.json").read_text(encoding="utf-8"))["operations"]
    rows = re.findall(r"^\| ([^|]+) \| ([\d,]+) \|$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)

    assert dict(rows) == {said: f"{measured[name]['gas']:,}" for said, name in OPERATIONS.items()}

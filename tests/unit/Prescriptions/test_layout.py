"""The layout of the Solidity source is that of the Python package, read from the source."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from medproof.policy.prescription import LAST_BATCH_FILLS, PRESCRIPTION_FIELDS, PRESCRIPTION_LAYOUT

CONTRACTS = Path(__file__).parents[3] / "contracts"
LIBRARY = (CONTRACTS / "libraries" / "PrescriptionWord.sol").read_text(encoding="utf-8")
CONTRACT = (CONTRACTS / "Prescriptions.sol").read_text(encoding="utf-8")


def constants(source):
    """Every constant of a source, computed."""
    found: dict[str, int] = {}
    for name, expression in re.findall(r"uint256 \w+ constant (\w+) =\s*([^;]+);", source):
        found[name] = eval(f"({expression})", {"__builtins__": {}}, found)
    return found


@pytest.mark.spec("F1")
def test_fields_are_the_packages():
    found = constants(LIBRARY)
    names = {
        "QUANTITY": "quantity",
        "FILLS": "fills",
        "VALID_UNTIL": "validUntil",
        "SEQUENCE": "sequence",
        "NUMBER": "number",
        "FILLED": "filled",
        "CHECKED_ON": "checkedOn",
    }
    assert {names[name]: found[name] for name in names} == {
        name: PRESCRIPTION_FIELDS[name].offset for name in names.values()
    }
    for name in ("cancelled", "held", "batch"):
        assert found[name.upper()] == PRESCRIPTION_FIELDS[name].mask
    assert found["PROGRESS"] == PRESCRIPTION_FIELDS["number"].mask | PRESCRIPTION_FIELDS["filled"].mask
    assert constants(CONTRACT) == {"OPENED": LAST_BATCH_FILLS + 1, "PLACES": 64}


@pytest.mark.spec("F1")
def test_fields_follow_each_other_without_gaps():
    assert [field.offset for field in PRESCRIPTION_LAYOUT] == [
        sum(field.width for field in PRESCRIPTION_LAYOUT[:place]) for place in range(len(PRESCRIPTION_LAYOUT))
    ]

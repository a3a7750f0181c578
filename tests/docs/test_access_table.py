"""docs/security.md says who may call each function that changes something, and speaks of no other."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path

import pytest

from medproof.artifacts import CONTRACTS

SECURITY = Path(__file__).resolve().parents[2] / "docs" / "security.md"
EVERY = "each that takes signatures"


def table() -> dict[str, set[str]]:
    """The functions of the access table, by the first cell that stands above them."""
    rows = re.findall(
        r"^\|(.*?)\|(.*?)\|.*\|$", SECURITY.read_text(encoding="utf-8").split("## Who is trusted")[0], re.M
    )
    found: dict[str, set[str]] = {}
    above = ""
    for first, functions in rows:
        above = first.strip() or above
        for contract in re.findall(r"`(\w+)`", above) or [above]:
            found.setdefault(contract, set()).update(re.findall(r"`(\w+)`", functions))
    return found


@pytest.mark.parametrize("contract", sorted(set(CONTRACTS) - {"Authority"}))
def test_every_function_that_changes_something_is_in_the_access_table(contract):
    abi = json.loads((files("medproof") / "abi" / f"{contract}.json").read_text())["abi"]
    functions = {
        item["name"] for item in abi if item.get("stateMutability") == "nonpayable" and item["type"] == "function"
    }
    everywhere = table()[EVERY]

    assert table()[contract] == functions - everywhere
    assert functions & everywhere == (everywhere if contract != "Registrar" else set())

"""The layout of the Solidity source is that of the Python package, read from the source."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from medproof.policy.codes import DataClass
from medproof.policy.device import DEVICE_FIELDS, DEVICE_LAYOUT, LAST_DEVICE_SEQUENCE

SOURCE = (Path(__file__).parents[3] / "contracts" / "libraries" / "DeviceWord.sol").read_text(encoding="utf-8")


def constants():
    """Every constant of DeviceWord.sol, computed from its source."""
    found: dict[str, int] = {}
    for name, expression in re.findall(r"uint256 \w+ constant (\w+) =\s*([^;]+);", SOURCE):
        assert re.fullmatch(r"[\w\s<|()]+", expression)
        found[name] = eval(f"({expression})", {"__builtins__": {}}, found)
    return found


@pytest.mark.spec("E2")
def test_fields_are_the_packages():
    found, fields = constants(), DEVICE_FIELDS

    assert (found["CLASSES"], found["VALID_FROM"], found["VALID_UNTIL"]) == tuple(
        fields[name].offset for name in ("classes", "validFrom", "validUntil")
    )
    assert fields["sequence"].mask == found["LAST_SEQUENCE"] == LAST_DEVICE_SEQUENCE
    assert found["MINUTES"] << found["VALID_FROM"] == fields["validFrom"].mask
    assert found["KEPT"] == fields["validFrom"].mask | fields["validUntil"].mask
    assert found["ALL_CLASSES"] == DataClass.ALL
    assert found["END"] == sum(field.width for field in DEVICE_LAYOUT)


@pytest.mark.spec("E2")
def test_fields_follow_each_other_without_gaps():
    assert [field.offset for field in DEVICE_LAYOUT] == [
        sum(field.width for field in DEVICE_LAYOUT[:place]) for place in range(len(DEVICE_LAYOUT))
    ]

"""The bench of exports measures what it says, in small; what is committed of it is of a million rows."""

from __future__ import annotations

import json

import pytest

from bench import exports


@pytest.mark.parametrize("kind", exports.FORMATS)
def test_each_format_is_measured(kind: str) -> None:
    found = exports.measure(kind, 3000, 1)
    assert 2000 < found["rows"] < 4000
    assert found["bytes"] > found["rows"]
    assert found["seconds"] > 0
    assert found["memory_peak"] >= found["memory_before"] > 0
    assert ("arrow_alone_seconds" in found) == (kind == "parquet")


def test_what_is_committed() -> None:
    said = json.loads(exports.RESULTS.read_text(encoding="utf-8"))
    assert set(said["formats"]) == set(exports.FORMATS)
    for one in said["formats"].values():
        assert abs(one["rows"] - exports.ROWS) < exports.ROWS / 100
        assert len(one["seconds_of_each_run"]) >= 3

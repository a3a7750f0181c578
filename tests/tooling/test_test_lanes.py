"""What the end of a run says of its lanes."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import test as lanes
from scripts.local_chain import ROOT
from scripts.test import Lane

REPORT = """<testsuites><testsuite tests="4" failures="1" errors="1" skipped="1">
<testcase classname="tests.unit.Registrar.test_remove" name="test_removes"/>
<testcase classname="tests.unit.Registrar.test_remove" name="test_twice[a-b]"><failure message="no"/></testcase>
<testcase classname="tests.sdk.test_chain" name="test_waits"><error message="no chain"/></testcase>
<testcase classname="tests.sdk.test_chain" name="test_data"><skipped message="no data"/></testcase>
</testsuite></testsuites>"""


@pytest.fixture
def lane(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Lane:
    monkeypatch.setattr(lanes, "REPORTS", tmp_path)
    lane = Lane("contracts", ("tests/unit",), exit_code=1)
    lane.report.write_text(REPORT)
    return lane


def test_a_lane_counts_what_passed_failed_and_was_skipped(lane: Lane) -> None:
    assert lane.summary() == "contracts  1 passed, 2 failed, 1 skipped, 0 s: FAILED (exit code 1)"


def test_a_lane_that_failed_names_the_tests(lane: Lane) -> None:
    assert lane.failed() == ["tests/unit/Registrar/test_remove::test_twice[a-b]", "tests/sdk/test_chain::test_waits"]


def test_a_lane_that_passed_or_wrote_nothing_names_none(lane: Lane) -> None:
    lane.exit_code = 0
    assert lane.failed() == []
    lane.exit_code = 2
    lane.report.unlink()
    assert lane.failed() == []


def test_every_test_is_in_one_lane() -> None:
    folders = [folder for lane in lanes.lanes(deep=False, coverage=False) for folder in lane.present()]
    own = ("tests/browser", "tests/engines", "tests/fuzz", "tests/network")  # have a command of their own
    for path in (ROOT / "tests").rglob("test_*.py"):
        name = path.relative_to(ROOT)
        holding = [one for one in (*folders, *own) if name.is_relative_to(one)]
        assert len(holding) == 1, (str(name), holding)


@pytest.mark.parametrize(("word", "topic"), [("python", "research"), ("python", "cli"), ("readers", "research")])
def test_a_topic_is_found_by_the_word_for_its_lane(
    word: str, topic: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(lanes, "REPORTS", tmp_path)
    monkeypatch.setattr(lanes, "compile_contracts", lambda: True)
    run: list[tuple[str, ...]] = []
    monkeypatch.setattr(lanes, "run_lane", lambda lane, runner, extra: run.append(tuple(lane.present())))
    assert lanes.main(["--lane", word, "--", f"tests/sdk/{topic}"]) == 0
    assert run == [(f"tests/sdk/{topic}",)]

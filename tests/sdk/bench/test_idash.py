"""The iDASH workload: a small one runs here with every answer right, and the committed figures are below their aims."""

from __future__ import annotations

import json

import pytest

from bench.idash import AIMS, RESULTS, measure, problems
from bench.workload import Oracle, PatientQuestion, Record, ResearcherQuestion, Shape, draw_questions, draw_records
from scripts.local_chain import ROOT

SMALL = Shape(
    sites=2, patients=6, studies=3, records=100, batch=20, one_by_one=40, questions=60, asked_of_the_contract=20, runs=1
)
BOTH = frozenset({"a", "b"})


def test_a_small_workload_is_answered_right() -> None:
    result = measure(SMALL)

    assert not [problem for problem in problems(result) if "wrong" in problem]
    assert [result["queries"][name]["questions"] for name in ("researcher", "patient", "contract")] == [60, 60, 20]
    assert result["queries"]["researcher"]["answers_each"] > 0.5
    assert result["queries"]["patient"]["answers_each"] > 0.5
    assert all(result["workload"][kind] > 0 for kind in ("new", "change", "revoke"))


def test_committed_figures_meet_their_aims() -> None:
    recorded = json.loads(RESULTS.read_text(encoding="utf-8"))

    assert problems(recorded) == []
    assert recorded["workload"]["records"] == Shape().records
    assert recorded["queries"]["researcher"]["questions"] == Shape().questions


def test_a_wrong_answer_and_a_missed_aim_are_named() -> None:
    recorded = json.loads(RESULTS.read_text(encoding="utf-8"))
    recorded["queries"]["patient"]["right"] -= 1
    recorded["gas"]["batches"]["each"] = AIMS["batches"] + 1

    assert problems(recorded) == ["batches is 30,001, above 30,000", "patient: 1 of 1000 answers are wrong"]


def test_the_documents_give_the_committed_figures() -> None:
    recorded = json.loads(RESULTS.read_text(encoding="utf-8"))
    gas, queries, better = recorded["gas"], recorded["queries"], recorded["times_better"]
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    for figure in (
        f"{gas['batches']['each']:,} gas a record in batches",
        f"{gas['one_by_one']['each']:,} one by one",
        f"{queries['researcher']['median_ms']:.2f} ms",
        f"{queries['patient']['median_ms']:.2f} ms",
    ):
        assert figure in readme
    document = (ROOT / "bench" / "README.md").read_text(encoding="utf-8")
    for label, ours, times in (
        ("gas a record, one by one", f"{gas['one_by_one']['each']:,}", better["one_by_one"]),
        ("gas a record, 100 in a transaction", f"{gas['batches']['each']:,}", better["batches"]),
        ("researcher's question, median", f"{queries['researcher']['median_ms']} ms", better["researcher"]),
        ("patient's question, median", f"{queries['patient']['median_ms']} ms", better["patient"]),
    ):
        [line] = (line for line in document.splitlines() if line.startswith(f"| {label} |"))
        cells = [cell.strip() for cell in line.split("|")[2:-1]]
        assert (cells[0], cells[2]) == (ours, f"{times}x"), label


def test_records_are_the_same_every_time() -> None:
    records = draw_records(SMALL)

    assert records == draw_records(SMALL)
    assert draw_questions(SMALL) == draw_questions(SMALL)
    assert len(records) == 100
    assert [record.time for record in records] == sorted(record.time for record in records)


def said(time: int, *, until: int | None = None, categories: frozenset[str] = BOTH, withdrawn: bool = False) -> Record:
    """What patient 1 said at site 0 about study 2."""
    return Record(1, 0, 2, time, until, categories, BOTH, withdrawn)


@pytest.mark.parametrize(
    ("records", "found"),
    [
        ([said(10)], True),
        ([said(20)], True),
        ([said(21)], False),
        ([said(10, categories=frozenset("b"))], False),
        ([said(10, until=21)], True),
        ([said(10, until=20)], False),
        ([said(10), said(11, withdrawn=True)], False),
        ([said(10), said(11, withdrawn=True), said(12)], True),
        ([said(10), said(11, categories=frozenset("b"))], False),
        ([said(10), said(21, withdrawn=True)], True),
    ],
)
def test_the_oracle(records: list[Record], found: bool) -> None:
    question = ResearcherQuestion(study=2, categories=frozenset("a"), elements=BOTH, time=20)

    assert Oracle(records).researcher(question) == ({(1, 0)} if found else set())
    for other in (1, 3):
        missed = ResearcherQuestion(study=other, categories=frozenset("a"), elements=BOTH, time=20)
        assert Oracle(records).researcher(missed) == set()


def test_the_oracle_of_a_patient() -> None:
    oracle = Oracle([said(10), said(11, categories=frozenset("b"))])

    assert oracle.patient(PatientQuestion(1, 10)) == {(0, 2, BOTH, BOTH)}
    assert oracle.patient(PatientQuestion(1, 11)) == {(0, 2, frozenset("b"), BOTH)}
    assert oracle.patient(PatientQuestion(2, 11)) == set()

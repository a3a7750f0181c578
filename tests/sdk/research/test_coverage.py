"""Coverage by code and terms, and how a study fits: against the rules read one by one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from medproof.errors import IndexTimeError, QuestionError
from medproof.indexer import IndexedDeployment
from medproof.policy.duo import Outcome, StudyUse
from medproof.research import Dataset
from medproof.research.coverage import FIELDS, coverage, fit
from tests.sdk.research.engine_cases import check_coverage, check_fit, covered
from tests.sdk.research.registry import fill, new_index


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IndexedDeployment]:
    index, found = new_index(tmp_path_factory.mktemp("index") / "index.db")
    fill(found, seed=4, blocks=160)
    yield found
    index.close()


@pytest.fixture(scope="module")
def dataset(indexed: IndexedDeployment) -> Iterator[Dataset]:
    with Dataset.of_index(indexed) as opened:
        yield opened


@pytest.mark.parametrize("by", [*FIELDS, "terms"])
def test_coverage_is_what_the_rules_say(by: str, dataset: Dataset, indexed: IndexedDeployment) -> None:
    check_coverage(dataset, indexed, [by], 25)


def test_refusals_take_from_it(dataset: Dataset, indexed: IndexedDeployment, monkeypatch: pytest.MonkeyPatch) -> None:
    net = covered(indexed, "class", dataset.block.number)
    monkeypatch.setattr("tests.sdk.research.engine_cases.meets", lambda permit, refusal: False)
    gross = covered(indexed, "class", dataset.block.number)
    assert net != gross
    assert all(net[code] <= gross[code] for code in net)


def test_codes_come_in_the_order_of_their_list(dataset: Dataset) -> None:
    found = coverage(dataset, "class")
    assert [one.code for one in found] == [code.code for code in FIELDS["class"][1]]
    assert found[2].display == "Laboratory results"


def test_terms_come_with_their_hash(dataset: Dataset) -> None:
    found = {one.code: one.display for one in coverage(dataset, "terms")}
    assert found["1"] == "0x" + "07" * 32
    assert found["0"] == "none named"
    assert found["2"] == "none published"


STUDIES = (
    StudyUse(health=True),
    StudyUse(general=True, publishes=True, collaborates=True),
    StudyUse(diseases=frozenset({"MONDO:0005148"}), publishes=True, collaborates=True),
    StudyUse(ancestry=True, for_profit=True),
)


@pytest.mark.parametrize("study", STUDIES, ids=["health", "general", "disease", "profit"])
def test_each_permit_is_compared(study: StudyUse, dataset: Dataset, indexed: IndexedDeployment) -> None:
    check_fit(dataset, indexed, study, 40)


def test_every_outcome_occurs(dataset: Dataset) -> None:
    found = [fit(dataset, study) for study in STUDIES]
    for outcome in Outcome:
        assert any(one.rules[outcome] for one in found), outcome


def test_nothing_to_compare(dataset: Dataset) -> None:
    found = fit(dataset, STUDIES[0], block=dataset.first)
    assert set(found.rules.values()) == set(found.subjects.values()) == {0}
    assert found.terms == ()
    assert {one.subjects for one in coverage(dataset, "class", block=dataset.first)} == {0}
    assert coverage(dataset, "terms", block=dataset.first) == ()


@pytest.mark.parametrize("by", ["classes", "", "class; DROP TABLE rules", "deny"])
def test_a_list_that_is_none(by: str, dataset: Dataset) -> None:
    with pytest.raises(QuestionError, match="Name one of purpose, class"):
        coverage(dataset, by)


def test_a_block_to_come(dataset: Dataset) -> None:
    for ask in (lambda: coverage(dataset, "duo", block=10**9), lambda: fit(dataset, STUDIES[0], block=10**9)):
        with pytest.raises(IndexTimeError):
            ask()

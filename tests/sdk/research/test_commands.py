"""`medproof research`: the same numbers as the library, small ones hidden, in each form; what it refuses."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from medproof.cli.app import app
from medproof.client.registrar import EVERYONE
from medproof.indexer import Index, IndexedDeployment
from medproof.policy.codes import (
    Action,
    CareSetting,
    Condition,
    DataClass,
    PartyKind,
    Purpose,
    ResearchUse,
    Sensitivity,
)
from medproof.policy.duo import StudyUse
from medproof.policy.word import Rule
from medproof.research import Dataset, Question, cohort
from medproof.research.coverage import coverage, fit
from medproof.research.flows import flow, lag
from medproof.research.periods import Every
from tests.sdk.cli.conftest import Run, Said, put_together_once  # noqa: F401 - a fixture
from tests.sdk.research.registry import REQUESTS, SUBJECTS, address, block_time, deployment_of, fill, new_index

ASKED = (
    *("--kind", "provider", "--group", "group:3", "--group", "group:4", "--purpose", "TREAT", "--class", "laboratory"),
    *("--condition", "C00-D49", "--sensitivity", "NONE_LABELLED", "--setting", "AMB", "--action", "access"),
)
QUESTION = Question(REQUESTS[0], kind=PartyKind.PROVIDER, groups=(3, 4))
SHOWN = ("--no-suppression", "for this test")
REGISTRY = ("chain", "authority", "block", "moment", "suppression")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an index and its data set."""
    return tmp_path_factory.mktemp("registry")


@pytest.fixture(scope="module")
def indexed(place: Path) -> Iterator[IndexedDeployment]:
    index, found = new_index(place / "index.db")
    chance = fill(found, seed=8, blocks=160, subjects=SUBJECTS)
    open_to_all = Rule(
        *(codes["ALL"] for codes in (Purpose, DataClass, Condition, Sensitivity, CareSetting, Action, PartyKind)),
        valid_from=block_time(chance.block).replace(second=0),
        research=ResearchUse(ResearchUse.PERMISSIONS),
    )
    for number in range(20):
        chance.write(address("more", number), EVERYONE, open_to_all)
    chance.mine()
    for number in range(12):
        chance.revoke(address("more", number), EVERYONE, 0)
    chance.mine()
    for number in range(20, 25):
        chance.write(address("more", number), EVERYONE, replace(open_to_all, terms=3))
    chance.mine()
    yield found
    index.close()


@pytest.fixture(scope="module")
def dataset(indexed: IndexedDeployment) -> Iterator[Dataset]:
    with Dataset.of_index(indexed) as opened:
        yield opened


@pytest.fixture
def research(place: Path, indexed: IndexedDeployment, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`research("count", …)`: a command line, where the index is."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("MEDPROOF_INDEX", "index.db")
    monkeypatch.setenv("COLUMNS", "200")

    def command_line(*arguments: object, answer: str | None = None) -> Said:
        result = CliRunner().invoke(app, ["research", *map(str, arguments)], input=answer)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return Said(result.exit_code, result.stdout, result.stderr)

    return command_line


def rows(said: Said) -> list[dict[str, str]]:
    assert said.code == 0, said.err
    return list(csv.DictReader(io.StringIO(said.out)))


# -- cohorts ----------------------------------------------------------------------------------------------------------


def test_count_in_each_form(research: Run, dataset: Dataset) -> None:
    wanted = cohort(dataset, QUESTION).count()
    assert wanted >= 11
    said = research("count", *ASKED)
    assert said.out == f"{wanted} subjects consent to it, as of block {dataset.block.number} ({moment(dataset)}).\n"
    assert rows(research("count", *ASKED, "--csv")) == [
        {"subjects": str(wanted), "block": str(dataset.block.number), "moment": moment(dataset)}
    ]
    assert str(wanted) in research("count", *ASKED, "--table").out
    document = research("count", *ASKED, "--json").document
    assert document["subjects"] == wanted
    assert [document[name] for name in REGISTRY[:3]] == [1337, document["authority"], dataset.block.number]
    assert document["authority"].lower() == dataset.authority
    assert document["suppression"] == {"threshold": 11, "off": None}


def moment(dataset: Dataset) -> str:
    return dataset.as_of().moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_small_count_is_hidden_unless_a_reason_is_given(research: Run, dataset: Dataset) -> None:
    few = replace(QUESTION, terms=3)
    wanted = cohort(dataset, few).count()
    assert 0 < wanted < 11
    asked = (*ASKED, "--terms", "3")
    assert research("count", *asked).out.startswith("<11 subjects consent")
    assert research("count", *asked, "--json").document["subjects"] == "<11"
    assert research("count", *asked, "--json", *SHOWN).document["subjects"] == wanted
    assert research("count", *asked, "--json", "--threshold", "2").document["subjects"] == wanted
    assert research("count", *asked, "--no-suppression", "no").code == 2
    refused = research("list", *asked)
    assert (refused.code, refused.out) == (2, "")
    assert "fewer than 11" in refused.err
    assert str(wanted) not in refused.err.replace("11", "")
    assert len(research("list", *asked, "--json", *SHOWN).document["subjects"]) == wanted


def test_list(research: Run, dataset: Dataset) -> None:
    wanted = set(cohort(dataset, QUESTION).subjects().select("subject").to_pyarrow()["subject"].to_pylist())
    assert {row["subject"].lower() for row in rows(research("list", *ASKED, "--csv"))} == wanted
    assert {one.lower() for one in research("list", *ASKED, "--json").document["subjects"]} == wanted


def test_as_of_a_block_a_time_and_a_moment(research: Run, dataset: Dataset) -> None:
    block = sorted(dataset.table("blocks").block.to_pyarrow().to_pylist())[60]
    then = dataset.as_of(block=block).moment
    last = dataset.as_of().moment
    for options, known in (
        (("--block", block), {"block": block}),
        (("--at", then.isoformat()), {"at": then}),
        (("--moment", then.isoformat()), {"moment": then}),
        (
            ("--block", block, "--moment", last.isoformat()),
            {"block": block, "moment": last},
        ),
    ):
        found = research("count", *ASKED, *options, *SHOWN, "--json").document["subjects"]
        assert found == cohort(dataset, QUESTION, **known).count()  # type: ignore[arg-type]


def test_the_data_set_answers_as_the_index_does(research: Run, place: Path) -> None:
    written = research("dataset", "parquet", "--json")
    assert written.document["tables"]["rules"]["rows"] > 100
    assert research("dataset", "parquet").out.startswith("Written to parquet: ")
    for command in (("count", *ASKED), ("flow", "--every", "day"), ("coverage", "--by", "duo"), ("lag",)):
        from_index = research(*command, "--json", *SHOWN)
        assert research(*command, "--json", *SHOWN, "--dataset", "parquet").document == from_index.document


# -- how consent moves ------------------------------------------------------------------------------------------------


def test_flow_and_churn(research: Run, dataset: Dataset) -> None:
    wanted = flow(dataset, QUESTION, every=Every.DAY)
    document = research("flow", *ASKED, "--every", "day", "--json", *SHOWN).document
    names = ("granted", "changed", "revoked", "lapsed", "new_subjects", "joined", "withdrew", "ran_out", "standing")
    assert [[one[name] for name in (*names, "at_start")] for one in document["periods"]] == [
        [getattr(one, name) for name in (*names, "at_start")] for one in wanted
    ]
    found = rows(research("flow", *ASKED, "--every", "day", "--csv", *SHOWN))
    assert [row["standing"] for row in found] == [str(one.standing) for one in wanted]
    shares = rows(research("churn", *ASKED, "--every", "day", "--csv", *SHOWN))
    assert [row["churn"] for row in shares] == ["-" if one.churn is None else f"{one.churn:.4f}" for one in wanted]
    assert [row["day"] for row in shares] == [one.start.date().isoformat() for one in wanted]
    since = research("flow", "--every", "day", "--since", wanted[-1].start.isoformat(), "--csv")
    assert len(rows(since)) == 1


def test_no_period_gives_a_small_count_away(research: Run, dataset: Dataset) -> None:
    few = (*ASKED, "--terms", "3", "--every", "day")
    open_periods = research("flow", *few, "--json", *SHOWN).document["periods"]
    periods = research("flow", *few, "--json").document["periods"]
    small = [
        (number, name)
        for number, one in enumerate(open_periods)
        for name, count in one.items()
        if isinstance(count, int) and 0 < count < 11
    ]
    assert small
    assert all(isinstance(periods[number][name], str) for number, name in small)
    assert all(
        one["churn"] is None
        for one in research("churn", *few, "--json").document["periods"]
        if isinstance(one["withdrew"], str)
    )


def test_lag(research: Run, dataset: Dataset) -> None:
    wanted = lag(dataset)
    assert wanted.revoked is not None
    shown = research("lag", "--json", *SHOWN).document
    lengths = {name: length.total_seconds() for name, length in asdict(wanted.revoked).items() if name != "count"}
    assert shown["revoked"] == {"rules": wanted.revoked.count, **lengths}
    assert (shown["lapsed"], shown["open"]) == ({"rules": wanted.lapsed}, {"rules": wanted.open})
    hidden = research("lag", "--json").document
    assert "least" not in hidden["revoked"]
    assert "most" not in hidden["revoked"]
    assert hidden["revoked"]["median"] == shown["revoked"]["median"]
    assert "median" not in research("lag", "--threshold", "1000000", "--json").document["revoked"]
    assert "from grant to withdrawal" in research("lag").out


# -- what consent covers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["class", "duo", "terms"])
def test_coverage(by: str, research: Run, dataset: Dataset) -> None:
    wanted = [(one.code, str(one.subjects)) for one in coverage(dataset, by)]
    found = rows(research("coverage", "--by", by, "--csv", *SHOWN))
    assert [(row[by], row["subjects"]) for row in found] == wanted
    assert [one["code"] for one in research("coverage", "--by", by, "--json").document["codes"]] == [
        code for code, _ in wanted
    ]


def test_match(research: Run, dataset: Dataset, place: Path) -> None:
    (place / "study.json").write_text(json.dumps({"health": True}))
    wanted = fit(dataset, StudyUse(health=True))
    document = research("match", "study.json", "--json", *SHOWN).document
    assert {name: one["rules"] for name, one in document["outcomes"].items()} == {
        outcome.value: count for outcome, count in wanted.rules.items()
    }
    assert [(one["term"], one["rules"]) for one in document["terms"]] == [(one.term, one.rules) for one in wanted.terms]
    assert "work together with the original investigators" in research("match", "study.json").out


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("count", "--purpose", "TREAT"), "--party"),
        (("count", *ASKED, "--party", "0x" + "11" * 20), "Name one of them"),
        (("count", "--party", "0x12"), "is no address"),
        (("count", "--party", "0x" + "99" * 20), "no party was ever accredited"),
        (("count", "--kind", "provider; DROP TABLE rules"), "provider; DROP TABLE rules"),
        (("count", "--kind", "provider", "--group", "group:7' OR 1=1"), "--group"),
        (("count", "--kind", "provider", "--purpose", "WAR"), "WAR"),
        (("count", "--kind", "provider", "--terms", "99999"), "terms"),
        (("count", *ASKED, "--block", "999999999"), "does not know what stood at block 999999999"),
        (("count", *ASKED, "--block", "1"), "does not know"),
        (("count", *ASKED, "--at", "2999-01-01"), "does not know"),
        (("count", *ASKED, "--at", "yesterday"), "is no time"),
        (("count", *ASKED, "--at", "2026-01-01T08:00"), "has no zone"),
        (("count", *ASKED, "--chain", "5"), "keeps no such deployment"),
        (("count", *ASKED, "--authority", "0x" + "11" * 20), "keeps no such deployment"),
        (("count", *ASKED, "--dataset", "nowhere"), "nowhere"),
        (("count", *ASKED, "--threshold", "0"), "threshold"),
        (("count", *ASKED, "--csv", "--json"), "Choose one of"),
        (("flow", "--every", "year"), "year"),
        (("flow", "--since", "soon"), "is no time"),
        (("flow", "--purpose", "TREAT"), "--party"),
        (("coverage", "--by", "deny"), "deny"),
        (("match", "nothing.json"), "nothing.json"),
    ],
    ids=lambda value: " ".join(map(str, value[-2:])) if isinstance(value, tuple) else "",
)
def test_what_it_refuses(arguments: tuple[Any, ...], said: str, research: Run) -> None:
    refused = research(*arguments)
    assert (refused.code, refused.out) == (2, "")
    assert said in refused.err


def test_no_index(research: Run, monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    assert "is not there" in research("count", *ASKED, "--index", "other.db").err
    assert not (place / "other.db").exists()
    (place / "text.db").write_text("this is no database, and long enough to be none at all" * 40)
    assert research("count", *ASKED, "--index", "text.db").code == 2
    monkeypatch.delenv("MEDPROOF_INDEX")
    missing = research("count", *ASKED)
    assert (missing.code, "--index is missing" in missing.err) == (2, True)


def test_several_deployments_are_told_apart(research: Run, place: Path, indexed: IndexedDeployment) -> None:
    index = Index(place / "two.db")
    for chain in (1, 2):
        other = index.indexed(deployment_of(chain), bytes(32))
        fill(other, seed=chain, blocks=3)
    index.close()
    assert "keeps more than one deployment (chain 1, authority 0x" in research("flow", "--index", "two.db").err
    assert research("flow", "--index", "two.db", "--chain", "2", "--json").document["chain"] == 2


def test_every_command_shows_an_example(research: Run) -> None:
    for name in ("count", "list", "flow", "churn", "lag", "coverage", "match", "dataset"):
        assert f"Example: medproof research {name}" in " ".join(research(name, "--help").out.split())

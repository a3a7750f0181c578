"""Flow, churn, lag and sizes, against a replay of the index's events in plain Python."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from medproof.errors import IndexTimeError, QuestionError
from medproof.indexer import IndexedDeployment
from medproof.policy.codes import PartyKind
from medproof.policy.word import Rule
from medproof.research import Dataset
from medproof.research.cohort import Question, cohort
from medproof.research.flows import Lag, flow, lag, sizes
from medproof.research.periods import Every, Period
from tests.sdk.research import registry
from tests.sdk.research.registry import PARTIES, REQUESTS, fill, new_index
from tests.sdk.research.replay import Asked, changes, expected, replay, spread

QUESTIONS = (
    None,
    Question(REQUESTS[0], kind=PartyKind.PROVIDER, groups=(3,)),
    Question(REQUESTS[3], kind=PartyKind.RESEARCHER, groups=(3, 4)),
    Question(REQUESTS[0], kind=PartyKind.RESEARCHER, groups=(3, 4), terms=1),
)


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IndexedDeployment]:
    """A registry of some months, in which rules last for days."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "STEP", timedelta(hours=9, minutes=7, seconds=13))
        original = registry.chance_rule

        def stretched(draw: random.Random, block: int) -> Rule:
            rule = original(draw, block)
            now = registry.block_time(block).replace(second=0)
            until = None if rule.valid_until is None else now + 90 * (rule.valid_until - now)
            return dataclasses.replace(rule, valid_from=now + 40 * (rule.valid_from - now), valid_until=until)

        patch.setattr(registry, "chance_rule", stretched)
        index, indexed = new_index(tmp_path_factory.mktemp("slow") / "index.db", chain=7)
        fill(indexed, seed=11, blocks=340)
        yield indexed
        index.close()


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IndexedDeployment]:
    """A registry of a day and a half, in which the parties change, too."""
    index, indexed = new_index(tmp_path_factory.mktemp("quick") / "index.db")
    fill(indexed, seed=5, blocks=220)
    yield indexed
    index.close()


@pytest.fixture(scope="module")
def slow_dataset(slow: IndexedDeployment) -> Iterator[Dataset]:
    with Dataset.of_index(slow) as opened:
        yield opened


@pytest.fixture(scope="module")
def quick_dataset(quick: IndexedDeployment) -> Iterator[Dataset]:
    with Dataset.of_index(quick) as opened:
        yield opened


def last_moment(dataset: Dataset) -> datetime:
    return datetime.fromtimestamp(dataset.block.time, UTC)


# -- flow -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("question", QUESTIONS, ids=("any", "treatment", "research", "terms"))
@pytest.mark.parametrize("every", Every)
def test_flow_is_what_the_events_tell(
    every: Every, question: Question | None, slow: IndexedDeployment, slow_dataset: Dataset
) -> None:
    until = last_moment(slow_dataset)
    told = replay(changes(slow), Asked(question), every, until)
    found = flow(slow_dataset, question, every=every)
    assert list(found) == expected(told, every, until)
    assert any(one.granted for one in found)


def test_each_kind_of_event_happens_in_what_is_tested(slow: IndexedDeployment, slow_dataset: Dataset) -> None:
    found = [one for question in QUESTIONS for one in flow(slow_dataset, question, every=Every.WEEK)]
    for name in ("granted", "changed", "revoked", "lapsed", "new_subjects", "joined", "withdrew", "ran_out"):
        assert any(getattr(one, name) for one in found), name


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_up_to_a_block_nothing_later_is_known(share: float, slow: IndexedDeployment, slow_dataset: Dataset) -> None:
    kept = sorted({change.block for change in changes(slow)})
    block = kept[int(len(kept) * share)]
    told = changes(slow, block)
    until = told[-1].time
    for question in QUESTIONS:
        replayed = replay(told, Asked(question), Every.WEEK, until)
        assert list(flow(slow_dataset, question, every=Every.WEEK, block=block)) == expected(
            replayed, Every.WEEK, until
        )
    assert flow(slow_dataset, at=until) == flow(slow_dataset, block=block)


def test_the_clock_goes_on_after_the_last_block_before_a_time(slow: IndexedDeployment, slow_dataset: Dataset) -> None:
    told = changes(slow)
    middle = told[len(told) // 2].time
    until = middle + timedelta(hours=3)
    before = [change for change in told if change.time <= until]
    replayed = replay(before, Asked(QUESTIONS[1]), Every.DAY, until)
    assert list(flow(slow_dataset, QUESTIONS[1], every=Every.DAY, at=until)) == expected(replayed, Every.DAY, until)


def test_since_cuts_and_keeps_who_stood(slow_dataset: Dataset) -> None:
    whole = flow(slow_dataset, QUESTIONS[1], every=Every.WEEK)
    cut = flow(slow_dataset, QUESTIONS[1], every=Every.WEEK, since=whole[5].start + timedelta(days=3))
    assert cut == whole[5:]
    assert cut[0].at_start == whole[4].standing > 0
    early = flow(slow_dataset, QUESTIONS[1], every=Every.WEEK, since=datetime(1, 1, 1, tzinfo=UTC))
    assert early[-len(whole) :] == whole
    assert early[0].start == Every.WEEK.start(registry.START)
    assert [one.standing for one in early[: -len(whole)]] == [0] * (len(early) - len(whole))
    assert flow(slow_dataset, QUESTIONS[1], since=datetime(9999, 1, 1, tzinfo=UTC)) == ()


def test_churn_is_the_share_that_withdrew() -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    period = Period(start, Every.MONTH.next(start), joined=3, withdrew=2, ran_out=1, standing=8)
    assert (period.at_start, period.churn) == (8, 0.25)
    assert Period(start, start, joined=3, standing=3).churn is None


def test_periods_follow_the_calendar() -> None:
    moment = datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert Every.MONTH.next(Every.MONTH.start(moment)) == datetime(2027, 1, 1, tzinfo=UTC)
    assert Every.MONTH.next(datetime(2028, 1, 1, tzinfo=UTC)) == datetime(2028, 2, 1, tzinfo=UTC)
    assert Every.WEEK.start(moment) == datetime(2026, 12, 28, tzinfo=UTC)
    assert Every.DAY.start(datetime.fromisoformat("2027-01-01T00:30+01:00")) == datetime(2026, 12, 31, tzinfo=UTC)


# -- lag --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("question", QUESTIONS, ids=("any", "treatment", "research", "terms"))
def test_lag_is_what_the_events_tell(question: Question | None, slow: IndexedDeployment, slow_dataset: Dataset) -> None:
    told = replay(changes(slow), Asked(question), Every.MONTH, last_moment(slow_dataset))
    assert told.relayed
    assert lag(slow_dataset, question) == Lag(spread(told.revoked), told.open, told.lapsed, spread(told.relayed))


def test_lag_where_nothing_was_granted(slow_dataset: Dataset) -> None:
    nobody = Question(REQUESTS[0], kind=PartyKind.RESEARCHER, terms=4000)
    assert lag(slow_dataset, nobody) == Lag(None, 0, 0, None)


# -- a cohort over time -----------------------------------------------------------------------------------------------

PARTY_QUESTIONS = tuple(Question(request, party=party) for request in (REQUESTS[0], REQUESTS[3]) for party in PARTIES)


@pytest.mark.parametrize("question", [*QUESTIONS[1:], *PARTY_QUESTIONS[::2]], ids=str)
def test_sizes_are_what_the_cohorts_count(question: Question, quick_dataset: Dataset) -> None:
    blocks = sorted(quick_dataset.table("blocks").block.to_pyarrow().to_pylist())[::6]
    assert sizes(quick_dataset, question, blocks) == tuple(
        cohort(quick_dataset, question, block=block).count() for block in blocks
    )


def test_some_cohort_is_seen_to_grow_and_shrink(quick_dataset: Dataset) -> None:
    blocks = sorted(quick_dataset.table("blocks").block.to_pyarrow().to_pylist())
    found = [sizes(quick_dataset, question, blocks) for question in PARTY_QUESTIONS[::3]]
    steps = {b - a for one in found for a, b in pairwise(one)}
    assert min(steps) < 0 < max(steps)


def test_times_and_blocks_in_any_order(quick_dataset: Dataset) -> None:
    question, last = PARTY_QUESTIONS[0], last_moment(quick_dataset)
    between = last - timedelta(hours=20, seconds=100)
    blocks = sorted(quick_dataset.table("blocks").block.to_pyarrow().to_pylist())
    found = sizes(quick_dataset, question, [last, blocks[60], between, blocks[60]])
    assert found == (
        cohort(quick_dataset, question, at=last).count(),
        cohort(quick_dataset, question, block=blocks[60]).count(),
        cohort(quick_dataset, question, at=between).count(),
        cohort(quick_dataset, question, block=blocks[60]).count(),
    )
    assert sizes(quick_dataset, question, []) == ()


def test_as_of_two_blocks_of_one_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "STEP", timedelta(0))
    index, indexed = new_index(tmp_path / "index.db")
    fill(indexed, seed=2, blocks=200)
    with Dataset.of_index(indexed) as dataset:
        blocks = sorted(dataset.table("blocks").block.to_pyarrow().to_pylist())
        question = Question(REQUESTS[0], kind=PartyKind.PROVIDER, groups=(3, 4))
        found = sizes(dataset, question, blocks)
        assert found == tuple(cohort(dataset, question, block=block).count() for block in blocks)
        assert len(set(found)) > 2
    index.close()


def test_of_a_study_those_count_who_take_part_at_the_time(tmp_path: Path) -> None:
    study = b"\xab" * 32
    index, indexed = new_index(tmp_path / "index.db")
    chance = fill(indexed, seed=5, blocks=120)
    for sequence, choice in enumerate(("OptedIn", "OptedOut", "OptedIn", "OptedOut"), start=1):
        for subject in registry.SUBJECTS[: 20 - 4 * sequence]:
            chance.say("Studies", choice, study=study, subject=subject, sequence=sequence)
        chance.mine()
        chance.mine(3)
    with Dataset.of_index(indexed) as dataset:
        blocks = sorted(dataset.table("blocks").block.to_pyarrow().to_pylist())[-8:]
        found = []
        for kind in (PartyKind.PROVIDER, PartyKind.RESEARCHER):
            question = Question(REQUESTS[0], kind=kind, groups=(3, 4), study="0x" + study.hex())
            found.append(sizes(dataset, question, blocks))
            assert found[-1] == tuple(cohort(dataset, question, block=block).count() for block in blocks)
            periods = flow(dataset, question, every=Every.DAY)
            assert periods[-1].standing == found[-1][-1]
            assert sum(one.joined - one.withdrew - one.ran_out for one in periods) == found[-1][-1]
        steps = {after - before for one in found for before, after in pairwise(one)}
        assert min(steps) < 0 < max(steps)
    index.close()


# -- what is refused --------------------------------------------------------------------------------------------------


def test_what_is_not_known(quick_dataset: Dataset) -> None:
    question, last = QUESTIONS[1], quick_dataset.block.number
    assert question is not None
    for wrong in (last + 1, registry.FIRST - 1, last_moment(quick_dataset) + timedelta(seconds=1)):
        with pytest.raises(IndexTimeError):
            sizes(quick_dataset, question, [last, wrong])
    with pytest.raises(IndexTimeError):
        flow(quick_dataset, block=last + 1)
    with pytest.raises(IndexTimeError):
        lag(quick_dataset, at=registry.START - timedelta(days=1))
    with pytest.raises(QuestionError):
        sizes(quick_dataset, Question(REQUESTS[0], party="0x" + "99" * 20), [last])


def test_a_party_that_is_not_active_in_the_end_is_permitted_nothing(quick_dataset: Dataset) -> None:
    last = quick_dataset.as_of()
    away = [party for party in PARTIES if quick_dataset.parties.active(party, last) is None]
    question = Question(REQUESTS[0], party=away[0])
    assert [one.standing for one in flow(quick_dataset, question)] == [0]
    assert lag(quick_dataset, question) == Lag(None, 0, 0, None)
    blocks = sorted(quick_dataset.table("blocks").block.to_pyarrow().to_pylist())
    assert sizes(quick_dataset, question, blocks[-1:]) == (0,)


def test_an_empty_registry(tmp_path: Path) -> None:
    index, indexed = new_index(tmp_path / "index.db")
    fill(indexed, seed=1, blocks=0)
    with Dataset.of_index(indexed) as dataset:
        [only] = flow(dataset)
        assert only == Period(Every.MONTH.start(registry.START), Every.MONTH.next(Every.MONTH.start(registry.START)))
        assert lag(dataset) == Lag(None, 0, 0, None)
        assert sizes(dataset, PARTY_QUESTIONS[0], [dataset.block.number]) == (0,)
    index.close()

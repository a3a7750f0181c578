"""Cohorts against the index's view, which decides as the contract does."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from pathlib import Path

import pytest

from medproof.client.registrar import EVERYONE, group_grantee
from medproof.errors import IndexTimeError, QuestionError, RuleFieldError
from medproof.indexer import IndexedDeployment, view
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
from medproof.policy.word import Request, Rule
from medproof.research import Dataset, Question, cohort
from tests.sdk.research.cases import cases, standing
from tests.sdk.research.registry import GROUPS, PARTIES, REQUESTS, SUBJECTS, Registry, block_time, new_index

FIRST_PARTY = next(iter(PARTIES))


def subjects(dataset: Dataset, question: Question, **as_of: object) -> set[str]:
    """Who consents, counted and listed."""
    found = cohort(dataset, question, **as_of)  # type: ignore[arg-type]
    listed = found.subjects().to_pyarrow().to_pylist()
    assert [row["subject_number"] for row in listed] == sorted(row["subject_number"] for row in listed)
    assert found.count() == len(listed)
    return {row["subject"] for row in listed}


def test_every_question_as_of_blocks_and_moments(dataset: Dataset, indexed: IndexedDeployment) -> None:
    answers = set()
    for case in cases(indexed, every=53 if dataset.engine.name == "duckdb" else 97):
        count = cohort(dataset, case.question, block=case.block, moment=case.moment).count()
        assert count == len(case.subjects), case
        answers.add(count)
    assert len(answers) > 6  # not all of them nobody


def test_lists_are_those_subjects(dataset: Dataset, indexed: IndexedDeployment) -> None:
    kept = [case for case in cases(indexed, every=97) if case.subjects][::25]
    assert len(kept) > 1
    for case in kept:
        assert subjects(dataset, case.question, block=case.block, moment=case.moment) == case.subjects


def test_the_cases_are_what_the_view_decides(indexed: IndexedDeployment) -> None:
    asked = [case for case in cases(indexed, every=97) if case.question.party and not case.moment]
    assert len(asked) > 20
    for case in asked[::6]:
        state = view(indexed, block=case.block)
        said = {one for one in SUBJECTS if state.decide(one, case.question.party, case.question.request).permitted}
        assert case.subjects == said
    assert standing(view(indexed))


# -- single rules, which chance may miss ------------------------------------------------------------------------------


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    _, indexed = new_index(tmp_path / "small.db")
    made = Registry(indexed)
    for number, party in enumerate(PARTIES, start=1):
        made.say("Registrar", "PartyAccredited", party=party, kind=number, credential=b"\1" * 32, validUntil=22_000)
    made.mine()
    return made


OPEN = Rule(
    purposes=Purpose.ALL,
    classes=DataClass.ALL,
    conditions=Condition.ALL,
    sensitivities=Sensitivity.ALL,
    settings=CareSetting.ALL,
    actions=Action.ALL,
    party_kinds=PartyKind.ALL,
    valid_from=block_time(100).replace(second=0),
    research=ResearchUse.NRES.with_narrower(),
)
LABORATORY = REQUESTS[0]


@lru_cache(maxsize=2)
def snapshot(indexed: IndexedDeployment, block: int) -> Dataset:
    return Dataset.of_index(indexed, block=block)


def count(registry: Registry, question: Question, **as_of: object) -> int:
    found = cohort(snapshot(registry.indexed, registry.block - 1), question, **as_of)  # type: ignore[arg-type]
    return found.count()


def test_nobody_consents_in_an_empty_registry(registry: Registry) -> None:
    assert count(registry, Question(Request(), party=FIRST_PARTY)) == 0
    assert count(registry, Question(Request(), kind=PartyKind.PROVIDER, groups=(3,))) == 0


def test_a_subject_counts_once_however_many_rules_permit(registry: Registry) -> None:
    for grantee in (FIRST_PARTY, EVERYONE):
        for index in range(3):
            registry.write(SUBJECTS[0], grantee, dataclasses.replace(OPEN, index=index))
    registry.mine()
    assert count(registry, Question(Request(), party=FIRST_PARTY)) == 1


def test_a_deny_for_anyone_of_it_beats_every_permit(registry: Registry) -> None:
    registry.write(SUBJECTS[0], FIRST_PARTY, OPEN)
    registry.write(SUBJECTS[1], FIRST_PARTY, OPEN)
    deny = dataclasses.replace(OPEN, deny=True, classes=DataClass.LABORATORY, research=ResearchUse.NRES)
    registry.write(SUBJECTS[0], EVERYONE, deny)
    registry.mine()
    assert count(registry, Question(LABORATORY, party=FIRST_PARTY)) == 1
    imaging = dataclasses.replace(LABORATORY, classes=DataClass.IMAGING)
    assert count(registry, Question(imaging, party=FIRST_PARTY)) == 2


def test_two_halves_of_a_request_in_two_rules_are_no_consent(registry: Registry) -> None:
    for index, data in enumerate((DataClass.LABORATORY, DataClass.GENOMICS)):
        registry.write(SUBJECTS[0], FIRST_PARTY, dataclasses.replace(OPEN, classes=data, index=index))
    registry.mine()
    both = dataclasses.replace(LABORATORY, classes=DataClass.LABORATORY | DataClass.GENOMICS)
    assert count(registry, Question(both, party=FIRST_PARTY)) == 0
    assert count(registry, Question(LABORATORY, party=FIRST_PARTY)) == 1


def test_two_changes_of_a_rule_in_one_block_count_as_the_last(registry: Registry) -> None:
    registry.write(SUBJECTS[0], FIRST_PARTY, OPEN)
    registry.revoke(SUBJECTS[0], FIRST_PARTY, 0)
    registry.write(SUBJECTS[1], FIRST_PARTY, OPEN)
    registry.mine()
    assert count(registry, Question(Request(), party=FIRST_PARTY)) == 1
    assert count(registry, Question(Request(), party=FIRST_PARTY), block=101) == 1


def test_a_withdrawal_ends_all_consent(registry: Registry) -> None:
    registry.write(SUBJECTS[0], FIRST_PARTY, OPEN)
    registry.mine()
    registry.withdraw(SUBJECTS[0])
    registry.mine()
    for request in REQUESTS:
        assert count(registry, Question(request, party=FIRST_PARTY), block=101) == 1
        assert count(registry, Question(request, party=FIRST_PARTY)) == 0


@pytest.mark.parametrize("minutes", [-1, 0, 29, 30])
def test_in_force_from_a_minute_on_and_until_another(registry: Registry, minutes: int) -> None:
    start = OPEN.valid_from + timedelta(hours=1)
    rule = dataclasses.replace(OPEN, valid_from=start, valid_until=start + timedelta(minutes=30))
    registry.write(SUBJECTS[0], FIRST_PARTY, rule)
    registry.mine()
    moment = start + timedelta(minutes=minutes, seconds=59, microseconds=999_999)
    inside = 0 <= minutes < 30
    assert count(registry, Question(Request(), party=FIRST_PARTY), moment=moment) == inside
    elsewhere = moment.astimezone(timezone(timedelta(hours=14)))
    assert count(registry, Question(Request(), party=FIRST_PARTY), moment=elsewhere) == inside


@pytest.mark.parametrize("hours", [-11, 0, 14])
def test_a_partys_last_day_is_utcs_wherever_one_asks(registry: Registry, hours: int) -> None:
    registry.write(SUBJECTS[0], FIRST_PARTY, OPEN)
    registry.mine()
    here, last = timezone(timedelta(hours=hours)), datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=22_000)
    for moment, active in ((last, 1), (last + timedelta(hours=23), 1), (last + timedelta(hours=25), 0)):
        question = Question(Request(), party=FIRST_PARTY)
        assert count(registry, question, moment=moment.astimezone(here)) == active
        assert count(registry, question, block=101, at=moment.astimezone(here)) == active


def test_what_the_chain_knew_and_when_rules_are_in_force_are_two_things(registry: Registry) -> None:
    later = dataclasses.replace(OPEN, valid_from=OPEN.valid_from + timedelta(days=9))
    registry.write(SUBJECTS[0], FIRST_PARTY, later)
    registry.mine(3)
    question = Question(Request(), party=FIRST_PARTY)
    then = OPEN.valid_from + timedelta(days=10)
    assert count(registry, question) == 0
    assert count(registry, question, moment=then) == 1
    assert count(registry, question, block=100, moment=then) == 0
    assert count(registry, question, block=101, at=then) == 1  # beside a block, the moment
    assert count(registry, question, at=block_time(101), moment=then) == 1


def test_a_party_by_its_account_or_identity_as_registered_then(registry: Registry) -> None:
    party, new = FIRST_PARTY, "0x" + "ab" * 20
    registry.write(SUBJECTS[0], party, OPEN)
    registry.write(SUBJECTS[1], group_grantee(3), OPEN)
    registry.say("Registrar", "GroupJoined", party=party, group=3)
    registry.mine()
    registry.say("Registrar", "AccountChanged", **{"party": party, "from": party, "to": new})
    registry.say("Registrar", "GroupLeft", party=party, group=3)
    registry.mine()
    registry.say("Registrar", "PartySuspended", party=party)
    registry.mine()
    registry.say("Registrar", "PartyRemoved", party=party)
    registry.mine()
    for account in (party, party.upper().replace("X", "x"), new):
        question = Question(Request(), party=account)
        found = [count(registry, question, block=block) for block in (100, 101, 102, 103, 104)]
        assert found == [0, 2 if account != new else 0, 1, 0, 0]


def test_terms(registry: Registry) -> None:
    registry.write(SUBJECTS[0], FIRST_PARTY, dataclasses.replace(OPEN, terms=1))
    registry.write(SUBJECTS[1], FIRST_PARTY, dataclasses.replace(OPEN, terms=2))
    deny = dataclasses.replace(OPEN, deny=True, terms=2, research=ResearchUse.NRES)
    registry.write(SUBJECTS[0], EVERYONE, deny)
    registry.mine()
    assert count(registry, Question(Request(), party=FIRST_PARTY, terms=2)) == 1
    assert count(registry, Question(Request(), party=FIRST_PARTY, terms=1)) == 0  # a deny under other terms counts
    assert count(registry, Question(Request(), party=FIRST_PARTY, terms=4095)) == 0


def test_those_alone_who_opted_in_to_a_study(registry: Registry) -> None:
    study, other = b"\xab" * 32, b"\xcd" * 32
    for subject in SUBJECTS[:4]:
        registry.write(subject, FIRST_PARTY, OPEN)
    registry.say("Studies", "OptedIn", study=study, subject=SUBJECTS[0], sequence=1)
    registry.say("Studies", "OptedIn", study=study, subject=SUBJECTS[1], sequence=1)
    registry.say("Studies", "OptedIn", study=other, subject=SUBJECTS[2], sequence=1)
    registry.say("Studies", "OptedIn", study=study, subject=SUBJECTS[9], sequence=1)  # without a rule
    registry.mine()
    registry.say("Studies", "OptedOut", study=study, subject=SUBJECTS[1], sequence=2)
    registry.mine()
    asked = [Question(Request(), party=FIRST_PARTY, study=f"0x{one.hex().upper()}") for one in (study, other)]
    assert [count(registry, one) for one in asked] == [1, 1]
    assert [count(registry, one, block=101) for one in asked] == [2, 1]
    assert count(registry, Question(Request(), party=FIRST_PARTY, study="0x" + "00" * 32)) == 0


# -- refusals ---------------------------------------------------------------------------------------------------------


def test_a_question_that_is_none() -> None:
    for wrong, said in (
        ({}, "names a party or a kind"),
        ({"party": FIRST_PARTY, "kind": PartyKind.PROVIDER}, "names a party or a kind"),
        ({"party": "0x12"}, "by its address"),
        ({"party": f"{FIRST_PARTY}' OR 1=1 --"}, "by its address"),
        ({"party": FIRST_PARTY, "groups": (3,)}, "are registered"),
        ({"kind": PartyKind.PROVIDER, "groups": (0,)}, "numbered from 1 to 65535"),
        ({"kind": PartyKind.PROVIDER, "groups": (1 << 16,)}, "numbered from 1 to 65535"),
        ({"kind": PartyKind.PROVIDER, "terms": 4096}, "numbered from 0 to 4095"),
        ({"kind": PartyKind.PROVIDER, "study": "'; DROP TABLE rules; --"}, "named by its id"),
    ):
        with pytest.raises(QuestionError, match=said):
            Question(Request(), **wrong)  # type: ignore[arg-type]
    with pytest.raises(RuleFieldError, match="malformed"):
        Question(dataclasses.replace(LABORATORY, research=ResearchUse.GRU), party=FIRST_PARTY)
    with pytest.raises(RuleFieldError, match="one kind"):
        Question(Request(), kind=PartyKind.ALL)


def test_what_cannot_be_answered(dataset: Dataset) -> None:
    last, first = dataset.block.number, dataset.first
    question = Question(Request(), party=FIRST_PARTY)
    for block in (last + 1, first - 1, -1, 1 << 63):
        with pytest.raises(IndexTimeError, match="does not know"):
            cohort(dataset, question, block=block)
    end = datetime.fromtimestamp(dataset.block.time, UTC)
    for at in (end + timedelta(seconds=1), datetime(1999, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)):
        with pytest.raises(IndexTimeError, match="does not know"):
            cohort(dataset, question, at=at)
    for naive in ({"at": datetime(2026, 1, 1)}, {"moment": datetime(2026, 1, 1)}):
        with pytest.raises(RuleFieldError, match="zone"):
            cohort(dataset, question, **naive)
    with pytest.raises(QuestionError, match="ever accredited"):
        cohort(dataset, Question(Request(), party="0x" + "99" * 20))


def test_a_block_in_which_nothing_happened_has_a_state_and_no_time(dataset: Dataset) -> None:
    known = set(dataset.table("blocks").block.to_pyarrow().to_pylist())
    silent = next(block for block in range(dataset.first, dataset.block.number) if block not in known)
    question = Question(REQUESTS[0], kind=PartyKind.PROVIDER, groups=GROUPS)
    with pytest.raises(IndexTimeError, match="beside the block its time"):
        cohort(dataset, question, block=silent)
    moment = block_time(silent)
    assert subjects(dataset, question, block=silent, moment=moment) == subjects(dataset, question, at=moment)


def test_many_threads_ask_at_once(dataset: Dataset, indexed: IndexedDeployment) -> None:
    if dataset.engine.name != "duckdb":
        pytest.skip("One connection of another engine is for one thread.")
    asked = list(cases(indexed, every=110))[::3]
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(
            lambda case: cohort(dataset, case.question, block=case.block, moment=case.moment).count(), asked
        )
        assert list(found) == [len(case.subjects) for case in asked]

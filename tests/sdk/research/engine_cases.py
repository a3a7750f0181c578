"""What every engine has to answer, each against an oracle in plain Python: DuckDB, PostgreSQL, Spark."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from medproof.indexer import IndexedDeployment, view
from medproof.policy.codes import CodedFlag, PartyKind, Purpose, ResearchUse
from medproof.policy.duo import Outcome, StudyUse, from_rule, match
from medproof.policy.word import EPOCH_DAY, Rule, decode, encode
from medproof.research import Dataset, Question, cohort
from medproof.research.coverage import FIELDS, Covered, coverage, fit
from medproof.research.flows import Lag, flow, lag, sizes
from medproof.research.periods import Every
from tests.sdk.research.registry import PARTIES, REQUESTS, SUBJECTS
from tests.sdk.research.replay import Asked, changes, expected, replay, spread

PARTY_QUESTIONS = [Question(request, party=party) for request in REQUESTS for party in PARTIES]
KIND_QUESTION = Question(REQUESTS[0], kind=PartyKind.PROVIDER, groups=(3, 4))
_SCOPE = ("purposes", "classes", "conditions", "sensitivities", "settings", "actions")


def moment_of(dataset: Dataset) -> datetime:
    return datetime.fromtimestamp(dataset.block.time, UTC)


def blocks_of(indexed: IndexedDeployment, share: int) -> list[int]:
    """Blocks in which something happened, one in so many, and the last."""
    kept = sorted({change.block for change in changes(indexed)})
    return [*kept[::share], kept[-1]]


def consenting(indexed: IndexedDeployment, question: Question, block: int) -> set[str]:
    """Who consents, asked subject by subject as the contract is."""
    assert question.party is not None
    state = view(indexed, block=block)
    return {one for one in SUBJECTS if state.decide(one, question.party, question.request).permitted}


def check_cohorts(dataset: Dataset, indexed: IndexedDeployment, questions: list[Question], share: int) -> None:
    seen = 0
    for block in blocks_of(indexed, share):
        for question in questions:
            found = cohort(dataset, question, block=block)
            wanted = consenting(indexed, question, block)
            assert set(found.subjects().select("subject").to_pyarrow()["subject"].to_pylist()) == wanted
            assert found.count() == len(wanted)
            seen += len(wanted)
    assert seen


def check_sizes(dataset: Dataset, indexed: IndexedDeployment, questions: list[Question], share: int) -> None:
    blocks = blocks_of(indexed, share)
    seen: set[int] = set()
    for question in questions:
        found = sizes(dataset, question, blocks)
        assert found == tuple(len(consenting(indexed, question, block)) for block in blocks)
        seen |= set(found)
    assert len(seen) > 2


def check_flow(dataset: Dataset, indexed: IndexedDeployment, questions: list[Question | None], every: Every) -> None:
    until = moment_of(dataset)
    for question in questions:
        told = replay(changes(indexed), Asked(question), every, until)
        found = flow(dataset, question, every=every)
        assert list(found) == expected(told, every, until)
        assert any(one.granted for one in found)
        assert lag(dataset, question) == Lag(spread(told.revoked), told.open, told.lapsed, spread(told.relayed))


# -- coverage ---------------------------------------------------------------------------------------------------------


def in_force(indexed: IndexedDeployment, block: int) -> Iterator[tuple[str, str, Rule]]:
    """The rules that stood and were in force."""
    state = view(indexed, block=block)
    for one in state.rules():
        rule = decode(one.word)
        ended = rule.valid_until is not None and rule.valid_until <= state.at
        if not rule.revoked and rule.valid_from <= state.at and not ended:
            yield one.subject.lower(), one.grantee.lower(), rule


def meets(permit: Rule, refusal: Rule) -> bool:
    """Whether a refusal is about anything that a permit is about."""
    if not all(getattr(permit, name) & getattr(refusal, name) for name in (*_SCOPE, "party_kinds")):
        return False
    for one, other in ((permit, refusal), (refusal, permit)):
        if other.data_until is not None and one.data_from != EPOCH_DAY and one.data_from > other.data_until:
            return False
    other_purposes = permit.purposes & refusal.purposes & ~Purpose.RESEARCH.value
    return bool(other_purposes or permit.research & refusal.research & ResearchUse.PERMISSIONS)


def covered(indexed: IndexedDeployment, by: str, block: int) -> dict[str, set[str]]:
    """For each code, or number of terms, the subjects who permit it."""
    rules = [*in_force(indexed, block)]
    found: dict[str, set[str]] = {}
    for subject, grantee, rule in rules:
        if rule.deny:
            continue
        against = [
            other
            for whose, whom, other in rules
            if (whose, whom) == (subject, grantee) and other.deny and meets(rule, other)
        ]
        if by == "terms":
            if not against:
                found.setdefault(str(rule.terms), set()).add(subject)
            continue
        column, _ = FIELDS[by]
        codes: CodedFlag = getattr(rule, column)
        for code in codes:
            if not any(_takes(rule, other, column, code) for other in against):
                found.setdefault(code.code, set()).add(subject)
    return found


def _takes(permit: Rule, refusal: Rule, column: str, code: CodedFlag) -> bool:
    if isinstance(code, ResearchUse) and code & ResearchUse.MODIFIERS:
        return bool(permit.research & refusal.research & ResearchUse.PERMISSIONS)
    return bool(getattr(refusal, column) & code)


def check_coverage(dataset: Dataset, indexed: IndexedDeployment, lists: list[str], share: int) -> None:
    netted = 0
    for block in blocks_of(indexed, share):
        for by in lists:
            wanted = covered(indexed, by, block)
            found: dict[str, Covered] = {one.code: one for one in coverage(dataset, by, block=block)}
            assert {code: one.subjects for code, one in found.items() if one.subjects} == {
                code: len(subjects) for code, subjects in wanted.items()
            }
        plain = {(whose, encode(rule)) for whose, _, rule in in_force(indexed, block) if not rule.deny}
        netted += any(rule.deny for *_, rule in in_force(indexed, block)) and bool(plain)
    assert netted, "no refusal is ever in force"


def check_fit(dataset: Dataset, indexed: IndexedDeployment, study: StudyUse, share: int) -> None:
    order = (Outcome.APPROVE, Outcome.ABSTAIN, Outcome.DENY)
    for block in blocks_of(indexed, share):
        rules, best = dict.fromkeys(Outcome, 0), dict[str, Outcome]()
        terms: dict[tuple[str, str], int] = {}
        for subject, _, rule in in_force(indexed, block):
            if rule.deny or not rule.purposes & Purpose.RESEARCH or not rule.research & ResearchUse.PERMISSIONS:
                continue
            found = match(study, from_rule(rule))
            rules[found.outcome] += 1
            best[subject] = min(best.get(subject, Outcome.DENY), found.outcome, key=order.index)
            for finding in found.findings:
                terms[finding.term, finding.reason] = terms.get((finding.term, finding.reason), 0) + 1
        got = fit(dataset, study, block=block)
        assert got.rules == rules
        assert got.subjects == {one: list(best.values()).count(one) for one in Outcome}
        assert {(one.term, one.reason): one.rules for one in got.terms} == terms

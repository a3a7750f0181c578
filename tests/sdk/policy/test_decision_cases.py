"""The hand-written decision cases, decided by the Python evaluator; tests/integration decides them on the chain."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from medproof.policy.evaluation import Reason, decide
from medproof.policy.word import encode, encode_request, validate
from tests.support.decisions import DecisionCase, decision_cases

CASES = decision_cases()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_decision(case: DecisionCase) -> None:
    """The lists that count are the actor's own, everyone's, and those of its groups, in that order."""
    lists = ("actor", "everyone", *case.asker.groups)
    places = [place for name in lists for place, one in enumerate(case.rules) if one.grantee == name]
    words = []
    for place in places:
        one = case.rules[place]
        validate(encode(one.rule))
        words.append(encode(replace(one.rule, revoked=one.revoked, sequence=2 if one.revoked else 1)))

    decision = decide(words, case.asker.kind if case.asker.active else None, case.at, encode_request(case.request))

    assert decision.reason is case.reason, case.rationale
    assert (None if decision.position is None else places[decision.position]) == case.by


def test_the_cases_are_many_named_apart_and_reasoned() -> None:
    assert len(CASES) == len({case.name for case in CASES}) >= 30
    assert all(case.rationale.endswith(".") for case in CASES)
    assert Counter(case.reason for case in CASES).keys() == {
        reason for reason in Reason if reason <= Reason.DATA_PERIOD
    }

"""Compiled rules decide as the provision tree does: thousands of random requests against random trees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import reduce
from operator import or_
from random import Random
from typing import Any

import pytest

from medproof.errors import ConsentNotCompilableError
from medproof.fhir.consent import CompiledConsent, compile_consent, render_consent
from medproof.policy import document, evaluation
from medproof.policy.word import FIELDS, encode, encode_request, validate
from tests.sdk.consent.consents import (
    GRANTEES,
    KIND,
    Point,
    depth_of,
    lists,
    permits,
    random_consent,
    random_point,
)

TERMS = 9


def decides(compiled: CompiledConsent, point: Point) -> bool:
    """What the compiled rules say, with their document where they have one."""
    words = {grantee: [encode(rule) for rule in rules] for grantee, rules in lists(compiled.rules, point.actor).items()}
    request = encode_request(point.request)
    if compiled.document is None:
        return evaluation.decide(
            [word for rules in words.values() for word in rules], KIND, point.now, request
        ).permitted
    documents = {TERMS: compiled.document}
    answer = document.decide(words, KIND, point.now, request, documents=documents, records=[point.tags])
    if answer.permitted:
        assert answer.chain.permitted
    return answer.permitted


def compiled_trees(seed: int, count: int, *, finer: bool) -> Iterator[tuple[dict[str, Any], CompiledConsent, Random]]:
    """Random consents that compile, with what they compile to."""
    random = Random(seed)
    for _ in range(count):
        content = random_consent(random, finer=finer)
        with suppress(ConsentNotCompilableError):
            yield content, compile_consent(content, grantees=GRANTEES).under(TERMS), random


def compare(seed: int, count: int, *, finer: bool) -> Counter[str]:
    """Compare tree and rules on twenty points of each consent, and count what was met."""
    seen: Counter[str] = Counter()
    for content, compiled, random in compiled_trees(seed, count, finer=finer):
        for _, rule in compiled.rules:
            validate(encode(rule))
        seen["exceptions to exceptions"] += depth_of(content["provision"]) > 2
        seen["documents"] += compiled.document is not None
        for _ in range(20):
            point = random_point(random)
            expected = permits(content, point)
            decided = decides(compiled, point)
            seen["permitted" if expected else "refused"] += 1
            if point.now.second and expected:  # a refusal on chain may hold for the rest of its last minute
                seen["within a minute"] += decided is not expected
            else:
                assert decided is expected, (content, compiled, point)
    return seen


def test_rules_decide_as_the_tree_does() -> None:
    seen = compare(1, 700, finer=False)
    assert seen["exceptions to exceptions"] > 60
    assert seen["permitted"] > 1000
    assert seen["refused"] > 5000
    assert not seen["documents"]
    assert not seen["within a minute"]


def test_rules_and_document_decide_as_the_tree_does() -> None:
    seen = compare(2, 700, finer=True)
    assert seen["exceptions to exceptions"] > 30
    assert seen["documents"] > 150
    assert seen["permitted"] > 700
    assert seen["refused"] > 4000
    assert seen["within a minute"] < 10


def test_no_request_is_permitted_of_which_the_tree_refuses_a_part() -> None:
    """A request for several codes is permitted only where every point of it is."""
    permitted = 0
    for content, compiled, random in compiled_trees(3, 300, finer=False):
        for _ in range(20):
            points = [random_point(random)]
            for name in ("purpose", "label", "action", "chapter", "resource_type"):
                if random.random() < 0.4:
                    value = getattr(random_point(random), name)
                    points += [replace(point, **{name: value}) for point in points]
            if decide_all(compiled, points):
                permitted += 1
                assert all(permits(content, point) for point in points), (content, points)
    assert permitted > 200


def decide_all(compiled: CompiledConsent, points: list[Point]) -> bool:
    """Ask for all points at once."""
    words = [encode_request(point.request) for point in points]
    periods = FIELDS["dataFrom"].mask | FIELDS["dataUntil"].mask
    request = reduce(or_, (word & ~periods for word in words)) | words[0] & periods
    rules = [encode(rule) for found in lists(compiled.rules, points[0].actor).values() for rule in found]
    return evaluation.decide(rules, KIND, points[0].now, request).permitted


@pytest.mark.parametrize("finer", [False, True])
def test_rules_come_back_from_their_rendering(finer: bool) -> None:
    references = {address: reference for reference, address in GRANTEES.items()}
    for number, (_, compiled, _) in enumerate(compiled_trees(4, 200, finer=finer)):
        rendered = render_consent(
            compiled.rules,
            patient="Patient/1",
            references=references if number % 2 else None,
            documents={TERMS: compiled.document},
        )
        again = compile_consent(rendered, grantees=GRANTEES).under(TERMS)
        assert set(again.rules) == set(compiled.rules)
        assert again.document == compiled.document

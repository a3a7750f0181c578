"""Compiled rules decide as the provision tree does: thousands of random requests against random trees."""

from __future__ import annotations

from collections import Counter
from random import Random

from medproof.errors import ConsentNotCompilableError
from medproof.fhir.consent import CompiledConsent, compile_consent, render_consent
from medproof.policy import document, evaluation
from medproof.policy.word import encode, encode_request, validate
from tests.sdk.consent.consents import (
    GRANTEES,
    KIND,
    Point,
    consent,
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


def compiled_trees(seed: int, count: int, *, finer: bool):
    random = Random(seed)
    refused: Counter[str] = Counter()
    for _ in range(count):
        content = random_consent(random, finer=finer)
        try:
            yield content, compile_consent(content, grantees=GRANTEES, salt=b"s" * 32).under(TERMS), random
        except ConsentNotCompilableError as error:
            refused[error.rule] += 1
    print(refused)


def compare(seed: int, count: int, *, finer: bool) -> Counter[str]:
    seen: Counter[str] = Counter()
    for content, compiled, random in compiled_trees(seed, count, finer=finer):
        for _, rule in compiled.rules:
            validate(encode(rule))
        seen[f"depth {depth_of(content['provision'])}"] += 1
        seen["document"] += compiled.document is not None
        for _ in range(25):
            point = random_point(random)
            expected = permits(content, point)
            assert decides(compiled, point) is expected, (content, compiled, point)
            seen["permitted" if expected else "refused"] += 1
    return seen


def test_rules_decide_as_the_tree_does() -> None:
    seen = compare(1, 1500, finer=False)
    print(seen)


def test_rules_and_document_decide_as_the_tree_does() -> None:
    seen = compare(2, 1500, finer=True)
    print(seen)

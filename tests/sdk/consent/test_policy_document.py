"""A policy document only takes away: the chain first, the document second, and no where anything is missing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from eth_utils.crypto import keccak

from medproof import hashing
from medproof.errors import PolicyDocumentError
from medproof.policy import evaluation
from medproof.policy.codes import PartyKind, Purpose
from medproof.policy.document import EVERYONE, FinerProvision, PolicyDocument, Refusal, decide, scope_of
from medproof.policy.word import encode, encode_request
from tests.sdk.consent.consents import CLINIC, GROUP, LAB, random_point
from tests.sdk.policy.policy_cases import NOW, OPEN, PERMIT, REQUEST

SALT = bytes(range(32))
TERMS = 3
RULE = encode(replace(PERMIT, terms=TERMS))
SCOPE = scope_of(RULE)
REFUSED = scope_of(encode(replace(PERMIT, deny=True)))
WANTED = encode_request(REQUEST)
GLUCOSE, SODIUM = "code:http://loinc.org|2339-0", "code:http://loinc.org|2951-2"


def document(*provisions: FinerProvision) -> PolicyDocument:
    return PolicyDocument(provisions, SALT)


ONLY_GLUCOSE = document(FinerProvision(CLINIC, SCOPE, ((GLUCOSE,),)))


def asked(found: PolicyDocument | None, *records: str, rules: Any = None, now: datetime = NOW, **documents: Any) -> Any:
    known = documents.get("documents", {TERMS: found})
    words = rules or {CLINIC: [RULE], EVERYONE: [], GROUP: []}
    tags = [frozenset({tag}) for tag in records]
    return decide(words, PartyKind.PROVIDER, now, WANTED, documents=known, records=tags or None)


def test_what_it_covers_is_permitted() -> None:
    answer = asked(ONLY_GLUCOSE, GLUCOSE)
    assert answer.permitted
    assert answer.refusal is None
    assert answer.chain.word == RULE


def test_every_record_must_be_covered() -> None:
    assert asked(ONLY_GLUCOSE, GLUCOSE, SODIUM).refusal is Refusal.NOT_COVERED


def test_unknown_records_are_not_covered() -> None:
    assert asked(ONLY_GLUCOSE).refusal is Refusal.NOT_COVERED


def test_every_group_must_be_met() -> None:
    both = document(FinerProvision(CLINIC, SCOPE, ((GLUCOSE, SODIUM), ("instance:Observation/1",))))
    assert asked(both, GLUCOSE).refusal is Refusal.NOT_COVERED
    tags = [frozenset({GLUCOSE, "instance:Observation/1"})]
    assert decide({CLINIC: [RULE]}, PartyKind.PROVIDER, NOW, WANTED, documents={TERMS: both}, records=tags).permitted


def test_a_missing_document_permits_nothing() -> None:
    assert asked(None, GLUCOSE, documents={}).refusal is Refusal.DOCUMENT_MISSING


def test_a_plain_form_takes_nothing_away() -> None:
    assert asked(None).permitted


def test_a_rule_without_terms_needs_no_document() -> None:
    rules = {CLINIC: [RULE], EVERYONE: [encode(PERMIT)]}
    assert asked(ONLY_GLUCOSE, SODIUM, rules=rules).permitted


def test_another_grantees_provision_does_not_permit() -> None:
    assert asked(document(FinerProvision(LAB, SCOPE)), GLUCOSE).refusal is Refusal.NOT_COVERED


@pytest.mark.parametrize("grantee", [CLINIC, EVERYONE, GROUP])
def test_a_refusal_beats_every_permit(grantee: str) -> None:
    permit = FinerProvision(CLINIC, SCOPE)
    found = document(permit, FinerProvision(grantee, REFUSED, ((GLUCOSE,),)))
    assert asked(found, GLUCOSE).refusal is Refusal.DENIED
    assert asked(found).refusal is Refusal.DENIED  # who does not say what it wants gets nothing
    assert asked(found, SODIUM).permitted
    plain = {CLINIC: [RULE, encode(PERMIT)], EVERYONE: [], GROUP: []}
    assert asked(found, GLUCOSE, rules=plain).refusal is Refusal.DENIED


def test_a_refusal_of_somebody_else_plays_no_part() -> None:
    found = document(FinerProvision(CLINIC, SCOPE), FinerProvision(LAB, REFUSED))
    assert asked(found, GLUCOSE).permitted


def test_a_revoked_consent_refuses_nothing_any_more() -> None:
    found = document(FinerProvision(CLINIC, REFUSED))
    revoked = encode(replace(PERMIT, terms=TERMS, revoked=True))
    assert asked(found, GLUCOSE, rules={CLINIC: [revoked, encode(PERMIT)]}).permitted


def test_seconds_count() -> None:
    found = document(FinerProvision(CLINIC, SCOPE, (), NOW + timedelta(seconds=5), NOW + timedelta(seconds=9)))
    times = (4, 5, 8, 9)
    answers = [asked(found, GLUCOSE, now=NOW + timedelta(seconds=seconds)).permitted for seconds in times]
    assert answers == [False, True, True, False]


def test_it_never_permits_what_the_chain_refuses() -> None:
    """Whatever a document says, even one whose bounds are wider than the rules."""
    random = Random(7)
    everything = scope_of(encode(OPEN))
    permitted = 0
    for _ in range(500):
        point = random_point(random)
        rule = replace(OPEN, terms=TERMS, purposes=Purpose.TREAT | Purpose.ETREAT, research=OPEN.research & 0)
        rules = {CLINIC: [encode(rule)], EVERYONE: [encode(replace(rule, index=1))]}
        found = document(FinerProvision(CLINIC, everything, ((f"code:{point.code}",),) * random.randint(0, 1)))
        request = encode_request(point.request)
        words = [word for listed in rules.values() for word in listed]
        answer = decide(rules, PartyKind.PROVIDER, point.now, request, documents={TERMS: found})
        assert answer.chain == evaluation.decide(words, PartyKind.PROVIDER, point.now, request)
        assert answer.chain.permitted or not answer.permitted
        permitted += answer.permitted
    assert permitted


# --- as JSON ---

FULL = document(
    FinerProvision(CLINIC.lower(), SCOPE, ((GLUCOSE, SODIUM),), NOW, NOW + timedelta(microseconds=1)),
    FinerProvision(EVERYONE, REFUSED),
)


def test_it_reads_back() -> None:
    assert PolicyDocument.from_json(hashing.parse(hashing.canonical(FULL.to_json()))) == FULL
    assert FULL.provisions[1].deny
    assert not FULL.provisions[0].deny


def test_the_terms_are_the_hash_of_its_canonical_json() -> None:
    assert FULL.hash == keccak(hashing.canonical(FULL.to_json()))
    assert PolicyDocument(FULL.provisions).hash != PolicyDocument(FULL.provisions).hash  # salted


def changed(path: str, value: object) -> Any:
    content: Any = hashing.parse(hashing.canonical(FULL.to_json()))
    place = content
    *way, last = path.split(".")
    for step in way:
        place = place[int(step) if step.isdigit() else step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return content


@pytest.mark.parametrize(
    ("content", "path"),
    [
        ([], "$"),
        (changed("kind", "form"), "$"),
        (changed("version", 2), "$"),
        (changed("salt", None), "$"),
        (changed("note", "x"), "$"),
        (changed("salt", "0x12"), "$.salt"),
        (changed("salt", f"0x{0:064x}"), "$.salt"),
        (changed("provisions", {}), "$.provisions"),
        (changed("provisions.1.grantee", None), "$.provisions[1]"),
        (changed("provisions.1.note", "x"), "$.provisions[1]"),
        (changed("provisions.0.grantee", "0x1"), "$.provisions[0].grantee"),
        (changed("provisions.0.rule", "0x1"), "$.provisions[0].rule"),
        (changed("provisions.0.rule", f"{RULE:#066x}"), "$.provisions[0].rule"),
        (changed("provisions.0.rule", f"{SCOPE | 1 << 148:#066x}"), "$.provisions[0].rule"),
        (changed("provisions.0.anyOf", [[]]), "$.provisions[0].anyOf"),
        (changed("provisions.0.anyOf", [[1]]), "$.provisions[0].anyOf"),
        (changed("provisions.0.anyOf", "x"), "$.provisions[0].anyOf"),
        (changed("provisions.0.starts", "2026-01-01T00:00:00"), "$.provisions[0].starts"),
        (changed("provisions.0.ends", "soon"), "$.provisions[0].ends"),
        (changed("provisions.0.ends", 5), "$.provisions[0].ends"),
    ],
)
def test_what_is_no_document_is_refused(content: Any, path: str) -> None:
    with pytest.raises(PolicyDocumentError) as caught:
        PolicyDocument.from_json(content)
    assert caught.value.path == path
    assert str(caught.value).startswith(path)


def test_times_are_written_in_utc() -> None:
    provision = FinerProvision(CLINIC, SCOPE, starts=datetime(2026, 1, 1, tzinfo=UTC))
    assert provision.to_json()["starts"] == "2026-01-01T00:00:00+00:00"


@pytest.mark.parametrize("salt", [b"", bytes(32), b"s" * 31])
def test_a_salt_hides(salt: bytes) -> None:
    with pytest.raises(PolicyDocumentError, match="random bytes"):
        PolicyDocument((), salt)

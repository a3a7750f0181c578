"""Any rules at all, rendered as a Consent, are valid FHIR R4 and compile to the same rules."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import pytest

from medproof.errors import ConsentNotCompilableError, InvalidRecordError
from medproof.fhir import compile_consent, load, render_consent
from medproof.policy.codes import (
    Action,
    CareSetting,
    CodedFlag,
    Condition,
    DataClass,
    PartyKind,
    Purpose,
    ResearchUse,
    Sensitivity,
)
from medproof.policy.document import EVERYONE, FinerProvision, PolicyDocument, scope_of
from medproof.policy.word import Rule, encode, validate
from tests.sdk.consent.consents import CLINIC, GRANTEES, GROUP, LAB
from tests.sdk.policy.policy_cases import OPEN, PERMIT, STUDY

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SALT = bytes(range(32))


def random_rule(random: Random, index: int) -> Rule:
    def some(codes: type[CodedFlag]) -> Any:
        found = codes(random.getrandbits(24) & (~codes(0)).value)
        return found if found and random.random() < 0.6 else ~codes(0)

    purposes, deny = some(Purpose), random.random() < 0.4
    research = ResearchUse.EMPTY
    if purposes & Purpose.RESEARCH:
        research = some(ResearchUse) & ResearchUse.PERMISSIONS or ResearchUse.PERMISSIONS
        if not deny:
            research = research.with_narrower() | (some(ResearchUse) & ResearchUse.MODIFIERS)
    day = date(1970, 1, 1) + timedelta(days=random.choice((0, 1, 12345)))
    return Rule(
        purposes=purposes,
        classes=some(DataClass),
        conditions=some(Condition),
        sensitivities=some(Sensitivity),
        settings=some(CareSetting),
        actions=some(Action),
        party_kinds=some(PartyKind),
        valid_from=random.choice((datetime(1970, 1, 1, tzinfo=UTC), BEGIN + timedelta(minutes=random.randrange(999)))),
        valid_until=random.choice((None, BEGIN + timedelta(minutes=random.randrange(1000, 9999)))),
        data_from=day,
        data_until=random.choice((None, day, day + timedelta(days=400))),
        research=research,
        terms=random.choice((0, 1, 4095)),
        sequence=random.choice((1, 2, 65534)),
        index=index,
        deny=deny,
        delegable=random.random() < 0.3,
        break_glass_refused=random.random() < 0.3,
    )


def test_any_rules_come_back_from_their_rendering() -> None:
    random = Random(11)
    for _ in range(60):
        rules = {
            (grantee.lower(), random_rule(random, index))
            for grantee in (CLINIC, EVERYONE, GROUP)
            for index in range(random.choice((1, 2, 5)))
        }
        for _, rule in rules:
            validate(encode(rule))
        rendered = render_consent(rules, patient="Patient/1", when=BEGIN)
        again = compile_consent(load(rendered), grantees={})
        assert {(grantee.lower(), rule) for grantee, rule in again.rules} == rules
        assert again.document is None


def test_every_field_of_a_rule_comes_back() -> None:
    """A field that is added to `Rule` must be rendered, too."""
    odd = Rule(
        purposes=Purpose.HRESCH | Purpose.TREAT,
        classes=DataClass.NOTE,
        conditions=Condition.EYE,
        sensitivities=Sensitivity.SUD,
        settings=CareSetting.VR,
        actions=Action.CORRECT,
        party_kinds=PartyKind.PAYER,
        valid_from=BEGIN,
        valid_until=BEGIN + timedelta(minutes=1),
        data_from=date(2001, 1, 1),
        data_until=date(2001, 1, 1),
        research=ResearchUse.GRU,
        terms=9,
        sequence=3,
        index=7,
        deny=True,
        delegable=True,
        break_glass_refused=True,
    )
    plain = replace(OPEN, valid_from=datetime(1970, 1, 1, tzinfo=UTC))
    left_out = {"follows", "revoked"}  # what the contract sets
    for field in fields(Rule):
        assert field.name in left_out or getattr(odd, field.name) != getattr(plain, field.name)
    [(_, again)] = compile_consent(render_consent([(CLINIC, odd)], patient="Patient/1"), grantees={}).rules
    assert again == odd


def test_what_makes_a_rule_narrower_must_not_be_passed_over() -> None:
    """Without knowing the extensions of MedProof, a reader must refuse the provision."""
    rule = replace(PERMIT, sensitivities=Sensitivity.SUD)
    [provision] = render_consent([(CLINIC, rule)], patient="Patient/1")["provision"]["provision"]  # type: ignore
    names = [extension["url"].rpartition(":")[2] for extension in provision["modifierExtension"]]  # type: ignore
    assert set(names) == {"care-setting", "party-kind", "exact-codes"}
    assert {extension["url"].rpartition(":")[2] for extension in provision["extension"]} == {"index", "sequence"}  # type: ignore


def test_grantees_have_the_references_given() -> None:
    references = {CLINIC: "Organization/clinic"}
    rendered = render_consent([(CLINIC, PERMIT), (LAB, PERMIT)], patient="Patient/1", references=references)
    first, second = rendered["provision"]["provision"]  # type: ignore
    assert first["actor"][0]["reference"] == {"reference": "Organization/clinic"}  # type: ignore
    assert second["actor"][0]["reference"]["identifier"]["value"].lower() == LAB  # type: ignore
    assert len(compile_consent(rendered, grantees=GRANTEES).rules) == 2


def test_the_narrative_says_it_in_words() -> None:
    references = {CLINIC: "Organization/<clinic>"}
    text: Any = render_consent([(CLINIC, STUDY), (EVERYONE, OPEN)], patient="Patient/1", references=references)["text"]
    assert text["status"] == "generated"
    assert "You allow Organization/&lt;clinic&gt; to read and use" in text["div"]
    assert "You allow anyone to" in text["div"]


def test_when_it_was_given() -> None:
    assert "dateTime" not in render_consent([(CLINIC, PERMIT)], patient="Patient/1")
    assert (
        render_consent([(CLINIC, PERMIT)], patient="Patient/1", when=BEGIN)["dateTime"] == "2026-01-01T00:00:00+00:00"
    )


def test_revoked_rules_are_left_out() -> None:
    rules = [(CLINIC, PERMIT), (LAB, replace(PERMIT, revoked=True))]
    assert len(compile_consent(render_consent(rules, patient="Patient/1"), grantees={}).rules) == 1
    with pytest.raises(ConsentNotCompilableError, match="no rule in force"):
        render_consent(rules[1:], patient="Patient/1")


def test_follows_is_the_contracts() -> None:
    rendered = render_consent([(CLINIC, replace(PERMIT, follows=True))], patient="Patient/1")
    assert compile_consent(rendered, grantees={}).rules[0][1] == PERMIT


def test_documents_are_rendered_with_their_rules() -> None:
    rule = replace(PERMIT, terms=2, valid_until=None)
    groups = (("code:http://loinc.org|718-7", "instance:Observation/1"), ("code:http://loinc.org|2339-0",))
    moment = rule.valid_from + timedelta(seconds=10, microseconds=5)
    document = PolicyDocument((FinerProvision(CLINIC.lower(), scope_of(encode(rule)), groups, moment, None),), SALT)
    rules = [(CLINIC, rule), (LAB, PERMIT)]
    again = compile_consent(render_consent(rules, patient="Patient/1", documents={2: document}), grantees={})
    assert again.document is not None
    [finer] = again.document.provisions
    assert (finer.grantee.lower(), finer.any_of, finer.starts) == (CLINIC.lower(), tuple(sorted(groups)), moment)
    assert again.document.salt == SALT
    assert [found.terms for _, found in again.under(6).rules] == [6, 0]  # the lab's permit needs no document


def test_a_document_that_does_not_know_a_rule_shows_nothing_of_it() -> None:
    rules = [(CLINIC, replace(PERMIT, terms=2)), (LAB, PERMIT)]
    rendered = render_consent(rules, patient="Patient/1", documents={2: PolicyDocument((), SALT)})
    assert len(compile_consent(rendered, grantees={}).rules) == 1


def test_rules_of_two_documents_are_rendered_apart() -> None:
    rules = [(CLINIC, replace(PERMIT, terms=2)), (LAB, replace(PERMIT, terms=3))]
    with pytest.raises(ConsentNotCompilableError, match="two policy documents"):
        render_consent(rules, patient="Patient/1", documents={2: PolicyDocument(()), 3: PolicyDocument(())})


def test_what_is_no_reference_is_refused() -> None:
    with pytest.raises(InvalidRecordError, match="patient"):
        render_consent([(CLINIC, PERMIT)], patient="")

"""DUO and the rule word: the chain is the wider bound, and decides alike wherever the word can hold the terms."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medproof.errors import DataUseError
from medproof.policy.codes import Action, CareSetting, Condition, DataClass, PartyKind, Purpose, Sensitivity
from medproof.policy.codes import ResearchUse as R
from medproof.policy.duo import DataUse, StudyUse, Topic, from_rule, match, terms, to_requests, to_research_use
from medproof.policy.evaluation import Reason, decide
from medproof.policy.phrases import widest
from medproof.policy.word import Request, Rule, encode, encode_request, validate

NOW = datetime(2026, 9, 1, tzinfo=UTC)
SCOPE = Request(
    classes=DataClass.GENOMICS, sensitivities=Sensitivity.NONE_LABELLED, settings=CareSetting.AMB, actions=Action.USE
)
RULE = Rule(
    purposes=Purpose.RESEARCH,
    classes=DataClass.ALL,
    conditions=Condition.ALL,
    sensitivities=Sensitivity.ALL,
    settings=CareSetting.ALL,
    actions=Action.ALL,
    party_kinds=PartyKind.RESEARCHER,
    valid_from=datetime(2026, 1, 1, tzinfo=UTC),
    research=R.GRU,
)
CODES = ("DOID:1", "DOID:2", "DOID:3")
ANCESTORS = {"DOID:2": ["DOID:1"]}


def chain_permits(study: StudyUse, use: DataUse) -> bool:
    """What the evaluator says of the study's requests under a rule with the consent's terms."""
    word = encode(replace(RULE, research=to_research_use(use)))
    validate(word)
    decisions = [decide([word], PartyKind.RESEARCHER, NOW, encode_request(one)) for one in to_requests(study, SCOPE)]
    assert {decision.reason for decision in decisions} <= {Reason.PERMITTED, Reason.RESEARCH_USE}
    return any(decision.permitted for decision in decisions)


def check(study: StudyUse, use: DataUse) -> None:
    found = match(study, use, ancestors=ANCESTORS)
    permits = chain_permits(study, use)
    assert permits is not any(finding.on_chain for finding in found.findings)
    assert permits or not found.permitted  # the chain is the wider bound


some = st.sampled_from(["one", "two", "three"])
SETS = {
    "diseases": st.frozensets(st.sampled_from(CODES), max_size=2),
    "regions": st.frozensets(st.sampled_from(["DE", "US", "US-CA"]), max_size=2),
    "research_types": st.frozensets(some, max_size=2),
    "users": st.frozensets(some, max_size=2),
    "projects": st.frozensets(some, max_size=2),
    "institutions": st.frozensets(some, max_size=2),
    "months": st.none() | st.integers(1, 3),
    "publish_from": st.none() | st.dates(date(2027, 1, 1), date(2027, 1, 3)),
}
FLAGS = (
    *("general", "health", "ancestry", "methods", "clinical_care", "genetic", "for_profit", "commercial"),
    *("ethics_approval", "publishes", "collaborates", "returns"),
)
PARAMETERS = {one.parameter: one.research_use for one in terms() if one.parameter}
few_modifiers = st.sets(st.sampled_from(list(R(R.MODIFIERS))), max_size=6)


@st.composite
def studies(draw: Any) -> StudyUse:
    stated: dict[str, Any] = {name: draw(st.booleans()) for name in FLAGS}
    stated |= {name: draw(values) for name, values in SETS.items()}
    stated["topics"] = draw(st.frozensets(st.sampled_from(Topic), max_size=1))
    if not any(stated[name] for name in ("general", "health", "ancestry", "methods", "diseases")):
        stated["health"] = True
    return StudyUse(**stated)


@st.composite
def consents(draw: Any) -> DataUse:
    use = R(draw(st.integers(1, 31)))
    for modifier in draw(few_modifiers):
        use |= modifier
    return DataUse(use, **{name: draw(SETS[name]) for name, asks in PARAMETERS.items() if asks in use})


@settings(max_examples=400)
@given(studies(), consents())
def test_the_chain_decides_as_the_matcher_wherever_the_word_can(study: StudyUse, use: DataUse) -> None:
    check(study, use)


NARROW = {"general": False, "health": False, "diseases": frozenset(), "ancestry": False, "methods": False}
KINDS = [
    {"general": True},
    {"health": True},
    {"diseases": frozenset({"DOID:1"})},
    {"ancestry": True},
    {"methods": True},
    {"methods": True, "health": True},
]


@pytest.mark.parametrize("modifier", [R.EMPTY, *R(R.MODIFIERS)], ids=lambda one: one.name)
def test_every_permission_with_every_modifier(modifier: R) -> None:
    """Against studies that accept nothing and all."""
    accepting = StudyUse(
        health=True,
        genetic=True,
        ethics_approval=True,
        publishes=True,
        publish_from=date(2027, 1, 1),
        collaborates=True,
        returns=True,
        months=1,
        **{name: frozenset({"one"}) for name in ("research_types", "users", "projects", "institutions")},
        regions=frozenset({"DE"}),
    )
    refusing = StudyUse(health=True, for_profit=True, commercial=True, publishes=True)
    for permissions in range(1, 32):
        for study in (accepting, refusing):
            for kind in KINDS:
                check(replace(study, **{**NARROW, **kind}), DataUse(R(permissions) | modifier))


# -- from and to rules -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("permissions", range(1, 32))
def test_a_use_survives_the_rule(permissions: int) -> None:
    use = DataUse(widest(R(permissions)) | R.IRB | R.NPU)
    assert from_rule(replace(RULE, research=to_research_use(use))) == use


def test_a_rule_is_read_with_what_its_terms_say() -> None:
    rule = replace(RULE, research=R.DS | R.TS)
    use = from_rule(rule, diseases=["DOID:1"], months=12)
    assert use == DataUse(R.DS | R.TS, diseases=frozenset({"DOID:1"}), months=12)


@pytest.mark.parametrize(
    ("changes", "parameters", "field"),
    [
        ({"deny": True}, {}, "rule"),
        ({"revoked": True}, {}, "rule"),
        ({"purposes": Purpose.TREAT, "research": R.EMPTY}, {}, "rule"),
        ({"research": R.HMB | R.DS}, {"diseases": ["DOID:1"]}, "diseases"),
        ({}, {"disease": ["DOID:1"]}, "parameters"),
        ({}, {"terms": R.NRES}, "parameters"),
    ],
)
def test_a_rule_that_states_no_use(changes: dict[str, Any], parameters: dict[str, Any], field: str) -> None:
    with pytest.raises(DataUseError) as caught:
        from_rule(replace(RULE, **changes), **parameters)
    assert caught.value.field == field


def test_the_requests_of_a_study() -> None:
    observed = R.NMDS | R.NPUNCU | R.MOR | R.CC | R.NPOA | R.NPU | R.NCU
    study = StudyUse(diseases=frozenset({"DOID:1"}))
    assert to_requests(study, SCOPE) == (replace(SCOPE, purposes=Purpose.HRESCH, research=R.DS | observed),)
    trial = replace(SCOPE, purposes=Purpose.CLINTRCH)
    assert to_requests(study, trial) == (replace(trial, research=R.DS | observed),)
    needs = [one.research & R.PERMISSIONS for one in to_requests(StudyUse(methods=True), SCOPE)]
    assert needs == [R.HMB, R.POA]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"purposes": Purpose.TREAT}, "scope.purposes"),
        ({"purposes": Purpose.HRESCH | Purpose.HMARKT}, "scope.purposes"),
        ({"research": R.HMB}, "scope.research"),
    ],
)
def test_a_scope_that_is_no_study(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(DataUseError) as caught:
        to_requests(StudyUse(health=True), replace(SCOPE, **changes))
    assert caught.value.field == field

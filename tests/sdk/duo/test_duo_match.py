"""Matching a study with a consent: DUOS's own cases, each modifier, each parameter, each reason."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from medproof.errors import DataUseError
from medproof.policy.codes import ResearchUse as R
from medproof.policy.duo import DataUse, Outcome, StudyUse, Topic, match, terms

# A branch of DOID: sarcoma, below cell type cancer, below cancer; and diabetes mellitus beside it.
CANCER, CELL_TYPE_CANCER, SARCOMA, DIABETES = "DOID:162", "DOID:0050687", "DOID:1115", "DOID:9351"
ANCESTORS = {SARCOMA: [CELL_TYPE_CANCER], CELL_TYPE_CANCER: [CANCER]}
A, D, U = Outcome.APPROVE, Outcome.DENY, Outcome.ABSTAIN


def reasons(study: StudyUse, use: DataUse) -> list[tuple[str, Outcome]]:
    return [(finding.term, finding.outcome) for finding in match(study, use, ancestors=ANCESTORS).findings]


# -- the table of DUOS, version 4 --------------------------------------------------------------------------------

STUDIES = {
    "GRU": StudyUse(general=True),
    "HMB": StudyUse(health=True),
    "DS-X": StudyUse(diseases=frozenset({SARCOMA})),
    "POA": StudyUse(ancestry=True),
    "MDS": StudyUse(methods=True),
    "MDS DS-X": StudyUse(methods=True, diseases=frozenset({SARCOMA})),
}
CONSENTS = {
    "NRES": DataUse(R.NRES),
    "GRU": DataUse(R.GRU),
    "HMB": DataUse(R.HMB),
    "DS-X": DataUse(R.DS, diseases=frozenset({SARCOMA})),
    "DS above X": DataUse(R.DS, diseases=frozenset({CANCER})),
    "DS not X": DataUse(R.DS, diseases=frozenset({DIABETES})),
    "POA": DataUse(R.POA),
}
# Rows as STUDIES, columns as CONSENTS. Where DUOS answers otherwise, docs/duo.md says why.
TABLE = {
    "GRU": "AADDDDD",
    "HMB": "AAADDDD",
    "DS-X": "AAAAADD",
    "POA": "AADDDDA",
    "MDS": "AAADDDA",
    "MDS DS-X": "AAAAADD",
}


@pytest.mark.parametrize("study", STUDIES)
@pytest.mark.parametrize("consent", CONSENTS)
def test_permissions_match_as_in_duos(study: str, consent: str) -> None:
    answer = {"A": A, "D": D}[TABLE[study][list(CONSENTS).index(consent)]]
    found = match(STUDIES[study], CONSENTS[consent], ancestors=ANCESTORS)
    assert found.outcome is answer
    assert found.permitted is (answer is A) is (not found.findings)


def test_every_disease_of_the_study_must_lie_inside() -> None:
    study = StudyUse(diseases=frozenset({SARCOMA, DIABETES}))
    found = match(study, CONSENTS["DS above X"], ancestors=ANCESTORS)
    (finding,) = found.findings
    assert finding.reason.startswith(f"{DIABETES} is none of the consent's diseases ({CANCER})")


def test_a_broader_disease_is_not_inside() -> None:
    assert match(StudyUse(diseases=frozenset({CANCER})), CONSENTS["DS-X"], ancestors=ANCESTORS).outcome is D


def test_without_ancestors_a_disease_is_only_itself() -> None:
    assert match(STUDIES["DS-X"], CONSENTS["DS-X"]).permitted
    assert not match(STUDIES["DS-X"], CONSENTS["DS above X"]).permitted


def test_diseases_are_found_by_any_spelling_and_across_ontologies_where_the_table_joins_them() -> None:
    study = StudyUse(diseases=frozenset({"http://purl.obolibrary.org/obo/MONDO_0005089"}))
    assert study.diseases == {"MONDO:0005089"}
    assert not match(study, CONSENTS["DS-X"], ancestors=ANCESTORS).permitted
    joined = {**ANCESTORS, "MONDO_0005089": ["DOID_1115"]}
    assert match(study, CONSENTS["DS above X"], ancestors=joined).permitted


def test_a_table_that_runs_in_circles_ends() -> None:
    circle = {SARCOMA: [CANCER], CANCER: [SARCOMA]}
    assert match(STUDIES["DS-X"], CONSENTS["DS not X"], ancestors=circle).outcome is D


def test_several_permissions_each_suffice() -> None:
    use = DataUse(R.POA | R.DS, diseases=frozenset({CANCER}))
    assert match(StudyUse(ancestry=True), use).permitted
    assert match(StudyUse(ancestry=True, diseases=frozenset({SARCOMA})), use, ancestors=ANCESTORS).permitted
    assert reasons(StudyUse(health=True), use) == [("HMB", D)]


@pytest.mark.parametrize("topic", Topic)
def test_what_duos_leaves_to_a_committee(topic: Topic) -> None:
    study = StudyUse(health=True, topics=frozenset({topic}))
    assert reasons(study, CONSENTS["GRU"]) == [(topic.name, U)]
    beside_a_denial = match(study, CONSENTS["POA"])
    assert beside_a_denial.outcome is U  # as in DUOS: an abstention beats a denial
    assert [finding.outcome for finding in beside_a_denial.findings] == [D, U]


# -- the modifiers -----------------------------------------------------------------------------------------------

EVERYTHING: dict[str, Any] = {
    "health": True,
    "genetic": True,
    "ethics_approval": True,
    "publishes": True,
    "publish_from": date(2027, 1, 1),
    "collaborates": True,
    "returns": True,
    "months": 12,
    "regions": {"DE", "US-CA"},
    "research_types": {"cohort study"},
    "users": {"user-1"},
    "projects": {"project-1"},
    "institutions": {"institution-1"},
}
LIMITS: dict[str, Any] = {
    "research_types": {"cohort study", "case-control study"},
    "publish_from": date(2026, 6, 1),
    "months": 24,
    "regions": {"DE", "US"},
    "users": {"user-1", "user-2"},
    "projects": {"project-1"},
    "institutions": {"institution-1"},
}
# What makes the study break each modifier, and what makes it exceed its parameter.
BREAKS: dict[R, dict[str, Any]] = {
    R.RS: {"research_types": set()},
    R.NMDS: {"methods": True},
    R.GSO: {"genetic": False},
    R.NPUNCU: {"for_profit": True},
    R.PUB: {"publishes": False},
    R.COL: {"collaborates": False},
    R.IRB: {"ethics_approval": False},
    R.GS: {"regions": set()},
    R.MOR: {"publish_from": None},
    R.TS: {"months": None},
    R.US: {"users": set()},
    R.PS: {"projects": set()},
    R.IS: {"institutions": set()},
    R.RTN: {"returns": False},
    R.NPOA: {"ancestry": True},
    R.NPU: {"for_profit": True},
    R.NCU: {"commercial": True},
}
EXCEEDS: dict[R, dict[str, Any]] = {
    R.RS: {"research_types": {"cohort study", "trial"}},
    R.GS: {"regions": {"US-CA", "FR"}},
    R.MOR: {"publish_from": date(2026, 5, 31)},
    R.TS: {"months": 25},
    R.US: {"users": {"user-3"}},
    R.PS: {"projects": {"project-1", "project-2"}},
    R.IS: {"institutions": {"institution-2"}},
}
PARAMETER = {one.research_use: one.parameter for one in terms() if one.parameter}


def consent(modifier: R) -> DataUse:
    parameter = PARAMETER.get(modifier)
    return DataUse(R.GRU | modifier, **({parameter: LIMITS[parameter]} if parameter else {}))


def test_each_modifier_is_tried() -> None:
    assert {*BREAKS, R.CC} == set(R(R.MODIFIERS))
    assert set(EXCEEDS) == set(PARAMETER) - {R.DS}


@pytest.mark.parametrize("modifier", BREAKS, ids=lambda one: one.name)
def test_a_modifier_is_observed_or_refuses(modifier: R) -> None:
    assert match(StudyUse(**EVERYTHING), consent(modifier)).permitted
    found = match(StudyUse(**{**EVERYTHING, **BREAKS[modifier]}), consent(modifier))
    (finding,) = found.findings
    assert (finding.term, finding.outcome, finding.on_chain) == (modifier.name, D, True)
    assert modifier.plain in finding.reason


@pytest.mark.parametrize("modifier", EXCEEDS, ids=lambda one: one.name)
def test_a_parameter_is_kept_or_refuses(modifier: R) -> None:
    exceeding = StudyUse(**{**EVERYTHING, **EXCEEDS[modifier]})
    (finding,) = match(exceeding, consent(modifier)).findings
    assert (finding.term, finding.outcome, finding.on_chain) == (modifier.name, D, False)
    assert "goes beyond" in finding.reason


@pytest.mark.parametrize("modifier", EXCEEDS, ids=lambda one: one.name)
def test_a_parameter_that_is_not_known_is_left_to_people(modifier: R) -> None:
    found = match(StudyUse(**EVERYTHING), DataUse(R.GRU | modifier))
    assert found.outcome is U
    assert "not known here" in found.findings[0].reason


def test_a_disease_that_is_not_known_is_left_to_people() -> None:
    assert reasons(STUDIES["DS-X"], DataUse(R.DS)) == [("DS", U)]


@pytest.mark.parametrize("breach", [{"for_profit": True}, {"commercial": True}])
def test_not_for_profit_and_not_commercial_means_both(breach: dict[str, bool]) -> None:
    assert reasons(StudyUse(health=True, **breach), DataUse(R.HMB | R.NPUNCU)) == [("NPUNCU", D)]


def test_a_for_profit_organisation_may_do_what_is_not_commercial() -> None:
    study = StudyUse(health=True, for_profit=True)
    assert match(study, DataUse(R.HMB | R.NCU)).permitted
    assert not match(study, DataUse(R.HMB | R.NPU)).permitted


def test_any_research_includes_ancestry_that_is_prohibited() -> None:
    assert reasons(StudyUse(general=True), DataUse(R.GRU | R.NPOA)) == [("NPOA", D)]


def test_what_is_never_published_keeps_a_moratorium() -> None:
    study = StudyUse(health=True)
    assert match(study, DataUse(R.HMB | R.MOR, publish_from=date(2030, 1, 1))).permitted
    assert reasons(study, DataUse(R.HMB | R.MOR | R.PUB, publish_from=date(2030, 1, 1))) == [("PUB", D)]


def test_clinical_care_needs_its_own_term() -> None:
    study = StudyUse(health=True, clinical_care=True)
    assert reasons(study, DataUse(R.HMB)) == [("CC", D)]
    assert match(study, DataUse(R.HMB | R.CC)).permitted
    assert match(study, DataUse(R.NRES)).permitted
    assert match(StudyUse(health=True), DataUse(R.HMB | R.CC)).permitted


def test_every_reason_is_given() -> None:
    study = StudyUse(general=True, diseases=frozenset({DIABETES}), commercial=True, topics=frozenset({Topic.CONTROLS}))
    use = DataUse(R.DS | R.NCU | R.IRB | R.PUB | R.TS, diseases=frozenset({CANCER}), months=6)
    assert reasons(study, use) == [
        *(("GRU", D), ("DS", D), ("PUB", D), ("IRB", D), ("TS", D), ("NCU", D)),
        ("CONTROLS", U),
    ]


# -- what cannot be stated ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stated", "field"),
    [
        ({}, "StudyUse"),
        ({"ethics_approval": True}, "StudyUse"),
        ({"diseases": {"E11"}}, "diseases"),
        ({"diseases": "MONDO:0005148"}, "diseases"),
        ({"health": True, "regions": {"Germany"}}, "regions"),
        ({"health": True, "months": 0}, "months"),
        ({"health": True, "months": True}, "months"),
    ],
)
def test_a_study_that_cannot_be_read(stated: dict[str, Any], field: str) -> None:
    with pytest.raises(DataUseError) as caught:
        StudyUse(**stated)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("stated", "field"),
    [
        ({"terms": R.EMPTY}, "terms"),
        ({"terms": R.IRB}, "terms"),
        ({"terms": R.HMB, "diseases": {CANCER}}, "diseases"),
        ({"terms": R.HMB, "regions": {"DE"}}, "regions"),
        ({"terms": R.HMB | R.TS, "months": -1}, "months"),
        ({"terms": R.DS, "diseases": {"cancer"}}, "diseases"),
    ],
)
def test_a_consent_that_cannot_be_read(stated: dict[str, Any], field: str) -> None:
    with pytest.raises(DataUseError) as caught:
        DataUse(**stated)
    assert caught.value.field == field


def test_a_table_with_other_codes_is_refused() -> None:
    with pytest.raises(DataUseError, match="MONDO or DOID"):
        match(STUDIES["DS-X"], CONSENTS["DS-X"], ancestors={"E11": ["E08"]})

"""What each element of a Consent becomes, and where the text and the rules part."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from medproof.errors import ConsentNotCompilableError
from medproof.fhir import Bound, CompiledConsent, compile_consent
from medproof.policy.codes import (
    Action,
    CareSetting,
    Condition,
    DataClass,
    Purpose,
    ResearchUse,
    Sensitivity,
)
from medproof.policy.document import EVERYONE
from medproof.policy.word import Rule
from tests.sdk.consent.consents import (
    ACT_CODE,
    ACT_REASON,
    CLINIC,
    CONFIDENTIALITY,
    CONSENT_ACTION,
    DUO,
    GRANTEES,
    GROUP,
    ICD,
    LAB,
    LOINC,
    RESOURCE_TYPES,
    actor,
    coding,
    concept,
    consent,
)

ROOT = "Consent.provision"
CLINIC_ACTOR = actor("Organization/clinic")
HIV = [coding(ACT_CODE, "HIV")]
TREAT = [coding(ACT_REASON, "TREAT")]


def compiled(content: dict[str, Any], **options: Any) -> CompiledConsent:
    return compile_consent(content, grantees=GRANTEES, **options).under(1)


def rules(content: dict[str, Any], **options: Any) -> list[tuple[str, Rule]]:
    return list(compiled(content, **options).rules)


def only(effect: str = "permit", **limits: Any) -> Rule:
    [(_, rule)] = rules(consent({"type": effect, **limits}))
    return rule


# --- elements ---


def test_no_limit_is_everything() -> None:
    rule = only()
    assert (rule.purposes, rule.research) == (Purpose.ALL, ResearchUse.PERMISSIONS)
    assert (rule.classes, rule.conditions, rule.settings) == (DataClass.ALL, Condition.ALL, CareSetting.ALL)
    assert (rule.sensitivities, rule.actions) == (Sensitivity.ALL, Action.ALL)
    assert (rule.valid_from, rule.valid_until) == (datetime(1970, 1, 1, tzinfo=UTC), None)
    assert (rule.data_from, rule.data_until, rule.deny) == (date(1970, 1, 1), None, False)


def test_codes() -> None:
    rule = only(
        purpose=[*TREAT, coding(ACT_REASON, "CAREMGT")],
        action=[concept(CONSENT_ACTION, "access"), concept(CONSENT_ACTION, "use")],
        securityLabel=[*HIV, coding("urn:medproof:sensitivity", "NONE_LABELLED")],
        code=[concept(ICD, "I00-I99")],
        **{"class": [coding(RESOURCE_TYPES, "Procedure"), coding("urn:medproof:data-class", "laboratory")]},
    )
    assert rule.purposes == Purpose.TREAT | Purpose.CAREMGT
    assert rule.actions == Action.ACCESS | Action.USE
    assert rule.sensitivities == Sensitivity.HIV | Sensitivity.NONE_LABELLED
    assert rule.conditions == Condition.CIRCULATORY
    assert rule.classes == DataClass.PROCEDURE | DataClass.LABORATORY
    assert rule.research == ResearchUse.EMPTY


def test_encounter_classes_are_settings() -> None:
    rule = only(**{"class": [coding(ACT_CODE, "EMER"), coding(ACT_CODE, "AMB")]})
    assert (rule.settings, rule.classes) == (CareSetting.EMER | CareSetting.AMB, DataClass.ALL)


@pytest.mark.parametrize(
    ("terms", "purposes", "research"),
    [
        (["DUO_0000006"], Purpose.RESEARCH, ResearchUse.HMB | ResearchUse.DS),
        (["DUO_0000021"], Purpose.RESEARCH, ResearchUse.PERMISSIONS | ResearchUse.IRB),
        (["DUO:0000007", "NPU"], Purpose.RESEARCH, ResearchUse.DS | ResearchUse.NPU),
    ],
)
def test_duo(terms: list[str], purposes: Purpose, research: ResearchUse) -> None:
    rule = only(purpose=[coding(DUO, term) for term in terms])
    assert (rule.purposes, rule.research) == (purposes, research)


def test_a_refusal_includes_what_is_narrower() -> None:
    rule = only("deny", purpose=[*TREAT, coding(DUO, "HMB")], securityLabel=[coding(ACT_CODE, "SUD")])
    assert rule.purposes == Purpose.TREAT | Purpose.ETREAT | Purpose.BTG | Purpose.RESEARCH
    assert rule.research == ResearchUse.HMB | ResearchUse.DS
    assert rule.sensitivities == Sensitivity.SUD | Sensitivity.ETHUD | Sensitivity.OPIOIDUD


def test_a_permit_has_narrower_labels_but_only_the_purposes_named() -> None:
    rule = only(purpose=TREAT, securityLabel=[coding(ACT_CODE, "SUD")])
    assert rule.purposes == Purpose.TREAT
    assert rule.sensitivities == Sensitivity.SUD | Sensitivity.ETHUD | Sensitivity.OPIOIDUD


@pytest.mark.parametrize(
    ("period", "begin", "end"),
    [
        ({"start": "2026"}, datetime(2026, 1, 1, tzinfo=UTC), None),
        ({"start": "2026-02", "end": "2026-02"}, datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)),
        ({"end": "2026-12"}, datetime(1970, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
        (
            {"start": "2026-02-03", "end": "2026-02-03T11:59:59+02:00"},
            datetime(2026, 2, 3, tzinfo=UTC),
            datetime(2026, 2, 3, 10, tzinfo=UTC),
        ),
        ({"start": "1950-01-01"}, datetime(1970, 1, 1, tzinfo=UTC), None),
    ],
)
def test_periods_include_their_end(period: dict[str, str], begin: datetime, end: datetime | None) -> None:
    rule = only(period=period)
    assert (rule.valid_from, rule.valid_until) == (begin, end)


def test_data_periods_are_days() -> None:
    rule = only(dataPeriod={"start": "2020-05", "end": "2021"})
    assert (rule.data_from, rule.data_until) == (date(2020, 5, 1), date(2021, 12, 31))


def test_actors_are_grantees() -> None:
    content = consent({"type": "permit", "actor": [CLINIC_ACTOR, actor("Group/ward", "IRCP"), CLINIC_ACTOR]})
    assert {grantee.lower() for grantee, _ in rules(content)} == {CLINIC.lower(), GROUP}
    [(grantee, _)] = rules(consent({"type": "permit"}))
    assert grantee == EVERYONE


def test_actors_by_identifier() -> None:
    provider = {"identifier": {"system": "http://hl7.org/fhir/sid/us-npi", "value": "1"}}
    ours = {"identifier": {"system": "urn:medproof:grantee", "value": LAB}}
    for reference in (provider, ours):
        content = consent({"type": "permit", "actor": [{**CLINIC_ACTOR, "reference": reference}]})
        found = compile_consent(content, grantees={"http://hl7.org/fhir/sid/us-npi|1": LAB})
        assert found.rules[0][0].lower() == LAB.lower()


def test_the_custodian_limits_nothing() -> None:
    content = consent({"type": "permit", "actor": [actor("Organization/f001", "CST"), CLINIC_ACTOR]})
    [(grantee, _)] = rules(content, custodian="Organization/f001")
    assert grantee.lower() == CLINIC.lower()


def test_flags_and_terms() -> None:
    own = "urn:medproof:consent:"
    extensions = [
        {"url": f"{own}delegable", "valueBoolean": True},
        {"url": f"{own}break-glass-refused", "valueBoolean": True},
        {"url": f"{own}terms", "valueInteger": 7},
        {"url": f"{own}index", "valueInteger": 4},
        {"url": "http://example.org/colour", "valueString": "blue"},
    ]
    content = consent({"type": "permit", "extension": extensions})
    [(_, rule)] = compile_consent(content, grantees=GRANTEES, terms=2).rules
    assert (rule.delegable, rule.break_glass_refused, rule.terms, rule.index) == (True, True, 7, 4)
    [(_, rule)] = compile_consent(consent({"type": "permit"}), grantees=GRANTEES, terms=2).rules
    assert (rule.delegable, rule.break_glass_refused, rule.terms, rule.index) == (False, False, 2, 0)


# --- the root ---


def test_an_opt_out_alone_refuses_everything() -> None:
    [(grantee, rule)] = rules(consent())
    assert (grantee, rule.deny, rule.purposes) == (EVERYONE, True, Purpose.ALL)


def test_an_opt_in_permits_nothing_beyond_the_provision() -> None:
    content = consent({"type": "deny", "actor": [CLINIC_ACTOR]}, policyRule=concept(ACT_CODE, "OPTIN"))
    found = compiled(content)
    assert [rule.deny for _, rule in found.rules] == [True]
    assert found.bounds == (Bound("Consent.policyRule", "no permit beyond those in the provision"),)


def test_exceptions_tell_what_an_untyped_root_does() -> None:
    refusals = consent({"actor": [CLINIC_ACTOR], "provision": [{"type": "deny", "securityLabel": HIV}]})
    assert [rule.deny for _, rule in rules(refusals)] == [False, True]
    permits = consent({"actor": [CLINIC_ACTOR], "provision": [{"type": "permit", "purpose": TREAT}]})
    [(_, rule)] = rules(permits)
    assert (rule.deny, rule.purposes) == (False, Purpose.TREAT)


@pytest.mark.parametrize("effect", ["permit", "deny"])
def test_the_caller_says_what_an_untyped_root_does(effect: Any) -> None:
    [(_, rule)] = rules(consent({"actor": [CLINIC_ACTOR]}), root=effect)
    assert rule.deny is (effect == "deny")
    typed = consent({"type": "deny", "actor": [CLINIC_ACTOR]})
    assert rules(typed, root=effect)[0][1].deny


# --- exceptions ---


def test_an_exception_to_an_exception_is_cut_out() -> None:
    """A permit but for HIV, and of HIV but for emergencies: the refusal on chain leaves room for them."""
    exception = {"type": "permit", "purpose": [coding(ACT_REASON, "ETREAT")]}
    content = consent(
        {"type": "permit", "provision": [{"type": "deny", "securityLabel": HIV, "provision": [exception]}]}
    )
    [(_, permit), (_, refusal)] = rules(content)
    assert (permit.deny, permit.purposes) == (False, Purpose.ALL)
    assert (refusal.deny, refusal.sensitivities) == (True, Sensitivity.HIV)
    assert refusal.purposes == Purpose.ALL & ~Purpose.ETREAT


def test_an_exception_for_one_party_is_left_out_of_the_permit() -> None:
    """Everyone but for HIV, and the clinic HIV as well: a refusal for everyone would beat the clinic's permit."""
    exception = {"type": "permit", "actor": [CLINIC_ACTOR]}
    content = consent(
        {"type": "permit", "provision": [{"type": "deny", "securityLabel": HIV, "provision": [exception]}]}
    )
    [(everyone, permit), (clinic, extra)] = rules(content)
    assert (everyone, permit.deny, permit.sensitivities) == (EVERYONE, False, Sensitivity.ALL & ~Sensitivity.HIV)
    assert (clinic.lower(), extra.deny, extra.sensitivities) == (CLINIC.lower(), False, Sensitivity.HIV)


def test_an_exception_with_an_obligation_is_left_out_of_the_permit() -> None:
    research = [coding(ACT_REASON, "HRESCH")]
    exception = {"type": "permit", "purpose": [*research, coding(DUO, "IRB")]}
    refusal = {"type": "deny", "purpose": research, "provision": [exception]}
    [(_, permit), (_, study)] = rules(consent({"type": "permit", "provision": [refusal]}))
    assert not permit.purposes & (Purpose.HRESCH | Purpose.CLINTRCH | Purpose.DSRCH)
    assert (study.deny, study.purposes) == (False, Purpose.HRESCH)
    assert ResearchUse.IRB in study.research


def test_a_frame_limits_what_is_in_it() -> None:
    inner = [{"type": "permit", "actor": [CLINIC_ACTOR]}, {"type": "deny", "securityLabel": HIV}]
    content = consent({"type": "deny", "purpose": TREAT, "period": {"end": "2027"}, "provision": inner})
    [(clinic, permit), (everyone, refusal)] = rules(content)
    assert (clinic.lower(), permit.deny, permit.purposes) == (CLINIC.lower(), False, Purpose.TREAT)
    assert (everyone, refusal.deny) == (EVERYONE, True)
    assert refusal.purposes == Purpose.TREAT | Purpose.ETREAT | Purpose.BTG
    assert permit.valid_until == refusal.valid_until == datetime(2028, 1, 1, tzinfo=UTC)


# --- bounds ---


def bounds(content: dict[str, Any], **options: Any) -> list[tuple[str, str, str]]:
    return [(bound.path, bound.word, bound.document) for bound in compiled(content, **options).bounds]


def test_a_finer_permit_is_a_bound_with_a_document() -> None:
    codes = [concept(ICD, "E11"), concept(ICD, "I10")]
    found = compiled(consent({"type": "permit", "code": codes}))
    [(_, rule)] = found.rules
    assert rule.conditions == Condition.ENDOCRINE | Condition.CIRCULATORY
    assert found.document is not None
    [provision] = found.document.provisions
    assert provision.any_of == ((f"code:{ICD}|E11", f"code:{ICD}|I10"),)
    held = f"one of code:{ICD}|E11, code:{ICD}|I10"
    assert found.bounds == (Bound(f"{ROOT}.code", "ICD-10-CM chapters: E00-E89, I00-I99", held),)


def test_seconds_are_a_bound_with_a_document() -> None:
    found = compiled(consent({"type": "permit", "period": {"start": "2026-01-01T10:00:30Z"}}))
    [(_, rule)] = found.rules
    assert rule.valid_from == datetime(2026, 1, 1, 10, tzinfo=UTC)
    assert found.document is not None
    assert found.document.provisions[0].starts == datetime(2026, 1, 1, 10, 0, 30, tzinfo=UTC)
    assert found.bounds == (Bound(f"{ROOT}.period.start", "the whole minute around it", "2026-01-01T10:00:30+00:00"),)


def test_a_finer_refusal_is_held_by_the_document_of_the_permits_that_it_meets() -> None:
    refusal = {"type": "deny", "code": [concept(LOINC, "718-7")]}
    found = compiled(consent({"type": "permit", "provision": [refusal]}))
    assert [rule.deny for _, rule in found.rules] == [False]
    assert found.document is not None
    assert sorted(provision.deny for provision in found.document.provisions) == [False, True]
    assert [bound.word for bound in found.bounds] == ["nothing: the document refuses it"]


@pytest.mark.parametrize(
    ("limits", "path", "held"),
    [
        ({"code": [concept(LOINC, "718-7")]}, "code", "ICD-10-CM chapters: all"),
        ({"class": [coding(RESOURCE_TYPES, "MedicationRequest")]}, "class", "MedProof data class: medication"),
        ({"securityLabel": [coding(CONFIDENTIALITY, "R")]}, "securityLabel", "data of every label"),
        (
            {"data": [{"meaning": "instance", "reference": {"reference": "Task/1"}}]},
            "data",
            "MedProof data class: order",
        ),
        ({"actor": [actor("Practitioner/1", "AUT")]}, "actor", "data of every author"),
        ({"period": {"end": "2027-01-01T00:00:30Z"}}, "period.end", "the whole minute around it"),
        ({"period": {"end": "2600"}}, "period.end", "no end"),
        ({"dataPeriod": {"start": "2020-01-01T10:00:00Z"}}, "dataPeriod.start", "the whole day"),
        ({"dataPeriod": {"start": "1960"}}, "dataPeriod.start", "all earlier data"),
        ({"dataPeriod": {"end": "2300"}}, "dataPeriod.end", "the nearest it can"),
        ({"dataPeriod": {"end": "1950"}}, "dataPeriod.end", "the nearest it can"),
        ({"dataPeriod": {"end": "2020-01-01T10:00:00Z"}}, "dataPeriod.end", "the whole day"),
    ],
)
def test_a_finer_refusal_alone_is_wider_and_says_so(limits: dict[str, Any], path: str, held: str) -> None:
    found = compiled(consent({"type": "deny", **limits}))
    assert [rule.deny for _, rule in found.rules] == [True]
    assert found.document is None
    assert found.bounds == (Bound(f"{ROOT}.{path}", held),)


def test_whole_classes_need_no_document() -> None:
    types = ("MedicationRequest", "MedicationStatement", "MedicationDispense", "Medication", "MedicationAdministration")
    content = consent({"type": "permit", "class": [coding(RESOURCE_TYPES, name) for name in types]})
    found = compile_consent(content, grantees=GRANTEES)
    assert (found.document, found.bounds) == (None, ())
    assert found.rules[0][1].classes == DataClass.MEDICATION


def test_observations_may_be_of_many_classes() -> None:
    content = consent({"type": "permit", "class": [coding(RESOURCE_TYPES, "Observation")]})
    [(_, rule)] = rules(content)
    assert DataClass.LABORATORY | DataClass.VITAL_SIGNS | DataClass.OBSERVATION in rule.classes


def test_the_limits_of_a_frame_are_bounds_as_well() -> None:
    code = [concept(LOINC, "718-7")]
    permit = compiled(consent({"code": code, "provision": [{"type": "permit"}]}))
    assert permit.document is not None
    assert [bound.path for bound in permit.bounds] == [f"{ROOT}.code"]
    nested = [{"type": "permit", "actor": [CLINIC_ACTOR]}, {"type": "deny", "actor": [actor("Organization/lab")]}]
    refusal = compiled(consent({"code": code, "provision": nested}))
    assert [rule.deny for _, rule in refusal.rules] == [False, True]
    assert Bound(f"{ROOT}.provision[1]", "the refusal without the finer limits around it") in refusal.bounds


@pytest.mark.parametrize("member", ["Organization/lab", "Group/ward"])
def test_a_permit_of_a_group_is_not_narrowed_for_one_of_its_actors(member: str) -> None:
    """A member of the ward would keep what the ward, or the member itself, is permitted."""
    exception = {"type": "permit", "purpose": [coding(ACT_REASON, "HRESCH"), coding(DUO, "IRB")]}
    both = [actor("Organization/lab"), actor("Group/ward")]

    def content(actors: list[dict[str, Any]]) -> dict[str, Any]:
        refusal = {"type": "deny", "actor": actors, "securityLabel": HIV, "provision": [exception]}
        return consent({"type": "permit", "actor": both, "provision": [refusal]})

    with pytest.raises(ConsentNotCompilableError, match="a refusal on chain would beat"):
        compiled(content([actor(member)]))
    assert not any(rule.deny for _, rule in rules(content(both[::-1])))

"""What cannot become rules is refused, with the path of the element and the reason."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from medproof.errors import ConsentDocumentError, ConsentNotCompilableError, InvalidRecordError, JsonError, NotFhirError
from medproof.fhir import compile_consent
from medproof.policy.codes import Purpose
from tests.sdk.consent.consents import (
    ACT_CODE,
    ACT_REASON,
    CONFIDENTIALITY,
    CONSENT_ACTION,
    DUO,
    GRANTEES,
    ICD,
    LOINC,
    PURPOSES,
    RESOURCE_TYPES,
    actor,
    coding,
    concept,
    consent,
)

ROOT = "Consent.provision"
CLINIC = actor("Organization/clinic")
PERMIT: dict[str, Any] = {"type": "permit", "actor": [CLINIC]}
MODIFIER = {"url": "http://example.org/unless", "valueBoolean": True}


def permit(**limits: Any) -> dict[str, Any]:
    return consent({**PERMIT, **limits})


def nested(*inner: dict[str, Any], **limits: Any) -> dict[str, Any]:
    return consent({**PERMIT, **limits, "provision": list(inner)})


def deny(**limits: Any) -> dict[str, Any]:
    return {"type": "deny", **limits}


HIV = [coding(ACT_CODE, "HIV")]
TREAT = [coding(ACT_REASON, "TREAT")]
OWN = "urn:medproof:consent:"

CASES: dict[str, tuple[dict[str, Any], str, str]] = {
    # the resource
    "draft": (consent(PERMIT, status="draft"), "Consent.status", "draft"),
    "proposed": (consent(PERMIT, status="proposed"), "Consent.status", "not agreed"),
    "rejected": (consent(PERMIT, status="rejected"), "Consent.status", "rejected"),
    "inactive": (consent(PERMIT, status="inactive"), "Consent.status", "terminated"),
    "entered in error": (consent(PERMIT, status="entered-in-error"), "Consent.status", "in error"),
    "unknown status": (consent(PERMIT, status="alive"), "Consent.status", "no code"),
    "treatment": (
        consent(PERMIT, scope=concept("http://terminology.hl7.org/CodeSystem/consentscope", "treatment")),
        "Consent.scope",
        "not about the use of data",
    ),
    "scope in words": (consent(PERMIT, scope={"text": "privacy"}), "Consent.scope", "not about"),
    "implicit rules": (consent(PERMIT, implicitRules="http://example.org"), "Consent.implicitRules", "not known"),
    "modifier on top": (
        consent(PERMIT, modifierExtension=[MODIFIER]),
        "Consent.modifierExtension",
        "changes the meaning",
    ),
    "modifier in the policy": (
        consent(PERMIT, policy=[{"uri": "http://example.org", "modifierExtension": [MODIFIER]}]),
        "Consent.policy[0].modifierExtension",
        "changes the meaning",
    ),
    "modifier on a provision": (
        permit(modifierExtension=[MODIFIER]),
        f"{ROOT}.modifierExtension[0]",
        "no extension",
    ),
    "modifier on an actor": (
        permit(actor=[{**CLINIC, "modifierExtension": [MODIFIER]}]),
        f"{ROOT}.actor[0].modifierExtension",
        "changes the meaning",
    ),
    "opt-in alone": (
        consent(policyRule=concept(ACT_CODE, "OPTIN")),
        ROOT,
        "names terms that the resource lacks",
    ),
    "no base and no provision": (consent(policyRule=None), ROOT, "is missing"),
    # the root and nesting
    "root without type": (consent({"actor": [CLINIC]}), f"{ROOT}.type", "in both senses"),
    "unknown type": (consent({"type": "maybe"}), f"{ROOT}.type", "neither permit nor deny"),
    "type explained away": (
        consent({**PERMIT, "provision": [{"_type": {"id": "x"}, "purpose": TREAT}]}),
        f"{ROOT}.provision[0].type",
        "has no value",
    ),
    "nested without type": (nested({"purpose": TREAT}), f"{ROOT}.provision[0].type", "requires it"),
    "permit in a permit": (
        nested({"type": "permit", "purpose": TREAT}),
        f"{ROOT}.provision[0].type",
        "permits already",
    ),
    "exceptions in a refusal in a refusal": (
        nested(
            deny(
                securityLabel=HIV,
                provision=[
                    deny(purpose=TREAT, provision=[{"type": "permit", "action": [concept(CONSENT_ACTION, "use")]}])
                ],
            )
        ),
        f"{ROOT}.provision[0].provision[0].type",
        "refuses already",
    ),
    "refusal of everything": (nested(deny()), f"{ROOT}.provision[0]", "refuses all"),
    "exception elsewhere": (
        nested(deny(purpose=[coding(ACT_REASON, "HMARKT")]), purpose=TREAT),
        f"{ROOT}.provision[0]",
        "never apply",
    ),
    "frame of nothing": (
        consent({"provision": [{"type": "permit", "provision": [deny()]}]}),
        f"{ROOT}.provision[0].provision[0]",
        "refuses all",
    ),
    # who
    "unresolved actor": (permit(actor=[actor("Organization/none")]), f"{ROOT}.actor[0].reference", "no grantee"),
    "unnamed actor": (
        permit(actor=[{**CLINIC, "reference": {"display": "the clinic"}}]),
        f"{ROOT}.actor[0].reference",
        "no grantee",
    ),
    "grantee that is no address": (
        permit(actor=[actor("Organization/odd")]),
        f"{ROOT}.actor[0].reference",
        "no address",
    ),
    "grantee zero": (permit(actor=[actor("Organization/zero")]), f"{ROOT}.actor[0].reference", "no address"),
    "unknown role": (permit(actor=[actor("Organization/clinic", "TPA")]), f"{ROOT}.actor[0].role", "no role"),
    "role in words": (
        permit(actor=[{**CLINIC, "role": {"text": "the one who reads"}}]),
        f"{ROOT}.actor[0].role",
        "no coding",
    ),
    "another custodian": (
        permit(actor=[actor("Organization/other", "CST")]),
        f"{ROOT}.actor[0].reference",
        "other than",
    ),
    "nobody in common": (
        nested(deny(actor=[actor("Organization/lab")])),
        f"{ROOT}.provision[0].actor",
        "names none",
    ),
    "member of a group": (
        consent({"type": "permit", "actor": [actor("Group/ward")], "provision": [deny(actor=[CLINIC])]}),
        f"{ROOT}.provision[0].actor",
        "may belong to a group",
    ),
    # codes
    "unknown purpose": (permit(purpose=[coding(ACT_REASON, "TRAET")]), f"{ROOT}.purpose[0].code", "no code of HL7"),
    "purpose of another list": (permit(purpose=[coding(LOINC, "TREAT")]), f"{ROOT}.purpose[0].system", "code system"),
    "purpose without system": (permit(purpose=[{"code": "TREAT"}]), f"{ROOT}.purpose[0]", "no system"),
    "unknown DUO term": (permit(purpose=[coding(DUO, "DUO_9999999")]), f"{ROOT}.purpose[0].code", "Data Use"),
    "unknown action": (
        permit(action=[concept(CONSENT_ACTION, "access"), concept(CONSENT_ACTION, "burn")]),
        f"{ROOT}.action[1].coding[0].code",
        "no code",
    ),
    "action in words": (permit(action=[{"text": "read"}]), f"{ROOT}.action[0]", "no coding"),
    "unknown label": (permit(securityLabel=[coding(ACT_CODE, "SPI")]), f"{ROOT}.securityLabel[0].code", "no code"),
    "our label in HL7's list": (
        permit(securityLabel=[coding(ACT_CODE, "NONE_LABELLED")]),
        f"{ROOT}.securityLabel[0].system",
        "has no code",
    ),
    "two kinds of labels": (
        permit(securityLabel=[*HIV, coding(CONFIDENTIALITY, "R")]),
        f"{ROOT}.securityLabel",
        "both",
    ),
    "unknown class": (
        permit(**{"class": [coding(RESOURCE_TYPES, "Practitioner")]}),
        f"{ROOT}.class[0].code",
        "without a data",
    ),
    "settings among classes": (
        permit(**{"class": [coding(ACT_CODE, "AMB"), coding(RESOURCE_TYPES, "Procedure")]}),
        f"{ROOT}.class",
        "both care settings",
    ),
    "code in words": (permit(code=[{"text": "diabetes"}]), f"{ROOT}.code[0]", "no coding"),
    "no code of ICD-10-CM": (permit(code=[concept(ICD, "99")]), f"{ROOT}.code[0].coding[0].code", "no chapter"),
    "data without reference": (
        permit(data=[{"meaning": "instance", "reference": {"display": "the letter"}}]),
        f"{ROOT}.data[0].reference",
        "no literal reference",
    ),
    "data of no known meaning": (
        permit(data=[{"meaning": "around", "reference": {"reference": "Task/1"}}]),
        f"{ROOT}.data[0].meaning",
        "no code",
    ),
    "obligation on a refusal": (
        nested(deny(purpose=[coding(DUO, "DUO_0000021")])),
        f"{ROOT}.provision[0].purpose",
        "obligation",
    ),
    "our extension in another form": (
        permit(extension=[{"url": f"{OWN}delegable", "valueString": "yes"}]),
        f"{ROOT}.extension[0]",
        "no extension",
    ),
    "a limit that may be passed over": (
        permit(extension=[{"url": f"{OWN}party-kind", "valueCoding": coding("urn:medproof:party-kind", "payer")}]),
        f"{ROOT}.extension[0]",
        "no extension",
    ),
    "index beyond the word": (
        permit(extension=[{"url": f"{OWN}index", "valueInteger": 16}]),
        f"{ROOT}.extension",
        "beyond the field index",
    ),
    "unknown kind of party": (
        permit(
            modifierExtension=[{"url": f"{OWN}party-kind", "valueCoding": coding("urn:medproof:party-kind", "bank")}]
        ),
        f"{ROOT}.modifierExtension.code",
        "no code",
    ),
    "no tag": (
        permit(modifierExtension=[{"url": f"{OWN}any-of", "extension": [{"url": "tag", "valueBoolean": True}]}]),
        f"{ROOT}.modifierExtension",
        "no tag",
    ),
    # times
    "ends before it starts": (
        permit(period={"start": "2026-02", "end": "2026-01"}),
        f"{ROOT}.period",
        "before it starts",
    ),
    "leap second": (permit(period={"end": "2026-06-30T23:59:60Z"}), f"{ROOT}.period.end", "no FHIR dateTime"),
    "last year": (permit(period={"end": "9999"}), f"{ROOT}.period.end", "no FHIR dateTime"),
    "nanoseconds": (
        permit(period={"start": "2026-06-30T23:59:59.123456789Z"}),
        f"{ROOT}.period.start",
        "no FHIR dateTime",
    ),
    "before 1970": (permit(period={"end": "1969-12-31"}), f"{ROOT}.period", "outside the times"),
    "after 2480": (permit(period={"start": "2500"}), f"{ROOT}.period", "outside the times"),
    "ends after 2480": (permit(period={"end": "2500"}), f"{ROOT}.period.end", "beyond the last minute"),
    "period of nothing": (permit(period={"id": "x"}), f"{ROOT}.period", "neither start nor end"),
    "start explained away": (
        permit(period={"_start": {"id": "x"}, "end": "2027"}),
        f"{ROOT}.period.start",
        "has no value",
    ),
    "data by the hour": (
        permit(dataPeriod={"start": "2020-01-01T10:00:00Z"}),
        f"{ROOT}.dataPeriod.start",
        "finer than a day",
    ),
    "data before 1970": (permit(dataPeriod={"start": "1964-05-01"}), f"{ROOT}.dataPeriod.start", "not after 1970"),
    "data after 2149": (permit(dataPeriod={"end": "2200"}), f"{ROOT}.dataPeriod.end", "outside the days"),
    # exceptions that no rules hold
    "exception for one of a group": (
        consent(
            {
                "provision": [
                    {"type": "permit", "purpose": TREAT},
                    deny(securityLabel=HIV, provision=[{"type": "permit", "actor": [CLINIC]}]),
                ]
            }
        ),
        f"{ROOT}.provision[1].provision[0]",
        "a refusal on chain would beat",
    ),
    "exception to one code": (
        nested(deny(code=[concept(LOINC, "718-7")], provision=[{"type": "permit", "purpose": TREAT}])),
        f"{ROOT}.provision[0].provision[0]",
        "no rule word can hold",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_refused_with_path_and_reason(name: str) -> None:
    content, path, reason = CASES[name]
    odd = {"Organization/odd": "0x12", "Organization/zero": f"0x{0:040x}"}
    with pytest.raises(ConsentNotCompilableError, match=reason) as caught:
        compile_consent(content, grantees=GRANTEES | odd)
    assert caught.value.path == path
    assert str(caught.value).startswith(f"{path} {caught.value.rule}, so the consent was not compiled: ")


def test_near_codes_are_named() -> None:
    with pytest.raises(ConsentNotCompilableError, match="did you mean TREAT"):
        compile_consent(permit(purpose=[coding(ACT_REASON, "TRAET")]), grantees=GRANTEES)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"{", JsonError),
        (b"[]", NotFhirError),
        (b'{"resourceType": "Consent"}', InvalidRecordError),
        (json.dumps({**consent(PERMIT), "provisions": []}).encode(), InvalidRecordError),
    ],
)
def test_what_is_no_fhir_is_refused_before(content: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        compile_consent(content, grantees=GRANTEES)


def test_another_resource_is_no_consent() -> None:
    with pytest.raises(ConsentNotCompilableError, match="Patient is no Consent"):
        compile_consent({"resourceType": "Patient", "active": True}, grantees=GRANTEES)


def test_a_nesting_bomb_is_refused() -> None:
    content = consent({"provision": [deny()]})
    place = content["provision"]["provision"][0]
    for depth in range(60):
        place["provision"] = [{"type": ("permit", "deny")[depth % 2]}]
        place = place["provision"][0]
    with pytest.raises(JsonError, match="nested deeper"):
        compile_consent(content, grantees=GRANTEES)


def test_a_deep_tree_within_the_limit_is_answered_soon() -> None:
    content = consent({"type": "permit"})
    place = content["provision"]
    for depth in range(40):
        label = coding(ACT_CODE, ("HIV", "STD")[depth % 2])
        place["provision"] = [{"type": ("deny", "permit")[depth % 2], "securityLabel": [label]}]
        place = place["provision"][0]
    start = time.monotonic()
    with pytest.raises(ConsentNotCompilableError):
        compile_consent(content, grantees=GRANTEES)
    assert time.monotonic() - start < 5


def test_very_many_provisions_are_refused_at_once() -> None:
    content = consent({"provision": [{"type": "permit", "purpose": TREAT} for _ in range(30_000)]})
    with pytest.raises(ConsentNotCompilableError, match="more than 256 provisions") as caught:
        compile_consent(content, grantees=GRANTEES)
    assert caught.value.path == ROOT


def test_many_overlapping_provisions_are_answered_soon() -> None:
    inner = [
        deny(purpose=[coding(ACT_REASON, PURPOSES[number % 5])], dataPeriod={"start": f"{1980 + number // 5}"})
        for number in range(200)
    ]
    start = time.monotonic()
    with pytest.raises(ConsentNotCompilableError, match="beyond 16"):
        compile_consent(nested(*inner), grantees=GRANTEES)
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("count", [16, 17])
def test_a_pair_has_sixteen_rules(count: int) -> None:
    days = [{"type": "permit", "dataPeriod": {"start": f"{2000 + n}", "end": f"{2000 + n}"}} for n in range(count)]
    purposes = [[coding(ACT_REASON, code)] for code in Purpose(Purpose.ALL).codes]
    inner = [{**day, "purpose": purposes[n % len(purposes)]} for n, day in enumerate(days)]
    content = consent({"provision": inner})
    if count == 16:
        rules = compile_consent(content, grantees=GRANTEES).rules
        assert [rule.index for _, rule in rules] == list(range(16))
        return
    with pytest.raises(ConsentNotCompilableError, match="one actor beyond 16") as caught:
        compile_consent(content, grantees=GRANTEES)
    assert caught.value.path == f"{ROOT}.provision[16]"


def test_bounds_are_not_given_without_their_terms() -> None:
    compiled = compile_consent(permit(code=[concept(LOINC, "718-7")]), grantees=GRANTEES)
    assert compiled.document is not None
    with pytest.raises(ConsentDocumentError, match="Publish"):
        _ = compiled.rules
    assert [rule.terms for _, rule in compiled.under(3).rules] == [3]

"""What a record carries, as finer provisions ask for it."""

from __future__ import annotations

from typing import Any

import pytest

from medproof.fhir import compile_consent, load, record_tags, records
from medproof.policy.codes import PartyKind, Purpose
from medproof.policy.document import EVERYONE, decide
from medproof.policy.word import Request, encode, encode_request
from tests.sdk.consent.consents import GRANTEES, ICD, LOINC, RESOURCE_TYPES, coding, concept, consent
from tests.sdk.fhir.fhir_records import CONFIDENTIALITY, OBSERVATION
from tests.sdk.policy.policy_cases import NOW

LETTER: dict[str, Any] = {
    "resourceType": "DocumentReference",
    "id": "d1",
    "meta": {"profile": ["http://example.org/letter"], "security": [{"system": CONFIDENTIALITY, "code": "N"}]},
    "status": "current",
    "author": [{"reference": "Practitioner/7/_history/2"}],
    "type": concept(LOINC, "34133-9"),
    "content": [
        {
            "attachment": {"contentType": "application/hl7-cda+xml"},
            "format": coding("http://ihe.net/fhir/ValueSet/formatcode", "urn:hl7-org:sdwg:ccda-structuredBody:2.1"),
        }
    ],
    "context": {"encounter": [{"reference": "Encounter/e1"}]},
}


def test_tags_of_a_document() -> None:
    tags = record_tags(load(LETTER), referrers=["Task/3"])
    assert tags >= {
        f"class:{RESOURCE_TYPES}|DocumentReference",
        "class:urn:medproof:data-class|document",
        "class:urn:ietf:rfc:3986|http://example.org/letter",
        "class:urn:ietf:bcp:13|application/hl7-cda+xml",
        "class:http://ihe.net/fhir/ValueSet/formatcode|urn:hl7-org:sdwg:ccda-structuredBody:2.1",
        f"code:{LOINC}|34133-9",
        f"label:{CONFIDENTIALITY}|N",
        "instance:DocumentReference/d1",
        "related:DocumentReference/d1",
        "related:Task/3",
        "dependents:DocumentReference/d1",
        "dependents:Encounter/e1",
        "authoredby:Practitioner/7",
    }
    assert "authoredby:Encounter/e1" not in tags


@pytest.mark.parametrize("system", [ICD, "urn:oid:2.16.840.1.113883.6.90"])
def test_codes_bring_what_they_lie_below(system: str) -> None:
    record = {**OBSERVATION, "code": concept(system, "E11.65")}
    expected = {f"code:{ICD}|{code}" for code in ("E11.65", "E11.6", "E11", "E00-E89")}
    found = {tag for tag in record_tags(load(record)) if tag.startswith(f"code:{ICD}|")}
    assert found == expected


def test_a_type_without_class_has_tags_all_the_same() -> None:
    tags = record_tags(load({"resourceType": "Basic", "id": "b1", "code": {"text": "x"}}))
    assert f"class:{RESOURCE_TYPES}|Basic" in tags
    assert not any("urn:medproof:data-class" in tag for tag in tags)


def test_in_a_bundle_each_record_has_its_own() -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"fullUrl": "urn:uuid:1", "resource": OBSERVATION}, {"resource": LETTER}],
    }
    observation, letter = (record_tags(record) for record in records(load(bundle)))
    assert {"instance:urn:uuid:1", "instance:Observation/o1"} <= observation
    assert "instance:urn:uuid:1" not in letter


def test_a_consent_for_one_document_serves_that_document() -> None:
    """From the FHIR consent to the gatekeeper's answer."""
    wanted = {"meaning": "instance", "reference": {"reference": "DocumentReference/d1"}}
    compiled = compile_consent(consent({"type": "permit", "data": [wanted]}), grantees=GRANTEES).under(4)
    words = {EVERYONE: [encode(rule) for _, rule in compiled.rules]}
    request = encode_request(Request(purposes=Purpose.TREAT, classes=compiled.rules[0][1].classes))
    for name, expected in (("d1", True), ("d2", False)):
        tags = [record_tags(load({**LETTER, "id": name}))]
        documents = {4: compiled.document}
        answer = decide(words, PartyKind.PAYER, NOW, request, documents=documents, records=tags)
        assert answer.chain.permitted
        assert answer.permitted is expected

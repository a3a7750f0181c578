"""Small records that the tests of medproof.fhir share, and HL7's examples."""

from __future__ import annotations

import copy
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[3] / "node_modules" / "hl7.fhir.r4.examples"
needs_examples = pytest.mark.skipif(
    not EXAMPLES.is_dir(), reason="needs HL7's R4 examples: run npm ci in the project's folder"
)

ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p1",
    "active": True,
    "name": [{"family": "Chalmers", "given": ["Peter", "James"]}],
    "gender": "male",
    "birthDate": "1974-12-25",
    "multipleBirthInteger": 2,
}
OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "o1",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "15074-8"}]},
    "subject": {"reference": "Patient/p1"},
    "effectiveDateTime": "2013-04-02T09:30:10+01:00",
    "valueQuantity": {"value": Decimal("6.30"), "unit": "mmol/l"},
    "component": [{"code": {"text": "first"}, "valueString": "a"}],
}
ENCOUNTER: dict[str, Any] = {
    "resourceType": "Encounter",
    "id": "e1",
    "status": "finished",
    "class": {"system": ACT_CODE, "code": "AMB"},
    "subject": {"reference": "Patient/p1"},
}
CLAIM: dict[str, Any] = {
    "resourceType": "Claim",
    "id": "c1",
    "status": "active",
    "type": {"coding": [{"code": "professional"}]},
    "use": "claim",
    "patient": {"reference": "Patient/p1"},
    "created": "2026-03-02",
    "provider": {"identifier": {"system": "http://hl7.org/fhir/sid/us-npi", "value": "1234567893"}},
    "priority": {"coding": [{"code": "normal"}]},
    "billablePeriod": {"start": "2026-03-01T09:00:00Z", "end": "2026-03-01T10:00:00Z"},
    "insurance": [{"sequence": 1, "focal": True, "coverage": {"reference": "Coverage/1"}}],
    "item": [
        {
            "sequence": 1,
            "productOrService": {"coding": [{"system": "http://www.ama-assn.org/go/cpt", "code": "99213"}]},
            "modifier": [{"coding": [{"system": "urn:modifier", "code": "25"}]}],
            "encounter": [{"reference": "Encounter/e1"}],
        },
        {
            "sequence": 2,
            "productOrService": {"coding": [{"system": "http://www.ama-assn.org/go/cpt", "code": "85025"}]},
        },
    ],
    "total": {"value": Decimal("125.00"), "currency": "USD"},
}


def changed(record: dict[str, Any], **elements: Any) -> dict[str, Any]:
    """Return a deep copy with elements set, or removed where None is given (`class_` sets `class`)."""
    result = copy.deepcopy(record)
    for name, value in elements.items():
        if value is None:
            result.pop(name.rstrip("_"), None)
        else:
            result[name.rstrip("_")] = value
    return result


def bundle(*contents: dict[str, Any]) -> dict[str, Any]:
    """Return a collection in which each resource has a URL of its own."""
    entries = [
        {"fullUrl": f"https://clinic.example/{one['resourceType']}/{one.get('id', n)}", "resource": one}
        for n, one in enumerate(contents)
    ]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}

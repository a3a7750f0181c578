"""Acceptance on Synthea's patients."""

from __future__ import annotations

from collections import Counter

from medproof import fhir
from medproof.claims import ClaimKind, ClaimOutcome, Code
from medproof.claims.nullifier import claim_nullifier
from tests.sdk.archives import needs_synthea, patients

pytestmark = needs_synthea


def test_legitimate_claims_have_different_nullifiers() -> None:
    claims = [one for bundle in patients() for one in fhir.records(bundle) if one.resource_type == "Claim"]
    assert claims
    assert len({claim_nullifier(fhir.read_claim(claim), bytes(range(32))) for claim in claims}) == len(claims)


def test_every_bundle_has_at_most_one_patient_and_every_claim_finds_it() -> None:
    for bundle in patients():
        whose = fhir.patient_of(bundle)
        for record in fhir.records(bundle):
            if record.resource_type == "Claim":
                patient = fhir.patient_of(record)
                assert patient is not None
                assert whose is not None
                assert patient.resource is not None
                assert whose.resource is not None
                assert patient.resource.content is whose.resource.content


def test_every_claim_and_every_explanation_is_read() -> None:
    kinds: Counter[ClaimKind] = Counter()
    outcomes: Counter[ClaimOutcome] = Counter()
    for bundle in patients():
        for record in fhir.records(bundle):
            if record.resource_type == "Claim":
                claim = fhir.read_claim(record)
                kinds[claim.kind] += 1
                assert (claim.number, claim.patient.system) == (record.id, "https://github.com/synthetichealth/synthea")
                assert claim.prescription is not None or claim.kind is ClaimKind.INSTITUTIONAL
                assert any(line.encounter for line in claim.lines)
            elif record.resource_type == "ExplanationOfBenefit":
                response = fhir.read_claim_response(record)
                outcomes[response.outcome] += 1
                billed = fhir.read_claim(record)
                assert (billed.number, billed.total) == (response.claim_number, response.charge)
    assert kinds == {ClaimKind.INSTITUTIONAL: 519, ClaimKind.PHARMACY: 123}
    assert outcomes == {ClaimOutcome.APPROVED: 321, ClaimOutcome.DENIED: 198}


def test_diagnoses_are_those_of_the_conditions_in_the_bundle() -> None:
    found = {
        code
        for bundle in patients()
        for record in fhir.records(bundle)
        if record.resource_type == "Claim"
        for code in fhir.read_claim(record).diagnoses
    }
    assert Code("http://snomed.info/sct", "444814009") in found  # viral sinusitis
    assert {code.system for code in found} == {"http://snomed.info/sct"}

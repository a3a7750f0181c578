"""FHIR R4 in and out of the contracts' terms: read, check, commit, compare, classify, read claims, compile consents.

A record is read with `load`, committed to with `medproof.hashing.seal(resource.content)`, and proved with
`verify`; `differences` says what was altered. A consent becomes rules with `compile_consent`, and rules become a
consent with `render_consent`. The other functions say where a record stands in the rule word.
"""

from medproof.fhir.claim_response import read_claim_response
from medproof.fhir.claims import read_claim
from medproof.fhir.classification import care_setting, conditions, data_class, sensitivities
from medproof.fhir.consent import Bound, CompiledConsent, compile_consent, record_tags, render_consent
from medproof.fhir.coverage import (
    read_coverage,
    read_eligibility_request,
    read_eligibility_response,
    render_eligibility_response,
)
from medproof.fhir.differences import Change, Difference, differences
from medproof.fhir.medication import (
    Dispense,
    MedicationOrder,
    Supplied,
    fill_of,
    read_dispense,
    read_order,
    render_dispense,
    render_order,
)
from medproof.fhir.resource import PatientReference, Resource, load, patient_of, records, verify

__all__ = [
    "Bound",
    "Change",
    "CompiledConsent",
    "Difference",
    "Dispense",
    "MedicationOrder",
    "PatientReference",
    "Resource",
    "Supplied",
    "care_setting",
    "compile_consent",
    "conditions",
    "data_class",
    "differences",
    "fill_of",
    "load",
    "patient_of",
    "read_claim",
    "read_claim_response",
    "read_coverage",
    "read_dispense",
    "read_eligibility_request",
    "read_eligibility_response",
    "read_order",
    "record_tags",
    "records",
    "render_consent",
    "render_dispense",
    "render_eligibility_response",
    "render_order",
    "sensitivities",
    "verify",
]

"""FHIR R4 in and out of the contracts' terms: read, check, commit, compare, classify, and key claims.

A record is read with `load`, committed to with `medproof.hashing.seal(resource.content)`, and proved with
`verify`; `differences` says what was altered. The other functions say where a record stands in the rule word.
"""

from medproof.fhir.claims import CLAIM_NULLIFIER, claim_nullifier
from medproof.fhir.classification import care_setting, conditions, data_class, sensitivities
from medproof.fhir.differences import Change, Difference, differences
from medproof.fhir.resource import PatientReference, Resource, load, patient_of, records, verify

__all__ = [
    "CLAIM_NULLIFIER",
    "Change",
    "Difference",
    "PatientReference",
    "Resource",
    "care_setting",
    "claim_nullifier",
    "conditions",
    "data_class",
    "differences",
    "load",
    "patient_of",
    "records",
    "sensitivities",
    "verify",
]

"""Acceptance on Synthea patients, where MEDPROOF_SYNTHEA names a zip archive of their FHIR R4 bundles."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator

import pytest

from medproof import fhir
from medproof.claims.nullifier import claim_nullifier

ARCHIVE = os.environ.get("MEDPROOF_SYNTHEA", "")
pytestmark = pytest.mark.skipif(
    not ARCHIVE, reason="needs Synthea bundles: set MEDPROOF_SYNTHEA to the path of a zip archive"
)


def bundles() -> Iterator[fhir.Resource]:
    with zipfile.ZipFile(ARCHIVE) as archive:
        for name in archive.namelist():
            if name.endswith(".json"):
                yield fhir.load(archive.read(name))


def test_legitimate_claims_have_different_nullifiers() -> None:
    claims = [one for bundle in bundles() for one in fhir.records(bundle) if one.resource_type == "Claim"]
    assert claims
    assert len({claim_nullifier(fhir.read_claim(claim), bytes(range(32))) for claim in claims}) == len(claims)


def test_every_bundle_has_at_most_one_patient_and_every_claim_finds_it() -> None:
    for bundle in bundles():
        whose = fhir.patient_of(bundle)
        for record in fhir.records(bundle):
            if record.resource_type == "Claim":
                patient = fhir.patient_of(record)
                assert patient is not None
                assert whose is not None
                assert patient.resource is not None
                assert whose.resource is not None
                assert patient.resource.content is whose.resource.content

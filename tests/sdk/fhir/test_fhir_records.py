"""Bundles, references and the patient that a record is about."""

from __future__ import annotations

from typing import Any

import pytest

from medproof import fhir
from medproof.errors import ManyPatientsError
from tests.sdk.fhir.fhir_records import CLAIM, ENCOUNTER, OBSERVATION, PATIENT, bundle, changed


def patient_of(record: dict[str, Any]) -> fhir.PatientReference | None:
    return fhir.patient_of(fhir.load(record))


def test_records_yields_each_resource_in_order() -> None:
    found = fhir.records(fhir.load(bundle(PATIENT, OBSERVATION, ENCOUNTER)))
    assert [one.resource_type for one in found] == ["Patient", "Observation", "Encounter"]


def test_records_yields_a_single_resource_itself() -> None:
    resource = fhir.load(PATIENT)
    assert list(fhir.records(resource)) == [resource]


def test_records_passes_over_deletions() -> None:
    source = bundle(PATIENT)
    source["entry"].append({"request": {"method": "DELETE", "url": "Patient/2"}})
    assert len(list(fhir.records(fhir.load(source)))) == 1


def test_records_goes_into_bundles_within() -> None:
    inner = bundle(PATIENT)
    found = fhir.records(fhir.load(bundle(inner, OBSERVATION)))
    assert [one.resource_type for one in found] == ["Patient", "Observation"]


@pytest.mark.parametrize("reference", ["Patient/p1", "https://clinic.example/Patient/p1", "Patient/p1/_history/2"])
def test_patient_is_resolved_within_the_bundle(reference: str) -> None:
    observation = changed(OBSERVATION, subject={"reference": reference})
    _, record = fhir.records(fhir.load(bundle(PATIENT, observation)))
    patient = fhir.patient_of(record)
    assert patient is not None
    assert patient.resource is not None
    assert patient.resource.content == PATIENT


def test_patient_by_urn_uuid() -> None:
    urn = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"
    source = bundle(PATIENT, changed(OBSERVATION, subject={"reference": urn}))
    source["entry"][0]["fullUrl"] = urn
    _, record = fhir.records(fhir.load(source))
    patient = fhir.patient_of(record)
    assert patient is not None
    assert patient.resource is not None


def test_patient_that_is_contained() -> None:
    record = changed(OBSERVATION, contained=[PATIENT], subject={"reference": "#p1"})
    patient = patient_of(record)
    assert patient is not None
    assert patient.resource is not None
    assert patient.resource.id == "p1"


def test_two_resources_of_one_name_resolve_to_neither() -> None:
    source = bundle(PATIENT, changed(PATIENT, gender="female"), OBSERVATION)
    record = list(fhir.records(fhir.load(source)))[-1]
    patient = fhir.patient_of(record)
    assert patient is not None
    assert patient.resource is None


def test_patient_of_a_patient_is_itself() -> None:
    patient = patient_of(PATIENT)
    assert patient is not None
    assert patient.reference == "Patient/p1"


def test_patient_by_identifier_alone() -> None:
    patient = patient_of(changed(OBSERVATION, subject={"identifier": {"system": "urn:s", "value": "7"}}))
    assert patient is not None
    assert patient.identifier == ("urn:s", "7")


def test_patient_of_a_claim() -> None:
    patient = patient_of(CLAIM)
    assert patient is not None
    assert patient.reference == "Patient/p1"


def test_group_is_no_patient() -> None:
    assert patient_of(changed(OBSERVATION, subject={"reference": "Group/1"})) is None


def test_subject_of_unknown_kind_counts_as_a_patient() -> None:
    patient = patient_of(changed(OBSERVATION, subject={"reference": "urn:uuid:unknown"}))
    assert patient is not None


def test_record_without_subject_has_no_patient() -> None:
    assert patient_of(changed(OBSERVATION, subject=None)) is None


def test_bundle_has_the_one_patient_of_its_records() -> None:
    patient = patient_of(bundle(PATIENT, OBSERVATION, ENCOUNTER))
    assert patient is not None
    assert patient.resource is not None


def test_bundle_of_two_patients_is_refused() -> None:
    with pytest.raises(ManyPatientsError, match="Bundle names 2 patients"):
        patient_of(bundle(PATIENT, changed(OBSERVATION, subject={"reference": "Patient/p2"})))


def test_patient_reference_does_not_print() -> None:
    assert "p1" not in repr(patient_of(OBSERVATION))

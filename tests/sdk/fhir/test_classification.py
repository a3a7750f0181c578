"""Where a record stands in the code lists of the rule word, and that doubt is refused."""

from __future__ import annotations

from typing import Any

import pytest

from medproof import fhir
from medproof.errors import UnclassifiedRecordError
from medproof.policy.codes import CareSetting, Condition, DataClass, Sensitivity
from tests.sdk.fhir.fhir_records import (
    ACT_CODE,
    CATEGORY,
    CLAIM,
    CONFIDENTIALITY,
    ENCOUNTER,
    ICD,
    OBSERVATION,
    PATIENT,
    bundle,
    changed,
)

V2_0074 = "http://terminology.hl7.org/CodeSystem/v2-0074"
ORGANIZATION = {"resourceType": "Organization", "id": "org", "name": "Clinic"}


def category(*codes: str, system: str = CATEGORY) -> list[dict[str, Any]]:
    return [{"coding": [{"system": system, "code": code}]} for code in codes]


def labelled(*labels: tuple[str, str], of: dict[str, Any] = OBSERVATION) -> dict[str, Any]:
    return changed(of, meta={"security": [{"system": system, "code": code} for system, code in labels]})


def diagnosis(code: str, system: str = ICD) -> dict[str, Any]:
    concept = {"coding": [{"system": system, "code": code}]}
    subject = {"reference": "Patient/p1"}
    return {"resourceType": "Condition", "id": "d1", "code": concept, "subject": subject}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (PATIENT, DataClass.DEMOGRAPHICS),
        (CLAIM, DataClass.CLAIM),
        (ENCOUNTER, DataClass.ENCOUNTER),
        (diagnosis("I10"), DataClass.CONDITION),
        (OBSERVATION, DataClass.OBSERVATION),
        (changed(OBSERVATION, category=category("laboratory")), DataClass.LABORATORY),
        (changed(OBSERVATION, category=category("vital-signs")), DataClass.VITAL_SIGNS),
        (changed(OBSERVATION, category=category("imaging")), DataClass.IMAGING),
        (changed(OBSERVATION, category=category("survey")), DataClass.QUESTIONNAIRE),
        (changed(OBSERVATION, category=category("social-history")), DataClass.OBSERVATION),
        (changed(OBSERVATION, category=category("laboratory", system="urn:local")), DataClass.OBSERVATION),
        (changed(OBSERVATION, category=category("GE", system=V2_0074)), DataClass.GENOMICS),
        (
            changed(OBSERVATION, category=category("laboratory", "imaging")),
            DataClass.LABORATORY | DataClass.IMAGING,
        ),
        (bundle(PATIENT, OBSERVATION, ORGANIZATION), DataClass.DEMOGRAPHICS | DataClass.OBSERVATION),
    ],
)
def test_data_class(record: dict[str, Any], expected: DataClass) -> None:
    assert fhir.data_class(fhir.load(record)) == expected


@pytest.mark.parametrize("record", [ORGANIZATION, bundle(ORGANIZATION)])
def test_data_class_refuses_what_is_no_record_of_a_patient(record: dict[str, Any]) -> None:
    with pytest.raises(UnclassifiedRecordError):
        fhir.data_class(fhir.load(record))


def test_data_class_refuses_a_bundle_with_one_unknown_record() -> None:
    basic = {"resourceType": "Basic", "id": "b", "code": {"text": "x"}}
    with pytest.raises(UnclassifiedRecordError, match="Basic"):
        fhir.data_class(fhir.load(bundle(PATIENT, basic)))


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (OBSERVATION, Sensitivity.NONE_LABELLED),
        (labelled((ACT_CODE, "HIV")), Sensitivity.HIV),
        (labelled((ACT_CODE, "HIV"), (ACT_CODE, "PSY")), Sensitivity.HIV | Sensitivity.PSY),
        (labelled((ACT_CODE, "SICKLE")), Sensitivity.SCA),
        (labelled((CONFIDENTIALITY, "N")), Sensitivity.NONE_LABELLED),
        (labelled((CONFIDENTIALITY, "R"), (ACT_CODE, "ETH")), Sensitivity.ETH),
        (
            labelled(("http://terminology.hl7.org/CodeSystem/v3-ActReason", "HTEST")),
            Sensitivity.NONE_LABELLED,
        ),
        (
            changed(OBSERVATION, contained=[labelled((ACT_CODE, "SDV"), of=PATIENT)]),
            Sensitivity.SDV,
        ),
        (bundle(PATIENT, labelled((ACT_CODE, "HIV"))), Sensitivity.NONE_LABELLED | Sensitivity.HIV),
        (
            labelled((ACT_CODE, "TBOO"), of=bundle(PATIENT)),
            Sensitivity.NONE_LABELLED | Sensitivity.TBOO,
        ),
    ],
)
def test_sensitivities(record: dict[str, Any], expected: Sensitivity) -> None:
    assert fhir.sensitivities(fhir.load(record)) == expected


@pytest.mark.parametrize(
    "label",
    [
        (ACT_CODE, "SPI"),
        (ACT_CODE, "NONE_LABELLED"),
        (ACT_CODE, "hiv"),
        (CONFIDENTIALITY, "R"),
        (CONFIDENTIALITY, "V"),
        ("urn:local", "secret"),
    ],
)
def test_sensitivities_refuses_a_label_that_no_bit_stands_for(label: tuple[str, str]) -> None:
    with pytest.raises(UnclassifiedRecordError, match=r"Observation\.meta\.security\[0\]"):
        fhir.sensitivities(fhir.load(labelled(label)))


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (OBSERVATION, Condition(0)),
        (diagnosis("I10"), Condition.CIRCULATORY),
        (diagnosis("E11.9"), Condition.ENDOCRINE),
        (diagnosis("F32.9"), Condition.MENTAL),
        (diagnosis("D49"), Condition.NEOPLASMS),
        (diagnosis("D50.0"), Condition.BLOOD),
        (diagnosis("O9A.1"), Condition.PREGNANCY),
        (diagnosis("B20", "urn:oid:2.16.840.1.113883.6.90"), Condition.INFECTIONS),
        (diagnosis("59621000", "http://snomed.info/sct"), Condition(0)),
        (
            bundle(diagnosis("I10"), changed(diagnosis("J45"), id="d2")),
            Condition.CIRCULATORY | Condition.RESPIRATORY,
        ),
    ],
)
def test_conditions(record: dict[str, Any], expected: Condition) -> None:
    assert fhir.conditions(fhir.load(record)) == expected


def test_conditions_of_a_claim() -> None:
    concept = {"coding": [{"system": ICD, "code": "K35.80"}]}
    record = changed(CLAIM, diagnosis=[{"sequence": 1, "diagnosisCodeableConcept": concept}])
    assert fhir.conditions(fhir.load(record)) == Condition.DIGESTIVE


def test_conditions_refuses_a_code_in_no_chapter_without_showing_it() -> None:
    with pytest.raises(UnclassifiedRecordError, match=r"Condition\.code\.coding\[0\]\.code") as caught:
        fhir.conditions(fhir.load(diagnosis("U99.9")))
    assert "U99" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("AMB", CareSetting.AMB),
        ("EMER", CareSetting.EMER),
        ("ACUTE", CareSetting.IMP),
        ("VR", CareSetting.VR),
    ],
)
def test_care_setting_of_an_encounter(code: str, expected: CareSetting) -> None:
    record = changed(ENCOUNTER, class_={"system": ACT_CODE, "code": code})
    assert fhir.care_setting(fhir.load(record)) == expected


@pytest.mark.parametrize("coding", [{"system": ACT_CODE, "code": "PRENC"}, {"system": "urn:x", "code": "AMB"}])
def test_care_setting_refuses_a_class_without_a_bit(coding: dict[str, str]) -> None:
    with pytest.raises(UnclassifiedRecordError, match=r"Encounter\.class"):
        fhir.care_setting(fhir.load(changed(ENCOUNTER, class_=coding)))


@pytest.mark.parametrize("record", [CLAIM, changed(OBSERVATION, encounter={"reference": "Encounter/e1"})])
def test_care_setting_by_the_encounter_in_the_bundle(record: dict[str, Any]) -> None:
    one, _ = fhir.records(fhir.load(bundle(record, ENCOUNTER)))
    assert fhir.care_setting(one) == CareSetting.AMB


def test_care_setting_is_empty_without_the_encounter() -> None:
    assert fhir.care_setting(fhir.load(CLAIM)) == CareSetting(0)

"""Where a record stands in the code lists of the rule word: class, sensitivities, conditions, care setting.

A gatekeeper turns these into the bits that a request needs. What a list has no bit for is refused, never left
out: a bit that is not asked for is a bit that no rule has to grant.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from medproof.errors import UnclassifiedRecordError, UnknownCodeError
from medproof.fhir.resource import Resource, records
from medproof.hashing import Json, JsonObject
from medproof.policy.codes import ICD_10_CM, V3_ACT_CODE, CareSetting, Condition, DataClass, Sensitivity

__all__ = ["care_setting", "classes_of_types", "conditions", "data_class", "sensitivities"]

_CLASS_OF_TYPE = {
    **dict.fromkeys(
        ("Binary", "Composition", "Consent", "Contract", "DocumentManifest", "DocumentReference", "List"),
        DataClass.DOCUMENT,
    ),
    **dict.fromkeys(
        ("BodyStructure", "DetectedIssue", "DiagnosticReport", "Observation", "RiskAssessment"),
        DataClass.OBSERVATION,
    ),
    "Specimen": DataClass.LABORATORY,
    **dict.fromkeys(("ImagingStudy", "Media"), DataClass.IMAGING),
    **dict.fromkeys(
        (
            "Medication",
            "MedicationAdministration",
            "MedicationDispense",
            "MedicationRequest",
            "MedicationStatement",
        ),
        DataClass.MEDICATION,
    ),
    **dict.fromkeys(("Appointment", "AppointmentResponse", "Encounter", "EpisodeOfCare"), DataClass.ENCOUNTER),
    **dict.fromkeys(("AdverseEvent", "Condition", "Flag"), DataClass.CONDITION),
    "Procedure": DataClass.PROCEDURE,
    **dict.fromkeys(("Immunization", "ImmunizationEvaluation", "ImmunizationRecommendation"), DataClass.IMMUNIZATION),
    **dict.fromkeys(
        (
            "Account",
            "ChargeItem",
            "Claim",
            "ClaimResponse",
            "ExplanationOfBenefit",
            "Invoice",
            "PaymentNotice",
            "PaymentReconciliation",
        ),
        DataClass.CLAIM,
    ),
    **dict.fromkeys(("Device", "DeviceMetric", "DeviceUseStatement"), DataClass.DEVICE),
    "MolecularSequence": DataClass.GENOMICS,
    **dict.fromkeys(("ClinicalImpression", "Communication"), DataClass.NOTE),
    "AllergyIntolerance": DataClass.ALLERGY,
    **dict.fromkeys(("CarePlan", "CareTeam", "Goal", "RequestGroup"), DataClass.CARE_PLAN),
    **dict.fromkeys(
        (
            "Coverage",
            "CoverageEligibilityRequest",
            "CoverageEligibilityResponse",
            "EnrollmentRequest",
            "EnrollmentResponse",
        ),
        DataClass.COVERAGE,
    ),
    **dict.fromkeys(("Patient", "Person", "RelatedPerson"), DataClass.DEMOGRAPHICS),
    "FamilyMemberHistory": DataClass.FAMILY_HISTORY,
    "QuestionnaireResponse": DataClass.QUESTIONNAIRE,
    **dict.fromkeys(
        (
            "CommunicationRequest",
            "DeviceRequest",
            "NutritionOrder",
            "ServiceRequest",
            "SupplyDelivery",
            "SupplyRequest",
            "Task",
            "VisionPrescription",
        ),
        DataClass.ORDER,
    ),
    **dict.fromkeys(("AuditEvent", "Provenance"), DataClass.AUDIT),
}

# Who, where and how it was sent: these ride along in a bundle without adding to what it needs.
_DIRECTORY_TYPES = frozenset(
    {
        "Endpoint",
        "HealthcareService",
        "Location",
        "MessageHeader",
        "OperationOutcome",
        "Organization",
        "OrganizationAffiliation",
        "Practitioner",
        "PractitionerRole",
    }
)

_OBSERVATION_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
_V2_0074 = "http://terminology.hl7.org/CodeSystem/v2-0074"  # diagnostic service sections
_LABORATORY_SECTIONS = (
    *("BG", "BLB", "CH", "CP", "HM", "IMM", "LAB", "MB", "MCB"),
    *("MYC", "OSL", "PAR", "PAT", "SP", "SR", "TX", "URN", "VR"),
)
_IMAGING_SECTIONS = ("CT", "CUS", "IMG", "NMR", "NMS", "OUS", "RAD", "RUS", "RX", "VUS", "XRC")
_US_CORE_DOCUMENT = "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category"

_CLASS_OF_CATEGORY = {
    (_OBSERVATION_CATEGORY, "laboratory"): DataClass.LABORATORY,
    (_OBSERVATION_CATEGORY, "vital-signs"): DataClass.VITAL_SIGNS,
    (_OBSERVATION_CATEGORY, "imaging"): DataClass.IMAGING,
    (_OBSERVATION_CATEGORY, "survey"): DataClass.QUESTIONNAIRE,
    (_US_CORE_DOCUMENT, "clinical-note"): DataClass.NOTE,
    **{(_V2_0074, code): DataClass.LABORATORY for code in _LABORATORY_SECTIONS},
    **{(_V2_0074, code): DataClass.IMAGING for code in _IMAGING_SECTIONS},
    **{(_V2_0074, code): DataClass.GENOMICS for code in ("CG", "GE")},
}
_CATEGORISED_TYPES = frozenset({"Observation", "DiagnosticReport", "DocumentReference"})

# Labels that are no sensitivities: how confidential (up to "normal") and what for (HTEST marks tests).
_CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
_ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
_OPEN_CONFIDENTIALITY = frozenset({"U", "L", "M", "N"})
_RETIRED_SENSITIVITY = {"SICKLE": "SCA"}

_ICD_10_SYSTEMS = frozenset(
    {
        ICD_10_CM.uri,
        "urn:oid:2.16.840.1.113883.6.90",  # the same, as an OID
        "http://hl7.org/fhir/sid/icd-10",  # WHO's edition, whose chapters begin with the same letters
    }
)
_NARROWER_SETTING = {"ACUTE": CareSetting.IMP, "NONAC": CareSetting.IMP}


def data_class(resource: Resource) -> DataClass:
    """Return the data class of a record by its type and, where that tells more, its category.

    A record with categories of several classes gets them all, and a bundle the classes of all its records, so
    that a rule must cover every one.

    Raises:
        UnclassifiedRecordError: no data class stands for a resource of this type.
    """
    if resource.resource_type == "Bundle":
        result = DataClass(0)
        for record in records(resource):
            if record.resource_type not in _DIRECTORY_TYPES:
                result |= data_class(record)
        if not result:
            raise UnclassifiedRecordError("Bundle.entry", "holds no record of a patient")
        return result
    default = _CLASS_OF_TYPE.get(resource.resource_type)
    if default is None:
        raise UnclassifiedRecordError(resource.resource_type, "is a resource type without a data class")
    if resource.resource_type not in _CATEGORISED_TYPES:
        return default
    result = DataClass(0)
    for _, coding in _codings(resource.content.get("category"), "category"):
        result |= _CLASS_OF_CATEGORY.get((_text(coding, "system"), _text(coding, "code")), DataClass(0))
    return result or default


def classes_of_types(names: Collection[str]) -> tuple[DataClass, bool]:
    """Return every data class that records of these resource types can have, and whether no other type has any.

    Raises:
        UnclassifiedRecordError: no data class stands for one of the types.
    """
    found = DataClass(0)
    for name in names:
        if name not in _CLASS_OF_TYPE:
            raise UnclassifiedRecordError(name, "is a resource type without a data class")
        found |= _classes_of_type(name)
    return found, not any(_classes_of_type(name) & found for name in _CLASS_OF_TYPE.keys() - set(names))


def _classes_of_type(name: str) -> DataClass:
    result = _CLASS_OF_TYPE[name]
    if name in _CATEGORISED_TYPES:
        for refined in _CLASS_OF_CATEGORY.values():
            result |= refined
    return result


def sensitivities(resource: Resource) -> Sensitivity:
    """Return the sensitivity labels in `meta.security`; `NONE_LABELLED` where there are none.

    A bundle has the labels of all its records, contained resources count with their record.

    Raises:
        UnclassifiedRecordError: a label that the code list lacks, or one that says "restricted" without a
            reason. Both mean that the record is guarded in a way that no rule can speak of.
    """
    if resource.resource_type == "Bundle":
        result = _labels(resource.content, "Bundle") & Sensitivity.LABELLED
        for record in records(resource):
            result |= sensitivities(record)
        return result
    result = _labels(resource.content, resource.resource_type)
    contained = resource.content.get("contained")
    for index, inner in enumerate(contained if isinstance(contained, list) else []):
        if isinstance(inner, dict):
            result |= _labels(inner, f"{resource.resource_type}.contained[{index}]") & Sensitivity.LABELLED
    labelled = result & Sensitivity.LABELLED
    return labelled or Sensitivity.NONE_LABELLED


def conditions(resource: Resource) -> Condition:
    """Return the ICD-10-CM chapters of all diagnosis codes in a record (or in all records of a bundle).

    Empty where no code of ICD-10 stands: then the record tells nothing about conditions, and a gatekeeper
    that is bound by conditions should ask for `Condition.ALL`.

    Raises:
        UnclassifiedRecordError: a code that lies in no chapter.
    """
    result = Condition(0)
    for path, coding in _all_codings(resource.content, resource.resource_type):
        if _text(coding, "system") in _ICD_10_SYSTEMS:
            try:
                result |= Condition.from_icd10cm(_text(coding, "code"))
            except UnknownCodeError:
                raise UnclassifiedRecordError(f"{path}.code", "lies in no chapter of ICD-10-CM") from None
    return result


def care_setting(resource: Resource) -> CareSetting:
    """Return the care setting by the class of the encounter that a record is, or belongs to.

    Empty where the record names no encounter, or one that is not in its bundle. A bundle has the settings of
    all its records.

    Raises:
        UnclassifiedRecordError: the encounter's class is none of HL7 v3 ActEncounterCode that has a bit.
    """
    result = CareSetting(0)
    if resource.resource_type == "Bundle":
        for record in records(resource):
            result |= care_setting(record)
        return result
    if resource.resource_type == "Encounter":
        return _setting(resource.content.get("class"))
    for element in _encounters(resource.content):
        reference = element.get("reference")
        target = resource.resolve(reference) if isinstance(reference, str) else None
        if target is not None and target.resource_type == "Encounter":
            result |= _setting(target.content.get("class"))
    return result


def _labels(content: JsonObject, path: str) -> Sensitivity:
    """Return the labels of one resource, `NONE_LABELLED` for none."""
    meta = content.get("meta")
    labels = meta.get("security") if isinstance(meta, dict) else None
    result = Sensitivity(0)
    restricted: str | None = None
    for index, label in enumerate(labels if isinstance(labels, list) else []):
        where = f"{path}.meta.security[{index}]"
        system = _text(label, "system")
        code = _text(label, "code")
        if system == V3_ACT_CODE.uri:
            code = _RETIRED_SENSITIVITY.get(code, code)
            if code not in Sensitivity.LABELLED.codes:
                raise UnclassifiedRecordError(where, "is a label that the rule word has no bit for")
            result |= Sensitivity.from_code(code)
        elif system == _CONFIDENTIALITY:
            if code not in _OPEN_CONFIDENTIALITY:
                restricted = where
        elif system != _ACT_REASON:
            raise UnclassifiedRecordError(where, "is a label of a code system that the rule word does not know")
    if restricted and not result:
        raise UnclassifiedRecordError(restricted, "restricts the record without a sensitivity label")
    return result or Sensitivity.NONE_LABELLED


def _setting(coding: Json) -> CareSetting:
    code = _text(coding, "code")
    if _text(coding, "system") == V3_ACT_CODE.uri:
        if code in _NARROWER_SETTING:
            return _NARROWER_SETTING[code]
        if code in CareSetting.ALL.codes:
            return CareSetting.from_code(code)
    raise UnclassifiedRecordError("Encounter.class", "is a care setting that the rule word has no bit for")


def _encounters(content: JsonObject) -> Iterator[JsonObject]:
    """Yield the references to encounters: of the record, of its context, of the items of a claim."""
    places: list[Json] = [content.get("encounter"), content.get("context")]
    context = content.get("context")
    if isinstance(context, dict):
        places.append(context.get("encounter"))
    items = content.get("item")
    for item in items if isinstance(items, list) else []:
        places.append(item.get("encounter") if isinstance(item, dict) else None)
    for place in places:
        for element in place if isinstance(place, list) else [place]:
            if isinstance(element, dict):
                yield element


def _codings(value: Json, path: str) -> Iterator[tuple[str, JsonObject]]:
    """Yield the codings of one CodeableConcept or an array of them, each with its path."""
    for index, concept in enumerate(value if isinstance(value, list) else [value]):
        codings = concept.get("coding") if isinstance(concept, dict) else None
        for place, coding in enumerate(codings if isinstance(codings, list) else []):
            if isinstance(coding, dict):
                yield f"{path}[{index}].coding[{place}]", coding


def _all_codings(value: Json, path: str) -> Iterator[tuple[str, JsonObject]]:
    """Yield every object below a value that has a system and a code, each with its path."""
    if isinstance(value, dict):
        if "system" in value and "code" in value:
            yield path, value
        for key, item in value.items():
            yield from _all_codings(item, f"{path}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _all_codings(item, f"{path}[{index}]")


def _text(value: Json, key: str) -> str:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""

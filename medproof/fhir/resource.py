"""Reading FHIR R4: a resource or bundle from a file, bytes or a dict, checked and kept exactly as it came.

The JSON that was read is what gets committed to. Nothing is filled in, reordered or rewritten, and decimals
keep their digits. What cannot be read without doubt is refused with one sentence that names elements, never
what stands in them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from medproof import hashing
from medproof.errors import (
    EmptyBundleError,
    InvalidRecordError,
    JsonError,
    ManyPatientsError,
    NotFhirError,
    RecordFileError,
)
from medproof.fhir import structure
from medproof.hashing import Json, JsonObject

__all__ = ["PatientReference", "Resource", "load", "patient_of", "records", "verify"]

# Elements that lead to a patient. Of the first two the target can only be one; the others may also lead to a
# group, a device or a practitioner, and where an array stands on the way, several targets of several kinds.
_ALWAYS_PATIENT = ("patient", "beneficiary")
_PERHAPS_PATIENT = (
    ("subject",),
    ("individual",),
    ("for",),
    ("entity", "what"),
    ("participant", "actor"),
    ("target",),
)


@dataclass(frozen=True, slots=True, eq=False)
class Resource:
    """A FHIR R4 resource with the structure that its type demands. Treat `content` as read-only."""

    resource_type: str  # such as "Observation"
    content: JsonObject = field(repr=False)  # the JSON as it came, decimals exact
    full_url: str | None = field(default=None, repr=False)  # Bundle.entry.fullUrl, where it came in a bundle
    neighbours: Mapping[str, Resource] = field(default_factory=dict, repr=False)  # by URL, in its bundle

    @property
    def id(self) -> str | None:
        """The logical id, where the resource has one."""
        value = self.content.get("id")
        return value if isinstance(value, str) else None

    def resolve(self, reference: str) -> Resource | None:
        """Return the resource that a reference leads to, if it is contained here or in the same bundle."""
        if reference.startswith("#"):
            named = [one for one in _objects(self.content.get("contained")) if one.get("id") == reference[1:]]
            if len(named) != 1:  # where two answer to it, none does, as in a bundle
                return None
            return Resource(str(named[0].get("resourceType")), named[0], neighbours=self.neighbours)
        return self.neighbours.get(reference.partition("/_history/")[0])


@dataclass(frozen=True, slots=True)
class PatientReference:
    """The patient that a record is about, as far as the record and its bundle tell."""

    reference: str | None = field(repr=False)  # literal reference, such as "Patient/1" or "urn:uuid:..."
    identifier: tuple[str, str] | None = field(repr=False)  # (system, value) of a logical reference
    resource: Resource | None = field(repr=False, compare=False)  # the Patient, if it is at hand


def load(source: str | os.PathLike[str] | bytes | Mapping[str, Json]) -> Resource:
    """Read one FHIR R4 resource (often a Bundle) and check its structure.

    Args:
        source: a path, the JSON text as bytes, or a dict as `medproof.hashing.parse` gives it. A dict is
            copied; one with floats is refused, since `json.loads` has already dropped digits of its decimals.

    Raises:
        RecordFileError: the file is not there or cannot be read.
        JsonError: not JSON in UTF-8, a key said twice, NaN, too large or too deep (`medproof.hashing.parse`).
        NotFhirError: JSON, but no resource, or of a type that R4 does not have.
        InvalidRecordError: elements that R4 does not allow; `problems` gives the path and rule of each.
        EmptyBundleError: a bundle without any resource.
    """
    if isinstance(source, Mapping):
        value = hashing.parse(hashing.canonical(dict(source)))
    else:
        value = hashing.parse(source if isinstance(source, bytes) else _read(Path(source)))
    if not isinstance(value, dict):
        raise NotFhirError("The JSON value is not an object: a FHIR resource starts with '{'.")
    resource_type = value.get("resourceType")
    if resource_type is None:
        raise NotFhirError("The JSON object has no resourceType: it is not a FHIR resource.")
    if not isinstance(resource_type, str) or not structure.is_resource_type(resource_type):
        shown = f'"{resource_type[:64]}"' if isinstance(resource_type, str) else "of another JSON type"
        raise NotFhirError(f"resourceType is {shown}, which FHIR R4 (4.0.1) does not have: check its spelling.")
    problems = structure.problems(value)
    if problems:
        raise InvalidRecordError(resource_type, problems)
    resource = Resource(resource_type, value)
    if resource_type == "Bundle" and next(records(resource), None) is None:
        raise EmptyBundleError
    return resource


def records(bundle: Resource) -> Iterator[Resource]:
    """Yield every resource in a bundle (and in bundles within it), each able to resolve its neighbours.

    A resource that is no bundle yields itself. Entries without a resource (deletions) are passed over.
    """
    if bundle.resource_type != "Bundle":
        yield bundle
        return
    index: dict[str, Resource] = {}
    found: list[Resource] = []
    doubtful: set[str] = set()
    for entry in _objects(bundle.content.get("entry")):
        content = entry.get("resource")
        if isinstance(content, dict):
            url = entry.get("fullUrl")
            url = url if isinstance(url, str) else None
            resource = Resource(str(content["resourceType"]), content, url, index)
            found.append(resource)
            for name in _names(resource):
                if name in index:
                    doubtful.add(name)  # two resources answer to it, so none does
                index[name] = resource
    for name in doubtful:
        del index[name]
    for resource in found:
        yield from records(resource)


def patient_of(resource: Resource) -> PatientReference | None:
    """Return the patient that a record is about, or None where it is about none.

    A reference whose kind of target cannot be told (a `urn:uuid` from elsewhere) counts as a patient. For a
    bundle, the one patient of all its records.

    Raises:
        ManyPatientsError: the record names several patients.
    """
    if resource.resource_type == "Patient":
        name = resource.full_url or (f"Patient/{resource.id}" if resource.id else None)
        return PatientReference(name, None, resource)
    found: dict[object, PatientReference] = {}
    if resource.resource_type == "Bundle":
        for record in records(resource):
            patient = patient_of(record)
            if patient is not None:
                found[_identity(patient)] = patient
    else:
        for element, certain in _references(resource.content):
            patient = _patient(resource, element, certain=certain)
            if patient is not None:
                found[_identity(patient)] = patient
    if len(found) > 1:
        raise ManyPatientsError(resource.resource_type, len(found))
    return next(iter(found.values()), None)


def verify(record: Resource | JsonObject, salt: bytes, commitment: bytes) -> bool:
    """Tell whether a record, to its last digit, is the one that was committed to with this salt.

    Raises:
        SaltError, JsonError: as `medproof.hashing.commit`.
    """
    content = record.content if isinstance(record, Resource) else record
    return hashing.commit(content, salt) == bytes(commitment)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            text = file.read(hashing.MAX_BYTES + 1)
    except FileNotFoundError:
        raise RecordFileError(str(path), "There is no file at this path", "check its spelling") from None
    except IsADirectoryError:
        raise RecordFileError(str(path), "The path is a folder", "give the path of one JSON file") from None
    except (OSError, ValueError):
        raise RecordFileError(str(path), "The file cannot be read", "check its permissions") from None
    if len(text) > hashing.MAX_BYTES:
        raise JsonError(f"The file is longer than {hashing.MAX_BYTES} bytes: split the bundle.")
    return text


def _objects(value: Json) -> list[JsonObject]:
    """Return the objects in a value that may be one object or an array of them."""
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, dict)]


def _names(resource: Resource) -> set[str]:
    """Return what references within the bundle may call a resource."""
    names = {resource.full_url} if resource.full_url else set()
    if resource.id:
        names.add(f"{resource.resource_type}/{resource.id}")
    return names


def _references(content: JsonObject) -> Iterator[tuple[JsonObject, bool]]:
    """Yield the references that may lead to the patient, each with whether they can lead to nothing else."""
    for name in _ALWAYS_PATIENT:
        for element in _objects(content.get(name)):
            yield element, True
    for names in _PERHAPS_PATIENT:
        elements = [content]
        for name in names:
            elements = [inner for element in elements for inner in _objects(element.get(name))]
        for element in elements:
            yield element, False


def _patient(resource: Resource, element: JsonObject, *, certain: bool) -> PatientReference | None:
    reference = element.get("reference")
    reference = reference if isinstance(reference, str) else None
    target = resource.resolve(reference) if reference else None
    identifier = _identifier(element.get("identifier"))
    if reference is None and identifier is None:
        return None
    if target is not None:
        if target.resource_type != "Patient":
            return None
    elif not certain:
        kind = element.get("type") or _kind_in(reference)
        if kind not in (None, "Patient"):
            return None
    return PatientReference(reference, identifier, target)


def _kind_in(reference: str | None) -> str | None:
    """Return the resource type that a reference spells out, as in `Group/1` or `https://host/Patient/1`."""
    steps = (reference or "").partition("/_history/")[0].split("/")
    return steps[-2] if len(steps) > 1 and structure.is_resource_type(steps[-2]) else None


def _identifier(value: Json) -> tuple[str, str] | None:
    if not isinstance(value, dict) or not isinstance(value.get("value"), str):
        return None
    return str(value.get("system", "")), str(value["value"])


def _identity(patient: PatientReference) -> object:
    return id(patient.resource.content) if patient.resource else (patient.reference, patient.identifier)

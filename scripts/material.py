"""What the story is told with: one patient's records and a claim, chosen from whatever FHIR is given."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medproof import fhir
from medproof.claims import Identifier
from medproof.claims.nullifier import claim_nullifier
from medproof.errors import ClaimElementError, ManyPatientsError, UnclassifiedRecordError
from medproof.fhir import Resource
from medproof.hashing import new_salt


def load_all(path: Path) -> list[Resource]:
    """The resources of a bundle, or a single one."""
    resource = fhir.load(path)
    return list(fhir.records(resource)) if resource.resource_type == "Bundle" else [resource]


def choose_records(resources: Sequence[Resource], limit: int) -> list[Resource]:
    """The records of the patient who has most, of different types first, without those that no consent can cover."""
    by_patient: dict[str, list[Resource]] = {}
    for resource in resources:
        try:
            patient = fhir.patient_of(resource)
            fhir.data_class(resource)
        except (ManyPatientsError, UnclassifiedRecordError):
            continue
        if patient is None or patient.reference is None or resource.resource_type in ("Patient", "Claim"):
            continue
        by_patient.setdefault(patient.reference, []).append(resource)
    if not by_patient:
        return []
    most = max(by_patient.values(), key=len)
    seen: dict[str, int] = {}
    ranked = []
    for resource in most:
        seen[resource.resource_type] = seen.get(resource.resource_type, 0) + 1
        ranked.append((seen[resource.resource_type], resource))
    return [resource for _, resource in sorted(ranked, key=lambda pair: pair[0])][:limit]


def choose_claim(resources: Sequence[Resource]) -> Resource | None:
    """The first claim that says enough of its service to be billed."""
    for resource in resources:
        if resource.resource_type == "Claim":
            try:
                billed_service(resource, new_salt(), provider="provider")
            except ClaimElementError:
                continue
            return resource
    return None


def billed_service(resource: Resource, key: bytes, *, provider: str) -> bytes:
    """The nullifier of a FHIR claim, whose patient and payer are those of the story."""
    people = {name: Identifier("urn:story", name) for name in ("patient", "payer")}
    claim = fhir.read_claim(resource, provider=Identifier("urn:story", provider), **people)
    return claim_nullifier(claim, key, registered="encounter 1")


def tampered(content: Any) -> tuple[Any, str]:
    """A copy of a record with its first text value changed, and what was done in general words."""
    altered = copy.deepcopy(content)
    for name, value in altered.items():
        if name in ("resourceType", "id"):
            continue
        if isinstance(value, str):
            altered[name] = value + " (changed)"
            return altered, f"the text of {name}"
    altered["language"] = "tampered"
    return altered, "an element was added"

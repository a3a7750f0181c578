"""What the story is told with: one patient's records and a claim, chosen from whatever FHIR is given."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from medproof import fhir
from medproof.claims import Claim, Code, Identifier
from medproof.claims.adjudication import History, adjudicate
from medproof.claims.currency import rounded
from medproof.claims.names import Names
from medproof.claims.nullifier import claim_nullifier, claim_total
from medproof.claims.plan import Plan
from medproof.errors import ClaimElementError, ElementError, ManyPatientsError, PlanError, UnclassifiedRecordError
from medproof.fhir import Resource
from medproof.hashing import new_salt

MIN_FILLS = 2  # that the story gives


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
    """The first claim that says enough of its service to be billed and decided."""
    for resource in resources:
        if resource.resource_type == "Claim":
            try:
                claim = bill(resource, provider="provider", payer="payer")
                claim_nullifier(claim, new_salt(), registered="encounter")
                adjudicate(claim, plan_for(claim), History(claim.start.year))
            except (ClaimElementError, PlanError):
                continue
            return resource
    return None


def choose_prescription(resources: Sequence[Resource]) -> Resource | None:
    """The first request for a medicine that can be filled more than twice."""
    for resource in resources:
        if resource.resource_type == "MedicationRequest":
            try:
                order = fhir.read_order(prescribed_until(resource, date.max))
            except ElementError:
                continue
            if order.fills > MIN_FILLS:
                return resource
    return None


def prescribed_until(resource: Resource, day: date) -> Resource:
    """A request for a medicine as if it had been written lately, to be filled until a day."""
    content = copy.deepcopy(resource.content)
    dispense = content.get("dispenseRequest")
    if isinstance(dispense, dict):
        dispense["validityPeriod"] = {"end": day.isoformat()}
    return fhir.load(content)


def bill(resource: Resource, *, provider: str, payer: str) -> Claim:
    """A FHIR claim as a bill of the story's people."""
    patient, biller, billed = (Identifier("urn:story", name) for name in ("patient", provider, payer))
    return fhir.read_claim(resource, patient=patient, provider=biller, payer=billed)


def plan_for(claim: Claim, *, coinsurance: str = "0.2") -> Plan:
    """A plan that pays for everything on a claim as it is charged, less the patient's part."""
    names, fees = Names(), dict[Code, Decimal]()
    for index, line in enumerate(claim.lines):
        for code in names.service(line.service, f"Claim.lines[{index}].service"):
            fees[code] = line.charge.amount if line.charge else Decimal(0)
    currency = claim_total(claim).currency
    nothing = rounded(Decimal(0), currency)
    return Plan(
        name="The plan",
        valid_from=claim.start,
        currency=currency,
        fees=tuple(sorted(fees.items())),
        deductible=nothing,
        copay=nothing,
        coinsurance=Decimal(coinsurance),
    )


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

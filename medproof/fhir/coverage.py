"""FHIR R4 Coverage and CoverageEligibilityRequest as the claim model has them, and the response read and written.

A response that is written carries the payer's signed attestation (`medproof.claims.eligibility`) in an extension.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

from medproof.claims.coverage import Coverage, EligibilityRequest, EligibilityResponse
from medproof.claims.names import NPI
from medproof.errors import ClaimCodeError, ClaimDateError, ClaimElementError, ClaimStateError
from medproof.fhir.elements import (
    active,
    codes,
    day,
    identifier,
    is_own_policy,
    items,
    name_of,
    named_number,
    objects,
    own_number,
    policy_name,
    serviced,
    text_of,
)
from medproof.fhir.resource import Resource
from medproof.hashing import JsonObject

__all__ = [
    "ATTESTATION",
    "read_coverage",
    "read_eligibility_request",
    "read_eligibility_response",
    "render_eligibility_response",
]

ATTESTATION = "urn:medproof:eligibility-attestation"
"""The extension of a CoverageEligibilityResponse that holds the payer's attestation as a text."""

_PURPOSES = ("auth-requirements", "benefits", "discovery", "validation")  # eligibilityrequest-purpose


def read_coverage(resource: Resource, *, prefer: Sequence[str] = (NPI,)) -> Coverage:
    """Read a Coverage.

    Raises:
        ClaimStateError: it does not count.
        ClaimElementError: an element is missing or of no use; the classes below it say in what way.
    """
    content = _content(resource, "Coverage")
    payors = objects(content.get("payor"))
    if len(payors) != 1:
        raise ClaimElementError("Coverage.payor", "names several payers", "give a Coverage for each")
    period = content.get("period")
    period = period if isinstance(period, dict) else {}
    start, end = (day(period.get(name), f"Coverage.period.{name}") for name in ("start", "end"))
    if start is not None and end is not None and end < start:
        raise ClaimDateError("Coverage.period.end", "lies before the start", "correct the days")
    step = "give an identifier"
    return Coverage(
        number=identifier(content.get("identifier"), prefer),
        member=name_of(resource, content.get("beneficiary"), "Coverage.beneficiary", step=step, prefer=prefer),
        payer=name_of(resource, payors[0], "Coverage.payor[0]", step=step, prefer=prefer, named=True),
        start=start,
        end=end,
        subscriber=None
        if "subscriber" not in content or is_own_policy(content)
        else name_of(resource, content["subscriber"], "Coverage.subscriber", step=step, prefer=prefer),
    )


def read_eligibility_request(resource: Resource, *, prefer: Sequence[str] = (NPI,)) -> EligibilityRequest:
    """Read a CoverageEligibilityRequest. One that names no day of service asks for the day on which it was made.

    Raises:
        ClaimStateError: it does not count.
        ClaimElementError: an element is missing or of no use; the classes below it say in what way.
    """
    root = "CoverageEligibilityRequest"
    content = _content(resource, root)
    purposes = content.get("purpose")
    for index, purpose in enumerate(purposes if isinstance(purposes, list) else []):
        if purpose not in _PURPOSES:
            raise ClaimCodeError(f"{root}.purpose[{index}]", "is no purpose of R4", f"give {', '.join(_PURPOSES)}")
    asked = day(content.get("created"), f"{root}.created")
    if asked is None:
        raise ClaimDateError(f"{root}.created", "is missing", "say when it is asked")
    start, end = serviced(content, root) or (asked, asked)
    policy = _policy(content)
    asking = [
        (name, name_of(resource, content.get(name), f"{root}.{name}", step="name it", prefer=prefer, named=named))
        for name, named in (("patient", False), ("provider", False), ("insurer", True))
    ]
    who = dict(asking)
    return EligibilityRequest(
        number=own_number(resource),
        member=who["patient"],
        provider=who["provider"],
        payer=who["insurer"],
        asked=asked,
        start=start,
        end=end,
        services=tuple(
            code
            for _, item in items(content, "item", root)
            for name in ("category", "productOrService")
            for code in codes(item.get(name))
        ),
        coverage=policy_name(resource, policy, f"{root}.insurance.coverage", prefer=prefer) if policy else None,
    )


def read_eligibility_response(resource: Resource, *, prefer: Sequence[str] = (NPI,)) -> EligibilityResponse:
    """Read a CoverageEligibilityResponse: whether any of its policies is in force.

    What it says is the payer's word only where its attestation is checked.

    Raises:
        ClaimStateError: it does not count, or is no answer yet.
        ClaimElementError: an element is missing or of no use; the classes below it say in what way.
    """
    root = "CoverageEligibilityResponse"
    content = _content(resource, root)
    if content.get("outcome") != "complete":
        raise ClaimStateError(f"{root}.outcome", "is not complete, and so no answer", "ask again")
    answered = day(content.get("created"), f"{root}.created")
    in_force = [one["inforce"] for one in objects(content.get("insurance")) if isinstance(one.get("inforce"), bool)]
    if answered is None or not in_force:
        missing = "created" if answered is None else "insurance.inforce"
        raise ClaimElementError(f"{root}.{missing}", "is missing", "ask the payer to complete it")
    attestations = [one for one in objects(content.get("extension")) if one.get("url") == ATTESTATION]
    return EligibilityResponse(
        request_number=named_number(resource, content.get("request"), f"{root}.request"),
        payer=name_of(
            resource, content.get("insurer"), f"{root}.insurer", step="name the payer", prefer=prefer, named=True
        ),
        answered=answered,
        covered=any(in_force),
        attestation=text_of(attestations[0].get("valueString")) if len(attestations) == 1 else None,
    )


def render_eligibility_response(request: Resource, response: EligibilityResponse) -> JsonObject:
    """Write the answer to a CoverageEligibilityRequest, which must name the policy that the answer is about.

    Raises:
        ClaimElementError: it is no such request, or names no policy.
    """
    content = copy.deepcopy(_content(request, "CoverageEligibilityRequest"))
    policy, root = _policy(content), "CoverageEligibilityRequest"
    if policy is None:
        raise ClaimElementError(f"{root}.insurance", "names no policy", "ask for one")
    if response.request_number != own_number(request):
        raise ClaimElementError(root, "is not the one that was answered", "give the one that was")
    kept = ("contained", "purpose", "patient", "servicedDate", "servicedPeriod", "insurer")
    rendered: JsonObject = {
        "resourceType": "CoverageEligibilityResponse",
        "status": "active",
        **{name: content[name] for name in kept if name in content},
        "created": response.answered.isoformat(),
        "request": _reference_to(request),
        "outcome": "complete",
        "insurance": [{"coverage": policy["coverage"], "inforce": response.covered}],
    }
    if "provider" in content:
        rendered["requestor"] = content["provider"]
    if response.attestation is not None:
        rendered["extension"] = [{"url": ATTESTATION, "valueString": response.attestation}]
    return rendered


def _content(resource: Resource, kind: str) -> JsonObject:
    if resource.resource_type != kind:
        raise ClaimElementError(resource.resource_type, f"is no {kind}", f"give an HL7 FHIR R4 {kind}")
    return active(resource)


def _policy(content: JsonObject) -> JsonObject | None:
    """The policy that is asked about: the only one, or the focal one of several; None where none is named."""
    policies = objects(content.get("insurance"))
    focal = policies if len(policies) == 1 else [one for one in policies if one.get("focal") is True]
    if len(focal) != 1 and policies:
        path = "CoverageEligibilityRequest.insurance.focal"
        raise ClaimElementError(path, f"is true for {len(focal)} of {len(policies)} policies", "ask for one at a time")
    return focal[0] if focal else None


def _reference_to(request: Resource) -> JsonObject:
    """A Reference to a request by its identifier, else by what it is called."""
    said = identifier(request.content.get("identifier"))
    if said is not None:
        return {"identifier": {"system": said.system, "value": said.value}}
    return {"reference": request.full_url or f"{request.resource_type}/{request.id}"}

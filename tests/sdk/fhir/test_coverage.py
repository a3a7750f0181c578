"""FHIR coverages and questions of eligibility: read, answered, and refused with their path."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from medproof import fhir
from medproof.claims import Code, Identifier
from medproof.claims.coverage import Coverage, EligibilityRequest, EligibilityResponse
from medproof.errors import ClaimCodeError, ClaimDateError, ClaimElementError, ClaimStateError
from tests.sdk.fhir.fhir_records import PATIENT, bundle, changed
from tests.sdk.fhir.test_claims import NPI, concept

MEMBER = {"identifier": {"system": "urn:members", "value": "M-77"}}
PAYER = {"identifier": {"system": "urn:payers", "value": "P-1"}}
COVERAGE: dict[str, Any] = {
    "resourceType": "Coverage",
    "id": "v1",
    "identifier": [{"system": "urn:policies", "value": "C-9"}],
    "status": "active",
    "beneficiary": MEMBER,
    "period": {"start": "2026-01-01", "end": "2026-12-31"},
    "payor": [PAYER],
}
QUESTION: dict[str, Any] = {
    "resourceType": "CoverageEligibilityRequest",
    "id": "q1",
    "identifier": [{"system": "urn:clinic:questions", "value": "Q-1"}],
    "status": "active",
    "purpose": ["validation"],
    "patient": MEMBER,
    "servicedPeriod": {"start": "2026-03-02", "end": "2026-03-04"},
    "created": "2026-03-01",
    "provider": {"identifier": {"system": NPI, "value": "1234567893"}},
    "insurer": PAYER,
    "insurance": [{"coverage": {"reference": "Coverage/v1"}}],
    "item": [{"category": concept("30", "urn:services"), "productOrService": concept("99213", "urn:cpt")}],
}


def question(record: dict[str, Any]) -> EligibilityRequest:
    return fhir.read_eligibility_request(fhir.load(record))


def test_coverage_is_read_element_by_element() -> None:
    found = fhir.read_coverage(fhir.load(COVERAGE))
    assert found == Coverage(
        number=Identifier("urn:policies", "C-9"),
        member=Identifier("urn:members", "M-77"),
        payer=Identifier("urn:payers", "P-1"),
        start=date(2026, 1, 1),
        end=date(2026, 12, 31),
    )
    holder = {"identifier": {"system": "urn:members", "value": "M-1"}}
    assert fhir.read_coverage(fhir.load(changed(COVERAGE, subscriber=holder))).subscriber == Identifier(
        "urn:members", "M-1"
    )
    assert fhir.read_coverage(fhir.load(changed(COVERAGE, subscriber=MEMBER))).subscriber is None
    assert fhir.read_coverage(fhir.load(changed(COVERAGE, period=None))).start is None


@pytest.mark.parametrize(
    ("start", "end", "covered"),
    [
        (date(2026, 1, 1), date(2026, 12, 31), True),
        (date(2025, 12, 31), date(2026, 1, 1), False),
        (date(2026, 12, 31), date(2027, 1, 1), False),
    ],
)
def test_coverage_covers_days_that_lie_within_it(start: date, end: date, covered: bool) -> None:
    assert fhir.read_coverage(fhir.load(COVERAGE)).covers(start, end) is covered
    assert fhir.read_coverage(fhir.load(changed(COVERAGE, period=None))).covers(start, end)


def test_question_is_read_element_by_element() -> None:
    records = fhir.records(fhir.load(bundle(QUESTION, COVERAGE)))
    assert fhir.read_eligibility_request(next(records)) == EligibilityRequest(
        number="Q-1",
        member=Identifier("urn:members", "M-77"),
        provider=Identifier(NPI, "1234567893"),
        payer=Identifier("urn:payers", "P-1"),
        asked=date(2026, 3, 1),
        start=date(2026, 3, 2),
        end=date(2026, 3, 4),
        services=(Code("urn:services", "30"), Code("urn:cpt", "99213")),
        coverage=Identifier("urn:policies", "C-9"),
    )
    asked = question(changed(QUESTION, servicedPeriod=None, insurance=None, item=None))
    assert (asked.start, asked.end, asked.coverage, asked.services) == (date(2026, 3, 1), date(2026, 3, 1), None, ())


@pytest.mark.parametrize(
    ("record", "error", "path"),
    [
        (PATIENT, ClaimElementError, "Patient"),
        (changed(COVERAGE, status="cancelled"), ClaimStateError, "Coverage.status"),
        (changed(COVERAGE, payor=[PAYER, PAYER]), ClaimElementError, "Coverage.payor"),
        (changed(COVERAGE, beneficiary={"display": "Jane"}), ClaimElementError, "Coverage.beneficiary"),
        (changed(COVERAGE, subscriber={"display": "Jane"}), ClaimElementError, "Coverage.subscriber"),
        (changed(COVERAGE, period={"start": "2026"}), ClaimDateError, "Coverage.period.start"),
        (
            changed(COVERAGE, period={"start": "2026-02-01", "end": "2026-01-01"}),
            ClaimDateError,
            "Coverage.period.end",
        ),
    ],
)
def test_coverage_is_refused_by_its_path(record: dict[str, Any], error: type[ClaimElementError], path: str) -> None:
    with pytest.raises(ClaimElementError) as caught:
        fhir.read_coverage(fhir.load(record))
    assert (type(caught.value), caught.value.path) == (error, path)
    assert "Jane" not in str(caught.value)


Q = "CoverageEligibilityRequest"


@pytest.mark.parametrize(
    ("record", "error", "path"),
    [
        (PATIENT, ClaimElementError, "Patient"),
        (changed(QUESTION, status="draft"), ClaimStateError, f"{Q}.status"),
        (changed(QUESTION, modifierExtension=[{"url": "urn:x"}]), ClaimElementError, f"{Q}.modifierExtension"),
        (changed(QUESTION, purpose=["validation", "curiosity"]), ClaimCodeError, f"{Q}.purpose[1]"),
        (changed(QUESTION, created="2026-03"), ClaimDateError, f"{Q}.created"),
        (changed(QUESTION, servicedPeriod={"end": "2026-03-04"}), ClaimDateError, f"{Q}.servicedPeriod.start"),
        (changed(QUESTION, patient={"display": "Jane"}), ClaimElementError, f"{Q}.patient"),
        (changed(QUESTION, provider=None), ClaimElementError, f"{Q}.provider"),
        (changed(QUESTION, insurance=QUESTION["insurance"] * 2), ClaimElementError, f"{Q}.insurance.focal"),
    ],
)
def test_question_is_refused_by_its_path(record: dict[str, Any], error: type[ClaimElementError], path: str) -> None:
    with pytest.raises(ClaimElementError) as caught:
        question(record)
    assert (type(caught.value), caught.value.path) == (error, path)
    assert "Jane" not in str(caught.value)


@pytest.mark.parametrize("attestation", [None, '{"format": "medproof-eligibility"}'])
@pytest.mark.parametrize("covered", [True, False])
def test_answer_is_written_as_fhir_and_read_again(covered: bool, attestation: str | None) -> None:
    response = EligibilityResponse("Q-1", Identifier("urn:payers", "P-1"), date(2026, 3, 1), covered, attestation)
    written = fhir.load(fhir.render_eligibility_response(fhir.load(QUESTION), response))
    assert fhir.read_eligibility_response(written) == response
    assert written.content["servicedPeriod"] == QUESTION["servicedPeriod"]
    assert written.content["requestor"] == QUESTION["provider"]


def test_answer_takes_along_what_the_question_contained() -> None:
    asked = changed(
        QUESTION, identifier=None, contained=[COVERAGE], insurance=[{"coverage": {"reference": "#v1"}, "focal": True}]
    )
    response = EligibilityResponse("q1", Identifier("urn:payers", "P-1"), date(2026, 3, 1), True)
    written = fhir.load(fhir.render_eligibility_response(fhir.load(asked), response))
    policy = written.content["insurance"][0]["coverage"]["reference"]  # type: ignore[index,call-overload]
    assert written.resolve(policy) is not None
    assert fhir.read_eligibility_response(written).request_number == "q1"


def test_answer_to_another_question_or_to_none_is_not_written() -> None:
    response = EligibilityResponse("Q-1", Identifier("urn:payers", "P-1"), date(2026, 3, 1), True)
    for record, path in (
        (changed(QUESTION, identifier=None), Q),
        (changed(QUESTION, insurance=None), f"{Q}.insurance"),
        (COVERAGE, "Coverage"),
    ):
        with pytest.raises(ClaimElementError) as caught:
            fhir.render_eligibility_response(fhir.load(record), response)
        assert caught.value.path == path


ANSWER = fhir.render_eligibility_response(
    fhir.load(QUESTION), EligibilityResponse("Q-1", Identifier("urn:payers", "P-1"), date(2026, 3, 1), True, "{}")
)
A = "CoverageEligibilityResponse"


@pytest.mark.parametrize(
    ("record", "error", "path"),
    [
        (changed(ANSWER, status="cancelled"), ClaimStateError, f"{A}.status"),
        *((changed(ANSWER, outcome=one), ClaimStateError, f"{A}.outcome") for one in ("queued", "error", "partial")),
        (changed(ANSWER, insurance=None), ClaimElementError, f"{A}.insurance.inforce"),
        (changed(ANSWER, insurer={"reference": "#x"}), ClaimElementError, f"{A}.insurer"),
        (changed(ANSWER, request={"display": "x"}), ClaimElementError, f"{A}.request"),
        (changed(ANSWER, created="2026"), ClaimDateError, f"{A}.created"),
    ],
)
def test_answer_is_refused_by_its_path(record: dict[str, Any], error: type[ClaimElementError], path: str) -> None:
    with pytest.raises(ClaimElementError) as caught:
        fhir.read_eligibility_response(fhir.load(record))
    assert (type(caught.value), caught.value.path) == (error, path)


def test_two_attestations_are_none() -> None:
    assert fhir.read_eligibility_response(fhir.load(ANSWER)).attestation == "{}"
    doubled = changed(ANSWER, extension=ANSWER["extension"] * 2)  # type: ignore[operator]
    assert fhir.read_eligibility_response(fhir.load(doubled)).attestation is None

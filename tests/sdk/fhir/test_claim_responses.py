"""FHIR ClaimResponse and ExplanationOfBenefit read as a payer's decision, where they balance."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from medproof import fhir
from medproof.claims import Adjustment, ClaimOutcome, ClaimResponse, Code, Identifier, Money
from medproof.errors import (
    ClaimAmountError,
    ClaimCodeError,
    ClaimCurrencyError,
    ClaimElementError,
    ClaimLineError,
    ClaimStateError,
    ClaimTotalError,
)
from tests.sdk.fhir.fhir_records import PATIENT, bundle, changed
from tests.sdk.fhir.test_claims import BILL, CPT, EXPLANATION, concept, usd

CARIN = "http://hl7.org/fhir/us/carin-bb/CodeSystem/C4BBAdjudication"


def money(value: str) -> Money:
    return Money(Decimal(value), "USD")


def part(code: str, amount: str, system: str | None = None) -> dict[str, Any]:
    return {"category": concept(code, system), "amount": usd(amount)}


PAID = {
    "itemSequence": 1,
    "adjudication": [
        part("submitted", "80.00"),
        part("eligible", "70.00"),
        part("copay", "10.00"),
        part("coinsurance", "5.00", CARIN),
        {"category": concept("eligpercent"), "value": 80},
        part("benefit", "55.00"),
    ],
}
DENIED = {
    "itemSequence": 2,
    "adjudication": [part("submitted", "45.00"), part("eligible", "0"), part("benefit", "0")],
}
RESPONSE: dict[str, Any] = {
    "resourceType": "ClaimResponse",
    "id": "r1",
    "identifier": [{"system": "urn:payers:remittance", "value": "PAY-1"}],
    "status": "active",
    "type": concept("professional"),
    "use": "claim",
    "patient": {"reference": "Patient/p1"},
    "created": "2026-03-09",
    "insurer": {"identifier": {"system": "urn:payers", "value": "P-1"}},
    "request": {"reference": "Claim/c1"},
    "outcome": "complete",
    "item": [PAID, DENIED],
    "total": [part("submitted", "125.00"), part("benefit", "55.00")],
    "payment": {"type": concept("complete"), "amount": usd("55.00")},
}


def read(record: dict[str, Any], **options: Any) -> ClaimResponse:
    return fhir.read_claim_response(fhir.load(record), **options)


def read_in(*records: dict[str, Any]) -> ClaimResponse:
    """The response of a bundle, the first of its records."""
    return fhir.read_claim_response(next(fhir.records(fhir.load(bundle(*records)))))


def adjudicated(*parts: dict[str, Any], **elements: Any) -> dict[str, Any]:
    """The response with its first line adjudicated so."""
    return changed(RESPONSE, item=[changed(PAID, adjudication=list(parts)), DENIED], **elements)


def test_response_is_read_element_by_element() -> None:
    response = read(RESPONSE)
    assert (response.claim_number, response.payer_number) == ("c1", "PAY-1")
    assert response.payer == Identifier("urn:payers", "P-1")
    assert (response.outcome, response.reversal) == (ClaimOutcome.PARTIAL, False)
    assert response.decided == date(2026, 3, 9)
    assert (response.charge, response.paid, response.patient_share) == (money("125.00"), money("55.00"), money("15.00"))
    assert response.adjustments == ()
    first, second = response.lines
    assert (first.number, first.service, first.charge, first.paid) == (1, (), money("80.00"), money("55.00"))
    assert first.adjustments == (
        Adjustment("PR", "2", money("5.00")),
        Adjustment("PR", "3", money("10.00")),
    )
    assert (second.number, second.paid, second.adjustments) == (2, money("0"), ())


def test_response_in_the_bundle_of_its_claim_has_its_number_and_services() -> None:
    response = read_in(RESPONSE, BILL)
    assert response.claim_number == "A-100"
    assert [line.service for line in response.lines] == [(Code(CPT, "99213"),), (Code(CPT, "85025"),)]
    unpriced = changed(RESPONSE, item=[changed(PAID, adjudication=[part("benefit", "55.00")]), DENIED])
    assert read_in(unpriced, BILL).lines[0].charge == money("80.00")  # as billed


@pytest.mark.parametrize(
    ("lines", "outcome"),
    [
        ([("70", "55"), ("40", "0")], ClaimOutcome.APPROVED),  # the second is the patient's to pay
        ([("70", "55"), ("0", "0")], ClaimOutcome.PARTIAL),
        ([("0", "0"), ("0", "0")], ClaimOutcome.DENIED),
    ],
)
def test_outcome_follows_what_is_allowed_of_each_line(lines: list[tuple[str, str]], outcome: ClaimOutcome) -> None:
    items = [
        {"itemSequence": n, "adjudication": [part("eligible", allowed), part("benefit", paid)]}
        for n, (allowed, paid) in enumerate(lines, start=1)
    ]
    paid = str(sum(Decimal(paid) for _, paid in lines))
    total = [part("submitted", "125.00"), part("benefit", paid)]
    assert read(changed(RESPONSE, item=items, total=total, payment=None)).outcome is outcome


def test_line_that_is_the_patients_to_pay_is_not_denied() -> None:
    items = [{"itemSequence": n, "adjudication": [part("deductible", "40.00")]} for n in (1, 2)]
    response = read(changed(RESPONSE, item=items, total=[part("benefit", "0")], payment=None))
    assert (response.outcome, response.patient_share) == (ClaimOutcome.APPROVED, money("80.00"))


def test_adjudication_of_the_whole_claim_is_read_where_lines_have_none() -> None:
    header = [part("submitted", "125.00"), part("deductible", "25.00"), part("benefit", "100.00")]
    response = read(changed(RESPONSE, item=None, total=None, payment=None, adjudication=header))
    assert (response.outcome, response.paid) == (ClaimOutcome.APPROVED, money("100.00"))
    assert response.adjustments == (Adjustment("PR", "1", money("25.00")),)
    assert (response.patient_share, response.lines) == (money("25.00"), ())


def test_payment_without_what_it_settles_of_other_claims_is_what_is_paid() -> None:
    payment = {"type": concept("complete"), "amount": usd("40.00"), "adjustment": usd("15.00")}
    assert read(changed(RESPONSE, payment=payment)).paid == money("55.00")
    only = changed(RESPONSE, item=None, total=None, payment=payment)
    assert (read(only).paid, read(only).charge) == (money("55.00"), None)


def test_lines_that_the_payer_added_replace_those_that_were_billed() -> None:
    added = {
        "itemSequence": [2],
        "productOrService": concept("85027", CPT),
        "net": usd("30.00"),
        "adjudication": [part("benefit", "20.00")],
    }
    total = [part("submitted", "125.00"), part("benefit", "75.00")]
    response = read(changed(RESPONSE, addItem=[added], total=total, payment=None))
    line = response.lines[2]
    assert (line.number, line.service, line.charge, line.paid) == (2, (Code(CPT, "85027"),), None, money("20.00"))
    several = changed(added, itemSequence=[1, 2])
    assert read(changed(RESPONSE, addItem=[several], total=total, payment=None)).lines[2].number is None


EXPLAINED = changed(
    EXPLANATION,
    item=[
        changed(one, adjudication=line["adjudication"])
        for one, line in zip(EXPLANATION["item"], (PAID, DENIED), strict=True)
    ],
    total=RESPONSE["total"],
    created="2026-03-09",
)


def test_explanation_is_read_as_the_response_that_it_repeats() -> None:
    response = read(EXPLAINED)
    assert (response.claim_number, response.outcome, response.paid) == ("c1", ClaimOutcome.PARTIAL, money("55.00"))
    assert [line.service for line in response.lines] == [(Code(CPT, "99213"),), (Code(CPT, "85025"),)]
    assert read_in(EXPLAINED, BILL).claim_number == "A-100"


def test_payer_may_be_given() -> None:
    payer = Identifier("urn:agreed", "1")
    assert read(changed(RESPONSE, insurer={"reference": "#x"}), payer=payer).payer == payer


@pytest.mark.parametrize(
    ("record", "error", "path"),
    [
        (PATIENT, ClaimElementError, "Patient"),
        (changed(RESPONSE, status="cancelled"), ClaimStateError, "ClaimResponse.status"),
        (changed(RESPONSE, use="predetermination"), ClaimStateError, "ClaimResponse.use"),
        *(
            (changed(RESPONSE, outcome=outcome), ClaimStateError, "ClaimResponse.outcome")
            for outcome in ("queued", "error", "partial", "nonsense")
        ),
        (changed(RESPONSE, modifierExtension=[{"url": "urn:x"}]), ClaimElementError, "ClaimResponse.modifierExtension"),
        (changed(RESPONSE, type=concept("dental")), ClaimCodeError, "ClaimResponse.type"),
        (changed(RESPONSE, request=None), ClaimElementError, "ClaimResponse.request"),
        (changed(RESPONSE, insurer={"reference": "#x"}), ClaimElementError, "ClaimResponse.insurer"),
        (changed(RESPONSE, item=[PAID, PAID]), ClaimLineError, "ClaimResponse.item[1].itemSequence"),
        (
            adjudicated(part("writtenoff", "1.00")),
            ClaimCodeError,
            "ClaimResponse.item[0].adjudication[0].category",
        ),
        (
            adjudicated(part("benefit", "55.00", "urn:own")),
            ClaimCodeError,
            "ClaimResponse.item[0].adjudication[0].category",
        ),
        (
            adjudicated(part("copay", "5.00"), part("copay", "5.00")),
            ClaimElementError,
            "ClaimResponse.item[0].adjudication[1].category",
        ),
        (adjudicated(part("benefit", "-55.00")), ClaimAmountError, "ClaimResponse.item[0].adjudication[0].amount"),
        (
            adjudicated(part("benefit", "55.00"), {"category": concept("copay"), "amount": {"value": 1}}),
            ClaimElementError,
            "ClaimResponse.item[0].adjudication[1].amount.currency",
        ),
        (
            adjudicated({"category": concept("benefit"), "amount": {"value": 55, "currency": "EUR"}}),
            ClaimCurrencyError,
            "ClaimResponse.item[0].adjudication[0].amount",
        ),
        (
            adjudicated({"category": concept("benefit"), "amount": {"value": 55, "currency": "DEM"}}),
            ClaimCurrencyError,
            "ClaimResponse.item[0].adjudication[0].amount",
        ),
        # what does not balance
        (  # payer and patient pay more than the price
            adjudicated(part("eligible", "70.00"), part("copay", "15.01"), part("benefit", "55.00")),
            ClaimTotalError,
            "ClaimResponse.item[0].adjudication[0].amount",
        ),
        (  # the lines come to another benefit
            adjudicated(part("submitted", "80.00"), part("benefit", "54.99")),
            ClaimTotalError,
            "ClaimResponse.total[1].amount",
        ),
        (  # and to another charge
            adjudicated(part("submitted", "79.99"), part("benefit", "55.00")),
            ClaimTotalError,
            "ClaimResponse.total[0].amount",
        ),
        (  # more is paid than was charged
            changed(RESPONSE, item=None, total=[part("submitted", "54.00"), part("benefit", "55.00")]),
            ClaimTotalError,
            "ClaimResponse.total[0].amount",
        ),
        (
            changed(RESPONSE, item=None, total=[part("submitted", "54.00")]),
            ClaimTotalError,
            "ClaimResponse.total",
        ),
        (
            changed(RESPONSE, payment={"type": concept("complete"), "amount": usd("54.00")}),
            ClaimTotalError,
            "ClaimResponse.payment.amount",
        ),
        (
            changed(RESPONSE, payment={"type": concept("complete"), "amount": usd("-1.00")}),
            ClaimAmountError,
            "ClaimResponse.payment.amount",
        ),
        (
            changed(
                RESPONSE,
                payment={"type": concept("complete"), "amount": usd("1.00"), "adjustment": usd("-2.00")},
            ),
            ClaimAmountError,
            "ClaimResponse.payment.adjustment",
        ),
        (
            changed(
                RESPONSE,
                item=[
                    changed(PAID, detail=[{"detailSequence": 1, "adjudication": [part("benefit", "54.00")]}]),
                    DENIED,
                ],
            ),
            ClaimTotalError,
            "ClaimResponse.item[0].adjudication[5].amount",
        ),
        (
            changed(RESPONSE, item=None, total=None, payment=None),
            ClaimElementError,
            "ClaimResponse.total",
        ),
        (  # an explanation that repeats another charge than it adjudicates
            changed(EXPLAINED, item=[changed(EXPLAINED["item"][0], net=usd("81.00")), EXPLAINED["item"][1]]),
            ClaimTotalError,
            "ExplanationOfBenefit.item[0].net",
        ),
        (
            changed(EXPLAINED, item=[changed(EXPLAINED["item"][0], net=usd("-80.00")), EXPLAINED["item"][1]]),
            ClaimAmountError,
            "ExplanationOfBenefit.item[0].net",
        ),
    ],
)
def test_response_is_refused_by_its_path(record: dict[str, Any], error: type[ClaimElementError], path: str) -> None:
    with pytest.raises(ClaimElementError) as caught:
        read(record)
    assert (type(caught.value), caught.value.path) == (error, path)


@pytest.mark.parametrize(
    ("claim", "error", "path"),
    [
        (changed(BILL, item=BILL["item"][:1], total=None), ClaimLineError, "ClaimResponse.item[1].itemSequence"),
        (changed(BILL, patient={"reference": "Patient/p2"}), ClaimElementError, "ClaimResponse.patient"),
        (
            changed(BILL, item=[changed(one, net=None) for one in BILL["item"]], total=usd("126.00")),
            ClaimTotalError,
            "ClaimResponse.total[0].amount",
        ),
        (
            changed(BILL, item=[changed(BILL["item"][0], net=usd("79.00")), BILL["item"][1]], total=None),
            ClaimTotalError,
            "ClaimResponse.item[0].net",
        ),
        (
            changed(BILL, item=[changed(one, net=None) for one in BILL["item"]], total={"value": 1, "currency": "EUR"}),
            ClaimCurrencyError,
            "ClaimResponse.total[0].amount",
        ),
        (changed(BILL, status="draft"), ClaimStateError, "Claim.status"),
    ],
)
def test_response_to_another_claim_than_that_in_its_bundle_is_refused(
    claim: dict[str, Any], error: type[ClaimElementError], path: str
) -> None:
    with pytest.raises(ClaimElementError) as caught:
        read_in(RESPONSE, claim)
    assert (type(caught.value), caught.value.path) == (error, path)

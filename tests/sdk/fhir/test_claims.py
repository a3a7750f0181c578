"""FHIR claims read into the claim model: every element, and every refusal with its path."""

from __future__ import annotations

from datetime import date
from decimal import Context, Decimal, localcontext
from typing import Any

import pytest

from medproof import fhir
from medproof.claims import Claim, ClaimKind, Code, Frequency, Identifier, Money
from medproof.errors import (
    ClaimAmountError,
    ClaimCodeError,
    ClaimCurrencyError,
    ClaimDateError,
    ClaimElementError,
    ClaimLineError,
    ClaimStateError,
    ClaimTotalError,
)
from tests.sdk.fhir.fhir_records import CLAIM, PATIENT, bundle, changed

CPT = "http://www.ama-assn.org/go/cpt"
NPI = "http://hl7.org/fhir/sid/us-npi"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
BILL_TYPE = "https://www.nubc.org/CodeSystem/TypeOfBill"
RELATED = "http://terminology.hl7.org/CodeSystem/ex-relatedclaimrelationship"
FREQUENCY = "http://hl7.org/fhir/us/davinci-pct/CodeSystem/PCTGFEFrequency"


def usd(value: str) -> dict[str, Any]:
    return {"value": Decimal(value), "currency": "USD"}


def concept(code: str, system: str | None = None) -> dict[str, Any]:
    return {"coding": [{"code": code, **({"system": system} if system else {})}]}


FIRST = changed(CLAIM["item"][0], net=usd("80.00"))
SECOND = changed(CLAIM["item"][1], net=usd("45.00"))
BILL = changed(
    CLAIM,
    identifier=[{"value": "old", "use": "old"}, {"system": "urn:clinic:claims", "value": "A-100"}],
    insurer={"identifier": {"system": "urn:payers", "value": "P-1"}},
    insurance=[{"sequence": 1, "focal": True, "coverage": {"identifier": {"system": "urn:policies", "value": "C-9"}}}],
    diagnosis=[
        {"sequence": 1, "diagnosisCodeableConcept": concept("E11.9", ICD)},
        {"sequence": 2, "diagnosisCodeableConcept": concept("I10", ICD), "type": [concept("principal")]},
    ],
    item=[FIRST, SECOND],
)


def read(record: dict[str, Any], **options: Any) -> Claim:
    return fhir.read_claim(fhir.load(record), **options)


def read_in(*records: dict[str, Any]) -> Claim:
    """The claim of a bundle, the first of its records."""
    return fhir.read_claim(next(fhir.records(fhir.load(bundle(*records)))))


def items(**elements: Any) -> dict[str, Any]:
    """The bill with its first line changed."""
    return changed(BILL, item=[changed(FIRST, **elements), SECOND])


def test_claim_is_read_element_by_element() -> None:
    claim = read(BILL)
    assert (claim.kind, claim.number, claim.frequency) == (ClaimKind.PROFESSIONAL, "A-100", Frequency.ORIGINAL)
    assert claim.patient == Identifier("", "Patient/p1")
    assert claim.provider == Identifier(NPI, "1234567893")
    assert claim.payer == Identifier("urn:payers", "P-1")
    assert claim.coverage == Identifier("urn:policies", "C-9")
    assert (claim.start, claim.end) == (date(2026, 3, 1), date(2026, 3, 1))
    assert claim.total == Money(Decimal("125.00"), "USD")
    assert claim.diagnoses == (Code(ICD, "I10"), Code(ICD, "E11.9"))
    assert (claim.original, claim.subscriber, claim.prescription, claim.priority) == (None, None, None, "normal")
    first, second = claim.lines
    assert (first.number, first.service) == (1, (Code(CPT, "99213"),))
    assert (first.modifiers, first.encounter) == ((Code("urn:modifier", "25"),), "Encounter/e1")
    assert (first.charge, second.charge) == (Money(Decimal("80.00"), "USD"), Money(Decimal("45.00"), "USD"))
    assert str(first.charge.amount) == "80.00"  # the digits stay
    assert (second.modifiers, second.places, second.encounter, second.quantity) == ((), (), None, None)


def test_line_is_read_element_by_element() -> None:
    line = read(
        items(
            servicedPeriod={"start": "2026-03-01", "end": "2026-03-01T23:00:00+14:00"},
            productOrService={"coding": [{"system": CPT, "code": "99213"}, {"system": "urn:own", "code": "V1"}]},
            modifier=[concept("25", "urn:m"), concept("76", "urn:m")],
            bodySite=concept("21", "urn:teeth"),
            subSite=[concept("L", "urn:faces")],
            quantity={"value": 2, "unit": "visits", "code": "UN"},
            unitPrice=usd("50.00"),
            factor=Decimal("0.8"),
            encounter=[{"identifier": {"system": "urn:visits", "value": "E-7"}}],
        )
    ).lines[0]
    assert line.service == (Code(CPT, "99213"), Code("urn:own", "V1"))
    assert line.modifiers == (Code("urn:m", "25"), Code("urn:m", "76"))
    assert line.places == (Code("urn:teeth", "21"), Code("urn:faces", "L"))
    assert (line.quantity, line.unit, line.encounter) == (Decimal(2), "UN", "urn:visits|E-7")
    assert (line.start, line.end) == (date(2026, 3, 1), date(2026, 3, 1))


def test_period_without_an_end_bounds_no_line_from_above() -> None:
    bill = changed(items(servicedDate="2026-03-09"), billablePeriod={"start": "2026-03-01"})
    claim = read(bill)
    assert (claim.start, claim.end) == (date(2026, 3, 1), date(2026, 3, 9))
    assert claim.lines[1].end == date(2026, 3, 1)  # the day that is given


def test_charge_that_is_not_given_is_the_unit_price_times_quantity_and_factor() -> None:
    line = read(items(net=None, quantity={"value": 3}, unitPrice=usd("33.335"), factor=Decimal("0.8"))).lines[0]
    assert line.charge == Money(Decimal("80.00"), "USD")
    assert read(items(net=None)).lines[0].charge is None


def test_no_setting_of_the_process_makes_another_charge() -> None:
    with localcontext(Context(prec=2)):
        line = read(items(net=None, quantity={"value": 3}, unitPrice=usd("33.335"), factor=Decimal("0.8"))).lines[0]
    assert line.charge == Money(Decimal("80.00"), "USD")


def test_details_of_a_line_are_kept() -> None:
    detail = {"sequence": 1, "productOrService": concept("frame"), "net": usd("30.00")}
    lens = {"sequence": 2, "productOrService": concept("lens"), "net": usd("50.00"), "subDetail": [detail]}
    line = read(items(detail=[detail, changed(lens, subDetail=[changed(detail, net=usd("50.00"))])])).lines[0]
    assert [one.service[0].code for one in line.details] == ["frame", "lens"]
    assert line.details[1].details[0].charge == Money(Decimal("50.00"), "USD")
    assert {one.start for one in line.details} == {line.start}


def test_names_are_taken_from_what_references_lead_to() -> None:
    organization = {
        "resourceType": "Organization",
        "id": "o1",
        "name": "Clinic",
        "identifier": [{"system": "urn:tax", "value": "7"}, {"system": NPI, "value": "1999999984"}],
    }
    patient = changed(
        PATIENT,
        identifier=[
            {"system": "urn:mrn", "value": "0", "use": "old"},
            {"value": "without a system"},
            {"system": "urn:mrn", "value": "7"},
            {"system": "urn:members", "value": "M-77"},
        ],
    )
    prescription = {
        "resourceType": "MedicationRequest",
        "id": "m1",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": concept("1"),
        "subject": {"reference": "Patient/p1"},
        "identifier": [{"system": "urn:rx", "value": "R-1"}],
    }
    bill = changed(BILL, provider={"reference": "Organization/o1"}, prescription={"reference": "MedicationRequest/m1"})
    claim = read_in(bill, organization, patient, prescription)
    assert claim.provider == Identifier(NPI, "1999999984")  # the system that is preferred
    assert claim.patient == Identifier("urn:mrn", "7")
    assert claim.prescription == "urn:rx|R-1"
    nameless = changed(organization, identifier=None)
    assert read_in(bill, nameless, patient).provider == Identifier(
        "urn:ietf:rfc:3986", "https://clinic.example/Organization/o1"
    )
    records = next(fhir.records(fhir.load(bundle(bill, organization, patient))))
    assert fhir.read_claim(records, prefer=["urn:members"]).patient == Identifier("urn:members", "M-77")


def test_contained_resources_are_followed() -> None:
    patient = changed(PATIENT, identifier=[{"system": "urn:mrn", "value": "7"}])
    assert read(changed(BILL, contained=[patient], patient={"reference": "#p1"})).patient == Identifier("urn:mrn", "7")
    other = changed(patient, identifier=[{"system": "urn:mrn", "value": "8"}])
    with pytest.raises(ClaimElementError, match="leads into its own resource"):  # two readers could take either
        read(changed(BILL, contained=[patient, other], patient={"reference": "#p1"}))


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("urn:uuid:d78af07c", Identifier("urn:ietf:rfc:3986", "urn:uuid:d78af07c")),
        ("https://a.example/Patient/1/_history/2", Identifier("urn:ietf:rfc:3986", "https://a.example/Patient/1")),
        ("Patient/1", Identifier("", "Patient/1")),
        ("Patient?identifier=urn:mrn|7", Identifier("urn:mrn", "7")),
    ],
)
def test_reference_that_leads_nowhere_names_by_itself(reference: str, name: Identifier) -> None:
    assert read(changed(BILL, patient={"reference": reference})).patient == name


def test_names_may_be_given() -> None:
    one, two, three = (Identifier("urn:agreed", name) for name in "123")
    bill = changed(BILL, patient={"reference": "#p"}, provider={"display": "?"}, insurer=None)
    claim = read(bill, patient=one, provider=two, payer=three)
    assert (claim.patient, claim.provider, claim.payer) == (one, two, three)


def test_payer_is_the_policys_where_the_claim_names_none() -> None:
    coverage = {
        "resourceType": "Coverage",
        "id": "v1",
        "identifier": [{"system": "urn:policies", "value": "C-9"}],
        "status": "active",
        "subscriber": {"identifier": {"system": "urn:members", "value": "M-1"}},
        "beneficiary": {"reference": "Patient/p1"},
        "relationship": concept("child"),
        "payor": [{"identifier": {"system": "urn:payers", "value": "P-2"}}],
    }
    bill = changed(
        BILL, insurer=None, insurance=[{"sequence": 1, "focal": True, "coverage": {"reference": "Coverage/v1"}}]
    )
    claim = read_in(bill, coverage)
    assert claim.payer == Identifier("urn:payers", "P-2")
    assert claim.coverage == Identifier("urn:policies", "C-9")
    assert claim.subscriber == Identifier("urn:members", "M-1")
    assert read_in(bill, changed(coverage, relationship=concept("self"))).subscriber is None
    named = changed(bill, insurance=[{"sequence": 1, "focal": True, "coverage": {"display": "medicaid"}}])
    assert read(named).payer == Identifier("", "medicaid")
    assert read(named).coverage is None


def test_the_focal_policy_is_billed() -> None:
    other = {"sequence": 2, "focal": False, "coverage": {"reference": "Coverage/2"}}
    assert read(changed(BILL, insurance=[other, *BILL["insurance"]])).coverage == Identifier("urn:policies", "C-9")


PRIOR = {"relationship": concept("prior", RELATED), "reference": {"value": "PAY-1"}}


@pytest.mark.parametrize(
    ("elements", "frequency", "original"),
    [
        ({}, Frequency.ORIGINAL, None),
        ({"related": [{"relationship": concept("associated", RELATED), "claim": {"reference": "Claim/9"}}]}, "1", None),
        ({"related": [PRIOR]}, Frequency.REPLACEMENT, "PAY-1"),
        ({"related": [changed(PRIOR, reference=None, claim={"reference": "Claim/9"})]}, "7", "9"),
        ({"related": [changed(PRIOR, reference=None, claim={"identifier": {"value": "A-99"}})]}, "7", "A-99"),
        ({"related": [changed(PRIOR, relationship=concept("8", FREQUENCY))]}, Frequency.VOID, "PAY-1"),
        ({"subType": concept("0131", BILL_TYPE)}, Frequency.ORIGINAL, None),
        ({"subType": concept("0137", BILL_TYPE), "related": [{"reference": {"value": "PAY-2"}}]}, "7", "PAY-2"),
        (
            {
                "supportingInfo": [
                    {"sequence": 1, "category": concept("typeofbill"), "code": concept("838", BILL_TYPE)}
                ],
                "related": [changed(PRIOR, relationship=None)],
            },
            Frequency.VOID,
            "PAY-1",
        ),
    ],
)
def test_correction_names_its_original(elements: dict[str, Any], frequency: str, original: str | None) -> None:
    claim = read(changed(BILL, **elements))
    assert (claim.frequency, claim.original) == (frequency, original)


@pytest.mark.parametrize(
    ("record", "error", "path"),
    [
        (PATIENT, ClaimElementError, "Patient"),
        # what is no bill
        (changed(BILL, status="draft"), ClaimStateError, "Claim.status"),
        (changed(BILL, status="cancelled"), ClaimStateError, "Claim.status"),
        (changed(BILL, status="nonsense"), ClaimStateError, "Claim.status"),
        (changed(BILL, use="preauthorization"), ClaimStateError, "Claim.use"),
        (changed(BILL, use="nonsense"), ClaimStateError, "Claim.use"),
        (changed(BILL, modifierExtension=[{"url": "urn:x"}]), ClaimElementError, "Claim.modifierExtension"),
        (changed(BILL, implicitRules="urn:x"), ClaimElementError, "Claim.implicitRules"),
        (items(modifierExtension=[{"url": "urn:x"}]), ClaimElementError, "Claim.item[0].modifierExtension"),
        # codes
        (changed(BILL, type=concept("dental")), ClaimCodeError, "Claim.type"),
        (changed(BILL, type=concept("professional", "urn:own")), ClaimCodeError, "Claim.type"),
        (changed(BILL, priority=concept("soon")), ClaimCodeError, "Claim.priority"),
        (items(productOrService={"text": "visit"}), ClaimCodeError, "Claim.item[0].productOrService"),
        (items(modifier=[{"text": "again"}]), ClaimCodeError, "Claim.item[0].modifier[0]"),
        (items(bodySite={"text": "left"}), ClaimCodeError, "Claim.item[0].bodySite"),
        (items(subSite=[{"text": "left"}]), ClaimCodeError, "Claim.item[0].subSite[0]"),
        (
            changed(BILL, diagnosis=[{"sequence": 1, "diagnosisCodeableConcept": {"text": "ill"}}]),
            ClaimCodeError,
            "Claim.diagnosis[0]",
        ),
        (changed(BILL, subType=concept("0132", BILL_TYPE)), ClaimCodeError, "Claim.subType"),
        (
            changed(BILL, subType=concept("0131", BILL_TYPE), related=[PRIOR]),
            ClaimCodeError,
            "Claim.related[0].relationship",
        ),
        (
            changed(BILL, related=[changed(PRIOR, relationship=concept("replacedby", "urn:own"))]),
            ClaimCodeError,
            "Claim.related[0].relationship",
        ),
        # who and which
        (changed(BILL, identifier=None, id=None), ClaimElementError, "Claim.identifier"),
        (changed(BILL, patient={"display": "Jane"}), ClaimElementError, "Claim.patient"),
        (changed(BILL, patient={"reference": "#p"}), ClaimElementError, "Claim.patient"),
        (changed(BILL, patient={"identifier": {"value": "Jane"}}), ClaimElementError, "Claim.patient"),
        (changed(BILL, provider={"display": "Unknown"}), ClaimElementError, "Claim.provider"),
        (
            changed(CLAIM, identifier=None),  # its coverage is not at hand
            ClaimElementError,
            "Claim.insurer",
        ),
        (
            changed(BILL, insurance=[changed(BILL["insurance"][0], focal=False)]),
            ClaimElementError,
            "Claim.insurance.focal",
        ),
        (changed(BILL, insurance=BILL["insurance"] * 2), ClaimElementError, "Claim.insurance.focal"),
        (changed(BILL, prescription={"display": "x"}), ClaimElementError, "Claim.prescription"),
        (changed(BILL, related=[changed(PRIOR, reference=None)]), ClaimElementError, "Claim.related"),
        (changed(BILL, subType=concept("0137", BILL_TYPE)), ClaimElementError, "Claim.related"),
        (
            changed(
                BILL,
                subType=concept("0137", BILL_TYPE),
                related=[changed(PRIOR, relationship=concept("associated", RELATED))],  # it corrects another than this
            ),
            ClaimElementError,
            "Claim.related",
        ),
        (
            items(encounter=[{"reference": f"Encounter/{n}"} for n in "12"]),
            ClaimElementError,
            "Claim.item[0].encounter",
        ),
        (items(encounter=[{"display": "x"}]), ClaimElementError, "Claim.item[0].encounter[0]"),
        (
            changed(BILL, diagnosis=[{"sequence": 1, "diagnosisReference": {"reference": "Condition/1"}}]),
            ClaimElementError,
            "Claim.diagnosis[0].diagnosisReference",
        ),
        # days
        (changed(BILL, billablePeriod=None), ClaimDateError, "Claim.item[0].serviced"),
        (changed(BILL, billablePeriod={"start": "2026-03"}), ClaimDateError, "Claim.billablePeriod.start"),
        (changed(BILL, billablePeriod={"end": "2026-03-01"}), ClaimDateError, "Claim.billablePeriod.start"),
        (
            changed(BILL, billablePeriod={"start": "2026-03-02", "end": "2026-03-01"}),
            ClaimDateError,
            "Claim.billablePeriod.end",
        ),
        (items(servicedDate="2026"), ClaimDateError, "Claim.item[0].servicedDate"),
        (items(servicedDate="2026-02-28"), ClaimDateError, "Claim.item[0].serviced"),
        (items(servicedPeriod={"start": "2026-03-01", "end": "2026-03-02"}), ClaimDateError, "Claim.item[0].serviced"),
        # lines
        (changed(BILL, item=None), ClaimElementError, "Claim.item"),
        (items(sequence=0), ClaimLineError, "Claim.item[0].sequence"),
        (changed(BILL, item=[FIRST, FIRST]), ClaimLineError, "Claim.item[1].sequence"),
        (
            changed(BILL, diagnosis=[BILL["diagnosis"][0]] * 2),
            ClaimLineError,
            "Claim.diagnosis.sequence",
        ),
        # money
        (items(net=usd("-80.00")), ClaimAmountError, "Claim.item[0].net"),
        (items(net=usd("8E+20")), ClaimAmountError, "Claim.item[0].net"),
        (items(quantity={"value": -1}), ClaimAmountError, "Claim.item[0].quantity"),
        (items(unitPrice=usd("-80.00"), factor=-1), ClaimAmountError, "Claim.item[0].unitPrice"),
        (items(unitPrice=usd("80.00"), factor=-1), ClaimAmountError, "Claim.item[0].factor"),
        (items(unitPrice=usd("1E+14"), quantity={"value": 1000}), ClaimAmountError, "Claim.item[0].unitPrice"),
        (items(unitPrice=usd("40.00")), ClaimAmountError, "Claim.item[0].net"),
        (changed(BILL, total=usd("-125.00")), ClaimAmountError, "Claim.total"),
        (items(net={"value": 80}), ClaimElementError, "Claim.item[0].net.currency"),
        (items(net={"currency": "USD"}), ClaimElementError, "Claim.item[0].net.value"),
        (items(net={"value": 80, "currency": "DEM"}), ClaimCurrencyError, "Claim.item[0].net"),
        (items(net={"value": 80, "currency": "XXX"}), ClaimCurrencyError, "Claim.item[0].net"),
        (items(net={"value": 80, "currency": "EUR"}), ClaimCurrencyError, "Claim.item[1].net"),
        (changed(BILL, total={"value": 125, "currency": "CAD"}), ClaimCurrencyError, "Claim.total"),
        (
            items(unitPrice={"value": 80, "currency": "EUR"}),
            ClaimCurrencyError,
            "Claim.item[0].net",
        ),
        (changed(BILL, total=usd("125.01")), ClaimTotalError, "Claim.total"),
        (changed(items(net=None), total=usd("44.99")), ClaimTotalError, "Claim.total"),
        (
            items(detail=[{"sequence": 1, "productOrService": concept("a"), "net": usd("79.99")}]),
            ClaimTotalError,
            "Claim.item[0].net",
        ),
        (
            items(
                detail=[
                    {"sequence": 1, "productOrService": concept("a")},
                    {"sequence": 1, "productOrService": concept("b")},
                ]
            ),
            ClaimLineError,
            "Claim.item[0].detail[1].sequence",
        ),
    ],
)
def test_claim_is_refused_by_its_path(record: dict[str, Any], error: type[ClaimElementError], path: str) -> None:
    with pytest.raises(ClaimElementError) as caught:
        read(record)
    assert (type(caught.value), caught.value.path) == (error, path)
    assert "Jane" not in str(caught.value)


@pytest.mark.parametrize("total", ["125", "125.004", "124.995", "125.000000000000003"])
def test_totals_are_compared_in_cents(total: str) -> None:
    assert str(read(changed(BILL, total=usd(total))).total) == str(Money(Decimal(total), "USD"))


def test_currency_without_cents_is_compared_in_whole_units() -> None:
    yen = [changed(one, net={"value": Decimal(n), "currency": "JPY"}) for one, n in ((FIRST, 80), (SECOND, "45.4"))]
    assert read(changed(BILL, item=yen, total={"value": 125, "currency": "JPY"})).total == Money(Decimal(125), "JPY")
    with pytest.raises(ClaimTotalError):
        read(changed(BILL, item=yen, total={"value": 126, "currency": "JPY"}))


EXPLANATION = {
    **{name: BILL[name] for name in BILL if name not in ("resourceType", "priority", "total", "identifier")},
    "resourceType": "ExplanationOfBenefit",
    "id": "b1",
    "claim": {"reference": "Claim/c1"},
    "outcome": "complete",
    "insurance": [{"focal": True, "coverage": {"identifier": {"system": "urn:policies", "value": "C-9"}}}],
    "total": [{"category": concept("submitted"), "amount": usd("125.00")}],
}


def test_explanation_gives_the_claim_that_it_repeats() -> None:
    claim = read(EXPLANATION)
    assert claim.number == "c1"
    assert (claim.total, claim.priority) == (Money(Decimal("125.00"), "USD"), None)
    assert claim.lines == read(BILL).lines
    assert read(changed(EXPLANATION, claim=None)).number == "b1"
    with pytest.raises(ClaimTotalError) as caught:
        read(changed(EXPLANATION, total=[{"category": concept("submitted"), "amount": usd("1.00")}]))
    assert caught.value.path == "ExplanationOfBenefit.total"


def test_explanation_gives_the_claim_in_its_bundle() -> None:
    assert read_in(changed(EXPLANATION, item=None), BILL) == read(BILL)
    with pytest.raises(ClaimStateError):
        read_in(changed(EXPLANATION, status="cancelled"), BILL)

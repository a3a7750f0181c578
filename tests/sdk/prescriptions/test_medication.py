"""MedicationRequest and MedicationDispense: HL7's own one by one, and what is refused by its path."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medproof import fhir
from medproof.claims.claim import Code
from medproof.errors import ElementError, RecordError
from medproof.fhir import MedicationOrder, Resource, Supplied
from medproof.policy.prescription import PrescriptionState
from tests.sdk.archives import needs_synthea, patients

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "node_modules" / "hl7.fhir.r4.examples"
DOCUMENT = ROOT / "docs" / "prescriptions.md"
ML = Code("http://unitsofmeasure.org", "mL")

pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="HL7's examples are not installed: run make setup.")


def request(**changes: Any) -> Resource:
    """An order of 30 mL three times, with other elements of its dispenseRequest where they are given."""
    dispense = {
        "numberOfRepeatsAllowed": 2,
        "quantity": {"value": 30, "unit": "ml", "system": ML.system, "code": "mL"},
        "validityPeriod": {"start": "2026-01-01", "end": "2026-12-31"},
        **changes,
    }
    return fhir.load(
        {
            "resourceType": "MedicationRequest",
            "id": "rx",
            "status": "active",
            "intent": "order",
            "medicationCodeableConcept": {"text": "a syrup"},
            "subject": {"reference": "Patient/1"},
            "dispenseRequest": {name: value for name, value in dispense.items() if value is not None},
        }
    )


def altered(resource: Resource, **changes: Any) -> Resource:
    content = {name: value for name, value in {**resource.content, **changes}.items() if value is not None}
    return fhir.load(content)


def dispense(code: str | None = None, **changes: Any) -> Resource:
    said: dict[str, Any] = {
        "resourceType": "MedicationDispense",
        "status": "completed",
        "medicationCodeableConcept": {"text": "a syrup"},
        "quantity": {"value": 30, "system": ML.system, "code": "mL"},
        "authorizingPrescription": [{"reference": "MedicationRequest/rx"}],
        "whenHandedOver": "2026-02-01T09:00:00Z",
    }
    if code is not None:
        said["type"] = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": code}]}
    return fhir.load({name: value for name, value in {**said, **changes}.items() if value is not None})


def state(number: int = 0, filled: int = 0, **changes: Any) -> PrescriptionState:
    return PrescriptionState("0x" + "11" * 20, 3, 30, date(2026, 12, 31), number, filled, **changes)


# -- HL7's examples ---------------------------------------------------------------------------------------------


def table() -> dict[str, str]:
    """What docs/prescriptions.md says of each example."""
    text = DOCUMENT.read_text(encoding="utf-8")
    rows = re.findall(r"^\| ((?:med\w+(?:, )?)+) \| (.+?) \|$", text, re.M)
    return {name: said for names, said in rows for name in names.split(", ")}


def fate(path: Path) -> str:
    resource = fhir.load(path)
    try:
        if resource.resource_type == "MedicationRequest":
            order = fhir.read_order(resource)
            return f"read: {order.fills} x {order.amount(order.quantity)} {order.unit.code or 'pieces'}"
        read = fhir.read_dispense(resource)
        return f"read: {read.amount} {read.unit.code}, {read.supplied or 'no type'}{_share(read.whole)}"
    except ElementError as error:
        return f"`{error.path}` {error.rule}"


def _share(whole: bool | None) -> str:
    return "" if whole is None else ", whole" if whole else ", a part"


def test_hl7_examples_are_read_or_refused_as_the_table_says() -> None:
    files = [*EXAMPLES.glob("MedicationRequest-*.json"), *EXAMPLES.glob("MedicationDispense-*.json")]
    found = {path.stem.partition("-")[2]: fate(path) for path in files}

    assert len(found) == 71
    assert table() == found


@needs_synthea
def test_synthea_says_of_no_prescription_how_much_is_supplied() -> None:
    found = Counter(
        _path(one)
        for patient in patients()
        for one in fhir.records(patient)
        if one.resource_type == "MedicationRequest"
    )

    assert found == {"MedicationRequest.status": 87, "MedicationRequest.dispenseRequest": 36}


def _path(resource: Resource) -> str:
    try:
        fhir.read_order(resource)
    except ElementError as error:
        return error.path
    return "read"


# -- MedicationRequest ------------------------------------------------------------------------------------------


def test_order_is_read() -> None:
    order = fhir.read_order(altered(request(), priorPrescription={"reference": "MedicationRequest/old"}))

    assert order == MedicationOrder(3, 30, 0, ML, date(2026, 12, 31), date(2026, 1, 1), "MedicationRequest/old")


@pytest.mark.parametrize(
    ("value", "quantity", "decimals"),
    [("12.5", 125, 1), ("12.50", 125, 1), ("0.001", 1, 3), ("65535", 65535, 0), ("6.5535", 65535, 4), ("1E+2", 100, 0)],
)
def test_quantity_is_counted_in_its_smallest_parts(value: str, quantity: int, decimals: int) -> None:
    order = fhir.read_order(request(quantity={"value": Decimal(value), "unit": "mL"}))

    assert (order.quantity, order.decimals, order.unit) == (quantity, decimals, Code("", "mL"))
    assert order.amount(order.quantity) == Decimal(value)


@given(st.integers(1, 65535), st.integers(0, 6))
def test_parts_and_amounts_are_inverse(parts: int, decimals: int) -> None:
    order = MedicationOrder(1, 65535, decimals, ML, date(2026, 12, 31))

    assert order.parts(order.amount(parts), ML, "x") == parts


def test_no_repeat_is_one_fill() -> None:
    assert fhir.read_order(request(numberOfRepeatsAllowed=None)).fills == 1
    assert fhir.read_order(request(numberOfRepeatsAllowed=254)).fills == 255


def test_caller_says_until_when() -> None:
    assert fhir.read_order(request(validityPeriod=None), valid_until=date(2027, 1, 1)).valid_until == date(2027, 1, 1)


def test_equal_first_fill_is_no_other() -> None:
    fhir.read_order(request(initialFill={"quantity": {"value": 30, "system": ML.system, "code": "ml"}}))


D = "MedicationRequest.dispenseRequest"


@pytest.mark.parametrize(
    ("resource", "path"),
    [
        (request(quantity=None), f"{D}.quantity"),
        (request(quantity={"unit": "mL"}), f"{D}.quantity"),
        (request(quantity={"value": 0}), f"{D}.quantity.value"),
        (request(quantity={"value": -1}), f"{D}.quantity.value"),
        (request(quantity={"value": 65536}), f"{D}.quantity.value"),
        (request(quantity={"value": Decimal("0.00001234567")}), f"{D}.quantity.value"),
        (request(quantity={"value": 1, "comparator": "<"}), f"{D}.quantity.comparator"),
        (request(numberOfRepeatsAllowed=255), f"{D}.numberOfRepeatsAllowed"),
        (request(initialFill={"quantity": {"value": 5}}), f"{D}.initialFill.quantity"),
        (request(validityPeriod=None), f"{D}.validityPeriod.end"),
        (request(validityPeriod={"start": "2026-01-01"}), f"{D}.validityPeriod.end"),
        (request(validityPeriod={"end": "2026"}), f"{D}.validityPeriod.end"),
        (request(validityPeriod={"start": "2026-02-01", "end": "2026-01-01"}), f"{D}.validityPeriod.end"),
        (altered(request(), dispenseRequest=None), D),
        (altered(request(), status="draft"), "MedicationRequest.status"),
        (altered(request(), status="cancelled"), "MedicationRequest.status"),
        (altered(request(), intent="plan"), "MedicationRequest.intent"),
        (altered(request(), doNotPerform=True), "MedicationRequest.doNotPerform"),
        (altered(request(), modifierExtension=[{"url": "http://x", "valueBoolean": True}]),
         "MedicationRequest.modifierExtension"),
        (request(modifierExtension=[{"url": "http://x", "valueBoolean": True}]), f"{D}.modifierExtension"),
        (dispense(), "MedicationDispense"),
    ],
)  # fmt: skip
def test_order_is_refused_by_its_path(resource: Resource, path: str) -> None:
    with pytest.raises(ElementError) as caught:
        fhir.read_order(resource)
    assert caught.value.path == path
    assert str(caught.value).startswith(f"{path} {caught.value.rule}: ")


def test_negative_repeats_are_no_fhir() -> None:
    with pytest.raises(RecordError):
        fhir.read_order(request(numberOfRepeatsAllowed=-1))


# -- MedicationDispense -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "before", "amount", "fill"),
    [
        (None, state(), 30, (1, 0, 30)),
        ("FF", state(), 10, (1, 0, 10)),
        ("FFC", state(), 30, (1, 0, 30)),
        ("FFP", state(), 10, (1, 0, 10)),
        ("TF", state(), 2, (1, 0, 2)),
        ("FFP", state(1, 10), 20, (1, 10, 20)),
        ("TB", state(1, 2), 28, (1, 2, 28)),
        ("RF", state(1, 30), 30, (2, 0, 30)),
        ("RFC", state(2, 30), 30, (3, 0, 30)),
        ("RFP", state(2, 10), 20, (2, 10, 20)),
        ("DF", state(1, 30), 1, (2, 0, 1)),
    ],
)
def test_dispense_is_a_fill(code: str | None, before: PrescriptionState, amount: int, fill: tuple[int, ...]) -> None:
    order = fhir.read_order(request())
    read = fhir.read_dispense(dispense(code, quantity={"value": amount, "system": ML.system, "code": "ml"}))

    assert fhir.fill_of(read, order, before) == fill


@pytest.mark.parametrize(
    ("code", "before", "quantity", "path"),
    [
        ("RF", state(), {"value": 30}, "type"),
        ("FF", state(1, 30), {"value": 30}, "type"),
        ("FFC", state(), {"value": 29}, "type"),
        ("FFP", state(), {"value": 30}, "type"),
        ("EM", state(3, 30), {"value": 30}, "type"),
        ("SO", state(), {"value": 30}, "type"),
        (None, state(), {"value": 30, "code": "g"}, "quantity.code"),
        (None, state(), {"value": 30, "system": "http://snomed.info/sct"}, "quantity.code"),
        (None, state(), {"value": Decimal("0.5")}, "quantity.value"),
    ],
)
def test_dispense_that_is_no_fill_is_refused(
    code: str | None, before: PrescriptionState, quantity: dict[str, Any], path: str
) -> None:
    read = fhir.read_dispense(dispense(code, quantity={"system": ML.system, "code": "mL", **quantity}))

    with pytest.raises(ElementError) as caught:
        fhir.fill_of(read, fhir.read_order(request()), before)
    assert caught.value.path == f"MedicationDispense.{path}"


@pytest.mark.parametrize(
    ("resource", "path"),
    [
        (dispense(status="in-progress"), "status"),
        (dispense(status="entered-in-error"), "status"),
        (dispense(quantity=None), "quantity"),
        (dispense(quantity={"value": 0, "code": "mL"}), "quantity.value"),
        (dispense(quantity={"value": -3, "code": "mL"}), "quantity.value"),
        (dispense(authorizingPrescription=None), "authorizingPrescription"),
        (dispense(authorizingPrescription=[{"display": "by phone"}]), "authorizingPrescription"),
        (dispense(authorizingPrescription=[{"reference": "a/1"}, {"reference": "a/2"}]), "authorizingPrescription"),
        (dispense("FS"), "type"),
        (dispense("MS"), "type"),
        (dispense("XX"), "type"),
        (dispense(whenHandedOver="2026"), "whenHandedOver"),
        (dispense(modifierExtension=[{"url": "http://x", "valueBoolean": True}]), "modifierExtension"),
    ],
)
def test_dispense_is_refused_by_its_path(resource: Resource, path: str) -> None:
    with pytest.raises(ElementError) as caught:
        fhir.read_dispense(resource)
    assert caught.value.path == f"MedicationDispense.{path}"


def test_request_is_no_dispense() -> None:
    with pytest.raises(ElementError, match="MedicationRequest is no MedicationDispense"):
        fhir.read_dispense(request())


def test_refusals_show_nothing_of_the_patient() -> None:
    secret = altered(request(quantity={"value": 98765, "unit": "drops of SECRET"}), id="SECRET")
    with pytest.raises(ElementError) as caught:
        fhir.read_order(secret)
    assert not re.search("98765|SECRET", str(caught.value))


# -- out --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "quantity", "code"),
    [(state(1, 30), 30, "FFC"), (state(1, 10), 10, "FFP"), (state(2, 30), 30, "RFC"), (state(2, 30), 20, "RFP")],
)
def test_fill_is_written_and_read_back(after: PrescriptionState, quantity: int, code: str) -> None:
    asked, order = request(), fhir.read_order(request())
    written = fhir.render_dispense(
        order, asked, after, quantity=quantity, handed_over="2026-02-01T09:00:00Z", identifier="0x12"
    )
    read = fhir.read_dispense(fhir.load(written))

    assert written["type"] == {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": code}]}
    assert (order.parts(read.amount, read.unit, ""), read.prescription) == (quantity, "MedicationRequest/rx")
    assert read.supplied is (Supplied.FIRST_FILL if after.number == 1 else Supplied.REFILL)
    before = state(after.number, after.filled - quantity) if after.filled > quantity else state(after.number - 1, 30)
    if quantity == 30 or after.filled > quantity:
        assert fhir.fill_of(read, order, before)[0] == after.number


@pytest.mark.parametrize(
    ("now", "day", "status"),
    [
        (state(), "2026-06-01", "active"),
        (state(1, 10), "2026-06-01", "active"),
        (state(3, 29), "2026-06-01", "active"),
        (state(3, 30), "2026-06-01", "completed"),
        (state(3, 30), "2027-06-01", "completed"),
        (state(), "2026-12-31", "active"),
        (state(), "2027-01-01", "stopped"),
        (state(cancelled=True), "2026-06-01", "cancelled"),
        (state(1, 30, cancelled=True), "2026-06-01", "stopped"),
        (state(held=True), "2026-06-01", "on-hold"),
    ],
)
def test_request_has_the_status_of_the_chain(now: PrescriptionState, day: str, status: str) -> None:
    asked = request()
    written = fhir.render_order(asked, now, date.fromisoformat(day))

    assert written == {**asked.content, "status": status}
    fhir.load(written)

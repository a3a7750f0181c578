"""FHIR R4 MedicationRequest and MedicationDispense: what the contract keeps of a prescription and of a fill, and back.

docs/prescriptions.md says element by element what is read. In doubt nothing is: what is refused is named by its path.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum

from medproof.claims.claim import Code
from medproof.errors import PrescriptionElementError
from medproof.fhir.elements import codes, day, number_of, objects, plain, text_of
from medproof.fhir.resource import Resource
from medproof.hashing import Json, JsonObject
from medproof.policy.prescription import PrescriptionState, PrescriptionStatus

__all__ = [
    "PHARMACY_SUPPLY",
    "Dispense",
    "MedicationOrder",
    "Supplied",
    "fill_of",
    "read_dispense",
    "read_order",
    "render_dispense",
    "render_order",
]

PHARMACY_SUPPLY = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
"""The code system of ActPharmacySupplyType (HL7 v3 ActCode, as published with FHIR R4)."""
UCUM = "http://unitsofmeasure.org"

_ORDERS = ("order", "original-order", "reflex-order", "filler-order", "instance-order")  # intents that authorise
_MOST_FILLS = 255
_MOST_PARTS = 65_535
_LITRES = {"l": "L", "dl": "dL", "cl": "cL", "ml": "mL", "ul": "uL"}  # UCUM has both for the litre

# What the chain makes of a prescription, as MedicationRequest.status says it; of one that ended, before and after its
# first fill (FHIR R4, medicationrequest-status).
_STATUS = {
    PrescriptionStatus.OPEN: ("active", "active"),
    PrescriptionStatus.COMPLETED: ("completed", "completed"),
    PrescriptionStatus.HELD: ("on-hold", "on-hold"),
    PrescriptionStatus.EXPIRED: ("stopped", "stopped"),
    PrescriptionStatus.CANCELLED: ("cancelled", "stopped"),
}


class Supplied(StrEnum):
    """What a pharmacy gave, as the codes of ActPharmacySupplyType tell it."""

    FIRST_FILL = "first fill"
    REFILL = "refill"
    EMERGENCY = "emergency supply"


# What each code says: which supply, and whether it is the whole fill (True), a part (False) or not said. A trial is a
# part of the first fill. FS (floor stock) and MS (a manufacturer's sample) are given under no prescription.
_SUPPLIES: dict[str, tuple[Supplied | None, bool | None]] = {
    "DF": (None, False),
    "EM": (Supplied.EMERGENCY, None),
    "SO": (Supplied.EMERGENCY, None),
    "FF": (Supplied.FIRST_FILL, None),
    "FFC": (Supplied.FIRST_FILL, True),
    "FFP": (Supplied.FIRST_FILL, False),
    "FFSS": (Supplied.FIRST_FILL, None),
    "TF": (Supplied.FIRST_FILL, False),
    "RF": (Supplied.REFILL, None),
    "UD": (None, None),
    "RFC": (Supplied.REFILL, True),
    "RFCS": (Supplied.REFILL, True),
    "RFF": (Supplied.REFILL, None),
    "RFFS": (Supplied.REFILL, None),
    "RFP": (Supplied.REFILL, False),
    "RFPS": (Supplied.REFILL, False),
    "RFS": (Supplied.REFILL, None),
    "TB": (None, False),
    "TBS": (None, False),
    "UDE": (None, None),
}


@dataclass(frozen=True, slots=True)
class MedicationOrder:
    """What the contract keeps of a prescription, and what a fill is measured in."""

    fills: int  # how many are allowed, the first one counted: numberOfRepeatsAllowed and one
    quantity: int  # how much a fill is, in parts
    decimals: int  # a unit has ten to this power parts: as many as the quantity's digits ask for
    unit: Code  # what is counted; a unit in words has no system, and pieces no code
    valid_until: date  # the last day on which it is filled
    valid_from: date | None = None  # the first, which no contract keeps: a pharmacy looks at it
    prior: str | None = field(default=None, repr=False)  # the prescription that this one replaces, as referred to

    def parts(self, amount: Decimal, unit: Code, path: str) -> int:
        """An amount in the parts of this prescription.

        Raises:
            PrescriptionElementError: it is in another unit, or finer than the prescription counts.
        """
        if unit != self.unit:
            raise PrescriptionElementError(f"{path}.code", "is another unit than the prescription's", "give it in that")
        parts = amount.scaleb(self.decimals)
        if parts != parts.to_integral_value():
            raise PrescriptionElementError(f"{path}.value", "is finer than the prescription counts", "give whole parts")
        return int(parts)

    def amount(self, parts: int) -> Decimal:
        """Parts as the amount that people count."""
        return Decimal(parts).scaleb(-self.decimals)


@dataclass(frozen=True, slots=True)
class Dispense:
    """What a pharmacy says that it gave."""

    amount: Decimal
    unit: Code
    prescription: str = field(repr=False)  # the reference to what authorised it
    supplied: Supplied | None  # which supply, where its type says so
    whole: bool | None  # whether it is the whole of a fill, where its type says so
    handed_over: date | None = field(repr=False)


def read_order(resource: Resource, *, valid_until: date | None = None) -> MedicationOrder:
    """Read what the contract keeps of a MedicationRequest.

    Args:
        resource: from `medproof.fhir.load`, or of a bundle.
        valid_until: the last day on which it is filled, where its validityPeriod has no end.

    Raises:
        ElementError: it authorises nothing, or an element is missing or of no use.
    """
    content = _counted(resource, "MedicationRequest", ("active",))
    if content.get("intent") not in _ORDERS:
        raise PrescriptionElementError("MedicationRequest.intent", "authorises no supply", "give an order")
    if content.get("doNotPerform") is True:
        raise PrescriptionElementError("MedicationRequest.doNotPerform", "forbids the supply", "issue none")
    path = "MedicationRequest.dispenseRequest"
    dispense = content.get("dispenseRequest")
    if not isinstance(dispense, dict):
        raise PrescriptionElementError(path, "is missing", "say how much is supplied, and how often")
    plain(dispense, path)
    amount, unit = _amount(dispense.get("quantity"), f"{path}.quantity")
    decimals, quantity = _in_parts(amount, f"{path}.quantity.value")
    fills = _fills(dispense, path)
    _same_first_fill(dispense, amount, unit, path)
    begins, ends = _validity(dispense, path)
    until = ends or valid_until
    if until is None:
        step = "say until when it is filled, or give valid_until"
        raise PrescriptionElementError(f"{path}.validityPeriod.end", "is missing", step)
    prior = content.get("priorPrescription")
    replaced = text_of(prior.get("reference")) if isinstance(prior, dict) else None
    return MedicationOrder(fills, quantity, decimals, unit, until, begins, replaced)


def read_dispense(resource: Resource) -> Dispense:
    """Read a MedicationDispense that was handed over.

    Raises:
        ElementError: nothing was handed over by it, or an element is missing or of no use.
    """
    content = _counted(resource, "MedicationDispense", ("completed",))
    amount, unit = _amount(content.get("quantity"), "MedicationDispense.quantity")
    if amount <= 0:
        raise PrescriptionElementError("MedicationDispense.quantity.value", "is nothing", "give what was handed over")
    path = "MedicationDispense.authorizingPrescription"
    references = [text_of(one.get("reference")) for one in objects(content.get("authorizingPrescription"))]
    if len(references) != 1 or references[0] is None:
        raise PrescriptionElementError(path, "refers to no prescription, or to several", "name the one it was given by")
    supplied, whole = _supplied(content)
    handed_over = day(content.get("whenHandedOver"), "MedicationDispense.whenHandedOver")
    return Dispense(amount, unit, references[0], supplied, whole, handed_over)


def fill_of(dispense: Dispense, order: MedicationOrder, state: PrescriptionState) -> tuple[int, int, int]:
    """The fill that a dispense is, as the contract takes it: number, how much was given of it before, and quantity.

    Raises:
        PrescriptionElementError: it is none: an emergency supply, another unit, another fill than comes next.
    """
    if dispense.supplied is Supplied.EMERGENCY:
        raise PrescriptionElementError("MedicationDispense.type", "is an emergency supply", "give it as such")
    quantity = order.parts(dispense.amount, dispense.unit, "MedicationDispense.quantity")
    number, before = state.next_fill()
    if dispense.supplied is not None and (number == 1) is not (dispense.supplied is Supplied.FIRST_FILL):
        raise PrescriptionElementError("MedicationDispense.type", "is not the fill that comes next", "correct the type")
    if dispense.whole is not None and dispense.whole is not (before == 0 and quantity == state.quantity):
        raise PrescriptionElementError("MedicationDispense.type", "contradicts the quantity", "correct one of them")
    return number, before, quantity


def render_dispense(
    order: MedicationOrder,
    request: Resource,
    state: PrescriptionState,
    *,
    quantity: int,
    handed_over: str,
    identifier: str = "",
) -> JsonObject:
    """The MedicationDispense of a fill that the chain has.

    Args:
        order: what `read_order` read of the request.
        request: the MedicationRequest.
        state: the prescription after the fill.
        quantity: how much this fill gave, in parts.
        handed_over: when, as FHIR writes a dateTime.
        identifier: the prescription's id on the chain, 0x…; left out where it is empty.
    """
    whole = quantity == state.quantity
    code = ("FF" if state.number == 1 else "RF") + ("C" if whole else "P")
    reference: JsonObject = {"reference": f"MedicationRequest/{request.id}"} if request.id else {}
    if identifier:
        reference["identifier"] = {"system": "urn:medproof:prescription", "value": identifier}
    said = (("system", order.unit.system), ("code" if order.unit.system else "unit", order.unit.code))
    unit: JsonObject = {name: value for name, value in said if value}
    kept = ("medicationCodeableConcept", "medicationReference", "subject", "contained")
    return {
        "resourceType": "MedicationDispense",
        "status": "completed",
        **{name: request.content[name] for name in kept if name in request.content},
        "authorizingPrescription": [reference],
        "type": {"coding": [{"system": PHARMACY_SUPPLY, "code": code}]},
        "quantity": {"value": order.amount(quantity), **unit},
        "whenHandedOver": handed_over,
    }


def render_order(request: Resource, state: PrescriptionState, today: date) -> JsonObject:
    """The MedicationRequest with the status that the chain gives it on a day; all else as it was prescribed."""
    before, after = _STATUS[state.status_on(today)]
    return {**request.content, "status": after if state.number else before}


def _counted(resource: Resource, kind: str, statuses: tuple[str, ...]) -> JsonObject:
    """The content of a resource of this type that counts."""
    if resource.resource_type != kind:
        raise PrescriptionElementError(resource.resource_type, f"is no {kind}", f"give an HL7 FHIR R4 {kind}")
    plain(resource.content, kind)
    if resource.content.get("status") not in statuses:
        raise PrescriptionElementError(f"{kind}.status", f"is not {statuses[0]}", f"give one that is {statuses[0]}")
    return resource.content


def _amount(value: Json, path: str) -> tuple[Decimal, Code]:
    """An amount and its unit; none means as many as the medication comes in."""
    said = value if isinstance(value, dict) else {}
    amount = number_of(said.get("value"))
    if amount is None:
        raise PrescriptionElementError(path, "is missing", "say how much")
    if "comparator" in said:
        raise PrescriptionElementError(f"{path}.comparator", "leaves open how much", "give the amount itself")
    system, code = text_of(said.get("system")) or "", text_of(said.get("code"))
    if code is None:
        system, code = "", text_of(said.get("unit")) or ""
    return amount, Code(system, _LITRES.get(code, code) if system == UCUM else code)


def _in_parts(amount: Decimal, path: str) -> tuple[int, int]:
    """How many decimals an amount has that count, and the amount in parts of that size."""
    normal = amount.normalize()
    exponent = normal.as_tuple().exponent
    decimals = max(0, -exponent) if isinstance(exponent, int) else 0
    parts = normal.scaleb(decimals)
    if not 0 < parts <= _MOST_PARTS:
        rule = f"is not between 1 and {_MOST_PARTS} of its smallest parts"
        raise PrescriptionElementError(path, rule, "prescribe in a larger unit, or more fills")
    return decimals, int(parts)


def _fills(dispense: JsonObject, path: str) -> int:
    repeats = dispense.get("numberOfRepeatsAllowed", 0)
    if type(repeats) is not int or not 0 <= repeats < _MOST_FILLS:
        rule = f"is not between 0 and {_MOST_FILLS - 1}"
        raise PrescriptionElementError(f"{path}.numberOfRepeatsAllowed", rule, "prescribe fewer repeats")
    return repeats + 1


def _same_first_fill(dispense: JsonObject, amount: Decimal, unit: Code, path: str) -> None:
    """A first fill of another size than the others is two prescriptions to the contract."""
    first = dispense.get("initialFill")
    if not isinstance(first, dict) or "quantity" not in first:
        return
    path = f"{path}.initialFill.quantity"
    if _amount(first["quantity"], path) != (amount, unit):
        rule = "is another amount than the other fills"
        raise PrescriptionElementError(path, rule, "prescribe the first fill by itself")


def _validity(dispense: JsonObject, path: str) -> tuple[date | None, date | None]:
    period = dispense.get("validityPeriod")
    if not isinstance(period, dict):
        return None, None
    begins, ends = (day(period.get(name), f"{path}.validityPeriod.{name}") for name in ("start", "end"))
    if begins is not None and ends is not None and ends < begins:
        raise PrescriptionElementError(f"{path}.validityPeriod.end", "lies before the start", "correct the period")
    return begins, ends


def _supplied(content: JsonObject) -> tuple[Supplied | None, bool | None]:
    found = [one.code for one in codes(content.get("type")) if one.system == PHARMACY_SUPPLY]
    if not found:
        return None, None
    if len(found) > 1 or found[0] not in _SUPPLIES:
        rule = "is no supply by a prescription (v3 ActPharmacySupplyType)"
        raise PrescriptionElementError("MedicationDispense.type", rule, f"give one of {', '.join(_SUPPLIES)}")
    return _SUPPLIES[found[0]]

"""A plain FHIR Observation from what a person types: one measurement, its value, and when it was taken.

Sources: the vital signs profiles of FHIR R4 (4.0.1) for codes and units of vital signs; LOINC 2.78 for those of the
laboratory; units in UCUM.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from medproof import hashing
from medproof.hashing import JsonObject

__all__ = ["MEASUREMENTS", "Measurement", "build_observation"]

_CATEGORIES = "http://terminology.hl7.org/CodeSystem/observation-category"
_VALUE = re.compile(r"-?(0|[1-9][0-9]{0,8})(\.[0-9]{1,9})?", re.ASCII)
_WHEN = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?", re.ASCII)
_OFFSET = re.compile(r"[+-](0\d|1[0-4]):[0-5]\d", re.ASCII)


@dataclass(frozen=True)
class Measurement:
    """One thing that can be measured, in one unit."""

    loinc: str
    name: str  # as LOINC or the profile displays it
    ucum: str
    category: str = "vital-signs"

    @property
    def key(self) -> str:
        """What a form sends for it."""
        return f"{self.loinc} {self.ucum}"


MEASUREMENTS: tuple[Measurement, ...] = (
    Measurement("8480-6", "Systolic blood pressure", "mm[Hg]"),
    Measurement("8462-4", "Diastolic blood pressure", "mm[Hg]"),
    Measurement("8867-4", "Heart rate", "/min"),
    Measurement("9279-1", "Respiratory rate", "/min"),
    Measurement("2708-6", "Oxygen saturation in Arterial blood", "%"),
    Measurement("8310-5", "Body temperature", "Cel"),
    Measurement("8310-5", "Body temperature", "[degF]"),
    Measurement("29463-7", "Body weight", "kg"),
    Measurement("29463-7", "Body weight", "[lb_av]"),
    Measurement("8302-2", "Body height", "cm"),
    Measurement("8302-2", "Body height", "[in_i]"),
    Measurement("9843-4", "Head Occipital-frontal circumference", "cm"),
    Measurement("39156-5", "Body mass index (BMI) [Ratio]", "kg/m2"),
    Measurement("2345-7", "Glucose [Mass/volume] in Serum or Plasma", "mg/dL", "laboratory"),
    Measurement("14749-6", "Glucose [Moles/volume] in Serum or Plasma", "mmol/L", "laboratory"),
    Measurement("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood", "%", "laboratory"),
    Measurement("718-7", "Hemoglobin [Mass/volume] in Blood", "g/dL", "laboratory"),
    Measurement("2160-0", "Creatinine [Mass/volume] in Serum or Plasma", "mg/dL", "laboratory"),
)

_BY_KEY = {one.key: one for one in MEASUREMENTS}


def build_observation(
    measurement: str, value: str, when: str, offset: str, *, now: datetime
) -> tuple[JsonObject, dict[str, str]]:
    """Return the Observation, and what is wrong with each field; nothing is, where the second is empty.

    Args:
        measurement: a `Measurement.key`.
        value: a decimal number; its digits are kept as they are typed.
        when: local date and time, such as 2026-01-10T08:30.
        offset: of that local time from UTC, such as +01:00.
        now: what `when` may not be after.
    """
    problems: dict[str, str] = {}
    what = _BY_KEY.get(measurement)
    if what is None:
        problems["measurement"] = "Choose what was measured from the list."
    if not _VALUE.fullmatch(value):
        problems["value"] = "Give the value as a number with a point, such as 6.30."
    if not _OFFSET.fullmatch(offset):
        problems["offset"] = "Give the time zone as hours and minutes from UTC, such as +01:00."
    taken = _moment(when, offset if "offset" not in problems else "+00:00")
    if taken is None:
        problems["when"] = "Give date and time, such as 2026-01-10T08:30."
    elif "offset" not in problems and taken > now:
        problems["when"] = "This time is in the future. Check the date, the time and the time zone."
    if what is None or taken is None or problems:
        return {}, problems
    quantity: JsonObject = {
        "value": hashing.parse(value.encode()),
        "unit": what.ucum,
        "system": "http://unitsofmeasure.org",
        "code": what.ucum,
    }
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [{"coding": [{"system": _CATEGORIES, "code": what.category}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": what.loinc, "display": what.name}]},
        "effectiveDateTime": taken.isoformat(timespec="seconds"),
        "valueQuantity": quantity,
    }, {}


def _moment(when: str, offset: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(when + offset) if _WHEN.fullmatch(when) else None
        return moment if moment is not None and moment.astimezone(UTC) else None
    except (ValueError, OverflowError):
        return None

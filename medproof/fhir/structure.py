"""Whether a JSON object has the structure that FHIR R4 gives its resource type.

The tables (which elements a type has, of what type, how often) are those of the `fhirclient` package, which
is generated from HL7's own definitions of R4 (4.0.1). The walk is ours, because the package's own check lets
through what a record must not have: two values in one choice, `true` for a number, an unknown resource type,
empty strings and arrays (docs/decisions/0001-fhir-library.md has the figures).

Not checked: code lists (required bindings), invariants, profiles, the XHTML of narratives, slicing. Use HL7's
validator where those matter.
"""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from medproof.hashing import Json, JsonObject

__all__ = ["is_resource_type", "problems"]

_ELEMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)
_TYPE_NAME = re.compile(r"[A-Z][A-Za-z]{1,63}", re.ASCII)
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}", re.ASCII)  # R4 datatypes, id
_ABSTRACT = frozenset({"Resource", "DomainResource"})
_INT32 = 2**31
_MAX_PROBLEMS = 100


@dataclass(frozen=True, slots=True)
class _Element:
    """One row of a type's table."""

    kind: type  # str, int, float, bool, one of fhirclient's date classes, or a class with a table of its own
    is_list: bool  # may repeat, so that JSON has an array
    choice: str | None  # "value" for valueQuantity, valueString, ...: one of them at most
    required: bool  # must be there (for a choice: one of them)


class _Walk:
    """Collects what is wrong, each with its path."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []

    def resource(self, value: Json, path: str) -> None:
        if not isinstance(value, dict):
            self._add(path, "must be an object with a resourceType")
            return
        named = value.get("resourceType")
        if not isinstance(named, str) or not is_resource_type(named):
            self._add(f"{path}.resourceType", "must name a resource type of FHIR R4")
            return
        identifier = value.get("id")
        if isinstance(identifier, str) and not _ID.fullmatch(identifier):
            self._add(f"{path}.id", "must be 1 to 64 letters, digits, dashes and dots")
        self._object(value, _model(named), path, is_resource=True)

    def _add(self, path: str, rule: str) -> None:
        if len(self.found) < _MAX_PROBLEMS:
            self.found.append((path, rule))

    def _object(self, value: Json, model: type, path: str, *, is_resource: bool = False) -> None:
        if not isinstance(value, dict):
            self._add(path, "must be an object")
            return
        if not value:
            self._add(path, "is an empty object: leave it out")
            return
        table = _table(model)
        present: dict[str, set[str]] = {}  # choice, or name, to the names that are there
        for key, item in value.items():
            if key == "resourceType" and is_resource:
                continue
            name = key.removeprefix("_")
            element = table.get(name)
            is_companion = name != key
            shown = f"{path}.{key}" if _ELEMENT_NAME.fullmatch(key) else f"{path}.?"
            if element is None or (is_companion and not _is_primitive(element.kind)):
                self._add(shown, "is not an element of FHIR R4 here")
                continue
            present.setdefault(element.choice or name, set()).add(name)
            if is_companion:
                self._companion(item, value.get(name), element, shown)
            else:
                self._element(item, value.get(f"_{name}"), element, shown)
        for group, names in present.items():
            if len(names) > 1:
                self._add(f"{path}.{group}[x]", "has more than one value")
        for group in sorted(_required(model) - present.keys()):
            self._add(f"{path}.{group}", "is required and missing")

    def _element(self, item: Json, companion: Json, element: _Element, path: str) -> None:
        if not element.is_list:
            if isinstance(item, list):
                self._add(path, "must be one value, not an array")
            else:
                self._value(item, element.kind, path)
        elif not isinstance(item, list):
            self._add(path, "must be an array")
        elif not item:
            self._add(path, "is an empty array: leave it out")
        else:
            companions = companion if isinstance(companion, list) else []
            for index, one in enumerate(item):
                beside = companions[index] if index < len(companions) else None
                if one is not None or beside is None:  # null stands where only the companion speaks
                    self._value(one, element.kind, f"{path}[{index}]")

    def _companion(self, item: Json, sibling: Json, element: _Element, path: str) -> None:
        """Check `_name`, which carries the id and extensions of the primitive `name`."""
        base = _class("element", "Element")
        if not element.is_list:
            self._object(item, base, path)
            return
        if not isinstance(item, list) or not item:
            self._add(path, "must be an array of objects and nulls")
            return
        if isinstance(sibling, list) and len(sibling) != len(item):
            self._add(path, "must be as long as the array that it goes with")
        for index, one in enumerate(item):
            if one is not None:
                self._object(one, base, f"{path}[{index}]")

    def _value(self, item: Json, kind: type, path: str) -> None:
        if kind is str:
            if not isinstance(item, str):
                self._add(path, "must be a string")
            elif not item.strip():
                self._add(path, "is an empty string: leave it out")
        elif kind is bool:
            if not isinstance(item, bool):
                self._add(path, "must be true or false")
        elif kind is int:
            if isinstance(item, bool) or not isinstance(item, int) or not -_INT32 <= item < _INT32:
                self._add(path, "must be an integer of 32 bits")
        elif kind is float:
            if isinstance(item, bool) or not isinstance(item, int | Decimal):
                self._add(path, "must be a number")
        elif _is_primitive(kind):
            self._date(item, kind, path)
        elif kind is _class("resource", "Resource"):
            self.resource(item, path)
        else:
            self._object(item, kind, path)

    def _date(self, item: Json, kind: type, path: str) -> None:
        try:
            if not isinstance(item, str):
                raise TypeError
            kind(item)
        except (TypeError, ValueError, OverflowError):
            name = kind.__name__.removeprefix("FHIR")
            self._add(path, f"must be a FHIR {name[0].lower()}{name[1:]}")


def is_resource_type(name: str) -> bool:
    """Tell whether FHIR R4 has a concrete resource type of this name."""
    return name not in _ABSTRACT and _find(name) is not None


def problems(content: JsonObject) -> tuple[tuple[str, str], ...]:
    """Return (element path, rule broken) for all that is wrong with a resource; empty when nothing is.

    Paths look like `Observation.component[1].valueQuantity.value`. Neither paths nor rules quote the record's
    values. At most 100 are given.
    """
    walk = _Walk()
    named = content.get("resourceType")
    walk.resource(content, named if isinstance(named, str) and is_resource_type(named) else "$")
    return tuple(walk.found)


@cache
def _find(name: str) -> type | None:
    if not _TYPE_NAME.fullmatch(name):
        return None
    try:
        found = getattr(importlib.import_module(f"fhirclient.models.{name.lower()}"), name, None)
    except ModuleNotFoundError:
        return None
    is_resource = isinstance(found, type) and issubclass(found, _class("resource", "Resource"))
    return found if is_resource else None


def _model(name: str) -> type:
    found = _find(name)
    if found is None:
        raise LookupError(name)  # callers ask is_resource_type first
    return found


@cache
def _class(module: str, name: str) -> type:
    found: type = getattr(importlib.import_module(f"fhirclient.models.{module}"), name)
    return found


@cache
def _table(model: type) -> dict[str, _Element]:
    # rows of fhirclient: attribute, JSON name, type, is a list, choice that it belongs to, is not optional
    rows = model().elementProperties()
    return {
        json_name: _Element(kind=kind, is_list=is_list, choice=choice, required=required)
        for _, json_name, kind, is_list, choice, required in rows
    }


@cache
def _required(model: type) -> frozenset[str]:
    return frozenset(row.choice or name for name, row in _table(model).items() if row.required)


@cache
def _is_primitive(kind: type) -> bool:
    return kind in (str, int, float, bool) or issubclass(kind, _class("fhirdate", "FHIRDate"))

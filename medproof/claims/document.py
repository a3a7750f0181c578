"""Claims and responses as JSON, and back: how a case keeps them, and how a disclosure shows their fields.

Amounts and quantities are decimal text with the digits they were written with, days are ISO 8601; what a claim does not
say is left out.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from medproof.claims.claim import Claim, ClaimResponse
from medproof.errors import ClaimDocumentError
from medproof.hashing import Json, JsonObject

__all__ = ["read_claim", "read_response", "to_json", "value_json"]

_Content = TypeVar("_Content", Claim, ClaimResponse)


def to_json(content: Claim | ClaimResponse) -> JsonObject:
    """A claim or a response as a JSON object."""
    said = value_json(content)
    assert isinstance(said, dict)
    return said


def value_json(value: object) -> Json:
    """One value of a claim as JSON."""
    if value is None or isinstance(value, (bool, int, str)):
        return str(value) if isinstance(value, StrEnum) else value
    if isinstance(value, tuple):
        return [value_json(one) for one in value]
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    if is_dataclass(value):
        said = {one.name: value_json(getattr(value, one.name)) for one in fields(value)}
        return {name: one for name, one in said.items() if one is not None and one != []}
    raise TypeError(f"{type(value).__name__} is no part of a claim")


def read_claim(value: Json) -> Claim:
    """Read what `to_json` wrote of a claim.

    Raises:
        ClaimDocumentError: it is none.
    """
    return _read_whole(Claim, value)


def read_response(value: Json) -> ClaimResponse:
    """Read what `to_json` wrote of a response.

    Raises:
        ClaimDocumentError: it is none.
    """
    return _read_whole(ClaimResponse, value)


def _read_whole(kind: type[_Content], value: Json) -> _Content:
    content: _Content = _read(kind, value, "")
    if isinstance(content, Claim) and not content.lines:
        raise ClaimDocumentError("lines", "has none, and a claim has at least one")
    return content


def _read(kind: Any, value: Json, path: str) -> Any:
    if is_dataclass(kind):
        return _read_object(kind, value, path)
    if get_origin(kind) in (Union, types.UnionType):
        (kind,) = (one for one in get_args(kind) if one is not types.NoneType)
        return None if value is None else _read(kind, value, path)
    if get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise ClaimDocumentError(path, "is no list")
        return tuple(_read(get_args(kind)[0], one, f"{path}[{place}]") for place, one in enumerate(value))
    if kind in (bool, int):
        if type(value) is not kind:
            raise ClaimDocumentError(path, f"is no {'truth value' if kind is bool else 'whole number'}")
        return value
    if not isinstance(value, str):
        raise ClaimDocumentError(path, "is no text")
    try:
        if kind is date:
            return date.fromisoformat(value)
        if kind is Decimal and not Decimal(value).is_finite():
            raise ValueError
        return kind(value)
    except (ValueError, InvalidOperation):
        raise ClaimDocumentError(path, f"is no {kind.__name__}") from None


def _read_object(kind: Any, value: Json, path: str) -> Any:
    if not isinstance(value, Mapping):
        raise ClaimDocumentError(path, "is no object")
    hints = _hints(kind)
    if not value.keys() <= hints.keys():
        raise ClaimDocumentError(path, "has an element that is not known")
    said = {}
    for one in fields(kind):
        hint, at = hints[one.name], f"{path}.{one.name}".lstrip(".")
        if one.name in value:
            said[one.name] = _read(hint, value[one.name], at)
        elif one.default is MISSING:
            if not _may_lack(hint):
                raise ClaimDocumentError(at, "is missing")
            said[one.name] = () if get_origin(hint) is tuple else None
    return kind(**said)


def _may_lack(hint: Any) -> bool:
    """Whether a field may be left out of the JSON: it is empty or None then."""
    return get_origin(hint) is tuple or types.NoneType in get_args(hint)


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)

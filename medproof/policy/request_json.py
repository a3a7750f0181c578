"""Requests, and what rules share with them, as JSON: each field as a list of its codes."""

from __future__ import annotations

from medproof.errors import UnknownCodeError
from medproof.hashing import JsonObject
from medproof.json_reader import JsonReader
from medproof.policy.codes import (
    Action,
    CareSetting,
    CodedFlag,
    Condition,
    DataClass,
    Purpose,
    ResearchUse,
    Sensitivity,
)
from medproof.policy.word import EPOCH_DAY, Request, Rule

__all__ = ["read_request", "write_request"]

_CODES: dict[str, type[CodedFlag]] = {
    "purposes": Purpose,
    "classes": DataClass,
    "conditions": Condition,
    "sensitivities": Sensitivity,
    "settings": CareSetting,
    "actions": Action,
    "research": ResearchUse,
}


def write_request(said: Request | Rule) -> JsonObject:
    """What requests and rules share; an open side of the data period is null, an empty list asks for all."""
    document: JsonObject = {name: list(getattr(said, name).codes) for name in _CODES}
    document["data_from"] = None if said.data_from == EPOCH_DAY else said.data_from.isoformat()
    document["data_until"] = None if said.data_until is None else said.data_until.isoformat()
    return document


def read_request(said: JsonReader) -> Request:
    """Read what `write_request` gave of a request.

    Raises:
        the reader's error: a member is missing, or is not what it must be.
    """
    codes = {name: _codes(said, name, kind) for name, kind in _CODES.items()}
    first, last = said.maybe_day("data_from"), said.maybe_day("data_until")
    said.finish()
    return Request(**codes, data_from=EPOCH_DAY if first is None else first, data_until=last)  # type: ignore[arg-type]


def _codes(said: JsonReader, name: str, kind: type[CodedFlag]) -> CodedFlag:
    try:
        return kind.from_codes(said.texts(name, len(kind["ALL"])))
    except UnknownCodeError:
        raise said.wrong(name, f"has a code that is not of {kind.system.title}") from None

"""A payer's adjudication rules as a document that anybody can compute by: the worked example of rules in force.

A plan is JSON, in one form (docs/adjudication.md has one). Its hash, keccak-256 of the canonical JSON, is what the
payer publishes in `ClaimAnchor` and an adjudication names; `medproof.claims.adjudication` computes by it. There is
nothing of a patient in it, so it is hashed without a salt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Any

from eth_utils.crypto import keccak

from medproof import hashing
from medproof.claims.claim import Code
from medproof.claims.currency import rounded, smallest_amount
from medproof.claims.names import Names
from medproof.errors import ClaimElementError, PlanError
from medproof.hashing import Json, JsonObject

__all__ = ["Plan"]

_KIND, _VERSION = "medproof-plan", 1
_AMOUNT = re.compile(r"(0|[1-9][0-9]{0,11})(\.[0-9]{1,4})?", re.ASCII)
_SHARE = re.compile(r"0|1|0\.[0-9]{1,4}", re.ASCII)
_MEMBERS = {
    "kind",
    "version",
    "name",
    "validFrom",
    "currency",
    "fees",
    "excluded",
    "authorisation",
    "deductible",
    "copay",
    "coinsurance",
    "yearlyLimit",
}
_NAMES = Names()


@dataclass(frozen=True)
class Plan:
    """What a payer pays for, and how much of it. Codes are spelled as `medproof.claims.names.Names` does."""

    name: str  # such as "Bronze 2026"
    valid_from: date  # the first service date that it governs
    currency: str  # ISO 4217; amounts are in it
    fees: tuple[tuple[Code, Decimal], ...]  # the most that is allowed for a unit of each service, sorted by code
    excluded: tuple[Code, ...] = ()  # what is never paid for, sorted
    authorisation: tuple[Code, ...] = ()  # what is paid for only where it was authorised before, sorted
    deductible: Decimal = Decimal(0)  # what a patient pays first, in a calendar year
    copay: Decimal = Decimal(0)  # what she pays of each claim after that
    coinsurance: Decimal = Decimal(0)  # the part of the rest that she pays, from 0 to 1
    yearly_limit: Decimal | None = None  # the most that is paid for a patient in a calendar year

    def __post_init__(self) -> None:
        """Refuse a plan that two readers could compute differently by; what a patient does not pay is zero.

        Raises:
            PlanError: a code is given twice, is spelled otherwise or not sorted, or an amount is none of the currency.
        """
        try:
            smallest_amount(self.currency, "$.currency")
            for name in ("deductible", "copay"):
                if not getattr(self, name):  # written with the currency's digits: 0.00 for USD, 0 for JPY
                    object.__setattr__(self, name, rounded(Decimal(0), self.currency))
            for member, codes in self._lists():
                if list(codes) != sorted(set(codes)):
                    raise PlanError(f"$.{member}", "is not sorted by system and code, or has one twice")
                for index, code in enumerate(codes):
                    if _NAMES.code(code, f"$.{member}[{index}]") != code:
                        raise PlanError(f"$.{member}[{index}]", "is spelled otherwise than claims are read")
        except ClaimElementError as error:
            raise PlanError(error.path, error.rule) from None
        amounts = [("deductible", self.deductible), ("copay", self.copay), ("yearlyLimit", self.yearly_limit)]
        amounts += [(f"fees[{index}].amount", amount) for index, (_, amount) in enumerate(self.fees)]
        for member, amount in amounts:
            if amount is not None and not self._is_amount(amount):
                raise PlanError(f"$.{member}", f"is no amount of {self.currency} with all its digits")
        if not _SHARE.fullmatch(str(self.coinsurance)):
            raise PlanError("$.coinsurance", "is no part from 0 to 1 with at most four digits")

    @property
    def hash(self) -> bytes:
        """What the payer publishes: keccak-256 of the plan's canonical JSON, 32 bytes."""
        return bytes(keccak(hashing.canonical(self.to_json())))

    @cached_property
    def fee_of(self) -> dict[Code, Decimal]:
        """The fees by code."""
        return dict(self.fees)

    def to_json(self) -> JsonObject:
        """The plan as JSON, in its one form."""
        return {
            "kind": _KIND,
            "version": _VERSION,
            "name": self.name,
            "validFrom": self.valid_from.isoformat(),
            "currency": self.currency,
            "fees": [{**_said(code), "amount": str(amount)} for code, amount in self.fees],
            "excluded": [_said(code) for code in self.excluded],
            "authorisation": [_said(code) for code in self.authorisation],
            "deductible": str(self.deductible),
            "copay": str(self.copay),
            "coinsurance": str(self.coinsurance),
            "yearlyLimit": None if self.yearly_limit is None else str(self.yearly_limit),
        }

    @classmethod
    def from_json(cls, value: Json) -> Plan:
        """Read a plan strictly.

        Raises:
            PlanError: the value is none, or is not in the one form whose hash was published.
        """
        if not isinstance(value, dict) or (value.get("kind"), value.get("version")) != (_KIND, _VERSION):
            raise PlanError("$", f"is no object of kind {_KIND}, version {_VERSION}")
        if set(value) != _MEMBERS:
            names = ", ".join(sorted(set(value) ^ _MEMBERS))
            raise PlanError("$", f"does not have just the members of a plan: see {names}")
        limit = value["yearlyLimit"]
        fees: Any = value["fees"]
        if not isinstance(fees, list) or not all(isinstance(one, dict) for one in fees):
            raise PlanError("$.fees", "is no array of objects")
        plan = cls(
            name=_text(value["name"], "$.name"),
            valid_from=_day(value["validFrom"]),
            currency=_text(value["currency"], "$.currency"),
            fees=tuple(
                (_code(one, f"$.fees[{at}]"), _amount(one.get("amount"), f"$.fees[{at}].amount"))
                for at, one in enumerate(fees)
            ),
            excluded=_codes(value["excluded"], "$.excluded"),
            authorisation=_codes(value["authorisation"], "$.authorisation"),
            deductible=_amount(value["deductible"], "$.deductible"),
            copay=_amount(value["copay"], "$.copay"),
            coinsurance=_amount(value["coinsurance"], "$.coinsurance"),
            yearly_limit=None if limit is None else _amount(limit, "$.yearlyLimit"),
        )
        if hashing.canonical(plan.to_json()) != hashing.canonical(value):
            raise PlanError("$", "is not in its one form")
        return plan

    def _lists(self) -> list[tuple[str, tuple[Code, ...]]]:
        return [
            ("fees", tuple(code for code, _ in self.fees)),
            ("excluded", self.excluded),
            ("authorisation", self.authorisation),
        ]

    def _is_amount(self, amount: Decimal) -> bool:
        return bool(_AMOUNT.fullmatch(str(amount))) and str(rounded(amount, self.currency)) == str(amount)


def _said(code: Code) -> JsonObject:
    return {"system": code.system, "code": code.code}


def _code(value: JsonObject, path: str) -> Code:
    return Code(_text(value.get("system"), f"{path}.system"), _text(value.get("code"), f"{path}.code"))


def _codes(value: Json, path: str) -> tuple[Code, ...]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise PlanError(path, "is no array of objects")
    return tuple(_code(one, f"{path}[{at}]") for at, one in enumerate(value) if isinstance(one, dict))


def _text(value: Json, path: str) -> str:
    if not isinstance(value, str):
        raise PlanError(path, "is no text")
    return value


def _amount(value: Json, path: str) -> Decimal:
    if not isinstance(value, str) or not _AMOUNT.fullmatch(value):
        raise PlanError(path, "is no amount, as text with a point")
    return Decimal(value)


def _day(value: Json) -> date:
    try:
        return date.fromisoformat(_text(value, "$.validFrom"))
    except ValueError:
        raise PlanError("$.validFrom", "is no day as in 2026-01-01") from None

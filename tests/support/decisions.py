"""The hand-written decision cases of tests/vectors/decisions.json, for whoever decides them."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from medproof.policy.codes import (
    Action,
    CareSetting,
    CodedFlag,
    Condition,
    DataClass,
    PartyKind,
    Purpose,
    ResearchUse,
    Sensitivity,
)
from medproof.policy.evaluation import Reason
from medproof.policy.word import EPOCH_DAY, Request, Rule

FILE = Path(__file__).parents[1] / "vectors" / "decisions.json"
CODES: dict[str, type[CodedFlag]] = {
    "purposes": Purpose,
    "classes": DataClass,
    "conditions": Condition,
    "sensitivities": Sensitivity,
    "settings": CareSetting,
    "actions": Action,
    "research": ResearchUse,
}


@dataclass(frozen=True)
class Asker:
    """Who asks: what the Registrar knows of it."""

    kind: PartyKind
    standing: str  # active, suspended, lapsed or stranger
    groups: tuple[str, ...]  # in the order in which the evaluator reads them

    @property
    def active(self) -> bool:
        return self.standing == "active"


@dataclass(frozen=True)
class GrantedRule:
    """A rule and whom it is for."""

    grantee: str  # actor, everyone, other party, or a group's name
    rule: Rule  # its index counts the rules for the same grantee; never revoked itself
    revoked: bool  # whether a revocation follows


@dataclass(frozen=True)
class DecisionCase:
    """One case with its answer."""

    name: str
    asker: Asker
    rules: tuple[GrantedRule, ...]
    request: Request
    at: datetime
    reason: Reason
    by: int | None  # place of the deciding rule among `rules`
    rationale: str

    def later(self, by: timedelta) -> DecisionCase:
        """The same case at another time; the dates of the data stay."""
        rules = tuple(
            replace(
                one,
                rule=replace(
                    one.rule,
                    valid_from=one.rule.valid_from + by,
                    valid_until=one.rule.valid_until and one.rule.valid_until + by,
                ),
            )
            for one in self.rules
        )
        return replace(self, at=self.at + by, rules=rules)


def decision_cases() -> list[DecisionCase]:
    content = json.loads(FILE.read_text(encoding="utf-8"))
    return [_case(entry, content["defaults"]) for entry in content["cases"]]


def _case(entry: dict[str, Any], defaults: dict[str, Any]) -> DecisionCase:
    asker = _filled(entry.get("actor", {}), defaults["actor"])
    rules: list[GrantedRule] = []
    for given in entry["rules"]:
        fields = _filled(given, defaults["rule"])
        index = sum(one.grantee == fields["for"] for one in rules)
        rules.append(GrantedRule(fields["for"], _rule(fields, index), fields["revoked"]))
    return DecisionCase(
        name=entry["name"],
        asker=Asker(PartyKind.from_code(asker["kind"]), asker["standing"], tuple(asker["groups"])),
        rules=tuple(rules),
        request=Request(**_scope(_filled(entry["request"], defaults["request"]))),
        at=datetime.fromisoformat(entry.get("at", defaults["at"])),
        reason=Reason[entry["reason"]],
        by=entry["by"],
        rationale=entry["rationale"],
    )


def _filled(given: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    strange = set(given) - set(defaults)
    assert not strange, f"unknown fields: {strange}"
    return {**defaults, **given}


def _rule(fields: dict[str, Any], index: int) -> Rule:
    until = fields["validUntil"]
    return Rule(
        **_scope(fields),
        deny={"permit": False, "deny": True}[fields["type"]],
        party_kinds=_codes(PartyKind, fields["partyKinds"]),
        valid_from=datetime.fromisoformat(fields["validFrom"]),
        valid_until=until and datetime.fromisoformat(until),
        index=index,
    )


def _scope(fields: dict[str, Any]) -> dict[str, Any]:
    first, last = fields["dataFrom"], fields["dataUntil"]
    return {
        **{name: _codes(codes, fields[name]) for name, codes in CODES.items()},
        "data_from": date.fromisoformat(first) if first else EPOCH_DAY,
        "data_until": last and date.fromisoformat(last),
    }


def _codes(codes: type[CodedFlag], given: list[str] | str) -> Any:
    return codes["ALL"] if given == "all" else codes.from_codes(given)

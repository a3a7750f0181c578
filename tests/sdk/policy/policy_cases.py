"""The evaluation table: one hand-written row a case, and the writer of tests/vectors/policy.json.

`python tests/sdk/policy/policy_cases.py` renews the vectors.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import IntFlag
from pathlib import Path
from typing import Any

from medproof.policy.codes import (
    Action,
    CareSetting,
    Condition,
    DataClass,
    PartyKind,
    Purpose,
    ResearchUse,
    Sensitivity,
)
from medproof.policy.evaluation import Reason
from medproof.policy.word import LAYOUT, Request, Rule, encode, encode_request, minute

VECTORS = Path(__file__).parents[2] / "vectors" / "policy.json"

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
NOW = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
END = datetime(2027, 3, 1, tzinfo=UTC)

PERMIT = Rule(
    purposes=Purpose.TREAT | Purpose.CAREMGT,
    classes=DataClass.LABORATORY | DataClass.MEDICATION,
    conditions=Condition.CIRCULATORY | Condition.ENDOCRINE,
    sensitivities=Sensitivity.NONE_LABELLED | Sensitivity.SEX,
    settings=CareSetting.AMB | CareSetting.IMP,
    actions=Action.ACCESS | Action.USE,
    party_kinds=PartyKind.PROVIDER | PartyKind.PHARMACY,
    valid_from=BEGIN,
    valid_until=END,
    data_from=date(2020, 1, 1),
    data_until=date(2026, 12, 31),
)
REQUEST = Request(
    purposes=Purpose.TREAT,
    classes=DataClass.LABORATORY,
    conditions=Condition.CIRCULATORY,
    sensitivities=Sensitivity.NONE_LABELLED,
    settings=CareSetting.AMB,
    actions=Action.ACCESS,
    data_from=date(2021, 1, 1),
    data_until=date(2021, 12, 31),
)
DENY = replace(PERMIT, deny=True)
OPEN = Rule(
    purposes=Purpose.ALL,
    classes=DataClass.ALL,
    conditions=Condition.ALL,
    sensitivities=Sensitivity.ALL,
    settings=CareSetting.ALL,
    actions=Action.ALL,
    party_kinds=PartyKind.ALL,
    valid_from=BEGIN,
    research=ResearchUse.PERMISSIONS,
)
STUDY = replace(
    PERMIT,
    purposes=Purpose.HRESCH | Purpose.DSRCH,
    party_kinds=PartyKind.RESEARCHER,
    research=ResearchUse.HMB | ResearchUse.DS | ResearchUse.IRB | ResearchUse.NPU,
)
STUDY_REQUEST = replace(REQUEST, purposes=Purpose.HRESCH, research=ResearchUse.HMB | ResearchUse.IRB | ResearchUse.NPU)
EMERGENCY = replace(REQUEST, purposes=Purpose.BTG)
REFUSAL = replace(PERMIT, purposes=Purpose.TREAT, actions=Action.CORRECT, break_glass_refused=True)
DENY_ANCESTRY = replace(OPEN, deny=True, purposes=Purpose.RESEARCH, research=ResearchUse.POA)


@dataclass(frozen=True)
class Case:
    """One row: what is asked of which rules, and the answer."""

    name: str  # what the row shows
    rules: tuple[Rule | int, ...]  # rules or raw words: the actor's party, everyone, its groups
    request: Request | int  # the request or a raw word
    reason: Reason  # the answer
    decider: int | None = None  # position of the rule that decided
    kind: PartyKind | None = PartyKind.PROVIDER  # the actor's kind, None = not active
    now: datetime = NOW  # when it is asked
    glass_broken: bool = False  # whether the party, of emergency care, has an opening in force


def word_of(rule: Rule | int) -> int:
    return rule if isinstance(rule, int) else encode(rule)


def request_of(request: Request | int) -> int:
    return request if isinstance(request, int) else encode_request(request)


def broken(*row: Any, **others: Any) -> Case:
    """A row in which the glass was broken."""
    return Case(*row, **others, glass_broken=True)


R = Reason
RESEARCHER = PartyKind.RESEARCHER
OPEN_DENY = replace(OPEN, deny=True)
# Codes that the emergency does not ask for, by the fields in which a refusal must meet it; and all codes of each.
MISSED: dict[str, IntFlag] = {
    "classes": DataClass.NOTE,
    "conditions": Condition.EYE,
    "sensitivities": Sensitivity.HIV,
    "settings": CareSetting.VR,
}
ALL = {name: type(code).ALL for name, code in MISSED.items()}  # type: ignore[attr-defined]
CASES: tuple[Case, ...] = (
    Case("a permit covers the request", (PERMIT,), REQUEST, R.PERMITTED, 0),
    Case("no rule at all", (), REQUEST, R.NO_RULE),
    Case("a word that was never written is no rule", (0,), REQUEST, R.NO_RULE),
    Case(
        "a deny that does not touch leaves no rule",
        (replace(DENY, classes=DataClass.NOTE),),
        REQUEST,
        R.NO_RULE,
    ),
    Case("the first permit that covers is named", (PERMIT, OPEN), REQUEST, R.PERMITTED, 0),
    Case("a later permit covers", (replace(PERMIT, classes=DataClass.NOTE), OPEN), REQUEST, R.PERMITTED, 1),
    Case(
        "two permits do not add up",
        (replace(PERMIT, classes=DataClass.LABORATORY), replace(PERMIT, classes=DataClass.MEDICATION)),
        replace(REQUEST, classes=DataClass.LABORATORY | DataClass.MEDICATION),
        R.DATA_CLASS,
        0,
    ),
    # the request itself
    Case("sequence set in a request", (OPEN,), encode_request(REQUEST) | 1, R.MALFORMED_REQUEST),
    Case("index set in a request", (OPEN,), encode_request(REQUEST) | 1 << 16, R.MALFORMED_REQUEST),
    Case("deny set in a request", (OPEN,), encode_request(REQUEST) | 1 << 20, R.MALFORMED_REQUEST),
    Case("terms set in a request", (OPEN,), encode_request(REQUEST) | 1 << 25, R.MALFORMED_REQUEST),
    Case("party kind set in a request", (OPEN,), encode_request(REQUEST) | 1 << 37, R.MALFORMED_REQUEST),
    Case("validFrom set in a request", (OPEN,), encode_request(REQUEST) | 1 << 77, R.MALFORMED_REQUEST),
    Case("validUntil set in a request", (OPEN,), encode_request(REQUEST) | 1 << 105, R.MALFORMED_REQUEST),
    Case("reserved purpose", (OPEN,), encode_request(REQUEST) | 1 << 148, R.MALFORMED_REQUEST),
    Case("reserved class", (OPEN,), encode_request(REQUEST) | 1 << 172, R.MALFORMED_REQUEST),
    Case("reserved sensitivity", (OPEN,), encode_request(REQUEST) | 1 << 216, R.MALFORMED_REQUEST),
    Case("reserved action", (OPEN,), encode_request(REQUEST) | 1 << 232, R.MALFORMED_REQUEST),
    Case(
        "data period upside down",
        (OPEN,),
        replace(REQUEST, data_from=date(2022, 1, 1), data_until=date(2021, 1, 1)),
        R.MALFORMED_REQUEST,
    ),
    Case(
        "research without a research purpose",
        (OPEN,),
        replace(REQUEST, research=ResearchUse.HMB),
        R.MALFORMED_REQUEST,
    ),
    Case(
        "obligations without a research purpose",
        (OPEN,),
        replace(REQUEST, research=ResearchUse.IRB),
        R.MALFORMED_REQUEST,
    ),
    Case("malformed comes before inactive", (OPEN,), 1, R.MALFORMED_REQUEST, kind=None),
    Case("the empty request asks for everything, and gets it from an open permit", (OPEN,), 0, R.PERMITTED, 0),
    Case("empty purposes ask for all", (PERMIT,), replace(REQUEST, purposes=Purpose.EMPTY), R.PURPOSE, 0),
    Case("empty classes ask for all", (PERMIT,), replace(REQUEST, classes=DataClass.EMPTY), R.DATA_CLASS, 0),
    Case(
        "empty conditions ask for all",
        (PERMIT,),
        replace(REQUEST, conditions=Condition.EMPTY),
        R.CONDITION,
        0,
    ),
    Case(
        "empty sensitivities ask for all",
        (PERMIT,),
        replace(REQUEST, sensitivities=Sensitivity.EMPTY),
        R.SENSITIVITY,
        0,
    ),
    Case(
        "empty settings ask for all",
        (PERMIT,),
        replace(REQUEST, settings=CareSetting.EMPTY),
        R.CARE_SETTING,
        0,
    ),
    Case("empty actions ask for all", (PERMIT,), replace(REQUEST, actions=Action.EMPTY), R.ACTION, 0),
    Case("dataUntil 0 asks without end", (PERMIT,), encode_request(REQUEST) & ~(0xFFFF << 61), R.DATA_PERIOD, 0),
    # the actor
    Case("an inactive party has no access", (OPEN,), REQUEST, R.INACTIVE_PARTY, kind=None),
    Case("a kind that is not admitted", (PERMIT,), REQUEST, R.PARTY_KIND, 0, kind=PartyKind.PAYER),
    Case("the second kind admitted", (PERMIT,), REQUEST, R.PERMITTED, 0, kind=PartyKind.PHARMACY),
    # time
    Case("in force from the first minute", (PERMIT,), REQUEST, R.PERMITTED, 0, now=BEGIN),
    Case("a second before", (PERMIT,), REQUEST, R.NOT_YET_VALID, 0, now=BEGIN - timedelta(seconds=1)),
    Case("in force to the last second", (PERMIT,), REQUEST, R.PERMITTED, 0, now=END - timedelta(seconds=1)),
    Case("over at the end", (PERMIT,), REQUEST, R.EXPIRED, 0, now=END),
    Case("no end", (OPEN,), REQUEST, R.PERMITTED, 0, now=datetime(2149, 6, 6, 23, 59, tzinfo=UTC)),
    Case("revoked", (replace(PERMIT, revoked=True),), REQUEST, R.REVOKED, 0),
    Case("revoked comes before expired", (replace(PERMIT, revoked=True),), REQUEST, R.REVOKED, 0, now=END),
    # the scope of a permit
    Case("purpose", (PERMIT,), replace(REQUEST, purposes=Purpose.HMARKT), R.PURPOSE, 0),
    Case("one purpose of two", (PERMIT,), replace(REQUEST, purposes=Purpose.TREAT | Purpose.BTG), R.PURPOSE, 0),
    Case("class", (PERMIT,), replace(REQUEST, classes=DataClass.NOTE), R.DATA_CLASS, 0),
    Case("condition", (PERMIT,), replace(REQUEST, conditions=Condition.MENTAL), R.CONDITION, 0),
    Case("sensitivity", (PERMIT,), replace(REQUEST, sensitivities=Sensitivity.HIV), R.SENSITIVITY, 0),
    Case("setting", (PERMIT,), replace(REQUEST, settings=CareSetting.EMER), R.CARE_SETTING, 0),
    Case("action", (PERMIT,), replace(REQUEST, actions=Action.DISCLOSE), R.ACTION, 0),
    Case(
        "data from a day too early",
        (PERMIT,),
        replace(REQUEST, data_from=date(2019, 12, 31)),
        R.DATA_PERIOD,
        0,
    ),
    Case("data from the first day", (PERMIT,), replace(REQUEST, data_from=date(2020, 1, 1)), R.PERMITTED, 0),
    Case("data to the last day", (PERMIT,), replace(REQUEST, data_until=date(2026, 12, 31)), R.PERMITTED, 0),
    Case("data to a day too late", (PERMIT,), replace(REQUEST, data_until=date(2027, 1, 1)), R.DATA_PERIOD, 0),
    Case(
        "the first failed check counts",
        (PERMIT,),
        replace(REQUEST, purposes=Purpose.HMARKT, actions=Action.DISCLOSE),
        R.PURPOSE,
        0,
    ),
    Case(
        "the nearest permit gives the reason",
        (
            replace(PERMIT, purposes=Purpose.BTG),
            replace(PERMIT, actions=Action.CORRECT),
            replace(PERMIT, revoked=True),
        ),
        REQUEST,
        R.ACTION,
        1,
    ),
    Case(
        "of permits equally near, the first is named",
        (replace(PERMIT, actions=Action.CORRECT), replace(PERMIT, actions=Action.COLLECT)),
        REQUEST,
        R.ACTION,
        0,
    ),
    # deny
    Case("a deny beats a permit before it", (PERMIT, DENY), REQUEST, R.DENIED, 1),
    Case("a deny beats a permit after it", (DENY, OPEN), REQUEST, R.DENIED, 0),
    Case("the first deny is named", (DENY, replace(OPEN, deny=True)), REQUEST, R.DENIED, 0),
    Case(
        "a deny that is met in part",
        (replace(DENY, classes=DataClass.NOTE), OPEN),
        replace(REQUEST, classes=DataClass.NOTE | DataClass.LABORATORY),
        R.DENIED,
        0,
    ),
    Case("the empty request meets every deny", (OPEN, DENY), 0, R.DENIED, 1),
    Case("a revoked deny", (OPEN, replace(DENY, revoked=True)), REQUEST, R.PERMITTED, 0),
    Case(
        "a deny before its time",
        (replace(OPEN, valid_from=datetime(1970, 1, 1, tzinfo=UTC)), DENY),
        REQUEST,
        R.PERMITTED,
        0,
        now=BEGIN - timedelta(minutes=1),
    ),
    Case("a deny after its time", (OPEN, DENY), REQUEST, R.PERMITTED, 0, now=END),
    Case("a deny for another kind", (OPEN, DENY), REQUEST, R.PERMITTED, 0, kind=PartyKind.PAYER),
    Case("a deny missed by purpose", (OPEN, replace(DENY, purposes=Purpose.BTG)), REQUEST, R.PERMITTED, 0),
    Case("a deny missed by class", (OPEN, replace(DENY, classes=DataClass.NOTE)), REQUEST, R.PERMITTED, 0),
    Case("a deny missed by condition", (OPEN, replace(DENY, conditions=Condition.EYE)), REQUEST, R.PERMITTED, 0),
    Case(
        "a deny missed by sensitivity",
        (OPEN, replace(DENY, sensitivities=Sensitivity.HIV)),
        REQUEST,
        R.PERMITTED,
        0,
    ),
    Case("a deny missed by setting", (OPEN, replace(DENY, settings=CareSetting.VR)), REQUEST, R.PERMITTED, 0),
    Case("a deny missed by action", (OPEN, replace(DENY, actions=Action.CORRECT)), REQUEST, R.PERMITTED, 0),
    Case("a deny missed by a day", (OPEN, replace(DENY, data_from=date(2022, 1, 1))), REQUEST, R.PERMITTED, 0),
    Case("a deny met in one day", (OPEN, replace(DENY, data_from=date(2021, 12, 31))), REQUEST, R.DENIED, 1),
    # research
    Case("research with its obligations", (STUDY,), STUDY_REQUEST, R.PERMITTED, 0, kind=RESEARCHER),
    Case(
        "more obligations than asked for",
        (STUDY,),
        replace(STUDY_REQUEST, research=STUDY_REQUEST.research | ResearchUse.PUB),
        R.PERMITTED,
        0,
        kind=RESEARCHER,
    ),
    Case(
        "an obligation that was not accepted",
        (STUDY,),
        replace(STUDY_REQUEST, research=ResearchUse.HMB | ResearchUse.IRB),
        R.RESEARCH_USE,
        0,
        kind=RESEARCHER,
    ),
    Case(
        "a permission that was not given",
        (STUDY,),
        replace(STUDY_REQUEST, research=STUDY_REQUEST.research | ResearchUse.GRU),
        R.RESEARCH_USE,
        0,
        kind=RESEARCHER,
    ),
    Case(
        "any research asks for health, disease and ancestry research too",
        (STUDY, replace(OPEN, research=ResearchUse.GRU.with_narrower())),
        replace(STUDY_REQUEST, research=ResearchUse.GRU),
        R.PERMITTED,
        1,
        kind=RESEARCHER,
    ),
    Case(
        "health research asks for disease research too",
        (replace(STUDY, research=ResearchUse.DS), STUDY),
        STUDY_REQUEST,
        R.PERMITTED,
        1,
        kind=RESEARCHER,
    ),
    Case(
        "research without restriction asks for all five",
        (replace(OPEN, research=ResearchUse.GRU.with_narrower()),),
        replace(STUDY_REQUEST, research=ResearchUse.NRES),
        R.RESEARCH_USE,
        0,
        kind=RESEARCHER,
    ),
    Case(
        "research use comes before the data period",
        (STUDY,),
        replace(STUDY_REQUEST, research=ResearchUse.HMB, data_from=date(2019, 12, 31)),
        R.RESEARCH_USE,
        0,
        kind=RESEARCHER,
    ),
    Case(
        "a data period missed is nearer than a research use missed",
        (STUDY, replace(STUDY, data_from=date(2021, 1, 2), research=ResearchUse.DS | ResearchUse.HMB)),
        replace(STUDY_REQUEST, research=ResearchUse.HMB),
        R.DATA_PERIOD,
        1,
        kind=RESEARCHER,
    ),
    Case(
        "a deny of ancestry research stops any research, which includes it",
        (OPEN, DENY_ANCESTRY),
        replace(REQUEST, purposes=Purpose.HRESCH, research=ResearchUse.GRU),
        R.DENIED,
        1,
    ),
    Case(
        "a deny of any research lets health research pass",
        (OPEN, replace(DENY_ANCESTRY, research=ResearchUse.GRU)),
        replace(REQUEST, purposes=Purpose.HRESCH, research=ResearchUse.HMB),
        R.PERMITTED,
        0,
    ),
    Case(
        "a revocation that came before its rule is a tombstone of a permit",
        (1 << 24 | 5,),
        REQUEST,
        R.REVOKED,
        0,
    ),
    Case(
        "no permission named asks for all five",
        (STUDY,),
        replace(STUDY_REQUEST, research=ResearchUse.MODIFIERS),
        R.RESEARCH_USE,
        0,
        kind=RESEARCHER,
    ),
    Case(
        "a research deny does not touch treatment",
        (OPEN, replace(DENY_ANCESTRY, purposes=Purpose.ALL, sensitivities=Sensitivity.HIV)),
        REQUEST,
        R.PERMITTED,
        0,
    ),
    Case(
        "a deny of treatment and research touches treatment whatever its research field",
        (OPEN, replace(DENY_ANCESTRY, purposes=Purpose.TREAT | Purpose.HRESCH)),
        REQUEST,
        R.DENIED,
        1,
    ),
    Case(
        "a deny of one research permission lets another pass",
        (OPEN, DENY_ANCESTRY),
        replace(REQUEST, purposes=Purpose.HRESCH, research=ResearchUse.HMB),
        R.PERMITTED,
        0,
    ),
    Case(
        "a deny of one research permission stops it",
        (OPEN, DENY_ANCESTRY),
        replace(REQUEST, purposes=Purpose.HRESCH, research=ResearchUse.POA),
        R.DENIED,
        1,
    ),
    Case(
        "a request for treatment and research meets a deny in research only, by permission",
        (OPEN, DENY_ANCESTRY),
        replace(REQUEST, purposes=Purpose.TREAT | Purpose.HRESCH, research=ResearchUse.HMB),
        R.PERMITTED,
        0,
    ),
    Case(
        "research asked for without naming a permission meets every research deny",
        (OPEN, DENY_ANCESTRY),
        replace(REQUEST, purposes=Purpose.HRESCH),
        R.DENIED,
        1,
    ),
    # break-glass
    broken("no rule at all, and the glass was broken", (), EMERGENCY, R.BREAK_GLASS),
    Case("an emergency without an opening", (PERMIT,), EMERGENCY, R.PURPOSE, 0),
    broken("the permit that fell short is named", (PERMIT,), EMERGENCY, R.BREAK_GLASS, 0),
    broken("a deny is overridden, and named", (OPEN, OPEN_DENY), EMERGENCY, R.BREAK_GLASS, 1),
    broken("a tombstone is overridden", (replace(OPEN, revoked=True),), EMERGENCY, R.BREAK_GLASS, 0),
    broken("a permit decides before it", (OPEN,), EMERGENCY, R.PERMITTED, 0),
    broken("to use as well", (), replace(EMERGENCY, actions=Action.ACCESS | Action.USE), R.BREAK_GLASS),
    *(
        broken(f"not to {action.name}", (), replace(EMERGENCY, actions=Action.ACCESS | action), R.NO_RULE)
        for action in (Action.COLLECT, Action.DISCLOSE, Action.CORRECT)
    ),
    broken("not to everything", (), replace(EMERGENCY, actions=Action.EMPTY), R.NO_RULE),
    broken("not for treatment", (), REQUEST, R.NO_RULE),
    broken("not for a further purpose", (), replace(EMERGENCY, purposes=Purpose.BTG | Purpose.ETREAT), R.NO_RULE),
    broken("not for every purpose", (), replace(EMERGENCY, purposes=Purpose.EMPTY), R.NO_RULE),
    broken("not to an inactive party", (), EMERGENCY, R.INACTIVE_PARTY, kind=None),
    broken("not where malformed", (), encode_request(EMERGENCY) | 1, R.MALFORMED_REQUEST),
    broken("for all data", (), replace(Request(), purposes=Purpose.BTG, actions=Action.USE), R.BREAK_GLASS),
    # … refused: the rule's purpose and action are others
    broken("a permit that refuses", (REFUSAL,), EMERGENCY, R.PURPOSE, 0),
    broken("a deny that refuses", (OPEN_DENY, replace(REFUSAL, deny=True)), EMERGENCY, R.DENIED, 0),
    broken("a refusal that is revoked", (replace(REFUSAL, revoked=True),), EMERGENCY, R.BREAK_GLASS, 0),
    broken("a refusal in its first minute", (REFUSAL,), EMERGENCY, R.PURPOSE, 0, now=BEGIN),
    broken("… before it", (REFUSAL,), EMERGENCY, R.BREAK_GLASS, 0, now=BEGIN - timedelta(minutes=1)),
    broken("… in its last minute", (REFUSAL,), EMERGENCY, R.PURPOSE, 0, now=END - timedelta(seconds=1)),
    broken("… after it", (REFUSAL,), EMERGENCY, R.BREAK_GLASS, 0, now=END),
    broken("a refusal for another kind", (REFUSAL,), EMERGENCY, R.BREAK_GLASS, 0, kind=PartyKind.PAYER),
    *(
        broken(f"a refusal missed by {name}", (replace(REFUSAL, **{name: code}),), EMERGENCY, R.BREAK_GLASS, 0)
        for name, code in MISSED.items()
    ),
    *(
        broken(f"a refusal met in part by {name}", (REFUSAL,), replace(EMERGENCY, **{name: ALL[name]}), R.PURPOSE, 0)
        for name in MISSED
    ),
    broken("a refusal missed by a day", (replace(REFUSAL, data_from=date(2022, 1, 1)),), EMERGENCY, R.BREAK_GLASS, 0),
    broken(
        "a refusal met in its first day", (replace(REFUSAL, data_from=date(2021, 12, 31)),), EMERGENCY, R.PURPOSE, 0
    ),
    broken("a refusal met in its last day", (replace(REFUSAL, data_until=date(2021, 1, 1)),), EMERGENCY, R.PURPOSE, 0),
    broken(
        "a refusal missed by its last day",
        (replace(REFUSAL, data_until=date(2020, 12, 31)),),
        EMERGENCY,
        R.BREAK_GLASS,
        0,
    ),
    broken("a refusal that is not the first rule", (PERMIT, 0, REFUSAL), EMERGENCY, R.PURPOSE, 0),
    broken(
        "everything is denied and the refusal kept, after a withdrawal",
        (replace(OPEN_DENY, break_glass_refused=True, sequence=65535),),
        EMERGENCY,
        R.DENIED,
        0,
    ),
)


def _plain(value: Any) -> Any:
    """Turn a field of a rule into JSON."""
    if isinstance(value, IntFlag):
        return list(value.codes)  # type: ignore[attr-defined]
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%MZ")
    return value.isoformat() if isinstance(value, date) else value


def vectors() -> dict[str, Any]:
    """Return the vectors: the layout, words of rules and requests, and the evaluation table."""
    rules = {"permit": PERMIT, "deny": DENY, "open": OPEN, "study": STUDY, "deny ancestry": DENY_ANCESTRY}
    rules["everything set"] = Rule(
        **{name: getattr(OPEN, name).__class__.ALL for name in ("purposes", "classes", "conditions")},
        **{name: getattr(OPEN, name).__class__.ALL for name in ("sensitivities", "settings", "actions")},
        party_kinds=PartyKind.ALL,
        valid_from=datetime(2480, 5, 19, 12, 14, tzinfo=UTC),
        data_from=date(2149, 6, 6),
        research=ResearchUse.ALL,
        terms=4095,
        sequence=65535,
        index=15,
        deny=True,
        delegable=True,
        break_glass_refused=True,
        follows=True,
        revoked=True,
    )
    requests = {"everything": Request(), "plain": REQUEST, "study": STUDY_REQUEST}
    kinds = list(PartyKind)
    return {
        "comment": "Written by policy_cases.py; kind is the number in IRegistrar.Kind, 0 = None",
        "layout": [
            {"name": f.name, "offset": f.offset, "width": f.width, "defined": f"{f.defined:#066x}"} for f in LAYOUT
        ],
        "rules": [
            {
                "name": name,
                "rule": {k: _plain(v) for k, v in asdict(rule).items()},
                "word": f"{encode(rule):#066x}",
            }
            for name, rule in rules.items()
        ],
        "requests": [
            {
                "name": name,
                "request": {k: _plain(v) for k, v in asdict(request).items()},
                "word": f"{encode_request(request):#066x}",
            }
            for name, request in requests.items()
        ],
        "decisions": [
            {
                "name": case.name,
                "rules": [f"{word_of(rule):#066x}" for rule in case.rules],
                "kind": 0 if case.kind is None else kinds.index(case.kind) + 1,
                "minute": minute(case.now),
                "glassBroken": case.glass_broken,
                "request": f"{request_of(case.request):#066x}",
                "reason": case.reason.value,
                "reasonName": case.reason.name,
                "decider": f"{0 if case.decider is None else word_of(case.rules[case.decider]):#066x}",
            }
            for case in CASES
        ],
    }


if __name__ == "__main__":
    VECTORS.write_text(json.dumps(vectors(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

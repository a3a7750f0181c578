"""Small consents, random ones, and an interpreter of the provision tree that shares nothing with the compiler."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random
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
from medproof.policy.document import EVERYONE
from medproof.policy.word import Request

ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
CONSENT_ACTION = "http://terminology.hl7.org/CodeSystem/consentaction"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
DUO = "http://purl.obolibrary.org/obo/duo.owl"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
LOINC = "http://loinc.org"
PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
RESOURCE_TYPES = "http://hl7.org/fhir/resource-types"

CLINIC = "0x00000000000000000000000000000000C0FFee00"
LAB = "0x0000000000000000000000000000000000ab0001"
STRANGER = "0x0000000000000000000000000000000000ab0002"
GROUP = f"0x{77:040x}"
GRANTEES = {"Organization/clinic": CLINIC, "Organization/lab": LAB, "Group/ward": GROUP}
GROUPS_OF = {CLINIC: (), LAB: (GROUP,), STRANGER: ()}  # the lab is in the ward


def consent(provision: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """An active consent with this root provision; a change to None leaves the element out."""
    content: dict[str, Any] = {
        "resourceType": "Consent",
        "status": "active",
        "scope": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]
        },
        "category": [{"coding": [{"system": LOINC, "code": "59284-0"}]}],
        "patient": {"reference": "Patient/1"},
        "policyRule": {"coding": [{"system": ACT_CODE, "code": "OPTOUT"}]},
        "provision": provision,
        **changes,
    }
    return copy.deepcopy({name: value for name, value in content.items() if value is not None})


def actor(reference: str, role: str = "PRCP") -> dict[str, Any]:
    return {
        "role": {"coding": [{"system": PARTICIPATION, "code": role}]},
        "reference": {"reference": reference},
    }


def coding(system: str, code: str) -> dict[str, str]:
    return {"system": system, "code": code}


def concept(system: str, code: str) -> dict[str, Any]:
    return {"coding": [coding(system, code)]}


# --- random consents: few codes in each element, so that provisions overlap ---

PURPOSES = ("TREAT", "ETREAT", "HPAYMT", "HRESCH", "DSRCH")
PERMISSIONS = ("GRU", "HMB", "DS", "POA")
LABELS = ("HIV", "SUD", "ETHUD")
ACTIONS = ("access", "disclose")
CHAPTERS = ("I00-I99", "E00-E89")
TYPES = ("MedicationRequest", "MedicationStatement", "Procedure")
CLASS_OF = {"MedicationRequest": "MEDICATION", "MedicationStatement": "MEDICATION", "Procedure": "PROCEDURE"}
CODES = ("2339-0", "718-7")
DAYS = ("2019-01-01", "2020-01-01", "2021-01-01", "2022-01-01")
MINUTES = ("2026-01-01T00:00:00Z", "2026-04-01T00:00:00Z", "2026-07-01T00:00:00Z", "2026-10-01T00:00:00Z")
LATE_SECOND = "2026-07-01T00:00:30Z"


def random_consent(random: Random, *, finer: bool) -> dict[str, Any]:
    """A consent with a random tree; `finer` lets it say what no word holds."""
    root = _random_provision(random, 0, finer=finer, kind=random.choice(("permit", "permit", "deny")))
    if len(root) > 1 and random.random() < 0.4:
        del root["type"]
    return consent(root)


def _random_provision(random: Random, depth: int, *, finer: bool, kind: str) -> dict[str, Any]:
    def some(codes: tuple[str, ...]) -> list[str]:
        return random.sample(codes, random.randint(1, len(codes)))

    def chance(share: float) -> bool:
        return random.random() < share

    element: dict[str, Any] = {"type": kind}
    if chance(0.4):
        element["actor"] = [actor(reference) for reference in random.sample(sorted(GRANTEES), random.randint(1, 2))]
    if chance(0.4):
        element["purpose"] = [coding(ACT_REASON, code) for code in some(PURPOSES)]
        if chance(0.3):
            element["purpose"] += [coding(DUO, ResearchUse[name].code) for name in some(PERMISSIONS)]
            if kind == "permit" and chance(0.3):
                element["purpose"].append(coding(DUO, ResearchUse.IRB.code))
    if chance(0.3):
        element["securityLabel"] = [coding(ACT_CODE, code) for code in some(LABELS)]
    if chance(0.2):
        element["action"] = [concept(CONSENT_ACTION, code) for code in some(ACTIONS)]
    if chance(0.2):
        element["code"] = [concept(ICD, code) for code in some(CHAPTERS)]
    if chance(0.2):
        element["class"] = [coding("urn:medproof:data-class", code) for code in some(("medication", "procedure"))]
    if chance(0.25):
        first, last = sorted(random.sample(range(4), 2))
        element["dataPeriod"] = {"start": DAYS[first], "end": DAYS[last]}
    if chance(0.25):
        first, last = sorted(random.sample(range(4), 2))
        element["period"] = {"start": MINUTES[first], "end": MINUTES[last]}
        # a FHIR period includes its end; the second before it makes a whole minute of it
        element["period"]["end"] = _before(MINUTES[last])
        if finer and kind == "permit" and chance(0.3):
            element["period"]["end"] = LATE_SECOND
            element["period"]["start"] = MINUTES[0]
    if finer and chance(0.3):
        element["code"] = [concept(LOINC, code) for code in some(CODES)]
    if finer and chance(0.2):
        element["class"] = [coding(RESOURCE_TYPES, code) for code in some(TYPES)]
    if depth < 3:
        kinds = ("deny",) if kind == "permit" else ("permit", "permit", "deny") if depth == 0 else ("permit",)
        count = random.choice((0, 1, 1, 2, 3)) if depth == 0 else random.choice((0, 0, 1, 2))
        nested = [_random_provision(random, depth + 1, finer=finer, kind=random.choice(kinds)) for _ in range(count)]
        if nested:
            element["provision"] = nested
    return element


def _before(moment: str) -> str:
    last = datetime.fromisoformat(moment) - timedelta(seconds=1)
    return last.isoformat().replace("+00:00", "Z")


# --- points: requests that cannot be split ---


@dataclass(frozen=True)
class Point:
    """One thing that one actor wants, at one moment, of one record."""

    actor: str
    purpose: str
    permission: str  # looked at for research only
    label: str
    action: str
    chapter: str
    resource_type: str
    day: date
    now: datetime
    accepts_irb: bool
    code: str = ""  # the record's LOINC code

    @property
    def research(self) -> bool:
        return bool(Purpose.from_code(self.purpose) & Purpose.RESEARCH)

    @property
    def request(self) -> Request:
        research = ResearchUse.EMPTY
        if self.research:
            research = ResearchUse[self.permission] | (ResearchUse.IRB if self.accepts_irb else ResearchUse.EMPTY)
        return Request(
            purposes=Purpose.from_code(self.purpose),
            classes=DataClass[CLASS_OF[self.resource_type]],
            conditions=Condition.from_code(self.chapter),
            sensitivities=Sensitivity.from_code(self.label),
            settings=CareSetting.AMB,
            actions=Action.from_code(self.action),
            data_from=self.day,
            data_until=self.day,
            research=research,
        )

    @property
    def tags(self) -> frozenset[str]:
        """The record's tags, as `record_tags` would give them."""
        data_class = DataClass[CLASS_OF[self.resource_type]].code
        return frozenset(
            {
                f"class:{RESOURCE_TYPES}|{self.resource_type}",
                f"class:urn:medproof:data-class|{data_class}",
                f"code:{LOINC}|{self.code}",
                f"code:{ICD}|{self.chapter}",
            }
        )


def random_point(random: Random) -> Point:
    moments = (*MINUTES, "2026-02-01T00:00:00Z", "2026-07-01T00:00:31Z", "2026-07-01T00:00:29Z", "2027-01-01T00:00:00Z")
    return Point(
        actor=random.choice(sorted(GROUPS_OF)),
        purpose=random.choice((*PURPOSES, "HMARKT")),
        permission=random.choice(PERMISSIONS),
        label=random.choice((*LABELS, "NONE_LABELLED", "PSY")),
        action=random.choice((*ACTIONS, "use")),
        chapter=random.choice((*CHAPTERS, "J00-J99")),
        resource_type=random.choice(TYPES),
        day=date.fromisoformat(random.choice((*DAYS, "2019-06-01", "2023-01-01"))),
        now=datetime.fromisoformat(random.choice(moments)),
        accepts_irb=random.random() < 0.7,
        code=random.choice((*CODES, "1-1")),
    )


# --- the interpreter ---


def permits(content: dict[str, Any], point: Point) -> bool:
    """Whether the provision tree permits a point. Research asks for what its permission includes, too."""
    root = content["provision"]
    asked = ResearchUse[point.permission].with_narrower() if point.research else ResearchUse.DS
    return all(_decide(root, _root_type(root), point, permission) == "permit" for permission in asked)


def _root_type(root: dict[str, Any]) -> str:
    nested = {child["type"] for child in root.get("provision", ())}
    limited = root.keys() - {"type", "provision"}
    if "type" in root:
        exceptions = any(child["type"] == "permit" for child in list(provisions(root))[1:])
        return "frame" if root["type"] == "deny" and exceptions else root["type"]
    return "permit" if limited and nested == {"deny"} else "frame"


def _decide(element: dict[str, Any], kind: str, point: Point, permission: ResearchUse, irb: bool = False) -> str:
    """What a provision says to a point: permit, deny, or nothing."""
    irb = irb or any(item["code"] == ResearchUse.IRB.code for item in element.get("purpose", ()))
    if not _applies(element, point, permission, narrower=kind in ("deny", "frame")):
        return ""
    exact = kind != "frame" or _applies(element, point, permission, narrower=False)
    found = {
        _decide(child, child["type"], point, permission, irb)
        for child in element.get("provision", ())
        if exact or child["type"] == "deny"
    }
    if "deny" in found:
        return "deny"
    if "permit" in found or "unmet" in found:
        return "permit" if "permit" in found else "unmet"
    if kind == "permit" and irb and point.research and not point.accepts_irb:
        return "unmet"
    return "" if kind == "frame" else kind


def _applies(element: dict[str, Any], point: Point, permission: ResearchUse, *, narrower: bool) -> bool:
    return all(
        (
            _actor_applies(element, point),
            _purpose_applies(element, point, permission, narrower=narrower),
            _label_applies(element, point),
            _listed(element, "action", point.action),
            _code_applies(element, point),
            _class_applies(element, point),
            _within(element.get("dataPeriod"), datetime.combine(point.day, datetime.min.time(), UTC)),
            _within(element.get("period"), point.now),
        )
    )


def _actor_applies(element: dict[str, Any], point: Point) -> bool:
    named = [GRANTEES[item["reference"]["reference"]] for item in element.get("actor", ())]
    return not named or point.actor in named or any(group in named for group in GROUPS_OF[point.actor])


def _purpose_applies(element: dict[str, Any], point: Point, permission: ResearchUse, *, narrower: bool) -> bool:
    if "purpose" not in element:
        return True
    purposes = {item["code"] for item in element["purpose"] if item["system"] == ACT_REASON}
    duo = [ResearchUse.from_code(item["code"]) for item in element["purpose"] if item["system"] == DUO]
    if duo and not purposes & set(Purpose(Purpose.RESEARCH).codes):
        purposes |= set(Purpose(Purpose.RESEARCH).codes)
    if narrower:
        purposes = set(Purpose.from_codes(purposes).with_narrower().codes)
    if point.purpose not in purposes:
        return False
    allowed = {code for term in duo for code in term.with_narrower()} - set(ResearchUse(ResearchUse.MODIFIERS))
    return not point.research or not allowed or permission in allowed


def _label_applies(element: dict[str, Any], point: Point) -> bool:
    if "securityLabel" not in element:
        return True
    named = Sensitivity.from_codes(item["code"] for item in element["securityLabel"])
    return point.label in named.with_narrower().codes


def _listed(element: dict[str, Any], name: str, code: str) -> bool:
    return name not in element or code in {inner["code"] for item in element[name] for inner in item["coding"]}


def _code_applies(element: dict[str, Any], point: Point) -> bool:
    return _listed(element, "code", point.chapter) or _listed(element, "code", point.code)


def _class_applies(element: dict[str, Any], point: Point) -> bool:
    named = {item["code"] for item in element.get("class", ())}
    return not named or bool(named & {point.resource_type, DataClass[CLASS_OF[point.resource_type]].code})


def _within(period: dict[str, str] | None, moment: datetime) -> bool:
    if period is None:
        return True
    start, end = datetime.fromisoformat(period["start"]), datetime.fromisoformat(period["end"])
    last = timedelta(days=1) if len(period["end"]) == 10 else timedelta(seconds=1)
    start, end = (item if item.tzinfo else item.replace(tzinfo=UTC) for item in (start, end))
    return start <= moment < end + last


def lists(rules: Any, who: str) -> dict[str, list[Any]]:
    """The rules that apply to an actor, by grantee, in the order of the registry."""
    return {
        grantee: [rule for holder, rule in rules if holder.lower() == grantee.lower()]
        for grantee in (who, EVERYONE, *GROUPS_OF[who])
    }


KIND = PartyKind.PROVIDER


def provisions(element: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield element
    for child in element.get("provision", ()):
        yield from provisions(child)


def depth_of(element: dict[str, Any]) -> int:
    return 1 + max((depth_of(child) for child in element.get("provision", ())), default=0)

"""The page on which a cohort is asked for: its fields, the question that they say, and the question in other words."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

from medproof.errors import QuestionError
from medproof.explore.parameters import Pairs, Parameters
from medproof.explore.registry import AsOf, Registry
from medproof.explore.showing import AS_OF, Shown, as_of, moments, pinned
from medproof.explore.site import Site
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
from medproof.policy.evaluation import normalize
from medproof.policy.word import EPOCH_DAY, NO_END_DAY, Request, encode_request
from medproof.research.cohort import Question

__all__ = ["EXAMPLES", "CodeField", "cohort"]

_ADDRESS = re.compile("0x[0-9a-fA-F]{40}", re.ASCII)
_STUDY = re.compile("0x[0-9a-fA-F]{64}", re.ASCII)
_HIGHEST_TERMS = (1 << 12) - 1
_LAST_DAY = EPOCH_DAY + timedelta(days=NO_END_DAY - 1)  # that a rule can name
_ANYONE = PartyKind.RESEARCHER  # who asks, where an address does not say


@dataclass(frozen=True)
class CodeField:
    """A list of codes to choose from."""

    name: str  # of the parameter, and of the option of `medproof research`
    attribute: str  # of `Request`
    codes: type[CodedFlag]
    label: str
    hint: str

    def of(self, one: CodedFlag) -> str:
        """How an address and a command line write a code: DUO's by its shorthand."""
        return str(one.name) if self.codes is ResearchUse else one.code

    def shown(self, chosen: CodedFlag) -> dict[str, Any]:
        """The field as the template shows it."""
        return {
            "name": self.name,
            "label": self.label,
            "hint": self.hint,
            "chosen": bool(chosen),
            "said": self.said(chosen) if chosen else "",
            "options": [{"code": self.of(one), "display": one.display, "chosen": one in chosen} for one in self.codes],
        }

    def said(self, chosen: CodedFlag) -> str:
        """The chosen codes for people to read."""
        if not chosen or chosen == self.codes["ALL"]:
            return "all"
        return ", ".join(one.display for one in chosen)


FIELDS = (
    CodeField("purpose", "purposes", Purpose, "Purpose", "Why the data is wanted."),
    CodeField("class", "classes", DataClass, "Kind of data", "What is wanted; a permission has to cover each."),
    CodeField("condition", "conditions", Condition, "Health conditions", "Chapters of ICD-10-CM."),
    CodeField(
        "sensitivity",
        "sensitivities",
        Sensitivity,
        "Sensitive information",
        "Every label that the data may carry; the first is for data without one.",
    ),
    CodeField("setting", "settings", CareSetting, "Place of care", "Where the care took place."),
    CodeField("action", "actions", Action, "Action", "What is done with the data."),
    CodeField(
        "research",
        "research",
        ResearchUse,
        "Research, in DUO's terms",
        "The first five are what the research needs; the others are obligations and limits that it accepts.",
    ),
)

_USE = (("action", "access"), ("action", "use"), ("kind", "researcher"), ("sensitivity", "NONE_LABELLED"))
_NOT_FOR_PROFIT = (("research", "IRB"), ("research", "NCU"), ("research", "NPU"), ("research", "PUB"))
EXAMPLES: tuple[tuple[str, Pairs], ...] = (
    (
        "Who permits genomic data to be used for cancer research by a non-profit?",
        (
            ("purpose", "HRESCH"),
            ("class", "genomics"),
            ("condition", "C00-D49"),
            *_USE,
            ("research", "DS"),
            *_NOT_FOR_PROFIT,
        ),
    ),
    (
        "Who permits laboratory results and medications to be used for any health research?",
        (
            ("purpose", "HRESCH"),
            ("class", "laboratory"),
            ("class", "medication"),
            *_USE,
            ("research", "HMB"),
            *_NOT_FOR_PROFIT,
        ),
    ),
    (
        "Who permits imaging studies to be used commercially?",
        (
            ("purpose", "HRESCH"),
            ("class", "imaging"),
            ("condition", "I00-I99"),
            *_USE,
            ("research", "DS"),
            ("research", "IRB"),
            ("research", "PUB"),
        ),
    ),
)
"""Questions to begin with, and those that a static copy answers."""

_MORE = (  # name, label, type, example
    ("terms", "Signed under terms number", "text", "1"),
    ("study", "Takes part in the study", "text", "0x…"),
    ("moment", "In force on (UTC)", "date", ""),
    ("data-from", "Data from", "date", ""),
    ("data-until", "Data until", "date", ""),
)
_SINGLE = ("kind", "group", "party", "trend", *(name for name, *_ in _MORE), *AS_OF)


@dataclass(frozen=True)
class _Asked:
    """What an address asks for."""

    request: Request
    kind: PartyKind
    group: int | None
    party: str  # 0x…; empty for any of the kind
    terms: int | None
    study: str
    moment: datetime | None


def cohort(registry: Registry, site: Site, pairs: Pairs) -> Shown:
    """How many subjects permit a use."""
    parameters = Parameters(pairs or EXAMPLES[0][1], single=_SINGLE, several=[field.name for field in FIELDS])
    found = as_of(registry, parameters)
    groups = {number: name for number, name in registry.groups(found).items() if number != 1}
    asked = _read(parameters, groups)
    trend = bool(parameters.choice("trend", ("1",))) or not site.live  # without a server there is no later
    values: dict[str, Any] = {
        "asof": moments(registry, found, parameters),
        "fields": [field.shown(getattr(asked.request, field.attribute)) for field in FIELDS],
        "kinds": [{"code": one.code, "display": one.display, "chosen": one is asked.kind} for one in PartyKind],
        "groups": [
            {"number": number, "name": name, "chosen": number == asked.group} for number, name in groups.items()
        ],
        "party": parameters.text("party"),
        "more": [_text_field(parameters, *one) for one in _MORE],
        "more_open": any(parameters.text(name) or name in parameters.errors for name, *_ in _MORE),
        "size": None,
    }
    if not parameters.errors:
        values |= _answer(registry, site, parameters, asked, found, trend=trend)
    return Shown("cohort", "Who permits this?", values, parameters.errors)


def _answer(
    registry: Registry, site: Site, parameters: Parameters, asked: _Asked, found: AsOf, *, trend: bool
) -> dict[str, Any]:
    question = _question(asked)
    try:
        size, share = registry.size(question, found, moment=asked.moment)
    except QuestionError:
        parameters.errors["party"] = f"{asked.party} was never accredited. Choose one from the directory of parties."
        return {}
    given = [pair for pair in parameters.given() if pair[0] != "trend"]
    return {
        "size": size,
        "share": None if share is None else f"{100 * share:.1f} %",
        "said": _said(asked, registry.groups(found)),
        "trend": registry.trend(question, found) if trend else None,
        "trend_href": site.link("cohort", [*given, ("trend", "1")]),
        "command": _command(asked, found),
        "python": _python(asked, found),
        "evidence_href": site.link("evidence", pinned(registry, found)),
    }


def _text_field(parameters: Parameters, name: str, label: str, kind: str, example: str) -> dict[str, str]:
    return {"name": name, "label": label, "type": kind, "example": example, "value": parameters.text(name)}


def _read(parameters: Parameters, groups: dict[int, str]) -> _Asked:
    codes = {field.attribute: parameters.codes(field.name, field.codes) for field in FIELDS}
    data_from, data_until = parameters.day("data-from"), parameters.day("data-until")
    request = Request(data_from=data_from or EPOCH_DAY, data_until=data_until, **codes)  # type: ignore[arg-type]
    kind = parameters.choice("kind", {one.code: one for one in PartyKind})
    group = parameters.choice("group", {str(number) for number in groups})
    party = parameters.pattern("party", _ADDRESS, "account", "Write 0x and 40 hexadecimal digits.").lower()
    terms = parameters.number("terms", lowest=1, highest=_HIGHEST_TERMS, what="number of terms")
    study = parameters.pattern("study", _STUDY, "study", "Write 0x and 64 hexadecimal digits.").lower()
    day = parameters.day("moment")
    if not parameters.errors:
        _check(parameters, request)
    return _Asked(
        request,
        PartyKind.from_code(kind) if kind else _ANYONE,
        int(group) if group else None,
        party,
        terms,
        study,
        None if day is None else datetime.combine(day, time(), UTC),
    )


def _check(parameters: Parameters, request: Request) -> None:
    """Say why a request is none, where it is none."""
    for name, day in (("data-from", request.data_from), ("data-until", request.data_until)):
        if day is not None and day > _LAST_DAY:
            parameters.errors[name] = f"No rule speaks of data after {_LAST_DAY.isoformat()}. Choose an earlier day."
            return
    if request.data_from < EPOCH_DAY or (request.data_until is not None and request.data_until < request.data_from):
        parameters.errors["data-until"] = (
            f"The data ends before it begins, or begins before {EPOCH_DAY.isoformat()}. Correct the days."
        )
    elif normalize(encode_request(request)) is None:
        parameters.errors["research"] = (
            "Terms of research are chosen, and no purpose is research. Choose HRESCH, CLINTRCH or DSRCH as well, or "
            "clear the terms."
        )


def _question(asked: _Asked) -> Question:
    who: dict[str, Any] = {"party": asked.party} if asked.party else {"kind": asked.kind}
    if asked.group is not None and not asked.party:
        who["groups"] = (asked.group,)
    return Question(asked.request, terms=asked.terms, study=asked.study or None, **who)


# -- the question in other words -----------------------------------------------------------------------------------


def _said(asked: _Asked, groups: dict[int, str]) -> list[tuple[str, str]]:
    """The question for people to read."""
    who = asked.party or f"any {asked.kind.display.lower()}"
    if asked.group is not None and not asked.party:
        who += f" in the group {groups[asked.group]}"
    said = [("Asked by", who)]
    said += [(field.label, field.said(getattr(asked.request, field.attribute))) for field in FIELDS[:-1]]
    if asked.request.purposes & Purpose.RESEARCH or not asked.request.purposes:
        said.append((FIELDS[-1].label, FIELDS[-1].said(asked.request.research)))
    if asked.terms is not None:
        said.append(("Signed under terms", str(asked.terms)))
    if asked.study:
        said.append(("Takes part in", asked.study))
    if asked.moment is not None:
        said.append(("In force on", asked.moment.date().isoformat()))
    return said


def _options(asked: _Asked) -> list[tuple[str, str]]:
    options = [
        (f"--{field.name}", ",".join(field.of(one) for one in chosen))
        for field in FIELDS
        if (chosen := getattr(asked.request, field.attribute))
    ]
    if asked.request.data_from != EPOCH_DAY:
        options.append(("--data-from", asked.request.data_from.isoformat()))
    if asked.request.data_until is not None:
        options.append(("--data-until", asked.request.data_until.isoformat()))
    options.append(("--party", asked.party) if asked.party else ("--kind", asked.kind.code))
    if asked.group is not None and not asked.party:
        options.append(("--group", f"group:{asked.group}"))
    if asked.terms is not None:
        options.append(("--terms", str(asked.terms)))
    if asked.study:
        options.append(("--study", asked.study))
    if asked.moment is not None:
        options.append(("--moment", asked.moment.date().isoformat()))
    return options


def _command(asked: _Asked, found: AsOf) -> str:
    """The command that counts the same."""
    when = ("--block", str(found.block)) if found.at is None else ("--at", found.at.date().isoformat())
    options = [*_options(asked), when, ("--index", "index.db")]
    return " \\\n  ".join(["medproof research count", *(f"{name} {shlex.quote(value)}" for name, value in options)])


def _python(asked: _Asked, found: AsOf) -> str:
    """The program that counts the same."""
    codes = [(field, getattr(asked.request, field.attribute)) for field in FIELDS]
    chosen = [(field, value) for field, value in codes if value]
    kinds = sorted({field.codes.__name__ for field, _ in chosen} | (set() if asked.party else {"PartyKind"}))
    fields = [f"    {field.attribute}={_flags(value)}," for field, value in chosen]
    days = [
        f"    {name}=date.fromisoformat({day.isoformat()!r}),"
        for name, day, plain in (
            ("data_from", asked.request.data_from, EPOCH_DAY),
            ("data_until", asked.request.data_until, None),
        )
        if day is not None and day != plain
    ]
    who = [f"party={asked.party!r}"] if asked.party else [f"kind=PartyKind.{asked.kind.name}"]
    if asked.group is not None and not asked.party:
        who.append(f"groups=({asked.group},)")
    if asked.terms is not None:
        who.append(f"terms={asked.terms}")
    if asked.study:
        who.append(f"study={asked.study!r}")
    when = [f"block={found.block}" if found.at is None else f"at=datetime.fromisoformat({found.at.isoformat()!r})"]
    if asked.moment is not None:
        when.append(f"moment=datetime.fromisoformat({asked.moment.isoformat()!r})")
    times = [name for name, used in (("date", days), ("datetime", asked.moment or found.at)) if used]
    return "\n".join(
        [
            *([f"from datetime import {', '.join(times)}"] if times else []),
            "from pathlib import Path",
            "",
            "from medproof.indexer import Index",
            *([f"from medproof.policy.codes import {', '.join(kinds)}"] if kinds else []),
            "from medproof.policy.word import Request",
            "from medproof.research import Dataset, Question, cohort",
            "",
            'index = Index(Path("index.db"))',
            "dataset = Dataset.of_index(index.deployments()[0])",
            "request = Request(",
            *fields,
            *days,
            ")",
            f"question = Question(request, {', '.join(who)})",
            f"print(cohort(dataset, question, {', '.join(when)}).count())",
        ]
    )


def _flags(value: CodedFlag) -> str:
    return " | ".join(f"{type(value).__name__}.{one.name}" for one in value)

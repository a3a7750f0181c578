"""`medproof duo`: whether a study's intended use is within what a consent permits, in DUO's terms."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

from medproof.cli.output import ANSWER_NO, Output
from medproof.cli.rules import codes
from medproof.cli.session import read_text
from medproof.errors import OptionError
from medproof.policy.codes import ResearchUse
from medproof.policy.duo import DataUse, StudyUse, Topic, match

__all__ = ["app"]

app = typer.Typer(help="Research in the terms of GA4GH DUO.", no_args_is_help=True)

_LISTS = ("diseases", "topics", "regions", "research_types", "users", "projects", "institutions")
_NUMBERS = ("months",)
_DAYS = ("publish_from",)


@app.command("match", epilog="Example: medproof duo match study.json --use DS,NCU --disease MONDO:0005148")
def match_study(
    file: Annotated[
        Path, Argument(metavar="FILE", help="The study: a JSON object, see docs/cli.md.", show_default=False)
    ],
    use: Annotated[list[str], Option(metavar="CODE", help="Terms of the consent, such as GRU or NCU.")],
    disease: Annotated[list[str] | None, Option(metavar="CODE", help="Of DS: a code of MONDO or DOID.")] = None,
    region: Annotated[list[str] | None, Option(metavar="CODE", help="Of GS: a code of ISO 3166.")] = None,
    as_json: Annotated[bool, Option("--json", help="Print one JSON document instead.")] = False,
) -> None:
    """Compare a study with what a consent permits: exit code 0 where it may, 1 where it may not or people decide."""
    output = Output(as_json=as_json)
    permitted = DataUse(
        codes(ResearchUse, "--use", use), diseases=frozenset(disease or ()), regions=frozenset(region or ())
    )
    found = match(_study(file), permitted)
    output.document(
        {
            "outcome": found.outcome.value,
            "findings": [
                {"term": one.term, "outcome": one.outcome.value, "reason": one.reason, "on_chain": one.on_chain}
                for one in found.findings
            ],
        }
    )
    output.say(found.outcome.value.capitalize(), style="green" if found.permitted else "red")
    for one in found.findings:
        output.say(f"{one.term}: {one.reason}")
    if not found.permitted:
        raise typer.Exit(ANSWER_NO)


def _study(path: Path) -> StudyUse:
    """A study as JSON spells it: the fields of `StudyUse`, sets as lists, topics by name, days as 2030-01-01."""
    try:
        content = json.loads(read_text(path))
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise OptionError(str(path), "is no JSON object", "See docs/cli.md for what a study says.")
    known = {field.name for field in fields(StudyUse)}
    if strange := sorted(content.keys() - known):
        raise OptionError(str(path), f"says {', '.join(strange)}", f"A study says {', '.join(sorted(known))}.")
    return StudyUse(**{name: _value(path, name, value) for name, value in content.items()})


def _value(path: Path, name: str, value: Any) -> Any:
    try:
        if name in _LISTS:
            return frozenset(_topics(value) if name == "topics" else _texts(value))
        if name in _DAYS:
            return date.fromisoformat(value)
        if type(value) is not (int if name in _NUMBERS else bool):
            raise TypeError(value)
    except (TypeError, ValueError, KeyError):
        wanted = "a list of words" if name in _LISTS else "a day" if name in _DAYS else "a number or true or false"
        raise OptionError(str(path), f"says {name} is {value!r}", f"Give {wanted}.") from None
    return value


def _texts(value: Any) -> Iterable[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise TypeError(value)
    return value


def _topics(value: Any) -> Iterable[Topic]:
    return [Topic[one.upper()] for one in _texts(value)]

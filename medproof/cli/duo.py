"""`medproof duo`: whether a study's intended use is within what a consent permits, in DUO's terms."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from medproof.cli.output import ANSWER_NO, Output
from medproof.cli.rules import codes
from medproof.cli.study_files import read_use_file
from medproof.policy.codes import ResearchUse
from medproof.policy.duo import DataUse, match

__all__ = ["app"]

app = typer.Typer(help="Research in the terms of GA4GH DUO.", no_args_is_help=True)


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
    found = match(read_use_file(file), permitted)
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

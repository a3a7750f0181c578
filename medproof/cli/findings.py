"""How the findings of an examination are shown."""

from __future__ import annotations

from collections.abc import Iterable

import typer

from medproof.cli.output import ANSWER_NO, Output
from medproof.examination import Finding, State
from medproof.hashing import Json

__all__ = ["show_findings"]

_STYLES = {State.GOOD: "green", State.DOUBTFUL: "yellow", State.BAD: "red"}
_MARKS = {State.GOOD: "✔", State.DOUBTFUL: "!", State.BAD: "✘"}


def show_findings(output: Output, findings: Iterable[Finding]) -> None:
    """Print each as it is found; exit code 1 where something will not work."""
    found = []
    for finding in findings:
        found.append(finding)
        output.say(f"{_MARKS[finding.state]} {finding.what}: {finding.said}", style=_STYLES[finding.state])
        if finding.step:
            output.say(f"  {finding.step}")
    good = all(finding.state is not State.BAD for finding in found)
    said: list[Json] = [
        {"what": one.what, "state": one.state.value, "said": one.said, "step": one.step} for one in found
    ]
    output.document({"good": good, "findings": said})
    if not good:
        raise typer.Exit(ANSWER_NO)

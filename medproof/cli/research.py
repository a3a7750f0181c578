"""`medproof research`: the public registry as data: cohorts, how consent moves, and what it covers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from eth_utils.address import to_checksum_address
from typer import Argument, Option

from medproof.cli.datasets import indexed_deployment, open_dataset
from medproof.cli.documents import time_text
from medproof.cli.options import (
    AsOfOptions,
    DatasetOptions,
    IndexOptions,
    JsonOptions,
    ListOptions,
    MomentOptions,
    QuestionOptions,
    SuppressionOptions,
    expanded,
)
from medproof.cli.output import Output
from medproof.cli.questions import as_of, cohort_of, question_of, suppression_of
from medproof.cli.rules import moment, widened
from medproof.cli.study_files import read_use_file
from medproof.hashing import Json, JsonObject

if TYPE_CHECKING:
    from medproof.research import AsOf, Dataset, Question
    from medproof.research.flows import Spread
    from medproof.research.periods import Published
    from medproof.research.suppression import Count, Suppression

__all__ = ["app"]

app = typer.Typer(help="Research: cohorts, how consent moves, what it covers.", no_args_is_help=True)


class By(StrEnum):
    """By what coverage is counted."""

    PURPOSE = "purpose"
    CLASS = "class"
    CONDITION = "condition"
    SENSITIVITY = "sensitivity"
    SETTING = "setting"
    ACTION = "action"
    DUO = "duo"
    TERMS = "terms"


class Length(StrEnum):
    """How long a period is."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


Every = Annotated[Length, Option("--every", help="How long a period is; weeks begin on Monday, all in UTC.")]
Since = Annotated[str | None, Option(metavar="TIME", help="From the period of this time on.", rich_help_panel="Times")]


# -- the data set ----------------------------------------------------------------------------------------------------


@app.command("dataset", epilog="Example: medproof research dataset registry --index index.db")
@expanded
def write(
    folder: Annotated[
        Path, Argument(metavar="FOLDER", help="Where; other deployments in it stay.", show_default=False)
    ],
    source: IndexOptions,
    form: JsonOptions,
    block: Annotated[int | None, Option(min=0, help="As of this block; the last that was read.")] = None,
) -> None:
    """Write the registry as hive-partitioned Parquet, which any engine reads; the same block gives the same bytes."""
    from medproof.research import write_dataset

    output = Output(as_json=form.as_json)
    with indexed_deployment(source) as indexed, output.counting("Writing", "rows") as count:
        manifest = write_dataset(indexed, folder, block=block, progress=lambda table, rows: count(rows))
    output.document(manifest)
    rows = sum(table["rows"] for table in manifest["tables"].values())
    output.say(f"Written to {folder}: {rows:,} rows, as of block {manifest['block']['number']}.")


# -- cohorts ---------------------------------------------------------------------------------------------------------


@app.command(
    epilog="Example: medproof research count --index index.db --kind researcher --purpose HRESCH --class genomics "
    "--condition C00-D49 --duo HMB,NPU --sensitivity NONE_LABELLED --action use --at 2026-03-01"
)
@expanded
def count(
    asked: QuestionOptions,
    when: MomentOptions,
    source: DatasetOptions,
    small: SuppressionOptions,
    form: ListOptions,
) -> None:
    """Count who consents to a use, as of any block or time. What is left out of the use is asked for in full."""
    output, suppression = _output(form), suppression_of(small)
    _note(output, asked)
    with open_dataset(source, output) as dataset:
        found = cohort_of(dataset, asked, when)
        counted, about = suppression.count(found.count()), _about(dataset, found.as_of, suppression)
    output.document({"subjects": counted.to_json(), **about})
    if form.as_table or form.as_csv:
        row = (str(counted), str(about["block"]), str(about["moment"]))
        output.table(("subjects", "block", "moment"), [row], empty="")
    else:
        output.say(f"{counted} {_subjects(counted)} to it, as of block {about['block']} ({about['moment']}).")


@app.command(
    "list", epilog="Example: medproof research list --dataset registry --party 0x… --purpose HRESCH --class genomics"
)
@expanded
def list_subjects(
    asked: QuestionOptions,
    when: MomentOptions,
    source: DatasetOptions,
    small: SuppressionOptions,
    form: ListOptions,
) -> None:
    """List who consents to a use: their pseudonyms. A cohort that is too small is refused."""
    output, suppression = _output(form), suppression_of(small)
    _note(output, asked)
    with open_dataset(source, output) as dataset:
        found = cohort_of(dataset, asked, when)
        suppression.require(found.count())
        names = found.subjects().select("subject").to_pyarrow()["subject"].to_pylist()
        about = _about(dataset, found.as_of, suppression)
    subjects = [to_checksum_address(name) for name in names]
    output.document({"subjects": [*subjects], **about})
    output.table(("subject",), ((subject,) for subject in subjects), empty="Nobody consents to it.")


# -- how consent moves -----------------------------------------------------------------------------------------------


@app.command(epilog="Example: medproof research flow --index index.db --every week --since 2026-01-01")
@expanded
def flow(
    asked: QuestionOptions,
    when: AsOfOptions,
    source: DatasetOptions,
    small: SuppressionOptions,
    form: ListOptions,
    every: Every = Length.MONTH,
    since: Since = None,
) -> None:
    """Show how consent came and went, period by period: of all permits, or of those that permit a use."""
    output, suppression = _output(form), suppression_of(small)
    periods, about = _periods(asked, when, source, suppression, output, every, since)
    names = ("granted", "changed", "revoked", "lapsed", "new_subjects", "joined", "withdrew", "ran_out", "standing")
    output.document(
        {
            "periods": [
                {
                    **_span(one),
                    **{name: one.counts[name].to_json() for name in names},
                    "at_start": one.at_start.to_json(),
                }
                for one in periods
            ],
            **about,
        }
    )
    output.table(
        (every.value, *(name.replace("_", " ") for name in names)),
        ((one.start.date().isoformat(), *(str(one.counts[name]) for name in names)) for one in periods),
        empty="Nothing is known of these times.",
    )


@app.command(epilog="Example: medproof research churn --index index.db --every week --kind researcher --purpose HRESCH")
@expanded
def churn(
    asked: QuestionOptions,
    when: AsOfOptions,
    source: DatasetOptions,
    small: SuppressionOptions,
    form: ListOptions,
    every: Every = Length.MONTH,
    since: Since = None,
) -> None:
    """Show which share of those who consented at the start of a period withdrew in it."""
    output, suppression = _output(form), suppression_of(small)
    periods, about = _periods(asked, when, source, suppression, output, every, since)
    output.document(
        {
            "periods": [
                {
                    **_span(one),
                    "at_start": one.at_start.to_json(),
                    "withdrew": one.counts["withdrew"].to_json(),
                    "churn": _share(one.churn),
                }
                for one in periods
            ],
            **about,
        }
    )
    output.table(
        (every.value, "at start", "withdrew", "churn"),
        (
            (
                one.start.date().isoformat(),
                str(one.at_start),
                str(one.counts["withdrew"]),
                _share(one.churn) or "-",
            )
            for one in periods
        ),
        empty="Nothing is known of these times.",
    )


@app.command(epilog="Example: medproof research lag --index index.db --kind researcher --purpose HRESCH")
@expanded
def lag(
    asked: QuestionOptions,
    when: AsOfOptions,
    source: DatasetOptions,
    small: SuppressionOptions,
    form: ListOptions,
) -> None:
    """Show how long permits stood until they were withdrawn, and how long grants took to reach the chain."""
    from medproof.research.flows import lag as measured

    output, suppression = _output(form), suppression_of(small)
    question, (block, at) = _maybe_question(asked), as_of(when)
    with open_dataset(source, output) as dataset:
        found = measured(dataset, question, block=block, at=at)
        about = _about(dataset, dataset.as_of(block=block, at=at), suppression)
    withdrawn = 0 if found.revoked is None else found.revoked.count
    parts, _ = suppression.row(
        [withdrawn, found.lapsed, found.open]
    )  # the sum is that of the grants, which `flow` shows
    rows: dict[str, JsonObject] = {
        "revoked": _spread(found.revoked, parts[0], suppression),
        "relayed": _spread(found.relayed, suppression.count(found.relayed.count if found.relayed else 0), suppression),
        "lapsed": {"rules": parts[1].to_json()},
        "open": {"rules": parts[2].to_json()},
    }
    output.document({**rows, **about})
    columns = ("rules", "least", "quarter", "median", "three_quarters", "most")
    output.table(
        ("what", *(name.replace("_", " ") for name in columns)),
        (
            (_LAGS[name], str(row["rules"]), *(_length(row.get(column)) for column in columns[1:]))
            for name, row in rows.items()
        ),
        empty="",
    )


# -- what consent covers ---------------------------------------------------------------------------------------------


@app.command(epilog="Example: medproof research coverage --index index.db --by class")
@expanded
def coverage(
    by: Annotated[By, Option(help="What is counted: a code list, or the versions of the terms.")],
    when: MomentOptions,
    source: DatasetOptions,
    small: SuppressionOptions,
    form: ListOptions,
) -> None:
    """Count how many subjects permit what has each code of a list, net of what they refuse to the same grantee."""
    from medproof.research.coverage import coverage as covered

    output, suppression, known = _output(form), suppression_of(small), _times(when)
    with open_dataset(source, output) as dataset:
        found, about = covered(dataset, by.value, **known), _about(dataset, dataset.as_of(**known), suppression)
    rows = [(one.code, one.display, suppression.count(one.subjects)) for one in found]
    output.document(
        {
            "by": by.value,
            "codes": [{"code": code, "display": display, "subjects": n.to_json()} for code, display, n in rows],
            **about,
        }
    )
    output.table(
        (by.value, "display", "subjects"), ((*row[:2], str(row[2])) for row in rows), empty="No rule names any."
    )


@app.command(epilog="Example: medproof research match study.json --index index.db")
@expanded
def match(
    study: Annotated[
        Path, Argument(metavar="FILE", help="The study: a JSON object, see docs/cli.md.", show_default=False)
    ],
    when: MomentOptions,
    source: DatasetOptions,
    small: SuppressionOptions,
    form: ListOptions,
) -> None:
    """Compare a study with all permits for research, in DUO's terms: how many fit, and why the others do not."""
    from medproof.policy.duo import Outcome
    from medproof.research.coverage import fit

    output, suppression, known, use = _output(form), suppression_of(small), _times(when), read_use_file(study)
    with open_dataset(source, output) as dataset:
        found, about = fit(dataset, use, **known), _about(dataset, dataset.as_of(**known), suppression)
    rules, _ = suppression.row([found.rules[one] for one in Outcome])
    subjects, _ = suppression.row([found.subjects[one] for one in Outcome])
    outcomes = [(one.value, of, who) for one, of, who in zip(Outcome, rules, subjects, strict=True)]
    terms = [(one, suppression.count(one.rules)) for one in found.terms]
    output.document(
        {
            "outcomes": {name: {"rules": of.to_json(), "subjects": who.to_json()} for name, of, who in outcomes},
            "terms": [
                {"term": one.term, "outcome": one.outcome.value, "reason": one.reason, "rules": n.to_json()}
                for one, n in terms
            ],
            **about,
        }
    )
    output.table(
        ("outcome", "term", "rules", "subjects", "reason"),
        (
            *((name, "", str(of), str(who), "") for name, of, who in outcomes),
            *((one.outcome.value, one.term, str(n), "", one.reason) for one, n in terms),
        ),
        empty="",
    )


# -- helpers ---------------------------------------------------------------------------------------------------------


_LAGS = {
    "revoked": "from grant to withdrawal",
    "relayed": "from the signer's start to the chain",
    "lapsed": "ended by their date",
    "open": "neither yet",
}


def _output(form: ListOptions) -> Output:
    return Output(as_json=form.as_json, as_csv=form.as_csv)


def _times(when: MomentOptions) -> dict[str, Any]:
    block, at = as_of(when)
    return {"block": block, "at": at, "moment": None if when.moment is None else moment("--moment", when.moment)}


def _maybe_question(asked: QuestionOptions) -> Question | None:
    """A question, where anything is asked."""
    return None if asked == QuestionOptions() else question_of(asked)


def _note(output: Output, asked: QuestionOptions) -> None:
    for note in widened(asked):
        output.aside(note)


def _about(dataset: Dataset, known: AsOf, suppression: Suppression) -> JsonObject:
    """Of what, and as of when, an answer is."""
    return {
        "chain": dataset.chain,
        "authority": to_checksum_address(dataset.authority),
        "block": known.block,
        "moment": time_text(known.moment),
        "suppression": suppression.to_json(),
    }


def _subjects(counted: Count) -> str:
    return "subject consents" if counted.value == 1 else "subjects consent"


def _periods(
    asked: QuestionOptions,
    when: AsOfOptions,
    source: DatasetOptions,
    suppression: Suppression,
    output: Output,
    every: Length,
    since: str | None,
) -> tuple[Sequence[Published], JsonObject]:
    """The periods of a flow as they may be published, and what they are of."""
    from medproof.research.flows import flow as measured
    from medproof.research.periods import Every, publish

    question, (block, at) = _maybe_question(asked), as_of(when)
    start = None if since is None else moment("--since", since)
    _note(output, asked)
    with open_dataset(source, output) as dataset:
        found = measured(dataset, question, every=Every(every.value), since=start, block=block, at=at)
        about = _about(dataset, dataset.as_of(block=block, at=at), suppression)
    return publish(found, suppression), about


def _span(period: Published) -> JsonObject:
    return {"start": time_text(period.start), "end": time_text(period.end)}


def _share(churn: float | None) -> str | None:
    return None if churn is None else f"{churn:.4f}"


def _spread(spread: Spread | None, rules: Count, suppression: Suppression) -> JsonObject:
    """Lengths in seconds: none where their number is hidden, and not the least and the most, each of one rule."""
    shown: JsonObject = {"rules": rules.to_json()}
    if spread is None or rules.value is None:
        return shown
    names = ("least", "quarter", "median", "three_quarters", "most")
    wanted = names if suppression.off else names[1:-1]
    return shown | {name: getattr(spread, name) // timedelta(seconds=1) for name in wanted}


def _length(value: Json) -> str:
    """Seconds as days and the rest; a count as it is, and nothing for none."""
    return "" if value is None else str(timedelta(seconds=value)) if isinstance(value, int) else str(value)

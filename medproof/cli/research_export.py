"""`medproof research export`, `check` and `row`: files for others, and whether they are what they say."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from typer import Argument, Option

from medproof import hashing
from medproof.cli.datasets import open_dataset
from medproof.cli.options import (
    DatasetOptions,
    JsonOptions,
    MomentOptions,
    QuestionOptions,
    SuppressionOptions,
    expanded,
)
from medproof.cli.output import ANSWER_NO, Output, harmless
from medproof.cli.questions import as_of, cohort_of, suppression_of
from medproof.errors import ExportError, OptionError
from medproof.hashing import JsonObject
from medproof.json_reader import hex_text

if TYPE_CHECKING:
    from medproof.research.manifest import Manifest

__all__ = ["app", "check_row"]

app = typer.Typer()


@app.command(
    epilog="Example: medproof research export cancer --index index.db --purpose HRESCH --class genomics "
    "--condition C00-D49 --kind researcher --at 2026-03-01 --format csv,fhir"
)
@expanded
def export(
    folder: Annotated[Path, Argument(metavar="FOLDER", help="A new folder.", show_default=False)],
    asked: QuestionOptions,
    source: DatasetOptions,
    when: MomentOptions,
    small: SuppressionOptions,
    form: JsonOptions,
    formats: Annotated[
        list[str] | None,
        Option("--format", metavar="FORMAT", help="parquet, csv, jsonl or fhir; repeat it, or separate by commas."),
    ] = None,
    tables: Annotated[
        list[str] | None,
        Option(
            "--tables",
            metavar="TABLE",
            help="Whole tables, such as rules or parties, in place of a cohort; repeat it, or separate by commas.",
        ),
    ] = None,
) -> None:
    """Write a cohort, its rules and its question to a new folder, or whole tables by --tables; with a data dictionary
    and a manifest. The same block gives the same bytes. Fewer than 11 subjects are not listed."""
    # Here, so that the other commands run without the extra.
    from medproof.research.export import export_cohort, write_export

    output, suppression = Output(as_json=form.as_json), suppression_of(small)
    kinds, names = _names(formats) or ["parquet"], _names(tables)
    if names and (asked != QuestionOptions() or when.moment is not None):
        raise OptionError("--tables", "asks for whole tables, beside a question", "Choose one of them.")
    with open_dataset(source, output) as dataset, output.rate("Writing", "rows") as show:

        def progress(_: str, done: int, total: int) -> None:
            show(done, total, done)

        if names:
            block, at = as_of(when)
            known = dataset.as_of(block=block, at=at).block
            manifest = write_export(
                dataset, folder, formats=kinds, tables=names, block=known, suppression=suppression, progress=progress
            )
        else:
            found = cohort_of(dataset, asked, when)
            manifest = export_cohort(found, folder, formats=kinds, suppression=suppression, progress=progress)
    digest = hex_text(manifest.sha256)
    output.document({"folder": str(folder), **_document(manifest, digest)})
    rows = ", ".join(f"{one.rows:,} in {one.name}" for one in manifest.tables)
    output.say(f"Written to {folder}, as of block {manifest.block.number}: {rows}.")
    output.say(f"The manifest pins all of it: SHA-256 {digest}.")


@app.command(epilog="Example: medproof research check cancer --index index.db")
@expanded
def check(
    folder: Annotated[Path, Argument(metavar="FOLDER", help="An export.", show_default=False)],
    source: DatasetOptions,
    form: JsonOptions,
) -> None:
    """Read an export again, all of it; with --index or --dataset export once more and compare the bytes. Exit code 0,
    or 1 with the first file, column or row that is not what it was."""
    from medproof.research.checking import check_export

    output = Output(as_json=form.as_json)
    named = source.index is not None or source.dataset is not None
    opened = open_dataset(source, output) if named else nullcontext(None)
    try:
        with opened as dataset, output.rate("Checking", "rows") as show:
            found = check_export(folder, dataset=dataset, progress=lambda _, done, total: show(done, total, done))
    except ExportError as error:
        _say_not(output, error)
    manifest, digest = found.manifest, hex_text(found.sha256)
    output.document({"verified": True, "same_bytes": found.same_bytes, **_document(manifest, digest)})
    output.say(f"{folder} is what its manifest says, SHA-256 {digest}.", style="green")
    output.say(f"It is of chain {manifest.chain}, authority {manifest.authority}, as of block {manifest.block.number}.")
    if found.same_bytes is None:
        output.say("Whether the chain says so too, --index or --dataset tells.")
    elif found.same_bytes:
        output.say("Exported again, it has the same bytes.")
    else:
        output.say("Exported again, it has the same rows; other versions wrote its files, so bytes were not compared.")


@app.command(epilog="Example: medproof research row cancer rules 17 --out row.json")
@expanded
def row(
    folder: Annotated[Path, Argument(metavar="FOLDER", help="An export.", show_default=False)],
    table: Annotated[str, Argument(metavar="TABLE", help="Of its tables, this one.", show_default=False)],
    index: Annotated[int, Argument(metavar="NUMBER", help="The row, counted from 0.", show_default=False)],
    out: Annotated[Path, Option(metavar="FILE", help="Where the proof goes.", show_default=False)],
    form: JsonOptions,
) -> None:
    """Prove one row of an export by itself, for whoever knows the manifest's SHA-256 (medproof verify)."""
    from medproof.research.row_proof import RowProof

    output, found = Output(as_json=form.as_json), RowProof.of(folder, table, index)
    output.write(out, hashing.canonical(found.to_json()))
    output.document({"file": str(out), "manifest_sha256": hex_text(found.manifest.sha256)})
    output.say(f"Written to {out}: row {index} of {table}, under manifest {hex_text(found.manifest.sha256)}.")


def check_row(file: Path, form: JsonOptions) -> None:
    """Verify a row's proof, and say what it shows: exit code 0, or 1 with what does not hold."""
    from medproof.research.row_proof import RowProof

    output = Output(as_json=form.as_json)
    try:
        found = RowProof.from_json(file.read_bytes())
        found.verify()
    except ExportError as error:
        _say_not(output, error)
    manifest, digest = found.manifest, hex_text(found.manifest.sha256)
    output.document(
        {"verified": True, "table": found.table, "index": found.index, "row": found.row, **_document(manifest, digest)}
    )
    output.say(f"Verified: row {found.index} of {found.table} stands in the export.", style="green")
    output.say(f"It is of chain {manifest.chain}, authority {manifest.authority}, as of block {manifest.block.number}.")
    output.say(harmless(hashing.canonical(found.row).decode()))
    output.say(f"It rests on the manifest: compare its SHA-256, {digest}, with the exporter's.")


def _say_not(output: Output, error: ExportError) -> NoReturn:
    output.document({"verified": False, "part": error.part, "why": str(error)})
    output.say(harmless(str(error)), style="red")
    raise typer.Exit(ANSWER_NO)


def _names(given: list[str] | None) -> list[str]:
    return [name for text in given or () for name in text.split(",")]


def _document(manifest: Manifest, digest: str) -> JsonObject:
    return {
        "manifest_sha256": digest,
        "chain": manifest.chain,
        "authority": manifest.authority,
        "block": manifest.block.number,
        "block_hash": hex_text(manifest.block.hash),
        "tables": [{"name": one.name, "rows": one.rows, "root": hex_text(one.root)} for one in manifest.tables],
        "files": [one.name for one in manifest.files],
    }

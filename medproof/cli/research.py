"""`medproof research`: the public registry as data: cohorts, how consent moves, and what it covers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from medproof.cli.datasets import indexed_deployment
from medproof.cli.options import IndexOptions, JsonOptions, expanded
from medproof.cli.output import Output

__all__ = ["app"]

app = typer.Typer(help="Research: cohorts, how consent moves and what it covers.", no_args_is_help=True)


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

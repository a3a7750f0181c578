"""`medproof backup`: copies of databases and files while they are in use, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from medproof.backup import Backup
from medproof.cli.options import JsonOptions, expanded
from medproof.cli.output import Output
from medproof.cli.session import file_of_secret
from medproof.hashing import Json, JsonObject

__all__ = ["app"]

app = typer.Typer(help="Back up what a custodian or a relayer keeps, and restore it.", no_args_is_help=True)

Folder = Annotated[Path, Argument(metavar="FOLDER", help="The backup.", show_default=False)]


@app.command(epilog="Example: medproof backup create backup-1 records.db relay.db suite.json clinic.json")
@expanded
def create(
    folder: Annotated[Path, Argument(metavar="FOLDER", help="A new folder.", show_default=False)],
    what: Annotated[
        list[str],
        Argument(metavar="FILE|URL…", help="Files, SQLite databases, a PostgreSQL database.", show_default=False),
    ],
    form: JsonOptions,
) -> None:
    """Copy databases, each as of one moment, and files, while others use them: whole, or not at all."""
    output = Output(as_json=form.as_json)
    for one in what:
        file_of_secret(Path(one))
    with output.progress("Copying", len(what)) as advance:
        made = Backup.create(folder, what, report=advance)
    output.document(_said(made))
    output.say(f"Written to {folder}: {len(made.items)} items. Try it: medproof backup restore {folder} elsewhere")


@app.command(epilog="Example: medproof backup check backup-1")
@expanded
def check(folder: Folder, form: JsonOptions) -> None:
    """Compare every item with its sum, and look whether the databases are whole."""
    output, found = Output(as_json=form.as_json), Backup.load(folder)
    with output.progress("Checking", len(found.items)) as advance:
        found.check(report=advance)
    output.document(_said(found))
    output.say(f"All {len(found.items)} items are as they were made at {found.made:%Y-%m-%d %H:%M} UTC.")


@app.command(epilog="Example: medproof backup restore backup-1 restored --database postgresql://medproof@host/records")
@expanded
def restore(
    folder: Folder,
    into: Annotated[Path, Argument(metavar="INTO", help="A new folder.", show_default=False)],
    form: JsonOptions,
    database: Annotated[
        str | None,
        Option(metavar="URL", help="An empty PostgreSQL database, for what came out of one."),
    ] = None,
) -> None:
    """Put everything into a new folder and an empty database; what is there is never overwritten."""
    output, found = Output(as_json=form.as_json), Backup.load(folder)
    with output.progress("Restoring", len(found.items)) as advance:
        found.restore(into, database=database, report=advance)
    output.document({**_said(found), "restored": str(into)})
    output.say(f"Restored to {into}, as of {found.made:%Y-%m-%d %H:%M} UTC. Before it serves: medproof doctor --help")


def _said(backup: Backup) -> JsonObject:
    items: list[Json] = [
        {"name": one.name, "kind": one.kind.value, "size": one.size, "sha256": one.sha256} for one in backup.items
    ]
    return {"folder": str(backup.folder), "made": backup.made.isoformat(), "items": items}

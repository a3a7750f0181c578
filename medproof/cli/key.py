"""`medproof key`: encrypted key files, for organisations, delegates, devices and whoever pays."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from medproof.cli.output import Output, refuse_existing
from medproof.cli.session import file_of_secret, new_password, password
from medproof.errors import KeystoreError
from medproof.signing import LocalSigner

__all__ = ["app"]

app = typer.Typer(help="Key files: an account behind a password.", no_args_is_help=True)

_PASSWORD = "MEDPROOF_PASSWORD"
PasswordFile = Annotated[
    Path | None, Option(metavar="FILE", help=f"Its password; else it is asked for, or in {_PASSWORD}.")
]
AsJson = Annotated[bool, Option("--json", help="Print one JSON document instead.")]


@app.command(epilog="Example: medproof key new clinic.json")
def new(
    file: Annotated[Path, Argument(metavar="FILE", help="A new file.", show_default=False)],
    password_file: PasswordFile = None,
    as_json: AsJson = False,
) -> None:
    """Make an account in a new key file, which geth, Clef and Brownie read, too. Lost, it is lost: keep a copy."""
    refuse_existing(file_of_secret(file))
    secret = new_password(str(file), password_file, _PASSWORD)
    made, output = LocalSigner.create(), Output(as_json=as_json)
    output.keep(file, made.to_keystore(secret))
    output.document({"address": made.address, "file": str(file)})
    output.say(made.address)


@app.command(epilog="Example: medproof key show clinic.json")
def show(
    file: Annotated[Path, Argument(metavar="FILE", help="A key file.", show_default=False)],
    password_file: PasswordFile = None,
    as_json: AsJson = False,
) -> None:
    """Show the address of a key file; the password proves that it is the key's."""
    if not file_of_secret(file).exists():
        raise KeystoreError(str(file), "is not there", "Check the path, or make one with medproof key new")
    address = LocalSigner.from_keystore(file, password(str(file), password_file, _PASSWORD)).address
    output = Output(as_json=as_json)
    output.document({"address": address, "file": str(file)})
    output.say(address)

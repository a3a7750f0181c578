"""The command line's entry: the groups of commands, and what happens to errors."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from medproof import __version__
from medproof.cli import (
    access,
    anchor,
    backup,
    bounty,
    claim_decisions,
    claim_review,
    claim_steps,
    claim_visit,
    claims,
    consent,
    delegate,
    deploy,
    device,
    doctor,
    duo,
    emergency,
    evidence,
    exchange,
    explore,
    gateway,
    group,
    guardians,
    index,
    key,
    listing,
    message,
    migrate,
    network,
    party,
    pointers,
    prescription,
    receipts,
    record_import,
    records,
    relay,
    research,
    research_export,
    rotation,
    study,
    study_cohort,
    verify,
    wallet,
    x12,
)
from medproof.cli.output import BAD_INPUT, INTERRUPTED, code_of, tell_error
from medproof.cli.session import refuse_secrets
from medproof.errors import MedProofError

__all__ = ["app"]


class _Commands(TyperGroup):
    """All commands; whatever goes wrong ends as one line on standard error and an exit code."""

    def main(self, args: Sequence[str] | None = None, *positional: Any, **options: Any) -> Any:
        """Run a command line and leave with its exit code."""
        given = list(sys.argv[1:] if args is None else args)
        options["standalone_mode"] = False
        as_json = "--json" in given
        try:
            refuse_secrets(given)
            code = super().main(given, *positional, **options) or 0
        except typer.Abort:
            code = INTERRUPTED
        except MedProofError as error:
            code = code_of(error)
            said = ": ".join([*getattr(error, "__notes__", ()), str(error)])  # a note names the file that it is about
            tell_error(type(error).__name__, said, code, as_json=as_json)
        except typer.TyperException as error:
            code = error.exit_code
            if message := error.format_message().rstrip("."):  # none where the help was shown instead
                tell_error("UsageError", f"{message}. See --help.", code, as_json=as_json)
        except OSError as error:
            code = BAD_INPUT
            tell_error("FileError", f"{error.filename or 'A file'}: {error.strerror or error}.", code, as_json=as_json)
        if code == INTERRUPTED:
            message = "Interrupted. What was sent before still counts; nothing else remains."
            tell_error("Interrupted", message, code, as_json=as_json)
        sys.exit(code)


app = typer.Typer(
    name="medproof",
    cls=_Commands,
    help="Consent on chain: who may use what of a patient's health data, for what, and when.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for part in (listing.app, exchange.app):
    consent.app.add_typer(part)
for part in (record_import.app, pointers.app):
    records.app.add_typer(part)
for part in (evidence.app, research_export.app):
    research.app.add_typer(part)
for part in (claim_visit.app, claim_steps.app, claim_decisions.app, claim_review.app):
    claims.app.add_typer(part)
for part in (bounty.app, evidence.study_app):
    study.app.add_typer(part)
study.app.add_typer(study_cohort.cohorts, name="cohort")
study.app.add_typer(study_cohort.results, name="result")
consent.app.add_typer(receipts.app, name="receipt")
delegate.app.add_typer(guardians.app, name="guardians")
party.app.add_typer(group.app, name="group")
party.app.add_typer(rotation.app, name="rotate")
app.add_typer(network.app, name="network")
app.add_typer(deploy.app, name="deploy")
app.add_typer(key.app, name="key")
app.add_typer(wallet.app, name="wallet")
app.add_typer(party.app, name="party")
app.add_typer(consent.app, name="consent")
app.add_typer(delegate.app, name="delegate")
app.add_typer(emergency.app, name="emergency")
app.add_typer(relay.app, name="relay")
app.add_typer(records.app, name="records")
app.add_typer(research.app, name="research")
app.add_typer(duo.app, name="duo")
app.add_typer(gateway.app, name="gateway")
app.add_typer(device.app, name="device")
app.add_typer(anchor.app, name="anchor")
app.add_typer(backup.app, name="backup")
app.add_typer(access.app, name="access")
app.add_typer(message.app, name="message")
app.add_typer(migrate.app, name="migrate")
app.add_typer(prescription.app, name="prescription")
app.add_typer(claims.app, name="claims")
app.add_typer(study.app, name="study")
app.command("index", epilog="Example: medproof index --index index.db --network sepolia --follow")(index.index)
app.command("doctor", epilog="Example: medproof doctor --network sepolia --sender 0x… --index index.db")(doctor.doctor)
app.command("explore", epilog="Example: medproof explore --index index.db")(explore.explore)
app.command("verify", epilog="Example: medproof verify evidence.json --block-hash 0x…")(verify.verify)
app.add_typer(x12.app, name="x12")


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"medproof {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Consent on chain: who may use what of a patient's health data, for what, and when."""

"""`medproof delegate guardians`: who recovers a subject whose key is lost, and how they do."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from medproof.chain import Sender
from medproof.cli import documents
from medproof.cli.options import ChainOptions, KeyOptions, RelayOptions, SendingOptions, SubjectOptions, expanded
from medproof.cli.output import Output
from medproof.cli.sending import deliver, tell_done
from medproof.cli.session import account, acting, open_suite, read_text, sender, signer, subject
from medproof.client.delegations import Approval, Guardians, Recovery
from medproof.errors import OptionError
from medproof.hashing import JsonObject

__all__ = ["app"]

app = typer.Typer(help="Guardians: m of n recover a lost key, after days to object.", no_args_is_help=True)

_LAST_ROUND = (1 << 48) - 1
_LAST_SECOND = 253402300799  # of the year 9999
_SIGNATURE = re.compile("0x([0-9a-fA-F]{2})+")
Proposal = Annotated[Path, Argument(metavar="RECOVERY", help="What guardians propose wrote.", show_default=False)]
Of = Annotated[str, Argument(metavar="SUBJECT", help="Whose key is lost.", show_default=False)]


# -- as the subject, or its successor ----------------------------------------------------------------------------


@app.command(epilog="Example: medproof delegate guardians name 0x… 0x… 0x… --threshold 2 --keep guardians.json")
@expanded
def name(
    accounts: Annotated[list[str], Argument(metavar="ACCOUNT…", help="The guardians.", show_default=False)],
    who: SubjectOptions,
    sending: SendingOptions,
    chain: ChainOptions,
    threshold: Annotated[int, Option(help="How many of them must approve.")],
    keep: Annotated[Path, Option(metavar="FILE", help="Who they are, for each of them to keep; the chain hides it.")],
    days: Annotated[int, Option(min=3, max=90, help="How long the subject can object.")] = 14,
) -> None:
    """Name guardians, or others; it ends a recovery under way. The chain shows only that there are some."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    by, whose = acting(who)
    named = _kept(
        Guardians.create(
            [account("ACCOUNT", one) for one in accounts], threshold=threshold, delay=timedelta(days=days)
        ),
        keep,
        output,
    )
    about: JsonObject = {"subject": whose, "commitment": f"0x{named.commitment.hex()}", "guardians": str(keep)}
    if suite.delegations.guardians_commitment(whose) == named.commitment:
        tell_done(output, about, None, f"{keep} has the guardians of {whose} already")
        return
    output.aside(f"Give {keep} to each guardian: whoever loses the key may lose this file, too.")
    message = suite.delegations.sign_guardians(by, named, subject=whose, lifetime=sending.lifetime)
    deliver(suite, [message], sending, output, about)


@app.command(epilog="Example: medproof delegate guardians dismiss --wallet seed.txt --custodian 0x…")
@expanded
def dismiss(who: SubjectOptions, sending: SendingOptions, chain: ChainOptions) -> None:
    """Have no guardians any more; it ends a recovery under way."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    by, whose = acting(who)
    message = suite.delegations.sign_guardians(by, None, subject=whose, lifetime=sending.lifetime)
    deliver(suite, [message], sending, output, {"subject": whose})


@app.command("object", epilog="Example: medproof delegate guardians object --wallet seed.txt --custodian 0x…")
@expanded
def object_(
    who: SubjectOptions,
    sending: SendingOptions,
    chain: ChainOptions,
    round_: Annotated[
        int | None,
        Option("--round", min=1, max=_LAST_ROUND, help="Up to which round no approval counts; the next by default."),
    ] = None,
) -> None:
    """Object to a recovery, under way or still to start: your key is not lost."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    by, whose = acting(who)
    message = suite.delegations.sign_objection(by, subject=whose, round_number=round_, lifetime=sending.lifetime)
    deliver(suite, [message], sending, output, {"subject": whose})


# -- as the guardians --------------------------------------------------------------------------------------------


@app.command(epilog="Example: medproof delegate guardians propose 0x… --to 0x… --out recovery.json")
@expanded
def propose(
    of: Of,
    chain: ChainOptions,
    to: Annotated[str, Option(metavar="ACCOUNT", help="A fresh account of the subject's, its successor.")],
    out: Annotated[Path, Option(metavar="FILE", help="What each guardian approves.")],
) -> None:
    """Write what the guardians approve, all of them the same; it counts for a week."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    recovery = suite.delegations.propose_recovery(account("SUBJECT", of), account("--to", to))
    output.write(out, json.dumps(asdict(recovery)))
    output.document(asdict(recovery))
    output.say(f"Written to {out}: give it to the guardians, who approve it until {_time(recovery.deadline)}.")


@app.command(epilog="Example: medproof delegate guardians approve recovery.json --keystore guardian.json --out 1.json")
@expanded
def approve(
    proposal: Proposal,
    who: KeyOptions,
    chain: ChainOptions,
    out: Annotated[Path, Option(metavar="FILE", help="The approval, for whoever starts the recovery.")],
    yes: Annotated[bool, Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Approve a recovery as a guardian. Ask the subject first, in person: the successor may do all that it may."""
    output, suite, recovery = Output(as_json=chain.as_json), open_suite(chain), _recovery(proposal)
    if not yes:
        until = _time(recovery.deadline)
        output.confirm(f"Let {recovery.successor} act for {recovery.subject}? What you sign counts until {until}.")
    by = signer(SubjectOptions(keystore=who.keystore, password_file=who.password_file))
    approval = suite.delegations.sign_recovery(by, recovery)
    document: JsonObject = {"guardian": approval.guardian, "signature": f"0x{approval.signature.hex()}"}
    output.write(out, json.dumps(document))
    output.document({**document, **asdict(recovery)})
    output.say(f"Written to {out}: {approval.guardian} approves {recovery.successor} for {recovery.subject}.")


@app.command(
    epilog="Example: medproof delegate guardians recover recovery.json 1.json 2.json --guardians guardians.json "
    "--relay-as relayer.json"
)
@expanded
def recover(
    proposal: Proposal,
    approvals: Annotated[list[Path], Argument(metavar="APPROVAL…", help="What approve wrote.", show_default=False)],
    relay: RelayOptions,
    chain: ChainOptions,
    guardians: Annotated[Path, Option(metavar="FILE", help="Who they are, as each of them keeps it.")],
) -> None:
    """Start a recovery that enough guardians approve; anyone sends it. The subject then has days to object."""
    output, suite, recovery = Output(as_json=chain.as_json), open_suite(chain), _recovery(proposal)
    named, approved = Guardians.from_json(read_text(guardians)), [_approval(path) for path in approvals]
    receipt = suite.delegations.start_recovery(recovery, named, approved, sender=_payer(relay))
    started = suite.delegations.recovery(recovery.subject)
    ready = None if started is None else _time(started.ready_at)
    said = f"{recovery.successor} acts for {recovery.subject} from {ready} on, once it is completed"
    tell_done(output, {**asdict(recovery), "ready_at": ready}, receipt, said)


@app.command(epilog="Example: medproof delegate guardians complete 0x… --relay-as relayer.json")
@expanded
def complete(of: Of, relay: RelayOptions, chain: ChainOptions) -> None:
    """Complete a recovery after its delay; anyone sends it."""
    output, suite, whose = Output(as_json=chain.as_json), open_suite(chain), account("SUBJECT", of)
    receipt = suite.delegations.complete_recovery(whose, sender=_payer(relay))
    successor = suite.delegations.successor(whose)
    tell_done(output, {"subject": whose, "successor": successor}, receipt, f"{successor} may act for {whose}")


# -- asking ------------------------------------------------------------------------------------------------------


@app.command(epilog="Example: medproof delegate guardians show --subject 0x…")
@expanded
def show(who: SubjectOptions, chain: ChainOptions) -> None:
    """Show whether a subject has guardians, and a recovery under way."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    whose = subject(who)
    commitment, underway = suite.delegations.guardians_commitment(whose), suite.delegations.recovery(whose)
    document: JsonObject = {
        "guardians": None if commitment is None else f"0x{commitment.hex()}",
        "recovery_to": None if underway is None else underway.successor,
        "ready_at": None if underway is None else _time(underway.ready_at),
        "successor": suite.delegations.successor(whose),
    }
    output.document({"subject": whose, **document})
    rows = ((key.replace("_", " "), str(value or "-")) for key, value in document.items())
    output.table(("subject", whose), rows, empty="")


# -- helpers -----------------------------------------------------------------------------------------------------


def _kept(wanted: Guardians, file: Path, output: Output) -> Guardians:
    """The guardians in their file, with its salt where the same ones stand there already."""
    if not file.exists():
        output.keep(file, wanted.to_json())
        return wanted
    stored = Guardians.from_json(read_text(file))
    if replace(stored, salt=wanted.salt) != wanted:
        raise OptionError("--keep", f"is {str(file)!r}, which has other guardians", "Name a new file.")
    return stored


def _payer(relay: RelayOptions) -> Sender:
    by = sender(relay)
    if by is None:
        raise OptionError("--relay-as", "is missing", "Name the key file of the account that sends and pays.")
    return by


def _recovery(path: Path) -> Recovery:
    try:
        said = json.loads(read_text(path))
        number, deadline = int(said["round"]), int(said["deadline"])
        if 0 < number <= _LAST_ROUND and 0 < deadline <= _LAST_SECOND:
            return Recovery(account("", said["subject"]), account("", said["successor"]), number, deadline)
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError, OptionError):
        pass
    raise OptionError(str(path), "holds no recovery", "Name what guardians propose wrote.")


def _approval(path: Path) -> Approval:
    try:
        said = json.loads(read_text(path))
        guardian, signature = account("", said["guardian"]), said["signature"]
        if _SIGNATURE.fullmatch(signature):
            return Approval(guardian, bytes.fromhex(signature[2:]))
    except (ValueError, TypeError, LookupError, RecursionError, OptionError):
        pass
    raise OptionError(str(path), "holds no approval", "Name what guardians approve wrote.")


def _time(seconds: int) -> str:
    return documents.time_text(datetime.fromtimestamp(seconds, UTC))

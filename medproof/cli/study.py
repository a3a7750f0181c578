"""`medproof study`: registered, joined and left, and what stands about it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from medproof.cli import study_files
from medproof.cli.hands import tell_sent
from medproof.cli.options import (
    ChainListOptions,
    ChainOptions,
    KeyOptions,
    RequestOptions,
    SendingOptions,
    SubjectOptions,
    expanded,
)
from medproof.cli.output import ANSWER_NO, Output, refuse_existing
from medproof.cli.rules import day, request_of
from medproof.cli.sending import deliver
from medproof.cli.session import account, acting, identity, known_block, open_suite, party
from medproof.cli.study_files import StudyFile, WhichStudy, find_study, pretty, read_document, read_use_file
from medproof.client.studies import Study, StudyState, Use
from medproof.errors import OptionError, StudyError
from medproof.hashing import JsonObject
from medproof.json_reader import hex_text
from medproof.policy.evaluation import Reason
from medproof.policy.explanation import explain
from medproof.policy.study import Approval, FileDigest, StudyDocument, describe_study

__all__ = ["app"]

app = typer.Typer(help="Studies: what research asks, who takes part, and what came of it.", no_args_is_help=True)


@app.command(
    epilog="Example: medproof study register --title 'Blood and genes' --use use.json --class genomics "
    "--protocol protocol.pdf --approval letter.pdf --committee 'Ethics board' --reference 2026-1 "
    "--from 2026-03-01 --until 2027-02-28 --holder 0x… --save study.json --keystore institute.json"
)
@expanded
def register(
    title: Annotated[str, Option(metavar="TEXT", help="What subjects know it by.")],
    use: Annotated[
        Path, Option(metavar="FILE", help="What it intends in DUO's terms: a JSON object, see docs/cli.md.")
    ],
    protocol: Annotated[
        Path, Option(metavar="FILE", help="The protocol; it stays here, and its hash is committed to.")
    ],
    approval: Annotated[Path, Option(metavar="FILE", help="The letter of the ethics committee, likewise.")],
    committee: Annotated[str, Option(metavar="TEXT", help="Who approved it.")],
    reference: Annotated[str, Option(metavar="TEXT", help="Under which the committee keeps it.")],
    starts: Annotated[str, Option("--from", metavar="DAY", help="Its first day.")],
    until: Annotated[str, Option(metavar="DAY", help="Its last day.")],
    holder: Annotated[list[str], Option(metavar="ADDRESS", help="A custodian that holds the data; repeat it.")],
    save: Annotated[Path, Option(metavar="FILE", help="Where its document goes, with the salts.")],
    scope: RequestOptions,
    who: KeyOptions,
    chain: ChainOptions,
) -> None:
    """Register a study, as its researcher. The document is for subjects and custodians: it opens what is committed to.

    Registered again into the same file it is the same study: whatever was interrupted, there is one.
    """
    output, suite, sender = Output(as_json=chain.as_json), open_suite(chain), party(who)
    wanted = StudyDocument(
        title=title,
        researcher=identity(suite, "--keystore", sender.address),
        use=read_use_file(use),
        scope=request_of(scope),
        starts=day("--from", starts),
        ends=day("--until", until),
        custodians=tuple(identity(suite, "--holder", one) for one in holder),
        protocol=FileDigest.of(protocol.name, protocol.read_bytes()),
        approval=Approval(committee, reference, FileDigest.of(approval.name, approval.read_bytes())),
    )
    document = _begun(save, wanted)
    if document is wanted:  # before it is sent: without the salts nobody can show what was registered
        output.write(save, pretty(wanted.to_json()))
    study = Study.of(document)
    about: JsonObject = {"study": hex_text(study.id), "file": str(save)}
    output.aside(f"Study {hex_text(study.id)}, written to {save}.")
    if suite.studies.state(study.id) is not StudyState.UNKNOWN:
        output.document({**about, "sent": None, "unchanged": True})
        output.say("This stands already.")
        return
    tell_sent(output, suite.studies.register(study, sender=sender), about)


@app.command("list", epilog="Example: medproof study list --researcher 0x… --csv")
@expanded
def list_studies(
    chain: ChainListOptions,
    researcher: Annotated[str | None, Option(metavar="ADDRESS", help="Those of one researcher.")] = None,
    subject: Annotated[str | None, Option(metavar="ADDRESS", help="Those that one subject takes part in.")] = None,
) -> None:
    """List the studies that were registered, oldest first."""
    output, suite = Output(as_json=chain.as_json, as_csv=chain.as_csv), open_suite(chain)
    by = None if researcher is None else identity(suite, "--researcher", researcher)
    choices = None if subject is None else suite.studies.choices(account("--subject", subject))
    known = [one for one in suite.studies.studies(researcher=by) if choices is None or choices.get(one.id)]
    found = [
        study_files.study_document(one, suite.studies.state(one.id)) for one in output.each(known, "Reading studies")
    ]
    output.document({"studies": [*found]})
    output.table(
        ("study", "state", "researcher", "from", "until"),
        (tuple(str(one[name]) for name in ("study", "state", "researcher", "first_day", "last_day")) for one in found),
        empty="There is no such study.",
    )


@app.command(epilog="Example: medproof study show study.json --protocol protocol.pdf")
@expanded
def show(
    which: WhichStudy,
    chain: ChainOptions,
    protocol: Annotated[Path | None, Option(metavar="FILE", help="Check that this is its protocol.")] = None,
    approval: Annotated[Path | None, Option(metavar="FILE", help="Check that this is its ethics approval.")] = None,
) -> None:
    """Show a study: exit code 1 where the chain has none that the file is of, or it is not open."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    study, document = find_study(suite, which)
    if document is None and (protocol or approval):
        raise OptionError("--protocol", "and --approval need the study's file", "Ask the researcher for it.")
    if document is not None:
        contents = {"protocol": protocol, "approval": approval}
        document.check_files(**{name: path.read_bytes() for name, path in contents.items() if path is not None})
    state, participants = suite.studies.state(study.id), suite.studies.participants(study.id)
    cohorts, results = suite.studies.cohorts(study.id), suite.studies.results(study.id)
    output.document(
        {
            **study_files.study_document(study, state),
            "title": None if document is None else document.title,
            "participants": len(participants),
            "cohorts": [{"cohort": hex_text(one.cohort.id), **one.cohort.to_json()} for one in cohorts],
            "results": [
                {"cohort": hex_text(one.cohort), "custodian": one.custodian, "commitment": hex_text(one.commitment)}
                for one in results
            ],
        }
    )
    output.say(f"{state.plain.capitalize()}, from {study.first_day} until {study.last_day}: {hex_text(study.id)}.")
    if document is not None:
        output.say(describe_study(document))
    output.say(f"Subjects: {len(participants)}. Cohorts: {len(cohorts)}. Answers: {len(results)}.")
    if state is not StudyState.OPEN:
        raise typer.Exit(ANSWER_NO)


@app.command(epilog="Example: medproof study check study.json --subject 0x…")
@expanded
def check(
    which: WhichStudy,
    subject: Annotated[str, Option(metavar="ADDRESS", help="Whose data.")],
    chain: ChainOptions,
    block: Annotated[int | None, Option(min=0, help="As of this block; the newest where none is named.")] = None,
) -> None:
    """Say whether a study may use a subject's data: exit code 0 where it may, 1 where it may not."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    (study, _), whose = find_study(suite, which), account("--subject", subject)
    verdict = suite.studies.may_use(study.id, whose, block=known_block(suite, block))
    output.document(
        {
            "study": hex_text(study.id),
            "subject": whose,
            "permitted": verdict.permitted,
            "use": verdict.use.name.lower(),
            "state": verdict.state.plain,
            "consent": verdict.consent.name.lower(),
            "block": verdict.block,
        }
    )
    output.say(_WHY[verdict.use].format(state=verdict.state.plain, why=explain(verdict.consent)))
    if not verdict.permitted:
        raise typer.Exit(ANSWER_NO)


@app.command(
    "opt-in", epilog="Example: medproof study opt-in study.json --wallet seed.txt --custodian 0x… --relay-as 0x…"
)
@expanded
def opt_in(file: StudyFile, who: SubjectOptions, sending: SendingOptions, chain: ChainOptions) -> None:
    """Take part in a study, by a signed message. Read what it says first; your own rules still decide what is used."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    study, document = find_study(suite, str(file))
    if document is not None:
        output.aside(describe_study(document))
    by, whose = acting(who)
    message = suite.studies.sign_opt_in(by, study, subject=whose, lifetime=sending.lifetime)
    deliver(suite, [message], sending, output, {"study": hex_text(study.id), "subject": whose})
    verdict = suite.studies.may_use(study.id, whose)
    if verdict.consent is not Reason.PERMITTED:
        output.aside(f"Your rules do not permit it yet: {explain(verdict.consent)} See medproof consent grant.")


@app.command("opt-out", epilog="Example: medproof study opt-out study.json --wallet seed.txt --custodian 0x…")
@expanded
def opt_out(
    which: WhichStudy,
    who: SubjectOptions,
    sending: SendingOptions,
    chain: ChainOptions,
    sequence: Annotated[
        int | None, Option(min=1, max=65535, help="What to overtake: above all that was signed. 65535 is for good.")
    ] = None,
) -> None:
    """Leave a study, or refuse it, at any time: no cohort that is fixed later has your data."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    by, whose = acting(who)
    study = bytes.fromhex(which[2:]) if study_files.is_id(which) else Study.of(read_document(Path(which))).id
    message = suite.studies.sign_opt_out(by, study, subject=whose, sequence=sequence, lifetime=sending.lifetime)
    deliver(suite, [message], sending, output, {"study": hex_text(study), "subject": whose})


@app.command(epilog="Example: medproof study close study.json --keystore institute.json")
@expanded
def close(
    which: WhichStudy,
    who: KeyOptions,
    chain: ChainOptions,
    withdraw: Annotated[
        bool, Option("--withdraw-approval", help="As the authority: its ethics approval is withdrawn.")
    ] = False,
) -> None:
    """Close a study for good, as its researcher: nobody joins it and no cohort is fixed any more."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    (study, _), sender = find_study(suite, which), party(who)
    act = suite.studies.withdraw_approval if withdraw else suite.studies.close
    tell_sent(output, act(study.id, sender=sender), {"study": hex_text(study.id)})


# -- helpers -----------------------------------------------------------------------------------------------------

_WHY = {
    Use.PERMITTED: "It may: the study is open, the subject takes part, and its rules permit what is asked for.",
    Use.STUDY_NOT_OPEN: "It may not: the study is {state}.",
    Use.NOT_OPTED_IN: "It may not: the subject takes no part.",
    Use.NO_CONSENT: "It may not: the subject takes part, and its rules do not permit what is asked for. {why}",
}


def _begun(path: Path, wanted: StudyDocument) -> StudyDocument:
    """What was written before it was sent, where that was this study; nothing else is written over."""
    if path.is_file():
        with suppress(StudyError):  # something else, which is refused below
            found = read_document(path)
            if replace(wanted, protocol_salt=found.protocol_salt, approval_salt=found.approval_salt) == found:
                return found
    refuse_existing(path)
    return wanted

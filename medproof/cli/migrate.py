"""`medproof migrate`: leaving one deployment for another, and the proof that nothing was lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from medproof.chain import Chain
from medproof.cli.documents import message_document
from medproof.cli.options import ActorOptions, ChainOptions, JsonOptions, KeyOptions, RelayOptions, expanded
from medproof.cli.output import ANSWER_NO, Output
from medproof.cli.sending import read_messages, work_off
from medproof.cli.session import account, database_at, of_file, open_suite, party, phrase, sender, signer
from medproof.client import MedProof
from medproof.deployments import Deployment
from medproof.errors import OptionError
from medproof.hashing import Json, JsonObject
from medproof.migration import (
    AUTHORITY,
    Actor,
    Comparison,
    Events,
    Export,
    Finding,
    IndexEvents,
    Kind,
    Step,
    compare_subject,
    hand_over,
    left_deployment,
    read_state,
    sign_subject,
    signable_steps,
    take_steps,
)
from medproof.recovery import recover
from medproof.relayer import Relayer
from medproof.sending import TransactionManager
from medproof.signing import Signer
from medproof.wallet import Wallet

if TYPE_CHECKING:  # the commands run without the extra until they need it
    from medproof.indexer import Index, View

__all__ = ["app"]

app = typer.Typer(help="Leave one deployment for another, and lose nothing.", no_args_is_help=True)

_PANEL = "Deployments"
_LONGEST_FILE = 1 << 26
_SUBJECTS = "subjects"


@dataclass(frozen=True)
class MigrationOptions(JsonOptions):
    """Which deployment is left for which other."""

    network: Annotated[
        str | None,
        Option(
            "--network",
            "--url",
            metavar="NAME|URL",
            envvar="MEDPROOF_NETWORK",
            help="Where the old deployment is: a named network, or a node's URL.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    to_network: Annotated[
        str | None,
        Option(metavar="NAME|URL", help="Where the new one is, if not there as well.", rich_help_panel=_PANEL),
    ] = None
    left: Annotated[
        Path | None, Option("--from", metavar="FILE", help="The old deployment's manifest.", rich_help_panel=_PANEL)
    ] = None
    to: Annotated[
        Path | None, Option("--to", metavar="FILE", help="The new deployment's manifest.", rich_help_panel=_PANEL)
    ] = None


@dataclass(frozen=True)
class KeeperOptions(MigrationOptions):
    """Who holds what was billed."""

    keeper: Annotated[
        str | None,
        Option(
            metavar="ADDRESS",
            help="A party of the new deployment that holds what was billed, so that nobody bills it again.",
            rich_help_panel=_PANEL,
        ),
    ] = None


@dataclass(frozen=True)
class ReadingOptions(KeeperOptions):
    """Where all of two deployments is read."""

    index: Annotated[
        str | None,
        Option(
            metavar="FILE|URL",
            envvar="MEDPROOF_INDEX",
            help="An index that keeps both (medproof index); the nodes are asked for all events where none is named.",
            rich_help_panel=_PANEL,
        ),
    ] = None


Blocks = Annotated[int | None, Option(min=0, metavar="BLOCK", help="As of this block; the newest where none is named.")]


@app.command(epilog="Example: medproof migrate plan --from old.json --to new.json --network sepolia")
@expanded
def plan(options: ReadingOptions) -> None:
    """Count what has to be done, and by whom; what stays where it is, and what cannot be carried."""
    output = Output(as_json=options.as_json)
    with _both(options) as both:
        found = both.compare(output)
    output.document({**_places(found), **_counted(found), "findings": _listed(found.findings())})
    _show_counts(output, found)
    _show_findings(output, found.findings(Kind.STUCK, Kind.WIDER))
    if found.old.left:
        stays = ", ".join(f"{count:,} {what}" for what, count in found.old.left.items() if count)
        output.say(f"Stays in the old deployment: {stays or 'nothing'}.")


@app.command(epilog="Example: medproof migrate export --for authority --from old.json --to new.json --out todo.json")
@expanded
def export(
    options: ReadingOptions,
    whose: Annotated[
        str, Option("--for", metavar="WHOM", help="authority, subjects, or the address of one subject or party.")
    ],
    out: Annotated[Path, Option(metavar="FILE", help="Where the steps go.")],
) -> None:
    """Write what somebody is to sign or to send, each step with its sentence: to be read before anything is done."""
    output = Output(as_json=options.as_json)
    with _both(options) as both:
        found = both.compare(output)
        steps = [*_steps_for(found, whose)]
        output.write(out, Export.of(both.old, both.new, found, steps).to_json())
    output.document({**_places(found), "file": str(out), "steps": len(steps)})
    output.say(f"{len(steps)} steps are in {out}.")


@app.command(epilog="Example: medproof migrate sign --wallet seed.txt --from old.json --to new.json --out signed.json")
@expanded
def sign(
    options: MigrationOptions,
    who: ActorOptions,
    out: Annotated[Path, Option(metavar="FILE", help="Where the signed messages go, for whoever relays them.")],
    file: Annotated[
        Path | None, Argument(metavar="FILE", help="What was exported; it has to say what the chain says.")
    ] = None,
    subject: Annotated[str | None, Option(metavar="ADDRESS", help="The subject, where its delegate signs.")] = None,
    lifetime: Annotated[
        int, Option(min=1, max=10 * 366 * 86400, metavar="SECONDS", help="How long the messages count.")
    ] = 7 * 86400,
    yes: Annotated[bool, Option("--yes", help="Sign without being asked.")] = False,
) -> None:
    """Sign anew what you said to the old deployment, after it was read from there again and shown to you.

    A wallet signs as all its pseudonyms at once. Exit code 1 where something has to wait for others.
    """
    output, (old, new) = Output(as_json=options.as_json), _suites(options)
    given = None if file is None else _export(file, old, new)
    asked: list[_Asked] = []
    compared = None
    for by, whose in _signers(who, subject, old, given, output):
        compared = compare_subject(old, new, whose, shared=compared)
        if given is not None:
            with of_file(file):  # type: ignore[arg-type]
                given.require_said(whose, compared.subject_steps(whose))
        asked.append(_Asked(by, whose, compared, signable_steps(new, compared, whose, by)))
    _show_asked(output, asked)
    waiting = [step for one in asked for step in one.steps if step.waits]
    ready = sum(len(one.steps) for one in asked) - len(waiting)
    if ready and not yes:
        output.confirm(f"Sign these {ready} for the new deployment?")
    signed = [
        message
        for one in asked
        for message in sign_subject(new, one.compared, one.subject, one.signer, lifetime=lifetime)
    ]
    output.write(out, json.dumps([message_document(one) for one in signed]))
    output.document(
        {"file": str(out), "signed": len(signed), "subjects": len(asked), "waits": [one.to_json() for one in waiting]}
    )
    output.say(f"Signed {len(signed)}, written to {out}: give it to whoever relays it (medproof migrate run).")
    if waiting:
        raise typer.Exit(ANSWER_NO)


@app.command(epilog="Example: medproof migrate run signed.json --from old.json --to new.json --relay-as relayer.json")
@expanded
def run(
    options: KeeperOptions,
    who: KeyOptions,
    relay: RelayOptions,
    files: Annotated[list[Path] | None, Argument(metavar="FILE…", help="Signed messages to relay.")] = None,
    acting: Annotated[
        str | None, Option("--as", metavar="WHOM", help="authority, or your party's identity: take its steps.")
    ] = None,
    queue: Annotated[
        Path | None,
        Option(metavar="FILE", help="What was begun and not ended; migration.messages or migration.steps."),
    ] = None,
) -> None:
    """Relay what subjects signed, or take the steps of the authority or a party. Running it again goes on.

    What the old deployment says no more is not carried: the nodes are asked, no index. Exit code 1 where something was
    not taken.
    """
    output = Output(as_json=options.as_json)
    if bool(files) is (acting is not None):
        raise OptionError(
            "--as", "and files are for two kinds of work", "Name signed messages, or --as with --keystore."
        )
    with _both(options) as both:
        done = _relay(both, files, relay, queue, output) if files else _act(both, str(acting), who, queue, output)
    output.document({"steps": done})
    refused = [one for one in done if isinstance(one, dict) and one["refused"]]
    for one in refused:
        output.say(f"{one['says']} {one['refused']}", style="red")
    output.say(f"{len(done) - len(refused)} taken, {len(refused)} not.")
    if refused:
        raise typer.Exit(ANSWER_NO)


@app.command(epilog="Example: medproof migrate check --from old.json --to new.json --network sepolia")
@expanded
def check(options: ReadingOptions, block: Blocks = None, to_block: Blocks = None) -> None:
    """Compare both as of a block each: exit code 0 where nothing was lost and nothing is wider, else 1."""
    output = Output(as_json=options.as_json)
    with _both(options) as both:
        found = both.compare(output, block, to_block)
    steps = [*found.steps()]
    output.document(
        {
            **_places(found),
            "whole": found.whole,
            "missing": [step.to_json() for step in steps],
            "findings": _listed(found.findings()),
        }
    )
    output.table(
        ("who", "what is missing", "waits for"),
        ((step.actor, step.to_json()["says"], step.to_json()["waits"] or "-") for step in steps),  # type: ignore[misc]
        empty="Nothing is missing.",
    )
    _show_findings(output, found.findings(Kind.STUCK, Kind.WIDER, Kind.NEWER))
    was, now = found.old.block, found.new.block
    output.say(
        f"As of block {was.number} ({was.hash}) of the old, and {now.number} ({now.hash}) of the new deployment."
    )
    if not found.whole:
        raise typer.Exit(ANSWER_NO)


# -- the two deployments -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Both:
    old: MedProof
    new: MedProof
    keeper: str | None
    index: Index | None

    def compare(self, output: Output, block: int | None = None, to_block: int | None = None) -> Comparison:
        with output.counting("Reading both deployments", "parts") as count:
            read = iter(range(1, 1000))
            states = []
            for suite, at in ((self.old, block), (self.new, to_block)):
                events, number = self._events(suite, at)
                states.append(read_state(suite, events=events, block=number, progress=lambda _: count(next(read))))
        return Comparison(*states, keeper=self.keeper)

    def _events(self, suite: MedProof, block: int | None) -> tuple[Events | None, int | None]:
        if self.index is None:
            return None, block
        state = _view(self.index, suite, block)
        return IndexEvents(state), state.block


def _view(index: Index, suite: MedProof, block: int | None) -> View:
    from medproof.indexer import view

    authority = suite.deployment.address("Authority").lower()
    for one in index.deployments():
        if (one.chain, one.authority) == (suite.chain.chain_id, authority):
            return view(one, block=block)
    step = "Read both into it (medproof index), or name none."
    raise OptionError("--index", f"keeps no deployment of {authority} on chain {suite.chain.chain_id}", step)


@contextmanager
def _both(options: KeeperOptions) -> Iterator[_Both]:
    old, new = _suites(options)
    keeper = None if options.keeper is None else account("--keeper", options.keeper)
    where = options.index if isinstance(options, ReadingOptions) else None
    if where is None:
        yield _Both(old, new, keeper, None)
        return
    from medproof.indexer import Index

    if "://" not in where and not Path(where).exists():
        raise OptionError("--index", f"is {where}, which is not there", "Make it: medproof index.")
    index = Index(database_at(where))
    try:
        yield _Both(old, new, keeper, index)
    finally:
        index.close()


def _suites(options: MigrationOptions) -> tuple[MedProof, MedProof]:
    for option, given in (("--network", options.network), ("--from", options.left), ("--to", options.to)):
        if given is None:
            raise OptionError(option, "is missing", "Name the network, and the manifests of both deployments.")
    old = left_deployment(Chain.connect(str(options.network)), Deployment.load(str(options.left)))
    new = open_suite(ChainOptions(network=options.to_network or options.network, deployment=options.to))
    same = old.deployment.address("Authority") == new.deployment.address("Authority")
    if same and old.chain.chain_id == new.chain.chain_id:
        raise OptionError("--to", "is the deployment that is left", "Name the manifest of the new one.")
    return old, new


def _export(file: Path, old: MedProof, new: MedProof) -> Export:
    with of_file(file), file.open("rb") as opened:
        given = Export.from_json(opened.read(_LONGEST_FILE + 1))
        given.require(old, new)
    return given


@dataclass(frozen=True)
class _Asked:
    """What one is asked to sign in a subject's name."""

    signer: Signer
    subject: str
    compared: Comparison
    steps: tuple[Step, ...]


# -- who ---------------------------------------------------------------------------------------------------------


def _steps_for(found: Comparison, whose: str) -> Iterator[Step]:
    if whose == _SUBJECTS:
        return found.steps(Actor.SUBJECT)
    if whose == AUTHORITY:
        return found.steps(actor=AUTHORITY)
    address = account("--for", whose)
    if address in found.subjects:
        return iter(found.subject_steps(address))
    return found.steps(actor=address)


def _signers(
    who: ActorOptions, subject: str | None, old: MedProof, given: Export | None, output: Output
) -> Iterator[tuple[Signer, str]]:
    """Who signs for whom: one subject, or all pseudonyms of a wallet."""
    if who.keystore is not None or who.custodian is not None:
        by = signer(who)
        yield by, account("--subject", subject) if subject else by.address
        return
    wallet = Wallet(phrase(who.wallet))
    parties = old.registrar.parties()
    if given is None:
        with output.progress("Trying custodians", len(parties)) as advance:
            for one in recover(old, wallet, progress=lambda done, _: advance(done)):
                yield wallet.pseudonym(one.custodian, relationship=one.number), one.subject
        return
    asked = set(given.subjects())
    for custodian in parties:
        number = 0
        while (by := wallet.pseudonym(custodian, relationship=number)).address in asked:
            yield by, by.address
            number += 1


def _act(both: _Both, acting: str, who: KeyOptions, queue: Path | None, output: Output) -> list[Json]:
    actor = AUTHORITY if acting == AUTHORITY else account("--as", acting)
    manager = TransactionManager(both.new.chain, queue or Path("migration.steps"), [party(who)])
    try:
        with output.counting("Taking steps", "steps") as count:
            compare = partial(both.compare, output)
            taken = take_steps(both.new, compare, actor, manager, progress=lambda done, _: count(done))
    finally:
        manager.close()
    return [{**one.step.to_json(), "transaction": one.transaction, "refused": one.refused} for one in taken]


def _relay(both: _Both, files: list[Path], relay: RelayOptions, queue: Path | None, output: Output) -> list[Json]:
    by = sender(relay)
    if by is None:
        raise OptionError("--relay-as", "is missing", "Name the key file of the account that sends and pays.")
    messages = [message for path in files for message in read_messages(path)]
    relayer = Relayer(both.new, queue or Path("migration.messages"), by)
    try:
        with output.progress("Queueing", len(messages)) as advance:
            handed = hand_over(both.old, both.new, messages, relayer, progress=advance)
        work_off(relayer, output)
        return [_handed(one.message.function, one.message.subject, one.id, one.why_not, relayer) for one in handed]
    finally:
        relayer.close()


def _handed(function: str, subject: str, id_: str | None, why_not: str | None, relayer: Relayer) -> JsonObject:
    fate = None if id_ is None else relayer.status(id_)
    refused = why_not if fate is None else fate.reason
    says = f"{function} of {subject}:"
    return {"says": says, "id": id_, "state": None if fate is None else str(fate.state), "refused": refused}


# -- what is told ------------------------------------------------------------------------------------------------


def _places(found: Comparison) -> JsonObject:
    return {
        name: {"chain_id": state.chain_id, "block": state.block.number, "block_hash": state.block.hash}
        for name, state in (("from", found.old), ("to", found.new))
    }


def _counted(found: Comparison) -> JsonObject:
    steps: list[Json] = [{"by": str(by), "part": part, "steps": count} for (by, part), count in found.counts().items()]
    left: JsonObject = dict(found.old.left)
    return {"steps": steps, "subjects": len(found.subjects), "left": left}


def _listed(findings: Iterator[Finding]) -> list[Json]:
    return [one.to_json() for one in findings]


def _show_counts(output: Output, found: Comparison) -> None:
    rows = ((str(by), part, f"{count:,}") for (by, part), count in sorted(found.counts().items()))
    output.table(("who", "what", "steps"), rows, empty="Nothing is to be done.")


def _show_findings(output: Output, findings: Iterator[Finding]) -> None:
    rows = [(str(one.kind), one.part, one.about or "-", str(one.to_json()["says"])) for one in findings]
    if rows:
        output.table(("found", "what", "whose", "which"), rows, empty="")


def _show_asked(output: Output, asked: list[_Asked]) -> None:
    for one in asked:
        findings = [finding for finding in one.compared.subject_findings(one.subject) if finding.kind is not Kind.STAYS]
        if not one.steps and not findings:
            continue
        output.aside(f"As {one.subject}:")
        for number, step in enumerate(one.steps, start=1):
            said = step.to_json()
            waits = f" It waits for {said['waits']}." if step.waits else ""
            output.aside(f"{number}. {said['says']}{waits}")
        for finding in findings:
            output.aside(f"({finding.kind}) {finding.to_json()['says']}")

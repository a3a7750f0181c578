"""`medproof access`: who read a patient's records; whether a custodian's log was rewritten; complaints and answers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from medproof.access import Access, Promise, PromiseFile
from medproof.access.export import LogLine, read_lines
from medproof.access.verification import verify as verify_log
from medproof.cli.options import ChainOptions, KeyOptions, RelayOptions, SubjectOptions, expanded
from medproof.cli.output import ANSWER_NO, Output
from medproof.cli.rules import day
from medproof.cli.session import account, acting, database_at, open_suite, party, phrase, sender, signer
from medproof.client import MedProof
from medproof.client.registrar import grantee_name
from medproof.errors import MerkleProofError, OptionError
from medproof.hashing import Json, JsonObject
from medproof.recovery import recover
from medproof.signing import Signer
from medproof.wallet import Wallet

if TYPE_CHECKING:  # the commands run without the extra until they need it
    from medproof.gateway.client import GatekeeperClient

__all__ = ["app"]

app = typer.Typer(help="Access logs: who read what, and whether the log is whole.", no_args_is_help=True)

LogNumber = Annotated[int, Option("--log", min=0, max=2**32 - 1, help="Which of the custodian's logs on chain.")]
Keeper = Annotated[str, Option("--of", metavar="ADDRESS", help="The custodian whose log it is, by its identity.")]
Database = Annotated[str, Option(metavar="FILE|URL", help="Where the custodian keeps it.")]


@app.command("open", epilog="Example: medproof access open 0x… --keystore clinic.json")
@expanded
def open_log(
    key: Annotated[str, Argument(metavar="SIGNER", help="The account whose key will sign promises.")],
    who: KeyOptions,
    chain: ChainOptions,
    log: LogNumber = 0,
) -> None:
    """Open an access log on chain, once: its promises count by this key, for good. Use it for nothing else."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    signing = account("SIGNER", key)
    receipt = suite.access_log.open(log, signing, sender=party(who))
    output.document({"log": log, "signer": signing, "block": receipt.block, "transaction": receipt.transaction})
    output.say(f"Log {log} is open: {signing} signs its promises. Block {receipt.block}: {receipt.transaction}.")


@app.command("log", epilog="Example: medproof access log --from 0x…=https://records.example.org --wallet seed.txt")
@expanded
def show(
    gatekeepers: Annotated[
        list[str],
        Option("--from", metavar="[CUSTODIAN=]URL", help="Where the custodian's gatekeeper is; repeat it for several."),
    ],
    who: SubjectOptions,
    chain: ChainOptions,
    since: Annotated[str, Option(metavar="DATE", help="Only what was asked for on this day (UTC) or later.")] = "",
) -> None:
    """Show who asked for a patient's records, when, under which rule, and where the glass was broken.

    With a wallet and CUSTODIAN=URL for each custodian: over all of its pseudonyms. Every entry is checked.
    """
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    first = day("--since", since) if since else date.min
    rows: list[tuple[str, str, Access, bool]] = []
    for origin, by, subject in output.each([*_sources(suite, gatekeepers, who, output)], "Asking gatekeepers"):
        with _client(origin, suite, by) as client:
            for one in client.accesses(subject):
                if one.access is not None and one.access.when.astimezone(UTC).date() >= first:
                    rows.append((origin, one.promise.custodian, one.access, one.anchored))
    rows.sort(key=lambda row: row[2].when)
    output.document([_access_document(*row) for row in rows])
    output.table(
        ("when", "who", "did", "records", "why", "on chain"),
        (
            (
                one.when.strftime("%Y-%m-%d %H:%M:%S"),
                one.party or one.account,
                one.action if one.permitted else f"{one.action}, refused",
                str(len(one.records)),
                _why(one),
                "yes" if anchored else "not yet",
            )
            for _, _, one, anchored in rows
        ),
        empty="Nobody has asked for these records" + (f" since {first}." if since else "."),
    )
    if broken := sum(one.break_glass for _, _, one, _ in rows):
        output.say(f"The glass was broken {broken} times; see medproof emergency list.", style="bold red")


@app.command(epilog="Example: medproof access export copy.jsonl --store records.db --master-key master.key --of 0x…")
@expanded
def export(
    file: Annotated[Path, Argument(metavar="FILE", help="Where the copy goes.", show_default=False)],
    store: Database,
    master_key: Annotated[Path, Option(metavar="FILE", help="The store's master key.")],
    of: Keeper,
    chain: ChainOptions,
    log: LogNumber = 0,
) -> None:
    """Write a copy of a custodian's whole log for an auditor: one line of JSON an entry, as secret as the log."""
    from medproof.access.entry_log import EntryLog
    from medproof.store import KeyRing, MasterKey

    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    keys, domain = KeyRing(MasterKey.from_file(master_key)), suite.access_log.domain
    found = EntryLog(database_at(store), keys, custodian=account("--of", of), domain=domain, number=log)
    try:
        lines: list[str] = []
        with output.progress("Reading entries", found.leaves.size) as advance:
            for line in found.lines():
                lines.append(line.to_text())
                advance(len(lines))
        output.write(file, "\n".join(lines))
    finally:
        found.close()
    output.document({"file": str(file), "entries": len(lines)})
    output.say(f"Written to {file}: {len(lines)} entries.")


@app.command(epilog="Example: medproof access verify copy.jsonl --of 0x… --promises kept.jsonl")
@expanded
def verify(
    of: Keeper,
    chain: ChainOptions,
    who: KeyOptions,
    file: Annotated[Path | None, Argument(metavar="[FILE]", help="A copy of the log.", show_default=False)] = None,
    gatekeeper: Annotated[
        str | None, Option("--from", metavar="URL", help="Or the gatekeeper, which proves that the log only grew.")
    ] = None,
    promises: Annotated[Path | None, Option(metavar="FILE", help="Promises that a reader kept.")] = None,
    log: LogNumber = 0,
) -> None:
    """Check a log against the chain and against promises, and name the first entry that is not as it was.

    Exit code 0 where all is well, else 1.
    """
    if file is None and gatekeeper is None:
        raise OptionError("FILE", "is missing", "Name a copy of the log, or its gatekeeper with --from.")
    output, suite, custodian = Output(as_json=chain.as_json), open_suite(chain), account("--of", of)
    said: JsonObject = {"custodian": custodian, "log": log}
    well = True
    if gatekeeper is not None:
        well = _verify_growth(output, suite, gatekeeper, _who(who), custodian, log, said)
    if file is not None:
        well = _verify_copy(output, suite, file, promises, custodian, log, said) and well
    output.document({**said, "whole": well})
    if not well:
        raise typer.Exit(ANSWER_NO)


@app.command(epilog="Example: medproof access complain --promises kept.jsonl --from https://… --keystore me.json")
@expanded
def complain(
    promises: Annotated[Path, Option(metavar="FILE", help="Promises that were kept.")],
    who: KeyOptions,
    relaying: RelayOptions,
    chain: ChainOptions,
    gatekeeper: Annotated[
        str | None, Option("--from", metavar="URL", help="The gatekeeper: what it proves is not complained of.")
    ] = None,
    confirmed: Annotated[bool, Option("--yes", help="Complain without being asked.")] = False,
) -> None:
    """Complain on chain of promises that are due and not kept. The custodian answers with a proof, or cannot."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    there = _proved(suite, gatekeeper, _who(who)) if gatekeeper is not None else frozenset()
    open_: list[Promise] = []
    for promise in output.each([*PromiseFile(promises)], "Checking promises"):
        promise.verify(suite)
        filed = suite.access_log.complaint(promise.custodian, promise.entry, log=promise.log)
        if promise.entry not in there and filed is None and promise.due < suite.chain.timestamp():
            open_.append(promise)
    if not open_:
        output.document({"complaints": []})
        output.say("Nothing to complain of: what was promised is there, complained of already, or not due yet.")
        return
    by = sender(relaying) or party(who)
    if not confirmed:
        output.confirm(f"Complain of {len(open_)} promises?")
    filed_now: list[Json] = []
    for promise in output.each(open_, "Complaining"):
        receipt = suite.access_log.complain(
            promise.custodian, promise.log, promise.entry, promise.due, promise.signature, sender=by
        )
        filed_now.append({**promise.to_json(), "transaction": receipt.transaction})
    output.document({"complaints": filed_now})
    output.say(f"Complained of {len(open_)}. See medproof access complaints.")


@app.command(epilog="Example: medproof access complaints --of 0x…")
@expanded
def complaints(of: Keeper, chain: ChainOptions, log: LogNumber = 0) -> None:
    """List the complaints about a custodian's log: exit code 1 where one is not answered."""
    output, suite, custodian = Output(as_json=chain.as_json), open_suite(chain), account("--of", of)
    rows: list[tuple[str, str, str]] = []
    for event in suite.access_log.complaints(custodian, log=log):
        entry = bytes(event.arguments["entry"])
        found = suite.access_log.complaint(custodian, entry, log=log)
        answered = found.answered.isoformat() if found is not None and found.answered is not None else ""
        rows.append((f"0x{entry.hex()}", str(event.arguments["reader"]), answered))
    output.document([{"entry": entry, "reader": reader, "answered": said or None} for entry, reader, said in rows])
    output.table(
        ("entry", "by", "answered"), ((*row[:2], row[2] or "no") for row in rows), empty="Nobody has complained."
    )
    if not all(answered for _, _, answered in rows):
        raise typer.Exit(ANSWER_NO)


@app.command(epilog="Example: medproof access answer --store records.db --of 0x… --relay-as clinic.json")
@expanded
def answer(store: Database, of: Keeper, relaying: RelayOptions, chain: ChainOptions, log: LogNumber = 0) -> None:
    """Answer all complaints about a log with proofs for what was anchored last: exit code 1 where one cannot be."""
    from medproof.anchoring import LeafLog

    output, suite, custodian = Output(as_json=chain.as_json), open_suite(chain), account("--of", of)
    by = sender(relaying)
    if by is None:
        raise OptionError("--relay-as", "is missing", "Name who sends the answers and pays for them.")
    leaves = LeafLog(database_at(store), number=log)
    try:
        state = suite.batch_anchor.latest(custodian, log=log)
        size, done, missing = state.size if state else 0, 0, 0
        for event in suite.access_log.complaints(custodian, log=log):
            entry = bytes(event.arguments["entry"])
            found = suite.access_log.complaint(custodian, entry, log=log)
            if found is None or found.answered is not None:
                continue
            index = leaves.find(entry)
            if index is None or index >= size:
                missing += 1
                continue
            proof = leaves.inclusion_proof(index, size)
            suite.access_log.answer(custodian, log, entry, index, proof, sender=by)
            done += 1
    finally:
        leaves.close()
    output.document({"answered": done, "not_anchored": missing})
    output.say(f"Answered {done}; {missing} are not in the log as it was anchored last.")
    if missing:
        raise typer.Exit(ANSWER_NO)


# -- who, and where ----------------------------------------------------------------------------------------------


def _sources(
    suite: MedProof, gatekeepers: list[str], who: SubjectOptions, output: Output
) -> Iterator[tuple[str, Signer, str]]:
    """Each gatekeeper to ask, who asks there, and about which subject."""
    named = dict(one.split("=", 1) for one in gatekeepers if "=" in one)
    if len(named) < len(gatekeepers):
        by, subject = acting(who)
        yield from ((origin, by, subject) for origin in gatekeepers if "=" not in origin)
        return
    origins = {account("--from", custodian): origin for custodian, origin in named.items()}
    wallet = Wallet(phrase(who.wallet))
    with output.progress("Finding pseudonyms", 0) as advance:
        for found in recover(suite, wallet, progress=lambda done, _: advance(done)):
            if found.custodian in origins:
                by = wallet.pseudonym(found.custodian, relationship=found.number)
                yield origins[found.custodian], by, found.subject


def _who(who: KeyOptions) -> Signer:
    return signer(SubjectOptions(keystore=who.keystore, password_file=who.password_file))


def _client(origin: str, suite: MedProof, by: Signer) -> GatekeeperClient:
    from medproof.gateway.client import GatekeeperClient
    from medproof.gateway.signature import Claims

    return GatekeeperClient(origin, suite, by, claims=Claims())


# -- verifying ---------------------------------------------------------------------------------------------------


def _verify_growth(
    output: Output, suite: MedProof, origin: str, by: Signer, custodian: str, log: int, said: JsonObject
) -> bool:
    """Whether each batch on chain only added to the one before, as the gatekeeper proves it."""
    with _client(origin, suite, by) as client:
        try:
            said["batches"] = suite.batch_anchor.audit(custodian, client.prove_growth, log=log)
        except MerkleProofError as error:
            said["growth"] = str(error)
            output.say(str(error), style="red")
            return False
    output.say(f"The log only grew: {said['batches']} batches follow each other.", style="green")
    return True


def _verify_copy(
    output: Output, suite: MedProof, file: Path, promises: Path | None, custodian: str, log: int, said: JsonObject
) -> bool:
    """Whether a copy of the log is whole; what is found is said."""
    key = suite.access_log.signer(custodian, log=log)
    if key is None:
        raise OptionError("--of", f"is {custodian}, and its log {log} was never opened", "Check custodian and log.")
    lines: list[LogLine] = [*read_lines(file.read_bytes().splitlines())]
    with output.progress("Checking signatures", len(lines)) as advance:
        done = 0

        @cache
        def signed(promise: Promise) -> bool:
            nonlocal done
            done += 1
            advance(done)
            return promise.is_by(suite, key)

        report = verify_log(
            lines,
            custodian=custodian,
            log=log,
            batches=suite.batch_anchor.batches(custodian, log=log),
            signed=signed,
            now=int(time.time()),
            promises=() if promises is None else PromiseFile(promises),
        )
    finding = report.finding
    said |= {"entries": report.entries, "erased": report.erased, "anchored": report.anchored}
    said |= {"promises_kept": report.kept, "promises_pending": report.pending, "finding": None}
    if finding is not None:
        about: JsonObject = {"change": finding.change.name, "first": finding.first, "last": finding.last}
        said["finding"] = {**about, "why": finding.why}
        output.say(str(finding), style="red")
        return False
    output.say(f"Whole: {report.entries} entries, {report.anchored} of them anchored.", style="green")
    if report.erased:
        output.say(f"{report.erased} were erased: what they said is gone, and their places are as they were.")
    return True


def _proved(suite: MedProof, origin: str, by: Signer) -> frozenset[bytes]:
    """The entries about an account's own requests that are in the log as it was anchored."""
    with _client(origin, suite, by) as client:
        return frozenset(one.promise.entry for one in client.accesses() if one.anchored)


# -- showing -----------------------------------------------------------------------------------------------------


def _why(one: Access) -> str:
    """Why records were served, or none."""
    reasons = {}
    for record in one.records:
        ground = record.ground
        if ground.grantee is None:
            reasons[ground.reason] = "broke the glass" if ground.reason == "BREAK_GLASS" else ground.reason.lower()
        else:
            rule = f"rule {ground.index} for {grantee_name(ground.grantee)}, change {ground.sequence}"
            reasons[rule] = rule + (f", terms {ground.terms}" if ground.terms else "")
    return "; ".join(reasons.values()) or one.reason


def _access_document(origin: str, custodian: str, one: Access, anchored: bool) -> JsonObject:
    records: list[Json] = [
        {"pointer": f"0x{record.pointer.hex()}", **record.ground.to_json()} for record in one.records
    ]
    return {
        "when": one.when.astimezone(UTC).isoformat(),
        "gatekeeper": origin,
        "custodian": custodian,
        "account": one.account,
        "party": one.party,
        "action": one.action,
        "purposes": list(one.purposes.codes),
        "subject": one.subject,
        "permitted": one.permitted,
        "reason": one.reason,
        "break_glass": one.break_glass,
        "records": records,
        "block": one.block,
        "anchored": anchored,
    }

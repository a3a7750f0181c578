"""`medproof claims`: claims from files of FHIR and X12, where they stand on the chain, and their evidence."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from eth_utils.crypto import keccak
from typer import Argument, Option

from medproof import fhir, hashing
from medproof.claims.case import Case
from medproof.claims.claim import Claim
from medproof.claims.disclosure import paths
from medproof.claims.keyring import Keyring
from medproof.cli.cases import CaseFile, CaseFiles, all_cases, file_for, load_case, naming_key, new_case, on_this_chain
from medproof.cli.documents import time_text
from medproof.cli.options import ChainOptions, KeyOptions, expanded
from medproof.cli.output import ANSWER_NO, Output
from medproof.cli.rules import day
from medproof.cli.session import identity, known_block, open_suite, party
from medproof.client import MedProof
from medproof.client.claim_anchor import AnchoredClaim, ClaimState, ClaimStatus, Outcome, Rules
from medproof.decoding import Event
from medproof.errors import JsonError, MedProofError, OptionError, RecordError
from medproof.hashing import JsonObject

if TYPE_CHECKING:  # the commands run without the extra until they need it
    from medproof.claims.logged import LoggedEvent

__all__ = ["app"]

app = typer.Typer(help="Claims: submitted, decided and settled by agreement, each service once.", no_args_is_help=True)

_INTERCHANGE = b"ISA"  # how an X12 file begins
_ARCHIVE = b"PK\x03"  # how a zip file begins
_DATES = ("start", "end")  # what an auditor needs to see that the rules were in force
_Days = Annotated[int, Option(min=0, max=65535, metavar="DAYS", help="0 for no deadline.")]


@app.command("import", epilog="Example: medproof claims import bundle.json claims.edi --into cases")
@expanded
def import_claims(
    files: Annotated[list[Path], Argument(metavar="FILE…", help="FHIR R4 (JSON) or X12 5010 837.", show_default=False)],
    into: Annotated[Path, Option(metavar="FOLDER", help="Where each claim becomes a case, a file for you alone.")],
    as_json: Annotated[bool, Option("--json", help="Print one JSON document instead.")] = False,
) -> None:
    """Make a case of each claim in files, and print the cases' names. What is there already stays as it is, so that the
    same command may be repeated, also after Ctrl-C. Exit code 1 where a claim is refused (all others are taken), or
    where no file holds any."""
    output = Output(as_json=as_json)
    into.mkdir(mode=0o700, parents=True, exist_ok=True)
    added: list[Path] = []
    before: list[Path] = []
    refused: list[tuple[Path, str]] = []
    empty: list[Path] = []
    for path in output.each(files, "Reading"):
        seen = len(added) + len(before) + len(refused)
        for one in _claims(path):
            if isinstance(one, str):
                refused.append((path, one))
            elif new_case(output, place := into / file_for(one, naming_key(output, into)), Case.open(one)):
                added.append(place)
            else:
                before.append(place)
        if seen == len(added) + len(before) + len(refused):
            empty.append(path)
    output.document(
        {
            "added": [str(path) for path in added],
            "unchanged": [str(path) for path in before],
            "refused": [{"file": str(path), "why": why} for path, why in refused],
            "empty": [str(path) for path in empty],
        }
    )
    for place in (*added, *before):
        output.say(str(place))
    output.aside(f"{len(added)} new cases in {into}, {len(before)} were there already, {len(refused)} refused.")
    for path, why in refused:
        output.aside(f"{path}: {why}")
    for path in empty:
        output.aside(f"{path}: It holds no claim. Give FHIR Claim resources, alone or in a Bundle, or an X12 837.")
    if refused or len(empty) == len(files):
        raise typer.Exit(ANSWER_NO)


def _claims(path: Path) -> Iterator[Claim | str]:
    """The claims of a file, or why one cannot be taken."""
    try:
        with path.open("rb") as file:
            begins = file.read(len(_INTERCHANGE))
        if begins == _ARCHIVE:
            yield "It is a zip archive: unpack it, and name the files."
            return
        if begins == _INTERCHANGE:
            from medproof import x12  # here, so that the other commands run without the extra

            yield from x12.read_claims(path)
            return
        for resource in fhir.records(fhir.load(path)):
            if resource.resource_type == "Claim":
                try:
                    yield fhir.read_claim(resource)
                except MedProofError as error:
                    yield str(error)
    except (RecordError, JsonError) as error:
        yield str(error)


@app.command(epilog="Example: medproof claims status cases")
@expanded
def status(cases: CaseFiles, chain: ChainOptions) -> None:
    """Show where claims stand, who owes the next step and until when."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    paths = list(all_cases(cases))
    rows = [_standing(suite, path, load_case(path)) for path in output.each(paths, "Asking")]
    output.document({"cases": [*rows]})
    columns = ("case", "claim", "status", "outcome", "since", "owes the next step", "until", "appeal until")
    names = ("case", "number", "status", "outcome", "since", "owed_by", "due", "appeal_until")
    output.table(columns, ([str(row[name] or "") for name in names] for row in rows), empty="No cases.")


def _standing(suite: MedProof, path: Path, case: Case) -> JsonObject:
    row: JsonObject = dict.fromkeys(
        ("claim", "outcome", "since", "paid", "late", "rules", "owed_by", "due", "appeal_from", "appeal_until")
    )
    number = None if case.claim is None else case.claim.number  # none once it was erased
    row |= {"case": str(path), "number": number, "status": "not submitted"}
    if case.anchor is None:
        return row
    claim = on_this_chain(suite, path, case).anchored().claim
    state = suite.claim_anchor.state(claim)
    if state.status is ClaimStatus.NONE:
        return {**row, "status": "in a batch"} if suite.claim_anchor.waits(claim.nullifier) else row
    due, appeal = suite.claim_anchor.due(claim), suite.claim_anchor.appeal_time(claim)
    return {
        **row,
        "claim": f"0x{claim.id.hex()}",
        **_state(state),
        "owed_by": None if due is None else _role(claim, due.party),
        "due": None if due is None else _time(due.until),
        "appeal_from": None if appeal is None else _time(appeal[0]),
        "appeal_until": None if appeal is None else _time(appeal[1]) or "no end",
    }


def _state(state: ClaimState) -> JsonObject:
    return {
        "status": state.status.name.lower(),
        "outcome": None if state.outcome is Outcome.NONE else state.outcome.name.lower(),
        "since": _time(state.since),
        "paid": state.paid,
        "late": state.late,
        "rules": state.rules,
    }


def _submitted(event: Event) -> AnchoredClaim:
    said = event.arguments
    return AnchoredClaim(
        provider=said["provider"],
        payer=said["payer"],
        commitment=bytes(said["commitment"]),
        nullifier=bytes(said["nullifier"]),
        patient=said["patient"],
        registration=bytes(said["registration"]),
        soft_key=bytes(said["softKey"]),
    )


def _role(claim: AnchoredClaim, who: str) -> str:
    return next((role for role in ("provider", "payer", "patient") if getattr(claim, role) == who), who)


def _time(seconds: int | None) -> str | None:
    return None if seconds is None else time_text(datetime.fromtimestamp(seconds, UTC))


@app.command(epilog="Example: medproof claims stats --payer 0x…")
@expanded
def stats(
    chain: ChainOptions,
    cases: Annotated[
        list[Path] | None, Argument(metavar="CASE…", help="Of these alone; of the whole chain otherwise.")
    ] = None,
    provider: Annotated[str | None, Option(metavar="ADDRESS", help="Of this provider's claims.")] = None,
    payer: Annotated[str | None, Option(metavar="ADDRESS", help="Of this payer's claims.")] = None,
) -> None:
    """Count claims by status and outcome: those of cases, or all that have a slot on the chain."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    if cases and (provider or payer):
        step = "Count cases, or the claims of a party."
        raise OptionError("--payer", "or --provider is given beside cases", step)
    if cases:
        paths = list(all_cases(cases))
        rows = [_standing(suite, path, load_case(path)) for path in output.each(paths, "Asking")]
    else:
        wanted = {"provider": provider, "payer": payer}
        filters = {role: identity(suite, f"--{role}", who) for role, who in wanted.items() if who is not None}
        found = list(suite.claim_anchor.events("ClaimSubmitted", filters=filters))
        rows = [_state(suite.claim_anchor.state(_submitted(event))) for event in output.each(found, "Asking")]
    counted = Counter((str(row["status"]), str(row["outcome"] or "")) for row in rows)
    late = sum(bool(row["late"]) for row in rows)
    shown: list[JsonObject] = [
        {"status": state, "outcome": outcome or None, "claims": counted[state, outcome]}
        for state, outcome in sorted(counted)
    ]
    output.document({"claims": len(rows), "late": late, "by_status": [*shown]})
    output.table(
        ("status", "outcome", "claims"),
        ((str(one["status"]), str(one["outcome"] or ""), f"{one['claims']:,}") for one in shown),
        empty="No claims.",
    )
    output.say(f"{len(rows):,} claims, {late:,} of them with a step that their payer took late.")


@app.command(epilog="Example: medproof claims audit a.case --show total --rules plan.json --out evidence.json")
@expanded
def audit(
    case: CaseFile,
    chain: ChainOptions,
    out: Annotated[Path, Option(metavar="FILE", help="Where the evidence goes.")],
    show: Annotated[
        list[str] | None, Option(metavar="PATH", help="A field of the claim to disclose, such as lines[0].service.")
    ] = None,
    show_response: Annotated[
        list[str] | None, Option(metavar="PATH", help="A field of the payer's response to disclose, such as outcome.")
    ] = None,
    whole: Annotated[
        bool, Option("--whole", help="Disclose all of the claim and the response: who has the plan decides it again.")
    ] = False,
    dates: Annotated[
        bool, Option("--dates/--no-dates", help="Disclose the dates of service, by which rules are in force.")
    ] = True,
    rules: Annotated[Path | None, Option(metavar="FILE", help="The text of the rules that the claim names.")] = None,
    block: Annotated[int | None, Option(min=0, help="As of this block; the newest otherwise.")] = None,
    log: Annotated[Path | None, Option(metavar="FILE", help="A clearing house's log with events of the claim.")] = None,
) -> None:
    """Write a claim's evidence: all that a stranger needs to verify its history off line (medproof verify)."""
    # Here, so that the other commands run without the extra.
    from medproof.claims.audit import collect

    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    held = on_this_chain(suite, case, load_case(case))
    shown = [*(_DATES if dates and held.claim else ()), *(show or ())]
    answered = [*(show_response or ())]
    if whole:
        shown, answered = _all_paths(suite, held)
    evidence = collect(
        suite,
        held,
        shown=shown,
        answered=answered,
        rules_text=None if rules is None else _rules_text(rules),
        block=known_block(suite, block),
        log=() if log is None else _logged(suite, log, held),
    )
    output.write(out, json.dumps(evidence.to_json()))
    header = evidence.state.header
    output.document(
        {
            "file": str(out),
            "claim": f"0x{evidence.claim.id.hex()}",
            "block": header.number,
            "block_hash": header.hash,
            "steps": len(evidence.steps),
            "shown": [*shown],
        }
    )
    output.say(f"Written to {out}: {len(evidence.steps)} transactions, as of block {header.number}.")
    output.say(f"Whoever knows that block's hash, {header.hash}, verifies it with no node: medproof verify {out}")


def _all_paths(suite: MedProof, held: Case) -> tuple[list[str], list[str]]:
    """Every field of the claim, and of the response that the chain has."""
    bill, _ = held.content()
    response = held.response_for(suite.claim_anchor.state(held.anchored().claim).response)
    return [*paths(bill)], [*paths(response.content)] if response else []


def _logged(suite: MedProof, path: Path, held: Case) -> list[LoggedEvent]:
    # Here, so that the other commands run without the extra.
    from medproof.claims.event_log import ClaimEventLog
    from medproof.claims.logged import logged

    if not path.is_file():
        raise OptionError("--log", f"is {path}, and there is no such file", "Name the clearing house's log.")
    log = ClaimEventLog(path)
    try:
        return list(logged(suite, log, held.anchored().claim.commitment))
    finally:
        log.close()


@app.command("rules", epilog="Example: medproof claims rules plan.json --from 2030-01-01 --keystore payer.json")
@expanded
def publish_rules(
    file: Annotated[Path, Argument(metavar="FILE", help="The rules' text, or a plan.", show_default=False)],
    who: KeyOptions,
    chain: ChainOptions,
    starts: Annotated[str, Option("--from", metavar="DAY", help="The first day of service that they govern.")],
    until: Annotated[str | None, Option(metavar="DAY", help="The first that they govern no more.")] = None,
    plan: Annotated[int, Option(min=0, max=2**32 - 1, help="The payer's number for the plan.")] = 0,
    patient_signs: Annotated[bool, Option("--patient-signs", help="A settlement needs the patient.")] = False,
    registered: Annotated[
        bool, Option("--registered", help="A claim needs a registered encounter or prescription.")
    ] = False,
    days_to_decide: _Days = 0,
    days_to_answer: _Days = 0,
    days_to_appeal: _Days = 0,
    days_to_decide_appeal: _Days = 0,
    days_to_settle: _Days = 0,
) -> None:
    """Publish the hash of adjudication rules, as their payer. The same again is said, and not sent."""
    output, suite, by = Output(as_json=chain.as_json), open_suite(chain), party(who)
    rules = Rules(
        hash=keccak(_rules_text(file)),
        valid_from=day("--from", starts),
        valid_until=None if until is None else day("--until", until),
        plan=plan,
        patient_signs=patient_signs,
        registered=registered,
        days_to_decide=days_to_decide,
        days_to_answer=days_to_answer,
        days_to_appeal=days_to_appeal,
        days_to_decide_appeal=days_to_decide_appeal,
        days_to_settle=days_to_settle,
    )
    payer = identity(suite, "--keystore", by.address)
    standing = suite.claim_anchor.rules_in_force(payer, plan, rules.valid_from)
    same = standing is not None and standing == Rules(**{**vars(rules), "number": standing.number})
    number = standing.number if standing is not None and same else suite.claim_anchor.publish_rules(rules, sender=by)
    output.document({"number": number, "hash": f"0x{rules.hash.hex()}", "payer": payer, "unchanged": same})
    output.say(f"Rules {number} of {payer} {'stand already' if same else 'are published'}, hash 0x{rules.hash.hex()}.")


@app.command("keyring", epilog="Example: medproof claims keyring consortium.keys")
@expanded
def new_keyring(
    file: Annotated[Path, Argument(metavar="FILE", help="A new file.", show_default=False)],
) -> None:
    """Make the consortium's keys for nullifiers: all its members need the same, and nobody else may have them."""
    Keyring.create().save(file, new=True)
    Output(as_json=False).say(f"Written to {file}. Give it to the consortium's members alone (medproof message seal).")


def _rules_text(path: Path) -> bytes:
    """What is hashed of rules: the canonical form where they are JSON, as a plan is, else the file as it stands."""
    content = path.read_bytes()
    try:
        return hashing.canonical(hashing.parse(content))
    except JsonError:
        return content

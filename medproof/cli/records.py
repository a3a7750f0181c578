"""`medproof records`: records at custodians and their pointers on chain, for who posts, reads and holds them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from eth_utils.crypto import keccak
from typer import Argument, Option

from medproof import fhir, hashing
from medproof.access import PromiseFile
from medproof.cli import documents
from medproof.cli.custodians import Gatekeepers, asking
from medproof.cli.options import ChainListOptions, ChainOptions, KeyOptions, SubjectOptions, WalletOptions, expanded
from medproof.cli.output import ANSWER_NO, Output
from medproof.cli.rules import codes
from medproof.cli.session import account, open_suite, phrase, read_text, signer, subject
from medproof.client import MedProof
from medproof.errors import GatekeeperRefusalError, JsonError, OptionError, RecordError, UnprovedRecordError
from medproof.fhir import Resource
from medproof.hashing import JsonObject
from medproof.policy.codes import Action, Purpose, ResearchUse
from medproof.signing import Signer
from medproof.timeline import Entry, timeline
from medproof.wallet import Wallet

if TYPE_CHECKING:
    from medproof.gateway import Fetched, GatekeeperClient
    from medproof.gateway.client import ListedPointer

__all__ = ["app"]

app = typer.Typer(help="Records at custodians, and their pointers on chain.", no_args_is_help=True)

_REFUSED = (409, 413, 415, 422)  # of the one record; others may be taken

Gatekeeper = Annotated[
    str,
    Option("--gatekeeper", metavar="URL", envvar="MEDPROOF_GATEKEEPER", help="Where the custodian's gatekeeper is."),
]
Codes = list[str] | None


@app.command(epilog="Example: medproof records post *.json --subject 0x… --gatekeeper https://… --keystore app.json")
@expanded
def post(
    files: Annotated[list[Path], Argument(metavar="FILE…", help="FHIR R4 records, one a file.", show_default=False)],
    writer: KeyOptions,
    chain: ChainOptions,
    gatekeeper: Gatekeeper,
    whose: Annotated[str, Option("--subject", metavar="ADDRESS", help="The patient's pseudonym with the custodian.")],
) -> None:
    """Post records as a writer of the custodian's; the same again is taken once. Exit code 1 where one is refused."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    by, to = _key(writer), account("--subject", whose)
    given = [(path, _record(path)) for path in files]  # all of them, before anything is sent
    rows: list[JsonObject] = []
    with _client(gatekeeper, suite, by) as client:
        for path, record in output.each(given, "Posting"):
            rows.append({"file": str(path), **_posted(client, to, record)})
    output.document({"subject": to, "records": [*rows]})
    output.table(
        ("file", "record", "pointer"),
        (
            (
                str(row["file"]),
                str(row["record"] or "refused"),
                str(row["pointer"] or f"{row['refused']}: {row['said']}"),
            )
            for row in rows
        ),
        empty="No records.",
    )
    if any(row["refused"] for row in rows):
        raise typer.Exit(ANSWER_NO)


def _record(path: Path) -> Resource:
    try:
        return fhir.load(path)
    except (RecordError, JsonError) as error:
        raise OptionError(str(path), "cannot be posted, and nothing was", str(error)) from error


def _posted(client: GatekeeperClient, to: str, record: Resource) -> JsonObject:
    """What became of one record; its content is its key, so that it is taken once."""
    try:
        taken = client.create(to, record, key=keccak(hashing.canonical(record.content)).hex())
    except GatekeeperRefusalError as refusal:
        if refusal.status not in _REFUSED:
            raise
        return {"record": None, "pointer": None, "refused": refusal.code, "said": str(refusal)}
    name = f"{taken.record.resource_type}/{taken.record.id}"
    return {"record": name, "pointer": f"0x{taken.pointer.hex()}", "refused": None}


@app.command("list", epilog="Example: medproof records list --wallet seed.txt --custodian 0x… --gatekeeper https://…")
@expanded
def list_pointers(
    who: SubjectOptions,
    chain: ChainListOptions,
    gatekeeper: Annotated[
        str | None,
        Option(metavar="URL", envvar="MEDPROOF_GATEKEEPER", help="Ask it, too: what is in batches it alone knows."),
    ] = None,
) -> None:
    """List a subject's pointers: what the chain shows, and with --gatekeeper what the custodian lists besides."""
    output, suite = Output(as_json=chain.as_json, as_csv=chain.as_csv), open_suite(chain)
    whose = subject(who)
    listed: list[ListedPointer] = []
    if gatekeeper is not None:
        with _client(gatekeeper, suite, signer(who)) as client:
            listed = [*client.pointers(whose)]
    keys = [*suite.record_pointers.keys_of(whose)]
    shown = {key: suite.record_pointers.pointer(key) for key in output.each(keys, "Reading pointers")}
    urls = {one.pointer.key: one.record for one in listed}
    rows = [
        {**documents.pointer_document(one), "record": urls.get(one.key)}
        for one in {**{one.pointer.key: one.pointer for one in listed}, **shown}.values()
        if one is not None
    ]
    output.document({"subject": whose, "pointers": [*rows]})
    output.table(
        ("pointer", "class", "custodian", "status", "version", "on chain", "record"),
        (
            (
                *(str(row[name]) for name in ("pointer", "class", "custodian", "status", "version")),
                "itself" if row["place"] is None else "in a batch",
                str(row["record"] or ""),
            )
            for row in rows
        ),
        empty=f"The chain shows no pointers of {whose}." if gatekeeper is None else f"{whose} has no pointers.",
    )


@app.command("timeline", epilog="Example: medproof records timeline --wallet seed.txt --gatekeeper 0x…=https://…")
@expanded
def show_timeline(who: WalletOptions, chain: ChainListOptions, gatekeeper: Gatekeepers = None) -> None:
    """Show all that happened with all custodians, oldest first: only the seed phrase joins them."""
    output, suite = Output(as_json=chain.as_json, as_csv=chain.as_csv), open_suite(chain)
    mine, total = Wallet(phrase(who.wallet)), len(suite.registrar.parties())
    with asking(suite, gatekeeper) as listings, output.progress("Trying custodians", total) as advance:
        found = [*timeline(suite, mine, listings=listings, progress=lambda done, _: advance(done))]
    rows = [_entry_document(one) for one in found]
    output.document({"entries": [*rows]})
    output.table(
        ("when", "custodian", "event", "class", "pointer"),
        ([str(row[name] or "") for name in ("time", "custodian", "event", "class", "pointer")] for row in rows),
        empty="Nothing is on the chain about this wallet.",
    )


def _entry_document(entry: Entry) -> JsonObject:
    return {
        "time": documents.time_text(entry.when),
        "custodian": entry.custodian,
        "relationship": entry.relationship,
        "event": entry.event.name,
        "class": entry.data_class.code if entry.data_class else None,
        "pointer": f"0x{entry.pointer.id.hex()}" if entry.pointer else None,
        "block": entry.event.block,
        "transaction": entry.event.transaction,
    }


@app.command(epilog="Example: medproof records verify Observation-1.json Observation-1.proof.json")
@expanded
def verify(
    record: Annotated[Path, Argument(metavar="RECORD", help="The record.", show_default=False)],
    proof: Annotated[Path, Argument(metavar="PROOF", help="Its proof, as fetch wrote it.", show_default=False)],
    chain: ChainOptions,
) -> None:
    """Whether a record is, to its last digit, what a pointer on chain commits to: exit code 0, or 1 where not."""
    from medproof.gateway.proof import Proof

    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    content = hashing.parse(record.read_bytes())
    try:
        if not isinstance(content, dict):
            raise UnprovedRecordError("record", "is no JSON object")
        found = Proof.read(read_text(proof)).verify(content, suite.record_pointers)
    except UnprovedRecordError as error:
        output.document({"holds": False, "field": error.field, "said": str(error)})
        output.say(f"Does not hold. {error}", style="red")
        raise typer.Exit(ANSWER_NO) from None
    output.document({"holds": True, **documents.pointer_document(found)})
    where = "in a batch of" if found.place else "of"
    output.say("Holds", style="green")
    output.say(f"Version {found.version}, {found.status.name.lower()}, by a pointer {where} {found.custodian}.")


@app.command(epilog="Example: medproof records fetch Observation/… --purpose TREAT --gatekeeper https://… --folder out")
@expanded
def fetch(
    what: Annotated[list[str], Argument(metavar="TYPE/ID…|TYPE", help="Records by id, or all of a type and subject.")],
    who: SubjectOptions,
    chain: ChainOptions,
    gatekeeper: Gatekeeper,
    folder: Annotated[Path, Option(metavar="FOLDER", help="Where records and proofs go.")] = Path(),
    purpose: Annotated[Codes, Option(metavar="CODE", help="What for, such as TREAT; all where none is given.")] = None,
    action: Annotated[Codes, Option(metavar="CODE", help="What is done with it, such as access.")] = None,
    research: Annotated[Codes, Option(metavar="CODE", help="Terms of DUO, for research.")] = None,
    promises: Annotated[
        Path | None, Option(metavar="FILE", help="Keep the access log's promises here, for medproof access complain.")
    ] = None,
) -> None:
    """Fetch records that one may have, check each against the chain, and write it with its proof."""
    from medproof.gateway import Claims

    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    claims = Claims(
        codes(Purpose, "--purpose", purpose) if purpose else Purpose.EMPTY,
        codes(Action, "--action", action) if action else Action.EMPTY,
        codes(ResearchUse, "--research", research) if research else ResearchUse.EMPTY,
    )
    rows: list[JsonObject] = []
    with _client(gatekeeper, suite, signer(who), claims, promises) as client:
        for one in output.each(what, "Fetching"):
            type_, _, id_ = one.partition("/")
            for fetched in [client.fetch(type_, id_)] if id_ else client.search(type_, subject(who)):
                rows.append(_written(output, folder, fetched))
    output.document({"records": [*rows]})
    output.table(
        ("record", "status", "why", "file", "proof"),
        ([str(row[name]) for name in ("record", "status", "reason", "file", "proof")] for row in rows),
        empty="There is nothing that you may have. A --purpose or --action that is not named is asked for in full.",
    )


def _written(output: Output, folder: Path, fetched: Fetched) -> JsonObject:
    """Write a record and its proof; their names are the record's own."""
    record, name = fetched.record, f"{fetched.record.resource_type}-{fetched.record.id}"
    file, proof = folder / f"{name}.json", folder / f"{name}.proof.json"
    folder.mkdir(parents=True, exist_ok=True)
    output.write(proof, fetched.proof.to_text())
    output.write(file, hashing.canonical(record.content).decode())
    return {
        "record": f"{record.resource_type}/{record.id}",
        "file": str(file),
        "proof": str(proof),
        "reason": fetched.proof.reason,
        **documents.pointer_document(fetched.pointer),
    }


# -- helpers -----------------------------------------------------------------------------------------------------


def _key(options: KeyOptions) -> Signer:
    return signer(SubjectOptions(keystore=options.keystore, password_file=options.password_file))


def _client(
    origin: str, suite: MedProof, by: Signer, claims: object = None, promises: Path | None = None
) -> GatekeeperClient:
    """A gatekeeper's client; its import needs the extra, which other commands run without."""
    from medproof.gateway import Claims, GatekeeperClient

    claimed = claims if isinstance(claims, Claims) else Claims()
    if promises is None:
        return GatekeeperClient(origin, suite, by, claims=claimed)
    return GatekeeperClient(origin, suite, by, claims=claimed, keep=PromiseFile(promises).add, insist=True)

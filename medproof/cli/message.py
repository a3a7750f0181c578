"""`medproof message`: seal, open, and read receipts."""

from __future__ import annotations

import json
import mimetypes
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from medproof import fhir, hashing
from medproof.cli import encryption
from medproof.cli.documents import time_text
from medproof.cli.encryption import EncryptionOptions, encryption_keys
from medproof.cli.options import ChainOptions, KeyOptions, expanded
from medproof.cli.output import ANSWER_NO, Output, harmless
from medproof.cli.sending import queued
from medproof.cli.session import account, database_at, known_block, open_suite, party, read_text
from medproof.client import MedProof
from medproof.errors import JsonError, OptionError, ReadReceiptError, RecordError
from medproof.hashing import Json, JsonObject
from medproof.signing import Signer

if TYPE_CHECKING:  # the commands run without the extra until they need it
    from medproof.sharing import Content, Envelope, Opened

__all__ = ["app"]

app = typer.Typer(help="Messages between parties that nobody between them can read.", no_args_is_help=True)
receipts = typer.Typer(help="Read receipts: anchored by the reader, verified by the sender.", no_args_is_help=True)
app.add_typer(encryption.app, name="key")
app.add_typer(receipts, name="receipt")

EnvelopeFile = Annotated[Path, Argument(metavar="ENVELOPE", help="A sealed message.", show_default=False)]
Gatekeeper = Annotated[
    str, Option(metavar="URL", envvar="MEDPROOF_GATEKEEPER", help="Where the custodian's gatekeeper is.")
]
ReceiptFile = Annotated[Path, Argument(metavar="RECEIPT", help="A read receipt.", show_default=False)]


@app.command(epilog="Example: medproof message seal report.pdf --to 0x… --keystore clinic.json --out envelope.json")
@expanded
def seal(
    file: Annotated[str, Argument(metavar="FILE", help="What it says; - reads a text.", show_default=False)],
    who: KeyOptions,
    chain: ChainOptions,
    to: Annotated[list[str], Option(metavar="ADDRESS|KEY", help="A party's identity, or a patient's key (mpk1…).")],
    out: Annotated[Path, Option(metavar="FILE", help="Where the envelope is written; keep a copy of it.")],
    media_type: Annotated[
        str | None,
        Option(metavar="TYPE", help="Such as image/png; by the file's name and content where none is named."),
    ] = None,
    proof: Annotated[
        Path | None, Option(metavar="FILE", help="Of a FHIR record: the proof that the gatekeeper gave with it.")
    ] = None,
    reply_to: Annotated[Path | None, Option(metavar="ENVELOPE", help="The message that it answers.")] = None,
    receipt: Annotated[bool, Option("--receipt", help="Ask for a read receipt.")] = False,
) -> None:
    """Encrypt and sign a file for parties and patients."""
    from medproof.sharing import read_key, seal

    content = _content(file, media_type, proof)
    earlier = None if reply_to is None else _envelope(reply_to)
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    recipients = [read_key(one) if not one.startswith("0x") else account("--to", one) for one in to]
    sealed = seal(suite, _signer(who), content, recipients, in_reply_to=earlier, receipt=receipt)
    output.write(out, sealed.to_json())
    output.document({"id": _hex(sealed.id), "file": str(out), "media_type": content.media_type})
    output.say(f"Sealed for {len(to)}, written to {out}: {content.media_type}, {_hex(sealed.id)}.")


@app.command("open", epilog="Example: medproof message open envelope.json --encryption-keys clinic.keys --reader 0x…")
@expanded
def open_message(
    envelope: EnvelopeFile,
    keys: EncryptionOptions,
    who: KeyOptions,
    chain: ChainOptions,
    reader: Annotated[
        str | None, Option(metavar="ADDRESS", help="Your party's identity; that of --keystore where none is named.")
    ] = None,
    out: Annotated[Path | None, Option(metavar="FILE", help="Where the content goes; a text is printed.")] = None,
    at: Annotated[
        int | None, Option(min=0, metavar="BLOCK", help="The block at which it came; the newest where none is named.")
    ] = None,
    receipt: Annotated[
        Path | None, Option(metavar="FILE", help="Where a read receipt goes, if one is asked for; needs --keystore.")
    ] = None,
) -> None:
    """Check a message's sender, recipients, time and records, and decrypt it."""
    from medproof.sharing import acknowledge, open_envelope
    from medproof.sharing.content import TEXT

    sealed, private = _envelope(envelope), encryption_keys(keys)
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    as_whom = None if keys.custodian is not None else _reader(suite, reader, who)
    block = known_block(suite, at)
    opened = open_envelope(suite, sealed, private, reader=as_whom, at="latest" if block is None else block)
    if out is None and opened.content.media_type != TEXT:
        raise OptionError("--out", f"is missing, and it is {opened.content.media_type}", "Name a file.")
    signed = None
    if receipt is not None and sealed.heading.receipt:
        signed = acknowledge(suite, _signer(who), opened)
    if out is not None:
        output.write(out, opened.content.body)
    if receipt is not None and signed is not None:
        output.write(receipt, signed.to_json())
    _tell(output, opened, out, receipt if signed is not None else None)


@app.command(epilog="Example: medproof message bring envelope.json --gatekeeper https://… --keystore clinic.json")
@expanded
def bring(envelope: EnvelopeFile, who: KeyOptions, chain: ChainOptions, gatekeeper: Gatekeeper) -> None:
    """Leave a sealed message at the gatekeeper of the custodian that it is for. It may be repeated."""
    from medproof.gateway.mailbox_client import MailboxClient

    sealed = _envelope(envelope)
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    with MailboxClient(gatekeeper, suite, _signer(who)) as mailbox:
        kept = mailbox.bring(sealed.to_json().encode())
    output.document({"message": _hex(sealed.id), "kept": kept})
    output.say(f"Kept at {gatekeeper}: {kept}.")


@app.command(epilog="Example: medproof message fetch inbox --gatekeeper https://… --keystore clinic.json --remove")
@expanded
def fetch(
    folder: Annotated[Path, Argument(metavar="FOLDER", help="Where envelopes are written.", show_default=False)],
    who: KeyOptions,
    chain: ChainOptions,
    gatekeeper: Gatekeeper,
    remove: Annotated[bool, Option("--remove", help="Remove each there once it is written here.")] = False,
) -> None:
    """Fetch what waits in the mailbox of your own gatekeeper; `message open` opens it."""
    from medproof.gateway.mailbox_client import MailboxClient

    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    folder.mkdir(exist_ok=True)
    written: list[Json] = []
    with MailboxClient(gatekeeper, suite, _signer(who)) as mailbox:
        for one in mailbox.waiting():
            path = folder / f"{one.id}.json"
            output.write(path, mailbox.fetch(one.id))
            if remove:
                mailbox.remove(one.id)
            written.append({"file": str(path), "sender": one.sender, "received": one.received})
            output.say(f"{path}: brought by {one.sender}, {one.received}.")
    output.document({"messages": written})
    if not written:
        output.say("Nothing waits.")


@receipts.command(
    epilog="Example: medproof message receipt anchor receipt.json --log receipts.db --keystore clinic.json"
)
@expanded
def anchor(
    file: ReceiptFile,
    who: KeyOptions,
    chain: ChainOptions,
    log: Annotated[str, Option(metavar="FILE|URL", help="Your log of receipts; made where there is none.")],
    number: Annotated[int, Option(min=0, max=2**32 - 1, help="Its number among your logs on the chain.")] = 2,
) -> None:
    """Anchor a receipt on chain through the reader's log, and write its inclusion proof into it. It may be repeated."""
    from medproof.anchoring import LeafLog
    from medproof.sharing import ReadReceipt, anchor

    given = ReadReceipt.from_json(read_text(file))
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    sender = party(who)
    leaves = LeafLog(database_at(log), number=number)
    with closing(leaves), queued(suite, sender, leaves.database.file) as by:
        anchored = anchor(suite, given, leaves, by)
    output.write(file, anchored.to_json())
    at = anchored.inclusion
    output.document(json.loads(anchored.to_json()))
    if at is not None:
        output.say(f"Anchored as leaf {at.index} of batch {at.batch}. Send {file} back to the sender.")


@receipts.command(epilog="Example: medproof message receipt verify receipt.json --envelope envelope.json")
@expanded
def verify(
    file: ReceiptFile,
    chain: ChainOptions,
    envelope: Annotated[Path, Option(metavar="FILE", help="The message that was sent, as you kept it.")],
) -> None:
    """Check a receipt against the chain: exit code 0, or 1 where it does not show that the message was read."""
    from medproof.sharing import ReadReceipt, verify

    given, sent = ReadReceipt.from_json(read_text(file)), _envelope(envelope)
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    about: JsonObject = {"message": _hex(given.message), "reader": given.reader, "read": _moment(given.read_at)}
    try:
        found = verify(suite, given, sent)
    except ReadReceiptError as error:
        output.document({**about, "shown": False, "why": str(error)})
        output.say(str(error), style="red")
        raise typer.Exit(ANSWER_NO) from None
    output.document({**about, "shown": True, "block": found.block, "anchored": time_text(found.at)})
    output.say(
        f"{given.reader} read it, by its word at {_moment(given.read_at)}, and by the chain before "
        f"{time_text(found.at)} (block {found.block})."
    )


# -- helpers -----------------------------------------------------------------------------------------------------


def _content(file: str, media_type: str | None, proof: Path | None) -> Content:
    from medproof.sharing import Content
    from medproof.sharing.content import FHIR, TEXT

    body = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    if media_type is None:
        guessed = TEXT if file == "-" else mimetypes.guess_type(file)[0] or "application/octet-stream"
        media_type = TEXT if guessed == "text/plain" else FHIR if _is_record(body) else guessed
    return Content(media_type, body, "" if proof is None else read_text(proof).strip())


def _is_record(body: bytes) -> bool:
    try:
        fhir.load(hashing.parse(body))  # type: ignore[arg-type]
    except (JsonError, RecordError):
        return False
    return True


def _envelope(path: Path) -> Envelope:
    from medproof.sharing import Envelope
    from medproof.sharing.envelope import MAX_ENVELOPE

    with path.open("rb") as file:
        return Envelope.from_json(file.read(MAX_ENVELOPE + 1))


def _signer(who: KeyOptions) -> Signer:
    by = party(who)
    if not isinstance(by, Signer):
        raise OptionError("--keystore", "names an account of the node, which signs no messages", "Name a key file.")
    return by


def _reader(suite: MedProof, reader: str | None, who: KeyOptions) -> str:
    if reader is not None:
        return account("--reader", reader)
    address = party(who).address
    found = suite.registrar.party(address)
    return address if found is None else found.id


def _tell(output: Output, opened: Opened, out: Path | None, receipt: Path | None) -> None:
    said, content = opened.envelope.heading, opened.content
    proved: list[Json] = [_hex(pointer.key.id) for pointer in opened.pointers]
    text = "" if out is not None else content.body.decode("utf-8", errors="replace")
    output.document(
        {
            "id": _hex(opened.id),
            "sender": said.sender,
            "sent": _moment(said.sent_at),
            "in_reply_to": None if said.in_reply_to is None else _hex(said.in_reply_to),
            "media_type": content.media_type,
            "proved": proved,
            "file": None if out is None else str(out),
            "text": text if out is None else None,
            "receipt_wanted": said.receipt,
            "receipt": None if receipt is None else str(receipt),
        }
    )
    output.aside(f"From {said.sender}, {_moment(said.sent_at)}, as its clock says.")
    if out is not None:
        shown = f", proved by {len(proved)} pointer(s) on the chain" if proved else ""
        output.say(f"{content.media_type}{shown}, written to {out}.")
    else:
        output.say(harmless(text.rstrip("\n")))
    if receipt is not None:
        output.aside(f"A read receipt is in {receipt}: anchor it (medproof message receipt anchor), then send it back.")
    elif said.receipt and opened.reader is not None:
        output.aside("The sender asks for a read receipt: name a file by --receipt to give one.")


def _moment(seconds: int) -> str:
    try:
        return time_text(datetime.fromtimestamp(seconds, UTC))
    except (ValueError, OverflowError, OSError):
        return str(seconds)


def _hex(value: bytes) -> str:
    return f"0x{value.hex()}"

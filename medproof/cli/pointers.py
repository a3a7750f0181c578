"""`medproof records accept`, `dispute`, `deny`, `open`, `offer` and `take`: what becomes of a pointer on chain."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from medproof import fhir, hashing
from medproof.chain import Receipt
from medproof.cli import documents
from medproof.cli.options import ChainOptions, KeyOptions, SendingOptions, SubjectOptions, expanded
from medproof.cli.output import Output
from medproof.cli.sending import deliver
from medproof.cli.session import account, database_at, open_suite, party, read_text, signer
from medproof.client import MedProof
from medproof.client.contract import SignedMessage
from medproof.client.record_pointers import Pointer, PointerKey
from medproof.errors import OptionError
from medproof.hashing import JsonObject
from medproof.signing import Signer

__all__ = ["app"]

app = typer.Typer()

_ID = re.compile("0x[0-9a-fA-F]{64}")

Which = Annotated[
    str,
    Argument(metavar="PROOF|POINTER", help="The record's proof file, or the pointer's id.", show_default=False),
]
Reason = Annotated[
    Path | None, Option(metavar="FILE", help="The reason in writing: a salted hash of it goes on chain, not the text.")
]
Whose = Annotated[
    str | None, Option("--subject", metavar="ADDRESS", help="Whose pointer; needed where it is given by its id.")
]


@app.command(epilog="Example: medproof records accept Observation-1.proof.json --wallet seed.txt --custodian 0x…")
@expanded
def accept(which: Which, who: SubjectOptions, sending: SendingOptions, chain: ChainOptions) -> None:
    """Accept a record as right, as its subject. A pointer in a batch is opened with it, in one transaction."""
    output, suite, by = Output(as_json=chain.as_json), open_suite(chain), signer(who)
    pointer = _pointer(suite, which, by.address)
    answer = suite.record_pointers.sign_acceptance(by, pointer.key, lifetime=sending.lifetime)
    _answer(suite, by, pointer, answer, sending, output, {})


@app.command(epilog="Example: medproof records dispute Observation-1.proof.json --reason why.txt --wallet seed.txt")
@expanded
def dispute(
    which: Which, who: SubjectOptions, sending: SendingOptions, chain: ChainOptions, reason: Reason = None
) -> None:
    """Dispute a record, as its subject. A pointer in a batch is opened with it, in one transaction."""
    output, suite, by = Output(as_json=chain.as_json), open_suite(chain), signer(who)
    pointer = _pointer(suite, which, by.address)
    commitment, about = _reason(reason, output)
    answer = suite.record_pointers.sign_dispute(by, pointer.key, reason=commitment, lifetime=sending.lifetime)
    _answer(suite, by, pointer, answer, sending, output, about)


@app.command("open", epilog="Example: medproof records open Observation-1.proof.json --keystore clinic.json")
@expanded
def open_pointer(which: Which, who: SubjectOptions, sending: SendingOptions, chain: ChainOptions) -> None:
    """Give a pointer of a batch a slot of its own: as its subject, who signs, or as the custodian, who sends."""
    output, suite, by = Output(as_json=chain.as_json), open_suite(chain), signer(who)
    pointer = _pointer(suite, which, who.subject and account("--subject", who.subject))
    if pointer.place is None:
        output.document({"pointer": documents.pointer_document(pointer), "unchanged": True})
        output.say("It has a slot of its own already.")
    elif by.address == pointer.key.subject:
        opening = _opening(suite, by, pointer, sending)
        deliver(suite, [opening], sending, output, {"pointer": documents.pointer_document(pointer)})
    else:
        receipt = suite.record_pointers.open(pointer.key, pointer.data_class, pointer.place, sender=party(who))
        _sent(output, suite, pointer.key, receipt)


@app.command(
    epilog="Example: medproof records deny Observation-1.proof.json --reason letter.txt --keystore clinic.json"
)
@expanded
def deny(which: Which, custodian: KeyOptions, chain: ChainOptions, reason: Reason = None, whose: Whose = None) -> None:
    """Deny what a subject disputed, as the custodian; the written denial is what the reason commits to."""
    output, suite, by = Output(as_json=chain.as_json), open_suite(chain), party(custodian)
    if reason is None:
        raise OptionError("--reason", "is missing", "Name the file with the written denial that the subject is sent.")
    pointer = _pointer(suite, which, whose)
    commitment, about = _reason(reason, output)
    receipt = suite.record_pointers.deny_dispute(pointer.key, reason=commitment, sender=by)
    _sent(output, suite, pointer.key, receipt, about)


@app.command(epilog="Example: medproof records offer Observation-1.proof.json 0x… --keystore clinic.json")
@expanded
def offer(
    which: Which,
    to: Annotated[str, Argument(metavar="PARTY", help="Who is to hold the record.", show_default=False)],
    custodian: KeyOptions,
    chain: ChainOptions,
    whose: Whose = None,
) -> None:
    """Offer custody of a record to another party, as its custodian. A pointer in a batch is opened first."""
    output, suite, by = Output(as_json=chain.as_json), open_suite(chain), party(custodian)
    pointer, recipient = _pointer(suite, which, whose), account("PARTY", to)
    if pointer.place is not None:
        suite.record_pointers.open(pointer.key, pointer.data_class, pointer.place, sender=by)
    _sent(output, suite, pointer.key, suite.record_pointers.offer_custody(pointer.key, recipient, sender=by))


@app.command(
    epilog="Example: medproof records take Observation-1.json Observation-1.proof.json --store records.db "
    "--master-key master.key --keystore clinic.json"
)
@expanded
def take(
    record: Annotated[Path, Argument(metavar="RECORD", help="The record, as it was handed over.", show_default=False)],
    proof: Annotated[Path, Argument(metavar="PROOF", help="Its proof.", show_default=False)],
    custodian: KeyOptions,
    chain: ChainOptions,
    store: Annotated[str, Option(metavar="FILE|URL", help="Your record store: a file, or a PostgreSQL URL.")],
    master_key: Annotated[Path, Option(metavar="FILE", help="The store's master key.")],
) -> None:
    """Take custody that was offered: the record into the store, then the pointer on chain."""
    # Here, so that the other commands run without the extra.
    from medproof.gateway import Proof
    from medproof.gateway.custody import take_over
    from medproof.store import KeyRing, MasterKey, SqlStore

    output, suite, by = Output(as_json=chain.as_json), open_suite(chain), party(custodian)
    said, resource = Proof.read(read_text(proof)), fhir.load(record)
    records = SqlStore(database_at(store), KeyRing(MasterKey.from_file(master_key)))
    try:
        take_over(records, resource, said, suite.record_pointers)
    finally:
        records.close()
    _sent(output, suite, said.pointer, suite.record_pointers.take_custody(said.pointer, sender=by))


# -- helpers -----------------------------------------------------------------------------------------------------


def _pointer(suite: MedProof, which: str, whose: str | None) -> Pointer:
    """The pointer as it stands on the chain: of a proof file, or one that the chain shows of a subject by its id."""
    if _ID.fullmatch(which):
        if whose is None:
            raise OptionError(
                "--subject", "is missing", "An id alone tells no pointer: name the subject, or the proof."
            )
        of = account("--subject", whose)
        found = next((key for key in suite.record_pointers.keys_of(of) if f"0x{key.id.hex()}" == which.lower()), None)
        pointer = suite.record_pointers.pointer(found) if found else None
        if pointer is None:
            raise OptionError("POINTER", f"is none that the chain shows of {of}", "In a batch? Name the proof file.")
        return pointer
    # Here, so that the other commands run without the extra.
    from medproof.gateway.proof import Proof, verify_pointer

    proof = Proof.read(read_text(Path(which)))
    return verify_pointer(proof.pointer, proof.data_class, proof.place, suite.record_pointers)


def _answer(
    suite: MedProof,
    by: Signer,
    pointer: Pointer,
    answer: SignedMessage,
    sending: SendingOptions,
    output: Output,
    about: JsonObject,
) -> None:
    """Deliver a subject's answer, after the opening where the pointer is in a batch."""
    opening = [_opening(suite, by, pointer, sending)] if pointer.place is not None else []
    deliver(suite, [*opening, answer], sending, output, {"pointer": documents.pointer_document(pointer), **about})


def _opening(suite: MedProof, by: Signer, pointer: Pointer, sending: SendingOptions) -> SignedMessage:
    assert pointer.place is not None
    return suite.record_pointers.sign_opening(
        by, pointer.key, pointer.data_class, pointer.place, lifetime=sending.lifetime
    )


def _reason(file: Path | None, output: Output) -> tuple[bytes, JsonObject]:
    """The commitment to a written reason, and its salt: whoever has text and salt shows what was meant."""
    if file is None:
        return bytes(32), {}
    salt = hashing.new_salt()
    commitment = hashing.commit_bytes(file.read_bytes(), salt)
    output.aside(f"Keep the salt of {file} with it: 0x{salt.hex()}")
    return commitment, {"reason": {"commitment": f"0x{commitment.hex()}", "salt": f"0x{salt.hex()}"}}


def _sent(output: Output, suite: MedProof, key: PointerKey, receipt: Receipt, about: JsonObject | None = None) -> None:
    """Say what a custodian's transaction did."""
    pointer = suite.record_pointers.pointer(key)
    said = documents.pointer_document(pointer) if pointer else None
    output.document({"pointer": said, **(about or {}), "sent": documents.receipt_document(receipt)})
    output.say(f"Sent, in block {receipt.block}: {receipt.transaction}, {receipt.gas_used:,} gas.")

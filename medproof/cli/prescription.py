"""`medproof prescription`: issued, filled once, moved between pharmacies, and supplied in an emergency."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from medproof import fhir
from medproof.cli.hands import ActingHands, tell_sent
from medproof.cli.options import ActorOptions, ChainOptions, KeyOptions, SendingOptions, expanded
from medproof.cli.output import ANSWER_NO, Output, refuse_existing
from medproof.cli.rules import day
from medproof.cli.session import account, identity, of_file, open_suite, party, read_text, signer
from medproof.client import MedProof
from medproof.client.contract import NOBODY, Agreement
from medproof.client.prescriptions import Supply, Terms
from medproof.errors import OptionError, PrescriptionError
from medproof.fhir import MedicationOrder, Resource
from medproof.hashing import Json, JsonObject, canonical
from medproof.json_reader import JsonReader, hex_text
from medproof.policy.prescription import PrescriptionState
from medproof.sealed_prescription import SealedPrescription

__all__ = ["app"]

app = typer.Typer(help="Prescriptions, each fill of which is given once.", no_args_is_help=True)

_ID = re.compile("0x[0-9a-fA-F]{64}")
_FORMAT, _VERSION, _LONGEST = "medproof-transfer-agreement", 1, 1 << 16
_MOST_SIGNATURE = 1 << 14  # bytes; a contract wallet's may be long

PrescriptionFile = Annotated[
    Path, Argument(metavar="PRESCRIPTION", help="The file that issue wrote.", show_default=False)
]
Which = Annotated[
    str, Argument(metavar="PRESCRIPTION|ID", help="The file that issue wrote, or the id.", show_default=False)
]
Pharmacy = Annotated[str, Argument(metavar="PHARMACY", help="The pharmacy, by its address.", show_default=False)]
Quantity = Annotated[
    str | None, Option(metavar="AMOUNT", help="How much, in the prescription's unit; all that is left by default.")
]


@app.command(
    epilog="Example: medproof prescription issue request.json --keystore clinic.json --patient 0x… --save rx.json"
)
@expanded
def issue(
    file: Annotated[Path, Argument(metavar="FILE", help="A FHIR R4 MedicationRequest.", show_default=False)],
    who: ActorOptions,
    sending: SendingOptions,
    chain: ChainOptions,
    save: Annotated[Path, Option(metavar="FILE", help="Where the prescription goes, with its salt.")],
    patient: Annotated[
        str | None, Option(metavar="ADDRESS", help="The patient's pseudonym, who may choose the pharmacy.")
    ] = None,
    pharmacy: Annotated[str | None, Option(metavar="ADDRESS", help="Who fills it; nobody yet by default.")] = None,
    until: Annotated[
        str | None, Option(metavar="DAY", help="Last day, where the request's validityPeriod has no end.")
    ] = None,
) -> None:
    """Issue a prescription, as its prescriber. The file is for the patient and the pharmacy, and for nobody else.

    Issued again into the same file it is the same prescription: whatever was interrupted, there is one.
    """
    hands = ActingHands.of(who, sending, chain)
    output, suite = hands.output, hands.suite
    prescriber = identity(suite, "--keystore", hands.address)
    with of_file(file):
        request = fhir.load(file)
    order = fhir.read_order(request, valid_until=None if until is None else day("--until", until))
    whose = account("--patient", patient) if patient else NOBODY
    begun = _begun(save, prescriber, whose, request)
    sealed = SealedPrescription.seal(prescriber, whose, request) if begun is None else begun
    by = NOBODY if pharmacy is None else identity(suite, "--pharmacy", pharmacy)
    terms = Terms(order.fills, order.quantity, order.valid_until, by)
    if begun is None:  # before it is sent: without the salt it is nobody's
        if order.valid_until < datetime.fromtimestamp(suite.chain.timestamp(), UTC).date():
            step = "Prescribe anew: the request's own end counts, and --until where it has none."
            raise OptionError(str(file), f"ends on {order.valid_until}, which is over", step)
        output.write(save, canonical(sealed.to_json()).decode())
    output.aside(f"Written to {save}: {order.fills} fills of {_amount(order, order.quantity)}.")
    client, one = suite.prescriptions, sealed.prescription
    about: JsonObject = {"prescription": hex_text(one.id), "file": str(save)}
    if client.is_issued(one.id):
        output.document({**about, "sent": None, "unchanged": True})
        output.say("This stands already.")
        return
    hands.take(
        about,
        lambda by: client.issue(one, terms, sender=by),
        lambda by: client.sign_issue(by, one, terms, lifetime=sending.lifetime),
    )


@app.command(epilog="Example: medproof prescription show rx.json")
@expanded
def show(which: Which, chain: ChainOptions) -> None:
    """Show how a prescription stands: exit code 1 where nothing can be filled, or it is not what the file says."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    sealed = None if _ID.fullmatch(which) else _read(Path(which))
    identifier = bytes.fromhex(which[2:]) if sealed is None else sealed.prescription.id
    state, supply = suite.prescriptions.state(identifier), suite.prescriptions.supply_of(identifier)
    today = datetime.fromtimestamp(suite.chain.timestamp(), UTC).date()
    if state is None:
        output.document({"prescription": hex_text(identifier), "status": None, "supply": _supply_json(supply)})
        output.say("No prescription was issued under this id.")
    else:
        status, differences = state.status_on(today), sealed.differences(state) if sealed else ()
        output.document(
            {
                "prescription": hex_text(identifier),
                "status": str(status),
                "pharmacy": state.pharmacy,
                "fills": state.fills,
                "quantity": state.quantity,
                "valid_until": state.valid_until.isoformat(),
                "number": state.number,
                "filled": state.filled,
                "differences": list(differences),
                "supply": _supply_json(supply),
            }
        )
        output.say(f"{str(status).capitalize()}: {_told(state)}")
        output.say(f"Pharmacy: {state.pharmacy or 'none chosen yet'}. Last day: {state.valid_until}.")
        if differences:
            output.say(f"Chain and file differ in {_listed(differences)}: it is not to be filled.")
    if supply is not None:
        late = " It is overdue." if supply.overdue_on(today) else ""
        said = "not confirmed" if supply.confirmed_on is None else f"confirmed on {supply.confirmed_on}"
        output.say(f"Emergency supply of {supply.quantity} by {supply.pharmacy} on {supply.day}, {said}.{late}")
    if state is None or str(state.status_on(today)) != "open" or (sealed and sealed.differences(state)):
        raise typer.Exit(ANSWER_NO)


@app.command(epilog="Example: medproof prescription fill rx.json --keystore pharmacy.json --quantity 10")
@expanded
def fill(
    file: PrescriptionFile,
    who: ActorOptions,
    sending: SendingOptions,
    chain: ChainOptions,
    quantity: Quantity = None,
    dispense: Annotated[
        Path | None, Option(metavar="FILE", help="The FHIR R4 MedicationDispense that says what was handed over.")
    ] = None,
    save: Annotated[Path | None, Option(metavar="FILE", help="Where a MedicationDispense of it goes.")] = None,
    number: Annotated[
        int | None, Option(min=1, max=255, help="Which fill this is; the next by default. Sent again, it counts once.")
    ] = None,
    before: Annotated[
        str, Option(metavar="AMOUNT", help="How much of that fill was given before, where its --number is named.")
    ] = "0",
) -> None:
    """Give a fill or a part of it, as the prescription's pharmacy. After a failure, send it again with its --number."""
    hands, sealed = ActingHands.of(who, sending, chain), _read(file)
    output, suite = hands.output, hands.suite
    if dispense is not None and quantity is not None:
        raise OptionError("--quantity", "is given with --dispense, which says it", "Leave one of them out.")
    one, state = sealed.prescription, _state(suite, sealed)
    order = sealed.order(state)
    expected = state.next_fill() if number is None else (number, _parts(order, "--before", before))
    given = state.quantity - expected[1] if quantity is None else _parts(order, "--quantity", quantity)
    if dispense is not None:
        read = fhir.read_dispense(fhir.load(dispense))
        given = order.parts(read.amount, read.unit, "MedicationDispense.quantity")
        if number is None:
            expected = fhir.fill_of(read, order, state)[:2]
    client, (which, begun) = suite.prescriptions, expected
    output.aside(f"Fill {which} of {state.fills}: {_amount(order, given)}, after {_amount(order, begun)} before.")
    hands.take(
        {"prescription": hex_text(one.id), "number": which, "before": begun, "quantity": given},
        lambda by: client.fill(one.id, given, expected=expected, sender=by),
        lambda by: client.sign_fill(by, one.id, given, expected=expected, lifetime=sending.lifetime),
    )
    after = client.state(one.id)
    if save is None or after is None:
        return
    if (after.number, after.filled) != (which, begun + given):
        raise OptionError("--save", f"{save} is not written", "Nothing was sent yet: fill it first.")
    moment = datetime.fromtimestamp(suite.chain.timestamp(), UTC).isoformat()
    content = fhir.render_dispense(
        order, sealed.request, after, quantity=given, handed_over=moment, identifier=hex_text(one.id)
    )
    output.write(save, canonical(content).decode())


@app.command(epilog="Example: medproof prescription choose rx.json 0x… --wallet seed.txt --custodian 0x…")
@expanded
def choose(
    file: PrescriptionFile, pharmacy: Pharmacy, who: ActorOptions, sending: SendingOptions, chain: ChainOptions
) -> None:
    """Choose the pharmacy, as the patient; as the prescriber where the prescription names no patient."""
    hands, one = ActingHands.of(who, sending, chain), _read(file).prescription
    to, client = identity(hands.suite, "PHARMACY", pharmacy), hands.suite.prescriptions
    hands.take(
        {"prescription": hex_text(one.id), "pharmacy": to},
        lambda by: client.choose(one, to, sender=by),
        lambda by: client.sign_choice(by, one, to, lifetime=sending.lifetime),
    )


@app.command(epilog="Example: medproof prescription transfer rx.json 0x… --keystore new.json --agreement giving.json")
@expanded
def transfer(
    file: PrescriptionFile,
    pharmacy: Pharmacy,
    who: KeyOptions,
    chain: ChainOptions,
    agreement: Annotated[
        Path | None, Option(metavar="FILE", help="What the other pharmacy wrote with --out; then it is sent.")
    ] = None,
    out: Annotated[Path | None, Option(metavar="FILE", help="Where your agreement goes; nothing is sent.")] = None,
    lifetime: Annotated[int, Option(min=1, metavar="SECONDS", help="How long your agreement counts.")] = 24 * 3600,
) -> None:
    """Transfer a prescription to another pharmacy: the one agrees with --out, the other sends with --agreement."""
    output, suite, one = Output(as_json=chain.as_json), open_suite(chain), _read(file).prescription
    to, client = identity(suite, "PHARMACY", pharmacy), suite.prescriptions
    if (agreement is None) is (out is None):
        raise OptionError("--agreement", "or --out is missing, or both are given", "Agree with --out, or send.")
    if out is not None:
        by = signer(ActorOptions(keystore=who.keystore, password_file=who.password_file))
        until = suite.chain.timestamp() + lifetime
        agreed = client.agree_to_transfer(by, one.id, to, deadline=until)
        output.write(out, json.dumps(_agreement_json(one.id, to, agreed)))
        output.document({"prescription": hex_text(one.id), "to": to, "sent": None, "file": str(out)})
        output.say(f"Agreed to, and not sent yet: give {out} to the other pharmacy.")
        return
    assert agreement is not None
    other, sends = _read_agreement(agreement, one.id, to), party(who)
    receives = identity(suite, "--keystore", sends.address) == to
    both = {"giving": other} if receives else {"receiving": other}
    tell_sent(output, client.transfer(one.id, to, **both, sender=sends), {"prescription": hex_text(one.id), "to": to})


@app.command(epilog="Example: medproof prescription cancel rx.json --keystore clinic.json")
@expanded
def cancel(file: PrescriptionFile, who: ActorOptions, sending: SendingOptions, chain: ChainOptions) -> None:
    """Cancel a prescription, as its prescriber."""
    hands, one = ActingHands.of(who, sending, chain), _read(file).prescription
    client = hands.suite.prescriptions
    hands.take(
        {"prescription": hex_text(one.id)},
        lambda by: client.cancel(one, sender=by),
        lambda by: client.sign_cancellation(by, one, lifetime=sending.lifetime),
    )


@app.command(epilog="Example: medproof prescription supply rx.json --keystore pharmacy.json --quantity 6")
@expanded
def supply(
    file: PrescriptionFile, who: ActorOptions, sending: SendingOptions, chain: ChainOptions, quantity: Quantity = None
) -> None:
    """Give an emergency supply, once, of what has no fill left; its prescriber has a week to confirm it."""
    hands, sealed = ActingHands.of(who, sending, chain), _read(file)
    one, client = sealed.prescription, hands.suite.prescriptions
    order = sealed.order(client.state(one.id))
    given = order.quantity if quantity is None else _parts(order, "--quantity", quantity)
    pharmacy = identity(hands.suite, "--keystore", hands.address)
    hands.take(
        {"prescription": hex_text(one.id), "pharmacy": pharmacy, "quantity": given},
        lambda by: client.supply(one, pharmacy, given, sender=by),
        lambda by: client.sign_supply(by, one, pharmacy, given, lifetime=sending.lifetime),
    )


@app.command(epilog="Example: medproof prescription confirm rx.json --keystore clinic.json")
@expanded
def confirm(file: PrescriptionFile, who: ActorOptions, sending: SendingOptions, chain: ChainOptions) -> None:
    """Confirm an emergency supply, as the prescriber."""
    hands, one = ActingHands.of(who, sending, chain), _read(file).prescription
    client = hands.suite.prescriptions
    hands.take(
        {"prescription": hex_text(one.id)},
        lambda by: client.confirm(one, sender=by),
        lambda by: client.sign_confirmation(by, one, lifetime=sending.lifetime),
    )


@app.command(epilog="Example: medproof prescription recheck rx.json --keystore anyone.json")
@expanded
def recheck(file: PrescriptionFile, who: KeyOptions, chain: ChainOptions) -> None:
    """Have prescriber and pharmacy looked up again: what an inactive one prescribed, or is to fill, is not filled."""
    output, suite, one = Output(as_json=chain.as_json), open_suite(chain), _read(file).prescription
    receipt = suite.prescriptions.recheck(one, sender=party(who))
    tell_sent(output, receipt, {"prescription": hex_text(one.id)})


# -- helpers -----------------------------------------------------------------------------------------------------


def _read(path: Path) -> SealedPrescription:
    return SealedPrescription.from_json(read_text(path))


def _state(suite: MedProof, sealed: SealedPrescription) -> PrescriptionState:
    """A prescription that the chain has as the file says it."""
    state = suite.prescriptions.state(sealed.prescription.id)
    if state is None:
        raise PrescriptionError("The chain has no such prescription. Check the network, and ask whoever issued it.")
    if differences := sealed.differences(state):
        raise PrescriptionError(f"Chain and file differ in {_listed(differences)}. Ask the prescriber for another.")
    return state


def _begun(path: Path, prescriber: str, patient: str, request: Resource) -> SealedPrescription | None:
    """What was written before it was sent, where that was this prescription; nothing else is written over."""
    if path.is_file():
        sealed = _read(path)
        said = sealed.prescription
        if (said.prescriber, said.patient, sealed.request.content) == (prescriber, patient, request.content):
            return sealed
    refuse_existing(path)
    return None


def _parts(order: MedicationOrder, option: str, text: str) -> int:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise OptionError(option, f"is {text!r}, which is no amount", "Write 10, or 2.5.")
    return order.parts(amount, order.unit, option)


def _amount(order: MedicationOrder, parts: int) -> str:
    return f"{order.amount(parts)} {order.unit.code}".rstrip()


def _listed(names: Sequence[str]) -> str:
    return ", ".join(name.replace("_", " ") for name in names)


def _told(state: PrescriptionState) -> str:
    done = f"{state.number} of {state.fills} fills given" if state.number else f"none of {state.fills} fills given"
    return f"{done}, of the last one {state.filled} of {state.quantity}." if state.in_progress else f"{done}."


def _supply_json(supply: Supply | None) -> Json:
    if supply is None:
        return None
    confirmed = None if supply.confirmed_on is None else supply.confirmed_on.isoformat()
    return {
        "pharmacy": supply.pharmacy,
        "quantity": supply.quantity,
        "day": supply.day.isoformat(),
        "confirmed_on": confirmed,
    }


def _agreement_json(prescription: bytes, to: str, agreed: Agreement) -> JsonObject:
    return {
        "format": _FORMAT,
        "version": _VERSION,
        "prescription": hex_text(prescription),
        "to": to,
        "deadline": agreed.deadline,
        "signature": hex_text(agreed.signature),
    }


def _read_agreement(path: Path, prescription: bytes, to: str) -> Agreement:
    """What the other pharmacy agreed to, where it is this transfer."""

    def wrong(member: str, rule: str) -> OptionError:
        return OptionError(str(path), f"{member} {rule}".strip(), "Name what the other pharmacy wrote with --out.")

    said = JsonReader.document(read_text(path), wrong, format=_FORMAT, version=_VERSION, longest=_LONGEST)
    if said.hash("prescription") != prescription or said.address("to") != to:
        raise wrong("", "is for another transfer")
    agreed = Agreement(said.number("deadline"), said.octets("signature", 1, _MOST_SIGNATURE))
    said.finish()
    return agreed

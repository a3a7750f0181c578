"""`medproof device`: a patient's devices, and the readings that they sign."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from medproof import fhir, hashing
from medproof.cli import documents
from medproof.cli.options import (
    ChainListOptions,
    ChainOptions,
    KeyOptions,
    PeriodOptions,
    SendingOptions,
    SubjectOptions,
    expanded,
)
from medproof.cli.output import ANSWER_NO, Output
from medproof.cli.rules import codes, moment
from medproof.cli.sending import deliver, now_on
from medproof.cli.session import account, acting, of_file, open_suite, signer, subject
from medproof.errors import OptionError, ReadingError
from medproof.hashing import Json
from medproof.policy.codes import DataClass
from medproof.policy.device import Device
from medproof.reading import MOST_NUMBER, Reading, sign_reading

__all__ = ["app"]

app = typer.Typer(help="Devices that report a patient's readings.", no_args_is_help=True)

DeviceAccount = Annotated[str, Argument(metavar="DEVICE", help="The account of the device's key.", show_default=False)]


@app.command(epilog="Example: medproof device register 0x… --class vital-signs --until 2030-01-01 --custodian 0x…")
@expanded
def register(
    device: DeviceAccount,
    who: SubjectOptions,
    sending: SendingOptions,
    chain: ChainOptions,
    period: PeriodOptions,
    data_class: Annotated[
        list[str], Option("--class", metavar="CODE", help="What it may report, such as vital-signs. Repeat it.")
    ],
) -> None:
    """Register a device, or change its registration. Give a device another key for each custodian."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    (by, whose), to = acting(who), account("DEVICE", device)
    starts = now_on(suite) if period.starts is None else moment("--from", period.starts)
    until = None if period.until in (None, "none") else moment("--until", str(period.until))
    registration = Device(codes(DataClass, "--class", data_class), starts, until)
    message = suite.devices.sign_registration(by, to, registration, subject=whose, lifetime=sending.lifetime)
    about = documents.device_document(to, registration, registration.classes)
    names = ", ".join(registration.classes.codes)
    ends = f"until {about['valid_until']}" if about["valid_until"] else "without end"
    output.aside(f"{to} may report {names} of {whose}, {ends}.")
    deliver(suite, [message], sending, output, {"subject": whose, "device": about})


@app.command(epilog="Example: medproof device revoke 0x… --wallet seed.txt --custodian 0x…")
@expanded
def revoke(
    device: DeviceAccount,
    who: SubjectOptions,
    sending: SendingOptions,
    chain: ChainOptions,
    sequence: Annotated[
        int | None, Option(min=1, max=65535, help="What to overtake: above all that was signed. 65535 is for good.")
    ] = None,
) -> None:
    """Revoke a device: what it sends from the next block on is refused."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    (by, whose), to = acting(who), account("DEVICE", device)
    message = suite.devices.sign_revocation(by, to, subject=whose, sequence=sequence, lifetime=sending.lifetime)
    deliver(suite, [message], sending, output, {"subject": whose, "device": to})


@app.command("list", epilog="Example: medproof device list --subject 0x…")
@expanded
def list_devices(who: SubjectOptions, chain: ChainListOptions) -> None:
    """List a subject's devices, past ones included."""
    output, suite = Output(as_json=chain.as_json, as_csv=chain.as_csv), open_suite(chain)
    whose = subject(who)
    accounts = dict.fromkeys(str(event.arguments["device"]) for event in suite.devices.history(whose))
    found = []
    for one in output.each([*accounts], "Reading devices"):
        device = suite.devices.device(whose, one)
        if device is not None:
            found.append(documents.device_document(one, device, suite.devices.classes(whose, one)))
    output.document({"subject": whose, "devices": [*found]})
    output.table(
        ("device", "may report now", "from", "until"),
        (
            (
                str(one["device"]),
                ", ".join(map(str, one["may_now"])) or ("nothing: revoked" if one["revoked"] else "nothing"),  # type: ignore[arg-type]
                str(one["valid_from"]),
                str(one["valid_until"] or "no end"),
            )
            for one in found
        ),
        empty=f"{whose} has no devices.",
    )


@app.command(
    epilog="Example: medproof device sign observation.json --keystore meter.json --subject 0x… --for 0x… --number 1"
)
@expanded
def sign(
    file: Annotated[Path, Argument(metavar="FILE", help="A FHIR R4 Observation.", show_default=False)],
    device: KeyOptions,
    chain: ChainOptions,
    whose: Annotated[str, Option("--subject", metavar="ADDRESS", help="The patient's pseudonym with the custodian.")],
    custodian: Annotated[str, Option("--for", metavar="ADDRESS", help="The custodian that it is for.")],
    number: Annotated[int, Option(min=1, max=MOST_NUMBER, help="Above all that the device has sent.")],
    taken_at: Annotated[
        str | None, Option(metavar="TIME", help="When it was measured; as the Observation says by default.")
    ] = None,
    out: Annotated[Path | None, Option(metavar="FILE", help="Where it goes; standard output by default.")] = None,
) -> None:
    """Sign a reading as a device does, to try it out."""
    output, suite = Output(as_json=False), open_suite(chain)
    by = signer(SubjectOptions(keystore=device.keystore, password_file=device.password_file))
    with of_file(file):
        observation = fhir.load(file)
    said = taken_at if taken_at is not None else observation.content.get("effectiveDateTime")
    reading = sign_reading(
        by,
        observation,
        subject=account("--subject", whose),
        custodian=account("--for", custodian),
        number=number,
        taken_at=_time(said),
        domain=suite.devices.reading_domain,
    )
    text = hashing.canonical(reading.to_json()).decode()
    if out is None:
        print(text)
    else:
        output.write(out, text)
        output.say(f"Written to {out}: reading {number} of {by.address}.")


@app.command(epilog="Example: medproof device send 1.json 2.json --to https://records.example.org")
def send(
    files: Annotated[list[Path], Argument(metavar="FILE…", help="Signed readings.", show_default=False)],
    to: Annotated[str, Option(metavar="URL", help="Where the custodian's gatekeeper is.")],
    as_json: Annotated[bool, Option("--json", help="Print one JSON document instead.")] = False,
) -> None:
    """Send readings of one device: exit code 1 where one was refused. What was sent before is stored once."""
    # Here, so that the other commands run without the extra.
    from medproof.gateway.device_client import DeviceClient

    output = Output(as_json=as_json)
    readings = sorted((_read(path) for path in files), key=lambda one: one.number)
    with DeviceClient(to) as client, output.progress("Sending", len(readings)) as advance:
        outcomes = []
        for outcome in client.send(readings):
            outcomes.append(outcome)
            advance(len(outcomes))
    told: list[Json] = [
        {"number": one.number, "refused": one.code, "id": one.id, "index": one.index} for one in outcomes
    ]
    output.document({"readings": told})
    output.table(
        ("number", "what became of it"),
        ((str(one.number), one.said or f"taken as Observation/{one.id}, entry {one.index}") for one in outcomes),
        empty="Nothing was sent.",
    )
    if any(one.code is not None for one in outcomes):
        raise typer.Exit(ANSWER_NO)


def _read(path: Path) -> Reading:
    try:
        return Reading.from_json(hashing.parse(path.read_bytes()))
    except ReadingError as error:
        raise OptionError(str(path), f"holds no reading ({error.member})", "Name what device sign wrote.") from error


def _time(said: Json) -> datetime:
    try:
        when = datetime.fromisoformat(str(said))
    except ValueError:
        step = "Write 2030-01-01T08:00:00Z, or give the Observation an effectiveDateTime."
        raise OptionError("--taken-at", f"is {said!r}, which is no time", step) from None
    return when if when.tzinfo is not None else when.replace(tzinfo=UTC)

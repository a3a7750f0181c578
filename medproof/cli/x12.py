"""`medproof x12`: what X12 interchanges hold, which responses answer which claims, and a payer's answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from medproof.claims import Claim, ClaimResponse
from medproof.claims.document import value_json
from medproof.claims.matching import Match
from medproof.claims.matching import match as matched
from medproof.cli.cases import CaseFiles, all_cases, load_case
from medproof.cli.options import ActorOptions, ChainOptions, expanded
from medproof.cli.output import ANSWER_NO, Output
from medproof.cli.session import identity, of_file, open_suite, signer
from medproof.errors import OptionError
from medproof.hashing import Json
from medproof.json_reader import hex_text

if TYPE_CHECKING:
    from medproof.x12 import EligibilityAnswer, EligibilityInquiry, StatusAnswer, StatusRequest

__all__ = ["app"]

app = typer.Typer(help="X12 5010: claims, remittances, status and eligibility.", no_args_is_help=True)

_File = Annotated[Path, Argument(metavar="FILE", help="An X12 interchange.", show_default=False)]
_STATUS_COLUMNS = ("Question", "Claim", "Payer's number", "Status")
_Json = Annotated[bool, Option("--json", help="Print one JSON document instead: all that was read.")]


@app.command("show", epilog="Example: medproof x12 show claims.837")
def show(file: _File, as_json: _Json = False) -> None:
    """Read a file whole, and show what it holds without the people in it; nothing of it where a part is wrong."""
    from medproof import x12

    output = Output(as_json=as_json)
    with of_file(file):
        found = list(x12.read(file))
    output.document([_document(one) for one in found])
    tables: tuple[tuple[type, Sequence[str], Callable[[Any], Sequence[str]]], ...] = (
        (Claim, ("Claim", "Kind", "Frequency", "Corrects", "From", "To", "Lines", "Total"), _claim_row),
        (ClaimResponse, ("Claim", "Payer's number", "Outcome", "Decided", "Lines", "Charge", "Paid"), _response_row),
        (x12.StatusRequest, ("Question", "Claim", "Payer's number"), _request_row),
        (x12.StatusAnswer, _STATUS_COLUMNS, _status_row),
        (x12.EligibilityInquiry, ("Question", "Asked", "From", "To"), _inquiry_row),
        (x12.EligibilityAnswer, ("Questions", "Covered", "Attested"), _answer_row),
    )
    for kind, columns, row in tables:
        rows = [row(one) for one in found if isinstance(one, kind)]
        if rows:
            output.table(columns, rows, empty="")
    if not found:
        output.say("It is whole, and holds nothing.")


@app.command("match", epilog="Example: medproof x12 match claims.837 remittance.835")
def match(
    claims: Annotated[Path, Argument(metavar="CLAIMS", help="Claims: an 837.", show_default=False)],
    responses: Annotated[
        list[Path], Argument(metavar="RESPONSES…", help="Responses: 835, in the order they came.", show_default=False)
    ],
    as_json: _Json = False,
) -> None:
    """Match responses to claims: exit code 1 where anything stands out, such as a claim answered twice."""
    from medproof import x12

    output = Output(as_json=as_json)
    answers: list[ClaimResponse] = []
    for file in responses:
        with of_file(file):
            answers += x12.read_responses(file)
    with of_file(claims):
        billed = list(x12.read_claims(claims))
    found = matched(billed, answers)
    output.document([value_json(one) for one in found])
    columns = ("Claim", "Frequency", "Responses", "Standing", "Lines", "Findings")
    output.table(columns, [_match_row(one) for one in found], empty="Nothing is claimed or answered.")
    if any(one.findings for one in found):
        raise typer.Exit(ANSWER_NO)


_Out = Annotated[Path, Option(metavar="FILE", help="Where the answer goes: it names people.", show_default=False)]
_Number = Annotated[int, Option(min=1, max=999_999_999, help="Your number for this interchange (ISA13), ever higher.")]
_Reference = Annotated[str, Option(metavar="TEXT", help="Your reference for this answer (BHT03).")]


@app.command("status", epilog="Example: medproof x12 status asked.276 cases --number 18 --reference R18 --out said.277")
@expanded
def status(
    file: _File,
    cases: CaseFiles,
    number: _Number,
    reference: _Reference,
    out: _Out,
    chain: ChainOptions,
) -> None:
    """Answer a 276 by a 277, as the payer: how each claim stands on the chain, of those that you have cases of."""
    from medproof import x12
    from medproof.x12.answers import answer_status

    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    with of_file(file):
        asked = [one for one in x12.read(file) if isinstance(one, x12.StatusRequest)]
    if not asked:
        raise OptionError(str(file), "asks after no claim", "Give a 276.")
    known = [load_case(path) for path in all_cases(cases)]
    written = answer_status(suite, asked, known, control_number=number, reference=reference)
    output.write(out, written)
    said = [one for one in x12.read(written) if isinstance(one, x12.StatusAnswer)]
    output.document([value_json(one) for one in said])
    output.table(_STATUS_COLUMNS, [_status_row(one) for one in said], empty="")
    output.say(f"Written to {out}.")


@app.command(
    "eligibility",
    epilog="Example: medproof x12 eligibility asked.270 --provider 0x… --covered --originator 1512345678 --number 19 "
    "--reference R19 --out said.271 --attestation word.json --keystore payer.json",
)
@expanded
def eligibility(
    file: _File,
    provider: Annotated[str, Option(metavar="ADDRESS", help="The party that asked: it alone can use the answer.")],
    covered: Annotated[bool, Option("--covered/--not-covered", help="Whether a policy is in force.")],
    originator: Annotated[str, Option(metavar="TEXT", help="1 and your tax number: ten characters (TRN03).")],
    number: _Number,
    reference: _Reference,
    out: _Out,
    attestation: Annotated[
        Path, Option(metavar="FILE", help="Where your signed word goes, for the provider.", show_default=False)
    ],
    chain: ChainOptions,
    who: ActorOptions,
) -> None:
    """Answer a 270 with one question, as the payer: by a signed word, and a 271 that carries its id and time."""
    from medproof import x12
    from medproof.x12.answers import answer_eligibility

    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    if attestation.resolve() == out.resolve():
        raise OptionError("--attestation", "is the file of --out", "Name two: the provider needs both.")
    with of_file(file):
        asked = [one for one in x12.read(file) if isinstance(one, x12.EligibilityInquiry)]
    if len(asked) != 1:
        raise OptionError(str(file), f"asks {len(asked)} questions", "Give a 270 with one.")
    word, written = answer_eligibility(
        suite,
        signer(who),
        asked[0],
        provider=identity(suite, "--provider", provider),
        covered=covered,
        originator=originator,
        control_number=number,
        reference=reference,
    )
    output.write(attestation, word.to_json())
    output.write(out, written)
    output.document({"attestation": hex_text(word.leaf), "madeAt": word.made_at, "validUntil": word.valid_until})
    output.say(f"Written to {out}, and what you signed to {attestation}. Give the provider both.")


def _document(one: object) -> Json:
    """What was read, with the name of what it is."""
    from medproof import x12

    said: dict[str, Json] = {"type": type(one).__name__}
    if isinstance(one, x12.EligibilityAnswer) and one.attestation is not None:
        said["attestation"] = hex_text(one.attestation)
        one = replace(one, attestation=None)
    return {**said, "content": value_json(one)}


def _claim_row(one: Claim) -> Sequence[str]:
    total = f"{one.total.amount} {one.total.currency}" if one.total else ""
    days = (one.start.isoformat(), one.end.isoformat())
    return (one.number, one.kind, one.frequency, one.original or "", *days, str(len(one.lines)), total)


def _response_row(one: ClaimResponse) -> Sequence[str]:
    amounts = [f"{money.amount} {money.currency}" if money else "" for money in (one.charge, one.paid)]
    outcome = "reversed" if one.reversal else one.outcome
    decided = one.decided.isoformat() if one.decided else ""
    return (one.claim_number, one.payer_number or "", outcome, decided, str(len(one.lines)), *amounts)


def _request_row(one: StatusRequest) -> Sequence[str]:
    return (one.number, one.claim_number or "", one.payer_number or "")


def _status_row(one: StatusAnswer) -> Sequence[str]:
    said = ", ".join(f"{status.category}:{status.code}" for status in one.statuses)
    return (one.number, one.claim_number or "", one.payer_number or "", said)


def _inquiry_row(one: EligibilityInquiry) -> Sequence[str]:
    asked = one.request
    return (asked.number, asked.asked.isoformat(), asked.start.isoformat(), asked.end.isoformat())


def _answer_row(one: EligibilityAnswer) -> Sequence[str]:
    covered = {True: "yes", False: "no", None: "not said"}[one.covered]
    return (", ".join(one.numbers), covered, one.made_at.isoformat() if one.made_at else "")


def _match_row(one: Match) -> Sequence[str]:
    number = one.claim.number if one.claim else one.responses[0].claim_number
    frequency = one.claim.frequency if one.claim else ""
    counts = [str(len(part)) for part in (one.responses, one.standing, one.lines)]
    return (number, frequency, *counts, ", ".join(one.findings))

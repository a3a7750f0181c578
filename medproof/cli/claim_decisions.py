"""How a claim is decided: `medproof claims pend`, `answer`, `adjudicate`, `appeal` and `decide`.

What opens a commitment is in the case's file before the commitment is sent, so that no crash loses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from medproof import fhir, hashing
from medproof.chain import Receipt
from medproof.claims.adjudication import History
from medproof.claims.adjudication import adjudicate as adjudicate_by
from medproof.claims.case import Case, SealedResponse
from medproof.claims.claim import Claim, ClaimOutcome, ClaimResponse
from medproof.claims.document import read_response
from medproof.claims.keyring import Keyring
from medproof.claims.plan import Plan
from medproof.cli.agreements import Agreements, Hands, Step, agreed_role, content_hash
from medproof.cli.cases import CaseFile, all_cases, change_case, load_case, on_this_chain
from medproof.cli.claim_standing import Encounter, acting_address, plan_of, stands_already
from medproof.cli.options import ActorOptions, ChainOptions, SendingOptions, expanded
from medproof.cli.output import Output
from medproof.cli.session import identity, of_file, open_suite, read_text
from medproof.client import MedProof
from medproof.client.claim_anchor import Agreement, AnchoredClaim, ClaimStatus, Outcome
from medproof.errors import OptionError
from medproof.hashing import JsonObject
from medproof.json_reader import hex_text

__all__ = ["app"]

app = typer.Typer()

_OUTCOMES = {
    ClaimOutcome.APPROVED: Outcome.APPROVED,
    ClaimOutcome.PARTIAL: Outcome.PARTIAL,
    ClaimOutcome.DENIED: Outcome.DENIED,
}

PayersKeyring = Annotated[
    Path | None,
    Option(
        "--keyring",
        metavar="FILE",
        envvar="MEDPROOF_KEYRING",
        help="The consortium's keys: only a claim with the nullifier of its service is approved.",
    ),
]
Earlier = Annotated[
    list[Path] | None,
    Option("--history", metavar="CASE", help="Cases of the patient's year that were decided before, or their folder."),
]
ResponseFile = Annotated[
    Path | None,
    Option(metavar="FILE", help="The decision: FHIR ClaimResponse or ExplanationOfBenefit, or X12 835."),
]


# -- asking and answering ----------------------------------------------------------------------------------------


@app.command(epilog="Example: medproof claims pend a.case --request question.txt --keystore payer.json")
@expanded
def pend(
    case: CaseFile,
    who: ActorOptions,
    sending: SendingOptions,
    chain: ChainOptions,
    request: Annotated[Path, Option(metavar="FILE", help="The text of what is asked for.")],
    agreement: Agreements = None,
) -> None:
    """Pend a claim until the provider answers, as the payer."""
    hands = Hands(Output(as_json=chain.as_json), open_suite(chain), who, sending, agreement or ())
    anchor = hands.suite.claim_anchor
    sign, send = anchor.agree_to_pend, anchor.pend
    _take_said(hands, "pend", case, ("request", request), sign=sign, send=send, owner="payer")


@app.command(epilog="Example: medproof claims answer a.case --reply answer.txt --keystore clinic.json")
@expanded
def answer(
    case: CaseFile,
    who: ActorOptions,
    sending: SendingOptions,
    chain: ChainOptions,
    reply: Annotated[Path, Option(metavar="FILE", help="The text of the answer.")],
    agreement: Agreements = None,
) -> None:
    """Answer what a claim was pended for, as the provider."""
    hands = Hands(Output(as_json=chain.as_json), open_suite(chain), who, sending, agreement or ())
    anchor = hands.suite.claim_anchor
    sign, send = anchor.agree_to_answer, anchor.answer
    _take_said(hands, "answer", case, ("reply", reply), sign=sign, send=send, owner="provider")


# -- deciding -----------------------------------------------------------------------------------------------------


@app.command(epilog="Example: medproof claims adjudicate a.case --plan plan.json --keystore payer.json")
@expanded
def adjudicate(
    case: CaseFile,
    who: ActorOptions,
    sending: SendingOptions,
    chain: ChainOptions,
    response: ResponseFile = None,
    plan: Annotated[
        Path | None, Option(metavar="FILE", help="Or decide by this plan, whose hash the claim's rules have.")
    ] = None,
    history: Earlier = None,
    keyring: PayersKeyring = None,
    encounter: Encounter = None,
    agreement: Agreements = None,
) -> None:
    """Decide a claim, as the payer, by a plan or as a file says. The claim is held against the chain first."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    checked = partial(_check_approved, output, suite, keyring=keyring, encounter=encounter)
    held, decided = _with_response(suite, case, response, plan, history or (), checked)
    outcome, anchored = _OUTCOMES[decided.content.outcome], held.anchored()
    anchor, claim, number = suite.claim_anchor, anchored.claim, anchored.rules
    said = decided.commitment
    if stands_already(output, suite, "adjudicate", claim, ClaimStatus.ADJUDICATED, said):
        return
    step = Step(
        "adjudicate",
        claim,
        content_hash(outcome, said),
        lambda signing, until: anchor.agree_to_adjudicate(signing, claim, outcome, number, said, deadline=until),
        lambda given, paying: anchor.adjudicate(claim, outcome, number, said, sender=paying, **given),
        ("payer",),
    )
    about: JsonObject = {"case": str(case), "outcome": outcome.name.lower(), "response": hex_text(said)}
    Hands(output, suite, who, sending, agreement or ()).take(step, about)
    output.say(f"Outcome: {outcome.name.lower()}, under rules {number}.")


@app.command(epilog="Example: medproof claims appeal a.case --grounds why.txt --keystore clinic.json")
@expanded
def appeal(
    case: CaseFile,
    who: ActorOptions,
    sending: SendingOptions,
    chain: ChainOptions,
    grounds: Annotated[Path, Option(metavar="FILE", help="The text of why.")],
    agreement: Agreements = None,
) -> None:
    """Appeal a decision, or the lack of one once it is late: as the provider, or as the patient that it names."""
    hands = Hands(Output(as_json=chain.as_json), open_suite(chain), who, sending, agreement or ())
    anchor, (claim, said) = hands.suite.claim_anchor, _with_paper(hands.suite, case, "appeal", grounds)
    role = agreed_role(agreement or ())
    by = _appellant(hands.suite, claim, who) if role is None else claim.patient if role == "patient" else claim.provider
    step = Step(
        "appeal",
        claim,
        said,
        lambda signing, until: anchor.agree_to_appeal(signing, claim, by, said, deadline=until),
        lambda given, paying: anchor.appeal(
            claim, by, said, sender=paying, agreement=next(iter(given.values()), Agreement(0, b""))
        ),
        ("provider", "patient"),
    )
    hands.take(step, {"case": str(case), "by": by, "grounds": hex_text(said)})


@app.command(epilog="Example: medproof claims decide a.case --overturn --response corrected.json --keystore payer.json")
@expanded
def decide(
    case: CaseFile,
    who: ActorOptions,
    sending: SendingOptions,
    chain: ChainOptions,
    upheld: Annotated[bool, Option("--uphold/--overturn", help="Whether the outcome stays.", show_default=False)],
    response: ResponseFile = None,
    plan: Annotated[Path | None, Option(metavar="FILE", help="Or decide by this plan.")] = None,
    history: Earlier = None,
    keyring: PayersKeyring = None,
    encounter: Encounter = None,
    agreement: Agreements = None,
) -> None:
    """Decide an appeal, as the payer."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    checked = partial(_check_approved, output, suite, keyring=keyring, encounter=encounter)
    held, decided = _with_response(suite, case, response, plan, history or (), checked)
    outcome, anchored = _OUTCOMES[decided.content.outcome], held.anchored()
    anchor, claim, number = suite.claim_anchor, anchored.claim, anchored.rules
    said = decided.commitment
    if stands_already(output, suite, "decide", claim, ClaimStatus.UPHELD if upheld else ClaimStatus.OVERTURNED, said):
        return
    step = Step(
        "decide",
        claim,
        content_hash(upheld, outcome, said),
        lambda signing, until: anchor.agree_to_decide_appeal(
            signing, claim, outcome, number, said, upheld=upheld, deadline=until
        ),
        lambda given, paying: anchor.decide_appeal(claim, outcome, number, said, upheld=upheld, sender=paying, **given),
        ("payer",),
    )
    about: JsonObject = {"case": str(case), "upheld": upheld, "outcome": outcome.name.lower()}
    Hands(output, suite, who, sending, agreement or ()).take(step, about)


# -- helpers -----------------------------------------------------------------------------------------------------


def _take_said(
    hands: Hands,
    step: str,
    case: Path,
    said: tuple[str, Path],
    *,
    sign: Callable[..., Agreement],
    send: Callable[..., Receipt],
    owner: str,
) -> None:
    """Take a step that says something and has one owner; `said` is what it is called, and the file of its text."""
    name, text = said
    claim, commitment = _with_paper(hands.suite, case, step, text)
    taken = Step(
        step,
        claim,
        commitment,
        lambda signing, until: sign(signing, claim, commitment, deadline=until),
        lambda given, paying: send(claim, commitment, sender=paying, **given),
        (owner,),
    )
    hands.take(taken, {"case": str(case), name: hex_text(commitment)})


def _appellant(suite: MedProof, claim: AnchoredClaim, who: ActorOptions) -> str:
    address = acting_address(who)
    return address if address == claim.patient else identity(suite, "--keystore", address)


def _with_paper(suite: MedProof, path: Path, step: str, text: Path) -> tuple[AnchoredClaim, bytes]:
    """The claim and the commitment to a text: the same text again has the same."""
    said = read_text(text)
    held = change_case(path, lambda found: on_this_chain(suite, path, found).with_paper(step, said))
    return held.anchored().claim, held.paper(step, said).commitment


def _with_response(
    suite: MedProof,
    path: Path,
    file: Path | None,
    plan: Path | None,
    history: Sequence[Path],
    checked: Callable[[Case], None],
) -> tuple[Case, SealedResponse]:
    """The case with the payer's decision in it: the same decision again has the same commitment."""
    if (file is None) == (plan is None):
        raise OptionError("--response", "or --plan is needed, one of them", "Say how it is decided.")
    held = on_this_chain(suite, path, load_case(path))
    held.check()
    bill, _ = held.content()
    before = [load_case(one) for one in all_cases(history) if one != path]
    decided = _by_plan(suite, held, plan, before) if plan is not None else _response(file or Path(), bill)
    if decided.outcome is not ClaimOutcome.DENIED:
        checked(held)
    held = change_case(path, lambda found: found.with_response(decided)[0])
    return held, held.with_response(decided)[1]


def _check_approved(
    output: Output, suite: MedProof, case: Case, *, keyring: Path | None, encounter: str | None
) -> None:
    """Make sure of what the contract cannot see, before it is approved: rules and keys are those of the service."""
    (bill, _), anchor = case.content(), case.anchored()
    governing = suite.claim_anchor.rules_in_force(anchor.claim.payer, plan_of(suite, anchor), bill.start)
    if governing is None or governing.number != anchor.rules:
        rule = f"names rules {anchor.rules}, which are not in force on its day of service"
        raise OptionError("CASE", rule, "Deny it, and have it billed under those that are.")
    if keyring is None:
        output.aside("Whether its nullifier is that of its service was not looked at: --keyring does.")
    elif not Keyring.load(keyring).gave(bill, anchor.claim.nullifier, anchor.claim.soft_key, registered=encounter):
        rule = "has another nullifier or soft key than its service under the consortium's keys"
        raise OptionError("CASE", rule, "Deny it, or name the --encounter that it was billed under.")


def _by_plan(suite: MedProof, case: Case, file: Path, before: Iterable[Case]) -> ClaimResponse:
    plan = Plan.from_json(hashing.parse(file.read_bytes()))
    anchor = case.anchored()
    rules = suite.claim_anchor.rules(anchor.claim.payer, anchor.rules)
    if rules is None or rules.hash != plan.hash:
        step = f"Give the text of rules {anchor.rules} of {anchor.claim.payer}."
        raise OptionError("--plan", f"has the hash {hex_text(plan.hash)}, which the claim's rules do not have", step)
    bill, _ = case.content()
    decided = [(one.claim, one.response.content) for one in before if one.claim and one.response]
    return adjudicate_by(bill, plan, History.before(bill, decided) if decided else History(bill.start.year))


def _response(file: Path, bill: Claim) -> ClaimResponse:
    """The one response in a file that answers a claim."""
    with of_file(file):
        found = [one for one in _responses(file) if one.claim_number == bill.number]
    if len(found) != 1:
        step = "Name a file with one decision on this claim."
        raise OptionError("--response", f"is {file}, which has {len(found)} answers to the claim's number", step)
    return found[0]


def _responses(file: Path) -> list[ClaimResponse]:
    content = file.read_bytes()
    if content.startswith(b"ISA"):
        from medproof import x12  # here, so that the other commands run without the extra

        return list(x12.read_responses(content))
    value = hashing.parse(content)
    if isinstance(value, dict) and "resourceType" not in value:
        return [read_response(value)]
    kinds = ("ClaimResponse", "ExplanationOfBenefit")
    resources = fhir.records(fhir.load(content))
    return [fhir.read_claim_response(one) for one in resources if one.resource_type in kinds]

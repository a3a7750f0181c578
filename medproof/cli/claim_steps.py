"""The steps of `medproof claims`: each by the party that owns it, sent itself, relayed, or agreed to in a file.

What opens a commitment is in the case's file before the commitment is sent, so that no crash loses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Option

from medproof import fhir, hashing
from medproof.claims.adjudication import History
from medproof.claims.adjudication import adjudicate as adjudicate_by
from medproof.claims.case import Anchor, Case, SealedResponse
from medproof.claims.claim import Claim, ClaimOutcome, ClaimResponse, Frequency
from medproof.claims.document import read_response
from medproof.claims.keyring import Keyring
from medproof.claims.plan import Plan
from medproof.cli.agreements import Agreements, Hands, Step, agreed_role, content_hash
from medproof.cli.cases import CaseFile, all_cases, change_case, load_case, on_this_chain
from medproof.cli.options import ActorOptions, ChainOptions, SendingOptions, expanded
from medproof.cli.output import Output
from medproof.cli.session import account, hash_of, identity, open_suite, party, read_text, signer
from medproof.client import MedProof
from medproof.client.claim_anchor import Agreement, AnchoredClaim, ClaimStatus, Outcome
from medproof.client.contract import NOBODY
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
_DECIDED = (ClaimStatus.ADJUDICATED, ClaimStatus.UPHELD, ClaimStatus.OVERTURNED)  # what can be settled

KeyringFile = Annotated[
    Path, Option(metavar="FILE", envvar="MEDPROOF_KEYRING", help="The consortium's keys for nullifiers.")
]
PayersKeyring = Annotated[
    Path | None,
    Option(
        "--keyring",
        metavar="FILE",
        envvar="MEDPROOF_KEYRING",
        help="The consortium's keys: only a claim with the nullifier of its service is approved.",
    ),
]
Encounter = Annotated[
    str | None,
    Option(
        metavar="ID", help="The encounter's or prescription's id, where the claim names neither; part of its nullifier."
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


# -- submission --------------------------------------------------------------------------------------------------


@app.command(
    epilog="Example: medproof claims submit a.case --payer 0x… --keyring consortium.keys --keystore clinic.json"
)
@expanded
def submit(
    case: CaseFile,
    who: ActorOptions,
    sending: SendingOptions,
    chain: ChainOptions,
    payer: Annotated[str, Option(metavar="ADDRESS", help="Who is billed.")],
    keyring: KeyringFile,
    provider: Annotated[
        str | None, Option(metavar="ADDRESS", help="Who bills; by default whose key file it is.")
    ] = None,
    plan: Annotated[int, Option(min=0, max=2**32 - 1, help="The payer's number for the plan.")] = 0,
    rules: Annotated[
        int | None, Option(min=1, help="The number of the rules; by default those in force on the day of service.")
    ] = None,
    patient: Annotated[str | None, Option(metavar="ADDRESS", help="Her pseudonym, where the plan asks for it.")] = None,
    encounter: Encounter = None,
    registration: Annotated[
        str | None, Option(metavar="HASH", help="The registered encounter or prescription, where the plan asks for it.")
    ] = None,
    agreement: Agreements = None,
) -> None:
    """Submit a case's claim, as the provider. Again after a crash, it is sent once."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    held = load_case(case)
    if _stands(suite, held):
        _tell_standing(output, suite, "submit", held.anchored().claim)
        return
    bill, _ = held.content()
    if bill.frequency is Frequency.VOID:
        raise OptionError(str(case), "takes a bill back, and bills nothing", "Void the claim: medproof claims void.")
    billed_to = identity(suite, "--payer", payer)
    by = identity(suite, "--provider", provider or _address(who))
    number = rules or _rules_of(suite, billed_to, plan, bill)
    keys = Keyring.load(keyring)
    _refuse_billed(suite, keys, bill, encounter)
    anchored = AnchoredClaim(
        provider=by,
        payer=billed_to,
        commitment=held.commitment,
        nullifier=keys.nullifier(bill, registered=encounter),
        patient=NOBODY if patient is None else account("--patient", patient),
        registration=bytes(32) if registration is None else hash_of("--registration", registration),
        soft_key=keys.soft_key(bill),
    )
    anchor = suite.claim_anchor
    kept = Anchor(suite.chain.chain_id, anchor.address, anchored, number)
    change_case(case, lambda found: replace(found, anchor=kept))
    step = Step(
        "submit",
        anchored,
        content_hash(number),
        lambda signing, until: anchor.agree_to_submit(signing, anchored, number, deadline=until),
        lambda given, paying: anchor.submit(anchored, number, sender=paying, **given),
        ("provider",),
    )
    Hands(output, suite, who, sending, agreement or ()).take(step, {"case": str(case), "rules": number})


@app.command(
    "replace",
    epilog="Example: medproof claims replace a.case --by corrected.case --keyring consortium.keys --keystore …",
)
@expanded
def replace_by(
    case: CaseFile,
    who: ActorOptions,
    sending: SendingOptions,
    chain: ChainOptions,
    by: Annotated[Path, Option(metavar="CASE", help="The case of the corrected claim.")],
    keyring: KeyringFile,
    encounter: Encounter = None,
    agreement: Agreements = None,
) -> None:
    """Replace a claim by a corrected one, which takes over its nullifier. Once settled, the payer agrees too."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    held, corrected = on_this_chain(suite, case, load_case(case)), load_case(by)
    if _stands(suite, corrected):
        _tell_standing(output, suite, "replace", corrected.anchored().claim)
        return
    bill, _ = corrected.content()
    old, keys = held.anchored(), Keyring.load(keyring)
    _refuse_billed(suite, keys, bill, encounter, corrected=old.claim.id)
    number = _rules_of(suite, old.claim.payer, _plan_of(suite, old), bill)
    new = replace(
        old.claim,
        commitment=corrected.commitment,
        nullifier=keys.nullifier(bill, registered=encounter),
        soft_key=keys.soft_key(bill),
    )
    change_case(by, lambda found: replace(found, anchor=replace(old, claim=new, rules=number)))
    anchor = suite.claim_anchor
    step = Step(
        "replace",
        old.claim,
        content_hash(number, new.id),
        lambda signing, until: anchor.agree_to_replace(signing, old.claim, new, number, deadline=until),
        lambda given, paying: anchor.replace(old.claim, new, number, sender=paying, **given),
        ("provider", "payer"),
    )
    Hands(output, suite, who, sending, agreement or ()).take(step, {"case": str(case), "by": hex_text(new.id)})


# -- decision ----------------------------------------------------------------------------------------------------


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
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    anchor, claim, said = _with_paper(suite, case, "pend", request)
    step = Step(
        "pend",
        claim,
        said,
        lambda signing, until: anchor.agree_to_pend(signing, claim, said, deadline=until),
        lambda given, paying: anchor.pend(claim, said, sender=paying, **given),
        ("payer",),
    )
    Hands(output, suite, who, sending, agreement or ()).take(step, {"case": str(case), "request": hex_text(said)})


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
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    anchor, claim, said = _with_paper(suite, case, "answer", reply)
    step = Step(
        "answer",
        claim,
        said,
        lambda signing, until: anchor.agree_to_answer(signing, claim, said, deadline=until),
        lambda given, paying: anchor.answer(claim, said, sender=paying, **given),
        ("provider",),
    )
    Hands(output, suite, who, sending, agreement or ()).take(step, {"case": str(case), "reply": hex_text(said)})


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
    if _taken(output, suite, "adjudicate", claim, ClaimStatus.ADJUDICATED, said):
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
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    anchor, claim, said = _with_paper(suite, case, "appeal", grounds)
    role = agreed_role(agreement or ())
    by = _appellant(suite, claim, who) if role is None else claim.patient if role == "patient" else claim.provider
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
    Hands(output, suite, who, sending, agreement or ()).take(
        step, {"case": str(case), "by": by, "grounds": hex_text(said)}
    )


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
    if _taken(output, suite, "decide", claim, ClaimStatus.UPHELD if upheld else ClaimStatus.OVERTURNED, said):
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


# -- settlement and withdrawal -----------------------------------------------------------------------------------


@app.command(epilog="Example: medproof claims settle a.case --agreement clinic.agreement --keystore payer.json")
@expanded
def settle(
    case: CaseFile,
    who: ActorOptions,
    sending: SendingOptions,
    chain: ChainOptions,
    agreement: Agreements = None,
) -> None:
    """Settle an approved claim: provider, payer and, where the rules say so, patient agree, the last one sends."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    claim, anchor = on_this_chain(suite, case, load_case(case)).anchored().claim, suite.claim_anchor
    state = anchor.state(claim)
    if _taken(output, suite, "settle", claim, ClaimStatus.SETTLED):
        return
    if sending.out is not None and (state.status not in _DECIDED or state.outcome is Outcome.DENIED):
        stands = f"{state.status.name.lower()}, with the outcome {state.outcome.name.lower()}"
        raise OptionError(str(case), f"is {stands}, so that nothing can be settled", "See medproof claims status.")
    step = Step(
        "settle",
        claim,
        content_hash(state.outcome, state.response),
        lambda signing, until: anchor.agree_to_settle(signing, claim, deadline=until),
        lambda given, paying: anchor.settle(claim, sender=paying, **given),
        ("provider", "payer", "patient"),
    )
    Hands(output, suite, who, sending, agreement or ()).take(step, {"case": str(case)})


@app.command(epilog="Example: medproof claims void a.case --keystore clinic.json")
@expanded
def void(
    case: CaseFile,
    who: ActorOptions,
    sending: SendingOptions,
    chain: ChainOptions,
    agreement: Agreements = None,
) -> None:
    """Void a claim and free its nullifier, as the provider; once settled, the payer agrees too."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    claim, anchor = on_this_chain(suite, case, load_case(case)).anchored().claim, suite.claim_anchor
    if _taken(output, suite, "void", claim, ClaimStatus.VOIDED):
        return
    step = Step(
        "void",
        claim,
        content_hash(),
        lambda signing, until: anchor.agree_to_void(signing, claim, deadline=until),
        lambda given, paying: anchor.void(claim, sender=paying, **given),
        ("provider", "payer"),
    )
    Hands(output, suite, who, sending, agreement or ()).take(step, {"case": str(case)})


# -- helpers -----------------------------------------------------------------------------------------------------


def _stands(suite: MedProof, case: Case) -> bool:
    """Whether the case's claim was submitted already."""
    if case.anchor is None or (case.anchor.chain_id, case.anchor.contract) != (
        suite.chain.chain_id,
        suite.claim_anchor.address,
    ):
        return False
    return suite.claim_anchor.state(case.anchor.claim).status is not ClaimStatus.NONE


def _taken(
    output: Output, suite: MedProof, step: str, claim: AnchoredClaim, leads_to: ClaimStatus, response: bytes = b""
) -> bool:
    """Whether a step was taken already, with this response where it has one: then that is said."""
    state = suite.claim_anchor.state(claim)
    if state.status is not leads_to or response not in (b"", state.response):
        return False
    _tell_standing(output, suite, step, claim)
    return True


def _tell_standing(output: Output, suite: MedProof, step: str, claim: AnchoredClaim) -> None:
    stands = suite.claim_anchor.state(claim).status.name.lower()
    output.document({"step": step, "claim": hex_text(claim.id), "sent": None, "status": stands})
    output.say(f"This stands already: claim {hex_text(claim.id)} is {stands}.")


def _appellant(suite: MedProof, claim: AnchoredClaim, who: ActorOptions) -> str:
    address = _address(who)
    return address if address == claim.patient else identity(suite, "--keystore", address)


def _address(who: ActorOptions) -> str:
    if who.keystore is not None and who.custodian is None:
        return party(who).address
    return signer(who).address


def _rules_of(suite: MedProof, payer: str, plan: int, bill: Claim) -> int:
    found = suite.claim_anchor.rules_in_force(payer, plan, bill.start)
    if found is None:
        step = "Ask the payer for its plan's number, or name --rules."
        raise OptionError("--plan", f"is {plan}, for which {payer} has no rules on the day of service", step)
    return found.number


def _plan_of(suite: MedProof, anchor: Anchor) -> int:
    found = suite.claim_anchor.rules(anchor.claim.payer, anchor.rules)
    return 0 if found is None else found.plan


def _refuse_billed(
    suite: MedProof, keyring: Keyring, bill: Claim, encounter: str | None, *, corrected: bytes | None = None
) -> None:
    """Look for the service under keys that were replaced: the contract sees only the new one."""
    for nullifier in keyring.former_nullifiers(bill, registered=encounter):
        holder = suite.claim_anchor.claim_of(nullifier)
        if holder not in (None, corrected) or suite.claim_anchor.waits(nullifier):
            step = "Replace or void the earlier claim."
            raise OptionError("CASE", f"was billed under an earlier key, as {hex_text(nullifier)}", step)


def _with_paper(suite: MedProof, path: Path, step: str, text: Path) -> tuple[Any, AnchoredClaim, bytes]:
    """The contract, the claim and the commitment to a text: the same text again has the same."""
    said = read_text(text)
    held = change_case(path, lambda found: on_this_chain(suite, path, found).with_paper(step, said))
    return suite.claim_anchor, held.anchored().claim, held.paper(step, said).commitment


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
    governing = suite.claim_anchor.rules_in_force(anchor.claim.payer, _plan_of(suite, anchor), bill.start)
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

"""What a provider does with a claim: `medproof claims submit`, `replace`, `settle` and `void`.

What opens a commitment is in the case's file before the commitment is sent, so that no crash loses it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from medproof.claims.case import Anchor, Case
from medproof.claims.claim import Claim, Frequency
from medproof.claims.keyring import Keyring
from medproof.cli.agreements import Agreements, Hands, Step, content_hash
from medproof.cli.cases import CaseFile, change_case, load_case, on_this_chain
from medproof.cli.claim_standing import Encounter, acting_address, plan_of, stands_already, tell_standing
from medproof.cli.options import ActorOptions, ChainOptions, SendingOptions, expanded
from medproof.cli.output import Output
from medproof.cli.session import account, hash_of, identity, open_suite
from medproof.client import MedProof
from medproof.client.claim_anchor import AnchoredClaim, ClaimStatus, Outcome
from medproof.client.contract import NOBODY
from medproof.errors import OptionError
from medproof.json_reader import hex_text

__all__ = ["app"]

app = typer.Typer()

_DECIDED = (ClaimStatus.ADJUDICATED, ClaimStatus.UPHELD, ClaimStatus.OVERTURNED)  # what can be settled

KeyringFile = Annotated[
    Path, Option(metavar="FILE", envvar="MEDPROOF_KEYRING", help="The consortium's keys for nullifiers.")
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
        tell_standing(output, suite, "submit", held.anchored().claim)
        return
    bill, _ = held.content()
    if bill.frequency is Frequency.VOID:
        raise OptionError(str(case), "takes a bill back, and bills nothing", "Void the claim: medproof claims void.")
    billed_to = identity(suite, "--payer", payer)
    by = identity(suite, "--provider", provider or acting_address(who))
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
        tell_standing(output, suite, "replace", corrected.anchored().claim)
        return
    bill, _ = corrected.content()
    old, keys = held.anchored(), Keyring.load(keyring)
    _refuse_billed(suite, keys, bill, encounter, corrected=old.claim.id)
    number = _rules_of(suite, old.claim.payer, plan_of(suite, old), bill)
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
    if stands_already(output, suite, "settle", claim, ClaimStatus.SETTLED):
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
    if stands_already(output, suite, "void", claim, ClaimStatus.VOIDED):
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


def _rules_of(suite: MedProof, payer: str, plan: int, bill: Claim) -> int:
    found = suite.claim_anchor.rules_in_force(payer, plan, bill.start)
    if found is None:
        step = "Ask the payer for its plan's number, or name --rules."
        raise OptionError("--plan", f"is {plan}, for which {payer} has no rules on the day of service", step)
    return found.number


def _refuse_billed(
    suite: MedProof, keyring: Keyring, bill: Claim, encounter: str | None, *, corrected: bytes | None = None
) -> None:
    """Look for the service under keys that were replaced: the contract sees only the new one."""
    for nullifier in keyring.former_nullifiers(bill, registered=encounter):
        holder = suite.claim_anchor.claim_of(nullifier)
        if holder not in (None, corrected) or suite.claim_anchor.waits(nullifier):
            step = "Replace or void the earlier claim."
            raise OptionError("CASE", f"was billed under an earlier key, as {hex_text(nullifier)}", step)

"""What commands over claims ask alike: where a claim stands, who acts, and under which plan it was billed."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from medproof.claims.case import Anchor
from medproof.cli.options import ActorOptions
from medproof.cli.output import Output
from medproof.cli.session import party, signer
from medproof.client import MedProof
from medproof.client.claim_anchor import AnchoredClaim, ClaimStatus
from medproof.json_reader import hex_text

__all__ = ["Encounter", "acting_address", "plan_of", "stands_already", "tell_standing"]

Encounter = Annotated[
    str | None,
    Option(
        metavar="ID", help="The encounter's or prescription's id, where the claim names neither; part of its nullifier."
    ),
]


def stands_already(
    output: Output, suite: MedProof, step: str, claim: AnchoredClaim, leads_to: ClaimStatus, response: bytes = b""
) -> bool:
    """Whether a step was taken already, with this response where it has one: then that is said."""
    state = suite.claim_anchor.state(claim)
    if state.status is not leads_to or response not in (b"", state.response):
        return False
    tell_standing(output, suite, step, claim)
    return True


def tell_standing(output: Output, suite: MedProof, step: str, claim: AnchoredClaim) -> None:
    """Say that a step needs no sending any more."""
    stands = suite.claim_anchor.state(claim).status.name.lower()
    output.document({"step": step, "claim": hex_text(claim.id), "sent": None, "status": stands})
    output.say(f"This stands already: claim {hex_text(claim.id)} is {stands}.")


def acting_address(who: ActorOptions) -> str:
    """The account of whoever acts."""
    if who.keystore is not None and who.custodian is None:
        return party(who).address
    return signer(who).address


def plan_of(suite: MedProof, anchor: Anchor) -> int:
    """The payer's number for the plan of a claim's rules; 0 where there are none."""
    found = suite.claim_anchor.rules(anchor.claim.payer, anchor.rules)
    return 0 if found is None else found.plan

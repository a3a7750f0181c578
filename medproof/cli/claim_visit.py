"""`medproof claims visit`: a patient registers a visit, without which a plan that asks for it is billed nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from typer import Argument, Option, Typer

from medproof.cli.options import ActorOptions, ChainOptions, SendingOptions, expanded
from medproof.cli.output import Output
from medproof.cli.sending import deliver
from medproof.cli.session import hash_of, identity, open_suite, signer
from medproof.client.claim_anchor import encounter_id
from medproof.hashing import JsonObject, new_salt
from medproof.json_reader import hex_text

__all__ = ["app"]

app = Typer()


@app.command(epilog="Example: medproof claims visit 0x… --wallet seed.txt --relay-as front-desk.json")
@expanded
def visit(
    provider: Annotated[str, Argument(metavar="PROVIDER", help="Who may bill it.", show_default=False)],
    who: ActorOptions,
    sending: SendingOptions,
    chain: ChainOptions,
    registration: Annotated[
        str | None, Option(metavar="HASH", help="Its salted id, where the provider gave one; a new one by default.")
    ] = None,
) -> None:
    """Register a visit, as its patient. Tell the id to the provider alone: it bills with it."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    billed_by = identity(suite, "PROVIDER", provider)
    by = signer(who if who.custodian or who.keystore else replace(who, custodian=billed_by))
    salted = new_salt() if registration is None else hash_of("--registration", registration)
    encounter = encounter_id(billed_by, salted)
    about: JsonObject = {"patient": by.address, "provider": billed_by, "registration": hex_text(salted)}
    if suite.claim_anchor.encounter_at(by.address, encounter) is not None:
        output.document({**about, "sent": None, "unchanged": True})
        output.say("This visit is registered already.")
        return
    message = suite.claim_anchor.sign_encounter(by, encounter, lifetime=sending.lifetime)
    deliver(suite, [message], sending, output, about)
    output.aside(f"The provider submits with --patient {by.address} --registration {hex_text(salted)}")

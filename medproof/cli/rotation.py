"""`medproof party rotate`: another account for a party, whose identity and consents stay."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from typer import Argument, Option

from medproof.cli import documents
from medproof.cli.options import ChainOptions, KeyOptions, expanded
from medproof.cli.output import Output
from medproof.cli.sending import tell_done
from medproof.cli.session import account, identity, open_suite, party

__all__ = ["app"]

app = typer.Typer(help="Change a party's account; its identity stays.", no_args_is_help=True)

Named = Annotated[
    str, Argument(metavar="PARTY", help="Its identity, or the account that acts for it.", show_default=False)
]
Fresh = Annotated[str, Argument(metavar="ACCOUNT", help="A fresh account.", show_default=False)]


@app.command(epilog="Example: medproof party rotate offer 0x… --keystore clinic.json")
@expanded
def offer(to: Fresh, who: KeyOptions, chain: ChainOptions) -> None:
    """Offer your place to a fresh account, as the account that acts for the party now."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    fresh, by = account("ACCOUNT", to), party(who)
    of = identity(suite, "--keystore", by.address)
    change = suite.registrar.account_change_of(of)
    stands = change is not None and (change.to, change.recovery) == (fresh, False)
    receipt = None if stands else suite.registrar.offer_account(fresh, sender=by)
    said = f"{fresh} is offered the place of {of}{' already' if stands else ''}"
    output.aside(f"With its key file it takes the place: medproof party rotate take {of}")
    tell_done(output, {"party": of, "account": fresh}, receipt, said)


@app.command(epilog="Example: medproof party rotate withdraw --keystore clinic.json")
@expanded
def withdraw(who: KeyOptions, chain: ChainOptions) -> None:
    """Withdraw the offer."""
    output, suite, by = Output(as_json=chain.as_json), open_suite(chain), party(who)
    of = identity(suite, "--keystore", by.address)
    tell_done(output, {"party": of}, suite.registrar.withdraw_offer(sender=by), "The offer is withdrawn")


@app.command(epilog="Example: medproof party rotate take 0x… --keystore fresh.json")
@expanded
def take(named: Named, who: KeyOptions, chain: ChainOptions) -> None:
    """Take the place, as the account that it was offered to; in a recovery after its delay."""
    output, suite, by = Output(as_json=chain.as_json), open_suite(chain), party(who)
    of = identity(suite, "PARTY", named)
    stands = suite.registrar.account_of(of) == by.address
    receipt = None if stands else suite.registrar.take_account(of, sender=by)
    said = f"{by.address} acts for {of}{' already' if stands else ''}"
    tell_done(output, {"party": of, "account": by.address}, receipt, said)


@app.command(epilog="Example: medproof party rotate recover 0x… --to 0x… --keystore authority.json")
@expanded
def recover(
    named: Named,
    authority: KeyOptions,
    chain: ChainOptions,
    to: Annotated[str, Option(metavar="ACCOUNT", help="A fresh account of the party's.")],
) -> None:
    """Give a party whose key is lost or stolen a fresh account, as the authority, after a delay that all can see."""
    output, suite, by = Output(as_json=chain.as_json), open_suite(chain), party(authority)
    of, fresh = identity(suite, "PARTY", named), account("--to", to)
    before = suite.registrar.account_change_of(of)  # once more would begin the delay anew
    stands = before is not None and (before.to, before.recovery) == (fresh, True)
    receipt = None if stands else suite.registrar.start_recovery(of, fresh, sender=by)
    change = suite.registrar.account_change_of(of)
    ready = None if change is None else documents.time_text(datetime.fromtimestamp(change.ready_at, UTC))
    said = f"{fresh} may take the place of {of} from {ready} on"
    tell_done(output, {"party": of, "account": fresh, "ready_at": ready}, receipt, said)


@app.command(epilog="Example: medproof party rotate cancel 0x… --keystore authority.json")
@expanded
def cancel(named: Named, authority: KeyOptions, chain: ChainOptions) -> None:
    """Call a recovery off, as the authority."""
    output, suite, by = Output(as_json=chain.as_json), open_suite(chain), party(authority)
    of = identity(suite, "PARTY", named)
    tell_done(output, {"party": of}, suite.registrar.cancel_recovery(of, sender=by), "The recovery is called off")

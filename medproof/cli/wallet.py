"""`medproof wallet`: a patient's seed phrase, her pseudonyms, and finding all of them again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from medproof.cli.custodians import Gatekeepers, asking
from medproof.cli.options import ChainOptions, PseudonymOptions, WalletOptions, expanded
from medproof.cli.output import Output, refuse_existing
from medproof.cli.session import file_of_secret, open_suite, phrase, pseudonym
from medproof.recovery import Relationship, recover
from medproof.wallet import Wallet

__all__ = ["app"]

app = typer.Typer(help="A patient's wallet: twelve words, and a pseudonym for each custodian.", no_args_is_help=True)

AsJson = Annotated[bool, Option("--json", help="Print one JSON document instead.")]


@app.command(epilog="Example: medproof wallet new seed.txt")
def new(
    file: Annotated[
        Path | None, Argument(metavar="FILE", help="A new file; shown once where none is named.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a wallet: twelve words, kept nowhere else. They bring everything back, for whoever has them."""
    if file is not None:
        refuse_existing(file_of_secret(file))
    output, (_, words) = Output(as_json=as_json), Wallet.create()
    if file is None:
        output.document({"phrase": words})
        output.say(words)
        output.aside("Write these words down: they are shown once, and kept nowhere.")
        return
    output.keep(file, words)
    output.document({"file": str(file)})
    output.say(f"Twelve words are in {file}, which you alone can read. Keep a copy on paper.")


@app.command("pseudonym", epilog="Example: medproof wallet pseudonym --wallet seed.txt --custodian 0x…")
@expanded
def show_pseudonym(who: PseudonymOptions, as_json: AsJson = False) -> None:
    """Show a pseudonym's address: what one tells this custodian, and nobody else. The chain is not asked."""
    output, address = Output(as_json=as_json), pseudonym(who).address
    output.document({"pseudonym": address, "custodian": who.custodian, "relationship": who.relationship})
    output.say(address)


@app.command("recover", epilog="Example: medproof wallet recover --wallet seed.txt --gatekeeper 0x…=https://…")
@expanded
def find_relationships(who: WalletOptions, chain: ChainOptions, gatekeeper: Gatekeepers = None) -> None:
    """Find all relationships of a wallet, with every custodian that ever was, by its words and the chain alone."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    mine, total = Wallet(phrase(who.wallet)), len(suite.registrar.parties())
    with asking(suite, gatekeeper) as listings, output.progress("Trying custodians", total) as advance:
        found = [*recover(suite, mine, listings=listings, progress=lambda done, _: advance(done))]
    output.document(
        {
            "relationships": [
                {
                    "custodian": one.custodian,
                    "relationship": one.number,
                    "pseudonym": one.subject,
                    "pointers": len(one.pointers),
                    "in_batches": len(one.batched),
                    "acts": len(one.history),
                }
                for one in found
            ]
        }
    )
    output.table(
        ("custodian", "relationship", "pseudonym", "pointers", "acts"),
        (_row(one) for one in found),
        empty="Nothing is on the chain about this wallet. What is only in batches, custodians list: name --gatekeeper.",
    )


def _row(one: Relationship) -> tuple[str, ...]:
    pointers = len(one.pointers) + len(one.batched)
    return one.custodian, str(one.number), one.subject, str(pointers), str(len(one.history))

"""`medproof party group`: groups of parties, which rules can name."""

from __future__ import annotations

from typing import Annotated

import typer
from typer import Argument

from medproof.cli.options import ChainListOptions, ChainOptions, KeyOptions, expanded
from medproof.cli.output import Output
from medproof.cli.sending import tell_done
from medproof.cli.session import grantee, identity, open_suite, party
from medproof.client import MedProof
from medproof.client.registrar import EVERYONE
from medproof.errors import OptionError

__all__ = ["app"]

app = typer.Typer(help="Groups of parties, as the authority forms them.", no_args_is_help=True)

Group = Annotated[str, Argument(metavar="GROUP", help="`emergency`, `group:7` or 7.", show_default=False)]
Named = Annotated[
    str, Argument(metavar="PARTY", help="Its identity, or the account that acts for it.", show_default=False)
]


@app.command(epilog="Example: medproof party group create Oncology --keystore authority.json")
@expanded
def create(
    name: Annotated[str, Argument(metavar="NAME", help="Its public name.", show_default=False)],
    authority: KeyOptions,
    chain: ChainOptions,
) -> None:
    """Create a group. One of this name is not created twice."""
    output, suite, by = Output(as_json=chain.as_json), open_suite(chain), party(authority)
    if not name.strip():
        raise OptionError("NAME", "is empty", "Say what the group is called in public.")
    known = next((number for number, other in suite.registrar.groups().items() if other == name), None)
    number = suite.registrar.create_group(name, sender=by) if known is None else known
    output.document({"group": number, "name": name, "unchanged": known is not None})
    output.say(f"Group {number} is {name}{' already' if known is not None else ''}. Rules name it group:{number}.")


@app.command(epilog="Example: medproof party group join emergency 0x… --keystore authority.json")
@expanded
def join(group: Group, named: Named, authority: KeyOptions, chain: ChainOptions) -> None:
    """Let a party join a group; it can be in four. Whoever is in `emergency` may break the glass."""
    _move(group, named, authority, chain, into=True)


@app.command(epilog="Example: medproof party group leave emergency 0x… --keystore authority.json")
@expanded
def leave(group: Group, named: Named, authority: KeyOptions, chain: ChainOptions) -> None:
    """Make a party leave a group."""
    _move(group, named, authority, chain, into=False)


@app.command("list", epilog="Example: medproof party group list --network sepolia")
@expanded
def list_groups(chain: ChainListOptions) -> None:
    """List the groups."""
    output, suite = Output(as_json=chain.as_json, as_csv=chain.as_csv), open_suite(chain)
    groups = sorted(suite.registrar.groups().items())
    output.document({"groups": [{"group": number, "name": name} for number, name in groups]})
    output.table(("group", "name"), ((str(number), name) for number, name in groups), empty="There are none.")


def _move(group: str, named: str, authority: KeyOptions, chain: ChainOptions, *, into: bool) -> None:
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    of, number, by = identity(suite, "PARTY", named), _number(group), party(authority)
    act = suite.registrar.join_group if into else suite.registrar.leave_group
    stands = _inside(suite, of, number) == into
    receipt = None if stands else act(number, of, sender=by)
    said = f"{of} is {'in' if into else 'not in'} group {number}{' already' if stands and into else ''}"
    tell_done(output, {"party": of, "group": number}, receipt, said)


def _inside(suite: MedProof, of: str, number: int) -> bool | None:
    """Whether a party is in a group; None where there is no such party, or no such group to be in."""
    stored = suite.registrar.party(suite.registrar.account_of(of) or of)
    known = number in suite.registrar.groups() and number != int(EVERYONE, 16)
    return number in stored.groups if stored is not None and known else None


def _number(text: str) -> int:
    found = int(grantee("GROUP", f"group:{text}" if text.isascii() and text.isdigit() else text), 16)
    if found >> 16:
        raise OptionError("GROUP", f"is {text!r}, which is no group", "See medproof party group list.")
    return found

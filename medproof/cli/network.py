"""`medproof network`: the chains that are known by name, whether a node is fit, and chains of one's own."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

import typer
from typer import Argument, Option

from medproof.chain import Chain, origin
from medproof.cli.findings import show_findings
from medproof.cli.output import ANSWER_NO, Output
from medproof.errors import OptionError
from medproof.examination import examine_node
from medproof.hashing import Json
from medproof.network_signers import SignerVote, network_signers, propose_signer, withdraw_proposal
from medproof.networks import Network, add_network, network_named, networks

__all__ = ["app"]

app = typer.Typer(help="Networks: chains by name, and whether a node is fit.", no_args_is_help=True)

signers = typer.Typer(
    help="Who seals the blocks of a Clique network, and votes about them, through a signer's own node.",
    no_args_is_help=True,
)
app.add_typer(signers, name="signers")

Named = Annotated[str, Argument(metavar="NAME|URL", help="A named network, or a node.", show_default=False)]
Account = Annotated[str, Argument(metavar="ADDRESS", help="Whom it is about.", show_default=False)]
Anyway = Annotated[bool, Option("--anyway", help="Vote though the network could stop.")]
AsJson = Annotated[bool, Option("--json", help="Print one JSON document instead.")]


@app.command("list", epilog="Example: medproof network list --json")
def list_networks(as_json: AsJson = False) -> None:
    """List the networks that are known by name. A URL is shown without its path, where providers put keys."""
    output = Output(as_json=as_json)
    known = [(one, one.address) for one in networks().values()]
    output.document(
        [
            {
                "name": one.name,
                "chain_id": one.chain_id,
                "url": origin(url) if url else None,
                "variable": one.variable,
                "confirmations": one.confirmations,
                "finality": one.finality,
                "explorer": one.explorer or None,
                "own": one.ours,
            }
            for one, url in known
        ]
    )
    rows = [
        (one.name, str(one.chain_id), origin(url) if url else f"${one.variable}", _depth(one), str(one.finality))
        for one, url in known
    ]
    output.table(("network", "chain id", "node", "counts after", "an index reads"), rows, empty="None.")


@app.command(epilog="Example: medproof network check sepolia")
def check(
    network: Named,
    as_json: AsJson = False,
) -> None:
    """Look at a network's node, and say what to do about what is wrong. Exit code 1 where something will not work."""
    show_findings(Output(as_json=as_json), examine_node(network_named(network)))


@app.command(epilog="Example: medproof network add consortium --url http://10.1.2.3:8545 --chain-id 7777")
def add(
    name: Annotated[str, Argument(metavar="NAME", help="Small letters, digits, hyphens.", show_default=False)],
    chain_id: Annotated[int, Option(min=1, max=2**63 - 1, help="Which chain must answer.")],
    url: Annotated[str, Option(metavar="URL", help="A node; empty to have it in MEDPROOF_<NAME>_URL.")] = "",
    confirmations: Annotated[int, Option(min=1, help="Blocks, its own included, before a transaction counts.")] = 1,
    finality: Annotated[
        str | None, Option(metavar="BLOCKS", help="What an index reads: a number of blocks, safe, or finalized.")
    ] = None,
    explorer: Annotated[str, Option(metavar="URL", help="A block explorer.")] = "",
    as_json: AsJson = False,
) -> None:
    """Keep a chain of your own under a name, or a known one's with another node. Again, it replaces what it kept."""
    output = Output(as_json=as_json)
    if urlsplit(url).password:
        step = "Leave --url empty, and give the whole URL in the environment."
        raise OptionError("--url", "has a password, which others can see on a command line", step)
    counted = int(finality) if finality is not None and finality.isdecimal() else finality or confirmations
    path = add_network(Network(name, url, chain_id, confirmations, counted, explorer, ours=True))
    output.document({"name": name, "file": str(path)})
    output.say(f"Kept in {path}. Try it: medproof network check {name}")


@signers.command("list", epilog="Example: medproof network signers list consortium")
def list_signers(network: Named, as_json: AsJson = False) -> None:
    """List the signers, how many of the last blocks each has sealed, and the votes that wait for more."""
    output, known = Output(as_json=as_json), network_signers(Chain.connect(network))
    output.document(
        {
            "block": known.block,
            "needed": known.majority,
            "looked": known.looked,
            "signers": [{"account": account, "sealed": count} for account, count in known.sealed.items()],
            "votes": [_vote_json(vote) for vote in known.votes],
            "node": known.node,
            "proposals": [{"account": account, "joins": joins} for account, joins in known.proposals.items()],
        }
    )
    sealed = f"sealed of the last {known.looked}"
    rows = [
        (account, str(count), "this node's" if account == known.node else "") for account, count in known.sealed.items()
    ]
    output.table(("signer", sealed, ""), rows, empty="None.")
    output.say(f"{known.majority} of them have to seal for the chain to go on, and to agree for a vote to count.")
    for vote in known.votes:
        output.say(_sentence(vote))
    for account, joins in known.proposals.items():
        over = " That is so: withdraw it, or it counts again one day." if (account in known.sealed) == joins else ""
        output.say(f"This node votes for {account} {_aim(joins)}.{over}")


@signers.command(epilog="Example: medproof network signers propose http://127.0.0.1:8545 0x…")
def propose(network: Named, account: Account, anyway: Anyway = False, as_json: AsJson = False) -> None:
    """Have a signer's node vote for an account to become a signer."""
    _vote(network, account, True, anyway, as_json)


@signers.command(epilog="Example: medproof network signers drop http://127.0.0.1:8545 0x…")
def drop(network: Named, account: Account, anyway: Anyway = False, as_json: AsJson = False) -> None:
    """Have a signer's node vote for a signer to be one no more."""
    _vote(network, account, False, anyway, as_json)


@signers.command(epilog="Example: medproof network signers withdraw http://127.0.0.1:8545 0x…")
def withdraw(network: Named, account: Account, as_json: AsJson = False) -> None:
    """Have a node vote about an account no more. Exit code 1 where it did not."""
    output, found = Output(as_json=as_json), withdraw_proposal(Chain.connect(network), account)
    output.document({"account": account, "withdrawn": found})
    output.say(f"This node votes about {account} no more." if found else f"This node did not vote about {account}.")
    if not found:
        raise typer.Exit(ANSWER_NO)


def _vote(network: str, account: str, joins: bool, anyway: bool, as_json: bool) -> None:
    output, vote = Output(as_json=as_json), propose_signer(Chain.connect(network), account, joins, anyway=anyway)
    output.document(_vote_json(vote))
    output.say(f"{_sentence(vote)} This node's counts from the next block that it seals.")


def _vote_json(vote: SignerVote) -> Json:
    voters: list[Json] = [*sorted(vote.voters)]
    return {"account": vote.account, "joins": vote.joins, "voters": voters, "needed": vote.needed}


def _sentence(vote: SignerVote) -> str:
    more = f"{vote.missing} more {'have' if vote.missing > 1 else 'has'} to vote" if vote.missing else "that is enough"
    return f"{len(vote.voters)} of {vote.needed} needed vote for {vote.account} {_aim(vote.joins)}: {more}."


def _aim(joins: bool) -> str:
    return "to become a signer" if joins else "to be a signer no more"


def _depth(network: Network) -> str:
    return f"{network.confirmations} block{'s' if network.confirmations > 1 else ''}"

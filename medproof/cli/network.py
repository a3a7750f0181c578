"""`medproof network`: the chains that are known by name, whether a node is fit, and chains of one's own."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

import typer
from typer import Argument, Option

from medproof.chain import origin
from medproof.cli.findings import show_findings
from medproof.cli.output import Output
from medproof.errors import OptionError
from medproof.examination import examine_node
from medproof.networks import Network, add_network, network_named, networks

__all__ = ["app"]

app = typer.Typer(help="Networks: chains by name, and whether a node is fit.", no_args_is_help=True)

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
    network: Annotated[str, Argument(metavar="NAME|URL", help="A named network, or a node.", show_default=False)],
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


def _depth(network: Network) -> str:
    return f"{network.confirmations} block{'s' if network.confirmations > 1 else ''}"

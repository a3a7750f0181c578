"""`medproof deploy`: what it would take, doing it, handing it over, whether it stands, and its sources in public."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Option

from medproof.artifacts import CONTRACTS
from medproof.chain import Chain, Sender, origin
from medproof.cli.findings import show_findings
from medproof.cli.options import ChainOptions, KeyOptions, expanded
from medproof.cli.output import Output
from medproof.cli.session import DEVELOPMENT, manifest_path, network_of, party, record_path
from medproof.deployments import Deployment, Plan, Planned, safe_transactions
from medproof.deployments import accept as accept_deployment
from medproof.deployments import deploy as deploy_suite
from medproof.deployments import plan as plan_deployment
from medproof.deployments import verify as check
from medproof.errors import OptionError
from medproof.examination import examine_deployment
from medproof.hashing import Json, JsonObject
from medproof.json_http import is_url
from medproof.signing import NodeSigner
from medproof.source_publication import (
    ETHERSCAN,
    SOURCIFY,
    Etherscan,
    Explorer,
    Sourcify,
)
from medproof.source_publication import (
    publish as publish_sources,
)
from medproof.standard_input import compiler_version, input_hash, standard_input

__all__ = ["app"]

app = typer.Typer(help="Deploy the suite, hand it over, and check what stands.", no_args_is_help=True)

_KEY = "MEDPROOF_EXPLORER_KEY"
_ETHER = 10**18  # wei
_GWEI = 10**9

Yes = Annotated[bool, Option("--yes", help="Do not ask before anything is sent.")]


@dataclass(frozen=True)
class DeployOptions:
    """How the suite is deployed."""

    admin: Annotated[
        str | None,
        Option(
            metavar="ADDRESS",
            envvar="MEDPROOF_ADMIN",
            help="Who is to administer: a Safe, or an account, which then accepts; else whoever deploys.",
            rich_help_panel="Who administers",
        ),
    ] = None
    delay: Annotated[
        int | None,
        Option(
            min=0,
            metavar="SECONDS",
            help="How long the admin must announce its acts before, as the Authority enforces it.",
            rich_help_panel="Who administers",
        ),
    ] = None
    any_contract: Annotated[
        bool,
        Option(
            "--any-contract",
            help="The admin may be a contract that is no Safe.",
            rich_help_panel="Who administers",
        ),
    ] = False
    salt: Annotated[
        str | None,
        Option(
            metavar="HEX",
            help="32 bytes of which the addresses are made; else the manifest's, or random ones.",
            rich_help_panel="Addresses",
        ),
    ] = None
    factory: Annotated[
        str | None,
        Option(
            metavar="ADDRESS",
            help="The factory that creates the contracts; else the one of most chains, or one of your own.",
            rich_help_panel="Addresses",
        ),
    ] = None
    overwrite: Annotated[
        bool,
        Option(
            "--overwrite", help="Begin anew where the manifest has another deployment.", rich_help_panel="Addresses"
        ),
    ] = False


Calls = Annotated[
    Path | None,
    Option(
        "--safe-file",
        metavar="FILE",
        help="Where calls that are left to the admin go, as Safe's Transaction Builder opens them.",
    ),
]


@app.command(epilog="Example: medproof deploy plan --network sepolia --keystore 0x… --admin 0x…")
@expanded
def plan(how: DeployOptions, who: KeyOptions, chain: ChainOptions, safe_file: Calls = None) -> None:
    """Say what deploying would do now: addresses, gas and cost, roles, admin. Nothing is sent, and no key is needed:
    --keystore takes an address."""
    output, connected = Output(as_json=chain.as_json), Chain.connect(network_of(chain))
    sender, manifest = _payer(connected, who), record_path(chain, connected)
    planned = _planned(connected, sender, manifest, how)
    output.document(_plan_document(connected, planned, manifest))
    _tell_plan(output, connected, planned, manifest)
    _write_calls(output, planned, safe_file)


@app.command(epilog="Example: medproof deploy run --network sepolia --keystore deployer.json --admin 0x…")
@expanded
def run(how: DeployOptions, who: KeyOptions, chain: ChainOptions, yes: Yes = False, safe_file: Calls = None) -> None:
    """Deploy the suite, or go on where it stopped: say what it takes, ask, act, and write each step into the manifest.
    Again, it does nothing."""
    output, connected = Output(as_json=chain.as_json), Chain.connect(network_of(chain))
    sender, manifest = _payer(connected, who), record_path(chain, connected)
    planned = _planned(connected, sender, manifest, how)
    _tell_plan(output, connected, planned, manifest)
    _write_calls(output, planned, safe_file)
    if planned.transactions:
        _ask(output, connected, "Deploy?", yes)
    options = {**asdict(how), "salt": planned.salt or None}  # the addresses are those that were shown
    with _steps(output, "Deploying", _steps_of(planned)) as report:
        made = deploy_suite(connected, sender, manifest=manifest, report=report, **options)
    output.document({"manifest": str(manifest), **_deployment_document(made), "left": _calls(planned)})
    _tell_next(output, made, chain, manifest)


@app.command(epilog="Example: medproof deploy accept --network sepolia --keystore admin.json")
@expanded
def accept(who: KeyOptions, chain: ChainOptions, yes: Yes = False) -> None:
    """Take over as the account that is to administer: whoever deployed has no rights then. With a delay the first call
    announces it, and a second one does it."""
    output, connected = Output(as_json=chain.as_json), Chain.connect(network_of(chain))
    manifest, sender = manifest_path(chain, connected), party(who)
    _ask(output, connected, f"{sender.address} becomes the admin, and whoever deployed loses its rights. Go on?", yes)
    with _steps(output, "Accepting", 1) as report:
        made = accept_deployment(connected, sender, manifest=manifest, report=report)
    output.document({"manifest": str(manifest), **_deployment_document(made)})
    _tell_next(output, made, chain, manifest)


@app.command(epilog="Example: medproof deploy verify --network sepolia")
@expanded
def verify(chain: ChainOptions) -> None:
    """Read the chain again: the code of each contract, whom it works with, which role each function needs, who has the
    roles. Exit code 1 where something is not as it was deployed."""
    connected = Chain.connect(network_of(chain))
    deployment = Deployment.load(manifest_path(chain, connected))
    show_findings(Output(as_json=chain.as_json), examine_deployment(connected, deployment))


@app.command(epilog="Example: medproof deploy publish --network sepolia --to sourcify")
@expanded
def publish(
    chain: ChainOptions,
    to: Annotated[
        str | None,
        Option(
            metavar="EXPLORER",
            help="sourcify (as if nothing is named) or etherscan, or a server that answers as they do: sourcify:URL, "
            f"etherscan:URL. Etherscan's wants a key in {_KEY}.",
        ),
    ] = None,
    write_inputs: Annotated[
        Path | None,
        Option(metavar="FOLDER", help="Where the contracts' standard JSON inputs go; alone, nothing is published."),
    ] = None,
) -> None:
    """Publish the contracts' sources, so that anybody reads what stands at their addresses. What is published already
    is said so. The manifest has the hash of each input: compiled, it is the contract's code."""
    output = Output(as_json=chain.as_json)
    connected = Chain.connect(network_of(chain))
    deployment = Deployment.load(manifest_path(chain, connected))
    written = _write_inputs(output, connected, deployment, write_inputs) if write_inputs is not None else []
    if to is None and write_inputs is not None:
        output.document({"explorer": None, "published": [], "inputs": written})
        return
    to = "sourcify" if to is None else to
    explorer = _explorer(to)
    done: list[Json] = []
    with output.progress("Publishing", len(CONTRACTS)) as advance:
        for one in publish_sources(connected, deployment, explorer):
            done.append({"contract": one.contract, "address": one.address, "match": one.match.value})
            output.aside(f"{one.contract} at {one.address}: {_MATCHES[one.match.value]}")
            advance(len(done))
    output.document({"explorer": to, "published": done, "inputs": written})
    output.say(f"All {len(done)} contracts are published.")


_MATCHES = {
    "exact": "code and metadata are those of the sources",
    "code": "the code is that of the sources",
    "already": "was published already",
}


def _payer(chain: Chain, who: KeyOptions) -> Sender:
    """Who sends and pays: whoever is named, or the first account of a node that holds some."""
    if who.keystore:
        return party(who)
    accounts = chain.accounts()
    if not accounts:
        step = "Name a key file or a signer that pays; to plan, an address will do."
        raise OptionError("--keystore", "is missing, and the node holds no account", step)
    return NodeSigner(accounts[0])


def _planned(chain: Chain, sender: Sender, manifest: Path, how: DeployOptions) -> Plan:
    """What deploying would do, with all that there is to be warned of."""
    replaced = how.overwrite and manifest.exists()
    if replaced:
        Deployment.load(manifest)  # what is no manifest, such as a key file, is never overwritten
    planned = plan_deployment(chain, sender, manifest=manifest, **asdict(how))
    warnings = [*planned.warnings]
    if replaced:
        warnings.append(f"The record in {manifest} is replaced. Keep a copy, if anybody uses what it says.")
    if planned.cost > chain.balance(sender.address):
        warnings.append(f"{sender.address} may have too little: it may be asked for {_ether(planned.cost)} ether.")
    return replace(planned, warnings=tuple(warnings))


def _ask(output: Output, chain: Chain, question: str, yes: bool) -> None:
    if chain.chain_id not in DEVELOPMENT and not yes:
        output.confirm(question)


@contextmanager
def _steps(output: Output, doing: str, total: int) -> Iterator[Callable[[str], None]]:
    """Each step is said as it begins, beneath a bar where somebody watches."""
    done = 0
    try:
        with output.progress(doing, total) as advance:

            def report(step: str) -> None:
                nonlocal done
                output.aside(step)
                advance(done := done + 1)

            yield report
    except (KeyboardInterrupt, typer.Abort):
        output.aside("Interrupted. The same command goes on where it stopped.")
        raise


def _steps_of(planned: Plan) -> int:
    return bool(planned.factory.gas) + len(planned.contracts) + len(planned.calls)


# -- what is said -------------------------------------------------------------------------------------------------


def _tell_plan(output: Output, chain: Chain, planned: Plan, manifest: Path) -> None:
    sent = [*([planned.factory] if planned.factory.gas else []), *planned.contracts]
    if planned.calls:
        sent.append(Planned("roles", planned.addresses["Authority"], planned.calls_gas))
    rows = [(one.name, one.address, f"{one.gas:,}", _ether(one.gas * planned.price)) for one in sent]
    output.table(("contract", "address", "gas", "ether"), rows, empty="All contracts stand.")
    for name in planned.adopted:
        output.say(f"{name} stands at {planned.addresses[name]} already, and is taken as it is.")
    if planned.calls:
        output.say("The roles, in one transaction:")
        for call in planned.calls:
            output.say(f"  {call.what}")
    if planned.left:
        output.say(f"Left to {planned.admin}, the admin:")
        for call in planned.left:
            output.say(f"  {call.what}")
    many = f"{planned.transactions} transaction{'s' if planned.transactions != 1 else ''}"
    price = f"at up to {planned.price / _GWEI:.9g} gwei"
    cost = f"at most {planned.gas:,} gas, which is {_ether(planned.cost)} ether {price}"
    output.say(f"Chain {planned.chain_id}: {f'{many}, {cost}' if planned.transactions else 'nothing to send'}.")
    output.say(f"{planned.deployer} deploys, and has {_ether(chain.balance(planned.deployer))} ether.")
    output.say(f"Admin: {planned.admin}{_hand_over(planned)}.")
    output.say(f"Factory {planned.factory.address}, salt {planned.salt or 'none'}. Record: {manifest}.")
    for warning in planned.warnings:
        output.say(warning, style="yellow")


def _hand_over(planned: Plan) -> str:
    said = f", {planned.safe}" if planned.safe else ""
    if planned.delay:
        said += f", with a delay of {planned.delay:,} s"
    if planned.handed_over:
        return said
    if planned.admin == planned.deployer:
        return f"{said}, who deploys"
    return said + (": it has its role at once" if planned.at_once else ": it has to accept")


def _tell_next(output: Output, made: Deployment, chain: ChainOptions, manifest: Path) -> None:
    """What stands, and the command that comes next."""
    for name in CONTRACTS:
        output.say(f"{name:16} {made.address(name)}")
    output.say(f"Recorded in {manifest}.")
    network = str(chain.network)
    shown = "…" if "://" in network and origin(network) != network.rstrip("/") else network  # a path may hold a key
    named = f"--network {shown}" + (f" --deployment {manifest}" if chain.deployment else "")
    if made.handed_over:
        output.say(f"Admin: {made.admin}. Next: medproof deploy verify {named}")
    else:
        output.say(f"Next, as {made.admin}: medproof deploy accept {named} --keystore …")


def _ether(wei: int) -> str:
    return f"{wei / _ETHER:.6f}"


# -- documents ----------------------------------------------------------------------------------------------------


def _plan_document(chain: Chain, planned: Plan, manifest: Path) -> JsonObject:
    safe = planned.safe
    contracts: list[Json] = [
        {"name": one.name, "address": one.address, "gas": one.gas, "cost": one.gas * planned.price}
        for one in planned.contracts
    ]
    return {
        "chain_id": planned.chain_id,
        "manifest": str(manifest),
        "deployer": planned.deployer,
        "balance": chain.balance(planned.deployer),
        "admin": planned.admin,
        "safe": None if safe is None else {"owners": [*safe.owners], "threshold": safe.threshold},
        "handed_over": planned.handed_over,
        "at_once": planned.at_once,
        "delay": planned.delay,
        "salt": planned.salt,
        "factory": {"address": planned.factory.address, "gas": planned.factory.gas},
        "contracts": contracts,
        "addresses": dict(planned.addresses),
        "adopted": [*planned.adopted],
        "calls": [one.what for one in planned.calls],
        "calls_gas": planned.calls_gas,
        "left": _calls(planned),
        "transactions": planned.transactions,
        "gas": planned.gas,
        "price": planned.price,
        "cost": planned.cost,
        "warnings": [*planned.warnings],
    }


def _calls(planned: Plan) -> list[Json]:
    return [{"what": one.what, "to": one.authority, "data": one.data} for one in planned.left]


def _deployment_document(made: Deployment) -> JsonObject:
    contracts: list[Json] = [
        {"name": name, "address": entry.address, "transaction": entry.transaction or None, "block": entry.block}
        for name, entry in made.contracts.items()
    ]
    return {
        "chain_id": made.chain_id,
        "complete": made.complete,
        "admin": made.admin,
        "deployer": made.deployer,
        "handed_over": made.handed_over,
        "contracts": contracts,
    }


def _write_calls(output: Output, planned: Plan, path: Path | None) -> None:
    if path is None:
        return
    if not planned.left:
        output.say(f"Nothing is left to the admin: {path} is not written.")
        return
    said: dict[str, Any] = safe_transactions(planned.left, chain_id=planned.chain_id, safe=planned.admin)
    output.write(path, json.dumps(said, indent=2))
    output.say(f"Written to {path}: what is left to the admin, for Safe's Transaction Builder.")


def _write_inputs(output: Output, chain: Chain, deployment: Deployment, folder: Path) -> list[Json]:
    """Write the input of each contract that stands, and is this build."""
    check(chain, deployment)
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Json] = []
    for name in CONTRACTS:
        path = folder / f"{name}.json"
        output.write(path, standard_input(name).encode())
        written.append({"contract": name, "file": str(path), "keccak256": input_hash(name)})
    output.say(f"{len(written)} inputs are in {folder}, for solc {compiler_version()} --standard-json.")
    return written


def _explorer(named: str) -> Explorer:
    kind, _, url = named.partition(":")
    if url and not is_url(url):
        raise OptionError("--to", "names no URL that can be asked", "Give one such as https://blockscout.example/api.")
    if kind == "sourcify":
        return Sourcify(url or SOURCIFY)
    if kind == "etherscan":
        key = os.environ.get(_KEY, "")
        if not key and not url:
            raise OptionError("--to", "is Etherscan, which wants a key", f"Set {_KEY} to the one that it gave you.")
        return Etherscan(key, url or ETHERSCAN)
    raise OptionError("--to", f"is {named!r:.80}, which is no explorer", "Known are sourcify and etherscan.")

"""`medproof doctor`: whether a set-up is fit, and what to do where it is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from typer import Option

from medproof.chain import Chain
from medproof.cli.findings import show_findings
from medproof.cli.options import ChainOptions, expanded
from medproof.cli.output import Output
from medproof.cli.session import account, database_at, manifest_path, network_of
from medproof.deployments import Deployment
from medproof.errors import MedProofError
from medproof.examination import (
    Finding,
    State,
    examine_account,
    examine_deployment,
    examine_index,
    examine_node,
)
from medproof.networks import Network, network_named

__all__ = ["doctor"]

_PATIENCE = 10.0  # seconds for a database


@expanded
def doctor(
    chain: ChainOptions,
    sender: Annotated[
        list[str] | None, Option(metavar="ADDRESS", help="An account that pays: a relayer's, a custodian's. Repeat it.")
    ] = None,
    index: Annotated[
        str | None, Option(metavar="FILE|URL", envvar="MEDPROOF_INDEX", help="An index that should follow the chain.")
    ] = None,
    store: Annotated[
        str | None, Option(metavar="FILE|URL", envvar="MEDPROOF_STORE", help="A custodian's records.")
    ] = None,
) -> None:
    """Look at the node, the contracts and their roles, and whatever else is named; change nothing. Exit code 1 where
    something will not work."""
    network = network_named(network_of(chain))
    senders = [account("--sender", one) for one in sender or ()]
    show_findings(Output(as_json=chain.as_json), _all(network, chain, senders, index, store))


def _all(
    network: Network, options: ChainOptions, senders: list[str], index: str | None, store: str | None
) -> Iterator[Finding]:
    node = list(examine_node(network))
    yield from node
    if store is not None:
        yield _store(store)
    if node[-1].what in ("node", "chain id"):  # nobody answers, or not the chain that is meant
        return
    try:
        chain = Chain.connect(network)
        deployment = Deployment.load(manifest_path(options, chain))
    except MedProofError as error:
        yield Finding("manifest", State.BAD, str(error))
        return
    yield from examine_deployment(chain, deployment)
    for address in senders:
        yield examine_account(chain, address, "sender")
    if index is not None:
        yield _index(index, chain, deployment, network)


def _index(where: str, chain: Chain, deployment: Deployment, network: Network) -> Finding:
    from medproof.indexer import Index  # here, so that the others are examined without the extra

    if "://" not in where and not Path(where).is_file():
        return Finding("index", State.BAD, f"{where} is not there", "Make it: medproof index --index …")
    try:
        opened = Index(database_at(where), as_it_is=True)
        try:
            place = (chain.chain_id, deployment.address("Authority").lower())
            kept = [one for one in opened.deployments() if (one.chain, one.authority.lower()) == place]
            if not kept:
                return Finding("index", State.BAD, "it keeps other deployments", "Name its manifest, or its own index.")
            return examine_index(chain, kept[0], network)
        finally:
            opened.close()
    except MedProofError as error:
        return Finding("index", State.BAD, str(error))


def _store(where: str) -> Finding:
    from medproof.store.database import Database

    if "://" not in where and not Path(where).is_file():
        return Finding("store", State.BAD, f"{where} is not there", "Make it: medproof gateway serve --store …")
    try:
        database = Database(database_at(where), connections=1, patience=_PATIENCE)
        try:
            with database.reading() as connection:
                connection.exec_driver_sql("SELECT 1")
        finally:
            database.close()
    except MedProofError as error:
        return Finding("store", State.BAD, str(error))
    return Finding("store", State.GOOD, "the database answers")

"""`medproof gateway`: the custodian's HTTP service."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from medproof import hashing
from medproof.chain import Sender
from medproof.cli.datasets import indexed_deployment
from medproof.cli.options import ChainOptions, IndexOptions, KeyOptions, expanded
from medproof.cli.output import Output
from medproof.cli.session import account, database_at, open_suite, party, password
from medproof.client import MedProof
from medproof.errors import OptionError
from medproof.policy.document import PolicyDocument
from medproof.signing import LocalSigner
from medproof.telemetry import log

if TYPE_CHECKING:
    from fastapi import APIRouter

__all__ = ["app"]

app = typer.Typer(help="Serve records to whom their subjects permit it on chain.", no_args_is_help=True)

_PROMISED = 6  # intervals until an entry must be anchored: a node may be away for some of them
_PATIENCE = 5.0  # seconds for each answer of the node
_HASH = re.compile("0x[0-9a-fA-F]{64}")
_FINALITY = re.compile("safe|finalized|[1-9][0-9]{0,3}")


@app.command("key", epilog="Example: medproof gateway key master.key")
def new_key(file: Annotated[Path, Argument(metavar="FILE", help="A new file.", show_default=False)]) -> None:
    """Make a master key for a record store; keep it apart from the database and its copies."""
    from medproof.store import MasterKey

    MasterKey.create(file)
    output = Output(as_json=False)
    output.say(f"Written to {file}. Keep it apart from the database; without it no record can be read again.")


@app.command(
    epilog="Example: medproof gateway serve --origin https://records.example.org --store records.db "
    "--master-key master.key --keystore clinic.json --writer 0x…"
)
@expanded
def serve(
    chain: ChainOptions,
    custodian: KeyOptions,
    origin: Annotated[str, Option(metavar="URL", help="Where callers reach it; what they sign counts there alone.")],
    store: Annotated[str, Option(metavar="FILE|URL", help="The record store: a file, or a PostgreSQL URL.")],
    master_key: Annotated[Path, Option(metavar="FILE", help="The store's master key; gateway key makes one.")],
    writer: Annotated[
        list[str] | None, Option(metavar="ADDRESS", help="Accounts of your own devices and apps, which may post.")
    ] = None,
    document: Annotated[
        list[Path] | None, Option(metavar="FILE", help="Policy documents behind terms, as JSON.")
    ] = None,
    plain_terms: Annotated[
        list[str] | None, Option(metavar="HASH", help="Terms that are consent forms and nothing finer.")
    ] = None,
    finality: Annotated[str, Option(metavar="BLOCKS", help="How many blocks must stand, or safe, or finalized.")] = "1",
    max_block_age: Annotated[
        float, Option(min=0, metavar="SECONDS", help="How old the newest block may be; 0 for any age.")
    ] = 300.0,
    log_key: Annotated[
        Path | None,
        Option(metavar="FILE", help="Key file that signs the access log's promises; without it no log is kept."),
    ] = None,
    log_password_file: Annotated[
        Path | None, Option(metavar="FILE", help="Its password; or MEDPROOF_LOG_PASSWORD.")
    ] = None,
    log_number: Annotated[int, Option(min=0, max=2**32 - 1, help="Which of your logs; medproof access open.")] = 0,
    log_every: Annotated[
        int,
        Option(min=1, max=10800, metavar="SECONDS", help="How often the log is anchored; promised in six times that."),
    ] = 600,
    queue: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            envvar="MEDPROOF_GATEWAY_QUEUE",
            help="Transactions on their way, on a local disk; beside a store that is a file where none is named.",
        ),
    ] = None,
    batch_size: Annotated[int, Option(min=1, help="The most pointers that are posted together.")] = 256,
    batch_wait: Annotated[float, Option(min=0, metavar="SECONDS", help="How long a pointer waits for others.")] = 2.0,
    explore: Annotated[
        str | None,
        Option(metavar="FILE|URL", help="An index of this deployment, whose pages are shown below /explore."),
    ] = None,
    operator: Annotated[
        list[str] | None,
        Option(metavar="IP", help="Addresses that may read /metrics, beside this machine's own. Repeat it."),
    ] = None,
    host: Annotated[str, Option(metavar="ADDRESS", help="Where to listen; put TLS in front of it.")] = "127.0.0.1",
    port: Annotated[int, Option(min=0, max=65535, help="Where to listen.")] = 8080,
) -> None:
    """Serve until Ctrl-C or SIGTERM. Without a key file records are served, and none are taken."""
    # Here, so that the other commands run without the extra.
    from medproof.access.entry_log import EntryLog
    from medproof.gateway import Gatekeeper, Settings, serve
    from medproof.gateway.telemetry import LOGGER
    from medproof.store import KeyRing, MasterKey, SqlStore

    if not _FINALITY.fullmatch(finality):
        raise OptionError("--finality", f"is {finality!r}", "Give a number of blocks, safe, or finalized.")
    if log_key is not None and not custodian.keystore:
        raise OptionError("--log-key", "is named without --keystore", "Name the custodian's account, too.")
    settings = Settings(
        origin,
        writers=frozenset(account("--writer", one) for one in writer or ()),
        documents=tuple(_document(path) for path in document or ()),
        plain_terms=frozenset(_hash(text) for text in plain_terms or ()),
        finality=int(finality) if finality.isdigit() else finality,
        queue=queue,
        max_block_age=max_block_age or None,
        batch_size=batch_size,
        batch_wait=batch_wait,
        anchor_interval=log_every,
        operators=Settings.operators | {_ip(one) for one in operator or ()},
    )
    suite = open_suite(chain, patience=_PATIENCE)
    sender = party(custodian) if custodian.keystore else None
    where, keys = database_at(store), KeyRing(MasterKey.from_file(master_key))
    records, entries = SqlStore(where, keys), None
    try:
        if log_key is not None and sender is not None:
            entries = EntryLog(
                where,
                keys,
                custodian=_identity(suite, sender),
                domain=suite.access_log.domain,
                signer=LocalSigner.from_keystore(
                    log_key, password(str(log_key), log_password_file, "MEDPROOF_LOG_PASSWORD")
                ),
                number=log_number,
                promised_within=_PROMISED * log_every,
            )
        gatekeeper = Gatekeeper(
            suite,
            records,
            settings,
            sender=sender,
            entry_log=entries,
            trouble=lambda error: log(LOGGER, "posting", trouble=type(error).__name__),
        )
        said = f"Serving {origin} on {host}:{port}. Ctrl-C stops."
        with closing(gatekeeper), _pages(suite, explore) as routers:
            ready = Output(as_json=chain.as_json)
            serve(gatekeeper, host=host, port=port, routers=routers, ready=lambda: ready.aside(said))
    finally:
        records.close()
        if entries is not None:
            entries.close()


@app.command(
    epilog="Example: medproof gateway rotate --store records.db --master-key new.key --retired old.key --of 0x…"
)
@expanded
def rotate(
    chain: ChainOptions,
    store: Annotated[str, Option(metavar="FILE|URL", help="The record store: a file, or a PostgreSQL URL.")],
    master_key: Annotated[Path, Option(metavar="FILE", help="The new master key; gateway key makes one.")],
    retired: Annotated[list[Path], Option(metavar="FILE", help="A master key that was in use until now. Repeat it.")],
    of: Annotated[str, Option(metavar="ADDRESS", help="The custodian whose access logs are in it.")],
) -> None:
    """Wrap all keys of a store and of its access logs with a new master key, while no gatekeeper serves from it; then
    destroy the old ones with all their copies. Records are not touched; interrupted, it is run again."""
    # Here, so that the other commands run without the extra.
    from medproof.access.entry_log import EntryLog
    from medproof.store import KeyRing, MasterKey, SqlStore

    suite, custodian = open_suite(chain), account("--of", of)
    old = tuple(MasterKey.from_file(one) for one in retired)
    keys = KeyRing(MasterKey.from_file(master_key), retired=old)
    with closing(SqlStore(database_at(store), keys)) as records:
        done = records.rotate()
        for number in records.access_logs():
            log = EntryLog(records.database, keys, custodian=custodian, domain=suite.access_log.domain, number=number)
            done += log.rotate()
    output = Output(as_json=chain.as_json)
    output.document({"rotated": done, "master": keys.current.id})
    output.say(f"{done:,} keys are under the new master key {keys.current.id}, and nothing is under another.")


@contextmanager
def _pages(suite: MedProof, index: str | None) -> Iterator[list[APIRouter]]:
    """The pages of the registry, from an index, until the end of the work."""
    if index is None:
        yield []
        return
    # Here, so that gatekeepers without them run without the extra.
    from medproof.explore import Explorer, OfIndex, explore_routes
    from medproof.research.suppression import Suppression

    deployment = suite.deployment
    of = IndexOptions(index, deployment.chain_id, deployment.contracts["Authority"].address)
    with indexed_deployment(of) as indexed, closing(Explorer(OfIndex(indexed, suppression=Suppression()))) as explorer:
        yield [explore_routes(explorer)]


def _identity(suite: MedProof, sender: Sender) -> str:
    """The party that an account acts for; the gatekeeper refuses to start where there is none."""
    found = suite.registrar.party(sender.address)
    return found.id if found is not None else sender.address


def _document(path: Path) -> PolicyDocument:
    return PolicyDocument.from_json(hashing.parse(path.read_bytes()))


def _ip(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise OptionError("--operator", f"is {text!r}", "Give an IP address, such as 10.0.0.7.") from None


def _hash(text: str) -> bytes:
    if not _HASH.fullmatch(text):
        raise OptionError("--plain-terms", f"is {text!r}", "Give 0x and 64 hexadecimal digits.")
    return bytes.fromhex(text[2:])

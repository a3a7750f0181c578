"""`medproof index`: the suite's events, in a database of one's own."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

from typer import Option

from medproof.cli.operating import running, shown
from medproof.cli.options import ChainOptions, LogFormat, ServiceOptions, expanded
from medproof.cli.output import Output
from medproof.cli.session import database_at, open_suite
from medproof.errors import OptionError
from medproof.hashing import Json
from medproof.networks import network_named

if TYPE_CHECKING:
    from medproof.indexer import Indexer, Progress

__all__ = ["index"]

_FINALITY = re.compile("safe|finalized|[1-9][0-9]{0,3}")
_PAUSE = 2.0  # seconds between looks at the chain


@expanded
def index(
    chain: ChainOptions,
    service: ServiceOptions,
    store: Annotated[
        str,
        Option(
            "--index",
            metavar="FILE|URL",
            envvar="MEDPROOF_INDEX",
            help="The index: a file, or a PostgreSQL URL; made where there is none.",
        ),
    ],
    follow: Annotated[bool, Option("--follow", help="Go on with what is new, until Ctrl-C.")] = False,
    finality: Annotated[
        str | None,
        Option(metavar="BLOCKS", help="How many blocks must stand, or safe, or finalized; the network's own."),
    ] = None,
    to_block: Annotated[
        int | None, Option(min=0, metavar="BLOCK", help="Read up to this block and no further.")
    ] = None,
    check: Annotated[
        str | None,
        Option(metavar="NAME|URL", help="A second node, which has to say the same of every range."),
    ] = None,
) -> None:
    """Read the suite's events into an index, whole at every moment; whatever stops it, running it again goes on."""
    # Here, so that the other commands run without the extra.
    from medproof.indexer import Index, Indexer, Node, Progress

    if finality is not None and not _FINALITY.fullmatch(finality):
        raise OptionError("--finality", f"is {finality!r}", "Give a number of blocks, safe, or finalized.")
    if service.metrics is not None and not follow:
        raise OptionError("--metrics", "is named without --follow", "Numbers are for what runs on: add --follow.")
    if follow and to_block is not None:
        raise OptionError("--follow", "goes on for good, and --to-block names an end", "Give one of them.")
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    second = None if check is None else Node(network_named(check).url)
    opened = Index(database_at(store))
    counted = int(finality) if finality is not None and finality.isdigit() else finality
    counted = counted or network_named(str(chain.network)).finality
    try:
        indexer = Indexer(opened, suite.chain, suite.deployment, check=second, finality=counted)
        first = indexer.indexed.block
        if follow:
            _follow(indexer, service, output)
            progress = Progress(indexer.indexed.block, indexer.indexed.block, 0)
        else:
            with output.rate("Indexing", "events") as show:
                progress = indexer.update(
                    to_block=to_block,
                    report=lambda now: show(now.block - first, now.target - first, now.events),
                )
            output.line({**_said(progress), "rows": dict(indexer.indexed.counts())})
        output.say(f"Read up to block {progress.block}{_what(progress)}. The index is {store}.")
    finally:
        opened.close()


def _follow(indexer: Indexer, service: ServiceOptions, output: Output) -> None:
    """Go on until Ctrl-C or SIGTERM, and tell operators of it."""
    from medproof.indexer.telemetry import LOGGER, FollowingMetrics

    seen, first = FollowingMetrics(indexer.indexed), indexer.indexed.block
    news = _news(output, first)

    def report(progress: Progress) -> None:
        seen.report(progress)
        news(progress)

    def trouble(error: Exception) -> None:
        seen.trouble(error)
        if service.log_format is LogFormat.TEXT:
            output.aside(str(error))

    watched = shown(service, seen.metrics, seen.pulse)
    with running(service, LOGGER.name, tells=True) as stop, watched, suppress(KeyboardInterrupt):
        output.aside(f"Following from block {first + 1}. Ctrl-C stops; the index is whole at every moment.")
        indexer.follow(stop, pause=_PAUSE, report=report, trouble=trouble)


def _news(output: Output, first: int) -> Callable[[Progress], None]:
    """Tell of each range in which there was something, as it is read."""
    last = first

    def tell(progress: Progress) -> None:
        nonlocal last
        if progress.block != last:
            last = progress.block
            output.line(_said(progress))
            output.say(f"Block {progress.block}{_what(progress)}")

    return tell


def _said(progress: Progress) -> dict[str, Json]:
    return {"block": progress.block, "events": progress.events, "rolled_back": progress.rolled_back}


def _what(progress: Progress) -> str:
    taken = f", {progress.rolled_back} blocks taken back" if progress.rolled_back else ""
    return (f": {progress.events:,} new events" if progress.events else "") + taken

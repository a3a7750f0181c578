"""`medproof relay`: the durable queue of signed messages, and the work on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from medproof.chain import Sender
from medproof.cli import documents, sending
from medproof.cli.operating import running, shown
from medproof.cli.options import ChainOptions, LogFormat, RelayersOptions, ServiceOptions, expanded
from medproof.cli.output import ANSWER_NO, Output
from medproof.cli.sending import work_off
from medproof.cli.session import open_suite, senders
from medproof.client import MedProof
from medproof.errors import MedProofError, NodeError, OptionError, QueueError
from medproof.hashing import Json
from medproof.relayer import Relayer

if TYPE_CHECKING:
    from medproof.relayer.telemetry import RelayingMetrics

__all__ = ["app"]

app = typer.Typer(help="Relay the signed messages of many subjects, and pay for them.", no_args_is_help=True)

_PAUSE = 1.0  # seconds between rounds
QueueFile = Annotated[
    Path, Option("--queue", envvar="MEDPROOF_QUEUE", metavar="FILE", help="The queue; made where there is none.")
]


@app.command(epilog="Example: medproof relay add signed.json --queue relay.db")
@expanded
def add(
    files: Annotated[list[Path], Argument(metavar="FILE…", help="Signed messages.", show_default=False)],
    chain: ChainOptions,
    queue: QueueFile,
) -> None:
    """Queue signed messages; on disk when the command ends. Exit code 1 where one was not taken."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    messages = [(path, message) for path in files for message in sending.read_messages(path)]
    taken: list[Json] = []
    with _relayer(suite, (), queue) as relayer:
        for path, message in output.each(messages, "Queueing"):
            try:
                taken.append({"file": str(path), "id": relayer.submit(message), "refused": None})
            except (NodeError, QueueError):
                raise
            except MedProofError as error:
                taken.append({"file": str(path), "id": None, "refused": str(error)})
    output.document({"messages": taken})
    refused = [one for one in taken if isinstance(one, dict) and one["refused"]]
    for one in taken:
        if isinstance(one, dict):
            output.say(f"{one['file']}: {one['id'] or one['refused']}", style="red" if one in refused else "")
    if refused:
        raise typer.Exit(ANSWER_NO)


@app.command(epilog="Example: medproof relay run --queue relay.db --relay-as one.json --relay-as other.json")
@expanded
def run(
    relay: RelayersOptions,
    chain: ChainOptions,
    service: ServiceOptions,
    queue: QueueFile,
    drain: Annotated[bool, Option("--drain", help="Send all that waits now, and end when nothing is open.")] = False,
    size: Annotated[int, Option(min=1, help="How many messages make a batch that is sent at once.")] = 100,
    age: Annotated[float, Option(min=0, metavar="SECONDS", help="When a smaller one is sent, too.")] = 30.0,
) -> None:
    """Send what is queued, in batches that mix subjects, until Ctrl-C; a crash loses and doubles nothing."""
    if service.metrics is not None and drain:
        raise OptionError("--metrics", "is named beside --drain", "Numbers are for what runs on: leave one away.")
    output, suite, seen = Output(as_json=chain.as_json), open_suite(chain), _seen(service)
    progress = {} if seen is None else {"progress": seen.progress}
    with _relayer(suite, senders(relay), queue, size=size, age=age, **progress) as relayer:
        if drain:
            work_off(relayer, output)
            output.document({"messages": [documents.fate_document(fate) for fate in relayer.fates()]})
            output.say("Nothing is open any more.")
        else:
            _run(relayer, suite, service, output, seen)


@app.command(epilog="Example: medproof relay status --queue relay.db")
@expanded
def status(
    chain: ChainOptions,
    queue: QueueFile,
    id_: Annotated[str | None, Argument(metavar="ID", help="One message; all where none is named.")] = None,
) -> None:
    """Show what became of messages."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    if not queue.exists():
        raise OptionError("--queue", f"is {str(queue)!r}, and there is no such file", "Queue a message first.")
    with _relayer(suite, (), queue) as relayer:
        fates = relayer.fates() if id_ is None else [relayer.status(id_)]
    output.document({"messages": [documents.fate_document(fate) for fate in fates]})
    output.table(
        ("id", "what", "subject", "state", "block", "why"),
        (
            (fate.id, fate.function, fate.subject, str(fate.state), str(fate.block or "-"), fate.reason or "")
            for fate in fates
        ),
        empty="The queue is empty.",
    )


def _seen(service: ServiceOptions) -> RelayingMetrics | None:
    """What the numbers are counted in, if they are shown."""
    if service.metrics is None:
        return None
    from medproof.relayer.telemetry import RelayingMetrics  # here, so that the others run without the extra

    return RelayingMetrics()


def _run(
    relayer: Relayer, suite: MedProof, service: ServiceOptions, output: Output, seen: RelayingMetrics | None
) -> None:
    """Relay until Ctrl-C or SIGTERM, and tell operators of it."""

    def trouble(error: MedProofError) -> None:
        if seen is not None:
            seen.trouble(error)
        if service.log_format is LogFormat.TEXT:
            output.aside(str(error))

    def report(left: int) -> None:
        if seen is not None:
            seen.report(left)

    with ExitStack() as around:
        stop = around.enter_context(running(service, "medproof", tells=False))
        if seen is not None:
            seen.watch(relayer, suite.chain)
            around.enter_context(shown(service, seen.metrics, seen.pulse))
        output.aside("Relaying. Ctrl-C stops; what is queued stays queued.")
        relayer.run(stop, pause=_PAUSE, report=report, trouble=trouble)


@contextmanager
def _relayer(suite: MedProof, by: Sequence[Sender], queue: Path, **options: Any) -> Iterator[Relayer]:
    relayer = Relayer(suite, queue, by, **options)
    try:
        yield relayer
    finally:
        relayer.close()

"""`medproof relay`: the durable queue of signed messages, and the work on it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from medproof.chain import Sender
from medproof.cli import documents, sending
from medproof.cli.options import ChainOptions, RelayersOptions, expanded
from medproof.cli.output import ANSWER_NO, Output
from medproof.cli.sending import work_off
from medproof.cli.session import open_suite, senders
from medproof.client import MedProof
from medproof.errors import MedProofError, NodeError, OptionError, QueueError
from medproof.hashing import Json
from medproof.relayer import Relayer

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
    queue: QueueFile,
    drain: Annotated[bool, Option("--drain", help="Send all that waits now, and end when nothing is open.")] = False,
    size: Annotated[int, Option(min=1, help="How many messages make a batch that is sent at once.")] = 100,
    age: Annotated[float, Option(min=0, metavar="SECONDS", help="When a smaller one is sent, too.")] = 30.0,
) -> None:
    """Send what is queued, in batches that mix subjects, until Ctrl-C; a crash loses and doubles nothing."""
    output, suite = Output(as_json=chain.as_json), open_suite(chain)
    with _relayer(suite, senders(relay), queue, size=size, age=age) as relayer:
        if drain:
            work_off(relayer, output)
            output.document({"messages": [documents.fate_document(fate) for fate in relayer.fates()]})
            output.say("Nothing is open any more.")
        else:
            output.aside("Relaying. Ctrl-C stops; what is queued stays queued.")
            relayer.run(threading.Event(), pause=_PAUSE, trouble=lambda error: output.aside(str(error)))


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


@contextmanager
def _relayer(suite: MedProof, by: Sequence[Sender], queue: Path, **options: float) -> Iterator[Relayer]:
    relayer = Relayer(suite, queue, by, **options)  # type: ignore[arg-type]
    try:
        yield relayer
    finally:
        relayer.close()

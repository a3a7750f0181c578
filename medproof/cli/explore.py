"""`medproof explore`: pages to look at the public registry."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from medproof.cli.datasets import indexed_deployment, open_dataset
from medproof.cli.options import DatasetOptions, JsonOptions, SuppressionOptions, expanded
from medproof.cli.output import Output
from medproof.cli.questions import suppression_of

if TYPE_CHECKING:
    from medproof.explore import Explorer

__all__ = ["explore"]


@expanded
def explore(
    source: DatasetOptions,
    small: SuppressionOptions,
    form: JsonOptions,
    export: Annotated[
        Path | None,
        Option(metavar="FOLDER", help="Write the pages as files that need no server, and leave; a new folder."),
    ] = None,
    host: Annotated[str, Option(metavar="ADDRESS", help="Where to listen; put TLS in front of it.")] = "127.0.0.1",
    port: Annotated[int, Option(min=0, max=65535, help="Where to listen.")] = 8090,
) -> None:
    """Look at the registry: overview, cohorts, time, studies, parties, DUO, evidence. Serves until Ctrl-C."""
    # Here, so that the other commands run without the extra.
    from medproof.explore import serve_pages, write_site

    output = Output(as_json=form.as_json)
    with _explorer(source, small, output, once=export is not None) as explorer:
        if export is None:
            said = f"The pages are at http://{host}:{port}/. Ctrl-C stops."
            serve_pages(explorer, host=host, port=port, ready=lambda: output.aside(said))
            return
        with output.progress("Writing pages", 0) as advance:
            names = write_site(explorer, export, progress=lambda done, _: advance(done))
    output.document({"folder": str(export), "pages": list(names)})
    output.say(f"Written to {export}: {len(names)} pages. Open {export / 'index.html'}.")


@contextmanager
def _explorer(source: DatasetOptions, small: SuppressionOptions, output: Output, *, once: bool) -> Iterator[Explorer]:
    from medproof.explore import Explorer, OfDataset, OfIndex

    suppression = suppression_of(small)
    if once or source.dataset is not None:
        with open_dataset(source, output) as dataset:
            yield Explorer(OfDataset(dataset, suppression=suppression))
    else:
        with (
            indexed_deployment(source) as indexed,
            closing(Explorer(OfIndex(indexed, suppression=suppression))) as explorer,
        ):
            yield explorer

"""From options to the research data set: the index or the folder, and the deployment in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from medproof.cli.options import DatasetOptions, IndexOptions
from medproof.cli.output import Output
from medproof.cli.session import account, database_at
from medproof.errors import OptionError

if TYPE_CHECKING:
    from medproof.indexer import IndexedDeployment
    from medproof.research import Dataset

__all__ = ["indexed_deployment", "open_dataset"]


@contextmanager
def open_dataset(options: DatasetOptions, output: Output, *, block: int | None = None) -> Iterator[Dataset]:
    """The data set that options name, until the end of the work.

    Args:
        options: an index, or a folder.
        output: shows how far reading an index has come.
        block: as of which block an index is read; the last where none is named.

    Raises:
        OptionError: neither is named; or the index has no such deployment, or more than one.
        DatasetError: the folder has none, or more than one, or is damaged.
        IndexTimeError: the index does not know that block.
    """
    # Here, so that the other commands run without the extra.
    from medproof.research import Dataset

    if options.dataset is not None:  # the index may stand in the environment
        with Dataset.open(options.dataset, chain=options.chain, authority=_authority(options)) as opened:
            yield opened
        return
    with indexed_deployment(options) as indexed, output.counting("Reading the index", "rows") as count:
        opened = Dataset.of_index(indexed, block=block, progress=lambda table, rows: count(rows))
    with opened:
        yield opened


@contextmanager
def indexed_deployment(options: IndexOptions) -> Iterator[IndexedDeployment]:
    """The deployment that options name in an index, until the end of the work.

    Raises:
        OptionError: no index is named, or it is not there, or has no such deployment, or more than one.
    """
    from medproof.indexer import Index

    if options.index is None:
        raise OptionError("--index", "is missing", "Name the index that medproof index keeps, or a data set.")
    if "://" not in options.index and not Path(options.index).exists():
        raise OptionError("--index", f"is {options.index}, which is not there", "Make it: medproof index.")
    opened = Index(database_at(options.index))
    try:
        wanted = (options.chain, _authority(options))
        kept = [(one.chain, one.authority.lower(), one) for one in opened.deployments()]
        found = [
            one for *names, one in kept if all(want in (None, name) for want, name in zip(wanted, names, strict=True))
        ]
        if len(found) != 1:
            known = "; ".join(f"chain {chain}, authority {authority}" for chain, authority, _ in kept)
            rule = "keeps more than one deployment" if found else "keeps no such deployment"
            raise OptionError("--index", f"{rule} ({known or 'none at all'})", "Name one by --chain and --authority.")
        yield found[0]
    finally:
        opened.close()


def _authority(options: IndexOptions) -> str | None:
    return None if options.authority is None else account("--authority", options.authority).lower()

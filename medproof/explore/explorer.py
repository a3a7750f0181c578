"""Pages of a registry, made once as of each block."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from medproof import __version__
from medproof.explore.asking import cohort
from medproof.explore.matching import match
from medproof.explore.pages import coverage, evidence, overview, parties, problem
from medproof.explore.parameters import Pairs
from medproof.explore.registry import Registry
from medproof.explore.showing import Page, Shown
from medproof.explore.site import Site, render
from medproof.explore.studying import studies, study
from medproof.indexer import IndexedDeployment
from medproof.research import Dataset
from medproof.research.suppression import Suppression

__all__ = ["SHOWN", "Explorer", "Made", "OfDataset", "OfIndex", "Source"]

SHOWN: Mapping[str, Page] = {
    "": overview,
    "cohort": cohort,
    "coverage": coverage,
    "studies": studies,
    "study": study,
    "parties": parties,
    "match": match,
    "evidence": evidence,
}
"""The pages, by the name in their address."""

_MOST_KEPT = 512  # pages
_PAUSE = 5.0  # seconds between looks at whether an index has moved on


class Source(Protocol):
    """Where a registry comes from."""

    def registry(self) -> Registry:
        """The registry as it is known now."""

    def close(self) -> None:
        """Leave it."""


class OfDataset:
    """A data set, which stays as it is."""

    def __init__(self, dataset: Dataset, *, suppression: Suppression) -> None:
        """Show a data set."""
        self._registry = Registry(dataset, suppression=suppression)

    def registry(self) -> Registry:
        """The registry."""
        return self._registry

    def close(self) -> None:
        """Leave the engine."""
        self._registry.dataset.close()


class OfIndex:
    """An index, which another process may be following a chain with."""

    def __init__(
        self,
        indexed: IndexedDeployment,
        *,
        suppression: Suppression,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Show a deployment of an index: its newest block, some seconds late."""
        self._indexed, self._suppression, self._clock = indexed, suppression, clock
        self._registry: Registry | None = None
        self._looked = 0.0

    def registry(self) -> Registry:
        """The registry; read again where the index has gone on, or back."""
        now = self._clock()
        if self._registry is not None and now - self._looked < _PAUSE:
            return self._registry
        if self._registry is None or self._moved(self._registry):
            fresh = Registry(Dataset.of_index(self._indexed), suppression=self._suppression)
            self.close()
            self._registry = fresh
        self._looked = now
        return self._registry

    def close(self) -> None:
        """Leave the engine."""
        if self._registry is not None:
            self._registry.dataset.close()
            self._registry = None

    def _moved(self, registry: Registry) -> bool:
        known = registry.dataset.block
        return self._indexed.block != known.number or self._indexed.block_hash(known.number) != known


@dataclass(frozen=True)
class Made:
    """A page as it is sent."""

    text: bytes
    status: int
    tag: str  # the same for the same page: of its address, the block, and this MedProof


class Explorer:
    """Makes pages, one at a time, and keeps the latest."""

    def __init__(self, source: Source) -> None:
        """Show what a source has."""
        self._source = source
        self._kept: OrderedDict[str, Made] = OrderedDict()
        self._lock = threading.Lock()
        source.registry()  # what is wrong with it shows at once

    def close(self) -> None:
        """Leave the source."""
        with self._lock:
            self._source.close()

    def page(self, name: str, pairs: Pairs, *, site: Site | None = None) -> Made:
        """A page as of its block.

        Args:
            name: one of `SHOWN`.
            pairs: its parameters.
            site: where its links lead; the pages of a server where none is given.
        """
        with self._lock:
            registry = self._source.registry()
            tag = _tag(registry, name, pairs)
            if site is None and tag in self._kept:
                self._kept.move_to_end(tag)
                return self._kept[tag]
            place = site or Site()
            made = _made(registry, place, name, SHOWN[name](registry, place, pairs), tag)
            if site is None:
                self._kept[tag] = made
                if len(self._kept) > _MOST_KEPT:
                    self._kept.popitem(last=False)
            return made

    def tag(self, name: str, pairs: Pairs) -> str:
        """The tag that `page` gives a page, without making it."""
        with self._lock:
            return _tag(self._source.registry(), name, pairs)


def _tag(registry: Registry, name: str, pairs: Pairs) -> str:
    said = (__version__, name, tuple(pairs), registry.chain, registry.authority, registry.last, registry.rule)
    return hashlib.sha256(repr(said).encode()).hexdigest()[:32]


def refusal(title: str, said: str, status: int, *, site: Site | None = None) -> Made:
    """A page that says what is wrong, and needs no registry."""
    place = site or Site()
    return _made(None, place, "", problem(title, said, status), "")


def _made(registry: Registry | None, site: Site, name: str, shown: Shown, tag: str) -> Made:
    values = {"registry": registry, "page": name, "title": shown.title, "errors": shown.errors, **shown.values}
    return Made(render(site, shown.template, values).encode(), shown.status, tag)

"""What a page is: a template with its values; and as of when it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any

from medproof.errors import IndexTimeError
from medproof.explore.parameters import Pairs, Parameters
from medproof.explore.registry import AsOf, Registry
from medproof.explore.site import Site

__all__ = ["AS_OF", "Page", "Shown", "as_of", "moments", "pinned"]

AS_OF = ("block", "at")
"""The parameters that say as of when a page is."""

_HIGHEST = 10**12  # of a block's number


@dataclass(frozen=True)
class Shown:
    """A page."""

    template: str
    title: str
    values: Mapping[str, Any]
    errors: Mapping[str, str]  # by parameter; "" for what is wrong with the address as a whole
    status: int = 200

    def __post_init__(self) -> None:
        """A page with errors is no answer."""
        if self.errors and self.status == 200:
            object.__setattr__(self, "status", 400)


Page = Callable[[Registry, Site, Pairs], Shown]


def as_of(registry: Registry, parameters: Parameters) -> AsOf:
    """The block that the parameters name, or the last."""
    block = parameters.number("block", lowest=0, highest=_HIGHEST, what="block")
    day = parameters.day("at")
    if block is not None and day is not None:
        parameters.errors["at"] = "A block and a day are given. Give one of them."
    if parameters.errors or (block is None and day is None):
        return registry.last
    at = None if day is None else datetime.combine(day, time(), UTC)
    try:
        return registry.as_of(block=block, at=at)
    except IndexTimeError:
        name, said = ("block", f"Block {block:,}") if day is None else ("at", f"{day.isoformat()}")
        parameters.errors[name] = (
            f"{said} is not known here: this registry is known from block {registry.first:,} to block "
            f"{registry.last.block:,}, of {registry.last.time:%Y-%m-%d}. Choose one between them."
        )
        return registry.last


def moments(registry: Registry, found: AsOf, parameters: Parameters) -> dict[str, Any]:
    """What the fields for it show."""
    typed = {name: parameters.text(name) for name in AS_OF}
    others = [pair for pair in parameters.given() if pair[0] not in AS_OF]
    return {
        "block": found.block,
        "hash": found.hash,
        "time": found.time,
        "first": registry.first,
        "last": registry.last.block,
        "typed": typed,
        "others": others,
    }


def pinned(registry: Registry, found: AsOf) -> Pairs:
    """What links carry on, so that they are as of the same block; nothing as of the last."""
    return () if found.block == registry.last.block else (("block", str(found.block)),)

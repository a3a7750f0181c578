"""What a migration is made of: steps that somebody has to take, and findings that no step mends."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from medproof.hashing import Json, JsonObject

__all__ = ["AUTHORITY", "Actor", "Finding", "Kind", "Step", "printable"]

AUTHORITY = "authority"
"""The actor of the steps that need a role in the new deployment."""


class Actor(StrEnum):
    """Who takes a step, and how."""

    AUTHORITY = "authority"  # by transactions of whoever has the roles
    PARTY = "party"  # by transactions of the account that acts for it
    SUBJECT = "subject"  # by a signature that anyone relays; a delegate's own steps are signed likewise


@dataclass(frozen=True)
class Step:
    """One call of a contract of the new deployment."""

    by: Actor
    actor: str  # a subject's or delegate's account, a party's identity, or "authority"
    part: str  # what it is about, such as "rules"
    contract: str  # such as "ConsentRegistry"
    function: str
    arguments: tuple[Any, ...]  # without deadline and signature, where it is signed
    says: str  # the same in a sentence
    waits: str = ""  # for what; empty where it can be taken now
    then: tuple[str, ...] = ()  # functions called with the first argument in the same transaction, all or nothing

    def to_json(self) -> JsonObject:
        """The step as it is exported."""
        return {
            "by": str(self.by),
            "actor": self.actor,
            "contract": self.contract,
            "function": self.function,
            "arguments": written(self.arguments),
            "then": list(self.then),
            "says": printable(self.says),
            "waits": printable(self.waits) or None,
        }


class Kind(StrEnum):
    """What a finding is."""

    STAYS = "stays"  # no step carries it, and it need not be carried: it has no effect, or is proved by the old chain
    STUCK = "stuck"  # it has effect, and the contracts give no way to carry it
    NEWER = "newer"  # the new deployment says something newer, and narrower, which stands
    WIDER = "wider"  # something stands in the new deployment that never stood in the old one


@dataclass(frozen=True)
class Finding:
    """What no step mends."""

    kind: Kind
    part: str
    about: str  # whose, such as a subject's account; empty where it is about all
    says: str

    def to_json(self) -> JsonObject:
        """The finding as a report has it."""
        return {"kind": str(self.kind), "part": self.part, "about": self.about or None, "says": printable(self.says)}


def printable(text: str) -> str:
    """A text on one line without what a terminal would obey: groups are named by whoever creates them."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text).strip()


def written(value: Any) -> Json:
    """An argument as JSON: bytes as 0x…, numbers as decimal text, since not every reader keeps 256 bits."""
    if isinstance(value, (tuple, list)):
        return [written(one) for one in value]
    return f"0x{value.hex()}" if isinstance(value, bytes) else str(value)

"""The file of steps: what somebody is asked to sign or to send, to be read before anything is.

Nobody acts on what it says. Whoever signs reads the old deployment anew, and the file has to say the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from medproof import hashing
from medproof.client import MedProof
from medproof.errors import MigrationError
from medproof.hashing import Json, JsonObject
from medproof.json_reader import JsonReader
from medproof.migration.calls import call_of
from medproof.migration.comparison import Comparison
from medproof.migration.state import State
from medproof.migration.step import Actor, Step

__all__ = ["Export", "Place"]

FORMAT, VERSION = "medproof-migration", 1
_LONGEST = 1 << 26
_MOST = 100_000  # steps
_LONGEST_TEXT = 10_000
_MOST_ARGUMENTS = 10
_LONGEST_CALL = 1 << 17


@dataclass(frozen=True)
class Place:
    """A deployment at a block."""

    chain_id: int
    authority: str  # the address of its Authority, which no other has
    block: int
    block_hash: bytes  # 32 bytes

    @classmethod
    def of(cls, suite: MedProof, state: State) -> Place:
        """Where a state was read."""
        block = state.block
        return cls(state.chain_id, suite.deployment.address("Authority"), block.number, bytes.fromhex(block.hash[2:]))

    def to_json(self) -> JsonObject:
        """The place as JSON."""
        return {
            "chain_id": self.chain_id,
            "authority": self.authority,
            "block": self.block,
            "block_hash": f"0x{self.block_hash.hex()}",
        }

    @classmethod
    def read(cls, said: JsonReader) -> Place:
        """Read what `to_json` wrote."""
        place = cls(said.number("chain_id"), said.address("authority"), said.number("block"), said.hash("block_hash"))
        said.finish()
        return place


@dataclass(frozen=True)
class Export:
    """The steps of one who has to act, as they were at two blocks."""

    old: Place
    new: Place
    steps: tuple[JsonObject, ...]  # `Step.to_json` of each

    @classmethod
    def of(cls, old: MedProof, new: MedProof, comparison: Comparison, steps: Iterable[Step]) -> Export:
        """Export steps; those of the authority and the parties with the call that they are, for a multisig's tool."""
        written = tuple(_with_call(new, step) for step in steps)
        return cls(Place.of(old, comparison.old), Place.of(new, comparison.new), written)

    def to_json(self) -> str:
        """The file's text."""
        content: JsonObject = {
            "format": FORMAT,
            "version": VERSION,
            "from": self.old.to_json(),
            "to": self.new.to_json(),
            "steps": list(self.steps),
        }
        return hashing.canonical(content).decode("utf-8")

    @classmethod
    def from_json(cls, text: str | bytes) -> Export:
        """Read what `to_json` wrote.

        Raises:
            MigrationError: it is none.
        """
        said = JsonReader.document(text, MigrationError, format=FORMAT, version=VERSION, longest=_LONGEST)
        old, new = Place.read(said.object("from")), Place.read(said.object("to"))
        steps = tuple(_step(one) for one in said.items("steps", _MOST, least=0))
        said.finish()
        return cls(old, new, steps)

    def subjects(self) -> tuple[str, ...]:
        """In whose names something is to be signed, in the file's order."""
        return tuple(dict.fromkeys(subject for subject, _ in self._signed()))

    def _signed(self) -> Iterator[tuple[str, JsonObject]]:
        for step in self.steps:
            arguments = step["arguments"]
            if step["by"] == Actor.SUBJECT and isinstance(arguments, list):
                yield str(arguments[0]), step

    def require(self, old: MedProof, new: MedProof) -> None:
        """Check that the file is about these two deployments.

        Raises:
            MigrationError: it is about others.
        """
        for part, place, suite in (("from", self.old, old), ("to", self.new, new)):
            known = (suite.chain.chain_id, suite.deployment.address("Authority"))
            if (place.chain_id, place.authority) != known:
                here = f"{known[1]} on chain {known[0]}"
                rule = f"is the deployment of {place.authority} on chain {place.chain_id}, and not that of {here}"
                raise MigrationError(part, rule, "Ask for one about your deployments")

    def require_said(self, subject: str, steps: Iterable[Step]) -> None:
        """Check that the file says of a subject just what the two deployments say now.

        Raises:
            MigrationError: it says more, less or something else.
        """
        meant: list[JsonObject] = [{**one.to_json(), "call": None} for one in steps]
        given = [step for whose, step in self._signed() if whose == subject]
        for place, (want, said) in enumerate(zip(meant, given, strict=False)):
            if want != said:
                raise MigrationError(
                    f"step {place + 1} of {subject}",
                    "is not what the old deployment says",
                    "Sign nothing by it. Export it anew, or sign without a file",
                )
        if len(meant) != len(given):
            rule = f"has {len(given)} steps of {subject}, and there are {len(meant)}"
            raise MigrationError("list", rule, "Sign nothing by it. Export it anew, or sign without a file")


def _with_call(new: MedProof, step: Step) -> JsonObject:
    """A step, with the transaction that it is where it is not signed, for the tool of a multisig."""
    call: Json = None
    if step.by is not Actor.SUBJECT and not step.waits:
        call = dict(call_of(new, step))
    return {**step.to_json(), "call": call}


def _step(said: JsonReader) -> JsonObject:
    arguments, call = said.take("arguments"), said.maybe_object("call")
    if not isinstance(arguments, list) or not 0 < len(arguments) <= _MOST_ARGUMENTS:
        raise said.wrong("arguments", "is no list of arguments")
    step: JsonObject = {
        "by": said.line("by", 9),
        "actor": said.line("actor", 42),
        "contract": said.line("contract", 32),
        "function": said.line("function", 32),
        "arguments": arguments,
        "then": list(said.texts("then", 2)),
        "says": said.line("says", _LONGEST_TEXT),
        "waits": None if said.take("waits") is None else said.line("waits", _LONGEST_TEXT),
        "call": None,
    }
    if call is not None:
        step["call"] = {"to": call.address("to"), "data": f"0x{call.octets('data', 4, _LONGEST_CALL).hex()}"}
        call.finish()
    if step["by"] not in [*Actor]:
        raise said.wrong("by", f"is none of {', '.join(Actor)}")
    said.finish()
    return step

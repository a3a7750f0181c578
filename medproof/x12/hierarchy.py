"""The levels (HL) of 270, 271, 276 and 277, from the payer down to a patient, and whom they name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from medproof.claims.claim import Identifier
from medproof.errors import ClaimElementError, InterchangeError
from medproof.x12 import codes
from medproof.x12.interchange import Transaction
from medproof.x12.segment import MOST, MOST_ABOVE, Segment, find, put

__all__ = ["DEPENDENT", "PAYER", "PROVIDER", "RECEIVER", "SUBSCRIBER", "Party", "Row", "dependent", "named", "walk"]

Row = Sequence[str | Sequence[str]]
"""A segment to be written: its id, then its elements, of which one may be in components."""

# HL03. In 270 and 271 the provider is the information receiver.
PAYER, RECEIVER, PROVIDER, SUBSCRIBER, DEPENDENT = "20", "21", "19", "22", "23"
_ABOVE = {RECEIVER: (PAYER,), PROVIDER: (RECEIVER,), SUBSCRIBER: (PROVIDER, RECEIVER), DEPENDENT: (SUBSCRIBER,)}


@dataclass(frozen=True, slots=True)
class Party:
    """Somebody whom NM1 names, as it is written again in an answer."""

    role: str  # NM101, such as PR for the payer
    kind: str  # NM102: 1 for a person, 2 for an organisation
    names: tuple[str, ...] = field(default=(), repr=False)  # NM103 to NM107
    qualifier: str = ""  # NM108, such as XX for the national number of a provider
    number: str = field(default="", repr=False)  # NM109

    @property
    def identifier(self) -> Identifier | None:
        """The number with the system that its qualifier stands for; None where it has none."""
        return codes.identified(self.qualifier, self.number) if self.number else None

    def row(self) -> Row:
        """As NM1."""
        names = [*self.names, *[""] * (5 - len(self.names))]
        return ["NM1", self.role, self.kind, *names, self.qualifier, self.number]


def named(segments: list[Segment], *roles: str) -> Party:
    """Whom a level names in one of these roles.

    Raises:
        ClaimElementError: nobody, or by a qualifier that is not known.
    """
    said = find(segments, "NM1", *roles)
    if said is None:
        raise segments[0].refusal(0, f"has no NM1*{roles[0]} below it", "say who it is")
    codes.identifier(said, 8)
    names = tuple(said.text(place) for place in range(3, 8))
    return Party(said.text(1), said.text(2), names, said.text(8), said.text(9))


def dependent(segments: list[Segment], role: str, member: Identifier) -> Identifier:
    """A patient whom 5010 gives no number: the member's with the birth date and the first name, or REF's own.

    Raises:
        ClaimElementError: what it is made of is missing.
    """
    name = find(segments, "NM1", role)
    if name is None:
        raise segments[0].refusal(0, f"has no NM1*{role} below it", "name the patient")
    own = find(segments, "REF", "1W")
    if own is not None:
        return codes.reference(own)
    born = find(segments, "DMG")
    if born is None:
        raise name.refusal(0, "has no DMG, and a dependent is known by the birth date", "add it")
    return Identifier(member.system, f"{member.value}/{born.day(2):%Y%m%d}/{name.required(4).upper()}")


def walk(transaction: Transaction, head: list[Segment] | None = None) -> Iterator[Mapping[str, list[Segment]]]:
    """The levels, each with those above it, by HL03; each begins with its HL. What stands before goes into `head`.

    Raises:
        InterchangeError: a level does not stand below its own, or there is none.
    """
    levels: dict[str, list[Segment]] = {}
    for segment in transaction.segments:
        if segment.id == "HL":
            if levels:
                yield levels
            levels = _descended(levels, segment)
        elif levels:
            here = next(reversed(levels))
            put(levels[here], segment, MOST if here in (SUBSCRIBER, DEPENDENT) else MOST_ABOVE)
        elif head is not None:
            put(head, segment, MOST_ABOVE)
    if not levels:
        raise InterchangeError(f"A {transaction.kind}", "has no HL", "give it whole")
    yield levels


def _descended(levels: Mapping[str, list[Segment]], segment: Segment) -> dict[str, list[Segment]]:
    """The levels above one that begins, and it."""
    code, above = segment.text(3), segment.text(2)
    if code == PAYER and not above:
        return {PAYER: [segment]}
    for parent in _ABOVE.get(code, ()):
        if parent in levels and levels[parent][0].text(1) == above:
            kept = list(levels)[: list(levels).index(parent) + 1]
            return {**{one: levels[one] for one in kept}, code: [segment]}
    raise _misplaced(segment)


def _misplaced(segment: Segment) -> ClaimElementError:
    return segment.wrong(InterchangeError, 2, "does not name the level above", "put each level below its own")

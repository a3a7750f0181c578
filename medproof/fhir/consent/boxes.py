"""The region that a rule speaks of, as a box: a set of codes or a stretch of time in every dimension.

Exceptions are differences of boxes. What is left of a box after taking out another is a handful of disjoint
boxes, and each of them is a rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Any

from medproof.policy.codes import (
    Action,
    CareSetting,
    Condition,
    DataClass,
    PartyKind,
    Purpose,
    ResearchUse,
    Sensitivity,
)
from medproof.policy.word import EPOCH_DAY, NO_END_DAY, NO_END_MINUTE, Rule, minute

__all__ = ["EVERYTHING", "MOST_PIECES", "Box", "Span", "box_of", "merge", "rule_of", "subtract"]

MOST_PIECES = 64
"""More pieces than this, and no merging brings them back to the sixteen rules that a pair may have."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Span = tuple[int, int]  # first, and the first that no longer belongs


@dataclass(frozen=True)
class Box:
    """A region of requests: what lies inside every dimension lies in the box."""

    purposes: Purpose = Purpose.ALL  # why
    permissions: ResearchUse = ResearchUse.PERMISSIONS  # what research, where a purpose is research
    classes: DataClass = DataClass.ALL  # what kind of data
    conditions: Condition = Condition.ALL  # which health conditions
    sensitivities: Sensitivity = Sensitivity.ALL  # which labels
    settings: CareSetting = CareSetting.ALL  # where the care took place
    actions: Action = Action.ALL  # what is done
    party_kinds: PartyKind = PartyKind.ALL  # by what kind of party
    valid: Span = (0, NO_END_MINUTE)  # minutes since 1970
    data: Span = (0, NO_END_DAY + 1)  # days since 1970; day 0 stands for everything earlier, too

    @property
    def empty(self) -> bool:
        """Whether nothing lies in the box."""
        return any(not _some(getattr(self, name)) for name in _DIMENSIONS)

    def __and__(self, other: Box) -> Box:
        """Return what lies in both."""
        return Box(**{name: _common(getattr(self, name), getattr(other, name)) for name in _DIMENSIONS})

    def split(self) -> Iterator[Box]:
        """Yield the part for purposes other than research and the part for research, where permissions count."""
        other = replace(self, purposes=self.purposes & ~Purpose.RESEARCH, permissions=ResearchUse.PERMISSIONS)
        research = replace(self, purposes=self.purposes & Purpose.RESEARCH)
        yield from (part for part in (other, research) if not part.empty)

    def meets(self, other: Box) -> bool:
        """Whether something lies in both."""
        return any(not (mine & theirs).empty for mine in self.split() for theirs in other.split())

    def covers(self, other: Box) -> bool:
        """Whether all of the other lies in this one."""
        return not subtract([other], self)


EVERYTHING = Box()
_DIMENSIONS = tuple(field.name for field in fields(Box))


def subtract(boxes: Iterable[Box], taken: Box, *, overlapping: bool = False) -> list[Box]:
    """Return boxes with what the boxes hold and the taken one does not.

    They are disjoint where the boxes are. `overlapping` makes each as large as it can be, which suits permits: one
    permit must cover the whole of a request.
    """
    left = [part for box in boxes for part in box.split()]
    for out in taken.split():
        left = [piece for box in left for piece in _difference(box, out, overlapping=overlapping)]
    if not overlapping:
        return left
    left = list(dict.fromkeys(left))
    return [box for box in left if not any(box & other == box for other in left if other is not box)]


def merge(boxes: Iterable[Box]) -> list[Box]:
    """Return fewer boxes with the same content, where two differ in one dimension only."""
    found = list(boxes)
    for join in (_joined, _joined_purposes):
        merged = True
        while merged:
            merged = False
            for number, box in enumerate(found):
                for later in range(number + 1, len(found)):
                    both = join(box, found[later])
                    if both is not None:
                        found[number] = both
                        del found[later]
                        merged = True
                        break
                if merged:
                    break
    return found


def box_of(rule: Rule) -> Box:
    """Return the region that a rule speaks of."""
    until = NO_END_DAY if rule.data_until is None else (rule.data_until - EPOCH_DAY).days
    permissions = rule.research & ResearchUse.PERMISSIONS
    return Box(
        purposes=rule.purposes,
        permissions=permissions if rule.purposes & Purpose.RESEARCH else ResearchUse.PERMISSIONS,
        classes=rule.classes,
        conditions=rule.conditions,
        sensitivities=rule.sensitivities,
        settings=rule.settings,
        actions=rule.actions,
        party_kinds=rule.party_kinds,
        valid=(minute(rule.valid_from), NO_END_MINUTE if rule.valid_until is None else minute(rule.valid_until)),
        data=((rule.data_from - EPOCH_DAY).days, until + 1),
    )


def rule_of(box: Box, *, deny: bool, modifiers: ResearchUse = ResearchUse.EMPTY) -> Rule | None:
    """Return the rule that speaks of a box, or None for a permit of which nothing is left.

    A permit names every permission that its permissions include. One that includes what lies outside the box is
    left out: a request for it asks for what is outside, too.
    """
    permissions = box.permissions
    if not deny:
        closed = [code for code in permissions if code.with_narrower() in permissions]
        permissions = reduce(lambda left, right: left | right, closed, ResearchUse(0))
    purposes = box.purposes if permissions else box.purposes & ~Purpose.RESEARCH
    if not purposes:
        return None
    until = box.valid[1]
    last = box.data[1] - 1
    return Rule(
        purposes=purposes,
        research=permissions | modifiers if purposes & Purpose.RESEARCH else ResearchUse(0),
        classes=box.classes,
        conditions=box.conditions,
        sensitivities=box.sensitivities,
        settings=box.settings,
        actions=box.actions,
        party_kinds=box.party_kinds,
        valid_from=_EPOCH + timedelta(minutes=box.valid[0]),
        valid_until=None if until == NO_END_MINUTE else _EPOCH + timedelta(minutes=until),
        data_from=EPOCH_DAY + timedelta(days=box.data[0]),
        data_until=None if last == NO_END_DAY else EPOCH_DAY + timedelta(days=last),
        deny=deny,
    )


def _difference(box: Box, taken: Box, *, overlapping: bool) -> Iterator[Box]:
    """Yield the pieces of a box outside another; neither mixes research with other purposes."""
    common = box & taken
    if common.empty:
        yield box
        return
    rest = box
    for name in _DIMENSIONS:
        value, inside = getattr(rest, name), getattr(common, name)
        for outside in _outside(value, inside):
            yield _with(rest, name, outside)
        if not overlapping:
            rest = _with(rest, name, inside)


def _with(box: Box, name: str, value: Any) -> Box:
    changed: dict[str, Any] = {name: value}
    return replace(box, **changed)


def _some(value: Any) -> bool:
    return value[0] < value[1] if isinstance(value, tuple) else bool(value)


def _common(mine: Any, theirs: Any) -> Any:
    if isinstance(mine, tuple):
        return (max(mine[0], theirs[0]), min(mine[1], theirs[1]))
    return mine & theirs


def _outside(value: Any, inside: Any) -> list[Any]:
    """Return the parts of a value outside one that lies in it: two stretches of time at most, or one set."""
    parts = [(value[0], inside[0]), (inside[1], value[1])] if isinstance(value, tuple) else [value & ~inside]
    return [part for part in parts if _some(part)]


def _joined(box: Box, other: Box) -> Box | None:
    """Return both as one box where they differ in one dimension, in which they can be joined."""
    differing = [name for name in _DIMENSIONS if getattr(box, name) != getattr(other, name)]
    if len(differing) != 1:
        return box if not differing else None
    mine, theirs = getattr(box, differing[0]), getattr(other, differing[0])
    if not isinstance(mine, tuple):
        return _with(box, differing[0], mine | theirs)
    if max(mine[0], theirs[0]) > min(mine[1], theirs[1]):
        return None
    return _with(box, differing[0], (min(mine[0], theirs[0]), max(mine[1], theirs[1])))


def _joined_purposes(box: Box, other: Box) -> Box | None:
    """Return research and other purposes as one box where all but the purposes is alike."""
    if bool(box.purposes & Purpose.RESEARCH) == bool(other.purposes & Purpose.RESEARCH):
        return None
    research, rest = (box, other) if box.purposes & Purpose.RESEARCH else (other, box)
    if research.purposes & ~Purpose.RESEARCH:
        return None
    alike = replace(rest, purposes=research.purposes, permissions=research.permissions) == research
    return replace(research, purposes=box.purposes | other.purposes) if alike else None

"""What exactly differs between two records: shown when a record does not open its commitment."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from medproof import hashing
from medproof.fhir.resource import Resource
from medproof.hashing import Json, JsonObject

__all__ = ["Change", "Difference", "differences"]

_MATCHED_AT_MOST = 1000  # items; matching longer runs by content would take minutes on a hostile record
_ELEMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)


class Change(Enum):
    """What happened to an element."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Difference:
    """One element that differs. Its text form never shows values; `before` and `after` do."""

    path: str  # such as "Observation.component[1].valueQuantity.value"; an added element by its new index
    change: Change
    before: Json = field(repr=False, compare=False)  # None where the element was added
    after: Json = field(repr=False, compare=False)  # None where the element was removed

    def __str__(self) -> str:
        """Name the element and what happened to it, without its values."""
        return f"{self.path} {self.change.value}"


def differences(original: Resource | JsonObject, changed: Resource | JsonObject) -> tuple[Difference, ...]:
    """Return every element that differs, the innermost that tells it; empty exactly if both commit alike.

    Items of arrays are matched by content first, so that one inserted item is one difference. An item that
    moved is one removed and one added. `2.5` and `2.50` differ, as do `1` and `"1"`; key order is nothing.

    Raises:
        JsonError: a value that has no canonical form (`medproof.hashing.canonical`).
    """
    before = original.content if isinstance(original, Resource) else original
    after = changed.content if isinstance(changed, Resource) else changed
    named = before.get("resourceType")
    root = named if isinstance(named, str) and _ELEMENT_NAME.fullmatch(named) else "$"
    return tuple(_compare(before, after, root))


def _compare(before: Json, after: Json, path: str) -> Iterator[Difference]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys([*before, *after]):
            inner = f"{path}.{key}" if _ELEMENT_NAME.fullmatch(key) else f"{path}.?"
            if key not in after:
                yield Difference(inner, Change.REMOVED, before[key], None)
            elif key not in before:
                yield Difference(inner, Change.ADDED, None, after[key])
            else:
                yield from _compare(before[key], after[key], inner)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _compare_arrays(before, after, path)
    elif hashing.canonical(before) != hashing.canonical(after):
        yield Difference(path, Change.CHANGED, before, after)


def _compare_arrays(before: list[Json], after: list[Json], path: str) -> Iterator[Difference]:
    # By canonical form, since Python holds 2.5 equal to 2.50 and 1 equal to True.
    old = [hashing.canonical(item) for item in before]
    new = [hashing.canonical(item) for item in after]
    if old == new:
        return
    for old_start, old_end, new_start, new_end in _blocks(old, new):
        paired = min(old_end - old_start, new_end - new_start)
        for step in range(paired):
            one, other = before[old_start + step], after[new_start + step]
            yield from _compare(one, other, f"{path}[{old_start + step}]")
        for index in range(old_start + paired, old_end):
            yield Difference(f"{path}[{index}]", Change.REMOVED, before[index], None)
        for index in range(new_start + paired, new_end):
            yield Difference(f"{path}[{index}]", Change.ADDED, None, after[index])


def _blocks(old: list[bytes], new: list[bytes]) -> list[tuple[int, int, int, int]]:
    """Return the runs that differ: (start, end) in the old array, (start, end) in the new one."""
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    old, new = old[head : len(old) - tail], new[head : len(new) - tail]
    if max(len(old), len(new)) > _MATCHED_AT_MOST:
        return [(head, head + len(old), head, head + len(new))]
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    blocks = [block[1:] for block in matcher.get_opcodes() if block[0] != "equal"]
    if len(old) == len(new):
        # Where an altered item came to equal its neighbour, place by place tells it in fewer words.
        places = [index for index in range(len(old)) if old[index] != new[index]]
        if len(places) < sum(max(block[1] - block[0], block[3] - block[2]) for block in blocks):
            blocks = [(index, index + 1, index, index + 1) for index in places]
    return [(head + a, head + b, head + c, head + d) for a, b, c, d in blocks]

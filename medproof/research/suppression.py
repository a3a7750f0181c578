"""Small counts are not published: not by themselves, and not as what is left when the others are taken from a sum.

The rule is the cell size suppression policy of the US Centers for Medicare & Medicaid Services (ResDAC, version of
2024-01-26): no cell of 1 to 10 is shown, none that allows one of 1 to 10 to be derived from other cells, and a zero is
no such cell. So zeros are shown here, and whatever is hidden is known to be 1 or more.

Where sums are published, other cells are hidden as well. Counts and their sums are a network: each sum is a node, and
each count flows out of one sum and into another. A hidden count may be as much larger as the other hidden ones can
carry back, each staying at 1 or more: a maximal flow, whole numbers among whole numbers, so that the bounds are exact
(Gusfield 1988, "A graph theoretic approach to statistical data security"). Cells are hidden until each small count
could also be every other number from the least that the table allows up to the threshold itself. Which of them were
hidden for being small is therefore not told either: all are printed alike.

What this does not do: two tables that differ by one person, asked as of two blocks or with two questions, differ by
one. And the registry itself is public: suppression is for what is handed on.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from medproof.errors import SmallCohortError, SuppressionError
from medproof.hashing import JsonObject

__all__ = ["THRESHOLD", "Count", "Flow", "Suppression", "Table"]

THRESHOLD = 11
"""Counts from 1 up to one less are not published."""

_HIGHEST = 1_000_000  # of a threshold: beyond any cohort's use, and within what is fast


@dataclass(frozen=True, slots=True)
class Count:
    """A count as it may be published."""

    value: int | None  # None where it is hidden
    below: int | None = None  # it is hidden because it is less than this; None also where that is not told

    def __str__(self) -> str:
        """The digits, or "<11", or "hidden" in a table with sums."""
        if self.value is not None:
            return str(self.value)
        return "hidden" if self.below is None else f"<{self.below}"

    def to_json(self) -> int | str:
        """The number, or what is printed in its place."""
        return str(self) if self.value is None else self.value


@dataclass(frozen=True, slots=True)
class Table:
    """A table of counts with its sums, as it may be published."""

    cells: tuple[tuple[Count, ...], ...]  # row by row
    rows: tuple[Count, ...]  # the sum of each row
    columns: tuple[Count, ...]  # the sum of each column
    total: Count


@dataclass(frozen=True, slots=True)
class Flow:
    """How a number of subjects changed from period to period, as it may be published."""

    opening: Count  # how many there were before the first
    periods: tuple[tuple[Count, Count, Count], ...]  # who came, who went, how many there were then


@dataclass(frozen=True, slots=True)
class _Cell:
    """A count that is part of one sum and makes up another."""

    out_of: Hashable
    into: Hashable
    value: int


@dataclass(frozen=True)
class Suppression:
    """Which counts are not published."""

    threshold: int = THRESHOLD  # counts from 1 up to one less are hidden
    off: str = ""  # why nothing is hidden, in words; empty where it is

    def __post_init__(self) -> None:
        """Refuse a rule that would hide nothing without saying why.

        Raises:
            SuppressionError: the threshold is no number from 2 on, or the reason is no words.
        """
        if isinstance(self.threshold, bool) or not isinstance(self.threshold, int):
            raise SuppressionError("threshold", f"is {self.threshold!r}, which is no whole number", "Give one from 2")
        if not 2 <= self.threshold <= _HIGHEST:
            rule = f"is {self.threshold}, and a threshold is from 2 to {_HIGHEST:,}"
            raise SuppressionError("threshold", rule, "To hide nothing, say why in words")
        if self.off and (len(self.off.split()) < 2 or not self.off.isprintable()):
            raise SuppressionError(
                "reason", f"is {self.off!r}, which says nothing", "Say in words why all may be shown"
            )

    def to_json(self) -> JsonObject:
        """What a manifest says of it."""
        return {"threshold": self.threshold, "off": self.off or None}

    def hides(self, count: int) -> bool:
        """Whether a count is too small to be shown."""
        return not self.off and 0 < _checked(count) < self.threshold

    def count(self, count: int) -> Count:
        """One count by itself, of which no sum and no part is published beside it."""
        return Count(None, self.threshold) if self.hides(count) else Count(count)

    def require(self, subjects: int) -> None:
        """Return if single subjects of a cohort of so many may be listed.

        Raises:
            SmallCohortError: they are too few.
        """
        if self.hides(subjects):
            raise SmallCohortError(self.threshold)

    def row(self, counts: Sequence[int]) -> tuple[tuple[Count, ...], Count]:
        """Counts of groups that do not overlap, and their sum."""
        cells = [_Cell("all", "sum", _checked(count)) for count in counts]
        *shown, total = self._shown([*cells, _Cell("sum", "all", sum(counts))])
        return tuple(shown), total

    def table(self, rows: Sequence[Sequence[int]]) -> Table:
        """Counts by two things at once, with the sums of rows and columns.

        Raises:
            SuppressionError: the rows are not of one length.
        """
        width = len(rows[0]) if rows else 0
        if any(len(row) != width for row in rows):
            raise SuppressionError("table", "has rows of several lengths", "Give a count for each column in each row")
        cells = [
            *(_Cell(("c", j), ("r", i), _checked(count)) for i, row in enumerate(rows) for j, count in enumerate(row)),
            *(_Cell(("r", i), "end", sum(row)) for i, row in enumerate(rows)),
            *(_Cell("start", ("c", j), sum(row[j] for row in rows)) for j in range(width)),
            _Cell("end", "start", sum(map(sum, rows))),
        ]
        shown = self._shown(cells)
        inner, sums = shown[: len(rows) * width], shown[len(rows) * width :]
        return Table(
            cells=tuple(tuple(inner[i * width : (i + 1) * width]) for i in range(len(rows))),
            rows=tuple(sums[: len(rows)]),
            columns=tuple(sums[len(rows) : -1]),
            total=sums[-1],
        )

    def flow(self, opening: int, periods: Iterable[tuple[int, int]]) -> Flow:
        """How many came and went in each period, and how many there were after it.

        Args:
            opening: how many there were before the first period.
            periods: who came and who went.

        Raises:
            SuppressionError: more went than there were.
        """
        cells, standing = [], _checked(opening)
        for number, (came, went) in enumerate(periods):
            cells += [_Cell("all", number, came), _Cell(number, "all", went), _Cell(number - 1, number, standing)]
            standing += _checked(came) - _checked(went)
            _checked(standing)
        # The opening comes from outside, and what stands in the end goes there.
        last = len(cells) // 3 - 1
        cells = [_Cell("all", 0, one.value) if one.out_of == -1 else one for one in cells]
        shown = self._shown([*cells, _Cell(last if cells else "all", "all", standing)])
        before = [*shown[2::3], shown[-1]]
        return Flow(before[0], tuple((shown[3 * n], shown[3 * n + 1], before[n + 1]) for n in range(last + 1)))

    def _shown(self, cells: Sequence[_Cell]) -> list[Count]:
        hidden = _Network(cells, self).hidden
        return [Count(None) if number in hidden else Count(cell.value) for number, cell in enumerate(cells)]


class _Network:
    """Counts and their sums, and which of them have to be hidden."""

    def __init__(self, cells: Sequence[_Cell], suppression: Suppression) -> None:
        self._cells = cells
        self._at: dict[Hashable, list[int]] = {}  # the cells at each sum
        for number, cell in enumerate(cells):
            if cell.value:  # zeros are shown, and carry nothing
                self._at.setdefault(cell.out_of, []).append(number)
                self._at.setdefault(cell.into, []).append(number)
        small = [number for number, cell in enumerate(cells) if suppression.hides(cell.value)]
        self.hidden = set(small)
        for number in small:
            cell = cells[number]
            self._make_room(number, cell.into, cell.out_of, suppression.threshold - cell.value)  # to be larger
            self._make_room(number, cell.out_of, cell.into, cell.value - 1)  # to be smaller

    def _make_room(self, number: int, start: Hashable, end: Hashable, wanted: int) -> None:
        """Hide cells until this one could differ by so much: the difference flows back through other hidden ones."""
        changes: dict[int, int] = {}
        while wanted:
            way = self._cheapest(number, start, end, changes)
            if way is None:
                return  # the table's form itself says so: a sum is no less than the number of its parts
            room = min([wanted, *(self._slack(one, changes) for one, forwards in way if not forwards)])
            for one, forwards in way:
                changes[one] = changes.get(one, 0) + (room if forwards else -room)
                self.hidden.add(one)
            wanted -= room

    def _slack(self, number: int, changes: dict[int, int]) -> int:
        """By how much a cell may still be smaller: it stays at 1 or more."""
        return self._cells[number].value + changes.get(number, 0) - 1

    def _cheapest(
        self, without: int, start: Hashable, end: Hashable, changes: dict[int, int]
    ) -> list[tuple[int, bool]] | None:
        """The way between two sums that hides the least: its cells, and whether they become larger (Dijkstra)."""
        if start == end:
            return None
        best: dict[Hashable, int] = {start: 0}
        came: dict[Hashable, tuple[int, bool, Hashable]] = {}
        ahead: list[tuple[int, int, Hashable]] = [(0, 0, start)]
        found = 0  # so that sums themselves are never compared
        while ahead:
            cost, _, here = heapq.heappop(ahead)
            if here == end:
                break
            if cost > best[here]:
                continue
            for number in self._at.get(here, ()):
                cell = self._cells[number]
                forwards = cell.out_of == here
                there = cell.into if forwards else cell.out_of
                if number == without or (not forwards and self._slack(number, changes) <= 0):
                    continue
                further = cost + (0 if number in self.hidden else cell.value)
                if there not in best or further < best[there]:
                    found += 1
                    best[there] = further
                    came[there] = (number, forwards, here)
                    heapq.heappush(ahead, (further, found, there))
        if end not in came:
            return None
        way, here = [], end
        while here != start:
            number, forwards, here = came[here]
            way.append((number, forwards))
        return way


def _checked(count: int) -> int:
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise SuppressionError("count", f"is {count!r}, and a count is a whole number from 0", "Count again")
    return count

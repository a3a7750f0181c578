"""Whatever table is published, no small count can be worked out of it: held against every table that it allows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from medproof.errors import SmallCohortError, SuppressionError
from medproof.research.suppression import THRESHOLD, Count, Suppression

FOUR = Suppression(4)  # a small threshold, so that all tables can be gone through
counts = st.integers(0, 7)


def allowed(
    cells: Sequence[Count], sums: Sequence[tuple[Sequence[int], Count]], highest: int
) -> Iterator[tuple[int, ...]]:
    """Every way to fill in the hidden cells that agrees with what is published, up to a highest value."""
    hidden = [place for place, cell in enumerate(cells) if cell.value is None]
    values = [cell.value or 0 for cell in cells]

    def fits() -> bool:
        return all(total.value in (None, sum(values[place] for place in places)) for places, total in sums)

    def fill(number: int) -> Iterator[tuple[int, ...]]:
        if number == len(hidden):
            if fits():
                yield tuple(values)
            return
        for value in range(1, highest + 1):  # zeros are shown
            values[hidden[number]] = value
            if all(
                total.value is None
                or sum(values[one] for one in places if one not in hidden[number + 1 :]) <= total.value
                for places, total in sums
            ):
                yield from fill(number + 1)
        values[hidden[number]] = 0

    return fill(0)


def assert_nothing_small_is_told(
    truth: Sequence[int], cells: Sequence[Count], sums: Sequence[tuple[Sequence[int], Count]], threshold: int
) -> None:
    """Each small cell may be anything from 1 to the threshold, for all that one can work out."""
    for value, cell in zip(truth, cells, strict=True):
        assert cell.value in (None, value)
        assert cell.value != value or value == 0 or value >= threshold
    possible: list[set[int]] = [set() for _ in cells]
    for filled in allowed(cells, sums, highest=max([*truth, threshold]) + threshold):
        for place, value in enumerate(filled):
            possible[place].add(value)
        if all(possible[place] >= set(range(1, threshold + 1)) for place, v in enumerate(truth) if 0 < v < threshold):
            return
    for place, value in enumerate(truth):
        if 0 < value < threshold:
            assert possible[place] >= set(range(1, threshold + 1)), (truth, cells, sums)


@given(st.lists(counts, min_size=0, max_size=5))
@example([3, 7])
@example([1, 1])
@example([3, 0, 0])
@example([3, 3, 3, 3])
@settings(deadline=None, max_examples=100)
def test_a_row_with_its_sum(values: list[int]) -> None:
    cells, total = FOUR.row(values)
    assert total.value in (None, sum(values))
    if 0 < sum(values) < 4:
        assert total.value is None
    assert_nothing_small_is_told(values, cells, [(range(len(values)), total)], 4)


@given(st.integers(1, 3).flatmap(lambda width: st.lists(st.lists(counts, min_size=width, max_size=width), max_size=2)))
@example([[1, 7], [7, 7]])
@example([[1, 7], [7, 0]])
@example([[1, 0], [0, 1]])
@example([[3, 5, 5], [5, 0, 5]])
@example([[3, 3, 0], [0, 3, 3]])
@settings(deadline=None, max_examples=60)
def test_a_table_with_marginals(rows: list[list[int]]) -> None:
    table = FOUR.table(rows)
    width = len(rows[0]) if rows else 0
    flat = [cell for row in table.cells for cell in row]
    sums = [
        *((range(i * width, (i + 1) * width), table.rows[i]) for i in range(len(rows))),
        *((range(j, len(flat), width), table.columns[j]) for j in range(width)),
        (range(len(flat)), table.total),
    ]
    truth = [value for row in rows for value in row]
    for places, total in sums:
        said = sum(truth[place] for place in places)
        assert total.value in (None, said)
        assert total.value is None or said == 0 or said >= 4
    assert_nothing_small_is_told(truth, flat, sums, 4)


def histories(shown: Sequence[Count], highest: int) -> list[set[int]]:
    """What each count of a flow may be, for all that one can work out: every possible history is gone through."""
    ranges = [range(1, highest + 1) if count.value is None else (count.value,) for count in shown]
    possible: list[set[int]] = [set() for _ in shown]

    def go(place: int, chosen: list[int]) -> None:
        if place == len(shown):
            for at, value in enumerate(chosen):
                possible[at].add(value)
            return
        for came in ranges[place]:
            for went in ranges[place + 1]:
                after = chosen[-1] + came - went
                if after in ranges[place + 2]:
                    go(place + 3, [*chosen, came, went, after])

    for first in ranges[0]:
        go(1, [first])
    return possible


@given(st.integers(0, 5), st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=2))
@example(7, [(1, 0)])
@example(7, [(1, 0), (0, 1)])
@example(7, [(2, 7)])
@settings(deadline=None, max_examples=40)
def test_a_flow_from_period_to_period(opening: int, periods: list[tuple[int, int]]) -> None:
    truth, kept = [opening], []
    for came, went in periods:
        went = min(went, truth[-1] + came)
        kept.append((came, went))
        truth += [came, went, truth[-1] + came - went]
    flow = FOUR.flow(opening, kept)
    shown = [flow.opening, *(count for period in flow.periods for count in period)]
    for value, count in zip(truth, shown, strict=True):
        assert count.value in (None, value)
        assert count.value is None or value == 0 or value >= 4
    possible = histories(shown, highest=max(*truth, 4) + 3)
    for place, value in enumerate(truth):
        if 0 < value < 4:
            assert possible[place] >= set(range(value, 5)), (truth, flow)
    if len(kept) == 1:  # and down to what the form of the table itself allows
        least = histories([Count(None if value else 0) for value in truth], highest=max(truth) + 3)
        for place, value in enumerate(truth):
            assert not 0 < value < 4 or min(possible[place]) == min(least[place])


def test_a_count_by_itself() -> None:
    rule = Suppression()
    assert [str(rule.count(n)) for n in (0, 1, 10, 11, 1234)] == ["0", "<11", "<11", "11", "1234"]
    assert rule.count(10).to_json() == "<11"
    assert rule.count(11).to_json() == 11
    assert THRESHOLD == 11
    assert str(Suppression(5).count(4)) == "<5"


def test_nothing_is_hidden_where_nothing_is_small() -> None:
    table = Suppression().table([[11, 0], [200, 30]])
    assert [count.value for row in table.cells for count in row] == [11, 0, 200, 30]
    assert (table.total.value, [c.value for c in table.rows], [c.value for c in table.columns]) == (
        241,
        [11, 230],
        [211, 30],
    )


def test_as_little_is_hidden_as_protects() -> None:
    """The smallest neighbour goes, and with it the small cell could be any."""
    cells, total = Suppression().row([3, 400, 20, 90])
    assert [str(cell) for cell in cells] == ["hidden", "400", "hidden", "90"]
    assert total.value == 513


def test_the_same_table_is_hidden_the_same_way_again() -> None:
    rows = [[3, 40, 12], [0, 11, 5], [90, 12, 12]]
    assert len({Suppression().table(rows) for _ in range(5)}) == 1


def test_a_large_table_in_little_time() -> None:
    rows = [[(i * 37 + j * 101) % 60 for j in range(24)] for i in range(40)]
    table = Suppression().table(rows)
    for row, shown in zip(rows, table.cells, strict=True):
        for value, count in zip(row, shown, strict=True):
            assert (count.value is None) or value == 0 or value >= 11


def test_lists_of_few_are_refused_without_telling_how_few() -> None:
    Suppression().require(0)
    Suppression().require(11)
    said = set()
    for few in range(1, 11):
        with pytest.raises(SmallCohortError, match="fewer than 11") as refused:
            Suppression().require(few)
        said.add(str(refused.value))
    assert len(said) == 1


def test_switched_off_in_words() -> None:
    off = Suppression(off="approved by our review board")
    off.require(1)
    assert str(off.count(3)) == "3"
    assert [str(cell) for cell in off.row([3, 9])[0]] == ["3", "9"]
    assert off.to_json() == {"threshold": 11, "off": "approved by our review board"}


@pytest.mark.parametrize("words", ["yes", " ", "no\nway out", "ok\x1b[2J then"])
def test_switched_off_without_words(words: str) -> None:
    with pytest.raises(SuppressionError, match="says nothing"):
        Suppression(off=words)


@pytest.mark.parametrize("threshold", [1, 0, -11, 10**7, True, 11.0, "11"])
def test_thresholds_that_are_none(threshold: object) -> None:
    with pytest.raises(SuppressionError, match="threshold"):
        Suppression(threshold)  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [-1, True, 2.5, None])
def test_counts_that_are_none(count: object) -> None:
    with pytest.raises(SuppressionError, match="count"):
        Suppression().count(count)  # type: ignore[arg-type]
    with pytest.raises(SuppressionError, match="count"):
        Suppression().row([3, count])  # type: ignore[list-item]


def test_a_table_that_is_none() -> None:
    with pytest.raises(SuppressionError, match="several lengths"):
        Suppression().table([[1, 2], [3]])


def test_more_go_than_there_were() -> None:
    with pytest.raises(SuppressionError, match="count"):
        Suppression().flow(5, [(0, 6)])

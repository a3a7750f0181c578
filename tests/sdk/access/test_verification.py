"""A log that was tampered with: the first entry that is another one is named, and what was done to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from medproof.access import Opening, Promise
from medproof.access.export import LogLine, read_lines
from medproof.access.verification import Change, Finding, Report, verify
from medproof.client.batch_anchor import Batch
from medproof.errors import AccessEntryError, PromiseError
from tests.sdk.access import logs
from tests.sdk.access.logs import (
    CUSTODIAN,
    DUE,
    LOG,
    OTHER_KEY,
    access,
    anchored,
    commitment,
    erased,
    honest,
    line,
    promised,
    rebuilt,
    said,
    signed,
)

SIZE = 8
HONEST = honest(SIZE)
ANCHORS = anchored(HONEST, 3, 6)
PLACES = range(SIZE)


def check(
    lines: Sequence[LogLine], batches: Sequence[Batch] = ANCHORS, kept: Sequence[Promise] = (), now: int = DUE + 1
) -> Report:
    report = verify(lines, custodian=CUSTODIAN, log=LOG, batches=batches, signed=signed, now=now, promises=kept)
    # Through its text, a copy is worth the same.
    texts = [_text(one) for one in lines]
    if all(texts):
        again = verify(
            read_lines(texts), custodian=CUSTODIAN, log=LOG, batches=batches, signed=signed, now=now, promises=kept
        )
        assert again == report
    return report


def _text(one: LogLine) -> bytes:
    try:
        return one.to_text().encode()
    except AccessEntryError:
        return b""


def found(lines: Sequence[LogLine], **options: object) -> tuple[Change, int, int]:
    finding = check(lines, **options).finding  # type: ignore[arg-type]
    assert finding is not None
    return finding.change, finding.first, finding.last


def edited(one: LogLine) -> LogLine:
    """An entry that says something else, its commitment left as it was."""
    assert one.opening is not None
    entry = replace(one.opening.entry, access=replace(said(one), reason="SOMETHING"))
    return replace(one, opening=Opening(entry, one.opening.salt))


def forged(one: LogLine, *, signer: logs.LocalSigner = OTHER_KEY) -> LogLine:
    """An entry that says something else, with a commitment and a signature that go with it."""
    assert one.opening is not None
    entry = one.opening.entry
    return line(entry.index, entry.previous, replace(said(one), reason="SOMETHING"), signer=signer)


def test_a_log_that_is_whole() -> None:
    report = check(HONEST, kept=[promised(one) for one in HONEST])
    assert report == Report(entries=SIZE, erased=0, anchored=6, kept=SIZE, pending=0, finding=None)
    assert check([], batches=[]) == Report(0, 0, 0, 0, 0, None)


@given(st.sets(st.sampled_from(PLACES)))
@settings(max_examples=20)
def test_erased_entries_leave_the_log_whole(places: set[int]) -> None:
    lines = [erased(one) if place in places else one for place, one in enumerate(HONEST)]
    assert check(lines) == Report(SIZE, len(places), 6, 0, 0, None)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("batches", [ANCHORS, []], ids=["anchored", "not-anchored"])
class TestWithoutRecomputing:
    """Whoever changes a line leaves the others as they are."""

    def test_edited(self, place: int, batches: list[Batch]) -> None:
        for change in (edited, forged, lambda one: forged(one, signer=logs.KEY)):
            lines = [*HONEST[:place], change(HONEST[place]), *HONEST[place + 1 :]]
            last_by_the_custodian = place == SIZE - 1 and change not in (edited, forged)
            if last_by_the_custodian:  # no other entry names it, and it is not anchored: only a promise tells
                assert check(lines, batches).finding is None
                assert found(lines, kept=[promised(HONEST[place])]) == (Change.REMOVED, place, place)
            else:
                assert found(lines, batches=batches) == (Change.EDITED, place, place)

    def test_a_salt_a_promise_or_an_index_of_its_own(self, place: int, batches: list[Batch]) -> None:
        one = HONEST[place]
        assert one.opening is not None
        for other in (
            replace(one, opening=replace(one.opening, salt=keccak(b"another"))),
            replace(one, opening=replace(one.opening, salt=bytes(32))),
            replace(one, promise=replace(promised(one), due=DUE + 1)),
            replace(one, promise=replace(promised(one), signature=b"\x07" * 65)),
            replace(one, promise=replace(promised(one), log=LOG + 1)),
            replace(one, promise=replace(promised(one), index=None)),
            LogLine(promised(one), None),
            LogLine(None, None),
        ):
            lines = [*HONEST[:place], other, *HONEST[place + 1 :]]
            assert found(lines, batches=batches) == (Change.EDITED, place, place)

    def test_deleted(self, place: int, batches: list[Batch]) -> None:
        lines = [*HONEST[:place], *HONEST[place + 1 :]]
        if place == SIZE - 1:  # cut off, behind what was anchored: only a promise tells
            assert check(lines, batches).finding is None
            assert found(lines, kept=[promised(HONEST[place])]) == (Change.REMOVED, place, place)
        else:
            assert found(lines, batches=batches) == (Change.DELETED, place, place)
            lines[place] = erased(lines[place])
            assert found(lines, batches=batches) == (Change.DELETED, place, place)

    def test_inserted(self, place: int, batches: list[Batch]) -> None:
        previous = commitment(HONEST[place - 1]) if place else None
        fabricated = line(place, previous, access(99), signer=OTHER_KEY)
        for other in (fabricated, erased(fabricated), LogLine(None, None), edited(HONEST[place])):
            lines = [*HONEST[:place], other, *HONEST[place:]]
            assert found(lines, batches=batches) == (Change.INSERTED, place, place)

    @pytest.mark.parametrize("source", PLACES)
    def test_copied(self, place: int, batches: list[Batch], source: int) -> None:
        lines = [*HONEST[:place], HONEST[source], *HONEST[place:]]
        first = place + 1 if place == source else place  # of two that are the same, the second
        assert found(lines, batches=batches) == (Change.INSERTED, first, first)

    @pytest.mark.parametrize("other", PLACES)
    def test_reordered(self, place: int, batches: list[Batch], other: int) -> None:
        if place == other:
            return
        swapped, moved = list(HONEST), list(HONEST)
        swapped[place], swapped[other] = swapped[other], swapped[place]
        moved.insert(other, moved.pop(place))
        for lines in (swapped, moved):
            first = min(place, other)
            assert found(lines, batches=batches) == (Change.REORDERED, first, first)


@pytest.mark.parametrize("size", range(SIZE))
def test_cut_off(size: int) -> None:
    if size < 6:
        assert found(HONEST[:size]) == (Change.DELETED, size, size)
    else:
        assert check(HONEST[:size]).finding is None


Rewrite = Callable[[int, logs.LocalSigner], list[LogLine]]


def edit(place: int, signer: logs.LocalSigner) -> list[LogLine]:
    told = [said(one) for one in HONEST[place:]]
    return rebuilt([replace(told[0], reason="SOMETHING"), *told[1:]], HONEST[:place], signer=signer)


def delete(place: int, signer: logs.LocalSigner) -> list[LogLine]:
    return rebuilt([said(one) for one in HONEST[place + 1 :]], HONEST[:place], signer=signer)


def insert(place: int, signer: logs.LocalSigner) -> list[LogLine]:
    return rebuilt([access(99), *(said(one) for one in HONEST[place:])], HONEST[:place], signer=signer)


def swap(place: int, signer: logs.LocalSigner) -> list[LogLine]:
    told = [said(one) for one in HONEST[place:]]
    return rebuilt([*reversed(told[:2]), *told[2:]], HONEST[:place], signer=signer)


@pytest.mark.parametrize("rewrite", [edit, delete, insert, swap])
@pytest.mark.parametrize("place", range(SIZE - 2))
class TestRecomputed:
    """Whoever changes an entry makes every later one anew."""

    def test_without_the_key_the_signatures_name_the_entry(self, rewrite: Rewrite, place: int) -> None:
        for batches in ([], ANCHORS):
            assert found(rewrite(place, OTHER_KEY), batches=batches) == (Change.REWRITTEN, place, place)

    def test_with_the_key_the_anchors_bound_it(self, rewrite: Rewrite, place: int) -> None:
        lines = rewrite(place, logs.KEY)
        assert check(lines, []).finding is None  # nothing outside of the copy knows better
        every = anchored(HONEST, *range(1, SIZE))
        assert found(lines, batches=every) == (Change.REWRITTEN, place, place)
        if place < 6:
            first, last = (0, 2) if place < 3 else (3, 5)
            assert found(lines) == (Change.REWRITTEN, first, last)

    def test_with_the_key_kept_promises_pin_it(self, rewrite: Rewrite, place: int) -> None:
        lines = rewrite(place, logs.KEY)
        for batches in ([], ANCHORS):
            kept = [promised(one) for one in HONEST]
            assert found(lines, batches=batches, kept=kept) == (Change.REMOVED, place, place)
        before = [promised(one) for one in HONEST[:place]]
        if place < 6:  # those that are kept narrow what the anchors say
            assert found(lines, kept=before) == (Change.REWRITTEN, place, 2 if place < 3 else 5)
        unplaced = [replace(promised(HONEST[place]), index=None)]
        change, first, last = found(lines, batches=[], kept=[*before, *unplaced])
        assert (change, first) == (Change.REMOVED, place)
        assert last == len(lines) - 1

    def test_what_is_erased_proves_nothing_before_it(self, rewrite: Rewrite, place: int) -> None:
        """Behind an erased entry, which names nobody any more, the old entries may stand again."""
        lines = [*rewrite(place, logs.KEY)[: SIZE - 2], erased(HONEST[SIZE - 2]), HONEST[SIZE - 1]]
        if len(rewrite(place, logs.KEY)) < SIZE:
            return
        kept = [promised(HONEST[SIZE - 1])]
        assert check(lines, [], kept).finding is None
        if place < 6:
            assert found(lines, kept=kept) == (Change.REWRITTEN, *((0, 2) if place < 3 else (3, 5)))


def test_promises_that_are_not_due_are_waited_for() -> None:
    more = honest(SIZE + 2)
    kept = [promised(more[SIZE]), replace(promised(more[SIZE + 1]), index=None)]
    report = check(HONEST, kept=kept, now=DUE - 1)
    assert (report.finding, report.kept, report.pending) == (None, 0, 2)
    assert found(HONEST, kept=kept[:1], now=DUE) == (Change.REMOVED, SIZE, SIZE)
    assert found(HONEST, kept=kept[1:], now=DUE) == (Change.REMOVED, 6, SIZE - 1)
    # One whose place is taken will never be kept.
    rival = rebuilt([access(50)], HONEST[: SIZE - 1])
    assert found(rival, kept=[promised(HONEST[-1])], now=DUE - 1) == (Change.REMOVED, SIZE - 1, SIZE - 1)


def test_promises_that_prove_nothing_are_refused() -> None:
    good = promised(HONEST[2])
    for bad in (
        logs.promise_of(keccak(b"never"), 2, signer=OTHER_KEY),
        replace(good, log=LOG + 1),
        replace(good, custodian="0x" + "33" * 20),
        replace(good, due=DUE + 5),
    ):
        with pytest.raises(PromiseError):
            check(HONEST, kept=[bad])


def test_a_log_of_another_custodian() -> None:
    report = verify(HONEST, custodian="0x" + "33" * 20, log=LOG, batches=[], signed=signed, now=DUE)
    assert report.finding is not None
    assert (report.finding.change, report.finding.first) == (Change.EDITED, 0)


def test_findings_read_as_sentences() -> None:
    assert str(Finding(Change.EDITED, 4, 4, "it does not open its commitment")) == (
        "Entry 4 was edited: it does not open its commitment."
    )
    assert str(Finding(Change.REWRITTEN, 3, 5, "so")) == "One of the entries 3 to 5 was rewritten: so."


@given(st.data())
@settings(max_examples=60)
def test_any_single_change_is_found_at_its_place(data: st.DataObject) -> None:
    """Logs of any size, erased anywhere, changed anywhere: never sooner, never later, never nothing."""
    size = data.draw(st.integers(2, 12))
    whole = list(honest(12)[:size])
    gone = data.draw(st.sets(st.integers(0, size - 1), max_size=3))
    sizes = data.draw(st.lists(st.integers(1, size), unique=True, max_size=4).map(sorted))
    lines = [erased(one) if place in gone else one for place, one in enumerate(whole)]
    place = data.draw(st.integers(0, size - 2))
    what = data.draw(st.sampled_from(["delete", "swap", "copy", "forge"]))
    if what == "delete":
        del lines[place]
        expected = Change.DELETED
    elif what == "swap":
        lines[place], lines[place + 1] = lines[place + 1], lines[place]
        expected = Change.REORDERED
    elif what == "copy":
        lines.insert(place + 1, lines[place])
        place, expected = place + 1, Change.INSERTED
    else:
        lines[place] = forged(whole[place])
        expected = Change.EDITED
    kept = [promised(whole[index]) for index in data.draw(st.sets(st.integers(0, size - 1)))]
    finding = check(lines, anchored(whole, *sizes), kept).finding
    assert finding is not None
    assert finding.first <= place
    if finding.change is expected:
        assert (finding.first, finding.last) == (place, place)
    else:  # the promise of the very entry, or an anchored size that ends with it, says the same
        assert finding.change in (Change.REMOVED, Change.REWRITTEN)
        assert finding.last <= place


@given(st.data())
@settings(max_examples=40)
def test_any_rewriting_is_bounded_by_what_was_anchored_and_kept(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 12))
    whole = list(honest(12)[:size])
    place = data.draw(st.integers(0, size - 1))
    made = data.draw(st.lists(st.integers(100, 110), min_size=1, max_size=size))
    lines = rebuilt([access(number) for number in made], whole[:place])
    sizes = data.draw(st.lists(st.integers(1, size), unique=True, max_size=4).map(sorted))
    places = data.draw(st.sets(st.integers(0, size - 1)))
    finding = check(lines, anchored(whole, *sizes), [promised(whole[index]) for index in places]).finding
    known = [one - 1 for one in sizes if one > place] + [index for index in places if index >= place]
    if not known:
        assert finding is None
    else:
        assert finding is not None
        if finding.change is Change.DELETED:  # it is shorter now than what was anchored
            assert finding.first == len(lines)
        else:
            assert finding.last == min(known)
            assert finding.first <= finding.last
            assert finding.change is Change.REMOVED or finding.first <= place


@given(st.binary(max_size=200))
@settings(max_examples=60)
def test_lines_of_anything_are_no_entries(text: bytes) -> None:
    report = verify(
        [*HONEST[:2], *read_lines([b"x" + text.replace(b"\n", b"")])],
        custodian=CUSTODIAN,
        log=LOG,
        batches=[],
        signed=signed,
        now=DUE,
    )
    assert report.finding is not None
    assert (report.finding.change, report.finding.first) == (Change.EDITED, 2)

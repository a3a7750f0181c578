"""Interchanges: separators, control numbers, counts and versions; cut off, forged, huge."""

from __future__ import annotations

import itertools
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from medproof import x12
from medproof.errors import ClaimElementError, InterchangeError, InterchangeVersionError, MedProofError
from medproof.x12.interchange import ordinal, read_transactions
from tests.sdk.x12.interchanges import ISA, LINES, PROVIDER, SUBSCRIBER, claim, envelope, professional

GOOD = professional([*claim(), *LINES])


def read(source: bytes) -> int:
    return len(list(x12.read(source)))


def test_several_transactions_groups_and_interchanges_are_read() -> None:
    body = (*PROVIDER, *SUBSCRIBER, *claim(), *LINES)
    several = envelope("837P", [body, body, body])
    another = GOOD.replace(b"*000000017*", b"*000000018*").replace(b"IEA*1*000000017", b"IEA*1*000000018")
    assert read(several + another) == 4


def test_newlines_do_not_matter() -> None:
    assert read(GOOD.replace(b"\n", b"")) == read(GOOD.replace(b"\n", b"\r\n")) == read(GOOD + b"\r\n\n") == 1


def test_other_separators_are_taken_from_isa() -> None:
    table = bytes.maketrans(b"*:~^", b"|>\x1c=")
    assert [one.total for one in x12.read_claims(GOOD.translate(table))] == [one.total for one in x12.read_claims(GOOD)]


REFUSED = [
    ("IEA*1*000000017", "IEA*1*000000018", "IEA02, segment 23, is not ISA13"),
    ("IEA*1*", "IEA*2*", "IEA01, segment 23, is not how many groups there are"),
    ("GE*1*1", "GE*1*2", "GE02, segment 22, is not GS06"),
    ("GE*1*1", "GE*3*1", "GE01, segment 22, is not how many transactions there are"),
    ("SE*19*0001", "SE*19*0002", "SE02, segment 21, is not ST02"),
    ("SE*19*0001", "SE*18*0001", "SE01, segment 21, is not how many segments there are"),
    ("SE*19*0001~", "", "GE, segment 21, stands where SE should"),
    ("GE*1*1~", "", "IEA, segment 22, stands where GE should"),
    ("IEA*1*000000017~", "", "The file, after segment 22, ends before IEA"),
    ("ST*837*0001", "XX*837*0001", "What stands for a segment, segment 3, stands where GE should"),
    ("ST*837*0001", "SE*837*0001", "SE, segment 3, stands where GE should"),
    ("GS*HC", "XX*HC", "What stands for a segment, segment 2, stands where IEA should"),
    ("GS*HC", "GS*HP", "GS01, segment 2, is not HC, as a group of 837 has it"),
    ("ST*837*0001*005010X222A1", "ST*837*0001*005010X223A2", "ST03, segment 3, is not GS08"),
    ("ST*837*", "ST*835*", "GS08, segment 2, is 005010X222A1, which with this ST01 is not what is read"),
    ("ST*837*", "ST**", "GS08, segment 2, is 005010X222A1, which with this ST01 is not what is read"),
    ("*0*T*:", "*0*T*~", "ISA, segment 1, has separators that cannot separate"),
    ("HI*ABK", "HI*ABK:J0190~~HI*ABK", "The file, after segment 17, ends before SE"),
    ("HI*ABK", "ISA*ABK", "Segment 17 is no ISA with 16 elements"),
    ("HI*ABK", "GS*ABK", "GS, segment 17, stands where SE should"),
    ("HI*ABK", "IEA*ABK", "IEA, segment 17, stands where SE should"),
    ("HI*ABK", " HI*ABK", "HI, segment 17, is no segment"),
    ("HI*ABK", "hi*ABK", "What stands for a segment, segment 17, is no segment"),
    ("HI*ABK", "HI*" + "A" * 70000, "The file, after segment 16, ends before SE"),
]


@pytest.mark.parametrize(("old", "new", "said"), REFUSED)
def test_a_broken_interchange_is_refused_by_its_segment(old: str, new: str, said: str) -> None:
    assert GOOD.count(old.encode()) == 1
    with pytest.raises(InterchangeError) as raised:
        read(GOOD.replace(old.encode(), new.encode()))
    assert str(raised.value).startswith(said), str(raised.value)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (b"", "ISA, segment 1, is none of 106"),
        (b"\n", "ISA, segment 1, is none of 106"),
        (b"resourceType", "ISA, segment 1, is none of 106"),
        (b"\xef\xbb\xbf" + GOOD, "ISA, segment 1, is none of 106"),
        (ISA[:50].encode(), "ISA, segment 1, is none of 106"),
        (GOOD.replace(b"*^*00501", b"*U*00401"), "ISA12, segment 1, is 00401"),
        (GOOD.replace(b"*00501*", b"*00801*"), "ISA, segment 1, is none of 106"),
        (GOOD.replace(b"*^*", b"*U*"), "ISA, segment 1, has separators that cannot separate"),
        (GOOD.replace(b"*T*:", b"*T**"), "ISA, segment 1, has separators that cannot separate"),
        (b"\x00" * 4096, "ISA, segment 1, is none of 106"),
        (b"\xff" * 4096, "ISA, segment 1, is not UTF-8"),
        (GOOD.replace(b"JANE", b"JAN\xc9"), "ISA, segment 1, is not UTF-8"),
        (GOOD + b"trailing", "The file, after segment 23, goes on with what is no segment"),
        (GOOD + GOOD, "ISA13, segment 24, is that of an interchange before it"),
        (GOOD + GOOD.replace(b"*T*:", b"*T*>"), "ISA16, segment 24, has other"),
        (GOOD + GOOD.replace(b"000000017", b"000000018").replace(b"*T*:", b"*T*>"), "ISA16, segment 24, has other"),
        (envelope("837P", []), "The file holds no transaction"),
    ],
    ids=itertools.count(),
)
def test_what_is_no_interchange_is_refused(source: bytes, said: str) -> None:
    with pytest.raises(InterchangeError) as raised:
        read(source)
    assert str(raised.value).startswith(said), str(raised.value)


def test_a_text_that_is_not_utf_8_far_into_the_file_is_refused() -> None:
    bills = [(*claim(f"A{number}"), *LINES) for number in range(400)]
    with pytest.raises(InterchangeError, match=r"The text about segment \d+ is not UTF-8"):
        read(professional(*bills).replace(b"CLM*A399", b"CLM*A\xff"))


@pytest.mark.parametrize("version", ["004010X098A1", "004010X096A1", "005010X214", "005010X220A1", "005010", "x"])
def test_other_versions_are_refused_by_name(version: str) -> None:
    with pytest.raises(InterchangeVersionError, match="GS08, segment 2,"):
        read(envelope("837P", [(*PROVIDER, *SUBSCRIBER, *claim(), *LINES)], version=version))


def test_two_transactions_of_one_number_are_refused() -> None:
    body = (*PROVIDER, *SUBSCRIBER, *claim(), *LINES)
    twice = envelope("837P", [body, body]).replace(b"*0002", b"*0001")
    with pytest.raises(InterchangeError, match="ST02, segment 22, is that of a transaction before it"):
        read(twice)


def test_two_groups_of_one_number_are_refused() -> None:
    group = GOOD[GOOD.index(b"GS*") : GOOD.index(b"IEA*")]
    twice = GOOD[: GOOD.index(b"GS*")] + group + group + b"IEA*2*000000017~"
    with pytest.raises(InterchangeError, match="GS06, segment 23, is that of a group before it"):
        read(twice)
    assert read(twice.replace(group, group.replace(b"*1*X*", b"*2*X*").replace(b"GE*1*1", b"GE*1*2"), 1)) == 2


@pytest.mark.parametrize(
    ("flood", "said"),
    [
        ((*PROVIDER, *["REF*G2*1"] * 300), "REF, segment 206, is one of more than 200 in one place"),
        ((*PROVIDER, *SUBSCRIBER, *claim(), *["REF*G2*1"] * 10_001), "REF in the 1st claim, segment 10016, is one of"),
        ((*PROVIDER, *SUBSCRIBER, *["REF*G2*1"] * 300), "REF, segment 210, is one of more than 200"),
    ],
)
def test_a_flood_of_segments_is_refused_before_it_is_held(flood: tuple[str, ...], said: str) -> None:
    with pytest.raises(InterchangeError) as raised:
        read(envelope("837P", [flood]))
    assert str(raised.value).startswith(said), str(raised.value)


def test_what_can_be_read_once_only_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InterchangeError, match="The file is none that can be read twice: save it first"):
        next(x12.read(tmp_path / "pipe"))


def test_a_file_that_is_cut_off_anywhere_is_refused() -> None:
    """At every byte: nothing is read of it, and the refusal is one of ours."""
    for length in range(len(GOOD.rstrip()) - 1):
        with pytest.raises(MedProofError):
            read(GOOD[:length])


def test_a_file_with_a_segment_missing_twice_or_swapped_is_refused() -> None:
    segments = GOOD.decode().split("~\n")[:-1]
    for place in range(len(segments)):
        without = [*segments[:place], *segments[place + 1 :]]
        twice = [*segments[: place + 1], *segments[place:]]
        for changed in (without, twice):
            with pytest.raises(MedProofError):
                read("".join(f"{one}~\n" for one in changed).encode())


def test_a_refusal_of_the_envelope_shows_no_value() -> None:
    for length in range(110, len(GOOD) - 20, 7):
        with pytest.raises(ClaimElementError) as raised:
            read(GOOD[:length])
        assert not any(secret in str(raised.value) for secret in ("ROE", "JANE", "M0001", "J0190", "99213"))


def test_whoever_leaves_a_transaction_early_still_gets_the_next() -> None:
    body = (*PROVIDER, *SUBSCRIBER, *claim(), *LINES)
    seen = [next(one.segments).id for one in read_transactions(envelope("837P", [body, body]))]
    assert seen == ["BHT", "BHT"]


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    def written(count: int) -> Path:
        path = tmp_path / f"{count}.837"
        path.write_bytes(professional(*((*claim(f"A{number}"), *LINES) for number in range(count))))
        return path

    def peak(path: Path) -> int:
        tracemalloc.start()
        try:
            assert sum(1 for _ in x12.read_claims(path)) == int(path.stem)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(written(600)) < peak(written(60)) + 150_000  # its segments would take ten times that


def test_a_missing_file_is_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        next(x12.read(tmp_path / "none.837"))


def test_numbers_count() -> None:
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 112, 1002)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "112th", "1002nd",
    ]  # fmt: skip


def test_a_stream_is_closed_when_nobody_reads_on(tmp_path: Path) -> None:
    path = tmp_path / "bills.837"
    path.write_bytes(GOOD)
    stream: Iterator[object] = x12.read(path)
    next(stream)
    path.unlink()
    assert list(stream) == []

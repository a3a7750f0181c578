"""Interchanges changed at random: each is read or refused by one of our errors, which shows nobody's data."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medproof import x12
from medproof.errors import ClaimElementError
from tests.sdk.x12 import test_eligibility, test_status
from tests.sdk.x12.interchanges import DEPENDENT, LINES, claim, interchange, professional, remittance
from tests.sdk.x12.test_remittance import PAID
from tests.support.profiles import effort

INTERCHANGES = [
    professional([*claim(), *LINES, "LIN**N4*00026063512", "REF*XZ*RX77"], [*claim("A2"), *LINES], above=DEPENDENT),
    remittance(PAID, PAID, paid="100", after=["PLB*1234567893*20261231*WO:77*20"]),
    interchange("276", *test_status.HEAD, *test_status.SUBSCRIBER, *test_status.DEPENDENT),
    interchange("277", *test_status.HEAD, *test_status.SUBSCRIBER[:3], "TRN*2*Q1", "STC*A2:20*20261120**60"),
    interchange("270", *test_eligibility.HEAD, *test_eligibility.DEPENDENT),
    interchange("271", *test_eligibility.HEAD, *test_eligibility.SUBSCRIBER[:3], "EB*1**30"),
]
SECRETS = ("ROE", "JANE", "Max", "MAX", "M0001", "20100304", "J0190", "99213", "RX77")
PIECES = st.sampled_from(
    ["", "1", "-1", "0", "9" * 20, "1E9", "NaN", "20261131", "X", "é", "\x00", "JANE", ":", "HC:1"]
)


def outcome(source: bytes) -> str:
    """What becomes of it: how much was read, or the refusal."""
    try:
        return str(len(list(x12.read(source))))
    except ClaimElementError as error:
        return str(error)


@st.composite
def changed(draw: Any) -> bytes:
    """An interchange with up to three segments left out, doubled, moved, or with another element."""
    segments = draw(st.sampled_from(INTERCHANGES)).decode().split("~\n")[:-1]
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(1, len(segments) - 1))
        kind = draw(st.sampled_from(["element", "element", "element", "leave out", "double", "move", "shorten"]))
        segment = segments[place]
        if kind == "element":
            elements = segment.split("*")
            elements[draw(st.integers(0, len(elements) - 1))] = draw(PIECES)
            segments[place] = "*".join(elements)
        elif kind == "leave out":
            del segments[place]
        elif kind == "double":
            segments.insert(place, segment)
        elif kind == "move":
            segments.insert(draw(st.integers(1, len(segments) - 1)), segments.pop(place))
        else:
            segments[place] = segment[: draw(st.integers(0, len(segment)))]
    return recounted(segments)


def recounted(segments: list[str]) -> bytes:
    """With the count of segments made right, so that the change is what is looked at."""
    begins = [place for place, one in enumerate(segments) if one.startswith("ST*")]
    ends = [place for place, one in enumerate(segments) if one.startswith("SE*")]
    if begins and ends:
        segments[ends[0]] = f"SE*{ends[0] - begins[0] + 1}*0001"
    return "".join(f"{one}~\n" for one in segments).encode()


@pytest.mark.parametrize("number", range(len(INTERCHANGES)))
def test_unchanged_they_are_read(number: int) -> None:
    assert outcome(INTERCHANGES[number]).isdigit()


@settings(**effort(300))
@given(changed())
def test_what_was_changed_is_read_or_refused_without_showing_anybody(source: bytes) -> None:
    said = outcome(source)
    if not said.isdigit():
        assert not any(secret in said for secret in SECRETS), said

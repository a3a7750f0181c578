"""270 and 271: questions whether somebody is insured, answered with a payer's attestation, and read again."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from medproof import x12
from medproof.claims import Code, Identifier
from medproof.claims.coverage import EligibilityRequest
from medproof.errors import ArgumentError, ClaimElementError
from tests.sdk.x12.interchanges import interchange

MADE = datetime(2026, 11, 22, 9, 15, 7, tzinfo=UTC)
AT = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
LEAF = bytes(range(224, 256))
HEAD = (
    "BHT*0022*13*ASK1*20261120*0900",
    "HL*1**20*1",
    "NM1*PR*2*MUTUAL*****PI*60054",
    "HL*2*1*21*1",
    "NM1*1P*2*HARBOR CLINIC*****XX*1234567893",
)
SUBSCRIBER = (
    "HL*3*2*22*0",
    "TRN*1*E1*9123456789*DESK",
    "NM1*IL*1*ROE*JANE****MI*M0001",
    "REF*6P*GROUP7",
    "DMG*D8*19700102*F",
    "DTP*291*D8*20261203",
    "EQ*30^98",
)
DEPENDENT = (
    "HL*3*2*22*1",
    "NM1*IL*1*ROE*JANE****MI*M0001",
    "HL*4*3*23*0",
    "TRN*1*E2*9123456789",
    "NM1*03*1*ROE*Max",
    "DMG*D8*20100304*M",
    "DTP*291*RD8*20261203-20261205",
    "EQ*35",
)


def asked(*body: str) -> x12.EligibilityInquiry:
    (found,) = x12.read(interchange("270", *(body or (*HEAD, *SUBSCRIBER))))
    assert isinstance(found, x12.EligibilityInquiry)
    return found


def answer(inquiry: x12.EligibilityInquiry, *, covered: bool = True) -> bytes:
    assert inquiry.header
    return x12.write_eligibility(
        inquiry,
        inquiry.header.reply(18),
        covered=covered,
        attestation=LEAF,
        made_at=MADE,
        originator="1512345678",
        reference="R1",
        at=AT,
    )


def read(source: bytes) -> x12.EligibilityAnswer:
    (found,) = x12.read(source)
    assert isinstance(found, x12.EligibilityAnswer)
    return found


def test_a_question_is_read() -> None:
    system = "https://codesystem.x12.org/005010"
    assert asked().request == EligibilityRequest(
        number="E1",
        member=Identifier(f"{system}/66#MI", "M0001"),
        provider=Identifier("http://hl7.org/fhir/sid/us-npi", "1234567893"),
        payer=Identifier(f"{system}/66#PI", "60054"),
        asked=date(2026, 11, 20),
        start=date(2026, 12, 3),
        end=date(2026, 12, 3),
        services=(Code(f"{system}/1365", "30"), Code(f"{system}/1365", "98")),
        coverage=Identifier(f"{system}/128#6P", "GROUP7"),
    )


def test_a_question_after_a_dependent() -> None:
    request = asked(*HEAD, *DEPENDENT).request
    assert request.member.value == "M0001/20100304/MAX"
    assert (request.start, request.end) == (date(2026, 12, 3), date(2026, 12, 5))


def test_a_question_without_trace_and_day_is_of_the_day_it_was_asked() -> None:
    request = asked(*HEAD, *(one for one in SUBSCRIBER if not one.startswith(("TRN", "DTP")))).request
    assert (request.number, request.start, request.end) == ("ASK1", date(2026, 11, 20), date(2026, 11, 20))


@pytest.mark.parametrize("covered", [True, False])
def test_an_answer_carries_the_attestation_and_its_time(covered: bool) -> None:
    written = answer(asked(), covered=covered)
    found = read(written)
    assert found == x12.EligibilityAnswer(("E1",), covered, (), LEAF, MADE)
    said = written.decode()
    assert "TRN*2*E1*9123456789*DESK~" in said
    assert "TRN*1*4OHi4-Tl5ufo6err7O3u7_Dx8vP09fb3-Pn6-_z9_v8*1512345678*20261122T091507Z~" in said
    assert f"EB*{1 if covered else 6}**30~" in said
    assert "DTP*636*D8*20261122~" in said


def test_an_answer_about_a_dependent() -> None:
    written = answer(asked(*HEAD, *DEPENDENT))
    assert read(written).numbers == ("E2",)
    assert "HL*4*3*23*0~" in written.decode()
    assert "DTP*291*RD8*20261203-20261205~" in written.decode()


def test_a_stale_answer_is_found_out() -> None:
    found = read(answer(asked()))
    assert not found.is_stale(timedelta(hours=1), now=MADE + timedelta(minutes=59))
    assert found.is_stale(timedelta(hours=1), now=MADE + timedelta(minutes=61))
    other = read(interchange("271", *HEAD, *SUBSCRIBER[:3], "EB*1**30"))
    assert other.is_stale(timedelta(days=3650), now=MADE)


@pytest.mark.parametrize(
    "trace",
    ["SHORT*1512345678*20261122T091507Z", "4OHi4-Tl5ufo6err7O3u7_Dx8vP09fb3-Pn6-_z9_v8*1512345678*later"],
)
def test_a_trace_of_another_kind_is_no_attestation(trace: str) -> None:
    found = read(interchange("271", *HEAD, *SUBSCRIBER[:1], f"TRN*1*{trace}", SUBSCRIBER[2], "EB*6**30"))
    assert (found.attestation, found.made_at, found.covered) == (None, None, False)


@pytest.mark.parametrize(
    ("benefits", "covered"),
    [
        (("EB*1**30", "EB*6**98"), True),  # the plan is in force, one service is not in it
        (("EB*1**98", "EB*6**30"), False),
        (("EB*6**30", "EB*1**30"), False),
        (("EB*1**98", "EB*6**35"), False),
        (("EB*6**98^30", "EB*1**98"), False),
        (("EB*1", "EB*L"), True),
        (("EB*L",), None),
    ],
)
def test_what_is_said_of_the_whole_plan_counts(benefits: tuple[str, ...], covered: bool | None) -> None:
    assert read(interchange("271", *HEAD, *SUBSCRIBER[:3], *benefits)).covered is covered


def test_a_payer_that_cannot_answer_says_why() -> None:
    found = read(interchange("271", *HEAD[:-1], HEAD[-1], "AAA*Y**50*N"))
    assert (found.covered, found.refusals) == (None, ("50",))


def test_an_answer_is_not_written_wrongly() -> None:
    inquiry = asked()
    assert inquiry.header
    good = {
        "covered": True,
        "attestation": LEAF,
        "made_at": MADE,
        "originator": "1512345678",
        "reference": "R1",
        "at": AT,
    }
    for name, value, said in [
        ("attestation", b"", "32 bytes, not 0"),
        ("originator", "1", "ten characters"),
        ("made_at", MADE.replace(tzinfo=None), "names no zone"),
        ("reference", "R*1", "BHT03 has a character"),
    ]:
        with pytest.raises(ArgumentError, match=said.replace("*", r"\*")):
            x12.write_eligibility(inquiry, inquiry.header.reply(1), **{**good, name: value})  # type: ignore[arg-type]


REFUSED = [
    ("BHT*0022", "XXX*0022", "HL, segment 5, has no BHT above it"),
    ("BHT*0022*13*ASK1*20261120", "BHT*0022*13*ASK1*2026", "BHT04, segment 4, is no day"),
    ("*****XX*1234567893", "", "HL in the 1st question, segment 7, has an NM1*1P without a number"),
    ("****MI*M0001", "", "HL in the 1st question, segment 9, has no member number"),
    ("EQ*30^98", "EQ*30^98^HEALTH", "EQ01 in the 1st question, segment 15, is no service type"),
    ("HL*3*2*22", "HL*3*1*22", "HL02, segment 9, does not name the level above"),
]


@pytest.mark.parametrize(("old", "new", "said"), REFUSED)
def test_a_question_is_refused_by_its_segment(old: str, new: str, said: str) -> None:
    source = interchange("270", *HEAD, *SUBSCRIBER)
    assert source.count(old.encode()) == 1
    with pytest.raises(ClaimElementError) as raised:
        list(x12.read(source.replace(old.encode(), new.encode())))
    assert str(raised.value).startswith(said), str(raised.value)


def test_questions_and_answers_do_not_show_the_patient_when_printed() -> None:
    shown = repr(asked(*HEAD, *DEPENDENT)) + repr(read(answer(asked())))
    for secret in ("M0001", "ROE", "JANE", "MAX", "Max", "2010", "True"):
        assert secret not in shown

"""276 and 277: questions after claims, answered out of what stands on the chain, and read again."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from pyx12.codes import ExternalCodes  # type: ignore[import-untyped]

from medproof import x12
from medproof.claims import Identifier
from medproof.client.claim_anchor import ClaimStatus, Outcome
from medproof.errors import ArgumentError, ClaimCodeError, ClaimElementError, InterchangeError
from medproof.x12.interchange import Kind, read_transactions
from tests.sdk.x12.interchanges import interchange

AT = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
DAY = date(2026, 11, 20)
HEAD = (
    "BHT*0010*13*ASK1*20261120*0900",
    "HL*1**20*1",
    "NM1*PR*2*MUTUAL*****PI*60054",
    "HL*2*1*21*1",
    "NM1*41*2*HARBOR BILLING*****46*HB1",
    "HL*3*2*19*1",
    "NM1*1P*2*HARBOR CLINIC*****XX*1234567893",
)
SUBSCRIBER = (
    "HL*4*3*22*0",
    "DMG*D8*19700102*F",
    "NM1*IL*1*ROE*JANE****MI*M0001",
    "TRN*1*Q1",
    "REF*1K*P-1",
    "REF*EJ*A1",
    "AMT*T3*60",
    "DTP*472*RD8*20261101-20261103",
)
DEPENDENT = (
    "HL*5*3*22*1",
    "NM1*IL*1*DOE*JOHN****MI*M0002",
    "HL*6*5*23*0",
    "DMG*D8*20100304*M",
    "NM1*QC*1*DOE*Max",
    "TRN*1*Q2",
    "REF*EJ*A2",
    "SVC*HC:99213*60*****1",
    "DTP*472*D8*20261103",
)


def asked(*body: str) -> list[x12.StatusRequest]:
    found = list(x12.read(interchange("276", *(body or (*HEAD, *SUBSCRIBER, *DEPENDENT)))))
    assert all(isinstance(one, x12.StatusRequest) for one in found)
    return found  # type: ignore[return-value]


def answered(source: bytes) -> list[x12.StatusAnswer]:
    return list(x12.read(source))  # type: ignore[arg-type]


def test_questions_are_read() -> None:
    first, second = asked()
    assert (first.number, first.claim_number, first.payer_number) == ("Q1", "A1", "P-1")
    assert (first.charge, first.days) == (Decimal(60), (date(2026, 11, 1), date(2026, 11, 3)))
    assert first.patient is None
    member = Identifier("https://codesystem.x12.org/005010/66#MI", "M0001")
    assert first.patient_identifier == first.subscriber.identifier == member
    assert (first.provider.identifier or member).value == "1234567893"
    assert (second.number, second.claim_number, second.days) == ("Q2", "A2", None)
    assert second.patient_identifier.value == "M0002/20100304/MAX"


def test_a_subscriber_may_be_asked_after_twice() -> None:
    again = ("TRN*1*Q9", "REF*EJ*A9")
    assert [(one.number, one.claim_number) for one in asked(*HEAD, *SUBSCRIBER, *again)] == [("Q1", "A1"), ("Q9", "A9")]


def test_many_questions_after_one_subscriber_take_no_longer_each() -> None:
    again = [segment for number in range(3000) for segment in (f"TRN*1*Q{number}", f"REF*EJ*A{number}")]
    assert len(asked(*HEAD, *SUBSCRIBER[:3], *again)) == 3000


def test_every_state_of_the_chain_has_a_status_of_the_code_lists() -> None:
    lists = ExternalCodes()
    for status in ClaimStatus:
        decided = status.name in ("ADJUDICATED", "UPHELD", "SETTLED")
        for outcome in [one for one in Outcome if (one is not Outcome.NONE) == decided]:
            said = x12.status_of(status.name, outcome.name, since=DAY)
            assert lists.isValid("claim_status_cat", said.category)
            assert lists.isValid("claim_status", said.code)
            assert not said.entity or lists.isValid("entity_id", said.entity)


def test_a_state_that_no_claim_has_is_refused() -> None:
    with pytest.raises(ClaimCodeError, match="is ADJUDICATED with the outcome NONE"):
        x12.status_of("ADJUDICATED", since=DAY)
    with pytest.raises(ClaimCodeError, match="is LOST"):
        x12.status_of("LOST", since=DAY)


def test_answers_are_written_and_read_again() -> None:
    first, second = asked()
    assert first.header
    statuses = [
        [x12.status_of("PENDED", since=DAY, charge=Decimal("60.00"))],
        [x12.status_of("SETTLED", "PARTIAL", since=DAY, charge=Decimal(60), paid=Decimal("40.5"), decided=DAY)],
    ]
    header = first.header.reply(18)
    written = x12.write_status(zip((first, second), statuses, strict=True), header, reference="R1", at=AT)
    one, two = answered(written)
    assert (one.number, one.claim_number, one.payer_number, one.level) == ("Q1", "A1", "P-1", "22")
    assert one.statuses == tuple(statuses[0])
    assert (two.number, two.claim_number, two.payer_number, two.level) == ("Q2", "A2", None, "23")
    assert two.statuses == tuple(statuses[1])
    said = written.decode()
    assert "STC*P3:123:1P*20261120**60.00~" in said
    assert "STC*F1:68*20261120**60*40.5*20261120~" in said
    assert said.count("HL*") == 6  # payer, asker and provider once; each subscriber, and the dependent
    assert "NM1*1P*2*HARBOR CLINIC*****XX*1234567893~" in said
    assert "DTP*472*RD8*20261101-20261103~" in said
    back = next(read_transactions(written))
    assert (back.kind, back.header) == (Kind.STATUS, header)
    assert (header.sender, header.receiver, header.control_number) == ("MUTUAL", "HARBOR", 18)


def test_several_providers_keep_their_own_levels() -> None:
    other = ("HL*5*2*19*1", "NM1*1P*2*BAY*****XX*1999999984", "HL*6*5*22*0", *SUBSCRIBER[1:3], "TRN*1*Q2", "REF*EJ*B1")
    requests = asked(*HEAD, *SUBSCRIBER, *other)
    said = [(one, [x12.status_of("NONE", since=DAY)]) for one in requests]
    assert requests[0].header
    written = x12.write_status(said, requests[0].header.reply(18), reference="R1", at=AT)
    assert [one.claim_number for one in answered(written)] == ["A1", "B1"]
    assert written.decode().count("NM1*1P*") == 2
    assert written.decode().count("NM1*PR*") == 1


@pytest.mark.parametrize("bad", ["A*1", "A~1", "A:1", "A^1", "A\n1", "A\x1b1"])
def test_a_value_that_would_break_the_interchange_is_not_written(bad: str) -> None:
    request = asked()[0]
    assert request.header
    said = [(request, [x12.Status("A4", "35", bad, DAY)])]
    with pytest.raises(ArgumentError, match="STC01 has a character that X12 cannot carry"):
        x12.write_status(said, request.header.reply(1), reference="R1", at=AT)
    with pytest.raises(ArgumentError, match="BHT03 has a character"):
        x12.write_status([], request.header.reply(1), reference=bad, at=AT)


def test_a_header_that_does_not_fit_is_not_written() -> None:
    header = x12.Header("ZZ", "A" * 16, "ZZ", "B", "T", 1, "A", "B")
    with pytest.raises(ArgumentError, match="ISA is not of its fixed length"):
        x12.write_status([], header, reference="R1", at=AT)


REFUSED = [
    ("NM1*IL*1*ROE*JANE****MI*M0001", "NM1*IL*1*ROE*JANE", "HL in the 1st request, segment 11, has no member number"),
    ("TRN*1*Q1", "TRN*1", "TRN02 in the 1st request, segment 14, is missing"),
    ("AMT*T3*60", "AMT*T3*-60", "AMT02 in the 1st request, segment 17, is below zero"),
    ("REF*1K*P-1", "REF*EJ*P-1", "REF01 in the 1st request, segment 16, is there a second time"),
    ("NM1*1P", "NM1*XX", "HL in the 1st request, segment 9, has no NM1*1P below it"),
    ("HL*4*3*22", "HL*4*2*22", "TRN in the 1st request, segment 14, has no level 19 above it"),
    ("HL*4*3*22", "HL*4*1*22", "HL02, segment 11, does not name the level above"),
    ("HL*4*3*22", "HL*4*3*77", "HL02, segment 11, does not name the level above"),
    ("HL*1**20", "HL*1**21", "HL02, segment 5, does not name the level above"),
    ("RD8*20261101-20261103", "RD8*20261101", "DTP03 in the 1st request, segment 18, is not of the form"),
]


@pytest.mark.parametrize(("old", "new", "said"), REFUSED)
def test_a_question_is_refused_by_its_segment(old: str, new: str, said: str) -> None:
    source = interchange("276", *HEAD, *SUBSCRIBER)
    assert source.count(old.encode()) == 1
    with pytest.raises(ClaimElementError) as raised:
        list(x12.read(source.replace(old.encode(), new.encode())))
    assert str(raised.value).startswith(said), str(raised.value)


def test_an_answer_without_status_and_one_of_no_known_code_are_refused() -> None:
    with pytest.raises(ClaimElementError, match="TRN in the 1st answer, segment 13, has no STC below it"):
        list(x12.read(interchange("277", *HEAD, *SUBSCRIBER[:1], SUBSCRIBER[2], "TRN*2*Q1")))
    for code in ("ZZ:20", "A2:twenty", "A2"):
        with pytest.raises(ClaimElementError, match="STC01"):
            list(
                x12.read(interchange("277", *HEAD, *SUBSCRIBER[:1], SUBSCRIBER[2], "TRN*2*Q1", f"STC*{code}*20261120"))
            )


def test_no_level_is_no_question() -> None:
    with pytest.raises(InterchangeError, match="A 276 has no HL"):
        asked(HEAD[0])
    assert asked(*HEAD) == []


def test_a_question_does_not_show_its_patient_when_printed() -> None:
    shown = repr(asked())
    for secret in ("M0001", "M0002", "ROE", "JANE", "MAX", "Max", "2010", "20261103"):
        assert secret not in shown

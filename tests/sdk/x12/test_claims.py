"""Claims out of X12 837: every field, and every refusal by its segment."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from medproof import x12
from medproof.claims import Claim, ClaimKind, Code, Frequency, Identifier, Money, ServiceLine
from medproof.errors import (
    ClaimAmountError,
    ClaimCodeError,
    ClaimCurrencyError,
    ClaimDateError,
    ClaimElementError,
    ClaimLineError,
    ClaimTotalError,
    InterchangeError,
)
from tests.sdk.x12.interchanges import DEPENDENT, LINES, PROVIDER, SUBSCRIBER, claim, interchange, professional

CPT = "http://www.ama-assn.org/go/cpt"
HCPCS = "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
WIDE = {ord("0") + digit: 0xFF10 + digit for digit in range(10)}  # the digits that only look like digits
MEMBER = Identifier("https://codesystem.x12.org/005010/66#MI", "M0001")


def one(source: bytes) -> Claim:
    (found,) = x12.read_claims(source)
    return found


def changed(source: bytes, old: str, new: str) -> bytes:
    """The same file, where one piece of a segment is another."""
    assert source.count(old.encode()) == 1
    return source.replace(old.encode(), new.encode())


def test_a_professional_claim_is_read_whole() -> None:
    found = one(professional([*claim(), *LINES]))
    assert found == Claim(
        kind=ClaimKind.PROFESSIONAL,
        number="A1",
        frequency=Frequency.ORIGINAL,
        patient=MEMBER,
        provider=Identifier("http://hl7.org/fhir/sid/us-npi", "1234567893"),
        payer=Identifier("https://codesystem.x12.org/005010/66#PI", "60054"),
        start=date(2026, 11, 3),
        end=date(2026, 11, 3),
        lines=(
            ServiceLine(
                number=1,
                service=(Code(CPT, "99213"),),
                start=date(2026, 11, 3),
                end=date(2026, 11, 3),
                modifiers=(Code(CPT, "25"),),
                quantity=Decimal(1),
                unit="UN",
                charge=Money(Decimal("60.00"), "USD"),
            ),
        ),
        total=Money(Decimal("60.00"), "USD"),
        diagnoses=(
            Code("http://hl7.org/fhir/sid/icd-10-cm", "J01.90"),
            Code("http://hl7.org/fhir/sid/icd-10-cm", "E11.9"),
        ),
        coverage=Identifier("https://codesystem.x12.org/005010/128#1L", "GROUP7"),
    )


def test_a_file_reads_as_its_content_does(tmp_path: Path) -> None:
    content = professional([*claim(), *LINES])
    path = tmp_path / "bills.837"
    path.write_bytes(content)
    assert list(x12.read_claims(path)) == list(x12.read_claims(content))


def test_a_dependent_is_known_by_the_members_number_birth_date_and_first_name() -> None:
    found = one(professional([*claim(), *LINES], above=DEPENDENT))
    assert found.patient == Identifier(MEMBER.system, "M0001/20100304/MAX")
    assert found.subscriber == MEMBER


def test_a_dependent_with_a_number_of_its_own_is_known_by_that() -> None:
    found = one(professional([*claim(), *LINES], above=(*DEPENDENT, "REF*1W*M0001-02")))
    assert found.patient == Identifier("https://codesystem.x12.org/005010/128#1W", "M0001-02")


def test_a_provider_without_npi_is_known_by_the_tax_number() -> None:
    source = changed(professional([*claim(), *LINES]), "HARBOR CLINIC*****XX*1234567893", "HARBOR CLINIC")
    assert one(source).provider == Identifier("urn:oid:2.16.840.1.113883.4.4", "123456789")


def test_patients_and_providers_do_not_mix() -> None:
    second = ("HL*3*1*22*0", "SBR*P", "NM1*IL*1*DOE*JOHN****MI*M0002", "NM1*PR*2*OTHER*****PI*77777")
    third = ("HL*4**20*1", "CUR*85*CAD", "NM1*85*2*BAY*****XX*1999999984", "HL*5*4*22*0", "SBR*P")
    member = ("NM1*IL*1*POE*ANN****MI*M0003", "NM1*PR*2*OTHER*****PI*77777")
    bills = [(*claim(name), *LINES) for name in ("A1", "A2", "B1", "C1")]
    body = (*PROVIDER, *SUBSCRIBER, *bills[0], *bills[1], *second, *bills[2], *third, *member, *bills[3])
    found = list(x12.read_claims(interchange("837P", *body)))
    assert [one.number for one in found] == ["A1", "A2", "B1", "C1"]
    assert [one.patient.value for one in found] == ["M0001", "M0001", "M0002", "M0003"]
    assert [one.payer.value for one in found] == ["60054", "60054", "77777", "77777"]
    assert [one.provider.value for one in found] == ["1234567893"] * 3 + ["1999999984"]
    assert [one.total and one.total.currency for one in found] == ["USD"] * 3 + ["CAD"]
    assert [one.coverage is None for one in found] == [False, False, True, True]


def test_a_drug_and_its_prescription_belong_to_the_line() -> None:
    line = ("LX*1", "SV1*HC:J1550*60.00*UN*1***1", "DTP*472*RD8*20261101-20261103", "LIN**N4*00026063512")
    found = one(professional([*claim(), *line, "CTP****10*ML", "REF*XZ*RX77"]))
    assert found.lines[0].service == (Code(HCPCS, "J1550"), Code("http://hl7.org/fhir/sid/ndc", "00026063512"))
    assert (found.lines[0].start, found.lines[0].end) == (date(2026, 11, 1), date(2026, 11, 3))
    assert found.prescription == "RX77"


def test_where_lines_name_several_prescriptions_the_claim_has_none() -> None:
    lines = [(f"LX*{n}", "SV1*HC:J1550*30*UN*1***1", "DTP*472*D8*20261103", f"REF*XZ*RX{n}") for n in (1, 2)]
    assert one(professional([*claim(), *lines[0], *lines[1]])).prescription is None


def test_an_institutional_claim_gives_its_days_where_lines_do_not() -> None:
    bill = (
        "CLM*H1*150***13:A:1*Y*C*Y*Y",
        "DTP*434*RD8*20261101-20261104",
        "HI*ABK:I2510",
        "HI*ABJ:R079*APR:R0789",
        "LX*1",
        "SV2*0450*HC:99284*100*UN*1",
        "LX*2",
        "SV2*0250**50*UN*3",
        "DTP*472*D8*20261102",
    )
    found = one(interchange("837I", *PROVIDER, *SUBSCRIBER, *bill))
    assert found.kind is ClaimKind.INSTITUTIONAL
    assert (found.start, found.end) == (date(2026, 11, 1), date(2026, 11, 4))
    assert [(line.start, line.end) for line in found.lines] == [
        (date(2026, 11, 1), date(2026, 11, 4)),
        (date(2026, 11, 2), date(2026, 11, 2)),
    ]
    assert found.lines[0].service == (Code(CPT, "99284"),)
    assert found.lines[1].service == (Code("https://www.nubc.org/CodeSystem/RevenueCodes", "0250"),)
    assert found.diagnoses == (Code("http://hl7.org/fhir/sid/icd-10-cm", "I25.10"),)


@pytest.mark.parametrize("days", ["D8*20261031", "D8*20261105", "RD8*20261104-20261105"])
def test_a_line_outside_the_claims_own_days_is_refused(days: str) -> None:
    """Else the same service could be billed again under other days of the claim."""
    bill = ("CLM*H1*50***13:A:1*Y*C*Y*Y", "DTP*434*RD8*20261101-20261104", "LX*1", "SV2*0250**50*UN*3")
    with pytest.raises(ClaimDateError, match="DTP03 in the 1st claim, segment 20, lies outside the claim's own days"):
        one(interchange("837I", *PROVIDER, *SUBSCRIBER, *bill, f"DTP*472*{days}"))


def test_a_dental_claim_names_tooth_and_surfaces() -> None:
    bill = ("CLM*D1*80***11:B:1*Y*A*Y*Y", "DTP*472*D8*20261105", "LX*1", "SV3*AD:D2140*80****1", "TOO*JP*12*M:O")
    found = one(interchange("837D", *PROVIDER, *SUBSCRIBER, *bill))
    assert found.kind is ClaimKind.ORAL
    assert found.lines[0].service == (Code("http://www.ada.org/cdt", "D2140"),)
    assert [code.code for code in found.lines[0].places] == ["12", "M", "O"]
    assert (found.lines[0].quantity, found.lines[0].unit) == (Decimal(1), None)


@pytest.mark.parametrize("frequency", ["7", "8"])
def test_a_correction_names_what_it_corrects(frequency: str) -> None:
    found = one(professional([*claim(frequency=frequency, original="P-500"), *LINES]))
    assert (found.frequency, found.original) == (Frequency(frequency), "P-500")


def test_what_another_payer_paid_is_not_this_claims() -> None:
    """REF*F8, HI, NM1*PR and REF below 2320 are the other payer's."""
    other = ("SBR*S*18*******CI", "AMT*D*10", "NM1*IL*1*X*Y****MI*OTHER", "NM1*PR*2*OTHER*****PI*11111", "REF*F8*Q9")
    found = one(professional([*claim(), "NM1*82*1*ROE*R****XX*1888888888", *other, *LINES]))
    assert (found.original, found.payer.value, found.patient.value) == (None, "60054", "M0001")


@pytest.mark.parametrize(
    ("code", "written"), [("BK:4019", "401.9"), ("BK:E8889", "E888.9"), ("BK:496", "496"), ("ABK:A00", "A00")]
)
def test_codes_of_icd_get_their_point_back(code: str, written: str) -> None:
    assert one(changed(professional([*claim(), *LINES]), "ABK:J0190", code)).diagnoses[0].code == written


REFUSED = [
    # what is changed, into what, and what is said
    ("CLM*A1*60.00*", "CLM*A1**", ClaimElementError, "CLM02 in the 1st claim, segment 16, is missing"),
    ("CLM*A1*60.00*", "CLM**60.00*", ClaimElementError, "CLM01 in the 1st claim, segment 16, is missing"),
    ("CLM*A1*60.00*", "CLM*A1*61.00*", ClaimTotalError, "CLM02 in the 1st claim, segment 16, is not what its lines"),
    ("CLM*A1*60.00*", "CLM*A1*-60.00*", ClaimAmountError, "CLM02 in the 1st claim, segment 16, is below zero"),
    ("CLM*A1*60.00*", "CLM*A1*6E1*", ClaimAmountError, "CLM02 in the 1st claim, segment 16, is no amount"),
    ("CLM*A1*60.00*", "CLM*A1*NaN*", ClaimAmountError, "CLM02 in the 1st claim, segment 16, is no amount"),
    ("CLM*A1*60.00*", "CLM*A1*" + "9" * 16 + "*", ClaimAmountError, "CLM02 in the 1st claim, segment 16, is no"),
    ("11:B:1", "11:B:7", ClaimElementError, "CLM05-3 in the 1st claim, segment 16, is 7, and no REF*F8"),
    ("11:B:1", "11:B:3", ClaimCodeError, "CLM05-3 in the 1st claim, segment 16, is 3, and claims are original (1)"),
    ("11:B:1", "11:B", ClaimElementError, "CLM05-3 in the 1st claim, segment 16, is missing"),
    ("HI*ABK", "REF*F8*X~HI*ABK", ClaimElementError, "REF01 in the 1st claim, segment 17, names a claim to correct"),
    ("ABK:J0190", "XYZ:J0190", ClaimCodeError, "HI01-1 in the 1st claim, segment 17, is not known here"),
    ("ABK:J0190", "ABK:J", ClaimCodeError, "HI01-2 in the 1st claim, segment 17, is no code of ICD"),
    ("LX*1~", "LX*2~", ClaimLineError, "LX01 in the 1st claim, segment 18, does not count on"),
    ("LX*1~", "LX*one~", ClaimElementError, "LX01 in the 1st claim, segment 18, is no whole number"),
    ("SV1*HC:99213:25*60.00", "SV1*HC:99213:25*-60", ClaimAmountError, "SV102 in the 1st claim, segment 19, is below"),
    ("SV1*HC:99213:25", "SV1*QQ:99213:25", ClaimCodeError, "SV101-1 in the 1st claim, segment 19, is not known here"),
    ("SV1*HC:99213:25", "SV1*HC", ClaimElementError, "SV101-2 in the 1st claim, segment 19, is missing"),
    ("SV1*HC:99213:25", "SV1*", ClaimElementError, "SV101 in the 1st claim, segment 19, names no service"),
    ("SV1*HC:99213:25", "SV1*HC>99213>25", ClaimCodeError, "SV101 in the 1st claim, segment 19, has another component"),
    ("SV1*HC:99213:25", "SV1*HC:99213:255", ClaimCodeError, "SV101-3 in the 1st claim, segment 19, is no modifier"),
    ("SV1*HC:99213:25", "SV1*HC:99?13:25", ClaimCodeError, "SV101-2 in the 1st claim, segment 19, is no code"),
    ("*UN*1**", "*UN*-1**", ClaimAmountError, "SV104 in the 1st claim, segment 19, is below zero"),
    ("SV1*", "SV2*", ClaimElementError, "LX in the 1st claim, segment 18, has no SV1"),
    ("D8*20261103", "D8*20261131", ClaimDateError, "DTP03 in the 1st claim, segment 20, is no day"),
    (
        "D8*20261103",
        "D8*" + "20261103".translate(WIDE),
        ClaimDateError,
        "DTP03 in the 1st claim, segment 20, is no day",
    ),
    ("D8*20261103", "D8*20261103-20261104", ClaimDateError, "DTP03 in the 1st claim, segment 20, is not of the form"),
    ("D8*20261103", "RD8*20261103-20261101", ClaimDateError, "DTP03 in the 1st claim, segment 20, ends before"),
    ("D8*20261103", "TM*0900", ClaimDateError, "DTP02 in the 1st claim, segment 20, is neither D8 nor RD8"),
    ("DTP*472", "DTP*471", ClaimDateError, "LX in the 1st claim, segment 18, has no day of service"),
    ("NM1*IL*1", "NM1*XX*1", ClaimElementError, "CLM in the 1st claim, segment 16, has no NM1*IL above it"),
    ("NM1*PR*2", "NM1*XX*2", ClaimElementError, "CLM in the 1st claim, segment 16, has no NM1*PR above it"),
    ("NM1*85*2", "NM1*XX*2", ClaimElementError, "CLM in the 1st claim, segment 16, has no NM1*85 above it"),
    ("MI*M0001", "MI*", ClaimElementError, "NM109 in the 1st claim, segment 13, is missing"),
    ("****MI*M0001", "", ClaimElementError, "NM109 in the 1st claim, segment 13, is missing, and no REF"),
    ("MI*M0001", "??*M0001", ClaimCodeError, "NM108 in the 1st claim, segment 13, has another component"),
    ("MI*M0001", "JANE*M0001", ClaimCodeError, "NM108 in the 1st claim, segment 13, is not known here"),
    ("MI*M0001", "QQ*M0001", ClaimCodeError, "NM108 in the 1st claim, segment 13, is not known here"),
    ("MI*M0001", "MI*M\u001b[2J", ClaimElementError, "NM109 in the 1st claim, segment 13, has characters"),
    ("N3*1 QUAY", "CUR*85*ZZZ", ClaimCurrencyError, "CUR02 in the 1st claim, segment 9, is no currency of ISO 4217"),
    ("N3*1 QUAY", "CUR*85*usd", ClaimCurrencyError, "CUR02 in the 1st claim, segment 9, is no currency of ISO 4217"),
    ("HL*2*1*22*0", "HL*2*1*23*0", InterchangeError, "HL02, segment 11, does not name the level above"),
    ("HL*2*1*22*0", "HL*2*1*99*0", InterchangeError, "HL03, segment 11, is no level of an 837"),
    ("HL*2*1*22*0", "HL*2**22*0", InterchangeError, "HL02, segment 11, does not name the level above"),
    ("HL*2*1*22*0", "HL*2*7*22*0", InterchangeError, "HL02, segment 11, names a level that is not above it"),
    ("HL*2*1*22*0", "HL*4*1*22*0", InterchangeError, "HL01, segment 11, does not count on"),
    ("HL*2*1*22*0", "N4*MIAMI", InterchangeError, "CLM in the 1st claim, segment 16, stands under no subscriber"),
]


@pytest.mark.parametrize(("old", "new", "error", "said"), REFUSED)
def test_a_claim_is_refused_by_its_segment(old: str, new: str, error: type[ClaimElementError], said: str) -> None:
    source = changed(professional([*claim(), *LINES]), old, new)
    if "~" in new and "~" not in old:
        source = source.replace(b"SE*19*", b"SE*20*")
    with pytest.raises(error) as raised:
        list(x12.read_claims(source))
    assert str(raised.value).startswith(said), str(raised.value)
    for secret in ("M0001", "ROE", "JANE", "19700102", "99213", "20261103", "60.00"):
        assert secret not in str(raised.value)


def test_two_names_where_one_can_be_meant_are_refused() -> None:
    above = (*SUBSCRIBER, "NM1*IL*1*DOE*JOHN****MI*M0002")
    with pytest.raises(ClaimElementError, match="NM1 in the 1st claim, segment 16, is there a second time"):
        list(x12.read_claims(professional([*claim(), *LINES], above=above)))


def test_a_dependent_without_birth_date_is_refused() -> None:
    with pytest.raises(ClaimElementError, match="NM1 in the 1st claim, segment 17, has no DMG"):
        list(x12.read_claims(professional([*claim(), *LINES], above=DEPENDENT[:-1])))


def test_the_claim_that_is_wrong_is_counted_from_the_first_of_the_file() -> None:
    bills = [(*claim(f"A{number}"), *LINES) for number in range(1, 4)]
    source = changed(professional(*bills), "CLM*A3*60.00", "CLM*A3*60.01")
    with pytest.raises(ClaimTotalError, match=r"CLM02 in the 3rd claim, segment 26, is not"):
        next(x12.read_claims(source))


def test_nothing_is_given_of_a_file_whose_last_claim_is_wrong() -> None:
    bills = [(*claim(f"A{number}"), *LINES) for number in range(1, 4)]
    given = []
    with pytest.raises(ClaimTotalError):
        given.extend(x12.read_claims(changed(professional(*bills), "CLM*A3*60.00", "CLM*A3*60.01")))
    assert given == []


def test_a_claim_without_lines_and_an_837_without_claims_are_refused() -> None:
    with pytest.raises(ClaimElementError, match="CLM in the 1st claim, segment 16, has no service line"):
        list(x12.read_claims(professional(claim())))
    with pytest.raises(InterchangeError, match="An 837P holds no claim"):
        list(x12.read_claims(professional()))


def test_responses_are_no_claims() -> None:
    with pytest.raises(InterchangeError, match="ST01 is not 835 throughout"):
        list(x12.read_responses(professional([*claim(), *LINES])))


def test_no_claim_shows_its_patient_when_printed() -> None:
    shown = repr(one(professional([*claim(), *LINES], above=DEPENDENT)))
    for secret in ("M0001", "MAX", "2010", "J01"):
        assert secret not in shown

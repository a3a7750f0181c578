"""The code lists: their data, their agreement with what the standards publish, their errors."""

import json
from pathlib import Path

import pytest

from medproof.errors import UnknownCodeError
from medproof.policy.codes import (
    Action,
    CareSetting,
    CodedFlag,
    Condition,
    DataClass,
    PartyKind,
    Purpose,
    ResearchUse,
    Sensitivity,
)
from medproof.policy.word import LAYOUT

LISTS = (Purpose, DataClass, Condition, Sensitivity, CareSetting, Action, ResearchUse, PartyKind)
HL7 = Path(__file__).parents[3] / "node_modules" / "hl7.fhir.r4.examples"


@pytest.mark.parametrize("codes", LISTS)
def test_every_member_is_one_bit_with_its_data(codes: type[CodedFlag]) -> None:
    assert [member.value for member in codes] == [1 << n for n in range(len(codes))]
    for member in codes:
        assert member.code
        assert member.display
        assert member.plain
        assert codes.from_code(member.code) is member
    assert len(set(codes["ALL"].codes)) == len(codes)
    assert len({member.plain for member in codes}) == len(codes)
    assert codes.system.uri
    assert codes.system.version


@pytest.mark.parametrize("codes", LISTS)
def test_all_is_every_member_and_fits_its_field(codes: type[CodedFlag]) -> None:
    union = codes(0)
    for member in codes:
        union |= member
    assert union == codes["ALL"]
    (field,) = (field for field in LAYOUT if field.codes is codes)
    assert len(codes) <= field.width


@pytest.mark.parametrize("codes", LISTS)
def test_an_undefined_bit_is_refused(codes: type[CodedFlag]) -> None:
    with pytest.raises(ValueError, match="invalid value"):
        codes(codes["ALL"].value + 1)


def test_from_codes_and_codes() -> None:
    assert Purpose.from_codes(["BTG", "TREAT"]) == Purpose.TREAT | Purpose.BTG
    assert (Purpose.TREAT | Purpose.BTG).codes == ("TREAT", "BTG")
    assert Purpose.from_codes([]) == Purpose.EMPTY


def test_an_unknown_code_names_near_ones() -> None:
    with pytest.raises(UnknownCodeError, match=r"'TREET' is not a code of HL7 v3 ActReason.*TREAT") as caught:
        Purpose.from_code("TREET")
    assert caught.value.near[0] == "TREAT"


def test_an_unknown_code_is_found_by_its_display_text() -> None:
    with pytest.raises(UnknownCodeError) as caught:
        Purpose.from_code("healthcare research")
    assert caught.value.near[0] == "HRESCH"


def test_a_set_has_no_single_code() -> None:
    with pytest.raises(UnknownCodeError, match=r"Read \.codes"):
        _ = (Purpose.TREAT | Purpose.BTG).code


def test_the_retired_sickle_code_is_not_taken() -> None:
    with pytest.raises(UnknownCodeError):
        Sensitivity.from_code("SICKLE")


@pytest.mark.parametrize("code", ["DUO_0000006", "DUO:0000006", "HMB"])
def test_research_use_is_found_by_id_and_shorthand(code: str) -> None:
    assert ResearchUse.from_code(code) is ResearchUse.HMB


@pytest.mark.parametrize(
    ("code", "chapter"),
    [
        ("A00", Condition.INFECTIONS),
        ("D49.9", Condition.NEOPLASMS),
        ("D50", Condition.BLOOD),
        ("e11.9", Condition.ENDOCRINE),
        ("H59", Condition.EYE),
        ("H60", Condition.EAR),
        ("I10", Condition.CIRCULATORY),
        ("O9A.1", Condition.PREGNANCY),
        ("C7A", Condition.NEOPLASMS),
        ("Z3A.01", Condition.HEALTH_FACTORS),
        ("U07.1", Condition.SPECIAL),
    ],
)
def test_a_diagnosis_falls_in_its_chapter(code: str, chapter: Condition) -> None:
    assert Condition.from_icd10cm(code) is chapter


@pytest.mark.parametrize("code", ["", "44054006", "U99", "I"])
def test_what_is_no_diagnosis_code_falls_in_no_chapter(code: str) -> None:
    with pytest.raises(UnknownCodeError):
        Condition.from_icd10cm(code)


@pytest.mark.parametrize(
    ("wide", "closed"),
    [
        (Sensitivity.SUD, Sensitivity.SUD | Sensitivity.ETHUD | Sensitivity.OPIOIDUD),
        (Sensitivity.HIV, Sensitivity.HIV),
        (Purpose.TREAT, Purpose.TREAT | Purpose.ETREAT | Purpose.BTG),
        (ResearchUse.NRES | ResearchUse.IRB, ResearchUse.PERMISSIONS | ResearchUse.IRB),
        (ResearchUse.HMB, ResearchUse.HMB | ResearchUse.DS),
        (DataClass.ALL, DataClass.ALL),
    ],
)
def test_with_narrower_adds_what_the_standard_places_below(wide: CodedFlag, closed: CodedFlag) -> None:
    assert wide.with_narrower() == closed
    assert closed.with_narrower() == closed


@pytest.mark.parametrize(
    ("codes", "file"),
    [
        (Purpose, "CodeSystem-v3-ActReason.json"),
        (Sensitivity, "CodeSystem-v3-ActCode.json"),
        (CareSetting, "CodeSystem-v3-ActCode.json"),
        (Action, "CodeSystem-consent-action.json"),
    ],
)
def test_codes_are_those_that_hl7_publishes(codes: type[CodedFlag], file: str) -> None:
    path = HL7 / file
    if not path.exists():
        pytest.skip(f"HL7's examples lack {file}: run npm ci")
    published = json.loads(path.read_text(encoding="utf-8"))
    concepts: dict[str, dict[str, object]] = {}
    rest = list(published["concept"])
    while rest:
        concept = rest.pop()
        concepts[concept["code"]] = concept
        rest.extend(concept.get("concept", ()))
    assert codes.system.uri == published["url"]
    assert codes.system.version == published["version"]
    for member in codes:
        if member is Sensitivity.NONE_LABELLED:
            continue
        concept = concepts[member.code]
        assert concept["display"] == member.display
        assert {"code": "status", "valueCode": "retired"} not in concept.get("property", ())

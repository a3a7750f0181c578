"""Reading FHIR: what is accepted stays as it came, what is not is refused with its element and no values."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from medproof import fhir, hashing
from medproof.errors import (
    EmptyBundleError,
    InvalidRecordError,
    JsonError,
    NotFhirError,
    RecordFileError,
)
from tests.sdk.fhir.fhir_records import OBSERVATION, PATIENT, bundle, changed

EXTENSION = {"extension": [{"url": "http://x", "valueCode": "unknown"}]}


def problems(record: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(InvalidRecordError) as caught:
        fhir.load(record)
    return list(caught.value.problems)


def test_load_from_path_bytes_and_dict_agree(tmp_path: Path) -> None:
    text = hashing.canonical(OBSERVATION)
    path = tmp_path / "o.json"
    path.write_bytes(text)
    read = [fhir.load(path), fhir.load(str(path)), fhir.load(text), fhir.load(OBSERVATION)]
    assert {hashing.canonical(one.content) for one in read} == {text}
    assert {one.resource_type for one in read} == {"Observation"}


def test_load_keeps_the_digits_of_decimals() -> None:
    text = b'{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":2.50}}'
    value: Any = fhir.load(text).content["valueQuantity"]
    assert str(value["value"]) == "2.50"


def test_load_copies_a_dict() -> None:
    source = changed(PATIENT)
    resource = fhir.load(source)
    source["name"][0]["family"] = "Other"
    assert resource.content == PATIENT


def test_resource_does_not_print_the_record() -> None:
    assert "Chalmers" not in repr(fhir.load(PATIENT))


def test_load_refuses_floats_in_a_dict() -> None:
    with pytest.raises(JsonError, match=r"\$\.valueQuantity\.value is a float"):
        fhir.load(changed(OBSERVATION, valueQuantity={"value": 2.5}))


def test_load_refuses_a_missing_file_without_naming_it(tmp_path: Path) -> None:
    path = tmp_path / "Jane_Doe.json"
    with pytest.raises(RecordFileError, match="no file") as caught:
        fhir.load(path)
    assert "Jane" not in str(caught.value)
    assert caught.value.path == str(path)


def test_load_refuses_a_folder(tmp_path: Path) -> None:
    with pytest.raises(RecordFileError, match="folder"):
        fhir.load(tmp_path)


def test_load_refuses_a_path_that_is_none() -> None:
    with pytest.raises(RecordFileError, match="cannot be read"):
        fhir.load("a\0b")


def test_load_refuses_a_giant_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "o.json"
    path.write_bytes(hashing.canonical(PATIENT))
    monkeypatch.setattr(hashing, "MAX_BYTES", 20)
    with pytest.raises(JsonError, match="longer than 20 bytes"):
        fhir.load(path)


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        (b"not json", JsonError, "not JSON"),
        (b"\xff\xfe", JsonError, "byte order mark"),
        (b'{"resourceType":"Patient","gender":"\xe9"}', JsonError, "not UTF-8"),
        (b'{"resourceType":"Patient","id":"a","id":"b"}', JsonError, '"id" twice'),
        (b'{"resourceType":"Patient","multipleBirthInteger":NaN}', JsonError, "NaN"),
        (b"[]", NotFhirError, "not an object"),
        (b"{}", NotFhirError, "no resourceType"),
        (b'{"resourceType":"Pateint"}', NotFhirError, '"Pateint"'),
        (b'{"resourceType":"DomainResource"}', NotFhirError, "DomainResource"),
        (b'{"resourceType":"HumanName"}', NotFhirError, "HumanName"),
        (b'{"resourceType":"../os"}', NotFhirError, "does not have"),
        (b'{"resourceType":7}', NotFhirError, "another JSON type"),
        (b'{"resourceType":"Bundle","type":"collection"}', EmptyBundleError, "at least one entry"),
    ],
)
def test_load_refuses(text: bytes, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        fhir.load(text)


def test_load_refuses_deep_nesting() -> None:
    deep = b'{"resourceType":"Patient","extension":' + b'[{"extension":' * 200 + b"[]" + b"}]" * 200 + b"}"
    with pytest.raises(JsonError, match="deeper"):
        fhir.load(deep)


def test_load_refuses_a_bundle_of_deletions() -> None:
    entry = {"request": {"method": "DELETE", "url": "Patient/1"}}
    with pytest.raises(EmptyBundleError):
        fhir.load({"resourceType": "Bundle", "type": "transaction", "entry": [entry]})


@pytest.mark.parametrize(
    ("record", "path", "rule"),
    [
        (changed(PATIENT, foo=1), "Patient.foo", "not an element"),
        (changed(PATIENT, name=[{"famly": "x"}]), "Patient.name[0].famly", "not an element"),
        (changed(PATIENT, _foo=EXTENSION), "Patient._foo", "not an element"),
        (changed(PATIENT, _name=EXTENSION), "Patient._name", "not an element"),
        (changed(PATIENT, **{"Jane Doe": 1}), "Patient.?", "not an element"),
        (changed(PATIENT, active="true"), "Patient.active", "true or false"),
        (changed(PATIENT, active=1), "Patient.active", "true or false"),
        (changed(PATIENT, name=[{"family": 3}]), "Patient.name[0].family", "a string"),
        (changed(PATIENT, multipleBirthInteger=Decimal("2.5")), "Patient.multipleBirthInteger", "integer"),
        (changed(PATIENT, multipleBirthInteger=True), "Patient.multipleBirthInteger", "integer"),
        (changed(PATIENT, multipleBirthInteger=2**31), "Patient.multipleBirthInteger", "integer"),
        (changed(PATIENT, name={"family": "x"}), "Patient.name", "an array"),
        (changed(PATIENT, name=["x"]), "Patient.name[0]", "an object"),
        (changed(PATIENT, gender=["male"]), "Patient.gender", "not an array"),
        (changed(PATIENT, name=[]), "Patient.name", "empty array"),
        (changed(PATIENT, name=[{}]), "Patient.name[0]", "empty object"),
        (changed(PATIENT, gender=""), "Patient.gender", "empty string"),
        (changed(PATIENT, birthDate="1974-13-45"), "Patient.birthDate", "FHIR date"),
        (changed(PATIENT, birthDate="25.12.1974"), "Patient.birthDate", "FHIR date"),
        (changed(PATIENT, birthDate=1974), "Patient.birthDate", "FHIR date"),
        (changed(PATIENT, id="a/b"), "Patient.id", "letters, digits"),
        (changed(PATIENT, id="a" * 65), "Patient.id", "1 to 64"),
        (changed(PATIENT, name=[{"given": ["a", None]}]), "Patient.name[0].given[1]", "a string"),
        (
            changed(PATIENT, name=[{"given": ["a"], "_given": [None, EXTENSION]}]),
            "Patient.name[0]._given",
            "as long as",
        ),
        (changed(PATIENT, contained=[{"id": "x"}]), "Patient.contained[0].resourceType", "resource type"),
        (changed(PATIENT, contained=["x"]), "Patient.contained[0]", "an object"),
        (changed(PATIENT, extension=[{"valueString": "x"}]), "Patient.extension[0].url", "required"),
        (
            changed(PATIENT, extension=[{"url": "x", "valueString": "x", "valueCode": "y"}]),
            "Patient.extension[0].value[x]",
            "more than one value",
        ),
        (changed(OBSERVATION, status=None), "Observation.status", "required"),
        (changed(OBSERVATION, code=None), "Observation.code", "required"),
        (changed(OBSERVATION, code=[{"text": "x"}]), "Observation.code", "not an array"),
        (changed(OBSERVATION, component=[{"valueString": "s"}]), "Observation.component[0].code", "required"),
        (changed(OBSERVATION, valueString="x"), "Observation.value[x]", "more than one value"),
        (changed(OBSERVATION, valueQuantity={"value": "6.3"}), "Observation.valueQuantity.value", "a number"),
        (changed(OBSERVATION, valueQuantity={"value": True}), "Observation.valueQuantity.value", "a number"),
        (changed(OBSERVATION, issued="2020-01-01"), "Observation.issued", "FHIR instant"),
        (
            changed(OBSERVATION, effectiveDateTime="2020-01-01T10:00:00"),
            "Observation.effectiveDateTime",
            "FHIR dateTime",
        ),
        (bundle(changed(PATIENT, foo=1)), "Bundle.entry[0].resource.foo", "not an element"),
    ],
)
def test_load_refuses_structure(record: dict[str, Any], path: str, rule: str) -> None:
    found = dict(problems(record))
    assert path in found
    assert rule in found[path]


@pytest.mark.parametrize(
    "record",
    [
        changed(PATIENT, _birthDate=EXTENSION),
        changed(OBSERVATION, status=None, _status=EXTENSION),
        changed(PATIENT, name=[{"given": ["a", None], "_given": [None, EXTENSION]}]),
        changed(PATIENT, extension=[{"url": "u", "valueString": "x", "_valueString": EXTENSION}]),
        changed(PATIENT, birthDate="1974"),
        changed(OBSERVATION, valueQuantity={"value": 6}),
        changed(OBSERVATION, issued="2015-02-07T13:28:17.2390001+02:00"),
        changed(OBSERVATION, contained=[PATIENT]),
    ],
)
def test_load_accepts_unusual_structure(record: dict[str, Any]) -> None:
    assert fhir.load(record).content == record


def test_message_names_elements_and_no_values() -> None:
    record = changed(PATIENT, birthDate="Christmas", name=[{"family": "Chalmers", "Secret Name": "x"}])
    with pytest.raises(InvalidRecordError) as caught:
        fhir.load(record)
    message = str(caught.value)
    assert "Patient.birthDate must be a FHIR date" in message
    assert not any(word in message for word in ("Christmas", "Chalmers", "Secret"))


def test_message_shows_five_problems_and_counts_the_rest() -> None:
    record = changed(PATIENT, name=[{"family": n} for n in range(8)])
    with pytest.raises(InvalidRecordError, match=r"name\[4\].*and 3 more"):
        fhir.load(record)


def test_text_in_a_record_is_not_normalised() -> None:
    composed = fhir.load(changed(PATIENT, id="a", name=[{"family": "\u00fc"}]))
    combined = fhir.load(changed(PATIENT, id="a", name=[{"family": "u\u0308"}]))
    assert json.dumps(composed.content) != json.dumps(combined.content)
    assert hashing.canonical(composed.content) != hashing.canonical(combined.content)

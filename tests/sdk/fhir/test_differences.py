"""Proving a record, and saying what was altered."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medproof import fhir, hashing
from medproof.fhir import Change
from tests.sdk.fhir.fhir_records import OBSERVATION, PATIENT, bundle, changed

VALUES = st.sampled_from([None, True, False, 0, 1, Decimal("1.0"), Decimal("1.00"), "", "1", "a"])
TREES = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
)


def found(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, Change]]:
    return [(one.path, one.change) for one in fhir.differences(before, after)]


def test_verify_accepts_what_was_committed_to() -> None:
    sealed = hashing.seal(fhir.load(OBSERVATION).content)
    assert fhir.verify(fhir.load(OBSERVATION), sealed.salt, sealed.commitment)


def test_verify_accepts_a_plain_dict() -> None:
    sealed = hashing.seal(OBSERVATION)
    assert fhir.verify(OBSERVATION, sealed.salt, sealed.commitment)


def test_verify_refuses_a_lost_zero() -> None:
    sealed = hashing.seal(OBSERVATION)
    altered = changed(OBSERVATION, valueQuantity={"value": Decimal("6.3"), "unit": "mmol/l"})
    assert not fhir.verify(altered, sealed.salt, sealed.commitment)


def test_verify_refuses_another_salt() -> None:
    sealed = hashing.seal(OBSERVATION)
    assert not fhir.verify(OBSERVATION, hashing.new_salt(), sealed.commitment)


def test_same_record_has_no_differences() -> None:
    assert fhir.differences(OBSERVATION, changed(OBSERVATION)) == ()


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (
            changed(OBSERVATION, valueQuantity={"value": Decimal("6.3"), "unit": "mmol/l"}),
            [("Observation.valueQuantity.value", Change.CHANGED)],
        ),
        (changed(OBSERVATION, status="amended"), [("Observation.status", Change.CHANGED)]),
        (changed(OBSERVATION, issued="2020-01-01T00:00:00Z"), [("Observation.issued", Change.ADDED)]),
        (changed(OBSERVATION, subject=None), [("Observation.subject", Change.REMOVED)]),
        (
            changed(OBSERVATION, valueQuantity=None, valueString="6.3"),
            [("Observation.valueQuantity", Change.REMOVED), ("Observation.valueString", Change.ADDED)],
        ),
        (
            changed(OBSERVATION, component=[{"code": {"text": "other"}, "valueString": "a"}]),
            [("Observation.component[0].code.text", Change.CHANGED)],
        ),
    ],
)
def test_differences_are_located(after: dict[str, Any], expected: list[tuple[str, Change]]) -> None:
    assert found(OBSERVATION, after) == expected


def test_item_put_first_is_one_difference() -> None:
    after = changed(PATIENT, name=[{"family": "New"}, *PATIENT["name"]])
    assert found(PATIENT, after) == [("Patient.name[0]", Change.ADDED)]


def test_item_taken_out_is_one_difference() -> None:
    after = changed(PATIENT, name=[{"family": "Chalmers", "given": ["James"]}])
    assert found(PATIENT, after) == [("Patient.name[0].given[0]", Change.REMOVED)]


def test_item_that_came_to_equal_its_neighbour_is_one_difference() -> None:
    after = changed(PATIENT, name=[{"family": "Chalmers", "given": ["James", "James"]}])
    assert found(PATIENT, after) == [("Patient.name[0].given[0]", Change.CHANGED)]


def test_long_hostile_arrays_are_compared_place_by_place() -> None:
    before = {"resourceType": "X", "a": ["x"] * 50_000 + ["y"] * 3}
    after = {"resourceType": "X", "a": ["z"] + ["y", "x"] * 25_000}
    assert len(fhir.differences(before, after)) == 25_004


def test_item_that_moved_is_found() -> None:
    after = changed(PATIENT, name=[{"family": "Chalmers", "given": ["James", "Peter"]}])
    assert {change for _, change in found(PATIENT, after)} == {Change.ADDED, Change.REMOVED}


def test_true_for_one_is_found() -> None:
    assert found({"resourceType": "X", "a": [1]}, {"resourceType": "X", "a": [True]}) == [("X.a[0]", Change.CHANGED)]


def test_difference_within_a_bundle_has_its_entry() -> None:
    after = bundle(PATIENT, changed(OBSERVATION, status="amended"))
    assert found(bundle(PATIENT, OBSERVATION), after) == [("Bundle.entry[1].resource.status", Change.CHANGED)]


def test_values_are_shown_only_when_asked_for() -> None:
    (one,) = fhir.differences(PATIENT, changed(PATIENT, gender="female"))
    assert str(one) == "Patient.gender changed"
    assert "male" not in repr(one)
    assert (one.before, one.after) == ("male", "female")


def test_odd_keys_are_not_shown() -> None:
    (one,) = fhir.differences(PATIENT, changed(PATIENT, **{"Jane Doe": 1}))
    assert str(one) == "Patient.? added"


@given(TREES, TREES)
def test_no_difference_exactly_when_the_canonical_form_is_the_same(one: Any, other: Any) -> None:
    before, after = {"a": one}, {"a": other}
    same = hashing.canonical(before) == hashing.canonical(after)
    assert same == (fhir.differences(before, after) == ())

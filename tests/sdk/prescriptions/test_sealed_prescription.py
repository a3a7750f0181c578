"""The file that a prescriber hands on, and what becomes of a damaged one."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from medproof import fhir
from medproof.client.contract import NOBODY
from medproof.errors import MedProofError, PrescriptionError
from medproof.hashing import canonical
from medproof.policy.prescription import PrescriptionState
from medproof.sealed_prescription import SealedPrescription
from tests.sdk.prescriptions.conftest import SYRUP

CLINIC, PATIENT = "0x" + "11" * 20, "0x" + "22" * 20


def sealed(patient: str = PATIENT) -> SealedPrescription:
    return SealedPrescription.seal(CLINIC, patient, fhir.load(SYRUP), salt=b"\x07" * 32)


@pytest.mark.parametrize("patient", [PATIENT, NOBODY])
def test_file_is_read_as_it_was_written(patient: str) -> None:
    read = SealedPrescription.from_json(canonical(sealed(patient).to_json()))

    assert read.prescription == sealed(patient).prescription
    assert (read.salt, read.request.content) == (b"\x07" * 32, SYRUP)


def test_salt_is_fresh_and_shown_nowhere() -> None:
    first, second = (SealedPrescription.seal(CLINIC, PATIENT, fhir.load(SYRUP)) for _ in range(2))

    assert first.prescription.id != second.prescription.id
    assert "syrup" not in repr(first)
    assert repr(first.salt) not in repr(first)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda said: said.pop("salt"), "salt is missing"),
        (lambda said: said.update(salt="0x07"), "salt has not the form"),
        (lambda said: said.update(prescriber=NOBODY), "prescriber is no checksummed address"),
        (lambda said: said.update(patient="Peter"), "patient is no checksummed address"),
        (lambda said: said.update(request="a syrup"), "request is no MedicationRequest"),
        (lambda said: said.update(version=2), "version is not 1"),
        (lambda said: said.update(format="medproof"), "format is not medproof-prescription"),
        (lambda said: said.update(more=1), "has members that are not known"),
    ],
)
def test_damaged_file_is_refused(change: Callable[[dict[str, Any]], object], part: str) -> None:
    said = json.loads(canonical(sealed().to_json()))
    change(said)

    with pytest.raises(PrescriptionError, match=part):
        SealedPrescription.from_json(json.dumps(said))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", "x" * ((1 << 20) + 1)])
def test_what_is_no_file_is_refused(text: str) -> None:
    with pytest.raises(PrescriptionError, match="The prescription's file"):
        SealedPrescription.from_json(text)


def test_truncated_file_is_refused_everywhere() -> None:
    text = canonical(sealed().to_json())
    for length in range(0, len(text), 7):
        with pytest.raises(MedProofError):
            SealedPrescription.from_json(text[:length])


def test_another_content_is_another_prescription() -> None:
    said = json.loads(canonical(sealed().to_json()))
    said["request"]["dispenseRequest"]["quantity"]["value"] = 300

    assert SealedPrescription.from_json(json.dumps(said)).prescription.id != sealed().prescription.id


def test_chain_that_allows_more_than_the_request_is_found_out() -> None:
    state = PrescriptionState(None, 3, 30, date(2099, 12, 31))

    assert sealed().differences(state) == ()
    more = PrescriptionState(None, 9, 300, date(2100, 12, 31))
    assert sealed().differences(more) == ("fills", "quantity", "valid_until")

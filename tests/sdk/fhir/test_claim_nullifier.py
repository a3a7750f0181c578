"""The hard nullifier: equal for one service billed twice, different for two services, refused in doubt."""

from __future__ import annotations

import hmac
import struct
from decimal import Decimal
from typing import Any

import pytest

from medproof import fhir
from medproof.errors import ClaimElementError, IdentifierError
from tests.sdk.fhir.fhir_records import CLAIM, PATIENT, changed

KEY = bytes(range(32))
FIRST, SECOND = CLAIM["item"]


def nullifier(record: dict[str, Any], **names: str) -> bytes:
    return fhir.claim_nullifier(fhir.load(record), KEY, **names)


def test_nullifier_has_32_bytes_and_repeats() -> None:
    assert len(nullifier(CLAIM)) == 32
    assert nullifier(CLAIM) == nullifier(changed(CLAIM))


def test_nullifier_follows_its_formula() -> None:
    def parts(*items: str | bytes) -> bytes:
        raw = [item.encode() if isinstance(item, str) else item for item in items]
        return struct.pack(">Q", len(raw)) + b"".join(struct.pack(">Q", len(item)) + item for item in raw)

    cpt = "http://www.ama-assn.org/go/cpt|"
    visit = parts(parts(f"{cpt}99213"), parts("urn:modifier|25"), parts(), "")
    blood = parts(parts(f"{cpt}85025"), parts(), parts(), "")
    message = parts(
        "medproof:keyed:v1",
        "claim-nullifier:v1",
        "Patient/p1",
        "http://hl7.org/fhir/sid/us-npi|1234567893",
        "2026-03-01",
        parts(*sorted([visit, blood])),
        parts("encounter", "Encounter/e1"),
    )
    assert nullifier(CLAIM) == hmac.digest(KEY, message, "sha256")


def test_nullifier_depends_on_the_key() -> None:
    assert fhir.claim_nullifier(fhir.load(CLAIM), bytes(range(1, 33))) != nullifier(CLAIM)


@pytest.mark.parametrize(
    "resent",
    [
        changed(CLAIM, id="c2", identifier=[{"value": "again"}]),
        changed(CLAIM, total={"value": Decimal("999.00"), "currency": "USD"}),
        changed(CLAIM, insurance=[{"sequence": 1, "focal": True, "coverage": {"reference": "Coverage/2"}}]),
        changed(CLAIM, insurer={"reference": "Organization/other"}),
        changed(CLAIM, created="2026-04-01"),
        changed(CLAIM, billablePeriod={"start": "2026-03-01T17:30:00Z"}),
        changed(CLAIM, diagnosis=[{"sequence": 1, "diagnosisReference": {"reference": "Condition/1"}}]),
        changed(CLAIM, item=[changed(SECOND, sequence=1), changed(FIRST, sequence=2)]),
        changed(CLAIM, item=[changed(FIRST, net={"value": 1}), SECOND]),
    ],
)
def test_bill_sent_again_has_the_same_nullifier(resent: dict[str, Any]) -> None:
    assert nullifier(resent) == nullifier(CLAIM)


@pytest.mark.parametrize(
    "other",
    [
        changed(CLAIM, patient={"reference": "Patient/p2"}),
        changed(CLAIM, provider={"identifier": {"system": "http://hl7.org/fhir/sid/us-npi", "value": "1"}}),
        changed(CLAIM, billablePeriod={"start": "2026-03-02"}),
        changed(CLAIM, item=[FIRST]),
        changed(CLAIM, item=[FIRST, SECOND, changed(SECOND, sequence=3)]),
        changed(CLAIM, item=[changed(FIRST, modifier=None), SECOND]),
        changed(CLAIM, item=[changed(FIRST, encounter=[{"reference": "Encounter/e2"}]), SECOND]),
        changed(CLAIM, item=[changed(FIRST, bodySite={"coding": [{"code": "11"}]}), SECOND]),
        changed(CLAIM, item=[FIRST, changed(SECOND, servicedDate="2026-03-01")]),
        changed(CLAIM, prescription={"reference": "MedicationRequest/m1"}),
    ],
)
def test_another_service_has_another_nullifier(other: dict[str, Any]) -> None:
    assert nullifier(other) != nullifier(CLAIM)


def test_names_of_the_consortium_stand_in_for_references() -> None:
    elsewhere = changed(
        CLAIM,
        patient={"reference": "Patient/77"},
        provider={"reference": "Organization/9"},
        item=[changed(FIRST, encounter=None), SECOND],
    )
    names = {"patient": "subject-1", "provider": "npi-1", "registered": "visit-1"}
    assert nullifier(elsewhere, **names) == nullifier(CLAIM, **names)


def test_day_of_service_may_stand_in_the_lines() -> None:
    lines = [changed(FIRST, servicedDate="2026-03-01"), SECOND]
    without = changed(CLAIM, billablePeriod=None, item=lines)
    assert nullifier(without) == nullifier(changed(CLAIM, item=lines))


def test_encounter_and_prescription_of_one_name_differ() -> None:
    same = {"reference": "urn:uuid:1"}
    as_encounter = changed(CLAIM, item=[changed(FIRST, encounter=[same]), SECOND])
    as_prescription = changed(as_encounter, prescription=same)
    assert nullifier(as_encounter) != nullifier(as_prescription)


@pytest.mark.parametrize(
    ("record", "path"),
    [
        (PATIENT, "Patient"),
        (changed(CLAIM, patient={"display": "Jane"}), "Claim.patient"),
        (changed(CLAIM, patient={"reference": "#1"}), "Claim.patient"),
        (changed(CLAIM, patient={"identifier": {"value": "1"}}), "Claim.patient"),
        (changed(CLAIM, provider={"display": "Clinic"}), "Claim.provider"),
        (changed(CLAIM, billablePeriod=None), "Claim.billablePeriod.start"),
        (changed(CLAIM, billablePeriod={"start": "2026-03"}), "Claim.billablePeriod.start"),
        (changed(CLAIM, item=None), "Claim.item"),
        (
            changed(CLAIM, item=[changed(FIRST, productOrService={"text": "visit"}), SECOND]),
            "Claim.item[0].productOrService",
        ),
        (changed(CLAIM, item=[changed(FIRST, encounter=None), SECOND]), "Claim.item.encounter"),
        (changed(CLAIM, prescription={"display": "x"}), "Claim.prescription"),
        (
            changed(CLAIM, item=[changed(FIRST, encounter=[{"display": "x"}]), SECOND]),
            "Claim.item[0].encounter",
        ),
    ],
)
def test_claim_without_an_element_is_refused(record: dict[str, Any], path: str) -> None:
    with pytest.raises(ClaimElementError) as caught:
        nullifier(record)
    assert caught.value.path == path
    assert "Jane" not in str(caught.value)


def test_empty_name_is_refused() -> None:
    with pytest.raises(IdentifierError, match="Part 1 of 5 is empty"):
        nullifier(CLAIM, patient="")


def test_short_key_is_refused() -> None:
    with pytest.raises(IdentifierError, match="at least 32"):
        fhir.claim_nullifier(fhir.load(CLAIM), b"short")

"""The nullifier of a FHIR Claim: what FHIR says in several ways, and what a resent bill changes, make no difference."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from medproof import fhir
from medproof.claims import Identifier
from medproof.claims.nullifier import claim_nullifier
from medproof.errors import ClaimElementError
from tests.sdk.fhir.fhir_records import CLAIM, changed

KEY = bytes(range(32))
PAYER = Identifier("urn:payers", "P-1")
FIRST, SECOND = CLAIM["item"]


def nullifier(record: dict[str, Any], **options: Any) -> bytes:
    return claim_nullifier(fhir.read_claim(fhir.load(record), payer=PAYER), KEY, **options)


@pytest.mark.parametrize(
    "resent",
    [
        changed(CLAIM, id="c2", identifier=[{"value": "again"}]),
        changed(CLAIM, total={"value": Decimal("999.00"), "currency": "USD"}),
        changed(CLAIM, insurance=[{"sequence": 1, "focal": True, "coverage": {"reference": "Coverage/2"}}]),
        changed(CLAIM, created="2026-04-01"),
        changed(CLAIM, billablePeriod={"start": "2026-03-01T17:30:00Z"}),
        changed(CLAIM, billablePeriod=None, item=[changed(one, servicedDate="2026-03-01") for one in (FIRST, SECOND)]),
        changed(CLAIM, item=[FIRST, changed(SECOND, servicedDate="2026-03-01")]),
        changed(CLAIM, item=[changed(SECOND, sequence=1), changed(FIRST, sequence=2)]),
        changed(CLAIM, item=[changed(FIRST, net={"value": 1, "currency": "USD"}), SECOND]),
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
        changed(CLAIM, prescription={"reference": "MedicationRequest/m1"}),
    ],
)
def test_another_service_has_another_nullifier(other: dict[str, Any]) -> None:
    assert nullifier(other) != nullifier(CLAIM)


def test_encounter_and_prescription_of_one_name_differ() -> None:
    same = {"reference": "urn:uuid:1"}
    as_encounter = changed(CLAIM, item=[changed(FIRST, encounter=[same]), SECOND])
    assert nullifier(as_encounter) != nullifier(changed(as_encounter, prescription=same))


def test_service_that_nobody_registered_is_refused() -> None:
    with pytest.raises(ClaimElementError, match=r"Claim\.lines\.encounter is missing"):
        nullifier(changed(CLAIM, item=[changed(FIRST, encounter=None), SECOND]))

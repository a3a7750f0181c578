"""Two pharmacies beside the people of the other tests, and a syrup that the clinic prescribes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest

from medproof.client import MedProof
from medproof.client.prescriptions import Prescription, Terms
from medproof.policy.codes import PartyKind
from medproof.signing import LocalSigner
from tests.sdk.conftest import CREDENTIAL, funded

SYRUP: Mapping[str, Any] = {
    "resourceType": "MedicationRequest",
    "id": "syrup",
    "status": "active",
    "intent": "order",
    "medicationCodeableConcept": {"text": "a syrup"},
    "subject": {"reference": "Patient/1"},
    "dispenseRequest": {
        "numberOfRepeatsAllowed": 2,
        "quantity": {"value": 30, "unit": "mL", "system": "http://unitsofmeasure.org", "code": "mL"},
        "validityPeriod": {"end": "2099-12-31"},
    },
}


@pytest.fixture(scope="session")
def pharmacy() -> LocalSigner:
    return funded(10)


@pytest.fixture(scope="session")
def second_pharmacy() -> LocalSigner:
    return funded(11)


@pytest.fixture
def accredited(
    suite: MedProof, admin: LocalSigner, pharmacy: LocalSigner, second_pharmacy: LocalSigner, far_day: date
) -> MedProof:
    """The suite with both pharmacies."""
    for one in (pharmacy, second_pharmacy):
        suite.registrar.accredit(
            one.address, PartyKind.PHARMACY, credential=CREDENTIAL, valid_until=far_day, sender=admin
        )
    return suite


@pytest.fixture
def terms(pharmacy: LocalSigner) -> Terms:
    """Three fills of thirty."""
    return Terms(3, 30, date(2099, 12, 31), pharmacy.address)


@pytest.fixture
def one(clinic: LocalSigner, patient: LocalSigner) -> Prescription:
    return Prescription(clinic.address, patient.address, b"\x22" * 32)

"""One bill in both standards is one claim: the same model, the same keys, and an answer in either fits it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from medproof import fhir, x12
from medproof.claims import Claim
from medproof.claims.matching import match
from medproof.claims.nullifier import claim_nullifier, soft_key
from tests.sdk.fhir.fhir_records import changed
from tests.sdk.fhir.test_claims import BILL, CPT, NPI, concept, usd
from tests.sdk.x12.interchanges import LINES, claim, professional, remittance

KEY = bytes(range(32))
ICD = "http://hl7.org/fhir/sid/icd-10-cm"


def named(system: str, value: str) -> dict[str, Any]:
    return {"identifier": {"system": system, "value": value}}


AS_FHIR: dict[str, Any] = changed(
    BILL,
    identifier=[{"value": "A1"}],
    patient=named("https://codesystem.x12.org/005010/66#MI", "M0001"),
    provider=named(NPI, "1234567893"),
    insurer=named("https://codesystem.x12.org/005010/66#PI", "60054"),
    insurance=[
        {
            "sequence": 1,
            "focal": True,
            "coverage": named("https://codesystem.x12.org/005010/128#1L", "GROUP7"),
        }
    ],
    billablePeriod={"start": "2026-11-03T09:00:00-05:00", "end": "2026-11-03T09:40:00-05:00"},
    diagnosis=[
        {"sequence": 1, "diagnosisCodeableConcept": concept("E11.9", ICD)},
        {"sequence": 2, "diagnosisCodeableConcept": concept("J01.90", ICD), "type": [concept("principal")]},
    ],
    item=[
        {
            "sequence": 1,
            "productOrService": concept("99213", CPT),
            "modifier": [concept("25", CPT)],
            "quantity": {"value": 1, "code": "UN"},
            "net": usd("60.00"),
        }
    ],
    total=usd("60.00"),
)


def in_x12() -> Claim:
    (found,) = x12.read_claims(professional((*claim(), *LINES)))
    return found


def in_fhir() -> Claim:
    return fhir.read_claim(fhir.load(AS_FHIR))


def test_both_give_the_same_claim() -> None:
    assert replace(in_fhir(), priority=None) == in_x12()  # X12 has no priority


def test_both_give_the_same_keys() -> None:
    first, second = in_fhir(), in_x12()
    assert claim_nullifier(first, KEY, registered="visit-1") == claim_nullifier(second, KEY, registered="visit-1")
    assert soft_key(first, KEY) == soft_key(second, KEY)


def test_an_answer_in_either_standard_fits() -> None:
    response = {
        "resourceType": "ClaimResponse",
        "status": "active",
        "type": concept("professional"),
        "use": "claim",
        "identifier": [{"value": "P-1"}],
        "patient": AS_FHIR["patient"],
        "created": "2026-11-15",
        "insurer": named("https://codesystem.x12.org/005010/66#XV", "60054"),
        "request": {"identifier": {"value": "A1"}},
        "outcome": "complete",
        "item": [
            {
                "itemSequence": 1,
                "adjudication": [
                    {"category": concept(code), "amount": usd(amount)}
                    for code, amount in (("submitted", "60.00"), ("eligible", "50.00"), ("benefit", "50.00"))
                ],
            }
        ],
    }
    answered = ("CLP*A1*1*60.00*50.00**12*P-1", "SVC*HC:99213:25*60.00*50.00", "CAS*CO*45*10.00", "REF*6R*1")
    (in_835,) = x12.read_responses(remittance(answered, paid="50.00"))
    in_fhir_r4 = fhir.read_claim_response(fhir.load(response))
    assert (in_fhir_r4.claim_number, in_fhir_r4.payer_number) == (in_835.claim_number, in_835.payer_number)
    assert (in_fhir_r4.outcome, in_fhir_r4.charge, in_fhir_r4.paid) == (in_835.outcome, in_835.charge, in_835.paid)
    for one in (in_835, in_fhir_r4):
        (found,) = match([in_fhir()], [one])
        assert found.findings == ()

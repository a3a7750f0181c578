"""One bill in FHIR and in X12: both keys are the same, once the consortium agreed on what it calls the member."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from medproof import fhir, x12
from medproof.claims import Claim, Identifier
from medproof.claims.keyring import Keyring
from medproof.claims.names import NPI, Names
from tests.sdk.fhir.fhir_records import CLAIM, changed
from tests.sdk.x12.interchanges import LINES, claim, professional

MEMBER = Identifier("https://mutual.example/members", "M0001")
NAMES = Names(identifiers={Identifier("https://codesystem.x12.org/005010/66#MI", "M0001"): MEMBER})


def in_fhir(**elements: Any) -> Claim:
    item = {
        "sequence": 1,
        "productOrService": {"coding": [{"system": "http://www.ama-assn.org/go/cpt", "code": "99213"}]},
        "modifier": [{"coding": [{"system": "http://www.ama-assn.org/go/cpt", "code": "25"}]}],
        "encounter": [{"reference": "Encounter/e1"}],
    }
    written = changed(
        CLAIM,
        patient={"identifier": {"system": MEMBER.system, "value": MEMBER.value}},
        provider={"identifier": {"system": NPI, "value": "1234567893"}},
        insurer={"display": "Mutual"},
        billablePeriod={"start": "2026-11-03T09:30:00-05:00", "end": "2026-11-03T09:50:00-05:00"},
        item=[item],
        total={"value": 60, "currency": "USD"},
        **elements,
    )
    return fhir.read_claim(fhir.load(written))


def in_x12() -> Claim:
    return next(iter(x12.read_claims(professional([*claim(), *LINES]))))


def test_both_keys_are_the_same() -> None:
    ring = Keyring.create(names=NAMES)
    one, other = in_fhir(), in_x12()
    assert ring.nullifier(one, registered="visit 1") == ring.nullifier(other, registered="visit 1")
    assert ring.soft_key(one) == ring.soft_key(other)


def test_without_an_agreed_name_they_are_two_people() -> None:
    ring = Keyring.create()
    one, other = in_fhir(), in_x12()
    assert ring.nullifier(one, registered="visit 1") != ring.nullifier(other, registered="visit 1")
    assert ring.nullifier(replace(one, patient=other.patient), registered="visit 1") == ring.nullifier(
        other, registered="visit 1"
    )

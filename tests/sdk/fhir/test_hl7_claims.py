"""HL7's own R4 examples of claims, responses and coverages: each is read, or refused with the path of its fault.

Most of the responses contradict themselves. With the one amount corrected that is wrong, each is read.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from medproof import fhir, hashing
from medproof.claims import ClaimOutcome, Identifier
from medproof.errors import ClaimElementError, RecordError
from medproof.hashing import Json
from tests.sdk.fhir.fhir_records import EXAMPLES, needs_examples

pytestmark = needs_examples

PATIENT = Identifier("urn:members", "M-1")
READERS: dict[str, tuple[Callable[[fhir.Resource], object], ...]] = {
    "Claim": (fhir.read_claim,),
    "ClaimResponse": (fhir.read_claim_response,),
    "Coverage": (fhir.read_coverage,),
    "CoverageEligibilityRequest": (fhir.read_eligibility_request,),
    "CoverageEligibilityResponse": (fhir.read_eligibility_response,),
    "ExplanationOfBenefit": (fhir.read_claim, fhir.read_claim_response),
}

# File, and the place of what is wrong for each reader; None where it is read.
TABLE: dict[str, tuple[str | None, ...]] = {
    "Claim-100150": (None,),
    "Claim-100151": (None,),
    "Claim-100152": ("Claim.patient",),  # contained, without an identifier
    "Claim-100153": ("Claim.use",),  # a preauthorization
    "Claim-100154": (None,),
    "Claim-100155": ("Claim.patient",),  # contained, without an identifier
    "Claim-100156": (None,),
    "Claim-660150": (None,),
    "Claim-660151": (None,),
    "Claim-660152": (None,),
    "Claim-760150": (None,),
    "Claim-760151": (None,),
    "Claim-760152": ("Claim.item[0].detail[3].sequence",),  # 2 a second time
    "Claim-860150": (None,),
    "Claim-960150": (None,),
    "Claim-960151": (None,),
    "Claim-MED-00050": ("Claim.patient",),  # contained, without an identifier
    "ClaimResponse-R3500": ("ClaimResponse.payment.amount",),  # 100.47 of a benefit of 90.47
    "ClaimResponse-R3501": ("ClaimResponse.outcome",),  # error
    "ClaimResponse-R3502": ("ClaimResponse.item[0].detail[1].adjudication[2].amount",),  # 88.00 for 48 + 24 + 8
    "ClaimResponse-R3503": ("ClaimResponse.payment.amount",),  # 100.47 of a benefit of 1054.47
    "ClaimResponse-UR3503": ("ClaimResponse.use",),  # a preauthorization
    "Coverage-7546D": (None,),
    "Coverage-7547E": (None,),
    "Coverage-9876B1": (None,),
    "Coverage-SP1234": (None,),
    "CoverageEligibilityRequest-52345": (None,),
    "CoverageEligibilityRequest-52346": (None,),
    "CoverageEligibilityResponse-E2500": (None,),
    "CoverageEligibilityResponse-E2501": (None,),
    "CoverageEligibilityResponse-E2502": (None,),
    "CoverageEligibilityResponse-E2503": ("CoverageEligibilityResponse.outcome",),  # error
    # 135.57 and 96.00 are of the first of two lines
    "ExplanationOfBenefit-EB3500": ("ExplanationOfBenefit.total", "ExplanationOfBenefit.total[0].amount"),
    # an error, without any line
    "ExplanationOfBenefit-EB3501": ("ExplanationOfBenefit.item", "ExplanationOfBenefit.outcome"),
}


def example(name: str) -> Any:
    return hashing.parse((EXAMPLES / f"{name}.json").read_bytes())


def test_the_table_has_every_example() -> None:
    names = {path.stem for kind in READERS for path in EXAMPLES.glob(f"{kind}-*.json")}
    assert names == set(TABLE)


@pytest.mark.parametrize("name", TABLE)
def test_example_is_read_or_refused_by_its_path(name: str) -> None:
    resource = fhir.load(example(name))
    found: list[str | None] = []
    for reader in READERS[resource.resource_type]:
        try:
            reader(resource)
            found.append(None)
        except ClaimElementError as error:
            found.append(error.path)
    assert tuple(found) == TABLE[name]


@pytest.mark.parametrize("name", ["Claim-100152", "Claim-100155", "Claim-MED-00050"])
def test_patient_without_an_identifier_may_be_named(name: str) -> None:
    assert fhir.read_claim(fhir.load(example(name)), patient=PATIENT).patient == PATIENT


def corrected(name: str) -> Any:
    """An example with what is wrong in it corrected."""
    said = example(name)
    if name == "ClaimResponse-R3500":
        said["payment"]["amount"]["value"] = Decimal("90.47")
    elif name == "ClaimResponse-R3503":
        said["payment"]["amount"]["value"] = Decimal("1054.47")
    elif name == "ClaimResponse-R3502":
        said["item"][0]["detail"][1]["adjudication"][2]["amount"]["value"] = Decimal("80.00")
        said["item"][0]["adjudication"][3]["amount"]["value"] = Decimal("174.00")
        said["total"][1]["amount"]["value"] = Decimal("174.00")
        said["payment"]["amount"]["value"] = Decimal("99.00")
    elif name == "ExplanationOfBenefit-EB3500":
        said["total"][0]["amount"]["value"] = Decimal("335.57")
        said["total"][1]["amount"]["value"] = Decimal("276.00")
    return said


@pytest.mark.parametrize(
    ("name", "outcome", "number", "paid"),
    [
        ("ClaimResponse-R3500", ClaimOutcome.APPROVED, "15476332402", "90.47"),
        ("ClaimResponse-R3502", ClaimOutcome.APPROVED, "6612346", "174.00"),
        ("ClaimResponse-R3503", ClaimOutcome.PARTIAL, "12346", "1054.47"),
        ("ExplanationOfBenefit-EB3500", ClaimOutcome.APPROVED, "100150", "276.00"),
    ],
)
def test_corrected_example_is_read(name: str, outcome: ClaimOutcome, number: str, paid: str) -> None:
    response = fhir.read_claim_response(fhir.load(corrected(name)))
    assert (response.outcome, response.claim_number) == (outcome, number)
    assert response.paid is not None
    assert response.paid.amount == Decimal(paid)
    assert response.decided is not None


ODD: list[Any] = [
    *(None, "", True, 0, -1, 10**300, Decimal("1E+900"), Decimal("0E-500"), "2026-02-30", "9999-12-31", [], {}),
    *({"value": Decimal("1E+20"), "currency": "USD"}, {"value": 1, "currency": "XXX"}, {"coding": [{"code": "zz"}]}),
    *({"reference": "#nope"}, {"reference": "urn:uuid:1"}, {"display": "x"}),
]


def places(value: Json) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) of a JSON value."""
    entries: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(entries):
        yield value, key
        yield from places(item)


def test_whatever_is_altered_is_read_or_refused_by_name() -> None:
    chance = random.Random(4217)
    refused = 0
    sources = [corrected(name) for name in TABLE]
    for _ in range(1000):
        said = copy.deepcopy(chance.choice(sources))
        for _ in range(chance.randint(1, 3)):
            container, key = chance.choice(list(places(said)))
            if isinstance(container, dict) and chance.random() < 0.3:
                del container[key]
            elif chance.random() < 0.5:
                other, elsewhere = chance.choice(list(places(said)))
                container[key] = copy.deepcopy(other[elsewhere])
            else:
                container[key] = copy.deepcopy(chance.choice(ODD))
        try:
            resource = fhir.load(said)
            for reader in READERS.get(resource.resource_type, ()):
                reader(resource)
        except (RecordError, hashing.JsonError):  # anything else that is raised fails the test
            refused += 1
    assert refused > 250

"""All of HL7's R4 examples are read, committed to and proved; an altered one is caught and located."""

from __future__ import annotations

import contextlib
import copy
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from medproof import fhir, hashing
from medproof.claims.nullifier import claim_nullifier
from medproof.errors import ClaimElementError, EmptyBundleError, InvalidRecordError, RecordError
from medproof.hashing import Json
from tests.sdk.fhir.fhir_records import EXAMPLES, needs_examples

pytestmark = needs_examples

SALT = bytes(range(32))
CONFORMANCE = ("CodeSystem", "ConceptMap", "SearchParameter", "StructureDefinition", "ValueSet")
LARGEST = 3_000_000  # bytes; above are only bundles of conformance resources

# What HL7's own package says against R4, each looked up in the specification.
AT_ODDS_WITH_R4 = {
    "CodeSystem-v2-0550.json": "CodeSystem.concept[444].code",
    "ImplementationGuide-fhir.json": "ImplementationGuide.name",
    "Questionnaire-qs1.json": "Questionnaire.item[0].item[0].linkId",
    "SearchParameter-codesystem-extensions-CodeSystem-author.json": "SearchParameter.base",
    "SearchParameter-codesystem-extensions-CodeSystem-effective.json": "SearchParameter.base",
    "SearchParameter-codesystem-extensions-CodeSystem-end.json": "SearchParameter.base",
    "SearchParameter-codesystem-extensions-CodeSystem-keyword.json": "SearchParameter.base",
    "SearchParameter-codesystem-extensions-CodeSystem-workflow.json": "SearchParameter.base",
    "SearchParameter-questionnaireresponse-extensions-QuestionnaireResponse-item-subject.json": ("SearchParameter.id"),
    "SearchParameter-valueset-extensions-ValueSet-author.json": "SearchParameter.base",
    "SearchParameter-valueset-extensions-ValueSet-effective.json": "SearchParameter.base",
    "SearchParameter-valueset-extensions-ValueSet-end.json": "SearchParameter.base",
    "SearchParameter-valueset-extensions-ValueSet-keyword.json": "SearchParameter.base",
    "SearchParameter-valueset-extensions-ValueSet-workflow.json": "SearchParameter.base",
    "ig-r4.json": "ImplementationGuide.name",
}
EMPTY_BUNDLES = {"Bundle-bundle-request-medsallergies.json", "Bundle-bundle-request-simplesummary.json"}


def files(*, conformance: bool) -> list[Path]:
    return [
        path
        for path in sorted(EXAMPLES.glob("*.json"))
        if path.name != "package.json"
        and path.stat().st_size <= LARGEST
        and path.name.startswith(CONFORMANCE) == conformance
    ]


def leaves(value: Json, path: str) -> list[tuple[Any, Any, str]]:
    """Return (container, key, path) of every primitive."""
    found: list[tuple[Any, Any, str]] = []
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        inner = f"{path}.{key}" if isinstance(key, str) else f"{path}[{key}]"
        if isinstance(item, dict | list):
            found += leaves(item, inner)
        else:
            found.append((value, key, inner))
    return found


def altered(value: Any, chance: random.Random) -> Any:
    """Return another primitive, as near to the given one as a forger might choose."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + chance.choice([-1, 1])
    if isinstance(value, Decimal):
        sign, digits, exponent = value.as_tuple()
        nearer = Decimal((sign, (*digits, 0), int(exponent) - 1))  # one more zero
        return chance.choice([nearer, value + 1])
    if isinstance(value, str):
        at = chance.randrange(len(value))
        return value[:at] + ("x" if value[at] != "x" else "y") + value[at + 1 :]
    return "x"  # for null


@pytest.mark.parametrize("conformance", [False, True], ids=["records", "conformance"])
def test_every_example_is_read_committed_to_and_proved(conformance: bool) -> None:
    refused: dict[str, str] = {}
    empty: set[str] = set()
    proved = 0
    for path in files(conformance=conformance):
        try:
            resource = fhir.load(path)
        except InvalidRecordError as error:
            refused[path.name] = error.problems[0][0]
            continue
        except EmptyBundleError:
            empty.add(path.name)
            continue
        sealed = hashing.seal(resource.content, salt=SALT)
        again = hashing.parse(hashing.canonical(resource.content))
        assert isinstance(again, dict)
        assert fhir.verify(again, SALT, sealed.commitment), path.name
        proved += 1
    expected = {name: place for name, place in AT_ODDS_WITH_R4.items() if name.startswith(CONFORMANCE) == conformance}
    assert refused == expected
    assert empty == (set() if conformance else EMPTY_BUNDLES)
    assert proved == (4501 if conformance else 780)


def test_a_record_altered_anywhere_is_caught_and_located() -> None:
    chance = random.Random(8785)
    for path in files(conformance=False):
        if path.name in AT_ODDS_WITH_R4 or path.name in EMPTY_BUNDLES or path.stat().st_size > 100_000:
            continue
        original = fhir.load(path)
        sealed = hashing.seal(original.content)
        forged = copy.deepcopy(original.content)
        container, key, place = chance.choice(leaves(forged, original.resource_type))
        container[key] = altered(container[key], chance)
        if key == "resourceType" and place.count(".") == 1:
            continue
        assert not fhir.verify(forged, sealed.salt, sealed.commitment), place
        assert [one.path for one in fhir.differences(original, forged)] == [place], path.name


def test_decimals_of_the_decimal_example_keep_their_digits() -> None:
    text = (EXAMPLES / "Observation-decimal.json").read_text(encoding="utf-8")
    canonical = hashing.canonical(fhir.load(EXAMPLES / "Observation-decimal.json").content).decode()
    numbers = [line.split(":")[1].strip(' ,\n"') for line in text.splitlines() if '"value"' in line]
    assert numbers
    assert all(f'"value":{Decimal(number)}' in canonical for number in numbers)


def test_a_claim_is_keyed_or_refused_with_the_element_it_lacks() -> None:
    keyed: set[bytes] = set()
    refused: dict[str, int] = {}
    for path in sorted(EXAMPLES.glob("Claim-*.json")):
        try:
            keyed.add(claim_nullifier(fhir.read_claim(fhir.load(path)), SALT))
        except ClaimElementError as error:
            refused[error.path] = refused.get(error.path, 0) + 1
    assert len(keyed) == 4
    assert refused == {
        "Claim.lines.encounter": 8,
        "Claim.patient": 3,
        "Claim.item[0].detail[3].sequence": 1,  # Claim-760152 has the number 2 twice
        "Claim.use": 1,
    }


def test_every_example_is_classified_or_refused_by_name() -> None:
    for path in files(conformance=False):
        with contextlib.suppress(RecordError):  # anything else that is raised fails the test
            resource = fhir.load(path)
            for question in (
                fhir.data_class,
                fhir.sensitivities,
                fhir.conditions,
                fhir.care_setting,
                fhir.patient_of,
            ):
                with contextlib.suppress(RecordError):
                    question(resource)

"""docs/claims.md has a row for every field of the model, every class of refusal and every code."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from medproof import errors, fhir
from medproof.claims import (
    Adjustment,
    Claim,
    ClaimResponse,
    Coverage,
    EligibilityRequest,
    EligibilityResponse,
    LineResponse,
    ServiceLine,
)
from medproof.claims.eligibility import REFUSALS
from scripts.local_chain import ROOT
from tests.sdk.fhir.fhir_records import EXAMPLES, needs_examples

TEXT = (ROOT / "docs" / "claims.md").read_text(encoding="utf-8")
SECTIONS = {
    Claim: "Claim",
    ServiceLine: "ServiceLine",
    ClaimResponse: "ClaimResponse",
    LineResponse: "LineResponse and Adjustment",
    Adjustment: "LineResponse and Adjustment",
    Coverage: "Coverage, EligibilityRequest, EligibilityResponse",
    EligibilityRequest: "Coverage, EligibilityRequest, EligibilityResponse",
    EligibilityResponse: "Coverage, EligibilityRequest, EligibilityResponse",
}


@pytest.mark.parametrize("kind", SECTIONS, ids=lambda kind: kind.__name__)
def test_every_field_has_its_row(kind: type) -> None:
    section = TEXT.split(f"### {SECTIONS[kind]}\n", 1)[1].split("\n#", 1)[0]
    named = {name for row in re.findall(r"^\|(.*?)\|", section, re.M) for name in re.findall(r"`(\w+)`", row)}
    assert {one.name for one in fields(kind)} <= named  # type: ignore[arg-type]


@needs_examples
def test_what_the_first_lines_print_is_true(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = TEXT.split("```python\n", 1)[1].split("for record in", 1)[0]
    monkeypatch.chdir(EXAMPLES)
    exec(code, {})
    assert capsys.readouterr().out == code.split("# ", 1)[1]


@needs_examples
def test_the_refusal_that_it_shows_is_true() -> None:
    with pytest.raises(errors.ClaimTotalError) as caught:
        fhir.read_claim_response(fhir.load(EXAMPLES / "ClaimResponse-R3500.json"))
    assert f"ClaimTotalError: {caught.value}\n" in TEXT


def test_every_refusal_is_there() -> None:
    classes = {
        name
        for name, one in vars(errors).items()
        if isinstance(one, type) and issubclass(one, errors.ClaimElementError) and name.startswith("Claim")
    }
    rows = {name for row in re.findall(r"^\|(.*?)\|", TEXT, re.M) for name in re.findall(r"`(\w+)`", row)}
    assert classes <= rows
    assert set(REFUSALS) <= rows

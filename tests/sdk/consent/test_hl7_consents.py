"""HL7's twelve Consents do what docs/fhir-consent.md says of them, and come back from rules as they went in."""

from __future__ import annotations

import re
from typing import Any

import pytest

from medproof.errors import ConsentNotCompilableError
from medproof.fhir import compile_consent, load, render_consent
from medproof.fhir.consent import CompiledConsent
from scripts.local_chain import ROOT
from tests.sdk.fhir.fhir_records import EXAMPLES, needs_examples

pytestmark = needs_examples

DOCUMENT = ROOT / "docs" / "fhir-consent.md"
ROW = re.compile(r"\| `(\w+)` \| ([^|]+) \| ([^|]+) \|")
TABLE = [row.groups() for row in ROW.finditer(DOCUMENT.read_text(encoding="utf-8").partition("## HL7's examples")[2])]
PARTIES = ("Organization/f001", "Practitioner/f204", "Patient/example", "Practitioner/13")
GRANTEES = {reference: f"0x{0xACC0000 + number:040x}" for number, reference in enumerate(PARTIES)}
TERMS = 5


def compiled(name: str, root: Any) -> CompiledConsent:
    path = EXAMPLES / f"Consent-consent-example-{name}.json"
    return compile_consent(path, grantees=GRANTEES, custodian="Organization/f001", root=root)


def outcome(name: str, root: Any) -> str:
    try:
        found = compiled(name, root)
    except ConsentNotCompilableError as error:
        return f"refused at `{error.path}`"
    kinds = [("deny" if rule.deny else "permit") for _, rule in found.under(TERMS).rules]
    counts = [f"{kinds.count(kind)} {kind}" for kind in ("permit", "deny") if kind in kinds]
    return ", ".join([*counts, *(["document"] if found.document else [])])


def sense(cell: str) -> tuple[str | None, str]:
    found = re.fullmatch(r"`root=\"(\w+)\"`: (.+)", cell)
    return (found[1], found[2]) if found else (None, cell)


def test_the_table_has_every_example() -> None:
    files = {path.stem.removeprefix("Consent-consent-example-") for path in EXAMPLES.glob("Consent-*.json")}
    assert {name for name, _, _ in TABLE} == files
    assert len(TABLE) == 12


@pytest.mark.parametrize(("name", "plain", "text"), TABLE, ids=[name for name, _, _ in TABLE])
def test_the_table_says_what_the_code_does(name: str, plain: str, text: str) -> None:
    root, expected = sense(text)
    assert outcome(name, None) == plain
    assert outcome(name, root) == expected


COMPILING = sorted({(name, cell) for name, *cells in TABLE for cell in cells if not cell.startswith("refused")})


@pytest.mark.parametrize(("name", "cell"), COMPILING)
def test_what_compiles_comes_back(name: str, cell: str) -> None:
    root, _ = sense(cell)
    first = compiled(name, root).under(TERMS)
    rendered = render_consent(
        first.rules,
        patient="Patient/f001",
        references={address: reference for reference, address in GRANTEES.items()},
        documents={TERMS: first.document},
    )
    assert load(rendered).resource_type == "Consent"
    again = compile_consent(rendered, grantees=GRANTEES).under(TERMS)
    assert set(again.rules) == set(first.rules)
    assert again.document == first.document

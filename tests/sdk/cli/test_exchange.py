"""FHIR Consents in, all rules of one or none, and out again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from medproof import fhir
from medproof.client import MedProof
from medproof.policy.codes import Purpose
from medproof.signing import LocalSigner
from tests.sdk.cli.conftest import Run
from tests.sdk.consent.consents import ACT_REASON, ICD, RESOURCE_TYPES, actor, coding, concept, consent

Words = tuple[str, ...]
LAB, CLINIC = "Organization/lab", "Organization/clinic"


def permitting(*organisations: str, **limits: Any) -> dict[str, Any]:
    """A consent that lets organisations treat, each in a rule of its own."""
    permits = [
        {"type": "permit", "actor": [actor(one)], "purpose": [coding(ACT_REASON, "TREAT")], **limits}
        for one in organisations
    ]
    return consent({"type": "deny", "provision": permits})


def write(path: Path, **limits: Any) -> Path:
    path.write_text(json.dumps(permitting(CLINIC, LAB, **limits)))
    return path


@pytest.fixture
def parties(clinic: LocalSigner, second_clinic: LocalSigner) -> Words:
    return ("--party", f"{CLINIC}={clinic.address}", "--party", f"{LAB}={second_clinic.address}")


def test_import_in_one_transaction(
    run: Run, suite: MedProof, here: Path, me: Words, relayed: Words, parties: Words, pseudonym: LocalSigner
) -> None:
    bring = ("consent", "import", write(here / "consent.json"), *parties, *me)
    no = run(*bring, *relayed, answer="\n")
    yes = run(*bring, *relayed, answer="y\n")
    again = run(*bring, *relayed, "--yes", "--json")

    assert (no.code, yes.code, again.code) == (2, 0, 0), yes.err
    assert "• You allow 0x" in no.err
    assert "Grant 2 rule(s)" in no.err
    events = list(suite.consent_registry.history(pseudonym.address))
    assert len(events) == 2
    assert len({event.transaction for event in events}) == 1
    assert again.document["unchanged"] is True


def test_import_beside_other_rules(
    run: Run, suite: MedProof, here: Path, granted: str, me: Words, parties: Words, relayed: Words
) -> None:
    said = run("consent", "import", write(here / "consent.json"), *parties, *me, *relayed, "--yes", "--json")

    assert said.code == 0, said.err
    assert [rule["index"] for rule in said.document["rules"] if rule["grantee"] == granted] == [1]
    listed = run("consent", "list", *me, "--json").document["rules"]
    assert len(listed) == 3


def test_import_for_a_relayer(run: Run, here: Path, me: Words, parties: Words) -> None:
    said = run("consent", "import", write(here / "consent.json"), *parties, *me, "--yes")

    assert (said.code, len(said.document)) == (0, 2)


def test_a_finer_consent_needs_its_document(
    run: Run, suite: MedProof, keys: Path, here: Path, me: Words, relayed: Words, parties: Words, admin: LocalSigner
) -> None:
    file = write(here / "consent.json", code=[concept(ICD, "E11")], **{"class": [coding(RESOURCE_TYPES, "Condition")]})
    bring = ("consent", "import", file, *parties, *me, "--yes")
    without = run(*bring)
    unpublished = run(*bring, "--document", "document.json", "--json")
    forbidden = run(*bring, "--document", "document.json", *relayed, "--json")
    said = run(*bring, "--document", "document.json", "--relay-as", admin.address, "--json")

    assert (without.code, unpublished.code, forbidden.code) == (2, 2, 2)
    assert "--document is missing" in without.err
    assert unpublished.error["error"] == "TermsUnpublishedError"
    assert forbidden.error == unpublished.error  # who pays may not publish, either; the hash is what is needed
    assert said.code == 0, said.err
    assert {rule["terms"] for rule in said.document["rules"]} == {1}
    assert said.document["bounds"]
    assert suite.consent_registry.terms(1).hex() == said.document["document"][2:]

    exported = run("consent", "export", *me, *parties, "--document", "document.json").document
    assert exported["provision"]["provision"][0]["code"][0]["coding"][0]["code"] == "E11"


def test_export_compiles_again(run: Run, here: Path, granted: str, me: Words, parties: Words) -> None:
    printed = run("consent", "export", *me, *parties, "--patient", "Patient/1")
    written = run("consent", "export", *me, *parties, "--out", "out.json", "--json")

    assert printed.document["patient"] == {"reference": "Patient/1"}
    assert written.document["file"] == "out.json"
    compiled = fhir.compile_consent(here / "out.json", grantees={LAB: granted})
    [(grantee, rule)] = compiled.rules
    assert (grantee, rule.purposes) == (granted, Purpose.TREAT)


@pytest.mark.parametrize(
    ("changes", "options", "part"),
    [
        ({"status": "draft"}, (), "Consent.status is a draft"),
        ({}, ("--party", "no equals sign"), "--party is 'no equals sign'"),
        ({}, ("--party", f"{LAB}=0x12"), "--party is '0x12', which is no address"),
        ({}, ("--document", "consent.json"), "must be an object of kind"),
    ],
)
def test_what_is_not_imported(
    run: Run, here: Path, me: Words, parties: Words, changes: dict[str, str], options: Words, part: str
) -> None:
    file = write(here / "consent.json")
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))
    said = run("consent", "import", "consent.json", *parties, *options, *me, "--yes")

    assert (said.code, part in said.err) == (2, True), said.err
    assert said.out == ""


def test_a_file_that_is_not_there(run: Run, me: Words) -> None:
    said = run("consent", "import", "nowhere.json", *me, "--yes", "--json")

    assert (said.code, said.error["error"]) == (2, "RecordFileError")


def test_nothing_to_export(run: Run, me: Words) -> None:
    said = run("consent", "export", *me)

    assert (said.code, "has no rule in force to show" in said.err) == (2, True)

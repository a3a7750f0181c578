"""The Python in docs/evidence.md runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from medproof.client import MedProof
from medproof.policy.word import Request, Rule, decode, encode
from medproof.signing import LocalSigner
from scripts.local_chain import ROOT


@pytest.fixture
def examples() -> list[str]:
    found = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "evidence.md").read_text(), re.DOTALL | re.MULTILINE)
    assert len(found) == 2
    return found


def test_consent(
    suite: MedProof,
    patient: LocalSigner,
    stranger: LocalSigner,
    clinic: LocalSigner,
    rule: Rule,
    request_inside: Request,
    examples: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    sent = suite.consent_registry.grant(clinic.address, rule, sender=patient)
    names: dict[str, Any] = {
        "suite": suite,
        "subjects": [patient.address, stranger.address],
        "account": clinic.address,
        "request": request_inside,
        "block_hash": sent.block_hash,
    }
    exec(examples[0], names)
    assert (names["proved"].known, names["proved"].subjects, names["proved"].permitted) == (True, 2, 1)


def test_any_storage_and_any_transaction(
    suite: MedProof, patient: LocalSigner, clinic: LocalSigner, rule: Rule, examples: list[str]
) -> None:
    sent = suite.consent_registry.grant(clinic.address, rule, sender=patient)
    names: dict[str, Any] = {
        "suite": suite,
        "subject": patient.address,
        "grantee": clinic.address,
        "block_hash": sent.block_hash,
        "transaction": sent.transaction,
        "decode": decode,
    }
    exec(examples[1], names)
    assert encode(names["rule"]) == encode(suite.consent_registry.rules(patient.address, clinic.address)[0])
    assert (names["said"].sender, names["said"].hash) == (patient.address, sent.transaction)

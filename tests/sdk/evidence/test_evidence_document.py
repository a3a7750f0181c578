"""The Python in docs/evidence.md runs as it stands."""

from __future__ import annotations

import re

from medproof.client import MedProof
from medproof.policy.word import Rule, decode, encode
from medproof.signing import LocalSigner
from scripts.local_chain import ROOT


def test_the_example(suite: MedProof, patient: LocalSigner, clinic: LocalSigner, rule: Rule) -> None:
    (example,) = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "docs" / "evidence.md").read_text(), re.DOTALL | re.MULTILINE
    )
    sent = suite.consent_registry.grant(clinic.address, rule, sender=patient)
    names = {
        "suite": suite,
        "subject": patient.address,
        "grantee": clinic.address,
        "block_hash": sent.block_hash,
        "transaction": sent.transaction,
        "decode": decode,
    }
    exec(example, names)
    assert encode(names["rule"]) == encode(suite.consent_registry.rules(patient.address, clinic.address)[0])
    assert (names["said"].sender, names["said"].hash) == (patient.address, sent.transaction)  # type: ignore[attr-defined]

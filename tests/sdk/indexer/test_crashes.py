"""Killed at any point, the index is whole, and goes on without losing or repeating anything."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from medproof.client import MedProof
from medproof.indexer import Index, Indexer
from medproof.policy.word import Rule
from medproof.signing import LocalSigner
from scripts.local_chain import ROOT, LocalChain
from tests.sdk.indexer.contents import contents

CRASHING = Path(__file__).with_name("crashing.py")


def test_killed_in_the_middle_of_writing(
    node: LocalChain,
    suite: MedProof,
    where: str,
    tmp_path: Path,
    patient: LocalSigner,
    clinic: LocalSigner,
    rule: Rule,
) -> None:
    suite.consent_registry.grant(clinic.address, rule, sender=patient)
    suite.consent_registry.change(clinic.address, rule, sender=patient)
    suite.consent_registry.revoke(clinic.address, sender=patient)
    manifest = tmp_path / "manifest.json"
    suite.deployment.save(manifest)
    blocks = []
    for count in (1, 2, 7, 40, 11):
        ended = subprocess.run(
            [sys.executable, str(CRASHING), node.url, str(manifest), where, str(count)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        opened = Index(where)
        blocks.append(opened.deployments()[0].block)
        happened = [row[1] for row in contents(opened)["events"]]
        assert all(block <= blocks[-1] for block in happened)
        opened.close()
    assert blocks == sorted(blocks)
    assert len(blocks) >= 3
    kept, fresh = Index(where), Index(tmp_path / "fresh.db")
    try:
        Indexer(kept, suite.chain, suite.deployment).update()
        Indexer(fresh, suite.chain, suite.deployment).update()
        assert contents(kept) == contents(fresh)
    finally:
        kept.close()
        fresh.close()

"""The page on first steps is true: its code runs, in its order."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.deployments import deploy
from medproof.signing import NodeSigner
from medproof.wallet import Wallet
from scripts.local_chain import ROOT, LocalChain

PAGE = (ROOT / "docs" / "first-steps.md").read_text(encoding="utf-8")


def test_its_code_accredits_a_clinic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with LocalChain() as local:
        chain = Chain.connect(local.url)
        admin = NodeSigner(chain.accounts()[0])
        deploy(chain, admin, manifest="deployed.json")
        names = {"password": "only for this test", "url": local.url, "manifest": "deployed.json", "admin": admin}
        for block in re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
            exec(compile(block, "docs/first-steps.md", "exec"), names)

        suite = names["suite"]
        assert isinstance(suite, MedProof)
        standing = suite.registrar.standing(str(names["clinic"]))
        assert standing is not None
        assert standing.groups == (2,)
        assert Wallet(Path("seed.txt").read_text()).pseudonym(standing.id).address

"""What docs/adjudication.md shows is what comes of it, with the plan that it prints, on a chain."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from medproof import hashing
from medproof.claims.plan import Plan
from medproof.client import MedProof
from medproof.signing import LocalSigner
from scripts.local_chain import ROOT
from tests.sdk.claims.bills import BILL
from tests.sdk.claims.test_adjudication import PLAN

TEXT = (ROOT / "docs" / "adjudication.md").read_text(encoding="utf-8")
SAID = TEXT.split("```json\n", 1)[1].split("```", 1)[0]


def test_plan_is_the_one_that_is_tested() -> None:
    plan = Plan.from_json(hashing.parse(SAID.encode()))
    assert plan == PLAN
    assert f"`0x{plan.hash.hex()}`" in TEXT


def test_what_the_first_lines_print_is_true(
    suite: MedProof,
    payer: LocalSigner,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "bronze.json").write_text(SAID, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    code = TEXT.split("```python\n", 1)[1].split("```", 1)[0]
    exec(code, {"Path": Path, "suite": suite, "payer": payer, "claim": BILL, "decided": [], "authorised": []})
    printed = re.findall(r"^print\(.*\)  # (.*?)(?:;.*)?$", code, re.M)
    assert capsys.readouterr().out.splitlines() == printed
    rules = suite.claim_anchor.rules_in_force(payer.address, 0, BILL.start)
    assert rules is not None
    assert rules.hash == PLAN.hash

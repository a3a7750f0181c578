"""What docs/adjudication.md says of its plan holds."""

from __future__ import annotations

import re

from medproof import hashing
from medproof.claims.plan import Plan
from scripts.local_chain import ROOT
from tests.sdk.claims.test_adjudication import PLAN


def test_plan_of_the_document_is_the_one_that_is_tested() -> None:
    text = (ROOT / "docs" / "adjudication.md").read_text(encoding="utf-8")
    block = re.search(r"```json\n(.*?)```", text, re.DOTALL)
    assert block is not None
    plan = Plan.from_json(hashing.parse(block[1].encode()))
    assert plan == PLAN
    assert f"`0x{plan.hash.hex()}`" in text

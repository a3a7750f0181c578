"""What docs/volume.md shows runs as it stands there, and its figures are those of the results."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bench.claims import KEYS, RESULTS, x12_claims
from medproof import x12
from medproof.client import MedProof
from medproof.signing import LocalSigner
from scripts.local_chain import ROOT

PAGE = (ROOT / "docs" / "volume.md").read_text(encoding="utf-8")
DECISION = (ROOT / "docs" / "decisions" / "0019-nullifiers-at-volume.md").read_text(encoding="utf-8")


class Registered:
    """The keyring, for claims that name no encounter."""

    def nullifier(self, claim: Any) -> bytes:
        return KEYS.nullifier(claim, registered=claim.number)


def test_examples_run(suite: MedProof, clinic: LocalSigner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "claims.837"
    path.write_bytes(x12_claims(range(5)))
    given = {"suite": suite, "house": clinic, "keys": Registered(), "x12": x12, "path": path, "nullifier": b"\x07" * 32}
    names: dict[str, Any] = {**given, "now": datetime.now(UTC)}
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        exec(block, names)
    assert (names["log"].leaves.anchored(), names["proof"].leaf.size) == (5, 5)
    assert (names["again"], len(names["tree"].values)) == ((), 6)
    names["log"].close()


def test_figures_are_those_of_the_results() -> None:
    recorded = json.loads(RESULTS.read_text(encoding="utf-8"))
    for number, words in (("1", "one process"), ("2", "two processes, one log")):
        said = recorded["processes"][number]
        row = f"| {words} | {said['events_a_second']:,} | {said['events_a_second_of_a_core']:,} | 579 |"
        assert row in PAGE
    for name in ("sqlite_a_second", "keccak_a_second"):
        assert f"| {recorded['floor'][name]:,} |" in PAGE
    for name, share in recorded["processes"]["1"]["share_of_cpu"].items():
        named = {"read": "reading", "log": "log"}.get(name, name)
        assert f"| {named} | {share:.0%}".replace("%", " %") in PAGE
    for said in recorded["nullifier_trees"].values():
        for figure in said.values():
            assert f"{figure:,.0f}" in PAGE
    for name, said in recorded["a_day"]["schemes"].items():
        assert name.split(",")[0].removeprefix("EAS ").split(" of ")[0].strip("`") in PAGE.replace("`", "")
        if name != "indexed tree, its root anchored":
            assert f"| {said['gas_each']:,} |" in PAGE
    absence = recorded["absence_on_chain"]
    for text in (PAGE, DECISION):
        assert f"({absence['gas_after_a_day']:,} gas" in text
    assert f"{absence['gas_a_hash']} gas a hash" in DECISION

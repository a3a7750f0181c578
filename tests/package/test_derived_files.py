"""What the package ships of the contracts is what the sources compile to, here and in Brownie."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from medproof.artifacts import CONTRACTS, artifact
from scripts.local_chain import ROOT, tool_environment


def test_everything_derived_is_up_to_date() -> None:
    finished = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "build.py"), "--check"],
        cwd=ROOT,
        env=tool_environment(),
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr


@pytest.mark.parametrize("name", CONTRACTS)
def test_brownie_compiles_the_same(name: str) -> None:
    built = ROOT / "build" / "contracts" / f"{name}.json"
    if not built.exists():
        pytest.skip("Brownie has compiled nothing here yet: run `make brownie ARGS=compile`")
    content = json.loads(built.read_text(encoding="utf-8"))
    if content["bytecode"] == artifact(name).bytecode.removeprefix("0x"):
        return
    newest = max(path.stat().st_mtime for path in (ROOT / "contracts").rglob("*.sol"))
    if built.stat().st_mtime < newest:
        pytest.skip("Brownie's build is older than the sources: run `make brownie ARGS=compile`")
    pytest.fail(f"Brownie compiles {name} to other bytecode than the package ships")


@pytest.mark.parametrize("name", ["", "Nothing", "../contract_errors", "registrar", "IRegistrar"])
def test_contract_that_is_none_of_the_suite(name: str) -> None:
    with pytest.raises(ValueError, match="no contract of the suite"):
        artifact(name)

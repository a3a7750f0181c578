"""What the package ships of the contracts is what the sources compile to, here and in Brownie."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import solcx

from medproof.artifacts import CONTRACTS, artifact
from scripts import build
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


def test_compiler_is_asked_again_when_what_it_read_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    own, library, config = tmp_path / "contracts" / "A.sol", tmp_path / "library.sol", tmp_path / "brownie-config.yaml"

    def compile_standard(question: Any, **options: Any) -> Any:
        asked.append(question)
        unit = {"evm": {"deployedBytecode": {"immutableReferences": {}}}, "compilation": len(asked)}
        return {
            "contracts": {"contracts/A.sol": {"A": unit}},
            "sources": {"contracts/A.sol": {"ast": {}}, "library.sol": {"ast": {}}},
        }

    def compilations() -> list[int]:
        """Which compilation each of two calls gives."""
        found = [build.compile_all() for _ in range(2)]
        assert all(read == ["contracts/A.sol", "library.sol"] for _, read in found)
        return [units["A"]["compilation"] for units, _ in found]

    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "KEPT", tmp_path / "compiled.json")
    monkeypatch.setattr(solcx, "compile_standard", compile_standard)
    shutil.copy(ROOT / config.name, config)
    own.parent.mkdir()
    for path in (own, library):
        path.write_text("first")
    assert compilations() == [1, 1]
    own.write_text("second")
    assert compilations() == [2, 2]
    library.write_text("second")
    assert compilations() == [3, 3]
    config.write_text(config.read_text().replace("runs: 1000000", "runs: 200"))
    assert compilations() == [4, 4]
    build.KEPT.write_text("{")
    assert compilations() == [5, 5]


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

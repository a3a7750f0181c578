"""The wheel alone is enough: without Brownie, without a compiler, in a fresh environment."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from scripts.local_chain import ROOT, LocalChain
from scripts.setup import UV, tool_environment

APP = """
import importlib.util, sys
from datetime import date
from pathlib import Path

import medproof
from medproof.chain import Chain
from medproof.client import MedProof
from medproof.contract_errors import PartyUnknown
from medproof.deployments import deploy
from medproof.policy.codes import DataClass, PartyKind
from medproof.recovery import recover
from medproof.signing import NodeSigner
from medproof.wallet import Wallet

assert "site-packages" in medproof.__file__, medproof.__file__
for absent in ("brownie", "solcx", "yaml", "scripts"):
    assert importlib.util.find_spec(absent) is None, absent

chain = Chain.connect(sys.argv[1])
admin, clinic = (NodeSigner(address) for address in chain.accounts()[:2])
deploy(chain, admin, manifest="suite.json")
suite = MedProof.connect(sys.argv[1], deployment="suite.json", sender=admin)
suite.registrar.accredit(clinic.address, PartyKind.PROVIDER, credential=bytes(31) + b"1", valid_until=date(2099, 1, 1))
wallet, phrase = Wallet.create()
subject = wallet.pseudonym(clinic.address)
key, _ = suite.record_pointers.post(subject.address, DataClass.LABORATORY, bytes(31) + b"2", sender=clinic)
suite.relay(suite.record_pointers.sign_acceptance(subject, key))
assert [one.pointers for one in recover(suite, Wallet(phrase))] == [(key,)]
try:
    suite.registrar.suspend(subject.address)
except PartyUnknown as error:
    print(medproof.__version__, error.party == subject.address)
"""


def uv(*arguments: str | Path) -> str:
    """Run uv with its caches inside the project, and the user's own settings."""
    environment = tool_environment()
    environment["HOME"] = os.environ.get("OUTER_HOME") or environment.get("HOME", "")
    environment.pop("VIRTUAL_ENV", None)
    command: Sequence[str] = [str(UV), *map(str, arguments)]
    finished = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    uv("build", "--wheel", "--out-dir", folder)
    (built,) = folder.glob("*.whl")
    return built


def test_contents(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(next(name for name in names if name.endswith("METADATA"))).decode()
    packaged = {name for name in names if name.startswith("medproof/")}
    assert packaged == {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "medproof").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"medproof/py.typed", "medproof/abi/Authority.json", "medproof/abi/ClaimAnchor.json"} <= packaged
    assert {name.partition("/")[0] for name in names - packaged} == {"medproof-0.1.0.dist-info"}
    assert any(name.endswith("licenses/LICENSE") for name in names)
    required = [line for line in metadata.splitlines() if line.startswith("Requires-Dist: ")]
    assert required
    assert not any(tool in line for line in required for tool in ("brownie", "solc", "pytest"))


def test_app_in_a_fresh_environment(wheel: Path, tmp_path: Path) -> None:
    constraints = tmp_path / "constraints.txt"
    constraints.write_text(uv("export", "--no-dev", "--locked", "--no-emit-project", "--no-hashes", "--quiet"))
    python = tmp_path / "venv" / "bin" / "python"
    uv("venv", "--quiet", "--python", sys.executable, tmp_path / "venv")
    uv("pip", "install", "--quiet", "--python", python, "--constraints", constraints, wheel)
    app, place = tmp_path / "app.py", tmp_path / "place"
    app.write_text(APP)
    place.mkdir()
    with LocalChain() as chain:
        finished = subprocess.run(
            [str(python), "-I", str(app), chain.url],
            cwd=place,
            env={"PATH": "", "HOME": str(place)},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert finished.stdout == "0.1.0 True\n", finished.stderr
    assert [path.name for path in place.iterdir()] == ["suite.json"]

    (place / "suite.json").unlink()
    shown = subprocess.run(
        [str(python.with_name("medproof")), "--help"],
        cwd=place,
        env={"PATH": "", "HOME": str(place)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (shown.returncode, shown.stderr) == (0, "")
    assert all(group in shown.stdout for group in ("consent", "delegate", "emergency", "relay"))
    assert not list(place.iterdir())

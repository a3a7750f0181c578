"""The manifest: written whole or not at all, and nothing in it is believed that deploy cannot have written."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medproof.deployments import Deployment, deploy
from medproof.errors import DeploymentError
from medproof.signing import LocalSigner
from tests.sdk.deployments.conftest import Counting


def change(text: str, *path: str, to: object) -> str:
    content = json.loads(text)
    place = content
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = to
    return json.dumps(content)


CORRUPTIONS: dict[str, Callable[[str], str]] = {
    "empty": lambda text: "",
    "cut short": lambda text: text[:200],
    "a list": lambda text: "[]",
    "nested": lambda text: "[" * 100_000,
    "another file": lambda text: '{"name": "hardhat"}',
    "a member too many": lambda text: change(text, "also", to=1),
    "chain as text": lambda text: change(text, "chain_id", to="1337"),
    "chain as a truth": lambda text: change(text, "chain_id", to=True),
    "roles as text": lambda text: change(text, "roles", to="no"),
    "unknown contract": lambda text: change(text, "contracts", "../../secret", to={"arguments": [], "transaction": ""}),
    "address without checksum": lambda text: change(text, "contracts", "Registrar", "address", to="0x" + "ab" * 20),
    "address as a number": lambda text: change(text, "contracts", "Registrar", "address", to=5),
    "no transaction": lambda text: change(text, "contracts", "Registrar", "transaction", to=None),
    "neither transaction nor address": lambda text: change(
        text, "contracts", "Registrar", to={"arguments": [], "transaction": ""}
    ),
    "block as text": lambda text: change(text, "contracts", "Registrar", "block", to="1"),
    "negative block": lambda text: change(text, "contracts", "Registrar", "block", to=-1),
    "arguments as text": lambda text: change(text, "contracts", "Registrar", "arguments", to="0x"),
    "admin": lambda text: change(text, "admin", to="me"),
    "another format": lambda text: change(text, "format", to="medproof-index"),
    "deployer": lambda text: change(text, "deployer", to=""),
    "salt": lambda text: change(text, "salt", to="0x12"),
    "salt as a number": lambda text: change(text, "salt", to=5),
    "a negative delay": lambda text: change(text, "delay", to=-5),
    "a delay without end": lambda text: change(text, "delay", to=1 << 32),
    "no delay": lambda text: change(text, "delay", to=None),
    "handed over as text": lambda text: change(text, "handed_over", to="yes"),
    "begun before time": lambda text: change(text, "begun", to=-1),
    "a block beyond all": lambda text: change(text, "contracts", "Registrar", "block", to=1 << 70),
    "a factory that is a text": lambda text: change(text, "factory", to="0x"),
    "a factory nowhere": lambda text: change(text, "factory", "address", to="0x12"),
    "pending": lambda text: change(text, "pending", to="<script>"),
    "SQL": lambda text: change(text, "contracts", "Registrar", "code_hash", to="'; DROP TABLE blocks; --"),
    "huge": lambda text: text.replace("{", "{" + " " * (1 << 20), 1),
    "admin, null": lambda text: change(text, "admin", to=None),
    "compiler": lambda text: change(text, "compiler", to=[]),
}


@pytest.mark.parametrize("corrupt", CORRUPTIONS.values(), ids=CORRUPTIONS.keys())
def test_corrupt_manifest(
    counting: Counting, admin: LocalSigner, recorded: Path, corrupt: Callable[[str], str]
) -> None:
    recorded.write_text(corrupt(recorded.read_text()))
    with pytest.raises(DeploymentError, match=r"manifest|Restore the file"):
        deploy(counting, admin, manifest=recorded)
    assert counting.sent == 0
    with pytest.raises(DeploymentError):
        Deployment.load(recorded)


def test_manifest_that_is_no_file(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.json"):
        with pytest.raises(DeploymentError, match="cannot be read"):
            Deployment.load(path)


def test_failing_write_leaves_everything_as_it_was(
    deployment: Deployment, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment.save(manifest)
    neighbour = manifest.with_name("other.json")
    neighbour.write_text("mine")
    before = manifest.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DeploymentError, match="No space left"):
        dataclasses.replace(deployment, roles=False).save(manifest)
    assert manifest.read_bytes() == before
    assert neighbour.read_text() == "mine"
    assert len(list(manifest.parent.iterdir())) == 2


def test_address_of_what_is_not_deployed_yet(admin: LocalSigner) -> None:
    with pytest.raises(DeploymentError, match="Registrar is not deployed on chain 1337 yet"):
        Deployment(1337, admin.address).address("Registrar")


@pytest.mark.parametrize("version", [0, 3, "2", None, True])
def test_manifest_of_another_version(recorded: Path, version: object) -> None:
    recorded.write_text(change(recorded.read_text(), "version", to=version))
    with pytest.raises(DeploymentError, match="Use the package's version that wrote it"):
        Deployment.load(recorded)


def test_bytes_that_are_no_text(manifest: Path) -> None:
    manifest.parent.mkdir()
    manifest.write_bytes(b"\xff\xfe{")
    with pytest.raises(DeploymentError, match="no manifest"):
        Deployment.load(manifest)


def as_version_1(deployment: Deployment, manifest: Path) -> dict[str, Any]:
    """A manifest of before salts, of the same deployment."""
    deployment.save(manifest)
    content = json.loads(manifest.read_text())
    return {name: content[name] for name in ("chain_id", "admin", "contracts", "compiler", "roles")}


def test_manifest_of_version_1(deployment: Deployment, manifest: Path) -> None:
    """Before salts: each contract by a transaction of its own; what was only sent is deployed anew."""
    content = as_version_1(deployment, manifest)
    content["contracts"]["Incentives"]["address"] = ""
    manifest.write_text(json.dumps(content))
    loaded = Deployment.load(manifest)
    assert loaded.contracts == deployment.without("Incentives").contracts
    assert (loaded.deployer, loaded.handed_over, loaded.roles) == (deployment.deployer, True, True)
    assert (loaded.salt, loaded.factory, loaded.begun) == ("", None, None)
    assert loaded.first_block == deployment.contracts["Authority"].block
    assert not loaded.complete


def test_version_1_is_gone_on_with(
    counting: Counting, admin: LocalSigner, deployment: Deployment, manifest: Path
) -> None:
    manifest.write_text(json.dumps(as_version_1(deployment, manifest)))
    loaded = Deployment.load(manifest)
    assert deploy(counting, admin, manifest=manifest) == loaded == Deployment.load(manifest)
    assert counting.sent == 0
    gone = {name: dataclasses.replace(entry, address=admin.address) for name, entry in loaded.contracts.items()}
    dataclasses.replace(loaded, contracts=gone).save(manifest)  # as of a chain that was reset
    with pytest.raises(DeploymentError, match="the chain was reset"):
        deploy(counting, admin, manifest=manifest)
    assert counting.sent == 0

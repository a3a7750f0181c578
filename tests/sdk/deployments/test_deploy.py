"""Deploying: once, resumed wherever it stopped, recorded whole, and nobody keeps rights that nobody gave."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from eth_utils.abi import function_signature_to_4byte_selector

from medproof.artifacts import CONTRACTS, artifact
from medproof.chain import Chain, Sender
from medproof.client import MedProof
from medproof.contract_errors import AccessManagedUnauthorized, AccessManagerUnauthorizedAccount
from medproof.deployments import ROLES, Deployed, Deployment, deploy, plan, verify
from medproof.errors import DeploymentError, MedProofError
from medproof.policy.codes import PartyKind
from medproof.signing import LocalSigner
from scripts.local_chain import ROOT, LocalChain
from tests.sdk.conftest import CREDENTIAL, funded, rpc

NOBODY = "0x" + "00" * 20
STEPS = len(CONTRACTS) + 3 * len(ROLES) + 2  # contracts; label, functions and grant of each role; the admin's two


class Counting(Chain):
    """A chain that counts what is sent, and may break off."""

    sent = 0
    break_before: int | None = None
    break_after: int | None = None

    def send(self, transaction: Mapping[str, Any], *, sender: Sender, **options: Any) -> str:
        if self.break_before == self.sent:
            raise InterruptedError
        sent = super().send(transaction, sender=sender, **options)
        self.sent += 1
        if self.break_after == self.sent:
            raise InterruptedError
        return sent


@pytest.fixture
def counting(node: LocalChain, chain: Chain) -> Counting:
    connected = Counting.connect(node.url, poll=0.005, timeout=20.0)
    assert isinstance(connected, Counting)
    return connected


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return tmp_path / "records" / "suite.json"


def shape(path: Path) -> dict[str, Any]:
    """What a manifest says, without what differs from run to run."""
    content = json.loads(path.read_text())
    for entry in content["contracts"].values():
        assert entry["block"] > 0
        assert entry["gas_used"] > 0
        assert len(entry["arguments"]) <= 4
        entry |= {"transaction": "", "address": "", "block": 0, "gas_used": 0, "arguments": []}
    return content


def authority_of(chain: Chain, deployment: Deployment) -> Any:
    return chain.contract(deployment.address("Authority"), artifact("Authority").abi)


def roles_of(chain: Chain, deployment: Deployment, account: str) -> set[int]:
    contract = authority_of(chain, deployment)
    return {number for number in range(len(ROLES) + 1) if chain.call(contract, "hasRole", (number, account))[0]}


def test_deploys_once(counting: Counting, stranger: LocalSigner, admin: LocalSigner, manifest: Path) -> None:
    steps: list[str] = []
    first = deploy(counting, stranger, manifest=manifest, admin=admin.address, report=steps.append)
    assert counting.sent == len(steps) == STEPS
    assert first.complete
    assert first == Deployment.load(manifest)
    assert list(first.contracts) == list(CONTRACTS)
    assert first.first_block == first.contracts["Authority"].block
    verify(counting, first)
    assert [path.name for path in manifest.parent.iterdir()] == ["suite.json"]

    written = manifest.stat().st_mtime_ns
    assert deploy(counting, stranger, manifest=manifest, admin=admin.address, report=steps.append) == first
    assert counting.sent == len(steps) == STEPS
    assert manifest.stat().st_mtime_ns == written
    # And nobody else can make it do anything either.
    assert deploy(counting, funded(12), manifest=manifest, admin=admin.address) == first
    assert counting.sent == STEPS

    assert roles_of(counting, first, admin.address) == {0, *(role.number for role in ROLES)}
    assert roles_of(counting, first, stranger.address) == set()
    assert roles_of(counting, first, funded(12).address) == set()
    authority = authority_of(counting, first)
    for role in ROLES:
        for signature in role.functions:
            selector = function_signature_to_4byte_selector(signature)
            target = first.address(role.contract)
            number = counting.call(authority, "getTargetFunctionRole", (target, selector))
            assert number == role.number
    for one in (stranger, funded(12)):
        suite = MedProof(counting, first, sender=one)
        with pytest.raises(AccessManagedUnauthorized) as caught:
            suite.registrar.suspend(admin.address)
        assert caught.value.caller == one.address
        with pytest.raises(AccessManagedUnauthorized):
            suite.consent_registry.publish_terms(CREDENTIAL)
        with pytest.raises(AccessManagedUnauthorized):
            suite.registrar.start_recovery(admin.address, funded(13).address)
        with pytest.raises(AccessManagerUnauthorizedAccount):
            counting.transact(authority, "grantRole", (1, one.address, 0), sender=one)


def test_the_plan_is_what_comes_of_it(counting: Counting, stranger: LocalSigner, manifest: Path) -> None:
    planned = plan(counting, stranger, manifest=manifest)
    assert (counting.sent, manifest.exists()) == (0, False)
    made = deploy(counting, stranger, manifest=manifest)
    assert [(one.name, one.address) for one in planned] == [(name, made.address(name)) for name in CONTRACTS]
    assert all(made.contracts[one.name].gas_used <= one.gas < 2 * made.contracts[one.name].gas_used for one in planned)
    assert plan(counting, stranger, manifest=manifest) == ()


@pytest.mark.parametrize("killed", ["break_before", "break_after"])
def test_the_plan_goes_on_where_a_deployment_stopped(
    killed: str, counting: Counting, stranger: LocalSigner, manifest: Path
) -> None:
    setattr(counting, killed, 3)
    with pytest.raises(InterruptedError):
        deploy(counting, stranger, manifest=manifest)
    planned = plan(counting, stranger, manifest=manifest)
    assert [one.name for one in planned] == list(CONTRACTS[3:])
    counting.break_before = counting.break_after = None
    made = deploy(counting, stranger, manifest=manifest)
    assert [one.address for one in planned] == [made.address(name) for name in CONTRACTS[3:]]


def test_a_plan_is_refused_where_the_deployment_would_be(counting: Counting, recorded: Path) -> None:
    with pytest.raises(DeploymentError, match="checksummed"):
        plan(counting, funded(3), manifest=recorded.with_name("other.json"), admin="0x1234")
    with pytest.raises(DeploymentError, match="overwrite"):
        plan(counting, funded(3), manifest=recorded)


def test_sender_is_admin_where_none_is_named(
    counting: Counting, admin: LocalSigner, manifest: Path, far_day: Any
) -> None:
    deployment = deploy(counting, admin, manifest=manifest)
    assert deployment.admin == admin.address
    assert counting.sent == STEPS - 2
    suite = MedProof(counting, deployment, sender=admin)
    suite.registrar.accredit(funded(14).address, PartyKind.PAYER, credential=CREDENTIAL, valid_until=far_day)
    assert suite.consent_registry.publish_terms(CREDENTIAL) == 1


def test_killed_after_every_step(
    counting: Counting, stranger: LocalSigner, admin: LocalSigner, manifest: Path, tmp_path: Path
) -> None:
    """Once before each step, once between each sending and its record: nothing is sent twice."""
    whole = tmp_path / "whole.json"
    deploy(counting, stranger, manifest=whole, admin=admin.address)
    counting.sent = 0
    for step in range(STEPS):
        counting.break_before, counting.break_after = step, None
        with pytest.raises(InterruptedError):
            deploy(counting, stranger, manifest=manifest, admin=admin.address)
        assert not Deployment.load(manifest).complete
        counting.break_before, counting.break_after = None, step + 1
        with pytest.raises(InterruptedError):
            deploy(counting, stranger, manifest=manifest, admin=admin.address)
    counting.break_after = None
    finished = deploy(counting, stranger, manifest=manifest, admin=admin.address)
    assert counting.sent == STEPS
    assert shape(manifest) == shape(whole)
    assert roles_of(counting, finished, stranger.address) == set()
    assert roles_of(counting, finished, admin.address) == {0, *(role.number for role in ROLES)}


def test_interrupted_while_reporting(counting: Counting, admin: LocalSigner, manifest: Path) -> None:
    def interrupt(at: str) -> Callable[[str], None]:
        def report(step: str) -> None:
            if step == at:
                raise KeyboardInterrupt

        return report

    for at in ("deploy Registrar", "deploy ClaimAnchor", "label role RECOVERY"):
        with pytest.raises(KeyboardInterrupt):
            deploy(counting, admin, manifest=manifest, report=interrupt(at))
    assert deploy(counting, admin, manifest=manifest).complete
    assert counting.sent == STEPS - 2


CHILD = """
import sys
from medproof.chain import Chain
from medproof.deployments import deploy
from tests.sdk.conftest import funded
url, manifest, admin = sys.argv[1:]
chain = Chain.connect(url, poll=0.005)
deploy(chain, funded(8), manifest=manifest, admin=admin, report=lambda step: print(step, flush=True))
"""


def test_killed_hard(
    node: LocalChain, counting: Counting, stranger: LocalSigner, admin: LocalSigner, manifest: Path
) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, node.url, str(manifest), admin.address],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    for step in child.stdout:
        if step == "deploy RecordPointers\n":
            break
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    begun = Deployment.load(manifest)
    assert not begun.complete
    finished = deploy(counting, stranger, manifest=manifest, admin=admin.address)
    assert finished.complete
    assert finished.address("Registrar") == begun.address("Registrar")
    assert [path.name for path in manifest.parent.iterdir()] == ["suite.json"]


def test_failed_creation_is_repeated(counting: Counting, admin: LocalSigner, manifest: Path) -> None:
    class Stingy(Counting):
        def send(self, transaction: Mapping[str, Any], *, sender: Sender, **options: Any) -> str:
            return super().send({**transaction, "gas": 1_000_000}, sender=sender, **options)

    stingy = Stingy.connect(str(counting.web3.provider.endpoint_uri), poll=0.005)  # type: ignore[union-attr]
    with pytest.raises(MedProofError):
        deploy(stingy, admin, manifest=manifest)
    assert not Deployment.load(manifest).contracts
    assert deploy(counting, admin, manifest=manifest).complete


def test_forgotten_transaction_is_sent_again(counting: Counting, admin: LocalSigner, manifest: Path) -> None:
    Deployment(1337, admin.address, contracts={"Authority": Deployed((admin.address,), "0x" + "12" * 32)}).save(
        manifest
    )
    assert deploy(counting, admin, manifest=manifest).complete


# -- what is refused --------------------------------------------------------------------------------------------


@pytest.fixture
def recorded(deployment: Deployment, manifest: Path) -> Path:
    deployment.save(manifest)
    return manifest


def refused(chain: Counting, sender: LocalSigner, manifest: Path, match: str, **options: Any) -> None:
    before = manifest.read_bytes()
    with pytest.raises(DeploymentError, match=match):
        deploy(chain, sender, manifest=manifest, **options)
    assert chain.sent == 0
    assert manifest.read_bytes() == before


def test_manifest_of_another_chain(counting: Counting, admin: LocalSigner, recorded: Path) -> None:
    dataclasses.replace(Deployment.load(recorded), chain_id=5).save(recorded)
    refused(counting, admin, recorded, "on chain 5, but the node serves chain 1337")


def test_manifest_of_another_admin(
    counting: Counting, admin: LocalSigner, stranger: LocalSigner, recorded: Path
) -> None:
    refused(counting, admin, recorded, "whose admin is", admin=stranger.address)
    refused(counting, stranger, recorded, "whose admin is")


def test_manifest_that_another_account_began(
    counting: Counting, admin: LocalSigner, stranger: LocalSigner, recorded: Path
) -> None:
    dataclasses.replace(Deployment.load(recorded), roles=False).save(recorded)
    refused(counting, stranger, recorded, f"{admin.address} began", admin=admin.address)


def test_reset_chain(deployment: Deployment, admin: LocalSigner, manifest: Path) -> None:
    deployment.save(manifest)
    with LocalChain() as other:
        fresh = Counting.connect(other.url, poll=0.005)
        assert isinstance(fresh, Counting)
        refused(fresh, admin, manifest, "the chain was reset")
        with pytest.raises(DeploymentError, match="may have been reset"):
            verify(fresh, deployment)
        assert deploy(fresh, admin, manifest=manifest, overwrite=True).complete


@pytest.mark.parametrize("admin_given", ["0x1234", NOBODY, "0x" + "00" * 19 + "02", "0x" + "ab" * 20, "admin.eth"])
def test_admin_that_is_no_account(counting: Counting, admin: LocalSigner, manifest: Path, admin_given: str) -> None:
    with pytest.raises(DeploymentError, match="no checksummed address"):
        deploy(counting, admin, manifest=manifest, admin=admin_given)
    assert counting.sent == 0
    assert not manifest.exists()


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
    "no transaction": lambda text: change(text, "contracts", "Registrar", "transaction", to=""),
    "block as text": lambda text: change(text, "contracts", "Registrar", "block", to="1"),
    "negative block": lambda text: change(text, "contracts", "Registrar", "block", to=-1),
    "arguments as text": lambda text: change(text, "contracts", "Registrar", "arguments", to="0x"),
    "admin": lambda text: change(text, "admin", to="me"),
    "admin, null": lambda text: change(text, "admin", to=None),
    "compiler": lambda text: change(text, "compiler", to=[]),
}


@pytest.mark.parametrize("corrupt", CORRUPTIONS.values(), ids=CORRUPTIONS.keys())
def test_corrupt_manifest(
    counting: Counting, admin: LocalSigner, recorded: Path, corrupt: Callable[[str], str]
) -> None:
    recorded.write_text(corrupt(recorded.read_text()))
    refused(counting, admin, recorded, "manifest|Restore the file")
    with pytest.raises(DeploymentError):
        Deployment.load(recorded)


def test_overwriting_a_corrupt_manifest(counting: Counting, admin: LocalSigner, manifest: Path) -> None:
    manifest.parent.mkdir()
    manifest.write_text("{")
    assert deploy(counting, admin, manifest=manifest, overwrite=True) == Deployment.load(manifest)


def test_manifest_that_is_no_file(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.json"):
        with pytest.raises(DeploymentError, match="cannot be read"):
            Deployment.load(path)


def test_nothing_is_sent_that_cannot_be_recorded(counting: Counting, admin: LocalSigner, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DeploymentError, match="cannot be written"):
        deploy(counting, admin, manifest=tmp_path / "file" / "suite.json")
    assert counting.sent == 0


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


# -- verifying --------------------------------------------------------------------------------------------------


def moved(deployment: Deployment, **addresses: str) -> Deployment:
    contracts = {
        name: dataclasses.replace(entry, address=addresses.get(name, entry.address))
        for name, entry in deployment.contracts.items()
    }
    return dataclasses.replace(deployment, contracts=contracts)


def test_verify(chain: Chain, deployment: Deployment) -> None:
    verify(chain, deployment)


def test_verify_missing_code(chain: Chain, deployment: Deployment) -> None:
    with pytest.raises(DeploymentError, match="no contract at"):
        verify(chain, moved(deployment, Registrar=funded(13).address))


def test_verify_other_code(chain: Chain, deployment: Deployment) -> None:
    with pytest.raises(DeploymentError, match="not this build of Registrar"):
        verify(chain, moved(deployment, Registrar=deployment.address("ClaimAnchor")))


def test_verify_contract_of_another_suite(counting: Counting, deployment: Deployment, admin: LocalSigner) -> None:
    """The right code, but wired to somebody else's neighbour."""
    build = artifact("ConsentRegistry")
    neighbours = ("Authority", "Registrar", "Delegations")
    for foreigner in neighbours:
        arguments = [funded(13).address if name == foreigner else deployment.address(name) for name in neighbours]
        match = f"works with the {foreigner} at"
        sent = counting.send(counting.creation(build.bytecode, build.abi, arguments), sender=admin)
        foreign = counting.wait(sent).contract
        assert foreign is not None
        with pytest.raises(DeploymentError, match=match):
            verify(counting, moved(deployment, ConsentRegistry=foreign))


def test_verify_altered_code(chain: Chain, deployment: Deployment, node: LocalChain) -> None:
    address = deployment.address("ClaimAnchor")
    code = bytearray(chain.code(address))
    code[100] ^= 1
    rpc(chain, "evm_setAccountCode", address, "0x" + code.hex())
    with pytest.raises(DeploymentError, match="not this build of ClaimAnchor"):
        verify(chain, deployment)

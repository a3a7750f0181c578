"""Deploying: once, resumed wherever it stopped, recorded whole, at addresses that are known before."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from eth_utils.abi import function_signature_to_4byte_selector

from medproof.artifacts import CONTRACTS
from medproof.chain import Chain, Sender
from medproof.client import MedProof
from medproof.contract_errors import AccessManagedUnauthorized, AccessManagerUnauthorizedAccount
from medproof.deployments import ROLES, Deployed, Deployment, deploy, plan, verify
from medproof.errors import DeploymentError, MedProofError
from medproof.policy.codes import PartyKind
from medproof.signing import LocalSigner
from scripts.local_chain import ROOT, LocalChain
from tests.sdk.conftest import CREDENTIAL, funded
from tests.sdk.deployments.conftest import ALL_ROLES, CALLS, NOBODY, STEPS, Counting, authority_of, connected, roles_of

SALT = "0x" + "5a" * 32


def shape(path: Path) -> dict[str, Any]:
    """What a manifest says, without what differs from run to run."""
    content = json.loads(path.read_text())
    for entry in (content["factory"], *content["contracts"].values()):
        assert entry["block"] > 0
        assert entry["gas_used"] > 0
        assert len(entry["arguments"]) <= 4
        entry |= {"transaction": "", "address": "", "block": 0, "gas_used": 0, "arguments": []}
    return content | {"salt": "", "begun": 0, "begun_hash": "", "offered": 0}


def test_deploys_once(
    counting: Counting, admin: LocalSigner, stranger: LocalSigner, manifest: Path, far_day: Any
) -> None:
    steps: list[str] = []
    first = deploy(counting, admin, manifest=manifest, report=steps.append)
    assert counting.sent == STEPS
    assert steps[:2] == ["deploy the factory", "deploy Authority"]
    assert len(steps) == STEPS - 1 + CALLS
    assert first.complete
    assert first == Deployment.load(manifest)
    assert list(first.contracts) == list(CONTRACTS)
    assert first.first_block == first.begun < first.contracts["Authority"].block
    assert (first.admin, first.deployer) == (admin.address, admin.address)
    verify(counting, first)
    assert [path.name for path in manifest.parent.iterdir()] == ["suite.json"]

    written = manifest.stat().st_mtime_ns
    assert deploy(counting, admin, manifest=manifest, admin=admin.address, report=steps.append) == first
    # And nobody else can make it do anything either.
    assert deploy(counting, stranger, manifest=manifest, report=steps.append) == first
    assert (counting.sent, len(steps)) == (STEPS, STEPS - 1 + CALLS)
    assert manifest.stat().st_mtime_ns == written

    assert roles_of(counting, first, admin.address) == ALL_ROLES
    assert roles_of(counting, first, stranger.address) == set()
    authority = authority_of(counting, first)
    for role in ROLES:
        for signature in role.functions:
            selector = function_signature_to_4byte_selector(signature)
            target = first.address(role.contract)
            number = counting.call(authority, "getTargetFunctionRole", (target, selector))
            assert number == role.number
    suite = MedProof(counting, first, sender=stranger)
    with pytest.raises(AccessManagedUnauthorized) as caught:
        suite.registrar.suspend(admin.address)
    assert caught.value.caller == stranger.address
    with pytest.raises(AccessManagedUnauthorized):
        suite.consent_registry.publish_terms(CREDENTIAL)
    with pytest.raises(AccessManagedUnauthorized):
        suite.registrar.start_recovery(admin.address, funded(13).address)
    with pytest.raises(AccessManagerUnauthorizedAccount):
        counting.transact(authority, "grantRole", (1, stranger.address, 0), sender=stranger)
    suite = MedProof(counting, first, sender=admin)
    suite.registrar.accredit(funded(14).address, PartyKind.PAYER, credential=CREDENTIAL, valid_until=far_day)
    assert suite.consent_registry.publish_terms(CREDENTIAL) == 1


def test_the_plan_is_what_comes_of_it(counting: Counting, admin: LocalSigner, manifest: Path) -> None:
    planned = plan(counting, admin, manifest=manifest)
    assert (counting.sent, manifest.exists()) == (0, False)
    assert (planned.transactions, planned.warnings, planned.left, planned.adopted) == (STEPS, (), (), ())
    assert (planned.deployer, planned.admin, planned.at_once) == (admin.address, admin.address, False)
    before = counting.block_number()
    made = deploy(counting, admin, manifest=manifest, salt=planned.salt)
    assert made.factory is not None
    assert planned.factory.address == made.factory.address
    assert [(one.name, one.address) for one in planned.contracts] == [(name, made.address(name)) for name in CONTRACTS]
    assert planned.addresses == {name: made.address(name) for name in CONTRACTS}
    used = [int(block["gasUsed"], 16) for block in blocks(counting, before)]
    meant = [planned.factory.gas, *(one.gas for one in planned.contracts), planned.calls_gas]
    assert all(real <= one < 2 * real for real, one in zip(used, meant, strict=True))
    assert planned.gas == sum(meant)
    assert planned.cost == planned.gas * planned.price
    again = plan(counting, admin, manifest=manifest)
    assert (again.contracts, again.calls, again.left, again.gas, again.transactions) == ((), (), (), 0, 0)
    assert again.addresses == planned.addresses


def blocks(chain: Chain, after: int) -> list[dict[str, Any]]:
    return chain.ask([("eth_getBlockByNumber", [hex(n), False]) for n in range(after + 1, chain.block_number() + 1)])


def test_a_plan_is_refused_where_the_deployment_would_be(counting: Counting, recorded: Path) -> None:
    with pytest.raises(DeploymentError, match="checksummed"):
        plan(counting, funded(3), manifest=recorded.with_name("other.json"), admin="0x1234")
    with pytest.raises(DeploymentError, match="overwrite"):
        plan(counting, funded(3), manifest=recorded, admin=funded(3).address)


def test_the_same_salt_gives_the_same_addresses_on_every_chain(
    counting: Counting, admin: LocalSigner, stranger: LocalSigner, manifest: Path, tmp_path: Path
) -> None:
    """With the same factory, deployer and build; whoever administers in the end does not matter."""
    first = deploy(counting, admin, manifest=manifest, salt=SALT)
    assert first.factory is not None
    with LocalChain(options={"chain": {"chainId": 99, "vmErrorsOnRPCResponse": False}}) as other:
        chain = connected(other.url)
        chain.ask([("evm_setAccountCode", [first.factory.address, "0x" + counting.code(first.factory.address).hex()])])
        there = {"factory": first.factory.address, "salt": SALT.upper().replace("X", "x")}
        planned = plan(chain, admin, manifest=tmp_path / "99.json", admin=stranger.address, **there)
        assert planned.addresses == {name: first.address(name) for name in CONTRACTS}
        assert planned.factory.gas == 0
        other_deployer = plan(chain, stranger, manifest=tmp_path / "99.json", **there)
        for name in ("Authority", "Registrar", "Studies"):  # Delegations know nobody, and are everybody's
            assert other_deployer.addresses[name] != planned.addresses[name]


def test_killed_at_every_point(
    counting: Counting, admin: LocalSigner, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before and after every record, signature, sending and confirmation, once each: nothing is sent twice."""
    whole = tmp_path / "whole.json"
    deploy(counting, admin, manifest=whole)
    counting.sent = 0
    met: set[tuple[str, int]] = set()
    save = Deployment.save

    def kill(at: str) -> None:
        here = (at, counting.sent)
        if here not in met:
            met.add(here)
            raise InterruptedError

    def saving(state: Deployment, path: Path | str) -> None:
        kill("before the manifest is written")
        save(state, path)
        kill("after it is written")

    monkeypatch.setattr(Deployment, "save", saving)
    monkeypatch.setattr(counting, "hook", kill)
    for _ in range(20 * STEPS):
        try:
            finished = deploy(counting, admin, manifest=manifest)
            break
        except InterruptedError:
            assert not manifest.exists() or not Deployment.load(manifest).complete or counting.sent == STEPS
    monkeypatch.undo()
    assert len(met) > 6 * STEPS
    assert counting.sent == STEPS
    assert finished.complete
    assert shape(manifest) == shape(whole)
    verify(counting, finished)
    assert roles_of(counting, finished, admin.address) == ALL_ROLES
    assert deploy(counting, admin, manifest=manifest) == finished
    assert counting.sent == STEPS


CHILD = """
import sys
from medproof.chain import Chain
from medproof.deployments import deploy
from tests.sdk.conftest import funded
url, manifest = sys.argv[1:]
chain = Chain.connect(url, poll=0.005)
deploy(chain, funded(8), manifest=manifest, report=lambda step: print(step, flush=True))
"""


def test_killed_hard(node: LocalChain, counting: Counting, stranger: LocalSigner, manifest: Path) -> None:
    before = counting.transaction_count(stranger.address)
    for at in ("deploy RecordPointers\n", "label role TERMS\n"):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, node.url, str(manifest)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        for step in child.stdout:
            if step == at:
                break
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
    begun = Deployment.load(manifest)
    planned = plan(counting, stranger, manifest=manifest)
    finished = deploy(counting, stranger, manifest=manifest)
    assert finished.complete
    assert planned.addresses == {name: finished.address(name) for name in CONTRACTS}
    assert finished.address("Registrar") == begun.address("Registrar")
    assert counting.transaction_count(stranger.address) - before == STEPS
    assert [path.name for path in manifest.parent.iterdir()] == ["suite.json"]


def test_failed_creation_is_repeated(counting: Counting, admin: LocalSigner, manifest: Path) -> None:
    class Stingy(Counting):
        def send(self, transaction: Mapping[str, Any], *, sender: Sender, **options: Any) -> str:
            return super().send({**transaction, "gas": 1_000_000}, sender=sender, **options)

    stingy = Stingy.connect(str(counting.web3.provider.endpoint_uri), poll=0.005)  # type: ignore[union-attr]
    with pytest.raises(MedProofError):
        deploy(stingy, admin, manifest=manifest)
    assert not Deployment.load(manifest).contracts
    assert plan(counting, admin, manifest=manifest).transactions == STEPS - 1  # the factory stands
    begun = Deployment.load(manifest)
    lost = {"Authority": Deployed((admin.address,), "0x" + "12" * 32)}  # a transaction that the node forgot
    dataclasses.replace(begun, contracts=lost).save(manifest)
    assert deploy(counting, admin, manifest=manifest).complete


# -- what is refused --------------------------------------------------------------------------------------------


def refused(chain: Counting, sender: LocalSigner, manifest: Path, match: str, **options: Any) -> None:
    before = manifest.read_bytes()
    with pytest.raises(DeploymentError, match=match):
        deploy(chain, sender, manifest=manifest, **options)
    assert chain.sent == 0
    assert manifest.read_bytes() == before


def test_manifest_of_another_chain(counting: Counting, admin: LocalSigner, recorded: Path) -> None:
    dataclasses.replace(Deployment.load(recorded), chain_id=5).save(recorded)
    refused(counting, admin, recorded, "on chain 5, but the node serves chain 1337")


def test_manifest_of_another(counting: Counting, admin: LocalSigner, stranger: LocalSigner, recorded: Path) -> None:
    refused(counting, stranger, recorded, "whose admin is", admin=stranger.address)
    refused(counting, admin, recorded, "whose delay is 0, not 60", delay=60)
    refused(counting, admin, recorded, "keeps a deployment with the salt", salt=SALT)
    refused(counting, admin, recorded, "through the factory 0x", factory=stranger.address)
    dataclasses.replace(Deployment.load(recorded), handed_over=False).save(recorded)
    refused(counting, stranger, recorded, f"{admin.address} began")
    refused(counting, stranger, recorded, f"{admin.address} began", admin=admin.address)


def test_reset_chain(deployment: Deployment, admin: LocalSigner, manifest: Path) -> None:
    deployment.save(manifest)
    with LocalChain() as other:
        fresh = connected(other.url)
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


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"salt": "0x12"}, "salt '0x12' is none"),
        ({"salt": "zz" * 33}, "is none"),
        ({"delay": -1}, "delay -1 is none"),
        ({"delay": 1 << 32}, "is none"),
        ({"factory": "0x1234"}, "no checksummed address"),
        ({"factory": funded(17).address}, "There is no factory at"),
    ],
)
def test_options_that_cannot_be(
    counting: Counting, admin: LocalSigner, manifest: Path, options: dict[str, Any], match: str
) -> None:
    with pytest.raises(DeploymentError, match=match):
        deploy(counting, admin, manifest=manifest, **options)
    assert (counting.sent, manifest.exists()) == (0, False)


def test_overwriting_a_corrupt_manifest(counting: Counting, admin: LocalSigner, manifest: Path) -> None:
    manifest.parent.mkdir()
    manifest.write_text("{")
    assert deploy(counting, admin, manifest=manifest, overwrite=True) == Deployment.load(manifest)


def test_nothing_is_sent_that_cannot_be_recorded(counting: Counting, admin: LocalSigner, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DeploymentError, match="cannot be written"):
        deploy(counting, admin, manifest=tmp_path / "file" / "suite.json")
    assert counting.sent == 0

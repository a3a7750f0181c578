"""Whoever is quicker, lies, or alters the manifest: it is adopted, refused or seen, and nobody gets rights by it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rlp
from eth_account import Account
from eth_utils.crypto import keccak

from medproof.artifacts import CONTRACTS
from medproof.chain import Chain, Event
from medproof.deployments import (
    ADMIN_ROLE,
    FACTORY,
    Deployment,
    contract_address,
    create2_address,
    deploy,
    new_salt,
    plan,
    verify,
)
from medproof.deployments.factory import CREATION
from medproof.deployments.planning import creations
from medproof.errors import DeploymentError, UnknownRevertError
from medproof.examination import State, examine_deployment
from medproof.signing import LocalSigner
from scripts.local_chain import LocalChain
from tests.sdk.conftest import rpc
from tests.sdk.deployments.conftest import ALL_ROLES, STEPS, Counting, authority_of, connected, roles_of

CODE = CREATION[-2 * 69 :]
# The transaction that github.com/Arachnid/deterministic-deployment-proxy publishes, for no chain in particular.
RAW = "f8a58085174876e800830186a08080b853" + CREATION[2:] + "1ba0" + "22" * 32 + "a0" + "22" * 32


@pytest.fixture
def factory(counting: Counting) -> str:
    """The factory, where it stands on most chains."""
    rpc(counting, "evm_setAccountCode", FACTORY, "0x" + CODE)
    return FACTORY


@pytest.mark.parametrize(
    ("deployer", "salt", "code", "address"),
    [  # EIP-1014
        ("00" * 20, "00" * 32, "00", "0x4D1A2e2bB4F88F0250f26Ffff098B0b30B26BF38"),
        ("deadbeef" + "00" * 16, "00" * 32, "00", "0xB928f69Bb1D91Cd65274e3c79d8986362984fDA3"),
        ("deadbeef" + "00" * 16, "00" * 12 + "feed" + "00" * 18, "00", "0xD04116cDd17beBE565EB2422F2497E06cC1C9833"),
        ("00" * 16 + "deadbeef", "00" * 28 + "cafebabe", "deadbeef", "0x60f3f640a8508fC6a86d45DF051962668E1e8AC7"),
        ("00" * 20, "00" * 32, "", "0xE33C0C7F7df4809055C3ebA6c09CFe4BaF1BD9e0"),
    ],
)
def test_create2_addresses_of_the_standard(deployer: str, salt: str, code: str, address: str) -> None:
    assert create2_address("0x" + deployer, "0x" + salt, bytes.fromhex(code)) == address


def test_the_factory_is_the_one_that_everybody_knows() -> None:
    """Its address follows from the transaction that it was published with, and its code's hash is the known one."""
    assert contract_address(Account.recover_transaction("0x" + RAW), 0) == FACTORY
    assert rlp.decode(bytes.fromhex(RAW))[5].hex() == CREATION[2:]
    assert keccak(hexstr=CODE).hex() == "2fa86add0aed31f33a762c9d88e807c475bd51d0f52bd0955754b2608f7e4989"


def test_the_factory_that_stands_is_taken(counting: Counting, admin: LocalSigner, manifest: Path, factory: str) -> None:
    planned = plan(counting, admin, manifest=manifest)
    assert (planned.factory.address, planned.factory.gas, planned.transactions) == (FACTORY, 0, STEPS - 1)
    made = deploy(counting, admin, manifest=manifest, salt=planned.salt)
    assert counting.sent == STEPS - 1
    assert {name: made.address(name) for name in CONTRACTS} == planned.addresses
    assert made.factory is not None
    assert (made.factory.address, made.factory.transaction) == (FACTORY, "")
    assert Deployment.load(manifest) == made


def test_other_code_at_the_factorys_address_is_refused(
    counting: Counting, admin: LocalSigner, manifest: Path, deployment: Deployment
) -> None:
    rpc(counting, "evm_setAccountCode", FACTORY, "0x" + CODE[:-2] + "f4")
    with pytest.raises(DeploymentError, match="is not the deterministic deployment proxy's"):
        deploy(counting, admin, manifest=manifest)
    assert deployment.factory is not None
    with pytest.raises(DeploymentError, match="is not the deterministic deployment proxy's"):
        plan(counting, admin, manifest=manifest, factory=deployment.address("Devices"))
    assert (counting.sent, manifest.exists()) == (0, False)
    assert plan(counting, admin, manifest=manifest, factory=deployment.factory.address).factory.gas == 0


def front_run(chain: Chain, state: Deployment, name: str, sender: LocalSigner) -> None:
    """Send what creates a contract of a deployment that somebody else is about to make."""
    [code] = [one.code for one in creations(chain, state, FACTORY) if one.name == name]
    chain.wait(chain.send({"to": FACTORY, "data": state.salt + code.hex()}, sender=sender))


def test_whoever_is_quicker_with_the_same_gains_nothing(
    counting: Counting, admin: LocalSigner, stranger: LocalSigner, manifest: Path, factory: str, monkeypatch: Any
) -> None:
    """Before it is planned, after, and between our estimate and our transaction."""
    salt = new_salt()
    planned = plan(counting, admin, manifest=manifest, salt=salt)
    where = {"salt": salt, "admin": admin.address}
    state = Deployment(counting.chain_id, admin.address, deployer=admin.address, salt=salt)
    front_run(counting, state, "Authority", stranger)
    stood = counting.block_number()
    rpc(counting, "evm_mine")
    adopted = plan(counting, admin, manifest=manifest, **where)
    assert adopted.adopted == ("Authority",)
    assert adopted.addresses == planned.addresses

    real = Counting.hook

    def race(at: str) -> None:
        if at == "signed, and not recorded" and not counting.code(planned.addresses["Delegations"]):
            front_run(quick, state, "Delegations", stranger)  # while we sign for the Registrar
        if at == "signed, and not recorded" and not counting.code(planned.addresses["Registrar"]):
            front_run(quick, state, "Registrar", stranger)
        real(counting, at)

    quick = connected(str(counting.web3.provider.endpoint_uri))  # type: ignore[union-attr]
    monkeypatch.setattr(counting, "hook", race)
    made = deploy(counting, admin, manifest=manifest, **where)
    assert made.complete
    assert {name: made.address(name) for name in CONTRACTS} == planned.addresses
    entry = made.contracts["Authority"]
    assert (entry.transaction, entry.block, entry.gas_used) == ("", stood, 0)
    assert made.contracts["Registrar"].transaction == "" == made.contracts["Delegations"].transaction
    assert made.first_block <= stood
    assert Deployment.load(manifest) == made
    assert roles_of(counting, made, stranger.address) == set()
    assert roles_of(counting, made, admin.address) == ALL_ROLES
    verify(counting, made)


def test_a_suite_that_was_handed_over_is_not_ours_again(
    counting: Counting, admin: LocalSigner, stranger: LocalSigner, manifest: Path, factory: str
) -> None:
    """The same salt and deployer, and no manifest: what stands is found, and whoever administers it stays."""
    made = deploy(counting, admin, manifest=manifest)
    authority = authority_of(counting, made)
    counting.transact(authority, "grantRole", (ADMIN_ROLE, stranger.address, 0), sender=admin)
    counting.transact(authority, "renounceRole", (ADMIN_ROLE, admin.address), sender=admin)
    counting.sent, again = 0, manifest.with_name("again.json")
    with pytest.raises(DeploymentError, match=f"not to {admin.address}: {stranger.address} administers it"):
        deploy(counting, admin, manifest=again, salt=made.salt)
    with pytest.raises(DeploymentError, match="was handed over already"):
        plan(counting, admin, manifest=again, salt=made.salt)
    found = deploy(counting, admin, manifest=again, salt=made.salt, admin=stranger.address, overwrite=True)
    assert counting.sent == 0
    assert found.complete
    assert found.first_block == found.contracts["Authority"].block == made.contracts["Authority"].block
    assert {name: found.address(name) for name in CONTRACTS} == {name: made.address(name) for name in CONTRACTS}


def test_what_a_reorganisation_took_back_is_deployed_again(
    counting: Counting, admin: LocalSigner, manifest: Path, factory: str, monkeypatch: Any
) -> None:
    """At the same addresses, and the first block is below all of it."""
    below = None

    def stop(at: str) -> None:
        nonlocal below
        if at == "before it is sent" and counting.sent == 3:
            below = rpc(counting, "evm_snapshot")
        if at == "before it is sent" and counting.sent == STEPS - 2:  # all contracts stand
            raise InterruptedError

    monkeypatch.setattr(counting, "hook", stop)
    with pytest.raises(InterruptedError):
        deploy(counting, admin, manifest=manifest)
    monkeypatch.undo()
    begun = Deployment.load(manifest)
    assert all(begun.has(name) for name in CONTRACTS)
    rpc(counting, "evm_revert", below)
    planned = plan(counting, admin, manifest=manifest)
    assert [one.name for one in planned.contracts] == list(CONTRACTS[3:])
    made = deploy(counting, admin, manifest=manifest)
    assert made.complete
    verify(counting, made)
    assert {name: made.address(name) for name in CONTRACTS} == {name: begun.address(name) for name in CONTRACTS}
    assert made.first_block <= min(entry.block for entry in made.contracts.values())
    # Below the block that it began with is another chain: nothing is sent into it.
    forged = dataclasses.replace(made, begun_hash="0x" + "12" * 32)
    rpc(counting, "evm_setAccountCode", made.address("Devices"), "0x")
    forged.save(manifest)
    with pytest.raises(DeploymentError, match="the chain was reset"):
        deploy(counting, admin, manifest=manifest)


def test_a_manifest_that_names_another_suites_contract(
    counting: Counting, admin: LocalSigner, manifest: Path, deployment: Deployment, factory: str
) -> None:
    """The right build, wired to others: what is deployed with it would be lost to them."""
    foreign = deploy(counting, admin, manifest=manifest)
    entries = deployment.contracts | {"Registrar": foreign.contracts["Registrar"]}
    del entries["Incentives"]
    mixed = dataclasses.replace(deployment, contracts=entries)
    mixed.save(manifest)
    counting.sent = 0
    with pytest.raises(DeploymentError, match="works with the Authority at"):
        deploy(counting, admin, manifest=manifest)
    with pytest.raises(DeploymentError, match="works with the Authority at"):
        plan(counting, admin, manifest=manifest)
    assert counting.sent == 0


class Lying(Chain):
    """A node that hides some events."""

    hidden: tuple[str, str] = ("", "")

    def all_events(self, contracts: Any, **options: Any) -> Iterator[Event]:
        for event in super().all_events(contracts, **options):
            if (event.name, event.arguments.get("account")) != self.hidden:
                yield event


def test_a_node_whose_events_and_state_disagree_is_not_believed(
    node: LocalChain, counting: Counting, admin: LocalSigner, deployment: Deployment, stranger: LocalSigner
) -> None:
    authority = authority_of(counting, deployment)
    for _ in range(2):  # granted, taken away, granted
        counting.transact(authority, "grantRole", (3, stranger.address, 0), sender=admin)
        counting.transact(authority, "revokeRole", (3, stranger.address), sender=admin)
    lying = Lying.connect(node.url)
    assert isinstance(lying, Lying)
    honest = {one.what: one for one in examine_deployment(lying, deployment)}
    assert honest["role TERMS"].state is State.GOOD
    lying.hidden = ("RoleRevoked", stranger.address)
    seen = {one.what: one for one in examine_deployment(lying, deployment)}["role TERMS"]
    assert (seen.state, "disagree" in seen.said, stranger.address in seen.said) == (State.BAD, True, True)
    lying.hidden = ("RoleGranted", admin.address)
    assert {one.what: one for one in examine_deployment(lying, deployment)}["role ADMIN"].state is State.BAD


def test_rights_that_nobody_knows_of_are_seen(
    counting: Counting, admin: LocalSigner, deployment: Deployment, stranger: LocalSigner
) -> None:
    """A role of another number, a function of another contract, an admin of a role, a closed contract."""
    authority, registrar = authority_of(counting, deployment), deployment.address("Registrar")
    for function, arguments in (
        ("grantRole", (77, stranger.address, 0)),
        ("setTargetFunctionRole", (deployment.address("Authority"), [b"\x12\x34\x56\x78"], 77)),
        ("setRoleAdmin", (1, 77)),
        ("setRoleGuardian", (2, 77)),
        ("setGrantDelay", (4, 100)),
        ("setTargetClosed", (deployment.address("Studies"), True)),
        ("setTargetAdminDelay", (registrar, 100)),
    ):
        counting.transact(authority, function, arguments, sender=admin)
    rpc(counting, "evm_increaseTime", 6 * 24 * 3600)  # the Authority's least setback is five days
    rpc(counting, "evm_mine")
    counting.transact(authority, "grantRole", (4, stranger.address, 0), sender=admin)  # counts in 100 s
    found = {one.what: one for one in examine_deployment(counting, deployment)}
    assert found["role 77"].said == stranger.address
    assert found["functions"].said == "not as deployed: 0x12345678 of Authority, Studies is closed"
    for said in (
        "role ACCREDITATION is granted by role 77",
        "what role RECOVERY announces may be cancelled by role 77",
        "role EMERGENCY counts 100 s after it is granted",
        "Registrar is set anew 100 s after it is announced",
    ):
        assert said in found["delays"].said
    assert found["role EMERGENCY"].said == admin.address
    assert found["delays"].state is State.DOUBTFUL


def test_gas_is_not_spent_on_a_factory_that_refuses(counting: Counting, admin: LocalSigner, factory: str) -> None:
    """The proxy refuses what cannot be created; the estimate shows it before anything is sent."""
    with pytest.raises(UnknownRevertError):
        counting.send({"to": factory, "data": "0x" + "00" * 32 + "fe"}, sender=admin)
    assert counting.sent == 0

"""Deploying the suite and knowing where it stands: the manifest, and the steps that write it.

A deployment is a list of steps. Each looks at the chain and at the manifest before it acts, and the manifest is
written, whole or not at all, as soon as a transaction is sent and again when it counts. Whatever interrupts it,
deploying again goes on where it stopped.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from eth_utils.abi import function_signature_to_4byte_selector
from eth_utils.address import is_checksum_address

from medproof.artifacts import CONTRACTS, artifact
from medproof.chain import Chain, Sender
from medproof.errors import DeploymentError

__all__ = ["ROLES", "Deployed", "Deployment", "Role", "deploy", "verify"]

_ADMIN_ROLE = 0  # AccessManager's own


@dataclass(frozen=True)
class Role:
    """A role in the Authority: who has it may call these functions."""

    number: int
    label: str
    contract: str
    functions: tuple[str, ...]  # signatures


ROLES: tuple[Role, ...] = (
    Role(
        1,
        "ACCREDITATION",
        "Registrar",
        (
            "accredit(address,uint8,bytes32,uint16)",
            "renew(address,bytes32,uint16)",
            "suspend(address)",
            "reinstate(address)",
            "remove(address)",
            "createGroup(string)",
            "joinGroup(uint16,address)",
            "leaveGroup(uint16,address)",
        ),
    ),
    Role(2, "RECOVERY", "Registrar", ("startRecovery(address,address)", "cancelRecovery(address)")),
    Role(3, "TERMS", "ConsentRegistry", ("publishTerms(bytes32)",)),
)


@dataclass(frozen=True)
class Deployed:
    """One contract of a deployment."""

    arguments: tuple[str, ...]  # the constructor's
    transaction: str  # the hash, 0x…; empty before it is sent
    address: str = ""  # empty until the transaction counts
    block: int = 0
    gas_used: int = 0
    code_hash: str = ""  # keccak-256 of the code with immutables blanked, 0x…


@dataclass(frozen=True)
class Deployment:
    """Where the suite stands on one chain."""

    chain_id: int
    admin: str  # who has the Authority's admin role
    contracts: dict[str, Deployed] = field(default_factory=dict)
    compiler: dict[str, Any] = field(default_factory=dict)
    roles: bool = False  # whether the roles are set and the admin's role handed over

    @property
    def complete(self) -> bool:
        """Whether every step is done."""
        return self.roles and all(self.contracts.get(name, Deployed((), "")).address for name in CONTRACTS)

    @property
    def first_block(self) -> int:
        """The block of its first contract: nothing of it is older."""
        return min((entry.block for entry in self.contracts.values() if entry.address), default=0)

    def address(self, name: str) -> str:
        """The address of a contract.

        Raises:
            DeploymentError: the contract is not deployed yet.
        """
        entry = self.contracts.get(name)
        if entry is None or not entry.address:
            raise DeploymentError(f"{name} is not deployed on chain {self.chain_id} yet. Deploy again: it goes on.")
        return entry.address

    @classmethod
    def load(cls, path: Path | str) -> Deployment:
        """Read a manifest.

        Raises:
            DeploymentError: no such file, or it is no manifest.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            entries = {
                name: Deployed(**{**entry, "arguments": tuple(entry["arguments"])})
                for name, entry in content.pop("contracts").items()
            }
            deployment = cls(**content, contracts=entries)
        except OSError as error:
            raise DeploymentError(f"The manifest {path} cannot be read. Deploy first, or name another.") from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DeploymentError(f"{path} is no manifest of a deployment. Name the file that deploy wrote.") from error
        for name, entry in entries.items():
            if entry.address and not is_checksum_address(entry.address):
                raise DeploymentError(f"{path}: the address of {name}, {entry.address!r}, is none. Restore the file.")
        return deployment

    def save(self, path: Path | str) -> None:
        """Write the manifest: whole, or not at all."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(asdict(self), file, indent=2)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def deploy(
    chain: Chain,
    sender: Sender,
    *,
    manifest: Path | str,
    admin: str | None = None,
    overwrite: bool = False,
    report: Callable[[str], None] = lambda step: None,
) -> Deployment:
    """Deploy the suite, or go on with a deployment that was interrupted. Doing it again does nothing.

    Args:
        chain: where to.
        sender: who pays; it has no rights left at the end unless it is the admin.
        manifest: the file that keeps the record.
        admin: who gets the Authority's admin role and every role of `ROLES`; the sender where none is named.
        overwrite: whether a manifest of another deployment may be replaced.
        report: called with one line for each step as it begins.

    Raises:
        DeploymentError: the manifest belongs to another chain or admin, or to contracts that are not there.
    """
    state = _resume(chain, Path(manifest), admin or sender.address, overwrite)
    for name in CONTRACTS:
        if not state.contracts.get(name, Deployed((), "")).address:
            report(f"deploy {name}")
            state = _deploy_contract(chain, sender, state, name, Path(manifest))
    if not state.roles:
        for step, act in _role_steps(chain, sender, state):
            report(step)
            act()
        state = replace(state, roles=True)
        state.save(manifest)
    return state


def verify(chain: Chain, deployment: Deployment) -> None:
    """Check that a deployment is on the chain and is this package's build.

    Raises:
        DeploymentError: another chain, a contract that is missing, or other code at its address.
    """
    if deployment.chain_id != chain.chain_id:
        raise DeploymentError(
            f"The manifest is of chain {deployment.chain_id}, but the node serves chain {chain.chain_id}. "
            "Name the manifest of this chain."
        )
    for name in CONTRACTS:
        address = deployment.address(name)
        code = chain.code(address)
        if not code:
            raise DeploymentError(
                f"There is no contract at {address}, where the manifest has {name}. The chain may have been reset: "
                "deploy again and overwrite the manifest."
            )
        if artifact(name).code_hash(code) != artifact(name).expected_code_hash:
            raise DeploymentError(
                f"The code at {address} is not this build of {name}. Use the package's version that deployed it."
            )


def _resume(chain: Chain, manifest: Path, admin: str, overwrite: bool) -> Deployment:
    fresh = Deployment(chain.chain_id, admin, compiler=dict(artifact("Registrar").compiler))
    if overwrite or not manifest.exists():
        return fresh
    state = Deployment.load(manifest)
    if state.chain_id != chain.chain_id:
        raise DeploymentError(
            f"{manifest} keeps a deployment on chain {state.chain_id}, but the node serves chain {chain.chain_id}. "
            "Name another manifest, or say that this one may be overwritten."
        )
    if state.admin != admin:
        raise DeploymentError(
            f"{manifest} keeps a deployment whose admin is {state.admin}, not {admin}. "
            "Name another manifest, or say that this one may be overwritten."
        )
    for name, entry in state.contracts.items():
        if entry.address and artifact(name).code_hash(chain.code(entry.address)) != artifact(name).expected_code_hash:
            raise DeploymentError(
                f"{manifest} keeps {name} at {entry.address}, but this build is not there: the chain was reset, or "
                "another version deployed it. Name another manifest, or say that this one may be overwritten."
            )
    return state


def _arguments(name: str, state: Deployment, sender: Sender) -> tuple[str, ...]:
    """The constructor's arguments. The sender administers until the roles are set, and then hands over."""
    if name == "Authority":
        return (sender.address,)
    neighbours = {"Registrar": ("Authority",), "ConsentRegistry": ("Authority", "Registrar")}
    return tuple(state.address(neighbour) for neighbour in neighbours.get(name, ("Registrar",)))


def _deploy_contract(chain: Chain, sender: Sender, state: Deployment, name: str, manifest: Path) -> Deployment:
    build = artifact(name)

    def record(entry: Deployed) -> Deployment:
        changed = replace(state, contracts={**state.contracts, name: entry})
        changed.save(manifest)
        return changed

    entry = state.contracts.get(name)
    if entry is None or not chain.knows(entry.transaction):
        arguments = _arguments(name, state, sender)
        creation = chain.creation(build.bytecode, build.abi, arguments)
        entry = Deployed(arguments, chain.send(creation, sender=sender))
        record(entry)
    receipt = chain.wait(entry.transaction)
    if receipt.contract is None:
        raise DeploymentError(f"Transaction {entry.transaction} created no contract. Remove {name} from {manifest}.")
    return record(
        replace(
            entry,
            address=receipt.contract,
            block=receipt.block,
            gas_used=receipt.gas_used,
            code_hash=build.code_hash(chain.code(receipt.contract)),
        )
    )


def _role_steps(chain: Chain, sender: Sender, state: Deployment) -> Iterator[tuple[str, Callable[[], Any]]]:
    """What is missing for the roles to stand and the admin to have them; looked up as it goes."""
    authority = chain.contract(state.address("Authority"), artifact("Authority").abi)

    def act(function: str, *arguments: Any) -> Callable[[], Any]:
        return lambda: chain.transact(authority, function, arguments, sender=sender)

    def ask(function: str, *arguments: Any) -> Any:
        return chain.call(authority, function, arguments)

    for role in ROLES:
        target = state.address(role.contract)
        selectors = [function_signature_to_4byte_selector(signature) for signature in role.functions]
        missing = [s for s in selectors if ask("getTargetFunctionRole", target, s) != role.number]
        if missing:
            yield (
                f"let role {role.label} call {role.contract}",
                act("setTargetFunctionRole", target, missing, role.number),
            )
            yield f"label role {role.label}", act("labelRole", role.number, role.label)
        if not ask("hasRole", role.number, state.admin)[0]:
            yield f"grant role {role.label} to {state.admin}", act("grantRole", role.number, state.admin, 0)
    if state.admin != sender.address:
        if not ask("hasRole", _ADMIN_ROLE, state.admin)[0]:
            yield f"make {state.admin} the admin", act("grantRole", _ADMIN_ROLE, state.admin, 0)
        yield "give up the deployer's rights", act("renounceRole", _ADMIN_ROLE, sender.address)

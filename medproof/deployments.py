"""Deploying the suite and knowing where it stands: the manifest, and the steps that write it.

A deployment is a list of steps. Each looks at the chain and at the manifest before it acts, and the manifest is
written, whole or not at all, as soon as a transaction is sent and again when it counts. Whatever interrupts it,
deploying again goes on where it stopped.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import rlp
from eth_utils.abi import function_signature_to_4byte_selector
from eth_utils.address import is_checksum_address, to_canonical_address, to_checksum_address
from eth_utils.crypto import keccak

from medproof.artifacts import CONTRACTS, artifact
from medproof.chain import Chain, Sender
from medproof.errors import ContractError, DeploymentError, TransactionFailedError, UnknownRevertError

__all__ = [
    "ADMIN_ROLE",
    "ROLES",
    "Deployed",
    "Deployment",
    "Planned",
    "Role",
    "contract_address",
    "deploy",
    "plan",
    "verify",
]

ADMIN_ROLE = 0
"""The number of AccessManager's own role, whose holders grant all others."""
_NEIGHBOURS = {  # whom each contract knows: the function that names it, and its name
    "Authority": (),
    "Registrar": (("authority", "Authority"),),
    "Delegations": (),
    "ConsentRegistry": (("authority", "Authority"), ("registrar", "Registrar"), ("delegations", "Delegations")),
    "RecordPointers": (("registrar", "Registrar"),),
    "Prescriptions": (("registrar", "Registrar"),),
    "ClaimAnchor": (("registrar", "Registrar"), ("prescriptions", "Prescriptions")),
    "BatchAnchor": (("registrar", "Registrar"),),
    "AccessLog": (("registrar", "Registrar"), ("batchAnchor", "BatchAnchor")),
    "Devices": (("delegations", "Delegations"),),
    "Studies": (
        ("authority", "Authority"),
        ("registrar", "Registrar"),
        ("delegations", "Delegations"),
        ("consentRegistry", "ConsentRegistry"),
    ),
    "Incentives": (("registrar", "Registrar"), ("delegations", "Delegations"), ("studies", "Studies")),
}
_HASH = re.compile("0x[0-9a-f]{64}")
_LAST_GROUP = (1 << 16) - 1  # addresses up to here stand for groups, or for nobody


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
    Role(4, "EMERGENCY", "ConsentRegistry", ("setBreakGlassLimits(uint16,uint16)",)),
    Role(5, "ETHICS", "Studies", ("withdrawApproval(bytes32)",)),
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

    def without(self, name: str) -> Deployment:
        """The deployment with a contract still to be deployed."""
        return replace(self, contracts={key: entry for key, entry in self.contracts.items() if key != name})

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
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise DeploymentError(f"{path} is no manifest of a deployment. Name the file that deploy wrote.") from error
        for what, value in _doubtful(deployment):
            raise DeploymentError(f"{path}: {what} cannot be {value!r}. Restore the file that deploy wrote.")
        return deployment

    def save(self, path: Path | str) -> None:
        """Write the manifest: whole, or not at all.

        Raises:
            DeploymentError: it cannot be written.
        """
        target = Path(path)
        draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with draft.open("x", encoding="utf-8") as file:
                json.dump(asdict(self), file, indent=2)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            draft.replace(target)
        except OSError as error:
            raise DeploymentError(
                f"The manifest {path} cannot be written ({error.strerror}). Name a place that can be written to."
            ) from error
        finally:
            with contextlib.suppress(OSError):  # not there, or not even its folder
                draft.unlink()


def _doubtful(deployment: Deployment) -> Iterator[tuple[str, object]]:
    """What in a manifest deploy cannot have written, and its value."""
    if type(deployment.chain_id) is not int:
        yield "chain_id", deployment.chain_id
    if not is_checksum_address(deployment.admin):
        yield "admin", deployment.admin
    if type(deployment.roles) is not bool:
        yield "roles", deployment.roles
    if not isinstance(deployment.compiler, dict):
        yield "compiler", deployment.compiler
    for name, entry in deployment.contracts.items():
        if name not in CONTRACTS:
            yield "a contract", name
        if entry.address and not is_checksum_address(entry.address):
            yield f"the address of {name}", entry.address
        if not isinstance(entry.transaction, str) or not _HASH.fullmatch(entry.transaction):
            yield f"the transaction of {name}", entry.transaction
        for number in (entry.block, entry.gas_used):
            if type(number) is not int or number < 0:
                yield f"a number of {name}", number
        for argument in entry.arguments:
            if not is_checksum_address(argument):
                yield f"an argument of {name}", argument


@dataclass(frozen=True)
class Planned:
    """A contract that is to be deployed."""

    name: str
    address: str  # that results, if the sender sends nothing else before
    gas: int  # that its creation may take, with a margin


def plan(
    chain: Chain, sender: Sender, *, manifest: Path | str, admin: str | None = None, overwrite: bool = False
) -> tuple[Planned, ...]:
    """What `deploy` would create now, in order; the transactions that set the roles come after it.

    Args and errors are those of `deploy`; nothing is sent or written.
    """
    state = _resume(chain, Path(manifest), sender.address, _account(admin or sender.address), overwrite)
    nonce = chain.transaction_count(sender.address)
    planned: list[Planned] = []
    for name in CONTRACTS:
        entry = state.contracts.get(name)
        if entry is not None and entry.address:
            continue
        sent = None if entry is None else chain.ask([("eth_getTransactionByHash", [entry.transaction])])[0]
        if entry is not None and sent is not None:  # on its way
            entry = replace(entry, address=contract_address(sender.address, int(sent["nonce"], 16)))
            state = replace(state, contracts={**state.contracts, name: entry})
            continue
        address = contract_address(sender.address, nonce + len(planned))
        arguments = _arguments(name, state, sender)
        creation = chain.creation(artifact(name).bytecode, artifact(name).abi, arguments)
        planned.append(Planned(name, address, chain.gas({**creation, "from": sender.address})))
        state = replace(state, contracts={**state.contracts, name: Deployed(arguments, "", address)})
    return tuple(planned)


def contract_address(sender: str, nonce: int) -> str:
    """The address of what an account creates by its transaction of this nonce."""
    return str(to_checksum_address(keccak(rlp.encode([to_canonical_address(sender), nonce]))[12:]))


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
        admin: who gets the Authority's admin role and every role of `ROLES`, by its checksummed address; the sender
            where none is named.
        overwrite: whether a manifest of another deployment may be replaced.
        report: called with one line for each step as it begins.

    Raises:
        DeploymentError: the manifest belongs to another chain, admin or deployer, or to contracts that are not there;
            it cannot be written; or the admin is no account.
    """
    state = _resume(chain, Path(manifest), sender.address, _account(admin or sender.address), overwrite)
    if not state.complete:
        state.save(manifest)  # before anything is sent: what cannot be recorded is not begun
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
        DeploymentError: another chain, a contract that is missing, other code at its address, or a contract that
            works with others than those of the manifest.
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
    for name, neighbours in _NEIGHBOURS.items():
        contract = chain.contract(deployment.address(name), artifact(name).abi)
        for function, neighbour in neighbours:
            found, meant = chain.call(contract, function, ()), deployment.address(neighbour)
            if found != meant:
                raise DeploymentError(
                    f"{name} at {contract.address} works with the {neighbour} at {found}, and the manifest has it at "
                    f"{meant}. Do not use this manifest; ask whoever deployed the suite for theirs."
                )


def _account(address: str) -> str:
    """An account that can administer; a mistyped one would lock the suite for good."""
    if not is_checksum_address(address) or int(address, 16) <= _LAST_GROUP:
        raise DeploymentError(
            f"The admin {address!r} is no checksummed address of an account. Copy it whole, capitals included."
        )
    return address


def _resume(chain: Chain, manifest: Path, deployer: str, admin: str, overwrite: bool) -> Deployment:
    fresh = Deployment(chain.chain_id, admin, compiler=dict(artifact("Registrar").compiler))
    if overwrite or not manifest.exists():
        return fresh
    state = Deployment.load(manifest)
    if state.chain_id != chain.chain_id:
        raise DeploymentError(
            f"{manifest} keeps a deployment on chain {state.chain_id}, but the node serves chain {chain.chain_id}. "
            "Name another manifest, or overwrite it (make deploy … ARGS=--overwrite)."
        )
    if state.admin != admin:
        raise DeploymentError(
            f"{manifest} keeps a deployment whose admin is {state.admin}, not {admin}. "
            "Name another manifest, or overwrite it (make deploy … ARGS=--overwrite)."
        )
    begun = state.contracts.get("Authority")
    if begun is not None and not state.complete and begun.arguments != (deployer,):
        raise DeploymentError(
            f"{manifest} keeps a deployment that {', '.join(begun.arguments)} began, and only that account can go on. "
            "Send from it, or overwrite the manifest (make deploy … ARGS=--overwrite)."
        )
    for name, entry in state.contracts.items():
        if entry.address and artifact(name).code_hash(chain.code(entry.address)) != artifact(name).expected_code_hash:
            raise DeploymentError(
                f"{manifest} keeps {name} at {entry.address}, but this build is not there: the chain was reset, or "
                "another version deployed it. Name another manifest, or overwrite it (make deploy … ARGS=--overwrite)."
            )
    return state


def _arguments(name: str, state: Deployment, sender: Sender) -> tuple[str, ...]:
    """The constructor's arguments. The sender administers until the roles are set, and then hands over."""
    if name == "Authority":
        return (sender.address,)
    return tuple(state.address(neighbour) for _, neighbour in _NEIGHBOURS[name])


def _deploy_contract(chain: Chain, sender: Sender, state: Deployment, name: str, manifest: Path) -> Deployment:
    build = artifact(name)

    def record(entry: Deployed) -> Deployment:
        changed = replace(state, contracts={**state.contracts, name: entry})
        changed.save(manifest)
        return changed

    entry = state.contracts.get(name)
    try:
        if entry is None or not chain.knows(entry.transaction):
            arguments = _arguments(name, state, sender)
            creation = chain.creation(build.bytecode, build.abi, arguments)
            # Recorded before it is sent: whatever happens in between, no contract is deployed twice.
            sent = chain.send(creation, sender=sender, signed=lambda sent: record(Deployed(arguments, sent)))
            entry = Deployed(arguments, sent)
            record(entry)
        receipt = chain.wait(entry.transaction)
    except (ContractError, UnknownRevertError, TransactionFailedError):
        state.without(name).save(manifest)  # it failed for good: deploying again sends another
        raise
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
        labels = chain.events(authority, "RoleLabel", filters={"roleId": role.number}, from_block=state.first_block)
        if not any(event.arguments["label"] == role.label for event in labels):
            yield f"label role {role.label}", act("labelRole", role.number, role.label)
        if missing:
            yield (
                f"let role {role.label} call {role.contract}",
                act("setTargetFunctionRole", target, missing, role.number),
            )
        if not ask("hasRole", role.number, state.admin)[0]:
            yield f"grant role {role.label} to {state.admin}", act("grantRole", role.number, state.admin, 0)
    if state.admin != sender.address:
        if not ask("hasRole", ADMIN_ROLE, state.admin)[0]:
            yield f"make {state.admin} the admin", act("grantRole", ADMIN_ROLE, state.admin, 0)
        if ask("hasRole", ADMIN_ROLE, sender.address)[0]:
            yield "give up the deployer's rights", act("renounceRole", ADMIN_ROLE, sender.address)

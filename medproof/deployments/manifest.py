"""The manifest: where the suite stands on one chain, and how it came there."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from eth_utils.address import is_checksum_address

from medproof.artifacts import CONTRACTS
from medproof.errors import DeploymentError

__all__ = ["NEIGHBOURS", "Deployed", "Deployment"]

NEIGHBOURS = {  # whom each contract knows: the function that names it, and its name
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
_FORMAT, _VERSION = "medproof-deployment", 2
_HASH = re.compile("0x[0-9a-f]{64}")
_LONGEST_DELAY = (1 << 32) - 1  # seconds, of the Authority
_LONGEST = 1 << 20  # bytes; a manifest has some ten thousand


@dataclass(frozen=True)
class Deployed:
    """One contract of a deployment."""

    arguments: tuple[str, ...]  # the constructor's
    transaction: str  # the hash, 0x…; empty before it is sent, and where the contract stood already
    address: str = ""  # empty until the transaction counts
    block: int = 0  # 0 where it stood already, and nobody knows since when
    gas_used: int = 0
    code_hash: str = ""  # keccak-256 of the code with immutables blanked, 0x…
    input_hash: str = ""  # keccak-256 of the standard JSON input that compiles to it, 0x…


@dataclass(frozen=True)
class Deployment:
    """Where the suite stands on one chain."""

    chain_id: int
    admin: str  # who has the Authority's admin role, or is to have it
    contracts: dict[str, Deployed] = field(default_factory=dict)
    compiler: dict[str, Any] = field(default_factory=dict)
    roles: bool = False  # whether the roles are set
    handed_over: bool = False  # whether the admin has its role, and the deployer none
    deployer: str = ""  # the Authority's first admin, who deploys
    salt: str = ""  # of CREATE2, 0x… and 64 digits; empty in a manifest of version 1
    factory: Deployed | None = None  # whom the contracts were created by
    delay: int = 0  # seconds that the admin's acts must be announced before
    begun: int | None = None  # a block before anything was sent
    begun_hash: str = ""  # its hash, 0x…: whether it is still the same chain
    offered: int = 0  # the block at which handing over began: what was granted since goes where another admin is named
    pending: str = ""  # the transaction that sets the roles, sent and not yet counted

    @property
    def complete(self) -> bool:
        """Whether every step is done, the hand-over included."""
        return self.roles and self.handed_over and all(self.has(name) for name in CONTRACTS)

    @property
    def fresh(self) -> bool:
        """Whether nobody has administered it yet but who deploys."""
        return not self.handed_over and self.offered == (self.begun or 0)

    @property
    def first_block(self) -> int:
        """A block that nothing of the deployment is older than."""
        blocks = [entry.block for entry in self.contracts.values() if entry.address]
        return min(blocks if self.begun is None else [*blocks, self.begun], default=0)

    def has(self, name: str) -> bool:
        """Whether a contract is deployed."""
        entry = self.contracts.get(name)
        return entry is not None and bool(entry.address)

    def having(self, name: str, entry: Deployed) -> Deployment:
        """The deployment with an entry for a contract."""
        return replace(self, contracts={**self.contracts, name: entry})

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
        """Read a manifest, of this version or of the one before.

        Raises:
            DeploymentError: no such file, it is no manifest, or one of a newer version.
        """
        try:
            with Path(path).open(encoding="utf-8") as file:
                text = file.read(_LONGEST + 1)
        except OSError as error:
            raise DeploymentError(f"The manifest {path} cannot be read. Deploy first, or name another.") from error
        except UnicodeDecodeError as error:
            raise _no_manifest(path) from error
        try:
            content = json.loads(text if len(text) <= _LONGEST else "")
            deployment = _read(content, str(path))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise _no_manifest(path) from error
        for what, value in _doubtful(deployment):
            raise DeploymentError(f"{path}: {what} cannot be {value!r:.80}. Restore the file that deploy wrote.")
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
                json.dump({"format": _FORMAT, "version": _VERSION, **asdict(self)}, file, indent=2)
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


def _no_manifest(path: Path | str) -> DeploymentError:
    return DeploymentError(f"{path} is no manifest of a deployment. Name the file that deploy wrote.")


def _read(content: dict[str, Any], path: str) -> Deployment:
    kind, version = content.pop("format", _FORMAT), content.pop("version", 1)
    if kind != _FORMAT:
        raise ValueError(kind)
    if type(version) is not int or not 1 <= version <= _VERSION:
        raise DeploymentError(
            f"{path} is a manifest of version {version!r:.20}, and this package reads versions up to {_VERSION}. "
            "Use the package's version that wrote it."
        )
    entries = {name: _entry(entry) for name, entry in content.pop("contracts").items()}
    factory = content.pop("factory", None)
    if version == 1:  # each contract by a transaction of its own, and nothing handed over in two steps
        entries = {name: entry for name, entry in entries.items() if entry.address}
        began = entries["Authority"].arguments[0] if "Authority" in entries else content["admin"]
        content |= {"deployer": began, "handed_over": content["roles"]}
    return Deployment(**content, contracts=entries, factory=None if factory is None else _entry(factory))


def _entry(content: dict[str, Any]) -> Deployed:
    if not isinstance(content["arguments"], list):
        raise TypeError(content["arguments"])
    return Deployed(**{**content, "arguments": tuple(content["arguments"])})


def _doubtful(deployment: Deployment) -> Iterator[tuple[str, object]]:
    """What in a manifest deploy cannot have written, and its value."""
    for what, number in (
        ("chain_id", deployment.chain_id),
        ("begun", deployment.begun),
        ("offered", deployment.offered),
    ):
        if number is not None and not _natural(number):
            yield what, number
    for what, number in (("chain_id", deployment.chain_id), ("offered", deployment.offered)):
        if number is None:
            yield what, number
    if not _natural(deployment.delay) or deployment.delay > _LONGEST_DELAY:
        yield "delay", deployment.delay
    for what, account in (("admin", deployment.admin), ("deployer", deployment.deployer)):
        if not is_checksum_address(account):
            yield what, account
    for what, flag in (("roles", deployment.roles), ("handed_over", deployment.handed_over)):
        if type(flag) is not bool:
            yield what, flag
    for what, text in (
        ("salt", deployment.salt),
        ("begun_hash", deployment.begun_hash),
        ("pending", deployment.pending),
    ):
        if text != "" and not _is_hash(text):
            yield what, text
    if not isinstance(deployment.compiler, dict):
        yield "compiler", deployment.compiler
    if deployment.factory is not None:
        yield from _doubtful_entry("the factory", deployment.factory)
    for name, entry in deployment.contracts.items():
        if name not in CONTRACTS:
            yield "a contract", name
        yield from _doubtful_entry(name, entry)


def _doubtful_entry(name: str, entry: Deployed) -> Iterator[tuple[str, object]]:
    if entry.address != "" and not is_checksum_address(entry.address):
        yield f"the address of {name}", entry.address
    if not _is_hash(entry.transaction) and not (entry.transaction == "" and entry.address):
        yield f"the transaction of {name}", entry.transaction
    for what, found in (("code", entry.code_hash), ("input", entry.input_hash)):
        if found != "" and not _is_hash(found):
            yield f"the {what} hash of {name}", found
    for number in (entry.block, entry.gas_used):
        if not _natural(number):
            yield f"a number of {name}", number
    for argument in entry.arguments:
        if not is_checksum_address(argument):
            yield f"an argument of {name}", argument


def _natural(number: object) -> bool:
    return type(number) is int and 0 <= number < 1 << 63


def _is_hash(text: object) -> bool:
    return isinstance(text, str) and _HASH.fullmatch(text) is not None

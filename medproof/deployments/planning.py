"""What deploying would do now: addresses, gas, roles and who administers; nothing is sent or written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from medproof.artifacts import CONTRACTS, artifact
from medproof.chain import Chain, Sender
from medproof.deployments.factory import (
    CREATION,
    FACTORY,
    checked_salt,
    contract_address,
    create2_address,
    new_salt,
    stands,
)
from medproof.deployments.manifest import NEIGHBOURS, Deployed, Deployment
from medproof.deployments.roles import ADMIN_ROLE, Authority, Call, hand_over_calls, role_calls
from medproof.deployments.safes import Safe, checked_account, is_contract, read_safe
from medproof.deployments.verifying import check_wiring
from medproof.errors import DeploymentError

__all__ = ["Creation", "Plan", "Planned", "Prepared", "creations", "outstanding", "plan", "prepare"]

_AGAIN = "Name another manifest, or overwrite it (--overwrite)."


@dataclass(frozen=True)
class Planned:
    """A contract that is to be deployed."""

    name: str
    address: str  # that results
    gas: int  # that its creation may take, with a margin


@dataclass(frozen=True)
class Plan:
    """What deploying would do."""

    chain_id: int
    deployer: str
    admin: str
    safe: Safe | None  # what the admin is, if it is one
    at_once: bool  # whether the admin is handed over to at once; else it is when it accepts
    handed_over: bool  # whether that is done
    delay: int  # seconds that the admin's acts must be announced before
    salt: str  # to give to `deploy`, so that these addresses result
    factory: Planned  # its gas is 0 where it stands
    contracts: tuple[Planned, ...]  # to be deployed, in order
    addresses: Mapping[str, str]  # of all contracts, by their names, deployed already or not
    adopted: tuple[str, ...]  # the names of those that stand at their addresses and are not in the manifest
    calls: tuple[Call, ...]  # that set the roles and hand over, in one transaction, in order
    calls_gas: int  # that it may take
    left: tuple[Call, ...]  # that the admin is to make, because the sender may not
    price: int  # wei that a unit of gas may cost at most
    warnings: tuple[str, ...]

    @property
    def gas(self) -> int:
        """What all of it may take."""
        return self.factory.gas + sum(one.gas for one in self.contracts) + self.calls_gas

    @property
    def cost(self) -> int:
        """What all of it may cost, in wei."""
        return self.gas * self.price

    @property
    def transactions(self) -> int:
        """How many transactions are sent."""
        return bool(self.factory.gas) + len(self.contracts) + bool(self.calls)


@dataclass(frozen=True)
class Creation:
    """A contract that is to be created by a factory."""

    name: str
    arguments: tuple[str, ...]  # the constructor's
    code: bytes  # that creates it, the arguments included
    address: str  # that results


@dataclass(frozen=True)
class Prepared:
    """A deployment that may be begun, or gone on with."""

    state: Deployment
    factory: str  # where it stands, or is to stand; empty where the sender is to deploy one
    safe: Safe | None
    at_once: bool
    warnings: tuple[str, ...]


def plan(
    chain: Chain,
    sender: Sender,
    *,
    manifest: Path | str,
    admin: str | None = None,
    delay: int | None = None,
    salt: str | None = None,
    factory: str | None = None,
    any_contract: bool = False,
    overwrite: bool = False,
) -> Plan:
    """What `deploy` would do now.

    Args and errors are those of `deploy`; nothing is sent or written.
    """
    options = {"admin": admin, "salt": salt, "factory": factory}
    prepared = prepare(
        chain, sender.address, Path(manifest), **options, delay=delay, any_contract=any_contract, overwrite=overwrite
    )
    state = prepared.state
    own = contract_address(sender.address, chain.transaction_count(sender.address))
    through = Planned("factory", prepared.factory or own, 0)
    if not prepared.factory and not all(state.has(name) for name in CONTRACTS):
        through = replace(through, gas=chain.gas({"from": sender.address, "data": CREATION}))
    planned, adopted = [], []
    for one in creations(chain, state, through.address):
        if chain.code(one.address):
            adopted.append(one.name)
        else:
            data = state.salt + one.code.hex() if prepared.factory else "0x" + one.code.hex()
            to = {"to": prepared.factory} if prepared.factory else {}
            planned.append(Planned(one.name, one.address, chain.gas({"from": sender.address, "data": data, **to})))
        state = state.having(one.name, Deployed(one.arguments, "", one.address))
    authority = Authority(chain, state)
    state, calls = outstanding(authority, state, at_once=prepared.at_once)
    mine = authority.has(ADMIN_ROLE, sender.address)
    return Plan(
        chain.chain_id,
        state.deployer,
        state.admin,
        prepared.safe,
        prepared.at_once,
        state.handed_over,
        state.delay,
        state.salt,
        through,
        tuple(planned),
        {name: state.address(name) for name in CONTRACTS},
        tuple(adopted),
        calls if mine else (),
        _calls_gas(chain, sender.address, authority, state, prepared.at_once) if mine and calls else 0,
        () if mine else calls,
        chain.highest_price(),
        prepared.warnings,
    )


def outstanding(authority: Authority, state: Deployment, *, at_once: bool) -> tuple[Deployment, tuple[Call, ...]]:
    """What is missing for the roles to stand and the admin to have them, and whether they are handed over already.

    Raises:
        DeploymentError: the deployer has no rights any more, and the admin of the manifest has none either.
    """
    if not state.handed_over and not authority.has(ADMIN_ROLE, state.deployer):
        if not authority.has(ADMIN_ROLE, state.admin):
            holders = ", ".join(authority.holders().get(ADMIN_ROLE, ())) or "nobody"
            raise DeploymentError(
                f"The Authority at {authority.address} was handed over already, and not to {state.admin}: "
                f"{holders} administers it. Name its admin, or another salt for a suite of your own."
            )
        state = replace(state, handed_over=True)
    calls = role_calls(authority, state)
    if not state.handed_over:
        calls += hand_over_calls(authority, state, at_once=at_once)
    return state, tuple(calls)


def creations(chain: Chain, state: Deployment, factory: str) -> list[Creation]:
    """What is to be created, in order, where it is not yet: addresses are known before anything is sent."""
    found = []
    for name in CONTRACTS:
        if not state.has(name):
            arguments, code = _creation_code(chain, name, state)
            found.append(Creation(name, arguments, code, create2_address(factory, state.salt, code)))
            state = state.having(name, Deployed(arguments, "", found[-1].address))
    return found


def _creation_code(chain: Chain, name: str, state: Deployment) -> tuple[tuple[str, ...], bytes]:
    """The arguments of a contract's constructor, and the code that creates it."""
    neighbours = tuple(state.address(neighbour) for _, neighbour in NEIGHBOURS[name])
    arguments = (state.deployer,) if name == "Authority" else neighbours
    build = artifact(name)
    return arguments, bytes.fromhex(chain.creation(build.bytecode, build.abi, arguments)["data"][2:])


def prepare(
    chain: Chain,
    sender: str,
    manifest: Path,
    *,
    admin: str | None,
    delay: int | None,
    salt: str | None,
    factory: str | None,
    any_contract: bool,
    overwrite: bool,
) -> Prepared:
    """The deployment as the manifest has it, or a fresh one, with what was asked for, all of it checked."""
    if admin is not None:
        checked_account(admin)
    if delay is not None and not 0 <= delay < 1 << 32:
        raise DeploymentError(f"The delay {delay} is none. Give seconds, from 0 to {(1 << 32) - 1}.")
    if overwrite or not manifest.exists():
        newest = chain.block(max(chain.block_number() - chain.confirmations, 0))
        state = Deployment(
            chain.chain_id,
            admin or checked_account(sender),
            compiler=dict(artifact("Registrar").compiler),
            deployer=sender,
            salt=new_salt() if salt is None else checked_salt(salt),
            delay=delay or 0,
            begun=newest.number,
            begun_hash=newest.hash,
            offered=newest.number,
        )
    else:
        state = _resumed(chain, Deployment.load(manifest), manifest, sender)
        state = _renamed(chain, state, manifest, sender, admin=admin, delay=delay)
        if salt is not None and state.salt not in ("", checked_salt(salt)):
            raise DeploymentError(f"{manifest} keeps a deployment with the salt {state.salt}, not {salt}. {_AGAIN}")
        if not state.salt and not all(state.has(name) for name in CONTRACTS):
            state = replace(state, salt=new_salt() if salt is None else checked_salt(salt))
    where = _factory(chain, state, factory, manifest)
    own = state.admin == state.deployer
    safe, warnings = (None, ()) if own or state.handed_over else _examined(chain, state.admin, any_contract)
    return Prepared(state, where, safe, not own and is_contract(chain, state.admin), warnings)


def _factory(chain: Chain, state: Deployment, asked: str | None, manifest: Path) -> str:
    kept = "" if state.factory is None else state.factory.address
    if asked is not None and kept not in ("", asked):
        raise DeploymentError(f"{manifest} keeps a deployment through the factory {kept}, not {asked}. {_AGAIN}")
    if asked is not None and not stands(chain, asked):
        raise DeploymentError(
            f"There is no factory at {asked} on chain {chain.chain_id}. Name none, and one is deployed."
        )
    if asked or (kept and stands(chain, kept)):
        return asked or kept
    return FACTORY if stands(chain, FACTORY) else ""


def _examined(chain: Chain, admin: str, any_contract: bool) -> tuple[Safe | None, tuple[str, ...]]:
    """The Safe that an admin is, and what to be warned of."""
    if not is_contract(chain, admin):
        return None, ()
    safe = read_safe(chain, admin)
    if safe is None:
        if not any_contract:
            raise DeploymentError(
                f"The contract at {admin} is no Safe: whether it can ever act as the admin, nobody here can tell. "
                "Name a Safe or an account; if you are sure, say so (any_contract, --any-contract)."
            )
        return None, (f"The contract at {admin} is no Safe. If it cannot call the Authority, the suite has no admin.",)
    if safe.threshold == 1:
        return safe, (f"The Safe at {admin} takes one signature: each of its owners alone is the admin.",)
    return safe, ()


def _resumed(chain: Chain, state: Deployment, manifest: Path, sender: str) -> Deployment:
    """What a manifest keeps, without what the chain took back."""
    if state.chain_id != chain.chain_id:
        raise DeploymentError(
            f"{manifest} keeps a deployment on chain {state.chain_id}, but the node serves chain {chain.chain_id}. "
            + _AGAIN
        )
    if not state.handed_over and sender != state.deployer:
        step = "Send from it, or overwrite the manifest (--overwrite)."
        if sender == state.admin:
            step = "If it has done all, accept instead (medproof deploy accept)."
        raise DeploymentError(
            f"{manifest} keeps a deployment that {state.deployer} began, and only that account can go on. {step}"
        )
    kept = state.begun is not None and _hash_of(chain, state.begun) == state.begun_hash
    for name, entry in ((name, state.contracts[name]) for name in CONTRACTS if name in state.contracts):
        code = chain.code(entry.address) if entry.address else b""
        if entry.address and not code and kept and state.salt and entry.block:
            state = state.without(name)  # a reorganisation took it back: it is deployed again, at its address
        elif entry.address and artifact(name).code_hash(code) != artifact(name).expected_code_hash:
            raise DeploymentError(
                f"{manifest} keeps {name} at {entry.address}, but this build is not there: the chain was reset, or "
                f"another version deployed it. {_AGAIN}"
            )
        elif entry.address and all(state.has(neighbour) for _, neighbour in NEIGHBOURS[name]):
            check_wiring(chain, state, name, code)
    return state


def _hash_of(chain: Chain, block: int) -> str:
    return chain.block(block).hash if block <= chain.block_number() else ""


def _renamed(
    chain: Chain, state: Deployment, manifest: Path, sender: str, *, admin: str | None, delay: int | None
) -> Deployment:
    """With another admin or delay, as long as nobody has accepted, or the deployer administers itself."""
    if admin not in (None, state.admin) and state.handed_over and sender == state.admin == state.deployer:
        state = replace(state, handed_over=False, offered=max(chain.block_number() - chain.confirmations, 0))
    for what, kept, asked in (("admin", state.admin, admin), ("delay", state.delay, delay)):
        if asked is not None and asked != kept and state.handed_over:
            raise DeploymentError(f"{manifest} keeps a deployment whose {what} is {kept}, not {asked}. {_AGAIN}")
    return replace(state, admin=admin or state.admin, delay=state.delay if delay is None else delay)


def _calls_gas(chain: Chain, sender: str, authority: Authority, state: Deployment, at_once: bool) -> int:
    """What the calls that set the roles take, also before their Authority stands.

    A contract that is never sent creates an Authority whose admin it is, and makes the calls.
    """
    if authority.stands:
        _, calls = outstanding(authority, state, at_once=at_once)
        return chain.gas({"from": sender, "to": authority.address, "data": authority.together(calls)})
    maker = contract_address(sender, chain.transaction_count(sender))
    trial = replace(state, deployer=maker, admin=maker if state.admin == state.deployer else state.admin)
    _, creation = _creation_code(chain, "Authority", trial)
    _, calls = outstanding(Authority(chain, trial), trial, at_once=at_once)
    data = bytes.fromhex(authority.together(calls)[2:])
    both = chain.gas({"from": sender, "data": "0x" + _trial(creation, data).hex()})
    return both - chain.gas({"from": sender, "data": "0x" + creation.hex()})


def _trial(creation: bytes, data: bytes) -> bytes:
    """Code that creates a contract and calls it with data; where that fails it reverts."""

    def push(number: int) -> bytes:
        return b"\x62" + number.to_bytes(3, "big")  # PUSH3

    def copy(start: int, length: int) -> bytes:
        return push(length) + push(start) + push(0) + b"\x39"  # CODECOPY to memory's start

    def program(start: int) -> bytes:
        made = copy(start, len(creation)) + push(len(creation)) + push(0) * 2 + b"\xf0"  # CREATE
        ready = copy(start + len(creation), len(data)) + push(0) * 2 + push(len(data)) + push(0) * 2
        called = made + ready + b"\x85\x5a\xf1"  # DUP6 (the contract), GAS, CALL
        end = push(0) * 2 + b"\xfd" + b"\x5b\x00"  # REVERT; JUMPDEST, STOP
        return called + push(len(called) + 5 + len(end) - 2) + b"\x57" + end  # JUMPI

    return program(len(program(0))) + creation + data

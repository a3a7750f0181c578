"""Deploying and handing over: each step looks at the chain and at the manifest before it acts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from medproof.artifacts import CONTRACTS, artifact
from medproof.chain import Chain, Receipt, Sender
from medproof.deployments.factory import CREATION, stands
from medproof.deployments.manifest import Deployed, Deployment
from medproof.deployments.planning import Creation, creations, outstanding, prepare
from medproof.deployments.roles import ADMIN_ROLE, Authority, Call, deployer_calls, others_calls, role_calls
from medproof.deployments.verifying import check_contract
from medproof.errors import ContractError, DeploymentError, NodeError, TransactionFailedError, UnknownRevertError
from medproof.standard_input import input_hash

__all__ = ["accept", "deploy"]

_Report = Callable[[str], None]
_REFUSED = (ContractError, UnknownRevertError, TransactionFailedError)


def deploy(
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
    report: _Report = lambda step: None,
) -> Deployment:
    """Deploy the suite, or go on with a deployment that was interrupted. Doing it again does nothing.

    The same salt, factory, sender and build give the same addresses on every chain. Over a manifest of an older package
    it adds the contracts and roles that are missing; what only the admin may do is reported, and `plan` has the calls.

    Args:
        chain: where to.
        sender: who pays, and administers until the hand-over; it has no rights left then unless it is the admin.
        manifest: the file that keeps the record.
        admin: who is to have the Authority's admin role and every role of `ROLES`, by its checksummed address; the
            manifest's, or the sender where there is none. A contract, such as a Safe, gets them at once; an account
            has to `accept`, and another may be named as long as it has not. A deployer that administers itself hands
            over later by naming one.
        delay: seconds that the admin must announce its acts before, as the Authority enforces it; none where none is
            named.
        salt: of the addresses, 0x… and 64 digits; a random one for a new manifest where none is named.
        factory: the factory to create through; the one that stands on most chains where it does, else one is deployed.
        any_contract: whether the admin may be a contract that is no Safe.
        overwrite: whether a manifest of another deployment may be replaced.
        report: called with one line for each step as it begins.

    Returns:
        The deployment; it is not `complete` while an account that is to administer has not accepted.

    Raises:
        DeploymentError: the manifest belongs to another chain, admin or deployer, or to contracts that are not there;
            it cannot be written; the admin can never act; or the factory is another contract.
    """
    path = Path(manifest)
    prepared = prepare(
        chain,
        sender.address,
        path,
        admin=admin,
        delay=delay,
        salt=salt,
        factory=factory,
        any_contract=any_contract,
        overwrite=overwrite,
    )
    for warning in prepared.warnings:
        report(warning)
    state = prepared.state
    if not state.complete:
        state.save(path)  # before anything is sent: what cannot be recorded is not begun
    if not all(state.has(name) for name in CONTRACTS):
        state = _with_factory(chain, sender, state, prepared.factory, path, report)
        state = _with_contracts(chain, sender, state, path, report)
    state = _settle_pending(chain, state, path)
    authority = Authority(chain, state)
    at_once = prepared.at_once or _has_acted(authority, state.admin)
    now, calls = outstanding(authority, state, at_once=at_once)
    if calls and authority.has(ADMIN_ROLE, sender.address):
        state = _act(chain, sender, authority, state, calls, path, report)
    elif calls:
        report(f"left to {state.admin}, the admin: {'; '.join(call.what for call in calls)}")
    return _settled(authority, state, now, path, report)


def accept(chain: Chain, sender: Sender, *, manifest: Path | str, report: _Report = lambda step: None) -> Deployment:
    """Take a deployment over as the account that is to administer it: the deployer's rights end, and those of
    whoever else got some since the hand-over began.

    That the transaction is sent proves that the account can act. Where its acts have a delay, the first call announces
    it, and a later one, once the delay is over, does it.

    Args:
        chain: where the suite is.
        sender: the admin that the manifest names.
        manifest: the file that keeps the record.
        report: called with one line for each step as it begins.

    Returns:
        The deployment; it is not `complete` while something is only announced.

    Raises:
        DeploymentError: the sender is not the manifest's admin, or has not been made the admin on the chain; the
            contracts are not those of the manifest.
    """
    path = Path(manifest)
    state = Deployment.load(path)
    if state.chain_id != chain.chain_id:
        raise DeploymentError(
            f"{path} keeps a deployment on chain {state.chain_id}, but the node serves chain {chain.chain_id}. "
            "Name the manifest of this chain."
        )
    if sender.address != state.admin:
        raise DeploymentError(f"{path} names {state.admin} as the admin, not {sender.address}. Accept as that account.")
    for name in CONTRACTS:
        check_contract(chain, state, name)
    state = _settle_pending(chain, state, path)
    authority = Authority(chain, state)
    if not authority.has(ADMIN_ROLE, sender.address):
        raise DeploymentError(
            f"{sender.address} is not the admin of the Authority at {authority.address} yet. "
            f"{state.deployer}, who deploys, makes it so: deploy again from there."
        )
    calls = list(role_calls(authority, state))
    if not state.handed_over:
        calls += others_calls(authority, state)
    if sender.address != state.deployer and authority.has(ADMIN_ROLE, state.deployer):
        calls += deployer_calls(authority, state)
        calls.append(authority.call("take the deployer's rights", "revokeRole", ADMIN_ROLE, state.deployer))
    if calls:
        state = _act(chain, sender, authority, state, calls, path, report)
    return _settled(authority, state, state, path, report)


def _with_factory(
    chain: Chain, sender: Sender, state: Deployment, where: str, manifest: Path, report: _Report
) -> Deployment:
    """The deployment with a factory that stands."""
    entry = state.factory
    if where:
        entry = entry if entry is not None and entry.address == where else Deployed((), "", where)
    else:
        report("deploy the factory")

        def record(transaction: str) -> None:
            replace(state, factory=Deployed((), transaction)).save(manifest)

        if entry is None or entry.address or not chain.knows(entry.transaction):
            entry = Deployed((), chain.send({"data": CREATION}, sender=sender, signed=record))
            record(entry.transaction)
        receipt = chain.wait(entry.transaction)
        if receipt.contract is None or not stands(chain, receipt.contract):
            raise DeploymentError(
                f"Transaction {entry.transaction} created no factory. Name one that stands (factory)."
            )
        entry = replace(entry, address=receipt.contract, block=receipt.block, gas_used=receipt.gas_used)
    state = replace(state, factory=entry)
    state.save(manifest)
    return state


def _with_contracts(chain: Chain, sender: Sender, state: Deployment, manifest: Path, report: _Report) -> Deployment:
    """The deployment with all contracts: each is sent, as their addresses are known, and then waited for.

    Created by us or by whoever was quicker: at its address only this build can be.
    """
    factory = "" if state.factory is None else state.factory.address
    due = creations(chain, state, factory)
    for one in due:
        report(f"deploy {one.name}")
        state = _with_sent(chain, sender, state, one, factory, manifest)
    failed: Exception | None = None
    for one in due:
        entry = state.contracts.get(one.name)
        try:
            receipt = None if entry is None else chain.wait(entry.transaction)
        except _REFUSED as error:
            receipt = None
            if not chain.code(one.address):
                failed = failed or error
        if receipt is not None or chain.code(one.address):
            state = state.having(one.name, _entry_of(chain, one, receipt))
        else:
            state = state.without(one.name)  # it failed for good: deploying again sends another
        state.save(manifest)
    if failed is not None:
        raise failed
    for one in due:
        check_contract(chain, state, one.name)
    return state


def _with_sent(
    chain: Chain, sender: Sender, state: Deployment, creation: Creation, factory: str, manifest: Path
) -> Deployment:
    """The deployment with a contract's creation on its way, unless the contract stands already."""
    entry = state.contracts.get(creation.name)
    if entry is not None and chain.knows(entry.transaction):
        return state
    state = state.without(creation.name)
    if chain.code(creation.address):
        return state

    def sent(transaction: str) -> Deployment:
        found = state.having(creation.name, Deployed(creation.arguments, transaction))
        found.save(manifest)
        return found

    request = {"to": factory, "data": state.salt + creation.code.hex()}
    try:  # recorded before it is sent: whatever happens in between, nothing is paid for twice
        return sent(chain.send(request, sender=sender, signed=sent))
    except _REFUSED:
        if not chain.code(creation.address):
            raise
        return state  # another was quicker with the same: the factory refuses the second


def _entry_of(chain: Chain, creation: Creation, receipt: Receipt | None) -> Deployed:
    """What the manifest keeps of a contract that stands; created by another where there is no receipt."""
    code_hash = artifact(creation.name).expected_code_hash  # as it is checked to be
    entry = Deployed(
        creation.arguments, "", creation.address, code_hash=code_hash, input_hash=input_hash(creation.name)
    )
    if receipt is None:
        return replace(entry, block=_first_seen(chain, creation.address))
    return replace(entry, transaction=receipt.transaction, block=receipt.block, gas_used=receipt.gas_used)


def _first_seen(chain: Chain, address: str) -> int:
    """The block since which there is code at an address; 0 where the node keeps no such old state."""
    first, last = 0, chain.block_number()
    while first < last:
        middle = (first + last) // 2
        try:
            [code] = chain.ask([("eth_getCode", [address, hex(middle)])])
        except NodeError:
            return 0
        first, last = (first, middle) if code not in ("0x", "") else (middle + 1, last)
    return first


def _act(
    chain: Chain,
    sender: Sender,
    authority: Authority,
    state: Deployment,
    calls: Sequence[Call],
    manifest: Path,
    report: _Report,
) -> Deployment:
    """Make calls of the Authority in one transaction; where the sender has a delay, announce them first."""
    if authority.access(ADMIN_ROLE, sender.address)[1]:
        announced = {call: authority.announced(sender.address, call) for call in calls}
        fresh = [call for call, when in announced.items() if not when]
        due = max(announced.values())
        if fresh:
            for call in fresh:
                report(f"announce: {call.what}")
            _send(chain, sender, authority, state, [authority.announcement(call) for call in fresh], manifest)
            due = max(authority.announced(sender.address, call) for call in calls)
        if fresh or chain.timestamp() < due:
            report(f"announced; do this again after {datetime.fromtimestamp(due, UTC):%d %B %Y, %H:%M:%S UTC}")
            return replace(state, pending="")
    for call in calls:
        report(call.what)
    _send(chain, sender, authority, state, calls, manifest)
    return replace(state, pending="")


def _send(
    chain: Chain, sender: Sender, authority: Authority, state: Deployment, calls: Sequence[Call], manifest: Path
) -> None:
    def record(transaction: str) -> None:
        replace(state, pending=transaction).save(manifest)

    request: dict[str, Any] = {"to": authority.address, "data": authority.together(calls)}
    sent = chain.send(request, sender=sender, signed=record)
    record(sent)
    chain.wait(sent)


def _settle_pending(chain: Chain, state: Deployment, manifest: Path) -> Deployment:
    """Wait for what was sent before an interruption; whether it did what it should is read from the chain."""
    if not state.pending:
        return state
    if chain.knows(state.pending):
        with contextlib.suppress(*_REFUSED):  # it did nothing: what is missing is sent again
            chain.wait(state.pending)
    state = replace(state, pending="")
    state.save(manifest)
    return state


def _has_acted(authority: Authority, account: str) -> bool:
    """Whether an account has announced something, which only its key can do."""
    return any(event.arguments["caller"] == account for event in authority.events("OperationScheduled"))


def _settled(
    authority: Authority, state: Deployment, before: Deployment, manifest: Path, report: _Report
) -> Deployment:
    """The deployment with what has come of it, written down where something changed."""
    admin, deployer = state.admin, state.deployer
    ended = admin == deployer or not authority.has(ADMIN_ROLE, deployer)
    state = replace(state, handed_over=before.handed_over or (authority.has(ADMIN_ROLE, admin) and ended))
    state = replace(state, roles=not role_calls(authority, state))
    if state != Deployment.load(manifest):
        state.save(manifest)
    if not ended and not state.handed_over:
        report(f"{admin} is to accept; until then {deployer} administers too")
    return state

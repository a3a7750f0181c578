"""Examining a set-up: what is found, whether it is as it should be, and what to do where it is not.

`examine_node` looks at a chain's node, as `medproof network check` shows it; the others at what `medproof doctor` adds.
An examination goes on where something is wrong, so that all that is wrong is known at once, and changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from eth_utils.abi import function_signature_to_4byte_selector

from medproof.artifacts import CONTRACTS
from medproof.chain import Chain
from medproof.deployments import ADMIN_ROLE, ROLES, Authority, Deployment, is_contract, read_safe, verify
from medproof.errors import MedProofError, NodeError, WrongChainError
from medproof.networks import Network

if TYPE_CHECKING:  # a set-up without an index is examined without the extra
    from medproof.indexer import IndexedDeployment

__all__ = ["Finding", "State", "examine_account", "examine_deployment", "examine_index", "examine_node"]

_CLOCK = 15  # seconds that clocks may differ, and a block be ahead of this machine's, as consensus clients allow
_STALE = 15 * 60  # seconds without a block after which a live chain is doubted
_INTERVAL = 16  # blocks over which the time between two is measured
_RANGE = 10_000  # blocks whose events are asked for at once; many providers allow fewer
_LAG = 100  # blocks that an index may be behind before somebody should look
_GRANTS = 100  # that an account should be able to pay for
_GRANT_GAS = 46_509  # of granting a rule, as bench/results/gas.json has it


class State(StrEnum):
    """How something stands."""

    GOOD = "good"
    DOUBTFUL = "doubtful"  # it works, or may; somebody should look
    BAD = "bad"  # it will not work


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str  # such as "chain id"
    state: State
    said: str  # what was found
    step: str = ""  # what to do, where it is not good


def examine_node(network: Network, *, now: Callable[[], float] = time.time) -> Iterator[Finding]:
    """Look at a network's node: does it answer, for the right chain, up to date, with what the suite asks for?

    Args:
        network: where it is, and what it should be.
        now: the clock to hold it against, in seconds since 1970.
    """
    try:
        chain = Chain.connect(network, patience=10)
        [client] = chain.ask([("web3_clientVersion", [])])
    except WrongChainError as error:
        yield Finding("chain id", State.BAD, str(error))
        return
    except NodeError as error:
        yield Finding("node", State.BAD, str(error))
        return
    yield Finding("node", State.GOOD, str(client))
    step = "" if network.chain_id else "Name the network (medproof network add), so that another chain is refused."
    known = State.GOOD if network.chain_id else State.DOUBTFUL
    yield Finding("chain id", known, f"{chain.chain_id}", step)
    for look in (_clock, _blocks, _syncing, _finality, _fees, _proofs, _events):
        try:
            yield look(chain, network, now())
        except MedProofError as error:
            yield Finding(look.__name__.lstrip("_"), State.BAD, str(error), "Ask the node's operator, or name another.")


def _clock(chain: Chain, network: Network, now: float) -> Finding:
    said = chain.clock()
    if said is None:
        return Finding("clock", State.GOOD, "the node does not tell its time")
    ahead = said - now
    if abs(ahead) > _CLOCK:
        step = "Set both by NTP. A node that is behind refuses new blocks; one that is ahead shifts when rules count."
        side = "ahead of" if ahead > 0 else "behind"
        return Finding("clock", State.BAD, f"the node's is {abs(ahead):,.0f} s {side} this machine's", step)
    return Finding("clock", State.GOOD, "the node's and this machine's agree")


def _blocks(chain: Chain, network: Network, now: float) -> Finding:
    newest = chain.block()
    oldest = max(newest.number - _INTERVAL, 0)
    [since] = chain.timestamps([oldest]) if oldest < newest.number else [newest.timestamp]
    pace = (newest.timestamp - since) / max(newest.number - oldest, 1)
    age = now - newest.timestamp
    said = f"block {newest.number:,}, {max(age, 0):,.0f} s old, one every {pace:,.1f} s"
    if age < -_CLOCK:
        step = "Set this machine's clock by NTP; if it is right, the chain's own is ahead: rules begin and end early."
        return Finding("blocks", State.BAD, f"block {newest.number:,} is {-age:,.0f} s in the future", step)
    if age > _STALE:
        step = "A development chain waits for transactions; elsewhere see whether the node syncs and signers seal."
        return Finding("blocks", State.DOUBTFUL, said, step)
    return Finding("blocks", State.GOOD, said)


def _syncing(chain: Chain, network: Network, now: float) -> Finding:
    [state] = chain.ask([("eth_syncing", [])])
    if state is False or state is None:
        return Finding("syncing", State.GOOD, "no: it has all blocks")
    return Finding("syncing", State.DOUBTFUL, "yes: it is behind", "Wait until it has all blocks.")


def _finality(chain: Chain, network: Network, now: float) -> Finding:
    wanted = network.followed
    if not isinstance(wanted, str):
        return Finding("finality", State.GOOD, f"an index reads blocks of {wanted} confirmations")
    try:
        depth = chain.block_number() - chain.block(wanted).number
    except NodeError:
        step = "Give the network a number of confirmations instead (medproof network add --finality 12)."
        return Finding("finality", State.BAD, f"the node knows no block that is {wanted}", step)
    return Finding("finality", State.GOOD, f"the last block that is {wanted} is {depth:,} below the newest")


def _fees(chain: Chain, network: Network, now: float) -> Finding:
    price = chain.highest_price()
    return Finding(
        "fees",
        State.GOOD,
        f"at most {price / 1e9:,.3f} gwei: a grant takes up to {price * _GRANT_GAS / 1e18:.6f} ether",
    )


def _proofs(chain: Chain, network: Network, now: float) -> Finding:
    nobody, newest = "0x" + "0" * 40, hex(chain.block_number())
    try:
        chain.ask([("eth_getProof", [nobody, ["0x0"], newest])])
    except NodeError:
        step = "All else works. For evidence (medproof research evidence, claims audit), name a node with eth_getProof."
        return Finding("proofs", State.DOUBTFUL, "the node gives none", step)
    return Finding("proofs", State.GOOD, "eth_getProof answers")


def _events(chain: Chain, network: Network, now: float) -> Finding:
    newest = chain.block_number()
    first = max(newest - _RANGE + 1, 0)
    nobody = "0x" + "0" * 40
    wanted = {"fromBlock": hex(first), "toBlock": hex(newest), "address": nobody}
    try:
        chain.ask([("eth_getLogs", [wanted])])
    except NodeError:
        step = "Ranges are halved until it answers: an index takes longer to begin with."
        return Finding("events", State.DOUBTFUL, f"refused for {newest - first + 1:,} blocks at once", step)
    return Finding("events", State.GOOD, f"answered for {newest - first + 1:,} blocks at once")


def examine_deployment(chain: Chain, deployment: Deployment) -> Iterator[Finding]:
    """Look at a deployment: is it this build, wired as its manifest says, and who may do what, now and soon?"""
    try:
        verify(chain, deployment)
    except MedProofError as error:
        yield Finding("contracts", State.BAD, str(error))
        return
    yield Finding("contracts", State.GOOD, f"all {len(CONTRACTS)} are this build, and work with one another")
    try:
        authority = Authority(chain, deployment)
        yield _functions(authority, deployment)
        yield from _holders(chain, authority, deployment)
        yield _deployer(authority, deployment)
        yield _delays(authority, deployment)
        yield _announced(authority)
    except MedProofError as error:
        yield Finding("roles", State.BAD, str(error), "Ask another node.")


def _functions(authority: Authority, deployment: Deployment) -> Finding:
    """Whether each function needs the role that it was deployed with, and its contract obeys the Authority."""
    names = {deployment.address(name): name for name in CONTRACTS}
    selectors = {
        (deployment.address(role.contract), function_signature_to_4byte_selector(one)): f"{role.contract}.{one}"
        for role in ROLES
        for one in role.functions
    }
    wrong = [
        f"{role.contract}.{signature.partition('(')[0]}"
        for role, needed in authority.needed(deployment).items()
        for signature, number in needed.items()
        if number != role.number
    ]
    for event in authority.events("TargetFunctionRoleUpdated"):  # what no role of the suite is for
        target, selector = event.arguments["target"], bytes(event.arguments["selector"])
        if (target, selector) not in selectors and authority.ask("getTargetFunctionRole", target, selector):
            wrong.append(f"0x{selector.hex()} of {names.get(target, target)}")
    wrong += [f"{name} is closed" for name in CONTRACTS if authority.ask("isTargetClosed", deployment.address(name))]
    if wrong:
        step = "If nobody meant that, the admin sets it again (Authority.setTargetFunctionRole, setTargetClosed)."
        return Finding("functions", State.BAD, f"not as deployed: {', '.join(dict.fromkeys(wrong))}", step)
    return Finding("functions", State.GOOD, "each needs the role that it was deployed with")


def _holders(chain: Chain, authority: Authority, deployment: Deployment) -> Iterator[Finding]:
    """Who has the roles now: by the events, one after the other, and by what the Authority says."""
    granted, replayed = authority.granted(), authority.holders()
    labels = {ADMIN_ROLE: "ADMIN"} | {role.number: role.label for role in ROLES}
    for number in [*labels, *sorted(granted.keys() - labels.keys())]:
        what = f"role {labels.get(number, number)}"
        asked = dict.fromkeys((*granted.get(number, ()), deployment.admin, deployment.deployer))
        found = [one for one in asked if authority.has(number, one)]
        if set(found) != {one for one in replayed.get(number, ()) if not authority.waits(number, one)}:
            doubted = ", ".join(sorted({*found} ^ {*replayed.get(number, ())}))
            said = f"the node's events and its state disagree about {doubted}"
            yield Finding(what, State.BAD, said, "Believe neither: ask another node.")
        elif number not in labels:
            step = "No role of the suite has this number. If nobody meant it, the admin takes it away."
            if found:
                yield Finding(what, State.DOUBTFUL, ", ".join(found), step)
        elif number == ADMIN_ROLE:
            yield _admins(chain, deployment, found)
        elif not found:
            yield Finding(what, State.BAD, "nobody has it", "The admin grants it (Authority.grantRole).")
        else:
            yield Finding(what, State.GOOD, ", ".join(found))


def _admins(chain: Chain, deployment: Deployment, found: list[str]) -> Finding:
    what, said, admin = "role ADMIN", ", ".join(found), deployment.admin
    if not found:
        return Finding(what, State.BAD, "nobody has it", "For good: deploy anew, and have people move.")
    if not deployment.handed_over and set(found) == {admin, deployment.deployer}:
        return Finding(what, State.DOUBTFUL, said, f"The hand-over waits: {admin} accepts (medproof deploy accept).")
    if found != [admin]:
        step = f"The manifest names {admin}. If nobody meant others, treat them as intruders."
        return Finding(what, State.BAD, said, step)
    if not is_contract(chain, admin):
        step = "One key has it. For a chain that people rely on, hand it to a multisig."
        return Finding(what, State.DOUBTFUL, said, step)
    safe = read_safe(chain, admin)
    if safe is not None and safe.threshold == 1:
        step = "Each of its owners alone is the admin. Have the Safe take more signatures."
        return Finding(what, State.DOUBTFUL, f"{said} ({safe})", step)
    return Finding(what, State.GOOD, said if safe is None else f"{said} ({safe})")


def _deployer(authority: Authority, deployment: Deployment) -> Finding:
    """Whether who deployed has given up all rights."""
    deployer = deployment.deployer
    if deployer == deployment.admin:
        return Finding("deployer", State.GOOD, f"{deployer} is the admin")
    numbers = dict.fromkeys((ADMIN_ROLE, *(role.number for role in ROLES), *authority.granted()))
    kept = [str(number) for number in numbers if authority.has(number, deployer)]
    if not kept:
        return Finding("deployer", State.GOOD, f"{deployer} has no rights")
    if not deployment.handed_over:
        step = f"They end when {deployment.admin} accepts (medproof deploy accept)."
        return Finding("deployer", State.DOUBTFUL, f"{deployer} has rights still", step)
    step = "If the admin did not mean that, it takes them away (Authority.revokeRole)."
    return Finding("deployer", State.BAD, f"{deployer} has the roles {', '.join(kept)}", step)


def _delays(authority: Authority, deployment: Deployment) -> Finding:
    """What the admin must announce, and whether roles are granted by others than the admin, or cancelled by others."""
    _, delay = authority.access(ADMIN_ROLE, deployment.admin)
    said = f"the admin announces what it does {delay:,} s before" if delay else "the admin's acts count at once"
    changed = []
    for role in ROLES:
        if (by := authority.ask("getRoleAdmin", role.number)) != ADMIN_ROLE:
            changed.append(f"role {role.label} is granted by role {by}")
        if (by := authority.ask("getRoleGuardian", role.number)) != ADMIN_ROLE:
            changed.append(f"what role {role.label} announces may be cancelled by role {by}")
        if wait := authority.ask("getRoleGrantDelay", role.number):
            changed.append(f"role {role.label} counts {wait:,} s after it is granted")
    changed += [
        f"{name} is set anew {wait:,} s after it is announced"
        for name in CONTRACTS
        if (wait := authority.ask("getTargetAdminDelay", deployment.address(name)))
    ]
    said = "; ".join([said, *changed])
    if delay < deployment.delay:
        step = f"The manifest says {deployment.delay:,} s. If nobody meant less, treat the admin as lost."
        return Finding("delays", State.BAD, said, step)
    if changed:
        return Finding("delays", State.DOUBTFUL, said, "It was not deployed so. See that the admin meant it.")
    return Finding("delays", State.GOOD, said)


def _announced(authority: Authority) -> Finding:
    """What was announced and may be done, or soon."""
    waiting = authority.waiting()
    if not waiting:
        return Finding("announced", State.GOOD, "nothing waits to be done")
    said = "; ".join(
        f"{caller} may call {what} of {target} from {datetime.fromtimestamp(due, UTC):%d %B %Y, %H:%M:%S UTC}"
        for caller, target, what, due in waiting
    )
    step = "If nobody meant that, the admin or its guardian cancels it (Authority.cancel)."
    return Finding("announced", State.DOUBTFUL, said, step)


def examine_account(chain: Chain, address: str, what: str) -> Finding:
    """Whether an account that sends can pay; `what` it is, such as "relayer"."""
    price = chain.highest_price()
    balance, needed = chain.balance(address), _GRANTS * _GRANT_GAS * price
    said = f"{address} has {balance / 1e18:.6f} ether"
    if balance < needed:
        return Finding(what, State.BAD, said, f"Send it some: {_GRANTS} grants may take {needed / 1e18:.6f}.")
    return Finding(what, State.GOOD, said)


def examine_index(chain: Chain, indexed: IndexedDeployment, network: Network) -> Finding:
    """Whether an index is on this chain, and how far it is behind what counts."""
    block, wanted = indexed.block, network.followed
    try:
        target = chain.block(wanted).number if isinstance(wanted, str) else chain.block_number() + 1 - wanted
        kept = indexed.block_hash(block)
        found = None if kept is None or block > target else chain.block(block).hash
    except NodeError as error:
        return Finding("index", State.BAD, str(error), "Ask another node.")
    if kept is not None and found is not None and found != "0x" + kept.hash.hex():
        step = "Run medproof index: it takes back what the chain took back."
        return Finding("index", State.DOUBTFUL, f"its block {block:,} is not the chain's any more", step)
    if target - block > _LAG:
        step = "Run medproof index --follow, and see that it keeps running."
        return Finding("index", State.DOUBTFUL, f"{target - block:,} blocks behind", step)
    return Finding("index", State.GOOD, f"read up to block {block:,}, {max(target - block, 0):,} behind")

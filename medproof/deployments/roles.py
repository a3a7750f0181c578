"""The roles in the Authority: which there are, who has them, and the calls that set them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from eth_utils.abi import abi_to_signature, function_signature_to_4byte_selector

from medproof.artifacts import artifact
from medproof.chain import Chain, Event
from medproof.deployments.manifest import Deployment

__all__ = [
    "ADMIN_ROLE",
    "ROLES",
    "Authority",
    "Call",
    "Role",
    "deployer_calls",
    "hand_over_calls",
    "others_calls",
    "role_calls",
    "safe_transactions",
]

ADMIN_ROLE = 0
"""The number of AccessManager's own role, whose holders grant all others."""


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
class Call:
    """A call of the Authority that an admin makes."""

    what: str  # what it does, such as "label role TERMS"
    authority: str  # the Authority's address
    function: str
    arguments: tuple[Any, ...]
    data: str  # the call as it is sent, 0x…


class Authority:
    """The Authority as it stands; as it will stand at first, where it is still to be deployed."""

    def __init__(self, chain: Chain, deployment: Deployment) -> None:
        """Read of a deployment whose Authority has an address, deployed or predicted."""
        self._chain, self._since = chain, deployment.first_block
        self._read: list[Event] = []
        self.deployer = deployment.deployer
        self.address = deployment.address("Authority")
        self.contract = chain.contract(self.address, artifact("Authority").abi)
        self.stands = bool(chain.code(self.address))

    def ask(self, function: str, *arguments: Any) -> Any:
        """What a view function returns."""
        return self._chain.call(self.contract, function, arguments)

    def events(self, name: str) -> Iterator[Event]:
        """The events of one kind, oldest first; none before it stands. All kinds are read at once, and only once."""
        if self.stands:
            newest = self._chain.block_number()
            if newest >= self._since:
                new = self._chain.all_events([self.contract], from_block=self._since, to_block=newest)
                self._read = [*self._read, *new]
                self._since = newest + 1
        return (event for event in self._read if event.name == name)

    def access(self, number: int, account: str) -> tuple[bool, int]:
        """Whether an account has a role now, and by how many seconds it must announce what it does."""
        if not self.stands:
            return (number == ADMIN_ROLE and account == self.deployer, 0)
        member, delay = self.ask("hasRole", number, account)
        return bool(member), int(delay)

    def has(self, number: int, account: str) -> bool:
        """Whether an account has a role now."""
        return self.access(number, account)[0]

    def needed(self, deployment: Deployment) -> dict[Role, dict[str, int]]:
        """The number of the role that each function of a role of the suite needs; the admin's where none was set."""
        asked = [(role, signature) for role in ROLES for signature in role.functions]
        calls = [
            bytes.fromhex(self._data("getTargetFunctionRole", deployment.address(role.contract), _selector(one))[2:])
            for role, one in asked
        ]
        block = self._chain.block_number()
        said = self._chain.read_each(self.contract, calls, answer=32, block=block) if self.stands else []
        found: dict[Role, dict[str, int]] = {role: {} for role in ROLES}
        for at, (role, signature) in enumerate(asked):
            found[role][signature] = int.from_bytes(said[at], "big") if said else ADMIN_ROLE
        return found

    def granted(self) -> dict[int, tuple[str, ...]]:
        """Whom each role was ever granted to, by the events."""
        found: dict[int, dict[str, None]] = {}
        for event in self.events("RoleGranted"):
            found.setdefault(event.arguments["roleId"], {})[event.arguments["account"]] = None
        return {number: tuple(accounts) for number, accounts in found.items()}

    def holders(self, since: int = -1) -> dict[int, tuple[str, ...]]:
        """Who has each role by a replay of the events: granted, after a block, and not taken away since."""
        events = (*self.events("RoleGranted"), *self.events("RoleRevoked"))
        found: dict[int, dict[str, int]] = {}
        for event in sorted(events, key=lambda one: (one.block, one.index)):
            holders = found.setdefault(event.arguments["roleId"], {})
            if event.name == "RoleGranted":
                holders[event.arguments["account"]] = event.block
            else:
                holders.pop(event.arguments["account"], None)
        return {
            number: tuple(account for account, block in holders.items() if block > since)
            for number, holders in found.items()
        }

    def waits(self, number: int, account: str) -> bool:
        """Whether a role that was granted does not count yet."""
        return int(self.ask("getAccess", number, account)[0]) > self._chain.timestamp()

    def waiting(self) -> list[tuple[str, str, str, int]]:
        """What was announced and not done: who, the contract, the function's name or selector, and from when on."""
        names = {
            _selector(abi_to_signature(cast(Any, entry))): entry["name"]
            for entry in artifact("Authority").abi
            if entry["type"] == "function"
        }
        found = {}
        for event in self.events("OperationScheduled"):
            said, operation = event.arguments, bytes(event.arguments["operationId"])
            if due := int(self.ask("getSchedule", operation)):
                selector = bytes(said["data"][:4])
                own = names if said["target"] == self.address else {}
                what = own.get(selector, "0x" + selector.hex())
                found[operation] = (said["caller"], said["target"], what, due)
        return list(found.values())

    def call(self, what: str, function: str, *arguments: Any) -> Call:
        """A call, for whoever may make it."""
        return Call(what, self.address, function, arguments, self._data(function, *arguments))

    def announced(self, caller: str, call: Call) -> int:
        """From when on a caller may make a call that it announced, in seconds since 1970; 0 where it did not."""
        data = bytes.fromhex(call.data[2:])
        return int(self.ask("getSchedule", self.ask("hashOperation", caller, self.address, data)))

    def announcement(self, call: Call) -> Call:
        """The call that announces another, for an admin with a delay."""
        return self.call(f"announce: {call.what}", "schedule", self.address, bytes.fromhex(call.data[2:]), 0)

    def _data(self, function: str, *arguments: Any) -> str:
        return self._chain.call_data(self.contract, function, arguments)

    def together(self, calls: Sequence[Call]) -> str:
        """The data of one transaction that makes several calls, all or none."""
        data = [bytes.fromhex(call.data[2:]) for call in calls]
        return self._data("multicall", data)


def _selector(signature: str) -> bytes:
    return function_signature_to_4byte_selector(signature)


def role_calls(authority: Authority, deployment: Deployment) -> list[Call]:
    """What is missing for the roles to stand.

    Before anybody administered, that is all that differs. Afterwards only what was never set: what an admin changed
    since is its own affair. Who is to administer next gets each role.
    """
    labels: dict[int, str] = {
        event.arguments["roleId"]: event.arguments["label"] for event in authority.events("RoleLabel")
    }
    granted = authority.granted() if deployment.handed_over else {}
    calls = []
    for role, needed in authority.needed(deployment).items():
        if labels.get(role.number) != role.label if deployment.fresh else role.number not in labels:
            calls.append(authority.call(f"label role {role.label}", "labelRole", role.number, role.label))
        target = deployment.address(role.contract)
        wrong = {*needed.values()} - {role.number} if deployment.fresh else (ADMIN_ROLE,)
        missing = tuple(_selector(one) for one, number in needed.items() if number in wrong)
        if missing:
            what = f"let role {role.label} call {role.contract}"
            calls.append(authority.call(what, "setTargetFunctionRole", target, missing, role.number))
        if not (granted.get(role.number) or authority.has(role.number, deployment.admin)):
            what = f"grant role {role.label} to {deployment.admin}"
            calls.append(authority.call(what, "grantRole", role.number, deployment.admin, 0))
    return calls


def hand_over_calls(authority: Authority, deployment: Deployment, *, at_once: bool) -> list[Call]:
    """What is missing for the admin to have its role and, where it gets it at once, for the deployer to have none."""
    admin, deployer = deployment.admin, deployment.deployer
    calls = others_calls(authority, deployment)
    if authority.access(ADMIN_ROLE, admin) != (True, deployment.delay):
        said = f", with a delay of {deployment.delay} s" if deployment.delay else ""
        calls.append(authority.call(f"make {admin} the admin{said}", "grantRole", ADMIN_ROLE, admin, deployment.delay))
    if at_once and admin != deployer and authority.has(ADMIN_ROLE, deployer):
        calls += deployer_calls(authority, deployment)
        calls.append(authority.call("give up the deployer's rights", "renounceRole", ADMIN_ROLE, deployer))
    return calls


def others_calls(authority: Authority, deployment: Deployment) -> list[Call]:
    """What takes the roles from others than deployer and admin: all that were granted since the hand-over began.

    They are those of an admin that was named before, and of whoever had them from it, or from a deployer that hides an
    account of its own. Whoever else is the admin, since whenever, is it no more: a manifest may say what it likes.
    """
    admins, since = authority.holders().get(ADMIN_ROLE, ()), authority.holders(deployment.offered)
    held = {number: one for number, one in since.items() if number != ADMIN_ROLE} | {ADMIN_ROLE: admins}
    kept = (deployment.admin, deployment.deployer)
    return [_taken(authority, number, one) for number, holders in held.items() for one in holders if one not in kept]


def deployer_calls(authority: Authority, deployment: Deployment) -> list[Call]:
    """What takes the roles beside the admin's from a deployer that hands over."""
    deployer = deployment.deployer
    held = [number for number, holders in authority.holders().items() if number != ADMIN_ROLE and deployer in holders]
    return [_taken(authority, number, deployer) for number in held]


def _taken(authority: Authority, number: int, account: str) -> Call:
    labels = {ADMIN_ROLE: "ADMIN"} | {role.number: role.label for role in ROLES}
    return authority.call(f"take role {labels.get(number, number)} from {account}", "revokeRole", number, account)


def safe_transactions(calls: Sequence[Call], *, chain_id: int, safe: str, created: int = 0) -> dict[str, Any]:
    """Calls as a file that the Transaction Builder of Safe's web interface opens.

    Args:
        calls: what the Safe is to do, in order.
        chain_id: the chain's.
        safe: the Safe's address.
        created: when, in milliseconds since 1970.
    """
    return {
        "version": "1.0",
        "chainId": str(chain_id),
        "createdAt": created,
        "meta": {
            "name": "MedProof: roles",
            "description": "; ".join(call.what for call in calls),
            "createdFromSafeAddress": safe,
        },
        "transactions": [
            {
                "to": call.authority,
                "value": "0",
                "data": call.data,
                "contractMethod": None,
                "contractInputsValues": None,
            }
            for call in calls
        ],
    }

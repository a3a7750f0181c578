"""The steps of a claim: taken by the account that owns them, or signed by it and sent by somebody else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from eth_abi import encode
from eth_utils import keccak

from medproof import messages
from medproof.messages import Domain, TypedData

# The contract's numbers.
NONE, SUBMITTED, PENDED, ADJUDICATED, SETTLED, VOIDED, REPLACED = range(7)
APPROVED, PARTIAL, DENIED = 1, 2, 3

# Who sends a step; owners that do not send it sign it.
OWNER, PROVIDER, PAYER, RELAYER = "owner sends", "provider sends", "payer sends", "relayed"

STEPS = ("submit", "pend", "adjudicate", "settle", "void", "replace")

# From each state, the steps that are possible; a settled claim is undone only by both.
POSSIBLE: Mapping[tuple[int, int], frozenset[str]] = {
    (NONE, 0): frozenset({"submit"}),
    (SUBMITTED, 0): frozenset({"pend", "adjudicate", "void", "replace"}),
    (PENDED, 0): frozenset({"adjudicate", "void", "replace"}),
    (ADJUDICATED, APPROVED): frozenset({"settle", "void", "replace"}),
    (ADJUDICATED, PARTIAL): frozenset({"settle", "void", "replace"}),
    (ADJUDICATED, DENIED): frozenset({"void", "replace"}),
    (SETTLED, APPROVED): frozenset({"void", "replace"}),
    (VOIDED, 0): frozenset(),
    (REPLACED, 0): frozenset(),
}

RULES_HASH = b"\x51" * 32
REQUEST = b"\x52" * 32
RESPONSE = b"\x53" * 32


class Claim(NamedTuple):
    """A claim as the contract takes it."""

    provider: str
    payer: str
    commitment: bytes
    nullifier: bytes

    @property
    def id(self) -> str:
        """The claim's id, as Brownie prints a bytes32."""
        types = ["address", "address", "bytes32", "bytes32"]
        return "0x" + keccak(encode(types, list(self))).hex()

    @property
    def id_bytes(self) -> bytes:
        """The claim's id."""
        return bytes.fromhex(self.id[2:])

    def changed(self, **changes: Any) -> Claim:
        """The claim with other members."""
        return self._replace(**changes)


@dataclass(frozen=True)
class What:
    """What a step says beyond the claim."""

    rules: int = 1
    rules_hash: bytes | None = None  # what is signed; the published hash unless given
    outcome: int = APPROVED
    response: bytes = RESPONSE
    request: bytes = REQUEST
    correction: Claim | None = None
    deadline: int = 0


@dataclass
class Desk:
    """Takes the steps of claims at one ClaimAnchor, in the name of the parties that own them."""

    contract: Any
    domain: Domain
    sign: Any  # sign(account, message) -> bytes
    relayer: Any
    account_of: Any  # the account that acts for an identity
    deadline: int
    signers: dict[str, Any] = field(default_factory=dict)  # who signs for an identity, where not its account
    dry: bool = False  # call instead of sending: enough to see why a step is refused

    def what(self, **changes: Any) -> What:
        """What a step says unless told otherwise."""
        return replace(What(deadline=self.deadline), **changes)

    def owners(self, step: str, claim: Claim) -> tuple[str, ...]:
        """The owners of a step as the claim stands: "provider", "payer" or both."""
        if step in ("pend", "adjudicate"):
            return ("payer",)
        paid = self.contract.stateOf(claim.id)[3]
        joint = step == "settle" or (step in ("void", "replace") and paid)
        return ("provider", "payer") if joint else ("provider",)

    def message(self, step: str, claim: Claim, what: What, *, domain: Domain | None = None) -> TypedData:
        """The message that a step's owners sign."""
        domain = domain or self.domain
        number = what.rules
        if step == "settle":
            number = self.contract.stateOf(claim.id)[2]
        rules = what.rules_hash or bytes(self.contract.rulesOf(claim.payer, number)[0])
        if step == "submit":
            return messages.submission(
                domain, **claim._asdict(), rules_number=number, rules=rules, deadline=what.deadline
            )
        if step == "pend":
            return messages.pend(domain, claim=claim.id_bytes, request=what.request, deadline=what.deadline)
        if step == "void":
            return messages.void(domain, claim=claim.id_bytes, deadline=what.deadline)
        if step == "replace":
            assert what.correction is not None
            return messages.replacement(
                domain,
                claim=claim.id_bytes,
                correction=what.correction.id_bytes,
                rules_number=number,
                rules=rules,
                deadline=what.deadline,
            )
        outcome, response = what.outcome, what.response
        if step == "settle":
            outcome, response = self.contract.stateOf(claim.id)[1], bytes(self.contract.responseOf(claim.id))
        decide = messages.settlement if step == "settle" else messages.adjudication
        return decide(
            domain, claim=claim.id_bytes, outcome=outcome, rules=rules, response=response, deadline=what.deadline
        )

    def signature(self, step: str, claim: Claim, owner: str, what: What) -> bytes:
        """The owner's signature for a step."""
        identity = str(getattr(claim, owner))
        signer = self.signers.get(identity) or self.account_of(identity)
        return bytes(self.sign(signer, self.message(step, claim, what)))

    def send(self, step: str, claim: Claim, what: What, sender: Any, *signatures: bytes) -> Any:
        """Send a step with these signatures: the provider's, then the payer's, of those that the function takes."""
        arguments: dict[str, tuple[Any, ...]] = {
            "submit": (what.rules,),
            "pend": (what.request,),
            "adjudicate": (what.outcome, what.rules, what.response),
            "settle": (),
            "void": (),
            "replace": (what.correction, what.rules),
        }
        taken = 2 if step in ("settle", "void", "replace") else 1
        given = (*signatures, b"", b"")[:taken]
        function = getattr(self.contract, step)
        if self.dry:
            function = function.call
        return function(claim, *arguments[step], what.deadline, *given, {"from": sender})

    def take(self, step: str, claim: Claim, form: str = OWNER, **changes: Any) -> Any:
        """Take a step in one of its forms; in a joint step `OWNER` is the provider, and the payer signs."""
        what = self.what(**changes)
        owners = self.owners(step, claim)
        sending = {OWNER: owners[0], PROVIDER: "provider", PAYER: "payer", RELAYER: None}[form]
        signing = {owner: self.signature(step, claim, owner, what) for owner in owners if owner != sending}
        sender = self.relayer if sending is None else self.account_of(str(getattr(claim, sending)))
        if owners == ("payer",):
            return self.send(step, claim, what, sender, signing.get("payer", b""))
        return self.send(step, claim, what, sender, signing.get("provider", b""), signing.get("payer", b""))

    def bring(self, claim: Claim, status: int, outcome: int = APPROVED, **changes: Any) -> Claim:
        """Bring a new claim to a state, by the shortest way."""
        steps = {
            NONE: (),
            SUBMITTED: ("submit",),
            PENDED: ("submit", "pend"),
            ADJUDICATED: ("submit", "adjudicate"),
            SETTLED: ("submit", "adjudicate", "settle"),
            VOIDED: ("submit", "void"),
            REPLACED: ("submit", "replace"),
        }[status]
        for step in steps:
            if step == "replace":
                changes.setdefault("correction", claim.changed(commitment=keccak(claim.commitment)))
            self.take(step, claim, outcome=outcome or APPROVED, **changes)
        return claim

"""The steps of a claim: taken by the account that owns them, or signed by it and sent by somebody else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from eth_abi import encode
from eth_utils import keccak

from medproof import messages
from medproof.client.claim_anchor import encounter_id
from medproof.messages import Domain, TypedData
from tests.support.fixtures import NOBODY

# The contract's numbers.
NONE, SUBMITTED, PENDED, ADJUDICATED, APPEALED, UPHELD, OVERTURNED, SETTLED, VOIDED, REPLACED = range(10)
APPROVED, PARTIAL, DENIED = 1, 2, 3
RAISED, CLEARED, CONFIRMED = 1, 2, 3

# Who sends a step; owners that do not send it sign it.
OWNER, PROVIDER, PAYER, RELAYER = "owner sends", "provider sends", "payer sends", "relayed"

STEPS = ("submit", "pend", "answer", "adjudicate", "appeal", "decideAppeal", "settle", "void", "replace")
BY_PAYER = frozenset({"pend", "adjudicate", "decideAppeal"})
BY_SEVERAL: Mapping[str, int] = {"settle": 3, "void": 2, "replace": 2}  # how many signatures the function takes

# From each state, the steps that are possible without deadlines; a settled claim is undone only by both.
_UNDONE = frozenset({"void", "replace"})
POSSIBLE: Mapping[tuple[int, int], frozenset[str]] = {
    (NONE, 0): frozenset({"submit"}),
    (SUBMITTED, 0): _UNDONE | {"pend", "adjudicate"},
    (PENDED, 0): _UNDONE | {"answer", "adjudicate"},
    (ADJUDICATED, APPROVED): _UNDONE | {"settle", "appeal"},
    (ADJUDICATED, PARTIAL): _UNDONE | {"settle", "appeal"},
    (ADJUDICATED, DENIED): _UNDONE | {"appeal"},
    (APPEALED, APPROVED): _UNDONE | {"decideAppeal"},
    (APPEALED, PARTIAL): _UNDONE | {"decideAppeal"},
    (APPEALED, DENIED): _UNDONE | {"decideAppeal"},
    (UPHELD, APPROVED): _UNDONE | {"settle"},
    (UPHELD, PARTIAL): _UNDONE | {"settle"},
    (UPHELD, DENIED): _UNDONE,
    (OVERTURNED, APPROVED): _UNDONE | {"settle"},
    (OVERTURNED, PARTIAL): _UNDONE | {"settle"},
    (SETTLED, APPROVED): _UNDONE,
    (VOIDED, 0): frozenset(),
    (REPLACED, 0): frozenset(),
}

RULES_HASH = b"\x51" * 32
REQUEST = b"\x52" * 32
RESPONSE = b"\x53" * 32
REPLY = b"\x54" * 32
GROUNDS = b"\x55" * 32
SECOND_RESPONSE = b"\x56" * 32


class Rules(NamedTuple):
    """Adjudication rules as the contract takes them."""

    hash: bytes
    plan: int
    valid_from: int
    valid_until: int = 0
    patient_signs: bool = False
    registered: bool = False
    days_to_decide: int = 0
    days_to_answer: int = 0
    days_to_appeal: int = 0
    days_to_decide_appeal: int = 0
    days_to_settle: int = 0

    @property
    def printed(self) -> tuple[Any, ...]:
        """As Brownie prints them."""
        return ("0x" + self.hash.hex(), *self[1:])


class Claim(NamedTuple):
    """A claim as the contract takes it."""

    provider: str
    payer: str
    patient: str
    registration: bytes
    commitment: bytes
    nullifier: bytes
    soft_key: bytes

    @property
    def id(self) -> str:
        """The claim's id, as Brownie prints a bytes32."""
        return "0x" + keccak(encode(["address"] * 3 + ["bytes32"] * 4, list(self))).hex()

    @property
    def id_bytes(self) -> bytes:
        """The claim's id."""
        return bytes.fromhex(self.id[2:])

    @property
    def encounter(self) -> str:
        """The id of the encounter that it names, as Brownie prints a bytes32."""
        return "0x" + encounter_id(self.provider, self.registration).hex()

    def changed(self, **changes: Any) -> Claim:
        """The claim with other members."""
        return self._replace(**changes)

    def submitted(self, rules: int = 1) -> dict[str, Any]:
        """The event of its submission, as Brownie prints it."""
        return {
            "claim": self.id,
            "provider": self.provider,
            "payer": self.payer,
            "patient": self.patient,
            "registration": "0x" + self.registration.hex(),
            "commitment": "0x" + self.commitment.hex(),
            "nullifier": "0x" + self.nullifier.hex(),
            "softKey": "0x" + self.soft_key.hex(),
            "rules": rules,
        }


def claim_between(provider: Any, payer: Any, commitment: bytes, nullifier: bytes, **others: Any) -> Claim:
    """A claim that names neither patient nor registration and has no soft key, unless they are given."""
    plain = Claim(str(provider), str(payer), NOBODY, bytes(32), commitment, nullifier, bytes(32))
    return plain.changed(**others)


@dataclass(frozen=True)
class What:
    """What a step says beyond the claim."""

    rules: int = 1
    rules_hash: bytes | None = None  # what is signed; the published hash unless given
    outcome: int = APPROVED
    response: bytes = RESPONSE
    request: bytes = REQUEST
    reply: bytes = REPLY
    by: str | None = None  # who appeals; the provider unless given
    grounds: bytes = GROUNDS
    upheld: bool | None = None  # whether an appeal's outcome stays; as the outcome says, unless given
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
        """The owners of a step as the claim stands, each by its name in the claim."""
        if step in BY_PAYER:
            return ("payer",)
        state = self.contract.stateOf(claim.id)
        if step == "settle" and self.contract.rulesOf(claim.payer, state[2])[4]:
            return ("provider", "payer", "patient")
        joint = step == "settle" or (step in ("void", "replace") and state[3])
        return ("provider", "payer") if joint else ("provider",)

    def message(self, step: str, claim: Claim, what: What, *, domain: Domain | None = None) -> TypedData:
        """The message that a step's owners sign."""
        domain, state, deadline = domain or self.domain, self.contract.stateOf(claim.id), what.deadline
        number = state[2] if step == "settle" else what.rules
        rules = what.rules_hash or bytes(self.contract.rulesOf(claim.payer, number)[0])
        about: dict[str, Any] = {"claim": claim.id_bytes, "deadline": deadline}
        decision = {"outcome": what.outcome, "rules": rules, "response": what.response}
        match step:
            case "submit":
                return messages.submission(
                    domain, **claim._asdict(), rules_number=number, rules=rules, deadline=deadline
                )
            case "pend":
                return messages.pend(domain, **about, number=state[8] + 1, request=what.request)
            case "answer":
                return messages.answer(domain, **about, number=state[8], reply=what.reply)
            case "adjudicate":
                return messages.adjudication(domain, **about, **decision)
            case "appeal":
                return messages.appeal(domain, **about, by=what.by or claim.provider, grounds=what.grounds)
            case "decideAppeal":
                return messages.appeal_decision(domain, **about, **decision, upheld=self.upheld(claim, what))
            case "settle":
                decided = {"outcome": state[1], "rules": rules, "response": bytes(self.contract.responseOf(claim.id))}
                return messages.settlement(domain, **about, **decided)
            case "void":
                return messages.void(domain, **about)
        assert what.correction is not None
        return messages.replacement(
            domain, **about, correction=what.correction.id_bytes, rules_number=number, rules=rules
        )

    def upheld(self, claim: Claim, what: What) -> bool:
        """Whether a decision upholds what was appealed."""
        standing = self.contract.stateOf(claim.id)[1] or DENIED
        return standing == what.outcome if what.upheld is None else what.upheld

    def signature(self, step: str, claim: Claim, owner: str, what: What) -> bytes:
        """The owner's signature for a step."""
        identity = str(getattr(claim, owner))
        signer = self.signers.get(identity) or (identity if owner == "patient" else self.account_of(identity))
        return bytes(self.sign(signer, self.message(step, claim, what)))

    def send(self, step: str, claim: Claim, what: What, sender: Any, *signatures: bytes) -> Any:
        """Send a step with these signatures: the provider's, the payer's, the patient's, of those that it takes."""
        arguments: dict[str, tuple[Any, ...]] = {
            "submit": (what.rules,),
            "pend": (what.request,),
            "answer": (what.reply,),
            "adjudicate": (what.outcome, what.rules, what.response),
            "appeal": (what.by or claim.provider, what.grounds),
            "decideAppeal": (self.upheld(claim, what), what.outcome, what.rules, what.response),
            "replace": (what.correction, what.rules),
        }
        taken = BY_SEVERAL.get(step, 1)
        given = (*signatures, b"", b"", b"")[:taken]
        function = getattr(self.contract, step)
        if self.dry:
            function = function.call
        return function(claim, *arguments.get(step, ()), what.deadline, *given, {"from": sender})

    def given(self, step: str, signatures: Mapping[str, bytes]) -> tuple[bytes, ...]:
        """Signatures by their owners, in the order in which a step takes them."""
        if step not in BY_SEVERAL:
            return tuple(signatures.values())
        return tuple(signatures.get(owner, b"") for owner in ("provider", "payer", "patient"))

    def take(self, step: str, claim: Claim, form: str = OWNER, **changes: Any) -> Any:
        """Take a step in one of its forms; in a joint step `OWNER` is the provider, and the others sign."""
        what = self.what(**changes)
        owners = self.owners(step, claim)
        sending = {OWNER: owners[0], PROVIDER: "provider", PAYER: "payer", RELAYER: None}[form]
        signing = {owner: self.signature(step, claim, owner, what) for owner in owners if owner != sending}
        sender = self.relayer if sending is None else self.account_of(str(getattr(claim, sending)))
        return self.send(step, claim, what, sender, *self.given(step, signing))

    def bring(self, claim: Claim, status: int, outcome: int = APPROVED, **changes: Any) -> Claim:
        """Bring a new claim to a state, by the shortest way."""
        decided: tuple[tuple[str, int], ...] = (("submit", 0), ("adjudicate", outcome))
        denied: tuple[tuple[str, int], ...] = (("submit", 0), ("adjudicate", DENIED), ("appeal", 0))
        steps: tuple[tuple[str, int], ...] = {
            NONE: (),
            SUBMITTED: (("submit", 0),),
            PENDED: (("submit", 0), ("pend", 0)),
            ADJUDICATED: decided,
            APPEALED: (*decided, ("appeal", 0)),
            UPHELD: (*decided, ("appeal", 0), ("decideAppeal", outcome)),
            OVERTURNED: (*denied, ("decideAppeal", outcome)),
            SETTLED: (*decided, ("settle", 0)),
            VOIDED: (("submit", 0), ("void", 0)),
            REPLACED: (("submit", 0), ("replace", 0)),
        }[status]
        for step, decision in steps:
            if step == "replace":
                changes.setdefault("correction", claim.changed(commitment=keccak(claim.commitment)))
            self.take(step, claim, outcome=decision or APPROVED, **changes)
        return claim

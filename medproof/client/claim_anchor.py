"""The ClaimAnchor: the steps of a claim, each agreed by the party that owns it, and one bill for one service."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import IntEnum
from functools import cached_property
from typing import Any

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from medproof import messages
from medproof.chain import Receipt, Sender
from medproof.client.contract import (
    NOBODY,
    SENDER,
    Agreement,
    ContractClient,
    Place,
    SignedMessage,
    agree,
    day_number,
)
from medproof.errors import MessageError
from medproof.merkle import MerkleLog
from medproof.policy.word import EPOCH_DAY
from medproof.signing import Signer

__all__ = [
    "Agreement",
    "AnchoredClaim",
    "ClaimAnchor",
    "ClaimBatch",
    "ClaimState",
    "ClaimStatus",
    "Due",
    "FlagStatus",
    "Outcome",
    "Rules",
    "encounter_id",
]

_HOUR = 3600
_NOTHING = bytes(32)
_FOREVER = (1 << 256) - 1
_PLACE = 192  # what holds a nullifier and has no more bits is a place in a batch


class ClaimStatus(IntEnum):
    """Where a claim stands; up to `SETTLED` it is open."""

    NONE = 0
    SUBMITTED = 1
    PENDED = 2
    ADJUDICATED = 3
    APPEALED = 4
    UPHELD = 5
    OVERTURNED = 6
    SETTLED = 7
    VOIDED = 8
    REPLACED = 9


class Outcome(IntEnum):
    """What the payer decided."""

    NONE = 0
    APPROVED = 1
    PARTIAL = 2
    DENIED = 3


class FlagStatus(IntEnum):
    """How a flag on two claims that look alike stands."""

    NONE = 0
    RAISED = 1
    CLEARED = 2
    CONFIRMED = 3


@dataclass(frozen=True)
class AnchoredClaim:
    """What a claim is on the chain; every step names it."""

    provider: str  # the identity of the party that bills
    payer: str  # the identity of the party that is billed
    commitment: bytes  # 32 bytes, the salted hash of the canonical claim
    nullifier: bytes  # 32 bytes, the keyed hash of the service
    patient: str = NOBODY  # the patient's pseudonym, where the plan asks for it
    registration: bytes = _NOTHING  # 32 bytes, the encounter's salted id or the prescription's, where the plan asks
    soft_key: bytes = _NOTHING  # 32 bytes, the keyed hash that claims which look alike share, or zero

    @property
    def id(self) -> bytes:
        """The claim's id: keccak-256 of the ABI encoding of the seven, 32 bytes."""
        types = "(address,address,address,bytes32,bytes32,bytes32,bytes32)"
        return keccak(encode([types], [self.as_tuple()]))

    def leaf(self, rules: int) -> bytes:
        """What stands for the claim under these rules in a batch, 32 bytes."""
        return keccak(encode(["bytes32", "uint32"], [self.id, rules]))

    def as_tuple(self) -> tuple[str, str, str, bytes, bytes, bytes, bytes]:
        """The claim as the contract takes it."""
        return (
            self.provider,
            self.payer,
            self.patient,
            self.registration,
            self.commitment,
            self.nullifier,
            self.soft_key,
        )


@dataclass(frozen=True)
class ClaimState:
    """A claim as it stands; times in seconds since 1970."""

    status: ClaimStatus
    outcome: Outcome
    rules: int  # the number of the payer's rules that govern it
    paid: bool  # whether the service was settled, under this claim or one that it replaced
    late: bool  # whether the payer took a step after it was due, or let a decision be appealed that it owed
    submitted: int  # when it got its slot
    since: int  # since when it stands as it does
    used: int  # seconds of the payer's time to decide that had passed before the last answer
    pends: int  # how often it was pended
    response: bytes  # 32 bytes, the commitment to the payer's last response; zero before it decided

    @classmethod
    def from_word(cls, word: int, response: bytes = _NOTHING) -> ClaimState:
        """Read the word that the contract stores (`contracts/libraries/ClaimWord.sol`)."""
        status, outcome, rules, paid, late, submitted, since, used, pends = (
            word >> start & (1 << bits) - 1
            for start, bits in ((0, 8), (8, 8), (16, 32), (48, 8), (56, 8), (64, 40), (104, 40), (144, 32), (176, 32))
        )
        return cls(
            ClaimStatus(status),
            Outcome(outcome),
            rules,
            bool(paid),
            bool(late),
            submitted,
            since,
            used,
            pends,
            response,
        )


@dataclass(frozen=True)
class Rules:
    """Adjudication rules of a payer. A number of days of 0 stands for no deadline."""

    hash: bytes  # 32 bytes, keccak-256 of their text
    valid_from: date  # the first service date they govern
    valid_until: date | None = None  # the first that they govern no more
    plan: int = 0  # the payer's number for the plan
    patient_signs: bool = False  # whether a settlement needs the patient's agreement
    registered: bool = False  # whether a claim needs a registered encounter or prescription
    days_to_decide: int = 0  # a claim, for the payer; a claim that is pended stands still
    days_to_answer: int = 0  # when a claim is pended, for the provider
    days_to_appeal: int = 0  # a decision or the lack of one, for provider and patient
    days_to_decide_appeal: int = 0  # for the payer
    days_to_settle: int = 0  # what was approved, for the payer
    number: int = 0  # among all of the payer's, from 1; 0 before they are published


@dataclass(frozen=True)
class Due:
    """Who owes a claim's next step, and until when."""

    party: str  # the identity
    until: int | None  # seconds since 1970; the step is still owed when that has passed. None for no deadline


@dataclass(frozen=True)
class ClaimBatch:
    """Claims of one provider that are submitted at once, without a slot of their own."""

    claims: tuple[tuple[AnchoredClaim, int], ...]  # each with the number of its payer's rules

    def __post_init__(self) -> None:
        """Refuse claims of several providers, and none."""
        if len({claim.provider for claim, _ in self.claims}) != 1:
            raise MessageError(
                "A batch has claims, all of one provider: another's could never be opened. Make one for each provider."
            )

    @property
    def provider(self) -> str:
        """The identity of the party that bills them."""
        return self.claims[0][0].provider

    @property
    def nullifiers(self) -> tuple[bytes, ...]:
        """The claims' nullifiers, in their order."""
        return tuple(claim.nullifier for claim, _ in self.claims)

    @cached_property
    def log(self) -> MerkleLog:
        """The tree over the claims' leaves."""
        return MerkleLog(claim.leaf(rules) for claim, rules in self.claims)

    def place(self, index: int) -> Place:
        """Where a claim stands, by its index from 0; whoever opens it needs this."""
        return Place(self.log.root(), index, tuple(self.log.inclusion_proof(index)))


def encounter_id(provider: str, registration: bytes) -> bytes:
    """The id by which an encounter is registered: no other provider's claim names it.

    Args:
        provider: the identity of the provider that may bill it.
        registration: its salted id of 32 bytes, which patient and provider know until a claim names it.
    """
    return keccak(encode(["address", "bytes32"], [provider, registration]))


class ClaimAnchor(ContractClient):
    """The claims of all providers.

    Each step is sent by the party that owns it, or by anyone with that party's `Agreement`. A step owned by several
    takes the agreement of whoever does not send it, with one deadline for all of them.
    """

    name = "ClaimAnchor"
    signed_functions = ("registerEncounter",)

    # -- rules --------------------------------------------------------------------------------------------------

    def publish_rules(self, rules: Rules, *, sender: Sender | None = None) -> int:
        """Publish adjudication rules, as their payer, and return their number.

        Args:
            rules: the rules; of a plan only the first may begin in the past.
            sender: the payer.
        """
        until = 0 if rules.valid_until is None else day_number(rules.valid_until)
        published = (
            rules.hash,
            rules.plan,
            day_number(rules.valid_from),
            until,
            rules.patient_signs,
            rules.registered,
            rules.days_to_decide,
            rules.days_to_answer,
            rules.days_to_appeal,
            rules.days_to_decide_appeal,
            rules.days_to_settle,
        )
        receipt = self._transact("publishRules", published, sender=sender)
        return int(receipt.events(self.contract)[0].arguments["number"])

    def rules_in_force(self, payer: str, plan: int, day: date) -> Rules | None:
        """A plan's rules that govern a service date."""
        number = int(self._call("rulesInForce", payer, plan, day_number(day)))
        return self.rules(payer, number) if number else None

    def rules(self, payer: str, number: int) -> Rules | None:
        """A payer's rules by their number."""
        found, plan, first, until, signs, registered, decide, answer, appeal, decide_appeal, settle = self._call(
            "rulesOf", payer, number
        )
        if not any(found):
            return None
        return Rules(
            bytes(found),
            EPOCH_DAY + timedelta(days=first),
            EPOCH_DAY + timedelta(days=until) if until else None,
            plan=plan,
            patient_signs=signs,
            registered=registered,
            days_to_decide=decide,
            days_to_answer=answer,
            days_to_appeal=appeal,
            days_to_decide_appeal=decide_appeal,
            days_to_settle=settle,
            number=number,
        )

    # -- encounters ---------------------------------------------------------------------------------------------

    def register_encounter(self, encounter: bytes, *, sender: Sender | None = None) -> Receipt:
        """Register an encounter by its id, see `encounter_id`, as its patient's pseudonym."""
        patient = self._by("registerEncounter", sender).address
        return self._transact("registerEncounter", patient, encounter, 0, b"", sender=sender)

    def sign_encounter(self, signer: Signer, encounter: bytes, *, lifetime: int = _HOUR) -> SignedMessage:
        """Sign the registration of an encounter, as its patient. `lifetime` is how long it counts, in seconds."""
        deadline, arguments = self._deadline(lifetime), (signer.address, encounter)
        message = messages.encounter(self.domain, patient=signer.address, encounter=encounter, deadline=deadline)
        return self._signed("registerEncounter", arguments, deadline, signer.sign_typed_data(message))

    def encounter_at(self, patient: str, encounter: bytes) -> int | None:
        """When a patient registered an encounter, in seconds since 1970; None where it did not."""
        return int(self._call("encounterAt", patient, encounter)) or None

    # -- submission ---------------------------------------------------------------------------------------------

    def submit(
        self, claim: AnchoredClaim, rules: int, *, provider: Agreement = SENDER, sender: Sender | None = None
    ) -> Receipt:
        """Submit a claim under the payer's rules in force on the service date. Owned by the provider."""
        return self._transact("submit", claim.as_tuple(), rules, *_one(provider), sender=sender)

    def submit_batch(self, batch: ClaimBatch, *, provider: Agreement = SENDER, sender: Sender | None = None) -> Receipt:
        """Submit up to 500 claims at once: the chain shows their nullifiers alone. Owned by the provider."""
        arguments = (batch.provider, batch.log.root(), list(batch.nullifiers))
        return self._transact("submitBatch", *arguments, *_one(provider), sender=sender)

    def open(self, claim: AnchoredClaim, rules: int, place: Place, *, sender: Sender | None = None) -> Receipt:
        """Give a claim of a batch a slot of its own; its steps and deadlines begin. Anyone may."""
        where = (place.root, place.index, list(place.proof))
        return self._transact("open", claim.as_tuple(), rules, *where, sender=sender)

    def release(
        self,
        provider: str,
        root: bytes,
        nullifier: bytes,
        *,
        agreement: Agreement = SENDER,
        sender: Sender | None = None,
    ) -> Receipt:
        """Free a nullifier that waits in a batch; its claim is never opened. Owned by the batch's provider."""
        return self._transact("release", provider, root, nullifier, *_one(agreement), sender=sender)

    def agree_to_submit(
        self, signer: Signer, claim: AnchoredClaim, rules: int, *, deadline: int | None = None
    ) -> Agreement:
        """Sign a submission, as the provider. Every `deadline` is an hour ahead where none is given."""
        until = self._until(deadline)
        message = messages.submission(
            self.domain,
            provider=claim.provider,
            payer=claim.payer,
            patient=claim.patient,
            registration=claim.registration,
            commitment=claim.commitment,
            nullifier=claim.nullifier,
            soft_key=claim.soft_key,
            rules_number=rules,
            rules=self._rules_hash(claim.payer, rules),
            deadline=until,
        )
        return agree(signer, message, until)

    def agree_to_submit_batch(self, signer: Signer, batch: ClaimBatch, *, deadline: int | None = None) -> Agreement:
        """Sign the submission of a batch, as its provider."""
        until = self._until(deadline)
        message = messages.claim_batch(
            self.domain,
            provider=batch.provider,
            root=batch.log.root(),
            nullifiers=batch.nullifiers,
            deadline=until,
        )
        return agree(signer, message, until)

    def agree_to_release(
        self, signer: Signer, provider: str, root: bytes, nullifier: bytes, *, deadline: int | None = None
    ) -> Agreement:
        """Sign the release of a nullifier, as the batch's provider."""
        until = self._until(deadline)
        message = messages.release(self.domain, provider=provider, root=root, nullifier=nullifier, deadline=until)
        return agree(signer, message, until)

    # -- adjudication -------------------------------------------------------------------------------------------

    def pend(
        self, claim: AnchoredClaim, request: bytes, *, payer: Agreement = SENDER, sender: Sender | None = None
    ) -> Receipt:
        """Pend a claim; `request` is a 32-byte commitment to what is asked for. Owned by the payer."""
        return self._transact("pend", claim.as_tuple(), request, *_one(payer), sender=sender)

    def answer(
        self, claim: AnchoredClaim, reply: bytes, *, provider: Agreement = SENDER, sender: Sender | None = None
    ) -> Receipt:
        """Answer what a claim was pended for; `reply` is a 32-byte commitment to it. Owned by the provider."""
        return self._transact("answer", claim.as_tuple(), reply, *_one(provider), sender=sender)

    def adjudicate(
        self,
        claim: AnchoredClaim,
        outcome: Outcome,
        rules: int,
        response: bytes,
        *,
        payer: Agreement = SENDER,
        sender: Sender | None = None,
    ) -> Receipt:
        """Adjudicate a claim; `response` is a 32-byte commitment to the payer's response. Owned by the payer."""
        decision = (claim.as_tuple(), outcome, rules, response)
        return self._transact("adjudicate", *decision, *_one(payer), sender=sender)

    def appeal(
        self,
        claim: AnchoredClaim,
        by: str,
        grounds: bytes,
        *,
        agreement: Agreement = SENDER,
        sender: Sender | None = None,
    ) -> Receipt:
        """Appeal a decision, or the lack of one once it is late; `grounds` is a 32-byte commitment to why.

        Args:
            claim: the claim.
            by: who appeals and owns the step: the claim's provider or its patient.
            grounds: 32 bytes.
            agreement: the appellant's, where another sends.
            sender: who sends.
        """
        return self._transact("appeal", claim.as_tuple(), by, grounds, *_one(agreement), sender=sender)

    def decide_appeal(
        self,
        claim: AnchoredClaim,
        outcome: Outcome,
        rules: int,
        response: bytes,
        *,
        upheld: bool,
        payer: Agreement = SENDER,
        sender: Sender | None = None,
    ) -> Receipt:
        """Decide an appeal: the outcome stays where it is upheld, denied where there was none. Owned by the payer."""
        decision = (claim.as_tuple(), upheld, outcome, rules, response)
        return self._transact("decideAppeal", *decision, *_one(payer), sender=sender)

    def agree_to_pend(
        self, signer: Signer, claim: AnchoredClaim, request: bytes, *, deadline: int | None = None
    ) -> Agreement:
        """Sign a request for more, as the payer."""
        until, number = self._until(deadline), self.state(claim).pends + 1
        message = messages.pend(self.domain, claim=claim.id, number=number, request=request, deadline=until)
        return agree(signer, message, until)

    def agree_to_answer(
        self, signer: Signer, claim: AnchoredClaim, reply: bytes, *, deadline: int | None = None
    ) -> Agreement:
        """Sign the answer to the last request, as the provider."""
        until, number = self._until(deadline), self.state(claim).pends
        message = messages.answer(self.domain, claim=claim.id, number=number, reply=reply, deadline=until)
        return agree(signer, message, until)

    def agree_to_adjudicate(
        self,
        signer: Signer,
        claim: AnchoredClaim,
        outcome: Outcome,
        rules: int,
        response: bytes,
        *,
        deadline: int | None = None,
    ) -> Agreement:
        """Sign an adjudication, as the payer."""
        until = self._until(deadline)
        message = messages.adjudication(
            self.domain,
            claim=claim.id,
            outcome=outcome,
            rules=self._rules_hash(claim.payer, rules),
            response=response,
            deadline=until,
        )
        return agree(signer, message, until)

    def agree_to_appeal(
        self, signer: Signer, claim: AnchoredClaim, by: str, grounds: bytes, *, deadline: int | None = None
    ) -> Agreement:
        """Sign an appeal, as the provider or the patient."""
        until = self._until(deadline)
        message = messages.appeal(self.domain, claim=claim.id, by=by, grounds=grounds, deadline=until)
        return agree(signer, message, until)

    def agree_to_decide_appeal(
        self,
        signer: Signer,
        claim: AnchoredClaim,
        outcome: Outcome,
        rules: int,
        response: bytes,
        *,
        upheld: bool,
        deadline: int | None = None,
    ) -> Agreement:
        """Sign the decision of an appeal, as the payer."""
        until = self._until(deadline)
        message = messages.appeal_decision(
            self.domain,
            claim=claim.id,
            upheld=upheld,
            outcome=outcome,
            rules=self._rules_hash(claim.payer, rules),
            response=response,
            deadline=until,
        )
        return agree(signer, message, until)

    # -- settlement and correction ------------------------------------------------------------------------------

    def settle(
        self,
        claim: AnchoredClaim,
        *,
        provider: Agreement = SENDER,
        payer: Agreement = SENDER,
        patient: Agreement = SENDER,
        sender: Sender | None = None,
    ) -> Receipt:
        """Settle an approved claim. Owned by provider, payer and, where the rules say so, the patient."""
        return self._transact("settle", claim.as_tuple(), *_all(provider, payer, patient), sender=sender)

    def void(
        self,
        claim: AnchoredClaim,
        *,
        provider: Agreement = SENDER,
        payer: Agreement = SENDER,
        sender: Sender | None = None,
    ) -> Receipt:
        """Void a claim and free its nullifier. Owned by the provider; once settled, by the payer too."""
        return self._transact("void", claim.as_tuple(), *_all(provider, payer), sender=sender)

    def replace(
        self,
        claim: AnchoredClaim,
        correction: AnchoredClaim,
        rules: int,
        *,
        provider: Agreement = SENDER,
        payer: Agreement = SENDER,
        sender: Sender | None = None,
    ) -> Receipt:
        """Replace a claim by a corrected one. Owned by the provider; once settled, by the payer too."""
        steps = (claim.as_tuple(), correction.as_tuple(), rules, *_all(provider, payer))
        return self._transact("replace", *steps, sender=sender)

    def agree_to_settle(self, signer: Signer, claim: AnchoredClaim, *, deadline: int | None = None) -> Agreement:
        """Sign the settlement of a claim as it was decided, as the provider, the payer or the patient."""
        until, state = self._until(deadline), self.state(claim)
        message = messages.settlement(
            self.domain,
            claim=claim.id,
            outcome=state.outcome,
            rules=self._rules_hash(claim.payer, state.rules),
            response=state.response,
            deadline=until,
        )
        return agree(signer, message, until)

    def agree_to_void(self, signer: Signer, claim: AnchoredClaim, *, deadline: int | None = None) -> Agreement:
        """Sign that a claim is void, as the provider or the payer."""
        until = self._until(deadline)
        return agree(signer, messages.void(self.domain, claim=claim.id, deadline=until), until)

    def agree_to_replace(
        self,
        signer: Signer,
        claim: AnchoredClaim,
        correction: AnchoredClaim,
        rules: int,
        *,
        deadline: int | None = None,
    ) -> Agreement:
        """Sign that a correction replaces a claim, as the provider or the payer."""
        until = self._until(deadline)
        message = messages.replacement(
            self.domain,
            claim=claim.id,
            correction=correction.id,
            rules_number=rules,
            rules=self._rules_hash(claim.payer, rules),
            deadline=until,
        )
        return agree(signer, message, until)

    # -- review -------------------------------------------------------------------------------------------------

    def flag(
        self,
        earlier: AnchoredClaim,
        later: AnchoredClaim,
        by: str,
        *,
        agreement: Agreement = SENDER,
        sender: Sender | None = None,
    ) -> Receipt:
        """Flag two open claims that share a soft key; stops neither. Owned by the party `by`, any that is active."""
        pair = (earlier.as_tuple(), later.as_tuple())
        return self._transact("flag", *pair, by, *_one(agreement), sender=sender)

    def decide_flag(
        self,
        earlier: bytes,
        later: AnchoredClaim,
        decision: FlagStatus,
        reason: bytes,
        *,
        payer: Agreement = SENDER,
        sender: Sender | None = None,
    ) -> Receipt:
        """Decide a flag, once. Owned by the later claim's payer.

        Args:
            earlier: the id of the earlier claim, 32 bytes.
            later: the later claim.
            decision: cleared or confirmed.
            reason: 32 bytes, a commitment to why.
            payer: the payer's agreement, where another sends.
            sender: who sends.
        """
        decided = (earlier, later.as_tuple(), decision, reason)
        return self._transact("decideFlag", *decided, *_one(payer), sender=sender)

    def agree_to_flag(
        self, signer: Signer, earlier: AnchoredClaim, later: AnchoredClaim, by: str, *, deadline: int | None = None
    ) -> Agreement:
        """Sign a flag, as the party that raises it."""
        until = self._until(deadline)
        message = messages.flag(self.domain, earlier=earlier.id, later=later.id, by=by, deadline=until)
        return agree(signer, message, until)

    def agree_to_decide_flag(
        self,
        signer: Signer,
        earlier: bytes,
        later: AnchoredClaim,
        decision: FlagStatus,
        reason: bytes,
        *,
        deadline: int | None = None,
    ) -> Agreement:
        """Sign the decision of a flag, as the later claim's payer."""
        until = self._until(deadline)
        message = messages.flag_decision(
            self.domain, earlier=earlier, later=later.id, decision=decision, reason=reason, deadline=until
        )
        return agree(signer, message, until)

    def flag_status(self, earlier: bytes, later: bytes) -> FlagStatus:
        """How the flag of two claims stands, by their ids."""
        return FlagStatus(self._call("flagOf", earlier, later))

    # -- reading ------------------------------------------------------------------------------------------------

    def state(self, claim: AnchoredClaim, *, block: int | str = "latest") -> ClaimState:
        """A claim as it stands."""
        status, outcome, rules, paid, late, submitted, since, used, pends = self._call("stateOf", claim.id, block=block)
        response = bytes(self._call("responseOf", claim.id, block=block))
        stands = ClaimStatus(status), Outcome(outcome)
        return ClaimState(*stands, rules, paid, late, submitted, since, used, pends, response)

    def due(self, claim: AnchoredClaim) -> Due | None:
        """Who owes the next step, and until when; None where nobody owes one."""
        party, until = self._call("dueOf", claim.as_tuple())
        return None if party == NOBODY else Due(party, until or None)

    def appeal_time(self, claim: AnchoredClaim) -> tuple[int, int | None] | None:
        """From when until when a claim can be appealed as it stands now, in seconds since 1970, both inclusive.

        None where it cannot; a second of None where there is no end.
        """
        start, end = self._call("appealTimeOf", claim.as_tuple())
        return (start, None if end == _FOREVER else end) if end else None

    def claim_of(self, nullifier: bytes) -> bytes | None:
        """The id of the claim that holds a nullifier; None where none does, be it free or waiting in a batch."""
        holder = self._call("holderOf", nullifier)
        return bytes(holder) if int.from_bytes(holder, "big") >> _PLACE else None

    def waits(self, nullifier: bytes) -> bool:
        """Whether a nullifier waits in a batch, whose claim was neither opened nor released."""
        holder = int.from_bytes(self._call("holderOf", nullifier), "big")
        return 0 < holder < 1 << _PLACE

    def waits_at(self, claim: AnchoredClaim, root: bytes, index: int) -> bool:
        """Whether a claim's nullifier waits at this place of its provider's batch."""
        place = self._call("placeOf", claim.provider, root, index)
        return bool(self._call("holderOf", claim.nullifier) == place)

    # -- helpers ------------------------------------------------------------------------------------------------

    def _rules_hash(self, payer: str, number: int) -> bytes:
        rules = self.rules(payer, number)
        return rules.hash if rules else _NOTHING

    def _until(self, deadline: int | None) -> int:
        return self._deadline(_HOUR) if deadline is None else deadline


def _one(agreement: Agreement) -> tuple[int, bytes]:
    return agreement.deadline, agreement.signature


def _all(*agreements: Agreement) -> tuple[Any, ...]:
    """One deadline and the signatures."""
    deadlines = {agreement.deadline for agreement in agreements if agreement.signature}
    if len(deadlines) > 1:
        raise MessageError(
            f"The parties signed for different deadlines, {' and '.join(map(str, sorted(deadlines)))}. "
            "Let the others sign with the first's deadline."
        )
    return (next(iter(deadlines), 0), *(agreement.signature for agreement in agreements))

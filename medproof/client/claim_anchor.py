"""The ClaimAnchor: the steps of a claim, each agreed by the party that owns it, and one bill for one service."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import IntEnum

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from medproof import messages
from medproof.chain import Receipt, Sender
from medproof.client.contract import ContractClient, day_number
from medproof.errors import MessageError
from medproof.messages import TypedData
from medproof.policy.word import EPOCH_DAY
from medproof.signing import Signer

__all__ = ["Agreement", "Claim", "ClaimAnchor", "ClaimState", "ClaimStatus", "Outcome", "Rules"]

_HOUR = 3600


class ClaimStatus(IntEnum):
    """Where a claim stands."""

    NONE = 0
    SUBMITTED = 1
    PENDED = 2
    ADJUDICATED = 3
    SETTLED = 4
    VOIDED = 5
    REPLACED = 6


class Outcome(IntEnum):
    """What the payer decided."""

    NONE = 0
    APPROVED = 1
    PARTIAL = 2
    DENIED = 3


@dataclass(frozen=True)
class Claim:
    """What a claim is on the chain; every step names it."""

    provider: str  # the identity of the party that bills
    payer: str  # the identity of the party that is billed
    commitment: bytes  # 32 bytes, the salted hash of the canonical claim
    nullifier: bytes  # 32 bytes, the keyed hash of the service (medproof.fhir.claim_nullifier)

    @property
    def id(self) -> bytes:
        """The claim's id: keccak-256 of the ABI encoding of the four, 32 bytes."""
        return keccak(encode(["(address,address,bytes32,bytes32)"], [self.as_tuple()]))

    def as_tuple(self) -> tuple[str, str, bytes, bytes]:
        """The claim as the contract takes it."""
        return (self.provider, self.payer, self.commitment, self.nullifier)


@dataclass(frozen=True)
class ClaimState:
    """A claim as it stands."""

    status: ClaimStatus
    outcome: Outcome
    rules: int  # the number of the payer's rules that govern it
    paid: bool  # whether the service was settled, under this claim or one that it replaced
    response: bytes  # 32 bytes, the commitment to the payer's response; zero before adjudication


@dataclass(frozen=True)
class Rules:
    """Adjudication rules that a payer published."""

    number: int  # from 1
    hash: bytes  # 32 bytes, keccak-256 of their text
    valid_from: date  # first service date they govern


@dataclass(frozen=True)
class Agreement:
    """A party's signature to one step of one claim, for whoever sends the step."""

    deadline: int  # the last time at which it counts, seconds since 1970; co-signers sign the same
    signature: bytes


_NONE = Agreement(0, b"")  # the sender itself owns the step


class ClaimAnchor(ContractClient):
    """The claims of all providers.

    Each step is sent by the party that owns it, or by anyone with that party's `Agreement`. A step owned by two
    takes the agreement of whoever does not send it, with the same deadline where neither does.
    """

    name = "ClaimAnchor"

    # -- rules --------------------------------------------------------------------------------------------------

    def publish_rules(self, rules: bytes, valid_from: date, *, sender: Sender | None = None) -> int:
        """Publish the hash of adjudication rules, as their payer, and return their number.

        Args:
            rules: 32 bytes, keccak-256 of the text.
            valid_from: the first service date they govern; a payer's later rules may not begin in the past.
            sender: the payer.
        """
        receipt = self._transact("publishRules", rules, day_number(valid_from), sender=sender)
        return int(receipt.events(self.contract)[0].arguments["number"])

    def rules_in_force(self, payer: str, day: date) -> Rules | None:
        """A payer's rules that govern a service date."""
        number = int(self._call("rulesInForce", payer, day_number(day)))
        return self.rules(payer, number) if number else None

    def rules(self, payer: str, number: int) -> Rules | None:
        """A payer's rules by their number."""
        rules, valid_from = self._call("rulesOf", payer, number)
        return Rules(number, bytes(rules), EPOCH_DAY + timedelta(days=valid_from)) if any(rules) else None

    # -- steps --------------------------------------------------------------------------------------------------

    def submit(self, claim: Claim, rules: int, *, provider: Agreement = _NONE, sender: Sender | None = None) -> Receipt:
        """Submit a claim under the payer's rules in force on the service date. Owned by the provider."""
        return self._transact("submit", claim.as_tuple(), rules, provider.deadline, provider.signature, sender=sender)

    def pend(self, claim: Claim, request: bytes, *, payer: Agreement = _NONE, sender: Sender | None = None) -> Receipt:
        """Pend a claim; `request` is a 32-byte commitment to what is asked for. Owned by the payer."""
        return self._transact("pend", claim.as_tuple(), request, payer.deadline, payer.signature, sender=sender)

    def adjudicate(
        self,
        claim: Claim,
        outcome: Outcome,
        rules: int,
        response: bytes,
        *,
        payer: Agreement = _NONE,
        sender: Sender | None = None,
    ) -> Receipt:
        """Adjudicate a claim; `response` is a 32-byte commitment to the payer's response. Owned by the payer."""
        return self._transact(
            "adjudicate",
            claim.as_tuple(),
            outcome,
            rules,
            response,
            payer.deadline,
            payer.signature,
            sender=sender,
        )

    def settle(
        self,
        claim: Claim,
        *,
        provider: Agreement = _NONE,
        payer: Agreement = _NONE,
        sender: Sender | None = None,
    ) -> Receipt:
        """Settle an approved claim. Owned by provider and payer together."""
        return self._transact("settle", claim.as_tuple(), *_both(provider, payer), sender=sender)

    def void(
        self,
        claim: Claim,
        *,
        provider: Agreement = _NONE,
        payer: Agreement = _NONE,
        sender: Sender | None = None,
    ) -> Receipt:
        """Void a claim and free its nullifier. Owned by the provider; once settled, by the payer too."""
        return self._transact("void", claim.as_tuple(), *_both(provider, payer), sender=sender)

    def replace(
        self,
        claim: Claim,
        correction: Claim,
        rules: int,
        *,
        provider: Agreement = _NONE,
        payer: Agreement = _NONE,
        sender: Sender | None = None,
    ) -> Receipt:
        """Replace a claim by a corrected one. Owned by the provider; once settled, by the payer too."""
        steps = (claim.as_tuple(), correction.as_tuple(), rules, *_both(provider, payer))
        return self._transact("replace", *steps, sender=sender)

    # -- agreeing by signature ----------------------------------------------------------------------------------

    def agree_to_submit(self, signer: Signer, claim: Claim, rules: int, *, deadline: int | None = None) -> Agreement:
        """Sign a submission, as the provider. Every `deadline` is an hour ahead where none is given."""
        until = self._until(deadline)
        message = messages.submission(
            self.domain,
            provider=claim.provider,
            payer=claim.payer,
            commitment=claim.commitment,
            nullifier=claim.nullifier,
            rules_number=rules,
            rules=self._rules_hash(claim.payer, rules),
            deadline=until,
        )
        return _agree(signer, message, until)

    def agree_to_pend(self, signer: Signer, claim: Claim, request: bytes, *, deadline: int | None = None) -> Agreement:
        """Sign a request for more, as the payer."""
        until = self._until(deadline)
        return _agree(signer, messages.pend(self.domain, claim=claim.id, request=request, deadline=until), until)

    def agree_to_adjudicate(
        self,
        signer: Signer,
        claim: Claim,
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
        return _agree(signer, message, until)

    def agree_to_settle(self, signer: Signer, claim: Claim, *, deadline: int | None = None) -> Agreement:
        """Sign the settlement of a claim as it was adjudicated, as the provider or the payer."""
        until, state = self._until(deadline), self.state(claim)
        message = messages.settlement(
            self.domain,
            claim=claim.id,
            outcome=state.outcome,
            rules=self._rules_hash(claim.payer, state.rules),
            response=state.response,
            deadline=until,
        )
        return _agree(signer, message, until)

    def agree_to_void(self, signer: Signer, claim: Claim, *, deadline: int | None = None) -> Agreement:
        """Sign that a claim is void, as the provider or the payer."""
        until = self._until(deadline)
        return _agree(signer, messages.void(self.domain, claim=claim.id, deadline=until), until)

    def agree_to_replace(
        self, signer: Signer, claim: Claim, correction: Claim, rules: int, *, deadline: int | None = None
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
        return _agree(signer, message, until)

    # -- reading ------------------------------------------------------------------------------------------------

    def state(self, claim: Claim, *, block: int | str = "latest") -> ClaimState:
        """A claim as it stands."""
        status, outcome, rules, paid = self._call("stateOf", claim.id, block=block)
        response = self._call("responseOf", claim.id, block=block)
        return ClaimState(ClaimStatus(status), Outcome(outcome), rules, paid, bytes(response))

    def claim_of(self, nullifier: bytes) -> bytes | None:
        """The id of the claim that holds a nullifier."""
        claim = bytes(self._call("claimOf", nullifier))
        return claim if any(claim) else None

    # -- helpers ------------------------------------------------------------------------------------------------

    def _rules_hash(self, payer: str, number: int) -> bytes:
        rules = self.rules(payer, number)
        return rules.hash if rules else bytes(32)

    def _until(self, deadline: int | None) -> int:
        return self._deadline(_HOUR) if deadline is None else deadline


def _agree(signer: Signer, message: TypedData, deadline: int) -> Agreement:
    return Agreement(deadline, signer.sign_typed_data(message))


def _both(provider: Agreement, payer: Agreement) -> tuple[int, bytes, bytes]:
    """One deadline and two signatures."""
    if provider.signature and payer.signature and provider.deadline != payer.deadline:
        raise MessageError(
            f"Provider and payer signed for different deadlines, {provider.deadline} and {payer.deadline}. "
            "Let the second sign with the first's deadline."
        )
    return provider.deadline or payer.deadline, provider.signature, payer.signature

"""A payer's signed word that somebody is insured on a day, or is not: off chain, and with the time that it was made.

What is signed is EIP-712 typed data in the domain `MedProof Eligibility`, version 1, with the chain's id and the
Registrar's address::

    Eligibility(address payer,address provider,bytes32 question,bool covered,uint64 madeAt,uint64 block,
                bytes32 blockHash,uint64 validUntil)

`question` commits to the question as it was sent (`medproof.claims.coverage.EligibilityRequest`) under a salt that the
payer draws, so that the word is of use to whoever has the question and tells nothing to anybody else. It names a block:
it was made after that block, whatever the payer's clock says, and so a stale one is found out. Nothing goes on chain.
A payer that wants to show later what it had said by when appends `leaf` to a log that it anchors.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from types import MappingProxyType

from medproof import hashing
from medproof.chain import Block
from medproof.claims.coverage import EligibilityRequest
from medproof.claims.document import value_json
from medproof.client import MedProof
from medproof.client.batch_anchor import Batch
from medproof.errors import (
    ArgumentError,
    EligibilityError,
    EligibilityRefusedError,
    LeafProofError,
    MerkleProofError,
    SaltError,
)
from medproof.json_reader import JsonReader, hex_text
from medproof.leaf_proof import LeafProof
from medproof.messages import Domain, FreeMessage
from medproof.policy.codes import PartyKind
from medproof.signatures import digest, is_signed_by
from medproof.signing import Signer

__all__ = ["ELIGIBILITY_FIELDS", "REFUSALS", "EligibilityAttestation", "attest", "verify", "verify_anchored"]

ELIGIBILITY_FIELDS = (
    "address payer,address provider,bytes32 question,bool covered,uint64 madeAt,uint64 block,bytes32 blockHash,"
    "uint64 validUntil"
)

REFUSALS: Mapping[str, str] = MappingProxyType(
    {
        "CHAIN": "It is of another chain or Registrar. Connect to the one that it names.",
        "QUESTION": "It answers another question than this one. Ask the payer this one.",
        "PROVIDER": "It was given to another provider. Ask the payer yourself.",
        "ASKED": "It is by another party than the payer that you asked. Ask that one.",
        "PAYER": "It is by nobody who is accredited as a payer. Do not rely on it.",
        "SUSPENDED": "The payer is suspended, or its accreditation is over. Ask the authority.",
        "SIGNATURE": "It is not signed by the payer, or was altered. Do not rely on it.",
        "ROTATED": "It is signed by an account that the payer has replaced since. Ask the payer again.",
        "BLOCK": "The block that it names is not on this chain, or came after it. Ask the payer again.",
        "FUTURE": "It was made later than now. Set the clock that is wrong.",
        "STALE": "It is older than you allow. Ask the payer again.",
        "EXPIRED": "The payer does not stand by it any more. Ask the payer again.",
    }
)
"""Why an attestation is not to be relied on, by code."""

_FORMAT, _VERSION = "medproof-eligibility", 1
_LONGEST = 16 * 1024  # bytes of a document
_LONGEST_SIGNATURE = 2048  # bytes; a contract wallet's may hold several
_SKEW = timedelta(minutes=5)  # that two clocks may differ by
_LATEST = datetime(9999, 12, 31, tzinfo=UTC)


@dataclass(frozen=True)
class EligibilityAttestation:
    """One signed word. What it says counts where `verify` returns."""

    chain_id: int
    registrar: str  # the Registrar's address
    payer: str  # the identity of the party that answers
    provider: str  # the identity of the party that asked
    question: bytes  # 32 bytes, the commitment to the question
    covered: bool = field(repr=False)
    made_at: int  # seconds since 1970, as the payer says
    block: int  # one that stood when it was made
    block_hash: bytes  # 32 bytes
    valid_until: int  # seconds since 1970: how long the payer stands by it
    salt: bytes = field(repr=False)  # 32 bytes, which open the commitment; whoever deletes them erases the link
    signature: bytes = field(default=b"", repr=False)  # the payer's

    @cached_property
    def typed_data(self) -> FreeMessage:
        """What the payer signs."""
        return FreeMessage(
            Domain("Eligibility", self.chain_id, self.registrar),
            "Eligibility",
            {
                "payer": self.payer,
                "provider": self.provider,
                "question": self.question,
                "covered": self.covered,
                "madeAt": self.made_at,
                "block": self.block,
                "blockHash": self.block_hash,
                "validUntil": self.valid_until,
            },
            {"Eligibility": ELIGIBILITY_FIELDS},
        )

    @cached_property
    def leaf(self) -> bytes:
        """The leaf of the payer's log: 32 bytes, which nobody can guess who lacks the salt."""
        return digest(self.typed_data.signable())

    def answers(self, request: EligibilityRequest) -> bool:
        """Whether it is about this question, to the last field."""
        try:
            return hashing.commit(value_json(request), self.salt) == self.question
        except SaltError:
            return False

    def to_json(self) -> str:
        """The attestation as JSON, for the provider that asked: with the salt."""
        return json.dumps(
            {
                "format": _FORMAT,
                "version": _VERSION,
                "chainId": self.chain_id,
                "registrar": self.registrar,
                "payer": self.payer,
                "provider": self.provider,
                "question": hex_text(self.question),
                "covered": self.covered,
                "madeAt": self.made_at,
                "block": self.block,
                "blockHash": hex_text(self.block_hash),
                "validUntil": self.valid_until,
                "salt": hex_text(self.salt),
                "signature": hex_text(self.signature),
            }
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> EligibilityAttestation:
        """Read what `to_json` wrote. Nothing is checked against the chain.

        Raises:
            EligibilityError: it is none, or of an unknown version.
        """
        said = JsonReader.document(text, EligibilityError, format=_FORMAT, version=_VERSION, longest=_LONGEST)
        attestation = cls(
            chain_id=said.number("chainId", bits=256),
            registrar=said.address("registrar"),
            payer=said.address("payer"),
            provider=said.address("provider"),
            question=said.hash("question"),
            covered=said.flag("covered"),
            made_at=said.number("madeAt"),
            block=said.number("block"),
            block_hash=said.hash("blockHash"),
            valid_until=said.number("validUntil"),
            salt=said.hash("salt"),
            signature=said.octets("signature", 1, _LONGEST_SIGNATURE),
        )
        said.finish()
        return attestation


def attest(
    suite: MedProof,
    signer: Signer,
    request: EligibilityRequest,
    *,
    provider: str,
    covered: bool,
    lifetime: timedelta = timedelta(days=1),
    now: datetime | None = None,
) -> EligibilityAttestation:
    """Answer a question as the payer.

    Args:
        suite: where the payer is accredited.
        signer: the account that acts for the payer, an active party.
        request: the question as it was sent.
        provider: the identity of the party that asked: nobody else can use the answer.
        covered: whether a policy is in force for what is asked.
        lifetime: for how long the payer stands by it.
        now: aware; the present time where none is given.

    Raises:
        ArgumentError: the signer acts for no active payer, or the lifetime is over before it begins.
        NodeError: the chain cannot be asked.
    """
    party = suite.registrar.standing(signer.address)
    if party is None or party.kind is not PartyKind.PAYER:
        raise ArgumentError(f"{signer.address} acts for no active payer. Sign with the account that does.")
    if lifetime <= timedelta(0):
        raise ArgumentError(f"A lifetime of {lifetime} is over before it begins. Give a longer one.")
    stated = _standing_block(suite)
    made_at = max(int(_moment(now).timestamp()), stated.timestamp)
    salt = hashing.new_salt()
    attestation = EligibilityAttestation(
        chain_id=suite.chain.chain_id,
        registrar=suite.registrar.address,
        payer=party.id,
        provider=provider,
        question=hashing.commit(value_json(request), salt),
        covered=covered,
        made_at=made_at,
        block=stated.number,
        block_hash=bytes.fromhex(stated.hash[2:]),
        valid_until=made_at + int(lifetime.total_seconds()),
        salt=salt,
    )
    return replace(attestation, signature=signer.sign_typed_data(attestation.typed_data))


def verify(
    suite: MedProof,
    attestation: EligibilityAttestation,
    request: EligibilityRequest,
    *,
    payer: str,
    provider: str,
    max_age: timedelta,
    now: datetime | None = None,
) -> None:
    """Return if a payer stands by its answer to this question, and gave it no longer ago than that.

    The age counts from the block that the answer names, which is no later than the answer: on a chain whose newest
    block is older than `max_age`, every answer is stale.

    Args:
        suite: where the payer is accredited, through a node that is trusted.
        attestation: what came.
        request: the question as it was sent.
        payer: the identity of the party that was asked: no other payer's word counts for its policies.
        provider: the identity of the party that asked.
        max_age: how old an answer may be.
        now: aware; the present time where none is given.

    Raises:
        EligibilityRefusedError: it is not to be relied on; `REFUSALS` has the codes.
        NodeError: the chain cannot be asked.
    """
    moment = _moment(now)
    if (attestation.chain_id, attestation.registrar) != (suite.chain.chain_id, suite.registrar.address):
        raise _refused("CHAIN")
    if not attestation.answers(request):
        raise _refused("QUESTION")
    if attestation.provider != provider:
        raise _refused("PROVIDER")
    if attestation.payer != payer:
        raise _refused("ASKED")
    _check_signer(suite, attestation)
    stated = _named_block(suite, attestation)
    made_at = _time(attestation.made_at)
    if made_at > moment + _SKEW:
        raise _refused("FUTURE")
    if moment - _time(stated.timestamp) > max_age:
        raise _refused("STALE")
    if moment >= _time(attestation.valid_until):
        raise _refused("EXPIRED")


def verify_anchored(suite: MedProof, attestation: EligibilityAttestation, proof: LeafProof) -> Batch:
    """Return the batch of the payer's log that has the attestation: it was made by then.

    Raises:
        EligibilityError: the proof is of another leaf or publisher, or no batch on chain has it.
        NodeError: the chain cannot be asked.
    """
    if (proof.leaf, proof.publisher) != (attestation.leaf, attestation.payer):
        raise EligibilityError("leaf", "is not this attestation's in the payer's log")
    try:
        return proof.verify_anchored(suite.batch_anchor)
    except (MerkleProofError, LeafProofError):
        raise EligibilityError("leaf", "is in no batch on the chain") from None


def _check_signer(suite: MedProof, attestation: EligibilityAttestation) -> None:
    """Make sure that the account that acts for the payer now signed it."""
    account = suite.registrar.account_of(attestation.payer)
    party = suite.registrar.party(account) if account is not None else None
    if account is None or party is None or party.id != attestation.payer or party.kind is not PartyKind.PAYER:
        raise _refused("PAYER")
    signable = attestation.typed_data.signable()
    if not is_signed_by(suite.chain, account, signable, attestation.signature):
        earlier = suite.registrar.events("AccountChanged", filters={"party": attestation.payer})
        accounts = {str(event.arguments["from"]) for event in earlier} - {account}
        signed = any(is_signed_by(suite.chain, one, signable, attestation.signature) for one in accounts)
        raise _refused("ROTATED" if signed else "SIGNATURE")
    if suite.registrar.standing(account) is None:
        raise _refused("SUSPENDED")


def _named_block(suite: MedProof, attestation: EligibilityAttestation) -> Block:
    """The block that it names, if it is on the chain and no later than it says that it was made."""
    if attestation.block > suite.chain.block_number():
        raise _refused("BLOCK")
    stated = suite.chain.block(attestation.block)
    if bytes.fromhex(stated.hash[2:]) != attestation.block_hash or attestation.made_at < stated.timestamp:
        raise _refused("BLOCK")
    return stated


def _standing_block(suite: MedProof) -> Block:
    """The newest block that will stand."""
    newest = suite.chain.block()
    return suite.chain.block(max(newest.number - suite.chain.confirmations + 1, 0))


def _moment(now: datetime | None) -> datetime:
    if now is None:
        return datetime.fromtimestamp(time.time(), UTC)
    if now.tzinfo is None:
        raise ArgumentError(f"{now!r} names no zone. Give an aware datetime.")
    return now


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(min(seconds, int(_LATEST.timestamp())), UTC)


def _refused(code: str) -> EligibilityRefusedError:
    return EligibilityRefusedError(code, REFUSALS[code])

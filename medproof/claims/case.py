"""A case: what one party keeps of a claim that is on the chain, in one file that only it reads.

It holds the claim, the salt that opens its commitment, what it is on the chain, and what opens the commitments of later
steps: the payer's response, requests, answers and grounds. Whoever deletes the file, or `erased` writes it without the
claim, leaves on the chain a commitment that tells nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from medproof import hashing
from medproof.claims import disclosure
from medproof.claims.claim import Claim, ClaimResponse
from medproof.claims.document import read_claim, read_response, to_json
from medproof.client.claim_anchor import AnchoredClaim
from medproof.client.contract import NOBODY
from medproof.errors import CaseError, ClaimDocumentError
from medproof.hashing import JsonObject
from medproof.json_reader import JsonReader, hex_text

__all__ = ["Anchor", "Case", "Paper", "SealedResponse", "claim_json", "read_claim_json"]

_FORMAT, _VERSION = "medproof-claim-case", 1
_LONGEST = 1 << 24  # bytes
_MOST_PAPERS = 1000


@dataclass(frozen=True)
class Anchor:
    """What a claim is on which chain."""

    chain_id: int
    contract: str  # the ClaimAnchor
    claim: AnchoredClaim
    rules: int  # the number of the payer's rules that it names


@dataclass(frozen=True)
class SealedResponse:
    """What the payer decided, and the salt that opens its commitment."""

    content: ClaimResponse
    salt: bytes = field(repr=False)

    @property
    def commitment(self) -> bytes:
        """What goes on chain, 32 bytes."""
        return disclosure.commit(self.content, self.salt)


@dataclass(frozen=True)
class Paper:
    """A text that a step commits to: a request, an answer, the grounds of an appeal, the reason of a decision."""

    step: str  # such as "pend"
    text: str = field(repr=False)
    salt: bytes = field(repr=False)

    @property
    def commitment(self) -> bytes:
        """What goes on chain, 32 bytes."""
        return hashing.commit_bytes(self.text.encode(), self.salt)


@dataclass(frozen=True)
class Case:
    """A claim with all that its steps need."""

    claim: Claim | None  # None once it was erased
    salt: bytes | None = field(repr=False)  # gone with it
    anchor: Anchor | None = None  # None before it is submitted
    responses: tuple[SealedResponse, ...] = ()  # in their order; none is ever overwritten
    papers: tuple[Paper, ...] = ()  # in their order

    @classmethod
    def open(cls, claim: Claim) -> Case:
        """A new case, with a fresh salt."""
        return cls(claim, hashing.new_salt())

    @property
    def commitment(self) -> bytes:
        """What goes on chain of the claim, 32 bytes.

        Raises:
            CaseError: the claim was erased.
        """
        claim, salt = self.content()
        return disclosure.commit(claim, salt)

    @property
    def response(self) -> SealedResponse | None:
        """The last response; whether the chain has it says `response_for`."""
        return self.responses[-1] if self.responses else None

    def content(self) -> tuple[Claim, bytes]:
        """The claim and its salt.

        Raises:
            CaseError: they were erased.
        """
        if self.claim is None or self.salt is None:
            raise CaseError("", "was erased: the claim and its salt are gone", "What the chain has can still be read")
        return self.claim, self.salt

    def anchored(self) -> Anchor:
        """What the claim is on the chain.

        Raises:
            CaseError: it is not on the chain.
        """
        if self.anchor is None:
            raise CaseError("", "is not on the chain yet", "Submit it first: medproof claims submit")
        return self.anchor

    def check(self) -> None:
        """Return if the claim opens the commitment that is on the chain: what a payer looks at before it signs.

        Raises:
            CaseError: it does not.
        """
        if self.anchored().claim.commitment != self.commitment:
            raise CaseError(
                "claim", "is not what the commitment on the chain opens to", "Ask the provider for the case"
            )

    def with_response(self, content: ClaimResponse) -> tuple[Case, SealedResponse]:
        """The case with a response in it, sealed; the same response again stays the one that it is."""
        for one in self.responses:
            if one.content == content:
                return self, one
        sealed = SealedResponse(content, hashing.new_salt())
        return replace(self, responses=(*self.responses, sealed)), sealed

    def response_for(self, commitment: bytes) -> SealedResponse | None:
        """The response that a commitment on the chain opens to."""
        return next((one for one in self.responses if one.commitment == commitment), None)

    def with_paper(self, step: str, text: str) -> Case:
        """The case with a text in it, salted; the same text of the same step stays the one that it is."""
        if any((one.step, one.text) == (step, text) for one in self.papers):
            return self
        return replace(self, papers=(*self.papers, Paper(step, text, hashing.new_salt())))

    def paper(self, step: str, text: str) -> Paper:
        """A text that is in it."""
        return next(one for one in self.papers if (one.step, one.text) == (step, text))

    def erased(self) -> Case:
        """The case without anything that says what the claim is about."""
        return Case(None, None, self.anchor)

    def to_json(self) -> JsonObject:
        """The case as JSON."""
        return {
            "format": _FORMAT,
            "version": _VERSION,
            "claim": None if self.claim is None else to_json(self.claim),
            "salt": None if self.salt is None else hex_text(self.salt),
            "anchor": None if self.anchor is None else _anchor_json(self.anchor),
            "responses": [{"content": to_json(one.content), "salt": hex_text(one.salt)} for one in self.responses],
            "papers": [{"step": one.step, "text": one.text, "salt": hex_text(one.salt)} for one in self.papers],
        }

    @classmethod
    def from_json(cls, text: str | bytes) -> Case:
        """Read what `to_json` gave.

        Raises:
            CaseError: it is none; no message shows what stands in it.
        """
        said = JsonReader.document(text, CaseError, format=_FORMAT, version=_VERSION, longest=_LONGEST)
        content, salt = said.take("claim"), said.maybe_hash("salt")
        anchor = said.maybe_object("anchor")
        responses, papers = (said.items(name, _MOST_PAPERS, least=0) for name in ("responses", "papers"))
        said.finish()
        if (content is None) != (salt is None):
            raise CaseError("salt", "is there without the claim, or the claim without it")
        try:
            return cls(
                claim=None if content is None else read_claim(content),
                salt=salt,
                anchor=None if anchor is None else _anchor(anchor),
                responses=tuple(map(_response, responses)),
                papers=tuple(map(_paper, papers)),
            )
        except ClaimDocumentError as error:
            raise CaseError(error.path, "is not as a claim has it") from error


def _anchor_json(anchor: Anchor) -> JsonObject:
    return {
        "chainId": anchor.chain_id,
        "contract": anchor.contract,
        "rules": anchor.rules,
        "claim": claim_json(anchor.claim),
    }


def claim_json(claim: AnchoredClaim) -> JsonObject:
    """What a claim is on the chain, as JSON."""
    return {
        "provider": claim.provider,
        "payer": claim.payer,
        "patient": None if claim.patient == NOBODY else claim.patient,
        "registration": hex_text(claim.registration),
        "commitment": hex_text(claim.commitment),
        "nullifier": hex_text(claim.nullifier),
        "softKey": hex_text(claim.soft_key),
    }


def _anchor(said: JsonReader) -> Anchor:
    found = Anchor(
        chain_id=said.number("chainId"),
        contract=said.address("contract"),
        claim=read_claim_json(said.object("claim")),
        rules=said.number("rules", bits=32),
    )
    said.finish()
    return found


def read_claim_json(said: JsonReader) -> AnchoredClaim:
    """Read what `claim_json` gave.

    Raises:
        the reader's error: it is none.
    """
    found = AnchoredClaim(
        provider=said.address("provider"),
        payer=said.address("payer"),
        patient=said.maybe_address("patient") or NOBODY,
        registration=said.hash("registration"),
        commitment=said.hash("commitment"),
        nullifier=said.hash("nullifier"),
        soft_key=said.hash("softKey"),
    )
    said.finish()
    return found


def _response(said: JsonReader) -> SealedResponse:
    found = SealedResponse(read_response(said.take("content")), said.hash("salt"))
    said.finish()
    return found


def _paper(said: JsonReader) -> Paper:
    found = Paper(said.text("step"), said.text("text"), said.hash("salt"))
    said.finish()
    return found

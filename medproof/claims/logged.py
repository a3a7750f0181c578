"""An event of a claim in a clearing house's log, with the transaction that anchored it: proved off line.

It needs `medproof[evidence,gateway]`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from eth_abi.abi import encode
from eth_utils.abi import event_abi_to_log_topic

from medproof.artifacts import artifact
from medproof.claims.event_log import ClaimEvent, ClaimEventLog, ClaimEventProof
from medproof.client import MedProof
from medproof.errors import ClaimEventError, EvidenceError, LeafProofError, MerkleProofError
from medproof.evidence import TransactionProof, prove_transaction
from medproof.hashing import JsonObject
from medproof.json_reader import JsonReader
from medproof.leaf_proof import LeafProof

__all__ = ["LoggedEvent", "logged"]

_ANCHORED = "BatchAnchored"


@dataclass(frozen=True)
class LoggedEvent:
    """An event, its place in the log, and what put the log's root on the chain."""

    proof: ClaimEventProof
    anchored: TransactionProof

    def verify(self, commitment: bytes) -> None:
        """Return if it is an event of the claim with this commitment, in a log that was anchored.

        Raises:
            EvidenceError: it is not.
        """
        event, leaf = self.proof.event, self.proof.leaf
        if event.claim != commitment:
            raise EvidenceError("log", "has an event of another claim")
        try:
            self.proof.verify()
        except MerkleProofError as error:
            raise EvidenceError("log", f"does not have the event: {error}") from error
        said = self.anchored.verify()
        if self.anchored.chain_id != leaf.chain_id:
            raise EvidenceError("log", f"is of chain {leaf.chain_id}, and its transaction of {self.anchored.chain_id}")
        indexed = (encode(["address"], [leaf.publisher]), encode(["uint32"], [leaf.log]))
        root = encode(["uint64", "bytes32"], [leaf.size, leaf.root])
        if not any(
            log.address == leaf.anchor and log.topics[:3] == (_topic(), *indexed) and log.data == root
            for log in said.logs
        ):
            raise EvidenceError("log", f"was not anchored with {leaf.size} events in {said.hash}")

    def to_json(self) -> JsonObject:
        """Event, place and transaction."""
        return {**self.proof.to_json(), "anchored": self.anchored.to_json()}

    @classmethod
    def from_json(cls, said: JsonReader) -> LoggedEvent:
        """Read what `to_json` gave.

        Raises:
            EvidenceError: it is none.
        """
        try:
            proof = ClaimEventProof(ClaimEvent.from_json(said.take("event")), LeafProof.from_json(said.take("leaf")))
        except (ClaimEventError, LeafProofError) as error:
            raise EvidenceError("log", f"cannot be read: {error}") from error
        found = cls(proof, TransactionProof.from_json(said.object("anchored")))
        said.finish()
        return found


def _topic() -> bytes:
    (abi,) = (one for one in artifact("BatchAnchor").abi if one.get("name") == _ANCHORED)
    return bytes(event_abi_to_log_topic(cast(Any, abi)))


def logged(suite: MedProof, log: ClaimEventLog, commitment: bytes) -> Iterator[LoggedEvent]:
    """Every anchored event of a claim in a log, with its proofs.

    Raises:
        EvidenceError: the log is not anchored on this chain as its proofs say.
        NamedLogError, LogDamagedError, StoreError: as `ClaimEventLog.prove`.
    """
    for index in log.of_claim(commitment):
        proof = log.prove(index)
        leaf = proof.leaf
        events = suite.batch_anchor.events(_ANCHORED, filters={"publisher": leaf.publisher, "log": leaf.log})
        found = next((one for one in events if one.arguments["size"] == leaf.size), None)
        if found is None:
            raise EvidenceError("log", f"was not anchored with {leaf.size} events", "Anchor it first")
        yield LoggedEvent(proof, prove_transaction(suite.chain, found.transaction))

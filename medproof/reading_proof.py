"""One reading with all that proves it, and nothing of any other: who measured it, when, and since when that stands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from medproof import fhir
from medproof.client import MedProof
from medproof.client.batch_anchor import Batch
from medproof.errors import MerkleProofError, ReadingRefusedError, UnprovedRecordError
from medproof.hashing import Json, JsonObject
from medproof.leaf_proof import LeafProof
from medproof.policy.device import decode_device
from medproof.reading import Reading, check_signature

__all__ = ["ReadingProof"]


@dataclass(frozen=True)
class ReadingProof:
    """A reading, and its place in the custodian's log of readings."""

    reading: Reading
    leaf: LeafProof | None  # None as long as it is not anchored

    def verify(self, suite: MedProof) -> Batch:
        """Return the batch that anchored the reading, if it is the device's, to the last digit.

        That is: the salt opens the leaf, the device signed it for this subject and custodian, the subject had
        registered the device for such data and that time, and the custodian's log on chain has the leaf. The chain is
        asked by the caller's own node.

        Raises:
            UnprovedRecordError: one of these does not hold.
            NodeError: the chain cannot be asked.
        """
        reading, leaf = self.reading, self.leaf
        if leaf is None:
            raise UnprovedRecordError("leaf", "is missing, since the reading is not anchored yet")
        if reading.commitment != leaf.leaf:
            raise UnprovedRecordError("leaf", "is not the commitment to this reading")
        if leaf.publisher != reading.custodian:
            raise UnprovedRecordError("publisher", "is not the custodian that the device signed for")
        try:
            check_signature(reading, suite.devices.reading_domain)
        except ReadingRefusedError:
            raise UnprovedRecordError("signature", "is not the device's under this reading") from None
        if not self._registered(suite):
            raise UnprovedRecordError("device", "was not registered for such data at that time")
        try:
            return leaf.verify_anchored(suite.batch_anchor)
        except MerkleProofError as error:
            raise UnprovedRecordError("leaf", "is in no batch on the chain") from error

    def to_json(self) -> JsonObject:
        """Reading and place, as the gatekeeper answers."""
        return {"reading": self.reading.to_json(), "leaf": self.leaf.to_json() if self.leaf else None}

    @classmethod
    def from_json(cls, value: Json) -> ReadingProof:
        """Read what `to_json` gave.

        Raises:
            ReadingError, LeafProofError: it is none.
        """
        said = value if isinstance(value, dict) else {}
        leaf = said.get("leaf")
        return cls(Reading.from_json(said.get("reading")), None if leaf is None else LeafProof.from_json(leaf))

    def _registered(self, suite: MedProof) -> bool:
        """Whether a registration covers the reading that the subject gave, and had not changed or revoked before."""
        classes = fhir.data_class(fhir.load(self.reading.observation))
        taken = datetime.fromtimestamp(self.reading.taken_at, UTC)
        covered = False
        for event in suite.devices.history(self.reading.subject, device=self.reading.device):
            before = suite.chain.timestamp(event.block) <= self.reading.taken_at
            if event.name == "DeviceSet":
                covers = classes in decode_device(event.arguments["word"]).classes_at(taken)
                covered = covers or (covered and not before)
            elif before:
                covered = False
        return covered

"""What comes with a served record: its salt, its pointer and the block of the decision, for the caller to verify."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from eth_utils.address import to_checksum_address

from medproof import hashing
from medproof.client.record_pointers import Place, Pointer, PointerKey, RecordPointers, Status
from medproof.errors import MerkleProofError, SaltError, UnknownCodeError, UnprovedRecordError
from medproof.hashing import Json, JsonObject
from medproof.policy.codes import DataClass

__all__ = ["PROOF", "Proof", "read_pointer", "verify_pointer"]

PROOF = "urn:medproof:proof"
"""The URL of the extension of a bundle's entry that holds a proof."""

_HASH = re.compile("0x[0-9a-f]{64}", re.ASCII)
_MOST = 1 << 64  # what a number stays below


@dataclass(frozen=True)
class Proof:
    """What proves one served record."""

    pointer: PointerKey
    data_class: DataClass  # the pointer's
    salt: bytes = field(repr=False)  # 32 bytes
    version: int  # of the record, from 1
    status: str  # how the pointer stands, such as "accepted"
    block: int  # the block as of which the record was served
    block_hash: str  # 0x…
    reason: str  # why it was served: PERMITTED, BREAK_GLASS, SUBJECT, DELEGATE
    place: Place | None = None  # of the pointer in its batch; None where it had a slot of its own

    @classmethod
    def of(cls, pointer: Pointer, salt: bytes, block: int, block_hash: str, reason: str) -> Proof:
        """The proof of a pointer as it stands."""
        key, status = pointer.key, pointer.status.name.lower()
        return cls(key, pointer.data_class, salt, pointer.version, status, block, block_hash, reason, pointer.place)

    def to_text(self) -> str:
        """The proof as one line of JSON in ASCII, as headers and extensions carry it."""
        said: JsonObject = {
            "subject": self.pointer.subject,
            "origin": self.pointer.origin,
            "commitment": f"0x{self.pointer.commitment.hex()}",
            "pointer": f"0x{self.pointer.id.hex()}",
            "class": self.data_class.code,
            "salt": f"0x{self.salt.hex()}",
            "version": self.version,
            "status": self.status,
            "block": self.block,
            "blockHash": self.block_hash,
            "reason": self.reason,
        }
        if self.place is not None:
            said["place"] = self.place.to_json()
        return json.dumps(said, separators=(",", ":"))

    @classmethod
    def read(cls, text: str) -> Proof:
        """Read what `to_text` gave.

        Raises:
            UnprovedRecordError: it is none.
        """
        try:
            said: dict[str, Any] = json.loads(text)
            key, data_class, place = read_pointer(said)
            return cls(
                key,
                data_class,
                _bytes(said, "salt"),
                _number(said, "version"),
                Status[said["status"].upper()].name.lower(),
                _number(said, "block"),
                f"0x{_bytes(said, 'blockHash').hex()}",
                str(said["reason"]),
                place,
            )
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError, UnknownCodeError):
            raise UnprovedRecordError("proof", "is missing or cannot be read") from None

    def verify(self, record: JsonObject, pointers: RecordPointers) -> Pointer:
        """Check that the record is, to its last digit, what the pointer on chain commits to; return the pointer.

        The chain is asked as it stands now, by the caller's own node; the version and the status are the chain's.

        Raises:
            UnprovedRecordError: it is not.
            NodeError: the chain cannot be asked.
        """
        self.verify_record(record)
        found = verify_pointer(self.pointer, self.data_class, self.place, pointers)
        if self.place is not None and (self.version, self.status) != (1, Status.POSTED.name.lower()):
            raise UnprovedRecordError("version or status", "is not that of a pointer in a batch")
        if found.version != self.version:
            raise UnprovedRecordError("version", f"is {self.version}, and the pointer's is {found.version}")
        if pointers.chain.block(self.block).hash != self.block_hash:
            raise UnprovedRecordError("blockHash", "is not that of the chain's block of this number")
        return found

    def verify_record(self, record: JsonObject) -> None:
        """Check, without the chain, that the record is what the pointer commits to.

        Raises:
            UnprovedRecordError: it is not.
        """
        try:
            if hashing.commit(record, self.salt) != self.pointer.commitment:
                raise UnprovedRecordError("salt", "does not open the commitment to this record")
        except SaltError:
            raise UnprovedRecordError("salt", "is no salt") from None


def verify_pointer(key: PointerKey, data_class: DataClass, place: Place | None, pointers: RecordPointers) -> Pointer:
    """Return a pointer as it stands on the chain, where it is what is said of it.

    Raises:
        UnprovedRecordError: it is not.
        NodeError: the chain cannot be asked.
    """
    if place is None:
        found = pointers.pointer(key)
    elif pointers.batch_size(key.origin, place.root) is None:
        raise UnprovedRecordError("root", "is of no batch of this custodian")
    else:
        try:
            found = pointers.batched(key, data_class, place)
        except MerkleProofError:
            raise UnprovedRecordError("place", "is not where the batch has this pointer with this class") from None
    if found is None:
        raise UnprovedRecordError("pointer", "is not on the chain")
    if found.data_class is not data_class:
        raise UnprovedRecordError("class", f"is {data_class.code}, and the pointer's is {found.data_class.code}")
    return found


def read_pointer(said: dict[str, Any]) -> tuple[PointerKey, DataClass, Place | None]:
    """Read what a gatekeeper says of a pointer: what makes it, its class, and its place where it stands in a batch.

    Raises:
        UnprovedRecordError: its id is another pointer's.
        ValueError, TypeError, LookupError, UnknownCodeError: it cannot be read.
    """
    key = PointerKey(
        str(to_checksum_address(said["subject"])), str(to_checksum_address(said["origin"])), _bytes(said, "commitment")
    )
    if _bytes(said, "pointer") != key.id:
        raise UnprovedRecordError("pointer", "is not the hash of subject, origin and commitment")
    if not isinstance(said["class"], str):
        raise ValueError("class")
    data_class = DataClass.from_code(said["class"])
    place: dict[str, Any] | None = said.get("place")
    if place is None:
        return key, data_class, None
    siblings = tuple(_hash(one) for one in place["siblings"])
    return key, data_class, Place(_bytes(place, "root"), _number(place, "index"), siblings)


def _bytes(said: dict[str, Json], name: str) -> bytes:
    return _hash(said[name])


def _hash(text: Json) -> bytes:
    if not isinstance(text, str) or not _HASH.fullmatch(text):
        raise ValueError(text)
    return bytes.fromhex(text[2:])


def _number(said: dict[str, Json], name: str) -> int:
    number = said[name]
    if type(number) is not int or not 0 <= number < _MOST:
        raise ValueError(name)
    return number

"""What comes with a served record: its salt, its pointer and the block of the decision, for the caller to verify."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from eth_utils.address import to_checksum_address

from medproof import hashing
from medproof.client.record_pointers import Pointer, PointerKey, RecordPointers, Status
from medproof.errors import SaltError, UnprovedRecordError
from medproof.hashing import Json, JsonObject

__all__ = ["PROOF", "Proof"]

PROOF = "urn:medproof:proof"
"""The URL of the extension of a bundle's entry that holds a proof."""

_HASH = re.compile("0x[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True)
class Proof:
    """What proves one served record."""

    pointer: PointerKey
    salt: bytes = field(repr=False)  # 32 bytes
    version: int  # of the record, from 1
    status: str  # how the pointer stands, such as "accepted"
    block: int  # the block as of which the record was served
    block_hash: str  # 0x…
    reason: str  # why it was served: PERMITTED, BREAK_GLASS, SUBJECT, DELEGATE

    @classmethod
    def of(cls, pointer: Pointer, salt: bytes, block: int, block_hash: str, reason: str) -> Proof:
        """The proof of a pointer as it stands."""
        return cls(pointer.key, salt, pointer.version, pointer.status.name.lower(), block, block_hash, reason)

    def to_text(self) -> str:
        """The proof as one line of JSON in ASCII, as headers and extensions carry it."""
        return json.dumps(
            {
                "subject": self.pointer.subject,
                "origin": self.pointer.origin,
                "commitment": f"0x{self.pointer.commitment.hex()}",
                "pointer": f"0x{self.pointer.id.hex()}",
                "salt": f"0x{self.salt.hex()}",
                "version": self.version,
                "status": self.status,
                "block": self.block,
                "blockHash": self.block_hash,
                "reason": self.reason,
            },
            separators=(",", ":"),
        )

    @classmethod
    def read(cls, text: str) -> Proof:
        """Read what `to_text` gave.

        Raises:
            UnprovedRecordError: it is none.
        """
        try:
            said: dict[str, Any] = json.loads(text)
            key = PointerKey(
                str(to_checksum_address(said["subject"])),
                str(to_checksum_address(said["origin"])),
                _bytes(said, "commitment"),
            )
            proof = cls(
                key,
                _bytes(said, "salt"),
                int(said["version"]),
                Status[said["status"].upper()].name.lower(),
                int(said["block"]),
                f"0x{_bytes(said, 'blockHash').hex()}",
                str(said["reason"]),
            )
            if _bytes(said, "pointer") != key.id:
                raise UnprovedRecordError("pointer", "is not the hash of subject, origin and commitment")
            return proof
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            raise UnprovedRecordError("proof", "is missing or cannot be read") from None

    def verify(self, record: JsonObject, pointers: RecordPointers) -> Pointer:
        """Check that the record is, to its last digit, what the pointer on chain commits to; return the pointer.

        The chain is asked as it stands now, by the caller's own node; the version and the status are the chain's.

        Raises:
            UnprovedRecordError: it is not.
            NodeError: the chain cannot be asked.
        """
        try:
            if hashing.commit(record, self.salt) != self.pointer.commitment:
                raise UnprovedRecordError("salt", "does not open the commitment to this record")
        except SaltError:
            raise UnprovedRecordError("salt", "is no salt") from None
        found = pointers.pointer(self.pointer)
        if found is None:
            raise UnprovedRecordError("pointer", "is not on the chain")
        if found.version != self.version:
            raise UnprovedRecordError("version", f"is {self.version}, and the pointer's is {found.version}")
        if pointers.chain.block(self.block).hash != self.block_hash:
            raise UnprovedRecordError("blockHash", "is not that of the chain's block of this number")
        return found


def _bytes(said: dict[str, Json], name: str) -> bytes:
    text = said[name]
    if not isinstance(text, str) or not _HASH.fullmatch(text):
        raise ValueError(name)
    return bytes.fromhex(text[2:])

"""A log of documents in a file of its own: salted commitments in a `LeafLog`, and the salts that open them beside it.

The file is as secret as the documents: with the salts, whoever guesses a document can tell that it is there. What goes
on chain is the root over the commitments, and a proof shows one document and nothing of the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from eth_utils.crypto import keccak

from medproof import hashing
from medproof.anchoring.named_log import NamedLog
from medproof.errors import NamedLogError
from medproof.hashing import Json, JsonObject, encode_parts
from medproof.leaf_proof import LeafProof
from medproof.store.schema import documents

__all__ = ["Document", "DocumentLog", "DocumentProof"]


@dataclass(frozen=True)
class Document:
    """One entry: a file, or a line of one."""

    source: str  # where it comes from, such as "results.csv:7": the same text from elsewhere is another entry
    content: bytes = field(repr=False)

    @property
    def name(self) -> bytes:
        """What it is found by: 32 bytes."""
        return keccak(encode_parts(["medproof:document:v1", self.source, self.content]))


@dataclass(frozen=True)
class DocumentProof:
    """That a document is in an anchored log: all that a stranger needs who has the document."""

    leaf: LeafProof
    salt: bytes = field(repr=False)  # 32 bytes

    def opens(self, content: bytes) -> bool:
        """Whether it is this document's, to the last byte."""
        return hashing.commit_bytes(content, self.salt) == self.leaf.leaf

    def to_json(self) -> JsonObject:
        """The proof as JSON."""
        return {**self.leaf.to_json(), "salt": f"0x{self.salt.hex()}"}

    @classmethod
    def from_json(cls, value: Json) -> DocumentProof:
        """Read what `to_json` gave.

        Raises:
            LeafProofError: it is none.
        """
        said = dict(value) if isinstance(value, dict) else {}
        salt = LeafProof.from_json({**said, "leaf": said.get("salt")}).leaf  # has the same form
        return cls(LeafProof.from_json(said), salt)


class DocumentLog(NamedLog[Document]):
    """A log of documents, in an SQLite file."""

    _table = documents

    def __init__(self, path: Path, *, number: int = 0) -> None:
        """Open a log, or begin it.

        Args:
            path: its file, which only its owner may read.
            number: which of the party's logs on the chain: each of them has a number of its own.

        Raises:
            LogDamagedError, StoreError: the file cannot be used.
        """
        super().__init__(path, number=number)

    def prove(self, document: Document) -> DocumentProof:
        """Return the proof of a document, in the log as it was anchored last.

        Raises:
            NamedLogError: it is not in the log, or not anchored yet.
            StoreError: the file cannot be read.
        """
        with self._database.reading() as connection:
            row = self._rows(connection, [document.name]).get(document.name)
        if row is None:
            raise NamedLogError(f"does not have {document.source} as it is now", "Append it, or name what was")
        salt = bytes(row.salt)
        return DocumentProof(
            self._prove(hashing.commit_bytes(document.content, salt), row.position, document.source), salt
        )

    def _written(self, entry: Document) -> tuple[bytes, Mapping[str, object]]:
        salt = hashing.new_salt()
        return hashing.commit_bytes(entry.content, salt), {"salt": salt}

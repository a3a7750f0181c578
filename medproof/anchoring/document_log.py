"""A log of documents in a file of its own: salted commitments in a `LeafLog`, and the salts that open them beside it.

The file is as secret as the documents: with the salts, whoever guesses a document can tell that it is there. What goes
on chain is the root over the commitments, and a proof shows one document and nothing of the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from eth_utils.crypto import keccak
from sqlalchemy import Connection, insert, select

from medproof import hashing
from medproof.anchoring.leaf_log import LeafLog
from medproof.client import MedProof
from medproof.errors import DocumentLogError
from medproof.hashing import Json, JsonObject, encode_parts
from medproof.leaf_proof import LeafProof
from medproof.store.database import Database
from medproof.store.schema import document_logs, documents

__all__ = ["Document", "DocumentLog", "DocumentProof", "Home"]

_BATCH = 500  # names of one statement


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
class Home:
    """Where a log is anchored."""

    chain_id: int
    anchor: str  # address of the BatchAnchor
    publisher: str  # the identity of the party


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


class DocumentLog:
    """A log of documents, in an SQLite file."""

    def __init__(self, path: Path, *, number: int = 0) -> None:
        """Open a log, or begin it.

        Args:
            path: its file, which only its owner may read.
            number: which of the party's logs on the chain: each of them has a number of its own.

        Raises:
            LogDamagedError, StoreError: the file cannot be used.
        """
        self._database = Database(path, connections=2, patience=10.0)
        try:
            self.leaves = LeafLog(self._database, number=number)
        except BaseException:
            self._database.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def append(self, given: Iterable[Document]) -> tuple[range, int]:
        """Add those that are not in it yet, in order, all or none.

        Returns:
            The indices of those that were added, and how many were in it before.

        Raises:
            StoreError: the file cannot take it now.
        """
        wanted = {one.name: one for one in given}

        def make(connection: Connection, first: int, _: bytes | None) -> Sequence[bytes]:
            there = self._places(connection, list(wanted))
            rows: list[dict[str, object]] = []
            leaves: list[bytes] = []
            for name, one in wanted.items():
                if name not in there:
                    salt = hashing.new_salt()
                    position = first + len(leaves)
                    rows.append({"log": self.leaves.number, "position": position, "name": name, "salt": salt})
                    leaves.append(hashing.commit_bytes(one.content, salt))
            if rows:
                connection.execute(insert(documents), rows)
            return leaves

        added = self.leaves.write(make)
        return added, len(wanted) - len(added)

    def settle(self, suite: MedProof, publisher: str) -> None:
        """Write down where the log is anchored, before it is: once and for all.

        Raises:
            DocumentLogError: it is anchored elsewhere.
            StoreError: the file cannot take it now.
        """
        here = Home(suite.chain.chain_id, suite.batch_anchor.address, publisher)
        with self._database.writing() as connection:
            home = self._home(connection)
            if home is None:
                values = {"chain": here.chain_id, "anchor": here.anchor, "publisher": publisher}
                connection.execute(insert(document_logs).values(log=self.leaves.number, **values))
            elif home != here:
                raise DocumentLogError(
                    f"is anchored by {home.publisher} in {home.anchor} on chain {home.chain_id}",
                    "Anchor it there, or begin another log",
                )

    def home(self) -> Home | None:
        """Where the log is anchored; None before the first time."""
        with self._database.reading() as connection:
            return self._home(connection)

    def prove(self, document: Document) -> DocumentProof:
        """Return the proof of a document, in the log as it was anchored last.

        Raises:
            DocumentLogError: it is not in the log, or not anchored yet.
            StoreError: the file cannot be read.
        """
        with self._database.reading() as connection:
            home, place = self._home(connection), self._places(connection, [document.name]).get(document.name)
        if place is None:
            raise DocumentLogError(f"does not have {document.source} as it is now", "Append it, or name what was")
        (index, salt), size = place, self.leaves.anchored()
        if home is None or size <= index:
            step = "Anchor it (medproof anchor append, again)"
            raise DocumentLogError(f"has {document.source} and is not anchored yet", step)
        leaf = LeafProof(
            home.chain_id,
            home.anchor,
            home.publisher,
            self.leaves.number,
            hashing.commit_bytes(document.content, salt),
            index,
            size,
            self.leaves.root(size),
            self.leaves.inclusion_proof(index, size),
        )
        return DocumentProof(leaf, salt)

    def _home(self, connection: Connection) -> Home | None:
        row = connection.execute(select(document_logs).where(document_logs.c.log == self.leaves.number)).one_or_none()
        return None if row is None else Home(row.chain, row.anchor, row.publisher)

    def _places(self, connection: Connection, names: Sequence[bytes]) -> dict[bytes, tuple[int, bytes]]:
        """Index and salt of those that are in the log, by name."""
        found: dict[bytes, tuple[int, bytes]] = {}
        for start in range(0, len(names), _BATCH):
            some = documents.c.name.in_(names[start : start + _BATCH])
            rows = connection.execute(select(documents).where(documents.c.log == self.leaves.number, some))
            found.update((bytes(row.name), (row.position, bytes(row.salt))) for row in rows)
        return found

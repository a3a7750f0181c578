"""What a message says: bytes with a media type, and where they are a FHIR record, the proof of its pointer on chain.

Encrypted is ``encode_parts([media type, proof, body])`` (`medproof.hashing`), the proof as the gatekeeper wrote it, or
empty. Zeros follow, up to 1 KiB at least and then to one of few lengths.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from medproof import fhir, hashing
from medproof.client.record_pointers import Pointer, RecordPointers
from medproof.errors import ArgumentError, EnvelopeError, JsonError, RecordError, UnprovedRecordError
from medproof.fhir import Resource
from medproof.gateway.proof import PROOF, Proof
from medproof.hashing import Json, JsonObject, encode_parts
from medproof.store.keys import padded

__all__ = ["FHIR", "MAX_CONTENT", "TEXT", "Content"]

FHIR = "application/fhir+json"
TEXT = "text/plain; charset=utf-8"
MAX_CONTENT = 16 * 1024 * 1024
"""The most bytes that a message says."""

_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,63}/[a-z0-9!#$&^_.+-]{1,63}(; [!-~ ]{1,120})?", re.ASCII)
_LEAST = 1024  # bytes; the length of a short answer would give it away
_LONGEST_PROOF = 1 << 16
_LENGTH = 8  # bytes in a length
_PARTS = 3


@dataclass(frozen=True)
class Content:
    """What a message says."""

    media_type: str  # such as "application/fhir+json", in small letters
    body: bytes = field(repr=False)
    proof: str = field(default="", repr=False)  # of a FHIR record, as `Proof.to_text` wrote it; empty for none

    def __post_init__(self) -> None:
        """Check that it can be sent.

        Raises:
            ArgumentError: it is too long, its media type is none, or there is a proof of what is no record.
        """
        if not _MEDIA_TYPE.fullmatch(self.media_type):
            raise ArgumentError(f"{self.media_type[:200]!r} is no media type. Write it like image/png.")
        if len(self.body) > MAX_CONTENT:
            raise ArgumentError(f"The content has {len(self.body)} bytes and the limit is {MAX_CONTENT}. Divide it.")
        if self.proof and self.media_type != FHIR:
            raise ArgumentError(f"A proof is of a record, and this is {self.media_type!r}. Leave the proof out.")
        if not self.proof.isascii() or len(self.proof) > _LONGEST_PROOF:
            raise ArgumentError(
                f"The proof is no ASCII text of at most {_LONGEST_PROOF} characters. Give Proof.to_text()."
            )

    @classmethod
    def text(cls, text: str) -> Content:
        """A plain message."""
        return cls(TEXT, text.encode("utf-8"))

    @classmethod
    def record(cls, record: Resource, proof: Proof | None = None) -> Content:
        """A FHIR record, or a bundle of them; with the proof the recipient checks it against the pointer on chain."""
        return cls(FHIR, hashing.canonical(record.content), "" if proof is None else proof.to_text())

    def resource(self) -> Resource:
        """The FHIR record that it says.

        Raises:
            EnvelopeError: it says something else.
        """
        try:
            return fhir.load(self._json())
        except (JsonError, RecordError):
            raise EnvelopeError("content", "is no FHIR R4 record") from None

    def verify(self, pointers: RecordPointers) -> tuple[Pointer, ...]:
        """The pointers on chain that it was proved against: of the record, and of a bundle's entries that have proofs.

        Raises:
            EnvelopeError: it is called a record and is none.
            UnprovedRecordError: a proof does not hold.
            NodeError: the chain cannot be asked.
        """
        if self.media_type != FHIR:
            return ()
        record = self.resource().content
        own = (Proof.read(self.proof).verify(record, pointers),) if self.proof else ()
        return (*own, *(proof.verify(entry, pointers) for entry, proof in _proved_entries(record)))

    def encode(self) -> bytes:
        """What is encrypted."""
        return padded(encode_parts([self.media_type, self.proof, self.body]).ljust(_LEAST, b"\0"))

    @classmethod
    def decode(cls, text: bytes) -> Content:
        """Read what `encode` gave.

        Raises:
            EnvelopeError: it is nothing of the kind.
        """
        try:
            media_type, proof, body = _parts(text)
            content = cls(media_type.decode("ascii"), body, proof.decode("ascii"))
        except (ValueError, ArgumentError):
            raise EnvelopeError("content", "is not written as it must be") from None
        if content.encode() != text:
            raise EnvelopeError("content", "is not written in its one form")
        return content

    def _json(self) -> JsonObject:
        value = hashing.parse(self.body)
        if not isinstance(value, dict):
            raise JsonError("no object")
        return value


def _proved_entries(record: JsonObject) -> Iterator[tuple[JsonObject, Proof]]:
    """The entries of a bundle that carry a proof, as a gatekeeper's search gives them."""
    for entry in _objects(record.get("entry")) if record.get("resourceType") == "Bundle" else ():
        proofs = [one.get("valueString") for one in _objects(entry.get("extension")) if one.get("url") == PROOF]
        if len(proofs) > 1:  # each costs a look at the whole record, and at the chain
            raise UnprovedRecordError("entry", "has more than one proof")
        for text in proofs:
            resource = entry.get("resource")
            if not isinstance(resource, dict):
                raise UnprovedRecordError("entry", "has a proof and no record")
            yield resource, Proof.read(str(text))


def _objects(value: Json) -> list[JsonObject]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _parts(text: bytes) -> list[bytes]:
    """The parts that `encode_parts` joined; what follows them is looked at by whoever writes them again."""
    if int.from_bytes(text[:_LENGTH], "big") != _PARTS:
        raise ValueError
    parts, place = [], _LENGTH
    for _ in range(_PARTS):
        length = int.from_bytes(text[place : place + _LENGTH], "big")
        place += _LENGTH + length
        if place > len(text):
            raise ValueError
        parts.append(text[place - length : place])
    return parts

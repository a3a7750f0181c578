"""The signed promise that an entry will be in a custodian's log: what a reader complains with if it never appears."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from eth_abi.abi import encode
from eth_account.messages import SignableMessage
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from medproof import hashing, messages
from medproof.access.entry import Opening
from medproof.client import MedProof
from medproof.errors import AccessEntryError, JsonError, PromiseError, SaltError
from medproof.hashing import JsonObject
from medproof.messages import MESSAGE_TYPES, Domain, TypedData
from medproof.signatures import digest, signer_of

__all__ = ["HEADER", "Promise", "PromiseFile", "Promised"]

HEADER = "MedProof-Access"
"""The header of an answer that carries a promise."""

_TYPE = "InclusionPromise"
_TYPE_HASH = keccak(text=f"{_TYPE}({MESSAGE_TYPES[_TYPE]})")
_HASH = 32  # bytes in a commitment
_LONGEST = 16 * 1024  # characters of a header that are looked at


@dataclass(frozen=True)
class Promise:
    """A custodian's word that an entry is in its log by a time."""

    custodian: str  # the party's identity
    log: int  # which of its logs
    entry: bytes  # the entry's commitment, 32 bytes
    due: int  # seconds since 1970
    signature: bytes = b""  # by the key that the log was opened with
    index: int | None = None  # where the entry is in the log, where it was told; not signed

    def typed_data(self, domain: Domain) -> TypedData:
        """What is signed; `domain` is the AccessLog's."""
        made = messages.inclusion_promise(
            domain, custodian=self.custodian, log=self.log, entry=self.entry, due=self.due
        )
        return _Hashed(made.domain, made.primary_type, made.message)

    def with_signature(self, signature: bytes) -> Promise:
        """The promise, signed."""
        return replace(self, signature=signature)

    def verify(self, suite: MedProof) -> None:
        """Make sure that the key of the custodian's log signed it: a contract would take a complaint with it.

        Raises:
            PromiseError: it did not, or there is no such log.
            NodeError: the chain cannot be asked.
        """
        signer = suite.access_log.signer(self.custodian, log=self.log)
        if signer is None:
            raise PromiseError(f"log {self.log} of {self.custodian} was never opened on this chain")
        if not self.is_by(suite, signer):
            raise PromiseError(f"the key of log {self.log} of {self.custodian} did not sign it")

    def is_by(self, suite: MedProof, signer: str) -> bool:
        """Whether this account's key signed it: a contract's word, which it may take back, does not count."""
        return signer_of(digest(self.typed_data(suite.access_log.domain).signable()), self.signature) == signer

    def to_json(self) -> JsonObject:
        """The promise as JSON."""
        return {
            "custodian": self.custodian,
            "log": self.log,
            "commitment": f"0x{self.entry.hex()}",
            "due": self.due,
            "signature": f"0x{self.signature.hex()}",
            "index": self.index,
        }

    @classmethod
    def from_json(cls, said: Any) -> Promise:
        """Read what `to_json` gave.

        Raises:
            PromiseError: it is none.
        """
        try:
            promise = cls(
                str(to_checksum_address(said["custodian"])),
                int(said["log"]),
                bytes.fromhex(said["commitment"][2:]),
                int(said["due"]),
                bytes.fromhex(said["signature"][2:]),
                None if said["index"] is None else int(said["index"]),
            )
            if promise.to_json() != {name: said[name] for name in promise.to_json()} or len(promise.entry) != _HASH:
                raise ValueError(said)
            numbers = ((promise.log, 32), (promise.due, 64), (promise.index or 0, 64))
            if not all(0 <= number < 1 << bits for number, bits in numbers):
                raise ValueError(said)
            return promise
        except (ValueError, TypeError, LookupError, AttributeError):
            raise PromiseError("it cannot be read") from None


@dataclass(frozen=True)
class Promised:
    """A promise as it is handed to a reader, with what opens the entry where the reader may see it."""

    promise: Promise
    opening: Opening | None = None

    def to_text(self) -> str:
        """One line of JSON in ASCII, for the header; without what the answer hides from its caller."""
        shown = self.opening is not None and self.opening.entry.access.told
        opened = {"opening": self.opening.told()} if self.opening is not None and shown else {}
        return json.dumps({**self.promise.to_json(), **opened}, separators=(",", ":"))

    @classmethod
    def read(cls, text: str, pointers: Sequence[bytes] = ()) -> Promised:
        """Read what `to_text` gave, with the pointers of the records that came with it, in order.

        Raises:
            PromiseError: it is none, or does not fit the records: the entry is of something else.
        """
        try:
            if len(text) > _LONGEST:
                raise PromiseError("it is too long")
            said: Any = hashing.parse(text.encode())
            promise = Promise.from_json(said)
            if "opening" not in said:
                return cls(promise)
            opening = Opening.read(said["opening"], pointers)
            place = (opening.entry.custodian, opening.entry.log, opening.entry.index, opening.commitment)
        except AccessEntryError as error:
            raise PromiseError(f"its {error.rule}") from None
        except (JsonError, SaltError):
            raise PromiseError("it cannot be read") from None
        if place != (promise.custodian, promise.log, promise.index, promise.entry):
            raise PromiseError("it is of another entry than the one that came with it")
        return cls(promise, opening)


class PromiseFile:
    """Promises that a reader keeps, one line of JSON each, to complain with and to check a log by."""

    def __init__(self, path: Path) -> None:
        """Keep them in a file, which is made for its owner alone."""
        self._path = path

    def add(self, promise: Promise) -> None:
        """Keep one; it is on disk when this returns."""
        line = json.dumps(promise.to_json(), separators=(",", ":")) + "\n"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, line.encode("ascii"))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def __iter__(self) -> Iterator[Promise]:
        """All that are kept, oldest first.

        Raises:
            PromiseError: a line is none.
        """
        for line in self._path.read_bytes().splitlines():
            try:
                yield Promise.from_json(hashing.parse(line))
            except (JsonError, PromiseError):
                raise PromiseError("a line of the file cannot be read") from None


class _Hashed(TypedData):
    """The same typed data, hashed without going through its types: every request needs it."""

    def signable(self) -> SignableMessage:
        said = self.message
        members = [_TYPE_HASH, said["custodian"], said["log"], said["entry"], said["due"]]
        body = keccak(encode(["bytes32", "address", "uint32", "bytes32", "uint256"], members))
        return SignableMessage(b"\x01", _separator(self.domain), body)


@lru_cache(maxsize=8)
def _separator(domain: Domain) -> bytes:
    """The hash of a domain, as EIP-712 has it."""
    return (
        TypedData(domain, _TYPE, {"custodian": domain.address, "log": 0, "entry": bytes(32), "due": 0})
        .signable()
        .header
    )

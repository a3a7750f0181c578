"""Keys of a record store: a random key for each record, wrapped by the custodian's master key.

Everything is AES-256-GCM under a random 96-bit nonce. A record's key seals one text and no more; a master key may
wrap 2**32 record keys before it is to be rotated (NIST SP 800-38D, 8.3). Sealing binds a text to where it belongs:
what is moved to another place does not open.
"""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from medproof.errors import KeystoreError, MasterKeyError
from medproof.hashing import keyed_identifier
from medproof.key_file import read_key_file, rewriting

__all__ = ["KEY_LENGTH", "KeyRing", "MasterKey", "new_key", "padded", "seal", "unseal"]

KEY_LENGTH = 32
"""Bytes in a key."""

_NONCE_LENGTH = 12
_TAG_LENGTH = 16
_HEX = re.compile(r"(0x)?[0-9a-fA-F]{64}", re.ASCII)


def new_key() -> bytes:
    """Return a random key."""
    return secrets.token_bytes(KEY_LENGTH)


def seal(key: bytes, text: bytes, place: bytes) -> bytes:
    """Encrypt a text for one place; returns the nonce and the ciphertext with its tag."""
    nonce = secrets.token_bytes(_NONCE_LENGTH)
    return nonce + AESGCM(key).encrypt(nonce, text, place)


def unseal(key: bytes, sealed: bytes, place: bytes) -> bytes:
    """Decrypt what was sealed for this place.

    Raises:
        InvalidTag: it was not, not with this key, or was altered since.
    """
    if len(sealed) < _NONCE_LENGTH + _TAG_LENGTH:
        raise InvalidTag
    return AESGCM(key).decrypt(sealed[:_NONCE_LENGTH], sealed[_NONCE_LENGTH:], place)


def padded(text: bytes) -> bytes:
    """Return a text with zeros up to one of few lengths, at most 12 % longer: a length can give a record away.

    Padmé: Nikitin et al., Reducing Metadata Leakage from Encrypted Files, PETS 2019, algorithm 1.
    """
    exponent = len(text).bit_length() - 1
    step = 1 << (exponent - exponent.bit_length())
    return text.ljust(-(-len(text) // step) * step, b"\0")


class MasterKey:
    """32 random bytes that wrap the keys of all records. Keep them apart from the database and its copies."""

    __slots__ = ("_secret", "id")

    def __init__(self, secret: bytes) -> None:
        """Take the key's bytes, such as from a keyring or a key management service.

        Raises:
            MasterKeyError: not 32 bytes.
        """
        if len(secret) != KEY_LENGTH:
            raise MasterKeyError(
                f"A master key has {KEY_LENGTH} bytes, not {len(secret)}. Make one with MasterKey.create."
            )
        self._secret = bytes(secret)
        self.id = keyed_identifier(self._secret, "id", purpose="store:master-key")[:8].hex()  # tells nothing of it

    @classmethod
    def create(cls, path: Path) -> Self:
        """Make a key and write it to a new file that its owner alone may read.

        Raises:
            MasterKeyError: the file is there already, or cannot be written.
        """
        secret = new_key()
        try:
            with rewriting(path, new=True) as file:
                file.write(secret.hex() + "\n")
        except KeystoreError as error:
            raise MasterKeyError(str(error)) from None
        return cls(secret)

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read the key from a file with 64 hexadecimal digits.

        Raises:
            MasterKeyError: the file cannot be read, others may read it, or it holds no key.
        """
        try:
            text = read_key_file(path, limit=200).decode("ascii", errors="replace")
        except KeystoreError as error:
            raise MasterKeyError(str(error)) from None
        return cls._from_text(text, f"The master key file {path}")

    @classmethod
    def from_environment(cls, variable: str) -> Self:
        """Read the key from an environment variable with 64 hexadecimal digits.

        Raises:
            MasterKeyError: the variable is not set, or holds no key.
        """
        return cls._from_text(os.environ.get(variable, ""), f"The environment variable {variable}")

    @classmethod
    def _from_text(cls, text: str, place: str) -> Self:
        if not _HEX.fullmatch(text.strip()):
            raise MasterKeyError(f"{place} holds no key of 64 hexadecimal digits. Make one with MasterKey.create.")
        return cls(bytes.fromhex(text.strip().removeprefix("0x")))

    def __repr__(self) -> str:
        """Show the id, never the key."""
        return f"MasterKey({self.id})"

    def wrap(self, key: bytes, place: bytes) -> bytes:
        """Seal a record's key."""
        return seal(self._secret, key, place)

    def unwrap(self, wrapped: bytes, place: bytes) -> bytes:
        """Open a record's key.

        Raises:
            InvalidTag: it is not for this place, not from this key, or was altered.
        """
        return unseal(self._secret, wrapped, place)


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The master key in force, and those before it that some records may still be under."""

    current: MasterKey  # wraps every new key
    retired: tuple[MasterKey, ...] = ()  # still opened; `SqlStore.rotate` makes them needless

    def unwrap(self, master: str, wrapped: bytes, place: bytes) -> bytes:
        """Open a key with the master key of that id.

        Raises:
            MasterKeyError: no key of this ring has that id.
            InvalidTag: as `MasterKey.unwrap`.
        """
        for key in (self.current, *self.retired):
            if key.id == master:
                return key.unwrap(wrapped, place)
        raise MasterKeyError(f"The master key {master} is needed and not at hand. Give it in KeyRing.retired.")

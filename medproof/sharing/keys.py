"""Encryption keys: X25519 pairs (RFC 7748), the text of a public key, and the file of a party's private ones.

To wrap is to encrypt 32 bytes to one public key by HPKE (RFC 9180) in base mode: DHKEM(X25519, HKDF-SHA256),
HKDF-SHA256, AES-256-GCM. What is wrapped is bound to a text that both sides know.

A public key's text is ``mpk1`` and 56 letters and digits: base32 (RFC 4648, lower case) of the key and the first 3
bytes of keccak-256("medproof:encryption-key:v1" ‖ key). It is for keys that stand in no registry: those of patients.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from eth_utils.crypto import keccak

from medproof.errors import EncryptionKeyError, KeystoreError
from medproof.hashing import encode_parts
from medproof.key_file import read_key_file, rewriting
from medproof.store.keys import KEY_LENGTH, new_key, seal, unseal
from medproof.wallet import Wallet

__all__ = ["WRAPPED_LENGTH", "EncryptionKeys", "checked_key", "key_text", "read_key", "wrap"]

WRAPPED_LENGTH = 80
"""Bytes in a wrapped key: the encapsulated one, then 32 bytes with their tag."""

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_FIELD = 2**255 - 19  # of Curve25519; a number that is not below it is a second way to write another
_PREFIX = "mpk1"
_TAG = b"medproof:encryption-key:v1"
_CHECKSUM_LENGTH = 3
_TEXT_LENGTH = len(_PREFIX) + (KEY_LENGTH + _CHECKSUM_LENGTH) * 8 // 5

_FORMAT, _VERSION = "medproof-encryption-keys", 1
_COST = 1 << 17  # of scrypt, with blocks of 8 and one lane: OWASP's least, 128 MiB
_HIGHEST_COST = 1 << 20
_SALT_LENGTH = 16
_MOST_KEYS = 1000
_LONGEST_FILE = 1 << 17


def checked_key(key: bytes) -> bytes:
    """Return a public key that one may encrypt to.

    Raises:
        EncryptionKeyError: it has not 32 bytes, is zero or of low order (anybody could read what is encrypted to it),
            or is written in a second way.
    """
    if len(key) != KEY_LENGTH:
        raise EncryptionKeyError(f"An encryption key has {KEY_LENGTH} bytes, not {len(key)}. Ask its owner for it.")
    if int.from_bytes(key, "little") >= _FIELD:
        raise EncryptionKeyError(f"The encryption key 0x{key.hex()} is not in its one form. Ask its owner for another.")
    try:
        X25519PrivateKey.generate().exchange(X25519PublicKey.from_public_bytes(key))
    except ValueError:
        raise EncryptionKeyError(
            f"The encryption key 0x{key.hex()} is of low order: anybody could read what is encrypted to it. "
            "Do not use it, and ask its owner for another."
        ) from None
    return bytes(key)


def key_text(key: bytes) -> str:
    """A public key as text, to be shown, printed or read aloud."""
    return _PREFIX + base64.b32encode(key + _checksum(key)).decode("ascii").lower()


def read_key(text: str) -> bytes:
    """Read what `key_text` gave; capitals and white space around it do not matter.

    Raises:
        EncryptionKeyError: it is none, is mistyped, or is a key that nobody should encrypt to.
    """
    found = text.strip().lower()
    try:
        content = base64.b32decode(found.removeprefix(_PREFIX).upper())
    except (binascii.Error, ValueError):
        content = b""
    key, checksum = content[:KEY_LENGTH], content[KEY_LENGTH:]
    if len(found) != _TEXT_LENGTH or not found.startswith(_PREFIX) or checksum != _checksum(key):
        raise EncryptionKeyError(
            f"{text[:_TEXT_LENGTH]!r} is no encryption key, or is mistyped. Copy all {_TEXT_LENGTH} characters, "
            f"which begin with {_PREFIX}."
        )
    return checked_key(key)


def wrap(secret: bytes, key: bytes, info: bytes) -> bytes:
    """Encrypt 32 bytes to a public key, for one purpose; returns `WRAPPED_LENGTH` bytes.

    Raises:
        EncryptionKeyError: nobody should encrypt to the key.
    """
    return _SUITE.encrypt(secret, X25519PublicKey.from_public_bytes(checked_key(key)), info=info)


class EncryptionKeys:
    """A reader's private keys: the newest, and those before it, with which older envelopes still open.

    >>> keys = EncryptionKeys.create(Path("clinic.keys"), password)
    >>> suite.registrar.publish_encryption_key(keys.public, sender=signer)
    """

    __slots__ = ("_secrets",)

    def __init__(self, private_keys: Sequence[bytes]) -> None:
        """Take private keys of 32 bytes, the newest first.

        Raises:
            EncryptionKeyError: there is none, or one has another length.
        """
        if not private_keys or any(len(one) != KEY_LENGTH for one in private_keys):
            raise EncryptionKeyError(f"A private key has {KEY_LENGTH} bytes. Make one with EncryptionKeys.create.")
        self._secrets = {_public(one): bytes(one) for one in private_keys}

    @classmethod
    def of_pseudonym(cls, wallet: Wallet, custodian: str, *, relationship: int = 0, keys: int = 1) -> EncryptionKeys:
        """The keys of a patient's pseudonym with a custodian: the first so many, the newest first."""
        numbers = reversed(range(keys))
        return cls(
            [wallet.unsafe_encryption_secret(custodian, relationship=relationship, key=number) for number in numbers]
        )

    @property
    def public(self) -> bytes:
        """The newest public key, which others encrypt to."""
        return next(iter(self._secrets))

    @property
    def all_public(self) -> tuple[bytes, ...]:
        """All public keys, the newest first."""
        return tuple(self._secrets)

    def unwrap(self, wrapped: bytes, key: bytes, info: bytes) -> bytes:
        """Decrypt what was wrapped to one of the public keys.

        Raises:
            InvalidTag: it was not, not for this purpose, or was altered since.
        """
        if key not in self._secrets:
            raise InvalidTag
        try:
            return _SUITE.decrypt(wrapped, X25519PrivateKey.from_private_bytes(self._secrets[key]), info=info)
        except ValueError:
            raise InvalidTag from None

    def __repr__(self) -> str:
        """Show the newest public key and nothing of the private ones."""
        return f"EncryptionKeys({key_text(self.public)})"

    # -- in a file ----------------------------------------------------------------------------------------------

    @classmethod
    def create(cls, path: Path, password: str, *, cost: int = _COST) -> EncryptionKeys:
        """Make a key and write it to a new file, which its owner alone may read and which the password opens.

        Args:
            path: a new file.
            password: any text but an empty one.
            cost: of scrypt, a power of two.

        Raises:
            EncryptionKeyError: the file is there already, or cannot be written; the password is empty.
        """
        keys = cls([new_key()])
        with _rewriting(path, new=True) as file:
            file.write(keys._sealed(password, cost))
        return keys

    @classmethod
    def rotate(cls, path: Path, password: str, *, cost: int = _COST) -> EncryptionKeys:
        """Add a new key to a file, before those that it has; publish its public key afterwards.

        Raises:
            EncryptionKeyError: as `load`; another is changing the file.
        """
        with _rewriting(path) as file:
            keys = cls([new_key(), *cls.load(path, password)._secrets.values()])
            file.write(keys._sealed(password, cost))
        return keys

    @classmethod
    def load(cls, path: Path, password: str) -> EncryptionKeys:
        """Read a file of private keys.

        Raises:
            EncryptionKeyError: it cannot be read, others may read it, it is no such file, or the password is another.
        """
        try:
            text = read_key_file(path, limit=_LONGEST_FILE)
        except KeystoreError as error:
            raise EncryptionKeyError(str(error)) from None
        try:
            said = json.loads(text)
            cost, salt, sealed = said["cost"], bytes.fromhex(said["salt"]), bytes.fromhex(said["keys"])
            if (said["format"], said["version"]) != (_FORMAT, _VERSION) or not _is_cost(cost):
                raise ValueError
            key = _stretched(password, salt, cost)
            content = unseal(key, sealed, _place(salt, cost))
        except InvalidTag:
            raise EncryptionKeyError(f"The key file {path} does not open with this password. Try it again.") from None
        except (ValueError, TypeError, LookupError, RecursionError):
            raise EncryptionKeyError(f"{path} is no file of encryption keys. Name one that was made here.") from None
        return cls([content[start : start + KEY_LENGTH] for start in range(0, len(content), KEY_LENGTH)])

    def _sealed(self, password: str, cost: int) -> str:
        if not password:
            raise EncryptionKeyError("The password is empty. Choose one, or have one made.")
        if not _is_cost(cost) or len(self._secrets) > _MOST_KEYS:
            raise EncryptionKeyError(f"The cost {cost} is no power of two in bounds, or there are too many keys.")
        salt = secrets.token_bytes(_SALT_LENGTH)
        sealed = seal(_stretched(password, salt, cost), b"".join(self._secrets.values()), _place(salt, cost))
        return json.dumps(
            {"format": _FORMAT, "version": _VERSION, "cost": cost, "salt": salt.hex(), "keys": sealed.hex()}
        )


@contextmanager
def _rewriting(path: Path, *, new: bool = False) -> Iterator[TextIO]:
    try:
        with rewriting(path, new=new) as file:
            yield file
    except KeystoreError as error:
        raise EncryptionKeyError(str(error)) from None


def _public(private_key: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private_key).public_key().public_bytes_raw()


def _checksum(key: bytes) -> bytes:
    return bytes(keccak(_TAG + key)[:_CHECKSUM_LENGTH])


def _is_cost(cost: object) -> bool:
    return isinstance(cost, int) and 1 < cost <= _HIGHEST_COST and cost & (cost - 1) == 0


def _stretched(password: str, salt: bytes, cost: int) -> bytes:
    return Scrypt(salt=salt, length=KEY_LENGTH, n=cost, r=8, p=1).derive(password.encode("utf-8"))


def _place(salt: bytes, cost: int) -> bytes:
    return encode_parts([_FORMAT, str(_VERSION), str(cost), salt])

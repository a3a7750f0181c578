"""A patient's wallet: one seed phrase, and a pseudonym of its own for each custodian.

The key for a custodian is derived from the seed by BIP-32 along ``m/44'/60'/a'/b'/n'``: ``a`` and ``b`` are the first
two groups of 31 bits of keccak-256("medproof:relationship:v1" ‖ custodian), the custodian by the 20 bytes of its
identity in the Registrar, and ``n`` counts the relationships with it, from 0. All levels are hardened, so that no key
of one relationship tells anything of another. The identity outlives a change of the custodian's account, so the seed
phrase alone is enough to find every relationship again: derive one key for each party in the Registrar, and look for
its events (`medproof.recovery`).

What is encrypted to a pseudonym has keys of its own, which no signature is made with: the secret number ``k`` of a
relationship is HMAC-SHA256 (`medproof.hashing.keyed_identifier`) under the BIP-32 key at ``m/44'/60'/a'/b'/n'/k'``,
with keccak-256("medproof:encryption:v1" ‖ custodian) for ``a`` and ``b``. A new ``k`` is a new key.
"""

from __future__ import annotations

import re

from eth_account.hdaccount import generate_mnemonic, key_from_seed, seed_from_mnemonic
from eth_account.types import Language
from eth_utils.address import is_checksum_address
from eth_utils.crypto import keccak
from eth_utils.exceptions import ValidationError

from medproof.errors import WalletError
from medproof.hashing import keyed_identifier
from medproof.signing import LocalSigner

__all__ = ["Wallet", "derivation_path", "encryption_path"]

_TAG = b"medproof:relationship:v1"
_ENCRYPTION_TAG = b"medproof:encryption:v1"
_INDEX = (1 << 31) - 1  # a BIP-32 index without its hardening bit


def derivation_path(custodian: str, *, relationship: int = 0) -> str:
    """The BIP-32 path of the pseudonym for a custodian, such as ``m/44'/60'/1234'/5678'/0'``.

    Raises:
        WalletError: the custodian is no checksummed address, or the relationship is no index.
    """
    return _path(_TAG, custodian, relationship)


def encryption_path(custodian: str, *, relationship: int = 0, key: int = 0) -> str:
    """The BIP-32 path behind a relationship's encryption key of that number; `derivation_path` says what it raises."""
    return f"{_path(_ENCRYPTION_TAG, custodian, relationship)}/{_index('Key', key)}'"


def _path(tag: bytes, custodian: str, relationship: int) -> str:
    if not is_checksum_address(custodian):
        raise WalletError(f"{custodian!r} is no checksummed address. Give the custodian's identity in the Registrar.")
    digest = int.from_bytes(keccak(tag + bytes.fromhex(custodian[2:])), "big")
    return f"m/44'/60'/{digest >> 225}'/{digest >> 194 & _INDEX}'/{_index('Relationship', relationship)}'"


def _index(what: str, number: int) -> int:
    if not 0 <= number <= _INDEX:
        raise WalletError(f"{what} {number} is no BIP-32 index. Count from 0.")
    return number


class Wallet:
    """A patient's keys. On the chain are only the pseudonyms, and nobody can tell that they are one person's."""

    def __init__(self, phrase: str, *, passphrase: str = "") -> None:
        """Open a wallet by its BIP-39 seed phrase and, if it has one, its passphrase.

        Raises:
            WalletError: the phrase has a wrong word, number of words or checksum.
        """
        seed = _seed_of(phrase, passphrase)
        if seed is None:  # raised here, where no other exception with the words is on its way
            raise WalletError(
                "This is no BIP-39 seed phrase: a word, their number or the checksum is wrong. Check it word by word."
            )
        self._seed = seed

    @classmethod
    def create(cls) -> tuple[Wallet, str]:
        """Create a wallet; the seed phrase of twelve words is returned once and kept nowhere."""
        phrase = generate_mnemonic(12, Language.ENGLISH)
        return cls(phrase), phrase

    def pseudonym(self, custodian: str, *, relationship: int = 0) -> LocalSigner:
        """The account that stands for the patient with one custodian, by the custodian's identity."""
        return LocalSigner.from_key(key_from_seed(self._seed, derivation_path(custodian, relationship=relationship)))

    def unsafe_encryption_secret(self, custodian: str, *, relationship: int = 0, key: int = 0) -> bytes:
        """The private key, 32 bytes, for what is encrypted to a pseudonym; see `medproof.sharing.EncryptionKeys`."""
        path = encryption_path(custodian, relationship=relationship, key=key)
        return keyed_identifier(key_from_seed(self._seed, path), "x25519", purpose="wallet:encryption-key:v1")

    def __repr__(self) -> str:
        """Show nothing."""
        return "Wallet(…)"


def _seed_of(phrase: str, passphrase: str) -> bytes | None:
    try:
        return seed_from_mnemonic(re.sub(r"\s+", " ", phrase.strip().lower()), passphrase)
    except ValidationError:
        return None

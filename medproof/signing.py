"""Who signs: keys live behind a `Signer`, and only the local ones see key bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from eth_account import Account
from eth_account.signers.local import LocalAccount

from medproof.errors import KeystoreError, WalletError
from medproof.messages import TypedData
from medproof.raw_transaction import signed_by

try:
    from coincurve import PrivateKey  # an extra: signing a transaction takes a fifteenth of the time
except ModuleNotFoundError:
    PrivateKey = None  # type: ignore[assignment, misc]

__all__ = ["LocalSigner", "NodeSigner", "Signer", "TransactionSigner"]

# The members of a transaction that this package encodes itself; eth-account does any others.
_PLAIN = {"chainId", "nonce", "to", "data", "value", "gas", "gasPrice", "maxFeePerGas", "maxPriorityFeePerGas"}
_COST = 1 << 18  # of scrypt, as geth has it


@runtime_checkable
class Signer(Protocol):
    """An account that signs messages; a patient's, who sends no transaction of her own."""

    @property
    def address(self) -> str:
        """The account's checksummed address."""

    def sign_typed_data(self, message: TypedData) -> bytes:
        """Sign a message: 65 bytes r, s, v, or whatever the account's contract wallet takes."""


@runtime_checkable
class TransactionSigner(Protocol):
    """An account that sends transactions."""

    @property
    def address(self) -> str:
        """The account's checksummed address."""

    def sign_transaction(self, transaction: dict[str, Any]) -> bytes:
        """Sign a complete transaction: its raw bytes, ready to send."""


class LocalSigner:
    """An account whose key is in this process: signs messages and transactions."""

    def __init__(self, account: LocalAccount) -> None:
        """Take an account of eth-account; see the other constructors for keys and files."""
        self._account = account
        self._quick = None if PrivateKey is None else PrivateKey(bytes(account.key))

    @classmethod
    def create(cls) -> LocalSigner:
        """Make an account with a fresh key; keep it by `to_keystore`."""
        return cls(Account.create())

    @classmethod
    def from_key(cls, key: bytes | str) -> LocalSigner:
        """Take a 32-byte private key. Never from a command line or a file without a password.

        Raises:
            WalletError: it is none; the message shows nothing of it.
        """
        account = _account_of(key)
        if account is None:  # raised here, where no other exception with the key is on its way
            raise WalletError("This is no private key. Give 32 bytes, or 64 hexadecimal digits.")
        return cls(account)

    @classmethod
    def from_keystore(cls, path: Path | str, password: str) -> LocalSigner:
        """Read an encrypted key file (Web3 Secret Storage, version 3), as geth, Clef and Brownie write it.

        Raises:
            KeystoreError: no such file, no key file, or the wrong password.
        """
        file = Path(path)
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            return cls.from_key(Account.decrypt(content, password))
        except OSError as error:
            raise KeystoreError(str(file), "cannot be read", "Check the path and its permissions") from error
        except ValueError as error:
            if "MAC mismatch" in str(error):
                raise KeystoreError(str(file), "does not open with this password", "Try the password again") from None
            raise KeystoreError(str(file), "is no key file", "Name a Web3 Secret Storage file") from None
        except (LookupError, TypeError, AttributeError, OverflowError, NotImplementedError, WalletError):
            raise KeystoreError(str(file), "is no key file", "Name a Web3 Secret Storage file") from None

    def to_keystore(self, password: str, *, cost: int = _COST) -> str:
        """The account as the text of a key file, which the password opens: what `from_keystore` reads.

        Args:
            password: any text; whoever has it and the file has the account.
            cost: of scrypt, a power of two.
        """
        return json.dumps(Account.encrypt(self._account.key, password, kdf="scrypt", iterations=cost))

    @property
    def address(self) -> str:
        """The account's checksummed address."""
        return str(self._account.address)

    def sign_typed_data(self, message: TypedData) -> bytes:
        """Sign a message: 65 bytes r, s, v."""
        return bytes(self._account.sign_message(message.signable()).signature)

    def sign_transaction(self, transaction: dict[str, Any]) -> bytes:
        """Sign a complete transaction: its raw bytes."""
        if self._quick is None or "chainId" not in transaction or transaction.keys() - _PLAIN:
            return bytes(self._account.sign_transaction(transaction).raw_transaction)
        return signed_by(transaction, self._sign_quickly)

    def _sign_quickly(self, digest: bytes) -> bytes:
        assert self._quick is not None
        signature = self._quick.sign_recoverable(digest, hasher=None)
        return signature[:64] + bytes([27 + signature[64]])

    def __repr__(self) -> str:
        """Show the address and nothing of the key."""
        return f"LocalSigner({self.address})"


class NodeSigner:
    """An account whose key the node holds, as on a development chain; it sends but signs nothing here."""

    def __init__(self, address: str) -> None:
        """Name one of the node's unlocked accounts."""
        self._address = address

    @property
    def address(self) -> str:
        """The account's checksummed address."""
        return self._address

    def __repr__(self) -> str:
        """Show the address."""
        return f"NodeSigner({self.address})"


def _account_of(key: bytes | str) -> LocalAccount | None:
    try:
        account: LocalAccount = Account.from_key(key)
    except Exception:  # the curve's backends raise what they like, with the key in it
        return None
    return account if any(account.key) else None  # not every backend refuses zero

"""An account that sends through a manager, for whoever takes a sender."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from medproof.chain import Receipt

if TYPE_CHECKING:
    from medproof.sending.manager import TransactionManager

__all__ = ["ManagedSender"]


class ManagedSender:
    """An account whose transactions a manager sends: a `Sender` for `Chain` and all clients."""

    def __init__(self, manager: TransactionManager, address: str, key: str | None) -> None:
        """See `TransactionManager.sender`."""
        self._manager, self.address, self._key = manager, address, key
        self._keys: dict[str, str] = {}  # of what was sent and not waited for, by hash

    def under(self, key: str) -> ManagedSender:
        """The same account, for what is done once and has this idempotency key: sent again where it took no effect."""
        return ManagedSender(self._manager, self.address, key)

    def send(self, transaction: Mapping[str, Any]) -> str:
        """Queue a transaction, and return its hash once it is signed, kept and sent.

        Raises:
            As `TransactionManager.sent`.
        """
        key = self._manager.submit(transaction, key=self._key, account=self.address)
        if self._key is not None:
            self._manager.renew(key)
        sent = self._manager.sent(key)
        self._keys[sent] = key
        return sent

    def wait(self, transaction: str) -> Receipt:
        """Wait until a transaction of this hash, or what replaced it, counts.

        Raises:
            As `TransactionManager.wait`.
        """
        # One that lost its nonce meanwhile is queued again, and has this hash no more.
        key = self._keys.get(transaction) or self._manager.store.key_of(transaction)
        (receipt,) = self._manager.wait([key])
        self._keys.pop(transaction, None)
        return receipt

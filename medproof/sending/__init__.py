"""The transaction manager: a durable queue that sends each transaction once, from one of several accounts."""

from medproof.sending.manager import TransactionManager, open_store
from medproof.sending.sender import ManagedSender
from medproof.sending.store import TransactionStore, queue_of
from medproof.sending.transaction import Attempt, Fate, State, Transaction
from medproof.sending.work import Watcher

__all__ = [
    "Attempt",
    "Fate",
    "ManagedSender",
    "State",
    "Transaction",
    "TransactionManager",
    "TransactionStore",
    "Watcher",
    "open_store",
    "queue_of",
]

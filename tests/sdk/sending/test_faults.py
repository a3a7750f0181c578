"""Whatever node and network do, each transaction is on the chain once: none is lost, none is there twice.

The manager, the relayer and the gatekeeper's poster send the same way, and go through the same troubles, between them
and a real node. What is on the chain is counted by the contracts' events, and by all transactions of the accounts.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from eth_utils.crypto import keccak

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.errors import FeesTooHighError, NodeError, SenderFundsError
from medproof.sending import TransactionManager
from scripts.local_anvil import LocalAnvil
from tests.sdk.chain.odd_node import Call, Cut, OddNode, odd_node
from tests.sdk.conftest import funded, rpc
from tests.sdk.indexer.conftest import anvil_suite, on_anvil  # noqa: F401 - fixtures

COUNT = 12
ROUNDS = 100  # until everything must be on the chain
ROOTS = [keccak(text=f"batch {number}") for number in range(COUNT)]

Answer = Callable[[Call], Any]


# -- what is sent, and how it is counted -------------------------------------------------------------------------


class Work(ABC):
    """One that sends, through a node in trouble."""

    account: str  # that sends

    def __init__(self, suite: MedProof, folder: Path) -> None:
        self.suite, self.folder = suite, folder

    @abstractmethod
    def give(self) -> None:
        """Give it all that is to be sent; again changes nothing."""

    @abstractmethod
    def round(self) -> int:
        """Work once; how many are open."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the file."""

    @abstractmethod
    def counted(self, suite: MedProof) -> Counter[object]:
        """How often each is on the chain."""

    @property
    @abstractmethod
    def wanted(self) -> Counter[object]:
        """How often it should be."""


class Transactions(Work):
    """The manager, with transactions of its own account."""

    account = funded(1).address  # the clinic's

    def __init__(self, suite: MedProof, folder: Path, **options: Any) -> None:
        super().__init__(suite, folder)
        self.manager = TransactionManager(suite.chain, folder / "queue", [funded(1)], **options)

    def give(self) -> None:
        pointers = self.suite.record_pointers
        for number, root in enumerate(ROOTS):
            data = pointers.chain.call_data(pointers.contract, "postBatch", [root, number + 1])
            self.manager.submit({"to": pointers.address, "data": data}, key=f"batch {number}")

    def round(self) -> int:
        return self.manager.run_once()

    def close(self) -> None:
        self.manager.close()

    def counted(self, suite: MedProof) -> Counter[object]:
        return Counter(event.arguments["root"] for event in suite.record_pointers.events("BatchPosted"))

    @property
    def wanted(self) -> Counter[object]:
        return Counter(ROOTS)

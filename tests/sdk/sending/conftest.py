"""A manager with a fresh file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from medproof.chain import Chain
from medproof.errors import ExternalSignerError
from medproof.sending import TransactionManager
from medproof.signing import LocalSigner

Open = Callable[..., TransactionManager]


class Unwilling(LocalSigner):
    """A signer whose user says no."""

    willing = False

    def sign_transaction(self, transaction: dict[str, Any]) -> bytes:
        if not self.willing:
            raise ExternalSignerError("The signer", "said no", "Ask again")
        return super().sign_transaction(transaction)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "queue.db"


@pytest.fixture
def open_manager(chain: Chain, store: Path, relayer: LocalSigner) -> Iterator[Open]:
    """`open_manager(in_flight=…)`: a manager on the test's file, closed when the test ends."""
    opened: list[TransactionManager] = []
    chain.wait(chain.send({"to": relayer.address}, sender=relayer))  # Ganache takes a second nonce 0 of an account

    def open_(**options: Any) -> TransactionManager:
        through = options.pop("chain", chain)
        senders = options.pop("senders", [relayer])
        opened.append(TransactionManager(through, options.pop("store", store), senders, **options))
        return opened[-1]

    yield open_
    for one in opened:
        one.close()

"""A transaction of the queue: what it does, how far it is, and every form in which it was signed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

from eth_utils.address import to_checksum_address

from medproof.chain import address_bytes
from medproof.errors import ArgumentError

__all__ = ["OPEN", "Attempt", "Fate", "Intent", "State", "Transaction"]

_WORD = 1 << 256  # of the EVM
_MOST_GAS = 1 << 63  # that a node takes, and SQLite keeps


class State(StrEnum):
    """How far a transaction is."""

    QUEUED = "queued"  # on disk; has no nonce yet
    SENT = "sent"  # signed and on disk; sent again until it is in a block
    MINED = "mined"  # in a block; a reorganisation may still put it back to sent
    CONFIRMED = "confirmed"  # took effect, as deep in the chain as was asked for
    FAILED = "failed"  # as deep, and without effect: it was reverted there
    REFUSED = "refused"  # never took effect and never will: it would fail, or the node does not take it
    LOST = "lost"  # another transaction took its nonce, and nobody wants it sent again


OPEN = (State.QUEUED, State.SENT, State.MINED)


@dataclass(frozen=True)
class Intent:
    """What a transaction is to do, whoever sends it, at whatever price."""

    to: str | None  # checksummed; None creates a contract
    data: bytes
    value: int  # wei
    gas: int | None = None  # the most that it may use; estimated where none is given

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> Intent:
        """Read a transaction as `Chain.send` takes it: "to", "data", "value", "gas".

        Raises:
            ArgumentError: one of them is no such thing, or it has other members.
        """
        to, data = request.get("to"), request.get("data", b"")
        value, gas = request.get("value", 0), request.get("gas")
        try:
            if unknown := request.keys() - {"to", "data", "value", "gas"}:
                raise ValueError(f"the member {min(unknown)}")
            if not (isinstance(value, int) and 0 <= value < _WORD):
                raise ValueError(f"the value {value!r}")
            if not (gas is None or (isinstance(gas, int) and 0 < gas < _MOST_GAS)):
                raise ValueError(f"the gas {gas!r}")
            read = bytes.fromhex(data.removeprefix("0x")) if isinstance(data, str) else memoryview(data).tobytes()
            return cls(_recipient(to), read, value, gas)
        except (ValueError, TypeError, AttributeError) as error:
            step = 'Give "to", "data", "value" and "gas" alone; nonce and fees are the queue\'s.'
            raise ArgumentError(f"This is no transaction for a queue: {error} does not fit. {step}") from None


@lru_cache(4096)
def _recipient(given: str | None) -> str | None:
    return None if given is None else str(to_checksum_address(address_bytes(given)))


@dataclass(frozen=True)
class Attempt:
    """A signed form; later ones of a transaction replace earlier ones, with the same nonce and higher fees."""

    hash: str  # 0x…
    raw: bytes
    fees: Mapping[str, int]  # as in a transaction
    signed: float  # seconds since 1970
    block: int  # the newest one when it was signed
    cancels: bool = False  # does nothing but take the nonce, in place of what the node does not take


@dataclass(frozen=True)
class Transaction:
    """One of the queue."""

    number: int  # in order of submission
    key: str  # the idempotency key
    pinned: str | None  # the account that must send it, checksummed; None for any
    account: str | None  # the one that sends it; None while it is queued
    nonce: int | None
    to: str | None
    data: bytes
    value: int
    gas: int | None
    state: State
    mined_by: str | None  # the hash of the attempt that is in a block
    block: int | None  # that block's number
    block_hash: str | None
    gas_used: int | None
    reason: str | None  # why it failed or was refused; of one that is sent, why the node does not take it
    filler: bool  # the queue's own, that only fills a gap in the nonces
    received: float  # seconds since 1970
    attempts: tuple[Attempt, ...] = ()  # oldest first

    @property
    def latest(self) -> Attempt:
        """The attempt that replaces all before it."""
        return self.attempts[-1]

    @property
    def where(self) -> tuple[str, int]:
        """Account and nonce of one that is signed."""
        assert self.account is not None
        assert self.nonce is not None
        return self.account, self.nonce

    def call(self) -> dict[str, Any]:
        """What it does, as nodes and signers take it, without nonce, gas and fees."""
        recipient = {} if self.to is None else {"to": self.to}
        return {**recipient, "data": "0x" + self.data.hex(), "value": self.value}


@dataclass(frozen=True)
class Fate:
    """What became of a transaction."""

    key: str  # the idempotency key
    account: str | None  # who sends it; None while that is open
    nonce: int | None
    state: State
    transaction: str | None  # the hash of the attempt in a block, else of the latest; None before there is any
    block: int | None  # the number of its block
    gas_used: int | None
    reason: str | None  # why it failed or was refused, or is not taken by the node
    received: datetime

    @property
    def final(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state not in OPEN

"""A block's header as it is hashed: Homestead to Prague, with whatever later forks append."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import rlp
from rlp.exceptions import RLPException
from tiny_keccak import keccak256

from medproof.chain import Chain
from medproof.errors import EvidenceError
from medproof.evidence.trie import read_rlp

__all__ = ["Header"]

LONGEST_HEADER = 1 << 16
"""Bytes; a Clique or QBFT header carries its validators."""

_LAST_TIME = 253_402_300_799  # the year 9999

# In the order in which they are hashed (Yellow Paper, 4.4.3; EIP-1559, 4895, 4844, 4788, 7685).
_NUMBERS = frozenset(
    ("difficulty", "number", "gasLimit", "gasUsed", "timestamp", "baseFeePerGas", "blobGasUsed", "excessBlobGas")
)
_FRONTIER = (
    "parentHash",
    "sha3Uncles",
    "miner",
    "stateRoot",
    "transactionsRoot",
    "receiptsRoot",
    "logsBloom",
    "difficulty",
    "number",
    "gasLimit",
    "gasUsed",
    "timestamp",
    "extraData",
    "mixHash",
    "nonce",
)
_APPENDED = (
    "baseFeePerGas",
    "withdrawalsRoot",
    "blobGasUsed",
    "excessBlobGas",
    "parentBeaconBlockRoot",
    "requestsHash",
)


@dataclass(frozen=True)
class Header:
    """A block's header; its hash is the block's."""

    encoded: bytes = field(repr=False)  # RLP

    @cached_property
    def hash(self) -> str:
        """The block's hash, 0x…"""
        return "0x" + keccak256(self.encoded).hex()

    @property
    def number(self) -> int:
        """The block's number."""
        return int.from_bytes(self._fields[8], "big")

    @property
    def timestamp(self) -> int:
        """When it was made, in seconds since 1970."""
        return int.from_bytes(self._fields[11], "big")

    @property
    def state_root(self) -> bytes:
        """Over all accounts, 32 bytes."""
        return self._fields[3]

    @property
    def transactions_root(self) -> bytes:
        """Over the block's transactions, 32 bytes."""
        return self._fields[4]

    @property
    def receipts_root(self) -> bytes:
        """Over what became of them, 32 bytes."""
        return self._fields[5]

    def check(self, block_hash: str | None) -> None:
        """Return if it is a header, and of this block where one is given.

        Raises:
            EvidenceError: it is not.
        """
        if not all(len(root) == 32 for root in self._fields[3:6]):
            raise EvidenceError("header", "has roots that are none")
        if self.timestamp > _LAST_TIME or self.number >= 1 << 64:
            raise EvidenceError("header", "has a number or a time that no block has")
        if block_hash is not None and self.hash != block_hash.lower():
            raise EvidenceError("header", f"is that of block {self.hash}, not of {block_hash}")

    @classmethod
    def fetch(cls, chain: Chain, block: int) -> Header:
        """The header of a block.

        Raises:
            EvidenceError: it does not hash to the block's hash, as on chains that hash less or more than Ethereum.
            NodeError: nobody answers.
        """
        (said,) = chain.ask([("eth_getBlockByNumber", [hex(block), False])])
        if said is None:
            raise EvidenceError("header", f"of block {block} is not known to the node", "Name a block that it has")
        header = cls.of(said)
        if header.number != block:
            step = "Ask a node that can be relied on"
            raise EvidenceError("header", f"is that of block {header.number}, and block {block} was asked for", step)
        return header

    @classmethod
    def of(cls, said: Any) -> Header:
        """The header of a block as a node describes it.

        Raises:
            EvidenceError: see `fetch`.
        """
        try:
            header = cls(_encode(said))
            hashed = str(said["hash"])
        except (TypeError, ValueError, LookupError) as error:
            raise EvidenceError("header", "is not given by the node", "Ask a node that has this block") from error
        if header.hash != hashed:
            step = "Proofs of this chain's state cannot be made here: its headers are hashed in another way"
            raise EvidenceError("header", f"does not hash to the block's {hashed}", step)
        return header

    @cached_property
    def _fields(self) -> list[bytes]:
        try:
            fields = read_rlp(self.encoded)
        except RLPException:
            raise EvidenceError("header", "is no RLP") from None
        if not isinstance(fields, list) or len(fields) < len(_FRONTIER) or not all(map(_is_bytes, fields)):
            raise EvidenceError("header", "is no header")
        return fields


def _encode(said: Mapping[str, Any]) -> bytes:
    names = [*_FRONTIER, *(name for name in _APPENDED if said.get(name) is not None)]
    values = [int(said[name], 16) if name in _NUMBERS else bytes.fromhex(said[name][2:]) for name in names]
    return bytes(rlp.encode(values))


def _is_bytes(value: object) -> bool:
    return isinstance(value, bytes)

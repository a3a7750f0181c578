"""What a deployment's contracts ever said: asked of a node, or of an index that has read it already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from eth_utils.address import to_checksum_address

from medproof.client import MedProof
from medproof.client.contract import ContractClient

if TYPE_CHECKING:  # an index is an extra, and a patient's wallet asks the node
    from medproof.indexer import View

__all__ = ["ChainEvents", "Events", "IndexEvents", "Said", "address_of", "bytes_of", "client_named", "number_of"]


@dataclass(frozen=True)
class Said:
    """One event."""

    arguments: Mapping[str, Any]  # by the contract's names; read them by the functions below
    transaction: str  # the hash, 0x…


class Events(Protocol):
    """Where events are read."""

    def said(self, contract: str, name: str, subject: str | None = None) -> Iterator[Said]:
        """The events of one name up to the block, oldest first; of one subject, or of all."""


class ChainEvents:
    """The events that a node has, up to a block."""

    def __init__(self, suite: MedProof, block: int) -> None:
        """Ask the suite's own node."""
        self._suite, self._block = suite, block

    def said(self, contract: str, name: str, subject: str | None = None) -> Iterator[Said]:
        """See `Events`."""
        filters = None if subject is None else {"subject": subject}
        for event in client_named(self._suite, contract).events(name, filters=filters, to_block=self._block):
            yield Said(event.arguments, event.transaction)


class IndexEvents:
    """The events that an index has of a deployment, up to the block of a view."""

    def __init__(self, state: View) -> None:
        """Read them as of a view, which names the block."""
        self._state = state

    def said(self, contract: str, name: str, subject: str | None = None) -> Iterator[Said]:
        """See `Events`."""
        for event in self._state.events(contract, name):
            if subject is None or address_of(event.arguments["subject"]) == subject:
                yield Said(event.arguments, event.transaction)


def client_named(suite: MedProof, contract: str) -> ContractClient:
    """The client of any contract of a suite, by the contract's name."""
    return next(one for one in vars(suite).values() if isinstance(one, ContractClient) and one.name == contract)


def address_of(value: str) -> str:
    """An address of an event, with capitals."""
    return str(to_checksum_address(value))


def bytes_of(value: bytes | str) -> bytes:
    """Bytes of an event, which an index has as 0x and digits."""
    return bytes.fromhex(value[2:]) if isinstance(value, str) else bytes(value)


def number_of(value: int | str) -> int:
    """A number of an event, which an index has as 0x and digits where it is long."""
    return int(value, 16) if isinstance(value, str) else int(value)

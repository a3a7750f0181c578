"""What a deployment's contracts ever said: asked of a node, or of an index that has read it already."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from eth_utils.address import to_checksum_address

from medproof.client import MedProof
from medproof.client.contract import ContractClient
from medproof.decoding import Event

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
    """The events that a node has, up to a block: all of them, or those of one subject, are asked for at once."""

    def __init__(self, suite: MedProof, block: int, *, whole: bool = False) -> None:
        """Ask the suite's own node; `whole` for whoever will want the events of everybody."""
        self._suite, self._block, self._whole = suite, block, whole
        self._read: dict[str | None, Mapping[tuple[str, str], Sequence[Event]]] = {}

    def said(self, contract: str, name: str, subject: str | None = None) -> Iterator[Said]:
        """See `Events`."""
        if subject is None and not self._whole:
            found: Iterable[Event] = client_named(self._suite, contract).events(name, to_block=self._block)
        else:
            if subject not in self._read:
                self._read[subject] = self._all(subject)
            found = self._read[subject].get((contract, name), ())
        for event in found:
            yield Said(event.arguments, event.transaction)

    def _all(self, subject: str | None) -> Mapping[tuple[str, str], Sequence[Event]]:
        clients = {one.address: one for one in clients_of(self._suite)}
        first = min(one.first_block for one in clients.values())
        topics: list[tuple[str | None, ...]] = [()]
        if subject is not None:  # it stands in the first place, or in the second
            word = f"0x{subject[2:].lower():0>64}"
            topics = [(word,), (None, word)]
        contracts = [one.contract for one in clients.values()]
        read = (
            event
            for wanted in topics
            for event in self._suite.chain.all_events(contracts, topics=wanted, from_block=first, to_block=self._block)
            if subject is None or event.arguments.get("subject") == subject
        )
        found: defaultdict[tuple[str, str], list[Event]] = defaultdict(list)
        for event in {(one.block, one.index): one for one in read}.values():  # one may be found by both places
            found[clients[event.contract].name, event.name].append(event)
        return found


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


def clients_of(suite: MedProof) -> list[ContractClient]:
    """The clients of all contracts of a suite."""
    return [one for one in vars(suite).values() if isinstance(one, ContractClient)]


def client_named(suite: MedProof, contract: str) -> ContractClient:
    """The client of any contract of a suite, by the contract's name."""
    return next(one for one in clients_of(suite) if one.name == contract)


def address_of(value: str) -> str:
    """An address of an event, with capitals."""
    return str(to_checksum_address(value))


def bytes_of(value: bytes | str) -> bytes:
    """Bytes of an event, which an index has as 0x and digits."""
    return bytes.fromhex(value[2:]) if isinstance(value, str) else bytes(value)


def number_of(value: int | str) -> int:
    """A number of an event, which an index has as 0x and digits where it is long."""
    return int(value, 16) if isinstance(value, str) else int(value)

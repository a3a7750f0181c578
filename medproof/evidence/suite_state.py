"""What the suite's contracts hold at one block, read from the nodes of the chain's trees and from nothing else.

What a reading asks for and the nodes do not lead to is an error that names it: so whatever was left out is found out.
A contract counts only if its code is this build's, which binds the neighbours and the chain that it was made with.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from eth_utils.address import to_checksum_address
from tiny_keccak import keccak256

from medproof.artifacts import artifact
from medproof.errors import EvidenceError
from medproof.evidence.header import Header
from medproof.evidence.state_proof import read_account, read_word, slot_key
from medproof.evidence.storage import Place, locate
from medproof.evidence.trie import Nodes
from medproof.hashing import JsonObject
from medproof.json_reader import JsonReader, hex_text

__all__ = ["ContractAt", "Reading", "Slot", "SuiteState", "one_slot", "run"]

_WORD = 32
_ADDRESS = 20
# Of the immutables: whom a contract works with, and what it was made on (OpenZeppelin's EIP712).
_NEIGHBOURS = {"registrar": "Registrar", "consentRegistry": "ConsentRegistry"}
_ITSELF, _CHAIN = "_cachedThis", "_cachedChainId"

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in a contract's storage."""

    contract: str  # of the suite
    part: str  # what an error calls it
    place: Place


Reading = Generator[Sequence[Slot], Sequence[bytes], _T]
"""What is decided from storage: it asks for slots, gets 32 bytes for each, asks for more, and ends with an answer."""


def one_slot(part: str, contract: str, variable: str, *keys: object, member: str | None = None) -> Slot:
    """Where a value stands (`medproof.evidence.locate`); of a struct, one member."""
    places = locate(contract, variable, *keys)
    (place,) = (one for one in places if member in (None, one.name))
    return Slot(contract, part, place)


@dataclass(frozen=True)
class ContractAt:
    """A contract of the suite, and what makes its code that of this build."""

    address: str
    immutables: Mapping[str, bytes]  # 32 bytes each

    def to_json(self) -> JsonObject:
        """The contract as JSON."""
        immutables: JsonObject = {name: hex_text(value) for name, value in sorted(self.immutables.items())}
        return {"address": self.address, "immutables": immutables}

    @classmethod
    def from_json(cls, said: JsonReader, name: str) -> ContractAt:
        """Read what `to_json` gave, for a contract of this name.

        Raises:
            the reader's error: it is none.
        """
        values = said.object("immutables")
        names = {place["name"] for place in artifact(name).immutables}
        found = cls(said.address("address"), {one: values.hash(one) for one in sorted(names)})
        values.finish()
        said.finish()
        return found


class SuiteState:
    """The storage of contracts of the suite at a block."""

    def __init__(self, chain_id: int, header: Header, contracts: Mapping[str, ContractAt], nodes: Nodes) -> None:
        """Find the contracts in the block's state.

        Args:
            chain_id: whose block it is.
            header: of the block; whoever trusts its hash may trust what is read.
            contracts: by their names.
            nodes: of the state's tree and the storages' trees; more may come.

        Raises:
            EvidenceError: a contract is not there, is not this build, or is made for others; it is named.
        """
        self.header, self.nodes = header, nodes
        self._roots = {name: self._storage_root(name, contract) for name, contract in contracts.items()}
        for name, contract in contracts.items():
            self._check_made_for(name, contract, chain_id, contracts)

    def read(self, slots: Sequence[Slot]) -> list[bytes]:
        """What slots hold, 32 bytes each.

        Raises:
            EvidenceError: the nodes do not lead to one of them.
        """
        return [
            read_word(self.nodes.value(self._roots[one.contract], slot_key(one.place.slot), one.part), one.part)
            for one in slots
        ]

    def _storage_root(self, name: str, contract: ContractAt) -> bytes:
        part = f"account of {name} {contract.address}"
        held = self.nodes.value(self.header.state_root, keccak256(bytes.fromhex(contract.address[2:])), part)
        root, code_hash = read_account(held, part)
        if keccak256(artifact(name).code_with(contract.immutables)) != code_hash:
            step = "Verify it with the version of MedProof that its deployment names"
            raise EvidenceError(f"contract {contract.address}", f"is not {name} as this MedProof knows it", step)
        return root

    @staticmethod
    def _check_made_for(name: str, contract: ContractAt, chain_id: int, contracts: Mapping[str, ContractAt]) -> None:
        addresses = {one: contracts[two].address for one, two in _NEIGHBOURS.items() if two in contracts}
        for immutable, meant in {**addresses, _ITSELF: contract.address}.items():
            if immutable in contract.immutables and (found := _address(contract.immutables[immutable])) != meant:
                who = "itself" if immutable == _ITSELF else f"a {_NEIGHBOURS[immutable]}"
                raise EvidenceError(f"contract {contract.address}", f"knows {who} at {found}, not at {meant}")
        if (found_id := int.from_bytes(contract.immutables.get(_CHAIN, chain_id.to_bytes(_WORD, "big")))) != chain_id:
            raise EvidenceError(f"contract {contract.address}", f"was made on chain {found_id}, not on {chain_id}")


def run(reading: Reading[_T], state: SuiteState) -> _T:
    """Drive a reading to its end, from proved storage alone.

    Raises:
        EvidenceError: see `SuiteState.read`.
    """
    try:
        asked = next(reading)
        while True:
            asked = reading.send(state.read(asked))
    except StopIteration as end:
        answer: _T = end.value
        return answer


def _address(word: bytes) -> str:
    return to_checksum_address(word[-_ADDRESS:])

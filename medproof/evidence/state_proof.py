"""What a contract's storage held at a block (EIP-1186), for whoever knows the block's hash and asks no node."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eth_utils.address import to_checksum_address
from rlp.exceptions import RLPException
from tiny_keccak import keccak256

from medproof.chain import Chain, UnclearAnswerError
from medproof.errors import EvidenceError, NodeError, StateUnavailableError
from medproof.evidence.header import LONGEST_HEADER, Header
from medproof.evidence.trie import LONGEST_NODE, LONGEST_PATH, read_rlp, value_at
from medproof.hashing import JsonObject
from medproof.json_reader import JsonReader, hex_text

__all__ = [
    "GivenProof",
    "ProvedState",
    "SlotProof",
    "StateProof",
    "ask_proofs",
    "prove",
    "read_account",
    "read_word",
    "slot_key",
]

_MOST_SLOTS = 1000
_WORD = 32
_UNKNOWN_METHOD = re.compile("-32601|unsupported method|method not|no such method", re.IGNORECASE)
_STEPS = {
    False: "Ask a node that keeps old states (an archive node), or name a newer block",
    True: "Ask a node that serves eth_getProof",
}


@dataclass(frozen=True)
class SlotProof:
    """What one slot held."""

    slot: int
    word: bytes  # 32 bytes
    nodes: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True)
class ProvedState:
    """What a proof shows."""

    block: int
    timestamp: int  # of the block, seconds since 1970
    code_hash: bytes  # of the contract, 32 bytes
    words: Mapping[int, bytes]  # what each slot held, 32 bytes


@dataclass(frozen=True)
class StateProof:
    """That an account's slots held these words at a block."""

    chain_id: int  # which chain's block it is; a hash says it of itself
    address: str
    header: Header
    account: tuple[bytes, ...] = field(repr=False)
    slots: tuple[SlotProof, ...]

    def verify(self, block_hash: str | None = None) -> ProvedState:
        """What the proof shows, all of it: of the block whose hash is known from elsewhere where it is given.

        Raises:
            EvidenceError: something does not hold; it is named.
        """
        self.header.check(block_hash)
        address = bytes.fromhex(self.address[2:])
        part = f"account {self.address}"
        storage_root, code_hash = read_account(
            value_at(self.header.state_root, keccak256(address), self.account, part), part
        )
        words: dict[int, bytes] = {}
        for one in self.slots:
            part = f"slot {one.slot:#066x}"
            held = read_word(value_at(storage_root, slot_key(one.slot), one.nodes, part), part)
            if held != one.word:
                raise EvidenceError(part, f"holds 0x{held.hex()}, not 0x{one.word.hex()}")
            words[one.slot] = one.word
        return ProvedState(self.header.number, self.header.timestamp, code_hash, words)

    def to_json(self) -> JsonObject:
        """The proof as JSON."""
        return {
            "chainId": self.chain_id,
            "address": self.address,
            "header": hex_text(self.header.encoded),
            "account": [hex_text(node) for node in self.account],
            "slots": [
                {
                    "slot": f"{one.slot:#066x}",
                    "word": hex_text(one.word),
                    "nodes": [hex_text(node) for node in one.nodes],
                }
                for one in self.slots
            ],
        }

    @classmethod
    def from_json(cls, said: JsonReader) -> StateProof:
        """Read what `to_json` gave.

        Raises:
            the reader's error: it is none.
        """
        proof = cls(
            chain_id=said.number("chainId"),
            address=said.address("address"),
            header=Header(said.octets("header", 1, LONGEST_HEADER)),
            account=said.octet_strings("account", LONGEST_PATH, longest=LONGEST_NODE),
            slots=tuple(_read_slot(one) for one in said.items("slots", _MOST_SLOTS)),
        )
        said.finish()
        return proof


def prove(chain: Chain, address: str, slots: Iterable[int], block: int | None = None) -> StateProof:
    """Fetch the proof of what slots hold at a block, and verify it.

    Args:
        chain: whose node is asked; for an old block it must keep old states.
        address: the contract.
        slots: such as `locate` gives.
        block: its number; the newest where none is given.

    Raises:
        EvidenceError: what the node gives is no proof.
        StateUnavailableError: the node proves nothing at that block.
        NodeError: nobody answers.
    """
    number = chain.block_number() if block is None else block
    asked = sorted(set(slots))
    header = Header.fetch(chain, number)
    (given,) = ask_proofs(chain, [(address, asked)], number)
    found = tuple(SlotProof(slot, *given.slots[slot]) for slot in asked)
    proof = StateProof(chain.chain_id, to_checksum_address(address), header, given.account, found)
    proof.verify()
    return proof


@dataclass(frozen=True)
class GivenProof:
    """What a node says of an account at a block: nothing of it is verified."""

    account: tuple[bytes, ...]  # nodes of the state's tree
    slots: Mapping[int, tuple[bytes, tuple[bytes, ...]]]  # each with its word and nodes of the storage's tree


def ask_proofs(chain: Chain, asked: Sequence[tuple[str, Sequence[int]]], block: int) -> list[GivenProof]:
    """Ask a node to prove slots of several accounts at a block, in one request.

    Raises:
        StateUnavailableError: the node proves nothing at that block; it says why.
        EvidenceError: what it gives has not the form of proofs.
        NodeError: nobody answers.
    """
    questions: list[tuple[str, list[Any]]] = [
        ("eth_getProof", [address, [f"{slot:#066x}" for slot in slots], hex(block)]) for address, slots in asked
    ]
    try:
        answers = chain.ask(questions)
    except UnclearAnswerError:
        raise
    except NodeError as error:
        said = str(error).removeprefix("The node refused eth_getProof: ")
        raise StateUnavailableError(block, said, _STEPS[bool(_UNKNOWN_METHOD.search(said))]) from error
    try:
        return [_given(said, slots) for said, (_, slots) in zip(answers, asked, strict=True)]
    except (TypeError, ValueError, LookupError, OverflowError) as error:
        raise EvidenceError("proof", "is not given by the node", "Ask a node that serves eth_getProof") from error


def _given(said: Mapping[str, Any], slots: Sequence[int]) -> GivenProof:
    given = {int(one["key"], 16): one for one in said["storageProof"]}
    words = {slot: int(given[slot]["value"], 16).to_bytes(_WORD, "big") for slot in slots}
    found = {slot: (word, _nodes(given[slot]["proof"])) for slot, word in words.items()}
    return GivenProof(_nodes(said["accountProof"]), found)


def _nodes(said: Any) -> tuple[bytes, ...]:
    return tuple(bytes.fromhex(node[2:]) for node in said)


def slot_key(slot: int) -> bytes:
    """Under which key the storage's tree has a slot."""
    return keccak256(slot.to_bytes(_WORD, "big"))


def read_account(held: bytes | None, part: str) -> tuple[bytes, bytes]:
    """An account's storage root and code hash, from what the state's tree holds."""
    if held is None:
        raise EvidenceError(part, "does not exist in this state")
    try:
        _, _, storage_root, code_hash = map(bytes, read_rlp(held))
    except (RLPException, ValueError, TypeError):
        raise EvidenceError(part, "is none") from None
    if len(storage_root) != _WORD:
        raise EvidenceError(part, "has a storage root that is none")
    return storage_root, code_hash


def read_word(held: bytes | None, part: str) -> bytes:
    """A slot's 32 bytes, from what the storage's tree holds: what is zero is not in it, or, at Anvil, empty there."""
    if held is None:
        return bytes(_WORD)
    try:
        word = read_rlp(held)
    except RLPException:
        word = None
    if not isinstance(word, bytes) or len(word) > _WORD:
        raise EvidenceError(part, "holds no word")
    return word.rjust(_WORD, b"\0")


def _read_slot(said: JsonReader) -> SlotProof:
    found = SlotProof(
        slot=int.from_bytes(said.hash("slot"), "big"),
        word=said.hash("word"),
        nodes=said.octet_strings("nodes", LONGEST_PATH, longest=LONGEST_NODE),
    )
    said.finish()
    return found

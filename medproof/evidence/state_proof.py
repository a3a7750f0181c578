"""What a contract's storage held at a block (EIP-1186), for whoever knows the block's hash and asks no node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from eth_utils.address import to_checksum_address
from rlp.exceptions import RLPException
from tiny_keccak import keccak256

from medproof.chain import Chain
from medproof.errors import EvidenceError
from medproof.evidence.header import LONGEST_HEADER, Header
from medproof.evidence.trie import LONGEST_NODE, LONGEST_PATH, read_rlp, value_at
from medproof.hashing import JsonObject
from medproof.json_reader import JsonReader, hex_text

__all__ = ["ProvedState", "SlotProof", "StateProof", "prove"]

_MOST_SLOTS = 1000
_WORD = 32


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
        found = value_at(self.header.state_root, keccak256(address), self.account, f"account {self.address}")
        if found is None:
            raise EvidenceError(f"account {self.address}", "does not exist in this state")
        storage_root, code_hash = _account(found)
        words: dict[int, bytes] = {}
        for one in self.slots:
            part = f"slot {one.slot:#066x}"
            held = value_at(storage_root, keccak256(one.slot.to_bytes(_WORD, "big")), one.nodes, part)
            if _word(held, part) != one.word:
                raise EvidenceError(part, f"holds 0x{_word(held, part).hex()}, not 0x{one.word.hex()}")
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
        NodeError: nobody answers, or the node has not that block's state.
    """
    number = chain.block_number() if block is None else block
    asked = sorted(set(slots))
    words = [f"{slot:#066x}" for slot in asked]
    header = Header.fetch(chain, number)
    (said,) = chain.ask([("eth_getProof", [address, words, hex(number)])])
    try:
        given = {int(one["key"], 16): one for one in said["storageProof"]}
        found = tuple(
            SlotProof(slot, int(given[slot]["value"], 16).to_bytes(_WORD, "big"), _nodes(given[slot]["proof"]))
            for slot in asked
        )
        proof = StateProof(chain.chain_id, to_checksum_address(address), header, _nodes(said["accountProof"]), found)
    except (TypeError, ValueError, LookupError, OverflowError) as error:
        raise EvidenceError("proof", "is not given by the node", "Ask a node that serves eth_getProof") from error
    proof.verify()
    return proof


def _nodes(said: Any) -> tuple[bytes, ...]:
    return tuple(bytes.fromhex(node[2:]) for node in said)


def _account(encoded: bytes) -> tuple[bytes, bytes]:
    """An account's storage root and code hash."""
    try:
        _, _, storage_root, code_hash = read_rlp(encoded)
        return bytes(storage_root), bytes(code_hash)
    except (RLPException, ValueError, TypeError):
        raise EvidenceError("account", "is none") from None


def _word(held: bytes | None, part: str) -> bytes:
    """A slot's 32 bytes: what is zero is not in the tree."""
    if held is None:
        return bytes(_WORD)
    try:
        return bytes(read_rlp(held)).rjust(_WORD, b"\0")
    except (RLPException, TypeError):
        raise EvidenceError(part, "holds no word") from None


def _read_slot(said: JsonReader) -> SlotProof:
    found = SlotProof(
        slot=int.from_bytes(said.hash("slot"), "big"),
        word=said.hash("word"),
        nodes=said.octet_strings("nodes", LONGEST_PATH, longest=LONGEST_NODE),
    )
    said.finish()
    return found

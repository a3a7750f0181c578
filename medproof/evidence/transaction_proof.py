"""That a transaction stands in a block, and what it emitted: for whoever knows the block's hash and asks no node."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import rlp
from eth_account import Account
from eth_utils.address import to_checksum_address
from rlp.exceptions import RLPException
from tiny_keccak import keccak256

from medproof.chain import Chain
from medproof.errors import EvidenceError
from medproof.evidence.header import LONGEST_HEADER, Header
from medproof.evidence.trie import LONGEST_NODE, LONGEST_PATH, ordered_proof, read_rlp, value_at
from medproof.hashing import JsonObject
from medproof.json_reader import JsonReader, hex_text

__all__ = ["ProvedLog", "ProvedTransaction", "TransactionProof", "prove_transaction"]

_LEGACY = 0xC0  # a list's first byte from here on; below stands the type of EIP-2718
_CALL_FIELDS = {1: (4, 6), 2: (5, 7), 3: (5, 7), 4: (5, 7)}  # where "to" and the call's data stand, by type
_LEGACY_FIELDS = (3, 5)
_PROTECTED = 35  # a legacy transaction's v from here on says its chain (EIP-155)
_MOST_TRANSACTIONS = 1 << 20


@dataclass(frozen=True)
class ProvedLog:
    """One entry that a contract logged."""

    address: str
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True)
class ProvedTransaction:
    """What a proof shows."""

    block: int
    timestamp: int  # of the block, seconds since 1970
    index: int  # in the block
    hash: str  # 0x…
    sender: str  # who signed it and paid
    to: str | None  # None where it created a contract
    data: bytes = field(repr=False)  # the call
    logs: tuple[ProvedLog, ...] = field(repr=False)


@dataclass(frozen=True)
class TransactionProof:
    """That a transaction succeeded in a block, and what it emitted."""

    chain_id: int
    header: Header
    index: int  # in the block
    transaction: tuple[bytes, ...] = field(repr=False)  # nodes of the transactions' tree
    receipt: tuple[bytes, ...] = field(repr=False)  # nodes of the receipts' tree

    def verify(self, block_hash: str | None = None) -> ProvedTransaction:
        """What the proof shows: of the block whose hash is known from elsewhere where it is given.

        Raises:
            EvidenceError: something does not hold, or the transaction failed; it is named.
        """
        self.header.check(block_hash)
        key = bytes(rlp.encode(self.index))
        raw = value_at(self.header.transactions_root, key, self.transaction, "transaction")
        receipt = value_at(self.header.receipts_root, key, self.receipt, "receipt")
        if raw is None or receipt is None:
            raise EvidenceError("transaction", f"is not in block {self.header.hash}")
        signed_for, to, data = _read_call(raw)
        if signed_for not in (None, self.chain_id):
            raise EvidenceError("transaction", f"was signed for chain {signed_for}, not {self.chain_id}")
        return ProvedTransaction(
            block=self.header.number,
            timestamp=self.header.timestamp,
            index=self.index,
            hash="0x" + keccak256(raw).hex(),
            sender=_sender(raw),
            to=to,
            data=data,
            logs=_read_logs(receipt),
        )

    def to_json(self) -> JsonObject:
        """The proof as JSON."""
        return {
            "chainId": self.chain_id,
            "header": hex_text(self.header.encoded),
            "index": self.index,
            "transaction": [hex_text(node) for node in self.transaction],
            "receipt": [hex_text(node) for node in self.receipt],
        }

    @classmethod
    def from_json(cls, said: JsonReader) -> TransactionProof:
        """Read what `to_json` gave.

        Raises:
            the reader's error: it is none.
        """
        proof = cls(
            chain_id=said.number("chainId"),
            header=Header(said.octets("header", 1, LONGEST_HEADER)),
            index=said.number("index", bits=_MOST_TRANSACTIONS.bit_length()),
            transaction=said.octet_strings("transaction", LONGEST_PATH, longest=LONGEST_NODE),
            receipt=said.octet_strings("receipt", LONGEST_PATH, longest=LONGEST_NODE),
        )
        said.finish()
        return proof


def prove_transaction(chain: Chain, transaction: str) -> TransactionProof:
    """Fetch all of a transaction's block, make the proof of the one, and verify it.

    Raises:
        EvidenceError: it is in no block, or what the node gives is not what the block's header names.
        NodeError: nobody answers.
    """
    found = chain.find(transaction)
    if found is None:
        raise EvidenceError("transaction", f"{transaction} is in no block", "Wait until it is")
    (block,) = chain.ask([("eth_getBlockByNumber", [hex(found["blockNumber"]), True])])
    header = Header.of(block)
    hashes = [one["hash"] for one in block["transactions"]]
    receipts = chain.ask([("eth_getTransactionReceipt", [one]) for one in hashes])
    index = hashes.index(transaction)
    raws = [_raw(chain, one) for one in block["transactions"]]
    proofs = []
    for part, root, items in (
        ("transaction", header.transactions_root, raws),
        ("receipt", header.receipts_root, [_receipt(one) for one in receipts]),
    ):
        made, nodes = ordered_proof(items, index)
        if made != root:
            step = "Proofs of this chain's transactions cannot be made here"
            raise EvidenceError(part, f"is not as the header of block {header.number} has it", step)
        proofs.append(nodes)
    proof = TransactionProof(chain.chain_id, header, index, *proofs)
    proof.verify()
    return proof


# -- writing what the trees hold -----------------------------------------------------------------------------------


def _raw(chain: Chain, said: Mapping[str, Any]) -> bytes:
    """A transaction as it was signed: from what the node says of it, or whole where its type is a later one."""
    kind = int(said.get("type") or "0x0", 16)
    if kind in _WRITERS:
        raw = _WRITERS[kind](said)
        if "0x" + keccak256(raw).hex() == said["hash"]:
            return raw
    (whole,) = chain.ask([("eth_getRawTransactionByHash", [said["hash"]])])
    return _octets(whole)


def _legacy(said: Mapping[str, Any]) -> bytes:
    return bytes(rlp.encode([_number(said["nonce"]), _number(said["gasPrice"]), *_common(said), *_signature(said)]))


def _with_access_list(said: Mapping[str, Any]) -> bytes:
    fees = [_number(said["gasPrice"])]
    return b"\1" + _typed(said, fees)


def _with_fees(said: Mapping[str, Any]) -> bytes:
    fees = [_number(said["maxPriorityFeePerGas"]), _number(said["maxFeePerGas"])]
    return b"\2" + _typed(said, fees)


def _typed(said: Mapping[str, Any], fees: list[int]) -> bytes:
    listed = [[_octets(one["address"]), [_octets(key) for key in one["storageKeys"]]] for one in said["accessList"]]
    head = [_number(said["chainId"]), _number(said["nonce"]), *fees]
    return bytes(rlp.encode([*head, *_common(said), listed, *_signature(said)]))


def _common(said: Mapping[str, Any]) -> list[Any]:
    """From the gas to the call's data, alike in all types."""
    return [_number(said["gas"]), _octets(said["to"] or "0x"), _number(said["value"]), _octets(said["input"])]


def _signature(said: Mapping[str, Any]) -> list[int]:
    return [_number(said[name]) for name in ("v", "r", "s")]


_WRITERS: Mapping[int, Callable[[Mapping[str, Any]], bytes]] = {0: _legacy, 1: _with_access_list, 2: _with_fees}


def _receipt(said: Mapping[str, Any]) -> bytes:
    """A receipt as it is hashed (EIP-658, EIP-2718)."""
    logs = [
        [_octets(log["address"]), [_octets(topic) for topic in log["topics"]], _octets(log["data"])]
        for log in said["logs"]
    ]
    status = _number(said["status"]) if said.get("status") is not None else _octets(said["root"])
    body = bytes(rlp.encode([status, _number(said["cumulativeGasUsed"]), _octets(said["logsBloom"]), logs]))
    kind = _number(said.get("type") or "0x0")
    return bytes([kind]) + body if kind else body


def _number(said: str) -> int:
    return int(said, 16)


def _octets(said: str) -> bytes:
    return bytes.fromhex(said[2:])


# -- reading them --------------------------------------------------------------------------------------------------


def _read_call(raw: bytes) -> tuple[int | None, str | None, bytes]:
    """On which chain a transaction may stand, None for any; whom it calls, and with what."""
    try:
        to, data = _CALL_FIELDS[raw[0]] if raw[0] < _LEGACY else _LEGACY_FIELDS
        fields = read_rlp(raw if raw[0] >= _LEGACY else raw[1:])
        signed_for: int | None = int.from_bytes(fields[0], "big")
        if raw[0] >= _LEGACY:
            v = int.from_bytes(fields[6], "big")
            signed_for = (v - _PROTECTED) // 2 if v >= _PROTECTED else None
        return signed_for, to_checksum_address(fields[to]) if fields[to] else None, bytes(fields[data])
    except (RLPException, LookupError, ValueError, TypeError):
        raise EvidenceError("transaction", "is none of the types that are known here") from None


def _sender(raw: bytes) -> str:
    try:
        return str(Account.recover_transaction(raw))
    except Exception:  # eth-account and the curve's backends raise what they like
        raise EvidenceError("transaction", "has no signature that can be recovered") from None


def _read_logs(encoded: bytes) -> tuple[ProvedLog, ...]:
    try:
        status, _, _, logs = read_rlp(encoded if encoded[0] >= _LEGACY else encoded[1:])
        if status != b"\1":
            raise EvidenceError("receipt", "is that of a transaction which failed")
        return tuple(_read_log(one) for one in logs)
    except (RLPException, ValueError, TypeError, LookupError):
        raise EvidenceError("receipt", "is none") from None


def _read_log(said: Sequence[Any]) -> ProvedLog:
    address, topics, data = said
    return ProvedLog(to_checksum_address(address), tuple(bytes(topic) for topic in topics), bytes(data))

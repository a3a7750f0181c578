"""The nullifiers of a deployment's claims, whether submitted one by one or in batches.

A batch's event does not name them: they stand in the call that submitted it, by itself or inside `relay`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from eth_utils.crypto import keccak

from medproof.client import MedProof
from medproof.migration.events import Events, bytes_of

__all__ = ["nullifiers_of"]

_SUBMIT = keccak(text="submitBatch(address,bytes32,bytes32[],uint256,bytes)")[:4]
_RELAY = keccak(text="relay(bytes[],uint256)")[:4]
_DEPTH = 3  # a relay inside a relay does nothing that one does not


def nullifiers_of(suite: MedProof, events: Events) -> tuple[frozenset[bytes], tuple[str, ...]]:
    """All that were ever held, and the transactions whose batches cannot be read, as those of a multisig."""
    single = (bytes_of(one.arguments["nullifier"]) for one in events.said("ClaimAnchor", "ClaimSubmitted"))
    found, unread = {*single}, []
    roots: dict[str, list[bytes]] = {}
    for one in events.said("ClaimAnchor", "ClaimBatchSubmitted"):
        roots.setdefault(one.transaction, []).append(bytes_of(one.arguments["root"]))
    said = suite.chain.ask([("eth_getTransactionByHash", [one]) for one in roots]) if roots else []
    for (transaction, wanted), told in zip(roots.items(), said, strict=True):
        direct = (told or {}).get("to", "") or ""
        call = (
            bytes_of((told or {}).get("input", "0x")) if direct.lower() == suite.claim_anchor.address.lower() else b""
        )
        batches = dict(_batches(call, _DEPTH))
        if any(root not in batches for root in wanted):
            unread.append(transaction)
        found.update(one for root in wanted for one in batches.get(root, ()))
    return frozenset(found), tuple(unread)


def _batches(call: bytes, depth: int) -> Iterator[tuple[bytes, tuple[bytes, ...]]]:
    """The batches that a call submits: root and nullifiers of each."""
    try:
        if call[:4] == _SUBMIT:
            given: Any = decode(["address", "bytes32", "bytes32[]", "uint256", "bytes"], call[4:])
            yield given[1], tuple(given[2])
        elif call[:4] == _RELAY and depth:
            for one in decode(["bytes[]", "uint256"], call[4:])[0]:
                yield from _batches(one, depth - 1)
    except (DecodingError, OverflowError):
        return

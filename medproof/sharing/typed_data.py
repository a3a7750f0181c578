"""The EIP-712 messages of sharing, which are for no contract: their domain names chain and Registrar."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medproof.messages import Domain, FreeMessage

__all__ = ["SHARING_TYPES", "sharing_data"]

SHARING_TYPES: Mapping[str, Mapping[str, str]] = {
    "Message": {
        "Message": (
            "address sender,bytes32 nonce,uint64 sentAt,uint64 block,bytes32 blockHash,bytes32 thread,"
            "bytes32 inReplyTo,bool receipt,Recipient[] recipients,bytes32 keyCommitment,bytes32 ciphertext"
        ),
        "Recipient": "address party,bytes32 key,bytes wrapped",
    },
    "ReadReceipt": {
        "ReadReceipt": "bytes32 message,address sender,address reader,uint64 readAt,bytes32 salt",
    },
}
"""For each message its types, with their members as "type name"."""


def sharing_data(chain_id: int, registrar: str, kind: str, message: Mapping[str, Any]) -> FreeMessage:
    """A message of sharing, ready to be signed."""
    return FreeMessage(Domain("Sharing", chain_id, registrar), kind, message, SHARING_TYPES[kind])

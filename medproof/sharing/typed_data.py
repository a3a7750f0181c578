"""The EIP-712 messages of sharing, which are for no contract: their domain names chain and Registrar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from medproof.messages import DOMAIN_FIELDS, Domain, TypedData

__all__ = ["SHARING_TYPES", "SharingData", "sharing_data"]

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


@dataclass(frozen=True)
class SharingData(TypedData):
    """Typed data of one of `SHARING_TYPES`."""

    def as_dict(self) -> dict[str, Any]:
        """The whole document, as wallets take it in ``eth_signTypedData_v4``."""
        types = {"EIP712Domain": DOMAIN_FIELDS, **SHARING_TYPES[self.primary_type]}
        return {
            "types": {name: _members(fields) for name, fields in types.items()},
            "primaryType": self.primary_type,
            "domain": self.domain.as_dict(),
            "message": dict(self.message),
        }


def sharing_data(chain_id: int, registrar: str, kind: str, message: Mapping[str, Any]) -> SharingData:
    """A message of sharing, ready to be signed."""
    return SharingData(Domain("Sharing", chain_id, registrar), kind, message)


def _members(fields: str) -> list[dict[str, str]]:
    return [dict(zip(("type", "name"), field.split(" "), strict=True)) for field in fields.split(",")]

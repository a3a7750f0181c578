"""The bytes of a transaction: what its account signs, and what the chain takes (EIP-155 and EIP-1559).

Whoever signs elsewhere gives a signature or the whole bytes: both are held against the transaction that was meant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import rlp
from eth_utils.address import is_checksum_address
from tiny_keccak import keccak256

from medproof.errors import ArgumentError

__all__ = ["signature_in", "signed_by", "signing_payload", "transaction_digest", "with_signature"]

_DYNAMIC_FEES = b"\x02"  # what a transaction of EIP-1559 begins with
_WORD = 1 << 256  # of the EVM
_PARITY_BASE = 35  # of v in EIP-155: 35 + 2 * chain id + parity


def signing_payload(transaction: Mapping[str, Any]) -> bytes:
    """What an account signs, not hashed yet.

    Args:
        transaction: complete, as `TransactionSigner.sign_transaction` takes it.

    Raises:
        ArgumentError: a member is missing, or is of another type of transaction.
    """
    kind, fields = _fields(transaction)
    return _payload(kind, fields, transaction)


def transaction_digest(transaction: Mapping[str, Any]) -> bytes:
    """The 32 bytes that are signed."""
    return bytes(keccak256(signing_payload(transaction)))


def with_signature(transaction: Mapping[str, Any], signature: bytes) -> bytes:
    """The transaction as the chain takes it, with a signature of 65 bytes: r, s, and v as 27 or 28."""
    return _signed(*_fields(transaction), transaction, signature)


def signed_by(transaction: Mapping[str, Any], sign: Callable[[bytes], bytes]) -> bytes:
    """The transaction as the chain takes it; `sign` gives the signature of 32 bytes, as in `with_signature`."""
    kind, fields = _fields(transaction)
    return _signed(kind, fields, transaction, sign(keccak256(_payload(kind, fields, transaction))))


def _payload(kind: bytes, fields: bytes, transaction: Mapping[str, Any]) -> bytes:
    if kind:
        return kind + _listed(fields)
    return _listed(fields + _encoded(transaction["chainId"]) + b"\x80\x80")


def _signed(kind: bytes, fields: bytes, transaction: Mapping[str, Any], signature: bytes) -> bytes:
    v = signature[64] - 27 + (0 if kind else _PARITY_BASE + 2 * transaction["chainId"])
    words = [v, int.from_bytes(signature[:32]), int.from_bytes(signature[32:64])]
    return kind + _listed(fields + b"".join(map(_encoded, words)))


def signature_in(raw: bytes, *, chain_id: int) -> bytes | None:
    """The signature in a transaction's bytes: 65 bytes r, s, and v as 27 or 28; None if for no such chain."""
    typed = raw.startswith(_DYNAMIC_FEES)
    try:
        v, r, s = rlp.decode(raw[len(_DYNAMIC_FEES) :] if typed else raw)[-3:]
        parity = int.from_bytes(v) - (0 if typed else _PARITY_BASE + 2 * chain_id)
        if parity not in (0, 1) or max(len(r), len(s)) > 32:
            return None
        return bytes(r.rjust(32, b"\0") + s.rjust(32, b"\0") + bytes([27 + parity]))
    except (rlp.exceptions.RLPException, ValueError, TypeError, AttributeError, RecursionError):
        return None


def _fields(transaction: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """What a transaction begins with, and its members in their order, encoded."""
    try:
        to, data = _recipient(transaction.get("to")), _bytes(transaction.get("data"))
        typed = "maxFeePerGas" in transaction
        names = ("maxPriorityFeePerGas", "maxFeePerGas") if typed else ("gasPrice",)
        numbers = [transaction["nonce"], *[transaction[name] for name in names], transaction["gas"]]
        chain_id, value = transaction["chainId"], transaction.get("value", 0)
        for number in (chain_id, *numbers, value):
            if not (isinstance(number, int) and 0 <= number < _WORD):
                raise ValueError(f"the number {number!r}")
        members = [*map(_encoded, numbers), _encoded(to), _encoded(value), _encoded(data)]
        return (_DYNAMIC_FEES, b"".join([_encoded(chain_id), *members, b"\xc0"])) if typed else (b"", b"".join(members))
    except (KeyError, TypeError, ValueError) as error:
        step = "Give nonce, gas, chainId, and gasPrice or both fees of EIP-1559."
        raise ArgumentError(f"This is no complete transaction ({type(error).__name__}: {error}). {step}") from None


def _encoded(item: int | bytes) -> bytes:
    """RLP, as the yellow paper's appendix B has it, with numbers without leading zeros; quick, since each signature
    takes it (docs/decisions/0031)."""
    if isinstance(item, int):
        item = item.to_bytes((item.bit_length() + 7) // 8, "big")
    return item if len(item) == 1 and item < b"\x80" else _head(0x80, len(item)) + item


def _listed(items: bytes) -> bytes:
    return _head(0xC0, len(items)) + items


def _head(kind: int, length: int) -> bytes:
    if length < 56:
        return bytes([kind + length])
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([kind + 55 + len(size)]) + size


@lru_cache(4096)
def _recipient(value: bytes | str | None) -> bytes:
    found = _bytes(value)
    if len(found) not in (0, 20) or (
        isinstance(value, str) and value != value.lower() and not is_checksum_address(value)
    ):
        raise ValueError(f"the recipient {value!r}")
    return found


def _bytes(value: bytes | str | None) -> bytes:
    return bytes.fromhex(value.removeprefix("0x")) if isinstance(value, str) else bytes(value or b"")

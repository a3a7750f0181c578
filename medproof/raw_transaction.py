"""The bytes of a transaction: what its account signs, and what the chain takes (EIP-155 and EIP-1559).

Whoever signs elsewhere gives a signature or the whole bytes: both are held against the transaction that was meant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import rlp
from eth_utils.address import is_checksum_address
from tiny_keccak import keccak256

from medproof.errors import ArgumentError

__all__ = ["signature_in", "signing_payload", "transaction_digest", "with_signature"]

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
    return kind + _encoded([*fields, transaction["chainId"], 0, 0] if not kind else fields)


def transaction_digest(transaction: Mapping[str, Any]) -> bytes:
    """The 32 bytes that are signed."""
    return bytes(keccak256(signing_payload(transaction)))


def with_signature(transaction: Mapping[str, Any], signature: bytes) -> bytes:
    """The transaction as the chain takes it, with a signature of 65 bytes: r, s, and v as 27 or 28."""
    kind, fields = _fields(transaction)
    r, s, parity = int.from_bytes(signature[:32]), int.from_bytes(signature[32:64]), signature[64] - 27
    if kind:
        return kind + _encoded([*fields, parity, r, s])
    return _encoded([*fields, _PARITY_BASE + 2 * transaction["chainId"] + parity, r, s])


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


def _fields(transaction: Mapping[str, Any]) -> tuple[bytes, list[Any]]:
    """What a transaction begins with, and its members in their order."""
    try:
        to, data = _recipient(transaction.get("to")), _bytes(transaction.get("data"))
        rest = [transaction["gas"], to, transaction.get("value", 0)]
        typed = "maxFeePerGas" in transaction
        names = ("maxPriorityFeePerGas", "maxFeePerGas") if typed else ("gasPrice",)
        first = [transaction["nonce"], *(transaction[name] for name in names), *rest]
        for number in (transaction["chainId"], *first):
            if number is not to and not (isinstance(number, int) and 0 <= number < _WORD):
                raise ValueError(f"the number {number!r}")
        return (_DYNAMIC_FEES, [transaction["chainId"], *first, data, []]) if typed else (b"", [*first, data])
    except (KeyError, TypeError, ValueError) as error:
        step = "Give nonce, gas, chainId, and gasPrice or both fees of EIP-1559."
        raise ArgumentError(f"This is no complete transaction ({type(error).__name__}: {error}). {step}") from None


def _encoded(item: int | bytes | Sequence[Any]) -> bytes:
    """RLP, as the yellow paper's appendix B has it, with numbers without leading zeros; quick, since each signature
    takes it twice (docs/decisions/0031)."""
    if isinstance(item, int):
        item = item.to_bytes((item.bit_length() + 7) // 8, "big")
    if isinstance(item, bytes):
        return item if len(item) == 1 and item < b"\x80" else _head(0x80, len(item)) + item
    body = b"".join([_encoded(one) for one in item])
    return _head(0xC0, len(body)) + body


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

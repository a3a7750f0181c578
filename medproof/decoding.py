"""What a node answers, decoded: a contract's errors as the exceptions of their names, and its events."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from eth_utils.abi import event_abi_to_log_topic
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from web3.contract import Contract

from medproof import contract_errors
from medproof.errors import ContractError, UnknownRevertError

__all__ = ["Event", "decode_error", "decode_log", "decode_logs", "revert_data"]

_ERRORS: dict[bytes, type[ContractError]] = {keccak(text=cls.signature)[:4]: cls for cls in contract_errors.ALL}
_REVERT = bytes.fromhex("08c379a0")  # Error(string), of require and revert with a text
_HEX = re.compile(r"(?:Reverted )?0x((?:[0-9a-fA-F]{2}){4,})")  # the word is of older Parity-like nodes
_HASH_DIGITS = 64  # the hash of a transaction that Ganache did not take stands in the same place
_PANIC = bytes.fromhex("4e487b71")  # Panic(uint256), of assert, overflow, a bad enum


@dataclass(frozen=True)
class Event:
    """One decoded log entry."""

    name: str  # such as "RuleSet"
    arguments: Mapping[str, Any]  # by the contract's names; addresses checksummed, bytes32 as bytes
    contract: str  # the emitting contract's address
    block: int  # its block's number
    transaction: str  # its transaction's hash, 0x…
    index: int  # its position in the block


def decode_error(data: bytes) -> ContractError | UnknownRevertError:
    """The exception for a contract's revert data."""
    selector, arguments = data[:4], data[4:]
    try:
        if selector in _ERRORS:
            return _contract_error(_ERRORS[selector], arguments)
        if selector == _REVERT:
            return UnknownRevertError(data, repr(decode(["string"], arguments)[0]))
        if selector == _PANIC:
            return UnknownRevertError(data, f"panic {decode(['uint256'], arguments)[0]:#x}")
    except (DecodingError, ValueError, OverflowError):
        pass  # cut short, no text at all, or a foreign error whose selector happens to be one of ours
    return UnknownRevertError(data)


def _contract_error(cls: type[ContractError], arguments: bytes) -> ContractError:
    types = [kind for kind in cls.signature.partition("(")[2][:-1].split(",") if kind]
    values = decode(types, arguments)
    named = zip(cls.__annotations__, types, values, strict=True)
    return cls(**{name: to_checksum_address(value) if kind == "address" else value for name, kind, value in named})


def revert_data(error: Exception) -> bytes | None:
    """The revert data in any of the places where nodes and web3 put it."""
    places: list[Any] = [getattr(error, "data", None), *error.args]
    response = getattr(error, "rpc_response", None)
    if isinstance(response, Mapping):
        places.append(response.get("error"))
    while places:
        place = places.pop(0)
        if isinstance(place, Mapping):
            # Ganache: {"result": data} in a call's or a transaction's error; Anvil and geth: {"data": data}.
            places += [place.get("result"), place.get("data")]
        elif isinstance(place, str) and (found := _HEX.fullmatch(place)) and len(found[1]) != _HASH_DIGITS:
            return bytes.fromhex(found[1])
    return None


def decode_logs(contract: Contract, logs: Sequence[Mapping[str, Any]]) -> Iterator[Event]:
    """The events that one contract emitted among the logs, in order."""
    abi: Sequence[Any] = contract.abi
    names = {event_abi_to_log_topic(entry): entry["name"] for entry in abi if entry["type"] == "event"}
    for log in logs:
        if log["address"] == contract.address and log["topics"] and bytes(log["topics"][0]) in names:
            name = names[bytes(log["topics"][0])]
            yield decode_log(getattr(contract.events, name)().process_log(log))


def decode_log(log: Any) -> Event:
    """A log entry that web3 has decoded, as an `Event`."""
    return Event(
        name=log["event"],
        arguments=dict(log["args"]),
        contract=log["address"],
        block=int(log["blockNumber"]),
        transaction="0x" + bytes(log["transactionHash"]).hex(),
        index=int(log["logIndex"]),
    )

"""An event's log entry as the index keeps it, and its arguments.

Kept is what the contract wrote: the topics after the first, then the data. Arguments are given as JSON has them:
addresses and bytes as 0x and lower-case digits, integers of up to 64 bits as numbers, wider ones as 0x and 64 digits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from eth_utils.abi import collapse_if_tuple, event_abi_to_log_topic

from medproof.artifacts import artifact
from medproof.chain import UnclearAnswerError

__all__ = ["EventCodec", "codecs"]

_WORD = 32  # bytes
_NUMBER_BITS = 64  # wider integers are no numbers in JSON


class EventCodec:
    """How one kind of event is read."""

    def __init__(self, entry: Mapping[str, Any]) -> None:
        """Prepare it from the event's entry in a contract's ABI."""
        self.name = str(entry["name"])
        self.topic = "0x" + event_abi_to_log_topic(entry).hex()  # type: ignore[arg-type]
        self._inputs = sorted(entry["inputs"], key=lambda one: not one["indexed"])  # as they lie: topics, then data
        self.topics = 1 + sum(one["indexed"] for one in self._inputs)
        readers = [_reader(one["type"]) for one in self._inputs]
        self._readers = None if None in readers else readers
        self.size = None if self._readers is None else _WORD * len(readers)  # in bytes, of what is kept, if fixed
        self._plain = self._inputs[self.topics - 1 :]

    def arguments(self, said: bytes) -> dict[str, Any]:
        """The arguments by the contract's names.

        Raises:
            UnclearAnswerError: it has not the event's form.
        """
        words = [said[start : start + _WORD] for start in range(0, _WORD * len(self._inputs), _WORD)]
        if self._readers is not None:
            if len(said) != self.size:
                raise self._unfit()
            pairs = zip(self._inputs, self._readers, words, strict=True)
            return {one["name"]: read(word) for one, read, word in pairs}  # type: ignore[misc]
        try:
            indexed = zip(self._inputs, words[: self.topics - 1], strict=False)
            values = [decode([one["type"]], word)[0] for one, word in indexed]
            # Texts as bytes, which lie alike: no contract looks whether they are UTF-8.
            types = [collapse_if_tuple(one).replace("string", "bytes") for one in self._plain]
            values += decode(types, said[_WORD * (self.topics - 1) :])
        except (DecodingError, ValueError, OverflowError):
            raise self._unfit() from None
        return {one["name"]: _given(one, value) for one, value in zip(self._inputs, values, strict=True)}

    def _unfit(self) -> UnclearAnswerError:
        return UnclearAnswerError(f"The node gave a log entry that is no {self.name}. Name another node.")


@cache
def codecs(contract: str) -> Mapping[str, EventCodec]:
    """Those of a contract's events, by their names."""
    events = (entry for entry in artifact(contract).abi if entry["type"] == "event" and not entry.get("anonymous"))
    return {entry["name"]: EventCodec(entry) for entry in events}


def _reader(kind: str) -> Callable[[bytes], Any] | None:
    """How a static type is read from its word; None for a type that has no place of its own."""
    if kind.endswith("]"):
        return None
    if kind == "address":
        return lambda word: "0x" + word[12:].hex()
    if kind == "bool":
        return lambda word: bool(word[-1])
    if kind.startswith("uint"):
        wide = int(kind[4:]) > _NUMBER_BITS
        return lambda word: "0x" + word.hex() if wide else int.from_bytes(word, "big")
    if kind.startswith("bytes") and kind != "bytes":
        length = int(kind[5:])
        return lambda word: "0x" + word[:length].hex()
    return None


def _given(entry: Mapping[str, Any], value: Any) -> Any:
    kind = str(entry["type"])
    if kind.endswith("[]"):
        return [_given({**entry, "type": kind[:-2]}, one) for one in value]
    if kind == "tuple":
        return {one["name"]: _given(one, part) for one, part in zip(entry["components"], value, strict=True)}
    if kind == "string":
        return value.decode("utf-8", "backslashreplace").replace("\0", "\\x00")  # PostgreSQL takes no zero in a text
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, int) and kind.startswith("uint") and int(kind[4:]) > _NUMBER_BITS:
        return f"0x{value:064x}"
    return value

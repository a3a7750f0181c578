"""An event's log entry, decoded by places: every static argument lies where the event's ABI says it does.

Arguments become JSON: addresses and bytes as 0x and lower-case digits, integers of up to 64 bits as numbers, wider ones
as 0x and 64 digits.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from eth_utils.abi import collapse_if_tuple, event_abi_to_log_topic

from medproof.chain import UnclearAnswerError

__all__ = ["EventCodec"]

_WORD = 64  # digits
_TOPIC = 2 + _WORD
_NUMBER_BITS = 64  # wider integers are no numbers in JSON


class EventCodec:
    """How one kind of event is read."""

    def __init__(self, entry: Mapping[str, Any]) -> None:
        """Prepare it from the event's entry in a contract's ABI."""
        self.name = str(entry["name"])
        self.topic = "0x" + event_abi_to_log_topic(entry).hex()  # type: ignore[arg-type]
        inputs = sorted(entry["inputs"], key=lambda one: not one["indexed"])  # as they lie: topics, then data
        self.topics = 1 + sum(one["indexed"] for one in inputs)
        self.static = all(_digits(one["type"]) is not None for one in inputs)
        self._inputs = inputs
        self._plain = [one for one in inputs if not one["indexed"]]
        self._length = self.topics * _TOPIC + 2 + _WORD * len(self._plain)
        places, parts, numbers = [], [], {}
        for number, one in enumerate(inputs):
            start = (1 + number) * _TOPIC + 2 if one["indexed"] else self.topics * _TOPIC + 2
            if not one["indexed"]:
                start += _WORD * (number - self.topics + 1)
            first, last, reading = _digits(one["type"]) or (0, 0, None)
            places.append(slice(start + first, start + last))
            parts.append(f'"{one["name"]}":' + ("%s" if reading else '"0x%s"'))
            if reading:
                numbers[number] = reading
        self._template = "{" + ",".join(parts) + "}"
        self._get = itemgetter(*places) if len(places) > 1 else None
        self._places, self._numbers = places, numbers

    def values(self, topics: Sequence[str], data: str) -> tuple[str, ...]:
        """The digits of a static event's arguments, indexed ones first.

        Raises:
            UnclearAnswerError: it has not the event's form.
        """
        whole = "".join((*topics, data))
        if len(whole) != self._length:
            raise _unfit(self.name)
        return self._get(whole) if self._get else tuple(whole[place] for place in self._places)

    def arguments(self, values: tuple[str, ...]) -> str:
        """The arguments as JSON."""
        if not self._numbers:
            return self._template % values
        read: list[Any] = list(values)
        for number, reading in self._numbers.items():
            read[number] = reading(read[number])
        return self._template % tuple(read)

    def dynamic(self, topics: Sequence[str], data: str) -> str:
        """The arguments of an event with texts, bytes or tuples, as JSON."""
        try:
            words = [bytes.fromhex(topic[2:]) for topic in topics[1:]]
            values = [decode([one["type"]], word)[0] for one, word in zip(self._inputs, words, strict=False)]
            # Texts as bytes, which lie alike: no contract looks whether they are UTF-8.
            types = [collapse_if_tuple(one).replace("string", "bytes") for one in self._plain]
            values += decode(types, bytes.fromhex(data[2:]))
            pairs = zip(self._inputs, values, strict=True)
            return json.dumps({one["name"]: _written(one, value) for one, value in pairs}, separators=(",", ":"))
        except (DecodingError, ValueError, OverflowError):
            raise _unfit(self.name) from None


def _unfit(name: str) -> UnclearAnswerError:
    return UnclearAnswerError(f"The node gave a log entry that is no {name}. Name another node.")


def _digits(kind: str) -> tuple[int, int, Callable[[str], object] | None] | None:
    """Which digits of its word a static type uses, and how to read them where it is no string of digits."""
    if kind == "address":
        return (_WORD - 40, _WORD, None)
    if kind == "bool":
        return (_WORD - 1, _WORD, lambda digit: "true" if digit == "1" else "false")
    if kind.startswith("uint"):
        bits = int(kind[4:])
        return (0, _WORD, None) if bits > _NUMBER_BITS else (_WORD - bits // 4, _WORD, lambda text: int(text, 16))
    if kind.startswith("bytes") and kind != "bytes":
        return (0, 2 * int(kind[5:]), None)
    return None


def _written(entry: Mapping[str, Any], value: Any) -> Any:
    kind = str(entry["type"])
    if kind == "tuple":
        return {one["name"]: _written(one, part) for one, part in zip(entry["components"], value, strict=True)}
    if kind == "string":
        return value.decode("utf-8", "backslashreplace").replace("\0", "\\x00")  # PostgreSQL takes no zero in a text
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, int) and kind.startswith("uint") and int(kind[4:]) > _NUMBER_BITS:
        return f"0x{value:064x}"
    return value

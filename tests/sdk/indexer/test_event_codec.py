"""Every event of the suite is decoded as eth_abi decodes it, whatever its arguments say."""

from __future__ import annotations

from typing import Any

import pytest
from eth_abi.abi import encode
from eth_utils.abi import collapse_if_tuple
from hypothesis import given, settings
from hypothesis import strategies as st

from medproof.artifacts import CONTRACTS, artifact
from medproof.chain import UnclearAnswerError
from medproof.indexer.event_codec import EventCodec

EVENTS = {
    f"{name}.{entry['name']}": entry for name in CONTRACTS for entry in artifact(name).abi if entry["type"] == "event"
}


def a_value(kind: str, draw: Any, entry: dict[str, Any]) -> Any:
    if kind.endswith("[]"):
        return [a_value(kind[:-2], draw, entry) for _ in range(draw(st.integers(0, 3)))]
    if kind == "tuple":
        return tuple(a_value(one["type"], draw, one) for one in entry["components"])
    if kind == "address":
        return "0x" + draw(st.binary(min_size=20, max_size=20)).hex()
    if kind == "bool":
        return draw(st.booleans())
    if kind == "string":
        return draw(st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0")))
    if kind == "bytes":
        return draw(st.binary(max_size=70))
    if kind.startswith("bytes"):
        return draw(st.binary(min_size=int(kind[5:]), max_size=int(kind[5:])))
    return draw(st.integers(0, 2 ** int(kind[4:]) - 1))


def written(kind: str, value: Any, entry: dict[str, Any]) -> Any:
    if kind.endswith("[]"):
        return [written(kind[:-2], one, entry) for one in value]
    if kind == "tuple":
        parts = zip(entry["components"], value, strict=True)
        return {one["name"]: written(one["type"], part, one) for one, part in parts}
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return f"0x{value:064x}" if kind.startswith("uint") and int(kind[4:]) > 64 else value


@pytest.mark.parametrize("name", EVENTS)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_any_arguments(name: str, data: Any) -> None:
    entry = EVENTS[name]
    codec = EventCodec(entry)
    values = {one["name"]: a_value(one["type"], data.draw, one) for one in entry["inputs"]}
    indexed = [one for one in entry["inputs"] if one["indexed"]]
    others = [one for one in entry["inputs"] if not one["indexed"]]
    words = b"".join(encode([one["type"]], [values[one["name"]]]) for one in indexed)
    body = encode([collapse_if_tuple(one) for one in others], [values[one["name"]] for one in others])
    said = words + body
    assert codec.arguments(said) == {
        one["name"]: written(one["type"], values[one["name"]], one) for one in entry["inputs"]
    }
    assert codec.size in (None, len(said))
    if others:
        with pytest.raises(UnclearAnswerError, match=f"no {codec.name}"):
            codec.arguments(said[: -1 if codec.size else len(words) + 20])


@pytest.mark.parametrize("text", [b"a\0b", b"\xff\xfe", b"\xed\xa0\x80", b'"}', b"\\", "Ünïcode".encode()])
def test_a_text_that_is_none(text: bytes) -> None:
    """Else whoever may create groups could stop every index for good."""
    codec = EventCodec(EVENTS["Registrar.GroupCreated"])
    name = codec.arguments((7).to_bytes(32, "big") + encode(["bytes"], [text]))["name"]
    assert "\0" not in name
    assert name.encode()

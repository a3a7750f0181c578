"""Where a contract of the suite keeps a value: the slots of a variable, by the compiler's own storage layout.

Formulas (Solidity, "Layout of State Variables in Storage"): a variable stands at its slot; an item of a mapping at
keccak256(key || slot), with the key padded to 32 bytes; an item of an array at its slot plus its place, or from
keccak256(slot) on where the array grows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from eth_abi.abi import encode
from eth_abi.exceptions import EncodingError
from tiny_keccak import keccak256

from medproof.artifacts import artifact
from medproof.errors import ArgumentError

__all__ = ["Place", "locate"]

_WORD = 32
_SLOTS = 1 << 256


@dataclass(frozen=True)
class Place:
    """A value in storage, or a member of a struct."""

    name: str  # the struct's member; the variable itself where it is none
    slot: int
    offset: int  # bytes from the slot's low end
    size: int  # bytes

    def read(self, word: bytes) -> bytes:
        """The value in its slot's 32 bytes: the first byte counts most."""
        return word[_WORD - self.offset - self.size : _WORD - self.offset]

    def number(self, word: bytes) -> int:
        """The value as a number."""
        return int.from_bytes(self.read(word), "big")


def locate(contract: str, variable: str, *keys: object) -> tuple[Place, ...]:
    """Where a variable stands, or the item of a mapping or an array at its keys; for a struct, each member.

    >>> (hash, valid_from) = locate("ClaimAnchor", "_rules", payer, 1)
    >>> (word,) = locate("ConsentRegistry", "_rules", subject, grantee, "further", 3, "word")

    Args:
        contract: its name, such as "ClaimAnchor".
        variable: as the source calls it.
        keys: one for each mapping, array and struct on the way: as the contract's functions take them, and a
            struct's member by its name.

    Raises:
        ArgumentError: there is no such variable, the keys do not fit it, or it has no slots that are known beforehand.
    """
    layout = artifact(contract).storage_layout
    types: Mapping[str, Any] = layout["types"]
    declared = {one["label"]: one for one in layout["storage"]}
    if variable not in declared:
        raise ArgumentError(f"{contract} has no variable {variable!r}. Name one that its source declares.")
    found = _Variable.of(declared[variable])
    for key in keys:
        found = _item(types, found, key, f"{contract}.{variable}")
    places = tuple(_places(types, found))
    if not places:
        raise ArgumentError(
            f"{contract}.{variable} is a {found.kind}: give a key for each mapping and array on the way."
        )
    return places


@dataclass(frozen=True)
class _Variable:
    """A variable, an item of one, or a member, on the way to its place."""

    name: str
    kind: str  # its type, as the layout calls it
    slot: int
    offset: int = 0

    @classmethod
    def of(cls, said: Mapping[str, Any], base: int = 0) -> _Variable:
        return cls(said["label"], said["type"], base + int(said["slot"]), said["offset"])


def _places(types: Mapping[str, Any], found: _Variable) -> Iterator[Place]:
    """The places of what lies at slots that are known: of a struct, its members'."""
    about = types[found.kind]
    for member in about.get("members", ()):
        yield from _places(types, _Variable.of(member, found.slot))
    if about["encoding"] == "inplace" and "members" not in about and "base" not in about:
        yield Place(found.name, found.slot, found.offset, int(about["numberOfBytes"]))


def _item(types: Mapping[str, Any], found: _Variable, key: object, name: str) -> _Variable:
    about = types[found.kind]
    try:
        if about["encoding"] == "mapping":
            padded = encode([about["key"].removeprefix("t_").split("(")[0]], [key])
            slot = int.from_bytes(keccak256(padded + found.slot.to_bytes(_WORD, "big")), "big")
            return _Variable(found.name, about["value"], slot)
        for member in about.get("members", ()):
            if member["label"] == key:
                return _Variable.of(member, found.slot)
        size = int(types[about["base"]]["numberOfBytes"]) if "base" in about else 0
        if size == _WORD and isinstance(key, int) and key >= 0:  # items that fill their slots
            if about["encoding"] == "dynamic_array":
                first = int.from_bytes(keccak256(found.slot.to_bytes(_WORD, "big")), "big")
                return _Variable(found.name, about["base"], (first + key) % _SLOTS)
            if key < int(about["numberOfBytes"]) // _WORD:
                return _Variable(found.name, about["base"], found.slot + key)
    except (EncodingError, ValueError, TypeError):
        pass
    raise ArgumentError(f"{name} is a {found.kind}, which has no item {key!r}. Give the keys that its source declares.")

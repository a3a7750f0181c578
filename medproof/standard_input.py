"""The sources and settings that a contract's bytecode comes from, as solc's standard JSON takes them.

Whoever compiles them gets the bytecode of `medproof.artifacts`, bit for bit.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from eth_utils.crypto import keccak

from medproof.artifacts import artifact

__all__ = ["compiler_version", "identifier", "input_hash", "standard_input"]

_IMPORT = re.compile(r'^import\s[^;"]*"([^"]+)"\s*;', re.MULTILINE)


def identifier(name: str) -> str:
    """The path and name of a contract, as contracts/Registrar.sol:Registrar."""
    return f"{_path(name)}:{artifact(name).name}"


def compiler_version() -> str:
    """The compiler that gives the shipped bytecode, as 0.8.37+commit.f401782d."""
    return str(_published()["compiler"])


@cache
def standard_input(name: str) -> str:
    """One contract's input, as the text of its file: its sources, and those that they import."""
    whole = _published()["input"]
    sources = {path: whole["sources"][path] for path in sorted(_needed(_path(name)))}
    return json.dumps({**whole, "sources": sources}, indent=1, sort_keys=True) + "\n"


@cache
def input_hash(name: str) -> str:
    """The keccak-256 hash of that file, 0x…: what a manifest names it by."""
    return "0x" + keccak(text=standard_input(name)).hex()


def _path(name: str) -> str:
    return f"contracts/{name}.sol"


@cache
def _published() -> Mapping[str, Any]:
    text = files("medproof").joinpath("abi", "standard_input.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


def _needed(path: str) -> set[str]:
    """A source, and whatever it imports."""
    found, waiting = set(), [path]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += _imports(one)
    return found


def _imports(path: str) -> Iterator[str]:
    whole = _published()["input"]
    prefixes = [remapping.split("=") for remapping in whole["settings"]["remappings"]]
    for named in _IMPORT.findall(whole["sources"][path]["content"]):
        if named.startswith("."):
            yield posixpath.normpath(posixpath.join(posixpath.dirname(path), named))
        else:
            yield next((to + named[len(prefix) :] for prefix, to in prefixes if named.startswith(prefix)), named)

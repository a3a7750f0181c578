"""The compiled contracts that the package ships: ABI, bytecode, and how they were compiled."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from eth_utils.crypto import keccak

__all__ = ["CONTRACTS", "Artifact", "artifact"]

# In order of deployment.
CONTRACTS = (
    "Authority",
    "Registrar",
    "Delegations",
    "ConsentRegistry",
    "RecordPointers",
    "Prescriptions",
    "ClaimAnchor",
    "BatchAnchor",
    "AccessLog",
    "Devices",
    "Studies",
    "Incentives",
)


@dataclass(frozen=True)
class Artifact:
    """One compiled contract."""

    name: str
    abi: Sequence[Mapping[str, Any]]
    bytecode: str  # what a deployment sends, 0x…
    deployed_bytecode: bytes  # what stands on the chain, immutables zero
    immutables: Sequence[Mapping[str, Any]]  # where they lie in it: name, start and length, in bytes
    compiler: Mapping[str, Any]  # version and settings
    storage_layout: Mapping[str, Any]  # where its variables lie, as solc says it

    def code_hash(self, code: bytes) -> str:
        """The keccak-256 hash of a contract's code with its immutables blanked, 0x…"""
        blank = bytearray(code)
        for place in self.immutables:
            blank[place["start"] : place["start"] + place["length"]] = bytes(place["length"])
        return "0x" + keccak(bytes(blank)).hex()

    def immutables_of(self, code: bytes) -> dict[str, bytes]:
        """What a contract's code has for each of its immutables, by their names."""
        return {place["name"]: code[place["start"] : place["start"] + place["length"]] for place in self.immutables}

    def code_with(self, values: Mapping[str, bytes]) -> bytes:
        """The code of this build with these immutables: what stands on the chain.

        Raises:
            ValueError: one is missing, is not known, or is of another length.
        """
        code = bytearray(self.deployed_bytecode)
        lengths = {place["name"]: place["length"] for place in self.immutables}
        if lengths != {name: len(value) for name, value in values.items()}:
            raise ValueError(f"{self.name} has the immutables {', '.join(sorted(lengths))}, each of its own length.")
        for place in self.immutables:
            code[place["start"] : place["start"] + place["length"]] = values[place["name"]]
        return bytes(code)

    @property
    def expected_code_hash(self) -> str:
        """The code hash of this build, 0x…"""
        return self.code_hash(self.deployed_bytecode)


@cache
def artifact(name: str) -> Artifact:
    """Return a contract of the suite, one of `CONTRACTS`."""
    if name not in CONTRACTS:
        raise ValueError(f"{name!r} is no contract of the suite. Known are {', '.join(CONTRACTS)}.")
    content = json.loads(files("medproof").joinpath("abi", f"{name}.json").read_text(encoding="utf-8"))
    return Artifact(
        name=content["contractName"],
        abi=content["abi"],
        bytecode=content["bytecode"],
        deployed_bytecode=bytes.fromhex(content["deployedBytecode"][2:]),
        immutables=content["immutableReferences"],
        compiler=content["compiler"],
        storage_layout=content["storageLayout"],
    )

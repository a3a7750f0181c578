"""A proof that an entry is in an anchored log: all that a stranger needs to check it, with or without a chain."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from eth_utils.address import is_checksum_address

from medproof import merkle
from medproof.client.batch_anchor import Batch, BatchAnchor
from medproof.errors import LeafProofError, MerkleProofError
from medproof.hashing import Json, JsonObject

__all__ = ["LeafProof"]

_HASH = re.compile("0x[0-9a-f]{64}", re.ASCII)
_LONGEST_PATH = 64


@dataclass(frozen=True)
class LeafProof:
    """That a leaf stands at an index of a log as it was anchored at some size."""

    chain_id: int
    anchor: str  # address of the BatchAnchor
    publisher: str  # the identity of the party whose log it is
    log: int  # which of its logs
    leaf: bytes  # the entry's commitment, 32 bytes
    index: int  # from 0
    size: int  # how many leaves the log had when it was anchored
    root: bytes  # 32 bytes, over all of them
    path: tuple[bytes, ...]  # the hashes that lead from the leaf to the root

    def verify(self, root: bytes | None = None) -> None:
        """Return if the path leads from the leaf to the root: to one that is known from elsewhere where it is given.

        Raises:
            MerkleProofError: it does not.
        """
        merkle.verify_inclusion(self.leaf, self.index, self.size, self.path, self.root if root is None else root)

    def verify_anchored(self, anchor: BatchAnchor) -> Batch:
        """Return the batch on chain that has the leaf; the chain is asked, and nothing in the proof is believed.

        Raises:
            MerkleProofError: no such batch was anchored, or it has not the leaf.
            LeafProofError: the proof is for another chain or contract.
            NodeError: the chain cannot be asked.
        """
        if (self.chain_id, self.anchor) != (anchor.chain.chain_id, anchor.address):
            raise LeafProofError(
                f"is for the BatchAnchor at {self.anchor} on chain {self.chain_id}, "
                f"not at {anchor.address} on chain {anchor.chain.chain_id}"
            )
        for batch in anchor.batches(self.publisher, log=self.log):
            if batch.size == self.size:
                self.verify(batch.root)
                return batch
        what = f"leaf {self.index} of log {self.log} of {self.publisher}"
        raise MerkleProofError(what, f"no batch of {self.size} leaves is on the chain")

    def to_json(self) -> JsonObject:
        """The proof as JSON."""
        return {
            "chainId": self.chain_id,
            "anchor": self.anchor,
            "publisher": self.publisher,
            "log": self.log,
            "leaf": f"0x{self.leaf.hex()}",
            "index": self.index,
            "size": self.size,
            "root": f"0x{self.root.hex()}",
            "path": [f"0x{one.hex()}" for one in self.path],
        }

    @classmethod
    def from_json(cls, value: Json) -> LeafProof:
        """Read what `to_json` gave.

        Raises:
            LeafProofError: it is none.
        """
        try:
            said: Any = value
            addresses = [said[name] for name in ("anchor", "publisher")]
            numbers = [said[name] for name in ("chainId", "log", "index", "size")]
            path = said["path"]
            if not all(isinstance(one, str) and is_checksum_address(one) for one in addresses):
                raise ValueError(addresses)
            if not all(type(one) is int and 0 <= one < 1 << 64 for one in numbers):
                raise ValueError(numbers)
            if not isinstance(path, list) or len(path) > _LONGEST_PATH:
                raise ValueError(path)
            (anchor, publisher), (chain_id, log, index, size) = addresses, numbers
            hashes = [_hash(one) for one in (said["leaf"], said["root"], *path)]
            return cls(chain_id, anchor, publisher, log, hashes[0], index, size, hashes[1], tuple(hashes[2:]))
        except (ValueError, TypeError, LookupError):
            raise LeafProofError("is none, or a part of it is missing") from None


def _hash(text: object) -> bytes:
    if not isinstance(text, str) or not _HASH.fullmatch(text):
        raise ValueError(text)
    return bytes.fromhex(text[2:])

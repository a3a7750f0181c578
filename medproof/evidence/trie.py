"""The chain's own trees (Yellow Paper, appendix D): what a path of nodes says of a key, and making one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import rlp
from rlp.exceptions import DecodingError, RLPException
from tiny_keccak import keccak256
from trie import HexaryTrie
from trie.constants import BLANK_NODE_HASH

from medproof.errors import EvidenceError

__all__ = ["LONGEST_NODE", "LONGEST_PATH", "ordered_proof", "read_rlp", "value_at"]

LONGEST_PATH = 66
"""Nodes on a path at most: a key has 64 half bytes, and a leaf follows them."""
LONGEST_NODE = 1 << 24
"""Bytes in a node at most: a leaf of the transactions' tree holds a whole transaction."""


def value_at(root: bytes, key: bytes, nodes: Sequence[bytes], part: str) -> bytes | None:
    """What the tree of this root holds at a key; None where the nodes show that it holds nothing.

    Args:
        root: 32 bytes.
        key: the key as the tree has it (hashed, where its keys are hashes).
        nodes: from the root on, as RLP.
        part: what an error calls it, such as "account".

    Raises:
        EvidenceError: a node is not the one that the node above it names, or one is missing.
    """
    if not nodes:
        if root == BLANK_NODE_HASH:
            return None
        raise EvidenceError(part, "has no nodes")
    above = root
    for place, node in enumerate(nodes):
        if keccak256(node) not in above and not (place and node in above):
            raise EvidenceError(part, f"has a node {place} that does not hash to what is above it")
        above = node
    try:
        decoded = [read_rlp(node) for node in nodes]
        found = HexaryTrie.get_from_proof(root, key, decoded)
    except RLPException:
        raise EvidenceError(part, "has a node that is no RLP") from None
    except Exception:  # what the library makes of nodes that are none
        raise EvidenceError(part, "has nodes that do not lead to its key") from None
    return bytes(found) or None


def read_rlp(data: bytes) -> Any:
    """What RLP stands for: bytes, or a list of such.

    Raises:
        RLPException: it is none, or lists nested deeper than anything on a chain.
    """
    try:
        return rlp.decode(data)
    except RecursionError:
        raise DecodingError("nested too deep", data) from None


def ordered_proof(items: Sequence[bytes], index: int) -> tuple[bytes, tuple[bytes, ...]]:
    """The root of a block's tree over its transactions or receipts, and the nodes that lead to one of them."""
    tree = HexaryTrie({})
    for place, item in enumerate(items):
        tree[rlp.encode(place)] = item
    nodes = tree.get_proof(rlp.encode(index))
    # A node shorter than a hash stands inside the one above it.
    encoded = [bytes(rlp.encode(node)) for node in nodes]
    return bytes(tree.root_hash), tuple(node for place, node in enumerate(encoded) if len(node) >= 32 or not place)

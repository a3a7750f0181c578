"""The chain's own trees (Yellow Paper, appendix D): what a path of nodes says of a key, and making one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import rlp
from rlp.exceptions import DecodingError, RLPException
from tiny_keccak import keccak256
from trie import HexaryTrie
from trie.constants import BLANK_NODE_HASH
from trie.exceptions import MissingTrieNode

from medproof.errors import EvidenceError

__all__ = ["LONGEST_NODE", "LONGEST_PATH", "Nodes", "ordered_proof", "read_rlp", "value_at"]

LONGEST_PATH = 66
"""Nodes on a path at most: a key has 64 half bytes, and a leaf follows them."""
LONGEST_NODE = 1 << 24
"""Bytes in a node at most: a leaf of the transactions' tree holds a whole transaction."""
_HASH = 32
_DECODED = 4096  # nodes near the root are come by again and again


class Nodes:
    """Nodes of the chain's trees, each once, under its hash: what is reached from a root, the root commits to."""

    def __init__(self) -> None:
        """Begin with none."""
        self._encoded: dict[bytes, bytes] = {}
        self._tree = _Tree(self._encoded)

    def add(self, node: bytes) -> bytes:
        """Keep a node, as RLP, and return its hash."""
        hashed = keccak256(node)
        self._encoded[hashed] = node
        return hashed

    def __contains__(self, node: bytes) -> bool:
        """Whether a node is here."""
        return keccak256(node) in self._encoded

    def __getitem__(self, hashed: bytes) -> bytes:
        """A node by its hash."""
        return self._encoded[hashed]

    def value(self, root: bytes, key: bytes, part: str) -> bytes | None:
        """What the tree of this root holds at a key; None where it holds nothing. See `value_at`.

        Raises:
            EvidenceError: a node on the way is not here, or is none.
        """
        self._tree.root_hash = root
        try:
            return bytes(self._tree.get(key)) or None
        except MissingTrieNode as missing:
            node = bytes(missing.missing_node_hash).hex()
            raise EvidenceError(part, f"has nodes that do not lead to its key: 0x{node} is missing") from None
        except RLPException:
            raise EvidenceError(part, "has a node that is no RLP") from None
        except Exception:  # what the library makes of nodes that are none
            raise EvidenceError(part, "has nodes that do not lead to its key") from None

    def passed(self) -> tuple[bytes, ...]:
        """The hashes of the nodes that were come by since this was asked last, each once, in their order."""
        found = tuple(self._tree.passed)
        self._tree.passed.clear()
        return found


class _Tree(HexaryTrie):  # type: ignore[misc]
    """The library's tree, which notes its way and does not decode a node twice in a row."""

    def __init__(self, encoded: dict[bytes, bytes]) -> None:
        super().__init__(encoded)
        self.passed: dict[bytes, None] = {}
        self._decoded = lru_cache(_DECODED)(super().get_node)

    def get_node(self, node_hash: Any) -> Any:
        if len(node_hash) != _HASH or node_hash == BLANK_NODE_HASH:
            return super().get_node(node_hash)
        node = self._decoded(node_hash)
        self.passed[node_hash] = None
        return node


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
    above, kept = root, Nodes()
    for place, node in enumerate(nodes):
        if kept.add(node) not in above and not (place and node in above):
            raise EvidenceError(part, f"has a node {place} that does not hash to what is above it")
        above = node
    return kept.value(root, key, part)


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

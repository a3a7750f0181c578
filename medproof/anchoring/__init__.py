"""Merkle logs that last, and their anchoring on chain. It needs `medproof[gateway]`; docs/access-log.md has more."""

from medproof.anchoring.anchorer import Anchorer
from medproof.anchoring.leaf_log import LeafLog

__all__ = ["Anchorer", "LeafLog"]

"""Merkle logs that last, and their anchoring on chain. It needs `medproof[gateway]`; docs/access-log.md has more."""

from medproof.anchoring.anchorer import Anchorer
from medproof.anchoring.leaf_log import Home, LeafLog

__all__ = ["Anchorer", "Home", "LeafLog"]

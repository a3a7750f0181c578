"""The nullifiers of all claims that a log has, in an indexed Merkle tree: what was billed before, and what never was.

The tree follows the log of claim events and is nowhere else: each submission inserts its nullifier, in the order of the
log. So whoever has the events has the tree, and sees for itself that an anchored root is right (`audit`); whoever has
not sees with one proof that a service was never billed. A service that is billed again stands in the log, and is named:
nothing of it enters the tree twice. A void takes nothing out of the tree: what is billed anew after it is named as
well, and the void that stands before it in the log is the answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from medproof.claims.event_log import ClaimEntry, ClaimStep
from medproof.client.batch_anchor import Batch
from medproof.errors import MerkleProofError
from medproof.indexed_merkle import IndexedMerkleTree

__all__ = ["TREE_NUMBER", "NullifierTree", "audit"]

TREE_NUMBER = 5
"""The number under which the tree's root is anchored, unless another is given: beside the log, as a log of its own."""


class NullifierTree:
    """The nullifiers of a log's submissions.

    >>> tree = NullifierTree()
    >>> again = tree.follow(log.entries())
    >>> suite.batch_anchor.anchor(house.address, len(tree.values), tree.values.root(), log=TREE_NUMBER)
    """

    def __init__(self) -> None:
        """Begin with none."""
        self.values = IndexedMerkleTree()
        self.read = 0  # how many events it has read

    def follow(self, entries: Iterable[ClaimEntry]) -> tuple[int, ...]:
        """Read on in the log, and return the indices of submissions whose service was billed before.

        Args:
            entries: those after the ones that it has read (`ClaimEventLog.entries(tree.read)`).
        """
        events = [entry.event for entry in entries]  # all of them, or none where one cannot be read
        fresh: dict[bytes, None] = {}
        again = []
        for index, event in enumerate(events, start=self.read):
            if event.step is ClaimStep.SUBMITTED:
                if event.nullifier in fresh or event.nullifier in self.values:
                    again.append(index)
                else:
                    fresh[event.nullifier] = None
        self.values.insert(fresh)
        self.read += len(events)
        return tuple(again)


def audit(entries: Iterable[ClaimEntry], batches: Iterable[Batch]) -> NullifierTree:
    """Return the tree, if every root that was anchored of it is that of the log's submissions up to there.

    Args:
        entries: of the log, from the first, each a leaf of the anchored log of events.
        batches: of the tree (`BatchAnchor.batches` with its number).

    Raises:
        MerkleProofError: a root is not; the first one is named.
    """
    tree, waiting = NullifierTree(), iter(entries)
    for batch in batches:
        while len(tree.values) < batch.size and (some := list(islice(waiting, batch.size - len(tree.values)))):
            tree.follow(some)
        if (len(tree.values), tree.values.root()) != (batch.size, batch.root):
            raise MerkleProofError(f"batch {batch.number} of the nullifiers", "its root is not that of the log")
    tree.follow(waiting)
    return tree

"""The index of the suite's events: follows chains into one database, and answers as of any block or time.

It needs `medproof[index]`, and PostgreSQL `medproof[index,postgres]`. docs/indexer.md has the tables and queries.
"""

from medproof.errors import MissingExtraError

try:
    from medproof.indexer.index import Index, IndexedDeployment, IndexedEvent
    from medproof.indexer.indexer import Indexer, Progress
    from medproof.indexer.node import BusyError, Node
    from medproof.indexer.view import Standing, View, view
except ModuleNotFoundError as missing:
    if (missing.name or "medproof").startswith("medproof"):
        raise
    raise MissingExtraError("An index", "index", str(missing.name)) from None

__all__ = [
    "BusyError",
    "Index",
    "IndexedDeployment",
    "IndexedEvent",
    "Indexer",
    "Node",
    "Progress",
    "Standing",
    "View",
    "view",
]

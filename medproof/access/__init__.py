"""The access log: who asked for whose records, when and under which rule, in a log that nobody can rewrite unseen.

docs/access-log.md has more. The log itself, `medproof.access.entry_log.EntryLog`, needs `medproof[gateway]`.
"""

from medproof.access.entry import Access, AccessEntry, Ground, Opening, RecordAccess
from medproof.access.promise import HEADER, Promise, Promised, PromiseFile

__all__ = ["HEADER", "Access", "AccessEntry", "Ground", "Opening", "Promise", "PromiseFile", "Promised", "RecordAccess"]

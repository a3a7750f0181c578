"""A custodian's records: sealed each with its own key, under their pointers, in SQLite, PostgreSQL or a FHIR server.

It needs `medproof[gateway]`, and PostgreSQL `medproof[gateway,postgres]`. docs/store.md says what a stolen database
shows, how erasure works and what to do before and after a restore.
"""

from medproof.errors import MissingExtraError

try:
    from medproof.store.batches import Batch, Batches, Single
    from medproof.store.fhir_server_store import FhirServer, FhirServerStore
    from medproof.store.keys import KeyRing, MasterKey
    from medproof.store.records import MAX_PAGE, Entry, Erasure, Page, Query, RecordStore, StoredRecord
    from medproof.store.sql_store import SqlStore
except ModuleNotFoundError as missing:
    if (missing.name or "medproof").startswith("medproof"):
        raise
    raise MissingExtraError("A record store", "gateway", str(missing.name)) from None

__all__ = [
    "MAX_PAGE",
    "Batch",
    "Batches",
    "Entry",
    "Erasure",
    "FhirServer",
    "FhirServerStore",
    "KeyRing",
    "MasterKey",
    "Page",
    "Query",
    "RecordStore",
    "Single",
    "SqlStore",
    "StoredRecord",
]

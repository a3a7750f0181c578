"""Taking a record over from another custodian: into this one's store, under the pointer that it has."""

from __future__ import annotations

from medproof.client.record_pointers import RecordPointers
from medproof.errors import UnprovedRecordError
from medproof.fhir import Resource
from medproof.fhir.period import data_period
from medproof.gateway.proof import Proof
from medproof.store import Entry, RecordStore

__all__ = ["take_over"]


def take_over(store: RecordStore, record: Resource, proof: Proof, pointers: RecordPointers) -> Entry:
    """Store a record that another custodian hands over, with its salt, before custody is taken on chain.

    From the block on in which the chain names the new custodian, its gatekeeper serves the record and the old one's
    does not. A pointer is never taken without its record, so this comes first; it may be repeated.

    Args:
        store: the new custodian's.
        record: as it was handed over.
        proof: what came with it.
        pointers: the pointers on chain, by a node of the new custodian's own.

    Raises:
        UnprovedRecordError: the record is not what the pointer commits to, or the pointer stands in a batch still.
        RecordExistsError: the store has another record of this type and id.
        StoreError: it could not be stored.
        NodeError: the chain cannot be asked.
    """
    found = proof.verify(record.content, pointers)
    if found.place is not None:
        raise UnprovedRecordError("place", "is in a batch still, and custody of what is in a batch does not pass")
    first, last = data_period(record) or (None, None)
    days = (first, last) if first is not None and last is not None else None
    return store.put(proof.pointer, record, proof.salt, data_class=found.data_class, days=days)

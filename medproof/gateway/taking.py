"""New records on their way into a store: named by what brings them, classified, sealed, each taken once."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import date

from medproof import fhir, hashing
from medproof.client.record_pointers import PointerKey
from medproof.errors import GatekeeperRefusalError, RecordUnknownError
from medproof.fhir import Resource
from medproof.fhir.period import data_period
from medproof.gateway.consent import request_for
from medproof.gateway.signature import Claims
from medproof.policy.codes import DataClass
from medproof.store import RecordStore, StoredRecord

__all__ = ["Arrival", "arrive"]

_KEYS = uuid.uuid5(uuid.NAMESPACE_URL, "urn:medproof:gateway:key")


@dataclass(frozen=True)
class Arrival:
    """A record that may be stored, and the pointer that it gets."""

    record: Resource  # with the id that it has in the store
    pointer: PointerKey
    salt: bytes
    data_class: DataClass  # one: the decision asks for all that the record is of
    days: tuple[date, date] | None
    before: StoredRecord | None  # as it was taken, where it was taken before

    def put(self, store: RecordStore) -> StoredRecord:
        """Store it, unless it was taken before; it is on disk when this returns.

        Raises:
            StoreError: it could not be stored.
        """
        if self.before is not None:
            return self.before
        entry = store.put(self.pointer, self.record, self.salt, data_class=self.data_class, days=self.days)
        return StoredRecord(entry, self.record, self.salt)


def arrive(store: RecordStore, origin: str, subject: str, given: Resource, *, key: str | None, by: str) -> Arrival:
    """Make a record ready for a store.

    Args:
        store: where it is to be.
        origin: the custodian's identity.
        subject: the patient's pseudonym.
        given: the record.
        key: what it is known by where it comes from. The same record under the same key again is the one that was
            taken; None for one that may come only once.
        by: who brings it: keys are each bringer's own.

    Raises:
        GatekeeperRefusalError: the subject is nobody, or the key is another record's.
        RecordError: no rule can speak of it.
        StoreError: the store does not answer.
    """
    if int(subject, 16) == 0:
        said = "The subject is zero, which is nobody's account. Give the patient's pseudonym."
        raise GatekeeperRefusalError(422, "SUBJECT", said)
    fhir.patient_of(given)
    classes = request_for(given, Claims()).classes
    name = uuid.uuid4() if key is None else uuid.uuid5(_KEYS, f"{by} {subject} {given.resource_type} {key}")
    record = Resource(given.resource_type, {**given.content, "id": str(name)})
    before = _taken(store, record) if key is not None else None
    sealed = hashing.seal(record.content)
    pointer = before.entry.pointer if before else PointerKey(subject, origin, sealed.commitment)
    first, last = data_period(record) or (None, None)
    days = (first, last) if first is not None and last is not None else None
    return Arrival(record, pointer, sealed.salt, DataClass(classes.value & -classes.value), days, before)


def _taken(store: RecordStore, record: Resource) -> StoredRecord | None:
    """A record that was taken before under the same key; None where none was."""
    try:
        stored = store.get(record.resource_type, str(record.id), version=1)
    except RecordUnknownError:
        return None
    if hashing.canonical(stored.resource.content) != hashing.canonical(record.content):
        said = "Another record was taken under this key. Give this one a key of its own."
        raise GatekeeperRefusalError(409, "KEY_USED", said)
    return stored

"""Records in SQLite or PostgreSQL, each sealed with a key of its own."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from cryptography.exceptions import InvalidTag
from eth_utils.address import is_address, to_checksum_address
from sqlalchemy import Connection, Row, and_, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from medproof import hashing
from medproof.client.record_pointers import PointerKey
from medproof.errors import (
    ArgumentError,
    CursorError,
    RecordDamagedError,
    RecordErasedError,
    RecordExistsError,
    RecordUnknownError,
    RecordVersionError,
    StoreDamagedError,
    StoreVersionError,
)
from medproof.fhir import Resource
from medproof.hashing import SALT_LENGTH, encode_parts, keyed_identifier
from medproof.policy.codes import DataClass
from medproof.store.batches import Batches
from medproof.store.database import Database
from medproof.store.keys import KeyRing, new_key, padded, seal, unseal
from medproof.store.records import MAX_PAGE, Entry, Erasure, Page, Query, RecordStore, StoredRecord
from medproof.store.schema import access_logs, erasures, pointer_places, record_keys, records, settings, upgrade

__all__ = ["Prepared", "SqlStore"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_DAY = _EPOCH.date()
_MICROSECOND = timedelta(microseconds=1)
_ATTEMPTS = 3  # at a change that met another one
_BATCH = 500  # rows of one transaction or statement
_LENGTH = 8  # bytes that say how long the content is
_SEALED = select(records, record_keys.c.master, record_keys.c.wrapped).join(record_keys)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A record that is ready to be stored."""

    facts: dict[str, Any]  # what its row says
    text: bytes = field(repr=False)  # what is sealed: salt, content, attachment


class SqlStore(RecordStore):
    """A `RecordStore` in a database."""

    kind = "records"  # what the sealed bodies hold
    database: Database  # for what is written beside the records, in one transaction with them

    def __init__(
        self, database: str | os.PathLike[str], keys: KeyRing, *, connections: int = 16, patience: float = 10.0
    ) -> None:
        """Open a store, or make one; its tables are brought to this version.

        Args:
            database: the path of an SQLite file, or a URL: sqlite:///records.db, postgresql://user@host/records.
            keys: the master key, and older ones that may still be needed.
            connections: to the database, at most.
            patience: seconds to wait for another's change.

        Raises:
            ArgumentError: another kind of database.
            MasterKeyError: the store is under a master key that is not among these.
            StoreVersionError: it is of a newer MedProof, or keeps something else.
            StoreError: the database cannot be used.
        """
        self._keys = keys
        self.database = Database(database, connections=connections, patience=patience)
        self.batches = Batches(self.database)
        try:
            with self.database.upgrading() as connection:
                upgrade(connection)
                self._index_key = self._settle(connection)
        except BaseException:
            self.database.close()
            raise

    def _settle(self, connection: Connection) -> bytes:
        """Read the store's own key, or make it."""
        row = connection.execute(select(settings)).one_or_none()
        if row is None:
            key = new_key()
            wrapped = self._keys.current.wrap(key, _settings_place(self.kind))
            values = {"number": 1, "kind": self.kind, "master": self._keys.current.id, "index_key": wrapped}
            connection.execute(insert(settings).values(values))
            return key
        if row.kind != self.kind:
            raise StoreVersionError(f"The store keeps {row.kind}, not {self.kind}. Open it as what it is.")
        try:
            return self._keys.unwrap(row.master, row.index_key, _settings_place(self.kind))
        except InvalidTag:
            raise StoreDamagedError("store_settings") from None

    # -- what is kept of a record ---------------------------------------------------------------------------------

    def _pack(self, pointer: PointerKey, resource: Resource, salt: bytes) -> bytes:
        """Return what is sealed beside the salt."""
        return hashing.canonical(resource.content)

    def _unpack(self, entry: Entry, salt: bytes, content: bytes) -> Resource:
        """Return the record of what was sealed."""
        value = hashing.parse(content)
        if not isinstance(value, dict):
            raise RecordDamagedError(entry.pointer.id)
        return Resource(entry.resource_type, value)

    # -- writing --------------------------------------------------------------------------------------------------

    def put(
        self,
        pointer: PointerKey,
        resource: Resource,
        salt: bytes,
        *,
        data_class: DataClass,
        days: tuple[date, date] | None = None,
        replaces: bytes | None = None,
    ) -> Entry:
        """Store a record, or a new version of one; it is on disk when this returns. See `RecordStore.put`."""
        prepared = self.prepare(pointer, resource, salt, data_class=data_class, days=days)
        for attempt in range(_ATTEMPTS):
            try:
                with self.database.writing() as connection:
                    return self._put(connection, prepared, replaces)
            except IntegrityError:
                if attempt == _ATTEMPTS - 1:
                    raise StoreDamagedError("records") from None
        raise AssertionError("unreachable")

    def prepare(
        self,
        pointer: PointerKey,
        resource: Resource,
        salt: bytes,
        *,
        data_class: DataClass,
        days: tuple[date, date] | None = None,
        attachment: bytes = b"",
    ) -> Prepared:
        """Check a record that is to be stored; see `put_new`.

        Args:
            pointer: as the arguments that follow, see `RecordStore.put`.
            resource: the record.
            salt: 32 bytes.
            data_class: the pointer's.
            days: for searches.
            attachment: what came with the record and is sealed, kept and erased with it, such as a device's signature.

        Raises:
            ArgumentError: the parts do not belong together.
        """
        pointer = _checked(pointer, resource, salt, data_class, days)
        content = self._pack(pointer, resource, salt)
        facts = {
            "pointer": pointer.id,
            "name": self._name(resource.resource_type, str(resource.id)),
            "subject": pointer.subject,
            "origin": pointer.origin,
            "commitment": pointer.commitment,
            "resource_type": resource.resource_type,
            "data_class": data_class.value.bit_length() - 1,
            "first_day": days and _day(days[0]),
            "last_day": days and _day(days[1]),
        }
        return Prepared(
            facts, salt + b"".join(len(one).to_bytes(_LENGTH, "big") + one for one in (content, attachment))
        )

    def put_new(self, connection: Connection, prepared: Sequence[Prepared]) -> None:
        """Store records that are new, in a transaction of `database`, beside whatever else it writes.

        Raises:
            RecordErasedError: one of them was here before and was erased.
            IntegrityError: one of them is here already, or its type and id are.
        """
        for start in range(0, len(prepared), _BATCH):
            batch = prepared[start : start + _BATCH]
            pointers = [one.facts["pointer"] for one in batch]
            gone = connection.execute(select(erasures.c.pointer).where(erasures.c.pointer.in_(pointers))).scalar()
            if gone is not None:
                raise RecordErasedError(bytes(gone))
            rows = [self._sealed(one, one.facts["pointer"], 1) for one in batch]
            connection.execute(insert(records), [row for row, _ in rows])
            connection.execute(insert(record_keys), [key for _, key in rows])

    def _put(self, connection: Connection, prepared: Prepared, replaces: bytes | None) -> Entry:
        facts = prepared.facts
        pointer: bytes = facts["pointer"]
        there = connection.execute(select(records).where(records.c.pointer == pointer)).one_or_none()
        if there is not None:
            return _entry(there)
        self._refuse_erased(connection, pointer)

        first, version = pointer, 1
        if replaces is not None:
            before = self._replace(connection, facts, replaces)
            first, version = before.first, before.version + 1
        else:
            named = and_(records.c.name == facts["name"], records.c.current)
            standing = connection.execute(select(records.c.pointer).where(named)).scalar()
            if standing is not None:
                raise RecordExistsError(bytes(standing))

        row, key = self._sealed(prepared, first, version)
        stored = connection.execute(insert(records).values(row).returning(*records.c)).one()
        connection.execute(insert(record_keys).values(key))
        return _entry(stored)

    def _sealed(self, prepared: Prepared, first: bytes, version: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """A record's row, and its key's."""
        pointer: bytes = prepared.facts["pointer"]
        stored = _microseconds(datetime.now(UTC))
        row = {**prepared.facts, "first": first, "version": version, "current": True, "stored": stored}
        key = new_key()
        row["body"] = seal(key, padded(prepared.text), _place(row))
        wrapped = self._keys.current.wrap(key, _key_place(pointer, version))
        return row, {"pointer": pointer, "master": self._keys.current.id, "wrapped": wrapped}

    def _replace(self, connection: Connection, facts: dict[str, Any], replaces: bytes) -> Row[Any]:
        """Take the newest version's place; whoever else wants it waits here, and then finds it taken."""
        here = records.c.pointer == replaces
        found = connection.execute(
            update(records).where(here, records.c.current).values(current=False).returning(*records.c)
        ).one_or_none()
        if found is None:
            if connection.execute(select(records.c.pointer).where(here)).one_or_none() is not None:
                raise RecordVersionError(replaces)
            self._refuse_erased(connection, replaces)
            raise RecordUnknownError(replaces)
        if bytes(found.name) != facts["name"] or found.subject != facts["subject"]:
            raise ArgumentError(
                f"The record at pointer 0x{replaces.hex()} has another type, id or subject than its new version. "
                "Put what is another record without replaces."
            )
        return found

    def _refuse_erased(self, connection: Connection, pointer: bytes) -> None:
        if connection.execute(select(erasures).where(erasures.c.pointer == pointer)).one_or_none() is not None:
            raise RecordErasedError(pointer)

    def erase(self, pointer: bytes) -> int:
        """Erase a record in all its versions; returns how many there were. See `RecordStore.erase`."""
        count = 0
        with self.database.writing() as connection:
            first = connection.execute(select(records.c.first).where(records.c.pointer == pointer)).scalar()
            if (
                first is None
                and not connection.execute(select(erasures.c.number).where(erasures.c.pointer == pointer)).scalar()
            ):
                raise RecordUnknownError(pointer)
            while first is not None:  # until no version is left that came meanwhile
                versions = connection.execute(
                    select(records.c.pointer).where(records.c.first == first).with_for_update()
                ).scalars()
                gone = [bytes(version) for version in versions]
                if not gone:
                    break
                connection.execute(delete(record_keys).where(record_keys.c.pointer.in_(gone)))
                connection.execute(delete(pointer_places).where(pointer_places.c.pointer.in_(gone)))
                connection.execute(delete(records).where(records.c.pointer.in_(gone)))
                now = _microseconds(datetime.now(UTC))
                connection.execute(insert(erasures), [{"pointer": version, "erased": now} for version in gone])
                count += len(gone)
        self.database.scrub(record_keys.name)
        return count

    def rotate(self) -> int:
        """Wrap with the current master key what is under retired ones, and return how many keys that were.

        Records are not touched. It may be interrupted, repeated, and run while the store is in use; when it returns 0
        and everyone uses the new master key, the retired ones can be destroyed (`masters` says which are in use).

        Raises:
            MasterKeyError: a key is under a master key that is not at hand.
            RecordDamagedError: a key was altered.
            StoreError: the database cannot be used now.
        """
        count = 0
        current = self._keys.current
        with self.database.writing() as connection:
            place = _settings_place(self.kind)
            values = {"master": current.id, "index_key": current.wrap(self._index_key, place)}
            connection.execute(update(settings).where(settings.c.master != current.id).values(values))
        while True:
            with self.database.writing() as connection:
                stale = connection.execute(
                    select(record_keys, records.c.version)
                    .join(records)
                    .where(record_keys.c.master != current.id)
                    .limit(_BATCH)
                    .with_for_update(of=record_keys)
                ).all()
                for row in stale:
                    key = self._unwrap(row)
                    wrapped = current.wrap(key, _key_place(bytes(row.pointer), row.version))
                    connection.execute(
                        update(record_keys)
                        .where(record_keys.c.pointer == row.pointer)
                        .values(master=current.id, wrapped=wrapped)
                    )
            count += len(stale)
            if len(stale) < _BATCH:
                break
        if count:
            self.database.scrub(record_keys.name)
        return count

    def masters(self) -> frozenset[str]:
        """Return the ids of the master keys that something in the store is under."""
        with self.database.reading() as connection:
            used = set(connection.execute(select(record_keys.c.master).distinct()).scalars())
            return frozenset(used | set(connection.execute(select(settings.c.master)).scalars()))

    def access_logs(self) -> tuple[int, ...]:
        """The numbers of the access logs that are kept beside the records."""
        with self.database.reading() as connection:
            return tuple(connection.execute(select(access_logs.c.log).order_by(access_logs.c.log)).scalars())

    # -- reading --------------------------------------------------------------------------------------------------

    def get(self, resource_type: str, id_: str, *, version: int | None = None) -> StoredRecord:
        """Return a record by its FHIR type and id. See `RecordStore.get`."""
        which = records.c.current if version is None else records.c.version == version
        with self.database.reading() as connection:
            row = connection.execute(
                _SEALED.where(records.c.name == self._name(resource_type, id_), which)
            ).one_or_none()
        if row is None:
            raise RecordUnknownError
        return self._unseal(row)

    def get_pointed(self, pointer: bytes) -> StoredRecord:
        """Return the record that a pointer leads to. See `RecordStore.get_pointed`."""
        with self.database.reading() as connection:
            row = connection.execute(_SEALED.where(records.c.pointer == pointer)).one_or_none()
            if row is None:
                self._refuse_erased(connection, pointer)
                raise RecordUnknownError(pointer)
        return self._unseal(row)

    def open(self, entries: Iterable[Entry]) -> Iterator[StoredRecord]:
        """Return the records of a page. See `RecordStore.open`."""
        pointers = [entry.pointer.id for entry in entries]
        for start in range(0, len(pointers), _BATCH):
            batch = pointers[start : start + _BATCH]
            with self.database.reading() as connection:
                rows = connection.execute(_SEALED.where(records.c.pointer.in_(batch))).all()
            found = {bytes(row.pointer): row for row in rows}
            for pointer in batch:
                if pointer in found:
                    yield self._unseal(found[pointer])

    def search(self, query: Query, *, limit: int = 50, cursor: str | None = None) -> Page:
        """Return a page of what a query finds. See `RecordStore.search`."""
        if not 1 <= limit <= MAX_PAGE:
            raise ArgumentError(f"A page has 1 to {MAX_PAGE} entries, not {limit}.")
        query = _normal(query)
        after = 0 if cursor is None else self._position(cursor, query)
        found = select(records).where(*_conditions(query), records.c.position > after)
        with self.database.reading() as connection:
            rows = connection.execute(found.order_by(records.c.position).limit(limit + 1)).all()
        more = len(rows) > limit
        return Page(
            tuple(_entry(row) for row in rows[:limit]), self._cursor(rows[limit - 1].position, query) if more else None
        )

    def history(self, pointer: bytes) -> tuple[Entry, ...]:
        """Return all versions of a record, newest first. See `RecordStore.history`."""
        first = select(records.c.first).where(records.c.pointer == pointer).scalar_subquery()
        with self.database.reading() as connection:
            rows = connection.execute(
                select(records).where(records.c.first == first).order_by(records.c.version.desc())
            ).all()
            if not rows:
                self._refuse_erased(connection, pointer)
                raise RecordUnknownError(pointer)
        return tuple(_entry(row) for row in rows)

    def erasures(self) -> Iterator[Erasure]:
        """Return all that was erased, oldest first. See `RecordStore.erasures`."""
        after = 0
        while True:
            with self.database.reading() as connection:
                rows = connection.execute(
                    select(erasures).where(erasures.c.number > after).order_by(erasures.c.number).limit(_BATCH)
                ).all()
            for row in rows:
                yield Erasure(bytes(row.pointer), _EPOCH + row.erased * _MICROSECOND)
            if len(rows) < _BATCH:
                return
            after = rows[-1].number

    def check(self) -> None:
        """Ask the database for a sign of life. See `RecordStore.check`."""
        with self.database.reading() as connection:
            connection.execute(select(func.count()).select_from(settings)).one()

    def close(self) -> None:
        """Let go of the database."""
        self.database.close()

    # -- sealing --------------------------------------------------------------------------------------------------

    def _name(self, resource_type: str, id_: str) -> bytes:
        """Return what stands for a record's type and id, which may be a number that a clinic knows the patient by."""
        if not resource_type or not id_:
            raise RecordUnknownError
        return keyed_identifier(self._index_key, resource_type, id_, purpose="store:name:v1")

    def _unwrap(self, row: Row[Any]) -> bytes:
        pointer = bytes(row.pointer)
        try:
            return self._keys.unwrap(row.master, bytes(row.wrapped), _key_place(pointer, row.version))
        except InvalidTag:
            raise RecordDamagedError(pointer) from None

    def _unseal(self, row: Row[Any]) -> StoredRecord:
        key = self._unwrap(row)
        try:
            text = unseal(key, bytes(row.body), _place(row._mapping))
        except InvalidTag:
            raise RecordDamagedError(bytes(row.pointer)) from None
        salt, rest = text[:SALT_LENGTH], text[SALT_LENGTH:]
        content, rest = _counted(rest)
        attachment, _ = _counted(rest)  # none where only zeros follow
        entry = _entry(row)
        return StoredRecord(entry, self._unpack(entry, salt, content), salt, attachment)

    def _cursor(self, position: int, query: Query) -> str:
        """Return a page's end, sealed: how many records a custodian has is nobody's business."""
        sealed = seal(self._cursor_key, position.to_bytes(_LENGTH, "big"), repr(query).encode())
        return base64.urlsafe_b64encode(sealed).decode("ascii")

    def _position(self, cursor: str, query: Query) -> int:
        try:
            sealed = base64.b64decode(cursor, altchars=b"-_", validate=True)
            return int.from_bytes(unseal(self._cursor_key, sealed, repr(query).encode()), "big")
        except (InvalidTag, binascii.Error, ValueError):
            raise CursorError from None

    @property
    def _cursor_key(self) -> bytes:
        return keyed_identifier(self._index_key, "key", purpose="store:cursor:v1")


def _checked(
    pointer: PointerKey, resource: Resource, salt: bytes, data_class: DataClass, days: tuple[date, date] | None
) -> PointerKey:
    """Return the pointer with checksummed addresses, or refuse parts that do not belong together."""
    if not (is_address(pointer.subject) and is_address(pointer.origin)):
        raise ArgumentError("The pointer's subject and origin are to be addresses, 0x and 40 hexadecimal digits.")
    if resource.id is None:
        raise ArgumentError("The record has no id. Give it one before it is committed to, since it is found by it.")
    if data_class.value.bit_count() != 1:
        raise ArgumentError(f"A pointer has one class, not {data_class!r}. Name the one that fits the record best.")
    if days is not None and days[0] > days[1]:
        raise ArgumentError("The first day of the data comes after its last. Give them in order.")
    if hashing.commit(resource.content, salt) != pointer.commitment:
        raise ArgumentError(
            "The pointer commits to another record than this, or the salt is another's. Seal the record again."
        )
    return PointerKey(to_checksum_address(pointer.subject), to_checksum_address(pointer.origin), pointer.commitment)


def _entry(row: Row[Any]) -> Entry:
    return Entry(
        pointer=PointerKey(row.subject, row.origin, bytes(row.commitment)),
        resource_type=row.resource_type,
        data_class=DataClass(1 << row.data_class),
        days=None if row.first_day is None else (_date(row.first_day), _date(row.last_day)),
        version=row.version,
        current=row.current,
        stored=_EPOCH + row.stored * _MICROSECOND,
    )


def _normal(query: Query) -> Query:
    """Return the query in the one form that its cursors are bound to."""
    for subject in query.subjects:
        if not is_address(subject):
            raise ArgumentError("A subject is an address, 0x and 40 hexadecimal digits. Give the pseudonym.")
    if any(moment is not None and moment.tzinfo is None for moment in (query.stored_from, query.stored_until)):
        raise ArgumentError(
            "A time without its zone is another moment for everyone. Give it with a tzinfo, such as UTC."
        )
    return Query(
        subjects=tuple(sorted({to_checksum_address(subject) for subject in query.subjects})),
        resource_types=tuple(sorted(set(query.resource_types))),
        classes=query.classes,
        first_day=query.first_day,
        last_day=query.last_day,
        stored_from=query.stored_from and query.stored_from.astimezone(UTC),
        stored_until=query.stored_until and query.stored_until.astimezone(UTC),
    )


def _conditions(query: Query) -> Iterator[Any]:
    yield records.c.current
    if query.subjects:
        yield records.c.subject.in_(query.subjects)
    if query.resource_types:
        yield records.c.resource_type.in_(query.resource_types)
    if query.classes:
        bits = query.classes.value
        yield records.c.data_class.in_([bit for bit in range(bits.bit_length()) if bits >> bit & 1])
    if query.first_day is not None:
        yield records.c.last_day >= _day(query.first_day)
    if query.last_day is not None:
        yield records.c.first_day <= _day(query.last_day)
    if query.stored_from is not None:
        yield records.c.stored >= _microseconds(query.stored_from)
    if query.stored_until is not None:
        yield records.c.stored < _microseconds(query.stored_until)


def _day(day: date) -> int:
    return (day - _FIRST_DAY).days


def _date(day: int) -> date:
    return _FIRST_DAY + timedelta(days=day)


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _counted(text: bytes) -> tuple[bytes, bytes]:
    """Return a part of a sealed text, which its length stands before, and what follows it."""
    end = _LENGTH + int.from_bytes(text[:_LENGTH], "big")
    return text[_LENGTH:end], text[end:]


def _settings_place(kind: str) -> bytes:
    return encode_parts(["medproof:store:settings:v1", kind])


def _key_place(pointer: bytes, version: int) -> bytes:
    return encode_parts(["medproof:store:key:v1", pointer, str(version)])


_BOUND = (
    "pointer",
    "first",
    "name",
    "version",
    "subject",
    "origin",
    "commitment",
    "resource_type",
    "data_class",
    "first_day",
    "last_day",
    "stored",
)  # the columns that a body is bound to: all that never change


def _place(row: Any) -> bytes:
    values = (row[name] for name in _BOUND)
    return encode_parts(
        ["medproof:store:body:v1", *(bytes(one) if isinstance(one, bytes | memoryview) else str(one) for one in values)]
    )

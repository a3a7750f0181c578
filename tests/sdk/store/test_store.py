"""What every record store does, on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, text

from medproof import fhir, hashing
from medproof.client.record_pointers import PointerKey
from medproof.errors import (
    ArgumentError,
    CursorError,
    MasterKeyError,
    RecordErasedError,
    RecordExistsError,
    RecordUnknownError,
    RecordVersionError,
    StoreVersionError,
)
from medproof.policy.codes import DataClass
from medproof.store import (
    Entry,
    FhirServer,
    FhirServerStore,
    KeyRing,
    MasterKey,
    Query,
    RecordStore,
    SqlStore,
    sql_store,
)
from medproof.store.schema import metadata
from tests.sdk.store.examples import ALICE, BOB, CLINIC, DAYS, EXAMPLES, fresh, sealed


def walk(store: RecordStore, query: Query, *, limit: int) -> Iterator[Entry]:
    cursor = None
    while True:
        page = store.search(query, limit=limit, cursor=cursor)
        yield from page.entries
        if page.cursor is None:
            return
        cursor = page.cursor


def test_put_and_get(store: SqlStore) -> None:
    record = sealed()
    before = datetime.now(UTC)

    entry = record.put(store)

    assert entry.pointer.id == record.pointer.id
    assert (entry.pointer.subject.lower(), entry.pointer.origin.lower()) == (ALICE, CLINIC)
    assert (entry.resource_type, entry.data_class, entry.days) == ("Observation", DataClass.OBSERVATION, DAYS)
    assert (entry.version, entry.current) == (1, True)
    assert before - timedelta(milliseconds=1) <= entry.stored <= datetime.now(UTC)
    for found in (
        store.get("Observation", "blood-pressure"),
        store.get("Observation", "blood-pressure", version=1),
        store.get_pointed(record.pointer.id),
        *store.open([entry]),
    ):
        assert found.entry == entry
        assert found.resource.resource_type == "Observation"
        assert hashing.canonical(found.resource.content) == hashing.canonical(record.resource.content)
        assert found.salt == record.salt
        assert fhir.verify(found.resource, found.salt, found.entry.pointer.commitment)


def test_get_what_is_not_there(store: SqlStore) -> None:
    record = sealed()
    record.put(store)
    for ask in (
        lambda: store.get("Observation", "blood-pressures"),
        lambda: store.get("Condition", "blood-pressure"),
        lambda: store.get("Observation", "blood-pressure", version=2),
        lambda: store.get("Observation", ""),
        lambda: store.get("Observation", "' OR 1=1 --"),
        lambda: store.get_pointed(bytes(32)),
        lambda: store.history(bytes(32)),
        lambda: store.erase(bytes(32)),
    ):
        with pytest.raises(RecordUnknownError) as caught:
            ask()
        assert "blood" not in str(caught.value)


def test_put_again_stores_once(store: SqlStore) -> None:
    record = sealed()
    assert record.put(store) == record.put(store)
    assert len(store.search(Query()).entries) == 1


def test_put_another_record_of_the_same_name(store: SqlStore) -> None:
    first, second = sealed(), sealed()  # another salt, so another commitment
    first.put(store)
    with pytest.raises(RecordExistsError) as caught:
        second.put(store)
    assert caught.value.pointer == first.pointer.id


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"pointer": PointerKey(ALICE, CLINIC, b"\1" * 32)}, "commits to another record"),
        ({"salt": b"\1" * 32}, "commits to another record"),
        ({"pointer": PointerKey("alice", CLINIC, b"\1" * 32)}, "addresses"),
        ({"resource": fhir.load({"resourceType": "Basic", "code": {"text": "x"}})}, "no id"),
    ],
)
def test_put_parts_that_do_not_belong_together(
    sqlite_file: object, keys: KeyRing, change: dict[str, object], named: str
) -> None:
    store = SqlStore(f"sqlite:///{sqlite_file}", keys)
    with pytest.raises(ArgumentError, match=named):
        replace(sealed(), **change).put(store)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="one class"):
        sealed().put(store, data_class=DataClass.OBSERVATION | DataClass.LABORATORY)
    with pytest.raises(ArgumentError, match="first day"):
        sealed().put(store, days=(date(2020, 1, 2), date(2020, 1, 1)))
    assert store.search(Query()).entries == ()


def test_amend(store: SqlStore) -> None:
    first, second, third = (sealed(status=status) for status in ("preliminary", "final", "amended"))
    first.put(store)
    second.put(store, replaces=first.pointer.id)
    entry = third.put(store, replaces=second.pointer.id)

    assert (entry.version, entry.current) == (3, True)
    assert store.get("Observation", "blood-pressure").resource.content["status"] == "amended"
    assert store.get("Observation", "blood-pressure", version=1).resource.content["status"] == "preliminary"
    assert store.get_pointed(second.pointer.id).entry.current is False
    for record in (first, second, third):
        history = store.history(record.pointer.id)
        assert [one.pointer.id for one in history] == [one.pointer.id for one in (third, second, first)]
        assert [one.current for one in history] == [True, False, False]
    assert [one.pointer.id for one in store.search(Query()).entries] == [third.pointer.id]
    assert third.put(store, replaces=second.pointer.id) == entry


def test_amend_what_cannot_be(store: SqlStore) -> None:
    first, second, third = sealed(), sealed(), sealed()
    first.put(store)
    second.put(store, replaces=first.pointer.id)

    with pytest.raises(RecordVersionError):
        third.put(store, replaces=first.pointer.id)
    with pytest.raises(RecordUnknownError):
        third.put(store, replaces=b"\7" * 32)
    with pytest.raises(ArgumentError, match="another type, id or subject"):
        fresh().put(store, replaces=second.pointer.id)
    with pytest.raises(ArgumentError, match="another type, id or subject"):
        sealed(subject=BOB).put(store, replaces=second.pointer.id)
    assert store.history(first.pointer.id)[0].pointer.id == second.pointer.id
    assert store.get("Observation", "blood-pressure").entry.version == 2


def test_search(store: SqlStore) -> None:
    day = date(2020, 1, 10)
    pressure, bobs = sealed(), fresh(subject=BOB)
    condition, encounter = sealed("Condition-example"), sealed("Encounter-example")
    pressure.put(store, days=(day, day))
    middle = condition.put(store, data_class=DataClass.CONDITION, days=(day, day + timedelta(days=9)))
    encounter.put(store, data_class=DataClass.ENCOUNTER, days=None)
    bobs.put(store, days=(day + timedelta(days=5), day + timedelta(days=5)))

    def found(**query: object) -> list[object]:
        names = {record.pointer.id: label for label, record in named.items()}
        return [names[entry.pointer.id] for entry in store.search(Query(**query)).entries]  # type: ignore[arg-type]

    named = {"pressure": pressure, "condition": condition, "encounter": encounter, "bobs": bobs}
    assert found() == ["pressure", "condition", "encounter", "bobs"]
    assert found(subjects=(ALICE,)) == ["pressure", "condition", "encounter"]
    assert found(subjects=(ALICE.upper().replace("X", "x"), BOB)) == ["pressure", "condition", "encounter", "bobs"]
    assert found(subjects=("0x" + "00" * 20,)) == []
    assert found(resource_types=("Observation", "Encounter")) == ["pressure", "encounter", "bobs"]
    assert found(resource_types=("'; DROP TABLE records; --",)) == []
    assert found(classes=DataClass.OBSERVATION | DataClass.CONDITION) == ["pressure", "condition", "bobs"]
    assert found(first_day=day + timedelta(days=1)) == ["condition", "bobs"]
    assert found(last_day=day) == ["pressure", "condition"]
    assert found(first_day=day, last_day=day, subjects=(ALICE,)) == ["pressure", "condition"]
    assert found(stored_from=middle.stored) == ["condition", "encounter", "bobs"]
    assert found(stored_until=middle.stored) == ["pressure"]
    with pytest.raises(ArgumentError, match="address"):
        store.search(Query(subjects=("Peter Chalmers",)))
    with pytest.raises(ArgumentError, match="zone"):
        store.search(Query(stored_from=datetime(2020, 1, 1)))


def test_pages(store: SqlStore) -> None:
    put = [fresh().put(store) for _ in range(7)]
    query = Query(subjects=(ALICE,))
    assert list(walk(store, query, limit=3)) == put
    assert list(walk(store, query, limit=7)) == put
    assert store.search(query, limit=7).cursor is None

    first = store.search(query, limit=2)
    late = fresh().put(store)
    store.erase(put[3].pointer.id)
    rest = store.search(query, limit=100, cursor=first.cursor)
    assert rest.entries == (put[2], *put[4:], late)
    assert store.search(query, limit=100, cursor=first.cursor) == rest

    for limit in (0, 1001):
        with pytest.raises(ArgumentError):
            store.search(query, limit=limit)


def test_foreign_cursors(store: SqlStore) -> None:
    for _ in range(3):
        fresh().put(store)
    cursor = store.search(Query(), limit=1).cursor
    assert cursor is not None
    assert store.search(Query(), limit=1, cursor=cursor).cursor != cursor
    altered = ("B" if cursor[0] == "A" else "A") + cursor[1:]
    for wrong in ("", "2", "é", "'; --", altered, cursor[:-4], cursor * 2):
        with pytest.raises(CursorError):
            store.search(Query(), cursor=wrong)
    with pytest.raises(CursorError):
        store.search(Query(subjects=(ALICE,)), cursor=cursor)


def test_a_cursor_outlives_the_store(database: str, store: SqlStore, keys: KeyRing) -> None:
    put = [fresh().put(store) for _ in range(3)]
    cursor = store.search(Query(), limit=1).cursor
    again = SqlStore(database, keys)
    assert again.search(Query(), cursor=cursor).entries == tuple(put[1:])
    again.close()


def test_erase(store: SqlStore) -> None:
    first, second, other = sealed(status="preliminary"), sealed(), fresh()
    first.put(store)
    second.put(store, replaces=first.pointer.id)
    other.put(store)

    assert store.erase(first.pointer.id) == 2
    assert store.erase(second.pointer.id) == 0

    for record in (first, second):
        with pytest.raises(RecordErasedError):
            store.get_pointed(record.pointer.id)
        with pytest.raises(RecordErasedError):
            store.history(record.pointer.id)
        with pytest.raises(RecordErasedError):
            record.put(store)
        with pytest.raises(RecordErasedError):
            sealed().put(store, replaces=record.pointer.id)
    with pytest.raises(RecordUnknownError):
        store.get("Observation", "blood-pressure")
    assert {erasure.pointer for erasure in store.erasures()} == {first.pointer.id, second.pointer.id}
    assert all(erasure.erased <= datetime.now(UTC) for erasure in store.erasures())
    assert [entry.pointer.id for entry in store.search(Query()).entries] == [other.pointer.id]
    assert store.get_pointed(other.pointer.id).salt == other.salt
    assert sealed().put(store).version == 1  # the same facts under a new salt are a new record


def test_open_leaves_out_what_was_erased(store: SqlStore) -> None:
    put = [fresh().put(store) for _ in range(3)]
    store.erase(put[1].pointer.id)
    assert [record.entry for record in store.open(reversed(put))] == [put[2], put[0]]


def test_small_batches(database: str, store: SqlStore, keys: KeyRing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql_store, "_BATCH", 2)
    put = [fresh().put(store) for _ in range(5)]
    assert [record.entry for record in store.open(put)] == put
    rotating = SqlStore(database, KeyRing(MasterKey(b"\7" * 32), retired=(keys.current,)))
    assert rotating.rotate() == 5
    for entry in put[:4]:
        rotating.erase(entry.pointer.id)
    assert [erasure.pointer for erasure in rotating.erasures()] == [entry.pointer.id for entry in put[:4]]
    rotating.close()


def test_many_real_records(store: SqlStore) -> None:
    put = []
    for path in sorted(EXAMPLES.glob("Observation-*.json")):
        record = sealed(path.stem)
        record.put(store)
        put.append(record)
    assert len(put) >= 60
    opened = list(store.open(walk(store, Query(), limit=25)))
    assert [one.salt for one in opened] == [one.salt for one in put]
    assert all(one.resource.content == kept.resource.content for one, kept in zip(opened, put, strict=True))


def test_concurrent_writers(database: str, store: SqlStore, keys: KeyRing) -> None:
    stores = [store, SqlStore(database, keys)]
    made = [fresh() for _ in range(24)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda item: item[1].put(stores[item[0] % 2]), enumerate(made)))
    assert {entry.pointer.id for entry in walk(store, Query(), limit=10)} == {one.pointer.id for one in made}
    stores[1].close()


def test_of_many_concurrent_amendments_one_wins(database: str, store: SqlStore, keys: KeyRing) -> None:
    first = sealed()
    first.put(store)
    rivals = [sealed() for _ in range(6)]
    start = threading.Barrier(len(rivals))

    def amend(rival: int) -> int:
        start.wait()
        try:
            return rivals[rival].put(store, replaces=first.pointer.id).version
        except RecordVersionError:
            return 0

    with ThreadPoolExecutor(len(rivals)) as pool:
        assert sorted(pool.map(amend, range(len(rivals)))) == [0, 0, 0, 0, 0, 2]
    assert len(store.history(first.pointer.id)) == 2


def test_of_many_concurrent_records_of_one_name_one_wins(store: SqlStore) -> None:
    rivals = [sealed() for _ in range(6)]
    start = threading.Barrier(len(rivals))

    def put(rival: int) -> bool:
        start.wait()
        try:
            rivals[rival].put(store)
        except RecordExistsError:
            return False
        return True

    with ThreadPoolExecutor(len(rivals)) as pool:
        assert sum(pool.map(put, range(len(rivals)))) == 1


def test_an_erasure_takes_amendments_that_come_meanwhile(store: SqlStore) -> None:
    for _ in range(5):
        first, second = fresh(), None
        first.put(store)
        second = sealed(id=first.resource.id)
        start = threading.Barrier(2)

        def amend(second=second, first=first, start=start) -> bool:  # type: ignore[no-untyped-def]
            start.wait()
            try:
                second.put(store, replaces=first.pointer.id)
            except RecordErasedError:
                return False
            return True

        with ThreadPoolExecutor(1) as pool:
            amended = pool.submit(amend)
            start.wait()
            store.erase(first.pointer.id)
            expected = RecordErasedError if amended.result() else RecordUnknownError
        with pytest.raises(expected):
            store.get_pointed(second.pointer.id)


def test_tables_are_what_the_code_says(database: str, store: SqlStore) -> None:
    url = database.replace("postgresql:", "postgresql+psycopg:")
    with create_engine(url).connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": "store_version"})
        assert compare_metadata(context, metadata) == []


def test_tables_of_a_newer_version(database: str, store: SqlStore, keys: KeyRing) -> None:
    with create_engine(database.replace("postgresql:", "postgresql+psycopg:")).begin() as connection:
        connection.execute(text("UPDATE store_version SET version_num = '9999'"))
    with pytest.raises(StoreVersionError, match="newer MedProof"):
        SqlStore(database, keys)


def test_the_wrong_key_or_kind(database: str, store: SqlStore, keys: KeyRing) -> None:
    with pytest.raises(MasterKeyError, match="not at hand"):
        SqlStore(database, KeyRing(MasterKey(b"\5" * 32)))
    with pytest.raises(StoreVersionError, match="keeps records"):
        FhirServerStore(FhirServer("http://127.0.0.1:1"), database, keys)


def test_opened_by_many_at_once(database: str, keys: KeyRing) -> None:
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: SqlStore(database, keys), range(4)))
    record = sealed()
    record.put(stores[0])
    for store in stores:
        assert store.get("Observation", "blood-pressure").salt == record.salt
        store.close()


@pytest.mark.parametrize("url", ["mysql://x/y", "sqlite://", "sqlite:///:memory:", "no url"])
def test_other_databases(url: str, keys: KeyRing) -> None:
    with pytest.raises(ArgumentError):
        SqlStore(url, keys)

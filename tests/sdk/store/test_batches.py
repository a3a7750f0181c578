"""How pointers get on the chain, as the store writes it down: nothing is lost, nothing twice, nothing told."""

from __future__ import annotations

import random
import sqlite3
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest
from eth_utils.address import to_checksum_address
from sqlalchemy import func, select

from medproof.client.record_pointers import Place
from medproof.errors import StoreError
from medproof.merkle import MerkleLog, verify_inclusion
from medproof.policy.codes import DataClass
from medproof.store import Batch, Entry, KeyRing, Single, SqlStore
from medproof.store.schema import pointer_batches, pointer_places
from tests.sdk.store.examples import ALICE, BOB, CLINIC, fresh, sealed

CUSTODIAN = to_checksum_address(CLINIC)


def stored(store: SqlStore, count: int) -> list[Entry]:
    return [fresh(subject=(ALICE, BOB)[number % 2]).put(store) for number in range(count)]


def ids(entries: Iterable[Entry]) -> list[bytes]:
    return [entry.pointer.id for entry in entries]


def leaf(entry: Entry) -> bytes:
    return entry.pointer.leaf(entry.data_class)


def placed(store: SqlStore, entry: Entry, batch: Batch) -> Place:
    """A pointer's place, which is what the chain will confirm."""
    found = store.batches.place(entry.pointer.id)
    assert found is not None
    data_class, place = found
    assert (data_class, place.root) == (entry.data_class, batch.root)
    verify_inclusion(leaf(entry), place.index, batch.size, place.proof, batch.root)
    return place


def test_many_make_a_batch_in_an_order_that_tells_nothing(store: SqlStore) -> None:
    entries = stored(store, 9)
    mixed = random.sample(entries, 9)
    batch = store.batches.assign(ids(mixed))
    assert batch == Batch(CUSTODIAN, MerkleLog(sorted(map(leaf, entries))).root(), 9)
    assert sorted(placed(store, entry, batch).index for entry in entries) == [*range(9)]
    assert list(store.batches.unassigned(CUSTODIAN)) == []
    assert list(store.batches.assigned(CUSTODIAN)) == [batch]
    assert list(store.batches.assigned(ALICE)) == []


def test_one_is_posted_by_itself(store: SqlStore) -> None:
    [entry] = stored(store, 1)
    single = Single(entry.pointer, entry.data_class)
    assert list(store.batches.unassigned(entry.pointer.origin)) == [single]
    assert store.batches.assign(ids([entry])) == single
    assert store.batches.place(entry.pointer.id) is None
    assert list(store.batches.unassigned(entry.pointer.origin)) == []
    assert list(store.batches.assigned(entry.pointer.origin)) == [single]


def test_nothing_is_assigned_twice(store: SqlStore) -> None:
    entries = stored(store, 4)
    first = store.batches.assign(ids(entries[:3]))
    assert isinstance(first, Batch)
    second = store.batches.assign(ids(entries))
    assert second == Single(entries[3].pointer, entries[3].data_class)
    assert store.batches.assign(ids(entries)) is None
    assert store.batches.assign([]) is None
    assert store.batches.assign([bytes(32)]) is None
    assert {placed(store, entry, first).root for entry in entries[:3]} == {first.root}


def test_more_than_a_statement_holds(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medproof.store.batches._PAGE", 4)
    entries = stored(store, 11)
    assert len(list(store.batches.unassigned(entries[0].pointer.origin))) == 11
    batches = [store.batches.assign(ids(entries[:5])), store.batches.assign(ids(entries[5:]))]
    batches += [store.batches.assign(ids(stored(store, 1))) for _ in range(5)]
    found = list(store.batches.assigned(entries[0].pointer.origin))
    assert len(found) == 7
    assert set(found) == set(batches)


def test_it_is_known_after_a_restart(store: SqlStore, database: str, keys: KeyRing) -> None:
    entries = stored(store, 3)
    batch = store.batches.assign(ids(entries))
    assert isinstance(batch, Batch)
    store.close()
    again = SqlStore(database, keys)
    try:
        assert list(again.batches.assigned(batch.origin)) == [batch]
        for entry in entries:
            placed(again, entry, batch)
    finally:
        again.close()


def test_a_newer_version_is_amended_not_posted(store: SqlStore) -> None:
    record = fresh()
    entry = record.put(store)
    amended = sealed(id=str(record.resource.id)).put(store, replaces=entry.pointer.id)
    assert amended.version == 2
    assert list(store.batches.unassigned(entry.pointer.origin)) == [Single(entry.pointer, entry.data_class)]


def test_erasing_forgets_the_place_and_leaves_the_others_theirs(store: SqlStore) -> None:
    entries = stored(store, 5)
    batch = store.batches.assign(ids(entries))
    assert isinstance(batch, Batch)
    gone, *kept = entries
    store.erase(gone.pointer.id)
    assert store.batches.place(gone.pointer.id) is None
    for entry in kept:
        placed(store, entry, batch)
    assert list(store.batches.assigned(batch.origin)) == [batch]  # it is still to be posted, for the others
    with store.database.reading() as connection:
        assert connection.execute(select(func.count()).select_from(pointer_places)).scalar() == 4
    assert store.batches.assign(ids(entries)) is None


def test_what_was_erased_before_is_left_out(store: SqlStore) -> None:
    entries = stored(store, 3)
    for entry in entries[1:]:
        store.erase(entry.pointer.id)
    assert store.batches.assign(ids(entries)) == Single(entries[0].pointer, entries[0].data_class)


def test_the_tables_of_batches_tell_no_subject(store: SqlStore, database: str, sqlite_file: Path) -> None:
    if not database.startswith("sqlite"):
        pytest.skip("The columns are the same.")
    entries = stored(store, 3)
    store.batches.assign(ids(entries))
    store.erase(entries[0].pointer.id)
    with sqlite3.connect(sqlite_file) as raw:
        said = b"".join(
            part if isinstance(part, bytes) else str(part).encode()
            for table in (pointer_batches.name, pointer_places.name)
            for row in raw.execute(f"SELECT * FROM {table}")
            for part in row
        )
    raw.close()
    for entry in entries:
        assert entry.pointer.subject[2:].lower().encode() not in said.lower()
        assert entry.pointer.commitment not in said
    assert entries[0].pointer.id not in said


def test_many_at_once_put_each_in_one_batch(store: SqlStore) -> None:
    entries = stored(store, 24)
    made: list[Batch | Single] = []

    def work(seed: int) -> None:
        for _ in range(4):
            some = random.Random(seed).sample(entries, 16)
            while True:
                try:
                    posting = store.batches.assign(ids(some))
                    break
                except StoreError:
                    continue
            if posting is not None:
                made.append(posting)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for entry in entries[:3]:
        store.erase(entry.pointer.id)
    for thread in threads:
        thread.join()
    assert set(store.batches.assigned(CUSTODIAN)) == {
        one for one in made if isinstance(one, Batch) or one.pointer not in {entry.pointer for entry in entries[:3]}
    }
    with store.database.reading() as connection:
        rows = connection.execute(select(pointer_places.c.root, func.count()).group_by(pointer_places.c.root)).all()
    in_batches = sum(one.size for one in made if isinstance(one, Batch))
    assert sum(row[1] for row in rows if row[0] is not None) in range(in_batches - 3, in_batches + 1)
    for entry in entries[3:]:
        found = store.batches.place(entry.pointer.id)
        if found is not None:
            [batch] = [one for one in made if isinstance(one, Batch) and one.root == found[1].root]
            placed(store, entry, batch)


@pytest.mark.parametrize("data_class", [DataClass.LABORATORY, DataClass.AUDIT])
def test_the_class_is_in_the_leaf(store: SqlStore, data_class: DataClass) -> None:
    entries = [fresh().put(store, data_class=data_class) for _ in range(2)]
    batch = store.batches.assign(ids(entries))
    assert isinstance(batch, Batch)
    for entry in entries:
        placed(store, entry, batch)

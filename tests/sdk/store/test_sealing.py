"""What a stolen database shows, what an erasure leaves, and what altered rows give."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from sqlalchemy import Engine, create_engine, text

from medproof import hashing
from medproof.errors import MasterKeyError, RecordDamagedError, RecordErasedError, StoreBusyError, StoreDamagedError
from medproof.policy.codes import DataClass
from medproof.store import KeyRing, MasterKey, Query, SqlStore
from medproof.store.keys import seal, unseal
from tests.sdk.store.examples import BOB, fresh, sealed
from tests.sdk.store.postgres import LocalPostgres

MRN = "MRN-0048213377"
SURNAME = "Featherstonehaugh"


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    """The database, as a thief or a careless administrator has it."""
    made = create_engine(database.replace("postgresql:", "postgresql+psycopg:"))
    yield made
    made.dispose()


@pytest.fixture
def raw(request: pytest.FixtureRequest, database: str, engine: Engine) -> Callable[[], bytes]:
    """All bytes of the database's files, but of PostgreSQL's write-ahead log."""

    def read() -> bytes:
        if database.startswith("sqlite"):
            file: Path = request.getfixturevalue("sqlite_file")
            return b"".join(path.read_bytes() for path in sorted(file.parent.glob(f"{file.name}*")))
        server: LocalPostgres = request.getfixturevalue("postgres")
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            folder = connection.execute(
                text("SELECT 'base/' || oid FROM pg_database WHERE datname = current_database()")
            ).scalar_one()
            connection.execute(text("CHECKPOINT"))
        return b"".join(path.read_bytes() for path in sorted((server.data / folder).iterdir()) if path.is_file())

    return read


def wrapped_key(engine: Engine, pointer: bytes) -> bytes:
    with engine.connect() as connection:
        query = text("SELECT wrapped FROM record_keys WHERE pointer = :pointer")
        return bytes(connection.execute(query, {"pointer": pointer}).scalar_one())


def test_a_stolen_database_shows_no_record(
    store: SqlStore, raw: Callable[[], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    patient = sealed(
        "Patient-example",
        id=MRN,
        name=[{"family": SURNAME}],
        identifier=[{"system": "urn:oid:1.2.36.146.595.217.0.1", "value": MRN}],
        birthDate="1974-12-25",
    )
    patient.put(store, data_class=DataClass.DEMOGRAPHICS, days=None)
    store.get("Patient", MRN)
    store.search(Query(subjects=(patient.pointer.subject,)))

    seen = raw()
    assert patient.pointer.commitment in seen  # the files are the right ones
    for secret in (MRN, SURNAME, "1974-12-25", "1.2.36.146.595.217.0.1", "birthDate", "resourceType"):
        assert secret.encode() not in seen
        assert secret not in caplog.text
    for secret_bytes in (patient.salt, hashing.canonical(patient.resource.content)[:64]):
        assert secret_bytes not in seen
        assert secret_bytes.hex().encode() not in seen
    assert repr(store.get("Patient", MRN)).find(MRN) == -1


def test_equal_records_look_different(store: SqlStore, engine: Engine) -> None:
    for _ in range(2):
        fresh().put(store)
    with engine.connect() as connection:
        bodies = [bytes(body) for body in connection.execute(text("SELECT body FROM records")).scalars()]
        names = connection.execute(text("SELECT name FROM records")).scalars().all()
    assert bodies[0] != bodies[1]
    assert len(bodies[0]) == len(bodies[1])
    assert len(set(map(bytes, names))) == 2


def test_lengths_are_rounded(store: SqlStore, engine: Engine) -> None:
    for length in range(1000, 1050, 5):
        fresh_one = sealed(id=f"n{length}", note=[{"text": "x" * length}])
        fresh_one.put(store)
    with engine.connect() as connection:
        lengths = set(connection.execute(text("SELECT length(body) FROM records")).scalars())
    assert len(lengths) <= 2


def test_erased_is_erased_in_the_files(store: SqlStore, engine: Engine, raw: Callable[[], bytes]) -> None:
    erased, kept = sealed(), fresh(subject=BOB)
    erased.put(store)
    kept.put(store)
    key, other = wrapped_key(engine, erased.pointer.id), wrapped_key(engine, kept.pointer.id)
    before = raw()
    assert key in before
    assert other in before

    store.erase(erased.pointer.id)

    after = raw()
    assert key not in after
    assert other in after
    assert erased.salt not in after
    with pytest.raises(RecordErasedError):
        store.get_pointed(erased.pointer.id)


def test_an_erasure_that_a_reader_holds_up_says_so(sqlite_file: Path, keys: KeyRing) -> None:
    store = SqlStore(sqlite_file, keys, patience=0.1)
    record = sealed()
    record.put(store)
    engine = create_engine(f"sqlite:///{sqlite_file}")
    key = wrapped_key(engine, record.pointer.id)
    wal = sqlite_file.with_name(sqlite_file.name + "-wal")
    with engine.connect() as reader:
        reader.exec_driver_sql("BEGIN")
        reader.exec_driver_sql("SELECT count(*) FROM records").scalar_one()
        with pytest.raises(StoreBusyError):
            store.erase(record.pointer.id)
        with pytest.raises(RecordErasedError):
            store.get_pointed(record.pointer.id)
        assert key in wal.read_bytes()
        reader.rollback()

    assert store.erase(record.pointer.id) == 0
    assert wal.read_bytes() == b""
    assert key not in sqlite_file.read_bytes()


def test_rotation(database: str, store: SqlStore, keys: KeyRing, engine: Engine) -> None:
    made = [fresh() for _ in range(3)]
    for record in made:
        record.put(store)
    with engine.connect() as connection:
        bodies = connection.execute(text("SELECT body FROM records ORDER BY position")).scalars().all()
    cursor = store.search(Query(), limit=1).cursor
    new = MasterKey(b"\7" * 32)

    rotating = SqlStore(database, KeyRing(new, retired=(keys.current,)))
    fourth = fresh()
    fourth.put(rotating)
    assert rotating.masters() == {keys.current.id, new.id}
    assert rotating.rotate() == 3
    assert rotating.rotate() == 0
    assert rotating.masters() == {new.id}
    rotating.close()

    after = SqlStore(database, KeyRing(new))
    assert [one.salt for one in after.open(after.search(Query()).entries)] == [one.salt for one in (*made, fourth)]
    assert after.get("Observation", str(made[0].resource.id)).salt == made[0].salt
    assert len(after.search(Query(), cursor=cursor).entries) == 3
    with engine.connect() as connection:
        assert connection.execute(text("SELECT body FROM records ORDER BY position")).scalars().all()[:3] == bodies
    after.close()
    with pytest.raises(MasterKeyError):
        SqlStore(database, keys)


def test_a_copy_from_before_is_dead_with_its_master_key(sqlite_file: Path, keys: KeyRing, tmp_path: Path) -> None:
    store = SqlStore(sqlite_file, keys)
    record = sealed()
    record.put(store)
    store.close()
    copy = tmp_path / "backup.db"
    shutil.copy(sqlite_file, copy)

    new = KeyRing(MasterKey(b"\7" * 32), retired=(keys.current,))
    store = SqlStore(sqlite_file, new)
    store.erase(record.pointer.id)
    erasures = [erasure.pointer for erasure in store.erasures()]
    store.rotate()
    store.close()

    with pytest.raises(MasterKeyError):
        SqlStore(copy, KeyRing(new.current))
    restored = SqlStore(copy, new)  # while the old master key is kept, what was erased since is to be erased again
    assert restored.get_pointed(record.pointer.id).salt == record.salt
    for pointer in erasures:
        restored.erase(pointer)
    with pytest.raises(RecordErasedError):
        restored.get_pointed(record.pointer.id)
    restored.close()


ALTERATIONS = (
    "UPDATE records SET subject = '0x0000000000000000000000000000000000000001' WHERE pointer = :a",
    "UPDATE records SET data_class = 7 WHERE pointer = :a",
    "UPDATE records SET resource_type = 'Condition' WHERE pointer = :a",
    "UPDATE records SET last_day = last_day + 1 WHERE pointer = :a",
    "UPDATE records SET stored = stored - 1 WHERE pointer = :a",
    "UPDATE records SET version = 2 WHERE pointer = :a",
    "UPDATE records SET first = :b WHERE pointer = :a",
    "UPDATE records SET body = (SELECT body FROM records WHERE pointer = :b) WHERE pointer = :a",
    "UPDATE records SET body = :short WHERE pointer = :a",
    "UPDATE record_keys SET wrapped = (SELECT wrapped FROM record_keys WHERE pointer = :b) WHERE pointer = :a",
    "UPDATE record_keys SET wrapped = :short WHERE pointer = :a",
)


def test_altered_rows_do_not_open(store: SqlStore, engine: Engine) -> None:
    for change in ALTERATIONS:
        a, b = fresh(), fresh(subject=BOB)
        a.put(store)
        b.put(store)
        values = {"a": a.pointer.id, "b": b.pointer.id, "short": b"\0" * 20}
        with engine.begin() as connection:
            statement = text(change)
            connection.execute(statement, {name: values[name] for name in statement._bindparams})
        with pytest.raises(RecordDamagedError) as caught:
            store.get_pointed(a.pointer.id)
        assert caught.value.pointer == a.pointer.id
        assert store.get_pointed(b.pointer.id).salt == b.salt


def test_swapped_rows_do_not_open(store: SqlStore, engine: Engine) -> None:
    a, b = fresh(), fresh(subject=BOB)
    a.put(store, days=(date(2020, 1, 1), date(2020, 1, 1)))
    b.put(store, days=(date(2020, 1, 1), date(2020, 1, 1)))
    with engine.begin() as connection:
        rows = {
            bytes(pointer): (body, wrapped)
            for pointer, body, wrapped in connection.execute(
                text("SELECT records.pointer, body, wrapped FROM records JOIN record_keys USING (pointer)")
            )
        }
        for to, taken in ((a, b), (b, a)):
            body, wrapped = rows[taken.pointer.id]
            values = {"pointer": to.pointer.id, "body": body, "wrapped": wrapped}
            connection.execute(text("UPDATE records SET body = :body WHERE pointer = :pointer"), values)
            connection.execute(text("UPDATE record_keys SET wrapped = :wrapped WHERE pointer = :pointer"), values)
    for record in (a, b):
        with pytest.raises(RecordDamagedError):
            store.get_pointed(record.pointer.id)


def test_altered_settings_do_not_open(database: str, store: SqlStore, keys: KeyRing, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE store_settings SET index_key = :key"), {"key": bytes(60)})
    with pytest.raises(StoreDamagedError):
        SqlStore(database, keys)


def test_files_are_their_owners_alone(sqlite_file: Path, keys: KeyRing) -> None:
    store = SqlStore(sqlite_file, keys)
    sealed().put(store)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in sqlite_file.parent.iterdir()}
    assert set(modes.values()) == {0o600}, modes


def test_master_key_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "master.key"
    made = MasterKey.create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert MasterKey.from_file(path).id == made.id
    monkeypatch.setenv("STORE_KEY", "0x" + path.read_text().strip())
    assert MasterKey.from_environment("STORE_KEY").id == made.id
    assert path.read_text().strip()[:16] not in repr(made)

    with pytest.raises(MasterKeyError, match="there already"):
        MasterKey.create(path)
    with pytest.raises(MasterKeyError, match="cannot be written"):
        MasterKey.create(tmp_path / "missing" / "key")
    path.chmod(0o640)
    with pytest.raises(MasterKeyError, match="chmod 600"):
        MasterKey.from_file(path)
    path.chmod(0o600)
    path.write_text("secret " * 9)
    for broken in (lambda: MasterKey.from_file(path), lambda: MasterKey.from_environment("NO_SUCH_KEY")):
        with pytest.raises(MasterKeyError, match="holds no key") as caught:
            broken()
        assert "secret " not in str(caught.value)
    with pytest.raises(MasterKeyError, match="cannot be read"):
        MasterKey.from_file(tmp_path / "none")
    with pytest.raises(MasterKeyError, match="32 bytes"):
        MasterKey(b"short")


def test_sealed_texts() -> None:
    key = bytes(range(32))
    sealed_text = seal(key, b"text", b"place")
    assert unseal(key, sealed_text, b"place") == b"text"
    for wrong in (
        (key, sealed_text, b"other"),
        (bytes(32), sealed_text, b"place"),
        (key, sealed_text[:-1], b"place"),
        (key, sealed_text[:5], b"place"),
        (key, sealed_text[:-1] + bytes([sealed_text[-1] ^ 1]), b"place"),
    ):
        with pytest.raises(InvalidTag):
            unseal(*wrong)

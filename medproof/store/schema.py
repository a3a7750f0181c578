"""The tables of a record store and of the logs beside it, and how a database gets them.

No column holds FHIR, a name or a number of a patient: docs/store.md says what each shows to a thief. The steps from
one version of the tables to the next are in `medproof/store/migrations`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

from medproof.errors import StoreVersionError

__all__ = [
    "access_entries",
    "access_keys",
    "access_logs",
    "claim_events",
    "documents",
    "erasures",
    "leaf_logs",
    "leaves",
    "log_anchors",
    "log_homes",
    "messages",
    "metadata",
    "pointer_batches",
    "pointer_places",
    "readings",
    "record_keys",
    "records",
    "settings",
    "upgrade",
]

_MIGRATIONS = Path(__file__).parent / "migrations"
_VERSION_TABLE = "store_version"
_BIG = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up integers alone

metadata = MetaData()

settings = Table(
    "store_settings",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),  # 1: there is one row
    Column("kind", String(32), nullable=False),  # what the sealed bodies hold
    Column("master", String(16), nullable=False),  # id of the master key that wraps the next
    Column("index_key", LargeBinary, nullable=False),  # wrapped; makes names and cursors
)

records = Table(
    "records",
    metadata,
    Column("position", _BIG, primary_key=True, autoincrement=True),  # in the order of arrival, never used twice
    Column("pointer", LargeBinary(32), nullable=False, unique=True),
    Column("first", LargeBinary(32), nullable=False),  # pointer of version 1: what all versions share
    Column("name", LargeBinary(32), nullable=False),  # keyed hash of FHIR type and id
    Column("version", Integer, nullable=False),
    Column("current", Boolean, nullable=False),
    Column("subject", String(42), nullable=False),
    Column("origin", String(42), nullable=False),
    Column("commitment", LargeBinary(32), nullable=False),
    Column("resource_type", String(64), nullable=False),
    Column("data_class", Integer, nullable=False),  # bit number in the rule word's classes
    Column("first_day", Integer),  # since 1970
    Column("last_day", Integer),  # since 1970
    Column("stored", BigInteger, nullable=False),  # microseconds since 1970
    Column("body", LargeBinary, nullable=False),  # salt and content, sealed with the record's key
    UniqueConstraint("name", "version", name="records_name_version"),
    Index("records_first", "first"),
    Index("records_subject", "subject", "position"),
    sqlite_autoincrement=True,
)

record_keys = Table(
    "record_keys",
    metadata,
    Column("pointer", LargeBinary(32), ForeignKey(records.c.pointer, name="record_keys_pointer"), primary_key=True),
    Column("master", String(16), nullable=False, index=True),  # id of the master key that wraps it
    Column("wrapped", LargeBinary, nullable=False),
)

erasures = Table(
    "erasures",
    metadata,
    Column("number", _BIG, primary_key=True, autoincrement=True),
    Column("pointer", LargeBinary(32), nullable=False, unique=True),
    Column("erased", BigInteger, nullable=False),  # microseconds since 1970
    sqlite_autoincrement=True,
)

leaf_logs = Table(
    "leaf_logs",
    metadata,
    Column("log", _BIG, primary_key=True, autoincrement=False),  # its number, as on chain
    Column("size", BigInteger, nullable=False),  # how many leaves; whoever appends holds this row
)

leaves = Table(
    "leaves",
    metadata,
    Column("log", _BIG, ForeignKey(leaf_logs.c.log, name="leaves_log"), primary_key=True),
    Column("position", _BIG, primary_key=True, autoincrement=False),  # from 0, without a gap
    Column("leaf", LargeBinary(32), nullable=False),  # a commitment
    sqlite_with_rowid=False,
)

log_anchors = Table(
    "log_anchors",
    metadata,
    Column("log", _BIG, ForeignKey(leaf_logs.c.log, name="log_anchors_log"), primary_key=True),
    Column("size", _BIG, primary_key=True, autoincrement=False),  # a size that was anchored
    Column("root", LargeBinary(32), nullable=False),  # over so many leaves, as on chain
    sqlite_with_rowid=False,
)

access_logs = Table(
    "access_logs",
    metadata,
    Column("log", _BIG, ForeignKey(leaf_logs.c.log, name="access_logs_log"), primary_key=True),
    Column("master", String(16), nullable=False),  # id of the master key that wraps the next
    Column("name_key", LargeBinary, nullable=False),  # wrapped; makes the names of subjects and accounts
)

access_entries = Table(
    "access_entries",
    metadata,
    Column("log", _BIG, ForeignKey(access_logs.c.log, name="access_entries_log"), primary_key=True),
    Column("position", _BIG, primary_key=True, autoincrement=False),  # of its commitment among the leaves
    Column("due", BigInteger, nullable=False),  # until when it was promised to be anchored, seconds since 1970
    Column("promise", LargeBinary(65), nullable=False),  # the signature of that
    Column("subject", LargeBinary(32)),  # keyed hash of the subject; none where none was found, or erased
    Column("account", LargeBinary(32)),  # keyed hash of who asked; none where erased
    Column("body", LargeBinary),  # salt and entry, sealed with the entry's key; none where erased
    Column("erased", BigInteger),  # microseconds since 1970
    Index("access_entries_subject", "log", "subject", "position"),
    Index("access_entries_account", "log", "account", "position"),
)

access_keys = Table(
    "access_keys",
    metadata,
    Column("log", _BIG, ForeignKey(access_logs.c.log, name="access_keys_log"), primary_key=True),
    Column("position", _BIG, primary_key=True, autoincrement=False),  # of its entry
    Column("master", String(16), nullable=False, index=True),  # id of the master key that wraps it
    Column("wrapped", LargeBinary, nullable=False),
)

pointer_batches = Table(
    "pointer_batches",
    metadata,
    Column("root", LargeBinary(32), primary_key=True),  # as on chain
    Column("origin", String(42), nullable=False),  # the custodian that posts it
    Column("leaves", LargeBinary, nullable=False),  # 32 bytes each, in ascending order
)

pointer_places = Table(
    "pointer_places",
    metadata,
    Column("pointer", LargeBinary(32), ForeignKey(records.c.pointer, name="pointer_places_pointer"), primary_key=True),
    Column("root", LargeBinary(32), ForeignKey(pointer_batches.c.root, name="pointer_places_root")),  # none: by itself
    Column("position", Integer),  # of its leaf in the batch, from 0
)

readings = Table(
    "readings",
    metadata,
    Column("device", String(42), primary_key=True),  # the account of its key
    Column("number", _BIG, primary_key=True, autoincrement=False),  # the device's own
    Column("pointer", LargeBinary(32), nullable=False, index=True),  # of its record
    Column("position", BigInteger),  # of its leaf in the log of readings; none where it was refused
    Column("code", String(32)),  # why it was refused; none where it was taken
    sqlite_with_rowid=False,
)

log_homes = Table(
    "log_homes",
    metadata,
    Column("log", _BIG, ForeignKey(leaf_logs.c.log, name="log_homes_log"), primary_key=True),
    Column("chain", _BIG, nullable=False),  # id of the chain on which it is anchored
    Column("anchor", String(42), nullable=False),  # address of the BatchAnchor
    Column("publisher", String(42), nullable=False),  # the party that anchors it
)

documents = Table(
    "documents",
    metadata,
    Column("log", _BIG, ForeignKey(leaf_logs.c.log, name="documents_log"), primary_key=True),
    Column("position", _BIG, primary_key=True, autoincrement=False),  # of its leaf
    Column("name", LargeBinary(32), nullable=False),  # hash of where it comes from and what it says
    Column("salt", LargeBinary(32), nullable=False),  # opens the leaf: whoever has this table may guess what is in it
    UniqueConstraint("log", "name", name="documents_name"),
)

claim_events = Table(
    "claim_events",
    metadata,
    Column("log", _BIG, ForeignKey(leaf_logs.c.log, name="claim_events_log"), primary_key=True),
    Column("position", _BIG, primary_key=True, autoincrement=False),  # of its leaf
    Column("name", LargeBinary(32), nullable=False),  # the same event has the same, however often it is given
    Column("step", String(16), nullable=False),  # what happened to the claim
    Column("at", BigInteger, nullable=False),  # microseconds since 1970
    Column("claim", LargeBinary(32), nullable=False),  # the claim's commitment
    Column("nullifier", LargeBinary(32), nullable=False),
    Column("response", LargeBinary(32)),  # commitment to the payer's response; none where the step has none
    Column("salt", LargeBinary(32)),  # opens the claim's commitment; none where another keeps it, or erased
    UniqueConstraint("log", "name", name="claim_events_name"),
    Index("claim_events_claim", "log", "claim"),
    sqlite_with_rowid=False,
)

messages = Table(
    "messages",
    metadata,
    Column("position", _BIG, primary_key=True, autoincrement=True),  # in the order of arrival, never used twice
    Column("id", LargeBinary(32), nullable=False, unique=True),  # hash of sender and body
    Column("sender", String(42), nullable=False, index=True),  # the party that brought it
    Column("received", BigInteger, nullable=False),  # microseconds since 1970
    Column("size", Integer, nullable=False),  # bytes of the body
    Column("body", LargeBinary, nullable=False),  # sealed by the sender; as it came
    sqlite_autoincrement=True,
)


def upgrade(
    connection: Connection,
    *,
    tables: MetaData = metadata,
    migrations: Path = _MIGRATIONS,
    version_table: str = _VERSION_TABLE,
    of: str = "record store",
) -> None:
    """Bring a database's tables to this version, inside the transaction that is open.

    Args:
        connection: the database's.
        tables: which tables; a record store's where none are named.
        migrations: the folder with their steps.
        version_table: the table that keeps their version.
        of: whose they are, for whoever reads the error.

    Raises:
        StoreVersionError: they are of a newer MedProof.
    """
    config, script = _script(migrations)

    def steps(revision: Any, _: Any) -> Any:
        return script._upgrade_revs("head", revision)  # as Alembic's documentation of EnvironmentContext does

    with EnvironmentContext(config, script, fn=steps) as environment:
        environment.configure(
            connection=connection, target_metadata=tables, version_table=version_table, transactional_ddl=True
        )
        try:
            environment.run_migrations()
        except CommandError:
            raise _newer(of) from None


def check(connection: Connection, *, migrations: Path, version_table: str, of: str) -> None:
    """Whether a database's tables are of this version, for whoever only reads; see `upgrade`.

    Raises:
        StoreVersionError: they are not, or there are none.
    """
    found = MigrationContext.configure(connection, opts={"version_table": version_table}).get_current_revision()
    _, script = _script(migrations)
    if found == script.get_current_head():
        return
    if found is None:
        raise StoreVersionError(f"The database keeps no {of}. Name another.")
    if found in [one.revision for one in script.walk_revisions()]:
        raise StoreVersionError(
            f"The {of}'s tables are of an older MedProof than this one, and only looked at here. What writes to them "
            "brings them up to date: run that once."
        )
    raise _newer(of)


def _script(migrations: Path) -> tuple[Config, ScriptDirectory]:
    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    config.set_main_option("version_locations", str(migrations).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    return config, ScriptDirectory.from_config(config)


def _newer(of: str) -> StoreVersionError:
    return StoreVersionError(f"The {of}'s tables are of a newer MedProof than this one. Install that version.")

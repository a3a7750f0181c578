"""The tables of a record store, and how a database gets them.

No column holds FHIR, a name or a number of a patient: docs/store.md says what each shows to a thief. The steps from
one version of the tables to the next are in `medproof/store/migrations`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
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

__all__ = ["erasures", "metadata", "record_keys", "records", "settings", "upgrade"]

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


def upgrade(connection: Connection) -> None:
    """Bring a database's tables to this version, inside the transaction that is open.

    Raises:
        StoreVersionError: they are of a newer MedProof.
    """
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("version_locations", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    script = ScriptDirectory.from_config(config)

    def steps(revision: Any, _: Any) -> Any:
        return script._upgrade_revs("head", revision)  # as Alembic's documentation of EnvironmentContext does

    with EnvironmentContext(config, script, fn=steps) as environment:
        environment.configure(
            connection=connection, target_metadata=metadata, version_table=_VERSION_TABLE, transactional_ddl=True
        )
        try:
            environment.run_migrations()
        except CommandError:
            raise StoreVersionError(
                "The record store's tables are of a newer MedProof than this one. Install that version."
            ) from None

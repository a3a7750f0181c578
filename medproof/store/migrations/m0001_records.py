"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["revision"]

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "store_settings",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("master", sa.String(16), nullable=False),
        sa.Column("index_key", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "records",
        sa.Column("position", _BIG, primary_key=True, autoincrement=True),
        sa.Column("pointer", sa.LargeBinary(32), nullable=False, unique=True),
        sa.Column("first", sa.LargeBinary(32), nullable=False),
        sa.Column("name", sa.LargeBinary(32), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("current", sa.Boolean, nullable=False),
        sa.Column("subject", sa.String(42), nullable=False),
        sa.Column("origin", sa.String(42), nullable=False),
        sa.Column("commitment", sa.LargeBinary(32), nullable=False),
        sa.Column("resource_type", sa.String(64), nullable=False),
        sa.Column("data_class", sa.Integer, nullable=False),
        sa.Column("first_day", sa.Integer),
        sa.Column("last_day", sa.Integer),
        sa.Column("stored", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("name", "version", name="records_name_version"),
        sqlite_autoincrement=True,
    )
    op.create_index("records_first", "records", ["first"])
    op.create_index("records_subject", "records", ["subject", "position"])
    op.create_table(
        "record_keys",
        sa.Column(
            "pointer",
            sa.LargeBinary(32),
            sa.ForeignKey("records.pointer", name="record_keys_pointer"),
            primary_key=True,
        ),
        sa.Column("master", sa.String(16), nullable=False, index=True),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "erasures",
        sa.Column("number", _BIG, primary_key=True, autoincrement=True),
        sa.Column("pointer", sa.LargeBinary(32), nullable=False, unique=True),
        sa.Column("erased", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )

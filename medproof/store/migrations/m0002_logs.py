"""The Merkle logs, and the entries of access logs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["revision"]

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "leaf_logs",
        sa.Column("log", _BIG, primary_key=True, autoincrement=False),
        sa.Column("size", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "leaves",
        sa.Column("log", _BIG, sa.ForeignKey("leaf_logs.log", name="leaves_log"), primary_key=True),
        sa.Column("position", _BIG, primary_key=True, autoincrement=False),
        sa.Column("leaf", sa.LargeBinary(32), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "log_anchors",
        sa.Column("log", _BIG, sa.ForeignKey("leaf_logs.log", name="log_anchors_log"), primary_key=True),
        sa.Column("size", _BIG, primary_key=True, autoincrement=False),
        sa.Column("root", sa.LargeBinary(32), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "access_logs",
        sa.Column("log", _BIG, sa.ForeignKey("leaf_logs.log", name="access_logs_log"), primary_key=True),
        sa.Column("master", sa.String(16), nullable=False),
        sa.Column("name_key", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "access_entries",
        sa.Column("log", _BIG, sa.ForeignKey("access_logs.log", name="access_entries_log"), primary_key=True),
        sa.Column("position", _BIG, primary_key=True, autoincrement=False),
        sa.Column("due", sa.BigInteger, nullable=False),
        sa.Column("promise", sa.LargeBinary(65), nullable=False),
        sa.Column("subject", sa.LargeBinary(32)),
        sa.Column("account", sa.LargeBinary(32)),
        sa.Column("body", sa.LargeBinary),
        sa.Column("erased", sa.BigInteger),
    )
    op.create_index("access_entries_subject", "access_entries", ["log", "subject", "position"])
    op.create_index("access_entries_account", "access_entries", ["log", "account", "position"])
    op.create_table(
        "access_keys",
        sa.Column("log", _BIG, sa.ForeignKey("access_logs.log", name="access_keys_log"), primary_key=True),
        sa.Column("position", _BIG, primary_key=True, autoincrement=False),
        sa.Column("master", sa.String(16), nullable=False, index=True),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
    )

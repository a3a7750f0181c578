"""The documents of stand-alone logs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["revision"]

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "document_logs",
        sa.Column("log", _BIG, sa.ForeignKey("leaf_logs.log", name="document_logs_log"), primary_key=True),
        sa.Column("chain", _BIG, nullable=False),
        sa.Column("anchor", sa.String(42), nullable=False),
        sa.Column("publisher", sa.String(42), nullable=False),
    )
    op.create_table(
        "documents",
        sa.Column("log", _BIG, sa.ForeignKey("leaf_logs.log", name="documents_log"), primary_key=True),
        sa.Column("position", _BIG, primary_key=True, autoincrement=False),
        sa.Column("name", sa.LargeBinary(32), nullable=False),
        sa.Column("salt", sa.LargeBinary(32), nullable=False),
        sa.UniqueConstraint("log", "name", name="documents_name"),
    )

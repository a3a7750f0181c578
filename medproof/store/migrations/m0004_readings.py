"""The numbers of devices' readings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["revision"]

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "readings",
        sa.Column("device", sa.String(42), primary_key=True),
        sa.Column("number", _BIG, primary_key=True, autoincrement=False),
        sa.Column("pointer", sa.LargeBinary(32), nullable=False, index=True),
        sa.Column("position", sa.BigInteger),
        sa.Column("code", sa.String(32)),
        sqlite_with_rowid=False,
    )

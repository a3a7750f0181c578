"""The events of claims; where any log is anchored, and not only one of documents."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["revision"]

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make and rename them."""
    op.rename_table("document_logs", "log_homes")
    op.create_table(
        "claim_events",
        sa.Column("log", _BIG, sa.ForeignKey("leaf_logs.log", name="claim_events_log"), primary_key=True),
        sa.Column("position", _BIG, primary_key=True, autoincrement=False),
        sa.Column("name", sa.LargeBinary(32), nullable=False),
        sa.Column("step", sa.String(16), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("claim", sa.LargeBinary(32), nullable=False),
        sa.Column("nullifier", sa.LargeBinary(32), nullable=False),
        sa.Column("response", sa.LargeBinary(32)),
        sa.Column("salt", sa.LargeBinary(32)),
        sa.UniqueConstraint("log", "name", name="claim_events_name"),
        sqlite_with_rowid=False,
    )
    op.create_index("claim_events_claim", "claim_events", ["log", "claim"])

"""The batches of pointers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["revision"]

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "pointer_batches",
        sa.Column("root", sa.LargeBinary(32), primary_key=True),
        sa.Column("origin", sa.String(42), nullable=False),
        sa.Column("leaves", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "pointer_places",
        sa.Column(
            "pointer",
            sa.LargeBinary(32),
            sa.ForeignKey("records.pointer", name="pointer_places_pointer"),
            primary_key=True,
        ),
        sa.Column("root", sa.LargeBinary(32), sa.ForeignKey("pointer_batches.root", name="pointer_places_root")),
        sa.Column("position", sa.Integer),
    )

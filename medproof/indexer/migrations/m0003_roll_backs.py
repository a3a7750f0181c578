"""What was taken back, and how far blocks were final when they were read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["revision"]

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Keep both."""
    op.create_table(
        "roll_backs",
        sa.Column("number", _BIG, primary_key=True, autoincrement=True),
        sa.Column("chain", _BIG, sa.ForeignKey("chains.chain", name="roll_backs_chain"), nullable=False),
        sa.Column("block", sa.BigInteger, nullable=False),
    )
    op.add_column("deployments", sa.Column("final", sa.BigInteger))

"""The first tables."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

__all__ = ["ADDRESS", "HASH", "NUMBER", "history", "revision"]

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "chains",
        sa.Column("chain", _BIG, primary_key=True, autoincrement=False),
        sa.Column("genesis", sa.LargeBinary(32), nullable=False),
    )
    op.create_table(
        "deployments",
        sa.Column("number", _BIG, primary_key=True, autoincrement=True),
        sa.Column("chain", _BIG, sa.ForeignKey("chains.chain", name="deployments_chain"), nullable=False),
        sa.Column("authority", sa.LargeBinary(20), nullable=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("block", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("chain", "authority", name="deployments_place"),
    )
    op.create_table(
        "contracts",
        sa.Column("number", _BIG, primary_key=True, autoincrement=True),
        sa.Column("deployment", _BIG, sa.ForeignKey("deployments.number", name="contracts_deployment"), nullable=False),
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("address", sa.LargeBinary(20), nullable=False),
        sa.UniqueConstraint("deployment", "name", name="contracts_name"),
    )
    op.create_table(
        "blocks",
        sa.Column("chain", _BIG, sa.ForeignKey("chains.chain", name="blocks_chain"), primary_key=True),
        sa.Column("block", _BIG, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "events",
        *_place("events"),
        sa.PrimaryKeyConstraint("contract", "block", "position"),
        sa.Column("transaction", sa.LargeBinary(32), nullable=False),
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("said", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    history("rules", ("subject", ADDRESS), ("grantee", ADDRESS), ("number", NUMBER), values=[("word", HASH)])
    history("terms", ("number", NUMBER), values=[("terms", HASH)])
    history(
        "openings",
        ("subject", ADDRESS),
        ("number", NUMBER),
        values=[
            ("party", ADDRESS),
            ("account", ADDRESS),
            ("reason", NUMBER),
            ("justification", HASH),
            ("until", NUMBER),
            ("review", NUMBER),
            ("remark", HASH),
        ],
    )
    history(
        "parties",
        ("party", ADDRESS),
        values=[
            ("account", ADDRESS),
            ("kind", NUMBER),
            ("credential", HASH),
            ("valid_until", NUMBER),
            ("suspended", sa.Boolean()),
            ("groups", sa.Text()),
        ],
    )
    history("party_groups", ("number", NUMBER), values=[("name", sa.Text())])
    history(
        "claims",
        ("claim", HASH),
        values=[
            ("provider", ADDRESS),
            ("payer", ADDRESS),
            ("patient", ADDRESS),
            ("registration", HASH),
            ("commitment", HASH),
            ("nullifier", HASH),
            ("soft_key", HASH),
            ("rules", NUMBER),
            ("status", NUMBER),
            ("outcome", NUMBER),
            ("response", HASH),
        ],
    )


ADDRESS, HASH, NUMBER = sa.LargeBinary(20), sa.LargeBinary(32), sa.BigInteger()


def _place(table: str) -> list[sa.Column[Any]]:
    return [
        sa.Column("contract", _BIG, sa.ForeignKey("contracts.number", name=f"{table}_contract"), nullable=False),
        sa.Column("block", _BIG, nullable=False),
        sa.Column("position", _BIG, nullable=False),
    ]


def history(table: str, *keys: tuple[str, Any], values: list[tuple[str, Any]]) -> None:
    """Make the table of a history, as `medproof.indexer.schema` has it."""
    op.create_table(
        table,
        *_place(table),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("until_block", sa.BigInteger),
        sa.Column("until_time", sa.BigInteger),
        *(sa.Column(name, kind, nullable=False) for name, kind in (*keys, *values)),
        sa.PrimaryKeyConstraint("block", "position", "contract"),
        sqlite_with_rowid=False,
    )
    op.create_index(f"{table}_key", table, ["contract", *(name for name, _ in keys)])
    ended = sa.text("until_block IS NOT NULL")
    op.create_index(f"{table}_until", table, ["contract", "until_block"], sqlite_where=ended, postgresql_where=ended)

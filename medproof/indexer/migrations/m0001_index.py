"""The first tables."""

from __future__ import annotations

from typing import Any

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
    _history("rules", ("subject", _address), ("grantee", _address), ("number", _number), values=[("word", _hash)])
    _history("terms", ("number", _number), values=[("terms", _hash)])
    _history(
        "openings",
        ("subject", _address),
        ("number", _number),
        values=[
            ("party", _address),
            ("account", _address),
            ("reason", _number),
            ("justification", _hash),
            ("until", _number),
            ("review", _number),
            ("remark", _hash),
        ],
    )
    _history(
        "parties",
        ("party", _address),
        values=[
            ("account", _address),
            ("kind", _number),
            ("credential", _hash),
            ("valid_until", _number),
            ("suspended", sa.Boolean()),
            ("groups", sa.Text()),
        ],
    )
    _history("party_groups", ("number", _number), values=[("name", sa.Text())])
    _history(
        "claims",
        ("claim", _hash),
        values=[
            ("provider", _address),
            ("payer", _address),
            ("patient", _address),
            ("registration", _hash),
            ("commitment", _hash),
            ("nullifier", _hash),
            ("soft_key", _hash),
            ("rules", _number),
            ("status", _number),
            ("outcome", _number),
            ("response", _hash),
        ],
    )


_address, _hash, _number = sa.LargeBinary(20), sa.LargeBinary(32), sa.BigInteger()


def _place(table: str) -> list[sa.Column[Any]]:
    return [
        sa.Column("contract", _BIG, sa.ForeignKey("contracts.number", name=f"{table}_contract"), nullable=False),
        sa.Column("block", _BIG, nullable=False),
        sa.Column("position", _BIG, nullable=False),
    ]


def _history(table: str, *keys: tuple[str, Any], values: list[tuple[str, Any]]) -> None:
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

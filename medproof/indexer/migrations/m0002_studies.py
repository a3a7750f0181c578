"""Tables of studies, who takes part in them, cohorts, results and bounties."""

from __future__ import annotations

import sqlalchemy as sa

from medproof.indexer.migrations.m0001_index import ADDRESS, HASH, NUMBER, history

__all__ = ["revision"]

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TEXT, _FLAG, _AMOUNT = sa.Text(), sa.Boolean(), sa.String(39)


def upgrade() -> None:
    """Make them."""
    history(
        "studies",
        ("study", HASH),
        values=[
            ("researcher", ADDRESS),
            ("request", HASH),
            ("protocol", HASH),
            ("ethics", HASH),
            ("first_day", NUMBER),
            ("last_day", NUMBER),
            ("custodians", _TEXT),
            ("ended", NUMBER),
        ],
    )
    history(
        "participations",
        ("study", HASH),
        ("subject", ADDRESS),
        values=[("opted_in", _FLAG), ("sequence", NUMBER)],
    )
    history(
        "cohorts",
        ("study", HASH),
        ("cohort", HASH),
        values=[("root", HASH), ("size", NUMBER), ("as_of", NUMBER), ("block_hash", HASH), ("block_checked", _FLAG)],
    )
    history("results", ("study", HASH), ("cohort", HASH), ("custodian", ADDRESS), ("commitment", HASH), values=[])
    history(
        "bounties",
        ("bounty", HASH),
        values=[
            ("study", HASH),
            ("funder", ADDRESS),
            ("token", ADDRESS),
            ("payee", NUMBER),
            ("payment", _AMOUNT),
            ("accept_until", NUMBER),
            ("free", _AMOUNT),
            ("due", _AMOUNT),
            ("paid", _AMOUNT),
            ("refunded", _AMOUNT),
        ],
    )

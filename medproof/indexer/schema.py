"""The tables of an index: events as the chain has them, and the histories that they tell.

A history's row stands from its block and position until `until_block`, or still stands where that is empty. What stood
as of block B is ``block <= B AND (until_block IS NULL OR until_block > B)``, and as of a time likewise; docs/indexer.md
has the queries. The steps from one version of the tables to the next are in `medproof/indexer/migrations`.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from medproof.store import schema

__all__ = [
    "HISTORIES",
    "blocks",
    "chains",
    "check",
    "contracts",
    "deployments",
    "events",
    "metadata",
    "roll_backs",
    "upgrade",
]

_MIGRATIONS = Path(__file__).parent / "migrations"
_VERSION_TABLE = "index_version"
_BIG = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up integers alone

metadata = MetaData()

chains = Table(
    "chains",
    metadata,
    Column("chain", _BIG, primary_key=True, autoincrement=False),  # its id
    Column("genesis", LargeBinary(32), nullable=False),  # hash of block 0: two chains may have one id
)

deployments = Table(
    "deployments",
    metadata,
    Column("number", _BIG, primary_key=True, autoincrement=True),
    Column("chain", _BIG, ForeignKey(chains.c.chain, name="deployments_chain"), nullable=False),
    Column("authority", LargeBinary(20), nullable=False),  # address of its Authority, which no other has
    Column("first", BigInteger, nullable=False),  # the block of its first contract
    Column("block", BigInteger, nullable=False),  # the last block that was read; first - 1 before any
    Column("final", BigInteger),  # the last of them that could not be replaced any more when it was read, if any
    UniqueConstraint("chain", "authority", name="deployments_place"),
)

roll_backs = Table(
    "roll_backs",
    metadata,
    Column("number", _BIG, primary_key=True, autoincrement=True),
    Column("chain", _BIG, ForeignKey(chains.c.chain, name="roll_backs_chain"), nullable=False),
    Column("block", BigInteger, nullable=False),  # what was above it was taken back
)

contracts = Table(
    "contracts",
    metadata,
    Column("number", _BIG, primary_key=True, autoincrement=True),
    Column("deployment", _BIG, ForeignKey(deployments.c.number, name="contracts_deployment"), nullable=False),
    Column("name", String(32), nullable=False),  # such as "ConsentRegistry"
    Column("address", LargeBinary(20), nullable=False),
    UniqueConstraint("deployment", "name", name="contracts_name"),
)

blocks = Table(
    "blocks",
    metadata,
    Column("chain", _BIG, ForeignKey(chains.c.chain, name="blocks_chain"), primary_key=True),
    Column("block", _BIG, primary_key=True, autoincrement=False),  # those with events, and the ends of ranges
    Column("hash", LargeBinary(32), nullable=False),
    Column("time", BigInteger, nullable=False),  # seconds since 1970
    sqlite_with_rowid=False,
)

events = Table(
    "events",
    metadata,
    Column("contract", _BIG, ForeignKey(contracts.c.number, name="events_contract"), primary_key=True),
    Column("block", _BIG, primary_key=True, autoincrement=False),
    Column("position", _BIG, primary_key=True, autoincrement=False),  # of the log entry in its block
    Column("transaction", LargeBinary(32), nullable=False),  # its hash
    Column("name", String(32), nullable=False),  # such as "RuleSet"
    Column("said", LargeBinary, nullable=False),  # what the contract wrote: topics after the first, then data
    sqlite_with_rowid=False,
)


def _history(name: str, keys: list[Column[object]], *values: Column[object]) -> Table:
    """A table of what stood from when until when; `keys` say of what."""
    return Table(
        name,
        metadata,
        Column("contract", _BIG, ForeignKey(contracts.c.number, name=f"{name}_contract"), nullable=False),
        Column("block", _BIG, nullable=False),  # since when it stands: the event's
        Column("position", _BIG, nullable=False),  # likewise
        Column("time", BigInteger, nullable=False),  # the block's, seconds since 1970
        Column("until_block", BigInteger),  # from this block on it stands no more; none where it stands
        Column("until_time", BigInteger),  # that block's time
        *keys,
        *values,
        # Not the contract first: SQLite would look there for all of a contract's rows rather than for a key's.
        PrimaryKeyConstraint("block", "position", "contract"),
        Index(f"{name}_key", "contract", *(key.name for key in keys)),
        Index(
            f"{name}_until",
            "contract",
            "until_block",
            sqlite_where=text("until_block IS NOT NULL"),
            postgresql_where=text("until_block IS NOT NULL"),
        ),
        sqlite_with_rowid=False,
    )


def _address(name: str) -> Column[object]:
    return Column(name, LargeBinary(20), nullable=False)


def _hash(name: str) -> Column[object]:
    return Column(name, LargeBinary(32), nullable=False)


def _number(name: str) -> Column[object]:
    return Column(name, BigInteger, nullable=False)


def _amount(name: str) -> Column[object]:
    """An amount of tokens in their unit, as decimal text: it has 128 bits."""
    return Column(name, String(39), nullable=False)


HISTORIES: dict[str, Table] = {
    table.name: table
    for table in (
        _history(
            "rules",
            [_address("subject"), _address("grantee"), _number("number")],  # the rule's index among the pair's
            _hash("word"),  # big-endian; revoked rules stand as tombstones, as on chain
        ),
        _history("terms", [_number("number")], _hash("terms")),
        _history(
            "openings",
            [_address("subject"), _number("number")],
            _address("party"),
            _address("account"),
            _number("reason"),  # the contract's OverrideReason
            _hash("justification"),
            _number("until"),  # minutes since 1970, exclusive
            _number("review"),  # the contract's Review; 0 before one
            _hash("remark"),
        ),
        _history(
            "parties",
            [_address("party")],  # its identity
            _address("account"),  # who acts for it
            _number("kind"),  # the contract's Kind
            _hash("credential"),
            _number("valid_until"),  # last day, days since 1970
            Column("suspended", Boolean, nullable=False),
            Column("groups", Text, nullable=False),  # their numbers as JSON, the newest first, as in the contract
        ),
        _history("party_groups", [_number("number")], Column("name", Text, nullable=False)),
        _history(
            "claims",
            [_hash("claim")],  # its id
            _address("provider"),
            _address("payer"),
            _address("patient"),
            _hash("registration"),
            _hash("commitment"),
            _hash("nullifier"),
            _hash("soft_key"),
            _number("rules"),  # the number of the payer's rules
            _number("status"),  # `medproof.client.claim_anchor.ClaimStatus`
            _number("outcome"),  # `medproof.client.claim_anchor.Outcome`
            _hash("response"),
        ),
        _history(
            "studies",
            [_hash("study")],  # its id
            _address("researcher"),
            _hash("request"),  # what it asks for, big-endian in the layout of the rule word
            _hash("protocol"),
            _hash("ethics"),
            _number("first_day"),  # days since 1970
            _number("last_day"),
            Column("custodians", Text, nullable=False),  # their addresses as JSON, ascending
            _number("ended"),  # `medproof.client.studies.StudyState`: closed or approval withdrawn; 0 before
        ),
        _history(
            "participations",
            [_hash("study"), _address("subject")],
            Column("opted_in", Boolean, nullable=False),  # who opted out stands as a tombstone
            _number("sequence"),
        ),
        _history(
            "cohorts",
            [_hash("study"), _hash("cohort")],
            _hash("root"),
            _number("size"),
            _number("as_of"),  # the block as of which its subjects were chosen
            _hash("block_hash"),  # of that block, as the researcher named it
            Column("block_checked", Boolean, nullable=False),  # whether the chain still knew that block's hash
        ),
        _history("results", [_hash("study"), _hash("cohort"), _address("custodian"), _hash("commitment")]),
        _history(
            "bounties",
            [_hash("bounty")],  # its id
            _hash("study"),
            _address("funder"),
            _address("token"),
            _number("payee"),  # `medproof.client.incentives.Payee`
            _amount("payment"),  # to each
            _number("accept_until"),  # seconds since 1970
            _amount("free"),  # what no accepted answer has a claim to
            _amount("due"),  # promised and not yet paid
            _amount("paid"),
            _amount("refunded"),
        ),
    )
}


def upgrade(connection: Connection) -> None:
    """Bring an index's tables to this version, inside the transaction that is open.

    Raises:
        StoreVersionError: they are of a newer MedProof.
    """
    schema.upgrade(connection, tables=metadata, migrations=_MIGRATIONS, version_table=_VERSION_TABLE, of="index")


def check(connection: Connection) -> None:
    """Whether an index's tables are of this version.

    Raises:
        StoreVersionError: they are not, or there are none.
    """
    schema.check(connection, migrations=_MIGRATIONS, version_table=_VERSION_TABLE, of="index")

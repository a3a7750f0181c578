"""What stood as of a block or a time, from the index alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from eth_utils.address import to_checksum_address
from sqlalchemy import Connection, Select, and_, or_, select

from medproof.chain import address_bytes
from medproof.client.registrar import EMERGENCY, EVERYONE, Party, group_grantee, party_from
from medproof.errors import IndexRolledBackError, IndexTimeError
from medproof.indexer import schema
from medproof.indexer.event_codec import codecs
from medproof.indexer.index import BlockHash, IndexedDeployment, IndexedEvent
from medproof.policy.evaluation import Decision, decide
from medproof.policy.word import FLAG_FIELDS, Request, encode_request, minute

__all__ = ["Standing", "View", "view"]

_EMERGENCY = int(EMERGENCY, 16)


@dataclass(frozen=True, slots=True)
class Standing:
    """A rule as it stood."""

    subject: str  # whose rule
    grantee: str  # for whom: a party's identity, or a group
    index: int  # which of the pair's rules
    word: int  # as it was stored; revoked rules are tombstones


@dataclass(frozen=True)
class View:
    """One deployment as of one block: whatever is asked of it is answered from that one state, or refused.

    Every question raises `IndexRolledBackError` once the index has taken back the view's block: a new view has another
    state. Blocks that are read meanwhile change nothing.
    """

    indexed: IndexedDeployment
    block: int  # as of which block
    at: datetime  # the moment at which rules are in force or not: the block's time, where none was named
    roll_backs: int = 0  # `IndexedDeployment.roll_backs` before anything was read

    def rules(self, *, subject: str | None = None, grantee: str | None = None) -> Iterator[Standing]:
        """The rules as they stood, tombstones included, in the order of subject, grantee and index."""
        rules = schema.HISTORIES["rules"]
        query = self.standing("rules").order_by(rules.c.subject, rules.c.grantee, rules.c.number)
        if subject is not None:
            query = query.where(rules.c.subject == address_bytes(subject))
        if grantee is not None:
            query = query.where(rules.c.grantee == address_bytes(grantee))
        with self._snapshot() as connection:
            for row in connection.execute(query):
                yield Standing(
                    _address(row.subject), _address(row.grantee), row.number, int.from_bytes(row.word, "big")
                )

    def party(self, account: str) -> Party | None:
        """The party that an account acted for, whatever its standing; None where it acted for none."""
        with self._snapshot() as connection:
            return self._party(connection, account)

    def active_party(self, account: str) -> Party | None:
        """The party that an account acted for, if it was active: not suspended, not lapsed."""
        return self._active(self.party(account))

    def decide(self, subject: str, account: str, request: Request) -> Decision:
        """Whether a request was permitted and why, as the contract would have said it at that moment."""
        with self._snapshot() as connection:
            party = self._active(self._party(connection, account))
            if party is None:
                return decide((), None, self.at, encode_request(request))
            rules = schema.HISTORIES["rules"]
            of = self.standing("rules").where(rules.c.subject == address_bytes(subject))
            found = {
                (bytes(row.grantee), row.number): int.from_bytes(row.word, "big") for row in connection.execute(of)
            }
            grantees = [party.id, EVERYONE, *(group_grantee(group) for group in party.groups)]
            words = [word for grantee in grantees for word in _reached(found, address_bytes(grantee))]
            broken = _EMERGENCY in party.groups and self._glass_broken(connection, subject, party.id)
            return decide(words, party.kind, self.at, encode_request(request), glass_broken=broken)

    def events(self, contract: str, name: str | None = None) -> Iterator[IndexedEvent]:
        """The events of a contract up to the block, oldest first; of one name, or of all."""
        events = schema.events
        query = (
            select(events)
            .where(events.c.contract == self.indexed.contracts[contract], events.c.block <= self.block)
            .order_by(events.c.block, events.c.position)
        )
        if name is not None:
            query = query.where(events.c.name == name)
        kinds = codecs(contract)
        with self._snapshot() as connection:
            for row in connection.execute(query):
                arguments = kinds[row.name].arguments(bytes(row.said))
                transaction = "0x" + bytes(row.transaction).hex()
                yield IndexedEvent(contract, row.block, row.position, transaction, row.name, arguments)

    def changes(self, history: str, *, after: int = -1) -> Iterator[Any]:
        """The rows of a history that began above a block and up to the view's, oldest first, still standing or not."""
        table = schema.HISTORIES[history]
        query = (
            select(table)
            .where(
                table.c.contract.in_(tuple(self.indexed.contracts.values())),
                table.c.block > after,
                table.c.block <= self.block,
            )
            .order_by(table.c.block, table.c.position)
        )
        with self._snapshot() as connection:
            yield from connection.execute(query)

    def standing(self, history: str) -> Select[Any]:
        """The rows of a history that stood, of this deployment: for whoever adds conditions of their own."""
        table = schema.HISTORIES[history]
        return select(table).where(
            and_(
                table.c.contract.in_(tuple(self.indexed.contracts.values())),
                table.c.block <= self.block,
                or_(table.c.until_block.is_(None), table.c.until_block > self.block),
            )
        )

    @contextmanager
    def _snapshot(self) -> Iterator[Connection]:
        """One state of the index, in which the view's block is still the one that it was."""
        taken = schema.roll_backs
        with self.indexed.database.snapshot() as connection:
            below = select(taken.c.number).where(
                taken.c.chain == self.indexed.chain, taken.c.number > self.roll_backs, taken.c.block < self.block
            )
            if connection.scalar(below.limit(1)) is not None:
                raise IndexRolledBackError(self.block)
            yield connection

    def _party(self, connection: Connection, account: str) -> Party | None:
        parties = schema.HISTORIES["parties"]
        row = connection.execute(
            self.standing("parties").where(parties.c.account == address_bytes(account)).limit(1)
        ).first()
        if row is None:
            return None
        return party_from(_address(row.party), row.kind, bool(row.suspended), row.valid_until, json.loads(row.groups))

    def _active(self, party: Party | None) -> Party | None:
        return None if party is None or party.suspended or party.valid_until < self.at.date() else party

    def _glass_broken(self, connection: Connection, subject: str, party: str) -> bool:
        openings = schema.HISTORIES["openings"]
        of = (openings.c.subject == address_bytes(subject), openings.c.party == address_bytes(party))
        newest = self.standing("openings").where(*of).order_by(openings.c.number.desc()).limit(1)
        row = connection.execute(newest).first()
        return row is not None and row.until > minute(self.at)


def view(indexed: IndexedDeployment, *, block: int | None = None, at: datetime | None = None) -> View:
    """The state as of a block or a time; of the last block that was read where neither is named.

    Args:
        indexed: the deployment, in its index.
        block: as of which block, its own transactions included.
        at: as of which time, aware: of the last block that was not later. Beside a block, the moment at which rules are
            in force or not; the index keeps no times of blocks in which nothing happened.

    Raises:
        IndexTimeError: that block or time is not read yet, or lies before the deployment, or the block's time is not
            kept; the nearest blocks whose times are, are named.
        RuleFieldError: the time has no zone.
    """
    roll_backs = indexed.roll_backs()  # first: what is taken back from here on is noticed
    last = indexed.block_hash(indexed.block)
    if last is None:
        raise IndexTimeError(block, at, None)
    if at is not None:
        minute(at)  # refuses a time without a zone
        at = at.astimezone(UTC)  # a party's last day is UTC's, as on chain
    if block is not None:
        if not indexed.first <= block <= last.number:
            raise IndexTimeError(block, at, last.number)
        known = indexed.block_hash(block)
        if known is None and at is None:
            near = (*indexed.blocks_before(block, 1), indexed.block_after(block))
            raise IndexTimeError(block, at, last.number, [(one.number, _time(one)) for one in near if one is not None])
        return View(indexed, block, at or _time(known), roll_backs)  # type: ignore[arg-type]
    if at is None:
        return View(indexed, last.number, _time(last), roll_backs)
    known = None if at.timestamp() > last.time else indexed.block_at(int(at.timestamp()))
    if known is None or known.number < indexed.first:
        raise IndexTimeError(block, at, last.number)
    return View(indexed, known.number, at, roll_backs)


def _reached(found: dict[tuple[bytes, int], int], grantee: bytes) -> Iterator[int]:
    """The words that the contract's evaluation comes to: from index 0 on, while each says that another follows."""
    index = 0
    while word := found.get((grantee, index), 0):
        yield word
        if not word & FLAG_FIELDS["follows"].mask:
            return
        index += 1


def _time(block: BlockHash) -> datetime:
    return datetime.fromtimestamp(block.time, UTC)


def _address(value: bytes) -> str:
    return to_checksum_address(value)

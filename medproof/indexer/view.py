"""What stood as of a block or a time, from the index alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from eth_utils.address import to_checksum_address
from sqlalchemy import Select, and_, or_, select

from medproof.client.registrar import EMERGENCY, EVERYONE, Party, group_grantee, party_from
from medproof.errors import IndexTimeError
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
    """One deployment as of one block."""

    indexed: IndexedDeployment
    block: int  # as of which block
    at: datetime  # the moment at which rules are in force or not: the block's time, where none was named

    def rules(self, *, subject: str | None = None, grantee: str | None = None) -> Iterator[Standing]:
        """The rules as they stood, tombstones included, in the order of subject, grantee and index."""
        rules = schema.HISTORIES["rules"]
        query = self.standing("rules").order_by(rules.c.subject, rules.c.grantee, rules.c.number)
        if subject is not None:
            query = query.where(rules.c.subject == bytes.fromhex(subject[2:]))
        if grantee is not None:
            query = query.where(rules.c.grantee == bytes.fromhex(grantee[2:]))
        for row in self._rows(query):
            yield Standing(_address(row.subject), _address(row.grantee), row.number, int.from_bytes(row.word, "big"))

    def party(self, account: str) -> Party | None:
        """The party that an account acted for, whatever its standing; None where it acted for none."""
        parties = schema.HISTORIES["parties"]
        for row in self._rows(self.standing("parties").where(parties.c.account == bytes.fromhex(account[2:]))):
            return party_from(
                _address(row.party), row.kind, bool(row.suspended), row.valid_until, json.loads(row.groups)
            )
        return None

    def active_party(self, account: str) -> Party | None:
        """The party that an account acted for, if it was active: not suspended, not lapsed."""
        found = self.party(account)
        return None if found is None or found.suspended or found.valid_until < self.at.date() else found

    def decide(self, subject: str, account: str, request: Request) -> Decision:
        """Whether a request was permitted and why, as the contract would have said it at that moment."""
        party = self.active_party(account)
        if party is None:
            return decide((), None, self.at, encode_request(request))
        grantees = [party.id, EVERYONE, *(group_grantee(group) for group in party.groups)]
        found = {(one.grantee.lower(), one.index): one.word for one in self.rules(subject=subject)}
        words = [word for grantee in grantees for word in _reached(found, grantee.lower())]
        broken = _EMERGENCY in party.groups and self._glass_broken(subject, party.id)
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
        for row in self._rows(query):
            yield IndexedEvent(
                contract,
                row.block,
                row.position,
                "0x" + bytes(row.transaction).hex(),
                row.name,
                codecs(contract)[row.name].arguments(bytes(row.said)),
            )

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

    def _rows(self, query: Select[Any]) -> Iterator[Any]:
        with self.indexed.database.reading() as connection:
            yield from connection.execute(query)

    def _glass_broken(self, subject: str, party: str) -> bool:
        openings = schema.HISTORIES["openings"]
        of = (openings.c.subject == bytes.fromhex(subject[2:]), openings.c.party == bytes.fromhex(party[2:]))
        newest = self.standing("openings").where(*of).order_by(openings.c.number.desc()).limit(1)
        return any(row.until > minute(self.at) for row in self._rows(newest))


def view(indexed: IndexedDeployment, *, block: int | None = None, at: datetime | None = None) -> View:
    """The state as of a block or a time; of the last block that was read where neither is named.

    Args:
        indexed: the deployment, in its index.
        block: as of which block, its own transactions included.
        at: as of which time, aware: of the last block that was not later. Beside a block, the moment at which rules are
            in force or not; the index keeps no times of blocks in which nothing happened.

    Raises:
        IndexTimeError: that block or time is not read yet, or lies before the deployment, or the block's time is not
            kept.
    """
    last = indexed.block_hash(indexed.block)
    if last is None:
        raise IndexTimeError(block, at, None)
    known: BlockHash | None = last
    if block is not None:
        if not indexed.first <= block <= last.number:
            raise IndexTimeError(block, at, last.number)
        known = indexed.block_hash(block)
        if known is None and at is None:
            raise IndexTimeError(block, at, last.number)
        moment = at or datetime.fromtimestamp(known.time, UTC)  # type: ignore[union-attr]
        return View(indexed, block, moment)
    if at is None:
        return View(indexed, last.number, datetime.fromtimestamp(last.time, UTC))
    minute(at)  # refuses a time without a zone
    known = None if at.timestamp() > last.time else indexed.block_at(int(at.timestamp()))
    if known is None:
        raise IndexTimeError(block, at, last.number)
    return View(indexed, known.number, at)


def _reached(found: dict[tuple[str, int], int], grantee: str) -> Iterator[int]:
    """The words that the contract's evaluation comes to: from index 0 on, while each says that another follows."""
    index = 0
    while word := found.get((grantee, index), 0):
        yield word
        if not word & FLAG_FIELDS["follows"].mask:
            return
        index += 1


def _address(value: bytes) -> str:
    return to_checksum_address(value)

"""The custodian's log of all accesses: an entry for each request, chained, sealed, on disk before the answer goes out.

The commitments stand in a `LeafLog`, the entries beside them, each sealed with a key of its own under the store's
master key. Erasing an entry deletes key, salt and content; its commitment stays, so that the log can still be checked.

Requests that come at the same time share one transaction: whoever gets the turn writes for all that wait.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.exceptions import InvalidTag
from eth_utils.address import to_checksum_address
from sqlalchemy import Connection, Row, delete, insert, select, update

from medproof import hashing
from medproof.access.entry import Access, AccessEntry, Opening
from medproof.access.export import LogLine
from medproof.access.promise import Promise, Promised
from medproof.anchoring.leaf_log import LeafLog
from medproof.errors import AccessEntryError, ArgumentError, JsonError, LogDamagedError, SigningNeededError
from medproof.hashing import SALT_LENGTH, encode_parts, keyed_identifier
from medproof.messages import Domain
from medproof.signing import Signer
from medproof.store.database import Database
from medproof.store.keys import KeyRing, new_key, padded, seal, unseal
from medproof.store.schema import access_entries, access_keys, access_logs, leaves

__all__ = ["EntryLog", "KeptEntry"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BATCH = 500  # rows of one transaction or statement
_LENGTH = 8  # bytes that say how long an entry is
_KEPT = (
    select(access_entries, leaves.c.leaf, access_keys.c.master, access_keys.c.wrapped)
    .join(leaves, (leaves.c.log == access_entries.c.log) & (leaves.c.position == access_entries.c.position))
    .outerjoin(
        access_keys, (access_keys.c.log == access_entries.c.log) & (access_keys.c.position == access_entries.c.position)
    )
)


@dataclass(frozen=True)
class KeptEntry:
    """An entry as the log keeps it."""

    promise: Promise  # with its commitment and its index
    opening: Opening | None  # what it says; None where it was erased


class _Turn:
    """One access that waits to be written."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self.promised: Promised | None = None
        self.failure: BaseException | None = None

    @property
    def done(self) -> bool:
        """Whether somebody has written it, or tried."""
        return self.promised is not None or self.failure is not None


class EntryLog:
    """One access log of a custodian. Threads may share it, and processes the database."""

    def __init__(
        self,
        database: Database | str | os.PathLike[str],
        keys: KeyRing,
        *,
        custodian: str,
        domain: Domain,
        signer: Signer | None = None,
        number: int = 0,
        promised_within: int = 3600,
        connections: int = 8,
        patience: float = 10.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open a log, or begin it.

        Args:
            database: where, as for `LeafLog`; that of the records will do.
            keys: the master key, and older ones that may still be needed.
            custodian: the identity of the party that keeps the log.
            domain: where its promises count, the AccessLog's (`suite.access_log.domain`).
            signer: signs the promises, with the key that the log was opened with on chain; none is needed to read.
            number: which of the custodian's logs.
            promised_within: seconds until an entry must be anchored: several times the anchorer's interval.
            connections: to the database, at most.
            patience: seconds to wait for another's change.
            clock: seconds since 1970.

        Raises:
            ArgumentError: the database is another custodian's, or of no kind that is known.
            MasterKeyError: the log is under a master key that is not among these.
            StoreError: the database cannot be used.
        """
        self.custodian, self.number, self.domain = str(to_checksum_address(custodian)), number, domain
        self._keys, self._signer, self._clock, self._within = keys, signer, clock, promised_within
        self._own = not isinstance(database, Database)
        self._database = (
            database
            if isinstance(database, Database)
            else Database(database, connections=connections, patience=patience)
        )
        self._waiting: list[_Turn] = []
        self._turns, self._writing = threading.Condition(), False
        try:
            self.leaves = LeafLog(self._database, number=number)
            with self._database.upgrading() as connection:
                self._name_key = self._settle(connection)
        except BaseException:
            self.close()
            raise

    @property
    def signer(self) -> str | None:
        """The account whose key signs the promises; None where it only reads."""
        return None if self._signer is None else self._signer.address

    def close(self) -> None:
        """Let go of the database."""
        if self._own:
            self._database.close()

    def _settle(self, connection: Connection) -> bytes:
        """Read the key that makes the names of accounts, or make it."""
        row = connection.execute(select(access_logs).where(access_logs.c.log == self.number)).one_or_none()
        place = self._place("names")
        if row is None:
            if self.leaves.size:
                raise ArgumentError(
                    f"Log {self.number} of this database has leaves that are no accesses. Give the access log a number "
                    "of its own."
                )
            key = new_key()
            wrapped = self._keys.current.wrap(key, place)
            values = {"log": self.number, "master": self._keys.current.id, "name_key": wrapped}
            connection.execute(insert(access_logs).values(values))
            return key
        try:
            return self._keys.unwrap(row.master, bytes(row.name_key), place)
        except InvalidTag:
            raise LogDamagedError(self.number, f"it is not the access log of {self.custodian}") from None

    # -- writing --------------------------------------------------------------------------------------------------

    def add(self, access: Access) -> Promised:
        """Write an entry and promise that it will be anchored; it is on disk when this returns.

        Raises:
            SigningNeededError: the log was opened to be read.
            StoreError: the database cannot take it now.
        """
        turn = _Turn(access)
        with self._turns:
            self._waiting.append(turn)
            while self._writing and not turn.done:
                self._turns.wait()
            mine = [] if turn.done else self._waiting
            if mine:
                self._waiting, self._writing = [], True
        if mine:
            try:
                self._write(mine)
            finally:
                with self._turns:
                    self._writing = False
                    self._turns.notify_all()
        if turn.promised is None:
            raise turn.failure or AssertionError("unreachable")
        return turn.promised

    def _write(self, turns: list[_Turn]) -> None:
        made: list[Promised] = []

        def make(connection: Connection, first: int, last: bytes | None) -> list[bytes]:
            made.clear()
            rows = []
            for index, turn in enumerate(turns, start=first):
                opening = Opening(
                    AccessEntry(self.custodian, self.number, index, last, turn.access), hashing.new_salt()
                )
                promise = self._promise(opening.commitment, index)
                made.append(Promised(promise, opening))
                rows.append(self._row(index, opening, promise))
                last = promise.entry
            connection.execute(insert(access_entries), [row for row, _ in rows])
            connection.execute(insert(access_keys), [key for _, key in rows])
            return [promised.promise.entry for promised in made]

        try:
            self.leaves.write(make)
        except BaseException as failure:
            for turn in turns:
                turn.failure = failure
            if not isinstance(failure, Exception):
                raise
            return
        for turn, promised in zip(turns, made, strict=True):
            turn.promised = promised

    def _promise(self, commitment: bytes, index: int) -> Promise:
        if self._signer is None:
            raise SigningNeededError("The access log has no key to sign promises with. Open it with its signer.")
        due = int(self._clock()) + self._within
        promise = Promise(self.custodian, self.number, commitment, due, index=index)
        return promise.with_signature(self._signer.sign_typed_data(promise.typed_data(self.domain)))

    def _row(self, index: int, opening: Opening, promise: Promise) -> tuple[dict[str, Any], dict[str, Any]]:
        """What is stored of an entry, and of its key."""
        access, key = opening.entry.access, new_key()
        content = hashing.canonical(opening.entry.to_json())
        text = opening.salt + len(content).to_bytes(_LENGTH, "big") + content
        wrapped = self._keys.current.wrap(key, self._place("key", index))
        sealed = {
            "log": self.number,
            "position": index,
            "due": promise.due,
            "promise": promise.signature,
            "subject": access.subject and self._name("subject", access.subject),
            "account": self._name("account", access.account),
            "body": seal(key, padded(text), self._place("body", index)),
        }
        return sealed, {"log": self.number, "position": index, "master": self._keys.current.id, "wrapped": wrapped}

    def erase(self, indices: Iterable[int]) -> int:
        """Erase entries: what they say and their salts, for good; returns how many there were.

        Their commitments stay, and the log can be checked as before. Copies of the database keep them until the
        master key of their time is destroyed (docs/store.md).

        Raises:
            StoreBusyError: they are erased, and copies linger in the files, since somebody reads just now: erase again.
            StoreError: the database cannot be used now.
        """
        gone, count = list(indices), 0
        erased = (datetime.fromtimestamp(self._clock(), UTC) - _EPOCH) // timedelta(microseconds=1)
        with self._database.writing() as connection:
            for start in range(0, len(gone), _BATCH):
                some = gone[start : start + _BATCH]
                connection.execute(
                    delete(access_keys).where(access_keys.c.log == self.number, access_keys.c.position.in_(some))
                )
                changed = connection.execute(
                    update(access_entries)
                    .where(access_entries.c.log == self.number, access_entries.c.position.in_(some))
                    .where(access_entries.c.erased.is_(None))
                    .values(erased=erased, subject=None, account=None, body=None)
                )
                count += changed.rowcount
        self._database.scrub(access_keys.name)
        return count

    def rotate(self) -> int:
        """Wrap with the current master key what is under retired ones, and return how many keys that were.

        Raises:
            MasterKeyError: a key is under a master key that is not at hand.
            LogDamagedError: a key was altered.
            StoreError: the database cannot be used now.
        """
        current, count = self._keys.current, 0
        with self._database.writing() as connection:
            values = {"master": current.id, "name_key": current.wrap(self._name_key, self._place("names"))}
            mine = access_logs.c.log == self.number
            connection.execute(update(access_logs).where(mine, access_logs.c.master != current.id).values(values))
        here = access_keys.c.log == self.number
        while True:
            with self._database.writing() as connection:
                query = select(access_keys).where(here, access_keys.c.master != current.id)
                stale = connection.execute(query.limit(_BATCH).with_for_update()).all()
                for row in stale:
                    wrapped = current.wrap(self._key(row), self._place("key", row.position))
                    place = (here, access_keys.c.position == row.position)
                    connection.execute(update(access_keys).where(*place).values(master=current.id, wrapped=wrapped))
            count += len(stale)
            if len(stale) < _BATCH:
                break
        if count:
            self._database.scrub(access_keys.name)
        return count

    # -- reading --------------------------------------------------------------------------------------------------

    def entries(
        self,
        *,
        subject: str | None = None,
        account: str | None = None,
        start: int = 0,
        end: int | None = None,
        limit: int | None = None,
    ) -> Iterator[KeptEntry]:
        """Entries in order: of all, or of one subject or account, without those of it that were erased.

        Args:
            subject: whose records.
            account: who asked.
            start: the first index.
            end: the index after the last one; all there are where none is given.
            limit: how many at most.

        Raises:
            LogDamagedError: an entry was altered in the database.
            StoreError: the database cannot be read now.
        """
        end = self.leaves.size if end is None else end
        while start < end and limit != 0:
            most = _BATCH if limit is None else min(limit, _BATCH)
            here = [access_entries.c.log == self.number, access_entries.c.position >= start]
            here.append(access_entries.c.position < end)
            if subject is not None:
                here.append(access_entries.c.subject == self._name("subject", subject))
            if account is not None:
                here.append(access_entries.c.account == self._name("account", account))
            with self._database.reading() as connection:
                query = _KEPT.where(*here).order_by(access_entries.c.position).limit(most)
                rows = connection.execute(query).all()
            yield from map(self._kept, rows)
            if len(rows) < most:
                return
            start = rows[-1].position + 1
            limit = None if limit is None else limit - len(rows)

    def lines(self, *, start: int = 0, end: int | None = None) -> Iterator[LogLine]:
        """A copy of the log for an auditor: see `medproof.access.export`.

        Raises:
            LogDamagedError, StoreError: as `entries`.
        """
        for kept in self.entries(start=start, end=end):
            yield LogLine(kept.promise, kept.opening, erased=kept.opening is None)

    def _kept(self, row: Row[Any]) -> KeptEntry:
        promise = Promise(self.custodian, self.number, bytes(row.leaf), row.due, bytes(row.promise), row.position)
        if row.erased is not None:
            return KeptEntry(promise, None)
        try:
            text = unseal(self._key(row), bytes(row.body), self._place("body", row.position))
            salt, length, rest = text[:SALT_LENGTH], text[SALT_LENGTH:][:_LENGTH], text[SALT_LENGTH + _LENGTH :]
            entry = AccessEntry.from_json(hashing.parse(rest[: int.from_bytes(length, "big")]))
        except (InvalidTag, AccessEntryError, JsonError, TypeError):
            raise LogDamagedError(self.number, f"entry {row.position} was altered") from None
        opening = Opening(entry, salt)
        if opening.commitment != promise.entry:
            raise LogDamagedError(self.number, f"leaf {row.position} is not the commitment to its entry")
        return KeptEntry(promise, opening)

    def _key(self, row: Row[Any]) -> bytes:
        try:
            return self._keys.unwrap(row.master, bytes(row.wrapped), self._place("key", row.position))
        except InvalidTag:
            raise LogDamagedError(self.number, f"the key of entry {row.position} was altered") from None

    def _name(self, what: str, address: str) -> bytes:
        """What stands for an account: who read whose records is not for a thief of the database."""
        return keyed_identifier(self._name_key, address.lower(), purpose=f"access:{what}:v1")

    def _place(self, what: str, index: int | None = None) -> bytes:
        """What a sealed text is bound to."""
        place = [f"medproof:access:{what}:v1", self.custodian, str(self.number)]
        return encode_parts(place if index is None else [*place, str(index)])

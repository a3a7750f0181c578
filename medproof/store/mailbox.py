"""A custodian's mailbox: sealed messages that wait to be read, as they came. Nobody here can open one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from eth_utils.crypto import keccak
from sqlalchemy import Connection, delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from medproof.errors import MailboxFullError
from medproof.store.database import Database
from medproof.store.schema import messages

__all__ = ["Mailbox", "Waiting"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that waits."""

    position: int  # in the order of arrival
    id: bytes  # keccak-256 of sender and body, 32 bytes
    sender: str  # the identity of the party that brought it; the envelope may name another
    received: datetime
    size: int  # bytes


class Mailbox:
    """The messages in a store's database. Threads and processes may share it."""

    def __init__(self, database: Database, *, most: int, most_bytes: int) -> None:
        """Use a database; `most` messages and `most_bytes` are kept of one sender, until they are removed."""
        self._database, self._most, self._most_bytes = database, most, most_bytes

    def put(self, sender: str, body: bytes, received: datetime) -> bytes:
        """Keep a message, and return its id; it is on disk then. The same one of the same sender is kept once.

        Raises:
            MailboxFullError: too much of this sender waits.
            StoreError: the database cannot take it now.
        """
        id_ = bytes(keccak(bytes.fromhex(sender[2:]) + body))
        try:
            with self._database.writing() as connection:
                if not self._has(connection, id_):
                    self._check_room(connection, sender, len(body))
                    connection.execute(
                        insert(messages).values(
                            id=id_,
                            sender=sender,
                            received=(received - _EPOCH) // _MICROSECOND,
                            size=len(body),
                            body=body,
                        )
                    )
        except IntegrityError:  # it came twice at this very moment
            pass
        return id_

    def waiting(self, *, limit: int, after: int = 0) -> tuple[Waiting, ...]:
        """Messages in the order in which they came, from the first after a position on."""
        columns = (messages.c.position, messages.c.id, messages.c.sender, messages.c.received, messages.c.size)
        found = select(*columns).where(messages.c.position > after).order_by(messages.c.position).limit(limit)
        with self._database.reading() as connection:
            return tuple(
                Waiting(row.position, bytes(row.id), row.sender, _EPOCH + row.received * _MICROSECOND, row.size)
                for row in connection.execute(found)
            )

    def get(self, id_: bytes) -> bytes | None:
        """A message as it came; None where none waits under this id."""
        with self._database.reading() as connection:
            body = connection.execute(select(messages.c.body).where(messages.c.id == id_)).scalar()
        return None if body is None else bytes(body)

    def remove(self, id_: bytes) -> bool:
        """Remove a message; whether there was one."""
        with self._database.writing() as connection:
            return connection.execute(delete(messages).where(messages.c.id == id_)).rowcount > 0

    @staticmethod
    def _has(connection: Connection, id_: bytes) -> bool:
        return connection.execute(select(messages.c.id).where(messages.c.id == id_)).one_or_none() is not None

    def _check_room(self, connection: Connection, sender: str, size: int) -> None:
        counted = select(func.count(), func.coalesce(func.sum(messages.c.size), 0)).where(messages.c.sender == sender)
        count, total = connection.execute(counted).one()
        if count >= self._most or total + size > self._most_bytes:
            raise MailboxFullError(sender)

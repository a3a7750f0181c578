"""What became of devices' readings, by device and number: what is final is never decided again.

A number is final when the reading was taken, or when a later one was. So a batch that comes twice is answered twice
and stored once, and nobody brings an old reading as a new one, whatever crashed between.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, Row, func, insert, select

from medproof.store.schema import readings, records

__all__ = ["Fate", "fate_of", "fates", "has_reading_of", "keep_fates", "last_number", "missing_numbers"]

_BATCH = 500  # numbers of one statement


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one reading."""

    device: str  # the account of its key
    number: int
    pointer: bytes  # id of the pointer to its record: another reading under the same number has another
    position: int | None  # of its leaf in the log of readings; None where it was refused
    code: str | None  # why it was refused; None where it was taken


def last_number(connection: Connection, device: str) -> int:
    """The highest number of a device that is final; 0 for none."""
    return connection.execute(select(func.max(readings.c.number)).where(readings.c.device == device)).scalar() or 0


def fates(connection: Connection, device: str, numbers: Iterable[int]) -> dict[int, Fate]:
    """What became of the readings of a device with these numbers, as far as they came."""
    found: dict[int, Fate] = {}
    wanted = sorted(set(numbers))
    for start in range(0, len(wanted), _BATCH):
        some = readings.c.number.in_(wanted[start : start + _BATCH])
        rows = connection.execute(select(readings).where(readings.c.device == device, some))
        found.update((row.number, _fate(row)) for row in rows)
    return found


def fate_of(connection: Connection, pointer: bytes) -> Fate | None:
    """The reading that a record is; None where it is none that was taken."""
    taken = select(readings).where(readings.c.pointer == pointer, readings.c.code.is_(None))
    row = connection.execute(taken).one_or_none()
    return _fate(row) if row is not None else None


def has_reading_of(connection: Connection, device: str, subject: str) -> bool:
    """Whether a reading of a device is kept that is about a subject."""
    about = (
        select(readings.c.number)
        .join(records, records.c.pointer == readings.c.pointer)
        .where(readings.c.device == device, readings.c.code.is_(None), records.c.subject == subject)
    )
    return connection.execute(about.limit(1)).scalar() is not None


def keep_fates(connection: Connection, added: Iterable[Fate]) -> None:
    """Keep what became of readings.

    Raises:
        IntegrityError: one of them was final.
    """
    rows = [
        {
            "device": one.device,
            "number": one.number,
            "pointer": one.pointer,
            "position": one.position,
            "code": one.code,
        }
        for one in added
    ]
    if rows:
        connection.execute(insert(readings), rows)


def missing_numbers(connection: Connection, device: str, *, limit: int) -> tuple[tuple[int, int], ...]:
    """The runs of numbers that never came before a device's last one, first and last of each; the newest runs."""
    before = func.lag(readings.c.number, 1, 0).over(order_by=readings.c.number).label("before")
    steps = select(readings.c.number, before).where(readings.c.device == device).subquery()
    gaps = select(steps).where(steps.c.number > steps.c.before + 1).order_by(steps.c.number.desc()).limit(limit)
    return tuple((row.before + 1, row.number - 1) for row in reversed(connection.execute(gaps).all()))


def _fate(row: Row[tuple[object, ...]]) -> Fate:
    return Fate(row.device, row.number, bytes(row.pointer), row.position, row.code)

"""Readings of patients' devices: taken into the store and its log in one transaction, and each proved by itself.

A reading that was taken is a record, a leaf of the custodian's log of readings, and a final number of its device, all
of it or nothing. Its pointer is posted and its leaf anchored by threads that start from what is stored, so that a crash
at any point loses nothing and doubles nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection

from medproof import hashing
from medproof.anchoring import Anchorer, Home, LeafLog
from medproof.chain import Sender
from medproof.client import MedProof
from medproof.client.record_pointers import PointerKey
from medproof.errors import (
    GatekeeperRefusalError,
    MedProofError,
    ReadingError,
    ReadingRefusedError,
)
from medproof.fhir.period import data_period
from medproof.gateway.limits import RateLimit
from medproof.gateway.moment import Head, Moment
from medproof.gateway.outcome import not_found
from medproof.gateway.posting import Poster
from medproof.gateway.settings import Settings
from medproof.leaf_proof import LeafProof
from medproof.policy.codes import DataClass
from medproof.policy.device import Device
from medproof.reading import REFUSALS, Reading, check_reading, check_signature
from medproof.reading_proof import ReadingProof
from medproof.store import Query, SqlStore
from medproof.store.readings import (
    Fate,
    fate_of,
    fates,
    has_reading_of,
    keep_fates,
    last_number,
    missing_numbers,
)
from medproof.store.sql_store import Prepared

__all__ = ["Answer", "Outcome", "Readings", "Standing"]

_MOST_GAPS = 100  # runs of missing numbers that are shown


@dataclass(frozen=True)
class Outcome:
    """What became of one reading of a batch."""

    reading: Reading
    fate: Fate
    said: str  # why it was refused; empty where it was taken


@dataclass(frozen=True)
class Answer:
    """What became of a batch."""

    device: str
    last: int  # the highest number that is final, where something new came; else the batch's own highest
    outcomes: tuple[Outcome, ...]  # in the order of the batch


@dataclass(frozen=True)
class Standing:
    """What has come of a device so far."""

    device: str
    last: int  # the highest number that is final
    missing: tuple[tuple[int, int], ...]  # runs of numbers below it that never came, first and last; the newest ones


@dataclass(frozen=True)
class _Judged:
    """A reading of the device's, before its number is looked at."""

    reading: Reading
    pointer: PointerKey
    code: str | None = None  # why it may not be taken, whatever its number
    said: str = ""  # the sentence to that
    record: Prepared | None = None  # what to store; None where it may not be, or is stored


class Readings:
    """Takes the readings of devices for one custodian, and proves each."""

    def __init__(
        self,
        suite: MedProof,
        store: SqlStore,
        settings: Settings,
        *,
        head: Head,
        poster: Poster,
        sender: Sender,
        accounts: RateLimit,
        trouble: Callable[[MedProofError], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take readings into a store; the log of readings stands in its database.

        Args:
            suite: the suite on its chain.
            store: the custodian's records.
            settings: how the gatekeeper works.
            head: the moment to decide by.
            poster: posts the pointers.
            sender: the custodian's account, which anchors the log.
            accounts: how much one device may send.
            trouble: told what keeps the log from being anchored.
            clock: seconds since 1970.
        """
        self._suite, self._store, self._settings, self._head = suite, store, settings, head
        self._poster, self._accounts, self._clock = poster, accounts, clock
        self._domain = suite.devices.reading_domain
        self.log = LeafLog(store.database, number=settings.readings_log)
        self.anchorer = Anchorer(
            suite,
            self.log,
            sender,
            trouble=trouble,
            interval=settings.anchor_interval,
            consistent=settings.anchor_consistently,
        )

    def start(self) -> None:
        """Begin to anchor, with what an earlier process left."""
        self.anchorer.start()

    def stop(self) -> None:
        """Anchor what is left, if the chain takes it now, and end."""
        self.anchorer.stop()

    # -- taking -------------------------------------------------------------------------------------------------

    def take(self, device: str, body: bytes) -> Answer:
        """Take a batch of readings: what is taken is on disk when this returns, and what is final stays as it is.

        Each reading has an outcome of its own, in the order of the batch: one that may not be taken does not hold up
        those that follow. A batch that comes again is answered as before. One that the device did not sign in all its
        parts is nobody's batch, and refused as a whole.

        Raises:
            GatekeeperRefusalError: it is no batch, is not the device's, or cannot be decided now; nothing was taken.
            JsonError: it is no JSON.
            StoreError: it could not be stored, or its answer was lost: the device sends it again.
        """
        batch = self._batch(device, body)
        self._accounts.take(device)
        moment = self._head.now()
        subject = batch[0].subject
        registration = moment.device(subject, device)
        if registration is None:
            moment.confirm()
            raise GatekeeperRefusalError(403, "DEVICE_UNKNOWN", REFUSALS["DEVICE_UNKNOWN"])
        self._require_patient(subject)
        with self._store.database.reading() as connection:
            known = fates(connection, device, (one.number for one in batch))
        judged = [self._judge(moment, registration, one, known.get(one.number)) for one in batch]
        moment.confirm()
        answer = self._store_batch(device, judged)
        for one, outcome in zip(judged, answer.outcomes, strict=True):
            # One that came before has its pointer by now, unless the process that took it is gone.
            if outcome.fate.code is None and (one.record is not None or moment.pointer(one.pointer) is None):
                self._poster.add(one.pointer)
        return answer

    def standing(self, device: str, *, subject: str | None = None) -> Standing:
        """What has come of a device.

        For a subject, nothing as long as no reading of the device is about it: anybody may register any device, and how
        often another one measures is not for it to see.

        Raises:
            StoreError: the database cannot be read now.
        """
        with self._store.database.reading() as connection:
            if subject is not None and not has_reading_of(connection, device, subject):
                return Standing(device, 0, ())
            last = last_number(connection, device)
            return Standing(device, last, missing_numbers(connection, device, limit=_MOST_GAPS))

    def prove(self, pointer: PointerKey) -> ReadingProof:
        """Return a reading with its place in the log as it was anchored last; with none where that is still to come.

        Raises:
            GatekeeperRefusalError: the record is no reading.
            StoreError: the database cannot be read now, or the record was erased meanwhile.
        """
        with self._store.database.reading() as connection:
            fate = fate_of(connection, pointer.id)
        if fate is None or fate.position is None:
            raise not_found()
        stored = self._store.get_pointed(pointer.id)
        signed = hashing.parse(stored.attachment)
        assert isinstance(signed, dict)
        salt = f"0x{stored.salt.hex()}"
        reading = Reading.from_json({**signed, "observation": stored.resource.content, "salt": salt})
        return ReadingProof(reading, self._leaf(pointer, fate.position))

    # -- inside -------------------------------------------------------------------------------------------------

    def _require_patient(self, subject: str) -> None:
        """Refuse the readings of who is no patient here: any account can register a device, and each reading costs the
        custodian gas. A patient is who has a record, of which a device cannot bring the first."""
        if subject in self._settings.patients:
            return
        if not self._store.search(Query(subjects=(subject,)), limit=1).entries:
            said = "The custodian has no record of this subject. Have it post one first, then send the batch again."
            raise GatekeeperRefusalError(403, "SUBJECT_UNKNOWN", said)

    def _batch(self, device: str, body: bytes) -> list[Reading]:
        value = hashing.parse(body)
        given = value.get("readings") if isinstance(value, dict) and set(value) == {"readings"} else None
        most = self._settings.most_readings
        if not isinstance(given, list) or not given:
            raise GatekeeperRefusalError(400, "BATCH", 'A batch is {"readings": […]}, with one reading or more.')
        if len(given) > most:
            raise GatekeeperRefusalError(413, "BATCH_TOO_LONG", f"A batch has at most {most} readings: split it.")
        batch: list[Reading] = []
        for place, one in enumerate(given):  # one by one: what nobody signed is not worth looking at the rest
            try:
                reading = Reading.from_json(one)
            except ReadingError as error:
                raise GatekeeperRefusalError(400, "READING", f"readings[{place}]: {error}") from None
            if (reading.device, reading.subject) != (device, batch[0].subject if batch else reading.subject):
                said = "A batch is of the device of its path, and for one subject. Send one batch for each."
                raise GatekeeperRefusalError(400, "BATCH", said)
            try:
                check_signature(reading, self._domain)
            except ReadingRefusedError as refusal:
                raise GatekeeperRefusalError(401, refusal.code, f"Reading {reading.number}: {refusal}") from None
            batch.append(reading)
        return batch

    def _judge(self, moment: Moment, registration: Device, reading: Reading, known: Fate | None) -> _Judged:
        """What may become of a reading, whatever its number."""
        pointer = PointerKey(reading.subject, reading.custodian, reading.commitment)
        if known is not None and known.pointer == pointer.id:
            return _Judged(reading, pointer)
        now = datetime.fromtimestamp(max(moment.block.timestamp, self._clock()), UTC)
        try:
            record, classes = check_reading(
                reading, registration, custodian=self.anchorer.publisher, now=now, skew=self._settings.clock_skew
            )
        except ReadingRefusedError as refusal:
            return _Judged(reading, pointer, refusal.code, str(refusal))
        first, last = data_period(record) or (None, None)
        signed = {name: one for name, one in reading.to_json().items() if name not in ("observation", "salt")}
        prepared = self._store.prepare(
            pointer,
            record,
            reading.salt,
            data_class=DataClass(classes.value & -classes.value),  # a pointer has one; a decision asks for them all
            days=(first, last) if first is not None and last is not None else None,
            attachment=hashing.canonical(signed),
        )
        return _Judged(reading, pointer, record=prepared)

    def _store_batch(self, device: str, judged: Sequence[_Judged]) -> Answer:
        """Store what may be taken, in one transaction; nobody else's batch comes between."""
        answer = Answer(device, 0, ())

        def make(connection: Connection, first: int, _: bytes | None) -> list[bytes]:
            nonlocal answer
            last = last_number(connection, device)
            final = fates(connection, device, (one.reading.number for one in judged))
            outcomes: list[Outcome] = []
            new: list[_Judged] = []
            kept: dict[int, Fate] = {}
            for one in judged:
                number = one.reading.number
                fate = final.get(number)
                if fate is not None and fate.pointer == one.pointer.id:
                    pass  # as before
                elif number <= last:
                    fate = Fate(device, number, one.pointer.id, None, "NUMBER")
                elif one.record is None:
                    fate = Fate(device, number, one.pointer.id, None, one.code)
                    kept.setdefault(number, fate)
                else:
                    fate = Fate(device, number, one.pointer.id, first + len(new), None)
                    kept[number] = final[number] = fate
                    new.append(one)
                    last = number
                said = one.said if fate.code == one.code else REFUSALS[fate.code or "NUMBER"]
                outcomes.append(Outcome(one.reading, fate, said))
            self._store.put_new(connection, [one.record for one in new if one.record is not None])
            keep_fates(connection, (one for one in kept.values() if one.number <= last))
            if all(one.record is None and one.code is None for one in judged):  # nothing that did not come before
                last = max(one.reading.number for one in judged)  # whoever has a proof may send it, and learns no more
            answer = Answer(device, last, tuple(outcomes))
            return [one.pointer.commitment for one in new]

        self.log.write(make)
        return answer

    def _leaf(self, pointer: PointerKey, position: int) -> LeafProof | None:
        anchor = self._suite.batch_anchor
        home = Home(anchor.chain.chain_id, anchor.address, pointer.origin)
        return self.log.prove(pointer.commitment, position, home)

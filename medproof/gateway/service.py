"""The gatekeeper itself, without HTTP: who may have which records, and new records on their way to the chain."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from medproof import fhir
from medproof.access.entry import Access, Ground, RecordAccess
from medproof.access.entry_log import EntryLog
from medproof.anchoring import Anchorer
from medproof.chain import Sender
from medproof.client import MedProof
from medproof.client.record_pointers import Pointer, PointerKey
from medproof.errors import (
    ArgumentError,
    GatekeeperRefusalError,
    MedProofError,
    RecordErasedError,
    RecordUnknownError,
)
from medproof.fhir import Resource
from medproof.gateway.authentication import Authenticator, Caller
from medproof.gateway.consent import Consents, Verdict
from medproof.gateway.limits import RateLimit
from medproof.gateway.moment import Head, Moment, unavailable
from medproof.gateway.outcome import not_found
from medproof.gateway.posting import Poster, queue_for
from medproof.gateway.proof import Proof
from medproof.gateway.readings import Readings
from medproof.gateway.sessions import Sessions
from medproof.gateway.settings import Settings
from medproof.gateway.taking import arrive
from medproof.policy.evaluation import Reason
from medproof.policy.explanation import explain
from medproof.sending import TransactionManager
from medproof.store import Entry, Query, RecordStore, SqlStore, StoredRecord
from medproof.store.mailbox import Mailbox

__all__ = ["Gatekeeper", "Listed", "Results", "Served"]

_SCAN = 100  # records that are opened at once


@dataclass(frozen=True)
class Served:
    """A record that may be handed over, with its proof."""

    record: Resource
    proof: Proof


@dataclass(frozen=True)
class Listed:
    """A pointer to a record that may be had."""

    entry: Entry
    pointer: Pointer
    id: str  # the record's FHIR id


@dataclass(frozen=True)
class Results:
    """A page of records that may be handed over; nothing tells how many may not."""

    served: tuple[Served, ...]
    listed: tuple[Listed, ...]  # the same records as pointers
    cursor: str | None  # for the next page; None where nothing more may be had
    moment: Moment  # as of when it was decided


class Gatekeeper:
    """One custodian's gatekeeper."""

    def __init__(
        self,
        suite: MedProof,
        store: RecordStore,
        settings: Settings,
        *,
        sender: Sender | None = None,
        entry_log: EntryLog | None = None,
        audit: Callable[[Access], object] = lambda access: None,
        trouble: Callable[[MedProofError], None] = lambda error: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Guard a store.

        Args:
            suite: the suite on its chain; its node should answer or fail within seconds.
            store: the custodian's records.
            settings: how it works.
            sender: the custodian's account, which posts pointers through a queue of its own (`Settings.queue`);
                without one no records are taken.
            entry_log: keeps an entry of each request that is served or refused to a known account, before the answer
                goes out; where it cannot, nothing goes. Anchored where there is a sender, else by whoever runs its
                `Anchorer`.
            audit: told of each of them as well; where it raises, nothing goes.
            trouble: told what keeps pointers from being posted, and the log from being anchored.
            clock: seconds since 1970.

        Raises:
            ArgumentError: the access log has the number of the log of readings, or the queue has no place.
            QueueError: the queue cannot be used.
            SigningNeededError: the sender cannot sign here.
            NodeError: nobody answers.
        """
        self.settings = settings
        self._suite, self._store, self._audit, self._clock = suite, store, audit, clock
        self._sender, self.entry_log = sender, entry_log
        self._origin: str | None = None
        self._consents = Consents(settings.documents, settings.plain_terms)
        self.accounts = RateLimit(settings.account_rate, settings.account_burst)
        self.head = Head(
            suite,
            finality=settings.finality,
            max_age=settings.max_block_age,
            refresh=settings.refresh,
            places=store.batches.place,
            clock=clock,
        )
        self.authenticator = Authenticator(
            suite,
            settings.origin,
            longest=settings.longest_lifetime,
            skew=settings.clock_skew,
            signature_gas=settings.signature_gas,
            clock=clock,
        )
        self.sessions = Sessions(suite, settings.origin, signature_gas=settings.signature_gas, clock=clock)
        size, wait = settings.batch_size, settings.batch_wait
        self.manager = (
            None if sender is None else TransactionManager(suite.chain, queue_for(store, settings.queue), [sender])
        )
        self.poster = (
            Poster(suite, store, self.head, self.manager, batch_size=size, batch_wait=wait, trouble=trouble)
            if self.manager is not None
            else None
        )
        self.anchorer = (
            Anchorer(
                suite,
                entry_log.leaves,
                self.manager.sender(),
                trouble=trouble,
                interval=settings.anchor_interval,
                consistent=settings.anchor_consistently,
            )
            if self.manager is not None and entry_log is not None
            else None
        )
        self.mailbox: Mailbox | None = None
        if sender is not None and isinstance(store, SqlStore):
            most, most_bytes = settings.mailbox_messages, settings.mailbox_bytes
            self.mailbox = Mailbox(store.database, most=most, most_bytes=most_bytes)
        self.readings: Readings | None = None
        if (
            self.manager is not None
            and self.poster is not None
            and isinstance(store, SqlStore)
            and store.kind == SqlStore.kind
        ):
            if entry_log is not None and entry_log.number == settings.readings_log:
                raise ArgumentError(
                    f"Log {entry_log.number} cannot be both the access log and the log of readings. Give one of them "
                    "another number."
                )
            self.readings = Readings(
                suite,
                store,
                settings,
                head=self.head,
                poster=self.poster,
                sender=self.manager.sender(),
                accounts=self.accounts,
                trouble=trouble,
                clock=clock,
            )

    def start(self) -> None:
        """Learn who the custodian is, and begin to post.

        Raises:
            GatekeeperRefusalError: the sender acts for no party, or the log is not open for what it promises.
            AnchorMismatchError: the chain has another log under the number of one of the logs.
            NodeError: nobody answers.
        """
        if self._sender is not None and self._origin is None:
            party = self._suite.registrar.party(self._sender.address)
            if party is None:
                raise GatekeeperRefusalError(
                    503,
                    "NO_CUSTODIAN",
                    f"{self._sender.address} acts for no party. Have it accredited, then start again.",
                )
            self._origin = party.id
        if self.entry_log is not None:
            self._check_log(self.entry_log)
        for anchorer in (self.anchorer, self.readings.anchorer if self.readings is not None else None):
            if anchorer is not None:
                anchorer.recover()  # what is promised of a log that the chain has otherwise could not be kept
        for worker in (self.poster, self.anchorer, self.readings):
            if worker is not None:
                worker.start()

    def stop(self) -> None:
        """End the work on the chain; nothing that was accepted is lost."""
        for worker in (self.poster, self.anchorer, self.readings):
            if worker is not None:
                worker.stop()

    def close(self) -> None:
        """Let go of the queue; what is in it stays."""
        if self.manager is not None:
            self.manager.close()

    def _check_log(self, log: EntryLog) -> None:
        """Make sure that what the log promises counts."""
        opened = self._suite.access_log.signer(log.custodian, log=log.number)
        if opened is None or opened != log.signer or self._origin not in (None, log.custodian):
            raise GatekeeperRefusalError(
                503,
                "LOG_NOT_OPEN",
                f"Log {log.number} of {log.custodian} is not open for promises of {log.signer}. Open it with medproof "
                "access open, or name the key and the custodian that it was opened with.",
            )

    def admit(self, authorization: str, method: str, target: str, body: bytes, claims: dict[str, str]) -> Caller:
        """Return who asks; see `Authenticator.check`.

        Raises:
            GatekeeperRefusalError: nobody who may, or too often.
        """
        caller = self.authenticator.check(authorization, method, target, body, claims)
        self.accounts.take(caller.account)
        return caller

    @property
    def custodian(self) -> str | None:
        """The identity of the party that it takes records and messages for, once it has started."""
        return self._origin

    def identity(self, caller: Caller) -> str:
        """The identity of the active party that a caller acts for.

        Raises:
            GatekeeperRefusalError: it acts for none, or that cannot be decided now.
        """
        moment = self.head.now()
        party = moment.standing(caller.account)
        moment.confirm()
        if party is None:
            raise GatekeeperRefusalError(403, Reason.INACTIVE_PARTY.name, explain(Reason.INACTIVE_PARTY))
        return party.id

    def ready(self) -> None:
        """Make sure that chain and store answer.

        Raises:
            GatekeeperRefusalError, StoreError: one of them does not.
        """
        self.head.now()
        self._store.check()

    # -- serving ------------------------------------------------------------------------------------------------

    def read(self, caller: Caller, resource_type: str, id_: str) -> Served:
        """Return one record.

        Raises:
            GatekeeperRefusalError: it may not be had, or cannot be decided now.
            StoreError: the store does not answer.
        """
        moment = self.head.now()
        party = moment.standing(caller.account)
        try:
            stored = self._store.get(resource_type, id_)
        except (RecordUnknownError, RecordErasedError):
            stored = None
        subjects = (stored.entry.pointer.subject,) if stored is not None else ()
        if party is None and not self._sees(moment, caller, *subjects):
            self._refuse_inactive(moment, caller, "read", *subjects)
        pointer = self._held(moment, stored.entry.pointer) if stored is not None else None
        if stored is None or pointer is None:
            moment.confirm()
            self._note(caller, moment, "read", None, "NOT_FOUND", permitted=False)
            raise not_found()
        verdict = self._decide(moment, caller, stored)
        moment.confirm()
        served = ((pointer.key, verdict),) if verdict.permitted else ()
        subject = stored.entry.pointer.subject
        self._note(caller, moment, "read", subject, verdict.reason, permitted=verdict.permitted, served=served)
        if not verdict.permitted:
            raise GatekeeperRefusalError(403, verdict.reason, verdict.said) if verdict.told else not_found()
        return _served(stored, pointer, moment, verdict)

    def search(
        self, caller: Caller, query: Query, *, count: int, cursor: str | None = None, action: str = "search"
    ) -> Results:
        """Return a page of one subject's records that the caller may have; what it may not is not there.

        Raises:
            GatekeeperRefusalError: it cannot be decided now, or the caller is no party.
            StoreError: the store does not answer.
            CursorError: the cursor is not of this search.
        """
        moment = self.head.now()
        if moment.standing(caller.account) is None and not self._sees(moment, caller, *query.subjects):
            self._refuse_inactive(moment, caller, action, *query.subjects)
        page: list[tuple[StoredRecord, Pointer, Verdict]] = []
        last: tuple[str | None, int] | None = None  # where the last one of the page stands in the store's own pages
        more = False
        for place, stored in self._scan(moment, caller, query, cursor):
            pointer = self._held(moment, stored.entry.pointer)
            verdict = self._decide(moment, caller, stored) if pointer is not None else None
            if verdict is not None and verdict.hopeless:  # else a question to the node for each record, for nothing
                break
            if pointer is None or verdict is None or not verdict.permitted:
                continue
            if len(page) == count:
                more = True
                break
            page.append((stored, pointer, verdict))
            last = place
        moment.confirm()
        reason = Reason.PERMITTED.name if page else "NOTHING"
        served = [(pointer.key, verdict) for _, pointer, verdict in page]
        [subject] = query.subjects
        self._note(caller, moment, action, subject, reason, permitted=True, served=served)
        next_cursor = None
        if more and last is not None:
            start, index = last
            next_cursor = self._store.search(query, limit=index + 1, cursor=start).cursor
        return Results(
            tuple(_served(stored, pointer, moment, verdict) for stored, pointer, verdict in page),
            tuple(Listed(stored.entry, pointer, str(stored.resource.id)) for stored, pointer, _ in page),
            next_cursor,
            moment,
        )

    def _scan(
        self, moment: Moment, caller: Caller, query: Query, cursor: str | None
    ) -> Iterator[tuple[tuple[str | None, int], StoredRecord]]:
        """Yield what a query finds, each with the store's cursor before its page and its place in that page.

        The chain is asked about the first by itself, which may say enough of all; about the others of a page at once.
        """
        while True:
            page = self._store.search(query, limit=_SCAN, cursor=cursor)
            opened = {stored.entry.pointer.id: stored for stored in self._store.open(page.entries)}
            for index, entry in enumerate(page.entries):
                if index == (1 if cursor is None else 0):
                    others = [(one.entry.pointer, one.resource) for one in opened.values()]
                    self._consents.prepare(moment, caller.account, others, caller.claims)
                stored = opened.get(entry.pointer.id)
                if stored is not None:
                    yield (cursor, index), stored
            cursor = page.cursor
            if cursor is None:
                return

    def _held(self, moment: Moment, key: PointerKey) -> Pointer | None:
        """A pointer on the chain whose record this custodian holds: custody may have passed to another, or not yet."""
        pointer = moment.pointer(key)
        return pointer if pointer is not None and self._origin in (None, pointer.custodian) else None

    def _decide(self, moment: Moment, caller: Caller, stored: StoredRecord) -> Verdict:
        subject = stored.entry.pointer.subject
        return self._consents.decide(moment, subject, caller.account, stored.resource, caller.claims)

    @staticmethod
    def _sees(moment: Moment, caller: Caller, *subjects: str) -> bool:
        """Whether the caller may see these subjects' records without being a party: as the subject or its delegate."""
        account = caller.account
        return bool(subjects) and all(account == one or moment.is_delegate(one, account) for one in subjects)

    def check_subject(self, caller: Caller, subject: str) -> None:
        """Make sure that the caller is a subject, or its delegate who may view for it.

        Raises:
            GatekeeperRefusalError: it is neither, or that cannot be decided now.
        """
        moment = self.head.now()
        if not self._sees(moment, caller, subject):
            moment.confirm()
            said = "Only the subject and its delegates see this. Sign as one of them."
            raise GatekeeperRefusalError(403, "NOT_THE_SUBJECT", said)
        moment.confirm()

    def _refuse_inactive(self, moment: Moment, caller: Caller, action: str, subject: str | None = None) -> None:
        reason = Reason.INACTIVE_PARTY
        moment.confirm()
        self._note(caller, moment, action, subject, reason.name, permitted=False)
        raise GatekeeperRefusalError(403, reason.name, explain(reason))

    # -- taking records -----------------------------------------------------------------------------------------

    def check_writer(self, caller: Caller) -> None:
        """Make sure that an account may post records.

        Raises:
            GatekeeperRefusalError: it is no writer of the custodian, or nobody posts its pointers.
        """
        if self.poster is None or caller.account not in self.settings.writers:
            self._note(caller, None, "create", None, "WRITER", permitted=False)
            raise GatekeeperRefusalError(403, "WRITER", "This account may not post records here. Ask the custodian.")

    def create(
        self, caller: Caller, resource_type: str, subject: str, body: bytes, *, key: str | None = None
    ) -> StoredRecord:
        """Take a new record: it is on disk when this returns, and its pointer is posted as soon as the chain answers.

        Args:
            caller: one of the custodian's writers.
            resource_type: as the path says.
            subject: the patient's pseudonym.
            body: the record.
            key: what the caller knows the record by. The same record under the same key again is the one that was
                taken, so that a caller whom no answer reached may repeat.

        Raises:
            GatekeeperRefusalError: the caller is no writer of the custodian, the record is of another type, or the key
                is another record's.
            JsonError, RecordError: it is no FHIR R4 record, or one that no rule can speak of.
            StoreError: it could not be stored.
        """
        self.check_writer(caller)
        if self.poster is None or self._origin is None:
            raise unavailable("The gatekeeper has not started.")
        given = fhir.load(body)
        if given.resource_type != resource_type:
            raise GatekeeperRefusalError(
                422, "RESOURCE_TYPE", f"The record is no {resource_type}. Post it to the path of its own type."
            )
        arrival = arrive(self._store, self._origin, subject, given, key=key, by=caller.account)
        writer = Verdict("WRITER", "The custodian's own.", permitted=True, told=True)
        served = ((arrival.pointer, writer),)
        self._note(caller, None, "create", subject, writer.reason, permitted=True, served=served)
        stored = arrival.put(self._store)
        if arrival.before is None:
            self.poster.add(stored.entry.pointer)
        return stored

    def _note(
        self,
        caller: Caller,
        moment: Moment | None,
        action: str,
        subject: str | None,
        reason: str,
        *,
        permitted: bool,
        served: Sequence[tuple[PointerKey, Verdict]] = (),
    ) -> None:
        """Log an access, and promise the caller that it is; without its trace nothing is served."""
        if self.anchorer is not None and self.anchorer.mismatch is not None:  # a promise that could not be kept
            raise unavailable("The access log is not the one on chain.", code="AUDIT_UNAVAILABLE")
        party = moment.standing(caller.account) if moment is not None else None
        records = [
            RecordAccess(key.id, Ground.of(verdict.reason, verdict.grantee, verdict.rule)) for key, verdict in served
        ]
        access = Access(
            when=datetime.fromtimestamp(self._clock(), UTC),
            account=caller.account,
            party=party.id if party else None,
            signed=caller.signed,
            purposes=caller.claims.purposes,
            actions=caller.claims.actions,
            research=caller.claims.research,
            action=action,
            subject=subject,
            records=tuple(records),
            permitted=permitted,
            reason=reason,
            block=moment.block.number if moment else None,
            block_hash=moment.block.hash if moment else None,
        )
        try:
            if self.entry_log is not None:
                caller.promises.append(self.entry_log.add(access))
            self._audit(access)
        except Exception as error:  # whatever it is, the answer does not go out
            raise unavailable("The access log takes no entry.", code="AUDIT_UNAVAILABLE") from error


def _served(stored: StoredRecord, pointer: Pointer, moment: Moment, verdict: Verdict) -> Served:
    block = moment.block
    return Served(stored.resource, Proof.of(pointer, stored.salt, block.number, block.hash, verdict.reason))

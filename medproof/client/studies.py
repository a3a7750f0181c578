"""The Studies: what each asks for, who takes part in it, whose data a cohort was, and what results there are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import IntEnum
from functools import cached_property
from typing import Any

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from medproof import messages
from medproof.chain import Receipt, Sender, UnclearAnswerError
from medproof.client.contract import SENDER, Agreement, ContractClient, SignedMessage, agree, day_number
from medproof.decoding import Event
from medproof.errors import StudyError
from medproof.fixed_cohort import Cohort, Membership
from medproof.policy.evaluation import Reason
from medproof.policy.study import StudyDocument
from medproof.policy.word import EPOCH_DAY, Request, decode_request
from medproof.signing import Signer

__all__ = ["Choice", "FixedCohortRecord", "Result", "Studies", "Study", "StudyState", "Use", "Verdict"]

_HOUR = 3600
_LAST_SEQUENCE = 0xFFFF  # kept for opting out
_CALLS_AT_ONCE = 100  # in one request; providers limit it
_CHOICES = ("OptedIn", "OptedOut")
_EVENTS = ("StudyRegistered", *_CHOICES, "CohortFixed", "ResultPublished", "StudyClosed", "ApprovalWithdrawn")
_BOOLEAN = re.compile("0x0{63}[01]", re.ASCII)
_STUDY = "(address,uint256,bytes32,bytes32,uint16,uint16,address[])"
_CHOICE_TIMES, _TIME = 17, 40  # where the times of a choice begin, and how many bits each has
_IN = 1 << 16


class StudyState(IntEnum):
    """What a study is on a day."""

    UNKNOWN = 0
    PLANNED = 1  # its first day is still to come
    OPEN = 2
    OVER = 3  # its last day is past
    CLOSED = 4  # by its researcher, for good
    APPROVAL_WITHDRAWN = 5  # by the authority, for good

    @property
    def plain(self) -> str:
        """In words."""
        return self.name.lower().replace("_", " ")


class Use(IntEnum):
    """Whether a study may use a subject's data, and if not, what is missing first."""

    PERMITTED = 0
    STUDY_NOT_OPEN = 1
    NOT_OPTED_IN = 2
    NO_CONSENT = 3


@dataclass(frozen=True)
class Study:
    """A study as the chain knows it: the struct `Study` of the contract."""

    researcher: str  # identity of the party that does it
    request: int  # what it asks for, as a word with every field filled in
    protocol: bytes  # 32 bytes, the salted hash of the protocol
    ethics: bytes  # 32 bytes, the salted hash of the ethics approval
    first_day: date
    last_day: date
    custodians: tuple[str, ...]  # identities of those who may be asked, ascending

    @classmethod
    def of(cls, document: StudyDocument) -> Study:
        """The study that a document is of."""
        return cls(
            researcher=document.researcher,
            request=document.request_word,
            protocol=document.protocol_commitment,
            ethics=document.ethics_commitment,
            first_day=document.starts,
            last_day=document.ends,
            custodians=document.custodians,
        )

    @cached_property
    def id(self) -> bytes:
        """Its id, 32 bytes: the hash of all of it."""
        return keccak(encode([_STUDY], [self.as_tuple()]))

    @property
    def asks(self) -> Request:
        """What it asks for."""
        return decode_request(self.request)

    def as_tuple(self) -> tuple[object, ...]:
        """The study as the contract takes it."""
        days = day_number(self.first_day), day_number(self.last_day)
        return (self.researcher, self.request, self.protocol, self.ethics, *days, self.custodians)

    def differences(self, document: StudyDocument) -> tuple[str, ...]:
        """What a document says otherwise: names of fields."""
        other = Study.of(document)
        return tuple(name for name in self.__dataclass_fields__ if getattr(self, name) != getattr(other, name))


@dataclass(frozen=True)
class Choice:
    """What a subject chose about a study."""

    opted_in: bool
    sequence: int  # counts its choices
    changes: tuple[datetime, ...]  # when it changed its mind, the last five times, the latest first

    def at(self, moment: datetime) -> bool:
        """Whether it had chosen to take part, as far back as its changes are kept."""
        standing = self.opted_in
        for change in self.changes:
            if change <= moment:
                return standing
            standing = not standing
        return False


@dataclass(frozen=True)
class Verdict:
    """Whether a study may use a subject's data, as the contract says it."""

    use: Use
    state: StudyState
    consent: Reason  # what the ConsentRegistry decides
    block: int  # as of which it holds

    @property
    def permitted(self) -> bool:
        """Whether it may."""
        return self.use is Use.PERMITTED


@dataclass(frozen=True)
class FixedCohortRecord:
    """A cohort that was fixed."""

    cohort: Cohort
    fixed: int  # the block in which it was
    block_checked: bool  # whether the chain still knew the hash of the block as of which it is


@dataclass(frozen=True)
class Result:
    """One custodian's answer over a cohort: the struct `Result` of the contract."""

    cohort: bytes  # the cohort's id, 32 bytes
    custodian: str  # identity of the party that answered
    commitment: bytes  # 32 bytes, the salted hash of the answer, an aggregate

    @property
    def id(self) -> bytes:
        """Its id, 32 bytes."""
        return keccak(encode(["bytes32", "address", "bytes32"], list(self.as_tuple())))

    def as_tuple(self) -> tuple[bytes, str, bytes]:
        """The result as the contract takes it."""
        return (self.cohort, self.custodian, self.commitment)


class Studies(ContractClient):
    """The studies. A researcher sends its steps; a subject or its delegate signs its choice, and anyone relays it."""

    name = "Studies"
    signed_functions = ("optIn", "optOut")

    # -- as the researcher --------------------------------------------------------------------------------------

    def register(self, study: Study, *, sender: Sender | None = None) -> Receipt:
        """Register a study; the sender acts for its researcher."""
        return self._transact("register", study.as_tuple(), sender=sender)

    def close(self, study: bytes, *, sender: Sender | None = None) -> Receipt:
        """Close a study for good, by its id; the sender acts for its researcher."""
        return self._transact("close", study, sender=sender)

    def withdraw_approval(self, study: bytes, *, sender: Sender | None = None) -> Receipt:
        """End a study for good because its ethics approval is withdrawn; the sender has that role."""
        return self._transact("withdrawApproval", study, sender=sender)

    def fix_cohort(self, cohort: Cohort, *, sender: Sender | None = None) -> Receipt:
        """Fix whose data are used (`FixedCohort.cohort`); the sender acts for the study's researcher."""
        return self._transact("fixCohort", cohort.as_tuple(), sender=sender)

    def publish_result(
        self, study: Study, cohort: Cohort, result: Result, answer: Agreement = SENDER, *, sender: Sender | None = None
    ) -> Receipt:
        """Publish a custodian's answer over a cohort.

        Args:
            study: the study.
            cohort: the cohort that the answer is over.
            result: the answer.
            answer: the custodian's signature, see `sign_result`.
            sender: who acts for the study's researcher.
        """
        parts = study.as_tuple(), cohort.as_tuple(), result.as_tuple()
        return self._transact("publishResult", *parts, answer.deadline, answer.signature, sender=sender)

    # -- as a custodian -----------------------------------------------------------------------------------------

    def sign_result(self, signer: Signer, study: bytes, result: Result, *, lifetime: int = _HOUR) -> Agreement:
        """Sign an answer over a cohort of a study, as its custodian, for the researcher to publish."""
        deadline = self._deadline(lifetime)
        message = messages.result(
            self.domain,
            study=study,
            cohort=result.cohort,
            custodian=result.custodian,
            commitment=result.commitment,
            deadline=deadline,
        )
        return agree(signer, message, deadline)

    # -- as a subject or its delegate ---------------------------------------------------------------------------

    def opt_in(self, study: Study, *, subject: str | None = None, sender: Sender | None = None) -> Receipt:
        """Choose to take part; the sender is the subject, or its delegate for granting."""
        whose = subject or self._by("optIn", sender).address
        return self._transact("optIn", whose, study.id, self._next(study.id, whose), 0, b"", sender=sender)

    def opt_out(
        self, study: bytes, *, subject: str | None = None, sequence: int | None = None, sender: Sender | None = None
    ) -> Receipt:
        """Choose not to take part, or no longer; see `sign_opt_out`."""
        whose = subject or self._by("optOut", sender).address
        number = self._overtaking(study, whose) if sequence is None else sequence
        return self._transact("optOut", whose, study, number, 0, b"", sender=sender)

    def sign_opt_in(
        self, signer: Signer, study: Study, *, subject: str | None = None, lifetime: int = _HOUR
    ) -> SignedMessage:
        """Sign to take part. What the study asks for is part of what is signed.

        Args:
            signer: the subject, or its delegate for granting.
            study: the study, as its document or the chain has it.
            subject: whose choice it is, where it is not the signer's.
            lifetime: how long the message counts, in seconds.

        Raises:
            StudyError: the subject has opted out for good.
        """
        whose, deadline = subject or signer.address, self._deadline(lifetime)
        sequence = self._next(study.id, whose)
        message = messages.opt_in(
            self.domain,
            subject=whose,
            study=study.id,
            sequence=sequence,
            researcher=study.researcher,
            last_day=day_number(study.last_day),
            request=study.request,
            deadline=deadline,
        )
        return self._signed("optIn", (whose, study.id, sequence), deadline, signer.sign_typed_data(message))

    def sign_opt_out(
        self,
        signer: Signer,
        study: bytes,
        *,
        subject: str | None = None,
        sequence: int | None = None,
        lifetime: int = _HOUR,
    ) -> SignedMessage:
        """Sign not to take part, or no longer. It is always possible.

        Args:
            signer: the subject, or its delegate for revoking.
            study: the study's id.
            subject: whose choice it is, where it is not the signer's.
            sequence: any above all that were signed; the one after the stored one where none is given. A higher one
                beats an opt-in that is signed and still on its way, and 65535 is for good.
            lifetime: how long the message counts, in seconds.

        Raises:
            StudyError: the subject takes no part, and no sequence is given; or it has opted out for good.
        """
        whose, deadline = subject or signer.address, self._deadline(lifetime)
        number = self._overtaking(study, whose) if sequence is None else sequence
        message = messages.opt_out(self.domain, subject=whose, study=study, sequence=number, deadline=deadline)
        return self._signed("optOut", (whose, study, number), deadline, signer.sign_typed_data(message))

    # -- asking -------------------------------------------------------------------------------------------------

    def may_use(self, study: bytes, subject: str, *, block: int | None = None) -> Verdict:
        """Whether a study may use a subject's data as of a block, and what is missing if not; the newest by default."""
        at = self.chain.block_number() if block is None else block
        use, state, consent = self._call("mayUse", study, subject, block=at)
        return Verdict(Use(use), StudyState(state), Reason(consent), at)

    def choice(self, study: bytes, subject: str, *, block: int | str = "latest") -> Choice | None:
        """A subject's choice; None where it made none."""
        word = int(self._call("choiceOf", study, subject, block=block))
        if not word:
            return None
        times, changes = word >> _CHOICE_TIMES, []
        while times:
            changes.append(datetime.fromtimestamp(times & ((1 << _TIME) - 1), UTC))
            times >>= _TIME
        return Choice(bool(word & _IN), word & _LAST_SEQUENCE, tuple(changes))

    def in_cohort(self, membership: Membership, *, block: int | str = "latest") -> bool:
        """Whether the chain has a membership's cohort, and its subject had opted in when it was fixed."""
        cohort, path = membership.cohort.as_tuple(), list(membership.path)
        return bool(self._call("inCohort", cohort, membership.subject, membership.index, path, block=block))

    def cohort_fixed(self, cohort: bytes, *, block: int | str = "latest") -> datetime | None:
        """When a cohort was fixed, by its id; None where it was not."""
        return _time(self._call("cohortAt", cohort, block=block))

    def result_published(self, result: bytes, *, block: int | str = "latest") -> datetime | None:
        """When a result was published, by its id; None where it was not."""
        return _time(self._call("resultAt", result, block=block))

    def state(self, study: bytes, *, block: int | str = "latest") -> StudyState:
        """What a study is as of a block."""
        return StudyState(self._call("stateOf", study, block=block))

    # -- reading events -----------------------------------------------------------------------------------------

    def studies(self, *, researcher: str | None = None) -> Iterator[Study]:
        """The studies that were registered, oldest first; of one researcher, by its identity, or of all."""
        filters = {} if researcher is None else {"researcher": researcher}
        for event in self.events("StudyRegistered", filters=filters):
            yield study_from(event.arguments["definition"])

    def study(self, study: bytes) -> Study:
        """A study, by its id.

        Raises:
            StudyError: there is none.
        """
        for event in self.events("StudyRegistered", filters={"study": study}):
            found = study_from(event.arguments["definition"])
            if found.id == study:  # a node may say what it likes
                return found
        raise StudyError("", f"0x{study.hex()} is not registered", "Check the id and the network")

    def participants(self, study: bytes, *, block: int | None = None) -> tuple[str, ...]:
        """The subjects that had opted in and not out again, as of a block; the newest by default."""
        events = [event for name in _CHOICES for event in self.events(name, filters={"study": study}, to_block=block)]
        events.sort(key=lambda event: (event.block, event.index))
        newest = {str(event.arguments["subject"]): event.name for event in events}
        return tuple(sorted((one for one, name in newest.items() if name == "OptedIn"), key=str.lower))

    def choices(self, subject: str) -> dict[bytes, bool]:
        """The studies about which a subject chose, by their ids, oldest first, and whether it takes part."""
        events = [event for name in _CHOICES for event in self.events(name, filters={"subject": subject})]
        events.sort(key=lambda event: (event.block, event.index))
        return {bytes(event.arguments["study"]): event.name == "OptedIn" for event in events}

    def permitted(
        self, study: bytes, *, block: int, progress: Callable[[int, int], object] = lambda done, of: None
    ) -> tuple[str, ...]:
        """The subjects whose data a study might use as of a block: they took part, and their rules permitted it.

        Args:
            study: the study's id.
            block: as of which block.
            progress: called with how many subjects are asked about, of how many.
        """
        subjects = self.participants(study, block=block)
        found: list[str] = []
        for start in range(0, len(subjects), _CALLS_AT_ONCE):
            part = subjects[start : start + _CALLS_AT_ONCE]
            calls = [self.chain.call_data(self.contract, "isParticipant", (study, one)) for one in part]
            asked = [("eth_call", [{"to": self.address, "data": data}, hex(block)]) for data in calls]
            answers = zip(part, self.chain.ask(asked), strict=True)
            found += [subject for subject, answer in answers if _is_true(answer)]
            progress(start + len(part), len(subjects))
        return tuple(found)

    def cohorts(self, study: bytes) -> tuple[FixedCohortRecord, ...]:
        """The cohorts that were fixed for a study, oldest first."""
        return tuple(
            FixedCohortRecord(
                cohort_from(event.arguments["definition"]), event.block, bool(event.arguments["blockChecked"])
            )
            for event in self.events("CohortFixed", filters={"study": study})
        )

    def results(self, study: bytes) -> tuple[Result, ...]:
        """The results that were published for a study, oldest first."""
        return tuple(
            Result(bytes(event.arguments["cohort"]), event.arguments["custodian"], bytes(event.arguments["commitment"]))
            for event in self.events("ResultPublished", filters={"study": study})
        )

    def history(self, study: bytes) -> Sequence[Event]:
        """All that happened to a study, oldest first."""
        events = [event for name in _EVENTS for event in self.events(name, filters={"study": study})]
        return sorted(events, key=lambda event: (event.block, event.index))

    # -- helpers ------------------------------------------------------------------------------------------------

    def _next(self, study: bytes, subject: str) -> int:
        choice = self.choice(study, subject)
        stored = 0 if choice is None else choice.sequence
        if stored >= _LAST_SEQUENCE - 1:
            rule = f"cannot be joined by {subject} any more, who has left it for good"
            raise StudyError("", rule, "Nothing can be done")
        return stored + 1

    def _overtaking(self, study: bytes, subject: str) -> int:
        choice = self.choice(study, subject)
        if choice is None or not choice.opted_in:
            step = "Nothing needs doing; name a sequence to beat an opt-in that is signed and not sent yet"
            raise StudyError("", f"has not {subject} taking part", step)
        return choice.sequence + 1


def study_from(said: Any) -> Study:
    """A study from the struct in its event."""
    return Study(
        researcher=said["researcher"],
        request=int(said["request"]),
        protocol=bytes(said["protocol"]),
        ethics=bytes(said["ethics"]),
        first_day=EPOCH_DAY + timedelta(days=said["firstDay"]),
        last_day=EPOCH_DAY + timedelta(days=said["lastDay"]),
        custodians=tuple(said["custodians"]),
    )


def cohort_from(said: Any) -> Cohort:
    """A cohort from the struct in its event."""
    size, block = int(said["size"]), int(said["blockNumber"])
    return Cohort(bytes(said["study"]), bytes(said["root"]), size, block, bytes(said["blockHash"]))


def _is_true(answer: object) -> bool:
    """A boolean, as a node gives it."""
    if not isinstance(answer, str) or not _BOOLEAN.fullmatch(answer):
        raise UnclearAnswerError("The node gave no yes or no. Name another node, one that keeps old blocks' state.")
    return answer.endswith("1")


def _time(seconds: int) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None

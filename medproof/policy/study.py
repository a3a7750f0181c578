"""The study document: what a study asks for, its protocol and its ethics approval, as it is handed to subjects.

The chain keeps two salted commitments, the request and the period of a study (`Studies`). The document opens both:
whoever has it sees that the study on chain is this one, and checks the files of protocol and approval against it.

    protocol commitment   hashing.commit({title, use, file}, salt)
    ethics commitment     hashing.commit({committee, reference, file}, salt)

`use` says in DUO's terms what the study intends (`medproof.policy.duo.StudyUse`), diseases and regions included, which
no word holds; the request on chain follows from it and the scope (`duo.to_requests`). A file is named by its SHA-256.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import date, timedelta
from typing import Any

from eth_utils.address import is_checksum_address

from medproof import hashing
from medproof.errors import DataUseError, MedProofError, StudyError
from medproof.hashing import Json, JsonObject
from medproof.json_reader import JsonReader, hex_text
from medproof.policy.codes import ResearchUse
from medproof.policy.duo import StudyUse, Topic, to_requests
from medproof.policy.evaluation import normalize
from medproof.policy.phrases import day, join, plain, widest
from medproof.policy.request_json import read_request, write_request
from medproof.policy.word import EPOCH_DAY, NO_END_DAY, Request, encode_request

__all__ = ["Approval", "FileDigest", "StudyDocument", "describe_study", "read_use", "write_use"]

_FORMAT = "medproof-study"
_VERSION = 1
_LONGEST = 1 << 20
_LONGEST_LINE = 300
_MOST_CUSTODIANS = 100  # as the contract has it
_LAST_DAY = EPOCH_DAY + timedelta(days=NO_END_DAY)
_MOST_TERMS = 1024  # in one list of a use

_LISTS = ("diseases", "topics", "regions", "research_types", "users", "projects", "institutions")
_DAYS = ("publish_from",)
_NUMBERS = ("months",)
_FLAGS = tuple(one.name for one in fields(StudyUse) if one.name not in (*_LISTS, *_DAYS, *_NUMBERS))


@dataclass(frozen=True)
class FileDigest:
    """A file that stays off chain, by what it says."""

    name: str  # such as "protocol.pdf"
    digest: bytes  # SHA-256 of its content, as sha256sum prints it

    @classmethod
    def of(cls, name: str, content: bytes) -> FileDigest:
        """The digest of a file's content."""
        return cls(name, hashlib.sha256(content).digest())

    def matches(self, content: bytes) -> bool:
        """Whether a content is this file's."""
        return hashlib.sha256(content).digest() == self.digest

    def to_json(self) -> JsonObject:
        """The file as JSON."""
        return {"name": self.name, "sha256": hex_text(self.digest)}

    @classmethod
    def read(cls, said: JsonReader) -> FileDigest:
        """Read what `to_json` gave."""
        found = cls(said.line("name", _LONGEST_LINE), said.hash("sha256"))
        said.finish()
        return found


@dataclass(frozen=True)
class Approval:
    """Who approved the ethics of a study."""

    committee: str
    reference: str  # under which the committee keeps it
    file: FileDigest  # the letter


@dataclass(frozen=True)
class StudyDocument:
    """A study, with the salts that open its commitments."""

    title: str
    researcher: str  # identity of the party
    use: StudyUse  # what it intends, in DUO's terms
    scope: Request  # the data it asks for; its research field is empty: the use says it
    starts: date  # first day
    ends: date  # last day
    custodians: tuple[str, ...]  # identities of those who hold the data, 1 to 100; kept in ascending order
    protocol: FileDigest
    approval: Approval
    protocol_salt: bytes = field(default_factory=hashing.new_salt, repr=False)
    approval_salt: bytes = field(default_factory=hashing.new_salt, repr=False)

    def __post_init__(self) -> None:
        """Refuse what no study is.

        Raises:
            StudyError: the period is empty, a line is none, or the use leaves open what is asked for.
        """
        if self.ends < self.starts:
            raise StudyError("period", f"ends on {self.ends}, before it starts on {self.starts}", _MEND)
        for address in (self.researcher, *self.custodians):
            if not is_checksum_address(address):
                raise StudyError("researcher or a custodian", f"is {address!r}, no checksummed address", _MEND)
        object.__setattr__(self, "custodians", tuple(sorted(set(self.custodians), key=str.lower)))
        if not 0 < len(self.custodians) <= _MOST_CUSTODIANS:
            rule = f"are {len(self.custodians)}, and a study names 1 to {_MOST_CUSTODIANS}"
            raise StudyError("custodians", rule, "Register a study for each group of custodians")
        if self.starts < EPOCH_DAY or self.ends > _LAST_DAY:
            raise StudyError("period", f"is not within {EPOCH_DAY} and {_LAST_DAY}", _MEND)
        for name, line in (
            ("title", self.title),
            ("committee", self.approval.committee),
            ("reference", self.approval.reference),
            ("protocol's name", self.protocol.name),
            ("approval's name", self.approval.file.name),
        ):
            if not 0 < len(line) <= _LONGEST_LINE or not line.isprintable() or line != line.strip():
                raise StudyError(name, f"is no line of 1 to {_LONGEST_LINE} characters that can be printed", _MEND)
        try:
            requests = to_requests(self.use, self.scope)
        except DataUseError as error:
            raise StudyError("scope", f"cannot be asked for: {error}".rstrip("."), _MEND) from error
        if len(requests) > 1:
            rule = "develops methods alone, which is research on health or on ancestry"
            raise StudyError("use", rule, "Set health or ancestry beside methods: a study asks one thing")

    @property
    def request(self) -> Request:
        """What the study asks the registry for."""
        [request] = to_requests(self.use, self.scope)
        return request

    @property
    def request_word(self) -> int:
        """The request as the chain has it: every field filled in."""
        word = normalize(encode_request(self.request))
        assert word is not None  # `to_requests` makes no other
        return word

    @property
    def protocol_commitment(self) -> bytes:
        """What the chain keeps of title, use and protocol, 32 bytes."""
        return hashing.commit(self._protocol(), self.protocol_salt)

    @property
    def ethics_commitment(self) -> bytes:
        """What the chain keeps of the ethics approval, 32 bytes."""
        return hashing.commit(self._approval(), self.approval_salt)

    def check_files(self, *, protocol: bytes | None = None, approval: bytes | None = None) -> None:
        """Return if the contents given are those of the study's files.

        Raises:
            StudyError: one is another file.
        """
        for part, content, file in (("protocol", protocol, self.protocol), ("approval", approval, self.approval.file)):
            if content is not None and not file.matches(content):
                said = f"is another file than {file.name}, whose SHA-256 is {file.digest.hex()}"
                raise StudyError(part, said, "Compare the versions")

    def to_json(self) -> JsonObject:
        """The document as JSON."""
        return {
            "format": _FORMAT,
            "version": _VERSION,
            "researcher": self.researcher,
            "protocol": {**self._protocol(), "salt": hex_text(self.protocol_salt)},
            "approval": {**self._approval(), "salt": hex_text(self.approval_salt)},
            "scope": write_request(self.scope),
            "starts": self.starts.isoformat(),
            "ends": self.ends.isoformat(),
            "custodians": list(self.custodians),
        }

    @classmethod
    def from_json(cls, text: str | bytes) -> StudyDocument:
        """Read what `to_json` gave, as text.

        Raises:
            StudyError: it is none, or a part of it is missing.
        """
        said = JsonReader.document(text, _unreadable, format=_FORMAT, version=_VERSION, longest=_LONGEST)
        protocol, approval = said.object("protocol"), said.object("approval")
        document = cls(
            title=protocol.line("title", _LONGEST_LINE),
            researcher=said.address("researcher"),
            use=read_use(protocol.take("use"), _unreadable, where="protocol.use."),
            scope=read_request(said.object("scope")),
            starts=said.day("starts"),
            ends=said.day("ends"),
            custodians=said.addresses("custodians", _MOST_CUSTODIANS),
            protocol=FileDigest.read(protocol.object("file")),
            approval=Approval(
                approval.line("committee", _LONGEST_LINE),
                approval.line("reference", _LONGEST_LINE),
                FileDigest.read(approval.object("file")),
            ),
            protocol_salt=protocol.hash("salt"),
            approval_salt=approval.hash("salt"),
        )
        for reader in (protocol, approval, said):
            reader.finish()
        return document

    def _protocol(self) -> JsonObject:
        return {"title": self.title, "use": write_use(self.use), "file": self.protocol.to_json()}

    def _approval(self) -> JsonObject:
        approval = self.approval
        return {"committee": approval.committee, "reference": approval.reference, "file": approval.file.to_json()}


def describe_study(study: StudyDocument, *, researcher: str = "The researcher") -> str:
    """Return what taking part means, in sentences for a patient; `researcher` names who does the study."""
    request, scope = study.request, study.scope
    asked = join(plain(scope.classes), "and") if scope.classes else "health data"
    purposes = join(plain(request.purposes), "and")
    about = f"research on {join(sorted(study.use.diseases), 'and')}"
    permissions = widest(request.research & ResearchUse.PERMISSIONS)
    investigated = join([about if one is ResearchUse.DS else one.plain for one in permissions], "and")
    sentences = [
        f"You take part in “{study.title}”.",
        f"{researcher} asks to use your {asked} for {purposes}: {investigated}.",
        f"{study.approval.committee} approved it under {study.approval.reference}.",
        f"It runs from {day(study.starts)} to {day(study.ends)}.",
        "It uses only what your own rules permit.",
        "You may leave at any time, and need give no reason.",
    ]
    return " ".join(sentences)


# -- the use as JSON ---------------------------------------------------------------------------------------------


def write_use(use: StudyUse) -> JsonObject:
    """What a study intends, as JSON: the fields of `StudyUse` that say something; sets as sorted lists."""
    document: JsonObject = {}
    for one in fields(StudyUse):
        value = getattr(use, one.name)
        if value == one.default:
            continue
        if one.name in _LISTS:
            document[one.name] = sorted(topic.name.lower() if isinstance(topic, Topic) else topic for topic in value)
        else:
            document[one.name] = value.isoformat() if one.name in _DAYS else value
    return document


def read_use(value: Json, error: Callable[[str, str], MedProofError], *, where: str = "") -> StudyUse:
    """Read a use as JSON spells it: sets as lists, topics by name, days as 2030-01-01; what is left out is not so.

    Args:
        value: the JSON value.
        error: makes the error from a member's path and what is wrong with it.
        where: the path of the value, which ends with a dot; empty for the whole.

    Raises:
        the error: it is none.
        DataUseError: it contradicts itself, or says nothing.
    """
    said = JsonReader(value, error, where)
    given: dict[str, Any] = {}
    for name in value if isinstance(value, dict) else ():
        if name in _LISTS:
            texts = said.texts(name, _MOST_TERMS)
            given[name] = frozenset(_topic(said, text) for text in texts) if name == "topics" else frozenset(texts)
        elif name in _DAYS:
            given[name] = said.maybe_day(name)
        elif name in _NUMBERS:
            given[name] = None if said.take(name) is None else said.number(name)
        elif name in _FLAGS:
            given[name] = said.flag(name)
        else:
            raise said.wrong("", f"says more than a study does: {', '.join(one.name for one in fields(StudyUse))}")
    said.finish()
    return StudyUse(**given)


def _topic(said: JsonReader, text: str) -> Topic:
    try:
        return Topic[text.upper()]
    except KeyError:
        raise said.wrong("topics", f"has one that is none of {', '.join(Topic.__members__)}".lower()) from None


_MEND = "Correct it before it is registered"


def _unreadable(path: str, rule: str) -> StudyError:
    return StudyError(path, rule)

"""What one access was, and the entry of the log that says so.

An entry is canonical JSON (`medproof.hashing.canonical`); its commitment, under a salt of its own, is a leaf of the
custodian's log. Each entry names the commitment of the one before it, so that none can be taken out, put in or moved
without every later one becoming another.

Records stand in it in the order in which they were served, by pointer id; their grounds, of which there are few, stand
beside them. So whoever was served knows the records, and needs only the rest to see that the entry is true.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from eth_utils.address import to_checksum_address

from medproof import hashing
from medproof.errors import AccessEntryError, ArgumentError, MedProofError
from medproof.hashing import Json, JsonObject
from medproof.policy.codes import Action, Purpose, ResearchUse
from medproof.policy.word import Rule

__all__ = ["Access", "AccessEntry", "Ground", "Opening", "RecordAccess"]

_VERSION = 1
_BREAK_GLASS = "BREAK_GLASS"
_ACTIONS = ("read", "search", "list", "create")


@dataclass(frozen=True, slots=True)
class Ground:
    """Why a record was served."""

    reason: str  # PERMITTED, BREAK_GLASS, SUBJECT, DELEGATE, WRITER
    grantee: str | None = None  # under whom the deciding rule stands on chain; None where no rule decided
    index: int = 0  # of the rule among those of its subject and grantee
    sequence: int = 0  # of the rule, as it stood
    terms: int = 0  # number of the rule's terms; 0 for none

    @classmethod
    def of(cls, reason: str, grantee: str | None, rule: Rule | None) -> Ground:
        """The ground that a rule gives, or none."""
        if rule is None or grantee is None:
            return cls(reason)
        return cls(reason, str(to_checksum_address(grantee)), rule.index, rule.sequence, rule.terms)

    def to_json(self) -> JsonObject:
        """The ground as an entry says it."""
        rule: Json = None
        if self.grantee is not None:
            rule = {"grantee": self.grantee, "index": self.index, "sequence": self.sequence, "terms": self.terms}
        return {"reason": self.reason, "rule": rule}

    @classmethod
    def from_json(cls, said: dict[str, Any]) -> Ground:
        """Read what `to_json` gave."""
        rule = said["rule"] or {}
        return cls(said["reason"], **rule)


@dataclass(frozen=True, slots=True)
class RecordAccess:
    """One record that was served."""

    pointer: bytes  # its pointer's id, 32 bytes
    ground: Ground


@dataclass(frozen=True, slots=True)
class Access:
    """One request that was served or refused to a known account."""

    when: datetime  # UTC
    account: str  # who asked
    party: str | None  # the identity of the party that the account acts for
    signed: str  # the nonce of what the account signed to ask, 0x…: what the caller cannot disown
    purposes: Purpose  # as claimed; empty claims all
    actions: Action  # as claimed
    research: ResearchUse  # as claimed
    action: str  # read, search, list, create
    subject: str | None  # whose records; None where no record was found
    records: tuple[RecordAccess, ...]  # what was served, in order
    permitted: bool
    reason: str  # PERMITTED where records were served, NOTHING where none may be had; or the code of the refusal
    block: int | None  # the block of the decision; None where none was needed
    block_hash: str | None  # 0x…

    def __post_init__(self) -> None:
        """Refuse what no entry can say.

        Raises:
            ArgumentError: another action than these four.
        """
        if self.action not in _ACTIONS:
            raise ArgumentError(f"{self.action!r} is no action of an access. Say one of {', '.join(_ACTIONS)}.")

    @property
    def break_glass(self) -> bool:
        """Whether the glass was broken for any record."""
        return any(one.ground.reason == _BREAK_GLASS for one in self.records)

    @property
    def told(self) -> bool:
        """Whether the caller may see the entry: not where the answer hides what it says, as whose record it was."""
        return self.permitted or self.action != "read"


@dataclass(frozen=True, slots=True)
class AccessEntry:
    """An access in its place in a log."""

    custodian: str  # the identity of the party that keeps the log
    log: int  # which of its logs
    index: int  # from 0
    previous: bytes | None  # commitment of the entry before it, 32 bytes; None for the first
    access: Access

    def to_json(self) -> JsonObject:
        """The entry as it is committed to."""
        one = self.access
        grounds = list(dict.fromkeys(record.ground for record in one.records))
        return {
            "version": _VERSION,
            "custodian": self.custodian,
            "log": self.log,
            "index": self.index,
            "previous": None if self.previous is None else _hex(self.previous),
            "when": one.when.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "account": one.account,
            "party": one.party,
            "signed": one.signed,
            "purposes": list(one.purposes.codes),
            "actions": list(one.actions.codes),
            "research": list(one.research.codes),
            "action": one.action,
            "subject": one.subject,
            "records": [
                {"pointer": _hex(record.pointer), "ground": grounds.index(record.ground)} for record in one.records
            ],
            "grounds": [ground.to_json() for ground in grounds],
            "permitted": one.permitted,
            "reason": one.reason,
            "breakGlass": one.break_glass,
            "block": one.block,
            "blockHash": one.block_hash,
        }

    @classmethod
    def from_json(cls, said: Json) -> AccessEntry:
        """Read what `to_json` gave.

        Raises:
            AccessEntryError: it is none, or not in its one form.
        """
        try:
            entry = _read(said)
        except (MedProofError, ValueError, TypeError, LookupError, AttributeError):
            raise AccessEntryError("is no entry of an access log") from None
        if entry.to_json() != said:
            raise AccessEntryError("is not in the one form that its commitment is of")
        return entry

    def commitment(self, salt: bytes) -> bytes:
        """The leaf that stands for it: its commitment under a salt, 32 bytes."""
        return hashing.commit(self.to_json(), salt)


@dataclass(frozen=True)
class Opening:
    """What opens an entry's commitment."""

    entry: AccessEntry
    salt: bytes = field(repr=False)  # 32 bytes

    @property
    def commitment(self) -> bytes:
        """What it opens, 32 bytes.

        Raises:
            SaltError: the salt is none.
        """
        return self.entry.commitment(self.salt)

    def told(self) -> JsonObject:
        """What whoever was served needs beside its records' pointers to see that the entry is true of its request."""
        said = self.entry.to_json()
        records = said.pop("records")
        assert isinstance(records, list)
        grounds = [record["ground"] for record in records if isinstance(record, dict)]
        return {"entry": said, "grounds": grounds, "salt": _hex(self.salt)}

    @classmethod
    def read(cls, told: Any, pointers: Sequence[bytes]) -> Opening:
        """Put together what was told and the pointers of the records that came with it.

        Raises:
            AccessEntryError: they do not fit.
        """
        try:
            records: list[Json] = [
                {"pointer": _hex(pointer), "ground": ground}
                for pointer, ground in zip(pointers, told["grounds"], strict=True)
            ]
            entry = AccessEntry.from_json({**told["entry"], "records": records})
            return cls(entry, _bytes(told["salt"]))
        except (MedProofError, ValueError, TypeError, LookupError, AttributeError):
            raise AccessEntryError("entry does not fit the records that came with it") from None


def _read(said: Any) -> AccessEntry:
    grounds = [Ground.from_json(ground) for ground in said["grounds"]]
    if said["version"] != _VERSION or min(said["log"], said["index"]) < 0:
        raise ValueError(said["version"])
    access = Access(
        when=datetime.fromisoformat(said["when"]),
        account=said["account"],
        party=said["party"],
        signed=said["signed"],
        purposes=Purpose.from_codes(said["purposes"]),
        actions=Action.from_codes(said["actions"]),
        research=ResearchUse.from_codes(said["research"]),
        action=said["action"],
        subject=said["subject"],
        records=tuple(RecordAccess(_bytes(one["pointer"]), grounds[one["ground"]]) for one in said["records"]),
        permitted=said["permitted"],
        reason=said["reason"],
        block=said["block"],
        block_hash=said["blockHash"],
    )
    previous = None if said["previous"] is None else _bytes(said["previous"])
    return AccessEntry(said["custodian"], said["log"], said["index"], previous, access)


def _hex(data: bytes) -> str:
    return f"0x{data.hex()}"


def _bytes(text: str) -> bytes:
    """Read 32 bytes."""
    data = bytes.fromhex(text.removeprefix("0x"))
    if len(data) != hashing.SALT_LENGTH:
        raise ValueError(text)
    return data

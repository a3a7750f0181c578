"""The finer policy document: what a rule word cannot hold, committed to by the terms and enforced off chain.

A rule whose terms are the hash of a document is the wide bound, and the document says what of it is meant: single
codes, named records, seconds. `decide` asks the chain's evaluator first and the document second, so a document
can only take away. Where anything is missing (the document, or what the records carry) the answer is no.

A record is described to the document by its tags (`medproof.fhir.record_tags`): short texts such as
`code:http://loinc.org|34133-9` or `instance:Task/example3`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from eth_utils.crypto import keccak

from medproof import hashing
from medproof.errors import PolicyDocumentError, ReservedBitsError, RuleFieldError
from medproof.hashing import Json, JsonObject
from medproof.policy import evaluation
from medproof.policy.codes import PartyKind
from medproof.policy.evaluation import Decision, Reason
from medproof.policy.word import FIELDS, FLAG_FIELDS, FLAGS, decode

__all__ = ["EVERYONE", "FinerDecision", "FinerProvision", "PolicyDocument", "Refusal", "decide", "scope_of"]

EVERYONE = f"0x{1:040x}"  # the grantee that stands for every active party

_KIND = "medproof-policy-document"
_VERSION = 1
_GRANTEE = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)
_HEX = re.compile(r"0x[0-9a-f]{64}", re.ASCII)
_KEYS = {"grantee", "rule", "anyOf"}
_BOOKKEEPING = sum(FIELDS[name].mask for name in ("sequence", "index", "terms")) | sum(
    flag.mask for flag in FLAGS if flag.name != "deny"
)
_DENY, _REVOKED = FLAG_FIELDS["deny"].mask, FLAG_FIELDS["revoked"].mask


class Refusal(StrEnum):
    """Why a document refuses what the chain permits."""

    DENIED = "a finer provision refuses a record that was asked for"
    NOT_COVERED = "no finer provision covers every record that was asked for"
    DOCUMENT_MISSING = "the document behind the rule's terms is not at hand"


@dataclass(frozen=True, slots=True)
class FinerProvision:
    """One permit or refusal of a document: a rule word, and what a record must carry for it to apply."""

    grantee: str  # under whom the bound stands, as on chain
    rule: int  # the bound: a rule word without sequence, index, terms and flags other than deny
    any_of: tuple[tuple[str, ...], ...] = ()  # of every group, a record must carry one tag
    starts: datetime | None = None  # applies from, inclusive, to the second; None = as the word says
    ends: datetime | None = None  # applies until, exclusive, to the second; None = as the word says

    @property
    def deny(self) -> bool:
        """Whether it refuses."""
        return bool(self.rule & _DENY)

    def matches(self, record: Collection[str]) -> bool:
        """Whether a record with these tags is one that the provision speaks of."""
        return all(any(tag in record for tag in group) for group in self.any_of)

    def in_force(self, now: datetime) -> bool:
        """Whether the provision's own time, finer than the word's, has come and not gone."""
        return (self.starts is None or self.starts <= now) and (self.ends is None or now < self.ends)

    def to_json(self) -> JsonObject:
        """Return the provision as JSON."""
        value: JsonObject = {
            "grantee": self.grantee.lower(),
            "rule": f"{self.rule:#066x}",
            "anyOf": [list(group) for group in self.any_of],
        }
        for name, moment in (("starts", self.starts), ("ends", self.ends)):
            if moment is not None:
                value[name] = moment.astimezone(UTC).isoformat()
        return value


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    """The finer provisions of one consent; `hash` is what its rules name as their terms."""

    provisions: tuple[FinerProvision, ...]  # permits and refusals, in the order of the consent
    salt: bytes = field(default_factory=hashing.new_salt, repr=False)  # hides what could be guessed from the hash

    def __post_init__(self) -> None:
        """Refuse a salt that hides nothing."""
        if len(self.salt) != hashing.SALT_LENGTH or not any(self.salt):
            raise PolicyDocumentError("$.salt", f"must be {hashing.SALT_LENGTH} random bytes")

    @property
    def hash(self) -> bytes:
        """The terms: keccak-256 of the document's canonical JSON, 32 bytes."""
        return bytes(keccak(hashing.canonical(self.to_json())))

    def to_json(self) -> JsonObject:
        """Return the document as JSON; `hashing.canonical` of it is what is hashed."""
        return {
            "kind": _KIND,
            "version": _VERSION,
            "salt": f"0x{self.salt.hex()}",
            "provisions": [provision.to_json() for provision in self.provisions],
        }

    @classmethod
    def from_json(cls, value: Json) -> PolicyDocument:
        """Read a document strictly: what it does not say in full, it does not say.

        Raises:
            PolicyDocumentError: the value is no such document; the message gives the path.
        """
        if not isinstance(value, dict) or value.get("kind") != _KIND or value.get("version") != _VERSION:
            raise PolicyDocumentError("$", f"must be an object of kind {_KIND}, version {_VERSION}")
        if set(value) != {"kind", "version", "salt", "provisions"}:
            raise PolicyDocumentError("$", "must hold kind, version, salt and provisions, and nothing else")
        salt, provisions = value["salt"], value["provisions"]
        if not isinstance(salt, str) or not _HEX.fullmatch(salt):
            raise PolicyDocumentError("$.salt", "must be 0x and 64 hexadecimal digits")
        if not isinstance(provisions, list):
            raise PolicyDocumentError("$.provisions", "must be an array")
        found = tuple(_provision(item, f"$.provisions[{index}]") for index, item in enumerate(provisions))
        return cls(found, bytes.fromhex(salt[2:]))


@dataclass(frozen=True, slots=True)
class FinerDecision:
    """The answer of chain and documents together."""

    chain: Decision  # what the chain's evaluator says
    refusal: Refusal | None = None  # why a document refuses what the chain permits

    @property
    def permitted(self) -> bool:
        """Whether the request may go ahead."""
        return self.chain.permitted and self.refusal is None


def scope_of(word: int) -> int:
    """Return a rule word without sequence, index, terms and flags other than deny: what it is about."""
    return word & ~_BOOKKEEPING


def decide(
    rules: Mapping[str, Sequence[int]],
    actor_kind: PartyKind | None,
    now: datetime,
    request_word: int,
    *,
    documents: Mapping[int, PolicyDocument | None],
    records: Collection[Collection[str]] | None = None,
) -> FinerDecision:
    """Decide a request by the chain's evaluator first, and by the documents behind its permits second.

    Args:
        rules: the words of the actor's party, then of everyone, then of each of its groups, by grantee; a grantee
            without rules has an empty sequence, so that refusals in documents that name it are found.
        actor_kind: as `medproof.policy.evaluation.decide`.
        now: the moment of the decision, aware.
        request_word: what is asked for.
        documents: the document by the number of its terms; None for terms that are a plain consent form.
        records: the tags of every record that was asked for. Where none are known, no permit with tags permits and
            every refusal with tags refuses.

    Raises:
        RuleFieldError: as `medproof.policy.evaluation.decide`.
    """
    listed = {grantee.lower(): tuple(words) for grantee, words in rules.items()}
    chain = evaluation.decide([word for words in listed.values() for word in words], actor_kind, now, request_word)
    if not chain.permitted:
        return FinerDecision(chain)

    def reason(word: int) -> Reason:
        return evaluation.decide((word,), actor_kind, now, request_word).reason

    covering: list[tuple[str, int]] = []
    for grantee, words in listed.items():
        covering += [(grantee, word) for word in words if reason(word) is Reason.PERMITTED]
    live = (word for words in listed.values() for word in words if not word & (_DENY | _REVOKED))
    numbers = {FIELDS["terms"].of(word) for word in live}
    for number in sorted(numbers):
        for provision in _provisions(documents.get(number), listed, deny=True):
            touched = not records or any(provision.matches(record) for record in records)
            if touched and provision.in_force(now) and reason(provision.rule) is Reason.DENIED:
                return FinerDecision(chain, Refusal.DENIED)

    refusal = Refusal.DOCUMENT_MISSING
    for grantee, word in covering:
        number = FIELDS["terms"].of(word)
        if number and number not in documents:
            continue
        document = documents.get(number) if number else None
        if document is None:
            return FinerDecision(chain)
        refusal = Refusal.NOT_COVERED
        for provision in _provisions(document, {grantee: ()}, deny=False):
            known = not provision.any_of or (bool(records) and all(map(provision.matches, records or ())))
            if known and provision.in_force(now) and reason(provision.rule) is Reason.PERMITTED:
                return FinerDecision(chain)
    return FinerDecision(chain, refusal)


def _provisions(document: PolicyDocument | None, grantees: Collection[str], *, deny: bool) -> Iterator[FinerProvision]:
    """Yield the permits or the refusals of a document that speak of one of the grantees."""
    for provision in document.provisions if document else ():
        if provision.deny is deny and provision.grantee.lower() in grantees:
            yield provision


def _provision(value: Json, path: str) -> FinerProvision:
    if not isinstance(value, dict) or not _KEYS <= set(value) <= _KEYS | {"starts", "ends"}:
        raise PolicyDocumentError(path, "must hold grantee, rule and anyOf, may hold starts and ends, nothing else")
    grantee, rule, groups = value["grantee"], value["rule"], value["anyOf"]
    if not isinstance(grantee, str) or not _GRANTEE.fullmatch(grantee):
        raise PolicyDocumentError(f"{path}.grantee", "must be an address: 0x and 40 hexadecimal digits")
    if not isinstance(rule, str) or not _HEX.fullmatch(rule) or int(rule, 16) & _BOOKKEEPING:
        raise PolicyDocumentError(f"{path}.rule", "must be a rule word without sequence, index, terms and flags")
    try:
        decode(int(rule, 16))
    except (ReservedBitsError, RuleFieldError):
        raise PolicyDocumentError(f"{path}.rule", "has bits that no field stands behind") from None
    if not isinstance(groups, list) or not all(_is_group(group) for group in groups):
        raise PolicyDocumentError(f"{path}.anyOf", "must be an array of arrays of tags, none of them empty")
    any_of = tuple(tuple(str(tag) for tag in group) for group in groups if isinstance(group, list))
    return FinerProvision(grantee, int(rule, 16), any_of, _moment(value, "starts", path), _moment(value, "ends", path))


def _is_group(value: Json) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(tag, str) and tag for tag in value)


def _moment(value: JsonObject, name: str, path: str) -> datetime | None:
    if name not in value:
        return None
    text = value[name]
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise PolicyDocumentError(f"{path}.{name}", "must be a time with a zone, as 2026-03-01T12:00:05+00:00")
    return moment

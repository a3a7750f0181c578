"""What the suite says of a request: `ConsentRegistry.decide`, or `Studies.mayUse`, from what the contracts hold.

`asking` and `decision` are readings (`medproof.evidence.suite_state`): whoever drives them answers for the slots. When
evidence is made, that is a node; when it is verified, proved slots alone. It is one path, so that nothing that a
decision rests on can be left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from eth_utils.address import to_checksum_address

from medproof.client.registrar import EMERGENCY, EVERYONE, Party, group_grantee, party_of
from medproof.client.studies import StudyState, Use
from medproof.errors import EvidenceError
from medproof.evidence.suite_state import Reading, Slot, one_slot
from medproof.policy.evaluation import Reason, decide, is_break_glass, normalize
from medproof.policy.word import EPOCH_DAY, FLAG_FIELDS, minute

__all__ = ["Asking", "ProvedDecision", "asking", "contracts_read", "decision"]

_REGISTRAR, _REGISTRY, _STUDIES = "Registrar", "ConsentRegistry", "Studies"
_RULES_PER_PAIR = 16
_EMERGENCY = int(EMERGENCY, 16)
_ADDRESS = (1 << 160) - 1
# The layout of contracts/libraries/StudyWord.sol.
_FIRST_DAY, _LAST_DAY, _END, _DAY = 160, 176, 192, 0xFFFF
_ENDS = {2: StudyState.CLOSED, 3: StudyState.APPROVAL_WITHDRAWN}
_IN = 1 << 16


def contracts_read(study: bytes | None) -> tuple[str, ...]:
    """Whose storage is read: for a request, or for a study."""
    return (_REGISTRY, _REGISTRAR, *(() if study is None else (_STUDIES,)))


@dataclass(frozen=True)
class Asking:
    """Who asks for what, and when: the same for all subjects."""

    party: Party | None  # the account's, if it is active
    request: int  # the word
    at: datetime  # the block's time
    study: bytes | None = None  # for which study, by its id
    state: StudyState | None = None  # what that study is at the time

    @cached_property
    def grantees(self) -> tuple[str, ...]:
        """Under whom rules for the party stand: itself, everyone, its groups."""
        if self.party is None:
            return ()
        found = (self.party.id, EVERYONE, *map(group_grantee, self.party.groups))
        return tuple(map(to_checksum_address, found))


@dataclass(frozen=True)
class ProvedDecision:
    """What the contracts say of a subject."""

    subject: str
    reason: Reason  # why its rules permit the request, or do not
    grantee: str | None  # under whom the deciding rule stands; None where no rule decided
    word: int  # the deciding rule; 0 where there is none
    use: Use | None = None  # whether the study may use its data; None where no study asks

    @property
    def permitted(self) -> bool:
        """Whether the request is permitted; of a study, whether it may use the data."""
        return self.reason.permits if self.use is None else self.use is Use.PERMITTED


def asking(account: str, request: int, at: datetime, study: bytes | None = None) -> Reading[Asking]:
    """Who asks: by an account for a request, or for a study, whose account and request they must be.

    Raises:
        EvidenceError: they are not the study's, or there is no such study.
    """
    entry = yield from _entry(account)
    active = entry is not None and not entry.suspended and at.date() <= entry.valid_until
    party = entry if active else None
    if study is None:
        return Asking(party, request, at)
    part = f"study 0x{study.hex()}"
    found, asked = yield tuple(one_slot(part, _STUDIES, name, study) for name in ("studyOf", "requestOf"))
    word = int.from_bytes(found)
    if not word:
        raise EvidenceError(part, "is not registered in that block", "Name one that is")
    researcher = to_checksum_address(f"0x{word & _ADDRESS:040x}")
    (acting,) = yield (one_slot(f"account of {researcher}", _REGISTRAR, "_accounts", researcher),)
    if int.from_bytes(acting) != int(account, 16) or entry is None or entry.id != researcher:
        raise EvidenceError("account", f"is {account}, which does not act for the study's researcher {researcher}")
    if int.from_bytes(asked) != request:
        raise EvidenceError("request", f"is not the study's, 0x{asked.hex()}")
    return Asking(party, request, at, study, _state(word, (at.date() - EPOCH_DAY).days))


def decision(by: Asking, subject: str) -> Reading[ProvedDecision]:
    """What is decided of a subject's data."""
    found = yield from _decided(by, subject)
    if by.study is None or by.state is None:
        return found
    if by.state is not StudyState.OPEN:
        return replace(found, use=Use.STUDY_NOT_OPEN)
    part = f"choice of {subject} about the study"
    (choice,) = yield (one_slot(part, _STUDIES, "choiceOf", by.study, subject),)
    consents = Use.PERMITTED if found.reason is Reason.PERMITTED else Use.NO_CONSENT
    return replace(found, use=consents if int.from_bytes(choice) & _IN else Use.NOT_OPTED_IN)


def _entry(account: str) -> Reading[Party | None]:
    """The party that an account acts for, whatever its standing."""
    part = f"party of {account}"
    (word,) = yield (one_slot(part, _REGISTRAR, "_parties", account),)
    try:
        return party_of(int.from_bytes(word))
    except LookupError:
        raise EvidenceError(part, "is of a kind that is not known here") from None


def _state(word: int, day: int) -> StudyState:
    """What a study is on a day, in days since 1970 (StudyWord.stateAt)."""
    if (end := word >> _END) in _ENDS:
        return _ENDS[end]
    if day < word >> _FIRST_DAY & _DAY:
        return StudyState.PLANNED
    return StudyState.OVER if day > word >> _LAST_DAY & _DAY else StudyState.OPEN


def _decided(by: Asking, subject: str) -> Reading[ProvedDecision]:
    """What the subject's rules decide, and an opening in an emergency."""
    party, request, at = by.party, by.request, by.at
    if party is None or (complete := normalize(request)) is None:
        refused = decide((), None if party is None else party.kind, at, request)
        return ProvedDecision(subject, refused.reason, None, 0)
    rules = yield from _rules(subject, by.grantees)
    broken = False
    if _EMERGENCY in party.groups and is_break_glass(complete):
        broken = (yield from _open_until(subject, party.id)) > minute(at)
    found = decide([word for _, word in rules], party.kind, at, request, glass_broken=broken)
    grantee = None if found.position is None else rules[found.position][0]
    return ProvedDecision(subject, found.reason, grantee, found.word)


def _rules(subject: str, grantees: tuple[str, ...]) -> Reading[list[tuple[str, int]]]:
    """The rules that the contract's evaluation comes to, each with its grantee: list by list."""
    lists: dict[str, list[int]] = {grantee: [] for grantee in grantees}
    left, index = list(lists), 0
    while left:
        words = yield tuple(_rule_slots(subject, left, index))
        found = {grantee: int.from_bytes(word) for grantee, word in zip(left, words, strict=True)}
        for grantee, word in found.items():
            lists[grantee] += [word] if word else []
        left, index = [one for one in left if found[one] & FLAG_FIELDS["follows"].mask], index + 1
        if left and index == _RULES_PER_PAIR:
            raise EvidenceError(_part(subject, left[0], index), "follows the last that there can be")
    return [(grantee, word) for grantee, words_of in lists.items() for word in words_of]


def _rule_slots(subject: str, grantees: list[str], index: int) -> Iterator[Slot]:
    keys: tuple[object, ...] = ("further", index) if index else ("first",)
    for grantee in grantees:
        yield one_slot(_part(subject, grantee, index), _REGISTRY, "_rules", subject, grantee, *keys)


def _part(subject: str, grantee: str, index: int) -> str:
    return f"rule {index} of {subject} for {grantee}"


def _open_until(subject: str, party: str) -> Reading[int]:
    """Until which minute a party has broken the glass to a subject's records; 0 where it never did."""
    part = f"opening of {subject} by {party}"
    (number,) = yield (one_slot(part, _REGISTRY, "_last", subject, party),)
    if not any(number):
        return 0
    until = one_slot(part, _REGISTRY, "_openings", subject, int.from_bytes(number) - 1, member="until")
    (opening,) = yield (until,)
    return until.place.number(opening)

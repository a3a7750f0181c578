"""Whether the rules that apply to an actor permit a request: the contract's answer, in Python.

`decide` must give what `ConsentRegistry` gives, bit for bit; docs/rule-word.md has the table,
tests/vectors/policy.json the cases, and both sides are tested against them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum

from medproof.errors import RuleFieldError
from medproof.policy.codes import Action, PartyKind, Purpose, ResearchUse
from medproof.policy.word import FIELDS, FLAG_FIELDS, NO_END_DAY, Field, minute

__all__ = ["Case", "Decision", "Reason", "decide", "in_force", "is_break_glass", "normalize"]


class Reason(IntEnum):
    """Why a request was decided as it was. From 4 on, in the order in which a permit is checked."""

    PERMITTED = 0  # one permit covers the whole request and no deny touches it
    MALFORMED_REQUEST = 1  # the request word breaks the rules of a request
    INACTIVE_PARTY = 2  # the actor is not an active party
    DENIED = 3  # a deny rule touches the request
    NO_RULE = 4  # no permit at all applies to the actor
    REVOKED = 5  # the nearest permit is revoked
    NOT_YET_VALID = 6  # … is in force only later
    EXPIRED = 7  # … is no longer in force
    PARTY_KIND = 8  # … does not admit the actor's kind
    PURPOSE = 9  # … does not cover every purpose asked for
    DATA_CLASS = 10  # … does not cover every class of data asked for
    CONDITION = 11  # … does not cover every condition asked for
    SENSITIVITY = 12  # … does not cover every sensitivity label asked for
    CARE_SETTING = 13  # … does not cover every care setting asked for
    ACTION = 14  # … does not cover every action asked for
    RESEARCH_USE = 15  # … does not permit this research, or carries an obligation that was not accepted
    DATA_PERIOD = 16  # … does not cover the whole period asked for
    BREAK_GLASS = 17  # permitted although no rule permits: the glass was broken in an emergency

    @property
    def permits(self) -> bool:
        """Whether the request may go ahead."""
        return self in (Reason.PERMITTED, Reason.BREAK_GLASS)


@dataclass(frozen=True)
class Decision:
    """The answer to a request."""

    reason: Reason  # PERMITTED or BREAK_GLASS, or why not
    word: (
        int  # the rule that decided, or that break-glass overrode: the permit, the deny or the nearest permit; 0 = none
    )
    position: int | None = None  # its place among the rules given, from 0; None = no rule

    @property
    def permitted(self) -> bool:
        """Whether the request may go ahead."""
        return self.reason.permits


# The fields in which a request must lie inside a permit and meet a deny, with their reasons, in check order.
_SCOPE: tuple[tuple[Field, Reason], ...] = (
    (FIELDS["purposes"], Reason.PURPOSE),
    (FIELDS["classes"], Reason.DATA_CLASS),
    (FIELDS["conditions"], Reason.CONDITION),
    (FIELDS["sensitivities"], Reason.SENSITIVITY),
    (FIELDS["settings"], Reason.CARE_SETTING),
    (FIELDS["actions"], Reason.ACTION),
)
_SCOPE_DEFINED = sum(field.defined for field, _ in _SCOPE)

_PURPOSES = FIELDS["purposes"]
_RESEARCH = FIELDS["research"]
_DATA_FROM, _DATA_UNTIL = FIELDS["dataFrom"], FIELDS["dataUntil"]
_RESEARCH_PURPOSES = Purpose.RESEARCH.value << _PURPOSES.offset
_PERMISSIONS = ResearchUse.PERMISSIONS.value << _RESEARCH.offset
_MODIFIERS = ResearchUse.MODIFIERS.value << _RESEARCH.offset
# Each set of permissions with those that they include, in place.
_INCLUDED = tuple(
    ResearchUse(permissions).with_narrower().value << _RESEARCH.offset
    for permissions in range(ResearchUse.PERMISSIONS.value + 1)
)
_REQUEST_BITS = _SCOPE_DEFINED | _DATA_FROM.mask | _DATA_UNTIL.mask | _RESEARCH.defined

_DENY, _REVOKED, _BREAK_GLASS_REFUSED = (FLAG_FIELDS[name].mask for name in ("deny", "revoked", "breakGlassRefused"))

# What break-glass is good for, and the fields in which a rule that refuses it must meet the request.
_BREAK_GLASS = Purpose.BTG.value << _PURPOSES.offset
_BREAK_GLASS_ACTIONS = (Action.ACCESS | Action.USE).value << FIELDS["actions"].offset
_REFUSED_SCOPE = tuple(FIELDS[name] for name in ("classes", "conditions", "sensitivities", "settings"))


def decide(
    rules: Iterable[int],
    actor_kind: PartyKind | None,
    now: datetime,
    request_word: int,
    *,
    glass_broken: bool = False,
) -> Decision:
    """Decide a request against the rule words that apply to the actor.

    `rules` are the words for the actor's party, then for everyone, then for each of its groups, as the Registrar
    lists them: of several rules that decide alike, the first is named. A zero word (never written) is passed over.
    `actor_kind` is the actor's one kind, or None where it is not an active party; `now` the moment of the
    decision, aware; `glass_broken` says that the actor's party is in the group of emergency care and has an opening
    for this subject that is not over. Raises `RuleFieldError` where `actor_kind` or `now` is not of that form.
    """
    moment = minute(now)
    request = normalize(request_word)
    if request is None:
        return Decision(Reason.MALFORMED_REQUEST, 0)
    if actor_kind is None:
        return Decision(Reason.INACTIVE_PARTY, 0)
    kind = _place_kind(actor_kind)

    words = tuple(rules)
    decision = _evaluate(words, kind, moment, request)
    if not glass_broken or decision.permitted or not is_break_glass(request):
        return decision
    refused = any(_refuses_break_glass(word, kind, moment, request) for word in words)
    return decision if refused else replace(decision, reason=Reason.BREAK_GLASS)


@dataclass(frozen=True)
class Case:
    """A request by an actor at a moment, prepared once and then decided against the rules of many subjects."""

    request: int  # with every empty field filled in
    kind: int  # the actor's, in place
    moment: int  # minutes since 1970

    @classmethod
    def of(cls, actor_kind: PartyKind, now: datetime, request_word: int) -> Case:
        """Prepare a case; the arguments are those of `decide`.

        Raises:
            RuleFieldError: the request is malformed, or `actor_kind` or `now` is not of that form.
        """
        request = normalize(request_word)
        if request is None:
            raise RuleFieldError("request", hex(request_word), "it is malformed", "See docs/rule-word.md, the request.")
        return cls(request, _place_kind(actor_kind), minute(now))

    def permits(self, words: Sequence[int]) -> bool:
        """Whether `decide` permits it by these rule words, without regard to break-glass."""
        wanted = self.request & (_SCOPE_DEFINED | _PERMISSIONS)
        # Most rules lack something that is asked for, which one look shows.
        covered = any(word & wanted == wanted for word in words)
        return covered and _evaluate(words, self.kind, self.moment, self.request).permitted


def _place_kind(actor_kind: PartyKind) -> int:
    if actor_kind.value.bit_count() != 1:
        raise RuleFieldError("actor_kind", actor_kind, "an actor has exactly one kind", "Pass one PartyKind.")
    return actor_kind.value << FIELDS["partyKinds"].offset


def _evaluate(words: Iterable[int], kind: int, moment: int, request: int) -> Decision:
    """What the rules alone decide."""
    nearest = Decision(Reason.NO_RULE, 0)
    for position, word in enumerate(words):
        if word == 0:
            continue
        if word & _DENY:
            if in_force(word, moment) and _denies(word, kind, request):
                return Decision(Reason.DENIED, word, position)
            continue
        if nearest.permitted:
            continue
        reason = _check_permit(word, kind, moment, request)
        if reason is Reason.PERMITTED or reason > nearest.reason:
            nearest = Decision(reason, word, position)
    return nearest


def normalize(request_word: int) -> int | None:
    """Return the request with every empty field filled in, or None where the request is malformed.

    Purposes, classes, conditions, sensitivities, settings and actions left empty ask for every defined code,
    dataUntil 0 for no end, and a research purpose without a permission for all five. A permission asks for those
    that it includes as well: what is any research is research on ancestry, too.
    """
    if request_word & ~_REQUEST_BITS:
        return None
    request = request_word
    for field, _ in _SCOPE:
        if not request & field.mask:
            request |= field.defined
    if not request & _DATA_UNTIL.mask:
        request |= NO_END_DAY << _DATA_UNTIL.offset
    if _DATA_FROM.of(request) > _DATA_UNTIL.of(request):
        return None
    if request & _RESEARCH_PURPOSES:
        permissions = (request & _PERMISSIONS) >> _RESEARCH.offset
        request |= _INCLUDED[permissions] if permissions else _PERMISSIONS
    elif request & _RESEARCH.mask:
        return None
    return request


def is_break_glass(request: int) -> bool:
    """Whether a request, as `normalize` gives it, is one of break-glass: for that purpose alone, to access or use."""
    only = request & _PURPOSES.mask == _BREAK_GLASS
    return only and not request & FIELDS["actions"].mask & ~_BREAK_GLASS_ACTIONS


def _refuses_break_glass(word: int, kind: int, moment: int, request: int) -> bool:
    """Whether a rule refuses break-glass for a request; its purposes, actions and research play no part."""
    if not word & _BREAK_GLASS_REFUSED or not in_force(word, moment) or not word & kind:
        return False
    return all(word & request & field.mask for field in _REFUSED_SCOPE) and _periods_meet(word, request)


def _periods_meet(word: int, request: int) -> bool:
    """Whether the data periods of a rule and a request overlap."""
    return _DATA_FROM.of(request) <= _DATA_UNTIL.of(word) and _DATA_FROM.of(word) <= _DATA_UNTIL.of(request)


def in_force(word: int, moment: int) -> bool:
    """Whether a rule is not revoked and its time has come and not gone; `moment` in minutes since 1970."""
    return not word & _REVOKED and FIELDS["validFrom"].of(word) <= moment < FIELDS["validUntil"].of(word)


def _denies(word: int, kind: int, request: int) -> bool:
    """Whether a deny rule touches the request: it meets it in every field."""
    common = word & request
    if not word & kind or not all(common & field.mask for field, _ in _SCOPE) or not _periods_meet(word, request):
        return False
    # A purpose in common that is not research settles it: how research was restricted then plays no part.
    return bool(common & _PURPOSES.mask & ~_RESEARCH_PURPOSES or common & _PERMISSIONS)


def _check_permit(word: int, kind: int, moment: int, request: int) -> Reason:
    """Return PERMITTED, or the first check that a permit fails."""
    if word & _REVOKED:
        return Reason.REVOKED
    if moment < FIELDS["validFrom"].of(word):
        return Reason.NOT_YET_VALID
    if moment >= FIELDS["validUntil"].of(word):
        return Reason.EXPIRED
    if not word & kind:
        return Reason.PARTY_KIND
    missing = request & ~word
    for field, reason in _SCOPE:
        if missing & field.mask:
            return reason
    if request & _RESEARCH_PURPOSES and (missing & _PERMISSIONS or word & ~request & _MODIFIERS):
        return Reason.RESEARCH_USE
    if _DATA_FROM.of(request) < _DATA_FROM.of(word) or _DATA_UNTIL.of(request) > _DATA_UNTIL.of(word):
        return Reason.DATA_PERIOD
    return Reason.PERMITTED

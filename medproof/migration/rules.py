"""A subject's rules: what it has to sign so that the new deployment says what the old one says, and nothing wider.

What refuses goes before what permits, and an index before those that follow it: wherever the work stops, the new
deployment permits no more than the old one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace

from medproof.client.registrar import grantee_name
from medproof.migration.carrying import Carrying, group_of
from medproof.migration.state import RuleKey, State, meaning
from medproof.migration.step import Actor, Finding, Kind, Step
from medproof.policy.sentence import describe
from medproof.policy.word import FIELDS, FLAG_FIELDS, LAST_SEQUENCE, decode

__all__ = ["RuleSteps", "refuses"]

PART = "rules"
_SEQUENCE, _INDEX, _UNTIL = FIELDS["sequence"], FIELDS["index"], FIELDS["validUntil"]
_REVOKED, _DENY = FLAG_FIELDS["revoked"].mask, FLAG_FIELDS["deny"].mask
_REFUSED = FLAG_FIELDS["breakGlassRefused"].mask
_FOR_GOOD = LAST_SEQUENCE + 1  # of a withdrawal, and of an index that was closed
_EMPTY = _REVOKED | _INDEX.mask  # all that a revocation of nothing says


def refuses(step: Step) -> bool:
    """Whether a step makes the new deployment permit less, so that no permit goes before it."""
    return step.part == PART and not (step.function == "setRuleFor" and not step.arguments[2] & _DENY)


class RuleSteps:
    """The steps for one subject's rules, in their order, and what no step mends."""

    def __init__(self, old: State, new: State, carrying: Carrying, subject: str) -> None:
        """Compare what two deployments say of a subject."""
        self._old, self._new, self._carrying, self._subject = old, new, carrying, subject
        self._words = {key: word for key, word in new.rules.items() if key[0] == subject}  # as the steps leave them
        self._stood: dict[RuleKey, frozenset[int | None]] = {}  # by the new key, what the old deployment ever said
        self._wanted: dict[str, dict[int, int]] = defaultdict(dict)  # by the new grantee and index
        self._ended: list[RuleKey] = []  # new keys of what the old deployment says no more
        self._closed: list[RuleKey] = []
        self._refusals_missing = False  # where one cannot be carried yet, or not at all
        self.findings: list[Finding] = []
        self._waiting: list[Step] = []
        self._sort()
        refusals = [*self._withdrawal(), *self._revocations(), *self._grants(denying=True)]
        permits = [*self._grants(denying=False)]
        if self._refusals_missing:
            permits = [replace(one, waits="what the subject refuses to stand first") for one in permits]
        self.steps: tuple[Step, ...] = (*refusals, *permits, *self._waiting)
        self._find_wider()

    # -- what is wanted -------------------------------------------------------------------------------------------

    def _sort(self) -> None:
        for key, word in sorted(self._old.rules.items()):
            if key[0] != self._subject:
                continue
            grantee = self._carrying.grantee(key[1])
            live = not word & _REVOKED
            lapsed = self._lapsed(key[1], word) if live else ""
            if lapsed:
                self._find(Kind.STAYS, f"{self._said_before(word, key[1])} {lapsed}")
            if grantee is None:
                if live and not lapsed:
                    self._wait(key, word, f"{_named(self._old.groups, key[1])} to be created")
                continue
            there = (self._subject, grantee, key[2])
            self._stood[there] = frozenset(map(self._carrying.word, self._old.rules_before[key]))
            if not live:
                (self._closed if _SEQUENCE.of(word) == _FOR_GOOD else self._ended).append(there)
            elif not lapsed:
                carried = self._carrying.word(word)
                if carried is None:
                    self._wait(key, word, f"terms number {FIELDS['terms'].of(word)} to be published")
                else:
                    self._want(there, carried, _SEQUENCE.of(word) == _FOR_GOOD)

    def _want(self, key: RuleKey, carried: int, withdrawn: bool) -> None:
        """Note a rule that is to stand, unless the subject has said something newer there."""
        stored = self._new.rules.get(key, 0)
        if withdrawn:
            stands = not stored & _REVOKED and _SEQUENCE.of(stored) == _FOR_GOOD
            if not stands:
                self._wanted[key[1]][key[2]] = carried | _FOR_GOOD
            elif carried & ~stored & _REFUSED:
                self._find(Kind.STUCK, "You refuse emergency access as well: nothing changes a withdrawal.")
            return
        if meaning(stored) & ~_EMPTY and meaning(stored) != carried:
            if stored & _REVOKED:
                self._find(Kind.NEWER, f"{self._said(stored, key[1])} (rule {key[2]})")
                return
            if meaning(stored) not in self._stood[key]:
                return  # its own, see _find_wider
        if meaning(stored) != carried:
            self._wanted[key[1]][key[2]] = carried

    def _lapsed(self, grantee: str, word: int) -> str:
        """Why a rule that stands can never have an effect again; empty where it may."""
        group = group_of(grantee)
        if _UNTIL.of(word) <= self._old.minute:
            return "Its time is over."
        if group is not None and group not in self._old.groups:
            return "There is no such group, and a later one of that number would be another."
        if not word & _DENY and grantee in self._old.removed:
            return "The party was removed for good."
        return ""

    # -- steps ----------------------------------------------------------------------------------------------------

    def _withdrawal(self) -> Iterator[Step]:
        for grantee, wanted in self._wanted.items():
            for index, word in [*wanted.items()]:
                if _SEQUENCE.of(word) != _FOR_GOOD:
                    continue
                del wanted[index]
                key = (self._subject, grantee, index)
                stored = self._words.get(key, 0)
                if word & _REFUSED and (not stored & _REFUSED or stored & _REVOKED):
                    yield from self._set(key, meaning(word))
                self._words[key] = word
                yield self._step("withdraw", (self._subject,), "You deny everyone everything, for good.")

    def _revocations(self) -> Iterator[Step]:
        for key in self._ended:
            stored = self._words.get(key, 0)
            if stored and not stored & _REVOKED and meaning(stored) in self._stood[key]:
                yield self._revoke(key, _SEQUENCE.of(stored) + 1, f"You withdraw: {self._said(stored, key[1])}")
        for key in self._closed:
            if _SEQUENCE.of(self._words.get(key, 0)) != _FOR_GOOD:
                yield self._revoke(key, _FOR_GOOD, f"You close rule {key[2]} for {self._name(key[1])} for good.")

    def _grants(self, *, denying: bool) -> Iterator[Step]:
        for grantee, wanted in self._wanted.items():
            for index, word in sorted(wanted.items()):
                if bool(word & _DENY) is not denying:
                    continue
                for before in range(index):
                    if not self._words.get((self._subject, grantee, before)):
                        says = f"Nothing is said by rule {before} for {self._name(grantee)}."
                        yield self._revoke((self._subject, grantee, before), 1, says)
                yield from self._set((self._subject, grantee, index), word)

    def _set(self, key: RuleKey, word: int) -> Iterator[Step]:
        sequence = _SEQUENCE.of(self._words.get(key, 0)) + 1
        says = self._said(word, key[1])
        if sequence > LAST_SEQUENCE:
            self._find(Kind.STUCK, f"{says} Rule {key[2]} was closed for good in the new deployment.")
            self._refusals_missing |= bool(word & _DENY)
            return
        self._words[key] = word | sequence
        yield self._step("setRuleFor", (self._subject, key[1], word | sequence), says)

    def _revoke(self, key: RuleKey, sequence: int, says: str) -> Step:
        self._words[key] = self._words.get(key, 0) & ~_SEQUENCE.mask | _REVOKED | _INDEX.place(key[2]) | sequence
        return self._step("revokeRuleFor", (*key, sequence), says)

    def _wait(self, key: RuleKey, word: int, what: str) -> None:
        self._refusals_missing |= bool(word & _DENY)
        arguments = (self._subject, key[1], meaning(word))
        self._waiting.append(self._step("setRuleFor", arguments, self._said_before(word, key[1]), waits=what))

    def _step(self, function: str, arguments: tuple[object, ...], says: str, *, waits: str = "") -> Step:
        return Step(Actor.SUBJECT, self._subject, PART, "ConsentRegistry", function, arguments, says, waits)

    # -- what no step mends ---------------------------------------------------------------------------------------

    def _find_wider(self) -> None:
        for key, word in sorted(self._new.rules.items()):
            if key[0] != self._subject or word & _REVOKED or _UNTIL.of(word) <= self._new.minute:
                continue
            if meaning(word) not in self._stood.get(key, frozenset()):
                kind = Kind.NEWER if word & _DENY else Kind.WIDER
                self._find(kind, f"{self._said(word, key[1])} (rule {key[2]})")

    def _find(self, kind: Kind, says: str) -> None:
        self.findings.append(Finding(kind, PART, self._subject, says))

    def _said(self, word: int, grantee: str) -> str:
        return describe(decode(meaning(word)), grantee=self._name(grantee))

    def _said_before(self, word: int, grantee: str) -> str:
        return describe(decode(meaning(word)), grantee=_named(self._old.groups, grantee))

    def _name(self, grantee: str) -> str:
        return _named(self._new.groups, grantee)


def _named(groups: Mapping[int, str], grantee: str) -> str:
    """A grantee in a sentence: of a group, number and name."""
    group = group_of(grantee)
    name = grantee_name(grantee)
    return f"{name} (“{groups[group]}”)" if group is not None and group > 2 and group in groups else name

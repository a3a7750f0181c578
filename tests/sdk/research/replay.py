"""The oracle of the flows: the index's events replayed one by one in plain Python, and decided by the policy module."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from medproof.client.registrar import EVERYONE, group_grantee
from medproof.indexer import IndexedDeployment, view
from medproof.policy.codes import (
    Action,
    CareSetting,
    Condition,
    DataClass,
    PartyKind,
    Purpose,
    ResearchUse,
    Sensitivity,
)
from medproof.policy.evaluation import Case
from medproof.policy.word import FIELDS, FLAG_FIELDS, NO_END_MINUTE, Rule, encode, encode_request, from_minute, minute
from medproof.research.cohort import Question
from medproof.research.flows import Spread
from medproof.research.periods import Every, Period

CLOCK = -1
_DENY, _REVOKED = FLAG_FIELDS["deny"].mask, FLAG_FIELDS["revoked"].mask
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ANYTHING = encode(
    Rule(
        Purpose.ALL,
        DataClass.ALL,
        Condition.ALL,
        Sensitivity.ALL,
        CareSetting.ALL,
        Action.ALL,
        PartyKind.ALL,
        _EPOCH,
        research=ResearchUse(ResearchUse.PERMISSIONS),
    )
)
Key = tuple[str, str, int]


@dataclass(frozen=True)
class Change:
    """A rule that was written."""

    time: datetime
    block: int
    key: Key
    word: int


def changes(indexed: IndexedDeployment, block: int | None = None) -> list[Change]:
    """All changes of rules up to a block, as the events tell them."""
    last = indexed.block if block is None else block
    state = view(indexed, block=last, at=datetime(2100, 1, 1, tzinfo=UTC))
    found = []
    for event in state.events("ConsentRegistry"):
        if event.name in ("RuleSet", "RuleRevoked"):
            word = int(event.arguments["word"], 16)
            key = (event.arguments["subject"], event.arguments["grantee"], FIELDS["index"].of(word))
            kept = indexed.block_hash(event.block)
            assert kept is not None
            found.append(Change(datetime.fromtimestamp(kept.time, UTC), event.block, key, word))
    return found


def ends(word: int) -> datetime | None:
    until = FIELDS["validUntil"].of(word)
    return None if until == NO_END_MINUTE else from_minute(until)


def begins(word: int) -> datetime:
    return from_minute(FIELDS["validFrom"].of(word))


@dataclass
class Asked:
    """A question to single words and to all of a subject's."""

    question: Question | None
    grantees: set[str] | None = None

    def __post_init__(self) -> None:
        if self.question is not None:
            assert self.question.kind is not None
            self.grantees = {one.lower() for one in (EVERYONE, *map(group_grantee, self.question.groups))}

    def _case(self, moment: datetime) -> Case:
        assert self.question is not None
        assert self.question.kind is not None
        return Case.of(self.question.kind, moment, encode_request(self.question.request))

    def permits(self, key: Key, word: int) -> bool:
        """Whether a word permits it at the time for which it was written."""
        if word & (_DENY | _REVOKED):
            return False
        if self.question is None:
            return True
        assert self.grantees is not None
        if key[1] not in self.grantees or self.question.terms not in (None, FIELDS["terms"].of(word)):
            return False
        return self._case(begins(word)).permits([word])

    def member(self, words: dict[Key, int], moment: datetime) -> bool:
        """Whether a subject with these words permits it at a moment."""
        if self.question is None:
            now = minute(moment)
            return any(
                not word & (_DENY | _REVOKED) and FIELDS["validFrom"].of(word) <= now < FIELDS["validUntil"].of(word)
                for word in words.values()
            )
        counted = [
            word
            for key, word in words.items()
            if key[1] in (self.grantees or ()) and (word & _DENY or self.permits(key, word))
        ]
        return self._case(moment).permits(counted)


@dataclass
class Replay:
    """What happened, told by walking through it."""

    counts: dict[datetime, Counter[str]] = field(default_factory=dict)
    revoked: list[timedelta] = field(default_factory=list)
    relayed: list[timedelta] = field(default_factory=list)
    lapsed: int = 0
    open: int = 0
    standing: dict[datetime, int] = field(default_factory=dict)


def replay(found: Iterable[Change], asked: Asked, every: Every, until: datetime) -> Replay:
    """Walk through all changes and all that the clock brings, in order."""
    told = Replay()

    def count(moment: datetime, name: str) -> None:
        told.counts.setdefault(every.start(moment), Counter())[name] += 1

    granted: dict[Key, datetime] = {}
    known: dict[Key, int] = {}
    seen: set[str] = set()

    def clock(now: datetime) -> None:
        for key in [key for key in granted if (end := ends(known[key])) is not None and end <= now]:
            count(ends(known[key]) or now, "lapsed")
            told.lapsed += 1
            del granted[key]

    walked = sorted(found, key=lambda one: one.block)
    for change in walked:
        clock(change.time)
        end = ends(change.word)
        opens = asked.permits(change.key, change.word) and (end is None or end > change.time)
        same = FIELDS["sequence"].of(known.get(change.key, 0)) == FIELDS["sequence"].of(change.word)
        known[change.key] = change.word
        if opens and change.key not in granted:
            granted[change.key] = change.time
            count(change.time, "granted")
            if change.key[0] not in seen:
                seen.add(change.key[0])
                count(change.time, "new_subjects")
            if begins(change.word) <= change.time:
                told.relayed.append(change.time - begins(change.word))
        elif opens and not same:
            count(change.time, "changed")
        elif not opens and change.key in granted:
            count(change.time, "revoked")
            told.revoked.append(change.time - granted.pop(change.key))
    clock(until)
    told.open = len(granted)
    _subjects(told, walked, asked, every, until, count)
    return told


def _subjects(told: Replay, walked: list[Change], asked: Asked, every: Every, until: datetime, count: Any) -> None:
    """Who came and went, subject by subject, moment by moment."""
    first = every.start(min([change.time for change in walked], default=until))
    starts = [first]
    while starts[-1] <= every.start(until):
        starts.append(every.next(starts[-1]))
    told.standing = dict.fromkeys(starts[:-1], 0)
    for subject in {change.key[0] for change in walked}:
        mine = [change for change in walked if change.key[0] == subject]
        for start, end in pairwise(starts):
            before, acted = False, False
            states = list(_states(mine, asked, start, min(end, until + timedelta(microseconds=1))))
            at_start = before = states[0][1]
            for place, now in states[1:]:
                acted |= before and not now and place != CLOCK
                before = now
            told.standing[start] += before
            if before and not at_start:
                count(start, "joined")
            elif at_start and not before:
                count(start, "withdrew" if acted else "ran_out")


def _states(mine: list[Change], asked: Asked, start: datetime, end: datetime) -> Iterator[tuple[int, bool]]:
    """Whether a subject permits it just before a period, and after each thing that may have changed that in it."""
    words = {change.key: change.word for change in mine if change.time < start}
    yield CLOCK, asked.member(words, start - timedelta(microseconds=1)) if words else False
    clocks = {moment for change in mine for moment in (begins(change.word), ends(change.word)) if moment is not None}
    places = {(moment, CLOCK) for moment in clocks} | {(change.time, change.block) for change in mine}
    for moment, block in sorted(place for place in places if start <= place[0] < end):
        for change in mine:
            if change.block == block or (change.time < moment):
                words[change.key] = change.word
        yield block, asked.member(words, moment) if words else False


def expected(told: Replay, every: Every, until: datetime) -> list[Period]:
    """Every period from the first in which anything happened to the last."""
    start, found = min(told.counts, default=every.start(until)), []
    while start <= every.start(until):
        counted = told.counts.get(start, {})
        found.append(Period(start, every.next(start), **counted, standing=told.standing[start]))
        start = every.next(start)
    return found


def spread(lengths: list[timedelta]) -> Spread | None:
    ranked = sorted(lengths)
    if not ranked:
        return None
    at = [ranked[max(1, -(-len(ranked) * quarter // 4)) - 1] for quarter in range(5)]
    return Spread(len(ranked), *at)

"""What the pages know of a registry: its research data set, asked as of a block, with small counts left out."""

from __future__ import annotations

import json
from bisect import bisect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cached_property, lru_cache
from typing import Any

import ibis

from medproof.client.registrar import EMERGENCY, EVERYONE
from medproof.client.studies import StudyState
from medproof.errors import IndexTimeError
from medproof.policy.codes import PartyKind
from medproof.policy.word import Request, decode_request
from medproof.research.cohort import Question, cohort
from medproof.research.coverage import coverage
from medproof.research.dataset import Dataset
from medproof.research.flows import flow, sizes
from medproof.research.matching import in_force
from medproof.research.periods import Every
from medproof.research.suppression import Count, Suppression

__all__ = ["STANDINGS", "AsOf", "Covered", "PartyRow", "Registry", "StudyRow"]

_MOST_KEPT = 32  # blocks as of which lists are kept

STANDINGS = {"active": "active", "suspended": "suspended", "lapsed": "lapsed"}
"""How a party stands, by the word for it in an address."""


@dataclass(frozen=True)
class AsOf:
    """As of when a page is."""

    block: int  # the newest block, not later than what was asked for, in which something happened
    hash: str  # its hash, 0x…
    time: datetime  # the moment at which rules are in force: the block's, or the one that was asked for
    at: datetime | None = None  # the time that was asked for


@dataclass(frozen=True)
class Covered:
    """How many subjects permit what has a code."""

    code: str
    display: str
    size: Count
    share: float | None  # for a drawing, of the list's largest that is shown: of all, it would tell who is left over


@dataclass(frozen=True)
class PartyRow:
    """A party as the directory lists it."""

    party: str  # its identity, 0x…
    account: str  # who acts for it
    kind: PartyKind
    standing: str  # one of `STANDINGS`
    valid_until: date  # last day
    groups: tuple[int, ...]
    since: int  # block of its last change


@dataclass(frozen=True)
class StudyRow:
    """A study as it is listed."""

    id: str  # 0x…
    researcher: str  # identity of the party that does it
    asks: Request
    protocol: str  # commitments, 0x…
    ethics: str
    first_day: date
    last_day: date
    custodians: tuple[str, ...]
    state: StudyState  # on the day of the page
    since: int  # block of its last change


class Registry:
    """One deployment as its data set has it."""

    def __init__(self, dataset: Dataset, *, suppression: Suppression) -> None:
        """Read a data set.

        Args:
            dataset: of the deployment.
            suppression: which counts are not shown.
        """
        self.dataset, self.suppression = dataset, suppression
        self.chain, self.authority = dataset.chain, dataset.authority
        self.contracts = sorted(dataset.contracts.items())
        self.first = self._numbers[0]  # the first block in which something happened
        # Asked on many pages as of the same block.
        self.groups = lru_cache(_MOST_KEPT)(self._groups)
        self.parties = lru_cache(_MOST_KEPT)(self._parties)
        self.studies = lru_cache(_MOST_KEPT)(self._studies)
        self._subjects = lru_cache(_MOST_KEPT)(self._count_subjects)

    @property
    def last(self) -> AsOf:
        """The last block that it knows."""
        return self._of(self.dataset.block.number)

    @property
    def threshold(self) -> int:
        """Below which number counts are not shown; 0 where all are."""
        return 0 if self.suppression.off else self.suppression.threshold

    @property
    def rule(self) -> str:
        """What is done about small counts, as a sentence."""
        if self.suppression.off:
            return f"Small counts are shown: {self.suppression.off}."
        return f"Counts of 1 to {self.threshold - 1} people are not shown."

    def as_of(self, *, block: int | None = None, at: datetime | None = None) -> AsOf:
        """When to ask as of.

        Raises:
            IndexTimeError: the registry does not know it.
        """
        if at is not None:
            found = self.dataset.as_of(at=at)
            return replace(self._of(found.block), time=at, at=at)
        if block is None:
            return self.last
        if block not in self._blocks:
            if not self.first <= block <= self.dataset.block.number:
                raise IndexTimeError(block, None, self.dataset.block.number)
            block = self._numbers[bisect(self._numbers, block) - 1]
        return self._of(block)

    @cached_property
    def _blocks(self) -> dict[int, tuple[str, datetime]]:
        """The blocks in which something happened, rising, with hash and time."""
        rows = self.dataset.table("blocks").order_by("block").to_pyarrow().to_pylist()
        return {row["block"]: (row["hash"], row["block_time"]) for row in rows}

    @cached_property
    def _numbers(self) -> list[int]:
        return list(self._blocks)

    def _of(self, block: int) -> AsOf:
        return AsOf(block, *self._blocks[block])

    # -- who permits what -------------------------------------------------------------------------------------------

    def size(self, question: Question, as_of: AsOf, *, moment: datetime | None) -> tuple[Count, float | None]:
        """How many subjects permit something, and their share of all that have rules, where neither tells of few.

        Raises:
            QuestionError: the party was never accredited.
        """
        found = cohort(self.dataset, question, block=as_of.block, moment=moment or as_of.time).count()
        everybody = self._subjects(as_of)
        hidden = self.suppression.hides(found) or self.suppression.hides(max(everybody - found, 0))
        return self.suppression.count(found), None if hidden or not everybody else found / everybody

    def trend(self, question: Question, as_of: AsOf) -> list[tuple[datetime, Count]]:
        """How many subjects permitted something as each month began, and as of the moment itself."""
        first = self._of(self.first).time
        points = [one for one in _months(first, as_of.time) if one > first] + [as_of.time]
        found = sizes(self.dataset, question, points)
        return [(point, self.suppression.count(size)) for point, size in zip(points, found, strict=True)]

    def flow(self, as_of: AsOf) -> list[tuple[datetime, Count, Count, Count]]:
        """Month by month, how many subjects had some permit in force at its end, and who came and went."""
        periods = flow(self.dataset, block=as_of.block, every=Every.MONTH)
        if not periods:
            return []
        moves = [(one.joined, one.withdrew + one.ran_out) for one in periods]
        shown = self.suppression.flow(periods[0].at_start, moves)
        return [
            (one.start, standing, came, went)
            for one, (came, went, standing) in zip(periods, shown.periods, strict=True)
        ]

    def coverage(self, by: str, as_of: AsOf) -> list[Covered]:
        """How many subjects permit each code of a list."""
        found = coverage(self.dataset, by, block=as_of.block, moment=as_of.time)
        shown = [self.suppression.count(one.subjects) for one in found]
        most = max((size.value or 0 for size in shown), default=0)
        return [
            Covered(one.code, one.display, size, size.value / most if size.value and most else None)
            for one, size in zip(found, shown, strict=True)
        ]

    def _count_subjects(self, as_of: AsOf) -> int:
        rules = self._standing("rules", as_of)
        return int(rules.filter(~rules.revoked).subject_number.nunique().to_pyarrow().as_py())

    # -- who may ask ------------------------------------------------------------------------------------------------

    def _groups(self, as_of: AsOf) -> dict[int, str]:
        """The groups of parties and their names."""
        said = {int(EVERYONE, 16): "everyone", int(EMERGENCY, 16): "emergency care"}
        rows = self._standing("party_groups", as_of).to_pyarrow().to_pylist()
        return said | {row["number"]: row["name"] for row in sorted(rows, key=lambda row: row["number"])}

    def _parties(self, as_of: AsOf) -> list[PartyRow]:
        """The parties as they stood, in the order of their identities."""
        rows = self._standing("parties", as_of).to_pyarrow().to_pylist()
        return sorted((_party(row, as_of.time.date()) for row in rows), key=lambda row: row.party)

    # -- studies ----------------------------------------------------------------------------------------------------

    def _studies(self, as_of: AsOf) -> list[tuple[StudyRow, Count]]:
        """The studies, the newest first, with how many subjects take part."""
        rows = self._standing("studies", as_of).to_pyarrow().to_pylist()
        choices = self._standing("participations", as_of)
        counts = choices.filter(choices.opted_in).group_by("study").agg(size=ibis._.count()).to_pyarrow().to_pylist()
        sizes = {row["study"]: row["size"] for row in counts}
        rows.sort(key=lambda row: (-row["block"], row["study"]))
        return [(_study(row, as_of.time.date()), self.suppression.count(sizes.get(row["study"], 0))) for row in rows]

    def registered(self, study: str) -> int | None:
        """The block in which a study was registered; None where it never was."""
        rows = self.dataset.table("studies")
        found = rows.filter(rows.study == study).block.min().to_pyarrow().as_py()
        return None if found is None else int(found)

    def taking_part(self, study: StudyRow, as_of: AsOf) -> list[tuple[datetime, Count]]:
        """How many subjects took part in a study as each month began, and as of the moment itself."""
        choices = self.dataset.table("participations")
        mine = choices.filter(choices.study == study.id, choices.opted_in, choices.block <= as_of.block)
        rows = mine.select("block_time", "until_time", "until_block").to_pyarrow().to_pylist()
        if not rows:
            return []
        first = min(row["block_time"] for row in rows)
        points = [one for one in _months(first, as_of.time) if one > first] + [as_of.time]
        stood = [
            sum(row["block_time"] <= point and not (row["until_time"] and row["until_time"] <= point) for row in rows)
            for point in points
        ]
        return [(point, self.suppression.count(size)) for point, size in zip(points, stood, strict=True)]

    def cohorts(self, study: StudyRow, as_of: AsOf) -> list[dict[str, Any]]:
        """The cohorts that a study fixed, each with how many results there are over it."""
        rows = self._of_study("cohorts", study, as_of)
        results = [row["cohort"] for row in self._of_study("results", study, as_of)]
        return [{**row, "results": results.count(row["cohort"])} for row in rows]

    def bounties(self, study: StudyRow, as_of: AsOf) -> list[dict[str, Any]]:
        """The bounties for a study's answers."""
        return self._of_study("bounties", study, as_of)

    def _of_study(self, name: str, study: StudyRow, as_of: AsOf) -> list[dict[str, Any]]:
        rows = self._standing(name, as_of)
        found: list[dict[str, Any]] = rows.filter(rows.study == study.id).to_pyarrow().to_pylist()
        return sorted(found, key=lambda row: (row["block"], row["position"]))

    # -- all of it --------------------------------------------------------------------------------------------------

    def figures(self, as_of: AsOf) -> list[tuple[str, Count]]:
        """What there is to say of a registry in a few numbers."""
        rules = self._standing("rules", as_of)
        rules = rules.filter(~rules.revoked)
        [counted] = (
            rules.aggregate(
                subjects=rules.subject_number.nunique(),
                standing=rules.subject_number.nunique(where=~rules.deny & in_force(rules, self._of(as_of.block).time)),
                permitting=rules.subject_number.nunique(where=~rules.deny),
                permits=(~rules.deny).sum().coalesce(0),
                refusals=rules.deny.sum().coalesce(0),
                refusing=rules.subject_number.nunique(where=rules.deny),
            )
            .to_pyarrow()
            .to_pylist()
        )
        parties = self.parties(as_of)
        active = sum(one.standing == "active" for one in parties)
        hidden = self.suppression.count
        # The flow beside it ends with those who stand: the others are not left over.
        left_over = self.suppression.hides(counted["subjects"] - counted["standing"])

        def written(rules: str, people: str) -> Count:
            """What few people wrote is as telling as the people."""
            few = hidden(counted[people])
            return few if few.value is None else hidden(counted[rules])

        return [
            ("subjects with rules", Count(None) if left_over else hidden(counted["subjects"])),
            ("permissions that stand", written("permits", "permitting")),
            ("refusals that stand", written("refusals", "refusing")),
            (f"active parties, of {len(parties):,}", Count(active)),
        ]

    def _standing(self, name: str, as_of: AsOf) -> Any:
        table = self.dataset.table(name)
        until = table.until_block
        return table.filter(table.block <= as_of.block, until.isnull() | (until > as_of.block))


def _study(row: Mapping[str, Any], today: date) -> StudyRow:
    ended = StudyState(row["ended"])
    state = StudyState.OPEN
    if ended is not StudyState.UNKNOWN:
        state = ended
    elif today < row["first_day"]:
        state = StudyState.PLANNED
    elif today > row["last_day"]:
        state = StudyState.OVER
    return StudyRow(
        id=row["study"],
        researcher=row["researcher"],
        asks=decode_request(int(row["request"], 16)),
        protocol=row["protocol"],
        ethics=row["ethics"],
        first_day=row["first_day"],
        last_day=row["last_day"],
        custodians=tuple(json.loads(row["custodians"])),
        state=state,
        since=row["block"],
    )


def _months(first: datetime, last: datetime) -> list[datetime]:
    """The beginnings of the months between two moments."""
    found, month = [], first.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    while month < last:
        found.append(month)
        month = (month + timedelta(days=31)).replace(day=1)
    return found


def _party(row: Mapping[str, Any], today: date) -> PartyRow:
    lapsed = row["valid_until"] < today
    return PartyRow(
        party=row["party"],
        account=row["account"],
        kind=PartyKind(row["kind"]),
        standing="suspended" if row["suspended"] else "lapsed" if lapsed else "active",
        valid_until=row["valid_until"],
        groups=tuple(json.loads(row["groups"])),
        since=row["block"],
    )

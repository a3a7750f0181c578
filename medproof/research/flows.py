"""How consent moves: what was granted and withdrawn when, how long it lasts, and how large a cohort was.

All of it follows from two times. From when until when the chain knew a rule is told by its blocks (`block_time`,
`until_time`); when it is in force is what its signer set (`valid_from`, `valid_until`). A permit counts at a moment if
the chain knew it then and it was in force then. docs/research.md has the definitions.

Times are compared as pairs: a time, and the block that brought a change, or -1 where the clock did. So the states as of
two blocks of one second differ, as they do on chain.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from enum import Enum
from functools import reduce
from itertools import pairwise
from typing import Any

import ibis
import pyarrow as pa
from ibis.expr.types import BooleanValue
from ibis.expr.types import Table as Expression

from medproof.client.registrar import EVERYONE, Party, group_grantee
from medproof.policy.codes import PartyKind
from medproof.research.cohort import Question
from medproof.research.dataset import AsOf, Dataset
from medproof.research.matching import TIME, Asked, covers, touches
from medproof.research.suppression import Count, Suppression

__all__ = ["Every", "Lag", "Period", "Published", "Spread", "flow", "lag", "publish", "sizes"]

_KEY = ("subject_number", "grantee_number", "rule_index")
_BY_CLOCK = -1  # in the place of a block
_MOMENT = {"subject_number": "int64", "permits": "int64", "refuses": "int64", "time": TIME, "block": "int64"}
_SPELLS = pa.schema(
    {
        "grantee_number": pa.int32(),
        "asks": pa.int32(),  # the kind of the party
        "active_from": pa.timestamp("us", "UTC"),
        "active_from_block": pa.int64(),
        "active_to": pa.timestamp("us", "UTC"),
        "active_to_block": pa.int64(),
    }
)
_Place = tuple[Any, Any]  # a time and a block, as columns
_MARK = {"time": TIME, "block": "int64", "change": "int64", "place": "int64"}


# -- flow over time and churn -----------------------------------------------------------------------------------------


class Every(Enum):
    """How long a period is; weeks begin on Monday (ISO 8601), all in UTC."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"

    def start(self, moment: datetime) -> datetime:
        """The first moment of the period in which a moment lies."""
        day = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        if self is Every.WEEK:
            return day - timedelta(days=day.weekday())
        return day.replace(day=1) if self is Every.MONTH else day

    def next(self, start: datetime) -> datetime:
        """The start of the period after the one that starts then."""
        return self.start(start + timedelta(days={Every.DAY: 1, Every.WEEK: 7, Every.MONTH: 31}[self]))


@dataclass(frozen=True)
class Period:
    """What happened in a period. A permit is open from its grant until it is revoked or its end date has come."""

    start: datetime  # its first moment
    end: datetime  # the first moment after it
    granted: int = 0  # rules that were opened
    changed: int = 0  # open rules that were written anew and stayed open
    revoked: int = 0  # open rules that were withdrawn, or written anew so that they permit this no more
    lapsed: int = 0  # open rules whose end date came
    new_subjects: int = 0  # whose first rule was opened
    joined: int = 0  # subjects who permitted it at the end and not at the start
    withdrew: int = (
        0  # subjects who permitted it at the start and not at the end, and an act on the chain took part in it
    )
    ran_out: int = 0  # likewise, by end dates alone
    standing: int = 0  # subjects who permitted it at the end

    @property
    def at_start(self) -> int:
        """Subjects who permitted it at the start."""
        return self.standing - self.joined + self.withdrew + self.ran_out

    @property
    def churn(self) -> float | None:
        """Of the subjects at the start, the share that withdrew; None where there were none.

        It is the incidence proportion of epidemiology: those to whom it happened in the period, over those at risk at
        its start (CDC, Principles of Epidemiology in Public Health Practice, 3rd edition, lesson 3, section 2).
        """
        return self.withdrew / self.at_start if self.at_start else None


def flow(
    dataset: Dataset,
    question: Question | None = None,
    *,
    every: Every = Every.MONTH,
    since: datetime | None = None,
    block: int | None = None,
    at: datetime | None = None,
) -> tuple[Period, ...]:
    """How consent came and went, period by period, without a gap; the last one ends with what is known.

    Args:
        dataset: the registry.
        question: what has to be permitted; any permit counts, and refusals do not, where none is asked. A party counts
            with the kind and the groups that it has in the end: what it does itself is no flow of consent. Of a study,
            the rules of those count who take part in the end.
        every: how long a period is.
        since: from the period of this moment on, or of the deployment's first block; from the first rule on where none
            is named.
        block: up to which block; the last that is known where neither is named.
        at: up to which time.

    Raises:
        IndexTimeError: the data set does not know that block or time.
    """
    as_of = dataset.as_of(block=block, at=at)
    sought, rules = _Sought.of(dataset, question, as_of), _known(dataset, as_of.block)
    steps = _steps(_of_participants(rules, dataset, question, as_of), sought)
    changes = _changes(_while_opted_in(rules, dataset, question, as_of), sought, as_of.moment)
    found: dict[datetime, dict[str, Any]] = {}
    for table in (_acts(steps), _lapses(steps, as_of.moment), _first(steps), _net(changes, every)):
        if "time" in table.columns:
            names = [name for name in table.columns if name != "time"]
            table = table.mutate(period=table.time.truncate(_UNITS[every]))
            table = table.group_by("period").agg(**{name: table[name].sum() for name in names})
        for row in table.to_pyarrow().to_pylist():
            period = _aware(row.pop("period"))
            if any(row.values()):
                found.setdefault(period, {}).update(row)
    if since is not None:
        since = max(since, _aware(dataset.table("blocks").block_time.min().to_pyarrow().as_py()))
    return tuple(_periods(found, every, since, as_of.moment))


@dataclass(frozen=True)
class Published:
    """A period as it may be published: what has the names of a period's counts is one, or hidden."""

    start: datetime
    end: datetime
    at_start: Count
    counts: Mapping[str, Count]
    churn: float | None  # None also where what it is made of is hidden


def publish(periods: Sequence[Period], suppression: Suppression) -> tuple[Published, ...]:
    """Periods without what would give small counts away.

    Who came, who went and who stood add up from period to period, and are hidden together (`Suppression.flow`). What
    was done to rules hardly differs from who came and went, where most subjects have one rule: it is shown only in
    periods of which nothing else had to be hidden.
    """
    if not periods:
        return ()
    moves = [(one.joined, one.withdrew + one.ran_out) for one in periods]
    shown = suppression.flow(periods[0].at_start, moves)
    found, before = [], shown.opening
    for period, (came, went, standing) in zip(periods, shown.periods, strict=True):
        whole = None not in (before.value, came.value, went.value, standing.value)
        counts = {
            name: suppression.count(getattr(period, name)) if whole else Count(None)
            for name in ("granted", "changed", "revoked", "lapsed", "new_subjects", "withdrew", "ran_out")
        }
        if None in (counts["withdrew"].value, counts["ran_out"].value):  # each is what is left of those who went
            counts |= {"withdrew": Count(None), "ran_out": Count(None)}
        counts |= {"joined": came, "standing": standing}
        churn = None if counts["withdrew"].value is None else period.churn
        found.append(Published(period.start, period.end, before, counts, churn))
        before = standing
    return tuple(found)


_UNITS = {Every.DAY: "D", Every.WEEK: "W", Every.MONTH: "M"}


def _acts(steps: Expression) -> Expression:
    """What was done to rules, and when."""
    done = {
        "granted": steps.is_open & ~steps.was_open,
        "changed": steps.is_open & steps.was_open & steps.rewritten,
        "revoked": ~steps.is_open & steps.was_open,
    }
    return steps.select(time=steps.block_time, **{name: _one(each) for name, each in done.items()})


def _lapses(steps: Expression, until: datetime) -> Expression:
    """Open rules whose end date came before anything else did."""
    came = (steps.valid_until <= _literal(until)) & (
        steps.until_time.isnull() | (steps.valid_until <= steps.until_time)
    )
    return steps.filter(steps.is_open & came).select(time="valid_until", lapsed=ibis.literal(1, "int64"))


def _first(steps: Expression) -> Expression:
    """When each subject opened its first rule."""
    first = steps.filter(steps.is_open & ~steps.was_open).group_by("subject_number").agg(time=steps.block_time.min())
    return first.select("time", new_subjects=ibis.literal(1, "int64"))


def _net(changes: Expression, every: Every) -> Expression:
    """How many subjects changed sides between the start and the end of each period, and by what."""
    dated = changes.mutate(period=changes.time.truncate(_UNITS[every]))
    each = dated.group_by("subject_number", "period").agg(
        change=ibis.ifelse(dated.member, 1, -1).sum(),
        acted=_one(~dated.member & (dated.block != _BY_CLOCK)).max(),
    )
    counted = {
        "joined": each.change > 0,
        "withdrew": (each.change < 0) & (each.acted == 1),
        "ran_out": (each.change < 0) & (each.acted == 0),
    }
    return each.group_by("period").agg(**{name: _one(met).sum() for name, met in counted.items()})


def _periods(
    found: Mapping[datetime, Mapping[str, int]], every: Every, since: datetime | None, until: datetime
) -> Iterator[Period]:
    """The periods without a gap, each with who stood at its end."""
    last = every.start(until)
    shown = every.start(since) if since is not None else min(found, default=last)
    start, standing = min([shown, *found]), 0
    while start <= last:
        said = {name: int(count or 0) for name, count in found.get(start, {}).items()}
        standing += said.get("joined", 0) - said.get("withdrew", 0) - said.get("ran_out", 0)
        end = every.next(start)
        if start >= shown:
            yield Period(start, end, **said, standing=standing)
        start = end


# -- a cohort over time -----------------------------------------------------------------------------------------------


def sizes(dataset: Dataset, question: Question, points: Sequence[int | datetime]) -> tuple[int, ...]:
    """How large a cohort was as of each of many blocks or times, by one query: for a chart, or a slider.

    Each is what `cohort(dataset, question, block=…)` or `at=…` counts, the party's own standing included.

    Args:
        dataset: the registry.
        question: what has to be permitted.
        points: blocks in which something happened, or times; in any order.

    Raises:
        IndexTimeError: the data set does not know one of them.
    """
    if not points:
        return ()
    places = [dataset.as_of(block=one) if isinstance(one, int) else dataset.as_of(at=one) for one in points]
    changes = _changes(*_reached(dataset, question), max(place.moment for place in places))
    steps = changes.group_by("time", "block").agg(change=ibis.ifelse(changes.member, 1, -1).sum())
    marks = ibis.memtable(
        {
            "time": [place.moment for place in places],
            "block": [place.block for place in places],
            "place": list(range(len(places))),
        },
        schema={"time": TIME, "block": "int64", "place": "int64"},
    )
    line = ibis.union(
        steps.select("time", "block", "change", place=-1).cast(_MARK),
        marks.select("time", "block", "place", change=0).select("time", "block", "change", "place").cast(_MARK),
    )
    window = ibis.cumulative_window(order_by=["time", "block", "place"])
    counted = line.mutate(subjects=line.change.sum().over(window)).filter(ibis._.place >= 0)
    rows = counted.select("place", "subjects").to_pyarrow().to_pylist()
    found = {row["place"]: int(row["subjects"]) for row in rows}
    return tuple(found[place] for place in range(len(places)))


def _reached(dataset: Dataset, question: Question) -> tuple[Expression, _Sought]:
    """The rules, and what is sought of them; of a party, while it was active, by its kind and groups of the time."""
    last = dataset.as_of()
    rules, sought = (
        _while_opted_in(dataset.table("rules"), dataset, question, last),
        _Sought.of(dataset, question, last),
    )
    if question.party is None:
        return rules, sought
    spells = [
        {"grantee_number": number, "asks": party.kind.value, **place}
        for party, place in _spells(dataset, question.party)
        for number in _numbers(dataset, _grantees_of(party))
    ]
    rows = rules.join(ibis.memtable(pa.Table.from_pylist(spells, _SPELLS)), "grantee_number")
    asked = replace(Asked.of(question.request, PartyKind.RESEARCHER), kind=rows.asks)
    return rows, _Sought(asked, None, question.terms)


def _spells(dataset: Dataset, address: str) -> Iterator[tuple[Party, dict[str, Any]]]:
    """From when until when a party was active and nothing about it changed."""
    parties, name = dataset.table("parties"), address.lower()
    columns = ("block", "block_time", "until_block", "until_time", "valid_until")
    rows = parties.filter((parties.account == name) | (parties.party == name)).select(*columns).to_pyarrow().to_pylist()
    moments = {(_aware(row["block_time"]), row["block"]) for row in rows}
    moments |= {(_aware(row["until_time"]), row["until_block"]) for row in rows if row["until_block"] is not None}
    over = {datetime.combine(row["valid_until"] + timedelta(days=1), time(), UTC) for row in rows}
    last = dataset.as_of().moment
    moments |= {(moment, _BY_CLOCK) for moment in over if min(moments)[0] <= moment <= last}
    places: list[tuple[Any, Any]] = [*sorted(moments), (None, None)]
    for (moment, block), following in pairwise(places):
        known = dataset.as_of(at=moment).block if block == _BY_CLOCK else block
        party = dataset.parties.active(address, AsOf(known, moment))
        if party is not None:
            yield (
                party,
                {
                    "active_from": moment,
                    "active_from_block": block,
                    "active_to": following[0],
                    "active_to_block": following[1],
                },
            )


# -- how long ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spread:
    """How long something took, of many: the nearest-rank percentiles, each a length that one of them had."""

    count: int
    least: timedelta
    quarter: timedelta  # a quarter of them took no longer
    median: timedelta
    three_quarters: timedelta
    most: timedelta


@dataclass(frozen=True)
class Lag:
    """How long rules stood until they were withdrawn, and how long they took to reach the chain."""

    revoked: Spread | None  # from the grant to the withdrawal, of those that were withdrawn; block times
    open: int  # rules that were granted and neither withdrawn nor ended: theirs is not known yet
    lapsed: int  # rules whose end date came first
    relayed: Spread | None  # from the start that the signer set to the block of the grant, where that was later


def lag(
    dataset: Dataset, question: Question | None = None, *, block: int | None = None, at: datetime | None = None
) -> Lag:
    """How long consent lasted before it was withdrawn.

    The chain tells when it learned of a withdrawal, and not when that was signed: no message names the time of its
    signature, so nobody can tell from the chain how long withdrawals are on their way. Of a grant it has the start that
    the signer set. A wallet that writes "from now on" sets the minute of its signature; then `relayed` is how long
    grants were on their way. Whoever sets an earlier start makes it longer.

    Args:
        dataset: the registry.
        question: which permits; all where none is asked.
        block: up to which block; the last that is known where neither is named.
        at: up to which time.

    Raises:
        IndexTimeError: the data set does not know that block or time.
    """
    as_of = dataset.as_of(block=block, at=at)
    rules = _of_participants(_known(dataset, as_of.block), dataset, question, as_of)
    steps = _steps(rules, _Sought.of(dataset, question, as_of))
    granted = steps.is_open & ~steps.was_open
    window = ibis.cumulative_window(group_by=_KEY, order_by=["block", "position"])
    spell = steps.mutate(number=_one(granted).sum().over(window)).filter(ibis._.is_open | ibis._.was_open)
    ended = spell.filter(~spell.is_open)
    starts = spell.filter(spell.is_open & ~spell.was_open)
    lasted = starts.join(ended.select(*_KEY, "number", ended=ended.block_time), [*_KEY, "number"])
    revoked = _spread(lasted.select(seconds=_seconds(lasted.ended) - _seconds(lasted.block_time)))
    late = starts.filter(starts.valid_from <= starts.block_time)
    counts = starts.count().to_pyarrow().as_py()
    lapsed = _lapses(steps, as_of.moment).count().to_pyarrow().as_py()
    withdrawn = 0 if revoked is None else revoked.count
    relayed = _spread(late.select(seconds=_seconds(late.block_time) - _seconds(late.valid_from)))
    return Lag(revoked, counts - withdrawn - lapsed, lapsed, relayed)


def _seconds(time: Any) -> Any:
    return time.epoch_seconds().cast("int64")


def _spread(lengths: Expression) -> Spread | None:
    count = int(lengths.count().to_pyarrow().as_py())
    if not count:
        return None
    ranks = [max(1, math.ceil(count * share / 4)) - 1 for share in range(5)]
    placed = lengths.mutate(rank=ibis.row_number().over(order_by="seconds"))
    rows = placed.filter(placed.rank.isin(sorted(set(ranks)))).to_pyarrow().to_pylist()
    found = {row["rank"]: timedelta(seconds=row["seconds"]) for row in rows}
    return Spread(count, *(found[rank] for rank in ranks))


# -- what is permitted to whom ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Sought:
    """What has to be permitted; any permit will do where nothing is asked."""

    asked: Asked | None
    grantees: tuple[int, ...] | None = None  # whom it has to be permitted to, by their numbers; None for anyone
    terms: int | None = None  # under which it has to be permitted

    @classmethod
    def of(cls, dataset: Dataset, question: Question | None, as_of: AsOf) -> _Sought:
        """What a question seeks, by the kind and groups that its party had as of then."""
        if question is None:
            return cls(None)
        kind, names = question.kind, [EVERYONE, *map(group_grantee, question.groups)]
        if question.party is not None:
            party = dataset.parties.active(question.party, as_of)
            if party is None:
                return cls(Asked.of(question.request, PartyKind.RESEARCHER), (), question.terms)  # nobody is reached
            kind, names = party.kind, _grantees_of(party)
        assert kind is not None
        return cls(Asked.of(question.request, kind), _numbers(dataset, names), question.terms)

    def permits(self, rows: Expression) -> BooleanValue:
        """Which of the rules that reach permit it, whether in force or not."""
        found = ~rows.deny & ~rows.revoked
        if self.asked is None:
            return found
        if self.terms is not None:
            found &= rows.terms == self.terms
        return found & covers(rows, self.asked)

    def refuses(self, rows: Expression) -> BooleanValue:
        """Which of them refuse it, likewise."""
        if self.asked is None:
            return ibis.literal(False)
        return rows.deny & ~rows.revoked & touches(rows, self.asked)

    def reached(self, rows: Expression) -> Expression:
        """The rules for those whom it has to be permitted to."""
        return rows if self.grantees is None else rows.filter(rows.grantee_number.isin(self.grantees))


def _numbers(dataset: Dataset, grantees: Iterable[str]) -> tuple[int, ...]:
    known = dataset.grantee_numbers
    return tuple(known[name.lower()] for name in grantees if name.lower() in known)


def _grantees_of(party: Party) -> list[str]:
    """By what a party is permitted something: its identity, everyone, its groups."""
    return [party.id, EVERYONE, *map(group_grantee, party.groups)]


# -- rows and their intervals -----------------------------------------------------------------------------------------


def _known(dataset: Dataset, block: int, table: str = "rules") -> Expression:
    """The rules, or another history, as the chain knew it as of a block: what came later is not there."""
    rows = dataset.table(table)
    if block >= dataset.block.number:
        return rows
    kept = rows.filter(rows.block <= block)
    ended = kept.until_block <= block
    return kept.mutate(
        until_block=ibis.ifelse(ended, kept.until_block, ibis.null("int64")),
        until_time=ibis.ifelse(ended, kept.until_time, ibis.null(TIME)),
    )


def _of_participants(rows: Expression, dataset: Dataset, question: Question | None, as_of: AsOf) -> Expression:
    """The rules of those who take part in a question's study in the end; of all where it names none."""
    if question is None or question.study is None:
        return rows
    return rows.semi_join(_opted_in(dataset, question.study, as_of).filter(ibis._.opted_to.isnull()), "subject")


def _while_opted_in(rows: Expression, dataset: Dataset, question: Question | None, as_of: AsOf) -> Expression:
    """The rules, as far as their subjects took part in a question's study; all where it names none."""
    if question is None or question.study is None:
        return rows
    return rows.join(_opted_in(dataset, question.study, as_of), "subject")


def _opted_in(dataset: Dataset, study: str, as_of: AsOf) -> Expression:
    """From when until when subjects took part in a study."""
    choices = _known(dataset, as_of.block, "participations")
    return choices.filter((choices.study == study.lower()) & choices.opted_in).select(
        "subject",
        opted_from="block_time",
        opted_from_block="block",
        opted_to="until_time",
        opted_to_block="until_block",
    )


def _steps(rules: Expression, sought: _Sought) -> Expression:
    """Each change of a rule, with whether it is an open permit since, and was one before."""
    rules = sought.reached(rules)
    open_on_grant = rules.valid_until.isnull() | (rules.valid_until > rules.block_time)
    rows = rules.mutate(is_open=sought.permits(rules) & open_on_grant)
    before = ibis.window(group_by=_KEY, order_by=["block", "position"])
    rows = rows.mutate(
        before_open=rows.is_open.lag().over(before),
        before_until=rows.valid_until.lag().over(before),
        before_sequence=rows.sequence.lag().over(before),
    )
    still = rows.before_until.isnull() | (rows.before_until > rows.block_time)
    return rows.select(
        *_KEY,
        *("block", "position", "block_time", "until_time", "valid_from", "valid_until", "is_open"),
        was_open=rows.before_open.fill_null(False) & still,
        rewritten=rows.sequence != rows.before_sequence,
    )


def _changes(rules: Expression, sought: _Sought, until: datetime) -> Expression:
    """Each moment at which a subject came to permit what is asked, or ceased to: subject, time, block, member."""
    rules = sought.reached(rules)
    permit, refusal = sought.permits(rules), sought.refuses(rules)
    rows = rules.mutate(permits=_one(permit), refuses=_one(refusal)).filter(permit | refusal)
    rows = _intervals(rows)
    starts = rows.select("subject_number", "permits", "refuses", time="from_time", block="from_block")
    ends = rows.filter(rows.to_time.notnull())
    ends = ends.select(
        "subject_number", permits=-ends.permits, refuses=-ends.refuses, time=ends.to_time, block=ends.to_block
    )
    both = ibis.union(starts.cast(_MOMENT), ends.select(*starts.columns).cast(_MOMENT))
    both = both.filter(both.time <= _literal(until))
    moments = both.group_by("subject_number", "time", "block").agg(
        permits=both.permits.sum(), refuses=both.refuses.sum()
    )
    so_far = ibis.cumulative_window(group_by="subject_number", order_by=["time", "block"])
    moments = moments.mutate(permits=moments.permits.sum().over(so_far), refuses=moments.refuses.sum().over(so_far))
    moments = moments.mutate(member=(moments.permits > 0) & (moments.refuses == 0))
    before = ibis.window(group_by="subject_number", order_by=["time", "block"])
    moments = moments.mutate(was=moments.member.lag().over(before).fill_null(False))
    return moments.filter(moments.member != moments.was).select("subject_number", "time", "block", "member")


def _intervals(rows: Expression) -> Expression:
    """From when until when each row counts: known to the chain, in force, its party active, its subject opted in."""
    clock = ibis.literal(_BY_CLOCK, "int64")
    starts, ends = (
        [(rows.block_time, rows.block), (rows.valid_from, clock)],
        [
            (rows.until_time, rows.until_block),
            (rows.valid_until, clock),
        ],
    )
    for name in ("active", "opted"):
        if f"{name}_from" in rows.columns:
            starts.append((rows[f"{name}_from"], rows[f"{name}_from_block"]))
            ends.append((rows[f"{name}_to"], rows[f"{name}_to_block"]))
    (from_time, from_block), (to_time, to_block) = reduce(_later, starts), reduce(_sooner, ends)
    found = rows.mutate(from_time=from_time, from_block=from_block, to_time=to_time, to_block=to_block)
    lasts = (found.to_time > found.from_time) | (
        (found.to_time == found.from_time) & (found.to_block > found.from_block)
    )
    return found.filter(found.to_time.isnull() | lasts)


def _later(one: _Place, other: _Place) -> _Place:
    second = (other[0] > one[0]) | ((other[0] == one[0]) & (other[1] > one[1]))
    return ibis.ifelse(second, other[0], one[0]), ibis.ifelse(second, other[1], one[1])


def _sooner(one: _Place, other: _Place) -> _Place:
    """Of two ends, where an empty one is none."""
    before = (other[0] < one[0]) | ((other[0] == one[0]) & (other[1] < one[1]))
    second = other[0].notnull() & (one[0].isnull() | before)
    return ibis.ifelse(second, other[0], one[0]), ibis.ifelse(second, other[1], one[1])


def _one(met: BooleanValue) -> Any:
    """1 where it is so, else 0; not a cast, which PostgreSQL knows to some integers alone."""
    return ibis.ifelse(met, 1, 0)


def _literal(moment: datetime) -> Any:
    return ibis.literal(moment.astimezone(UTC), TIME)


def _aware(moment: datetime) -> datetime:
    """A time as an engine gives it: in UTC, whether it says so or not."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)

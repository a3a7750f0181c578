"""How consent moves: what was granted and withdrawn when, how long it lasts, and how large a cohort was.

All of it follows from two times. From when until when the chain knew a rule is told by its blocks (`block_time`,
`until_time`); when it is in force is what its signer set (`valid_from`, `valid_until`). A permit counts at a moment if
the chain knew it then and it was in force then. docs/research.md has the definitions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from typing import Any

import ibis
import pyarrow as pa
from ibis.expr.types import Table as Expression

from medproof.client.registrar import Party
from medproof.policy.codes import PartyKind
from medproof.research.cohort import Question
from medproof.research.dataset import AsOf, Dataset
from medproof.research.intervals import (
    BY_CLOCK,
    RULE_KEY,
    Sought,
    grantees_of,
    in_utc,
    known_rows,
    moment_literal,
    numbers_of,
    of_participants,
    one_where,
    rule_steps,
    sides_changed,
    while_opted_in,
)
from medproof.research.matching import TIME, Asked
from medproof.research.periods import Every, Period

__all__ = ["Lag", "Spread", "flow", "lag", "sizes"]

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
_MARK = {"time": TIME, "block": "int64", "change": "int64", "place": "int64"}


# -- flow over time and churn -----------------------------------------------------------------------------------------


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
    sought, rules = Sought.of(dataset, question, as_of), known_rows(dataset, as_of.block)
    steps = rule_steps(of_participants(rules, dataset, question, as_of), sought)
    changes = sides_changed(while_opted_in(rules, dataset, question, as_of), sought, as_of.moment)
    found: dict[datetime, dict[str, Any]] = {}
    for table in (_acts(steps), _lapses(steps, as_of.moment), _first(steps), _net(changes, every)):
        if "time" in table.columns:
            names = [name for name in table.columns if name != "time"]
            table = table.mutate(period=table.time.truncate(_UNITS[every]))
            table = table.group_by("period").agg(**{name: table[name].sum() for name in names})
        for row in table.to_pyarrow().to_pylist():
            period = in_utc(row.pop("period"))
            if any(row.values()):
                found.setdefault(period, {}).update(row)
    if since is not None:
        since = max(since, in_utc(dataset.table("blocks").block_time.min().to_pyarrow().as_py()))
    return tuple(_periods(found, every, since, as_of.moment))


_UNITS = {Every.DAY: "D", Every.WEEK: "W", Every.MONTH: "M"}


def _acts(steps: Expression) -> Expression:
    """What was done to rules, and when."""
    done = {
        "granted": steps.is_open & ~steps.was_open,
        "changed": steps.is_open & steps.was_open & steps.rewritten,
        "revoked": ~steps.is_open & steps.was_open,
    }
    return steps.select(time=steps.block_time, **{name: one_where(each) for name, each in done.items()})


def _lapses(steps: Expression, until: datetime) -> Expression:
    """Open rules whose end date came before anything else did."""
    came = (steps.valid_until <= moment_literal(until)) & (
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
        acted=one_where(~dated.member & (dated.block != BY_CLOCK)).max(),
    )
    counted = {
        "joined": each.change > 0,
        "withdrew": (each.change < 0) & (each.acted == 1),
        "ran_out": (each.change < 0) & (each.acted == 0),
    }
    return each.group_by("period").agg(**{name: one_where(met).sum() for name, met in counted.items()})


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
    changes = sides_changed(*_reached(dataset, question), max(place.moment for place in places))
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


def _reached(dataset: Dataset, question: Question) -> tuple[Expression, Sought]:
    """The rules, and what is sought of them; of a party, while it was active, by its kind and groups of the time."""
    last = dataset.as_of()
    rules, sought = (
        while_opted_in(dataset.table("rules"), dataset, question, last),
        Sought.of(dataset, question, last),
    )
    if question.party is None:
        return rules, sought
    spells = [
        {"grantee_number": number, "asks": party.kind.value, **place}
        for party, place in _spells(dataset, question.party)
        for number in numbers_of(dataset, grantees_of(party))
    ]
    rows = rules.join(ibis.memtable(pa.Table.from_pylist(spells, _SPELLS)), "grantee_number")
    asked = replace(Asked.of(question.request, PartyKind.RESEARCHER), kind=rows.asks)
    return rows, Sought(asked, None, question.terms)


def _spells(dataset: Dataset, address: str) -> Iterator[tuple[Party, dict[str, Any]]]:
    """From when until when a party was active and nothing about it changed."""
    parties, name = dataset.table("parties"), address.lower()
    columns = ("block", "block_time", "until_block", "until_time", "valid_until")
    rows = parties.filter((parties.account == name) | (parties.party == name)).select(*columns).to_pyarrow().to_pylist()
    moments = {(in_utc(row["block_time"]), row["block"]) for row in rows}
    moments |= {(in_utc(row["until_time"]), row["until_block"]) for row in rows if row["until_block"] is not None}
    over = {datetime.combine(row["valid_until"] + timedelta(days=1), time(), UTC) for row in rows}
    last = dataset.as_of().moment
    moments |= {(moment, BY_CLOCK) for moment in over if min(moments)[0] <= moment <= last}
    places: list[tuple[Any, Any]] = [*sorted(moments), (None, None)]
    for (moment, block), following in pairwise(places):
        known = dataset.as_of(at=moment).block if block == BY_CLOCK else block
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
    rules = of_participants(known_rows(dataset, as_of.block), dataset, question, as_of)
    steps = rule_steps(rules, Sought.of(dataset, question, as_of))
    granted = steps.is_open & ~steps.was_open
    window = ibis.cumulative_window(group_by=RULE_KEY, order_by=["block", "position"])
    spell = steps.mutate(number=one_where(granted).sum().over(window)).filter(ibis._.is_open | ibis._.was_open)
    ended = spell.filter(~spell.is_open)
    starts = spell.filter(spell.is_open & ~spell.was_open)
    lasted = starts.join(ended.select(*RULE_KEY, "number", ended=ended.block_time), [*RULE_KEY, "number"])
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

"""From when until when a rule counts, by the chain and by the clock; what is sought of rules, and of whom.

Times are compared as pairs: a time, and the block that brought a change, or -1 where the clock did. So the states as of
two blocks of one second differ, as they do on chain.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from typing import Any

import ibis
from ibis.expr.types import BooleanValue
from ibis.expr.types import Table as Expression

from medproof.client.registrar import EVERYONE, Party, group_grantee
from medproof.policy.codes import PartyKind
from medproof.research.cohort import Question
from medproof.research.dataset import AsOf, Dataset
from medproof.research.matching import TIME, Asked, covers, touches

RULE_KEY = ("subject_number", "grantee_number", "rule_index")
BY_CLOCK = -1  # in the place of a block
_MOMENT = {"subject_number": "int64", "permits": "int64", "refuses": "int64", "time": TIME, "block": "int64"}
_Place = tuple[Any, Any]  # a time and a block, as columns


# -- what is permitted to whom ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sought:
    """What has to be permitted; any permit will do where nothing is asked."""

    asked: Asked | None
    grantees: tuple[int, ...] | None = None  # whom it has to be permitted to, by their numbers; None for anyone
    terms: int | None = None  # under which it has to be permitted

    @classmethod
    def of(cls, dataset: Dataset, question: Question | None, as_of: AsOf) -> Sought:
        """What a question seeks, by the kind and groups that its party had as of then."""
        if question is None:
            return cls(None)
        kind, names = question.kind, [EVERYONE, *map(group_grantee, question.groups)]
        if question.party is not None:
            party = dataset.parties.active(question.party, as_of)
            if party is None:
                return cls(Asked.of(question.request, PartyKind.RESEARCHER), (), question.terms)  # nobody is reached
            kind, names = party.kind, grantees_of(party)
        assert kind is not None
        return cls(Asked.of(question.request, kind), numbers_of(dataset, names), question.terms)

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


def numbers_of(dataset: Dataset, grantees: Iterable[str]) -> tuple[int, ...]:
    """The numbers of those grantees that any rule ever named."""
    known = dataset.grantee_numbers
    return tuple(known[name.lower()] for name in grantees if name.lower() in known)


def grantees_of(party: Party) -> list[str]:
    """By what a party is permitted something: its identity, everyone, its groups."""
    return [party.id, EVERYONE, *map(group_grantee, party.groups)]


# -- rows and their intervals -----------------------------------------------------------------------------------------


def known_rows(dataset: Dataset, block: int, table: str = "rules") -> Expression:
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


def of_participants(rows: Expression, dataset: Dataset, question: Question | None, as_of: AsOf) -> Expression:
    """The rules of those who take part in a question's study in the end; of all where it names none."""
    if question is None or question.study is None:
        return rows
    return rows.semi_join(_opted_in(dataset, question.study, as_of).filter(ibis._.opted_to.isnull()), "subject")


def while_opted_in(rows: Expression, dataset: Dataset, question: Question | None, as_of: AsOf) -> Expression:
    """The rules, as far as their subjects took part in a question's study; all where it names none."""
    if question is None or question.study is None:
        return rows
    return rows.join(_opted_in(dataset, question.study, as_of), "subject")


def _opted_in(dataset: Dataset, study: str, as_of: AsOf) -> Expression:
    """From when until when subjects took part in a study."""
    choices = known_rows(dataset, as_of.block, "participations")
    return choices.filter((choices.study == study.lower()) & choices.opted_in).select(
        "subject",
        opted_from="block_time",
        opted_from_block="block",
        opted_to="until_time",
        opted_to_block="until_block",
    )


def rule_steps(rules: Expression, sought: Sought) -> Expression:
    """Each change of a rule, with whether it is an open permit since, and was one before."""
    rules = sought.reached(rules)
    open_on_grant = rules.valid_until.isnull() | (rules.valid_until > rules.block_time)
    rows = rules.mutate(is_open=sought.permits(rules) & open_on_grant)
    before = ibis.window(group_by=RULE_KEY, order_by=["block", "position"])
    rows = rows.mutate(
        before_open=rows.is_open.lag().over(before),
        before_until=rows.valid_until.lag().over(before),
        before_sequence=rows.sequence.lag().over(before),
    )
    still = rows.before_until.isnull() | (rows.before_until > rows.block_time)
    return rows.select(
        *RULE_KEY,
        *("block", "position", "block_time", "until_time", "valid_from", "valid_until", "is_open"),
        was_open=rows.before_open.fill_null(False) & still,
        rewritten=rows.sequence != rows.before_sequence,
    )


def sides_changed(rules: Expression, sought: Sought, until: datetime) -> Expression:
    """Each moment at which a subject came to permit what is asked, or ceased to: subject, time, block, member."""
    rules = sought.reached(rules)
    permit, refusal = sought.permits(rules), sought.refuses(rules)
    rows = rules.mutate(permits=one_where(permit), refuses=one_where(refusal)).filter(permit | refusal)
    rows = _intervals(rows)
    starts = rows.select("subject_number", "permits", "refuses", time="from_time", block="from_block")
    ends = rows.filter(rows.to_time.notnull())
    ends = ends.select(
        "subject_number", permits=-ends.permits, refuses=-ends.refuses, time=ends.to_time, block=ends.to_block
    )
    both = ibis.union(starts.cast(_MOMENT), ends.select(*starts.columns).cast(_MOMENT))
    both = both.filter(both.time <= moment_literal(until))
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
    clock = ibis.literal(BY_CLOCK, "int64")
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


def one_where(met: BooleanValue) -> Any:
    """1 where it is so, else 0; not a cast, which PostgreSQL knows to some integers alone."""
    return ibis.ifelse(met, 1, 0)


def moment_literal(moment: datetime) -> Any:
    """A time in an expression."""
    return ibis.literal(moment.astimezone(UTC), TIME)


def in_utc(moment: datetime) -> datetime:
    """A time as an engine gives it: in UTC, whether it says so or not."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)

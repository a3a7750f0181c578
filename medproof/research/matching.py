"""Which rules a request meets, as Ibis expressions: `medproof.policy.evaluation` for a whole table at once.

A rule counts where it stood by what the chain knew (`stood`) and is in force at a moment by what its signer set
(`in_force`). A permit has to cover the whole request (`covers`), a deny only to touch it (`touches`). Values may be
Python's, or columns or values of an expression.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import reduce
from operator import and_
from typing import Any

import ibis
from ibis.expr.types import BooleanValue
from ibis.expr.types import Table as Expression

from medproof.policy.codes import PartyKind, Purpose, ResearchUse
from medproof.policy.evaluation import Case
from medproof.policy.word import EPOCH_DAY, FIELDS, NO_END_DAY, Request, encode_request

__all__ = ["SCOPE", "TIME", "Asked", "covers", "in_force", "stood", "touches"]

SCOPE = ("purposes", "classes", "conditions", "sensitivities", "settings", "actions")
TIME = "timestamp('UTC')"


@dataclass(frozen=True)
class Asked:
    """A request with every empty field filled in, by the table's columns; None where nothing is to check."""

    purposes: Any
    classes: Any
    conditions: Any
    sensitivities: Any
    settings: Any
    actions: Any
    kind: Any  # of the party that asks
    others: Any = None  # purposes beside research
    permissions: Any = None  # of research, asked for
    refused: Any = None  # obligations of research that are not accepted
    data_from: Any = None  # first day; none for 1970-01-01 and earlier
    data_until: Any = None  # last day; none for no end

    @classmethod
    def of(cls, request: Request, kind: PartyKind) -> Asked:
        """What a request by a party of one kind asks for.

        Raises:
            RuleFieldError: the request contradicts itself, or that is not one kind.
        """
        word = Case.of(kind, datetime.now(UTC), encode_request(request)).request
        said = {name: field.of(word) for name, field in FIELDS.items()}
        purposes, research = said["purposes"], said["research"]
        is_research = purposes & Purpose.RESEARCH.value
        return cls(
            **{name: said[name] for name in SCOPE},
            kind=kind.value,
            others=purposes & ~Purpose.RESEARCH.value or None if is_research else None,
            permissions=research & ResearchUse.PERMISSIONS.value if is_research else None,
            refused=ResearchUse.MODIFIERS.value & ~research or None if is_research else None,
            data_from=_day(said["dataFrom"]) if said["dataFrom"] else None,
            data_until=None if said["dataUntil"] == NO_END_DAY else _day(said["dataUntil"]),
        )


def _day(number: int) -> date:
    return EPOCH_DAY + timedelta(days=number)


def stood(rows: Expression, block: Any = None) -> BooleanValue:
    """Whether a row stood as of a block; whether it still stands, where none is named."""
    stands = rows.standing if "standing" in rows.columns else rows.until_block.isnull()
    return stands if block is None else (rows.block <= block) & (stands | (rows.until_block > block))


def in_force(rules: Expression, moment: Any) -> BooleanValue:
    """Whether a rule is not revoked and its time has come and not gone."""
    if isinstance(moment, datetime):
        moment = ibis.literal(moment, TIME)
    return ~rules.revoked & (rules.valid_from <= moment) & (rules.valid_until.isnull() | (rules.valid_until > moment))


def covers(rules: Expression, asked: Asked) -> BooleanValue:
    """Whether a permit covers the whole request; that it is in force is asked of `in_force`."""
    return reduce(and_, _covers(rules, asked))


def _covers(rules: Expression, asked: Asked) -> Iterator[BooleanValue]:
    yield (rules.party_kinds & asked.kind) != 0
    for name in SCOPE:
        wanted = getattr(asked, name)
        yield (rules[name] & wanted) == wanted
    if asked.permissions is not None:
        yield (rules.research & asked.permissions) == asked.permissions
    if asked.refused is not None:
        yield (rules.research & asked.refused) == 0
    for column, day, inside in (
        (rules.data_from, asked.data_from, rules.data_from <= asked.data_from),
        (rules.data_until, asked.data_until, rules.data_until >= asked.data_until),
    ):
        yield column.isnull() if day is None else column.isnull() | inside


def touches(rules: Expression, asked: Asked) -> BooleanValue:
    """Whether a deny meets the request in every field; where only in research, in its permissions, too."""
    return reduce(and_, _touches(rules, asked))


def _touches(rules: Expression, asked: Asked) -> Iterator[BooleanValue]:
    yield (rules.party_kinds & asked.kind) != 0
    for name in SCOPE:
        yield (rules[name] & getattr(asked, name)) != 0
    if asked.permissions is not None:
        research = (rules.research & asked.permissions) != 0
        yield research if asked.others is None else research | ((rules.purposes & asked.others) != 0)
    if asked.data_until is not None:
        yield rules.data_from.isnull() | (rules.data_from <= asked.data_until)
    if asked.data_from is not None:
        yield rules.data_until.isnull() | (rules.data_until >= asked.data_from)

"""Cohorts: the subjects who consent to a use, as of any block or time, decided as `ConsentRegistry.decide` does.

Emergencies aside: that the glass was broken is no consent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cached_property, reduce
from operator import or_
from typing import Any

import ibis
from ibis.expr.types import IntegerScalar
from ibis.expr.types import Table as Expression

from medproof.client.registrar import EVERYONE, group_grantee
from medproof.errors import QuestionError
from medproof.policy.codes import PartyKind
from medproof.policy.word import FIELDS, Request
from medproof.research.dataset import AsOf, Dataset
from medproof.research.matching import Asked, covers, in_force, stood, touches
from medproof.research.statement import Value

__all__ = ["Cohort", "Question", "cohort"]

_ADDRESS = re.compile("0x[0-9a-fA-F]{40}")
_HASH = re.compile("0x[0-9a-fA-F]{64}")
_LAST_GROUP = (1 << 16) - 1
_LIST = 3  # numbers in a list: DuckDB makes a join of a longer one
_NOBODY = -1  # no grantee's number
_PARTY_AND_GROUPS = 6  # grantees that a party's request is decided by at most: itself, everyone, four groups


@dataclass(frozen=True)
class Question:
    """Who consents to this: a request by one party, or by any party of a kind."""

    request: Request  # what is to be done with which data; what is left out is asked for in full
    party: str | None = None  # identity or account of a registered party: its kind and groups are those of the time
    kind: PartyKind | None = None  # instead of a party: any active one of this kind, by what everyone is permitted
    groups: tuple[int, ...] = ()  # beside a kind: groups that it is in
    terms: int | None = None  # permits signed under these terms alone
    study: str | None = None  # subjects alone who opted in to this study: its id, 0x and 64 hex digits

    def __post_init__(self) -> None:
        """Refuse a question that is none.

        Raises:
            QuestionError: a party and a kind, or neither; no such address, group or terms.
            RuleFieldError: the request contradicts itself, or that is not one kind.
        """
        Asked.of(self.request, PartyKind.PROVIDER if self.kind is None else self.kind)
        if (self.party is None) == (self.kind is None):
            raise QuestionError("party", self.party, "a question names a party or a kind of party", "Name one of them")
        if self.party is not None and not _ADDRESS.fullmatch(self.party):
            raise QuestionError("party", self.party, "a party is named by its address", "Give 0x and 40 hex digits")
        if self.party is not None and self.groups:
            raise QuestionError("groups", self.groups, "a party's groups are registered", "Leave them out")
        for group in self.groups:
            if not 0 < group <= _LAST_GROUP:
                rule = f"groups are numbered from 1 to {_LAST_GROUP}"
                raise QuestionError("groups", group, rule, "Give numbers that the Registrar gave")
        last = (1 << FIELDS["terms"].width) - 1
        if self.terms is not None and not 0 <= self.terms <= last:
            raise QuestionError("terms", self.terms, f"terms are numbered from 0 to {last}", "Give a published number")
        if self.study is not None and not _HASH.fullmatch(self.study):
            raise QuestionError("study", self.study, "a study is named by its id", "Give 0x and 64 hex digits")


@dataclass(frozen=True)
class Cohort:
    """The subjects who consent to something, as of a block."""

    dataset: Dataset
    question: Question
    as_of: AsOf  # the block, and the moment at which rules are in force

    @cached_property
    def table(self) -> Expression:
        """The subjects, as an expression: `subject_number` and `subject`, in no order."""
        found = self._asked
        if found is None:
            return self.dataset.table("rules").filter(ibis.literal(False)).select("subject_number", "subject")
        statement, values = found
        return statement.subjects(self.dataset, values).distinct()

    def subjects(self) -> Expression:
        """The subjects, in the order of their numbers."""
        return self.table.order_by("subject_number")

    def count(self) -> int:
        """How many there are. Small counts give people away: see `medproof.research.suppression`."""
        found = self._asked
        if found is None:
            return 0
        statement, values = found

        def build(said: Mapping[str, Any]) -> IntegerScalar:
            return statement.subjects(self.dataset, said).subject_number.nunique()

        return self.dataset.asked(("count", statement), build, values)

    @cached_property
    def _asked(self) -> tuple[_Statement, dict[str, Value]] | None:
        """The statement, and its values; None where the party has no access at all."""
        question, kind = self.question, self.question.kind
        grantees = [EVERYONE, *map(group_grantee, question.groups)]
        if question.party is not None:
            party = self.dataset.parties.active(question.party, self.as_of)
            if party is None:
                return None
            kind = party.kind
            grantees = [party.id, EVERYONE, *map(group_grantee, party.groups)]
        assert kind is not None
        numbers = [self.dataset.grantee_numbers.get(grantee.lower(), _NOBODY) for grantee in grantees]
        numbers += [_NOBODY] * (_PARTY_AND_GROUPS - len(numbers))
        asked = Asked.of(question.request, kind)
        values: dict[str, Value] = {
            one.name: getattr(asked, one.name) for one in fields(asked) if getattr(asked, one.name) is not None
        }
        given = tuple(values)
        values |= {f"grantee_{place}": number for place, number in enumerate(numbers)}
        values["moment"] = self.as_of.moment
        if question.terms is not None:
            values["terms"] = question.terms
        if question.study is not None:
            values["study"] = question.study.lower()
        if self.as_of.block != self.dataset.block.number:
            values["block"] = self.as_of.block
        return _Statement(given, len(numbers), "terms" in values, "study" in values, "block" in values), values


@dataclass(frozen=True)
class _Statement:
    """What questions have in common that differ in values alone."""

    asked: tuple[str, ...]  # the fields of `Asked` that are given
    grantees: int
    terms: bool
    study: bool
    block: bool

    def subjects(self, dataset: Dataset, values: Mapping[str, Any]) -> Expression:
        """Subject for subject a permit that covers the request, where no deny touches it."""
        asked = Asked(**{**_NOTHING_ASKED, **{name: values[name] for name in self.asked}})
        permits, denies = self._standing(dataset, values, deny=False), self._standing(dataset, values, deny=True)
        scopes = dataset.table("scopes")  # far fewer than rules: what they speak of is looked at once
        permits = permits.semi_join(scopes.filter(covers(scopes, asked)), "scope_number")
        denies = denies.semi_join(scopes.filter(touches(scopes, asked)), "scope_number")
        if self.terms:
            permits = permits.filter(permits.terms == values["terms"])
        if self.study:
            permits = permits.semi_join(self._participants(dataset, values), "subject")
        permits = permits.select("subject_number", "subject")
        return permits.anti_join(denies.select("subject_number"), "subject_number")

    def _participants(self, dataset: Dataset, values: Mapping[str, Any]) -> Expression:
        choices = dataset.table("participations")
        block = values["block"] if self.block else None
        return choices.filter(choices.study == values["study"], choices.opted_in, stood(choices, block)).select(
            "subject"
        )

    def _standing(self, dataset: Dataset, values: Mapping[str, Any], *, deny: bool) -> Expression:
        rules = dataset.rules(standing=not self.block)
        numbers = [values[f"grantee_{place}"] for place in range(self.grantees)]
        return rules.filter(
            rules.deny if deny else ~rules.deny,
            reduce(or_, (rules.grantee_number.isin(numbers[at : at + _LIST]) for at in range(0, self.grantees, _LIST))),
            stood(rules, values["block"] if self.block else None),
            in_force(rules, values["moment"]),
        )


_NOTHING_ASKED = {one.name: None for one in fields(Asked)}


def cohort(
    dataset: Dataset,
    question: Question,
    *,
    block: int | None = None,
    at: datetime | None = None,
    moment: datetime | None = None,
) -> Cohort:
    """Who consents to something.

    Args:
        dataset: the data set.
        question: to what, and by whom.
        block: what the chain knew as of this block, its own transactions included.
        at: what it knew as of this time, aware; the data set's last block where neither is named.
        moment: when rules are to be in force, by what their signers set; the block's time, or `at`, unless given.

    Raises:
        IndexTimeError: the data set does not know what stood then, or the block's time.
        QuestionError: the party was never accredited.
        RuleFieldError: a time has no zone.
    """
    found = Cohort(dataset, question, dataset.as_of(block=block, at=at, moment=moment))
    found._asked  # noqa: B018 - refuses here rather than when it is counted
    return found

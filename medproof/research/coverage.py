"""What consent covers: how many subjects permit each code of a list, and how a study fits what was permitted.

It is about the rules that stand as of a block and are in force at a moment, for whichever grantee. A code counts for a
subject where a permit has it, and no refusal of the same subject for the same grantee that meets that permit has it,
too. A refusal meets a permit as it meets a request: in each field, in the kinds of party, and in the data's period. So
the counts are lower bounds: a refusal of a part takes the whole code from that permit.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import ibis
from ibis.expr.types import BooleanValue
from ibis.expr.types import Table as Expression

from medproof.errors import QuestionError
from medproof.policy.codes import (
    Action,
    CareSetting,
    CodedFlag,
    Condition,
    DataClass,
    Purpose,
    ResearchUse,
    Sensitivity,
)
from medproof.policy.duo import DataUse, Finding, Outcome, StudyUse, match
from medproof.policy.phrases import widest
from medproof.research.dataset import AsOf, Dataset
from medproof.research.matching import SCOPE, in_force, stood

__all__ = ["FIELDS", "Covered", "Fit", "FoundTerm", "coverage", "fit"]

FIELDS: dict[str, tuple[str, type[CodedFlag]]] = {
    "purpose": ("purposes", Purpose),
    "class": ("classes", DataClass),
    "condition": ("conditions", Condition),
    "sensitivity": ("sensitivities", Sensitivity),
    "setting": ("settings", CareSetting),
    "action": ("actions", Action),
    "duo": ("research", ResearchUse),
}
"""By what coverage is counted, beside the terms: the column of the rules, and its code list."""

_KEY = ("subject_number", "grantee_number", "rule_index")


@dataclass(frozen=True)
class Covered:
    """How many subjects permit what has a code."""

    code: str  # the standard's code; the number of the published terms
    display: str  # its display text; the hash of the terms
    subjects: int


def coverage(
    dataset: Dataset,
    by: str,
    *,
    block: int | None = None,
    at: datetime | None = None,
    moment: datetime | None = None,
) -> tuple[Covered, ...]:
    """How many subjects permit each code of a list, in the list's order.

    Args:
        dataset: the registry.
        by: the list: one of `FIELDS`, or "terms" for the version of the terms that permits were signed under.
        block: as of which block; the last that is known where neither is named.
        at: as of which time.
        moment: when rules have to be in force; the block's time, or `at`, where none is named.

    Raises:
        QuestionError: there is no such list.
        IndexTimeError: the data set does not know that block or time.
    """
    counted = _in_force(dataset, dataset.as_of(block=block, at=at, moment=moment))
    permits, refusals = counted.filter(~counted.deny), counted.filter(counted.deny)
    if by == "terms":
        return _by_terms(dataset, permits.anti_join(*_meeting(permits, refusals)))
    if by not in FIELDS:
        known = ", ".join((*FIELDS, "terms"))
        raise QuestionError("by", by, "coverage is counted by a code list, or by the terms", f"Name one of {known}")
    column, codes = FIELDS[by]
    pairs = permits.left_join(*_meeting(permits, refusals))
    names = {f"code_{place}": code for place, code in enumerate(codes)}
    each = pairs.group_by(*_KEY).agg(
        **{name: ibis.ifelse(_kept(pairs, column, code), 1, 0).min() for name, code in names.items()}
    )
    subjects = each.group_by("subject_number").agg(**{name: each[name].max() for name in names})
    [row] = subjects.agg(**{name: subjects[name].sum() for name in names}).to_pyarrow().to_pylist()
    return tuple(Covered(code.code, code.display, int(row[name] or 0)) for name, code in names.items())


def _in_force(dataset: Dataset, as_of: AsOf) -> Expression:
    """The rules that stood and were in force."""
    rules = dataset.table("rules")
    known = None if as_of.block == dataset.block.number else as_of.block
    return rules.filter(stood(rules, known) & in_force(rules, as_of.moment))


def _meeting(permits: Expression, refusals: Expression) -> tuple[Expression, list[BooleanValue]]:
    """The refusals under other names, and where they meet permits of their subject for their grantee."""
    named = refusals.select(**{f"refused_{name}": name for name in (*_PAIR, *SCOPE, *_FURTHER)})
    common = {name: permits[name] & named[f"refused_{name}"] for name in (*SCOPE, "party_kinds", "research")}
    starts, ends = (permits.data_from, named.refused_data_from), (permits.data_until, named.refused_data_until)
    return named, [
        *(permits[name] == named[f"refused_{name}"] for name in _PAIR),
        *(common[name] != 0 for name in (*SCOPE, "party_kinds")),
        # A purpose in common that is not research settles it, as in `medproof.policy.evaluation`.
        (common["purposes"] & ~Purpose.RESEARCH.value != 0) | (common["research"] & ResearchUse.PERMISSIONS.value != 0),
        starts[0].isnull() | ends[1].isnull() | (starts[0] <= ends[1]),
        starts[1].isnull() | ends[0].isnull() | (starts[1] <= ends[0]),
    ]


_PAIR = ("subject_number", "grantee_number")
_FURTHER = ("party_kinds", "research", "data_from", "data_until")


def _kept(pairs: Expression, column: str, code: CodedFlag) -> BooleanValue:
    """Whether a permit has a code and the refusal beside it, if any, leaves it."""
    refused = pairs[f"refused_{column}"]
    if column == "research" and code & ResearchUse.MODIFIERS:  # an obligation goes with the research that it is for
        taken = refused & ResearchUse.PERMISSIONS.value & pairs.research != 0
    else:
        taken = refused & code.value != 0
    return (pairs[column] & code.value != 0) & ~taken.fill_null(False)


_NO_TERMS = ("none named", "none published")


def _by_terms(dataset: Dataset, permits: Expression) -> tuple[Covered, ...]:
    counts = permits.group_by("terms").agg(subjects=permits.subject_number.nunique()).to_pyarrow().to_pylist()
    hashes = {
        row["number"]: row["terms"] for row in dataset.table("terms").select("number", "terms").to_pyarrow().to_pylist()
    }
    return tuple(
        Covered(
            str(row["terms"]),
            hashes.get(row["terms"], "none published" if row["terms"] else "none named"),
            row["subjects"],
        )
        for row in sorted(counts, key=lambda row: row["terms"])
    )


# -- a study ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FoundTerm:
    """A reason of DUO's for which permits do not fit a study."""

    term: str  # shorthand of the term; a topic's name where DUO has none
    outcome: Outcome  # DENY or ABSTAIN
    reason: str  # a sentence
    rules: int  # how many permits it is true of


@dataclass(frozen=True)
class Fit:
    """How the permits for research fit a study."""

    rules: dict[Outcome, int]  # permits by what DUO's algorithm says of each
    subjects: dict[Outcome, int]  # subjects by the best of theirs
    terms: tuple[FoundTerm, ...]  # the reasons, the most frequent first


def fit(
    dataset: Dataset,
    study: StudyUse,
    *,
    block: int | None = None,
    at: datetime | None = None,
    moment: datetime | None = None,
) -> Fit:
    """Compare a study with every permit for research, in DUO's terms (`medproof.policy.duo.match`).

    The word holds no parameters of terms, such as which disease: what depends on them is left to people, as "abstain".
    What refusals say, for which data and grantees a permit is, a `cohort` counts.

    Args:
        dataset: the registry.
        study: what the study intends and accepts.
        block: as of which block; the last that is known where neither is named.
        at: as of which time.
        moment: when rules have to be in force; the block's time, or `at`, where none is named.

    Raises:
        IndexTimeError: the data set does not know that block or time.
    """
    counted = _in_force(dataset, dataset.as_of(block=block, at=at, moment=moment))
    research = counted.filter(
        ~counted.deny
        & (counted.purposes & Purpose.RESEARCH.value != 0)
        & (counted.research & ResearchUse.PERMISSIONS.value != 0)
    )
    kinds = research.group_by("research").agg(rules=research.count()).order_by("research").to_pyarrow().to_pylist()
    found = {row["research"]: match(study, _use(row["research"])) for row in kinds}
    rules = dict.fromkeys(Outcome, 0)
    terms: dict[Finding, int] = {}
    for row in kinds:
        rules[found[row["research"]].outcome] += row["rules"]
        for finding in found[row["research"]].findings:
            terms[finding] = terms.get(finding, 0) + row["rules"]
    return Fit(
        rules,
        _subjects(research, {use: one.outcome for use, one in found.items()}),
        tuple(
            FoundTerm(one.term, one.outcome, one.reason, count)
            for one, count in sorted(terms.items(), key=lambda item: (-item[1], item[0].term, item[0].reason))
        ),
    )


_BEST = (Outcome.APPROVE, Outcome.ABSTAIN, Outcome.DENY)


def _use(research: int) -> DataUse:
    """What a permit's research field says in DUO's terms."""
    said = ResearchUse(research)
    return DataUse(widest(said & ResearchUse.PERMISSIONS) | said & ResearchUse.MODIFIERS)


def _subjects(research: Expression, outcomes: dict[int, Outcome]) -> dict[Outcome, int]:
    """How many subjects there are by the best outcome that a permit of theirs has."""
    if not outcomes:
        return dict.fromkeys(Outcome, 0)
    ranks = [(research.research == use, _BEST.index(outcome)) for use, outcome in outcomes.items()]
    best = research.mutate(rank=ibis.cases(*ranks)).group_by("subject_number").agg(rank=ibis._["rank"].min())
    counts = best.group_by("rank").agg(subjects=best.count()).to_pyarrow().to_pylist()
    return dict.fromkeys(Outcome, 0) | {_BEST[row["rank"]]: row["subjects"] for row in counts}

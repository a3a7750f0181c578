"""From options to a question about the registry: what is asked, as of when, and which counts are shown."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from medproof.cli.options import AsOfOptions, MomentOptions, QuestionOptions, SuppressionOptions
from medproof.cli.rules import moment, request_of
from medproof.cli.session import account, grantee
from medproof.errors import OptionError
from medproof.policy.codes import PartyKind

if TYPE_CHECKING:
    from medproof.research import Cohort, Dataset, Question
    from medproof.research.suppression import Suppression

__all__ = ["as_of", "cohort_of", "question_of", "suppression_of"]

_LAST_GROUP = (1 << 16) - 1


def question_of(options: QuestionOptions) -> Question:
    """The question that options ask.

    Raises:
        OptionError: neither or both of a party and a kind are named, or a group is none.
    """
    # Here, so that the other commands run without the extra.
    from medproof.research import Question

    if (options.party is None) == (options.kind is None):
        raise OptionError("--party", "or --kind says who asks", "Name one of them.")
    if options.party is not None and options.group:
        raise OptionError("--group", "stands beside --party, whose groups are registered", "Leave it out.")
    return Question(
        request_of(options),
        party=None if options.party is None else account("--party", options.party),
        kind=None if options.kind is None else PartyKind.from_code(options.kind),
        groups=tuple(_group(one) for one in options.group or ()),
        terms=options.terms,
        study=options.study,
    )


def cohort_of(dataset: Dataset, options: QuestionOptions, when: MomentOptions) -> Cohort:
    """The cohort that options ask for.

    Raises:
        OptionError: as `question_of`; or a time is none.
        QuestionError, IndexTimeError: as `medproof.research.cohort`.
    """
    from medproof.research import cohort

    known, at = as_of(when)
    in_force = None if when.moment is None else moment("--moment", when.moment)
    return cohort(dataset, question_of(options), block=known, at=at, moment=in_force)


def as_of(options: AsOfOptions) -> tuple[int | None, datetime | None]:
    """The block and the time that options name."""
    return options.block, None if options.at is None else moment("--at", options.at)


def suppression_of(options: SuppressionOptions) -> Suppression:
    """Which counts are shown.

    Raises:
        SuppressionError: the threshold or the reason is none.
    """
    from medproof.research.suppression import Suppression

    return Suppression(threshold=options.threshold, off=options.no_suppression)


def _group(text: str) -> int:
    number = int(grantee("--group", text), 16)
    if not 0 < number <= _LAST_GROUP:
        raise OptionError("--group", f"is {text!r}, which is no group", "Write group:7.")
    return number

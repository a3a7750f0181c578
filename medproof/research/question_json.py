"""The question that a cohort answers, as JSON: what was asked, of whom, and when rules were to be in force."""

from __future__ import annotations

from datetime import UTC, datetime

from medproof.errors import MedProofError, UnknownCodeError
from medproof.hashing import JsonObject
from medproof.json_reader import JsonReader
from medproof.policy.codes import PartyKind
from medproof.policy.request_json import read_request, write_request
from medproof.research.cohort import Cohort, Question

__all__ = ["read_question", "write_question"]

_LONGEST = 100
_MOST_GROUPS = 1 << 16


def write_question(cohort: Cohort) -> JsonObject:
    """What was asked of a data set to get a cohort; of the block, its manifest tells."""
    question = cohort.question
    return {
        "request": write_request(question.request),
        "party": None if question.party is None else question.party.lower(),
        "kind": None if question.kind is None else question.kind.code,
        "groups": [*question.groups],
        "terms": question.terms,
        "study": None if question.study is None else question.study.lower(),
        "moment": cohort.as_of.moment.astimezone(UTC).isoformat(),
    }


def read_question(said: JsonReader) -> tuple[Question, datetime]:
    """Read what `write_question` gave: the question, and the moment.

    Raises:
        the reader's error: a member is missing, or is not what it must be.
    """
    groups, terms = said.take("groups"), said.take("terms")
    party = None if said.take("party") is None else said.line("party", _LONGEST)
    kind = None if said.take("kind") is None else said.line("kind", _LONGEST)
    study = None if said.take("study") is None else said.line("study", _LONGEST)
    text = said.line("moment", _LONGEST)
    request = read_request(said.object("request"))
    said.finish()
    if not isinstance(groups, list) or len(groups) > _MOST_GROUPS or not all(type(one) is int for one in groups):
        raise said.wrong("groups", "is no list of numbers")
    if terms is not None and type(terms) is not int:
        raise said.wrong("terms", "is no number")
    try:
        moment = datetime.fromisoformat(text)
        named = None if kind is None else PartyKind.from_code(kind)
        numbers = tuple(one for one in groups if isinstance(one, int))
        question = Question(request, party, named, numbers, terms, study)
    except (ValueError, UnknownCodeError) as error:
        raise said.wrong("moment" if isinstance(error, ValueError) else "kind", "cannot be read") from None
    except MedProofError as error:
        raise said.wrong("", f"is no question ({error})") from None
    if moment.tzinfo is None:
        raise said.wrong("moment", "has no zone")
    return question, moment

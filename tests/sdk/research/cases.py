"""Questions with their answers by the index's own view, which decides as the contract does: for any engine's test."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from medproof.client.registrar import EVERYONE, group_grantee
from medproof.errors import IndexTimeError
from medproof.indexer import IndexedDeployment, View, schema, view
from medproof.policy.codes import PartyKind
from medproof.policy.evaluation import decide
from medproof.policy.word import FIELDS, FLAG_FIELDS, encode_request
from medproof.research import Question
from tests.sdk.research.registry import GROUPS, PARTIES, REQUESTS

FOLLOWS, TERMS = FLAG_FIELDS["follows"].mask, FIELDS["terms"]


@dataclass(frozen=True)
class Case:
    """A question and who consents."""

    question: Question
    block: int | None
    moment: datetime | None
    subjects: frozenset[str]  # lower-case


def cases(indexed: IndexedDeployment, *, every: int = 1) -> Iterator[Case]:
    """All questions as of every so many blocks, the last among them, and some with a moment of their own."""
    with indexed.database.reading() as connection:
        happened = set(connection.scalars(select(schema.events.c.block)))
    blocks = range(indexed.block, indexed.first - 1, -every)
    for place, block in enumerate(blocks):
        try:
            state = view(indexed, block=block)
        except IndexTimeError:  # nothing happened in it
            continue
        shifts = (timedelta(), timedelta(minutes=-95), timedelta(hours=2)) if place % 3 == 0 else (timedelta(),)
        for shift in shifts:
            shifted = View(indexed, block, state.at + shift)
            words = standing(shifted)
            for number, question in enumerate(questions()):
                if shift and number % 3:
                    continue
                found = frozenset(subject for subject in words if permitted(shifted, words[subject], question))
                yield Case(question, block, shifted.at if shift or block not in happened else None, found)


def questions() -> Iterator[Question]:
    for request in REQUESTS:
        for party in PARTIES:
            yield Question(request, party=party)
        yield Question(request, kind=PartyKind.RESEARCHER)
        yield Question(request, kind=PartyKind.PROVIDER, groups=GROUPS)
    yield Question(REQUESTS[0], kind=PartyKind.PROVIDER, groups=GROUPS, terms=1)


def standing(state: View) -> dict[str, dict[tuple[str, int], int]]:
    """Every subject's words as they stood, by grantee and index."""
    words: defaultdict[str, dict[tuple[str, int], int]] = defaultdict(dict)
    for one in state.rules():
        words[one.subject.lower()][one.grantee.lower(), one.index] = one.word
    return words


def permitted(state: View, words: dict[tuple[str, int], int], question: Question) -> bool:
    """Whether a question's request is permitted, list by list as the contract walks them."""
    kind, grantees = question.kind, [EVERYONE, *map(group_grantee, question.groups)]
    if question.party is not None:
        party = state.active_party(question.party)
        if party is None:
            return False
        kind, grantees = party.kind, [party.id.lower(), EVERYONE, *map(group_grantee, party.groups)]
    reached = []
    for grantee in grantees:
        for index in range(16):
            word = words.get((grantee, index), 0)
            if question.terms is None or word & FLAG_FIELDS["deny"].mask or TERMS.of(word) == question.terms:
                reached.append(word)
            if not word & FOLLOWS:
                break
    return decide(reached, kind, state.at, encode_request(question.request)).permitted

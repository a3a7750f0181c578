"""Studies from an index alone: whose data one might use as of a block."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from eth_utils.address import to_checksum_address

from medproof.indexer import schema
from medproof.indexer.view import View
from medproof.policy.evaluation import Reason
from medproof.policy.word import EPOCH_DAY, decode_request

__all__ = ["permitted_subjects"]


def permitted_subjects(state: View, study: bytes) -> tuple[str, ...]:
    """The subjects whose data a study might use, as `Studies.mayUse` would have said it of each at that moment.

    The study was open, they had opted in, and their rules permitted its request to its researcher.

    Args:
        state: as of when.
        study: the study's id, 32 bytes.
    """
    studies, choices = schema.HISTORIES["studies"], schema.HISTORIES["participations"]
    parties = schema.HISTORIES["parties"]
    known = _rows(state, state.standing("studies").where(studies.c.study == study))
    if not known or known[0].ended:
        return ()
    [found] = known
    today = state.at.date()
    if not EPOCH_DAY + timedelta(days=found.first_day) <= today <= EPOCH_DAY + timedelta(days=found.last_day):
        return ()
    researchers = _rows(state, state.standing("parties").where(parties.c.party == found.researcher))
    taking_part = state.standing("participations").where(choices.c.study == study, choices.c.opted_in.is_(True))
    request = decode_request(int.from_bytes(bytes(found.request), "big"))
    subjects = []
    for row in _rows(state, taking_part) if researchers else ():
        subject = to_checksum_address(bytes(row.subject))
        account = to_checksum_address(bytes(researchers[0].account))
        if state.decide(subject, account, request).reason is Reason.PERMITTED:
            subjects.append(subject)
    return tuple(sorted(subjects, key=str.lower))


def _rows(state: View, query: Any) -> list[Any]:
    with state.indexed.database.reading() as connection:
        return list(connection.execute(query))

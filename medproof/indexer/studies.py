"""Studies from an index alone: whose data one might use as of a block."""

from __future__ import annotations

from datetime import timedelta

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

    Raises:
        IndexRolledBackError: the index has taken back the view's block.
    """
    studies, choices = schema.HISTORIES["studies"], schema.HISTORIES["participations"]
    parties = schema.HISTORIES["parties"]
    with state._snapshot() as connection:
        found = connection.execute(state.standing("studies").where(studies.c.study == study)).first()
        if found is None or found.ended:
            return ()
        acting = state.standing("parties").where(parties.c.party == found.researcher)
        researcher = connection.execute(acting).first()
        taking_part = state.standing("participations").where(choices.c.study == study, choices.c.opted_in.is_(True))
        participants = [to_checksum_address(bytes(row.subject)) for row in connection.execute(taking_part)]
    today = state.at.date()
    if not EPOCH_DAY + timedelta(days=found.first_day) <= today <= EPOCH_DAY + timedelta(days=found.last_day):
        return ()
    if researcher is None:
        return ()
    account = to_checksum_address(bytes(researcher.account))
    request = decode_request(int.from_bytes(bytes(found.request), "big"))
    permitted = (one for one in participants if state.decide(one, account, request).reason is Reason.PERMITTED)
    return tuple(sorted(permitted, key=str.lower))

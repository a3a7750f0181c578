"""Whole files of X12: nothing of a file is given before all of it was read once without a refusal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias, TypeVar

from medproof.claims.claim import Claim, ClaimResponse
from medproof.errors import InterchangeError
from medproof.x12.claims import CLAIM_KINDS, claims_of
from medproof.x12.eligibility import (
    EligibilityAnswer,
    EligibilityInquiry,
    eligibility_answers_of,
    eligibility_inquiries_of,
)
from medproof.x12.interchange import Kind, read_transactions
from medproof.x12.remittance import responses_of
from medproof.x12.status import StatusAnswer, StatusRequest, status_answers_of, status_requests_of

__all__ = ["Content", "read", "read_claims", "read_responses"]

Content: TypeAlias = Claim | ClaimResponse | StatusRequest | StatusAnswer | EligibilityInquiry | EligibilityAnswer
"""What an interchange may hold."""

_One = TypeVar("_One", bound=Content)
_READERS: dict[Kind, Callable[..., Iterator[Content]]] = {
    **dict.fromkeys(CLAIM_KINDS, claims_of),
    Kind.REMITTANCE: responses_of,
    Kind.STATUS_REQUEST: status_requests_of,
    Kind.STATUS: status_answers_of,
    Kind.ELIGIBILITY_REQUEST: eligibility_inquiries_of,
    Kind.ELIGIBILITY: eligibility_answers_of,
}


def read(source: Path | bytes) -> Iterator[Content]:
    """Read whatever an interchange holds, in the order written.

    The file is read twice: once to make sure that all of it can be read, and once to give it, so that its size does not
    matter and nothing is half read. It must stay as it is meanwhile.

    Args:
        source: the file, or its content.

    Raises:
        InterchangeError: it is no whole interchange, or none that is read here.
        ClaimElementError: something in it cannot be read whole; the message names the segment and shows no value.
        OSError: the file cannot be read.
    """
    for _ in _contents(source):
        pass
    yield from _contents(source)


def read_claims(source: Path | bytes) -> Iterator[Claim]:
    """Read the claims of 837 files (professional, institutional, dental); as `read`."""
    return _only(Claim, source, "837")


def read_responses(source: Path | bytes) -> Iterator[ClaimResponse]:
    """Read the responses of 835 files; as `read`."""
    return _only(ClaimResponse, source, "835")


def _only(kind: type[_One], source: Path | bytes, name: str) -> Iterator[_One]:
    for one in read(source):
        if not isinstance(one, kind):
            raise InterchangeError("ST01", f"is not {name} throughout", "read each kind from a file of its own")
        yield one


def _contents(source: Path | bytes) -> Iterator[Content]:
    counts: dict[Callable[..., Iterator[Content]], int] = {}
    for transaction in read_transactions(source):
        reader = _READERS[transaction.kind]
        for one in reader(transaction, already=counts.get(reader, 0)):
            counts[reader] = counts.get(reader, 0) + 1
            yield one

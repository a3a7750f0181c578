"""A payer's answers by X12, out of the chain and its cases: 277 to 276, and 271 to 270 with a signed attestation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from medproof.claims.case import Case
from medproof.claims.eligibility import EligibilityAttestation, attest
from medproof.claims.names import Names
from medproof.client import MedProof
from medproof.client.claim_anchor import AnchoredClaim, ClaimState, ClaimStatus
from medproof.errors import ArgumentError, CaseError
from medproof.signing import Signer
from medproof.x12.eligibility import EligibilityInquiry, write_eligibility
from medproof.x12.interchange import Header
from medproof.x12.status import Status, StatusRequest, status_of, write_status

__all__ = ["answer_eligibility", "answer_status", "find_status"]

_AS_WRITTEN = Names()
_CLOSED = (ClaimStatus.VOIDED, ClaimStatus.REPLACED)


def find_status(
    suite: MedProof,
    request: StatusRequest,
    cases: Iterable[Case],
    *,
    names: Names = _AS_WRITTEN,
    now: datetime | None = None,
) -> tuple[StatusRequest, Status]:
    """How a claim stands on the chain that a 276 asks after, with the question completed by the payer's number.

    A claim is found by its number, the provider that billed it and its patient, all three: whoever asks after another's
    is told that there is none.

    Args:
        suite: where the claims are anchored.
        request: the question.
        cases: the payer's, the earlier first; of several that fit, the last that was not voided or replaced counts.
        names: what the consortium calls whom, where claims came in another standard.
        now: aware; the present time where none is given.

    Raises:
        CaseError: a case that fits is of another chain or contract, is not on the chain, or not what the chain has.
        NodeError: the chain cannot be asked.
    """
    today = (now or datetime.now(UTC)).date()
    found: tuple[Case, ClaimState] | None = None
    for case in cases:
        if _fits(case, request, names):
            state = _state(suite, case)
            if found is None or found[1].status in _CLOSED or state.status not in _CLOSED:
                found = case, state
    if found is None:
        return request, status_of(ClaimStatus.NONE.name, since=today)
    case, state = found
    return _numbered(request, case), _status(case, state, today)


def answer_status(
    suite: MedProof,
    requests: Sequence[StatusRequest],
    cases: Sequence[Case],
    *,
    control_number: int,
    reference: str,
    names: Names = _AS_WRITTEN,
    now: datetime | None = None,
) -> bytes:
    """Answer the questions of a 276 by a 277, as the payer.

    Args:
        suite: where the claims are anchored.
        requests: all of one interchange.
        cases: the payer's, the earlier first.
        control_number: the payer's for this interchange, ever higher.
        reference: the payer's for this answer (BHT03).
        names: as `find_status`.
        now: aware; the present time where none is given.

    Raises:
        ArgumentError: there is no question, or a value cannot be written in X12.
        CaseError, NodeError: as `find_status`.
    """
    moment = now or datetime.now(UTC)
    said = [find_status(suite, one, cases, names=names, now=moment) for one in requests]
    header = _header(requests[0].header if requests else None, control_number)
    return write_status([(one, [status]) for one, status in said], header, reference=reference, at=moment)


def answer_eligibility(
    suite: MedProof,
    signer: Signer,
    inquiry: EligibilityInquiry,
    *,
    provider: str,
    covered: bool,
    originator: str,
    control_number: int,
    reference: str,
    lifetime: timedelta = timedelta(days=1),
    now: datetime | None = None,
) -> tuple[EligibilityAttestation, bytes]:
    """Answer a 270 by an attestation, and by a 271 that carries its id and time.

    Args:
        suite: where the payer is accredited.
        signer: the account that acts for the payer.
        inquiry: the question.
        provider: the identity of the party that asked.
        covered: whether a policy is in force for what is asked.
        originator: who numbers the trace: ten characters, 1 and the payer's tax number (TRN03).
        control_number: the payer's for this interchange, ever higher.
        reference: the payer's for this answer (BHT03).
        lifetime: for how long the payer stands by it.
        now: aware; the present time where none is given.

    Raises:
        ArgumentError: the signer acts for no active payer, or a value cannot be written in X12.
        NodeError: the chain cannot be asked.
    """
    moment = now or datetime.now(UTC)
    header = _header(inquiry.header, control_number)
    attestation = attest(
        suite, signer, inquiry.request, provider=provider, covered=covered, lifetime=lifetime, now=moment
    )
    written = write_eligibility(
        inquiry,
        header,
        covered=covered,
        attestation=attestation.leaf,
        made_at=datetime.fromtimestamp(attestation.made_at, UTC),
        originator=originator,
        reference=reference,
        at=moment,
    )
    return attestation, written


def _fits(case: Case, request: StatusRequest, names: Names) -> bool:
    if case.claim is None:
        return False
    number = case.response.content.payer_number if case.response else None
    if request.claim_number != case.claim.number and (number is None or request.payer_number != number):
        return False
    provider = request.provider.identifier
    return provider is not None and all(
        names.identifier(one, "case") == names.identifier(other, "276")
        for one, other in ((case.claim.provider, provider), (case.claim.patient, request.patient_identifier))
    )


def _state(suite: MedProof, case: Case) -> ClaimState:
    anchor = case.anchored()
    if (anchor.chain_id, anchor.contract) != (suite.chain.chain_id, suite.claim_anchor.address):
        raise CaseError("anchor", "is of another chain or contract", "Connect to the one that it names")
    case.check()
    state = suite.claim_anchor.state(anchor.claim)
    if state.status is ClaimStatus.NONE and _waits(suite, anchor.claim):
        return replace(state, status=ClaimStatus.SUBMITTED)
    return state


def _waits(suite: MedProof, claim: AnchoredClaim) -> bool:
    """Whether a claim stands in a batch, where it has no slot of its own yet."""
    return suite.claim_anchor.waits(claim.nullifier)


def _status(case: Case, state: ClaimState, today: date) -> Status:
    assert case.claim is not None  # it fits
    opened = case.response_for(state.response)
    known = opened.content if opened else None
    return status_of(
        state.status.name,
        state.outcome.name,
        since=datetime.fromtimestamp(state.since, UTC).date() if state.since else today,
        charge=case.claim.total.amount if case.claim.total else None,
        paid=known.paid.amount if known and known.paid else None,
        decided=known.decided if known else None,
    )


def _numbered(request: StatusRequest, case: Case) -> StatusRequest:
    """The question with the payer's number for the claim, where it has one."""
    number = case.response.content.payer_number if case.response else None
    if number is None or request.payer_number is not None:
        return request
    return replace(request, payer_number=number, references=(("1K", number), *request.references))


def _header(asked: Header | None, control_number: int) -> Header:
    if asked is None:
        raise ArgumentError("There is no question of an interchange to answer. Read one with medproof.x12.read.")
    return asked.reply(control_number)

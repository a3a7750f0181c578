"""A payer answers 276 and 270 out of the chain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from eth_utils.crypto import keccak

from medproof import hashing, x12
from medproof.claims import Money
from medproof.claims.case import Anchor, Case, SealedResponse
from medproof.claims.eligibility import verify
from medproof.client import MedProof
from medproof.client.claim_anchor import AnchoredClaim, Outcome, Rules
from medproof.errors import ArgumentError, CaseError, EligibilityRefusedError
from medproof.signing import LocalSigner
from medproof.x12.answers import answer_eligibility, answer_status, find_status
from tests.sdk.x12.interchanges import LINES, claim, interchange, professional, remittance
from tests.sdk.x12.test_eligibility import HEAD as ASKED
from tests.sdk.x12.test_eligibility import SUBSCRIBER as WHOM
from tests.sdk.x12.test_status import HEAD

QUESTION = ("HL*4*3*22*0", "NM1*IL*1*ROE*JANE****MI*M0001", "TRN*1*Q1", "REF*EJ*A1")


def asked(*question: str) -> Sequence[x12.StatusRequest]:
    return tuple(x12.read(interchange("276", *HEAD, *(question or QUESTION))))  # type: ignore[arg-type]


@pytest.fixture
def rules(suite: MedProof, payer: LocalSigner) -> int:
    first = datetime.fromtimestamp(suite.chain.block().timestamp, UTC).date() - timedelta(days=30)
    return suite.claim_anchor.publish_rules(Rules(keccak(b"plan"), first), sender=payer)


@pytest.fixture
def case(suite: MedProof, clinic: LocalSigner, payer: LocalSigner, rules: int) -> Case:
    """The claim A1 out of an 837, and what it will be on the chain."""
    (bill,) = x12.read_claims(professional([*claim(), *LINES]))
    opened = Case.open(bill)
    anchored = AnchoredClaim(clinic.address, payer.address, opened.commitment, hashing.new_salt())
    return replace(opened, anchor=Anchor(suite.chain.chain_id, suite.claim_anchor.address, anchored, rules))


def test_a_claim_is_followed_by_276_and_277(
    suite: MedProof, case: Case, clinic: LocalSigner, payer: LocalSigner, rules: int
) -> None:
    anchor, on_chain = suite.claim_anchor, case.anchored().claim
    (paid,) = x12.read_responses(remittance(("CLP*A1*1*60.00*40**12*P-1", "CAS*CO*45*20"), paid="40"))
    decided = replace(case, responses=(SealedResponse(paid, hashing.new_salt()),))
    assert decided.response is not None

    def said(known: Case) -> x12.Status:
        written = answer_status(suite, asked(), [known], control_number=7, reference="R7")
        (answer,) = x12.read(written)
        assert isinstance(answer, x12.StatusAnswer)
        assert (answer.number, answer.claim_number) == ("Q1", "A1")
        return answer.statuses[0]

    assert (said(case).category, said(case).code) == ("A4", "35")
    anchor.submit(on_chain, rules, sender=clinic)
    assert (said(case).category, said(case).code, said(case).charge) == ("A2", "20", Decimal("60.00"))
    anchor.pend(on_chain, hashing.new_salt(), sender=payer)
    assert (said(case).category, said(case).entity) == ("P3", "1P")
    anchor.answer(on_chain, hashing.new_salt(), sender=clinic)
    anchor.adjudicate(on_chain, Outcome.APPROVED, rules, decided.response.commitment, sender=payer)
    now = said(decided)
    assert (now.category, now.code, now.paid, now.decided) == ("F0", "3", Decimal(40), paid.decided)
    forged = replace(decided.response, content=replace(paid, paid=Money(Decimal(50), "USD")))
    assert said(replace(decided, responses=(forged,))).paid is None  # the chain has another response
    anchor.settle(on_chain, provider=anchor.agree_to_settle(clinic, on_chain), sender=payer)
    assert (said(decided).category, said(decided).code) == ("F1", "65")
    written = answer_status(suite, asked(), [decided], control_number=8, reference="R8").decode()
    assert "REF*1K*P-1~" in written
    assert "*MUTUAL         *ZZ*HARBOR         *" in written  # the sender of the question is who gets the answer


@pytest.mark.parametrize(
    ("old", "new"),
    [("REF*EJ*A1", "REF*EJ*A2"), ("MI*M0001", "MI*M0002"), ("REF*EJ*A1", "REF*D9*A1")],
)
def test_who_asks_after_anothers_claim_is_told_that_there_is_none(
    suite: MedProof, case: Case, clinic: LocalSigner, rules: int, old: str, new: str
) -> None:
    suite.claim_anchor.submit(case.anchored().claim, rules, sender=clinic)
    (request,) = asked(*(one.replace(old, new) for one in QUESTION))
    assert find_status(suite, request, [case])[1].category == "A4"
    (own,) = asked()
    stranger = replace(own, provider=replace(own.provider, number="1999999984"))
    assert find_status(suite, stranger, [case])[1].category == "A4"
    assert find_status(suite, own, [case.erased()])[1].category == "A4"
    assert find_status(suite, own, [case])[1].category == "A2"


def test_a_claim_that_was_replaced_is_told_of_by_the_one_that_stands(
    suite: MedProof, case: Case, clinic: LocalSigner, rules: int
) -> None:
    anchor, first = suite.claim_anchor, case.anchored()
    anchor.submit(first.claim, rules, sender=clinic)
    anchor.void(first.claim, sender=clinic)
    (request,) = asked()
    assert find_status(suite, request, [case])[1].category == "F4"
    assert case.claim is not None
    other = Case.open(case.claim)
    again = replace(first.claim, commitment=other.commitment)
    anchor.submit(again, rules, sender=clinic)
    other = replace(other, anchor=replace(first, claim=again))
    for known in ([case, other], [other, case]):
        assert find_status(suite, request, known)[1].category == "A2"


def test_a_case_of_another_chain_is_refused(suite: MedProof, case: Case) -> None:
    (request,) = asked()
    elsewhere = replace(case, anchor=replace(case.anchored(), chain_id=1))
    with pytest.raises(CaseError, match="anchor of the case is of another chain"):
        find_status(suite, request, [elsewhere])
    with pytest.raises(CaseError, match="is not what the commitment on the chain opens to"):
        find_status(suite, request, [replace(case, salt=hashing.new_salt())])
    with pytest.raises(CaseError, match="is not on the chain yet"):
        find_status(suite, request, [replace(case, anchor=None)])


def test_nothing_asked_is_nothing_to_answer(suite: MedProof) -> None:
    with pytest.raises(ArgumentError, match="There is no question"):
        answer_status(suite, [], [], control_number=1, reference="R1")


def test_a_270_is_answered_with_an_attestation_that_the_271_points_to(
    suite: MedProof, clinic: LocalSigner, payer: LocalSigner
) -> None:
    (inquiry,) = x12.read(interchange("270", *ASKED, *WHOM))
    assert isinstance(inquiry, x12.EligibilityInquiry)
    now = datetime.fromtimestamp(suite.chain.block().timestamp, UTC)
    attestation, written = answer_eligibility(
        suite,
        payer,
        inquiry,
        provider=clinic.address,
        covered=True,
        originator="1512345678",
        control_number=9,
        reference="R9",
        now=now,
    )
    (answer,) = x12.read(written)
    assert isinstance(answer, x12.EligibilityAnswer)
    assert (answer.attestation, answer.covered) == (attestation.leaf, True)
    assert answer.made_at == datetime.fromtimestamp(attestation.made_at, UTC)
    hour = timedelta(hours=1)
    verify(suite, attestation, inquiry.request, payer=attestation.payer, provider=clinic.address, max_age=hour, now=now)
    later = now + 2 * hour
    assert answer.is_stale(hour, now=later)
    with pytest.raises(EligibilityRefusedError, match="older than you allow"):
        verify(
            suite,
            attestation,
            inquiry.request,
            payer=attestation.payer,
            provider=clinic.address,
            max_age=hour,
            now=later,
        )
    forged = replace(attestation, made_at=attestation.made_at + 3600)
    assert forged.leaf != answer.attestation

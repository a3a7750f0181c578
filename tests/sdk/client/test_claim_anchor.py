"""The ClaimAnchor's client: each step by its owner or by its signature, and one bill for one service."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from eth_utils.crypto import keccak

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.client.claim_anchor import Agreement, Claim, ClaimAnchor, ClaimStatus, Outcome, Rules
from medproof.contract_errors import (
    AlreadyBilled,
    ClaimExists,
    KindNotAdmitted,
    MessageExpired,
    RulesMismatch,
    RulesRetroactive,
    RulesUnknown,
    SignatureInvalid,
    StepNotPossible,
    StepNotYours,
)
from medproof.errors import MessageError
from medproof.signing import LocalSigner
from tests.sdk.conftest import rpc

RULES, REQUEST, RESPONSE = keccak(text="rules"), b"\x52" * 32, b"\x53" * 32
FIRST_DAY = date(2020, 1, 1)


@pytest.fixture
def anchor(suite: MedProof) -> ClaimAnchor:
    return suite.claim_anchor


@pytest.fixture
def rules(anchor: ClaimAnchor, payer: LocalSigner) -> int:
    return anchor.publish_rules(RULES, FIRST_DAY, sender=payer)


@pytest.fixture
def claim(clinic: LocalSigner, payer: LocalSigner) -> Claim:
    return Claim(clinic.address, payer.address, b"\x21" * 32, b"\x31" * 32)


def corrected(claim: Claim) -> Claim:
    return dataclasses.replace(claim, commitment=b"\x22" * 32)


def kept(anchor: ClaimAnchor, claim: Claim) -> tuple[ClaimStatus, Outcome, int, bytes]:
    state = anchor.state(claim)
    return state.status, state.outcome, state.rules, state.response


def status(anchor: ClaimAnchor, claim: Claim) -> ClaimStatus:
    return anchor.state(claim).status


def test_rules_in_force(chain: Chain, anchor: ClaimAnchor, payer: LocalSigner) -> None:
    assert anchor.rules_in_force(payer.address, FIRST_DAY) is None
    assert anchor.rules(payer.address, 1) is None
    today = datetime.fromtimestamp(chain.timestamp(), UTC).date()
    later = today + timedelta(days=30)
    assert anchor.publish_rules(RULES, FIRST_DAY, sender=payer) == 1
    assert anchor.publish_rules(REQUEST, later, sender=payer) == 2
    first, second = Rules(1, RULES, FIRST_DAY), Rules(2, REQUEST, later)
    assert anchor.rules_in_force(payer.address, FIRST_DAY - timedelta(days=1)) is None
    for day, expected in ((FIRST_DAY, first), (later - timedelta(days=1), first), (later, second)):
        assert anchor.rules_in_force(payer.address, day) == expected
    assert anchor.rules(payer.address, 2) == second
    with pytest.raises(RulesRetroactive):
        anchor.publish_rules(RESPONSE, today - timedelta(days=1), sender=payer)


@pytest.mark.parametrize("form", ["direct", "relayed"])
def test_each_step(
    anchor: ClaimAnchor,
    claim: Claim,
    rules: int,
    clinic: LocalSigner,
    payer: LocalSigner,
    relayer: LocalSigner,
    form: str,
) -> None:
    direct = form == "direct"

    def by(owner: LocalSigner, role: str, agree: Any) -> dict[str, Any]:
        return {"sender": owner} if direct else {"sender": relayer, role: agree()}

    assert kept(anchor, claim) == (ClaimStatus.NONE, Outcome.NONE, 0, bytes(32))
    receipt = anchor.submit(
        claim, rules, **by(clinic, "provider", lambda: anchor.agree_to_submit(clinic, claim, rules))
    )
    assert anchor.claim_of(claim.nullifier) == claim.id
    assert status(anchor, claim) is ClaimStatus.SUBMITTED
    anchor.pend(claim, REQUEST, **by(payer, "payer", lambda: anchor.agree_to_pend(payer, claim, REQUEST)))
    assert status(anchor, claim) is ClaimStatus.PENDED
    decided = (claim, Outcome.PARTIAL, rules, RESPONSE)
    anchor.adjudicate(*decided, **by(payer, "payer", lambda: anchor.agree_to_adjudicate(payer, *decided)))
    assert kept(anchor, claim) == (ClaimStatus.ADJUDICATED, Outcome.PARTIAL, rules, RESPONSE)
    assert anchor.state(claim, block=receipt.block).status is ClaimStatus.SUBMITTED
    if direct:
        anchor.settle(claim, payer=anchor.agree_to_settle(payer, claim), sender=clinic)
    else:
        first = anchor.agree_to_settle(clinic, claim)
        second = anchor.agree_to_settle(payer, claim, deadline=first.deadline)
        anchor.settle(claim, provider=first, payer=second, sender=relayer)
    assert status(anchor, claim) is ClaimStatus.SETTLED


def test_settlement_needs_both(
    anchor: ClaimAnchor, claim: Claim, rules: int, clinic: LocalSigner, payer: LocalSigner, relayer: LocalSigner
) -> None:
    anchor.submit(claim, rules, sender=clinic)
    anchor.adjudicate(claim, Outcome.APPROVED, rules, RESPONSE, sender=payer)
    first = anchor.agree_to_settle(clinic, claim)
    for sender, agreements in (
        (clinic, {}),
        (payer, {}),
        (relayer, {"provider": first}),
        (clinic, {"provider": first}),
    ):
        with pytest.raises(StepNotYours):
            anchor.settle(claim, **agreements, sender=sender)
    with pytest.raises(SignatureInvalid) as caught:
        anchor.settle(claim, provider=first, payer=Agreement(first.deadline, first.signature), sender=relayer)
    assert caught.value.signer == payer.address
    other = anchor.agree_to_settle(payer, claim, deadline=first.deadline + 1)
    with pytest.raises(MessageError, match="different deadlines"):
        anchor.settle(claim, provider=first, payer=other, sender=relayer)
    anchor.settle(claim, provider=first, sender=payer)
    assert status(anchor, claim) is ClaimStatus.SETTLED


def test_void(anchor: ClaimAnchor, claim: Claim, rules: int, clinic: LocalSigner, relayer: LocalSigner) -> None:
    anchor.submit(claim, rules, sender=clinic)
    anchor.void(claim, provider=anchor.agree_to_void(clinic, claim), sender=relayer)
    assert status(anchor, claim) is ClaimStatus.VOIDED
    assert anchor.claim_of(claim.nullifier) is None
    anchor.submit(corrected(claim), rules, sender=clinic)
    anchor.void(corrected(claim), sender=clinic)


def test_void_of_a_settled_claim_needs_the_payer(
    anchor: ClaimAnchor, claim: Claim, rules: int, clinic: LocalSigner, payer: LocalSigner
) -> None:
    anchor.submit(claim, rules, sender=clinic)
    anchor.adjudicate(claim, Outcome.APPROVED, rules, RESPONSE, sender=payer)
    anchor.settle(claim, payer=anchor.agree_to_settle(payer, claim), sender=clinic)
    with pytest.raises(StepNotYours):
        anchor.void(claim, sender=clinic)
    anchor.void(claim, payer=anchor.agree_to_void(payer, claim), sender=clinic)
    assert status(anchor, claim) is ClaimStatus.VOIDED


@pytest.mark.parametrize("form", ["direct", "relayed"])
def test_replace(
    anchor: ClaimAnchor, claim: Claim, rules: int, clinic: LocalSigner, relayer: LocalSigner, form: str
) -> None:
    anchor.submit(claim, rules, sender=clinic)
    correction = corrected(claim)
    if form == "direct":
        anchor.replace(claim, correction, rules, sender=clinic)
    else:
        agreed = anchor.agree_to_replace(clinic, claim, correction, rules)
        anchor.replace(claim, correction, rules, provider=agreed, sender=relayer)
    assert status(anchor, claim) is ClaimStatus.REPLACED
    assert status(anchor, correction) is ClaimStatus.SUBMITTED
    assert anchor.claim_of(claim.nullifier) == correction.id


def test_one_bill_for_one_service(
    anchor: ClaimAnchor, claim: Claim, rules: int, clinic: LocalSigner, second_payer: LocalSigner
) -> None:
    anchor.submit(claim, rules, sender=clinic)
    with pytest.raises(ClaimExists):
        anchor.submit(claim, rules, sender=clinic)
    other = anchor.publish_rules(RULES, FIRST_DAY, sender=second_payer)
    again = dataclasses.replace(claim, payer=second_payer.address, commitment=b"\x24" * 32)
    with pytest.raises(AlreadyBilled) as caught:
        anchor.submit(again, other, sender=clinic)
    assert (caught.value.nullifier, caught.value.by) == (claim.nullifier, claim.id)


def test_errors_by_name(
    chain: Chain,
    anchor: ClaimAnchor,
    claim: Claim,
    rules: int,
    clinic: LocalSigner,
    payer: LocalSigner,
    stranger: LocalSigner,
) -> None:
    with pytest.raises(KindNotAdmitted):
        anchor.publish_rules(RULES, FIRST_DAY, sender=clinic)
    with pytest.raises(RulesUnknown):
        anchor.submit(claim, 7, sender=clinic)
    with pytest.raises(StepNotYours) as yours:
        anchor.submit(claim, rules, sender=stranger)
    assert (yours.value.owner, yours.value.account) == (clinic.address, stranger.address)
    late = anchor.agree_to_submit(clinic, claim, rules, deadline=chain.timestamp() - 1)
    with pytest.raises(MessageExpired):
        anchor.submit(claim, rules, provider=late, sender=stranger)
    anchor.submit(claim, rules, sender=clinic)
    with pytest.raises(RulesMismatch):
        anchor.adjudicate(claim, Outcome.APPROVED, rules + 1, RESPONSE, sender=payer)
    with pytest.raises(StepNotPossible) as possible:
        anchor.settle(claim, sender=clinic)
    assert possible.value.status == ClaimStatus.SUBMITTED
    rpc(chain, "evm_mine")

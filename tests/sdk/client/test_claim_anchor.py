"""The ClaimAnchor's client: each step by its owner or by its signature, and one bill for one service."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from eth_utils.crypto import keccak

from medproof.artifacts import artifact
from medproof.chain import Chain
from medproof.client import MedProof
from medproof.client.claim_anchor import (
    Agreement,
    AnchoredClaim,
    ClaimAnchor,
    ClaimBatch,
    ClaimState,
    ClaimStatus,
    Due,
    FlagStatus,
    Outcome,
    Rules,
    encounter_id,
)
from medproof.client.contract import NOBODY
from medproof.contract_errors import (
    AlreadyBilled,
    ClaimExists,
    ClaimNotInBatch,
    EncounterUnknown,
    KindNotAdmitted,
    MessageExpired,
    NotAlike,
    NullifierNotWaiting,
    PatientMissing,
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
    return anchor.publish_rules(Rules(RULES, FIRST_DAY), sender=payer)


@pytest.fixture
def claim(clinic: LocalSigner, payer: LocalSigner) -> AnchoredClaim:
    return AnchoredClaim(clinic.address, payer.address, b"\x21" * 32, b"\x31" * 32)


def corrected(claim: AnchoredClaim) -> AnchoredClaim:
    return dataclasses.replace(claim, commitment=b"\x22" * 32)


def kept(anchor: ClaimAnchor, claim: AnchoredClaim) -> tuple[ClaimStatus, Outcome, int, bytes]:
    state = anchor.state(claim)
    return state.status, state.outcome, state.rules, state.response


def status(anchor: ClaimAnchor, claim: AnchoredClaim) -> ClaimStatus:
    return anchor.state(claim).status


def test_rules_in_force(chain: Chain, anchor: ClaimAnchor, payer: LocalSigner) -> None:
    assert anchor.rules_in_force(payer.address, 0, FIRST_DAY) is None
    assert anchor.rules(payer.address, 1) is None
    today = datetime.fromtimestamp(chain.timestamp(), UTC).date()
    later = today + timedelta(days=30)
    first = Rules(RULES, FIRST_DAY)
    second = Rules(REQUEST, later, later + timedelta(days=9))
    other = Rules(RULES, FIRST_DAY, None, 7, True, True, 30, 45, 180, 60, 20)
    for number, rules in enumerate((first, second, other), 1):
        assert anchor.publish_rules(rules, sender=payer) == number
    first, second, other = (
        dataclasses.replace(rules, number=number) for number, rules in enumerate((first, second, other), 1)
    )
    assert anchor.rules_in_force(payer.address, 0, FIRST_DAY - timedelta(days=1)) is None
    for day, expected in ((FIRST_DAY, first), (later - timedelta(days=1), first), (later, second)):
        assert anchor.rules_in_force(payer.address, 0, day) == expected
    assert anchor.rules_in_force(payer.address, 0, later + timedelta(days=9)) == first
    assert anchor.rules_in_force(payer.address, 7, later) == other
    assert anchor.rules(payer.address, 2) == second
    with pytest.raises(RulesRetroactive):
        anchor.publish_rules(Rules(RESPONSE, today - timedelta(days=1)), sender=payer)


@pytest.mark.parametrize("form", ["direct", "relayed"])
def test_each_step(
    anchor: ClaimAnchor,
    claim: AnchoredClaim,
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
    anchor.answer(claim, RULES, **by(clinic, "provider", lambda: anchor.agree_to_answer(clinic, claim, RULES)))
    assert status(anchor, claim) is ClaimStatus.SUBMITTED
    assert anchor.state(claim).pends == 1
    decided = (claim, Outcome.PARTIAL, rules, RESPONSE)
    anchor.adjudicate(*decided, **by(payer, "payer", lambda: anchor.agree_to_adjudicate(payer, *decided)))
    assert kept(anchor, claim) == (ClaimStatus.ADJUDICATED, Outcome.PARTIAL, rules, RESPONSE)
    assert anchor.state(claim, block=receipt.block).status is ClaimStatus.SUBMITTED
    appealed = (claim, clinic.address, REQUEST)
    anchor.appeal(*appealed, **by(clinic, "agreement", lambda: anchor.agree_to_appeal(clinic, *appealed)))
    assert status(anchor, claim) is ClaimStatus.APPEALED
    decided = (claim, Outcome.APPROVED, rules, REQUEST)
    agreed = by(payer, "payer", lambda: anchor.agree_to_decide_appeal(payer, *decided, upheld=False))
    anchor.decide_appeal(*decided, upheld=False, **agreed)
    assert kept(anchor, claim) == (ClaimStatus.OVERTURNED, Outcome.APPROVED, rules, REQUEST)
    if direct:
        anchor.settle(claim, payer=anchor.agree_to_settle(payer, claim), sender=clinic)
    else:
        first = anchor.agree_to_settle(clinic, claim)
        second = anchor.agree_to_settle(payer, claim, deadline=first.deadline)
        anchor.settle(claim, provider=first, payer=second, sender=relayer)
    assert status(anchor, claim) is ClaimStatus.SETTLED


def test_settlement_needs_both(
    anchor: ClaimAnchor, claim: AnchoredClaim, rules: int, clinic: LocalSigner, payer: LocalSigner, relayer: LocalSigner
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


def test_void(anchor: ClaimAnchor, claim: AnchoredClaim, rules: int, clinic: LocalSigner, relayer: LocalSigner) -> None:
    anchor.submit(claim, rules, sender=clinic)
    anchor.void(claim, provider=anchor.agree_to_void(clinic, claim), sender=relayer)
    assert status(anchor, claim) is ClaimStatus.VOIDED
    assert anchor.claim_of(claim.nullifier) is None
    anchor.submit(corrected(claim), rules, sender=clinic)
    anchor.void(corrected(claim), sender=clinic)


def test_void_of_a_settled_claim_needs_the_payer(
    anchor: ClaimAnchor, claim: AnchoredClaim, rules: int, clinic: LocalSigner, payer: LocalSigner
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
    anchor: ClaimAnchor, claim: AnchoredClaim, rules: int, clinic: LocalSigner, relayer: LocalSigner, form: str
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
    anchor: ClaimAnchor, claim: AnchoredClaim, rules: int, clinic: LocalSigner, second_payer: LocalSigner
) -> None:
    anchor.submit(claim, rules, sender=clinic)
    with pytest.raises(ClaimExists):
        anchor.submit(claim, rules, sender=clinic)
    other = anchor.publish_rules(Rules(RULES, FIRST_DAY), sender=second_payer)
    again = dataclasses.replace(claim, payer=second_payer.address, commitment=b"\x24" * 32)
    with pytest.raises(AlreadyBilled) as caught:
        anchor.submit(again, other, sender=clinic)
    assert (caught.value.nullifier, caught.value.by) == (claim.nullifier, claim.id)


def test_errors_by_name(
    chain: Chain,
    anchor: ClaimAnchor,
    claim: AnchoredClaim,
    rules: int,
    clinic: LocalSigner,
    payer: LocalSigner,
    stranger: LocalSigner,
) -> None:
    with pytest.raises(KindNotAdmitted):
        anchor.publish_rules(Rules(RULES, FIRST_DAY), sender=clinic)
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


def test_due_and_time_to_appeal(
    anchor: ClaimAnchor, claim: AnchoredClaim, clinic: LocalSigner, payer: LocalSigner, rules: int
) -> None:
    assert anchor.due(claim) is None
    assert anchor.appeal_time(claim) is None
    timed = anchor.publish_rules(Rules(RULES, FIRST_DAY, plan=1, days_to_decide=30, days_to_appeal=180), sender=payer)
    anchor.submit(claim, timed, sender=clinic)
    submitted = anchor.state(claim).submitted
    due = submitted + 30 * 86_400
    assert anchor.due(claim) == Due(payer.address, due)
    assert anchor.appeal_time(claim) == (due + 1, due + 1 + 180 * 86_400)
    untimed = dataclasses.replace(claim, nullifier=b"\x32" * 32)
    anchor.submit(untimed, rules, sender=clinic)
    assert anchor.due(untimed) == Due(payer.address, None)
    anchor.adjudicate(untimed, Outcome.DENIED, rules, RESPONSE, sender=payer)
    assert anchor.due(untimed) is None
    assert anchor.appeal_time(untimed) == (anchor.state(untimed).since, None)


def test_state_as_it_is_stored(
    chain: Chain, anchor: ClaimAnchor, claim: AnchoredClaim, rules: int, clinic: LocalSigner, payer: LocalSigner
) -> None:
    """What the contract says of a claim is what a proof of its storage shows."""
    anchor.submit(claim, rules, sender=clinic)
    anchor.pend(claim, REQUEST, sender=payer)
    anchor.answer(claim, REQUEST, sender=clinic)
    anchor.adjudicate(claim, Outcome.PARTIAL, rules, RESPONSE, sender=payer)
    layout = artifact("ClaimAnchor").storage_layout
    base = next(int(entry["slot"]) for entry in layout["storage"] if entry["label"] == "_words")
    slot = keccak(claim.id + base.to_bytes(32, "big"))
    word = int(rpc(chain, "eth_getStorageAt", anchor.address, "0x" + slot.hex(), "latest"), 16)
    assert ClaimState.from_word(word, RESPONSE) == anchor.state(claim)


@pytest.mark.parametrize("form", ["direct", "relayed"])
def test_strict_plan(
    anchor: ClaimAnchor,
    claim: AnchoredClaim,
    clinic: LocalSigner,
    payer: LocalSigner,
    patient: LocalSigner,
    relayer: LocalSigner,
    form: str,
) -> None:
    """By its rules the encounter is registered, and the patient agrees to the settlement."""
    visit = b"\x5a" * 32
    encounter = encounter_id(claim.provider, visit)
    strict = anchor.publish_rules(Rules(RULES, FIRST_DAY, patient_signs=True, registered=True), sender=payer)
    claim = dataclasses.replace(claim, patient=patient.address, registration=visit)
    with pytest.raises(PatientMissing):
        anchor.submit(dataclasses.replace(claim, patient=NOBODY), strict, sender=clinic)
    with pytest.raises(EncounterUnknown):
        anchor.submit(claim, strict, sender=clinic)
    assert anchor.encounter_at(patient.address, encounter) is None
    if form == "direct":
        anchor.register_encounter(encounter, sender=patient)
    else:
        anchor.relay(anchor.sign_encounter(patient, encounter), sender=relayer)
    assert anchor.encounter_at(patient.address, encounter)
    anchor.submit(claim, strict, sender=clinic)
    anchor.adjudicate(claim, Outcome.APPROVED, strict, RESPONSE, sender=payer)
    first = anchor.agree_to_settle(clinic, claim)
    others = [anchor.agree_to_settle(signer, claim, deadline=first.deadline) for signer in (payer, patient)]
    with pytest.raises(StepNotYours):
        anchor.settle(claim, provider=first, payer=others[0], sender=relayer)
    anchor.settle(claim, provider=first, payer=others[0], patient=others[1], sender=relayer)
    assert status(anchor, claim) is ClaimStatus.SETTLED


def test_batch_is_one_providers(claim: AnchoredClaim, payer: LocalSigner) -> None:
    """A claim of another provider would wait where nobody opens it."""
    with pytest.raises(MessageError, match="all of one provider"):
        ClaimBatch(((claim, 1), (dataclasses.replace(claim, provider=payer.address), 1)))
    with pytest.raises(MessageError, match="all of one provider"):
        ClaimBatch(())


@pytest.mark.parametrize("form", ["direct", "relayed"])
def test_batch(
    anchor: ClaimAnchor, claim: AnchoredClaim, rules: int, clinic: LocalSigner, relayer: LocalSigner, form: str
) -> None:
    claims = [dataclasses.replace(claim, nullifier=bytes([number]) * 32) for number in range(1, 6)]
    batch = ClaimBatch(tuple((one, rules) for one in claims))
    if form == "direct":
        anchor.submit_batch(batch, sender=clinic)
    else:
        anchor.submit_batch(batch, provider=anchor.agree_to_submit_batch(clinic, batch), sender=relayer)
    root = batch.place(0).root
    assert all(anchor.waits(one.nullifier) and anchor.claim_of(one.nullifier) is None for one in claims)
    assert [anchor.waits_at(claims[3], root, index) for index in (2, 3)] == [False, True]

    anchor.open(claims[3], rules, batch.place(3), sender=relayer)

    assert status(anchor, claims[3]) is ClaimStatus.SUBMITTED
    assert anchor.claim_of(claims[3].nullifier) == claims[3].id
    assert not anchor.waits(claims[3].nullifier)
    with pytest.raises(ClaimNotInBatch):
        anchor.open(claims[2], rules, batch.place(1), sender=relayer)
    given = (clinic.address, root, claims[1].nullifier)
    if form == "direct":
        anchor.release(*given, sender=clinic)
    else:
        anchor.release(*given, agreement=anchor.agree_to_release(clinic, *given), sender=relayer)
    assert not anchor.waits(claims[1].nullifier)
    with pytest.raises(NullifierNotWaiting):
        anchor.open(claims[1], rules, batch.place(1), sender=relayer)


@pytest.mark.parametrize("form", ["direct", "relayed"])
def test_review(
    anchor: ClaimAnchor,
    claim: AnchoredClaim,
    rules: int,
    clinic: LocalSigner,
    payer: LocalSigner,
    relayer: LocalSigner,
    form: str,
) -> None:
    earlier = dataclasses.replace(claim, soft_key=b"\x71" * 32)
    later = dataclasses.replace(earlier, nullifier=b"\x32" * 32)
    for one in (earlier, later):
        anchor.submit(one, rules, sender=clinic)
    pair, decision = (earlier, later, clinic.address), (earlier.id, later, FlagStatus.CLEARED, REQUEST)
    with pytest.raises(NotAlike):
        anchor.flag(earlier, earlier, clinic.address, sender=clinic)
    if form == "direct":
        anchor.flag(*pair, sender=clinic)
        anchor.decide_flag(*decision, sender=payer)
    else:
        anchor.flag(*pair, agreement=anchor.agree_to_flag(clinic, *pair), sender=relayer)
        assert anchor.flag_status(earlier.id, later.id) is FlagStatus.RAISED
        anchor.decide_flag(*decision, payer=anchor.agree_to_decide_flag(payer, *decision), sender=relayer)
    assert anchor.flag_status(earlier.id, later.id) is FlagStatus.CLEARED
    assert anchor.flag_status(later.id, earlier.id) is FlagStatus.NONE
    assert {status(anchor, one) for one in (earlier, later)} == {ClaimStatus.SUBMITTED}


def test_two_payers_in_one_block(
    chain: Chain,
    anchor: ClaimAnchor,
    claim: AnchoredClaim,
    rules: int,
    clinic: LocalSigner,
    second_payer: LocalSigner,
    relayer: LocalSigner,
) -> None:
    """One transaction, two bills for one service: the second is refused and names the first."""
    other = anchor.publish_rules(Rules(RULES, FIRST_DAY), sender=second_payer)
    rival = dataclasses.replace(claim, payer=second_payer.address)
    calls = []
    for one, number in ((rival, other), (claim, rules)):
        agreed = anchor.agree_to_submit(clinic, one, number)
        given = (one.as_tuple(), number, agreed.deadline, agreed.signature)
        calls.append(bytes.fromhex(chain.call_data(anchor.contract, "submit", given)[2:]))

    chain.transact(anchor.contract, "relay", (calls, 1_000_000), sender=relayer)

    assert status(anchor, rival) is ClaimStatus.SUBMITTED
    assert status(anchor, claim) is ClaimStatus.NONE
    [skipped] = anchor.events("CallSkipped")
    refused = keccak(text=AlreadyBilled.signature)[:4]
    assert bytes(skipped.arguments["reason"]) == refused + claim.nullifier + rival.id


def test_of_two_payers_that_race_for_a_service_in_one_block_one_gets_the_claim(
    chain: Chain,
    anchor: ClaimAnchor,
    claim: AnchoredClaim,
    rules: int,
    clinic: LocalSigner,
    second_payer: LocalSigner,
    relayer: LocalSigner,
) -> None:
    """Both would be taken when they are sent; the block decides, and the second names the first."""
    others = anchor.publish_rules(Rules(RULES, FIRST_DAY), sender=second_payer)
    rival = dataclasses.replace(claim, payer=second_payer.address, commitment=b"\x22" * 32)
    signed = anchor.agree_to_submit(clinic, rival, others)
    rpc(chain, "miner_stop")
    sent = [
        chain.send({"to": anchor.address, "data": chain.call_data(anchor.contract, "submit", said)}, sender=by)
        for by, said in (
            (clinic, (claim.as_tuple(), rules, 0, b"")),
            (relayer, (rival.as_tuple(), others, signed.deadline, signed.signature)),
        )
    ]
    rpc(chain, "miner_start")
    taken, refused = [], []
    for transaction, bill in zip(sent, (claim, rival), strict=True):
        try:
            taken.append((chain.wait(transaction).block, bill))
        except AlreadyBilled as error:
            refused.append((error, bill))
    [(block, winner)], [(refusal, loser)] = taken, refused
    assert [len(chain.web3.eth.get_block(block)["transactions"]), chain.block_number()] == [2, block]
    assert (refusal.nullifier, refusal.by) == (claim.nullifier, winner.id)
    assert anchor.claim_of(claim.nullifier) == winner.id
    assert status(anchor, loser) is ClaimStatus.NONE

"""A claim's evidence: collected from a node, verified by a stranger without one."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import rlp
from eth_utils.crypto import keccak
from trie import HexaryTrie

from medproof import hashing
from medproof.anchoring import Anchorer
from medproof.claims.audit import ClaimEvidence, collect
from medproof.claims.case import Anchor, Case, SealedResponse
from medproof.claims.disclosure import DisclosedField, Disclosure, commit
from medproof.claims.event_log import ClaimEntry, ClaimEvent, ClaimEventLog, ClaimStep
from medproof.claims.logged import logged
from medproof.client import MedProof
from medproof.client.claim_anchor import AnchoredClaim, ClaimStatus, Outcome, Rules
from medproof.errors import CaseError, DisclosureError, EvidenceError
from medproof.evidence import Header, StateProof, prove, prove_transaction
from medproof.evidence.state_proof import SlotProof
from medproof.merkle import MerkleLog
from medproof.signing import LocalSigner
from tests.sdk.claims.claim_examples import DAY, claim, response
from tests.sdk.conftest import rpc

TEXT = b"Plan 7: everything is paid at 80 per cent."
Making = Callable[..., Case]


@pytest.fixture
def rules(suite: MedProof, payer: LocalSigner) -> int:
    terms = Rules(keccak(TEXT), DAY - timedelta(days=700), patient_signs=True)
    return suite.claim_anchor.publish_rules(terms, sender=payer)


@pytest.fixture
def case(suite: MedProof, clinic: LocalSigner, payer: LocalSigner, patient: LocalSigner, rules: int) -> Case:
    """A case of a claim that is not submitted yet."""
    bill = claim()
    sealed = Case.open(bill)
    anchored = AnchoredClaim(
        provider=clinic.address,
        payer=payer.address,
        commitment=sealed.commitment,
        nullifier=hashing.new_salt(),
        patient=patient.address,
    )
    return replace(sealed, anchor=Anchor(suite.chain.chain_id, suite.claim_anchor.address, anchored, rules))


@pytest.fixture
def settled(
    suite: MedProof,
    case: Case,
    clinic: LocalSigner,
    payer: LocalSigner,
    patient: LocalSigner,
    relayer: LocalSigner,
    rules: int,
) -> Case:
    """A claim with a long history: pended, answered, denied, appealed, overturned, settled."""
    anchor, on_chain = suite.claim_anchor, case.anchored().claim
    anchor.submit(on_chain, rules, provider=anchor.agree_to_submit(clinic, on_chain, rules), sender=relayer)
    papers = case.with_paper("pend", "Please.").with_paper("answer", "Please.").with_paper("appeal", "Please.")
    asked, told, why = papers.papers
    anchor.pend(on_chain, asked.commitment, sender=payer)
    reply = anchor.agree_to_answer(clinic, on_chain, told.commitment)
    anchor.answer(on_chain, told.commitment, provider=reply, sender=relayer)
    first = hashing.new_salt()
    anchor.adjudicate(on_chain, Outcome.DENIED, rules, first, sender=payer)
    grounds = anchor.agree_to_appeal(patient, on_chain, patient.address, why.commitment)
    anchor.appeal(on_chain, patient.address, why.commitment, agreement=grounds, sender=relayer)
    answer = SealedResponse(response(claim()), hashing.new_salt())
    anchor.decide_appeal(on_chain, Outcome.PARTIAL, rules, answer.commitment, upheld=False, sender=payer)
    agreed = anchor.agree_to_settle(clinic, on_chain)
    hers = anchor.agree_to_settle(patient, on_chain, deadline=agreed.deadline)
    anchor.settle(on_chain, provider=agreed, patient=hers, sender=payer)
    return replace(case, responses=(SealedResponse(response(claim()), first), answer))


def text_of(evidence: ClaimEvidence) -> str:
    return json.dumps(evidence.to_json())


def test_a_whole_history_is_verified_off_line(
    suite: MedProof,
    settled: Case,
    clinic: LocalSigner,
    payer: LocalSigner,
    patient: LocalSigner,
    relayer: LocalSigner,
    rules: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = text_of(collect(suite, settled, shown=["start"], answered=["outcome"], rules_text=TEXT))
    newest = suite.chain.block()
    for secret in ("M-77", "99213", "E11.9", "120.50", "A-100"):
        assert secret not in written

    def unplugged(*_: Any, **__: Any) -> None:
        raise AssertionError("a node was asked")

    monkeypatch.setattr(socket.socket, "connect", unplugged)
    proved = ClaimEvidence.from_json(written).verify([newest.hash])
    assert (proved.status, proved.outcome, proved.paid) == (ClaimStatus.SETTLED, Outcome.PARTIAL, True)
    assert (proved.response, proved.holds_nullifier) == (settled.responses[-1].commitment, True)
    assert (proved.chain_id, proved.contract) == (suite.chain.chain_id, suite.claim_anchor.address)
    assert (proved.disclosed, proved.answered) == ({"start": "2026-03-02"}, {"outcome": "partial"})
    assert (proved.rules.number, proved.rules.hash, proved.rules.in_force) == (rules, keccak(TEXT), True)
    told = [
        (step.event, [(one.role, one.account) for one in step.signed], step.sender == relayer.address)
        for step in proved.steps
    ]
    assert told == [
        ("ClaimSubmitted", [("provider", clinic.address)], True),
        ("ClaimPended", [("payer", payer.address)], False),
        ("ClaimAnswered", [("provider", clinic.address)], True),
        ("ClaimAdjudicated", [("payer", payer.address)], False),
        ("ClaimAppealed", [("patient", patient.address)], True),
        ("AppealDecided", [("payer", payer.address)], False),
        (
            "ClaimSettled",
            [("provider", clinic.address), ("payer", payer.address), ("patient", patient.address)],
            False,
        ),
    ]
    assert proved.blocks[newest.hash]
    assert len(proved.blocks) == len(proved.steps)
    assert sum(proved.blocks.values()) == 1


def test_an_unknown_block_is_refused(suite: MedProof, settled: Case) -> None:
    evidence = collect(suite, settled)
    with pytest.raises(EvidenceError, match="none of those that are known"):
        evidence.verify(["0x" + "11" * 32])
    assert not any(evidence.verify().blocks.values())


def test_what_is_left_out_altered_or_swapped_is_named(suite: MedProof, settled: Case, case: Case) -> None:
    evidence = collect(suite, settled, shown=["start", "kind"], answered=["outcome"], rules_text=TEXT)
    steps, other = evidence.steps, replace(evidence.claim, nullifier=b"\x05" * 32)
    shown = evidence.disclosure
    assert shown is not None
    lie = replace(shown.fields[0], value="pharmacy")
    for altered, why in (
        (replace(evidence, steps=steps[:-1]), "status is another"),
        (replace(evidence, steps=steps[1:]), "does not follow NONE"),
        (replace(evidence, steps=()), "status is another"),
        (replace(evidence, steps=(*steps[:1], *steps[3:])), "pends is another"),
        (replace(evidence, steps=(*steps[:3], *steps[4:])), "nothing was late"),
        (replace(evidence, steps=(*steps, steps[-1])), "does not come after"),
        (replace(evidence, steps=(steps[1], steps[0], *steps[2:])), "does not follow"),
        (replace(evidence, claim=other), "is not in this contract's storage|lacks slot"),
        (replace(evidence, code=evidence.code[:-1]), "code is not that of"),
        (replace(evidence, rules_text=TEXT + b" "), "rules are not those"),
        (replace(evidence, disclosure=replace(shown, fields=(lie, *shown.fields[1:]))), "kind does not belong"),
        (replace(evidence, disclosure=evidence.response), "disclosure of the claim is of a response"),
        (replace(evidence, response=shown), "disclosure of the response is of a claim"),
        (replace(evidence, state=replace(evidence.state, slots=evidence.state.slots[:1])), "lacks slot"),
        (replace(evidence, state=replace(evidence.state, chain_id=1)), "step is of chain"),
        (
            replace(
                evidence,
                state=replace(evidence.state, chain_id=1),
                steps=tuple(replace(one, chain_id=1) for one in steps),
            ),
            f"was signed for chain {suite.chain.chain_id}, not 1",
        ),
        (replace(evidence, state=replace(evidence.state, address=suite.registrar.address)), "account"),
    ):
        with pytest.raises(EvidenceError, match=why):
            altered.verify()


@pytest.mark.parametrize("upheld", [True, False])
def test_a_first_decision_left_out_is_named_even_where_its_payer_was_late(
    suite: MedProof, case: Case, clinic: LocalSigner, payer: LocalSigner, upheld: bool
) -> None:
    """An appeal of nothing that was decided stands against a denial: what upholds another outcome gives it away."""
    anchor, claim = suite.claim_anchor, case.anchored().claim
    number = anchor.publish_rules(
        Rules(keccak(TEXT), DAY - timedelta(days=700), plan=2, days_to_decide=1), sender=payer
    )
    claim = replace(claim, patient="0x" + "00" * 20)
    anchor.submit(claim, number, sender=clinic)
    rpc(suite.chain, "evm_increaseTime", 2 * 86_400)
    first, second = hashing.new_salt(), hashing.new_salt()
    anchor.adjudicate(claim, Outcome.PARTIAL, number, first, sender=payer)
    anchor.appeal(claim, clinic.address, b"\x07" * 32, sender=clinic)
    anchor.decide_appeal(claim, Outcome.PARTIAL, number, second, upheld=upheld, sender=payer)
    evidence = collect(suite, replace(case, anchor=replace(case.anchored(), claim=claim, rules=number)))
    steps = evidence.steps
    without = replace(evidence, steps=(*steps[:1], *steps[2:]))
    if upheld:
        with pytest.raises(EvidenceError, match="does not follow the outcome DENIED"):
            without.verify()
    else:
        assert len(without.verify().steps) == 3  # docs/evidence.md says so


def test_an_older_state_does_not_hide_what_came_later(suite: MedProof, settled: Case) -> None:
    """Its block stands in what was verified: whoever knows the newest block sees that it is another."""
    newest = suite.chain.block()
    early = collect(suite, settled, block=newest.number - 1)
    proved = early.verify()
    assert proved.status is ClaimStatus.OVERTURNED
    assert proved.block == newest.number - 1
    with pytest.raises(EvidenceError, match="none of those that are known"):
        early.verify([newest.hash])
    late = replace(early, steps=collect(suite, settled).steps)
    with pytest.raises(EvidenceError, match="does not come after"):
        late.verify()


def test_the_step_of_another_claim_is_none(suite: MedProof, settled: Case, clinic: LocalSigner, rules: int) -> None:
    other = replace(settled.anchored().claim, nullifier=b"\x06" * 32)
    foreign = prove_transaction(suite.chain, suite.claim_anchor.submit(other, rules, sender=clinic).transaction)
    evidence = collect(suite, settled)
    with pytest.raises(EvidenceError, match="is none of claim"):
        replace(evidence, steps=(*evidence.steps, foreign)).verify()


def test_another_contract_is_not_believed(suite: MedProof, settled: Case) -> None:
    """A contract of somebody's own may hold and emit whatever it likes."""
    evidence = collect(suite, settled)
    registrar = suite.registrar.address
    state = prove(suite.chain, registrar, [one.slot for one in evidence.state.slots])
    with pytest.raises(EvidenceError, match="code is not ClaimAnchor's"):
        replace(evidence, state=state, code=suite.chain.code(registrar)).verify()


def test_voided_and_replaced(suite: MedProof, case: Case, clinic: LocalSigner, rules: int) -> None:
    anchor, first = suite.claim_anchor, case.anchored().claim
    anchor.submit(first, rules, sender=clinic)
    second = replace(first, commitment=commit(claim(), b"\x07" * 32))
    anchor.replace(first, second, rules, provider=anchor.agree_to_replace(clinic, first, second, rules), sender=clinic)
    before = collect(suite, case).verify()
    assert (before.status, before.holds_nullifier) == (ClaimStatus.REPLACED, False)
    assert before.steps[-1].arguments["by"] == second.id
    assert before.steps[-1].signed[0].account == clinic.address
    anchor.void(second, sender=clinic)
    corrected = replace(case, anchor=replace(case.anchored(), claim=second))
    after = collect(suite, corrected).verify()
    assert (after.status, after.holds_nullifier) == (ClaimStatus.VOIDED, False)
    assert [step.event for step in after.steps] == ["ClaimSubmitted", "ClaimVoided"]
    assert after.steps[0].signed == before.steps[-1].signed  # one transaction made both


def test_rules_that_were_not_in_force(
    suite: MedProof, case: Case, clinic: LocalSigner, payer: LocalSigner, rules: int
) -> None:
    """The contract cannot see the day of service; whoever is shown it can."""
    anchor, on_chain = suite.claim_anchor, case.anchored().claim
    today = DAY.fromordinal(DAY.toordinal() + 3650)
    later = anchor.publish_rules(Rules(b"\x08" * 32, today), sender=payer)
    other_plan = anchor.publish_rules(Rules(b"\x09" * 32, DAY - timedelta(days=1), plan=2), sender=payer)
    anchor.submit(on_chain, rules, sender=clinic)
    assert collect(suite, case).verify().rules.in_force is None
    assert collect(suite, case, shown=["start"]).verify().rules.in_force is True
    wrong = replace(on_chain, nullifier=b"\x0a" * 32)
    anchor.submit(wrong, other_plan, sender=clinic)
    misfiled = replace(case, anchor=Anchor(suite.chain.chain_id, anchor.address, wrong, other_plan))
    assert collect(suite, misfiled, shown=["start"]).verify().rules.in_force is True
    early = replace(claim(), start=DAY - timedelta(days=2))
    salt = hashing.new_salt()
    outside = replace(on_chain, nullifier=b"\x0b" * 32, commitment=commit(early, salt))
    anchor.submit(outside, other_plan, sender=clinic)
    away = Case(early, salt, Anchor(suite.chain.chain_id, anchor.address, outside, other_plan))
    assert collect(suite, away, shown=["start"]).verify().rules.in_force is False
    assert later == rules + 1


def test_what_cannot_be_collected(suite: MedProof, case: Case, clinic: LocalSigner, rules: int) -> None:
    with pytest.raises(EvidenceError, match="is not in this contract's storage"):
        collect(suite, case)
    with pytest.raises(CaseError, match="not on the chain yet"):
        collect(suite, replace(case, anchor=None))
    suite.claim_anchor.submit(case.anchored().claim, rules, sender=clinic)
    with pytest.raises(CaseError, match="was erased"):
        collect(suite, case.erased(), shown=["start"])
    assert collect(suite, case.erased()).verify().status is ClaimStatus.SUBMITTED  # the steps stay provable
    with pytest.raises(DisclosureError, match="no field"):
        collect(suite, case, shown=["name"])
    with pytest.raises(DisclosureError, match="response"):
        collect(suite, case, answered=["outcome"])
    with pytest.raises(EvidenceError, match="rules are not those"):
        collect(suite, case, rules_text=b"others")


def test_its_events_in_a_log(
    suite: MedProof, case: Case, clinic: LocalSigner, second_clinic: LocalSigner, rules: int, tmp_path: Path
) -> None:
    suite.claim_anchor.submit(case.anchored().claim, rules, sender=clinic)
    at = datetime(2026, 3, 3, tzinfo=UTC)
    events = [
        ClaimEvent(step, commitment, b"\x0c" * 32, at)
        for commitment in (b"\x0d" * 32, case.commitment)
        for step in (ClaimStep.SUBMITTED, ClaimStep.VOIDED)
    ]
    log = ClaimEventLog(tmp_path / "log.db")
    log.append(ClaimEntry.step(event) for event in events)
    log.settle(suite, second_clinic.address)
    Anchorer(suite, log.leaves, second_clinic, trouble=print).work()
    proofs = list(logged(suite, log, case.commitment))
    log.close()
    evidence = ClaimEvidence.from_json(text_of(collect(suite, case, log=proofs)))
    found = evidence.verify().logged
    assert [one.event for one in found] == events[2:]
    assert {one.leaf.publisher for one in found} == {second_clinic.address}
    first = proofs[0]
    leaf = first.proof.leaf
    foreign = replace(first, anchored=evidence.steps[0])
    for altered, why in (
        (foreign, "was not anchored with 4 events"),
        (replace(first, proof=replace(first.proof, leaf=replace(leaf, index=0))), "does not have the event"),
        (replace(first, proof=replace(first.proof, event=events[0])), "an event of another claim"),
        (replace(first, proof=replace(first.proof, event=replace(events[2], step=ClaimStep.SETTLED))), "another event"),
        (replace(first, proof=replace(first.proof, leaf=replace(leaf, publisher=clinic.address))), "was not anchored"),
        (replace(first, proof=replace(first.proof, leaf=replace(leaf, log=9))), "was not anchored"),
        (replace(first, proof=replace(first.proof, leaf=replace(leaf, chain_id=1))), "is of chain 1"),
    ):
        with pytest.raises(EvidenceError, match=why):
            replace(evidence, log=(altered,)).verify()


@pytest.mark.parametrize("spoilt", ["", "{", "[]", "{}", '{"format": "medproof-claim-evidence", "version": 2}'])
def test_no_evidence(spoilt: str) -> None:
    with pytest.raises(EvidenceError):
        ClaimEvidence.from_json(spoilt)


def test_every_member_counts(suite: MedProof, case: Case, clinic: LocalSigner, rules: int) -> None:
    suite.claim_anchor.submit(case.anchored().claim, rules, sender=clinic)
    written = collect(suite, case, shown=["start"]).to_json()
    for name in written:
        for wrong in ({key: value for key, value in written.items() if key != name}, {**written, name: 7}):
            with pytest.raises(EvidenceError):
                ClaimEvidence.from_json(json.dumps(wrong)).verify()
    with pytest.raises(EvidenceError, match="not known"):
        ClaimEvidence.from_json(json.dumps({**written, "more": 1}))


def test_a_case_as_json(settled: Case, case: Case) -> None:
    full = settled.with_paper("appeal", "Because.")
    for one in (full, case, replace(case, anchor=None), full.erased(), Case.open(claim())):
        assert Case.from_json(json.dumps(one.to_json())) == one
    full.check()
    with pytest.raises(CaseError, match="is not what the commitment on the chain opens to"):
        replace(full, claim=claim(number="A-101")).check()
    for secret in ("M-77", "Because", "2026"):
        assert secret not in repr(full)
    assert full.erased().claim is None
    with pytest.raises(CaseError, match="erased"):
        _ = full.erased().commitment


@pytest.mark.parametrize("name", ["claim", "salt", "anchor", "responses", "papers", "format", "version"])
def test_no_case(case: Case, name: str) -> None:
    for wrong in (7, "M-77", [7], {"a": 1}):
        with pytest.raises(CaseError) as refused:
            Case.from_json(json.dumps({**case.to_json(), name: wrong}))
        assert "M-77" not in str(refused.value)
    left = {key: value for key, value in case.to_json().items() if key != name}
    with pytest.raises(CaseError):
        Case.from_json(json.dumps(left))


# -- forged from end to end: whoever knows no block's hash must still not be led into a crash ------------------------


def forged_state(
    evidence: ClaimEvidence, words: dict[int, bytes], *, timestamp: int = 6, number: int = 10**6
) -> StateProof:
    """A state of somebody's own making, with the contract's code and these words in its storage."""
    storage, accounts = HexaryTrie({}), HexaryTrie({})
    for slot, word in words.items():
        if any(word):
            storage[keccak(slot.to_bytes(32, "big"))] = rlp.encode(word.lstrip(b"\0"))
    account = rlp.encode([1, 0, storage.root_hash, keccak(evidence.code)])
    accounts[keccak(bytes.fromhex(evidence.state.address[2:]))] = account
    fields = [bytes(32), bytes(32), bytes(20), accounts.root_hash, bytes(32), bytes(32), bytes(256), 0, number, 0, 0]
    header = Header(rlp.encode([*fields, timestamp, b"", bytes(32), bytes(8)]))

    def nodes(tree: HexaryTrie, key: bytes) -> tuple[bytes, ...]:
        return tuple(rlp.encode(node) for node in tree.get_proof(keccak(key)) if node)

    slots = tuple(SlotProof(slot, word, nodes(storage, slot.to_bytes(32, "big"))) for slot, word in words.items())
    return StateProof(
        evidence.state.chain_id,
        evidence.state.address,
        header,
        nodes(accounts, bytes.fromhex(evidence.state.address[2:])),
        slots,
    )


def test_a_forged_state_is_refused_or_rests_on_a_block_that_nobody_knows(
    suite: MedProof, case: Case, clinic: LocalSigner, rules: int
) -> None:
    suite.claim_anchor.submit(case.anchored().claim, rules, sender=clinic)
    evidence = collect(suite, case, shown=["start"])
    honest = {one.slot: one.word for one in evidence.state.slots}
    copied = replace(evidence, state=forged_state(evidence, honest))
    assert copied.verify().status is ClaimStatus.SUBMITTED  # it holds in itself
    with pytest.raises(EvidenceError, match="none of those that are known"):
        copied.verify([suite.chain.block().hash])
    for slot, held in honest.items():
        for word in (b"\xff" * 32, bytes(31) + b"\x09", bytes(32), b"\x01" + bytes(31), held[::-1]):
            if word != held:
                forged = replace(evidence, state=forged_state(evidence, {**honest, slot: word}))
                try:
                    proved = forged.verify()
                except EvidenceError:
                    continue
                assert not any(proved.blocks[one] for one in proved.blocks)
    for times in ({"timestamp": 1 << 60}, {"number": 1 << 70}, {"number": 0}):
        with pytest.raises(EvidenceError):
            replace(evidence, state=forged_state(evidence, honest, **times)).verify()


def test_a_start_that_is_no_day(suite: MedProof, case: Case, clinic: LocalSigner, rules: int) -> None:
    """A provider commits to what it likes; the payer would not sign it."""
    salted = hashing.keyed_identifier(b"\x0e" * 32, "start", purpose="claim-field:v1")
    leaf = hashing.commit(["claim", "start", "some day"], salted)
    root = MerkleLog([leaf]).root()
    shown = Disclosure("claim", root, 1, (DisclosedField("start", "some day", salted, 0, ()),))
    on_chain = replace(case.anchored().claim, commitment=root)
    suite.claim_anchor.submit(on_chain, rules, sender=clinic)
    evidence = collect(suite, Case(None, None, replace(case.anchored(), claim=on_chain)))
    with pytest.raises(EvidenceError, match="start that is no day"):
        replace(evidence, disclosure=shown).verify()


def test_a_response_that_the_chain_does_not_have_replaces_none(settled: Case) -> None:
    """A second decision, which the contract will refuse, must not lose the salt of the first."""
    first, last = settled.responses
    other = replace(response(claim()), payer_number="PAY-2")
    held, sealed = settled.with_response(other)
    assert held.responses == (first, last, sealed)
    assert held.response_for(last.commitment) == last
    assert held.with_response(other) == (held, sealed)

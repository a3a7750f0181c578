from __future__ import annotations

import pytest

from medproof import messages
from tests.support.claims import ADJUDICATED, CLEARED, CONFIRMED, RAISED, SETTLED, VOIDED
from tests.support.reverts import reverts

SOFT_KEY, GROUNDS = b"\x71" * 32, b"\x72" * 32


@pytest.fixture
def earlier(desk, claim):
    claim = claim.changed(soft_key=SOFT_KEY)
    desk.take("submit", claim)
    return claim


@pytest.fixture
def later(desk, earlier, second_clinic, second_payer, chain):
    """A claim that looks like it, of another provider to another payer."""
    chain.sleep(5)
    parties = {"provider": second_clinic.address, "payer": second_payer.address}
    claim = earlier.changed(**parties, commitment=b"\x73" * 32, nullifier=b"\x74" * 32)
    desk.take("submit", claim)
    return claim


@pytest.fixture
def flagged(claim_anchor, earlier, later, payer):
    return claim_anchor.flag(earlier, later, payer, 0, b"", {"from": payer})


@pytest.mark.parametrize("relayed", [False, True])
@pytest.mark.parametrize("party", ["payer", "second_payer", "clinic", "researcher"])
@pytest.mark.spec("K45")
def test_any_party_flags_and_it_is_announced(claim_anchor, desk, earlier, later, sign, request, party, relayed):
    party = request.getfixturevalue(party)
    said = {"earlier": earlier.id_bytes, "later": later.id_bytes, "by": party.address, "deadline": desk.deadline}
    signature = sign(party, messages.flag(desk.domain, **said)) if relayed else b""
    before = [claim_anchor.stateOf(one.id) for one in (earlier, later)]

    sender = desk.relayer if relayed else party
    tx = claim_anchor.flag(earlier, later, party, desk.deadline, signature, {"from": sender})

    assert claim_anchor.flagOf(earlier.id, later.id) == RAISED
    assert claim_anchor.flagOf(later.id, earlier.id) == 0
    assert [claim_anchor.stateOf(one.id) for one in (earlier, later)] == before
    assert len(tx.events) == 1
    assert dict(tx.events["ClaimsFlagged"]) == {
        "earlier": earlier.id,
        "later": later.id,
        "payer": later.payer,
        "by": party,
    }


@pytest.mark.spec("K45")
def test_stranger_does_not_flag(claim_anchor, earlier, later, stranger, payer, registrar, admin):
    with reverts("StepNotYours", payer.address, stranger.address):
        claim_anchor.flag(earlier, later, payer, 0, b"", {"from": stranger})
    with reverts("StepNotYours", stranger.address, stranger.address):
        claim_anchor.flag(earlier, later, stranger, 0, b"", {"from": stranger})
    registrar.suspend(payer, {"from": admin})
    with reverts("StepNotYours", payer.address, payer.address):
        claim_anchor.flag(earlier, later, payer, 0, b"", {"from": payer})


@pytest.mark.spec("K45")
def test_claims_that_are_not_alike_are_not_flagged(claim_anchor, desk, earlier, later, payer, claim):
    without = claim.changed(commitment=b"\x75" * 32, nullifier=b"\x76" * 32)
    other = without.changed(soft_key=b"\x77" * 32, nullifier=b"\x78" * 32)
    second_without = without.changed(nullifier=b"\x79" * 32)
    for one in (without, other, second_without):
        desk.take("submit", one)

    for pair in ((earlier, other), (earlier, without), (without, second_without), (earlier, earlier), (later, earlier)):
        with reverts("NotAlike", pair[0].id, pair[1].id):
            claim_anchor.flag(*pair, payer, 0, b"", {"from": payer})


@pytest.mark.spec("K45")
def test_claims_that_are_closed_or_unknown_are_not_flagged(claim_anchor, desk, earlier, later, payer):
    with reverts("StepNotPossible", earlier.changed(commitment=b"\x7a" * 32).id, 0):
        claim_anchor.flag(earlier.changed(commitment=b"\x7a" * 32), later, payer, 0, b"", {"from": payer})
    desk.take("void", later)
    with reverts("StepNotPossible", later.id, VOIDED):
        claim_anchor.flag(earlier, later, payer, 0, b"", {"from": payer})


@pytest.mark.spec("K45")
def test_two_claims_are_flagged_once(claim_anchor, flagged, earlier, later, payer, second_payer, clinic):
    for by in (payer, second_payer, clinic):
        with reverts("FlagExists", earlier.id, later.id):
            claim_anchor.flag(earlier, later, by, 0, b"", {"from": by})
    with reverts("FlagExists", later.id, earlier.id):
        claim_anchor.flag(later, earlier, payer, 0, b"", {"from": payer})


@pytest.mark.spec("K45")
def test_flag_stops_no_claim(claim_anchor, desk, flagged, earlier, later, second_payer):
    for one in (earlier, later):
        desk.take("adjudicate", one)
        desk.take("settle", one)
        assert claim_anchor.stateOf(one.id)[0] == SETTLED
    claim_anchor.decideFlag(earlier.id, later, CONFIRMED, GROUNDS, 0, b"", {"from": second_payer})
    assert claim_anchor.stateOf(later.id)[0] == SETTLED


@pytest.mark.parametrize("relayed", [False, True])
@pytest.mark.parametrize("decision", [CLEARED, CONFIRMED])
@pytest.mark.spec("K46")
def test_flag_is_decided_and_announced(
    claim_anchor, desk, flagged, earlier, later, second_payer, sign, decision, relayed
):
    said = {"earlier": earlier.id_bytes, "later": later.id_bytes, "decision": decision, "reason": GROUNDS}
    message = messages.flag_decision(desk.domain, **said, deadline=desk.deadline)
    signature = sign(second_payer, message) if relayed else b""

    given = (earlier.id, later, decision, GROUNDS, desk.deadline, signature)
    tx = claim_anchor.decideFlag(*given, {"from": desk.relayer if relayed else second_payer})

    assert claim_anchor.flagOf(earlier.id, later.id) == decision
    assert len(tx.events) == 1
    assert dict(tx.events["FlagDecided"]) == {
        "earlier": earlier.id,
        "later": later.id,
        "payer": later.payer,
        "decision": decision,
        "reason": "0x" + GROUNDS.hex(),
    }
    with reverts("FlagNotRaised", earlier.id, later.id, decision):
        claim_anchor.decideFlag(*given, {"from": desk.relayer if relayed else second_payer})
    with reverts("FlagExists", earlier.id, later.id):
        claim_anchor.flag(earlier, later, second_payer, 0, b"", {"from": second_payer})


@pytest.mark.spec("K46")
def test_flag_is_decided_by_the_later_claims_payer(claim_anchor, flagged, earlier, later, payer, second_payer):
    with reverts("StepNotYours", second_payer.address, payer.address):
        claim_anchor.decideFlag(earlier.id, later, CLEARED, GROUNDS, 0, b"", {"from": payer})


@pytest.mark.spec("K46")
def test_decision_is_cleared_or_confirmed_and_has_grounds(claim_anchor, flagged, earlier, later, second_payer):
    for decision in (0, RAISED):
        with reverts("FlagDecisionMissing"):
            claim_anchor.decideFlag(earlier.id, later, decision, GROUNDS, 0, b"", {"from": second_payer})
    with reverts("GroundsMissing"):
        claim_anchor.decideFlag(earlier.id, later, CLEARED, bytes(32), 0, b"", {"from": second_payer})


@pytest.mark.spec("K46")
def test_flag_that_was_not_raised_is_not_decided(claim_anchor, earlier, later, second_payer):
    with reverts("FlagNotRaised", earlier.id, later.id, 0):
        claim_anchor.decideFlag(earlier.id, later, CLEARED, GROUNDS, 0, b"", {"from": second_payer})


@pytest.mark.spec("K46")
def test_flag_is_decided_whatever_became_of_the_claims(claim_anchor, desk, flagged, earlier, later, second_payer):
    desk.take("void", later)

    claim_anchor.decideFlag(earlier.id, later, CONFIRMED, GROUNDS, 0, b"", {"from": second_payer})

    assert claim_anchor.flagOf(earlier.id, later.id) == CONFIRMED


@pytest.mark.spec("K45")
def test_claims_of_one_moment_are_flagged_in_either_order(claim_anchor, desk, claim, payer):
    """Of one block neither came first; the first flag says which is the later one, and there is no second."""
    one, two = (claim.changed(soft_key=SOFT_KEY, nullifier=bytes([n]) * 32) for n in (0x7B, 0x7C))
    calls = [claim_anchor.submit.encode_input(each, 1, 0, b"") for each in (one, two)]
    claim_anchor.relay(calls, 0, {"from": desk.account_of(claim.provider)})

    claim_anchor.flag(two, one, payer, 0, b"", {"from": payer})

    with reverts("FlagExists", one.id, two.id):
        claim_anchor.flag(one, two, payer, 0, b"", {"from": payer})
    desk.take("adjudicate", one)
    assert claim_anchor.stateOf(one.id)[0] == ADJUDICATED

from __future__ import annotations

import pytest

from tests.support.claims import OWNER, RULES_HASH, SUBMITTED, Rules
from tests.support.reverts import reverts


@pytest.mark.spec("K4", "K12")
def test_claim_is_submitted_and_announced(claim_anchor, desk, claim, form):
    tx = desk.take("submit", claim, form)

    assert tx.return_value == claim.id
    assert claim_anchor.stateOf(claim.id)[:4] == (SUBMITTED, 0, 1, False)
    assert claim_anchor.holderOf(claim.nullifier) == claim.id
    assert not any(bytes(claim_anchor.responseOf(claim.id)))
    assert len(tx.events) == 1
    assert dict(tx.events["ClaimSubmitted"]) == claim.submitted()


@pytest.mark.spec("K11")
def test_pharmacy_submits(claim_anchor, desk, claim, pharmacy, form):
    claim = claim.changed(provider=pharmacy.address)

    desk.take("submit", claim, form)

    assert claim_anchor.stateOf(claim.id)[0] == SUBMITTED


@pytest.mark.spec("K11")
def test_submission_by_a_payer_reverts(desk, claim, second_payer, form):
    with reverts("KindNotAdmitted", second_payer.address, 2):
        desk.take("submit", claim.changed(provider=second_payer.address), form)


@pytest.mark.spec("K11")
def test_submission_by_a_researcher_reverts(desk, claim, researcher, form):
    with reverts("KindNotAdmitted", researcher.address, 4):
        desk.take("submit", claim.changed(provider=researcher.address), form)


@pytest.mark.spec("K12")
def test_claim_without_commitment_reverts(desk, claim, form):
    with reverts("ClaimIncomplete"):
        desk.take("submit", claim.changed(commitment=b"\0" * 32), form)


@pytest.mark.spec("K12")
def test_claim_without_nullifier_reverts(desk, claim, form):
    with reverts("ClaimIncomplete"):
        desk.take("submit", claim.changed(nullifier=b"\0" * 32), form)


@pytest.mark.spec("K3")
def test_same_claim_again_reverts(desk, claim, form):
    desk.take("submit", claim)

    with reverts("ClaimExists", claim.id):
        desk.take("submit", claim, form)


@pytest.mark.spec("K13")
def test_service_billed_again_reverts(desk, claim, correction, form):
    desk.take("submit", claim)

    with reverts("AlreadyBilled", "0x" + claim.nullifier.hex(), claim.id):
        desk.take("submit", correction, form)


@pytest.mark.spec("K13")
def test_service_billed_to_a_second_payer_reverts(desk, claim, second_payer, form):
    desk.take("submit", claim)

    with reverts("AlreadyBilled", "0x" + claim.nullifier.hex(), claim.id):
        desk.take("submit", claim.changed(payer=second_payer.address), form)


@pytest.mark.spec("K13")
def test_of_two_payers_billed_at_once_one_is(claim_anchor, desk, claim, second_payer):
    """Both submissions are signed before either is sent; whichever comes first counts."""
    rival = claim.changed(payer=second_payer.address)
    what = desk.what()
    signatures = {one: desk.signature("submit", one, "provider", what) for one in (claim, rival)}

    desk.send("submit", rival, what, desk.relayer, signatures[rival])

    with reverts("AlreadyBilled", "0x" + claim.nullifier.hex(), rival.id):
        desk.send("submit", claim, what, desk.relayer, signatures[claim])
    assert claim_anchor.holderOf(claim.nullifier) == rival.id
    assert claim_anchor.stateOf(claim.id)[0] == 0


@pytest.mark.spec("K13")
def test_service_billed_by_another_provider_reverts(desk, claim, second_clinic, form):
    desk.take("submit", claim)

    with reverts("AlreadyBilled", "0x" + claim.nullifier.hex(), claim.id):
        desk.take("submit", claim.changed(provider=second_clinic.address), form)


@pytest.mark.spec("K24")
def test_rules_never_published_revert(desk, claim, form):
    with reverts("RulesUnknown", claim.payer, 2):
        desk.take("submit", claim, form, rules=2)


@pytest.mark.spec("K24")
def test_rules_zero_revert(desk, claim, form):
    with reverts("RulesUnknown", claim.payer, 0):
        desk.take("submit", claim, form, rules=0)


@pytest.mark.spec("K24")
def test_rules_of_a_party_that_is_no_payer_revert(desk, claim, second_clinic, form):
    with reverts("RulesUnknown", second_clinic.address, 1):
        desk.take("submit", claim.changed(payer=second_clinic.address), form)


@pytest.mark.spec("K24")
def test_rules_that_have_not_begun_revert(claim_anchor, desk, claim, payer, today, form):
    claim_anchor.publishRules(Rules(b"\x61" * 32, 0, today + 1), {"from": payer})

    with reverts("RulesUnknown", claim.payer, 2):
        desk.take("submit", claim, form, rules=2)


@pytest.mark.spec("K24")
def test_earlier_rules_govern_earlier_services(claim_anchor, desk, claim, payer, today, form):
    claim_anchor.publishRules(Rules(b"\x61" * 32, 0, today), {"from": payer})

    desk.take("submit", claim, form, rules=1)

    assert claim_anchor.stateOf(claim.id)[:4] == (SUBMITTED, 0, 1, False)


@pytest.mark.spec("K27")
def test_claim_reaches_a_suspended_payer(claim_anchor, desk, claim, registrar, admin, payer, form):
    registrar.suspend(payer, {"from": admin})

    desk.take("submit", claim, form)

    assert claim_anchor.stateOf(claim.id)[0] == SUBMITTED


@pytest.mark.spec("K25")
def test_submission_signed_for_other_rules_reverts(claim_anchor, desk, claim, payer, today):
    claim_anchor.publishRules(Rules(b"\x61" * 32, 0, today), {"from": payer})
    signed = desk.signature("submit", claim, "provider", desk.what(rules=2))

    with reverts("SignatureInvalid", claim.provider):
        desk.send("submit", claim, desk.what(rules=1), desk.relayer, signed)


@pytest.mark.spec("K25")
def test_relayer_cannot_choose_among_rules_of_one_text(claim_anchor, desk, claim, payer, today):
    claim_anchor.publishRules(Rules(RULES_HASH, 0, today), {"from": payer})  # the same text as the rules before
    signed = desk.signature("submit", claim, "provider", desk.what(rules=1))

    with reverts("SignatureInvalid", claim.provider):
        desk.send("submit", claim, desk.what(rules=2), desk.relayer, signed)


@pytest.mark.spec("K29")
def test_removed_party_does_not_block_a_service(claim_anchor, desk, claim, registrar, admin, second_clinic, stranger):
    copied = claim.changed(provider=second_clinic.address)  # from the waiting transaction
    desk.take("submit", copied, OWNER)
    registrar.remove(second_clinic, {"from": admin})
    claim_anchor.void(copied, 0, b"", b"", {"from": stranger})

    desk.take("submit", claim, OWNER)

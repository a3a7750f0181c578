from __future__ import annotations

import pytest

from tests.support.claims import RULES_HASH, Rules
from tests.support.fixtures import DAY, PAYER
from tests.support.reverts import reverts

NEXT_RULES = b"\x61" * 32


@pytest.mark.spec("K21", "K22")
def test_first_rules_reach_back_and_are_announced(claim_anchor, parties, payer, today):
    tx = claim_anchor.publishRules(Rules(RULES_HASH, 0, today - 1000), {"from": payer})

    assert tx.return_value == 1
    assert claim_anchor.rulesCount(payer) == 1
    assert claim_anchor.rulesOf(payer, 1) == Rules(RULES_HASH, 0, today - 1000).printed
    assert len(tx.events) == 1
    assert dict(tx.events["RulesPublished"]) == {
        "payer": payer,
        "plan": 0,
        "number": 1,
        "rules": Rules(RULES_HASH, 0, today - 1000).printed,
    }


@pytest.mark.spec("K21", "K22")
def test_further_rules_begin_today_at_the_earliest(claim_anchor, published, payer, today):
    tx = claim_anchor.publishRules(Rules(NEXT_RULES, 0, today), {"from": payer})

    assert tx.return_value == 2
    assert claim_anchor.rulesCount(payer) == 2
    assert claim_anchor.rulesOf(payer, 2) == Rules(NEXT_RULES, 0, today).printed
    assert claim_anchor.rulesOf(payer, 1) == Rules(RULES_HASH, 0, today - 100).printed
    assert len(tx.events) == 1
    assert dict(tx.events["RulesPublished"]) == {
        "payer": payer,
        "plan": 0,
        "number": 2,
        "rules": Rules(NEXT_RULES, 0, today).printed,
    }


@pytest.mark.spec("K21")
def test_each_payer_numbers_its_own_rules(claim_anchor, published, payer, second_payer, today):
    claim_anchor.publishRules(Rules(NEXT_RULES, 0, today + 1), {"from": second_payer})

    assert claim_anchor.rulesCount(payer) == 1
    assert claim_anchor.rulesCount(second_payer) == 2


@pytest.mark.spec("K22")
def test_retroactive_rules_revert(claim_anchor, published, payer, today):
    with reverts("RulesRetroactive", today - 1, today):
        claim_anchor.publishRules(Rules(NEXT_RULES, 0, today - 1), {"from": payer})


@pytest.mark.spec("K22", "K23")
def test_rules_published_later_for_the_same_day_are_in_force(claim_anchor, published, payer, today):
    claim_anchor.publishRules(Rules(NEXT_RULES, 0, today + 5), {"from": payer})
    claim_anchor.publishRules(Rules(RULES_HASH, 0, today + 5), {"from": payer})

    assert claim_anchor.rulesInForce(payer, 0, today + 4) == 1
    assert claim_anchor.rulesInForce(payer, 0, today + 5) == 3


def test_rules_without_hash_revert(claim_anchor, parties, payer, today):
    with reverts("RulesMissing"):
        claim_anchor.publishRules(Rules(b"\0" * 32, 0, today), {"from": payer})


@pytest.mark.spec("K11")
def test_rules_of_a_provider_revert(claim_anchor, parties, clinic, today):
    with reverts("KindNotAdmitted", clinic.address, 1):
        claim_anchor.publishRules(Rules(RULES_HASH, 0, today), {"from": clinic})


@pytest.mark.spec("K11")
def test_rules_of_a_stranger_revert(claim_anchor, parties, stranger, today):
    with reverts("KindNotAdmitted", stranger.address, 0):
        claim_anchor.publishRules(Rules(RULES_HASH, 0, today), {"from": stranger})


@pytest.mark.spec("K6")
def test_rules_of_a_suspended_payer_revert(claim_anchor, parties, registrar, admin, payer, today):
    registrar.suspend(payer, {"from": admin})

    with reverts("KindNotAdmitted", payer.address, 0):
        claim_anchor.publishRules(Rules(RULES_HASH, 0, today), {"from": payer})


@pytest.mark.spec("K6")
def test_rules_of_a_lapsed_payer_revert(claim_anchor, parties, chain, accredit, fresh_account, today):
    accredit(fresh_account, PAYER, valid_until=today)
    chain.sleep(2 * DAY)

    with reverts("KindNotAdmitted", fresh_account.address, 0):
        claim_anchor.publishRules(Rules(RULES_HASH, 0, today + 2), {"from": fresh_account})


@pytest.mark.spec("K7")
def test_rules_belong_to_the_identity_not_to_the_account(
    claim_anchor, published, registrar, payer, fresh_account, today
):
    registrar.offerAccount(fresh_account, {"from": payer})
    registrar.takeAccount(payer, {"from": fresh_account})

    tx = claim_anchor.publishRules(Rules(NEXT_RULES, 0, today), {"from": fresh_account})

    assert tx.return_value == 2
    assert tx.events["RulesPublished"]["payer"] == payer
    assert claim_anchor.rulesCount(fresh_account) == 0


@pytest.mark.spec("K22", "K23")
def test_rules_that_have_not_begun_can_be_corrected(claim_anchor, published, payer, today):
    claim_anchor.publishRules(Rules(NEXT_RULES, 0, 65535), {"from": payer})  # a slip: the year 2149

    claim_anchor.publishRules(Rules(NEXT_RULES, 0, today + 1), {"from": payer})

    assert claim_anchor.rulesInForce(payer, 0, today) == 1
    assert claim_anchor.rulesInForce(payer, 0, today + 1) == 3
    assert claim_anchor.rulesInForce(payer, 0, 65535) == 3

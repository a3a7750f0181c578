from __future__ import annotations

import pytest

from tests.support.claims import RULES_HASH, Rules
from tests.support.reverts import reverts


@pytest.fixture
def three_rules(claim_anchor, published, payer, today):
    """Rules from a hundred days ago, from today, and from ten days ahead."""
    claim_anchor.publishRules(Rules(RULES_HASH, 0, today), {"from": payer})
    claim_anchor.publishRules(Rules(RULES_HASH, 0, today + 10), {"from": payer})


@pytest.mark.parametrize(
    ("day", "number"), [(-101, 0), (-100, 1), (-1, 1), (0, 2), (9, 2), (10, 3), (11, 3), (20000, 3)]
)
@pytest.mark.spec("K23")
def test_rules_in_force_are_the_latest_that_have_begun(claim_anchor, three_rules, payer, today, day, number):
    assert claim_anchor.rulesInForce(payer, 0, today + day) == number


@pytest.mark.spec("K23")
def test_no_rules_of_others_are_in_force(claim_anchor, three_rules, clinic, today):
    assert claim_anchor.rulesInForce(clinic, 0, today) == 0


@pytest.mark.spec("K23")
def test_of_rules_whose_period_holds_the_day_the_last_published_are_in_force(claim_anchor, published, payer, today):
    claim_anchor.publishRules(Rules(RULES_HASH, 0, today + 10, today + 20), {"from": payer})
    claim_anchor.publishRules(Rules(RULES_HASH, 0, today + 15, today + 16), {"from": payer})

    found = {day: claim_anchor.rulesInForce(payer, 0, today + day) for day in (9, 10, 14, 15, 16, 19, 20)}

    assert found == {9: 1, 10: 2, 14: 2, 15: 3, 16: 2, 19: 2, 20: 1}


@pytest.mark.spec("K23")
def test_after_the_last_period_none_are_in_force(claim_anchor, parties, payer, today):
    number = claim_anchor.publishRules(Rules(RULES_HASH, 3, today - 9, today), {"from": payer}).return_value

    assert claim_anchor.rulesInForce(payer, 3, today - 1) == number
    assert claim_anchor.rulesInForce(payer, 3, today) == 0


@pytest.mark.spec("K21", "K22", "K23")
def test_each_plan_has_its_own_rules(claim_anchor, published, payer, today):
    """And its own first, which reach back."""
    claim_anchor.publishRules(Rules(RULES_HASH, 7, today - 50), {"from": payer})
    claim_anchor.publishRules(Rules(RULES_HASH, 0, today), {"from": payer})
    claim_anchor.publishRules(Rules(RULES_HASH, 7, today), {"from": payer})

    assert claim_anchor.rulesOfPlan(payer, 0) == (1, 3)
    assert claim_anchor.rulesOfPlan(payer, 7) == (2, 4)
    assert [claim_anchor.rulesInForce(payer, 7, today + day) for day in (-51, -50, -1, 0)] == [0, 2, 2, 4]
    with reverts("RulesRetroactive", today - 1, today):
        claim_anchor.publishRules(Rules(RULES_HASH, 7, today - 1), {"from": payer})


@pytest.mark.parametrize("until", [-1, 0])
@pytest.mark.spec("K21")
def test_rules_that_end_before_they_begin_revert(claim_anchor, parties, payer, today, until):
    with reverts("RulesPeriodEmpty", today, today + until):
        claim_anchor.publishRules(Rules(RULES_HASH, 0, today, today + until), {"from": payer})


@pytest.mark.spec("K24")
def test_claims_come_after_the_rules_have_ended(claim_anchor, desk, claim, payer, today):
    """A service of the last day is billed weeks later."""
    ended = Rules(RULES_HASH, 3, today - 9, today - 2)
    number = claim_anchor.publishRules(ended, {"from": payer}).return_value

    desk.take("submit", claim, rules=number)

    assert claim_anchor.stateOf(claim.id)[2] == number

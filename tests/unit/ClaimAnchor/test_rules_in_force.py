from __future__ import annotations

import pytest

from tests.support.claims import RULES_HASH, Rules


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

"""What is due when, which rights lapse with their time, and what is owed however late."""

from __future__ import annotations

import pytest

from tests.support.claims import (
    ADJUDICATED,
    APPEALED,
    APPROVED,
    DENIED,
    OVERTURNED,
    PENDED,
    SECOND_RESPONSE,
    SETTLED,
    SUBMITTED,
    UPHELD,
)
from tests.support.fixtures import DAY, NOBODY
from tests.support.reverts import reverts
from tests.unit.ClaimAnchor.conftest import DAYS

DECIDE, ANSWER, APPEAL, DECIDE_APPEAL, SETTLE = (days * DAY for days in DAYS)
FOREVER = 2**256 - 1


@pytest.fixture
def since(claim_anchor, claim):
    """Since when the claim stands as it does."""
    return lambda: claim_anchor.stateOf(claim.id)[6]


@pytest.fixture
def wait(chain):
    """Let the time of the chain pass."""

    def waited(seconds):
        chain.sleep(seconds)
        chain.mine()

    return waited


@pytest.mark.spec("K33")
def test_state_tells_since_when(claim_anchor, desk, claim, timed):
    submitted = desk.take("submit", claim, rules=timed).timestamp
    assert claim_anchor.stateOf(claim.id)[4:] == (False, submitted, submitted, 0, 0)

    pended = desk.take("pend", claim).timestamp
    assert claim_anchor.stateOf(claim.id)[4:] == (False, submitted, pended, pended - submitted, 1)

    answered = desk.take("answer", claim).timestamp
    assert claim_anchor.stateOf(claim.id)[4:] == (False, submitted, answered, pended - submitted, 1)


@pytest.mark.parametrize(
    ("status", "outcome", "owed_by", "time"),
    [
        (SUBMITTED, 0, "payer", DECIDE),
        (PENDED, 0, "provider", ANSWER),
        (ADJUDICATED, APPROVED, "payer", SETTLE),
        (ADJUDICATED, DENIED, None, 0),
        (APPEALED, DENIED, "payer", DECIDE_APPEAL),
        (UPHELD, DENIED, None, 0),
        (UPHELD, APPROVED, "payer", SETTLE),
        (OVERTURNED, APPROVED, "payer", SETTLE),
        (SETTLED, APPROVED, None, 0),
    ],
)
@pytest.mark.spec("K33")
def test_due(claim_anchor, desk, claim, timed, since, status, outcome, owed_by, time):
    desk.bring(claim, status, outcome, rules=timed)

    party = getattr(claim, owed_by) if owed_by else NOBODY
    assert claim_anchor.dueOf(claim) == (party, since() + time if owed_by else 0)


@pytest.mark.parametrize(
    ("status", "outcome", "owed_by"),
    [(SUBMITTED, 0, "payer"), (PENDED, 0, "provider"), (APPEALED, DENIED, "payer"), (UPHELD, APPROVED, "payer")],
)
@pytest.mark.spec("K33")
def test_without_deadline_a_step_is_owed_all_the_same(claim_anchor, desk, claim, status, outcome, owed_by):
    desk.bring(claim, status, outcome)

    assert claim_anchor.dueOf(claim) == (getattr(claim, owed_by), 0)


@pytest.mark.spec("K34")
def test_while_a_claim_is_pended_the_payers_time_stands_still(claim_anchor, desk, claim, timed, since, wait):
    desk.bring(claim, SUBMITTED, rules=timed)
    wait(10 * DAY)
    desk.take("pend", claim)
    used = claim_anchor.stateOf(claim.id)[7]
    assert used >= 10 * DAY
    wait(20 * DAY)
    desk.take("answer", claim)

    assert claim_anchor.dueOf(claim) == (claim.payer, since() + DECIDE - used)


@pytest.mark.spec("K34")
def test_a_request_does_not_begin_the_payers_time_anew(claim_anchor, desk, claim, timed, since, wait):
    desk.bring(claim, SUBMITTED, rules=timed)
    for _ in range(2):
        wait(10 * DAY)
        desk.take("pend", claim)
        desk.take("answer", claim)

    party, due = claim_anchor.dueOf(claim)
    assert party == claim.payer
    assert due - since() <= DECIDE - 20 * DAY


@pytest.mark.spec("K34")
def test_after_the_providers_time_the_payers_runs_on(claim_anchor, desk, claim, timed, since, wait):
    desk.bring(claim, PENDED, rules=timed)
    used = claim_anchor.stateOf(claim.id)[7]
    wait(ANSWER + 1)

    assert claim_anchor.dueOf(claim) == (claim.payer, since() + ANSWER + DECIDE - used)


@pytest.mark.spec("K35")
def test_late_request_reverts(desk, claim, timed, since, wait):
    desk.bring(claim, SUBMITTED, rules=timed)
    due = since() + DECIDE
    wait(DECIDE + 60)

    with reverts("StepLate", claim.id, due):
        desk.take("pend", claim)


@pytest.mark.spec("K35")
def test_late_answer_reverts(desk, claim, timed, since, wait):
    desk.bring(claim, PENDED, rules=timed)
    due = since() + ANSWER
    wait(ANSWER + 60)

    with reverts("StepLate", claim.id, due):
        desk.take("answer", claim)


@pytest.mark.parametrize("outcome", [APPROVED, DENIED])
@pytest.mark.spec("K35")
def test_late_appeal_reverts(desk, claim, timed, since, wait, outcome):
    desk.bring(claim, ADJUDICATED, outcome, rules=timed)
    due = since() + APPEAL
    wait(APPEAL + 60)

    with reverts("StepLate", claim.id, due):
        desk.take("appeal", claim)


@pytest.mark.spec("K36")
def test_late_decision_counts_and_is_noted(claim_anchor, desk, claim, timed, wait):
    desk.bring(claim, SUBMITTED, rules=timed)
    wait(DECIDE + 60)

    desk.take("adjudicate", claim, rules=timed)

    assert claim_anchor.stateOf(claim.id)[:5] == (ADJUDICATED, APPROVED, timed, False, True)


@pytest.mark.spec("K36")
def test_decision_in_time_is_not_noted_as_late(claim_anchor, desk, claim, timed, wait):
    desk.bring(claim, SUBMITTED, rules=timed)
    wait(DECIDE - 60)

    desk.take("adjudicate", claim, rules=timed)

    assert not claim_anchor.stateOf(claim.id)[4]


@pytest.mark.spec("K36")
def test_decision_while_the_provider_may_answer_is_not_late(claim_anchor, desk, claim, timed, wait):
    desk.bring(claim, PENDED, rules=timed)
    wait(ANSWER - 60)

    desk.take("adjudicate", claim, rules=timed)

    assert not claim_anchor.stateOf(claim.id)[4]


@pytest.mark.spec("K36")
def test_late_decision_of_an_appeal_counts_and_is_noted(claim_anchor, desk, claim, timed, wait):
    desk.bring(claim, APPEALED, DENIED, rules=timed)
    wait(DECIDE_APPEAL + 60)

    desk.take("decideAppeal", claim, rules=timed)

    assert claim_anchor.stateOf(claim.id)[:5] == (OVERTURNED, APPROVED, timed, False, True)


@pytest.mark.spec("K36")
def test_late_settlement_counts_and_is_noted(claim_anchor, desk, claim, timed, wait):
    desk.bring(claim, ADJUDICATED, rules=timed)
    wait(SETTLE + 60)

    desk.take("settle", claim, deadline=desk.deadline + 365 * DAY)

    assert claim_anchor.stateOf(claim.id)[:5] == (SETTLED, APPROVED, timed, True, True)


@pytest.mark.spec("K37")
def test_lack_of_a_decision_is_appealed_once_it_is_late(claim_anchor, desk, claim, timed, since, wait):
    desk.bring(claim, SUBMITTED, rules=timed)
    late = since() + DECIDE + 1
    assert claim_anchor.appealTimeOf(claim) == (late, late + APPEAL)
    with reverts("StepEarly", claim.id, late):
        desk.take("appeal", claim)
    wait(DECIDE + 60)

    desk.take("appeal", claim)

    assert claim_anchor.stateOf(claim.id)[:5] == (APPEALED, 0, timed, False, True)
    with reverts("StepNotPossible", claim.id, APPEALED):
        desk.take("adjudicate", claim, rules=timed)


@pytest.mark.spec("K37")
def test_lack_of_a_decision_after_an_unanswered_request_is_appealed(claim_anchor, desk, claim, timed, since, wait):
    desk.bring(claim, PENDED, rules=timed)
    late = since() + ANSWER + DECIDE - claim_anchor.stateOf(claim.id)[7] + 1
    wait(ANSWER + 60)
    with reverts("StepEarly", claim.id, late):
        desk.take("appeal", claim)
    wait(DECIDE)

    desk.take("appeal", claim)

    assert claim_anchor.stateOf(claim.id)[0] == APPEALED


@pytest.mark.spec("K35", "K37")
def test_appeal_of_the_lack_of_a_decision_lapses_too(claim_anchor, desk, claim, timed, since, wait):
    desk.bring(claim, SUBMITTED, rules=timed)
    late = since() + DECIDE + 1
    wait(DECIDE + APPEAL + 60)

    with reverts("StepLate", claim.id, late + APPEAL):
        desk.take("appeal", claim)


@pytest.mark.spec("K37")
def test_what_is_late_counts_as_denied(claim_anchor, desk, claim, timed, wait):
    desk.bring(claim, SUBMITTED, rules=timed)
    wait(DECIDE + 60)
    desk.take("appeal", claim)

    with reverts("OutcomeMismatch", claim.id, DENIED):
        desk.take("decideAppeal", claim, rules=timed, upheld=True, outcome=APPROVED)
    with reverts("OutcomeMismatch", claim.id, DENIED):
        desk.take("decideAppeal", claim, rules=timed, upheld=False, outcome=DENIED, response=SECOND_RESPONSE)
    desk.take("decideAppeal", claim, rules=timed, upheld=True, outcome=DENIED)

    assert claim_anchor.stateOf(claim.id)[:4] == (UPHELD, DENIED, timed, False)


@pytest.mark.parametrize("status", [SUBMITTED, PENDED])
@pytest.mark.spec("K37")
def test_without_a_deadline_nothing_is_late(claim_anchor, desk, claim, wait, status):
    desk.bring(claim, status)
    wait(1000 * DAY)

    assert claim_anchor.appealTimeOf(claim) == (0, 0)
    with reverts("StepNotPossible", claim.id, status):
        desk.take("appeal", claim)


@pytest.mark.spec("K31")
def test_time_to_appeal(claim_anchor, desk, claim, timed, since):
    desk.bring(claim, ADJUDICATED, rules=timed)

    assert claim_anchor.appealTimeOf(claim) == (since(), since() + APPEAL)


@pytest.mark.spec("K31")
def test_time_to_appeal_without_end(claim_anchor, desk, claim, since):
    desk.bring(claim, ADJUDICATED)

    assert claim_anchor.appealTimeOf(claim) == (since(), FOREVER)


@pytest.mark.parametrize("status", [APPEALED, UPHELD, OVERTURNED, SETTLED])
@pytest.mark.spec("K31")
def test_no_time_to_appeal(claim_anchor, desk, claim, timed, status):
    desk.bring(claim, status, rules=timed)

    assert claim_anchor.appealTimeOf(claim) == (0, 0)

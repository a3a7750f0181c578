"""What a study is from day to day, and how it is ended."""

from __future__ import annotations

import pytest

from tests.support.fixtures import DAY
from tests.support.research import CLOSED, OPEN, OVER, PLANNED, UNKNOWN, WITHDRAWN, shown
from tests.support.reverts import reverts

END = 192  # the bit where a study's end begins
UNHEARD_OF = b"\x77" * 32


@pytest.fixture
def approve_no_more(studies, admin):
    """Withdraw a study's approval."""
    return lambda study, **sender: studies.withdrawApproval(study.id, sender or {"from": admin})


@pytest.mark.spec("T9")
def test_study_is_open_from_its_first_day_to_its_last(studies, registered, today, chain):
    study = registered(first_day=today + 1, last_day=today + 2)

    for second, state in (
        ((today + 1) * DAY - 1, PLANNED),
        ((today + 1) * DAY, OPEN),
        ((today + 3) * DAY - 1, OPEN),
        ((today + 3) * DAY, OVER),
    ):
        chain.mine(timestamp=second)
        assert studies.stateOf(study.id) == state
    assert studies.stateOf(UNHEARD_OF) == UNKNOWN


@pytest.mark.spec("T10")
def test_researcher_closes_its_study(studies, study, researcher):
    tx = studies.close(study.id, {"from": researcher})

    assert studies.stateOf(study.id) == CLOSED
    assert studies.studyOf(study.id) == study.word & ((1 << END) - 1) | 2 << END
    assert [(event.name, dict(event)) for event in tx.events] == [("StudyClosed", {"study": shown(study.id)})]


@pytest.mark.spec("T10")
@pytest.mark.parametrize("days", [-1, 31])
def test_study_is_closed_before_and_after_its_days(studies, registered, researcher, today, chain, days):
    study = registered(first_day=today + 1) if days < 0 else registered()
    if days > 0:
        chain.mine(timestamp=(today + days) * DAY)

    studies.close(study.id, {"from": researcher})

    assert studies.stateOf(study.id) == CLOSED


@pytest.mark.spec("T10")
@pytest.mark.parametrize("who", ["stranger", "second_researcher", "clinic", "admin"])
def test_nobody_else_closes_a_study(studies, study, request, who):
    account = request.getfixturevalue(who)

    with reverts("ResearcherRequired", account.address):
        studies.close.call(study.id, {"from": account})


@pytest.mark.spec("T10")
def test_what_is_no_study_has_no_researcher(studies, study, researcher):
    with reverts("ResearcherRequired", researcher.address):
        studies.close.call(UNHEARD_OF, {"from": researcher})


@pytest.mark.spec("T11")
def test_authority_withdraws_an_approval(studies, study, approve_no_more):
    tx = approve_no_more(study)

    assert studies.stateOf(study.id) == WITHDRAWN
    assert studies.studyOf(study.id) == study.word & ((1 << END) - 1) | 3 << END
    assert [(event.name, dict(event)) for event in tx.events] == [("ApprovalWithdrawn", {"study": shown(study.id)})]


@pytest.mark.spec("T11")
@pytest.mark.parametrize("who", ["researcher", "stranger", "clinic", "patient"])
def test_only_whom_the_authority_admits_withdraws_an_approval(studies, study, request, who):
    account = request.getfixturevalue(who)

    with reverts("AccessManagedUnauthorized", account.address):
        studies.withdrawApproval.call(study.id, {"from": account})


@pytest.mark.spec("T11")
def test_withdrawal_is_a_role_of_its_own(studies, study, authority, admin, stranger):
    authority.setTargetFunctionRole(studies, [studies.withdrawApproval.signature], 5, {"from": admin})
    authority.grantRole(5, stranger, 0, {"from": admin})

    studies.withdrawApproval(study.id, {"from": stranger})

    assert studies.stateOf(study.id) == WITHDRAWN


@pytest.mark.spec("T12")
def test_end_is_final(studies, study, defined, researcher, admin, approve_no_more):
    studies.close(study.id, {"from": researcher})
    with reverts("StudyNotReady", study.id, CLOSED):
        studies.close.call(study.id, {"from": researcher})
    with reverts("StudyExists", study.id):
        studies.register.call(defined(), {"from": researcher})

    approve_no_more(study)  # the authority has the last word

    with reverts("StudyNotReady", study.id, WITHDRAWN):
        studies.close.call(study.id, {"from": researcher})
    with reverts("StudyNotReady", study.id, WITHDRAWN):
        studies.withdrawApproval.call(study.id, {"from": admin})
    with reverts("StudyNotReady", UNHEARD_OF, UNKNOWN):
        studies.withdrawApproval.call(UNHEARD_OF, {"from": admin})


@pytest.mark.spec("T12")
def test_end_outlasts_the_last_day(studies, study, researcher, today, chain):
    studies.close(study.id, {"from": researcher})
    chain.mine(timestamp=(today + 40) * DAY)

    assert studies.stateOf(study.id) == CLOSED

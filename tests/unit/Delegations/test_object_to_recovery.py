from __future__ import annotations

import pytest

from tests.support.fixtures import NOBODY
from tests.support.reverts import reverts

LAST_ROUND = 2**48 - 1


@pytest.mark.spec("D33", "D20")
def test_objection_ends_a_recovery(delegations, recovery_started, act, start, patient, successor, chain, relayer, form):
    chain.mine(timestamp=delegations.recoveryOf(patient)[1] - 1200)

    tx = act(patient, "objectToRecovery", patient, patient, 3)

    assert delegations.recoveryOf(patient) == (NOBODY, 0, 3)
    assert len(tx.events) == 1
    assert dict(tx.events["RecoveryObjected"]) == {"subject": patient, "by": patient, "round": 3}
    with reverts("RecoveryNotUnderWay", patient.address):
        delegations.completeRecovery.call(patient, {"from": relayer})
    with reverts("RoundStale", 3, 3):
        start(successor, 3, dry=True)


@pytest.mark.spec("D33")
def test_objection_by_signature(delegations, recovery_started, act, patient):
    act(patient, "objectToRecovery", patient, patient, 3, form="signed")

    assert delegations.recoveryOf(patient) == (NOBODY, 0, 3)


@pytest.mark.spec("D33")
def test_objection_after_the_delay_and_before_completion(delegations, recovery_started, act, patient, chain, relayer):
    chain.mine(timestamp=delegations.recoveryOf(patient)[1] + 1)
    delegations.completeRecovery.call(patient, {"from": relayer})

    act(patient, "objectToRecovery", patient, patient, 3)

    with reverts("RecoveryNotUnderWay", patient.address):
        delegations.completeRecovery.call(patient, {"from": relayer})


@pytest.mark.spec("D25", "D33")
def test_objection_comes_before_the_recovery(guardians_named, act, start, patient, successor):
    """Guardians cannot outrun the subject by starting one recovery after the other."""
    act(patient, "objectToRecovery", patient, patient, 4)

    for round_number in (2, 4):
        with reverts("RoundStale", 4, round_number):
            start(successor, round_number, dry=True)
    start(successor, 5, dry=True)


@pytest.mark.spec("D25")
def test_last_round_is_the_subjects(guardians_named, act, start, patient, successor):
    act(patient, "objectToRecovery", patient, patient, LAST_ROUND - 1)
    with reverts("RoundStale", LAST_ROUND - 1, LAST_ROUND):
        start(successor, LAST_ROUND, dry=True)

    act(patient, "objectToRecovery", patient, patient, LAST_ROUND)

    with reverts("RoundStale", LAST_ROUND, LAST_ROUND + 1):
        act(patient, "objectToRecovery", patient, patient, LAST_ROUND + 1, dry=True)


@pytest.mark.spec("D34")
def test_others_do_not_object(recovery_started, delegating_steward, act, patient, steward, stranger, guardian_accounts):
    for by in (steward, stranger, guardian_accounts[0]):
        with reverts("NotTheSubject", patient.address, by.address):
            act(by, "objectToRecovery", patient, by, 3, dry=True)

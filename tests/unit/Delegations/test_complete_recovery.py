from __future__ import annotations

import pytest

from medproof.policy.delegation import DelegateKind, Scope, decode_delegation
from tests.support.fixtures import NOBODY
from tests.support.reverts import reverts


@pytest.mark.spec("D35", "D36")
def test_successor_takes_the_subjects_place(
    delegations, give, word, recovery_started, complete, patient, successor, steward
):
    give(steward, word())

    tx = complete()

    stored = delegations.delegationOf(patient, successor)
    said = decode_delegation(stored)
    assert (said.kind, said.scopes, said.valid_until) == (DelegateKind.SUCCESSOR, Scope.ALL, None)
    assert (said.delegator, said.delegator_sequence, said.sequence) == (patient.address, 0, 1)
    assert int(said.valid_from.timestamp()) == tx.timestamp // 60 * 60
    assert delegations.scopesOf(patient, successor) == Scope.ALL
    assert delegations.scopesOf(patient, steward) == Scope.GRANT | Scope.REVOKE
    assert delegations.successorOf(patient) == successor
    assert delegations.recoveryOf(patient) == (NOBODY, 0, 2)
    assert len(tx.events) == 1
    assert dict(tx.events["RecoveryCompleted"]) == {
        "subject": patient,
        "successor": successor,
        "word": stored,
        "round": 2,
    }


@pytest.mark.spec("D35")
def test_recovery_is_complete_after_its_delay_and_once(
    delegations, recovery_started, patient, relayer, chain, complete
):
    ready = delegations.recoveryOf(patient)[1]
    chain.mine(timestamp=ready - 1)
    with reverts("RecoveryTooEarly", patient.address, ready):
        delegations.completeRecovery.call(patient, {"from": relayer})

    complete()

    with reverts("RecoveryNotUnderWay", patient.address):
        delegations.completeRecovery.call(patient, {"from": relayer})


@pytest.mark.spec("D36")
def test_account_that_was_a_delegate_succeeds(delegations, give, word, recovery_started, complete, patient, successor):
    give(successor, word())

    complete()

    assert delegations.scopesOf(patient, successor) == Scope.ALL
    assert decode_delegation(delegations.delegationOf(patient, successor)).sequence == 2


@pytest.mark.spec("D36")
def test_account_that_is_closed_to_the_subject_does_not_succeed(
    delegations, revoke, recovery_started, complete, patient, successor
):
    revoke(successor, 65534, by=successor)

    with reverts("DelegationStale", 65534, 65535):
        complete()


@pytest.mark.spec("D37")
def test_successor_stands_for_the_subject(
    delegations, give, revoke, act, word, recovered, start, patient, successor, steward, aide, guardians, form
):
    give(steward, word())
    own = {"delegator": successor, "delegator_sequence": 1}

    give(steward, word(sequence=2, kind=DelegateKind.HEALTH_PROXY, **own), by=successor, form=form)
    assert delegations.scopesOf(patient, steward) == Scope.GRANT | Scope.REVOKE
    revoke(steward, 9, by=successor, form=form)
    assert delegations.scopesOf(patient, steward) == 0
    with reverts("ScopesExceeded", 15, 7):
        give(aide, word(scopes=Scope.ALL, **own), by=successor, dry=True)
    with reverts("DelegateNotPossible", successor.address):
        give(successor, word(sequence=2, **own), by=successor, dry=True)

    act(successor, "nameGuardians", patient, successor, guardians.commitment, 7, form=form)
    start(aide, 8)
    act(successor, "objectToRecovery", patient, successor, 9, form=form)
    assert delegations.recoveryOf(patient) == (NOBODY, 0, 9)


@pytest.mark.spec("D38")
def test_next_successor_ends_the_former(
    delegations, give, word, recovered, start, complete, patient, successor, aide, steward, act
):
    give(aide, word(delegator=successor, delegator_sequence=1), by=successor)
    start(steward, 3)

    tx = complete()

    assert delegations.scopesOf(patient, steward) == Scope.ALL
    assert delegations.scopesOf(patient, successor) == delegations.scopesOf(patient, aide) == 0
    assert delegations.successorOf(patient) == steward
    assert tx.events["DelegationRevoked"]["delegate"] == successor
    assert tx.events["DelegationRevoked"]["by"] == steward
    assert tx.events["DelegationRevoked"]["word"] == delegations.delegationOf(patient, successor)
    with reverts("NotTheSubject", patient.address, successor.address):
        act(successor, "objectToRecovery", patient, successor, 9, dry=True)


@pytest.mark.spec("D38")
def test_successor_recovered_again_stays(delegations, recovered, start, complete, patient, successor):
    start(successor, 3)

    tx = complete()

    assert len(tx.events) == 1
    assert delegations.scopesOf(patient, successor) == Scope.ALL


@pytest.mark.spec("D39")
def test_subjects_own_key_stays_above_the_successor(
    delegations, give, revoke, word, recovered, patient, successor, steward
):
    revoke(successor, 2)

    assert delegations.scopesOf(patient, successor) == 0
    with reverts("DelegationNotYours", patient.address, successor.address):
        give(steward, word(delegator=successor, delegator_sequence=2), by=successor, dry=True)

from __future__ import annotations

from datetime import timedelta

import pytest

from medproof.policy.delegation import Scope
from tests.support.fixtures import NOBODY


@pytest.mark.spec("D8")
def test_delegation_is_in_force_in_its_period(delegations, give, word, patient, steward, chain, now):
    begin, end = now + timedelta(hours=1), now + timedelta(hours=2)
    give(steward, word(valid_from=begin, valid_until=end))

    for moment, scopes in (
        (begin - timedelta(seconds=1), 0),
        (begin, Scope.GRANT | Scope.REVOKE),
        (end - timedelta(seconds=1), Scope.GRANT | Scope.REVOKE),
        (end, 0),
    ):
        chain.mine(timestamp=int(moment.timestamp()))
        assert delegations.scopesOf(patient, steward) == scopes


@pytest.mark.spec("D13")
def test_what_hangs_on_a_delegation_ends_with_it(
    delegations, delegating_steward, give, revoke, further, word, patient, steward, aide
):
    give(aide, further(), by=steward)

    revoke(steward, 2)

    assert delegations.scopesOf(patient, aide) == 0
    # … and does not return with it.
    give(steward, word(sequence=3, scopes=Scope.ALL))
    assert delegations.scopesOf(patient, aide) == 0
    give(aide, further(sequence=2, delegator_sequence=3), by=steward)
    assert delegations.scopesOf(patient, aide) == Scope.GRANT


@pytest.mark.spec("D13")
def test_what_hangs_on_a_delegation_ends_when_that_is_changed(
    delegations, delegating_steward, give, further, word, patient, steward, aide
):
    give(aide, further(), by=steward)

    give(steward, word(sequence=2, scopes=Scope.ALL, valid_until=None))

    assert delegations.scopesOf(patient, aide) == 0


@pytest.mark.spec("D13")
def test_what_the_subject_gave_hangs_on_nothing(delegations, delegating_steward, give, revoke, word, patient, aide):
    give(aide, word())

    revoke(delegating_steward.events["DelegationSet"]["delegate"], 2)

    assert delegations.scopesOf(patient, aide) == Scope.GRANT | Scope.REVOKE


@pytest.mark.spec("D41")
def test_what_was_never_written_reads_as_zero(delegations, patient, stranger):
    assert delegations.delegationOf(patient, stranger) == delegations.scopesOf(patient, stranger) == 0
    assert delegations.scopesOf(patient, patient) == 0
    assert delegations.guardiansOf(patient) == "0x" + "00" * 32
    assert delegations.recoveryOf(patient) == (NOBODY, 0, 0)
    assert delegations.successorOf(patient) == NOBODY

"""What delegators may use up of an account's sequences: half, so that the subject always has the rest."""

from __future__ import annotations

import pytest

from medproof.policy.delegation import Scope, decode_delegation
from tests.support.reverts import reverts

DELEGATORS_LAST = 32767


@pytest.fixture
def stored_at(delegating_steward, write_delegation, further, aide):
    """What the steward gave its aide stands at this sequence, written by the steward last."""

    def stored(sequence, delegate=aide):
        write_delegation(delegate, further(sequence=sequence))

    return stored


@pytest.mark.spec("D43")
def test_delegator_writes_its_last_sequence(
    delegations, stored_at, give, revoke, further, patient, steward, aide, form
):
    stored_at(DELEGATORS_LAST - 1)

    revoke(aide, DELEGATORS_LAST, by=steward, form=form, dry=True)
    give(aide, further(sequence=DELEGATORS_LAST, scopes=Scope.REVOKE), by=steward, form=form)

    assert delegations.scopesOf(patient, aide) == Scope.REVOKE


@pytest.mark.spec("D43")
@pytest.mark.parametrize("stored", [DELEGATORS_LAST, DELEGATORS_LAST + 1, 65533])
def test_delegator_goes_no_further(stored_at, give, revoke, further, patient, steward, aide, form, stored):
    stored_at(stored)

    with reverts("DelegationNotYours", patient.address, steward.address):
        give(aide, further(sequence=stored + 1), by=steward, form=form, dry=True)
    with reverts("DelegationNotYours", patient.address, steward.address):
        revoke(aide, stored + 1, by=steward, form=form, dry=True)


@pytest.mark.spec("D19", "D43")
def test_delegator_skips_none(stored_at, give, revoke, further, steward, aide):
    stored_at(7)

    with reverts("DelegationStale", 7, DELEGATORS_LAST):
        revoke(aide, DELEGATORS_LAST, by=steward, dry=True)
    with reverts("DelegationStale", 7, DELEGATORS_LAST):
        give(aide, further(sequence=DELEGATORS_LAST), by=steward, dry=True)


@pytest.mark.spec("D43")
def test_subject_and_delegate_go_on(delegations, stored_at, give, revoke, word, patient, aide, form):
    stored_at(DELEGATORS_LAST)

    revoke(aide, DELEGATORS_LAST + 1, by=aide, form=form, dry=True)
    revoke(aide, 65535, form=form, dry=True)
    give(aide, word(sequence=DELEGATORS_LAST + 1, scopes=Scope.VIEW), form=form)

    assert delegations.scopesOf(patient, aide) == Scope.VIEW


@pytest.mark.spec("D37", "D43")
def test_successor_goes_on(delegations, recovered, stored_at, give, revoke, word, patient, successor, aide, form):
    stored_at(DELEGATORS_LAST)
    own = {"delegator": successor, "delegator_sequence": 1}

    revoke(aide, DELEGATORS_LAST + 1, by=successor, form=form, dry=True)
    give(aide, word(sequence=DELEGATORS_LAST + 1, **own), by=successor, form=form)
    give(aide, word(sequence=DELEGATORS_LAST + 2, **own), by=successor, form=form)

    assert delegations.scopesOf(patient, aide) == Scope.GRANT | Scope.REVOKE


@pytest.mark.spec("D36", "D43")
def test_account_whose_sequences_a_delegator_used_up_succeeds(
    delegations, stored_at, recovery_started, complete, patient, successor
):
    stored_at(DELEGATORS_LAST, successor)

    complete()

    assert delegations.scopesOf(patient, successor) == Scope.ALL
    assert decode_delegation(delegations.delegationOf(patient, successor)).sequence == DELEGATORS_LAST + 1

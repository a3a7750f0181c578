from __future__ import annotations

import pytest

from medproof.policy.delegation import DELEGATION_FIELDS, Scope
from tests.support.fixtures import NOBODY
from tests.support.reverts import reverts

LAST_SEQUENCE = 65535


def tombstone(word, sequence, by):
    """What is stored after a delegation, or nothing, was revoked."""
    kept = sum(DELEGATION_FIELDS[name].mask for name in ("kind", "validFrom", "validUntil"))
    return word & kept | sequence | int(by.address, 16) << DELEGATION_FIELDS["delegator"].offset


@pytest.mark.spec("D15", "D16", "D18", "D20")
@pytest.mark.parametrize("who", ["patient", "steward"])
def test_subject_revokes_or_delegate_resigns(delegations, give, revoke, word, patient, steward, form, who):
    give(steward, word())
    by = {"patient": patient, "steward": steward}[who]

    tx = revoke(steward, 7, by=by, form=form)

    assert delegations.delegationOf(patient, steward) == tombstone(word(), 7, by)
    assert delegations.scopesOf(patient, steward) == 0
    assert len(tx.events) == 1
    assert dict(tx.events["DelegationRevoked"]) == {
        "subject": patient,
        "delegate": steward,
        "by": by,
        "word": tombstone(word(), 7, by),
    }


@pytest.mark.spec("D15")
def test_delegator_revokes_what_it_gave(delegations, delegating_steward, give, revoke, further, patient, steward, aide):
    give(aide, further(), by=steward)

    tx = revoke(aide, 2, by=steward)

    assert delegations.scopesOf(patient, aide) == 0
    assert tx.events["DelegationRevoked"]["by"] == steward


@pytest.mark.spec("D15")
def test_others_revoke_nothing(delegating_steward, give, revoke, word, patient, steward, aide, stranger):
    give(aide, word())
    for by in (stranger, aide, steward):
        with reverts("DelegationNotYours", patient.address, by.address):
            revoke(aide if by == steward else steward, 2, by=by, dry=True)


@pytest.mark.spec("D15")
def test_delegator_that_may_no_longer_delegate_revokes_nothing(
    delegating_steward, give, revoke, further, patient, steward, aide
):
    give(aide, further(), by=steward)
    revoke(steward, 2)

    with reverts("DelegationNotYours", patient.address, steward.address):
        revoke(aide, 2, by=steward, dry=True)


@pytest.mark.spec("D16", "D17")
def test_revocation_overtakes_what_was_signed_before(delegations, give, revoke, word, patient, steward, form):
    revoke(steward, 2)  # before it was given

    assert delegations.delegationOf(patient, steward) == tombstone(0, 2, patient)
    for sequence in (1, 2):
        with reverts("DelegationStale", 2, sequence):
            give(steward, word(sequence=sequence), form=form, dry=True)
    give(steward, word(sequence=3), form=form, dry=True)


@pytest.mark.spec("D16", "D22")
@pytest.mark.parametrize("sequence", [0, 1, LAST_SEQUENCE + 1, 1 << 20])
def test_sequence_out_of_range_reverts(give, revoke, word, steward, sequence):
    give(steward, word())
    with reverts("DelegationStale", 1, sequence):
        revoke(steward, sequence, dry=True)


@pytest.mark.spec("D19")
def test_delegator_closes_nobody_to_the_subject(delegating_steward, revoke, steward, aide):
    for sequence in (2, LAST_SEQUENCE):
        with reverts("DelegationStale", 0, sequence):
            revoke(aide, sequence, by=steward, dry=True)
    revoke(aide, 1, by=steward, dry=True)


@pytest.mark.spec("D3")
def test_impossible_delegate_reverts(revoke, patient):
    for delegate in (NOBODY, patient.address):
        with reverts("DelegateNotPossible", delegate):
            revoke(delegate, 1, dry=True)


@pytest.mark.spec("D18")
def test_revoked_delegation_is_given_anew(delegations, give, revoke, word, patient, steward):
    give(steward, word())
    revoke(steward, 2)
    give(steward, word(sequence=3))

    assert delegations.scopesOf(patient, steward) == Scope.GRANT | Scope.REVOKE

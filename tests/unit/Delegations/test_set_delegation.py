from __future__ import annotations

from datetime import timedelta

import pytest

from medproof.policy.delegation import DELEGATION_FIELDS, DelegateKind, Scope
from tests.support.fixtures import NOBODY
from tests.support.reverts import reverts

LAST_SEQUENCE = 65535
NO_END = (1 << 28) - 1


def with_field(word, name, value):
    """The word with a field replaced, also as no client would write it."""
    field = DELEGATION_FIELDS[name]
    return word & ~field.mask | int(value) << field.offset


@pytest.mark.spec("D1", "D2", "D20")
def test_delegation_is_stored_and_announced(delegations, give, word, patient, steward, form):
    tx = give(steward, word(), form=form)

    assert delegations.delegationOf(patient, steward) == word()
    assert delegations.scopesOf(patient, steward) == Scope.GRANT | Scope.REVOKE
    assert delegations.scopesOf(steward, patient) == 0
    assert len(tx.events) == 1
    assert dict(tx.events["DelegationSet"]) == {
        "subject": patient,
        "delegate": steward,
        "by": patient,
        "word": word(),
    }


@pytest.mark.spec("D1")
def test_word_has_no_bit_left_over():
    assert sum(field.mask for field in DELEGATION_FIELDS.values()) == (1 << 256) - 1


@pytest.mark.spec("D2", "D8")
def test_delegation_is_changed(delegations, give, word, patient, steward, form):
    give(steward, word())
    changed = word(sequence=2, kind=DelegateKind.HEALTH_PROXY, scopes=Scope.VIEW, valid_until=None)

    give(steward, changed, form=form)

    assert delegations.delegationOf(patient, steward) == changed
    assert delegations.scopesOf(patient, steward) == Scope.VIEW


@pytest.mark.spec("D3")
def test_impossible_delegate_reverts(give, word, patient):
    for delegate in (NOBODY, patient.address):
        with reverts("DelegateNotPossible", delegate):
            give(delegate, word(), dry=True)


@pytest.mark.spec("D4")
@pytest.mark.parametrize("kind", [0, DelegateKind.SUCCESSOR, 5, 15])
def test_kind_that_nobody_gives_reverts(give, word, steward, kind):
    with reverts("DelegationKindNotPossible", int(kind)):
        give(steward, with_field(word(), "kind", kind), dry=True)


@pytest.mark.spec("D5")
def test_delegation_of_nothing_reverts(give, word, steward):
    with reverts("DelegationScopesEmpty"):
        give(steward, with_field(word(), "scopes", 0), dry=True)


@pytest.mark.spec("D5")
@pytest.mark.parametrize(("begin", "end"), [(7, 7), (8, 7), (NO_END, NO_END)])
def test_period_without_a_minute_reverts(give, word, steward, begin, end):
    empty = with_field(with_field(word(), "validFrom", begin), "validUntil", end)
    with reverts("DelegationPeriodEmpty", begin, end):
        give(steward, empty, dry=True)


@pytest.mark.spec("D6")
def test_guardian_without_end_reverts(give, word, steward):
    guardian = word(kind=DelegateKind.GUARDIAN)
    with reverts("GuardianWithoutEnd"):
        give(steward, with_field(guardian, "validUntil", NO_END), dry=True)
    give(steward, guardian, dry=True)


@pytest.mark.spec("D7", "D22")
def test_sequence_that_does_not_follow_reverts(give, word, steward):
    give(steward, word())
    for sequence in (0, 1, 3):
        with reverts("DelegationStale", 1, sequence):
            give(steward, with_field(word(), "sequence", sequence), dry=True)


@pytest.mark.spec("D7", "D17")
def test_last_sequence_is_kept_for_revocation(give, revoke, word, steward):
    revoke(steward, LAST_SEQUENCE - 1)

    with reverts("DelegationStale", LAST_SEQUENCE - 1, LAST_SEQUENCE):
        give(steward, word(sequence=LAST_SEQUENCE), dry=True)
    revoke(steward, LAST_SEQUENCE)
    with reverts("DelegationStale", LAST_SEQUENCE, 0):
        give(steward, with_field(word(), "sequence", 0), dry=True)


@pytest.mark.spec("D2")
def test_stranger_gives_nothing(give, word, steward, stranger, patient):
    with reverts("SignatureInvalid", patient.address):
        give(steward, word(), by=stranger, dry=True)
    with reverts("DelegationNotYours", patient.address, stranger.address):
        give(steward, word(delegator=stranger), by=stranger, dry=True)


# -- further delegation -----------------------------------------------------------------------------------------


@pytest.mark.spec("D9", "D13")
def test_delegate_delegates_further(delegations, delegating_steward, give, further, patient, steward, aide, form):
    tx = give(aide, further(), by=steward, form=form)

    assert delegations.delegationOf(patient, aide) == further()
    assert delegations.scopesOf(patient, aide) == Scope.GRANT
    assert tx.events["DelegationSet"]["by"] == steward


@pytest.mark.spec("D9")
def test_delegate_that_may_not_delegate_reverts(give, word, further, patient, steward, aide):
    give(steward, word())

    with reverts("DelegationNotYours", patient.address, steward.address):
        give(aide, further(), by=steward, dry=True)


@pytest.mark.spec("D9", "D8")
def test_delegate_out_of_its_period_delegates_no_further(
    delegating_steward, delegations, give, further, patient, steward, aide, chain, now
):
    chain.mine(timestamp=int((now + timedelta(days=365)).timestamp()))

    with reverts("DelegationNotYours", patient.address, steward.address):
        give(aide, further(), by=steward, dry=True)


@pytest.mark.spec("D3")
def test_delegate_changes_its_own_delegation_reverts(delegating_steward, give, further, patient, steward):
    with reverts("DelegationNotYours", patient.address, steward.address):
        give(steward, further(sequence=2), by=steward, dry=True)


@pytest.mark.spec("D10")
@pytest.mark.parametrize("scopes", [Scope.VIEW, Scope.GRANT | Scope.VIEW, Scope.DELEGATE, Scope.ALL])
def test_scopes_beyond_the_delegators_revert(delegating_steward, give, further, steward, aide, scopes):
    with reverts("ScopesExceeded", int(scopes), int(Scope.GRANT | Scope.REVOKE)):
        give(aide, further(scopes=scopes), by=steward, dry=True)


@pytest.mark.spec("D11")
def test_further_delegation_that_lasts_longer_reverts(delegating_steward, give, further, now, steward, aide):
    end = now + timedelta(days=365)
    minute = int(end.timestamp()) // 60

    for until, number in ((end + timedelta(minutes=1), minute + 1), (None, NO_END)):
        with reverts("PeriodExceeded", number, minute):
            give(aide, further(valid_until=until), by=steward, dry=True)
    give(aide, further(valid_from=now - timedelta(days=9), valid_until=end), by=steward, dry=True)


@pytest.mark.spec("D12")
def test_delegate_names_another_kind_reverts(delegating_steward, give, further, steward, aide):
    for kind in (DelegateKind.GUARDIAN, DelegateKind.HEALTH_PROXY):
        with reverts("DelegationKindNotPossible", int(kind)):
            give(aide, further(kind=kind), by=steward, dry=True)


@pytest.mark.spec("D13")
def test_delegation_that_hangs_on_another_sequence_reverts(delegating_steward, give, further, word, steward, aide):
    for sequence in (0, 2):
        with reverts("DelegatorStale", 1, sequence):
            give(aide, further(delegator_sequence=sequence), by=steward, dry=True)
    with reverts("DelegatorStale", 0, 1):
        give(aide, word(delegator_sequence=1), dry=True)


@pytest.mark.spec("D14")
def test_delegate_writes_over_what_it_wrote_last(delegations, delegating_steward, give, revoke, further, steward, aide):
    give(aide, further(), by=steward)
    give(aide, further(sequence=2, scopes=Scope.REVOKE), by=steward)
    revoke(aide, 3, by=steward)
    give(aide, further(sequence=4), by=steward, dry=True)


@pytest.mark.spec("D14")
@pytest.mark.parametrize("who", ["patient", "aide"])
def test_delegate_undoes_what_another_wrote_reverts(
    delegating_steward, give, revoke, further, word, patient, steward, aide, who
):
    """What the subject gave or took, and what the delegate resigned from, no delegate undoes."""
    last = 1
    if who == "patient":
        give(aide, word(scopes=Scope.VIEW))
        with reverts("DelegationNotYours", patient.address, steward.address):
            give(aide, further(sequence=2), by=steward, dry=True)
        with reverts("DelegationNotYours", patient.address, steward.address):
            revoke(aide, 2, by=steward, dry=True)
        last = 2
    revoke(aide, last, by={"patient": patient, "aide": aide}[who])

    with reverts("DelegationNotYours", patient.address, steward.address):
        give(aide, further(sequence=last + 1), by=steward, dry=True)

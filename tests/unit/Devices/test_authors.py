"""Who acts for a subject, by which scope, each way to act, and for how long."""

from __future__ import annotations

from datetime import timedelta

import pytest
from eth_abi import encode
from eth_utils import keccak

from medproof.policy.delegation import DelegateKind, Scope
from tests.support.fixtures import DAY
from tests.support.reverts import reverts
from tests.unit.Devices.conftest import AMONG_OTHERS, DIRECT, LAST_SEQUENCE, SIGNED, tombstone

GRANT, REVOKE = Scope.GRANT.value, Scope.REVOKE.value
FUNCTIONS = {"setDevice": GRANT, "revokeDevice": REVOKE}


@pytest.fixture
def take(register, revoke, word):
    """Change the meter's registration, or revoke it."""

    def taken(function, by, **options):
        return register(word(sequence=2), by=by, **options) if function == "setDevice" else revoke(2, by=by, **options)

    return taken


@pytest.fixture
def refused(take, patient):
    """Assert that somebody may not act, with the error of its form."""

    def check(function, by, form, subject=patient, scope=None):
        named = (subject.address,)
        if form == DIRECT:
            named = (subject.address, by.address, scope or FUNCTIONS[function])
        with reverts("DelegateScopeMissing" if form == DIRECT else "SignatureInvalid", *named):
            take(function, by, form=form, dry=True, subject=subject)

    return check


@pytest.fixture(autouse=True)
def registered(register, word):
    """The meter is registered."""
    return register(word())


@pytest.mark.spec("E3", "E14", "E16")
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("form", [DIRECT, SIGNED, AMONG_OTHERS])
def test_delegate_acts_by_its_scope_and_is_named(take, stored, word, delegate_to, patient, delegate, form, function):
    delegate_to(delegate, FUNCTIONS[function])

    tx = take(function, delegate, form=form)

    assert stored() == {"setDevice": word(sequence=2), "revokeDevice": tombstone(word(), 2)}[function]
    assert len(tx.events) == 2
    assert tx.events[0].name == "DelegateActed"
    assert dict(tx.events["DelegateActed"]) == {
        "subject": patient,
        "delegate": delegate,
        "scope": FUNCTIONS[function],
    }
    assert tx.events[1].name == {"setDevice": "DeviceSet", "revokeDevice": "DeviceRevoked"}[function]


@pytest.mark.spec("E3", "E14")
@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_other_scope_stands_in(delegate_to, refused, delegate, form, function):
    delegate_to(delegate, Scope.ALL.value ^ FUNCTIONS[function])

    refused(function, delegate, form)


@pytest.mark.spec("E3", "E14")
@pytest.mark.parametrize("function", FUNCTIONS)
def test_stranger_acts_for_nobody(
    delegate_to, refused, register, word, stranger, second_patient, delegate, clinic, meter, form, function
):
    delegate_to(delegate, Scope.ALL)
    register(word(), by=second_patient, subject=second_patient)

    for by in (stranger, clinic, second_patient, meter):  # the device itself as well
        refused(function, by, form)
    refused(function, delegate, form, subject=second_patient)


@pytest.mark.spec("E3", "E14")
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("kind", [DelegateKind.GUARDIAN, DelegateKind.STEWARD, DelegateKind.HEALTH_PROXY])
def test_delegate_of_any_kind_acts(take, delegate_to, delegate, kind, function, form):
    delegate_to(delegate, FUNCTIONS[function], kind=kind)

    take(function, delegate, form=form, dry=True)


@pytest.mark.spec("E16")
@pytest.mark.parametrize("function", FUNCTIONS)
def test_delegation_is_looked_up_when_the_act_arrives(
    take, refused, delegate_to, delegations, patient, delegate, form, function
):
    refused(function, delegate, form)
    delegate_to(delegate, Scope.ALL)
    take(function, delegate, form=form, dry=True)
    delegations.revokeDelegation(patient, delegate, patient, 2, 0, b"", {"from": patient})
    refused(function, delegate, form)


@pytest.mark.spec("E16")
@pytest.mark.parametrize("function", FUNCTIONS)
def test_delegation_counts_within_its_period(take, refused, delegate_to, delegate, chain, now, form, function):
    begin, end = now + timedelta(minutes=5), now + timedelta(minutes=10)
    delegate_to(delegate, FUNCTIONS[function], valid_from=begin, valid_until=end)

    for moment, counts in (
        (begin - timedelta(seconds=1), False),
        (begin, True),
        (end - timedelta(seconds=1), True),
        (end, False),
    ):
        chain.mine(timestamp=int(moment.timestamp()))
        if counts:
            take(function, delegate, form=form, dry=True)
        else:
            refused(function, delegate, form)


@pytest.mark.spec("E16")
@pytest.mark.parametrize("function", FUNCTIONS)
def test_what_the_subject_does_itself_names_no_delegate(take, delegate_to, patient, delegate, form, function):
    delegate_to(delegate, Scope.ALL)

    events = take(function, patient, form=form).events

    assert [event.name for event in events] == [{"setDevice": "DeviceSet", "revokeDevice": "DeviceRevoked"}[function]]


# -- guardians --------------------------------------------------------------------------------------------------


@pytest.mark.spec("E3", "E14")
def test_successor_stands_for_the_subject(
    delegations, stored, register, revoke, word, patient, stranger, fresh_account, chain, form
):
    """After the loss of the subject's key, whom its guardians made its successor."""
    salt, delay = b"\x44" * 32, 3 * DAY
    guardians = ([keccak(encode(["address", "bytes32"], [stranger.address, salt]))], 1, delay)
    commitment = keccak(encode(["(bytes32[],uint256,uint256)"], [guardians]))
    delegations.nameGuardians(patient, patient, commitment, 1, 0, b"", {"from": patient})
    approvals = [(0, stranger, salt, b"")]
    until = chain.time() + DAY
    delegations.startRecovery(patient, fresh_account, 2, until, guardians, approvals, {"from": stranger})
    with reverts("DelegateScopeMissing", patient.address, fresh_account.address, GRANT):
        register(word(sequence=2), by=fresh_account, dry=True)
    with reverts("DelegateScopeMissing", patient.address, stranger.address, GRANT):  # a guardian is no delegate
        register(word(sequence=2), by=stranger, dry=True)
    chain.mine(timestamp=delegations.recoveryOf(patient)[1])
    delegations.completeRecovery(patient, {"from": stranger})

    register(word(sequence=2), by=fresh_account)
    revoke(LAST_SEQUENCE, by=fresh_account)
    assert stored() == tombstone(word(), LAST_SEQUENCE)


# -- to overtake, and to close for good -------------------------------------------------------------------------


@pytest.mark.spec("E14")
@pytest.mark.parametrize("case", ["ahead", "never registered", "revoked", "closing"])
def test_delegate_for_revoking_ends_what_stands_and_no_more(
    delegate_to, delegations, register, revoke, word, patient, delegate, watch, case, form
):
    every = Scope.ALL.value
    sequence, device = {"ahead": (3, None), "never registered": (1, watch), "revoked": (3, None)}.get(case, (0, None))
    if case == "revoked":
        revoke(2)
    if case == "closing":
        revoke(LAST_SEQUENCE - 2)
        register(word(sequence=LAST_SEQUENCE - 1))
        sequence = LAST_SEQUENCE
    named = {} if device is None else {"device": device}
    for number, missing in enumerate((0, *(scope.value for scope in Scope if scope and scope != Scope.ALL)), start=1):
        scopes = REVOKE if missing == 0 else every ^ missing
        delegate_to(delegate, scopes, sequence=number)
        expected = ("DelegateScopeMissing", patient.address, delegate.address, every)
        with reverts(*(expected if form == DIRECT else ("SignatureInvalid", patient.address))):
            revoke(sequence, by=delegate, form=form, dry=True, **named)
    delegate_to(delegate, every, sequence=number + 1)

    tx = revoke(sequence, by=delegate, form=form, **named)
    assert tx.events["DelegateActed"]["scope"] == every


@pytest.mark.spec("E14")
def test_delegate_for_revoking_ends_what_has_ended_by_itself(
    delegate_to, register, revoke, stored, word, delegate, watch, now, form
):
    ended = word(valid_from=now - timedelta(days=2), valid_until=now - timedelta(days=1))
    register(ended, watch)
    delegate_to(delegate, REVOKE)

    revoke(2, watch, by=delegate, form=form)
    assert stored(watch) == tombstone(ended, 2)


@pytest.mark.spec("E3", "E13")
def test_delegate_for_granting_registers_anew_what_was_revoked(delegate_to, register, revoke, stored, word, delegate):
    revoke(2)
    delegate_to(delegate, GRANT)

    register(word(sequence=3), by=delegate)
    assert stored() == word(sequence=3)

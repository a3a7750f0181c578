"""Who takes part: opting in and out, sent or signed, by the subject and its delegates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from eth_abi import encode

from medproof.policy.delegation import DelegateKind, Delegation, Scope, encode_delegation
from tests.support.fixtures import DAY, NOBODY
from tests.support.research import CLOSED, DIRECT, OVER, SIGNED, UNKNOWN, WITHDRAWN, shown
from tests.support.reverts import reverts

LAST = 65535
IN = 1 << 16
GRANT, REVOKE = Scope.GRANT.value, Scope.REVOKE.value
SCOPES = {"optIn": GRANT, "optOut": REVOKE}


@pytest.fixture
def delegate_to(delegations, patient, chain):
    """Give a delegation of the patient's."""
    now = datetime.fromtimestamp(chain.time(), tz=UTC).replace(second=0, microsecond=0)

    def given(account, scopes):
        delegation = Delegation(
            kind=DelegateKind.STEWARD,
            scopes=Scope(scopes),
            valid_from=now - timedelta(hours=1),
            valid_until=now + timedelta(days=30),
            delegator=patient.address,
            sequence=1,
        )
        word = encode_delegation(delegation)
        return delegations.setDelegation(patient, account, word, 0, b"", {"from": patient})

    return given


@pytest.mark.spec("T13", "T14", "T21")
def test_subject_opts_in(studies, study, desk, patient, second_patient, form):
    tx = desk.choose("optIn", study, patient, 1, form=form)

    assert studies.choiceOf(study.id, patient) == 1 | IN | tx.timestamp << 17
    assert studies.choiceOf(study.id, second_patient) == 0
    said = {"study": shown(study.id), "subject": patient, "sequence": 1}
    assert [(event.name, dict(event)) for event in tx.events] == [("OptedIn", said)]


@pytest.mark.spec("T14", "T16", "T21")
def test_subject_opts_out(studies, study, desk, patient, form):
    before = desk.choose("optIn", study, patient, 1).timestamp

    tx = desk.choose("optOut", study, patient, 2, form=form)

    assert studies.choiceOf(study.id, patient) == 2 | tx.timestamp << 17 | before << 57
    said = {"study": shown(study.id), "subject": patient, "sequence": 2}
    assert [(event.name, dict(event)) for event in tx.events] == [("OptedOut", said)]


@pytest.mark.spec("T14")
def test_choice_is_about_one_study(studies, registered, desk, patient):
    first, second = registered(), registered(protocol=b"\x01" * 32)
    desk.choose("optIn", first, patient, 1)

    assert studies.choiceOf(second.id, patient) == 0
    desk.choose("optIn", second, patient, 1, form=SIGNED)


@pytest.mark.spec("T13")
def test_subject_opts_in_before_the_first_day(registered, desk, patient, today):
    desk.choose("optIn", registered(first_day=today + 7), patient, 1)


@pytest.mark.spec("T13")
def test_nobody_opts_in_to_what_is_no_study(defined, desk, patient):
    study = defined()

    with reverts("StudyNotReady", study.id, UNKNOWN):
        desk.choose("optIn", study, patient, 1, dry=True)


@pytest.mark.spec("T13", "T16")
def test_after_the_end_subjects_only_opt_out(
    studies, study, desk, patient, second_patient, researcher, admin, today, chain
):
    desk.choose("optIn", study, patient, 1)
    chain.snapshot()
    for end, state in (
        (lambda: chain.mine(timestamp=(today + 31) * DAY), OVER),
        (lambda: studies.close(study.id, {"from": researcher}), CLOSED),
        (lambda: studies.withdrawApproval(study.id, {"from": admin}), WITHDRAWN),
    ):
        end()
        with reverts("StudyNotReady", study.id, state):
            desk.choose("optIn", study, second_patient, 1, dry=True)
        desk.choose("optOut", study, patient, 2, form=SIGNED, dry=True)
        chain.revert()


@pytest.mark.spec("T16")
def test_opting_out_needs_no_study(studies, defined, registered, desk, patient):
    study = defined()

    desk.choose("optOut", study, patient, 5)

    registered()
    with reverts("ChoiceStale", 5, 1):
        desk.choose("optIn", study, patient, 1, dry=True)
    desk.choose("optIn", study, patient, 6)
    assert studies.choiceOf(study.id, patient) & (IN | LAST) == IN | 6


@pytest.mark.spec("T15")
@pytest.mark.parametrize("sequence", [0, 2, LAST])
@pytest.mark.parametrize("form", [DIRECT, SIGNED])
def test_opting_in_carries_the_next_sequence(study, desk, patient, sequence, form):
    with reverts("ChoiceStale", 0, sequence):
        desk.choose("optIn", study, patient, sequence, form=form, dry=True)


@pytest.mark.spec("T15", "T16")
def test_opting_out_overtakes_what_was_signed_before(study, desk, patient, sign, relayer, studies):
    deadline = desk.deadline()
    signature = sign(patient, desk.opting_in(study, patient, 1, deadline))
    given = (patient, study.id, 1, deadline, signature)
    studies.optIn.call(*given, {"from": relayer})

    desk.choose("optOut", study, patient, 9)

    for sequence in (1, 9):
        with reverts("ChoiceStale", 9, sequence):
            desk.choose("optIn", study, patient, sequence, dry=True)
        with reverts("ChoiceStale", 9, sequence):
            desk.choose("optOut", study, patient, sequence, dry=True)
    with reverts("ChoiceStale", 9, 1):
        studies.optIn.call(*given, {"from": relayer})
    desk.choose("optIn", study, patient, 10, dry=True)


@pytest.mark.spec("T15")
def test_last_sequence_closes_a_choice_for_good(studies, study, desk, patient):
    desk.choose("optIn", study, patient, 1)
    desk.choose("optOut", study, patient, LAST)

    for function in ("optIn", "optOut"):
        with reverts("ChoiceStale", LAST, LAST):
            desk.choose(function, study, patient, LAST, dry=True)
    assert studies.choiceOf(study.id, patient) & (IN | LAST) == LAST


@pytest.mark.spec("T15")
@pytest.mark.parametrize("function", SCOPES)
def test_sequence_does_not_wrap_around(studies, study, patient, function, web3):
    """Not even in calldata that no compiler writes."""
    kinds = ["address", "bytes32", "uint256", "uint256", "bytes"]
    selector = bytes.fromhex(getattr(studies, function).signature[2:])
    for sequence, refused in ((1, False), (LAST + 2, True), (1 << 255 | 1, True)):
        data = selector + encode(kinds, [patient.address, study.id, sequence, 0, b""])
        call = {"from": patient.address, "to": studies.address, "data": data}
        if refused:
            with pytest.raises(Exception, match="revert"):
                web3.eth.call(call)
        else:
            web3.eth.call(call)


@pytest.mark.spec("T15")
def test_next_to_last_sequence_still_opts_in(study, desk, patient):
    desk.choose("optOut", study, patient, LAST - 2)
    desk.choose("optIn", study, patient, LAST - 1)
    desk.choose("optOut", study, patient, LAST)


@pytest.mark.spec("T17")
def test_same_choice_again_keeps_its_time(studies, study, desk, patient, chain):
    first = desk.choose("optIn", study, patient, 1).timestamp
    chain.sleep(100)

    tx = desk.choose("optIn", study, patient, 2)

    assert tx.timestamp > first
    assert studies.choiceOf(study.id, patient) == 2 | IN | first << 17
    assert tx.events["OptedIn"]["sequence"] == 2


@pytest.mark.spec("T17")
def test_five_changes_are_kept(studies, study, desk, patient, chain):
    times = []
    for sequence in range(1, 8):
        chain.sleep(10)
        times.append(desk.choose("optIn" if sequence % 2 else "optOut", study, patient, sequence).timestamp)

    kept = sum(time << 17 + 40 * place for place, time in enumerate(reversed(times[-5:])))
    assert studies.choiceOf(study.id, patient) == 7 | IN | kept


@pytest.mark.spec("T18")
@pytest.mark.parametrize("function", SCOPES)
def test_delegate_acts_by_its_scope_and_is_named(studies, study, desk, delegate_to, patient, delegate, function, form):
    delegate_to(delegate, SCOPES[function])
    if function == "optOut":
        desk.choose("optIn", study, patient, 1)

    tx = desk.choose(function, study, patient, 1 + (function == "optOut"), by=delegate, form=form)

    assert [event.name for event in tx.events] == [
        "DelegateActed",
        {"optIn": "OptedIn", "optOut": "OptedOut"}[function],
    ]
    assert dict(tx.events["DelegateActed"]) == {"subject": patient, "delegate": delegate, "scope": SCOPES[function]}
    assert bool(studies.choiceOf(study.id, patient) & IN) == (function == "optIn")


@pytest.mark.spec("T18")
@pytest.mark.parametrize("function", SCOPES)
@pytest.mark.parametrize("form", [DIRECT, SIGNED])
def test_no_other_scope_stands_in(study, desk, delegate_to, patient, delegate, function, form):
    delegate_to(delegate, Scope.ALL.value ^ SCOPES[function])
    if function == "optOut":
        desk.choose("optIn", study, patient, 1)
    named = (patient.address, delegate.address, SCOPES[function]) if form == DIRECT else (patient.address,)

    with reverts("DelegateScopeMissing" if form == DIRECT else "SignatureInvalid", *named):
        desk.choose(function, study, patient, 1 + (function == "optOut"), by=delegate, form=form, dry=True)


@pytest.mark.spec("T18")
@pytest.mark.parametrize(("opted_in", "sequence"), [(True, 3), (True, LAST), (False, 1)])
def test_delegate_overtakes_with_every_scope_alone(
    study, desk, delegate_to, patient, delegate, stranger, opted_in, sequence
):
    """To skip a sequence, to close for good, and to speak before the subject did."""
    delegate_to(delegate, REVOKE)
    delegate_to(stranger, Scope.ALL.value)
    if opted_in:
        desk.choose("optIn", study, patient, 1)

    with reverts("DelegateScopeMissing", patient.address, delegate.address, Scope.ALL.value):
        desk.choose("optOut", study, patient, sequence, by=delegate, dry=True)
    desk.choose("optOut", study, patient, sequence, by=stranger, dry=True)


@pytest.mark.spec("T14")
@pytest.mark.parametrize("function", SCOPES)
@pytest.mark.parametrize("who", ["researcher", "clinic", "stranger", "admin"])
def test_nobody_else_chooses_for_a_subject(study, desk, patient, request, function, who):
    account = request.getfixturevalue(who)
    desk.choose("optIn", study, patient, 1)
    scope = SCOPES[function]

    with reverts("DelegateScopeMissing", patient.address, account.address, scope):
        desk.choose(function, study, patient, 2, by=account, dry=True)
    with reverts("SignatureInvalid", patient.address):
        desk.choose(function, study, patient, 2, by=account, form=SIGNED, dry=True)


@pytest.mark.spec("T14")
def test_nobody_is_no_subject(studies, study, relayer, desk):
    for function in ("optIn", "optOut"):
        with reverts("SignatureInvalid", NOBODY):
            getattr(studies, function).call(NOBODY, study.id, 1, desk.deadline(), bytes(65), {"from": relayer})


@pytest.mark.spec("T21")
def test_relay_takes_many_and_skips_one_that_fails(
    studies, study, desk, patient, second_patient, stranger, sign, relayer
):
    deadline = desk.deadline()
    calls = []
    for subject, sequence in ((patient, 1), (second_patient, 7), (stranger, 1)):
        signature = sign(subject, desk.opting_in(study, subject, sequence, deadline))
        calls.append(studies.optIn.encode_input(subject, study.id, sequence, deadline, signature))

    tx = studies.relay(calls, 200_000, {"from": relayer})

    assert tx.return_value == 1
    assert [event.name for event in tx.events] == ["OptedIn", "CallSkipped", "OptedIn"]
    assert studies.choiceOf(study.id, second_patient) == 0

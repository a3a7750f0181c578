"""Who is paid for an accepted answer, where to, and never twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from medproof.messages import Domain
from medproof.policy.delegation import DelegateKind, Delegation, Scope, encode_delegation
from tests.support.fixtures import NOBODY
from tests.support.research import DIRECT, SIGNED, SUBJECTS, shown
from tests.support.reverts import reverts
from tests.unit.Incentives.conftest import PAYMENT

# -- custodians -------------------------------------------------------------------------------------------------


@pytest.mark.spec("I10", "I12")
def test_custodian_is_paid_where_it_says(incentives, accepted, answer, world, clinic, purse, token, escrow, form):
    one, result = accepted(), world.results[0]

    tx = answer(one, clinic, purse, form=form)

    assert token.balanceOf(purse) == PAYMENT
    assert escrow(one) == (9 * PAYMENT, 0)
    assert incentives.isPaid(one.id, result.id, clinic) is True
    assert [event.name for event in tx.events] == ["BountyPaid", "Transfer"]
    said = {"bounty": shown(one.id), "answer": shown(result.id), "payee": clinic, "to": purse, "amount": PAYMENT}
    assert dict(tx.events["BountyPaid"]) == said


@pytest.mark.spec("I12")
def test_custodian_is_paid_once(accepted, answer, clinic, purse, stranger, form, world):
    one = accepted()
    answer(one, clinic, purse)

    with reverts("PaidAlready", one.id, world.results[0].id, clinic.address):
        answer(one, clinic, stranger, form=form, dry=True)


@pytest.mark.spec("I10")
@pytest.mark.parametrize("who", ["second_clinic", "researcher", "funder", "stranger", "patient"])
def test_nobody_else_claims_for_a_custodian(accepted, answer, clinic, purse, request, who):
    one, account = accepted(), request.getfixturevalue(who)

    with reverts("StepNotYours", clinic.address, account.address):
        answer(one, account, purse, dry=True)
    with reverts("SignatureInvalid", clinic.address):
        answer(one, account, purse, form=SIGNED, dry=True)


@pytest.mark.spec("I10")
def test_only_accepted_answers_are_paid(accepted, funded, till, answer, world, clinic, second_clinic, purse):
    unaccepted = funded(payment=PAYMENT - 1)
    with reverts("AnswerNotAccepted", unaccepted.id, world.results[0].id):
        answer(unaccepted, clinic, purse, dry=True)
    one = accepted()
    forged = world.results[0]._replace(custodian=second_clinic.address)
    for wrong in (world.results[1], forged):
        with reverts("AnswerNotAccepted", one.id, wrong.id):
            till.claim_answer(one, wrong, purse, second_clinic, dry=True)
    richer = one._replace(payment=10 * PAYMENT)
    with reverts("AnswerNotAccepted", richer.id, world.results[0].id):
        answer(richer, clinic, purse, dry=True)


@pytest.mark.spec("I10")
def test_custodian_claims_while_it_is_active(accepted, answer, registrar, clinic, admin, purse, form):
    one = accepted()
    registrar.suspend(clinic, {"from": admin})
    with reverts("StepNotYours", clinic.address, clinic.address):
        answer(one, clinic, purse, form=form, dry=True)
    registrar.reinstate(clinic, {"from": admin})

    answer(one, clinic, purse, form=form, dry=True)


@pytest.mark.spec("I10")
def test_present_account_of_a_custodian_claims(accepted, answer, registrar, clinic, fresh_account, purse, form):
    one = accepted()
    registrar.offerAccount(fresh_account, {"from": clinic})
    registrar.takeAccount(clinic, {"from": fresh_account})

    with reverts(*{
        DIRECT: ("StepNotYours", clinic.address, clinic.address),
        SIGNED: ("SignatureInvalid", fresh_account.address),
    }[form]):  # fmt: skip
        answer(one, clinic, purse, form=form, dry=True)
    answer(one, fresh_account, purse, form=form, dry=True)


# -- subjects ---------------------------------------------------------------------------------------------------


@pytest.mark.spec("I11", "I12")
def test_each_subject_of_the_cohort_is_paid_where_it_says(
    incentives, paying_subjects, share, world, purse, token, escrow, form
):
    for count, subject in enumerate(world.people, start=1):
        tx = share(paying_subjects, subject, purse, form=form)

        assert token.balanceOf(purse) == count * PAYMENT
        assert escrow(paying_subjects) == (7 * PAYMENT, (3 - count) * PAYMENT)
        said = dict(tx.events["BountyPaid"])
        assert (said["payee"], said["to"], said["answer"]) == (subject, purse, shown(world.cohort.id))
        assert incentives.isPaid(paying_subjects.id, world.cohort.id, subject) is True
        with reverts("PaidAlready", paying_subjects.id, world.cohort.id, subject.address):
            share(paying_subjects, subject, subject, form=form, dry=True)


@pytest.mark.spec("I12")
def test_subject_that_stands_twice_in_a_cohort_is_paid_once(
    world, studies, researcher, clinic, funded, till, funder, patient, purse
):
    cohort, log = world.desk.fix(world.study, [patient, patient], researcher)
    result = world.desk.publish(world.study, cohort, clinic, researcher)
    one = funded(payee=SUBJECTS)
    till.accept(one, cohort, result, funder)
    till.claim_share(one, cohort, patient, (0, log.inclusion_proof(0)), purse)

    with reverts("PaidAlready", one.id, cohort.id, patient.address):
        till.claim_share(one, cohort, patient, (1, log.inclusion_proof(1)), purse, dry=True)


@pytest.mark.spec("I11")
def test_who_does_not_stand_at_the_place_is_paid_nothing(
    paying_subjects, till, world, stranger, patient, second_patient, purse
):
    place = world.places[patient]
    for subject, wrong in ((stranger, place), (second_patient, place), (patient, (1, place[1])), (patient, (0, []))):
        with reverts("SubjectNotInCohort", world.cohort.id, subject.address):
            till.claim_share(paying_subjects, world.cohort, subject, wrong, purse, dry=True)


@pytest.mark.spec("I11")
def test_who_had_opted_out_when_the_cohort_was_fixed_is_paid_nothing(
    world, researcher, clinic, funded, till, funder, patient, second_patient, purse, chain
):
    desk = world.desk
    desk.choose("optOut", world.study, patient, 2)
    cohort, log = desk.fix(world.study, [patient, second_patient], researcher)
    result = desk.publish(world.study, cohort, clinic, researcher)
    one = funded(payee=SUBJECTS)
    till.accept(one, cohort, result, funder)
    chain.sleep(5)
    desk.choose("optOut", world.study, second_patient, 2)

    with reverts("SubjectNotInCohort", cohort.id, patient.address):
        till.claim_share(one, cohort, patient, (0, log.inclusion_proof(0)), purse, dry=True)
    till.claim_share(one, cohort, second_patient, (1, log.inclusion_proof(1)), purse)  # its data were used


@pytest.mark.spec("I10", "I11")
def test_custodians_and_subjects_are_paid_by_bounties_of_their_own(
    accepted, paying_subjects, share, answer, world, patient, clinic, purse
):
    for_custodians = accepted()

    with reverts("AnswerNotAccepted", for_custodians.id, world.cohort.id):
        share(for_custodians, patient, purse, dry=True)
    with reverts("AnswerNotAccepted", paying_subjects.id, world.results[0].id):
        answer(paying_subjects, clinic, purse, dry=True)


@pytest.mark.spec("I11")
@pytest.mark.parametrize("who", ["researcher", "clinic", "funder", "stranger", "second_patient"])
def test_nobody_else_claims_for_a_subject(paying_subjects, share, patient, purse, request, who):
    account = request.getfixturevalue(who)

    with reverts("DelegateScopeMissing", patient.address, account.address, Scope.ALL.value):
        share(paying_subjects, patient, purse, by=account, dry=True)
    with reverts("SignatureInvalid", patient.address):
        share(paying_subjects, patient, purse, by=account, form=SIGNED, dry=True)


@pytest.mark.spec("I11")
def test_delegate_claims_with_every_scope_alone(
    paying_subjects, share, delegations, patient, stranger, purse, chain, form
):
    """A successor; not a guardian who may grant, revoke and view."""
    now = datetime.fromtimestamp(chain.time(), tz=UTC).replace(second=0, microsecond=0)

    def delegate(scopes, sequence):
        delegation = Delegation(
            kind=DelegateKind.STEWARD,
            scopes=scopes,
            valid_from=now - timedelta(hours=1),
            valid_until=now + timedelta(days=30),
            delegator=patient.address,
            sequence=sequence,
        )
        delegations.setDelegation(patient, stranger, encode_delegation(delegation), 0, b"", {"from": patient})

    delegate(Scope.GRANT | Scope.REVOKE | Scope.VIEW, 1)
    with reverts(*{
        DIRECT: ("DelegateScopeMissing", patient.address, stranger.address, Scope.ALL.value),
        SIGNED: ("SignatureInvalid", patient.address),
    }[form]):  # fmt: skip
        share(paying_subjects, patient, purse, by=stranger, form=form, dry=True)
    delegate(Scope.ALL, 2)

    tx = share(paying_subjects, patient, purse, by=stranger, form=form)

    assert [event.name for event in tx.events] == ["DelegateActed", "BountyPaid", "Transfer"]
    assert tx.events["BountyPaid"]["payee"] == patient


# -- signatures -------------------------------------------------------------------------------------------------


@pytest.mark.spec("I13", "I14")
def test_copied_claim_pays_whom_its_author_named(
    incentives, paying_subjects, till, world, patient, purse, stranger, sign, token
):
    """Whoever sees it in a waiting transaction can send it first, and gains nothing."""
    deadline = till.deadline()
    signature = sign(patient, till.claiming(paying_subjects, world.cohort.id, patient, purse, deadline))
    given = (paying_subjects, world.cohort, patient, *world.places[patient])
    with reverts("SignatureInvalid", patient.address):
        incentives.claimShare.call(*given, stranger, deadline, signature, {"from": stranger})

    incentives.claimShare(*given, purse, deadline, signature, {"from": stranger})

    assert (token.balanceOf(purse), token.balanceOf(stranger)) == (PAYMENT, 0)
    with reverts("PaidAlready", paying_subjects.id, world.cohort.id, patient.address):
        incentives.claimShare.call(*given, purse, deadline, signature, {"from": stranger})


@pytest.mark.spec("I14")
@pytest.mark.parametrize("kind", ["subject", "custodian"])
def test_signature_counts_for_what_it_says_alone(
    incentives, accepted, till, world, patient, clinic, purse, relayer, sign, chain, registrar, stranger, kind,
):  # fmt: skip
    deadline = till.deadline()
    if kind == "subject":
        bounty, answer, payee = accepted(SUBJECTS), world.cohort.id, patient
        call, given = incentives.claimShare.call, (bounty, world.cohort, patient, *world.places[patient])
    else:
        bounty, answer, payee = accepted(), world.results[0].id, clinic
        call, given = incentives.claimAnswer.call, (bounty, world.results[0])
    said = (bounty, answer, payee, purse, deadline)
    signature = sign(payee, till.claiming(*said))
    call(*given, purse, deadline, signature, {"from": relayer})
    for lie in (
        {"bounty": b"\x01" * 32},
        {"study": b"\x01" * 32},
        {"answer": b"\x01" * 32},
        {"payee": stranger.address},
        {"token": stranger.address},
        {"payment": PAYMENT + 1},
        {"to": stranger.address},
        {"deadline": deadline + 1},
        {"domain": Domain("Incentives", chain.id + 1, incentives.address)},
        {"domain": Domain("Incentives", chain.id, registrar.address)},
        {"domain": Domain("Studies", chain.id, incentives.address)},
    ):
        with reverts("SignatureInvalid", payee.address):
            call(*given, purse, deadline, sign(payee, till.claiming(*said, **lie)), {"from": relayer})
    chain.mine(timestamp=deadline + 1)
    with reverts("MessageExpired", deadline, deadline + 1):
        call(*given, purse, deadline, signature, {"from": relayer})


@pytest.mark.spec("I13")
def test_payment_goes_to_somebody(accepted, paying_subjects, answer, share, clinic, patient, incentives):
    for_custodians = accepted()
    for to in (NOBODY, incentives.address):
        with reverts("ReceiverNotPossible", to):
            answer(for_custodians, clinic, to, dry=True)
        with reverts("ReceiverNotPossible", to):
            share(paying_subjects, patient, to, dry=True)


@pytest.mark.spec("I16")
def test_relay_pays_many_and_skips_one_that_fails(
    incentives, paying_subjects, till, world, sign, relayer, purse, token, stranger
):
    deadline, calls = till.deadline(), []
    for signer, subject in zip([stranger, *world.people[1:]], world.people, strict=True):
        signature = sign(signer, till.claiming(paying_subjects, world.cohort.id, subject, purse, deadline))
        given = (paying_subjects, world.cohort, subject, *world.places[subject], purse, deadline, signature)
        calls.append(incentives.claimShare.encode_input(*given))

    tx = incentives.relay(calls, 500_000, {"from": relayer})

    assert tx.return_value == 1
    assert token.balanceOf(purse) == 2 * PAYMENT

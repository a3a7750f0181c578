"""Which answers are paid for: those that the funder accepts."""

from __future__ import annotations

import pytest

from medproof.messages import Domain
from tests.support.research import CLAIM_PERIOD, SIGNED, SUBJECTS, Result, shown
from tests.support.reverts import reverts
from tests.unit.Incentives.conftest import PAYMENT


@pytest.fixture
def of_another_study(world, studies, researcher, clinic):
    """A cohort and a result of another study of the same people."""
    study = world.study._replace(protocol=b"\x01" * 32)
    studies.register(study, {"from": researcher})
    cohort, _ = world.desk.fix(study, world.people, researcher)
    return cohort, world.desk.publish(study, cohort, clinic, researcher)


@pytest.mark.spec("I8", "I9")
def test_funder_accepts_an_answer(incentives, funded, till, world, funder, escrow, form):
    one, result = funded(), world.results[0]

    tx = till.accept(one, world.cohort, result, funder, form=form)

    assert incentives.isAccepted(one.id, result.id) is True
    assert escrow(one) == (9 * PAYMENT, PAYMENT)
    said = {"bounty": shown(one.id), "answer": shown(result.id), "result": shown(result.id), "due": PAYMENT}
    assert [(event.name, dict(event)) for event in tx.events] == [("ResultAccepted", said)]


@pytest.mark.spec("I8", "I9")
def test_where_subjects_are_paid_the_answer_is_the_cohort(incentives, funded, till, world, funder, escrow, form):
    one, result = funded(payee=SUBJECTS), world.results[0]

    tx = till.accept(one, world.cohort, result, funder, form=form)

    assert incentives.isAccepted(one.id, world.cohort.id) is True
    assert incentives.isAccepted(one.id, result.id) is False
    assert escrow(one) == (7 * PAYMENT, 3 * PAYMENT)
    assert dict(tx.events["ResultAccepted"]) == {
        "bounty": shown(one.id),
        "answer": shown(world.cohort.id),
        "result": shown(result.id),
        "due": 3 * PAYMENT,
    }
    with reverts("AnswerAccepted", one.id, world.cohort.id):
        till.accept(one, world.cohort, world.results[1], funder, dry=True)


@pytest.mark.spec("I8")
def test_answer_is_accepted_once(funded, till, world, funder, form):
    one = funded()
    till.accept(one, world.cohort, world.results[0], funder)

    with reverts("AnswerAccepted", one.id, world.results[0].id):
        till.accept(one, world.cohort, world.results[0], funder, form=form, dry=True)
    till.accept(one, world.cohort, world.results[1], funder, form=form, dry=True)


@pytest.mark.spec("I8")
@pytest.mark.parametrize("who", ["researcher", "clinic", "patient", "stranger", "admin"])
def test_nobody_but_the_funder_accepts(funded, till, world, funder, request, who):
    """Neither the custodian, which would be paid, nor the researcher."""
    one, account = funded(), request.getfixturevalue(who)

    with reverts("FunderRequired", funder.address, account.address):
        till.accept(one, world.cohort, world.results[0], account, dry=True)
    with reverts("SignatureInvalid", funder.address):
        till.accept(one, world.cohort, world.results[0], account, form=SIGNED, dry=True)


@pytest.mark.spec("I8")
def test_who_names_itself_the_funder_has_another_bounty(funded, till, world, stranger):
    own = funded()._replace(funder=stranger.address)

    with reverts("BountyShort", own.id, PAYMENT, 0):
        till.accept(own, world.cohort, world.results[0], stranger, dry=True)


@pytest.mark.spec("I8")
def test_only_published_results_of_the_study_are_accepted(funded, till, world, funder, of_another_study):
    one, cohort, result = funded(), world.cohort, world.results[0]
    other_cohort, other_result = of_another_study
    smaller = cohort._replace(size=2)
    for given, said in (
        (cohort, result._replace(commitment=b"\x01" * 32)),
        (cohort, result._replace(custodian=funder.address)),
        (smaller, result),
        (smaller, Result(smaller.id, result.custodian, result.commitment)),
        (other_cohort, other_result),
        (cohort, other_result),
        (other_cohort._replace(study=cohort.study), other_result),
    ):
        with reverts("ResultUnknown", one.study, said.id):
            till.accept(one, given, said, funder, dry=True)


@pytest.mark.spec("I9")
def test_bounty_promises_no_more_than_it_has(funded, till, world, funder):
    one = funded(2 * PAYMENT - 1)
    till.accept(one, world.cohort, world.results[0], funder)

    with reverts("BountyShort", one.id, PAYMENT, PAYMENT - 1):
        till.accept(one, world.cohort, world.results[1], funder, dry=True)
    for_subjects = funded(3 * PAYMENT - 1, payee=SUBJECTS)
    with reverts("BountyShort", for_subjects.id, 3 * PAYMENT, 3 * PAYMENT - 1):
        till.accept(for_subjects, world.cohort, world.results[0], funder, dry=True)


@pytest.mark.spec("I9")
def test_largest_payment_times_the_largest_cohort_does_not_wrap_around(
    funded, till, world, funder, studies, researcher, clinic
):
    cohort = world.cohort._replace(size=2**32 - 1)
    studies.fixCohort(cohort, {"from": researcher})
    result = world.desk.publish(world.study, cohort, clinic, researcher)
    one = funded(payee=SUBJECTS, payment=2**128 - 1)

    with reverts("BountyShort", one.id, (2**128 - 1) * (2**32 - 1), 10 * PAYMENT):
        till.accept(one, cohort, result, funder, dry=True)


@pytest.mark.spec("I8")
def test_results_are_accepted_up_to_the_bountys_time(funded, till, world, funder, until, chain, form):
    one = funded()
    chain.mine(timestamp=until)
    till.accept(one, world.cohort, world.results[0], funder, form=form, dry=True)
    chain.mine(timestamp=until + 1)

    with reverts("AcceptanceOver", one.id, until):
        till.accept(one, world.cohort, world.results[0], funder, form=form, dry=True)


@pytest.mark.spec("I8", "I10")
def test_what_was_published_is_payable_whatever_becomes_of_study_and_researcher(
    funded, till, world, funder, studies, registrar, researcher, clinic, admin, purse, token
):
    one = funded()
    registrar.suspend(researcher, {"from": admin})
    studies.withdrawApproval(world.study.id, {"from": admin})

    till.accept(one, world.cohort, world.results[0], funder)
    till.claim_answer(one, world.results[0], purse, clinic)

    assert token.balanceOf(purse) == PAYMENT


@pytest.mark.spec("I14")
def test_signature_counts_for_what_it_says_alone(
    incentives, funded, till, world, funder, sign, relayer, chain, registrar
):
    one, result, deadline = funded(), world.results[0], till.deadline()

    def call(signature):
        return incentives.accept.call(one, world.cohort, result, deadline, signature, {"from": relayer})

    signature = sign(funder, till.accepting(one, result, deadline))
    call(signature)
    domains = (
        Domain("Incentives", chain.id + 1, incentives.address),
        Domain("Incentives", chain.id, registrar.address),
        Domain("Studies", chain.id, incentives.address),
    )
    for lie in (
        till.accepting(one, world.results[1], deadline),
        till.accepting(one._replace(payment=1), result, deadline),
        till.accepting(one, result, deadline + 1),
        *(till.accepting(one, result, deadline, domain=domain) for domain in domains),
    ):
        with reverts("SignatureInvalid", funder.address):
            call(sign(funder, lie))
    chain.mine(timestamp=deadline + 1)
    with reverts("MessageExpired", deadline, deadline + 1):
        call(signature)


@pytest.mark.spec("I14")
def test_contract_wallet_funds_and_signs(
    incentives, ContractWallet, bounty, token, till, world, funder, relayer, sign, escrow,  # noqa: N803
):  # fmt: skip
    wallet = ContractWallet.deploy(funder, {"from": relayer})
    one = bounty(funder=wallet.address)
    token.mint(wallet, PAYMENT, {"from": relayer})
    wallet.execute(token, token.approve.encode_input(incentives, PAYMENT), {"from": relayer})
    wallet.execute(incentives, incentives.fund.encode_input(one, PAYMENT), {"from": relayer})
    deadline = till.deadline()

    signature = sign(funder, till.accepting(one, world.results[0], deadline))
    incentives.accept(one, world.cohort, world.results[0], deadline, signature, {"from": relayer})

    assert escrow(one) == (0, PAYMENT)


@pytest.mark.spec("I12")
def test_time_to_claim_runs_from_the_bountys_time(accepted, answer, clinic, purse, until, chain, form):
    one = accepted()
    chain.mine(timestamp=until + CLAIM_PERIOD)
    answer(one, clinic, purse, form=form, dry=True)
    chain.mine(timestamp=until + CLAIM_PERIOD + 1)

    with reverts("ClaimLate", one.id, until + CLAIM_PERIOD):
        answer(one, clinic, purse, form=form, dry=True)

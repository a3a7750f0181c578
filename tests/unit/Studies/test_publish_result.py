"""Results: a custodian signs its answer over a fixed cohort, and the researcher publishes it."""

from __future__ import annotations

import pytest

from medproof.messages import Domain
from tests.support.fixtures import DAY
from tests.support.research import ANSWER, CLOSED, WITHDRAWN, Cohort, Result, shown
from tests.support.reverts import reverts

ROOT = b"\x71" * 32


@pytest.fixture
def cohort(studies, study, desk, researcher):
    """A fixed cohort."""
    found = Cohort(study.id, ROOT, 3, *desk.block())
    studies.fixCohort(found, {"from": researcher})
    return found


@pytest.fixture
def result(cohort, clinic):
    """The clinic's answer."""
    return Result(cohort.id, clinic.address, ANSWER)


@pytest.fixture
def signature(desk, study, result, sign, clinic, deadline):
    return sign(clinic, desk.answering(study, result, deadline))


@pytest.fixture
def call(studies, researcher, deadline):
    """Ask whether a result could be published."""

    def asked(study, cohort, result, signature, *, by=researcher, until=deadline):
        return studies.publishResult.call(study, cohort, result, until, signature, {"from": by})

    return asked


@pytest.mark.spec("T28")
def test_result_is_published_by_both(studies, study, cohort, result, signature, deadline, researcher, clinic):
    assert studies.resultAt(result.id) == 0

    tx = studies.publishResult(study, cohort, result, deadline, signature, {"from": researcher})

    assert tx.return_value == shown(result.id) == studies.resultId(result)
    assert studies.resultAt(result.id) == tx.timestamp
    said = {"study": shown(study.id), "cohort": shown(cohort.id), "custodian": clinic, "commitment": shown(ANSWER)}
    assert [(event.name, dict(event)) for event in tx.events] == [("ResultPublished", said)]


@pytest.mark.spec("T28")
def test_result_is_published_once(
    studies, study, cohort, result, signature, deadline, researcher, call, desk, sign, clinic
):
    studies.publishResult(study, cohort, result, deadline, signature, {"from": researcher})

    with reverts("ResultExists", result.id):
        call(study, cohort, result, signature)
    further = result._replace(commitment=b"\x64" * 32)
    call(study, cohort, further, sign(clinic, desk.answering(study, further, deadline)))


@pytest.mark.spec("T28")
@pytest.mark.parametrize("who", ["clinic", "stranger", "second_researcher", "admin"])
def test_custodian_publishes_nothing_alone(study, cohort, result, signature, call, request, who):
    account = request.getfixturevalue(who)

    with reverts("ResearcherRequired", account.address):
        call(study, cohort, result, signature, by=account)


@pytest.mark.spec("T28")
def test_suspended_researcher_publishes_nothing(study, cohort, result, signature, call, registrar, researcher, admin):
    registrar.suspend(researcher, {"from": admin})

    with reverts("ResearcherRequired", researcher.address):
        call(study, cohort, result, signature)


@pytest.mark.spec("T28", "T29")
def test_researcher_invents_no_answer(
    studies, study, cohort, result, call, desk, sign, researcher, stranger, second_clinic, clinic, deadline, chain,
    registrar,
):  # fmt: skip
    with reverts("StepNotYours", clinic.address, researcher.address):
        call(study, cohort, result, b"")
    altered = result._replace(commitment=b"\x64" * 32)
    shown_for = desk.answering(study, result, deadline)
    for wrong in (
        sign(researcher, shown_for),
        sign(stranger, shown_for),
        sign(second_clinic, shown_for),
        sign(clinic, desk.answering(study, altered, deadline)),
        sign(clinic, desk.answering(study, result, deadline + 1)),
        sign(clinic, desk.answering(study, result._replace(custodian=second_clinic.address), deadline)),
        sign(clinic, desk.answering(study, result._replace(cohort=b"\x65" * 32), deadline)),
        sign(clinic, desk.answering(study._replace(protocol=b"\x66" * 32), result, deadline)),
        *(
            sign(clinic, desk.answering(study, result, deadline, domain=domain))
            for domain in (
                Domain("Studies", chain.id + 1, studies.address),
                Domain("Studies", chain.id, registrar.address),
                Domain("Incentives", chain.id, studies.address),
            )
        ),
    ):
        with reverts("SignatureInvalid", clinic.address):
            call(study, cohort, result, wrong)


@pytest.mark.spec("T29")
def test_signature_counts_up_to_its_deadline(study, cohort, result, signature, call, deadline, chain):
    chain.mine(timestamp=deadline)
    call(study, cohort, result, signature)
    chain.mine(timestamp=deadline + 1)

    with reverts("MessageExpired", deadline, deadline + 1):
        call(study, cohort, result, signature)


@pytest.mark.spec("T29")
def test_custodian_answers_while_it_is_active(study, cohort, result, signature, call, registrar, clinic, admin):
    registrar.suspend(clinic, {"from": admin})

    with reverts("StepNotYours", clinic.address, clinic.address):
        call(study, cohort, result, signature)


@pytest.mark.spec("T29")
def test_custodian_signs_with_its_present_account(
    study, cohort, result, signature, call, registrar, clinic, fresh_account, sign, desk, deadline
):
    registrar.offerAccount(fresh_account, {"from": clinic})
    registrar.takeAccount(clinic, {"from": fresh_account})

    with reverts("SignatureInvalid", fresh_account.address):
        call(study, cohort, result, signature)
    call(study, cohort, result, sign(fresh_account, desk.answering(study, result, deadline)))


@pytest.mark.spec("T28")
def test_only_custodians_of_the_study_answer(study, cohort, result, call, desk, sign, payer, deadline):
    other = result._replace(custodian=payer.address)

    with reverts("CustodianNotNamed", study.id, payer.address):
        call(study, cohort, other, sign(payer, desk.answering(study, other, deadline)))


@pytest.mark.spec("T28")
def test_result_is_of_a_fixed_cohort_of_the_study(
    study, registered, cohort, result, signature, call, desk, clinic, sign, deadline
):
    unfixed = cohort._replace(size=4)
    other = registered(protocol=b"\x01" * 32)
    for of, given, said in (
        (study, unfixed, Result(unfixed.id, clinic.address, ANSWER)),
        (study, unfixed, result),
        (study, cohort, Result(unfixed.id, clinic.address, ANSWER)),
        (other, cohort, result),
        (other, cohort._replace(study=other.id), result),
    ):
        with reverts("CohortUnknown", said.cohort):
            call(of, given, said, sign(clinic, desk.answering(of, said, deadline)))


@pytest.mark.spec("T28")
def test_study_that_was_made_up_has_no_results(study, cohort, result, signature, call, payer):
    """A study with other custodians under the same researcher is another one."""
    forged = study._replace(custodians=(payer.address,))

    with reverts("StudyNotReady", forged.id, 0):
        call(forged, cohort, result, signature)


@pytest.mark.spec("T28")
def test_result_says_something(study, cohort, result, call, desk, sign, clinic, deadline):
    empty = result._replace(commitment=bytes(32))

    with reverts("CommitmentMissing"):
        call(study, cohort, empty, sign(clinic, desk.answering(study, empty, deadline)))


@pytest.mark.spec("T28")
def test_results_follow_the_last_day_and_end_with_the_study(
    studies, study, cohort, result, call, desk, sign, clinic, researcher, admin, today, chain
):
    chain.mine(timestamp=(today + 40) * DAY)
    until = (today + 41) * DAY
    signature = sign(clinic, desk.answering(study, result, until))
    call(study, cohort, result, signature, until=until)

    studies.close(study.id, {"from": researcher})
    with reverts("StudyNotReady", study.id, CLOSED):
        call(study, cohort, result, signature, until=until)
    studies.withdrawApproval(study.id, {"from": admin})
    with reverts("StudyNotReady", study.id, WITHDRAWN):
        call(study, cohort, result, signature, until=until)

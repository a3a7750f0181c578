"""A study with a cohort of three and the answers of two clinics, and a funder with tokens."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.support.bounties import Till
from tests.support.fixtures import DAY
from tests.support.research import CUSTODIAN, DIRECT, ETHICS, PROTOCOL, SIGNED, SUBJECTS, Bounty, Desk, Study, in_full

PAYMENT = 700


@pytest.fixture(scope="session")
def funder(accounts):
    return accounts[14]


@pytest.fixture(scope="session")
def third_patient(accounts):
    return accounts[15]


@pytest.fixture(scope="session")
def purse(accounts):
    """A fresh account that a payee names."""
    return accounts[16]


@pytest.fixture(scope="module")
def token(Token, admin):  # noqa: N803 - Brownie's name
    return Token.deploy({"from": admin})


@pytest.fixture(scope="module")
def world(
    parties, studies, domain_of, sign, relayer, chain, researcher, clinic, second_clinic, patient, second_patient,
    third_patient,
):  # fmt: skip
    """A study, its cohort, and the answers of both clinics."""
    desk = Desk(studies, domain_of(studies), sign, relayer, chain)
    today = chain.time() // DAY
    custodians = tuple(sorted([clinic.address, second_clinic.address], key=str.lower))
    study = Study(researcher.address, in_full(), PROTOCOL, ETHICS, today, today + 30, custodians)
    studies.register(study, {"from": researcher})
    people = [patient, second_patient, third_patient]
    for subject in people:
        desk.choose("optIn", study, subject, 1)
    cohort, log = desk.fix(study, people, researcher)
    results = [desk.publish(study, cohort, custodian, researcher) for custodian in (clinic, second_clinic)]
    places = {subject: (index, log.inclusion_proof(index)) for index, subject in enumerate(people)}
    return SimpleNamespace(desk=desk, study=study, cohort=cohort, results=results, people=people, places=places)


@pytest.fixture
def until(chain):
    """Until when results are accepted."""
    return int(chain[-1].timestamp) + 10 * DAY


@pytest.fixture
def bounty(world, funder, token, until):
    """A bounty for the study's custodians, changed as the keywords say; not funded."""

    def said(**changes):
        terms = {
            "funder": funder.address,
            "study": world.study.id,
            "token": token.address,
            "payee": CUSTODIAN,
            "payment": PAYMENT,
            "accept_until": until,
        }
        return Bounty(**{**terms, **changes})

    return said


@pytest.fixture
def till(incentives, domain_of, sign, relayer, chain):
    return Till(incentives, domain_of(incentives), sign, relayer, chain)


@pytest.fixture
def funded(bounty, till, token, funder):
    """A bounty with tokens for ten payments."""

    def said(amount=10 * PAYMENT, **changes):
        found = bounty(**changes)
        till.fund(token, found, amount, funder)
        return found

    return said


@pytest.fixture
def accepted(funded, till, world, funder):
    """A bounty of which the clinic's answer is accepted."""

    def said(payee=CUSTODIAN, **changes):
        found = funded(payee=payee, **changes)
        till.accept(found, world.cohort, world.results[0], funder)
        return found

    return said


@pytest.fixture
def paying_subjects(accepted):
    """A bounty that pays the cohort's subjects, its answer accepted."""
    return accepted(SUBJECTS)


@pytest.fixture(params=[DIRECT, SIGNED])
def form(request):
    """Both ways to act."""
    return request.param


@pytest.fixture
def escrow(incentives):
    """What is free and what is due of a bounty."""
    return lambda bounty: tuple(incentives.escrowOf(bounty.id))


@pytest.fixture
def share(till, world):
    """Claim a subject's payment: ``share(bounty, subject, to)``."""

    def claimed(bounty, subject, to, **options):
        return till.claim_share(bounty, world.cohort, subject, world.places[subject], to, **options)

    return claimed


@pytest.fixture
def answer(till, world):
    """Claim the clinic's payment: ``answer(bounty, clinic, to)``."""
    return lambda bounty, by, to, **options: till.claim_answer(bounty, world.results[0], to, by, **options)


@pytest.fixture
def guarded(token):
    """Assert that the last call from inside a transfer was refused because the contract was entered already."""

    def check():
        assert token.entered() is False
        assert token.reason() == "0x3ee5aeb5"  # ReentrancyGuardReentrantCall()

    return check

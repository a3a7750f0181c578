"""A study of the researcher's, at the records of two clinics, and those who may take part in it."""

from __future__ import annotations

import pytest

from medproof.policy.codes import Action, Condition, DataClass, Purpose, ResearchUse
from tests.support.fixtures import DAY, RESEARCHER
from tests.support.research import AMONG_OTHERS, DIRECT, ETHICS, PROTOCOL, SIGNED, Desk, Study, in_full


@pytest.fixture(scope="session")
def second_researcher(accounts):
    return accounts[13]


@pytest.fixture(scope="session")
def delegate(accounts):
    return accounts[14]


@pytest.fixture(scope="module")
def accredited(parties, accredit, second_researcher):
    """Everybody, and a second researcher."""
    accredit(second_researcher, RESEARCHER)


@pytest.fixture
def today(chain):
    """Today, in days since 1970: early in the day, so that it stays today."""
    day = chain.time() // DAY + 1
    chain.mine(timestamp=day * DAY + 60)
    return day


@pytest.fixture
def defined(accredited, researcher, clinic, second_clinic, today):
    """A study from today on for a month, changed as the keywords say; not registered."""

    def study(**changes):
        said = {
            "researcher": researcher.address,
            "request": in_full(),
            "protocol": PROTOCOL,
            "ethics": ETHICS,
            "first_day": today,
            "last_day": today + 30,
            "custodians": tuple(sorted([clinic.address, second_clinic.address], key=str.lower)),
            **changes,
        }
        return Study(**said)

    return study


@pytest.fixture
def registered(studies, defined, researcher):
    """Register a study, changed as the keywords say."""

    def study(*, by=researcher, **changes):
        found = defined(**changes)
        studies.register(found, {"from": by})
        return found

    return study


@pytest.fixture
def study(registered):
    """The study."""
    return registered()


@pytest.fixture
def desk(studies, domain_of, sign, relayer, chain):
    return Desk(studies, domain_of(studies), sign, relayer, chain)


@pytest.fixture(params=[DIRECT, SIGNED, AMONG_OTHERS])
def form(request):
    """Sent by its author, signed and sent by a relayer, or that among several."""
    return request.param


@pytest.fixture
def permit(consent_registry, rule_word, researcher):
    """Permit the researcher what the study asks for, and more."""

    def permitted(subject, **changes):
        said = {
            "purposes": Purpose.HRESCH | Purpose.DSRCH,
            "classes": DataClass.ALL,
            "conditions": Condition.ALL,
            "actions": Action.ALL,
            "research": ResearchUse.HMB | ResearchUse.DS | ResearchUse.IRB,
            **changes,
        }
        return consent_registry.setRule(researcher, rule_word(**said), {"from": subject})

    return permitted


@pytest.fixture
def wallet(ContractWallet, second_patient, relayer):  # noqa: N803 - Brownie's name
    """A contract wallet of the second patient."""
    return ContractWallet.deploy(second_patient, {"from": relayer})

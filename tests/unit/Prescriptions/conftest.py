"""Prescriptions of the clinic, and two pharmacies that fill them."""

from __future__ import annotations

import pytest

from tests.support.fixtures import DAY, PHARMACY, SALTED
from tests.support.prescribing import AMONG_OTHERS, DIRECT, NOBODY, SIGNED, Counter, Prescription, Terms


@pytest.fixture(scope="session")
def second_pharmacy(accounts):
    return accounts[13]


@pytest.fixture(scope="module")
def accredited(parties, accredit, second_pharmacy):
    """Everybody, and a second pharmacy."""
    accredit(second_pharmacy, PHARMACY)


@pytest.fixture
def today(chain):
    """Today, in days since 1970."""
    return chain.time() // DAY


@pytest.fixture
def counter(prescriptions, accredited, domain_of, sign, relayer, deadline):
    """Takes the steps of prescriptions, each sent by its owner."""
    return Counter(prescriptions, domain_of(prescriptions), sign, relayer, deadline)


@pytest.fixture(params=[DIRECT, SIGNED, AMONG_OTHERS])
def form(request):
    """A step sent by its owner, signed and sent by a relayer, or that among several."""
    return request.param


@pytest.fixture(params=[DIRECT, SIGNED])
def refused_form(request):
    """As above; several at once wrap what one is refused for."""
    return request.param


@pytest.fixture
def one(clinic, patient):
    """A prescription for the patient."""
    return Prescription(clinic.address, patient.address, SALTED)


@pytest.fixture
def terms(pharmacy, today):
    """Three fills of thirty, within a year."""
    return Terms(pharmacy.address, 3, 30, today + 365)


@pytest.fixture
def issued(counter, one, terms, clinic):
    """The prescription, issued for the pharmacy."""
    counter.issue(one, terms, clinic)
    return one


@pytest.fixture
def batch(counter, terms, clinic):
    """A hundred prescriptions of equal terms."""
    many = Prescription(clinic.address, NOBODY, b"\x33" * 32)
    counter.issue(many, terms.changed(size=100), clinic)
    return many


@pytest.fixture
def wait(chain):
    """Let days pass."""

    def waited(days):
        chain.sleep(days * DAY)
        chain.mine()

    return waited


@pytest.fixture
def suspend(registrar, admin):
    """Suspend a party."""
    return lambda party: registrar.suspend(party, {"from": admin})


@pytest.fixture
def reinstate(registrar, admin):
    """Reinstate a party."""
    return lambda party: registrar.reinstate(party, {"from": admin})


@pytest.fixture
def rotate(registrar, accounts):
    """Let another account act for a party."""

    def rotated(party, to):
        registrar.offerAccount(to, {"from": accounts.at(registrar.accountOf(party))})
        registrar.takeAccount(party, {"from": to})

    return rotated

from __future__ import annotations

import pytest

from tests.support.claims import OWNER, PAYER, PROVIDER, RELAYER, RULES_HASH, Claim, Desk
from tests.support.fixtures import DAY, SALTED


@pytest.fixture(scope="module")
def today(chain):
    """Today, in days since 1970."""
    return chain.time() // DAY


@pytest.fixture(scope="module")
def published(claim_anchor, parties, payer, second_payer, today):
    """Both payers have published rules, in force for a hundred days."""
    claim_anchor.publishRules(RULES_HASH, today - 100, {"from": payer})
    claim_anchor.publishRules(RULES_HASH, today - 100, {"from": second_payer})


@pytest.fixture
def claim(clinic, payer):
    """A claim of the clinic to the payer."""
    return Claim(clinic.address, payer.address, SALTED, b"\x33" * 32)


@pytest.fixture
def correction(claim):
    """The same service, billed as it should have been."""
    return claim.changed(commitment=b"\x44" * 32)


@pytest.fixture
def desk(claim_anchor, published, domain_of, sign, relayer, registrar, accounts, deadline):
    """Takes the steps of claims."""

    def account_of(identity):
        return accounts.at(registrar.accountOf(identity))

    return Desk(claim_anchor, domain_of(claim_anchor), sign, relayer, account_of, deadline)


@pytest.fixture(params=[OWNER, RELAYER])
def form(request):
    """A step of one owner: it sends it itself, or somebody relays its signature."""
    return request.param


@pytest.fixture(params=[PROVIDER, PAYER, RELAYER])
def joint_form(request):
    """A step of both parties: one sends and the other signed, or somebody relays both signatures."""
    return request.param

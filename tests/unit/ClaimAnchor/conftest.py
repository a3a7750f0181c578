from __future__ import annotations

import pytest

from medproof.client.claim_anchor import encounter_id
from tests.support.claims import OWNER, PAYER, PROVIDER, RELAYER, RULES_HASH, Desk, Rules, claim_between
from tests.support.fixtures import DAY, SALTED

VISIT = b"\x5a" * 32  # its salted id
DAYS = (30, 45, 180, 60, 20)  # to decide, to answer, to appeal, to decide an appeal, to settle
TIMED_HASH, STRICT_HASH = b"\x58" * 32, b"\x59" * 32


@pytest.fixture(scope="module")
def today(chain):
    """Today, in days since 1970."""
    return chain.time() // DAY


@pytest.fixture(scope="module")
def published(claim_anchor, parties, payer, second_payer, today):
    """Both payers have published rules, in force for a hundred days."""
    claim_anchor.publishRules(Rules(RULES_HASH, 0, today - 100), {"from": payer})
    claim_anchor.publishRules(Rules(RULES_HASH, 0, today - 100), {"from": second_payer})


@pytest.fixture
def claim(clinic, payer):
    """A claim of the clinic to the payer."""
    return claim_between(clinic, payer, SALTED, b"\x33" * 32)


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


@pytest.fixture
def timed(claim_anchor, published, payer, today):
    """The number of the payer's rules of plan 1, with a time for each step."""
    rules = Rules(TIMED_HASH, 1, today - 100, 0, False, False, *DAYS)
    return claim_anchor.publishRules(rules, {"from": payer}).return_value


@pytest.fixture
def strict(claim_anchor, published, payer, today):
    """The number of the payer's rules of plan 2, by which encounters are registered and patients sign."""
    rules = Rules(STRICT_HASH, 2, today - 100, patient_signs=True, registered=True)
    return claim_anchor.publishRules(rules, {"from": payer}).return_value


@pytest.fixture
def strict_claim(claim_anchor, strict, claim, patient):
    """A claim of a patient's registered encounter."""
    claim_anchor.registerEncounter(patient, encounter_id(claim.provider, VISIT), 0, b"", {"from": patient})
    return claim.changed(patient=patient.address, registration=VISIT)


@pytest.fixture(params=[OWNER, RELAYER])
def form(request):
    """A step of one owner: it sends it itself, or somebody relays its signature."""
    return request.param


@pytest.fixture(params=[PROVIDER, PAYER, RELAYER])
def joint_form(request):
    """A step of both parties: one sends and the other signed, or somebody relays both signatures."""
    return request.param

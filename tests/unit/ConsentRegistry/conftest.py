"""How the tests of the consent registry write rules: as the subject, or by a signature that a relayer sends."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from medproof import messages
from tests.unit.ConsentRegistry.rule_words import terms_number

DIRECT, SIGNED = "direct", "signed"


@pytest.fixture
def rule_message(consent_registry, domain_of, deadline):
    """The message of a rule as a wallet shows it; the keywords change what it says."""

    def message(subject, grantee, word, **changes):
        said = {
            "subject": str(subject),
            "grantee": str(grantee),
            "word": word,
            "terms": bytes(consent_registry.termsOf(terms_number(word))),
            "deadline": deadline,
            **changes,
        }
        return messages.rule(said.pop("domain", domain_of(consent_registry)), **said)

    return message


@pytest.fixture
def revocation_message(consent_registry, domain_of, deadline):
    """The message of a revocation as a wallet shows it; the keywords change what it says."""

    def message(subject, grantee, index, sequence, **changes):
        said = {
            "subject": str(subject),
            "grantee": str(grantee),
            "index": index,
            "sequence": sequence,
            "deadline": deadline,
            **changes,
        }
        return messages.revocation(said.pop("domain", domain_of(consent_registry)), **said)

    return message


@pytest.fixture
def grant(consent_registry, patient):
    """Set a rule in the patient's own transaction."""
    return lambda grantee, word: consent_registry.setRule(grantee, word, {"from": patient})


@pytest.fixture
def revoke(consent_registry, patient):
    """Revoke a rule in the patient's own transaction."""
    return lambda grantee, index, sequence: consent_registry.revokeRule(grantee, index, sequence, {"from": patient})


@pytest.fixture(params=[DIRECT, SIGNED])
def set_rule(request, consent_registry, grant, patient, relayer, sign, rule_message, deadline):
    """Set a rule in the patient's name, either way."""

    def send(grantee, word):
        signature = sign(patient, rule_message(patient, grantee, word))
        return consent_registry.setRuleFor(patient, grantee, word, deadline, signature, {"from": relayer})

    return grant if request.param == DIRECT else send


@pytest.fixture(params=[DIRECT, SIGNED])
def revoke_rule(request, consent_registry, revoke, patient, relayer, sign, revocation_message, deadline):
    """Revoke a rule in the patient's name, either way."""

    def send(grantee, index, sequence):
        signature = sign(patient, revocation_message(patient, grantee, index, sequence))
        return consent_registry.revokeRuleFor(patient, grantee, index, sequence, deadline, signature, {"from": relayer})

    return revoke if request.param == DIRECT else send


@pytest.fixture
def now(chain):
    """The chain's present minute."""
    return datetime.fromtimestamp(chain.time(), tz=UTC).replace(second=0, microsecond=0)


@pytest.fixture
def wallet(ContractWallet, second_patient, relayer):  # noqa: N803 - Brownie's name
    """A contract wallet of the second patient."""
    return ContractWallet.deploy(second_patient, {"from": relayer})

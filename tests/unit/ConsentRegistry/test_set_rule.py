from __future__ import annotations

import pytest

from medproof import messages
from tests.support.fixtures import NOBODY
from tests.support.reverts import reverts

DIRECT, SIGNED = "direct", "signed"


@pytest.fixture(params=[DIRECT, SIGNED])
def set_rule(request, consent_registry, patient, relayer, sign, domain_of, deadline):
    """Set a rule in the patient's name: herself, or by a signature that a relayer sends."""

    def send(grantee, word):
        if request.param == DIRECT:
            return consent_registry.setRule(grantee, word, {"from": patient})
        message = messages.rule(
            domain_of(consent_registry),
            subject=patient.address,
            grantee=str(grantee),
            word=word,
            terms=bytes(consent_registry.termsOf((word >> 25) & 0xFFF)),
            deadline=deadline,
        )
        return consent_registry.setRuleFor(patient, grantee, word, deadline, sign(patient, message), {"from": relayer})

    return send


def test_rule_is_stored_and_announced(consent_registry, set_rule, patient, clinic, rule_word):
    word = rule_word()

    tx = set_rule(clinic, word)

    assert consent_registry.ruleOf(patient, clinic, 0) == word
    assert len(tx.events) == 1
    assert dict(tx.events["RuleSet"]) == {"subject": patient, "grantee": clinic, "word": word}


def test_grantee_missing_reverts(set_rule, rule_word):
    with reverts("GranteeMissing"):
        set_rule(NOBODY, rule_word())


def test_sequence_given_twice_reverts(set_rule, clinic, rule_word):
    set_rule(clinic, rule_word())

    with reverts("SequenceStale", 1, 1):
        set_rule(clinic, rule_word())

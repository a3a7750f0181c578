"""How the tests of the consent registry write rules: as the subject, or by a signature that a relayer sends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from medproof import messages
from medproof.policy.codes import Action, CareSetting, Condition, DataClass, Purpose, Sensitivity
from medproof.policy.delegation import DelegateKind, Delegation, Scope, encode_delegation
from medproof.policy.evaluation import Reason
from medproof.policy.word import Request, encode_request
from tests.support.fixtures import SALTED
from tests.unit.ConsentRegistry.rule_words import REVOKED, index_of, sequence_of, terms_number

DIRECT, SIGNED = "direct", "signed"
# What is asked for in an emergency.
EMERGENCY: dict[str, Any] = {
    "purposes": Purpose.BTG,
    "classes": DataClass.LABORATORY,
    "conditions": Condition.CIRCULATORY,
    "sensitivities": Sensitivity.NONE_LABELLED,
    "settings": CareSetting.EMER,
    "actions": Action.ACCESS,
}


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


# -- signed messages ---------------------------------------------------------------------------------------------


@pytest.fixture
def message_of(rule_message, revocation_message):
    """The message of a word: a rule's, or a revocation's where it has the flag revoked."""

    def message(subject, grantee, word, **changes):
        if word & REVOKED:
            return revocation_message(subject, grantee, index_of(word), sequence_of(word), **changes)
        return rule_message(subject, grantee, word, **changes)

    return message


@pytest.fixture
def signed_change(sign, message_of, deadline):
    """One of several signed changes, as `setRulesFor` takes them: ``signed_change(subject, grantee, word, by=…)``."""

    def change(subject, grantee, word, *, by=None, until=deadline, **changes):
        signature = sign(by or subject, message_of(subject, grantee, word, **{"deadline": until, **changes}))
        return (subject, grantee, word, until, *messages.compact(signature))

    return change


@pytest.fixture
def calls(consent_registry, sign, message_of, revocation_message, deadline):
    """Calls as a relayer sends them: ``calls.rule(subject, grantee, word, by=…)`` and so on."""

    def rule(subject, grantee, word, *, by=None, until=deadline):
        signature = sign(by or subject, message_of(subject, grantee, word, deadline=until))
        return consent_registry.setRuleFor.encode_input(subject, grantee, word, until, signature)

    def revocation(subject, grantee, index, sequence, *, by=None):
        signature = sign(by or subject, revocation_message(subject, grantee, index, sequence))
        return consent_registry.revokeRuleFor.encode_input(subject, grantee, index, sequence, deadline, signature)

    return SimpleNamespace(rule=rule, revocation=revocation)


@pytest.fixture
def relay(consent_registry, relayer):
    """Make calls at once as the relayer; with `gas_each`, those that fail are skipped."""

    def send(calls_, gas_each=0, **given):
        return consent_registry.relay(calls_, gas_each, {"from": relayer, **given})

    return send


# -- delegates ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def delegate(accounts):
    return accounts[13]


@pytest.fixture(scope="session")
def aide(accounts):
    """Whom the delegate names."""
    return accounts[14]


@pytest.fixture
def delegate_to(delegations, patient, now):
    """Give a delegation of the patient's: ``delegate_to(account, scopes)``, in its giver's own transaction."""

    def given(account, scopes, *, by=patient, **changes):
        said = {
            "kind": DelegateKind.STEWARD,
            "scopes": Scope(scopes),
            "valid_from": now - timedelta(hours=1),
            "valid_until": now + timedelta(days=30),
            "delegator": by.address,
            "sequence": 1,
            **changes,
        }
        word = encode_delegation(Delegation(**said))
        return delegations.setDelegation(patient, account, word, 0, b"", {"from": by})

    return given


# -- break-glass -------------------------------------------------------------------------------------------------


@pytest.fixture
def break_glass(consent_registry, emergency_department, patient):
    """Open the patient's record, for the emergency department where nobody else is named."""

    def opened(by=emergency_department, *, subject=patient, reason=1, minutes=0, justification=SALTED):
        return consent_registry.breakGlass(subject, reason, minutes, justification, {"from": by})

    return opened


@pytest.fixture
def emergency(consent_registry, emergency_department, patient):
    """Ask for the patient's laboratory results in an emergency: (reason, grantee, word)."""

    def decision(actor=emergency_department, *, subject=patient, **changes):
        request = encode_request(Request(**{**EMERGENCY, **changes}))
        reason, grantee, word = consent_registry.decide(subject, actor, request)
        permitted = consent_registry.isPermitted(subject, actor, request)
        assert permitted is (reason in (Reason.PERMITTED, Reason.BREAK_GLASS))
        return Reason(reason), grantee, word

    return decision


@pytest.fixture
def reviewed(consent_registry, patient, relayer, sign, domain_of, deadline):
    """Review an opening of the patient's record by a message, of which `signed` may differ; `dry` changes nothing."""

    def send(number, answer, *, by=patient, remark=SALTED, signed=(), dry=False):
        said = {"subject": patient.address, "opening": number, "review": answer, "remark": remark, "deadline": deadline}
        said.update(signed)
        message = messages.review(said.pop("domain", domain_of(consent_registry)), **said)
        review = consent_registry.reviewOpening.call if dry else consent_registry.reviewOpening
        return review(patient, number, answer, remark, deadline, sign(by, message), {"from": relayer})

    return send

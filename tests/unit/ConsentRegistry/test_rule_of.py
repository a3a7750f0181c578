"""ruleOf, and what the registry was deployed with."""

from __future__ import annotations

import pytest

from tests.support.reverts import reverts


@pytest.mark.spec("C47")
def test_no_rule_reads_as_zero(consent_registry, patient, clinic):
    assert [consent_registry.ruleOf(patient, clinic, index) for index in range(16)] == [0] * 16


@pytest.mark.spec("C47")
def test_index_above_the_last_reverts(consent_registry, patient, clinic):
    for index in (16, 2**128, 2**256 - 1):
        with reverts("RuleIndexOutOfRange", index):
            consent_registry.ruleOf(patient, clinic, index)


@pytest.mark.spec("C47")
def test_rules_are_public(consent_registry, grant, patient, clinic, stranger, rule_word):
    grant(clinic, rule_word())

    assert consent_registry.ruleOf(patient, clinic, 0, {"from": stranger}) == rule_word()


@pytest.mark.spec("C47")
def test_registrar_and_authority_are_those_of_the_deployment(consent_registry, registrar, authority):
    assert consent_registry.registrar() == registrar
    assert consent_registry.authority() == authority


@pytest.mark.spec("C22")
def test_domain_of_its_messages_names_contract_and_chain(consent_registry, domain_of, chain):
    _, name, version, chain_id, contract, salt, extensions = consent_registry.eip712Domain()

    assert domain_of(consent_registry).as_dict() == {
        "name": name,
        "version": version,
        "chainId": chain_id,
        "verifyingContract": contract,
    }
    assert int(str(salt), 16) == 0
    assert extensions == ()

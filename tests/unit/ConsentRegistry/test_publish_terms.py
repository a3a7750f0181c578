"""publishTerms, termsOf, termsNumberOf and termsCount."""

from __future__ import annotations

import pytest
from brownie import web3

from tests.support.reverts import reverts

TERMS, OTHER_TERMS = b"\x33" * 32, b"\x44" * 32
NONE = b"\0" * 32
COUNT_SLOT = 4105  # termsCount's place in storage


def as_hex(value):
    return "0x" + value.hex()


@pytest.mark.spec("C28")
def test_terms_get_the_next_number(consent_registry, admin):
    for number, terms in enumerate((TERMS, OTHER_TERMS), start=1):
        tx = consent_registry.publishTerms(terms, {"from": admin})

        assert tx.return_value == number
        assert consent_registry.termsCount() == number
        assert consent_registry.termsOf(number) == as_hex(terms)
        assert consent_registry.termsNumberOf(terms) == number
        assert len(tx.events) == 1
        assert dict(tx.events["TermsPublished"]) == {"number": number, "terms": as_hex(terms)}
    assert consent_registry.termsOf(1) == as_hex(TERMS)


@pytest.mark.spec("C28")
def test_terms_that_were_not_published_have_no_number(consent_registry, admin):
    consent_registry.publishTerms(TERMS, {"from": admin})

    assert consent_registry.termsNumberOf(OTHER_TERMS) == 0
    for number in (0, 2, 4096, 2**256 - 1):
        assert consent_registry.termsOf(number) == as_hex(NONE)


@pytest.mark.spec("C28")
def test_role_that_the_authority_names_publishes(consent_registry, authority, admin, stranger):
    publisher = 7
    selector = consent_registry.publishTerms.signature
    authority.setTargetFunctionRole(consent_registry, [selector], publisher, {"from": admin})
    authority.grantRole(publisher, stranger, 0, {"from": admin})

    assert consent_registry.publishTerms(TERMS, {"from": stranger}).return_value == 1


@pytest.mark.spec("C28")
def test_anyone_else_reverts(consent_registry, parties, clinic, patient, stranger):
    for sender in (clinic, patient, stranger):
        with reverts("AccessManagedUnauthorized", sender.address):
            consent_registry.publishTerms(TERMS, {"from": sender})


@pytest.mark.spec("C28")
def test_zero_hash_reverts(consent_registry, admin):
    with reverts("TermsMissing"):
        consent_registry.publishTerms(NONE, {"from": admin})


@pytest.mark.spec("C28")
def test_terms_published_twice_revert(consent_registry, admin):
    consent_registry.publishTerms(TERMS, {"from": admin})
    consent_registry.publishTerms(OTHER_TERMS, {"from": admin})

    with reverts("TermsAlreadyPublished", 1):
        consent_registry.publishTerms(TERMS, {"from": admin})


@pytest.mark.spec("C28")
def test_last_number_is_4095(consent_registry, admin):
    setting = [consent_registry.address, f"0x{COUNT_SLOT:064x}", f"0x{4094:064x}"]
    assert web3.provider.make_request("evm_setAccountStorageAt", setting)["result"] is True
    assert consent_registry.termsCount() == 4094

    assert consent_registry.publishTerms(TERMS, {"from": admin}).return_value == 4095
    with reverts("TermsExhausted"):
        consent_registry.publishTerms(OTHER_TERMS, {"from": admin})

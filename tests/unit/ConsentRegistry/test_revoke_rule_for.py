"""revokeRuleFor: what a signature covers, whose it is, and how long it counts."""

from __future__ import annotations

import pytest
from eth_abi import encode
from eth_account import Account
from eth_utils import keccak

from medproof import messages
from medproof.messages import MESSAGE_TYPES, Domain
from tests.support.reverts import reverts
from tests.unit.ConsentRegistry.rule_words import REVOKED, tombstone


@pytest.fixture
def relay(consent_registry, relayer, deadline):
    """Send a signed revocation as the relayer."""

    def send(subject, grantee, index, sequence, signature, *, until=deadline):
        return consent_registry.revokeRuleFor(subject, grantee, index, sequence, until, signature, {"from": relayer})

    return send


@pytest.mark.spec("C20", "C21")
def test_revocation_altered_in_any_member_reverts(
    relay, patient, second_patient, clinic, second_clinic, sign, revocation_message, deadline
):
    signature = sign(patient, revocation_message(patient, clinic, 1, 4))

    for subject, grantee, index, sequence, until in (
        (second_patient, clinic, 1, 4, deadline),
        (patient, second_clinic, 1, 4, deadline),
        (patient, clinic, 0, 4, deadline),
        (patient, clinic, 1, 3, deadline),
        (patient, clinic, 1, 5, deadline),
        (patient, clinic, 1, 4, deadline + 1),
        # The same number where only the lowest bits were looked at.
        (patient, clinic, 1 + 256, 4, deadline),
        (patient, clinic, 1, 4 + 65536, deadline),
    ):
        with reverts("SignatureInvalid", subject.address):
            relay(subject, grantee, index, sequence, signature, until=until)
    relay(patient, clinic, 1, 4, signature)


@pytest.mark.spec("C2")
def test_revocation_signed_by_another_reverts(relay, grant, patient, clinic, rule_word, sign, revocation_message):
    grant(clinic, rule_word())
    signature = sign(clinic, revocation_message(patient, clinic, 0, 2))

    with reverts("SignatureInvalid", patient.address):
        relay(patient, clinic, 0, 2, signature)


@pytest.mark.spec("C21")
def test_rule_does_not_count_as_a_revocation(relay, patient, clinic, rule_word, sign, rule_message):
    signature = sign(patient, rule_message(patient, clinic, rule_word()))

    with reverts("SignatureInvalid", patient.address):
        relay(patient, clinic, 0, 1, signature)


@pytest.mark.spec("C27")
def test_revocation_sent_twice_reverts(relay, patient, clinic, sign, revocation_message):
    signature = sign(patient, revocation_message(patient, clinic, 0, 2))
    relay(patient, clinic, 0, 2, signature)

    with reverts("SequenceStale", 2, 2):
        relay(patient, clinic, 0, 2, signature)


@pytest.mark.spec("C27")
def test_old_revocation_does_not_take_a_later_grant_away(
    consent_registry, relay, grant, revoke, patient, clinic, rule_word, sign, revocation_message
):
    grant(clinic, rule_word())
    signature = sign(patient, revocation_message(patient, clinic, 0, 2))
    revoke(clinic, 0, 2)
    grant(clinic, rule_word(sequence=3))

    with reverts("SequenceStale", 3, 2):
        relay(patient, clinic, 0, 2, signature)
    assert consent_registry.ruleOf(patient, clinic, 0) == rule_word(sequence=3)


@pytest.mark.spec("C14", "C15")
@pytest.mark.parametrize("revocation_first", [False, True])
def test_revocation_wins_in_whatever_order_it_is_sent(
    consent_registry,
    relay,
    relayer,
    patient,
    clinic,
    rule_word,
    sign,
    rule_message,
    revocation_message,
    deadline,
    revocation_first,
):
    grant = sign(patient, rule_message(patient, clinic, rule_word()))
    revocation = sign(patient, revocation_message(patient, clinic, 0, 2))

    def send_grant():
        consent_registry.setRuleFor(patient, clinic, rule_word(), deadline, grant, {"from": relayer})

    if revocation_first:
        relay(patient, clinic, 0, 2, revocation)
        with reverts("SequenceStale", 2, 1):
            send_grant()
        assert consent_registry.ruleOf(patient, clinic, 0) == 2 | REVOKED
    else:
        send_grant()
        relay(patient, clinic, 0, 2, revocation)
        assert consent_registry.ruleOf(patient, clinic, 0) == tombstone(rule_word(), 2)


@pytest.mark.spec("C22")
def test_revocation_for_another_chain_reverts(
    consent_registry, relay, patient, clinic, sign, revocation_message, chain
):
    domain = Domain("ConsentRegistry", chain.id + 1, consent_registry.address)
    signature = sign(patient, revocation_message(patient, clinic, 0, 1, domain=domain))

    with reverts("SignatureInvalid", patient.address):
        relay(patient, clinic, 0, 1, signature)


@pytest.mark.spec("C22")
def test_revocation_for_another_contract_reverts(relay, registrar, patient, clinic, sign, revocation_message, chain):
    domain = Domain("ConsentRegistry", chain.id, registrar.address)
    signature = sign(patient, revocation_message(patient, clinic, 0, 1, domain=domain))

    with reverts("SignatureInvalid", patient.address):
        relay(patient, clinic, 0, 1, signature)


@pytest.mark.spec("C23")
def test_revocation_counts_up_to_its_deadline(
    consent_registry, relayer, patient, clinic, sign, revocation_message, deadline, chain
):
    arguments = (patient, clinic, 0, 1, deadline, sign(patient, revocation_message(patient, clinic, 0, 1)))

    chain.mine(timestamp=deadline)
    consent_registry.revokeRuleFor.call(*arguments, {"from": relayer})
    chain.mine(timestamp=deadline + 1)
    with reverts("MessageExpired", deadline, deadline + 1):
        consent_registry.revokeRuleFor.call(*arguments, {"from": relayer})


@pytest.mark.spec("C25")
def test_contract_wallet_revokes_by_its_owner(
    consent_registry, relay, wallet, second_patient, clinic, sign, revocation_message
):
    tx = relay(wallet, clinic, 0, 1, sign(second_patient, revocation_message(wallet, clinic, 0, 1)))

    assert consent_registry.ruleOf(wallet, clinic, 0) == 1 | REVOKED
    assert len(tx.events) == 1
    assert dict(tx.events["RuleRevoked"]) == {"subject": wallet, "grantee": clinic, "word": 1 | REVOKED}


@pytest.mark.spec("C14")
def test_signed_number_that_its_type_cannot_hold_reverts(consent_registry, relay, keys, patient, clinic, deadline):
    """A wallet cannot sign such a message; a key that hashes it by itself can."""
    type_hash = keccak(text=f"Revocation({MESSAGE_TYPES['Revocation']})")
    domain_separator = _domain_separator(consent_registry)

    def sign(index, sequence):
        fields = [type_hash, patient.address, clinic.address, index, sequence, deadline]
        body = encode(["bytes32", "address", "address", "uint256", "uint256", "uint256"], fields)
        digest = keccak(b"\x19\x01" + domain_separator + keccak(body))
        return bytes(Account.unsafe_sign_hash(digest, keys[patient.address].key).signature)

    with reverts("RuleIndexOutOfRange", 256):
        relay(patient, clinic, 256, 1, sign(256, 1))
    with reverts("SequenceStale", 0, 65537):
        relay(patient, clinic, 0, 65537, sign(0, 65537))


def _domain_separator(consent_registry):
    _, name, version, chain_id, contract, _, _ = consent_registry.eip712Domain()
    type_hash = keccak(text=f"EIP712Domain({messages.DOMAIN_FIELDS})")
    fields = [type_hash, keccak(text=name), keccak(text=version), chain_id, contract]
    return keccak(encode(["bytes32", "bytes32", "bytes32", "uint256", "address"], fields))

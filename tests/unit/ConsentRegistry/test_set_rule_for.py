"""setRuleFor: what a signature covers, whose it is, and how long it counts; a relayer is taken to be hostile."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medproof.messages import Domain
from medproof.policy.codes import ResearchUse
from medproof.policy.word import FIELDS
from tests.support.fixtures import NOBODY
from tests.support.reverts import reverts
from tests.unit.ConsentRegistry.rule_words import DENY, FLAG, FOLLOWS, GRANT, LAST_SEQUENCE, REVOKED, with_field

TERMS, OTHER_TERMS = b"\x33" * 32, b"\x44" * 32
HONEST, REVERTING, BURNING, SHORT, WRONG_ANSWER = range(5)  # the moods of ContractWallet


@pytest.fixture
def relay(consent_registry, relayer, deadline):
    """Send a signed rule as the relayer."""

    def send(subject, grantee, word, signature, *, until=deadline):
        return consent_registry.setRuleFor(subject, grantee, word, until, signature, {"from": relayer})

    return send


@pytest.fixture
def relay_call(consent_registry, relayer, deadline):
    """The same as a call, which changes nothing: for many refusals in one test, and for huge ones."""

    def call(subject, grantee, word, signature, **given):
        return consent_registry.setRuleFor.call(subject, grantee, word, deadline, signature, {"from": relayer, **given})

    return call


# -- what the signature covers -----------------------------------------------------------------------------------


def altered(word):
    """The word with each field altered so that it may still be written, by the field's name."""
    changes = {
        "terms": 0,
        "index": 1,
        "sequence": 2,
        "partyKinds": 1,
        "validUntil": FIELDS["validUntil"].of(word) - 1,
        **{name: FIELDS[name].of(word) + 1 for name in ("dataFrom", "validFrom")},
        "dataUntil": FIELDS["dataUntil"].of(word) - 1,
        **{name: FIELDS[name].of(word) ^ 2 for name in ("purposes", "classes", "conditions", "sensitivities")},
        **{name: FIELDS[name].of(word) ^ 2 for name in ("settings", "actions")},
        "research": FIELDS["research"].of(word) ^ ResearchUse.IRB.value,
    }
    words = {name: with_field(word, name, value) for name, value in changes.items()}
    for flag in ("deny", "delegable", "breakGlassRefused"):
        words[flag] = word ^ FLAG[flag]
    return words


@pytest.mark.spec("C20", "C21")
def test_word_altered_in_any_field_reverts(
    consent_registry, relay, relay_call, grant, admin, patient, clinic, rule_word, sign, rule_message
):
    consent_registry.publishTerms(TERMS, {"from": admin})
    signed = rule_word(terms=1)
    signature = sign(patient, rule_message(patient, clinic, signed))
    words = altered(signed)
    # Every field of the word is altered once; the flags one by one.
    assert set(words) - set(FLAG) == set(FIELDS) - {"flags"}

    for word in words.values():
        with reverts("SignatureInvalid", patient.address):
            relay_call(patient, clinic, word, signature)
    relay(patient, clinic, signed, signature)


@pytest.mark.spec("C3", "C21")
def test_bits_that_the_message_leaves_out_cannot_be_set_by_the_relayer(
    relay_call, patient, clinic, rule_word, sign, rule_message
):
    signature = sign(patient, rule_message(patient, clinic, rule_word()))

    with reverts("RuleBitsReserved", FOLLOWS):
        relay_call(patient, clinic, rule_word() | FOLLOWS, signature)
    # With the flag revoked it is another message: a revocation.
    with reverts("SignatureInvalid", patient.address):
        relay_call(patient, clinic, rule_word() | REVOKED, signature)


@pytest.mark.spec("C21", "C49")
def test_rule_does_not_pass_for_a_revocation_nor_with_bits_that_it_lacks(
    consent_registry, relay, relay_call, patient, clinic, rule_word, sign, rule_message, revocation_message
):
    revocation = REVOKED | 1 << 16 | 5
    signature = sign(patient, revocation_message(patient, clinic, 1, 5))

    for bit in (20, 21, 22, 23, 25, 37, 133, 255):
        with reverts("RuleBitsReserved", 1 << bit):
            relay_call(patient, clinic, revocation | 1 << bit, signature)
    for other in (REVOKED | 5, REVOKED | 1 << 16 | 6):
        with reverts("SignatureInvalid", patient.address):
            relay_call(patient, clinic, other, signature)
    relay(patient, clinic, revocation, signature)

    assert consent_registry.ruleOf(patient, clinic, 1) == revocation


@pytest.mark.spec("C21")
def test_reserved_bit_added_by_the_relayer_reverts(relay_call, patient, clinic, rule_word, sign, rule_message):
    signature = sign(patient, rule_message(patient, clinic, rule_word()))

    for bit in (43, 44, 148, 171, 172, 216, 217, 218, 232):
        with reverts("SignatureInvalid", patient.address):
            relay_call(patient, clinic, rule_word() | 1 << bit, signature)


@pytest.mark.spec("C21")
def test_other_grantee_reverts(relay, patient, clinic, second_clinic, rule_word, sign, rule_message):
    signature = sign(patient, rule_message(patient, clinic, rule_word()))

    with reverts("SignatureInvalid", patient.address):
        relay(patient, second_clinic, rule_word(), signature)


@pytest.mark.spec("C2", "C21")
def test_other_subject_reverts(relay, patient, second_patient, clinic, rule_word, sign, rule_message):
    signature = sign(patient, rule_message(patient, clinic, rule_word()))

    with reverts("SignatureInvalid", second_patient.address):
        relay(second_patient, clinic, rule_word(), signature)


@pytest.mark.spec("C2")
def test_message_about_another_subject_reverts(relay, patient, second_patient, clinic, rule_word, sign, rule_message):
    signature = sign(second_patient, rule_message(patient, clinic, rule_word()))

    with reverts("SignatureInvalid", patient.address):
        relay(patient, clinic, rule_word(), signature)


@pytest.mark.spec("C21")
def test_later_deadline_reverts(relay, patient, clinic, rule_word, sign, rule_message, deadline):
    signature = sign(patient, rule_message(patient, clinic, rule_word()))

    with reverts("SignatureInvalid", patient.address):
        relay(patient, clinic, rule_word(), signature, until=deadline + 1)


@pytest.mark.spec("C21")
def test_revocation_does_not_count_as_a_rule(relay, patient, clinic, rule_word, sign, revocation_message):
    signature = sign(patient, revocation_message(patient, clinic, 0, 1))

    with reverts("SignatureInvalid", patient.address):
        relay(patient, clinic, rule_word(), signature)


# -- replay ------------------------------------------------------------------------------------------------------


@pytest.mark.spec("C27")
def test_message_sent_twice_reverts(relay, patient, clinic, rule_word, sign, rule_message):
    signature = sign(patient, rule_message(patient, clinic, rule_word()))
    relay(patient, clinic, rule_word(), signature)

    with reverts("SequenceStale", 1, 1):
        relay(patient, clinic, rule_word(), signature)


@pytest.mark.spec("C15", "C27")
def test_message_sent_after_a_revocation_that_named_it_reverts(
    relay, revoke, patient, clinic, rule_word, sign, rule_message
):
    signatures = {
        sequence: sign(patient, rule_message(patient, clinic, rule_word(sequence=sequence))) for sequence in (1, 2, 3)
    }
    relay(patient, clinic, rule_word(), signatures[1])
    revoke(clinic, 0, 3)

    for sequence in (1, 2, 3):
        with reverts("SequenceStale", 3, sequence):
            relay(patient, clinic, rule_word(sequence=sequence), signatures[sequence])


@pytest.mark.spec("C27")
def test_messages_sent_out_of_order_revert_and_count_in_order(
    consent_registry, relay, patient, clinic, rule_word, sign, rule_message
):
    signatures = {
        sequence: sign(patient, rule_message(patient, clinic, rule_word(sequence=sequence))) for sequence in (1, 2)
    }

    with reverts("SequenceStale", 0, 2):
        relay(patient, clinic, rule_word(sequence=2), signatures[2])
    relay(patient, clinic, rule_word(), signatures[1])
    relay(patient, clinic, rule_word(sequence=2), signatures[2])

    assert consent_registry.ruleOf(patient, clinic, 0) == rule_word(sequence=2)


@pytest.mark.spec("C27")
def test_message_beaten_by_the_subjects_own_transaction_reverts(
    relay, grant, patient, clinic, rule_word, sign, rule_message
):
    signature = sign(patient, rule_message(patient, clinic, rule_word()))
    grant(clinic, rule_word(deny=True))

    with reverts("SequenceStale", 1, 1):
        relay(patient, clinic, rule_word(), signature)


@pytest.mark.spec("C22")
def test_message_for_another_chain_reverts(
    consent_registry, relay, patient, clinic, rule_word, sign, rule_message, chain
):
    domain = Domain("ConsentRegistry", chain.id + 1, consent_registry.address)
    signature = sign(patient, rule_message(patient, clinic, rule_word(), domain=domain))

    with reverts("SignatureInvalid", patient.address):
        relay(patient, clinic, rule_word(), signature)


@pytest.mark.spec("C22")
def test_message_for_another_contract_reverts(
    ConsentRegistry,  # noqa: N803 - Brownie's name
    authority,
    registrar,
    delegations,
    admin,
    relay,
    patient,
    clinic,
    rule_word,
    sign,
    rule_message,
    domain_of,
):
    second_registry = ConsentRegistry.deploy(authority, registrar, delegations, {"from": admin})
    signature = sign(patient, rule_message(patient, clinic, rule_word(), domain=domain_of(second_registry)))

    with reverts("SignatureInvalid", patient.address):
        relay(patient, clinic, rule_word(), signature)


@pytest.mark.spec("C22")
def test_message_for_a_contract_of_another_name_reverts(
    relay, patient, clinic, rule_word, sign, rule_message, consent_registry, domain_of
):
    domain = replace(domain_of(consent_registry), contract="ClaimAnchor")
    signature = sign(patient, rule_message(patient, clinic, rule_word(), domain=domain))

    with reverts("SignatureInvalid", patient.address):
        relay(patient, clinic, rule_word(), signature)


# -- deadline ----------------------------------------------------------------------------------------------------


@pytest.mark.spec("C23")
def test_message_counts_up_to_its_deadline(relay_call, patient, clinic, rule_word, sign, rule_message, deadline, chain):
    signature = sign(patient, rule_message(patient, clinic, rule_word()))

    chain.mine(timestamp=deadline)
    relay_call(patient, clinic, rule_word(), signature)
    chain.mine(timestamp=deadline + 1)
    with reverts("MessageExpired", deadline, deadline + 1):
        relay_call(patient, clinic, rule_word(), signature)


# -- the form of a signature -------------------------------------------------------------------------------------


@pytest.mark.spec("C25")
def test_signature_of_another_form_reverts(relay_call, patient, clinic, rule_word, sign, rule_message):
    signature = sign(patient, rule_message(patient, clinic, rule_word()))
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    high_s = (order - int.from_bytes(signature[32:64])).to_bytes(32)
    forms = {
        "one byte short": signature[:64],
        "one byte long": signature + b"\0",
        "v is 0 or 1": signature[:64] + bytes([signature[64] - 27]),
        "the other v": signature[:64] + bytes([55 - signature[64]]),
        "the other s": signature[:32] + high_s + bytes([55 - signature[64]]),
        "compact": signature[:32] + (int.from_bytes(signature[32:64]) | (signature[64] - 27) << 255).to_bytes(32),
        "zero": bytes(65),
        "huge": bytes(20_000),
    }

    for form in forms.values():
        with reverts("SignatureInvalid", patient.address):
            relay_call(patient, clinic, rule_word(), form)


@pytest.mark.spec("C2", "C25")
def test_nobody_cannot_sign(relay_call, clinic, rule_word):
    for signature in (bytes(65), bytes(64) + b"\x1b"):
        with reverts("SignatureInvalid", NOBODY):
            relay_call(NOBODY, clinic, rule_word(), signature)


@pytest.mark.spec("C51")
def test_empty_signature_stands_for_who_sends_and_for_nobody_else(
    consent_registry, relay_call, patient, relayer, clinic, rule_word
):
    for subject in (patient.address, NOBODY):
        with reverts("DelegateScopeMissing", subject, relayer.address, GRANT):
            relay_call(subject, clinic, rule_word(), b"")

    tx = consent_registry.setRuleFor(patient, clinic, rule_word(), 0, b"", {"from": patient})

    assert consent_registry.ruleOf(patient, clinic, 0) == rule_word()
    assert [event.name for event in tx.events] == ["RuleSet"]


@pytest.mark.spec("C2", "C25")
def test_contract_that_is_no_wallet_cannot_be_a_subject(
    relay, registrar, clinic, rule_word, sign, patient, rule_message
):
    signature = sign(patient, rule_message(registrar, clinic, rule_word()))

    with reverts("SignatureInvalid", registrar.address):
        relay(registrar, clinic, rule_word(), signature)


@pytest.mark.spec("C2", "C25")
def test_precompiled_contracts_answer_for_nobody(relay_call, clinic, rule_word):
    for number in range(1, 10):
        subject = "0x" + f"{number:040x}"
        with reverts("SignatureInvalid", subject):
            relay_call(subject, clinic, rule_word(), bytes(96))


# -- contract wallets --------------------------------------------------------------------------------------------


@pytest.mark.spec("C24", "C25")
def test_contract_wallet_signs_by_its_owner(
    consent_registry, relay, wallet, second_patient, clinic, rule_word, sign, rule_message
):
    tx = relay(wallet, clinic, rule_word(), sign(second_patient, rule_message(wallet, clinic, rule_word())))

    assert consent_registry.ruleOf(wallet, clinic, 0) == rule_word()
    assert len(tx.events) == 1
    assert dict(tx.events["RuleSet"]) == {"subject": wallet, "grantee": clinic, "word": rule_word()}


@pytest.mark.spec("C25")
def test_contract_wallet_refuses_another_signer(relay, wallet, stranger, clinic, rule_word, sign, rule_message):
    signature = sign(stranger, rule_message(wallet, clinic, rule_word()))

    with reverts("SignatureInvalid", wallet.address):
        relay(wallet, clinic, rule_word(), signature)


@pytest.mark.spec("C25")
@pytest.mark.parametrize("mood", [REVERTING, SHORT, WRONG_ANSWER])
def test_contract_wallet_in_a_mood_reverts(
    relay, wallet, second_patient, relayer, clinic, rule_word, sign, rule_message, mood
):
    wallet.setMood(mood, {"from": relayer})
    signature = sign(second_patient, rule_message(wallet, clinic, rule_word()))

    with reverts("SignatureInvalid", wallet.address):
        relay(wallet, clinic, rule_word(), signature)


@pytest.mark.spec("C25")
def test_contract_wallet_that_burns_gas_reverts(
    relay_call, wallet, second_patient, relayer, clinic, rule_word, sign, rule_message
):
    wallet.setMood(BURNING, {"from": relayer})
    signature = sign(second_patient, rule_message(wallet, clinic, rule_word()))

    with reverts("SignatureInvalid", wallet.address):
        relay_call(wallet, clinic, rule_word(), signature, gas_limit=1_000_000)


@pytest.mark.spec("C2")
def test_contract_wallet_is_a_subject_of_its_own(consent_registry, wallet, second_patient, clinic, rule_word, relayer):
    wallet.execute(consent_registry, consent_registry.setRule.encode_input(clinic, rule_word()), {"from": relayer})

    assert consent_registry.ruleOf(wallet, clinic, 0) == rule_word()
    assert consent_registry.ruleOf(second_patient, clinic, 0) == 0


# -- terms -------------------------------------------------------------------------------------------------------


@pytest.mark.spec("C26")
def test_rule_names_the_terms_by_their_hash(
    consent_registry, relay, admin, patient, clinic, rule_word, sign, rule_message
):
    consent_registry.publishTerms(TERMS, {"from": admin})
    word = rule_word(terms=1)

    relay(patient, clinic, word, sign(patient, rule_message(patient, clinic, word, terms=TERMS)))

    assert consent_registry.ruleOf(patient, clinic, 0) == word


@pytest.mark.spec("C21", "C26")
def test_number_of_other_terms_reverts(consent_registry, relay, admin, patient, clinic, rule_word, sign, rule_message):
    consent_registry.publishTerms(TERMS, {"from": admin})
    consent_registry.publishTerms(OTHER_TERMS, {"from": admin})
    signature = sign(patient, rule_message(patient, clinic, rule_word(terms=1), terms=TERMS))

    for number in (0, 2):
        with reverts("SignatureInvalid", patient.address):
            relay(patient, clinic, rule_word(terms=number), signature)


@pytest.mark.spec("C26")
def test_terms_that_were_not_published_revert(relay, patient, clinic, rule_word, sign, rule_message):
    for number in (1, 4095):
        word = rule_word(terms=number)
        signature = sign(patient, rule_message(patient, clinic, word, terms=b"\0" * 32))
        with reverts("TermsUnknown", number):
            relay(patient, clinic, word, signature)


@pytest.mark.spec("C26")
def test_message_signed_ahead_counts_once_its_terms_have_the_number(
    consent_registry, relay, admin, patient, clinic, rule_word, sign, rule_message
):
    word = rule_word(terms=1)
    signature = sign(patient, rule_message(patient, clinic, word, terms=TERMS))
    consent_registry.publishTerms(OTHER_TERMS, {"from": admin})
    consent_registry.publishTerms(TERMS, {"from": admin})

    with reverts("SignatureInvalid", patient.address):
        relay(patient, clinic, word, signature)
    relay(patient, clinic, rule_word(terms=2), signature)

    assert consent_registry.ruleOf(patient, clinic, 0) == rule_word(terms=2)


# -- anyone relays -----------------------------------------------------------------------------------------------


@pytest.mark.spec("C24")
def test_anyone_relays(consent_registry, patient, clinic, stranger, rule_word, sign, rule_message, deadline):
    for sequence, sender in enumerate((stranger, clinic, patient), start=1):
        word = rule_word(sequence=sequence) ^ DENY
        signature = sign(patient, rule_message(patient, clinic, word))
        consent_registry.setRuleFor(patient, clinic, word, deadline, signature, {"from": sender})
        assert consent_registry.ruleOf(patient, clinic, 0) == word


@pytest.mark.spec("C10")
def test_last_sequence_reverts_although_signed(relay, revoke, patient, clinic, rule_word, sign, rule_message):
    revoke(clinic, 0, LAST_SEQUENCE - 1)
    word = rule_word(sequence=LAST_SEQUENCE)

    with reverts("SequenceStale", LAST_SEQUENCE - 1, LAST_SEQUENCE):
        relay(patient, clinic, word, sign(patient, rule_message(patient, clinic, word)))


@pytest.mark.spec("C11", "C21")
def test_mark_that_another_follows_cannot_be_cleared_by_a_change(
    consent_registry, relay, grant, patient, clinic, rule_word, sign, rule_message
):
    grant(clinic, rule_word())
    grant(clinic, rule_word(index=1, deny=True))
    changed = rule_word(sequence=2)

    relay(patient, clinic, changed, sign(patient, rule_message(patient, clinic, changed)))

    assert consent_registry.ruleOf(patient, clinic, 0) == changed | FOLLOWS

"""setRulesFor: signed changes of many subjects at once, all or none; the relayer is taken to be hostile."""

from __future__ import annotations

import pytest

from medproof.messages import Domain
from medproof.policy.codes import DataClass
from tests.support.fixtures import EVERYONE, NOBODY
from tests.support.reverts import reverts
from tests.unit.ConsentRegistry.rule_words import (
    DENY,
    FOLLOWS,
    GRANT,
    REVOKE,
    VIEW,
    index_of,
    revocation,
    sequence_of,
    tombstone,
)

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141  # of the group of secp256k1
PARITY = 1 << 255


@pytest.fixture
def send(consent_registry, relayer):
    """Send signed changes as the relayer."""
    return lambda changes: consent_registry.setRulesFor(changes, {"from": relayer})


@pytest.mark.spec("C24", "C49", "C52")
def test_grants_changes_and_revocations_of_many_subjects(
    consent_registry, send, signed_change, grant, patient, second_patient, stranger, clinic, payer, rule_word
):
    grant(clinic, rule_word())
    grant(payer, rule_word())
    changed, denied = rule_word(sequence=2, classes=DataClass.NOTE), rule_word(deny=True)

    tx = send(
        [
            signed_change(patient, clinic, changed),
            signed_change(second_patient, EVERYONE, denied),
            signed_change(patient, payer, revocation(5)),
            signed_change(stranger, clinic, revocation(3, index=2)),
            signed_change(patient, clinic, rule_word(index=1)),
        ]
    )

    assert [(event.name, event["subject"], event["grantee"], event["word"]) for event in tx.events] == [
        ("RuleSet", patient, clinic, changed),
        ("RuleSet", second_patient, EVERYONE, denied),
        ("RuleRevoked", patient, payer, tombstone(rule_word(), 5)),
        ("RuleRevoked", stranger, clinic, revocation(3, index=2)),
        ("RuleSet", patient, clinic, changed | FOLLOWS),
        ("RuleSet", patient, clinic, rule_word(index=1)),
    ]
    assert consent_registry.ruleOf(patient, clinic, 0) == changed | FOLLOWS
    assert consent_registry.ruleOf(second_patient, EVERYONE, 0) == denied


@pytest.mark.spec("C52")
def test_either_parity_counts_in_the_short_form(
    consent_registry, send, signed_change, patient, second_patient, accounts, clinic, rule_word
):
    subjects = [patient, second_patient, *accounts[14:18]]
    changes = [signed_change(subject, clinic, rule_word(terms=0)) for subject in subjects]
    changes += [signed_change(subject, clinic, rule_word(sequence=2)) for subject in subjects]
    assert {int.from_bytes(change[-1]) >> 255 for change in changes} == {0, 1}

    send(changes)

    assert all(consent_registry.ruleOf(subject, clinic, 0) == rule_word(sequence=2) for subject in subjects)


@pytest.mark.spec("C52")
@pytest.mark.parametrize("place", [0, 1, 2])
def test_wrong_signature_names_the_subject_and_stops_all(
    consent_registry, send, signed_change, patient, second_patient, stranger, clinic, rule_word, place
):
    changes = [signed_change(subject, clinic, rule_word()) for subject in (patient, second_patient)]
    changes.insert(place, signed_change(stranger, clinic, rule_word(), by=patient))

    with reverts("SignatureInvalid", stranger.address):
        send(changes)
    assert consent_registry.ruleOf(patient, clinic, 0) == 0


@pytest.mark.spec("C21", "C52")
def test_altered_change_reverts(send, signed_change, patient, second_patient, clinic, payer, rule_word):
    subject, grantee, word, deadline, r, vs = signed_change(patient, clinic, rule_word())
    revoking = signed_change(patient, clinic, revocation(4, index=3))
    altered = {
        "subject": (second_patient.address, grantee, word, deadline, r, vs),
        "grantee": (subject, payer.address, word, deadline, r, vs),
        "rule": (subject, grantee, word ^ DENY, deadline, r, vs),
        "sequence": (subject, grantee, word + 1, deadline, r, vs),
        "rule as a revocation": (subject, grantee, revocation(1), deadline, r, vs),
        "deadline": (subject, grantee, word, deadline + 1, r, vs),
        "revocation's sequence": (*revoking[:2], revocation(5, index=3), *revoking[3:]),
        "revocation's index": (*revoking[:2], revocation(4, index=2), *revoking[3:]),
        "revocation as a rule": (*revoking[:2], word, *revoking[3:]),
    }

    for change in altered.values():
        with reverts("SignatureInvalid", str(change[0])):
            send([change])


@pytest.mark.spec("C3", "C52")
def test_bits_that_the_message_leaves_out_cannot_be_added(send, signed_change, patient, clinic, rule_word):
    rule = signed_change(patient, clinic, rule_word())
    revoking = signed_change(patient, clinic, revocation(4))

    for change, bit in ((rule, FOLLOWS), (revoking, FOLLOWS), (revoking, DENY), (revoking, 1 << 255)):
        with reverts("RuleBitsReserved", bit):
            send([(*change[:2], change[2] | bit, *change[3:])])


@pytest.mark.spec("C52")
def test_malleable_signature_reverts(send, signed_change, patient, clinic, rule_word):
    *rest, r, vs = signed_change(patient, clinic, rule_word())
    low = int.from_bytes(vs) % PARITY
    forms = [int.from_bytes(vs) ^ PARITY, ORDER - low, (ORDER - low) ^ PARITY, (ORDER - low) % PARITY, 0, PARITY]

    for form in forms:
        with reverts("SignatureInvalid", patient.address):
            send([(*rest, r, form.to_bytes(32))])
    with reverts("SignatureInvalid", patient.address):
        send([(*rest, bytes(32), vs)])


@pytest.mark.spec("C2", "C52")
def test_nobody_cannot_be_a_subject(send, clinic, rule_word, deadline):
    for form in (0, 1, PARITY, PARITY | 1):
        with reverts("SignatureInvalid", NOBODY):
            send([(NOBODY, clinic, rule_word(), deadline, bytes(32), form.to_bytes(32))])


@pytest.mark.spec("C52")
def test_contract_wallet_is_refused_here(send, signed_change, wallet, second_patient, clinic, rule_word):
    with reverts("SignatureInvalid", wallet.address):
        send([signed_change(wallet, clinic, rule_word(), by=second_patient)])


@pytest.mark.spec("C23", "C52")
def test_each_change_counts_up_to_its_own_deadline(
    consent_registry, send, signed_change, patient, second_patient, relayer, clinic, rule_word, deadline, chain
):
    early = signed_change(patient, clinic, rule_word())
    late = signed_change(second_patient, clinic, rule_word(), until=deadline + 10)

    chain.mine(timestamp=deadline)
    consent_registry.setRulesFor.call([late, early], {"from": relayer})
    chain.mine(timestamp=deadline + 1)
    with reverts("MessageExpired", deadline, deadline + 1):
        consent_registry.setRulesFor.call([late, early], {"from": relayer})
    consent_registry.setRulesFor.call([late], {"from": relayer})


@pytest.mark.spec("C27", "C53")
def test_change_sent_twice_reverts(send, signed_change, patient, second_patient, clinic, rule_word):
    change, other = (signed_change(subject, clinic, rule_word()) for subject in (patient, second_patient))

    with reverts("SequenceStale", 1, 1):
        send([change, other, change])
    send([change])
    with reverts("SequenceStale", 1, 1):
        send([other, change])


@pytest.mark.spec("C53")
@pytest.mark.parametrize("revokes", [False, True])
def test_message_sent_alone_does_not_count_again_in_a_batch(
    send, relay, calls, signed_change, patient, clinic, rule_word, revokes
):
    word = revocation(4) if revokes else rule_word()
    numbers = (index_of(word), sequence_of(word))
    alone = calls.revocation(patient, clinic, *numbers) if revokes else calls.rule(patient, clinic, word)
    relay([alone])

    with reverts("SequenceStale", *[sequence_of(word)] * 2):
        send([signed_change(patient, clinic, word)])


@pytest.mark.spec("C27", "C52")
def test_changes_of_one_subject_out_of_order_revert(
    consent_registry, send, signed_change, patient, second_patient, clinic, rule_word
):
    first, second = (signed_change(patient, clinic, rule_word(sequence=sequence)) for sequence in (1, 2))
    other = signed_change(second_patient, clinic, rule_word())

    with reverts("SequenceStale", 0, 2):
        send([second, first])
    send([first, other, second])

    assert consent_registry.ruleOf(patient, clinic, 0) == rule_word(sequence=2)


@pytest.mark.spec("C22", "C52")
def test_change_for_another_chain_or_contract_reverts(
    send, signed_change, patient, clinic, rule_word, consent_registry, delegations, chain
):
    for domain in (
        Domain("ConsentRegistry", chain.id + 1, consent_registry.address),
        Domain("ConsentRegistry", chain.id, delegations.address),
        Domain("Delegations", chain.id, consent_registry.address),
    ):
        with reverts("SignatureInvalid", patient.address):
            send([signed_change(patient, clinic, rule_word(), domain=domain)])


@pytest.mark.spec("C26", "C52")
def test_terms_are_looked_up(consent_registry, send, signed_change, admin, patient, clinic, rule_word):
    change = signed_change(patient, clinic, rule_word(terms=1), terms=b"\x33" * 32)

    with reverts("TermsUnknown", 1):
        send([change])
    consent_registry.publishTerms(b"\x33" * 32, {"from": admin})
    send([change])

    assert consent_registry.ruleOf(patient, clinic, 0) == rule_word(terms=1)


@pytest.mark.spec("C52", "C57", "C59")
def test_delegates_sign_among_subjects(
    consent_registry,
    send,
    grant,
    signed_change,
    delegate_to,
    patient,
    second_patient,
    delegate,
    clinic,
    payer,
    rule_word,
):
    delegate_to(delegate, GRANT | REVOKE)
    grant(payer, rule_word())

    tx = send(
        [
            signed_change(patient, clinic, rule_word(), by=delegate),
            signed_change(second_patient, clinic, rule_word()),
            signed_change(patient, payer, revocation(2), by=delegate),
        ]
    )

    assert [event.name for event in tx.events] == [
        "DelegateActed",
        "RuleSet",
        "RuleSet",
        "DelegateActed",
        "RuleRevoked",
    ]
    acts = [{"subject": patient, "delegate": delegate, "scope": scope} for scope in (GRANT, REVOKE)]
    assert [dict(act) for act in tx.events["DelegateActed"]] == acts
    assert consent_registry.ruleOf(patient, clinic, 0) == rule_word()


@pytest.mark.spec("C57")
@pytest.mark.parametrize(("scopes", "revokes"), [(REVOKE | VIEW, False), (GRANT | VIEW, True)])
def test_delegate_without_the_scope_reverts(
    send, grant, signed_change, delegate_to, patient, delegate, clinic, rule_word, scopes, revokes
):
    delegate_to(delegate, scopes)
    grant(clinic, rule_word())

    with reverts("SignatureInvalid", patient.address):
        send([signed_change(patient, clinic, revocation(2) if revokes else rule_word(sequence=2), by=delegate)])


@pytest.mark.spec("C2", "C57")
def test_delegate_of_one_subject_signs_for_no_other(
    send, signed_change, delegate_to, second_patient, delegate, clinic, rule_word
):
    delegate_to(delegate, GRANT)

    with reverts("SignatureInvalid", second_patient.address):
        send([signed_change(second_patient, clinic, rule_word(), by=delegate)])


@pytest.mark.spec("C52")
def test_sender_of_a_batch_is_nobodys_author(consent_registry, patient, clinic, rule_word, deadline):
    with reverts("SignatureInvalid", patient.address):
        consent_registry.setRulesFor(
            [(patient, clinic, rule_word(), deadline, bytes(32), bytes(32))], {"from": patient}
        )


@pytest.mark.spec("C52")
def test_nothing_signed_changes_nothing(send):
    assert len(send([]).events) == 0

"""revokeRule, and revokeRuleFor where it does the same."""

from __future__ import annotations

import pytest

from tests.support.fixtures import NOBODY
from tests.support.reverts import reverts
from tests.unit.ConsentRegistry.rule_words import FOLLOWS, LAST_INDEX, LAST_SEQUENCE, REVOKED, tombstone


@pytest.mark.spec("C2", "C13", "C16", "C24")
def test_rule_becomes_a_tombstone(consent_registry, revoke_rule, grant, patient, clinic, rule_word):
    grant(clinic, rule_word())

    tx = revoke_rule(clinic, 0, 2)

    assert consent_registry.ruleOf(patient, clinic, 0) == tombstone(rule_word(), 2)
    assert len(tx.events) == 1
    assert dict(tx.events["RuleRevoked"]) == {
        "subject": patient,
        "grantee": clinic,
        "word": tombstone(rule_word(), 2),
    }


@pytest.mark.spec("C14", "C16")
def test_revocation_may_come_before_its_rule(consent_registry, revoke_rule, patient, clinic):
    tx = revoke_rule(clinic, 3, 9)

    assert consent_registry.ruleOf(patient, clinic, 3) == 9 | 3 << 16 | REVOKED
    assert len(tx.events) == 1
    assert dict(tx.events["RuleRevoked"]) == {
        "subject": patient,
        "grantee": clinic,
        "word": 9 | 3 << 16 | REVOKED,
    }


@pytest.mark.spec("C16")
def test_tombstone_in_the_middle_keeps_the_mark_that_another_follows(
    consent_registry, revoke_rule, grant, patient, clinic, rule_word
):
    for index in range(3):
        grant(clinic, rule_word(index=index))

    revoke_rule(clinic, 1, 2)

    assert consent_registry.ruleOf(patient, clinic, 1) == tombstone(rule_word(), 2, index=1) | FOLLOWS
    assert consent_registry.ruleOf(patient, clinic, 0) == rule_word() | FOLLOWS
    assert consent_registry.ruleOf(patient, clinic, 2) == rule_word(index=2)


@pytest.mark.spec("C16")
def test_deny_rule_becomes_a_tombstone(consent_registry, revoke_rule, grant, patient, clinic, rule_word):
    grant(clinic, rule_word(deny=True))

    revoke_rule(clinic, 0, 2)

    assert consent_registry.ruleOf(patient, clinic, 0) == tombstone(rule_word(deny=True), 2)


@pytest.mark.spec("C14", "C15")
def test_revocation_overtakes_all_rules_below_it(revoke_rule, grant, clinic, rule_word):
    grant(clinic, rule_word())

    revoke_rule(clinic, 0, 40)

    for sequence in (2, 3, 39, 40):
        with reverts("SequenceStale", 40, sequence):
            grant(clinic, rule_word(sequence=sequence))


@pytest.mark.spec("C14")
def test_revoked_rule_may_be_revoked_further_ahead(consent_registry, revoke_rule, revoke, patient, clinic):
    revoke(clinic, 0, 5)

    revoke_rule(clinic, 0, 90)

    assert consent_registry.ruleOf(patient, clinic, 0) == 90 | REVOKED


@pytest.mark.spec("C10", "C14")
def test_every_index_is_revoked_up_to_the_last_sequence(consent_registry, revoke_rule, patient, clinic):
    for index in (0, 1, LAST_INDEX):
        revoke_rule(clinic, index, LAST_SEQUENCE)
        assert consent_registry.ruleOf(patient, clinic, index) == LAST_SEQUENCE | index << 16 | REVOKED


@pytest.mark.spec("C2")
def test_rule_of_another_subject_stays(
    consent_registry, revoke_rule, grant, patient, second_patient, clinic, rule_word
):
    consent_registry.setRule(clinic, rule_word(), {"from": second_patient})
    grant(clinic, rule_word())

    revoke_rule(clinic, 0, 2)

    assert consent_registry.ruleOf(second_patient, clinic, 0) == rule_word()


@pytest.mark.spec("C2")
def test_nobody_revokes_in_the_name_of_another(consent_registry, grant, patient, clinic, admin, rule_word):
    grant(clinic, rule_word())

    for sender in (clinic, admin):
        consent_registry.revokeRule(clinic, 0, 2, {"from": sender})

    assert consent_registry.ruleOf(patient, clinic, 0) == rule_word()


@pytest.mark.spec("C7")
def test_grantee_missing_reverts(revoke_rule):
    with reverts("GranteeMissing"):
        revoke_rule(NOBODY, 0, 1)


@pytest.mark.spec("C11")
def test_index_above_the_last_reverts(revoke_rule, clinic):
    for index in (16, 17, 255):
        with reverts("RuleIndexOutOfRange", index):
            revoke_rule(clinic, index, 1)


@pytest.mark.spec("C11")
def test_index_that_would_run_into_other_fields_reverts(revoke, clinic):
    for index in (256, 2**16, 2**255):
        with reverts("RuleIndexOutOfRange", index):
            revoke(clinic, index, 1)


@pytest.mark.spec("C14")
def test_sequence_that_is_not_above_the_stored_one_reverts(revoke_rule, grant, clinic, rule_word):
    grant(clinic, rule_word())
    grant(clinic, rule_word(sequence=2))

    for sequence in (0, 1, 2):
        with reverts("SequenceStale", 2, sequence):
            revoke_rule(clinic, 0, sequence)


@pytest.mark.spec("C14")
def test_sequence_zero_of_no_rule_reverts(revoke_rule, clinic):
    with reverts("SequenceStale", 0, 0):
        revoke_rule(clinic, 0, 0)


@pytest.mark.spec("C14")
def test_sequence_that_would_run_into_other_fields_reverts(revoke, grant, clinic, rule_word):
    grant(clinic, rule_word())

    for sequence in (65536, 65538, 2**256 - 1):
        with reverts("SequenceStale", 1, sequence):
            revoke(clinic, 0, sequence)


@pytest.mark.spec("C10", "C14")
def test_nothing_is_revoked_after_the_last_sequence(revoke_rule, revoke, clinic):
    revoke(clinic, 0, LAST_SEQUENCE)

    with reverts("SequenceStale", LAST_SEQUENCE, LAST_SEQUENCE):
        revoke_rule(clinic, 0, LAST_SEQUENCE)


@pytest.mark.spec("C19")
def test_revocation_needs_nobody_else(
    consent_registry, revoke_rule, grant, patient, registrar, admin, parties, clinic, rule_word
):
    grant(clinic, rule_word())
    registrar.remove(clinic, {"from": admin})

    revoke_rule(clinic, 0, 2)

    assert consent_registry.ruleOf(patient, clinic, 0) == tombstone(rule_word(), 2)

"""setRule, and setRuleFor where it does the same."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from medproof.policy.codes import (
    Action,
    CareSetting,
    Condition,
    DataClass,
    PartyKind,
    Purpose,
    ResearchUse,
    Sensitivity,
)
from medproof.policy.word import FIELDS
from tests.support.fixtures import EVERYONE, NOBODY
from tests.support.reverts import reverts
from tests.unit.ConsentRegistry.rule_words import FOLLOWS, LAST_SEQUENCE, REVOKED, tombstone, with_field


@pytest.mark.spec("C2", "C9", "C13", "C24")
def test_rule_is_stored_and_announced(consent_registry, set_rule, patient, clinic, rule_word):
    word = rule_word()

    tx = set_rule(clinic, word)

    assert consent_registry.ruleOf(patient, clinic, 0) == word
    assert len(tx.events) == 1
    assert dict(tx.events["RuleSet"]) == {"subject": patient, "grantee": clinic, "word": word}


@pytest.mark.spec("C9", "C13")
def test_rule_is_changed_by_the_next_sequence(consent_registry, set_rule, grant, patient, clinic, rule_word):
    grant(clinic, rule_word())
    changed = rule_word(sequence=2, purposes=Purpose.HPAYMT, deny=True)

    tx = set_rule(clinic, changed)

    assert consent_registry.ruleOf(patient, clinic, 0) == changed
    assert len(tx.events) == 1
    assert dict(tx.events["RuleSet"]) == {"subject": patient, "grantee": clinic, "word": changed}


@pytest.mark.spec("C11", "C13")
def test_second_rule_marks_the_first_as_followed(consent_registry, set_rule, grant, patient, clinic, rule_word):
    first, second = rule_word(), rule_word(index=1, deny=True)
    grant(clinic, first)

    tx = set_rule(clinic, second)

    assert consent_registry.ruleOf(patient, clinic, 0) == first | FOLLOWS
    assert consent_registry.ruleOf(patient, clinic, 1) == second
    assert len(tx.events) == 2
    assert [dict(event) for event in tx.events["RuleSet"]] == [
        {"subject": patient, "grantee": clinic, "word": first | FOLLOWS},
        {"subject": patient, "grantee": clinic, "word": second},
    ]


@pytest.mark.spec("C11", "C13")
def test_second_rule_changed_is_announced_alone(consent_registry, set_rule, grant, patient, clinic, rule_word):
    grant(clinic, rule_word())
    grant(clinic, rule_word(index=1))
    changed = rule_word(index=1, sequence=2)

    tx = set_rule(clinic, changed)

    assert consent_registry.ruleOf(patient, clinic, 1) == changed
    assert [dict(event) for event in tx.events["RuleSet"]] == [{"subject": patient, "grantee": clinic, "word": changed}]


@pytest.mark.spec("C11")
def test_change_keeps_the_mark_that_another_rule_follows(consent_registry, set_rule, grant, patient, clinic, rule_word):
    grant(clinic, rule_word())
    grant(clinic, rule_word(index=1))
    changed = rule_word(sequence=2)

    tx = set_rule(clinic, changed)

    assert consent_registry.ruleOf(patient, clinic, 0) == changed | FOLLOWS
    assert dict(tx.events["RuleSet"]) == {"subject": patient, "grantee": clinic, "word": changed | FOLLOWS}


@pytest.mark.spec("C11", "C45")
def test_sixteen_rules_fit_one_pair(consent_registry, grant, patient, clinic, rule_word):
    for index in range(16):
        grant(clinic, rule_word(index=index))

    stored = [consent_registry.ruleOf(patient, clinic, index) for index in range(16)]
    assert stored == [rule_word(index=index) | (FOLLOWS if index < 15 else 0) for index in range(16)]


@pytest.mark.spec("C18")
def test_revoked_rule_is_granted_anew(consent_registry, set_rule, grant, revoke, patient, clinic, rule_word):
    grant(clinic, rule_word())
    revoke(clinic, 0, 7)

    set_rule(clinic, rule_word(sequence=8))

    assert consent_registry.ruleOf(patient, clinic, 0) == rule_word(sequence=8)


@pytest.mark.spec("C8")
def test_flags_for_delegates_and_break_glass_are_carried(consent_registry, set_rule, patient, clinic, rule_word):
    word = rule_word(delegable=True, break_glass_refused=True)

    set_rule(clinic, word)

    assert consent_registry.ruleOf(patient, clinic, 0) == word


@pytest.mark.spec("C1")
@pytest.mark.parametrize("deny", [False, True])
def test_every_defined_bit_is_stored(consent_registry, set_rule, patient, clinic, rule_word, deny):
    word = rule_word(
        party_kinds=PartyKind.ALL,
        purposes=Purpose.ALL,
        classes=DataClass.ALL,
        conditions=Condition.ALL,
        sensitivities=Sensitivity.ALL,
        settings=CareSetting.ALL,
        actions=Action.ALL,
        research=ResearchUse.PERMISSIONS if deny else ResearchUse.ALL,
        data_from=date(2149, 6, 6),
        valid_until=None,
        deny=deny,
        delegable=True,
        break_glass_refused=True,
    )

    set_rule(clinic, word)

    assert consent_registry.ruleOf(patient, clinic, 0) == word


@pytest.mark.spec("C2")
def test_rules_of_two_subjects_are_apart(consent_registry, set_rule, patient, second_patient, clinic, rule_word):
    consent_registry.setRule(clinic, rule_word(deny=True), {"from": second_patient})

    set_rule(clinic, rule_word())

    assert consent_registry.ruleOf(patient, clinic, 0) == rule_word()
    assert consent_registry.ruleOf(second_patient, clinic, 0) == rule_word(deny=True)


@pytest.mark.spec("C9")
def test_rules_of_two_grantees_are_apart(consent_registry, set_rule, grant, patient, clinic, payer, rule_word):
    grant(payer, rule_word())
    grant(EVERYONE, rule_word())

    set_rule(clinic, rule_word(deny=True))

    assert consent_registry.ruleOf(patient, payer, 0) == rule_word()
    assert consent_registry.ruleOf(patient, EVERYONE, 0) == rule_word()


# Reserved bits of the fields, and the flag that another rule follows (23).
NOT_FOR_SUBJECTS = (23, 43, 44, 148, 171, 172, 216, 217, 218, 232)
FIELDS_OF_CODES = ("partyKinds", "purposes", "classes", "conditions", "sensitivities", "settings", "actions")


# -- what may not be written -------------------------------------------------------------------------------------


@pytest.mark.spec("C7")
def test_grantee_missing_reverts(set_rule, rule_word):
    with reverts("GranteeMissing"):
        set_rule(NOBODY, rule_word())


@pytest.mark.spec("C3")
def test_bit_that_no_subject_may_set_reverts(set_rule, clinic, rule_word):
    for bit in NOT_FOR_SUBJECTS:
        with reverts("RuleBitsReserved", 1 << bit):
            set_rule(clinic, rule_word() | 1 << bit)


@pytest.mark.spec("C3")
def test_all_such_bits_are_named(grant, clinic):
    with reverts("RuleBitsReserved", sum(1 << bit for bit in NOT_FOR_SUBJECTS)):
        grant(clinic, 2**256 - 1 & ~REVOKED)


@pytest.mark.spec("C3", "C49")
def test_revocation_with_any_other_bit_reverts(consent_registry, patient, clinic):
    index_and_sequence = (1 << 20) - 1
    revocation = REVOKED | 3 << 16 | 2

    for bit in set(range(20, 256)) - {24}:
        with reverts("RuleBitsReserved", 1 << bit):
            consent_registry.setRule.call(clinic, revocation | 1 << bit, {"from": patient})
    with reverts("RuleBitsReserved", 2**256 - 1 & ~(REVOKED | index_and_sequence)):
        consent_registry.setRule.call(clinic, 2**256 - 1, {"from": patient})


@pytest.mark.spec("C14", "C16", "C49")
def test_word_that_says_revoked_revokes(consent_registry, grant, patient, clinic, rule_word):
    grant(clinic, rule_word())

    tx = grant(clinic, REVOKED | 7)

    assert consent_registry.ruleOf(patient, clinic, 0) == tombstone(rule_word(), 7)
    assert len(tx.events) == 1
    assert dict(tx.events["RuleRevoked"]) == {
        "subject": patient,
        "grantee": clinic,
        "word": tombstone(rule_word(), 7),
    }


@pytest.mark.spec("C4")
def test_empty_field_reverts(set_rule, clinic, rule_word):
    for field in FIELDS_OF_CODES:
        with reverts("RuleFieldEmpty", field):
            set_rule(clinic, with_field(rule_word(), field, 0))


@pytest.mark.spec("C4")
def test_each_code_alone_fills_its_field(consent_registry, patient, clinic, rule_word):
    for field in FIELDS_OF_CODES:
        for code in FIELDS[field].codes:
            word = with_field(rule_word(), field, code.value)
            if field == "purposes" and code & Purpose.RESEARCH:
                word = with_field(word, "research", ResearchUse.DS.value)
            consent_registry.setRule.call(clinic, word, {"from": patient})


@pytest.mark.spec("C5")
def test_period_that_does_not_begin_before_it_ends_reverts(set_rule, clinic, rule_word, now):
    begin = int(now.timestamp()) // 60

    for minutes in (0, -1, -60):
        with reverts("RulePeriodEmpty", begin, begin + minutes):
            set_rule(clinic, rule_word(valid_from=now, valid_until=now + timedelta(minutes=minutes)))


@pytest.mark.spec("C5")
def test_period_of_one_minute_is_written(set_rule, clinic, rule_word, now):
    set_rule(clinic, rule_word(valid_from=now, valid_until=now + timedelta(minutes=1)))


@pytest.mark.spec("C5")
def test_data_period_upside_down_reverts(set_rule, clinic, rule_word):
    word = rule_word(data_from=date(1970, 1, 11), data_until=date(1970, 1, 10))

    with reverts("RuleDataPeriodEmpty", 10, 9):
        set_rule(clinic, word)


@pytest.mark.spec("C5")
def test_data_period_of_one_day_is_written(set_rule, clinic, rule_word):
    set_rule(clinic, rule_word(data_from=date(1970, 1, 10), data_until=date(1970, 1, 10)))


RESEARCH_MISMATCHES = {
    "no permission": {"purposes": Purpose.HRESCH},
    "modifiers alone": {"purposes": Purpose.HRESCH, "research": ResearchUse.IRB},
    "a permission without a research purpose": {"research": ResearchUse.DS},
    "modifiers without a research purpose": {"research": ResearchUse.IRB},
    "HMB without DS": {"purposes": Purpose.HRESCH, "research": ResearchUse.HMB},
    "GRU without POA": {"purposes": Purpose.HRESCH, "research": ResearchUse.GRU | ResearchUse.HMB | ResearchUse.DS},
    "GRU without HMB": {"purposes": Purpose.HRESCH, "research": ResearchUse.GRU | ResearchUse.POA | ResearchUse.DS},
    "NRES alone": {"purposes": Purpose.DSRCH, "research": ResearchUse.NRES},
    "a deny without a permission": {"deny": True, "purposes": Purpose.ALL},
    "a deny with modifiers": {"deny": True, "purposes": Purpose.HRESCH, "research": ResearchUse.DS | ResearchUse.NCU},
    "a deny with research and no such purpose": {"deny": True, "research": ResearchUse.DS},
}


@pytest.mark.spec("C6")
@pytest.mark.parametrize("changes", RESEARCH_MISMATCHES.values(), ids=RESEARCH_MISMATCHES.keys())
def test_research_that_does_not_go_with_the_purposes_reverts(grant, clinic, rule_word, changes):
    word = rule_word(**changes)

    with reverts("RuleResearchMismatch", word):
        grant(clinic, word)


@pytest.mark.spec("C6")
def test_research_that_goes_with_the_purposes_is_written(consent_registry, patient, clinic, rule_word):
    for purpose in Purpose(Purpose.RESEARCH):
        for permission in ResearchUse(ResearchUse.PERMISSIONS):
            permit = rule_word(purposes=purpose, research=permission.with_narrower() | ResearchUse.IRB)
            deny = rule_word(purposes=purpose, research=permission, deny=True)
            consent_registry.setRule.call(clinic, permit, {"from": patient})
            consent_registry.setRule.call(clinic, deny, {"from": patient})


@pytest.mark.spec("C9")
def test_sequence_given_twice_reverts(set_rule, clinic, rule_word):
    set_rule(clinic, rule_word())

    with reverts("SequenceStale", 1, 1):
        set_rule(clinic, rule_word())


@pytest.mark.spec("C9")
def test_sequence_other_than_the_next_reverts(set_rule, grant, clinic, rule_word):
    grant(clinic, rule_word())
    grant(clinic, rule_word(sequence=2))

    for sequence in (0, 1, 2, 4, 65534, 65535):
        with reverts("SequenceStale", 2, sequence):
            set_rule(clinic, rule_word(sequence=sequence))


@pytest.mark.spec("C9")
def test_first_sequence_is_one(set_rule, clinic, rule_word):
    with reverts("SequenceStale", 0, 0):
        set_rule(clinic, rule_word(sequence=0))


@pytest.mark.spec("C10")
def test_last_sequence_is_kept_for_revocation(consent_registry, set_rule, grant, revoke, patient, clinic, rule_word):
    revoke(clinic, 0, LAST_SEQUENCE - 2)
    grant(clinic, rule_word(sequence=LAST_SEQUENCE - 1))

    with reverts("SequenceStale", LAST_SEQUENCE - 1, LAST_SEQUENCE):
        set_rule(clinic, rule_word(sequence=LAST_SEQUENCE))
    revoke(clinic, 0, LAST_SEQUENCE)
    assert consent_registry.ruleOf(patient, clinic, 0) == tombstone(rule_word(), LAST_SEQUENCE)


@pytest.mark.spec("C10", "C15")
def test_nothing_follows_the_last_sequence(set_rule, revoke, clinic, rule_word):
    revoke(clinic, 0, LAST_SEQUENCE)

    with reverts("SequenceStale", LAST_SEQUENCE, 0):
        set_rule(clinic, rule_word(sequence=0))


@pytest.mark.spec("C11")
def test_index_without_the_rule_before_it_reverts(set_rule, clinic, rule_word):
    for index in (1, 2, 15):
        with reverts("RuleIndexGap", index):
            set_rule(clinic, rule_word(index=index))


@pytest.mark.spec("C11")
def test_index_after_the_next_free_one_reverts(set_rule, grant, clinic, rule_word):
    grant(clinic, rule_word())

    with reverts("RuleIndexGap", 2):
        set_rule(clinic, rule_word(index=2))


@pytest.mark.spec("C11")
def test_each_index_counts_its_own_sequence(consent_registry, set_rule, grant, patient, clinic, rule_word):
    grant(clinic, rule_word())
    grant(clinic, rule_word(sequence=2))

    with reverts("SequenceStale", 0, 3):
        set_rule(clinic, rule_word(index=1, sequence=3))
    set_rule(clinic, rule_word(index=1))

    assert consent_registry.ruleOf(patient, clinic, 1) == rule_word(index=1)


@pytest.mark.spec("C11", "C16")
def test_rule_may_follow_a_tombstone(consent_registry, set_rule, grant, revoke, patient, clinic, rule_word):
    grant(clinic, rule_word())
    revoke(clinic, 0, 2)

    set_rule(clinic, rule_word(index=1))

    assert consent_registry.ruleOf(patient, clinic, 0) == tombstone(rule_word(), 2) | FOLLOWS
    assert consent_registry.ruleOf(patient, clinic, 1) == rule_word(index=1)


@pytest.mark.spec("C28")
def test_terms_are_not_looked_up_where_the_subject_sends(consent_registry, grant, patient, clinic, rule_word):
    grant(clinic, rule_word(terms=4095))

    assert consent_registry.ruleOf(patient, clinic, 0) == rule_word(terms=4095)


@pytest.mark.spec("C11")
def test_rule_stays_unmarked_until_another_follows(consent_registry, set_rule, patient, clinic, rule_word):
    set_rule(clinic, rule_word())

    assert consent_registry.ruleOf(patient, clinic, 0) & (FOLLOWS | REVOKED) == 0

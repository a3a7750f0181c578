"""setRules: several changes of one subject at once, in order, all or none."""

from __future__ import annotations

import pytest

from medproof.policy.codes import DataClass
from tests.support.fixtures import EVERYONE, NOBODY
from tests.support.reverts import reverts
from tests.unit.ConsentRegistry.rule_words import FOLLOWS, REVOKED, revocation, tombstone


@pytest.fixture
def set_rules(consent_registry, patient):
    """Make several changes in the patient's own transaction."""
    return lambda changes, by=patient: consent_registry.setRules(changes, {"from": by})


@pytest.mark.spec("C50")
def test_grants_changes_and_revocations_are_made_in_order(
    consent_registry, set_rules, grant, patient, clinic, payer, rule_word
):
    grant(clinic, rule_word())
    grant(payer, rule_word())
    changed, second = rule_word(sequence=2, classes=DataClass.NOTE), rule_word(index=1, deny=True)

    tx = set_rules(
        [
            (clinic, changed),
            (clinic, second),
            (EVERYONE, rule_word()),
            (payer, revocation(5)),
            (EVERYONE, revocation(2)),
        ]
    )

    announced = [
        ("RuleSet", clinic, changed),
        ("RuleSet", clinic, changed | FOLLOWS),
        ("RuleSet", clinic, second),
        ("RuleSet", EVERYONE, rule_word()),
        ("RuleRevoked", payer, tombstone(rule_word(), 5)),
        ("RuleRevoked", EVERYONE, tombstone(rule_word(), 2)),
    ]
    assert [(event.name, event["grantee"], event["word"]) for event in tx.events] == announced
    assert {event["subject"] for event in tx.events} == {patient}
    stored = {(event["grantee"], event["word"] >> 16 & 15): event["word"] for event in tx.events}
    for (grantee, index), word in stored.items():
        assert consent_registry.ruleOf(patient, grantee, index) == word


@pytest.mark.spec("C13", "C50")
def test_one_rule_is_granted_changed_revoked_and_granted_anew(consent_registry, set_rules, patient, clinic, rule_word):
    words = [rule_word(), rule_word(sequence=2, deny=True), revocation(9), rule_word(sequence=10)]

    tx = set_rules([(clinic, word) for word in words])

    assert [event["word"] for event in tx.events] == [*words[:2], tombstone(words[1], 9), words[3]]
    assert consent_registry.ruleOf(patient, clinic, 0) == words[3]


@pytest.mark.spec("C11", "C50")
def test_sixteen_rules_of_one_pair_are_granted_at_once(consent_registry, set_rules, patient, clinic, rule_word):
    set_rules([(clinic, rule_word(index=index)) for index in range(16)])

    stored = [consent_registry.ruleOf(patient, clinic, index) for index in range(16)]
    assert stored == [rule_word(index=index) | (FOLLOWS if index < 15 else 0) for index in range(16)]


BAD = {
    "no grantee": (NOBODY, lambda word: word(), ("GranteeMissing",)),
    "revocation without grantee": (NOBODY, lambda word: revocation(2), ("GranteeMissing",)),
    "stale": (EVERYONE, lambda word: word(sequence=2), ("SequenceStale", 0, 2)),
    "stale revocation": (EVERYONE, lambda word: revocation(0), ("SequenceStale", 0, 0)),
    "gap": (EVERYONE, lambda word: word(index=1), ("RuleIndexGap", 1)),
    "reserved": (EVERYONE, lambda word: word() | FOLLOWS, ("RuleBitsReserved", FOLLOWS)),
    "rule marked as revoked": (EVERYONE, lambda word: 1 << 20 | revocation(2), ("RuleBitsReserved", 1 << 20)),
    "empty field": (EVERYONE, lambda word: word(classes=DataClass.EMPTY), ("RuleFieldEmpty", "classes")),
}


@pytest.mark.spec("C50")
@pytest.mark.parametrize(("grantee", "word", "error"), BAD.values(), ids=BAD.keys())
@pytest.mark.parametrize("place", [0, 1, 2])
def test_all_or_none(consent_registry, set_rules, patient, clinic, payer, rule_word, grantee, word, error, place):
    changes = [(clinic, rule_word()), (payer, rule_word())]
    changes.insert(place, (grantee, word(rule_word)))

    with reverts(*error):
        set_rules(changes)

    assert [consent_registry.ruleOf(patient, party, 0) for party in (clinic, payer)] == [0, 0]


@pytest.mark.spec("C2", "C50")
def test_only_the_senders_rules_are_touched(consent_registry, set_rules, grant, patient, stranger, clinic, rule_word):
    grant(clinic, rule_word())

    set_rules([(clinic, revocation(7))], by=stranger)

    assert consent_registry.ruleOf(patient, clinic, 0) == rule_word()
    assert consent_registry.ruleOf(stranger, clinic, 0) == REVOKED | 7


@pytest.mark.spec("C50")
def test_nothing_to_change_changes_nothing(set_rules):
    assert len(set_rules([]).events) == 0

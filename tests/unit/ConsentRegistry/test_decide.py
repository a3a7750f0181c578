"""decide and isPermitted: every row of the evaluation tables in docs/rule-word.md, on the chain."""

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
from medproof.policy.evaluation import Reason
from medproof.policy.word import FIELDS, Request, encode_request
from tests.support.fixtures import DAY, EMERGENCY_GROUP, EVERYONE, NOBODY, PROVIDER, RESEARCHER
from tests.unit.ConsentRegistry.rule_words import FOLLOWS, REVOKED, tombstone, with_field

pytestmark = pytest.mark.usefixtures("parties")

ASKED = {
    "purposes": Purpose.TREAT,
    "classes": DataClass.LABORATORY,
    "conditions": Condition.CIRCULATORY,
    "sensitivities": Sensitivity.NONE_LABELLED,
    "settings": CareSetting.AMB,
    "actions": Action.ACCESS,
}
# For each field, a code that rule_word() leaves out of a permit, once the permit is narrowed as NARROW says.
NARROW = {"conditions": Condition.CIRCULATORY | Condition.ENDOCRINE, "settings": CareSetting.AMB | CareSetting.IMP}
OUTSIDE = {
    "purposes": (Purpose.HPAYMT, Reason.PURPOSE),
    "classes": (DataClass.NOTE, Reason.DATA_CLASS),
    "conditions": (Condition.MENTAL, Reason.CONDITION),
    "sensitivities": (Sensitivity.HIV, Reason.SENSITIVITY),
    "settings": (CareSetting.VR, Reason.CARE_SETTING),
    "actions": (Action.DISCLOSE, Reason.ACTION),
}


def ask(**changes):
    """A request's word that lies inside rule_word(), changed as the keywords say."""
    return encode_request(Request(**{**ASKED, **changes}))


@pytest.fixture
def decide(consent_registry, patient):
    """Decide about the patient's data: (reason, grantee, word). isPermitted must say the same."""

    def decision(actor, request, *, subject=patient):
        reason, grantee, word = consent_registry.decide(subject, actor, request)
        assert consent_registry.isPermitted(subject, actor, request) is (reason == Reason.PERMITTED)
        return Reason(reason), grantee, word

    return decision


@pytest.fixture
def reason_of(decide):
    """The reason alone."""
    return lambda actor, request: decide(actor, request)[0]


# -- the request -------------------------------------------------------------------------------------------------


@pytest.mark.spec("C31")
def test_bit_that_no_request_may_set_is_malformed(decide, grant, clinic, rule_word):
    grant(clinic, rule_word())
    names = ("sequence", "index", "flags", "terms", "partyKinds", "validFrom", "validUntil")
    bits = [bit for name in names for bit in range(FIELDS[name].offset, FIELDS[name].offset + FIELDS[name].width)]
    bits += [148, 171, 172, 216, 217, 218, 232]

    for bit in bits:
        assert decide(clinic, ask() | 1 << bit) == (Reason.MALFORMED_REQUEST, NOBODY, 0), bit


@pytest.mark.spec("C31")
def test_data_period_upside_down_is_malformed(decide, grant, clinic, rule_word):
    grant(clinic, rule_word())
    request = ask(data_from=date(2020, 1, 2), data_until=date(2020, 1, 1))

    assert decide(clinic, request) == (Reason.MALFORMED_REQUEST, NOBODY, 0)


@pytest.mark.spec("C31")
def test_research_without_a_research_purpose_is_malformed(decide, grant, clinic, rule_word):
    grant(clinic, rule_word(purposes=Purpose.ALL, research=ResearchUse.PERMISSIONS))

    for research in (ResearchUse.DS, ResearchUse.IRB):
        assert decide(clinic, ask(research=research)) == (Reason.MALFORMED_REQUEST, NOBODY, 0)


@pytest.mark.spec("C44", "C46")
def test_is_permitted_says_what_decide_says_and_changes_nothing(
    consent_registry, grant, patient, clinic, payer, rule_word, chain
):
    grant(clinic, rule_word())
    height = chain.height

    for actor, permitted in ((clinic, True), (payer, False)):
        assert consent_registry.isPermitted(patient, actor, ask()) is permitted
        assert (consent_registry.decide(patient, actor, ask())[0] == Reason.PERMITTED) is permitted
    functions = {item["name"]: item["stateMutability"] for item in consent_registry.abi if item["type"] == "function"}
    assert functions["isPermitted"] == functions["decide"] == "view"
    assert chain.height == height


@pytest.mark.spec("C31")
def test_malformed_comes_before_inactive(reason_of, stranger):
    assert reason_of(stranger, 1) is Reason.MALFORMED_REQUEST


@pytest.mark.spec("C32")
@pytest.mark.parametrize("field", OUTSIDE)
def test_empty_field_asks_for_every_code(decide, grant, clinic, rule_word, field):
    codes = type(ASKED[field])
    every = {field: codes.ALL, **({"research": ResearchUse.PERMISSIONS} if field == "purposes" else {})}
    all_but_one = {**every, field: codes(codes.ALL) & ~OUTSIDE[field][0]}
    request = with_field(ask(), field, 0)
    lacking, full = rule_word(**all_but_one), rule_word(sequence=2, **every)

    grant(clinic, lacking)
    assert decide(clinic, request) == (OUTSIDE[field][1], clinic, lacking)
    grant(clinic, full)
    assert decide(clinic, request) == (Reason.PERMITTED, clinic, full)


@pytest.mark.spec("C32")
def test_no_last_day_asks_without_end(decide, grant, clinic, rule_word):
    ending, open_ended = rule_word(data_until=date(2149, 6, 5)), rule_word(sequence=2)
    request = with_field(ask(), "dataUntil", 0)

    grant(clinic, ending)
    assert decide(clinic, request) == (Reason.DATA_PERIOD, clinic, ending)
    grant(clinic, open_ended)
    assert decide(clinic, request) == (Reason.PERMITTED, clinic, open_ended)


@pytest.mark.spec("C32")
def test_empty_request_asks_for_everything(decide, grant, clinic, rule_word):
    everything = {name: type(code).ALL for name, code in ASKED.items()}
    word = rule_word(**everything, research=ResearchUse.PERMISSIONS)

    grant(clinic, word)

    assert decide(clinic, 0) == (Reason.PERMITTED, clinic, word)


# -- the actor ---------------------------------------------------------------------------------------------------


@pytest.mark.spec("C33")
def test_account_that_acts_for_no_party_has_no_access(decide, grant, stranger, patient, rule_word):
    grant(stranger, rule_word())
    grant(EVERYONE, rule_word())

    for actor in (stranger, patient, NOBODY):
        assert decide(actor, ask()) == (Reason.INACTIVE_PARTY, NOBODY, 0)


@pytest.mark.spec("C33")
def test_suspended_party_has_no_access_until_reinstated(decide, grant, registrar, admin, clinic, rule_word):
    grant(clinic, rule_word())

    registrar.suspend(clinic, {"from": admin})
    assert decide(clinic, ask()) == (Reason.INACTIVE_PARTY, NOBODY, 0)
    registrar.reinstate(clinic, {"from": admin})
    assert decide(clinic, ask()) == (Reason.PERMITTED, clinic, rule_word())


@pytest.mark.spec("C33")
def test_party_whose_accreditation_lapsed_has_no_access(decide, grant, accredit, chain, fresh_account, rule_word):
    last_day = chain.time() // DAY + 3
    accredit(fresh_account, PROVIDER, valid_until=last_day)
    grant(fresh_account, rule_word())

    chain.mine(timestamp=(last_day + 1) * DAY - 1)
    assert decide(fresh_account, ask()) == (Reason.PERMITTED, fresh_account, rule_word())
    chain.mine(timestamp=(last_day + 1) * DAY)
    assert decide(fresh_account, ask()) == (Reason.INACTIVE_PARTY, NOBODY, 0)


@pytest.mark.spec("C33")
def test_removed_party_has_no_access(decide, grant, registrar, admin, clinic, rule_word):
    grant(clinic, rule_word())

    registrar.remove(clinic, {"from": admin})

    assert decide(clinic, ask()) == (Reason.INACTIVE_PARTY, NOBODY, 0)


@pytest.mark.spec("C34")
def test_consent_follows_a_party_to_its_new_account(decide, grant, registrar, clinic, fresh_account, rule_word):
    grant(clinic, rule_word())

    registrar.offerAccount(fresh_account, {"from": clinic})
    registrar.takeAccount(clinic, {"from": fresh_account})

    assert decide(fresh_account, ask()) == (Reason.PERMITTED, clinic, rule_word())
    assert decide(clinic, ask()) == (Reason.INACTIVE_PARTY, NOBODY, 0)


@pytest.mark.spec("C34")
def test_consent_names_the_identity_and_not_the_account(decide, grant, registrar, clinic, fresh_account, rule_word):
    registrar.offerAccount(fresh_account, {"from": clinic})
    registrar.takeAccount(clinic, {"from": fresh_account})

    grant(fresh_account, rule_word())

    assert decide(fresh_account, ask()) == (Reason.NO_RULE, NOBODY, 0)


@pytest.mark.spec("C39")
def test_party_of_a_kind_that_the_rule_does_not_admit(decide, grant, clinic, payer, rule_word):
    word = rule_word(party_kinds=PartyKind.ALL & ~PartyKind.PAYER)
    grant(EVERYONE, word)

    assert decide(payer, ask()) == (Reason.PARTY_KIND, EVERYONE, word)
    assert decide(clinic, ask()) == (Reason.PERMITTED, EVERYONE, word)


@pytest.mark.spec("C39")
def test_each_kind_is_admitted_by_its_own_bit(reason_of, grant, accredit, accounts, rule_word):
    newcomers = accounts[12:18]
    for kind, account in enumerate(newcomers, start=1):
        accredit(account, kind)

    for sequence, kind in enumerate(PartyKind, start=1):
        grant(EVERYONE, rule_word(sequence=sequence, party_kinds=kind))
        admitted = [reason_of(account, ask()) for account in newcomers]
        expected = [Reason.PARTY_KIND] * 6
        expected[sequence - 1] = Reason.PERMITTED
        assert admitted == expected


# -- whose rules are read ----------------------------------------------------------------------------------------


@pytest.mark.spec("C30")
def test_no_rule_permits_nothing(decide, clinic):
    assert decide(clinic, ask()) == (Reason.NO_RULE, NOBODY, 0)


@pytest.mark.spec("C30")
def test_deny_that_does_not_touch_permits_nothing(decide, grant, clinic, rule_word):
    grant(clinic, rule_word(deny=True, classes=DataClass.NOTE))

    assert decide(clinic, ask()) == (Reason.NO_RULE, NOBODY, 0)


@pytest.mark.spec("C35")
def test_rule_for_another_party_does_not_count(decide, grant, clinic, second_clinic, rule_word):
    grant(second_clinic, rule_word())

    assert decide(clinic, ask()) == (Reason.NO_RULE, NOBODY, 0)


@pytest.mark.spec("C2", "C35")
def test_rule_of_another_subject_does_not_count(decide, consent_registry, second_patient, clinic, rule_word):
    consent_registry.setRule(clinic, rule_word(), {"from": second_patient})

    assert decide(clinic, ask()) == (Reason.NO_RULE, NOBODY, 0)
    assert decide(clinic, ask(), subject=second_patient) == (Reason.PERMITTED, clinic, rule_word())


@pytest.mark.spec("C35")
def test_rule_for_a_group_counts_for_its_members(decide, grant, clinic, emergency_department, rule_word):
    grant(EMERGENCY_GROUP, rule_word())

    assert decide(emergency_department, ask()) == (Reason.PERMITTED, EMERGENCY_GROUP, rule_word())
    assert decide(clinic, ask()) == (Reason.NO_RULE, NOBODY, 0)


@pytest.mark.spec("C35")
def test_rule_for_a_group_counts_while_the_party_is_in_it(decide, grant, registrar, admin, clinic, rule_word):
    grant(EMERGENCY_GROUP, rule_word())

    registrar.joinGroup(2, clinic, {"from": admin})
    assert decide(clinic, ask()) == (Reason.PERMITTED, EMERGENCY_GROUP, rule_word())
    registrar.leaveGroup(2, clinic, {"from": admin})
    assert decide(clinic, ask()) == (Reason.NO_RULE, NOBODY, 0)


@pytest.mark.spec("C35")
def test_each_of_four_groups_counts(decide, grant, registrar, admin, clinic, rule_word):
    groups = []
    for number in range(4):
        group = registrar.createGroup(f"network {number}", {"from": admin}).return_value
        registrar.joinGroup(group, clinic, {"from": admin})
        groups.append(f"0x{group:040x}")

    for group in groups:
        grant(group, rule_word())
        assert decide(clinic, ask()) == (Reason.PERMITTED, group, rule_word())
        grant(group, rule_word(sequence=2, deny=True))
        assert decide(clinic, ask()) == (Reason.DENIED, group, rule_word(sequence=2, deny=True))
        grant(group, rule_word(sequence=3, deny=True, classes=DataClass.NOTE))


@pytest.mark.spec("C35", "C43")
def test_lists_are_read_in_order_party_everyone_groups(decide, grant, emergency_department, rule_word):
    for grantee in (EMERGENCY_GROUP, EVERYONE, emergency_department):
        grant(grantee, rule_word())
        assert decide(emergency_department, ask()) == (Reason.PERMITTED, grantee, rule_word())
    for grantee in (EMERGENCY_GROUP, EVERYONE, emergency_department):
        deny = rule_word(index=1, deny=True)
        grant(grantee, deny)
        assert decide(emergency_department, ask()) == (Reason.DENIED, grantee, deny)


# -- time --------------------------------------------------------------------------------------------------------


@pytest.mark.spec("C38")
def test_permit_counts_from_its_first_minute_up_to_its_end(decide, grant, chain, clinic, rule_word, now):
    begin, end = now + timedelta(hours=1), now + timedelta(hours=2)
    word = rule_word(valid_from=begin, valid_until=end)
    grant(clinic, word)

    for moment, reason in (
        (begin - timedelta(seconds=1), Reason.NOT_YET_VALID),
        (begin, Reason.PERMITTED),
        (end - timedelta(seconds=1), Reason.PERMITTED),
        (end, Reason.EXPIRED),
        (end + timedelta(days=100), Reason.EXPIRED),
    ):
        chain.mine(timestamp=int(moment.timestamp()))
        assert decide(clinic, ask()) == (reason, clinic, word)


@pytest.mark.spec("C38")
def test_deny_counts_from_its_first_minute_up_to_its_end(reason_of, grant, chain, clinic, rule_word, now):
    begin, end = now + timedelta(hours=1), now + timedelta(hours=2)
    grant(clinic, rule_word())
    grant(clinic, rule_word(index=1, deny=True, valid_from=begin, valid_until=end))

    for moment, reason in (
        (begin - timedelta(seconds=1), Reason.PERMITTED),
        (begin, Reason.DENIED),
        (end - timedelta(seconds=1), Reason.DENIED),
        (end, Reason.PERMITTED),
    ):
        chain.mine(timestamp=int(moment.timestamp()))
        assert reason_of(clinic, ask()) is reason


@pytest.mark.spec("C38")
def test_permit_without_end_does_not_end(decide, grant, registrar, admin, chain, clinic, rule_word):
    registrar.renew(clinic, b"\x11" * 32, 65535, {"from": admin})
    word = rule_word(valid_until=None)
    grant(clinic, word)

    chain.mine(timestamp=65535 * DAY)

    assert decide(clinic, ask()) == (Reason.PERMITTED, clinic, word)


# -- what a permit covers ----------------------------------------------------------------------------------------


@pytest.mark.spec("C36")
@pytest.mark.parametrize("field", OUTSIDE)
def test_permit_covers_what_lies_inside_in_each_field(decide, grant, clinic, rule_word, field):
    outside, reason = OUTSIDE[field]
    word = rule_word(**NARROW)
    grant(clinic, word)

    assert decide(clinic, ask()) == (Reason.PERMITTED, clinic, word)
    # All outside, and one of two outside.
    assert decide(clinic, ask(**{field: outside})) == (reason, clinic, word)
    assert decide(clinic, ask(**{field: ASKED[field] | outside})) == (reason, clinic, word)


@pytest.mark.spec("C36")
def test_permit_covers_all_that_it_names_at_once(decide, grant, clinic, rule_word):
    grant(clinic, rule_word())
    request = ask(
        classes=DataClass.LABORATORY | DataClass.MEDICATION,
        conditions=Condition.ALL,
        settings=CareSetting.ALL,
        actions=Action.ACCESS | Action.USE,
    )

    assert decide(clinic, request) == (Reason.PERMITTED, clinic, rule_word())


@pytest.mark.spec("C36")
def test_two_permits_do_not_add_up(decide, grant, clinic, rule_word):
    laboratory, medication = rule_word(classes=DataClass.LABORATORY), rule_word(classes=DataClass.MEDICATION)
    grant(clinic, laboratory)
    grant(clinic, with_field(medication, "index", 1))
    grant(EVERYONE, medication)

    request = ask(classes=DataClass.LABORATORY | DataClass.MEDICATION)

    assert decide(clinic, request) == (Reason.DATA_CLASS, clinic, laboratory | FOLLOWS)


@pytest.mark.spec("C42")
def test_data_period_asked_for_lies_inside_the_permits(decide, grant, clinic, rule_word):
    first, last = date(2020, 1, 1), date(2020, 12, 31)
    day = timedelta(days=1)
    word = rule_word(data_from=first, data_until=last)
    grant(clinic, word)

    for begin, end, reason in (
        (first, last, Reason.PERMITTED),
        (first, first, Reason.PERMITTED),
        (last, last, Reason.PERMITTED),
        (first - day, last, Reason.DATA_PERIOD),
        (first, last + day, Reason.DATA_PERIOD),
        (date(1970, 1, 1), first, Reason.DATA_PERIOD),
        (last, None, Reason.DATA_PERIOD),
    ):
        assert decide(clinic, ask(data_from=begin, data_until=end)) == (reason, clinic, word)


# -- research ----------------------------------------------------------------------------------------------------

INCLUDED = {
    ResearchUse.NRES: {ResearchUse.NRES},
    ResearchUse.GRU: {ResearchUse.NRES, ResearchUse.GRU},
    ResearchUse.HMB: {ResearchUse.NRES, ResearchUse.GRU, ResearchUse.HMB},
    ResearchUse.POA: {ResearchUse.NRES, ResearchUse.GRU, ResearchUse.POA},
    ResearchUse.DS: {ResearchUse.NRES, ResearchUse.GRU, ResearchUse.HMB, ResearchUse.DS},
}


@pytest.mark.spec("C40")
def test_research_is_covered_by_a_permission_that_includes_it(reason_of, grant, researcher, rule_word):
    for sequence, permission in enumerate(INCLUDED, start=1):
        research = permission.with_narrower()
        grant(researcher, rule_word(sequence=sequence, purposes=Purpose.RESEARCH, research=research))
        for asked, enough in INCLUDED.items():
            request = ask(purposes=Purpose.HRESCH, research=asked)
            expected = Reason.PERMITTED if permission in enough else Reason.RESEARCH_USE
            assert reason_of(researcher, request) is expected


@pytest.mark.spec("C40")
def test_deny_of_a_research_use_stops_what_includes_it(reason_of, grant, researcher, rule_word):
    grant(researcher, rule_word(purposes=Purpose.HRESCH, research=ResearchUse.PERMISSIONS))

    for sequence, (permission, stopped) in enumerate(INCLUDED.items(), start=1):
        deny = rule_word(index=1, sequence=sequence, purposes=Purpose.HRESCH, research=permission, deny=True)
        grant(researcher, deny)
        for asked in INCLUDED:
            request = ask(purposes=Purpose.HRESCH, research=asked)
            expected = Reason.DENIED if asked in stopped else Reason.PERMITTED
            assert reason_of(researcher, request) is expected


@pytest.mark.spec("C40")
def test_research_without_a_permission_named_asks_for_all(reason_of, grant, researcher, rule_word):
    request = ask(purposes=Purpose.HRESCH)

    grant(researcher, rule_word(purposes=Purpose.HRESCH, research=ResearchUse.GRU.with_narrower()))
    assert reason_of(researcher, request) is Reason.RESEARCH_USE
    grant(researcher, rule_word(sequence=2, purposes=Purpose.HRESCH, research=ResearchUse.PERMISSIONS))
    assert reason_of(researcher, request) is Reason.PERMITTED


@pytest.mark.spec("C41")
def test_every_modifier_must_be_accepted(decide, grant, researcher, rule_word):
    modifiers = ResearchUse.IRB | ResearchUse.NCU
    word = rule_word(purposes=Purpose.HRESCH, research=ResearchUse.DS | modifiers)
    grant(researcher, word)

    for accepted, reason in (
        (ResearchUse.EMPTY, Reason.RESEARCH_USE),
        (ResearchUse.IRB, Reason.RESEARCH_USE),
        (modifiers, Reason.PERMITTED),
        (modifiers | ResearchUse.PUB, Reason.PERMITTED),
    ):
        request = ask(purposes=Purpose.HRESCH, research=ResearchUse.DS | accepted)
        assert decide(researcher, request) == (reason, researcher, word)


@pytest.mark.spec("C41")
def test_modifiers_play_no_part_outside_research(decide, grant, clinic, rule_word):
    word = rule_word(purposes=Purpose.TREAT | Purpose.HRESCH, research=ResearchUse.DS | ResearchUse.IRB)
    grant(clinic, word)

    assert decide(clinic, ask()) == (Reason.PERMITTED, clinic, word)


@pytest.mark.spec("C37", "C40")
def test_deny_in_research_alone_needs_a_permission_in_common(reason_of, grant, clinic, rule_word):
    grant(clinic, rule_word(purposes=Purpose.TREAT | Purpose.HRESCH, research=ResearchUse.PERMISSIONS))
    deny = {"index": 1, "deny": True, "research": ResearchUse.POA}
    both = ask(purposes=Purpose.TREAT | Purpose.HRESCH, research=ResearchUse.DS)
    research = ask(purposes=Purpose.HRESCH, research=ResearchUse.DS)

    grant(clinic, rule_word(purposes=Purpose.HRESCH, **deny))
    assert [reason_of(clinic, request) for request in (both, research, ask())] == [Reason.PERMITTED] * 3
    # Once treatment is denied as well, the research field plays no part where treatment is asked for.
    grant(clinic, rule_word(purposes=Purpose.TREAT | Purpose.HRESCH, sequence=2, **deny))
    assert [reason_of(clinic, request) for request in (both, research, ask())] == [
        Reason.DENIED,
        Reason.PERMITTED,
        Reason.DENIED,
    ]


# -- deny --------------------------------------------------------------------------------------------------------


@pytest.mark.spec("C37")
def test_deny_beats_a_permit_wherever_it_stands(decide, grant, emergency_department, rule_word):
    permits = (emergency_department, EVERYONE, EMERGENCY_GROUP)
    for grantee in permits:
        grant(grantee, rule_word())
    for grantee in permits:
        deny = rule_word(index=1, deny=True)
        grant(grantee, deny)
        assert decide(emergency_department, ask()) == (Reason.DENIED, grantee, deny)
        grant(grantee, rule_word(index=1, sequence=2, deny=True, classes=DataClass.NOTE))
        assert decide(emergency_department, ask())[0] is Reason.PERMITTED


@pytest.mark.spec("C37")
@pytest.mark.parametrize("field", OUTSIDE)
def test_deny_touches_where_it_meets_the_request_in_each_field(reason_of, grant, clinic, rule_word, field):
    outside, _ = OUTSIDE[field]
    codes = type(ASKED[field])
    grant(clinic, rule_word(**{**{name: type(code).ALL for name, code in ASKED.items()}, "research": ResearchUse(31)}))
    deny = rule_word(index=1, deny=True, **{field: codes(ASKED[field])})
    grant(clinic, deny)

    assert reason_of(clinic, ask()) is Reason.DENIED
    assert reason_of(clinic, ask(**{field: ASKED[field] | outside})) is Reason.DENIED
    assert reason_of(clinic, ask(**{field: outside})) is Reason.PERMITTED
    assert reason_of(clinic, with_field(ask(), field, 0)) is Reason.DENIED


@pytest.mark.spec("C37", "C39")
def test_deny_for_another_kind_does_not_touch(reason_of, grant, clinic, payer, rule_word):
    grant(EVERYONE, rule_word())
    grant(EVERYONE, rule_word(index=1, deny=True, party_kinds=PartyKind.PAYER))

    assert reason_of(clinic, ask()) is Reason.PERMITTED
    assert reason_of(payer, ask()) is Reason.DENIED


@pytest.mark.spec("C37", "C42")
def test_deny_touches_where_the_data_periods_overlap(reason_of, grant, clinic, rule_word):
    first, last = date(2020, 1, 1), date(2020, 12, 31)
    day = timedelta(days=1)
    grant(clinic, rule_word())
    grant(clinic, rule_word(index=1, deny=True, data_from=first, data_until=last))

    for begin, end, reason in (
        (first - day, first - day, Reason.PERMITTED),
        (first - day, first, Reason.DENIED),
        (first + day, last - day, Reason.DENIED),
        (first - day, last + day, Reason.DENIED),
        (last, None, Reason.DENIED),
        (last + day, None, Reason.PERMITTED),
    ):
        assert reason_of(clinic, ask(data_from=begin, data_until=end)) is reason


@pytest.mark.spec("C37", "C43")
def test_first_deny_is_named(decide, grant, clinic, rule_word):
    first, second = rule_word(deny=True), rule_word(index=1, deny=True, classes=DataClass.ALL)
    grant(clinic, first)
    grant(clinic, second)

    assert decide(clinic, ask()) == (Reason.DENIED, clinic, first | FOLLOWS)


# -- several rules, tombstones -----------------------------------------------------------------------------------


@pytest.mark.spec("C12", "C45")
def test_each_of_sixteen_rules_is_reached(decide, grant, clinic, rule_word):
    other = rule_word(classes=DataClass.NOTE)
    for index in range(16):
        word = rule_word(index=index)
        grant(clinic, word)
        assert decide(clinic, ask()) == (Reason.PERMITTED, clinic, word)
        grant(clinic, with_field(with_field(other, "index", index), "sequence", 2))


@pytest.mark.spec("C45")
def test_longest_lists_are_decided_at_a_bounded_cost(
    consent_registry, decide, registrar, admin, grant, patient, clinic, rule_word
):
    groups = []
    for number in range(4):
        group = registrar.createGroup(f"network {number}", {"from": admin}).return_value
        registrar.joinGroup(group, clinic, {"from": admin})
        groups.append(f"0x{group:040x}")
    lists = [clinic, EVERYONE, *reversed(groups)]
    for grantee in lists:
        for index in range(16):
            grant(grantee, rule_word(index=index, actions=Action.CORRECT))
    last = rule_word(index=15, sequence=2, deny=True)
    grant(lists[-1], last)

    assert decide(clinic, ask()) == (Reason.DENIED, lists[-1], last)
    assert consent_registry.decide.estimate_gas(patient, clinic, ask(), {"from": admin}) < 450_000


@pytest.mark.spec("C17")
def test_revoked_permit_permits_nothing(decide, grant, revoke, clinic, rule_word):
    grant(clinic, rule_word())
    revoke(clinic, 0, 2)

    assert decide(clinic, ask()) == (Reason.REVOKED, clinic, tombstone(rule_word(), 2))


@pytest.mark.spec("C17")
def test_revoked_deny_denies_nothing(decide, grant, revoke, clinic, rule_word):
    grant(clinic, rule_word(deny=True))
    grant(clinic, rule_word(index=1))
    revoke(clinic, 0, 2)

    assert decide(clinic, ask()) == (Reason.PERMITTED, clinic, rule_word(index=1))


@pytest.mark.spec("C17")
def test_rules_after_a_tombstone_stay_in_force(decide, grant, revoke, clinic, rule_word):
    grant(clinic, rule_word())
    grant(clinic, rule_word(index=1))
    grant(clinic, rule_word(index=2, deny=True))

    revoke(clinic, 1, 2)

    assert decide(clinic, ask()) == (Reason.DENIED, clinic, rule_word(index=2, deny=True))


@pytest.mark.spec("C17")
def test_tombstone_that_came_before_its_rule_permits_nothing(decide, revoke, clinic):
    revoke(clinic, 0, 9)

    assert decide(clinic, ask()) == (Reason.REVOKED, clinic, 9 | REVOKED)


@pytest.mark.spec("C12")
def test_deny_after_a_revocation_that_came_first_is_reached(decide, grant, revoke, clinic, rule_word):
    """A relayer who drops the grant of rule 1, and sends its revocation and then deny rule 2, disarms the deny."""
    grant(clinic, rule_word())
    revoke(clinic, 1, 2)
    deny = rule_word(index=2, deny=True)
    grant(clinic, deny)

    assert decide(clinic, ask()) == (Reason.DENIED, clinic, deny)


@pytest.mark.spec("C12")
def test_rule_granted_anew_after_a_revocation_that_came_first_is_reached(decide, grant, revoke, clinic, rule_word):
    grant(clinic, rule_word())
    revoke(clinic, 1, 2)
    deny = rule_word(index=1, sequence=3, deny=True)
    grant(clinic, deny)

    assert decide(clinic, ask()) == (Reason.DENIED, clinic, deny)


# -- the reason --------------------------------------------------------------------------------------------------


@pytest.mark.spec("C43")
def test_nearest_permit_gives_the_reason(decide, grant, clinic, rule_word, now):
    """Rules from the furthest miss to the nearest, each of which names itself until a nearer one comes."""
    day = timedelta(days=1)
    misses = [
        (Reason.EXPIRED, {"valid_until": now - timedelta(minutes=1)}),
        (Reason.PARTY_KIND, {"party_kinds": PartyKind.PAYER}),
        (Reason.PURPOSE, {"purposes": Purpose.HPAYMT}),
        (Reason.DATA_CLASS, {"classes": DataClass.NOTE}),
        (Reason.CONDITION, {"conditions": Condition.MENTAL}),
        (Reason.SENSITIVITY, {"sensitivities": Sensitivity.HIV}),
        (Reason.CARE_SETTING, {"settings": CareSetting.VR}),
        (Reason.ACTION, {"actions": Action.DISCLOSE}),
        (Reason.RESEARCH_USE, {"research": ResearchUse.DS | ResearchUse.PUB}),
        (Reason.DATA_PERIOD, {"data_from": date(2020, 1, 1) + day}),
        (Reason.PERMITTED, {}),
    ]
    usual = {"purposes": Purpose.TREAT | Purpose.HRESCH, "research": ResearchUse.DS}
    request = ask(purposes=Purpose.HRESCH, research=ResearchUse.DS, data_from=date(2020, 1, 1))
    grant(clinic, rule_word(**usual, valid_from=now + day))
    assert decide(clinic, request)[0] is Reason.NOT_YET_VALID

    for index, (reason, changes) in enumerate(misses, start=1):
        fields = {**usual, **changes}
        if reason is Reason.PURPOSE:
            del fields["research"]
        word = rule_word(index=index, **fields)
        grant(clinic, word)
        assert decide(clinic, request) == (reason, clinic, word)


@pytest.mark.spec("C43")
def test_of_equal_misses_the_first_is_named(decide, grant, clinic, rule_word):
    first = rule_word(classes=DataClass.NOTE)
    grant(clinic, first)
    grant(clinic, rule_word(index=1, classes=DataClass.IMAGING))
    grant(EVERYONE, rule_word(classes=DataClass.DEVICE))

    assert decide(clinic, ask()) == (Reason.DATA_CLASS, clinic, first | FOLLOWS)


@pytest.mark.spec("C43")
def test_first_permit_that_covers_is_named(decide, grant, clinic, rule_word):
    near, covering = rule_word(classes=DataClass.NOTE), rule_word(index=1)
    grant(clinic, near)
    grant(clinic, covering)
    grant(clinic, rule_word(index=2, classes=DataClass.ALL))
    grant(EVERYONE, rule_word())

    assert decide(clinic, ask()) == (Reason.PERMITTED, clinic, covering | FOLLOWS)


@pytest.mark.spec("C8")
def test_flags_for_delegates_and_break_glass_decide_nothing(reason_of, grant, clinic, rule_word):
    flags = {"delegable": True, "break_glass_refused": True}

    grant(clinic, rule_word(**flags))
    assert reason_of(clinic, ask()) is Reason.PERMITTED
    grant(clinic, rule_word(sequence=2, classes=DataClass.NOTE, **flags))
    assert reason_of(clinic, ask()) is Reason.DATA_CLASS


@pytest.mark.spec("C26")
def test_number_of_the_terms_decides_nothing(reason_of, grant, clinic, rule_word):
    grant(clinic, rule_word(terms=77))

    assert reason_of(clinic, ask()) is Reason.PERMITTED


@pytest.mark.spec("C33", "C39")
def test_party_accredited_later_is_covered_by_a_rule_that_named_it(
    reason_of, grant, accredit, fresh_account, rule_word
):
    grant(fresh_account, rule_word())
    assert reason_of(fresh_account, ask()) is Reason.INACTIVE_PARTY

    accredit(fresh_account, RESEARCHER)

    assert reason_of(fresh_account, ask()) is Reason.PERMITTED

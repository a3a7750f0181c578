"""breakGlass, and what an opening permits: every row of the break-glass tables in docs/rule-word.md, on the chain."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import date, timedelta

import pytest
from brownie.exceptions import VirtualMachineError

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
from medproof.policy.emergency import OverrideReason
from medproof.policy.evaluation import Reason
from medproof.policy.word import Request, encode_request
from tests.support.fixtures import DAY, EMERGENCY_GROUP, EVERYONE, NOBODY, PROVIDER, SALTED
from tests.support.reverts import reverts
from tests.unit.ConsentRegistry.conftest import EMERGENCY
from tests.unit.ConsentRegistry.rule_words import revocation

pytestmark = pytest.mark.usefixtures("parties")

PERMITTED, BREAK_GLASS = Reason.PERMITTED, Reason.BREAK_GLASS

# A rule that speaks of everything, but for what a test changes.
WHOLE = {
    "purposes": Purpose.TREAT,
    "classes": DataClass.ALL,
    "conditions": Condition.ALL,
    "sensitivities": Sensitivity.ALL,
    "settings": CareSetting.ALL,
    "break_glass_refused": True,
}
# For each field by which a rule refuses break-glass, a code of the request and one that the request has not.
FIELDS = {
    "party_kinds": (PartyKind.PROVIDER, PartyKind.PAYER),
    "classes": (DataClass.LABORATORY, DataClass.NOTE),
    "conditions": (Condition.CIRCULATORY, Condition.MENTAL),
    "sensitivities": (Sensitivity.NONE_LABELLED, Sensitivity.HIV),
    "settings": (CareSetting.EMER, CareSetting.VR),
}


@pytest.fixture
def at_noon(chain):
    """It is noon (UTC): no test crosses midnight unless it means to."""
    chain.mine(timestamp=(chain.time() // DAY + 1) * DAY + DAY // 2)


@pytest.fixture
def join(registrar, admin):
    return lambda account, group=2: registrar.joinGroup(group, account, {"from": admin})


# -- who, why, how long ------------------------------------------------------------------------------------------


@pytest.mark.spec("B3", "B4")
def test_opening_is_kept_and_announced(consent_registry, break_glass, patient, emergency_department):
    tx = break_glass(reason=OverrideReason.INCOMPETENCY)

    now = tx.timestamp // 60
    assert tx.return_value == 1
    assert consent_registry.openingCount(patient) == 1
    assert tuple(consent_registry.openingOf(patient, 1)) == (emergency_department, now, now + 240, 2, 0)
    assert consent_registry.openingInForce(patient, emergency_department) == 1
    assert len(tx.events) == 1
    assert dict(tx.events["GlassBroken"]) == {
        "subject": patient,
        "party": emergency_department,
        "number": 1,
        "account": emergency_department,
        "reason": 2,
        "justification": "0x" + SALTED.hex(),
        "until": now + 240,
    }


@pytest.mark.spec("B1")
def test_only_emergency_care_breaks_the_glass(break_glass, patient, clinic, payer, stranger, relayer):
    for account in (patient, clinic, payer, stranger, relayer):
        with reverts("NotEmergencyCare", account.address):
            break_glass(account)


@pytest.mark.spec("B1")
def test_membership_of_another_group_does_not_count(break_glass, registrar, admin, join, clinic):
    for number in range(4):
        join(clinic, registrar.createGroup(f"network {number}", {"from": admin}).return_value)

    with reverts("NotEmergencyCare", clinic.address):
        break_glass(clinic)


@pytest.mark.spec("B1")
@pytest.mark.parametrize("place", range(4))
def test_member_breaks_the_glass_whatever_the_place_of_the_group(break_glass, registrar, admin, join, clinic, place):
    groups = [registrar.createGroup(f"network {number}", {"from": admin}).return_value for number in range(3)]
    groups.insert(place, 2)
    for group in groups:
        join(clinic, group)

    assert break_glass(clinic).return_value == 1


@pytest.mark.spec("B1")
def test_party_that_is_not_active_breaks_nothing(
    break_glass, registrar, admin, accredit, join, emergency_department, fresh_account, chain
):
    registrar.suspend(emergency_department, {"from": admin})
    with reverts("NotEmergencyCare", emergency_department.address):
        break_glass()
    registrar.reinstate(emergency_department, {"from": admin})
    registrar.leaveGroup(2, emergency_department, {"from": admin})
    with reverts("NotEmergencyCare", emergency_department.address):
        break_glass()
    accredit(fresh_account, PROVIDER, valid_until=chain.time() // DAY)
    join(fresh_account)
    chain.mine(timestamp=(chain.time() // DAY + 1) * DAY)
    with reverts("NotEmergencyCare", fresh_account.address):
        break_glass(fresh_account)


@pytest.mark.spec("B2")
def test_one_of_five_reasons_is_given(consent_registry, break_glass, patient, emergency_department):
    with reverts("OverrideReasonMissing"):
        break_glass(reason=0)
    for reason in OverrideReason:
        consent_registry.breakGlass.call(patient, reason, 0, SALTED, {"from": emergency_department})
    with pytest.raises(VirtualMachineError):
        break_glass(reason=len(OverrideReason) + 1)


@pytest.mark.spec("B3")
@pytest.mark.parametrize(("minutes", "lasts"), [(0, 240), (1, 1), (240, 240), (1440, 1440)])
def test_opening_lasts_as_long_as_asked_up_to_the_limit(consent_registry, break_glass, patient, minutes, lasts):
    tx = break_glass(minutes=minutes)

    _, start, until, _, _ = consent_registry.openingOf(patient, 1)
    assert (start, until) == (tx.timestamp // 60, tx.timestamp // 60 + lasts)


@pytest.mark.spec("B3", "B19")
def test_opening_above_the_limit_reverts(consent_registry, break_glass, admin):
    for minutes in (1441, 2**256 - 1):
        with reverts("OpeningTooLong", minutes, 1440):
            break_glass(minutes=minutes)
    consent_registry.setBreakGlassLimits(1, 60, {"from": admin})
    with reverts("OpeningTooLong", 61, 60):
        break_glass(minutes=61)
    break_glass(minutes=60)


@pytest.mark.spec("B3")
def test_opening_lasts_as_long_as_the_limit_lets_it_where_that_is_less_than_four_hours(
    consent_registry, break_glass, admin, patient
):
    consent_registry.setBreakGlassLimits(1, 60, {"from": admin})

    break_glass(minutes=0)

    _, start, until, _, _ = consent_registry.openingOf(patient, 1)
    assert until - start == 60


@pytest.mark.spec("B5")
def test_second_opening_while_one_is_in_force_reverts(
    consent_registry, break_glass, join, patient, second_patient, clinic, emergency_department, chain
):
    until = break_glass(minutes=30).timestamp // 60 + 30

    with reverts("GlassAlreadyBroken", 1, until):
        break_glass()
    # Another party, and another subject, have openings of their own.
    join(clinic)
    assert break_glass(clinic).return_value == 2
    assert break_glass(subject=second_patient).return_value == 1
    chain.mine(timestamp=until * 60 - 1)
    with reverts("GlassAlreadyBroken", 1, until):
        consent_registry.breakGlass.call(patient, 1, 0, SALTED, {"from": emergency_department})
    chain.mine(timestamp=until * 60)
    assert break_glass().return_value == 3
    assert consent_registry.openingInForce(patient, emergency_department) == 3


# -- how often ---------------------------------------------------------------------------------------------------


@pytest.fixture
def few(consent_registry, admin, at_noon):
    """Two openings a day."""
    return consent_registry.setBreakGlassLimits(2, 1440, {"from": admin})


@pytest.mark.spec("B6")
def test_party_opens_so_many_records_in_a_day(few, break_glass, accounts, join, clinic):
    for subject in accounts[13:15]:
        break_glass(subject=subject)

    with reverts("OpeningsExhausted", 2):
        break_glass(subject=accounts[15])
    join(clinic)
    break_glass(clinic, subject=accounts[15])  # each party counts by itself


@pytest.mark.spec("B6")
def test_next_day_counts_anew(few, consent_registry, break_glass, accounts, emergency_department, chain):
    for subject in accounts[13:15]:
        break_glass(subject=subject)
    midnight = (chain.time() // DAY + 1) * DAY

    def call():
        return consent_registry.breakGlass.call(accounts[15], 1, 0, SALTED, {"from": emergency_department})

    chain.mine(timestamp=midnight - 1)
    with reverts("OpeningsExhausted", 2):
        call()
    chain.mine(timestamp=midnight)
    for subject in accounts[15:17]:
        break_glass(subject=subject)
    with reverts("OpeningsExhausted", 2):
        break_glass(subject=accounts[17])


@pytest.mark.spec("B6")
def test_refused_attempt_does_not_count(few, consent_registry, break_glass, accounts, patient, rule_word):
    consent_registry.setRule(EVERYONE, rule_word(**WHOLE), {"from": patient})
    for _ in range(3):
        with reverts("BreakGlassRefused", patient.address):
            break_glass()
        with reverts("OverrideReasonMissing"):
            break_glass(reason=0)

    for subject in accounts[13:15]:
        break_glass(subject=subject)


@pytest.mark.spec("B6", "B19")
def test_lowered_limit_counts_at_once(consent_registry, break_glass, accounts, admin, at_noon):
    for subject in accounts[13:16]:
        break_glass(subject=subject)
    consent_registry.setBreakGlassLimits(2, 1440, {"from": admin})

    with reverts("OpeningsExhausted", 2):
        break_glass(subject=accounts[16])
    consent_registry.setBreakGlassLimits(4, 1440, {"from": admin})
    break_glass(subject=accounts[16])
    with reverts("OpeningsExhausted", 4):
        break_glass(subject=accounts[17])


@pytest.mark.spec("B6", "B11")
def test_change_of_account_brings_no_further_openings(
    few, consent_registry, break_glass, emergency, registrar, accounts, patient, emergency_department, fresh_account
):
    break_glass()
    registrar.offerAccount(fresh_account, {"from": emergency_department})
    registrar.takeAccount(emergency_department, {"from": fresh_account})

    assert emergency(fresh_account)[0] is BREAK_GLASS
    assert emergency()[0] is Reason.INACTIVE_PARTY
    with reverts("NotEmergencyCare", emergency_department.address):
        break_glass(subject=accounts[13])
    with reverts("GlassAlreadyBroken", 1, consent_registry.openingOf(patient, 1)[2]):
        break_glass(fresh_account)
    tx = break_glass(fresh_account, subject=accounts[13])
    assert (tx.events["GlassBroken"]["party"], tx.events["GlassBroken"]["account"]) == (
        emergency_department,
        fresh_account,
    )
    with reverts("OpeningsExhausted", 2):
        break_glass(fresh_account, subject=accounts[14])


# -- what an opening permits -------------------------------------------------------------------------------------


@pytest.mark.spec("B8", "C44")
def test_request_without_a_rule_is_permitted(break_glass, emergency):
    assert emergency()[0] is Reason.NO_RULE

    break_glass()

    assert emergency() == (BREAK_GLASS, NOBODY, 0)
    assert emergency(actions=Action.USE)[0] is BREAK_GLASS
    assert emergency(actions=Action.ACCESS | Action.USE)[0] is BREAK_GLASS
    assert emergency(classes=DataClass.ALL, sensitivities=Sensitivity.ALL)[0] is BREAK_GLASS


@pytest.mark.spec("B8")
@pytest.mark.parametrize("grantee", ["party", "everyone", "group"])
def test_what_is_overridden_is_named(grant, break_glass, emergency, emergency_department, rule_word, grantee):
    grantee = {"party": emergency_department, "everyone": EVERYONE, "group": EMERGENCY_GROUP}[grantee]
    permit, deny = rule_word(), rule_word(purposes=Purpose.BTG, deny=True, sequence=2)
    break_glass()

    for word in (permit, deny):
        grant(grantee, word)
        assert emergency() == (BREAK_GLASS, grantee, word)
    grant(grantee, revocation(3))
    assert emergency()[0] is BREAK_GLASS


@pytest.mark.spec("B12")
def test_permit_decides_before_it(grant, break_glass, emergency, emergency_department, rule_word):
    permit = rule_word(**{**WHOLE, "purposes": Purpose.BTG})
    break_glass()
    grant(emergency_department, permit)

    # Though the rule refuses break-glass: it permits by itself.
    assert emergency() == (PERMITTED, emergency_department, permit)


@pytest.mark.spec("B9")
def test_no_other_request_is_permitted(break_glass, emergency, second_patient, clinic, stranger, join):
    join(clinic)
    break_glass()

    others = [
        {"purposes": Purpose.TREAT},
        {"purposes": Purpose.ETREAT},
        {"purposes": Purpose.BTG | Purpose.TREAT},
        {"purposes": Purpose.EMPTY},
        {"actions": Action.EMPTY},
        *({"actions": action} for action in (Action.COLLECT, Action.DISCLOSE, Action.CORRECT)),
        *({"actions": Action.ACCESS | action} for action in (Action.COLLECT, Action.DISCLOSE, Action.CORRECT)),
        {"subject": second_patient},
        {"actor": clinic},
    ]
    for other in others:
        assert emergency(**other)[0] is Reason.NO_RULE, other
    assert emergency(stranger)[0] is Reason.INACTIVE_PARTY
    upside_down = {"data_from": date(2020, 1, 2), "data_until": date(2020, 1, 1)}
    assert emergency(**upside_down)[0] is Reason.MALFORMED_REQUEST


@pytest.mark.spec("B11")
def test_opening_ends_to_the_minute(break_glass, emergency, chain):
    until = break_glass(minutes=2).timestamp // 60 + 2

    chain.mine(timestamp=until * 60 - 1)
    assert emergency()[0] is BREAK_GLASS
    chain.mine(timestamp=until * 60)
    assert emergency()[0] is Reason.NO_RULE


@pytest.mark.spec("B11")
def test_opening_rests_while_its_party_may_not_use_it(
    break_glass, emergency, registrar, admin, emergency_department, chain
):
    break_glass()

    registrar.leaveGroup(2, emergency_department, {"from": admin})
    assert emergency()[0] is Reason.NO_RULE
    registrar.joinGroup(2, emergency_department, {"from": admin})
    assert emergency()[0] is BREAK_GLASS
    registrar.suspend(emergency_department, {"from": admin})
    assert emergency()[0] is Reason.INACTIVE_PARTY
    registrar.reinstate(emergency_department, {"from": admin})
    assert emergency()[0] is BREAK_GLASS
    registrar.renew(emergency_department, SALTED, chain.time() // DAY, {"from": admin})
    chain.mine(timestamp=(chain.time() // DAY + 1) * DAY)
    assert emergency()[0] is Reason.INACTIVE_PARTY


# -- what the subject refuses ------------------------------------------------------------------------------------


@pytest.mark.spec("B7", "B10")
@pytest.mark.parametrize("deny", [False, True])
@pytest.mark.parametrize("grantee", ["party", "everyone", "group"])
def test_refusal_of_everything_keeps_the_glass_whole(
    grant, break_glass, emergency, patient, emergency_department, rule_word, grantee, deny
):
    grantee = {"party": emergency_department, "everyone": EVERYONE, "group": EMERGENCY_GROUP}[grantee]
    grant(grantee, rule_word())
    grant(grantee, rule_word(**WHOLE, index=1, deny=deny))

    with reverts("BreakGlassRefused", patient.address):
        break_glass()
    assert emergency()[0] is Reason.PURPOSE

    grant(grantee, rule_word(**{**WHOLE, "break_glass_refused": False}, index=1, sequence=2, deny=deny))
    break_glass()
    assert emergency()[0] is BREAK_GLASS
    grant(grantee, rule_word(**WHOLE, index=1, sequence=3, deny=deny))
    assert emergency()[0] is Reason.PURPOSE  # the opening is there, the permission is not
    grant(grantee, revocation(4, index=1))
    assert emergency()[0] is BREAK_GLASS


@pytest.mark.spec("B7", "B10")
@pytest.mark.parametrize("field", FIELDS)
def test_refusal_speaks_of_what_it_meets_in_each_field(grant, break_glass, emergency, rule_word, field):
    inside, outside = FIELDS[field]

    grant(EVERYONE, rule_word(**{**WHOLE, field: outside}))
    break_glass()
    assert emergency()[0] is BREAK_GLASS
    grant(EVERYONE, rule_word(**{**WHOLE, field: inside | outside, "sequence": 2}))
    assert emergency()[0] is Reason.PURPOSE
    if field != "party_kinds":
        assert emergency(**{field: outside})[0] is Reason.PURPOSE
        assert emergency(**{field: type(inside).ALL})[0] is Reason.PURPOSE  # in part


@pytest.mark.spec("B7")
@pytest.mark.parametrize("field", [name for name in FIELDS if name != "party_kinds"])
def test_refusal_of_all_but_one_code_lets_the_glass_be_broken(grant, break_glass, rule_word, field):
    grant(EVERYONE, rule_word(**{**WHOLE, field: WHOLE[field] & ~FIELDS[field][0]}))

    break_glass()


@pytest.mark.spec("B7", "B10")
def test_refusal_for_the_partys_kind_alone_is_whole(grant, break_glass, patient, rule_word):
    grant(EVERYONE, rule_word(**WHOLE, party_kinds=PartyKind.PROVIDER))

    with reverts("BreakGlassRefused", patient.address):
        break_glass()


@pytest.mark.spec("B7")
@pytest.mark.parametrize("period", [{"data_from": date(1970, 1, 2)}, {"data_until": date(2149, 6, 5)}])
def test_refusal_of_a_data_period_lets_the_glass_be_broken(grant, break_glass, rule_word, period):
    grant(EVERYONE, rule_word(**WHOLE, **period))

    break_glass()


@pytest.mark.spec("B10")
def test_refusal_speaks_of_its_data_period(grant, break_glass, emergency, rule_word):
    first, last, day = date(2020, 3, 1), date(2020, 3, 31), timedelta(days=1)
    grant(EVERYONE, rule_word(**WHOLE, data_from=first, data_until=last))
    break_glass()

    for begin, end, reason in (
        (first - 9 * day, first - day, BREAK_GLASS),
        (first - 9 * day, first, Reason.PURPOSE),
        (last, last + day, Reason.PURPOSE),
        (last + day, last + 9 * day, BREAK_GLASS),
        (first - day, last + day, Reason.PURPOSE),
    ):
        assert emergency(data_from=begin, data_until=end)[0] is reason


@pytest.mark.spec("B7", "B10")
def test_refusal_counts_while_it_is_in_force(
    consent_registry, break_glass, emergency, patient, second_patient, emergency_department, rule_word, chain, now
):
    begin, end = now + timedelta(minutes=2), now + timedelta(minutes=4)
    start = int(now.timestamp())
    break_glass()
    for subject in (patient, second_patient):
        rule = rule_word(**WHOLE, valid_from=begin, valid_until=end)
        consent_registry.setRule(EVERYONE, rule, {"from": subject})

    for second, refused in ((119, False), (120, True), (239, True), (240, False)):
        chain.mine(timestamp=start + second)
        assert (emergency()[0] is BREAK_GLASS) is not refused
        with reverts("BreakGlassRefused", second_patient.address) if refused else nullcontext():
            consent_registry.breakGlass.call(second_patient, 1, 0, SALTED, {"from": emergency_department})


@pytest.mark.spec("B10")
def test_purposes_actions_and_research_of_the_refusal_play_no_part(grant, break_glass, emergency, rule_word):
    break_glass()
    refusals = [
        {"purposes": Purpose.HMARKT},
        {"actions": Action.CORRECT},
        {"purposes": Purpose.HRESCH, "research": ResearchUse.DS},
        {"purposes": Purpose.HRESCH, "research": ResearchUse.DS, "deny": True},
    ]

    for sequence, changes in enumerate(refusals, start=1):
        grant(EVERYONE, rule_word(**{**WHOLE, **changes}, sequence=sequence))
        assert emergency()[0] is not BREAK_GLASS


@pytest.mark.spec("B7", "B10")
def test_refusal_towards_another_does_not_count(
    consent_registry, grant, break_glass, emergency, second_patient, clinic, rule_word
):
    grant(clinic, rule_word(**WHOLE))
    grant(EVERYONE, rule_word(**WHOLE, party_kinds=PartyKind.ALL ^ PartyKind.PROVIDER))
    consent_registry.setRule(EVERYONE, rule_word(**WHOLE), {"from": second_patient})

    break_glass()

    assert emergency()[0] is BREAK_GLASS


@pytest.mark.spec("B7")
def test_refusals_that_only_together_speak_of_everything_leave_nothing(grant, break_glass, emergency, rule_word):
    half = DataClass.LABORATORY | DataClass.IMAGING
    grant(EVERYONE, rule_word(**{**WHOLE, "classes": half}))
    grant(EVERYONE, rule_word(**{**WHOLE, "classes": DataClass.ALL & ~half}, index=1))

    break_glass()

    assert not any(emergency(classes=one)[0] is BREAK_GLASS for one in DataClass)


@pytest.mark.spec("B14")
def test_longest_lists_are_decided_at_a_bounded_cost(
    consent_registry, registrar, admin, patient, emergency_department, rule_word
):
    groups = [registrar.createGroup(f"network {number}", {"from": admin}).return_value for number in range(3)]
    for group in groups:
        registrar.joinGroup(group, emergency_department, {"from": admin})
    for grantee in (emergency_department, EVERYONE, EMERGENCY_GROUP, *(f"0x{group:040x}" for group in groups)):
        rules = [rule_word(**{**WHOLE, "settings": CareSetting.VR}, index=index) for index in range(16)]
        consent_registry.setRules([(grantee, rule) for rule in rules], {"from": patient})

    opening = consent_registry.breakGlass(patient, 1, 0, SALTED, {"from": emergency_department})
    request = encode_request(Request(**EMERGENCY))

    assert consent_registry.decide(patient, emergency_department, request)[0] == BREAK_GLASS
    assert opening.gas_used < 900_000
    assert consent_registry.decide.estimate_gas(patient, emergency_department, request, {"from": admin}) < 900_000

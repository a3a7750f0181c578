"""Whether a study may use a subject's data: the study, the choice and the consent, together."""

from __future__ import annotations

import pytest

from medproof.policy.codes import DataClass, PartyKind, Purpose, ResearchUse
from medproof.policy.evaluation import Reason
from tests.support.fixtures import DAY, EVERYONE
from tests.support.research import (
    CLOSED,
    NO_CONSENT,
    NOT_OPTED_IN,
    OPEN,
    OVER,
    PERMITTED,
    PLANNED,
    STUDY_NOT_OPEN,
    UNKNOWN,
    WITHDRAWN,
    in_full,
)


@pytest.fixture
def may_use(studies, patient):
    """What is said of the patient; the two functions agree."""

    def said(study):
        use, state, consent = studies.mayUse(study.id, patient)
        assert studies.isParticipant(study.id, patient) is (use == PERMITTED)
        return use, state, Reason(consent)

    return said


@pytest.mark.spec("T22")
def test_all_three_together_permit(study, desk, permit, may_use, patient):
    assert may_use(study) == (NOT_OPTED_IN, OPEN, Reason.NO_RULE)
    desk.choose("optIn", study, patient, 1)
    assert may_use(study) == (NO_CONSENT, OPEN, Reason.NO_RULE)
    permit(patient)
    assert may_use(study) == (PERMITTED, OPEN, Reason.PERMITTED)
    desk.choose("optOut", study, patient, 2)
    assert may_use(study) == (NOT_OPTED_IN, OPEN, Reason.PERMITTED)


@pytest.mark.spec("T22", "T23")
def test_consent_ends_participation_by_itself(
    study, desk, permit, may_use, patient, consent_registry, researcher, rule_word
):
    """A revocation or a refusal in the registry needs no word to the study."""
    desk.choose("optIn", study, patient, 1)
    permit(patient)
    consent_registry.setRule(EVERYONE, rule_word(
        deny=True, party_kinds=PartyKind.RESEARCHER, purposes=Purpose.HRESCH, classes=DataClass.ALL,
        research=ResearchUse.DS,
    ), {"from": patient})  # fmt: skip
    assert may_use(study) == (NO_CONSENT, OPEN, Reason.DENIED)
    consent_registry.revokeRule(EVERYONE, 0, 2, {"from": patient})
    assert may_use(study) == (PERMITTED, OPEN, Reason.PERMITTED)

    consent_registry.revokeRule(researcher, 0, 2, {"from": patient})

    assert may_use(study) == (NO_CONSENT, OPEN, Reason.REVOKED)


@pytest.mark.spec("T23")
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"classes": DataClass.LABORATORY}, Reason.DATA_CLASS),
        ({"purposes": Purpose.DSRCH}, Reason.PURPOSE),
        ({"research": ResearchUse.POA}, Reason.RESEARCH_USE),
        ({"research": ResearchUse.DS | ResearchUse.PUB}, Reason.RESEARCH_USE),
        ({"party_kinds": PartyKind.PROVIDER}, Reason.PARTY_KIND),
    ],
)
def test_rule_has_to_cover_all_that_the_study_asks_for(study, desk, permit, may_use, patient, changes, reason):
    desk.choose("optIn", study, patient, 1)
    permit(patient, **changes)

    assert may_use(study) == (NO_CONSENT, OPEN, reason)


@pytest.mark.spec("T23")
def test_researcher_without_standing_uses_nothing(study, desk, permit, may_use, patient, registrar, researcher, admin):
    desk.choose("optIn", study, patient, 1)
    permit(patient)

    registrar.suspend(researcher, {"from": admin})
    assert may_use(study) == (NO_CONSENT, OPEN, Reason.INACTIVE_PARTY)
    registrar.reinstate(researcher, {"from": admin})
    assert may_use(study)[0] == PERMITTED
    registrar.remove(researcher, {"from": admin})
    assert may_use(study) == (NO_CONSENT, OPEN, Reason.INACTIVE_PARTY)


@pytest.mark.spec("T23")
def test_consent_for_the_identity_survives_a_change_of_account(
    study, desk, permit, may_use, patient, registrar, researcher, fresh_account
):
    desk.choose("optIn", study, patient, 1)
    permit(patient)
    registrar.offerAccount(fresh_account, {"from": researcher})
    registrar.takeAccount(researcher, {"from": fresh_account})

    assert may_use(study) == (PERMITTED, OPEN, Reason.PERMITTED)


@pytest.mark.spec("T22")
def test_study_is_open_or_uses_nothing(
    studies, registered, desk, permit, may_use, patient, researcher, admin, today, chain
):
    study = registered(first_day=today + 1, last_day=today + 2)
    desk.choose("optIn", study, patient, 1)
    permit(patient)
    assert may_use(study) == (STUDY_NOT_OPEN, PLANNED, Reason.PERMITTED)
    chain.mine(timestamp=(today + 1) * DAY)
    assert may_use(study) == (PERMITTED, OPEN, Reason.PERMITTED)
    chain.mine(timestamp=(today + 3) * DAY)
    assert may_use(study) == (STUDY_NOT_OPEN, OVER, Reason.PERMITTED)
    studies.close(study.id, {"from": researcher})
    assert may_use(study) == (STUDY_NOT_OPEN, CLOSED, Reason.PERMITTED)
    studies.withdrawApproval(study.id, {"from": admin})
    assert may_use(study) == (STUDY_NOT_OPEN, WITHDRAWN, Reason.PERMITTED)


@pytest.mark.spec("T22", "T30")
def test_unknown_study_uses_nothing(defined, may_use):
    assert may_use(defined(request=in_full())) == (STUDY_NOT_OPEN, UNKNOWN, Reason.INACTIVE_PARTY)

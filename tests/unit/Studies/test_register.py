"""What a study is, who registers it, and what is refused."""

from __future__ import annotations

import pytest

from medproof.policy.codes import Purpose, ResearchUse
from medproof.policy.word import FIELDS
from tests.support.fixtures import DAY, NOBODY
from tests.support.research import OPEN, UNKNOWN, in_full, shown
from tests.support.reverts import reverts

ZERO = bytes(32)


@pytest.mark.spec("T1")
def test_answers_to_those_it_was_given(studies, authority, registrar, delegations, consent_registry):
    assert studies.authority() == authority
    assert studies.registrar() == registrar
    assert studies.delegations() == delegations
    assert studies.consentRegistry() == consent_registry


@pytest.mark.spec("T2", "T8")
def test_study_is_kept_under_the_hash_of_all_of_it(studies, defined, researcher):
    study = defined()
    assert studies.stateOf(study.id) == UNKNOWN

    tx = studies.register(study, {"from": researcher})

    assert tx.return_value == shown(study.id)
    assert studies.studyId(study) == shown(study.id)
    assert studies.studyOf(study.id) == study.word
    assert studies.requestOf(study.id) == study.request
    assert studies.stateOf(study.id) == OPEN
    assert len(tx.events) == 1
    said = dict(tx.events["StudyRegistered"])
    assert (said["study"], said["researcher"]) == (shown(study.id), researcher)
    assert tuple(said["definition"]) == shown(study)


@pytest.mark.spec("T2")
def test_each_part_makes_another_study(studies, registered, defined, researcher, clinic, today):
    study = registered()

    others = [
        defined(request=in_full(research=ResearchUse.HMB)),
        defined(protocol=b"\x01" * 32),
        defined(ethics=b"\x01" * 32),
        defined(first_day=today + 1),
        defined(last_day=today + 1),
        defined(custodians=(clinic.address,)),
    ]
    for other in others:
        studies.register(other, {"from": researcher})
    assert len({study.id, *(other.id for other in others)}) == len(others) + 1
    with reverts("StudyExists", study.id):
        studies.register.call(study, {"from": researcher})


@pytest.mark.spec("T3")
@pytest.mark.parametrize("who", ["stranger", "clinic", "payer", "second_researcher", "patient", "admin"])
def test_only_its_researcher_registers_a_study(studies, defined, request, who):
    account = request.getfixturevalue(who)

    with reverts("ResearcherRequired", account.address):
        studies.register.call(defined(), {"from": account})


@pytest.mark.spec("T3")
def test_clinic_does_no_study_of_its_own(studies, defined, clinic):
    with reverts("ResearcherRequired", clinic.address):
        studies.register.call(defined(researcher=clinic.address), {"from": clinic})


@pytest.mark.spec("T3")
def test_suspended_researcher_registers_nothing(studies, defined, registrar, researcher, admin):
    study = defined()
    registrar.suspend(researcher, {"from": admin})

    with reverts("ResearcherRequired", researcher.address):
        studies.register.call(study, {"from": researcher})

    registrar.reinstate(researcher, {"from": admin})
    studies.register.call(study, {"from": researcher})


@pytest.mark.spec("T3")
def test_researcher_is_the_identity_whatever_account_acts_for_it(
    studies, defined, registrar, researcher, fresh_account
):
    study = defined()
    registrar.offerAccount(fresh_account, {"from": researcher})
    registrar.takeAccount(researcher, {"from": fresh_account})

    with reverts("ResearcherRequired", researcher.address):
        studies.register.call(study, {"from": researcher})
    studies.register(study, {"from": fresh_account})

    assert studies.studyOf(study.id) == study.word


@pytest.mark.spec("T4")
@pytest.mark.parametrize(
    "wrong",
    [
        in_full(purposes=Purpose.TREAT, research=ResearchUse.EMPTY),
        in_full(purposes=Purpose.HRESCH | Purpose.TREAT),
        in_full(purposes=Purpose.HMARKT, research=ResearchUse.EMPTY),
    ],
    ids=["treatment", "treatment too", "marketing"],
)
def test_study_asks_for_research_alone(studies, defined, researcher, wrong):
    with reverts("RequestNotResearch", wrong, 0):
        studies.register.call(defined(request=wrong), {"from": researcher})


@pytest.mark.spec("T4")
@pytest.mark.parametrize(
    "name", ["classes", "conditions", "sensitivities", "settings", "actions", "dataUntil", "research"]
)
def test_study_fills_in_every_field(studies, defined, researcher, name):
    field = FIELDS[name]
    full = in_full(research=ResearchUse.DS)
    open_ = full & ~field.mask
    widest = (
        (1 << field.width) - 1
        if name == "dataUntil"
        else 0b11111
        if name == "research"
        else field.defined >> field.offset
    )

    with reverts("RequestNotResearch", open_, open_ | widest << field.offset):
        studies.register.call(defined(request=open_), {"from": researcher})


@pytest.mark.spec("T4")
def test_study_names_the_permissions_that_its_own_include(studies, defined, researcher):
    """Research on health in general is research on diseases, too."""
    full = in_full(research=ResearchUse.HMB)
    partly = full & ~(int(ResearchUse.DS) << FIELDS["research"].offset)

    with reverts("RequestNotResearch", partly, full):
        studies.register.call(defined(request=partly), {"from": researcher})


@pytest.mark.spec("T4")
@pytest.mark.parametrize("bit", [0, 16, 20, 24, 25, 37, 77, 105, 148, 172, 218, 232])
def test_what_no_request_says_no_study_asks_for(studies, defined, researcher, bit):
    wrong = in_full() | 1 << bit

    with reverts("RequestNotResearch", wrong, 0):
        studies.register.call(defined(request=wrong), {"from": researcher})


@pytest.mark.spec("T4")
def test_nothing_at_all_is_no_request(studies, defined, researcher):
    with reverts("RequestNotResearch", 0, 0):
        studies.register.call(defined(request=0), {"from": researcher})


@pytest.mark.spec("T5")
@pytest.mark.parametrize("what", ["protocol", "ethics"])
def test_study_has_a_protocol_and_an_approval(studies, defined, researcher, what):
    with reverts("CommitmentMissing"):
        studies.register.call(defined(**{what: ZERO}), {"from": researcher})


@pytest.mark.spec("T6")
def test_study_has_days_that_are_not_all_past(studies, defined, researcher, today, chain):
    for first, last in ((today, today - 1), (today - 2, today - 1), (today + 5, today + 4)):
        with reverts("StudyPeriodNotPossible", first, last, today):
            studies.register.call(defined(first_day=first, last_day=last), {"from": researcher})
    chain.mine(timestamp=(today + 1) * DAY - 10)

    studies.register.call(defined(first_day=today, last_day=today), {"from": researcher})
    studies.register.call(defined(first_day=today - 9, last_day=65535), {"from": researcher})


@pytest.mark.spec("T7")
def test_study_names_one_to_a_hundred_custodians(studies, defined, researcher):
    many = tuple(f"0x{number:040x}" for number in range(1, 102))

    for count in (0, 101):
        with reverts("CustodiansOutOfRange", count):
            studies.register.call(defined(custodians=many[:count]), {"from": researcher})
    for count in (1, 100):
        studies.register.call(defined(custodians=many[:count]), {"from": researcher})


@pytest.mark.spec("T7")
def test_custodians_are_named_once_in_ascending_order(studies, defined, researcher):
    first, second, third = (f"0x{number:040x}" for number in (7, 8, 9))

    for custodians, position in (
        ((NOBODY, first), 0),
        ((first, first), 1),
        ((second, first), 1),
        ((first, third, second), 2),
    ):
        with reverts("CustodiansUnsorted", position):
            studies.register.call(defined(custodians=custodians), {"from": researcher})

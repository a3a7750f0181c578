"""What a subject has to sign: its rules, and whatever else it said, as the old deployment says it now."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest

from medproof.client import MedProof
from medproof.client.registrar import EVERYONE, group_grantee
from medproof.errors import ContractError, MessageError, MigrationError
from medproof.migration import Kind, hand_over
from medproof.migration.running import NOT_A_STEP, REFUSALS_FIRST
from medproof.policy.delegation import DelegateKind, Scope
from medproof.policy.word import Request, Rule
from medproof.relayer import Relayer
from medproof.signing import LocalSigner
from tests.sdk.migration.conftest import Compare
from tests.sdk.migration.registry import (
    authorize,
    delegation,
    device,
    guardians,
    now,
    pass_time,
    sign_and_relay,
    signed_by,
)
from tests.sdk.relayer.people import work_off

pytestmark = pytest.mark.usefixtures("authorized")


def test_a_rule_revoked_after_it_was_signed_is_not_carried(
    old: MedProof, new: MedProof, patient: LocalSigner, clinic: LocalSigner, rule: Rule, relaying: Relayer
) -> None:
    old.consent_registry.grant(clinic.address, rule, sender=patient)
    messages = signed_by(old, new, patient)
    old.consent_registry.revoke(clinic.address, sender=patient)

    [handed] = hand_over(old, new, messages, relaying)

    assert handed.why_not == NOT_A_STEP
    assert new.consent_registry.rules(patient.address, clinic.address) == ()


def test_a_rule_revoked_after_it_was_carried_is_revoked_by_a_signature(
    old: MedProof,
    new: MedProof,
    patient: LocalSigner,
    clinic: LocalSigner,
    rule: Rule,
    relaying: Relayer,
    compare: Compare,
) -> None:
    old.consent_registry.grant(clinic.address, rule, sender=patient)
    sign_and_relay(old, new, patient, relaying)
    assert compare().whole
    old.consent_registry.revoke(clinic.address, sender=patient)
    assert not compare().whole

    sign_and_relay(old, new, patient, relaying)

    [stands] = new.consent_registry.rules(patient.address, clinic.address)
    assert stands.revoked
    assert compare().whole


def test_a_change_of_a_carried_rule_is_carried(
    old: MedProof,
    new: MedProof,
    patient: LocalSigner,
    clinic: LocalSigner,
    rule: Rule,
    relaying: Relayer,
    compare: Compare,
) -> None:
    old.consent_registry.grant(clinic.address, rule, sender=patient)
    sign_and_relay(old, new, patient, relaying)
    old.consent_registry.change(clinic.address, dataclasses.replace(rule, deny=True), sender=patient)
    sign_and_relay(old, new, patient, relaying)
    assert new.consent_registry.rules(patient.address, clinic.address)[0].deny
    assert compare().whole


def test_what_the_subject_did_in_the_new_deployment_stands(
    old: MedProof,
    new: MedProof,
    patient: LocalSigner,
    clinic: LocalSigner,
    second_clinic: LocalSigner,
    rule: Rule,
    relaying: Relayer,
    compare: Compare,
) -> None:
    old.consent_registry.grant(clinic.address, rule, sender=patient)
    old.consent_registry.grant(second_clinic.address, rule, sender=patient)
    sign_and_relay(old, new, patient, relaying)
    new.consent_registry.revoke(clinic.address, sender=patient)
    narrower = dataclasses.replace(rule, deny=True)
    new.consent_registry.change(second_clinic.address, narrower, sender=patient)

    assert signed_by(old, new, patient) == []
    assert len([*compare().findings(Kind.NEWER)]) == 2
    assert compare().whole
    wider = dataclasses.replace(rule, valid_until=None)
    new.consent_registry.change(second_clinic.address, wider, sender=patient)
    assert [one.about for one in compare().findings(Kind.WIDER)] == [patient.address]
    assert not compare().whole


def test_who_never_signs_is_told_and_denied(
    old: MedProof,
    new: MedProof,
    patient: LocalSigner,
    clinic: LocalSigner,
    rule: Rule,
    request_inside: Request,
    compare: Compare,
) -> None:
    old.consent_registry.grant(clinic.address, rule, sender=patient)
    [step] = compare().steps()
    assert (step.actor, step.part, step.waits) == (patient.address, "rules", "")
    assert step.says.startswith(f"You allow {clinic.address} to read and use your laboratory results")
    assert old.consent_registry.is_permitted(patient.address, clinic.address, request_inside)
    assert not new.consent_registry.is_permitted(patient.address, clinic.address, request_inside)


def test_refusals_go_first_and_permits_wait_for_those_that_cannot(
    old: MedProof,
    new: MedProof,
    admin: LocalSigner,
    patient: LocalSigner,
    clinic: LocalSigner,
    rule: Rule,
    relaying: Relayer,
    compare: Compare,
) -> None:
    group = old.registrar.create_group("night shift", sender=admin)
    refusal = dataclasses.replace(rule, deny=True)
    old.consent_registry.grant(clinic.address, rule, sender=patient)
    old.consent_registry.grant(clinic.address, dataclasses.replace(refusal, index=1), sender=patient)
    old.consent_registry.grant(group_grantee(group), refusal, sender=patient)

    assert [(one.function, bool(one.waits)) for one in compare().subject_steps(patient.address)] == [
        ("revokeRuleFor", False),  # nothing is said by rule 0 yet
        ("setRuleFor", False),  # the refusal
        ("setRuleFor", True),  # the permit
        ("setRuleFor", True),  # the group is not there
    ]
    sign_and_relay(old, new, patient, relaying)
    assert [one.function for one in compare().subject_steps(patient.address)] == ["setRuleFor"] * 2
    authorize(old, new, admin)
    sign_and_relay(old, new, patient, relaying)
    assert compare().whole


@pytest.mark.parametrize("refused", [False, True])
def test_a_withdrawal_is_for_good_there_as_well(
    old: MedProof,
    new: MedProof,
    patient: LocalSigner,
    rule: Rule,
    relaying: Relayer,
    compare: Compare,
    refused: bool,
) -> None:
    if refused:
        refusal = dataclasses.replace(rule, deny=True, break_glass_refused=True)
        old.consent_registry.grant(EVERYONE, refusal, sender=patient)
    old.consent_registry.withdraw(sender=patient)
    sign_and_relay(old, new, patient, relaying)
    was, stands = (suite.consent_registry.rule(patient.address, EVERYONE) for suite in (old, new))
    assert was == stands
    assert was is not None
    assert was.break_glass_refused is refused
    assert compare().whole


def test_an_index_that_was_closed_stays_closed(
    old: MedProof, new: MedProof, patient: LocalSigner, clinic: LocalSigner, relaying: Relayer, compare: Compare
) -> None:
    old.consent_registry.revoke(clinic.address, sequence=0xFFFF, sender=patient)
    sign_and_relay(old, new, patient, relaying)
    [closed] = new.consent_registry.rules(patient.address, clinic.address)
    assert (closed.sequence, closed.revoked) == (0xFFFF, True)
    assert compare().whole


def test_what_has_no_effect_any_more_stays(
    old: MedProof,
    new: MedProof,
    admin: LocalSigner,
    patient: LocalSigner,
    clinic: LocalSigner,
    payer: LocalSigner,
    rule: Rule,
    compare: Compare,
) -> None:
    old.consent_registry.grant(clinic.address, rule, sender=patient)
    old.consent_registry.grant(payer.address, dataclasses.replace(rule, valid_until=None), sender=patient)
    old.consent_registry.grant(group_grantee(77), dataclasses.replace(rule, valid_until=None), sender=patient)
    old.registrar.remove(payer.address, sender=admin)
    authorize(old, new, admin)
    pass_time(old, timedelta(days=366))
    assert [*compare().steps()] == []
    said = sorted(one.says.rsplit(".", 2)[-2].strip() for one in compare().findings(Kind.STAYS))
    assert said == [
        "Its time is over",
        "The party was removed for good",
        "There is no such group, and a later one of that number would be another",
    ]


def test_delegates_guardians_devices_and_those_that_ended(
    old: MedProof,
    new: MedProof,
    patient: LocalSigner,
    stranger: LocalSigner,
    fresh_account: LocalSigner,
    second_payer: LocalSigner,
    relaying: Relayer,
    compare: Compare,
) -> None:
    begin = now(old)
    proxy, steward, ended = stranger, fresh_account.address, second_payer.address
    everything = delegation(begin, Scope.ALL, DelegateKind.HEALTH_PROXY)
    old.delegations.delegate(proxy.address, everything, sender=patient)
    less = delegation(begin, Scope.GRANT)
    old.delegations.delegate(steward, less, subject=patient.address, sender=proxy)
    old.delegations.delegate(ended, less, subject=patient.address, sender=proxy)
    old.delegations.revoke(ended, sender=patient)
    old.delegations.name_guardians(guardians((proxy,)), sender=patient)
    old.devices.register(steward, device(begin), sender=patient)
    old.devices.register(ended, device(begin), sender=patient)
    old.devices.revoke(ended, sender=patient)

    waiting = [one for one in compare().steps() if one.waits]
    assert [(one.actor, one.waits) for one in waiting] == [(proxy.address, f"{proxy.address} to be a delegate itself")]
    sign_and_relay(old, new, patient, relaying)
    sign_and_relay(old, new, proxy, relaying, patient.address)

    assert compare().whole
    assert new.delegations.scopes(patient.address, proxy.address) is Scope.ALL
    assert new.delegations.scopes(patient.address, steward) is Scope.GRANT
    assert new.delegations.guardians_commitment(patient.address) == old.delegations.guardians_commitment(
        patient.address
    )
    assert new.delegations.delegation(patient.address, ended).revoked  # type: ignore[union-attr]
    assert new.devices.classes(patient.address, steward) == device(begin).classes
    assert new.devices.device(patient.address, ended) is None
    old.delegations.revoke(proxy.address, sender=patient)
    old.devices.revoke(steward, sender=patient)
    sign_and_relay(old, new, patient, relaying)
    assert compare().whole
    assert new.delegations.scopes(patient.address, steward) is Scope.NONE
    assert not new.devices.classes(patient.address, steward)


def test_a_delegate_signs_in_the_subjects_place_only_where_it_may(
    old: MedProof,
    new: MedProof,
    patient: LocalSigner,
    stranger: LocalSigner,
    clinic: LocalSigner,
    rule: Rule,
    relaying: Relayer,
    compare: Compare,
) -> None:
    old.consent_registry.grant(clinic.address, rule, sender=patient)
    with pytest.raises(MigrationError, match=r"no delegate of 0x[0-9a-fA-F]{40} that may grant"):
        signed_by(old, new, stranger, patient.address)
    new.delegations.delegate(stranger.address, delegation(now(new), Scope.GRANT), sender=patient)
    sign_and_relay(old, new, stranger, relaying, patient.address)
    assert new.consent_registry.rules(patient.address, clinic.address) != ()
    assert [one.part for one in compare().findings(Kind.WIDER)] == ["delegations"]


def test_a_successor_cannot_be_carried_and_is_told(
    old: MedProof, new: MedProof, patient: LocalSigner, stranger: LocalSigner, compare: Compare
) -> None:
    named = guardians((stranger,))
    old.delegations.name_guardians(named, sender=patient)
    heir = "0x" + "00" * 19 + "99"
    recovery = old.delegations.propose_recovery(patient.address, heir)
    approval = old.delegations.sign_recovery(stranger, recovery)
    old.delegations.start_recovery(recovery, named, [approval], sender=stranger)
    pass_time(old, timedelta(days=4))
    old.delegations.complete_recovery(patient.address, sender=stranger)
    [stuck] = compare().findings(Kind.STUCK)
    assert (stuck.part, stuck.about) == ("delegations", patient.address)
    assert not compare().whole


def test_of_one_subject_a_refused_message_holds_back_those_after_it(
    old: MedProof,
    new: MedProof,
    patient: LocalSigner,
    clinic: LocalSigner,
    payer: LocalSigner,
    rule: Rule,
    relaying: Relayer,
) -> None:
    old.consent_registry.grant(clinic.address, dataclasses.replace(rule, deny=True), sender=patient)
    old.consent_registry.grant(payer.address, rule, sender=patient)
    refusal, permit = signed_by(old, new, patient)
    spoiled = dataclasses.replace(refusal, arguments=(*refusal.arguments[:-1], b"\1" * 65))
    handed = hand_over(old, new, [spoiled, permit], relaying)
    assert [one.id for one in handed] == [None, None]
    assert f"SignatureInvalid(signer={patient.address})" in str(handed[0].why_not)
    assert handed[1].why_not == "What its subject signed before it was not taken."


def test_no_permit_is_handed_over_before_what_the_subject_refuses(
    old: MedProof,
    new: MedProof,
    patient: LocalSigner,
    clinic: LocalSigner,
    payer: LocalSigner,
    rule: Rule,
    relaying: Relayer,
    compare: Compare,
) -> None:
    old.consent_registry.grant(clinic.address, dataclasses.replace(rule, deny=True), sender=patient)
    old.consent_registry.grant(payer.address, rule, sender=patient)
    refusal, permit = signed_by(old, new, patient)

    assert [one.why_not for one in hand_over(old, new, [permit], relaying)] == [REFUSALS_FIRST]
    assert [one.why_not for one in hand_over(old, new, [permit, refusal], relaying)] == [REFUSALS_FIRST, None]
    assert [one.why_not for one in hand_over(old, new, [refusal, permit], relaying)] == [None, None]
    work_off(relaying)
    assert [*compare().steps(actor=patient.address)] == []


def test_a_message_counts_in_no_third_deployment_and_not_in_the_old_one(
    old: MedProof, new: MedProof, patient: LocalSigner, clinic: LocalSigner, rule: Rule, relaying: Relayer
) -> None:
    old.consent_registry.grant(clinic.address, rule, sender=patient)
    [message] = signed_by(old, new, patient)
    with pytest.raises(MessageError, match="not for ConsentRegistry"):
        hand_over(new, old, [message], relaying)
    moved = dataclasses.replace(message, address=old.consent_registry.address)
    with pytest.raises(ContractError):
        old.relay(moved, sender=clinic)


def test_a_kill_in_the_middle_loses_and_doubles_nothing(
    old: MedProof,
    new: MedProof,
    patient: LocalSigner,
    clinic: LocalSigner,
    payer: LocalSigner,
    rule: Rule,
    relaying: Relayer,
    relayer: LocalSigner,
    queue: object,
    compare: Compare,
) -> None:
    for grantee in (clinic.address, payer.address, EVERYONE):
        old.consent_registry.grant(grantee, rule, sender=patient)
    messages = signed_by(old, new, patient)
    first = hand_over(old, new, messages[:2], relaying)
    relaying.close()  # before anything was sent

    with_all = Relayer(new, queue, relayer)  # type: ignore[arg-type]
    second = hand_over(old, new, messages, with_all)
    assert [one.id for one in second][:2] == [one.id for one in first]
    work_off(with_all)
    with_all.close()
    assert compare().whole
    for grantee in (clinic.address, payer.address, EVERYONE):
        [stands] = new.consent_registry.rules(patient.address, grantee)
        assert stands.sequence == 1

"""Parties, groups and terms: whoever has the roles makes them anew, suspended and moved ones included."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from eth_utils.crypto import keccak

from medproof.client import MedProof
from medproof.client.break_glass import Limits
from medproof.deployments.roles import Authority
from medproof.errors import QueueError
from medproof.migration import AUTHORITY, Actor, Export, Kind, take_steps
from medproof.migration.calls import call_of
from medproof.policy.codes import PartyKind
from medproof.sending import State, TransactionManager
from medproof.signing import LocalSigner
from tests.sdk.conftest import CREDENTIAL
from tests.sdk.migration.conftest import Compare
from tests.sdk.migration.registry import TERMS, accredit, act, authorize, pass_time


def test_parties_groups_terms_and_limits_stand_as_they_stood(
    old: MedProof, new: MedProof, admin: LocalSigner, clinic: LocalSigner, payer: LocalSigner, compare: Compare
) -> None:
    groups = [old.registrar.create_group(name, sender=admin) for name in ("night shift", "day shift", "night shift")]
    new.registrar.create_group("day shift", sender=admin)
    for group in (groups[2], groups[0], groups[1]):
        old.registrar.join_group(group, clinic.address, sender=admin)
    old.registrar.suspend(payer.address, sender=admin)
    old.consent_registry.publish_terms(TERMS[0], sender=admin)
    old.consent_registry.set_break_glass_limits(Limits(3, timedelta(hours=1)), sender=admin)

    taken = authorize(old, new, admin)

    assert [one.refused for one in taken] == [None] * len(taken)
    assert [*compare().steps()] == []
    found = new.registrar.party(clinic.address)
    assert found is not None
    assert found.groups == (3, 4, 5)  # day, first night, last night: the newest first
    assert new.registrar.groups() == {
        1: "everyone",
        2: "emergency care",
        3: "day shift",
        4: "night shift",
        5: "night shift",
    }
    assert found.valid_until == old.registrar.party(clinic.address).valid_until  # type: ignore[union-attr]
    assert new.registrar.credential_of(clinic.address) == CREDENTIAL
    assert new.registrar.party(payer.address).suspended  # type: ignore[union-attr]
    assert new.consent_registry.break_glass_limits() == Limits(3, timedelta(hours=1))
    assert new.consent_registry.terms(1) == TERMS[0]


def test_an_account_that_changed_acts_again_and_the_former_one_never(
    old: MedProof,
    new: MedProof,
    admin: LocalSigner,
    clinic: LocalSigner,
    fresh_account: LocalSigner,
    compare: Compare,
) -> None:
    old.registrar.offer_account(fresh_account.address, sender=clinic)
    old.registrar.take_account(clinic.address, sender=fresh_account)

    authorize(old, new, admin)

    [accredited] = (one for one in new.registrar.events("PartyAccredited") if one.arguments["party"] == clinic.address)
    [suspended] = new.registrar.events("PartySuspended")
    assert suspended.arguments["party"] == clinic.address
    assert suspended.transaction == accredited.transaction  # its former key never acted
    assert new.registrar.standing(clinic.address) is None
    assert [one.function for one in compare().steps()] == ["reinstate", "takeAccount"]
    assert [one.waits for one in compare().steps(actor=AUTHORITY)] == [f"{fresh_account.address} to take its place"]
    [early] = act(old, new, fresh_account, clinic.address)
    assert early.refused is not None
    pass_time(new, timedelta(days=3, minutes=1))
    act(old, new, fresh_account, clinic.address)
    authorize(old, new, admin)
    assert compare().whole
    standing = new.registrar.standing(fresh_account.address)
    assert standing is not None
    assert standing.id == clinic.address
    assert new.registrar.standing(clinic.address) is None


def test_who_is_not_let_to_suspend_accredits_nobody_that_was_suspended(
    old: MedProof, new: MedProof, admin: LocalSigner, clinic: LocalSigner
) -> None:
    old.registrar.suspend(clinic.address, sender=admin)
    authority = Authority(new.chain, new.deployment)
    suspend = keccak(text="suspend(address)")[:4]
    call = authority.call("", "setTargetFunctionRole", new.registrar.address, [suspend], 99)
    new.chain.wait(new.chain.send({"to": call.authority, "data": call.data}, sender=admin))

    taken = authorize(old, new, admin)

    [refused] = (one for one in taken if one.refused)
    assert (refused.step.function, refused.step.arguments[0], refused.step.then) == (
        "accredit",
        clinic.address,
        ("suspend",),
    )
    assert "AccessManagerUnauthorizedCall" in str(refused.refused)
    assert new.registrar.party(clinic.address) is None


def test_a_multisig_is_given_both_as_one_call(
    old: MedProof, new: MedProof, admin: LocalSigner, payer: LocalSigner, compare: Compare
) -> None:
    old.registrar.suspend(payer.address, sender=admin)
    found = compare()
    exported = Export.of(old, new, found, found.steps(actor=AUTHORITY))
    assert Export.from_json(exported.to_json()) == exported
    [step] = (one for one in exported.steps if one["then"] == ["suspend"])
    call = step["call"]
    assert isinstance(call, dict)

    new.chain.wait(new.chain.send({"to": call["to"], "data": call["data"]}, sender=admin))

    party = new.registrar.party(payer.address)
    assert party is not None
    assert party.suspended


def test_what_changed_in_the_old_deployment_since_is_done_as_well(
    old: MedProof, new: MedProof, admin: LocalSigner, clinic: LocalSigner, payer: LocalSigner, compare: Compare
) -> None:
    group = old.registrar.create_group("night shift", sender=admin)
    old.registrar.join_group(group, clinic.address, sender=admin)
    authorize(old, new, admin)
    assert compare().whole
    old.registrar.leave_group(group, clinic.address, sender=admin)
    old.registrar.suspend(clinic.address, sender=admin)
    old.registrar.remove(payer.address, sender=admin)
    until = date(2040, 1, 1)
    old.registrar.renew(clinic.address, credential=b"\x77" * 32, valid_until=until, sender=admin)

    authorize(old, new, admin)

    assert compare().whole
    found = new.registrar.party(clinic.address)
    assert found is not None
    assert (found.suspended, found.groups, found.valid_until) == (True, (), until)
    assert new.registrar.party(payer.address) is None


def test_who_was_removed_or_lapsed_is_not_accredited(
    old: MedProof, new: MedProof, admin: LocalSigner, clinic: LocalSigner, stranger: LocalSigner, compare: Compare
) -> None:
    today = date.fromtimestamp(old.chain.timestamp())
    accredit(old, admin, stranger.address, PartyKind.PROVIDER, today + timedelta(days=2))
    old.registrar.remove(clinic.address, sender=admin)
    pass_time(old, timedelta(days=5))

    authorize(old, new, admin)

    assert new.registrar.party(clinic.address) is None
    assert new.registrar.party(stranger.address) is None
    assert compare().whole
    [stays] = compare().findings(Kind.STAYS)
    assert stays.about == stranger.address


def test_a_party_that_never_was_one_is_found(
    old: MedProof, new: MedProof, admin: LocalSigner, stranger: LocalSigner, far_day: date, compare: Compare
) -> None:
    authorize(old, new, admin)
    accredit(new, admin, stranger.address, PartyKind.PROVIDER, far_day)

    [wider] = compare().findings(Kind.WIDER)

    assert wider.about == stranger.address
    assert not compare().whole


def test_a_party_of_another_kind_is_found(
    old: MedProof, new: MedProof, admin: LocalSigner, clinic: LocalSigner, far_day: date, compare: Compare
) -> None:
    accredit(new, admin, clinic.address, PartyKind.PAYER, far_day)
    authorize(old, new, admin)
    [wider] = compare().findings(Kind.WIDER)
    assert (wider.about, wider.says) == (clinic.address, "It is of the kind payer, and was of the kind provider.")


def test_what_somebody_without_the_role_tries_is_refused_and_told(
    old: MedProof, new: MedProof, stranger: LocalSigner
) -> None:
    taken = authorize(old, new, stranger)
    assert len(taken) > 4
    assert all("AccessManagedUnauthorized" in str(one.refused) for one in taken)
    assert {one.step.by for one in taken} == {Actor.AUTHORITY}


def test_a_kill_in_the_middle_is_gone_on_with(
    old: MedProof, new: MedProof, admin: LocalSigner, compare: Compare, queue: Path
) -> None:
    steps = [*compare().steps(actor=AUTHORITY)]
    assert len(steps) == 5
    requests = [
        {
            "to": new.registrar.address,
            "data": new.chain.call_data(new.registrar.contract, one.function, one.arguments),
        }
        for one in steps
    ]
    killed = TransactionManager(new.chain, queue, [admin])
    killed.submit_many(requests[:3], account=admin.address)  # on disk, and nothing is sent
    killed.close()

    manager = TransactionManager(new.chain, queue, [admin])
    taken = take_steps(new, compare, AUTHORITY, manager)

    assert [(one.step.function, one.refused) for one in taken] == [("accredit", None)] * 2
    assert {fate.state for fate in manager.fates()} == {State.CONFIRMED}
    manager.close()
    assert compare().whole


def test_what_another_account_began_in_the_queue_is_told_and_not_waited_for(
    old: MedProof, new: MedProof, admin: LocalSigner, clinic: LocalSigner, compare: Compare, queue: Path
) -> None:
    [first, *_] = compare().steps(actor=AUTHORITY)
    killed = TransactionManager(new.chain, queue, [admin])
    killed.submit(call_of(new, first), account=admin.address)
    killed.close()

    manager = TransactionManager(new.chain, queue, [clinic])
    with pytest.raises(QueueError, match=f"has what {admin.address} began and has not ended"):
        take_steps(new, compare, clinic.address, manager)
    manager.close()

    manager = TransactionManager(new.chain, queue, [admin])
    taken = take_steps(new, compare, AUTHORITY, manager)
    assert len(taken) == 4
    manager.close()
    manager = TransactionManager(new.chain, queue, [clinic])
    assert take_steps(new, compare, clinic.address, manager) == []
    manager.close()


def test_who_is_suspended_in_the_new_deployment_alone_stays_so(
    old: MedProof, new: MedProof, admin: LocalSigner, clinic: LocalSigner, payer: LocalSigner, compare: Compare
) -> None:
    old.registrar.suspend(payer.address, sender=admin)
    authorize(old, new, admin)
    new.registrar.suspend(clinic.address, sender=admin)
    old.registrar.reinstate(payer.address, sender=admin)

    [taken] = authorize(old, new, admin)

    assert (taken.step.function, taken.step.arguments) == ("reinstate", (payer.address,))
    [newer] = compare().findings(Kind.NEWER)
    assert (newer.about, newer.says) == (clinic.address, "It is suspended.")
    assert new.registrar.standing(clinic.address) is None
    assert compare().whole


def test_an_accreditation_of_the_new_deployment_is_not_taken_back(
    old: MedProof,
    new: MedProof,
    admin: LocalSigner,
    clinic: LocalSigner,
    payer: LocalSigner,
    far_day: date,
    compare: Compare,
) -> None:
    authorize(old, new, admin)
    for party, days in ((clinic, -1), (payer, 1)):
        day = far_day + timedelta(days=days)
        new.registrar.renew(party.address, credential=b"\x78" * 32, valid_until=day, sender=admin)

    assert [*compare().steps()] == []

    [newer], [wider] = compare().findings(Kind.NEWER), compare().findings(Kind.WIDER)
    assert (newer.about, wider.about) == (clinic.address, payer.address)
    assert newer.says == f"It is accredited until {far_day - timedelta(days=1)}, and was until {far_day}."


def test_an_account_that_never_acted_for_a_party_is_found(
    old: MedProof,
    new: MedProof,
    admin: LocalSigner,
    clinic: LocalSigner,
    fresh_account: LocalSigner,
    compare: Compare,
) -> None:
    authorize(old, new, admin)
    new.registrar.offer_account(fresh_account.address, sender=clinic)
    new.registrar.take_account(clinic.address, sender=fresh_account)
    [wider] = compare().findings(Kind.WIDER)
    assert wider.says == f"{fresh_account.address} acts for it, and {clinic.address} did."
    assert [*compare().steps()] == []

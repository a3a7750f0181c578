"""A subject's delegates see what the subject sees, as long as they may."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from medproof.client import MedProof
from medproof.client.registrar import EMERGENCY
from medproof.errors import GatekeeperRefusalError
from medproof.gateway import Access, Claims, GatekeeperClient
from medproof.policy.codes import Action, Purpose
from medproof.policy.delegation import DelegateKind, Delegation, Scope
from medproof.policy.emergency import OverrideReason
from medproof.policy.word import Rule
from medproof.signing import LocalSigner
from tests.sdk.conftest import rpc
from tests.sdk.gateway.conftest import Connect, Post, labelled, observation


def delegate(suite: MedProof, patient: LocalSigner, account: LocalSigner, scopes: Scope, days: int = 30) -> None:
    now = datetime.fromtimestamp(suite.chain.timestamp(), UTC).replace(second=0, microsecond=0)
    given = Delegation(DelegateKind.HEALTH_PROXY, scopes, now, now + timedelta(days=days))
    suite.delegations.delegate(account.address, given, sender=patient)


@pytest.fixture
def proxy(as_caller: Connect, stranger: LocalSigner) -> GatekeeperClient:
    """A person who is no party."""
    return as_caller(stranger, Claims())


def refused(proxy: GatekeeperClient, id_: str, subject: str) -> None:
    for ask in (
        lambda: proxy.fetch("Observation", id_),
        lambda: list(proxy.search("Observation", subject)),
        lambda: list(proxy.pointers(subject)),
    ):
        with pytest.raises(GatekeeperRefusalError) as caught:
            ask()
        assert (caught.value.status, caught.value.code) == (403, "INACTIVE_PARTY")


def test_a_delegate_who_may_view_sees_what_the_subject_sees(
    proxy: GatekeeperClient,
    post: Post,
    suite: MedProof,
    patient: LocalSigner,
    stranger: LocalSigner,
    payer: LocalSigner,
    accesses: list[Access],
) -> None:
    id_ = post(observation(meta=labelled("HIV")))
    refused(proxy, id_, patient.address)
    delegate(suite, patient, stranger, Scope.VIEW)
    accesses.clear()
    assert proxy.fetch("Observation", id_).proof.reason == "DELEGATE"
    [found] = proxy.search("Observation", patient.address)
    [listed] = proxy.pointers(patient.address)
    assert (found.record.id, listed.pointer.key) == (id_, found.proof.pointer)
    assert {(one.account, one.permitted) for one in accesses} == {(stranger.address, True)}
    assert {record.ground.reason for one in accesses for record in one.records} == {"DELEGATE"}
    with pytest.raises(GatekeeperRefusalError):  # of this subject, and of no other
        list(proxy.search("Observation", payer.address))


def test_a_delegate_for_other_things_sees_nothing(
    proxy: GatekeeperClient, post: Post, suite: MedProof, patient: LocalSigner, stranger: LocalSigner
) -> None:
    delegate(suite, patient, stranger, Scope.GRANT | Scope.REVOKE)
    refused(proxy, post(), patient.address)


def test_a_delegation_that_is_revoked_or_over_shows_nothing(
    proxy: GatekeeperClient, post: Post, suite: MedProof, patient: LocalSigner, stranger: LocalSigner
) -> None:
    id_ = post()
    delegate(suite, patient, stranger, Scope.VIEW)
    assert proxy.fetch("Observation", id_)
    suite.delegations.revoke(stranger.address, sender=patient)
    refused(proxy, id_, patient.address)
    delegate(suite, patient, stranger, Scope.VIEW, days=1)
    assert proxy.fetch("Observation", id_)
    rpc(suite.chain, "evm_increaseTime", 24 * 3600)
    rpc(suite.chain, "evm_mine")
    refused(proxy, id_, patient.address)


def test_a_party_that_is_a_delegate_as_well_goes_by_the_rules_first(
    as_caller: Connect,
    reader: GatekeeperClient,
    post: Post,
    granted: Rule,
    suite: MedProof,
    patient: LocalSigner,
    second_clinic: LocalSigner,
) -> None:
    id_ = post()
    delegate(suite, patient, second_clinic, Scope.VIEW)
    assert reader.fetch("Observation", id_).proof.reason == "PERMITTED"
    marketing = as_caller(second_clinic, Claims(Purpose.HMARKT, Action.ACCESS))
    assert marketing.fetch("Observation", id_).proof.reason == "DELEGATE"


def test_a_delegate_needs_no_glass_broken(
    as_caller: Connect,
    post: Post,
    suite: MedProof,
    admin: LocalSigner,
    patient: LocalSigner,
    second_clinic: LocalSigner,
) -> None:
    id_ = post()
    suite.registrar.join_group(int(EMERGENCY, 16), second_clinic.address, sender=admin)
    suite.consent_registry.break_glass(
        patient.address, OverrideReason.EMERGENCY_TREATMENT, duration=timedelta(hours=1), sender=second_clinic
    )
    delegate(suite, patient, second_clinic, Scope.VIEW)
    emergency = as_caller(second_clinic, Claims(Purpose.BTG, Action.ACCESS))
    assert emergency.fetch("Observation", id_).proof.reason == "DELEGATE"

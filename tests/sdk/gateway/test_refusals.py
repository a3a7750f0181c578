"""What is refused, what a refused caller learns, and what it does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from medproof.client import MedProof
from medproof.client.registrar import EMERGENCY
from medproof.errors import GatekeeperRefusalError
from medproof.fhir import Resource
from medproof.gateway import Access, Claims, Gatekeeper, GatekeeperClient
from medproof.policy.codes import Action, CareSetting, Condition, PartyKind, Purpose
from medproof.policy.document import FinerProvision, PolicyDocument, scope_of
from medproof.policy.emergency import OverrideReason
from medproof.policy.word import Rule, encode
from medproof.signing import LocalSigner
from tests.sdk.conftest import rpc
from tests.sdk.gateway.conftest import TREATMENT, Connect, Post, labelled, observation

NOWHERE = "00000000-0000-4000-8000-000000000000"


def refusal_of(client: GatekeeperClient, id_: str) -> GatekeeperRefusalError:
    with pytest.raises(GatekeeperRefusalError) as caught:
        client.fetch("Observation", id_)
    return caught.value


def seen(refusal: GatekeeperRefusalError) -> tuple[Any, ...]:
    return refusal.status, refusal.code, str(refusal), refusal.retry_after


@pytest.mark.parametrize(
    ("claims", "code", "words"),
    [
        (replace(TREATMENT, purposes=Purpose.HMARKT), "PURPOSE", "marketing"),
        (replace(TREATMENT, actions=Action.DISCLOSE), "ACTION", "let anyone"),
        (Claims(actions=Action.ACCESS), "PURPOSE", "every purpose"),  # who claims nothing asks for all
    ],
)
def test_what_is_claimed_beyond_the_rule_is_refused_with_its_reason(
    as_caller: Connect,
    post: Post,
    granted: Rule,
    second_clinic: LocalSigner,
    claims: Claims,
    code: str,
    words: str,
) -> None:
    refusal = refusal_of(as_caller(second_clinic, claims), post())
    assert (refusal.status, refusal.code) == (403, code)
    assert words in str(refusal)


def test_consent_revoked_between_two_requests_counts_at_the_next_block(
    reader: GatekeeperClient,
    post: Post,
    granted: Rule,
    suite: MedProof,
    patient: LocalSigner,
    second_clinic: LocalSigner,
) -> None:
    id_ = post()
    served = reader.fetch("Observation", id_)
    receipt = suite.consent_registry.revoke(second_clinic.address, sender=patient)
    assert receipt.block > served.proof.block
    refusal = refusal_of(reader, id_)
    assert (refusal.status, refusal.code) == (403, "REVOKED")


def test_consent_that_has_expired_is_refused(
    reader: GatekeeperClient, post: Post, granted: Rule, suite: MedProof
) -> None:
    id_ = post()
    rpc(suite.chain, "evm_increaseTime", 366 * 24 * 3600)
    rpc(suite.chain, "evm_mine")
    assert refusal_of(reader, id_).code == "EXPIRED"


def test_a_rule_for_another_kind_of_party_is_refused(
    reader: GatekeeperClient, post: Post, rule: Rule, suite: MedProof, patient: LocalSigner, second_clinic: LocalSigner
) -> None:
    suite.consent_registry.grant(second_clinic.address, replace(rule, party_kinds=PartyKind.PAYER), sender=patient)
    assert refusal_of(reader, post()).code == "PARTY_KIND"


@pytest.mark.parametrize(
    ("record", "changes"),
    [
        (observation(meta=labelled("HIV")), {}),
        (observation(category=None), {}),  # another class
        (observation(effectiveDateTime="2025-12-31"), {"data_from": date(2026, 1, 1)}),
        (observation(effectiveDateTime=None), {"data_from": date(2026, 1, 1)}),  # tells no day
        (observation(), {"settings": CareSetting.AMB}),  # tells no care setting
        (observation(), {"conditions": Condition.from_icd10cm("I10")}),  # tells no condition
        (observation(), {"deny": True}),
    ],
    ids=["sensitivity", "class", "too-early", "no-day", "no-setting", "no-condition", "denied"],
)
def test_what_lies_in_the_record_looks_as_if_it_were_not_there(
    reader: GatekeeperClient,
    post: Post,
    rule: Rule,
    suite: MedProof,
    patient: LocalSigner,
    second_clinic: LocalSigner,
    accesses: list[Access],
    record: Resource,
    changes: dict[str, Any],
) -> None:
    suite.consent_registry.grant(second_clinic.address, replace(rule, **changes), sender=patient)
    id_ = post(record)
    hidden = refusal_of(reader, id_)
    assert hidden.status == 404
    assert seen(hidden) == seen(refusal_of(reader, NOWHERE))
    assert accesses[-2].subject == patient.address  # the patient's log says what the answer does not
    assert not accesses[-2].permitted


def test_without_any_rule_a_record_looks_as_if_it_were_not_there(
    as_caller: Connect, post: Post, payer: LocalSigner
) -> None:
    caller = as_caller(payer)
    assert seen(refusal_of(caller, post())) == seen(refusal_of(caller, NOWHERE))


def test_who_is_no_party_learns_that_and_nothing_else(as_caller: Connect, post: Post, stranger: LocalSigner) -> None:
    caller = as_caller(stranger)
    there, not_there = refusal_of(caller, post()), refusal_of(caller, NOWHERE)
    assert (there.status, there.code) == (403, "INACTIVE_PARTY")
    assert seen(there) == seen(not_there)


def test_a_suspended_party_has_no_access(
    reader: GatekeeperClient, post: Post, granted: Rule, suite: MedProof, admin: LocalSigner, second_clinic: LocalSigner
) -> None:
    id_ = post()
    reader.fetch("Observation", id_)
    suite.registrar.suspend(second_clinic.address, sender=admin)
    assert refusal_of(reader, id_).code == "INACTIVE_PARTY"


def test_broken_glass_is_served_and_said(
    as_caller: Connect,
    post: Post,
    suite: MedProof,
    admin: LocalSigner,
    patient: LocalSigner,
    second_clinic: LocalSigner,
    accesses: list[Access],
) -> None:
    id_ = post()
    emergency = as_caller(second_clinic, Claims(Purpose.BTG, Action.ACCESS))
    assert refusal_of(emergency, id_).status == 404
    suite.registrar.join_group(int(EMERGENCY, 16), second_clinic.address, sender=admin)
    suite.consent_registry.break_glass(
        patient.address, OverrideReason.EMERGENCY_TREATMENT, duration=timedelta(hours=1), sender=second_clinic
    )
    assert emergency.fetch("Observation", id_).proof.reason == "BREAK_GLASS"
    assert accesses[-1].reason == "BREAK_GLASS"


@pytest.mark.parametrize(
    ("kept", "tags", "served"),
    [
        ("nothing", (), False),
        ("plain", (), True),
        ("document", (("code:http://loinc.org|2345-7",),), True),
        ("document", (("code:http://loinc.org|9999-9",),), False),
    ],
    ids=["unknown-terms", "plain-form", "covered", "not-covered"],
)
def test_the_finer_policy_behind_the_terms_has_the_last_word(
    keep: Any,
    settings: Any,
    suite: MedProof,
    rule: Rule,
    patient: LocalSigner,
    admin: LocalSigner,
    second_clinic: LocalSigner,
    relayer: LocalSigner,
    kept: str,
    tags: tuple[tuple[str, ...], ...],
    served: bool,
) -> None:
    import httpx

    from medproof.gateway import create_app
    from tests.sdk.gateway.conftest import ORIGIN, Bridge, settle

    provision = FinerProvision(second_clinic.address, scope_of(encode(rule)), tags)
    document = PolicyDocument((provision,), bytes(range(32)))
    number = suite.consent_registry.publish_terms(document.hash, sender=admin)
    suite.consent_registry.grant(second_clinic.address, replace(rule, terms=number), sender=patient)
    known = {"document": {"documents": (document,)}, "plain": {"plain_terms": frozenset({document.hash})}}
    gatekeeper: Gatekeeper = keep(settings=replace(settings, **known.get(kept, {})))
    http = httpx.Client(transport=Bridge(create_app(gatekeeper)))
    device = GatekeeperClient(ORIGIN, suite, relayer, claims=TREATMENT, http=http)
    id_ = str(device.create(patient.address, observation()).record.id)
    settle(gatekeeper)
    reader = GatekeeperClient(ORIGIN, suite, second_clinic, claims=TREATMENT, http=http)
    if served:
        assert reader.fetch("Observation", id_).proof.reason == "PERMITTED"
    else:
        assert refusal_of(reader, id_).status == 404

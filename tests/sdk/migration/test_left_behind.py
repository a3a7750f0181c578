"""What can be stopped in a deployment that was left, and what nobody can stop."""

from __future__ import annotations

from datetime import date

import pytest

from medproof.artifacts import artifact
from medproof.client import MedProof
from medproof.contract_errors import ProviderRequired
from medproof.errors import ContractError, UnknownRevertError
from medproof.policy.codes import DataClass, PartyKind
from medproof.policy.evaluation import Reason
from medproof.policy.word import Request, Rule
from medproof.signing import LocalSigner
from tests.sdk.migration.registry import accredit, post


def test_parties_are_stopped_by_suspending_and_the_authority_by_closing_and_subjects_by_nothing(
    old: MedProof,
    admin: LocalSigner,
    clinic: LocalSigner,
    patient: LocalSigner,
    stranger: LocalSigner,
    rule: Rule,
    request_inside: Request,
    far_day: date,
) -> None:
    key = post(old, clinic, patient.address, 1)
    old.consent_registry.grant(clinic.address, rule, sender=patient)
    for party in old.registrar.parties():
        old.registrar.suspend(party, sender=admin)
    authority = old.chain.contract(old.deployment.address("Authority"), artifact("Authority").abi)
    for name in ("Registrar", "ConsentRegistry", "Studies"):
        target = old.deployment.address(name)
        old.chain.transact(authority, "setTargetClosed", (target, True), sender=admin)

    with pytest.raises(ProviderRequired):
        old.record_pointers.post(patient.address, DataClass.NOTE, b"\x02" * 32, sender=clinic)
    decision = old.consent_registry.decide(patient.address, clinic.address, request_inside)
    assert decision.reason is Reason.INACTIVE_PARTY
    with pytest.raises((ContractError, UnknownRevertError)):
        accredit(old, admin, stranger.address, PartyKind.PROVIDER, far_day)
    with pytest.raises((ContractError, UnknownRevertError)):
        old.registrar.reinstate(clinic.address, sender=admin)
    with pytest.raises((ContractError, UnknownRevertError)):
        old.consent_registry.publish_terms(b"\x33" * 32, sender=admin)
    old.consent_registry.revoke(clinic.address, sender=patient)
    old.consent_registry.grant(stranger.address, rule, sender=patient)
    old.record_pointers.accept(key, sender=patient)

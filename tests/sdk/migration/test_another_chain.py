"""From one chain to another, whose node, clock and id are others."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.deployments import deploy
from medproof.errors import DeploymentError, MessageError
from medproof.migration import left_deployment
from medproof.policy.word import Request, Rule
from medproof.relayer import Relayer
from medproof.signing import LocalSigner
from scripts.local_anvil import LocalAnvil
from scripts.local_chain import ChainError
from tests.sdk.migration.registry import authorize, comparison, sign_and_relay, signed_by


@pytest.fixture
def elsewhere(admin: LocalSigner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MedProof]:
    """An empty deployment on Anvil."""
    try:
        node = LocalAnvil()
    except ChainError as error:
        pytest.skip(f"Anvil cannot be started: {error}.")
    with node:
        chain = Chain.connect(node.url, poll=0.005, timeout=20.0)
        yield MedProof(chain, deploy(chain, admin, manifest=tmp_path_factory.mktemp("anvil") / "manifest.json"))


def test_a_subject_moves_to_another_chain(
    old: MedProof,
    elsewhere: MedProof,
    admin: LocalSigner,
    patient: LocalSigner,
    clinic: LocalSigner,
    relayer: LocalSigner,
    rule: Rule,
    request_inside: Request,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    old.consent_registry.grant(clinic.address, rule, sender=patient)
    relaying = Relayer(elsewhere, tmp_path_factory.mktemp("queue") / "queue.db", relayer)
    authorize(old, elsewhere, admin)
    [message] = signed_by(old, elsewhere, patient)
    assert message.chain_id == 31337
    with pytest.raises(MessageError):
        old.relay(message, sender=relayer)
    with pytest.raises(MessageError):
        elsewhere.relay(dataclasses.replace(message, chain_id=1337), sender=relayer)

    sign_and_relay(old, elsewhere, patient, relaying)
    relaying.close()

    assert comparison(old, elsewhere).whole
    assert elsewhere.consent_registry.is_permitted(patient.address, clinic.address, request_inside)
    with pytest.raises(DeploymentError, match="The old manifest is of chain 1337, but the node serves chain 31337"):
        left_deployment(elsewhere.chain, old.deployment)

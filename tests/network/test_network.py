"""Real nodes that die, part and heal: what was accepted is on the chain once, and the index is a replay."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.client.contract import SignedMessage
from medproof.deployments import Deployment, verify
from medproof.indexer import Index, Indexer, view
from medproof.policy.word import Rule
from medproof.relayer import Relayer, State
from medproof.signing import LocalSigner
from scripts.local_network import CHAIN_ID, LocalNetwork
from tests.network.conftest import PATIENCE, through
from tests.sdk.conftest import funded

CLINIC = funded(1).address
DEPTH = 4  # confirmations that outlive what these networks take back: more than half of three signers


def drain(relayer: Relayer, *, seconds: float = PATIENCE) -> None:
    """Work until nothing is open."""
    deadline = time.monotonic() + seconds
    while any(not fate.final for fate in relayer.fates()):
        assert time.monotonic() < deadline, [fate.state for fate in relayer.fates()]
        relayer.run_once()
        time.sleep(0.2)


def grants(suite: MedProof, rule: Rule, patients: Sequence[LocalSigner]) -> list[SignedMessage]:
    return [suite.consent_registry.sign_grant(patient, CLINIC, rule) for patient in patients]


def on_the_chain(suite: MedProof, patients: Sequence[LocalSigner]) -> dict[str, int]:
    """How often each of the patients' grants is on the chain."""
    registry = suite.consent_registry
    found = [event.arguments["subject"] for event in registry.events("RuleSet")]
    return {patient.address: found.count(patient.address) for patient in patients}


def replayed(network: LocalNetwork, deployment: Deployment, path: Path, number: int = 1) -> dict[str, int]:
    """What an index of a node's chain has, read from the first block on."""
    chain = Chain.connect(network.nodes[number].url, chain_id=CHAIN_ID)
    index = Index(path)
    try:
        indexer = Indexer(index, chain, deployment)
        indexer.update()
        return {**indexer.indexed.counts(), **rules_of(indexer)}
    finally:
        index.close()


def rules_of(indexer: Indexer) -> dict[str, int]:
    return {f"{one.subject} {one.grantee} {one.index}": one.word for one in view(indexer.indexed).rules()}


def test_what_one_node_takes_all_have(network: LocalNetwork, deployment: Deployment, rule: Rule) -> None:
    patient = LocalSigner.create()
    sending = through(network, 1, deployment, confirmations=DEPTH)
    message = sending.consent_registry.sign_grant(patient, CLINIC, rule)
    receipt = sending.relay(message, sender=funded(2))
    network.agree()
    for number in range(4):
        suite = through(network, number, deployment)
        verify(suite.chain, deployment)
        network.nodes[number].rpc("eth_getTransactionReceipt", receipt.transaction)
        stored = suite.consent_registry.rule(patient.address, CLINIC)
        assert stored is not None
        assert suite.chain.block(receipt.block).hash == receipt.block_hash


def test_a_signer_is_killed_while_messages_are_sent(
    healed: LocalNetwork, deployment: Deployment, rule: Rule, tmp_path: Path
) -> None:
    network, patients = healed, [LocalSigner.create() for _ in range(12)]
    suite = through(network, 1, deployment, confirmations=DEPTH)
    relayer = Relayer(suite, tmp_path / "queue.db", funded(3), size=3, age=0.0)
    for message in grants(suite, rule, patients[:6]):
        relayer.submit(message)
    relayer.run_once()
    network.kill(network.nodes[0])
    for message in grants(suite, rule, patients[6:]):
        relayer.submit(message)
    drain(relayer)
    assert {fate.state for fate in relayer.fates()} == {State.CONFIRMED}
    relayer.close()
    network.start(network.nodes[0])
    network.agree()
    for number in (0, 3):
        assert set(on_the_chain(through(network, number, deployment), patients).values()) == {1}


def test_both_sides_of_a_partition_write(
    healed: LocalNetwork, deployment: Deployment, rule: Rule, tmp_path: Path
) -> None:
    network = healed
    patients = [LocalSigner.create() for _ in range(8)]
    here = through(network, 0, deployment, confirmations=DEPTH)
    there = through(network, 3, deployment, confirmations=1)
    index = Index(tmp_path / "index.db")
    indexer = Indexer(index, there.chain, deployment, finality=1)
    indexer.update()
    network.part([0, 1, 2], [3])
    with_signers = Relayer(here, tmp_path / "here.db", funded(4), size=4, age=0.0)
    alone = Relayer(there, tmp_path / "there.db", funded(5), size=4, age=0.0)
    for relayer, suite, part in ((with_signers, here, patients[:4]), (alone, there, patients[4:])):
        for message in grants(suite, rule, part):
            relayer.submit(message)
        relayer.run_once()
    drain(with_signers)
    network.heal()
    drain(alone)
    network.agree()
    assert set(on_the_chain(through(network, 2, deployment), patients).values()) == {1}
    indexer.update()
    kept = {**indexer.indexed.counts(), **rules_of(indexer)}
    index.close()
    assert kept == replayed(network, deployment, tmp_path / "again.db", number=3)
    for relayer in (with_signers, alone):
        relayer.close()


def test_a_reorganisation_below_relayer_and_index(
    healed: LocalNetwork, deployment: Deployment, rule: Rule, tmp_path: Path
) -> None:
    """A signer that nobody hears cannot go on alone for long: what it sealed meanwhile is taken back."""
    network, patients = healed, [LocalSigner.create() for _ in range(4)]
    network.agree()
    suite = through(network, 0, deployment, confirmations=DEPTH)
    index = Index(tmp_path / "index.db")
    indexer = Indexer(index, through(network, 0, deployment).chain, deployment, finality=1)
    network.part([0], [1, 2, 3])
    relayer = Relayer(suite, tmp_path / "queue.db", funded(6), size=4, age=0.0)
    for message in grants(suite, rule, patients):
        relayer.submit(message)
    relayer.run_once()
    time.sleep(3)  # the lonely signer seals what it may
    indexer.update()
    network.heal()
    drain(relayer)
    relayer.close()
    network.agree()
    assert set(on_the_chain(through(network, 3, deployment), patients).values()) == {1}
    indexer.update()
    kept = {**indexer.indexed.counts(), **rules_of(indexer)}
    index.close()
    assert kept == replayed(network, deployment, tmp_path / "again.db", number=0)


def test_every_node_is_killed_and_started_again(
    healed: LocalNetwork, deployment: Deployment, rule: Rule, tmp_path: Path
) -> None:
    network, patients = healed, [LocalSigner.create() for _ in range(4)]
    suite = through(network, 0, deployment, confirmations=DEPTH)
    relayer = Relayer(suite, tmp_path / "queue.db", funded(7), size=2, age=0.0)
    for message in grants(suite, rule, patients):
        relayer.submit(message)
    relayer.run_once()
    for node in network.nodes:
        network.kill(node)
    for node in network.nodes:
        network.start(node)
    network.heal()
    drain(relayer)
    relayer.close()
    network.agree()
    assert set(on_the_chain(through(network, 2, deployment), patients).values()) == {1}


def test_a_node_that_lags_catches_up(healed: LocalNetwork, deployment: Deployment, tmp_path: Path) -> None:
    network = healed
    last = network.nodes[3]
    network.kill(last)
    behind = network.wait(20)
    network.start(last)
    network.heal()
    network.agree()
    assert last.block() >= behind
    assert replayed(network, deployment, tmp_path / "a.db", 3) == replayed(network, deployment, tmp_path / "b.db", 1)

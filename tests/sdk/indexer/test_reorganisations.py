"""What is no longer on the chain is taken back, and nothing else."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

import pytest

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.deployments import Deployment
from medproof.errors import FinalBlockError, NodeError, NodeLagsError
from medproof.indexer import Index, Indexer, Node, view
from medproof.policy.codes import DataClass
from medproof.policy.word import Rule
from medproof.signing import LocalSigner
from scripts.local_chain import LocalChain
from tests.sdk.chain.odd_node import Call, odd_node
from tests.sdk.conftest import rpc
from tests.sdk.indexer.contents import contents


def subjects(indexer: Indexer) -> set[str]:
    return {one.subject for one in view(indexer.indexed).rules()}


def indexed_anew(suite: MedProof, folder: Path) -> dict[str, list[tuple[object, ...]]]:
    """What an index says that has seen nothing but the chain as it is."""
    fresh = Index(folder / "fresh.db")
    try:
        Indexer(fresh, suite.chain, suite.deployment).update()
        return contents(fresh)
    finally:
        fresh.close()


def test_blocks_that_were_put_back_and_written_anew(
    any_suite: MedProof,
    index: Index,
    tmp_path: Path,
    patient: LocalSigner,
    stranger: LocalSigner,
    clinic: LocalSigner,
    rule: Rule,
) -> None:
    suite, chain, registry = any_suite, any_suite.chain, any_suite.consent_registry
    indexer = Indexer(index, chain, suite.deployment)
    registry.grant(clinic.address, rule, sender=patient)
    indexer.update()
    fork = rpc(chain, "evm_snapshot")
    registry.change(clinic.address, dataclasses.replace(rule, classes=DataClass.NOTE), sender=patient)
    registry.revoke(clinic.address, sender=patient)
    indexer.update()
    [tombstone] = view(indexer.indexed).rules()

    rpc(chain, "evm_revert", fork)
    for _ in range(2):
        registry.grant(clinic.address, rule, sender=stranger) if _ else rpc(chain, "evm_mine")
    rpc(chain, "evm_mine")
    progress = indexer.update()

    assert progress.rolled_back == 2
    assert subjects(indexer) == {patient.address, stranger.address}
    assert tombstone.word not in {one.word for one in view(indexer.indexed).rules()}
    assert contents(index) == indexed_anew(suite, tmp_path)


def test_a_reorganisation_of_anvils_own_making(
    on_anvil: MedProof,
    index: Index,
    tmp_path: Path,
    patient: LocalSigner,
    stranger: LocalSigner,
    clinic: LocalSigner,
    rule: Rule,
) -> None:
    chain, registry = on_anvil.chain, on_anvil.consent_registry
    indexer = Indexer(index, chain, on_anvil.deployment)
    registry.grant(clinic.address, rule, sender=patient)
    for _ in range(3):
        registry.change(clinic.address, rule, sender=patient)
    registry.grant(clinic.address, rule, sender=stranger)
    indexer.update()
    for depth in (1, 3, 5):
        rpc(chain, "anvil_reorg", depth, [])
        assert indexer.update().rolled_back >= depth
        assert contents(index) == indexed_anew(on_anvil, tmp_path)
        (tmp_path / "fresh.db").unlink()
    assert subjects(indexer) == set()


def test_a_reorganisation_deeper_than_all_that_was_read(
    suite: MedProof, chain: Chain, sqlite_index: Index, patient: LocalSigner, clinic: LocalSigner, rule: Rule
) -> None:
    indexer = Indexer(sqlite_index, chain, suite.deployment)
    snapshot = rpc(chain, "evm_snapshot")
    before = chain.block_number()
    suite.consent_registry.grant(clinic.address, rule, sender=patient)
    indexer.indexed  # noqa: B018 - nothing was read before the fork
    indexer.update()
    kept = sqlite_index.database
    with kept.writing() as connection:
        connection.exec_driver_sql("DELETE FROM blocks WHERE block < ?", (before,))
    rpc(chain, "evm_revert", snapshot)
    for _ in range(2):
        rpc(chain, "evm_mine")
    indexer.update()
    assert subjects(indexer) == set()
    assert view(indexer.indexed).party(clinic.address) is not None


def test_a_node_behind_the_index_takes_nothing_back(
    suite: MedProof, chain: Chain, sqlite_index: Index, patient: LocalSigner, clinic: LocalSigner, rule: Rule
) -> None:
    indexer = Indexer(sqlite_index, chain, suite.deployment)
    indexer.update()
    snapshot = rpc(chain, "evm_snapshot")
    suite.consent_registry.grant(clinic.address, rule, sender=patient)
    indexer.update()
    before = contents(sqlite_index, marks=True)
    rpc(chain, "evm_revert", snapshot)
    with pytest.raises(NodeLagsError, match="does not have block"):
        indexer.update()
    assert contents(sqlite_index, marks=True) == before


def test_the_chain_changes_between_two_questions(
    node: LocalChain,
    suite: MedProof,
    chain: Chain,
    index: Index,
    tmp_path: Path,
    patient: LocalSigner,
    stranger: LocalSigner,
    clinic: LocalSigner,
    rule: Rule,
) -> None:
    """The logs are of the one fork, the headers asked for afterwards of the other."""
    Indexer(index, chain, suite.deployment).update()
    snapshot = rpc(chain, "evm_snapshot")
    suite.consent_registry.grant(clinic.address, rule, sender=patient)
    done = []

    def answer(call: Call) -> object:
        if b"eth_getLogs" not in call.body or done:
            return ...
        given = call.forward()
        done.append(rpc(chain, "evm_revert", snapshot))
        suite.consent_registry.grant(clinic.address, rule, sender=stranger)
        return given

    with odd_node(answer, upstream=node.url) as server:
        indexer = Indexer(index, chain, suite.deployment, node=Node(server.url))
        indexer.update()
    assert done
    assert subjects(indexer) == {stranger.address}
    assert contents(index) == indexed_anew(suite, tmp_path)


@pytest.mark.parametrize("finality", [3, "safe", "finalized"])
def test_blocks_count_when_they_are_final(
    finality: int | str,
    on_anvil: MedProof,
    sqlite_index: Index,
    patient: LocalSigner,
    clinic: LocalSigner,
    rule: Rule,
) -> None:
    chain = on_anvil.chain
    indexer = Indexer(sqlite_index, chain, on_anvil.deployment, finality=finality)
    granted = on_anvil.consent_registry.grant(clinic.address, rule, sender=patient)
    indexer.update()
    assert indexer.indexed.block < granted.block
    rpc(chain, "anvil_mine", hex(100))
    indexer.update()
    assert subjects(indexer) == {patient.address}
    assert indexer.indexed.block == (
        chain.block_number() - 2 if isinstance(finality, int) else chain.block(finality).number
    )


@pytest.mark.parametrize("finality", ["safe", "finalized"])
def test_a_final_block_that_is_replaced_stops_it(
    finality: str,
    on_anvil: MedProof,
    sqlite_index: Index,
    tmp_path: Path,
    patient: LocalSigner,
    clinic: LocalSigner,
    rule: Rule,
) -> None:
    """A node of another fork, or a chain whose finality failed: nothing is taken back unasked."""
    chain = on_anvil.chain
    rpc(chain, "anvil_mine", hex(100))
    indexer = Indexer(sqlite_index, chain, on_anvil.deployment, finality=finality)
    indexer.update()
    snapshot = rpc(chain, "evm_snapshot")
    on_anvil.consent_registry.grant(clinic.address, rule, sender=patient)
    rpc(chain, "anvil_mine", hex(100))
    indexer.update()
    assert indexer.indexed.final == indexer.indexed.block
    rpc(chain, "evm_revert", snapshot)
    rpc(chain, "evm_increaseTime", 7)
    rpc(chain, "anvil_mine", hex(150))
    before = contents(sqlite_index, marks=True)
    with pytest.raises(FinalBlockError, match="--finality") as refused:
        indexer.update()
    assert refused.value.block == indexer.indexed.block
    with pytest.raises(FinalBlockError):
        indexer.follow(threading.Event(), pause=0.0)
    assert contents(sqlite_index, marks=True) == before

    counting = Indexer(sqlite_index, chain, on_anvil.deployment, finality=1)  # as the message says
    assert counting.update().rolled_back > 0
    assert subjects(counting) == set()
    assert indexer.indexed.final is not None
    assert indexer.indexed.final < refused.value.block
    assert indexer.update().rolled_back == 0


def test_blocks_that_were_not_final_are_taken_back_whatever_counts_now(
    on_anvil: MedProof, sqlite_index: Index, patient: LocalSigner, clinic: LocalSigner, rule: Rule
) -> None:
    chain = on_anvil.chain
    rpc(chain, "anvil_mine", hex(100))
    Indexer(sqlite_index, chain, on_anvil.deployment, finality="finalized").update()
    snapshot = rpc(chain, "evm_snapshot")
    on_anvil.consent_registry.grant(clinic.address, rule, sender=patient)
    Indexer(sqlite_index, chain, on_anvil.deployment, finality=1).update()
    rpc(chain, "evm_revert", snapshot)
    rpc(chain, "evm_increaseTime", 7)
    rpc(chain, "anvil_mine", hex(150))
    indexer = Indexer(sqlite_index, chain, on_anvil.deployment, finality="finalized")
    assert indexer.update().rolled_back > 0
    assert subjects(indexer) == set()


def test_a_node_that_knows_no_finality(
    node: LocalChain, chain: Chain, sqlite_index: Index, deployment: Deployment
) -> None:
    def answer(call: Call) -> object:
        return call.error("unknown block tag", code=-32602) if b"finalized" in call.body else ...

    with odd_node(answer, upstream=node.url) as server:
        indexer = Indexer(sqlite_index, chain, deployment, node=Node(server.url), finality="finalized")
        with pytest.raises(NodeError, match="unknown block tag"):
            indexer.update()

"""Anchoring a log: what is appended gets on chain once, whatever the node, a restart or another process does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_utils.crypto import keccak

from medproof.anchoring import Anchorer, LeafLog
from medproof.chain import Chain
from medproof.client import MedProof
from medproof.contract_errors import PublisherNotYours
from medproof.deployments import Deployment
from medproof.errors import AnchorMismatchError, MedProofError, NodeError
from medproof.sending import TransactionManager
from medproof.signing import LocalSigner
from tests.sdk.chain.odd_node import odd_node
from tests.sdk.conftest import rpc

LEAVES = [keccak(bytes([number])) for number in range(60)]
Make = Callable[..., Anchorer]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LeafLog]:
    opened = LeafLog(tmp_path / "log.db", number=7)
    yield opened
    opened.close()


@pytest.fixture
def troubles() -> list[MedProofError]:
    return []


@pytest.fixture
def make(
    suite: MedProof, log: LeafLog, clinic: LocalSigner, troubles: list[MedProofError], tmp_path: Path
) -> Iterator[Make]:
    """Anchorers of the log, which send through a queue beside it."""
    made: list[Anchorer] = []
    queues: list[TransactionManager] = []

    def build(on: MedProof = suite, of: LeafLog = log, sender: LocalSigner = clinic, **options: Any) -> Anchorer:
        queues.append(TransactionManager(on.chain, tmp_path / "log.db.queue", [sender]))
        given = {"trouble": troubles.append, "interval": 600.0, **options}
        made.append(Anchorer(on, of, queues[-1].sender(), **given))
        return made[-1]

    yield build
    for one in made:
        one.stop()
    for queue in queues:
        queue.close()


def sizes(suite: MedProof, publisher: LocalSigner, log: int = 7) -> list[int]:
    return [batch.size for batch in suite.batch_anchor.batches(publisher.address, log=log)]


def until(done: Callable[[], object], seconds: float = 10.0) -> None:
    limit = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < limit, "it did not happen"
        time.sleep(0.005)


@pytest.mark.parametrize("consistent", [True, False])
def test_what_was_appended_is_anchored_once(
    suite: MedProof, log: LeafLog, clinic: LocalSigner, make: Make, consistent: bool
) -> None:
    anchorer = make(consistent=consistent)
    anchorer.work()  # nothing to anchor
    assert (sizes(suite, clinic), log.anchored()) == ([], 0)
    log.extend(LEAVES[:5])
    assert anchorer.behind() == 5
    for _ in range(2):
        anchorer.work()
        assert (sizes(suite, clinic), list(log.anchors()), anchorer.behind()) == ([5], [5], 0)
    log.extend(LEAVES[5:12])
    anchorer.work()
    assert sizes(suite, clinic) == [5, 12]
    [function] = {_function(suite, batch.block) for batch in suite.batch_anchor.batches(clinic.address, log=7)}
    assert function == ("anchorConsistent" if consistent else "anchor")
    assert suite.batch_anchor.audit(clinic.address, log.consistency_proof, log=7) == 2
    suite.batch_anchor.verify_leaf(clinic.address, LEAVES[9], 9, log.inclusion_proof(9), log=7)


def _function(suite: MedProof, block: int) -> str:
    [transaction] = suite.chain.web3.eth.get_block(block, full_transactions=True)["transactions"]
    function, _ = suite.batch_anchor.contract.decode_function_input(transaction["input"])  # type: ignore[index]
    return str(function.fn_name)


def test_the_thread_anchors_by_itself_when_woken_and_at_the_end(
    suite: MedProof, log: LeafLog, clinic: LocalSigner, make: Make, troubles: list[MedProofError]
) -> None:
    anchorer = make(interval=0.02)
    anchorer.start()
    log.extend(LEAVES[:3])
    until(lambda: log.anchored() == 3)
    log.append(LEAVES[3])
    until(lambda: log.anchored() == 4)
    anchorer.stop()

    patient = make()
    patient.start()
    log.append(LEAVES[4])
    patient.wake()
    until(lambda: log.anchored() == 5)
    log.append(LEAVES[5])
    patient.stop()
    assert (sizes(suite, clinic), troubles) == ([3, 4, 5, 6], [])
    patient.start()  # and again
    log.append(LEAVES[6])
    patient.stop()
    assert log.anchored() == 7


def test_a_node_in_trouble_is_asked_until_it_is_well(
    suite: MedProof,
    node: Any,
    deployment: Deployment,
    log: LeafLog,
    clinic: LocalSigner,
    make: Make,
    troubles: list[MedProofError],
) -> None:
    moods: list[Any] = [...]
    with odd_node(lambda call: moods[0], upstream=node.url) as odd:
        anchorer = make(MedProof(Chain.connect(odd.url, patience=0.5, poll=0.01), deployment))
        moods[0] = None
        log.extend(LEAVES[:9])
        anchorer.start()
        until(lambda: len(troubles) >= 2)
        assert all(isinstance(error, NodeError) for error in troubles)
        assert anchorer.behind() == 9
        moods[0] = ...
        until(lambda: log.anchored() == 9)
        anchorer.stop()
    assert sizes(suite, clinic) == [9]


def test_what_was_sent_and_not_seen_is_waited_for(
    suite: MedProof, chain: Chain, deployment: Deployment, node: Any, log: LeafLog, clinic: LocalSigner, make: Make
) -> None:
    hasty = MedProof(Chain.connect(node.url, poll=0.01, timeout=0.05), deployment)
    anchorer = make(hasty)
    log.extend(LEAVES[:4])
    rpc(chain, "miner_stop")
    anchorer.work()
    log.append(LEAVES[4])
    anchorer.work()  # the first may still come
    assert (sizes(suite, clinic), log.anchored()) == ([], 0)
    rpc(chain, "miner_start")
    until(lambda: sizes(suite, clinic) == [4])
    anchorer.work()
    assert (sizes(suite, clinic), list(log.anchors())) == ([4, 5], [4, 5])


def test_what_was_sent_and_lost_is_sent_again(
    suite: MedProof, chain: Chain, node: Any, deployment: Deployment, log: LeafLog, clinic: LocalSigner, make: Make
) -> None:
    losing, before = True, chain.transaction_count(clinic.address)

    def lose(call: Any) -> Any:
        return None if losing and call.method == "eth_sendRawTransaction" else ...

    log.extend(LEAVES[:4])
    with odd_node(lose, upstream=node.url) as odd:
        anchorer = make(MedProof(Chain.connect(odd.url, patience=0.5, poll=0.01, timeout=0.05), deployment))
        anchorer.work()
        log.append(LEAVES[4])
        anchorer.work()
        assert sizes(suite, clinic) == []
        losing = False
        until(lambda: anchorer.work() or not anchorer.behind())
    assert sizes(suite, clinic) == [4, 5]
    assert chain.transaction_count(clinic.address) == before + 2


def test_another_process_goes_on_with_what_was_sent(
    suite: MedProof, chain: Chain, deployment: Deployment, node: Any, log: LeafLog, clinic: LocalSigner, make: Make
) -> None:
    before = chain.transaction_count(clinic.address)
    log.extend(LEAVES[:4])
    rpc(chain, "miner_stop")
    for _ in range(3):  # each finds the transaction of the one before
        make(MedProof(Chain.connect(node.url, poll=0.01, timeout=0.05), deployment)).work()
    rpc(chain, "miner_start")
    make().work()
    assert sizes(suite, clinic) == [4]
    assert chain.transaction_count(clinic.address) == before + 1


def test_what_a_deep_reorganisation_took_back_is_sent_again(
    suite: MedProof, chain: Chain, log: LeafLog, clinic: LocalSigner, make: Make
) -> None:
    snapshot, anchorer = rpc(chain, "evm_snapshot"), make()
    log.extend(LEAVES[:4])
    anchorer.work()
    assert sizes(suite, clinic) == [4]
    rpc(chain, "evm_revert", snapshot)
    anchorer.work()
    assert (sizes(suite, clinic), list(log.anchors())) == ([4], [4])


def test_an_account_without_a_queue_anchors_as_well(suite: MedProof, log: LeafLog, clinic: LocalSigner) -> None:
    log.extend(LEAVES[:4])
    anchorer = Anchorer(suite, log, clinic, trouble=print)
    for size in (4, 6):
        anchorer.work()
        assert sizes(suite, clinic)[-1] == size
        log.extend(LEAVES[log.size : log.size + 2])


def test_an_answer_that_was_lost_doubles_nothing(
    suite: MedProof, node: Any, deployment: Deployment, log: LeafLog, clinic: LocalSigner, make: Make
) -> None:
    """The process ends after it has sent and before it has noted it; another one takes over."""
    log.extend(LEAVES[:4])
    suite.batch_anchor.anchor(clinic.address, 3, log.root(3), log=7, sender=clinic)
    suite.batch_anchor.anchor(clinic.address, 4, log.root(4), log=7, sender=clinic)
    assert log.anchored() == 0
    anchorer = make()
    anchorer.work()
    assert (sizes(suite, clinic), list(log.anchors())) == ([3, 4], [3, 4])
    suite.batch_anchor.anchor(clinic.address, 5, LeafLog.root(_with(log, 1), 5), log=7, sender=clinic)
    anchorer.work()  # while it runs, too
    assert (sizes(suite, clinic), list(log.anchors())) == ([3, 4, 5], [3, 4, 5])


def _with(log: LeafLog, more: int) -> LeafLog:
    log.extend(LEAVES[log.size : log.size + more])
    return log


def test_two_processes_that_anchor_one_log(
    suite: MedProof, log: LeafLog, clinic: LocalSigner, make: Make, tmp_path: Path, troubles: list[MedProofError]
) -> None:
    other = LeafLog(tmp_path / "log.db", number=7)
    anchorers = [make(interval=0.01), make(of=other, interval=0.01)]
    for one in anchorers:
        one.start()
    for number in range(0, 30, 3):
        (log, other)[number % 2].extend(LEAVES[number : number + 3])
    until(lambda: sizes(suite, clinic)[-1:] == [30])
    for one in anchorers:
        one.stop()
    assert len(set(sizes(suite, clinic))) == len(sizes(suite, clinic))
    assert suite.batch_anchor.audit(clinic.address, log.consistency_proof, log=7) == len(sizes(suite, clinic))
    assert not [error for error in troubles if isinstance(error, AnchorMismatchError)]
    other.close()


def test_a_log_that_is_not_the_one_on_chain(
    suite: MedProof, log: LeafLog, clinic: LocalSigner, make: Make, troubles: list[MedProofError]
) -> None:
    suite.batch_anchor.anchor(clinic.address, 2, keccak(b"another"), log=7, sender=clinic)
    log.extend(LEAVES[:1])
    with pytest.raises(AnchorMismatchError, match="Log 7 and the chain differ at 2 leaves: the log has only 1"):
        make().work()
    log.extend(LEAVES[1:6])
    anchorer = make(interval=0.01)
    anchorer.start()
    until(lambda: len(troubles) >= 2)
    anchorer.stop()
    for error in troubles:
        assert isinstance(error, AnchorMismatchError)
        assert (error.log, error.size) == (7, 2)
    assert sizes(suite, clinic) == [2]
    assert log.anchored() == 0


def test_the_first_batch_that_differs_is_named(suite: MedProof, log: LeafLog, clinic: LocalSigner, make: Make) -> None:
    log.extend(LEAVES[:9])
    suite.batch_anchor.anchor(clinic.address, 2, log.root(2), log=7, sender=clinic)
    suite.batch_anchor.anchor(clinic.address, 5, keccak(b"another"), log=7, sender=clinic)
    suite.batch_anchor.anchor(clinic.address, 8, log.root(8), log=7, sender=clinic)
    with pytest.raises(AnchorMismatchError) as caught:
        make().work()
    assert caught.value.size == 5


def test_another_root_while_it_runs(suite: MedProof, log: LeafLog, clinic: LocalSigner, make: Make) -> None:
    anchorer = make()
    log.extend(LEAVES[:3])
    anchorer.work()
    suite.batch_anchor.anchor(clinic.address, 4, keccak(b"another"), log=7, sender=clinic)
    log.extend(LEAVES[3:6])
    with pytest.raises(AnchorMismatchError):
        anchorer.work()
    assert (sizes(suite, clinic), log.anchored()) == ([3, 4], 3)


def test_a_batch_that_a_reorganisation_took_is_anchored_again(
    suite: MedProof, chain: Chain, log: LeafLog, clinic: LocalSigner, make: Make
) -> None:
    anchorer = make()
    log.extend(LEAVES[:3])
    anchorer.work()
    before = rpc(chain, "evm_snapshot")
    log.extend(LEAVES[3:6])
    anchorer.work()
    assert list(log.anchors()) == [3, 6]
    rpc(chain, "evm_revert", before)
    log.extend(LEAVES[6:7])
    until(lambda: anchorer.work() or not anchorer.behind())  # the same batch again, and what came after it
    assert (sizes(suite, clinic), list(log.anchors())) == ([3, 6, 7], [3, 6, 7])


def test_whoever_is_no_party_cannot_anchor(
    suite: MedProof, log: LeafLog, stranger: LocalSigner, make: Make, troubles: list[MedProofError]
) -> None:
    log.append(LEAVES[0])
    for _ in range(2):
        with pytest.raises(PublisherNotYours):
            make(sender=stranger).work()
    assert sizes(suite, stranger) == []
    anchorer = make(sender=stranger)
    anchorer.start()
    until(lambda: troubles)
    anchorer.stop()
    assert isinstance(troubles[0], PublisherNotYours)

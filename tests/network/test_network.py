"""Real nodes that die, part, heal and lag: what was accepted is on the chain once, and nothing is served unpermitted.

After each scenario `Scene.check` makes sure of the same; see there.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest

from medproof.deployments import Deployment, verify
from medproof.errors import NodeLagsError
from medproof.examination import State as Examined
from medproof.examination import examine_node
from medproof.indexer import Index, Indexer
from medproof.network_signers import network_signers, propose_signer, withdraw_proposal
from medproof.networks import Network
from medproof.relayer import State
from medproof.sending import State as Sent
from medproof.signing import LocalSigner
from scripts.local_chain import ChainError
from scripts.local_network import CHAIN_ID, LocalNetwork, Node, geth_clock
from tests.network.conftest import ACCOUNTS, deployed
from tests.network.scene import CLINIC, DEPTH, PATIENCE, Custody, Scene, events_of, open_rule, through
from tests.sdk.conftest import funded


def test_what_one_node_takes_all_have(network: LocalNetwork, deployment: Deployment) -> None:
    patient = LocalSigner.create()
    sending = through(network, 1, deployment, confirmations=DEPTH)
    message = sending.consent_registry.sign_grant(patient, CLINIC.address, open_rule())
    receipt = sending.relay(message, sender=funded(4))
    network.agree()
    for number in range(4):
        suite = through(network, number, deployment)
        verify(suite.chain, deployment)
        assert suite.consent_registry.rule(patient.address, CLINIC.address) is not None
        assert suite.chain.block(receipt.block).hash == receipt.block_hash


def test_a_signer_is_killed_while_messages_are_sent(scene: Scene) -> None:
    relayer = scene.relayer(1, 5, 6)
    scene.indexer(1)
    scene.gatekeeper(3)
    scene.grant(relayer, 6)
    scene.network.kill(scene.network.nodes[0])
    scene.grant(relayer, 6)
    scene.serves()
    scene.settle()
    scene.network.start(scene.network.nodes[0])
    scene.check()


def test_every_node_is_killed_and_started_again(scene: Scene) -> None:
    relayer = scene.relayer(0, 5)
    scene.indexer(0)
    scene.gatekeeper(0)
    scene.serves()
    scene.grant(relayer, 4)
    for node in scene.network.nodes:
        scene.network.kill(node)
    for node in scene.network.nodes:
        scene.network.start(node)
    scene.serves()
    scene.check()


def test_both_sides_of_three_and_one_write(scene: Scene) -> None:
    """The node alone has no signer; who asks the gatekeeper there is soon told that it lags."""
    here, there = scene.relayer(0, 5), scene.relayer(3, 6)
    scene.indexer(3)
    scene.gatekeeper(3)
    scene.serves()
    scene.network.part([0, 1, 2], [3])
    scene.grant(here, 4)
    scene.grant(there, 4)
    revoked = scene.revoke(here)
    scene.until(lambda: here.status(revoked).state is State.CONFIRMED, "revoked")
    assert {fate.state for fate in there.fates()} <= {State.QUEUED, State.SENT}
    scene.until(lambda: scene.refused["CHAIN_LAGS"] > 0, "refused")
    scene.network.heal()
    scene.until(lambda: scene.refused["REVOKED"] > 0, "refused what was revoked")
    scene.permit(here)
    scene.serves()
    scene.check()


def test_both_sides_of_two_and_two_write(scene: Scene) -> None:
    """Two of three signers go on; one seals a block at most, and waits."""
    here, there = scene.relayer(0, 5), scene.relayer(2, 6)
    scene.indexer(2)
    scene.gatekeeper(2)
    scene.serves()
    scene.network.part([0, 1], [2, 3])
    scene.grant(here, 4)
    scene.grant(there, 4)
    scene.until(lambda: all(fate.final for fate in here.fates()), "settled on the side that goes on")
    assert not any(fate.final for fate in there.fates())
    scene.network.heal()
    scene.check()


def test_a_reorganisation_beneath_relayer_index_and_gatekeeper(scene: Scene) -> None:
    """The others are set back below what the first node has, and seal a longer chain without it."""
    network, [first, *others] = scene.network, scene.network.nodes
    relayer, indexer = scene.relayer(0, 5, confirmations=3 * DEPTH), scene.indexer(0)
    scene.gatekeeper(0)
    scene.revoke(relayer)
    scene.settle()
    scene.until(lambda: scene.refused["REVOKED"] > 0, "refused what is revoked")
    ids = [scene.permit(relayer), *scene.grant(relayer, 3)]
    scene.until(lambda: all(relayer.status(id_).state is State.MINED for id_ in ids), "all in blocks")
    scene.serves()
    mined = min(number for batch in relayer.batches() if (number := batch.transaction.block) is not None)
    network.part([0], [1], [2], [3])
    for node in others:
        node.rpc("debug_setHead", hex(mined - 1))
    network.part([0], [1, 2, 3])
    scene.until(lambda: all(node.block() > first.block() + 2 for node in others), "longer")
    before = indexer.indexed.roll_backs()
    network.heal()
    scene.check()
    assert indexer.indexed.roll_backs() > before
    gone = {proof.block_hash for _, proof in scene.served if first.block_hash(proof.block) != proof.block_hash}
    assert gone, "nothing was served at a block that is gone"


def test_many_accounts_send_through_a_kill_and_a_partition(scene: Scene) -> None:
    network = scene.network
    manager = scene.manager(0, *range(8, 16))
    scene.indexer(0)
    scene.gatekeeper(0)
    keys = scene.send(manager, 24)
    network.kill(network.nodes[1])
    keys += scene.send(manager, 12)
    network.start(network.nodes[1])
    network.part([0, 3], [1, 2])
    keys += scene.send(manager, 12)
    network.wait_beyond([1, 2], 3)
    network.heal()
    receipts = manager.wait(keys, timeout=PATIENCE)
    assert len({receipt.transaction for receipt in receipts}) == len(keys)
    assert {fate.state for fate in manager.fates()} == {Sent.CONFIRMED}
    scene.check()


def test_a_signer_is_voted_in_and_out(scene: Scene) -> None:
    """Meanwhile there are four, of which two cannot go on: at 2|2 nobody seals, and everybody waits."""
    network, fourth = scene.network, scene.network.nodes[3]
    chains = [scene.suite(number).chain for number in range(4)]
    scene.indexer(3)
    scene.gatekeeper(3)
    here, there = scene.relayer(0, 5), scene.relayer(3, 6)

    vote_each(scene, fourth.address, True, [0, 1])
    fourth.rpc("miner_start")
    scene.until(lambda: len(network_signers(chains[0]).active) == 4, "sealed by four")

    network.part([0, 1], [2, 3])
    still = network.still()
    scene.grant(here, 2)
    scene.grant(there, 2)
    assert not any(fate.final for relayer in (here, there) for fate in relayer.fates())
    assert [node.block() for node in network.nodes] == still
    network.heal()
    network.unlock()
    scene.settle()

    vote_each(scene, fourth.address, False, [0, 1, 2])
    fourth.rpc("miner_stop")
    assert [withdraw_proposal(chain, fourth.address) for chain in chains] == [True, True, True, False]
    scene.grant(here, 2)
    scene.check()


def vote_each(scene: Scene, account: str, joins: bool, numbers: list[int]) -> None:
    """Have some nodes vote, one after another, until it is enough."""
    chain = scene.suite(0).chain
    for count, number in enumerate(numbers, start=1):
        vote = propose_signer(scene.suite(number).chain, account, joins)
        assert (len(vote.voters), vote.missing) == (count, len(numbers) - count)
        if vote.missing:
            scene.until(lambda vote=vote: network_signers(chain).vote(account, joins) == vote, "voted")  # type: ignore[misc]
            scene.network.wait(3)  # until every node has it, whatever the newest block turns out to be
    scene.until(lambda: (account in network_signers(chain).sealed) is joins, "decided")


def test_the_clock_of_a_signer_is_ahead(scene: Scene) -> None:
    """It seals blocks of the future, which nobody follows; the others go on, and it goes with them."""
    network, wrong = scene.network, scene.network.nodes[2]
    with_clock(network, wrong, 300)
    relayers = scene.relayer(0, 5), scene.relayer(2, 6)
    scene.indexer(2)
    scene.gatekeeper(2)
    for relayer in relayers:
        scene.grant(relayer, 4)
    for _ in range(10):
        network.wait_beyond([0, 1, 3], 1)
        for node in (network.nodes[number] for number in (0, 1, 3)):
            assert int(node.rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16) <= time.time() + 1
    scene.settle()
    assert scene.refused["CHAIN_AHEAD"] > 0
    assert clock_of(wrong) is Examined.BAD
    assert clock_of(network.nodes[0]) is Examined.GOOD
    restart(network, wrong)
    scene.check()


def test_the_clock_of_a_node_is_behind(scene: Scene) -> None:
    """All blocks are of the future to it, so that it takes none, and its gatekeeper refuses; then it has them all."""
    network, wrong = scene.network, scene.network.nodes[3]
    relayer = scene.relayer(0, 5)
    scene.indexer(3)
    scene.gatekeeper(3)
    with_clock(network, wrong, -300)
    before = wrong.block()
    scene.grant(relayer, 4)
    scene.settle()
    scene.until(lambda: scene.refused["CHAIN_LAGS"] > 0, "refused")
    assert wrong.block() == before
    assert clock_of(wrong) is Examined.BAD
    restart(network, wrong)
    scene.check()


def with_clock(network: LocalNetwork, node: Node, ahead: int) -> None:
    """Start a node again with a clock that is off."""
    try:
        geth_clock()
    except ChainError as error:
        pytest.skip(str(error))
    network.kill(node)
    network.start(node, ahead=ahead)


def restart(network: LocalNetwork, node: Node) -> None:
    """Start a node again with the right clock."""
    network.kill(node)
    network.start(node)


def clock_of(node: Node) -> Examined:
    """What `medproof network check` finds of a node's clock."""
    [found] = [one for one in examine_node(Network("ours", node.url, CHAIN_ID)) if one.what == "clock"]
    return found.state


def test_a_node_that_lags_by_hundreds_of_blocks(tmp_path: Path) -> None:
    """On a network of its own, which seals whenever there is a transaction: a second each would take minutes."""
    with LocalNetwork(2, signers=1, period=0, funded=ACCOUNTS) as network, contextlib.ExitStack() as end:
        [first, last] = network.nodes
        deployment = deployed(network, tmp_path)
        custody = Custody.prepare(through(network, 0, deployment), tmp_path)
        before = events_of(through(network, 0, deployment))
        network.agree()
        scene = Scene(network, deployment, custody, tmp_path, before=before)
        end.callback(scene.close)
        scene.work(lambda: seal(first, 1))
        relayer = scene.relayer(0, 5)
        scene.indexer(1)
        scene.gatekeeper(1)
        scene.serves()

        network.part([0], [1])
        network.kill(last)
        scene.grant(relayer, 4)
        scene.revoke(relayer)
        seal(first, 300)
        scene.settle()
        network.start(last)
        assert first.block() - last.block() >= 300
        with contextlib.closing(
            Index(tmp_path / "moved.db")
        ) as index:  # an index that has read more than this node has
            Indexer(index, scene.suite(0).chain, deployment, finality=1).update()
            with pytest.raises(NodeLagsError):
                Indexer(index, scene.suite(1).chain, deployment, finality=1).update()
        network.heal()
        scene.until(lambda: scene.refused["REVOKED"] > 0, "refused what was revoked")
        scene.permit(relayer)
        scene.serves()
        scene.check(nodes=(0, 1))


def seal(node: Node, blocks: int) -> None:
    """Have a signer seal so many blocks at least, of a network that does so whenever there is a transaction."""
    target = node.block() + blocks
    while (now := node.block()) < target:
        node.rpc("eth_sendTransaction", {"from": node.address, "to": node.address})
        while node.block() == now:
            time.sleep(0.002)

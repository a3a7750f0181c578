"""What is sent is followed until it is final: forgetful nodes, rising fees, reorganisations, foreign transactions."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from medproof.client import MedProof
from medproof.client.contract import SignedMessage
from medproof.deployments import Deployment
from medproof.errors import NodeError
from medproof.relayer import Relayer, State
from medproof.signing import LocalSigner
from scripts.local_chain import LocalChain
from tests.sdk.chain.odd_node import Call, lying, odd_node
from tests.sdk.conftest import rpc
from tests.sdk.relayer.conftest import Open, through
from tests.sdk.relayer.people import people, person, rules_set, work_off

Grant = Callable[..., SignedMessage]


def sent_by(work: Relayer, id_: str) -> str:
    transaction = work.status(id_).transaction
    assert transaction is not None
    return transaction


# -- nodes that forget ------------------------------------------------------------------------------------------


def test_forgotten_transaction_is_sent_again(
    suite: MedProof, deployment: Deployment, node: LocalChain, open_relayer: Open, grant: Grant
) -> None:
    swallowed: list[Any] = []

    def answer(call: Call) -> Any:
        if call.method == "eth_sendRawTransaction" and len(swallowed) < 2:
            swallowed.append(call.parameters)
            return call.result("0x" + "00" * 32)
        return ...

    before = suite.chain.block_number()
    with odd_node(answer, upstream=node.url) as server:
        work = open_relayer(suite=through(server.url, deployment))
        id_ = work.submit(grant(person(0)))
        work.run_once(flush=True)
        first = sent_by(work, id_)
        work_off(work)
    assert swallowed[0] == swallowed[1]  # the same bytes
    assert sent_by(work, id_) == first
    assert rules_set(suite, before) == [person(0).address]


def test_node_that_fails_after_taking_it(
    suite: MedProof, deployment: Deployment, node: LocalChain, open_relayer: Open, grant: Grant, relayer: LocalSigner
) -> None:
    suite.chain.send({"to": relayer.address}, sender=relayer)  # Ganache takes a second nonce 0 of an account
    down = False

    def answer(call: Call) -> Any:
        nonlocal down
        if call.method == "eth_sendRawTransaction":
            call.forward()
            down = True
        return None if down else ...

    before = suite.chain.block_number()
    with odd_node(answer, upstream=node.url) as server:
        work = open_relayer(suite=through(server.url, deployment))
        id_ = work.submit(grant(person(0)))
        work.run_once(flush=True)
        with pytest.raises(NodeError):
            work.run_once()
    assert work.status(id_).state is State.SENT
    again = open_relayer()
    work_off(again)
    assert again.status(id_).state is State.CONFIRMED
    assert rules_set(suite, before) == [person(0).address]


# -- fees -------------------------------------------------------------------------------------------------------


def without_base_fee(call: Call) -> Any:
    """The node of a chain before London."""
    given = json.loads(call.forward())
    if call.method == "eth_getBlockByNumber":
        given["result"].pop("baseFeePerGas", None)
    return json.dumps(given).encode()


@pytest.mark.parametrize("legacy", [False, True], ids=["EIP-1559", "legacy"])
def test_late_transaction_is_replaced(
    suite: MedProof, deployment: Deployment, node: LocalChain, open_relayer: Open, grant: Grant, legacy: bool
) -> None:
    kept: list[str] = []

    def answer(call: Call) -> Any:
        if call.method == "eth_sendRawTransaction" and len(kept) < 2:
            kept.append(call.parameters[0])
            return call.result("0x" + "00" * 32)
        return without_base_fee(call) if legacy else ...

    before = suite.chain.block_number()
    with odd_node(answer, upstream=node.url) as server:
        work = open_relayer(suite=through(server.url, deployment), patience=0.0)
        id_ = work.submit(grant(person(0)))
        work.run_once(flush=True)
        work.run_once()  # no block since then: paying more would change nothing
        (batch,) = work.batches()
        assert len(batch.transaction.attempts) == 1
        rpc(suite.chain, "evm_mine")
        work.run_once()
        (batch,) = work.batches()
        old, new = batch.transaction.attempts
        assert set(new.fees) == ({"gasPrice"} if legacy else {"maxFeePerGas", "maxPriorityFeePerGas"})
        assert all(new.fees[name] >= old.fees[name] * 1.125 for name in old.fees)
        assert sent_by(work, id_) == new.hash
        work_off(work)
    assert len(kept) == 2
    mined = suite.chain.web3.eth.get_transaction(new.hash)  # type: ignore[arg-type]
    assert (mined["nonce"], mined["type"]) == (batch.transaction.nonce, 0 if legacy else 2)
    assert work.status(id_).state is State.CONFIRMED
    assert rules_set(suite, before) == [person(0).address]


def test_first_attempt_may_be_the_one_that_is_mined(
    suite: MedProof, deployment: Deployment, node: LocalChain, open_relayer: Open, grant: Grant
) -> None:
    kept: list[str] = []

    def answer(call: Call) -> Any:
        if call.method == "eth_sendRawTransaction":
            kept.append(call.parameters[0])
            return call.result("0x" + "00" * 32)
        return ...

    with odd_node(answer, upstream=node.url) as server:
        work = open_relayer(suite=through(server.url, deployment), patience=0.0)
        id_ = work.submit(grant(person(0)))
        work.run_once(flush=True)
        first = sent_by(work, id_)
        rpc(suite.chain, "evm_mine")
        work.run_once()
        assert sent_by(work, id_) != first
        rpc(suite.chain, "eth_sendRawTransaction", kept[0])
        work_off(work)
    fate = work.status(id_)
    assert (fate.state, fate.transaction) == (State.CONFIRMED, first)


def test_stuck_at_the_highest_fee(
    suite: MedProof, deployment: Deployment, node: LocalChain, open_relayer: Open, grant: Grant
) -> None:
    taking = False

    def answer(call: Call) -> Any:
        if call.method == "eth_sendRawTransaction" and not taking:
            return call.result("0x" + "00" * 32)
        return ...

    with odd_node(answer, upstream=node.url) as server:
        fee = suite.chain.fees()["maxFeePerGas"]
        work = open_relayer(suite=through(server.url, deployment), patience=0.0, highest_fee=fee * 11 // 10)
        id_ = work.submit(grant(person(0)))
        work.run_once(flush=True)
        rpc(suite.chain, "evm_mine")
        work.run_once()
        (stuck,) = work.stuck()
        assert stuck.messages == (id_,)
        assert len(stuck.transaction.attempts) == 1
        taking = True
        work_off(work)
    assert work.stuck() == []


def test_only_the_first_of_several_is_replaced(
    suite: MedProof, deployment: Deployment, node: LocalChain, open_relayer: Open, grant: Grant
) -> None:
    def answer(call: Call) -> Any:
        return call.result("0x" + "00" * 32) if call.method == "eth_sendRawTransaction" else ...

    with odd_node(answer, upstream=node.url) as server:
        work = open_relayer(suite=through(server.url, deployment), patience=0.0, size=1, in_flight=2)
        ids = [work.submit(grant(one)) for one in people(3)]
        work.run_once()
        assert [work.status(id_).state for id_ in ids] == [State.SENT, State.SENT, State.QUEUED]
        rpc(suite.chain, "evm_mine")
        work.run_once()
        assert [len(batch.transaction.attempts) for batch in work.batches()] == [2, 1]
    nonces = [batch.transaction.nonce for batch in work.batches()]
    assert nonces[1] == nonces[0] + 1
    work_off(open_relayer())


# -- blocks that vanish -----------------------------------------------------------------------------------------


def test_reorganisation_sends_again(
    suite: MedProof, deployment: Deployment, node: LocalChain, open_relayer: Open, grant: Grant
) -> None:
    work = open_relayer(suite=through(node.url, deployment, confirmations=3))
    before = suite.chain.block_number()
    id_ = work.submit(grant(person(0)))
    snapshot = rpc(suite.chain, "evm_snapshot")
    work.run_once(flush=True)
    work.run_once()
    first = work.status(id_)
    assert (first.state, first.block) == (State.MINED, before + 1)
    rpc(suite.chain, "evm_revert", snapshot)
    rpc(suite.chain, "evm_mine")
    assert work.run_once() == 1
    assert work.status(id_).state is State.SENT
    work.run_once()
    again = work.status(id_)
    assert (again.state, again.block, again.transaction) == (State.MINED, before + 2, first.transaction)
    rpc(suite.chain, "evm_mine")
    assert work.run_once() == 1
    rpc(suite.chain, "evm_mine")
    assert work.run_once() == 0
    assert work.status(id_).state is State.CONFIRMED
    assert rules_set(suite, before) == [person(0).address]


# -- an account that others use ---------------------------------------------------------------------------------


def test_nonce_that_another_transaction_took(
    suite: MedProof, deployment: Deployment, node: LocalChain, open_relayer: Open, grant: Grant, relayer: LocalSigner
) -> None:
    def answer(call: Call) -> Any:
        return call.result("0x" + "00" * 32) if call.method == "eth_sendRawTransaction" else ...

    before = suite.chain.block_number()
    with odd_node(answer, upstream=node.url) as server:
        work = open_relayer(suite=through(server.url, deployment))
        ids = [work.submit(grant(one)) for one in people(2)]
        work.run_once(flush=True)
        (lost,) = work.batches()
    suite.chain.wait(suite.chain.send({"to": relayer.address}, sender=relayer))  # takes the nonce
    again = open_relayer()
    again.run_once(flush=True)
    (batch,) = again.batches()
    assert batch.transaction.nonce == lost.transaction.nonce + 1
    work_off(again)
    assert [again.status(id_).state for id_ in ids] == [State.CONFIRMED] * 2
    assert sorted(rules_set(suite, before)) == sorted(one.address for one in people(2))


def test_gap_in_the_nonces_is_filled(
    suite: MedProof, deployment: Deployment, node: LocalChain, open_relayer: Open, grant: Grant, relayer: LocalSigner
) -> None:
    first = suite.chain.transaction_count(relayer.address)
    # A transaction of another program, which its node loses.
    lies = {("eth_getTransactionCount", relayer.address, "pending"): hex(first + 1)}

    def answer(call: Call) -> Any:
        return call.result("0x" + "00" * 32) if call.method == "eth_sendRawTransaction" else lying(lies)(call)

    with odd_node(answer, upstream=node.url) as server:
        work = open_relayer(suite=through(server.url, deployment), size=1)
        late = work.submit(grant(person(0)))
        work.run_once()
        assert [batch.transaction.nonce for batch in work.batches()] == [first + 1]
        lies.clear()
        filler = work.submit(grant(person(1)))
        work.run_once()
        assert [batch.transaction.nonce for batch in work.batches()] == [first + 1, first]
    again = open_relayer(size=1)
    work_off(again)
    assert again.status(late).state is again.status(filler).state is State.CONFIRMED


# -- gas --------------------------------------------------------------------------------------------------------


def test_batch_that_runs_out_of_gas_is_sent_in_parts(
    suite: MedProof, open_relayer: Open, grant: Grant, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, work = suite.chain.block_number(), open_relayer()
    ids = [work.submit(grant(one)) for one in people(4)]
    monkeypatch.setattr(suite.chain, "gas", lambda transaction: 130_000)  # enough for one or two
    work.run_once(flush=True)
    assert len({sent_by(work, id_) for id_ in ids}) == 1
    work_off(work)
    assert {work.status(id_).state for id_ in ids} == {State.CONFIRMED}
    assert len({sent_by(work, id_) for id_ in ids}) > 1
    assert sorted(rules_set(suite, before)) == sorted(one.address for one in people(4))


def test_message_that_takes_more_than_it_may_is_tried_alone(suite: MedProof, open_relayer: Open, grant: Grant) -> None:
    before, work = suite.chain.block_number(), open_relayer(gas_each=25_000)  # a trial has room around it
    ids = [work.submit(grant(one)) for one in people(2)]
    work_off(work)
    assert rules_set(suite, before) == []
    assert [work.status(id_).state for id_ in ids] == [State.REFUSED] * 2
    assert all(str(work.status(id_).reason).startswith("The message takes more than 25000 gas") for id_ in ids)
    assert len({sent_by(work, id_) for id_ in ids}) == 2


def test_two_relayers_work_one_queue(suite: MedProof, open_relayer: Open, grant: Grant) -> None:
    before, first, second = suite.chain.block_number(), open_relayer(size=2), open_relayer(size=2)
    ids = [first.submit(grant(one)) for one in people(6)]
    limit = time.monotonic() + 10
    while first.run_once() + second.run_once() and time.monotonic() < limit:
        pass
    assert {second.status(id_).state for id_ in ids} == {State.CONFIRMED}
    assert sorted(rules_set(suite, before)) == sorted(one.address for one in people(6))

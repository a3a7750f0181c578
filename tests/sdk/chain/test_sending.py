"""Sending: each transaction once, whatever the node does, and waited for until it counts."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from medproof.artifacts import artifact
from medproof.chain import Chain
from medproof.client import MedProof
from medproof.contract_errors import GroupAlreadyJoined, PartyAlreadySuspended
from medproof.deployments import Deployment
from medproof.errors import (
    AccountFundsError,
    ArgumentError,
    ConfirmationTimeoutError,
    NodeError,
    TransactionFailedError,
    UnknownRevertError,
)
from medproof.signing import LocalSigner, NodeSigner
from scripts.local_chain import ROOT, LocalChain
from tests.sdk.chain.odd_node import Call, OddNode, odd_node
from tests.sdk.conftest import funded, rpc

SINK = "0x" + "77" * 20


def nonce(chain: Chain, signer: LocalSigner) -> int:
    return chain.web3.eth.get_transaction_count(signer.address)


def nonces_used(chain: Chain, signer: LocalSigner, since: int) -> list[int]:
    """The nonces of an account's transactions after a block."""
    return sorted(
        transaction["nonce"]
        for number in range(since + 1, chain.block_number() + 1)
        for transaction in chain.web3.eth.get_block(number, full_transactions=True)["transactions"]
        if transaction["from"] == signer.address
    )


# -- nonces -----------------------------------------------------------------------------------------------------


def test_threads_share_a_chain_and_an_account(chain: Chain, stranger: LocalSigner) -> None:
    before, first = chain.block_number(), nonce(chain, stranger)
    with ThreadPoolExecutor(8) as pool:
        sent = list(pool.map(lambda value: chain.send({"to": SINK, "value": value}, sender=stranger), range(1, 25)))
    assert len({chain.wait(one).transaction for one in sent}) == 24
    assert nonces_used(chain, stranger, before) == list(range(first, first + 24))
    assert chain.balance(SINK) == sum(range(1, 25))


SENDER = """
import sys
from medproof.chain import Chain
from medproof.signing import LocalSigner
url, key, first = sys.argv[1:]
chain = Chain.connect(url, poll=0.005)
signer = LocalSigner.from_key(key)
print("ready", flush=True)
sys.stdin.readline()
for value in range(int(first), int(first) + 15):
    chain.wait(chain.send({"to": "0x" + "77" * 20, "value": value}, sender=signer))
"""


def one_at_a_time(chain: Chain) -> Callable[[Call], bytes]:
    """Ganache as an ordinary node: by itself it strands a transaction that meets another of its account."""
    turn = threading.Lock()

    def answer(call: Call) -> bytes:
        with turn:
            given = call.forward()
            sent = json.loads(given).get("result") if call.method == "eth_sendRawTransaction" else None
            while sent and chain.receipt(sent) is None:
                time.sleep(0.002)
            return given

    return answer


def test_processes_share_an_account(chain: Chain, node: LocalChain, stranger: LocalSigner) -> None:
    chain.wait(chain.send({"to": stranger.address}, sender=stranger))  # Ganache takes a second nonce 0 of an account
    before, first = chain.block_number(), nonce(chain, stranger)
    key = "0x" + bytes(stranger._account.key).hex()  # the play money's
    with odd_node(one_at_a_time(chain), upstream=node.url) as server:
        senders = [
            subprocess.Popen(
                [sys.executable, "-c", SENDER, server.url, key, str(start)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=ROOT,
                text=True,
            )
            for start in (1, 16)
        ]
        for sender in senders:
            assert sender.stdout is not None
            assert sender.stdout.readline() == "ready\n"
        for sender in senders:
            assert sender.stdin is not None
            sender.stdin.write("go\n")
            sender.stdin.flush()
        assert [sender.wait(60) for sender in senders] == [0, 0]
        for sender in senders:
            sender.stdin.close()  # type: ignore[union-attr]
            sender.stdout.close()  # type: ignore[union-attr]
    assert server.count("eth_sendRawTransaction") >= 30  # those that lost their nonces were signed again
    assert nonces_used(chain, stranger, before) == list(range(first, first + 30))
    assert chain.balance(SINK) == sum(range(1, 31))


@pytest.mark.parametrize(
    "refusal",
    [
        "nonce too low: next nonce 5, tx nonce 4",
        "Transaction nonce is too low. Try incrementing the nonce.",
        "the tx doesn't have the correct nonce. account has nonce of: 5 tx has nonce of: 4",
        "replacement transaction underpriced",
        "transaction underpriced",
        "OldNonce",
    ],
)
def test_lost_nonce_is_signed_again(node: LocalChain, chain: Chain, stranger: LocalSigner, refusal: str) -> None:
    refused: list[object] = []

    def answer(call: Call) -> Any:
        if call.method == "eth_sendRawTransaction" and len(refused) < 2:
            refused.append(call.parameters)
            return call.error(refusal)
        return ...

    with odd_node(answer, upstream=node.url) as server:
        through = Chain.connect(server.url, poll=0.001)
        through.wait(through.send({"to": SINK, "value": 5}, sender=stranger))
    assert chain.balance(SINK) == 5


def test_fee_below_the_nodes_floor_is_no_lost_nonce(node: LocalChain, stranger: LocalSigner) -> None:
    def answer(call: Call) -> Any:
        low = "transaction underpriced: tip needed 1000000000, tip permitted 1"
        return call.error(low) if call.method == "eth_sendRawTransaction" else ...

    with odd_node(answer, upstream=node.url) as server, pytest.raises(NodeError, match="tip needed"):
        Chain.connect(server.url, poll=0.001).send({"to": SINK, "value": 5}, sender=stranger)
    assert server.count("eth_sendRawTransaction") == 1


def test_nonces_that_are_always_lost_end_in_a_sentence(node: LocalChain, stranger: LocalSigner) -> None:
    def answer(call: Call) -> Any:
        return call.error("nonce too low") if call.method == "eth_sendRawTransaction" else ...

    with odd_node(answer, upstream=node.url) as server, pytest.raises(NodeError, match="20 nonces of 0x"):
        Chain.connect(server.url, poll=0.0001).send({"to": SINK, "value": 5}, sender=stranger)


# -- unclear answers --------------------------------------------------------------------------------------------

PATIENCE = 1.0  # seconds for one answer

UNCLEAR: dict[str, Callable[[Call], Any]] = {
    "a closed connection": lambda call: None,
    "HTTP 502": lambda call: (502, b"Bad Gateway"),
    "HTTP 429": lambda call: (429, b"Slow down"),
    "a web page": lambda call: b"<html>gateway</html>",
    "too late": lambda call: time.sleep(PATIENCE + 0.3),
}


def through(server: OddNode) -> Chain:
    """A chain whose patience with one answer is short."""
    chain = Chain.connect(server.url, poll=0.001)
    chain.web3.provider._request_kwargs["timeout"] = PATIENCE  # type: ignore[attr-defined]
    return chain


@pytest.mark.parametrize("unclear", UNCLEAR.values(), ids=UNCLEAR.keys())
def test_accepted_with_an_unclear_answer_is_not_sent_twice(
    node: LocalChain, chain: Chain, stranger: LocalSigner, unclear: Callable[[Call], Any]
) -> None:
    before, first = chain.block_number(), nonce(chain, stranger)

    def answer(call: Call) -> Any:
        if call.method == "eth_sendRawTransaction" and server.count(call.method) == 1:
            call.forward()
            return unclear(call)
        return ...

    with odd_node(answer, upstream=node.url) as server:
        sent = through(server).send({"to": SINK, "value": 5}, sender=stranger)
    assert chain.receipt(sent) is not None
    assert chain.balance(SINK) == 5
    assert nonces_used(chain, stranger, before) == [first]


@pytest.mark.parametrize("unclear", UNCLEAR.values(), ids=UNCLEAR.keys())
def test_lost_on_the_way_is_sent_again(
    node: LocalChain, chain: Chain, stranger: LocalSigner, unclear: Callable[[Call], Any]
) -> None:
    def answer(call: Call) -> Any:
        if call.method == "eth_sendRawTransaction" and server.count(call.method) == 1:
            return unclear(call)
        return ...

    with odd_node(answer, upstream=node.url) as server:
        sent = through(server).send({"to": SINK, "value": 5}, sender=stranger)
    assert chain.receipt(sent) is not None
    assert chain.balance(SINK) == 5


def test_never_a_clear_answer_gives_the_hash_to_look_for(node: LocalChain, chain: Chain, stranger: LocalSigner) -> None:
    raw: list[str] = []

    def answer(call: Call) -> Any:
        if call.method == "eth_sendRawTransaction":
            raw.append(call.parameters[0])
            return (502, b"Bad Gateway")
        return ...

    with odd_node(answer, upstream=node.url) as server:
        asking = through(server)
        with pytest.raises(ConfirmationTimeoutError, match="do not send it a second time") as caught:
            asking.send({"to": SINK, "value": 5}, sender=stranger)
    assert len(set(raw)) == 1  # the same bytes each time
    sent = chain.web3.eth.send_raw_transaction(raw[0])  # type: ignore[arg-type]
    assert "0x" + sent.hex().removeprefix("0x") == caught.value.transaction


def test_nonce_lost_to_another_while_the_answer_was_unclear(
    node: LocalChain, chain: Chain, stranger: LocalSigner
) -> None:
    def answer(call: Call) -> Any:
        if call.method == "eth_sendRawTransaction" and server.count(call.method) == 1:
            chain.wait(chain.send({"to": SINK, "value": 100}, sender=stranger))  # the other process
            return (502, b"Bad Gateway")
        return ...

    with odd_node(answer, upstream=node.url) as server:
        sent = through(server).send({"to": SINK, "value": 5}, sender=stranger)
    assert chain.wait(sent)
    assert chain.balance(SINK) == 105


def test_already_known_is_sent(node: LocalChain, chain: Chain, stranger: LocalSigner) -> None:
    def answer(call: Call) -> Any:
        if call.method == "eth_sendRawTransaction":
            call.forward()
            return call.error("already known")
        return ...

    with odd_node(answer, upstream=node.url) as server:
        sent = Chain.connect(server.url).send({"to": SINK, "value": 5}, sender=stranger)
    assert chain.receipt(sent) is not None


def test_hash_is_told_before_sending(node: LocalChain, chain: Chain, stranger: LocalSigner) -> None:
    told: list[str] = []

    def answer(call: Call) -> Any:
        if call.method == "eth_sendRawTransaction":
            assert len(told) == 1
        return ...

    with odd_node(answer, upstream=node.url) as server:
        sent = Chain.connect(server.url).send({"to": SINK, "value": 5}, sender=stranger, signed=told.append)
    assert told == [sent]


def test_node_that_is_silent_while_we_wait_is_asked_again(
    node: LocalChain, chain: Chain, stranger: LocalSigner
) -> None:
    def answer(call: Call) -> Any:
        failing = call.method == "eth_getTransactionReceipt" and server.count(call.method) <= 3
        return b"<html>busy</html>" if failing else ...

    with odd_node(answer, upstream=node.url) as server:
        asking = Chain.connect(server.url, poll=0.001)
        assert asking.wait(asking.send({"to": SINK, "value": 5}, sender=stranger)).gas_used == 21_000


def test_insufficient_funds(chain: Chain) -> None:
    pauper = LocalSigner.from_key(b"\x05" * 32)
    with pytest.raises(AccountFundsError, match=r"has 0\.000000 ether .* Send it ether") as caught:
        chain.send({"to": SINK, "value": 5}, sender=pauper)
    assert (caught.value.address, caught.value.balance) == (pauper.address, 0)


def test_arguments_that_do_not_fit(chain: Chain, suite: MedProof, admin: LocalSigner) -> None:
    contract = suite.registrar.contract
    for function, arguments in (
        ("suspend", ("nobody",)),
        ("suspend", ()),
        ("suspend", (SINK.replace("7", "a"), 1)),
        ("joinGroup", (1 << 16, SINK)),
        ("joinGroup", (-1, SINK)),
        ("suspend", (b"\x01",)),
        ("noSuchFunction", ()),
    ):
        with pytest.raises(ArgumentError, match=function):
            chain.transact(contract, function, arguments, sender=admin)
        with pytest.raises(ArgumentError, match=function):
            chain.call(contract, function, arguments)
    with pytest.raises(ArgumentError, match="no address"):
        chain.code("0x12")


# -- fees -------------------------------------------------------------------------------------------------------


def test_fees_follow_the_base_fee(chain: Chain, stranger: LocalSigner) -> None:
    sent = chain.web3.eth.get_transaction(chain.send({"to": SINK, "value": 5}, sender=stranger))  # type: ignore[arg-type]
    block = chain.web3.eth.get_block(sent["blockNumber"] - 1)
    assert sent["type"] == 2
    assert sent["maxFeePerGas"] == 2 * block["baseFeePerGas"] + sent["maxPriorityFeePerGas"]


def test_chain_without_a_base_fee() -> None:
    with LocalChain(options={"chain": {"hardfork": "berlin"}}) as local:
        chain = Chain.connect(local.url)
        for sender in (funded(0), NodeSigner(funded(1).address)):
            sent = chain.send({"to": SINK, "value": 5}, sender=sender)
            assert chain.wait(sent).gas_used == 21_000
            assert chain.web3.eth.get_transaction(sent)["type"] in (0, None)  # type: ignore[arg-type]
        assert chain.balance(SINK) == 10


def test_node_signer_sends(chain: Chain, relayer: LocalSigner) -> None:
    chain.wait(chain.send({"to": SINK, "value": 5}, sender=NodeSigner(relayer.address)))
    assert chain.balance(SINK) == 5


# -- waiting ----------------------------------------------------------------------------------------------------


def waiting(chain: Chain, node: LocalChain, confirmations: int, timeout: float = 10.0) -> Chain:
    return Chain.connect(node.url, confirmations=confirmations, timeout=timeout, poll=0.005)


def test_confirmations_are_waited_for(chain: Chain, node: LocalChain, stranger: LocalSigner) -> None:
    patient = waiting(chain, node, 3)
    sent = patient.send({"to": SINK, "value": 5}, sender=stranger)
    with pytest.raises(ConfirmationTimeoutError, match=r"3 confirmation\(s\)") as caught:
        patient.wait(sent, timeout=0.05)
    assert caught.value.transaction == sent
    rpc(chain, "evm_mine")
    with pytest.raises(ConfirmationTimeoutError):
        patient.wait(sent, timeout=0.05)
    rpc(chain, "evm_mine")
    assert patient.wait(sent).block == chain.block_number() - 2


def test_transaction_in_no_block_times_out(chain: Chain, stranger: LocalSigner) -> None:
    rpc(chain, "miner_stop")
    sent = chain.send({"to": SINK, "value": 6}, sender=stranger)  # Ganache knows it for ever: no other test's
    assert chain.receipt(sent) is None
    assert chain.knows(sent)
    with pytest.raises(ConfirmationTimeoutError, match="Wait for it again by its hash"):
        chain.wait(sent, timeout=0.05)
    rpc(chain, "miner_start")
    assert chain.wait(sent).gas_used == 21_000


def test_unknown_transaction(chain: Chain) -> None:
    assert not chain.knows("0x" + "12" * 32)
    assert chain.receipt("0x" + "12" * 32) is None


def test_receipt_that_vanished_is_waited_for_again(chain: Chain, node: LocalChain, stranger: LocalSigner) -> None:
    patient = waiting(chain, node, 3)
    before = rpc(chain, "evm_snapshot")
    raw = stranger.sign_transaction(
        {"to": SINK, "value": 5, "gas": 21_000, "gasPrice": 10**11, "nonce": nonce(chain, stranger), "chainId": 1337}
    )
    sent = "0x" + chain.web3.eth.send_raw_transaction(raw).hex().removeprefix("0x")
    first = patient.receipt(sent)
    assert first is not None
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(patient.wait(sent)))
    thread.start()
    rpc(chain, "evm_mine")
    rpc(chain, "evm_revert", before)  # the chain reorganises
    assert not patient.knows(sent)
    for _ in range(4):
        rpc(chain, "evm_mine")
    time.sleep(0.05)
    assert not found
    chain.web3.eth.send_raw_transaction(raw)  # and the transaction comes again, later
    for _ in range(2):
        rpc(chain, "evm_mine")
    thread.join(10)
    assert found[0].block > first.block
    assert found[0].block_hash != first.block_hash


# -- failures on the chain --------------------------------------------------------------------------------------


def test_refusal_shows_before_anything_is_sent(chain: Chain, suite: MedProof, admin: LocalSigner) -> None:
    first = nonce(chain, admin)
    suite.registrar.join_group(2, funded(1).address, sender=admin)
    with pytest.raises(GroupAlreadyJoined) as caught:
        suite.registrar.join_group(2, funded(1).address, sender=admin)
    assert (caught.value.party, caught.value.group) == (funded(1).address, 2)
    assert nonce(chain, admin) == first + 1


def test_state_that_changes_after_the_estimate(
    chain: Chain, suite: MedProof, deployment: Deployment, admin: LocalSigner, clinic: LocalSigner
) -> None:
    """Both pass the estimate, both are mined in one block, and the second fails there."""
    authority, other = chain.contract(deployment.address("Authority"), artifact("Authority").abi), funded(15)
    chain.transact(authority, "grantRole", (1, other.address, 0), sender=admin)
    data = suite.registrar.contract.encode_abi("suspend", [clinic.address])
    request = {"to": suite.registrar.address, "data": data}
    rpc(chain, "miner_stop")
    first, second = chain.send(request, sender=admin), chain.send(request, sender=other)
    rpc(chain, "miner_start")
    blocks = {chain.web3.eth.wait_for_transaction_receipt(one)["blockNumber"] for one in (first, second)}  # type: ignore[arg-type]
    assert len(blocks) == 1
    assert chain.wait(first).gas_used > 21_000
    with pytest.raises(PartyAlreadySuspended) as caught:
        chain.wait(second)
    assert caught.value.party == clinic.address


def test_failure_counts_only_when_it_is_confirmed(
    chain: Chain, node: LocalChain, suite: MedProof, admin: LocalSigner, clinic: LocalSigner
) -> None:
    patient = waiting(chain, node, 2, timeout=0.1)
    suite.registrar.suspend(clinic.address, sender=admin)
    data = suite.registrar.contract.encode_abi("suspend", [clinic.address])
    sent = patient.send({"to": suite.registrar.address, "data": data, "gas": 100_000}, sender=admin)
    with pytest.raises(ConfirmationTimeoutError):
        patient.wait(sent)
    rpc(chain, "evm_mine")
    with pytest.raises(PartyAlreadySuspended):
        patient.wait(sent)


def test_out_of_gas(chain: Chain, suite: MedProof, admin: LocalSigner, clinic: LocalSigner) -> None:
    data = suite.registrar.contract.encode_abi("suspend", [clinic.address])
    sent = chain.send({"to": suite.registrar.address, "data": data, "gas": 25_000}, sender=admin)
    with pytest.raises(TransactionFailedError, match="out of gas") as caught:
        chain.wait(sent)
    assert caught.value.transaction == sent


def test_node_that_keeps_no_old_states(
    node: LocalChain, chain: Chain, suite: MedProof, admin: LocalSigner, clinic: LocalSigner
) -> None:
    suite.registrar.suspend(clinic.address, sender=admin)
    data = suite.registrar.contract.encode_abi("suspend", [clinic.address])
    sent = chain.send({"to": suite.registrar.address, "data": data, "gas": 100_000}, sender=admin)

    def answer(call: Call) -> Any:
        return call.error("missing trie node 0123 (path )") if call.method == "eth_call" else ...

    with odd_node(answer, upstream=node.url) as server, pytest.raises(TransactionFailedError):
        Chain.connect(server.url, timeout=1).wait(sent)


def test_node_that_reports_failures_when_sending() -> None:
    """Ganache as Brownie has it: the error comes with the answer, and the transaction is mined all the same."""
    with LocalChain() as local:
        chain = Chain.connect(local.url, poll=0.005)
        data = chain.creation("0x60006000fd", [], ())["data"]  # a constructor that reverts without data
        sent = chain.send({"data": data, "gas": 100_000}, sender=funded(0))
        with pytest.raises((TransactionFailedError, UnknownRevertError)):
            chain.wait(sent)

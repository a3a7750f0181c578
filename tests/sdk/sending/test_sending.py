"""Transactions are sent once, from whom they should, in order, and end as they end on the chain."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from medproof.chain import Chain
from medproof.client import MedProof
from medproof.client.contract import SignedMessage
from medproof.contract_errors import PointerExists
from medproof.errors import (
    ConfirmationTimeoutError,
    ExternalSignerError,
    FeesTooHighError,
    MedProofError,
    SenderFundsError,
    TransactionFailedError,
    UnknownRevertError,
)
from medproof.policy.codes import DataClass
from medproof.sending import Fate, State
from medproof.signing import LocalSigner
from scripts.local_chain import LocalChain
from tests.sdk.chain.odd_node import odd_node
from tests.sdk.conftest import funded, rpc
from tests.sdk.sending.conftest import Open, Unwilling
from tests.sdk.sending.nodes import deciding, refusing, through

SOMEBODY = "0x" + "42" * 20
COMMITMENT = b"\x77" * 32


def post(suite: MedProof, commitment: bytes = COMMITMENT) -> dict[str, Any]:
    """A pointer, which counts once and from a clinic alone."""
    contract = suite.record_pointers.contract
    data = suite.chain.call_data(contract, "post", (SOMEBODY, 2, commitment))
    return {"to": contract.address, "data": data}


def test_transactions_of_one_account_go_in_order(chain: Chain, open_manager: Open, relayer: LocalSigner) -> None:
    manager, first = open_manager(in_flight=100), chain.transaction_count(relayer.address)
    keys = manager.submit_many([{"to": relayer.address, "value": number} for number in range(40)])
    assert [fate.state for fate in manager.fates()] == [State.QUEUED] * 40
    receipts = manager.wait(keys)
    fates = manager.fates()
    assert [fate.key for fate in fates] == keys
    assert [fate.nonce for fate in fates] == list(range(first, first + 40))
    assert [fate.transaction for fate in fates] == [receipt.transaction for receipt in receipts]
    assert [fate.gas_used for fate in fates] == [21_000] * 40
    assert chain.transaction_count(relayer.address) == first + 40
    assert manager.wait(list(reversed(keys))) == receipts[::-1]


def test_spread_over_accounts(chain: Chain, open_manager: Open) -> None:
    senders = [funded(number) for number in (10, 11, 12)]
    manager = open_manager(senders=senders, in_flight=3)
    rpc(chain, "miner_stop")
    keys = manager.submit_many([{"to": SOMEBODY, "value": 1}] * 12)
    pinned = manager.submit({"to": SOMEBODY, "value": 1}, account=senders[1].address)
    manager.run_once()
    sent = manager.fates(State.SENT)
    assert {one.address: sum(fate.account == one.address for fate in sent) for one in senders} == {
        one.address: 3 for one in senders
    }
    assert manager.status(pinned).account == senders[1].address
    assert len(manager.fates(State.QUEUED)) == 4
    rpc(chain, "miner_start")
    manager.wait([*keys, pinned])
    assert chain.balance(SOMEBODY) == 13


def test_account_without_funds_leaves_the_work_to_others(chain: Chain, open_manager: Open) -> None:
    poor, rich = LocalSigner.from_key(b"\x51" * 32), funded(10)
    manager = open_manager(senders=[poor, rich])
    keys = manager.submit_many([{"to": SOMEBODY, "value": 1}] * 4)
    with pytest.raises(SenderFundsError) as caught:
        manager.run_once()
    assert (caught.value.address, caught.value.balance) == (poor.address, 0)
    assert {manager.status(key).account for key in keys} == {rich.address}
    mine = manager.submit({"to": SOMEBODY, "value": 1}, account=poor.address)
    with pytest.raises(SenderFundsError, match="the queue goes on by itself"):
        manager.run_once()
    assert manager.status(mine).state is State.QUEUED
    chain.wait(chain.send({"to": poor.address, "value": 10**18}, sender=rich))
    manager.wait([mine])
    assert chain.balance(SOMEBODY) == 5


def test_no_more_is_sent_than_can_be_paid(chain: Chain, open_manager: Open, stranger: LocalSigner) -> None:
    poor = LocalSigner.from_key(b"\x52" * 32)
    chain.wait(chain.send({"to": poor.address, "value": 25 * 10**17}, sender=stranger))
    manager = open_manager(senders=[poor])
    keys = manager.submit_many([{"to": SOMEBODY, "value": 10**18}] * 4)
    with pytest.raises(SenderFundsError):
        manager.run_once()
    assert [manager.status(key).state for key in keys] == [State.SENT, State.SENT, State.QUEUED, State.QUEUED]


def test_fees_above_the_bound(open_manager: Open) -> None:
    manager = open_manager(highest_fee=7)
    key = manager.submit({"to": SOMEBODY})
    with pytest.raises(FeesTooHighError, match="at most 7 may be paid"):
        manager.run_once()
    assert manager.status(key).state is State.QUEUED
    stop, troubles = threading.Event(), list[MedProofError]()

    def trouble(error: MedProofError) -> None:
        troubles.append(error)
        stop.set()

    manager.run(stop, pause=0.0, trouble=trouble)
    assert [type(error) for error in troubles] == [FeesTooHighError]
    open_manager().wait([key])


# -- what fails -------------------------------------------------------------------------------------------------


def test_refused_before_it_is_sent(suite: MedProof, open_manager: Open, stranger: LocalSigner) -> None:
    manager, before = open_manager(senders=[stranger]), suite.chain.transaction_count(stranger.address)
    key = manager.submit(post(suite))
    with pytest.raises(MedProofError) as caught:
        manager.wait([key])
    fate = manager.status(key)
    assert (fate.state, fate.transaction, fate.reason) == (State.REFUSED, None, str(caught.value))
    assert type(caught.value).__name__ in str(fate.reason)
    assert suite.chain.transaction_count(stranger.address) == before


def test_failed_on_the_chain(suite: MedProof, open_manager: Open, clinic: LocalSigner) -> None:
    manager = open_manager(senders=[clinic])
    first, second = manager.submit_many([{**post(suite), "gas": 300_000}] * 2)
    with pytest.raises(PointerExists):
        manager.wait([first, second])
    assert manager.status(first).state is State.CONFIRMED
    fate = manager.status(second)
    assert fate.state is State.FAILED
    assert str(fate.reason).startswith("PointerExists")
    assert fate.block is not None
    assert manager.submit({**post(suite), "gas": 300_000}, key=second) == second  # what failed is over
    assert manager.run_once() == 0


def test_failed_without_a_reason(chain: Chain, open_manager: Open) -> None:
    manager = open_manager()
    key = manager.submit({"data": "0xfe", "gas": 100_000})
    with pytest.raises((TransactionFailedError, UnknownRevertError)):
        manager.wait([key])
    assert manager.status(key).state is State.FAILED


def test_what_builds_on_another_waits_for_it(suite: MedProof, open_manager: Open, clinic: LocalSigner) -> None:
    """Its estimate fails as long as what goes before it is in no block: no reason to refuse it."""
    manager, pointers = open_manager(senders=[clinic]), suite.record_pointers
    data = suite.chain.call_data(
        pointers.contract, "offerCustody", (SOMEBODY, clinic.address, COMMITMENT, funded(2).address)
    )
    rpc(suite.chain, "miner_stop")
    posted = manager.submit(post(suite), account=clinic.address)
    offered = manager.submit({"to": pointers.address, "data": data}, account=clinic.address)
    after = manager.submit({"to": SOMEBODY, "value": 1}, account=clinic.address)
    manager.run_once()
    fates = [manager.status(key) for key in (posted, offered, after)]
    assert [fate.state for fate in fates] == [State.SENT, State.QUEUED, State.QUEUED]
    assert fates[1].reason
    rpc(suite.chain, "miner_start")
    manager.wait([posted, offered, after])
    nonces = [manager.status(key).nonce for key in (posted, offered, after)]
    assert nonces == sorted(nonces)  # type: ignore[type-var]


def test_contract_that_is_created(chain: Chain, open_manager: Open) -> None:
    manager = open_manager()
    (receipt,) = manager.wait([manager.submit({"data": "0x600180600b6000396000f300"})])
    assert receipt.contract is not None
    assert chain.code(receipt.contract) == b"\x00"


def test_not_final_in_time(chain: Chain, open_manager: Open) -> None:
    manager = open_manager()
    rpc(chain, "miner_stop")
    key = manager.submit({"to": SOMEBODY})
    with pytest.raises(ConfirmationTimeoutError) as caught:
        manager.wait([key], timeout=0.05)
    assert str(manager.status(key).transaction) in str(caught.value)


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("header not found", State.QUEUED),
        ("rate limit exceeded", State.QUEUED),
        ("gas required exceeds allowance (30000000)", State.REFUSED),
    ],
)
def test_node_that_estimates_nothing(
    chain: Chain, node: LocalChain, open_manager: Open, said: str, state: State
) -> None:
    failing = True

    def decide(method: str, parameters: list[Any]) -> Any:
        return refusing(said) if failing and method == "eth_estimateGas" else ...

    with odd_node(deciding(decide), upstream=node.url) as server:
        manager = open_manager(chain=through(server.url))
        key = manager.submit({"to": SOMEBODY, "value": 1})
        manager.run_once()
        assert manager.status(key).state is state
        assert said in str(manager.status(key).reason)
        failing = False
        manager.wait([manager.submit({"to": SOMEBODY, "value": 1}, key=key)])
    assert manager.status(key).reason is None
    assert chain.balance(SOMEBODY) == 1


def test_estimate_that_the_account_cannot_pay(chain: Chain, open_manager: Open, stranger: LocalSigner) -> None:
    poor = LocalSigner.from_key(b"\x53" * 32)
    manager = open_manager(senders=[poor])
    key = manager.submit({"to": SOMEBODY, "value": 1})
    with pytest.raises(SenderFundsError):
        manager.run_once()
    assert manager.status(key).state is State.QUEUED
    chain.wait(chain.send({"to": poor.address, "value": 10**18}, sender=stranger))
    manager.wait([key])


def test_what_one_account_cannot_pay_another_sends(
    chain: Chain, node: LocalChain, open_manager: Open, relayer: LocalSigner
) -> None:
    """Also where the node says it when it estimates, as geth does."""
    poor = LocalSigner.from_key(b"\x54" * 32)

    def decide(method: str, parameters: list[Any]) -> Any:
        asked = method == "eth_estimateGas" and parameters[0]["from"] == poor.address
        return refusing("insufficient funds for transfer") if asked else ...

    with odd_node(deciding(decide), upstream=node.url) as server:
        manager = open_manager(chain=through(server.url), senders=[poor, relayer])
        key = manager.submit({"to": SOMEBODY, "value": 1})
        with pytest.raises(SenderFundsError):
            manager.run_once()
        assert manager.status(key).account == relayer.address
    open_manager(senders=[relayer]).wait([key])
    assert chain.balance(SOMEBODY) == 1


def test_signer_that_does_not_sign_holds_up_no_other(chain: Chain, open_manager: Open) -> None:
    unwilling, other = Unwilling(funded(10)._account), funded(11)
    manager = open_manager(senders=[unwilling, other])
    before = chain.transaction_count(unwilling.address)
    mine = manager.submit_many([{"to": SOMEBODY, "value": 1}] * 2, account=unwilling.address)
    others = manager.submit_many([{"to": SOMEBODY, "value": 1}] * 2, account=other.address)
    with pytest.raises(ExternalSignerError):
        manager.run_once()
    assert [manager.status(key).state for key in mine] == [State.QUEUED] * 2
    assert all(manager.status(key).transaction for key in others)
    unwilling.willing = True
    manager.wait([*mine, *others])
    assert [manager.status(key).nonce for key in mine] == [before, before + 1]


# -- as a sender ------------------------------------------------------------------------------------------------


def test_clients_send_through_it(suite: MedProof, open_manager: Open, clinic: LocalSigner) -> None:
    manager = open_manager(senders=[clinic])
    subject = funded(6).address
    key, receipt = suite.record_pointers.post(subject, DataClass.LABORATORY, COMMITMENT, sender=manager.sender())
    assert suite.record_pointers.pointer(key) is not None
    assert [event.name for event in receipt.events(suite.record_pointers.contract)] == ["PointerPosted"]
    assert receipt == suite.chain.receipt(receipt.transaction)
    with pytest.raises(PointerExists):
        suite.record_pointers.post(subject, DataClass.LABORATORY, COMMITMENT, sender=manager.sender(clinic.address))
    assert [fate.state for fate in manager.fates()] == [State.CONFIRMED, State.REFUSED]


def test_client_called_again_with_its_key(suite: MedProof, open_manager: Open, clinic: LocalSigner) -> None:
    subject = funded(6).address
    receipts = []
    for _ in range(2):
        sender = open_manager(senders=[clinic]).sender(key="pointer of record 12")
        _, receipt = suite.record_pointers.post(subject, DataClass.LABORATORY, COMMITMENT, sender=sender)
        receipts.append(receipt)
    assert receipts[0] == receipts[1]


def test_many_threads_send_through_one_manager(
    suite: MedProof, open_manager: Open, relayer: LocalSigner, rule: Any, clinic: LocalSigner
) -> None:
    manager, done = open_manager(), list[int]()

    def work(number: int) -> None:
        subject = LocalSigner.from_key(bytes([number]) * 32)
        message: SignedMessage = suite.consent_registry.sign_grant(subject, clinic.address, rule)
        suite.relay(message, sender=manager.sender())
        done.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 7)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)
    assert sorted(done) == list(range(1, 7))
    assert [fate.state for fate in manager.fates()] == [State.CONFIRMED] * 6


# -- what it tells ----------------------------------------------------------------------------------------------


def test_counts(chain: Chain, open_manager: Open) -> None:
    manager = open_manager(in_flight=2)
    assert manager.oldest_open() is None
    before = time.time()
    keys = manager.submit_many([{"to": SOMEBODY, "gas": 21_000}] * 3)
    oldest = manager.oldest_open()
    assert oldest is not None
    assert before <= oldest <= time.time()
    rpc(chain, "miner_stop")
    manager.run_once()
    assert manager.counts() == {
        "queued": 1,
        "sent": 2,
        "mined": 0,
        "confirmed": 0,
        "failed": 0,
        "refused": 0,
        "replaced": 0,
        "resent": 0,
        "lost": 0,
    }
    rpc(chain, "miner_start")
    manager.wait(keys)
    assert manager.counts()["confirmed"] == 3
    assert manager.oldest_open() is None


def test_progress(open_manager: Open) -> None:
    told: list[Fate] = []
    manager = open_manager(progress=told.append)
    key = manager.submit({"to": SOMEBODY})
    manager.wait([key])
    assert [(fate.key, fate.state) for fate in told] == [(key, State.SENT), (key, State.CONFIRMED)]
    assert told[-1].final


def test_what_is_in_blocks_is_noted_while_the_rest_is_sent(
    chain: Chain, open_manager: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medproof.sending.dispatching._AT_ONCE", 4)
    told: list[Fate] = []
    manager = open_manager(in_flight=100, progress=told.append)
    keys = manager.submit_many([{"to": SOMEBODY, "value": 1, "gas": 21_000}] * 40)
    manager.run_once()
    assert manager.fates(State.CONFIRMED)  # in the same round
    manager.wait(keys)
    assert [fate.key for fate in told if fate.state is State.CONFIRMED] == keys  # each once, in order
    assert chain.balance(SOMEBODY) == 40


def test_two_managers_over_one_file(chain: Chain, open_manager: Open, relayer: LocalSigner) -> None:
    first, second = open_manager(in_flight=100), open_manager(in_flight=100)
    before = chain.transaction_count(relayer.address)
    keys = first.submit_many([{"to": SOMEBODY, "value": 1, "gas": 21_000}] * 30)
    threads = [threading.Thread(target=one.wait, args=(keys,)) for one in (first, second)]
    for one in threads:
        one.start()
    more = second.submit_many([{"to": SOMEBODY, "value": 1, "gas": 21_000}] * 30)
    for one in threads:
        one.join(30)
    second.wait(more)
    assert chain.balance(SOMEBODY) == 60
    assert chain.transaction_count(relayer.address) == before + 60
    assert len({fate.nonce for fate in first.fates(State.CONFIRMED)}) == 60

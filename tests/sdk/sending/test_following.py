"""What is sent is followed to its end: forgetful nodes, rising fees, foreign transactions, gaps."""

from __future__ import annotations

import json
from typing import Any

import pytest

from medproof.chain import Chain
from medproof.errors import NodeError, SenderFundsError, TransactionRefusedError
from medproof.sending import State, TransactionManager
from medproof.signing import LocalSigner
from scripts.local_chain import LocalChain
from tests.sdk.chain.odd_node import Call, odd_node
from tests.sdk.conftest import funded, rpc
from tests.sdk.sending.conftest import Open, Unwilling
from tests.sdk.sending.diary import Diary, diary
from tests.sdk.sending.nodes import Swallowing, deciding, refusing, through

SOMEBODY = "0x" + "42" * 20
GIFT = {"to": SOMEBODY, "value": 1, "gas": 21_000}


def work_off(manager: TransactionManager, rounds: int = 20) -> None:
    for _ in range(rounds):
        if manager.run_once() == 0:
            return
    raise AssertionError(f"still open: {manager.fates()}")


# -- nodes that forget ------------------------------------------------------------------------------------------


def test_forgotten_transactions_are_sent_again(chain: Chain, node: LocalChain, open_manager: Open) -> None:
    swallowing = Swallowing(6)
    with odd_node(deciding(swallowing), upstream=node.url) as server:
        manager = open_manager(chain=through(server.url))
        keys = manager.submit_many([GIFT] * 3)
        manager.run_once()
        hashes = [manager.status(key).transaction for key in keys]
        manager.run_once()
        work_off(manager)
    assert swallowing.kept[:3] == swallowing.kept[3:]  # the same bytes
    assert [manager.status(key).transaction for key in keys] == hashes
    assert manager.counts()["resent"] == 6
    assert chain.balance(SOMEBODY) == 3


def test_node_that_dies_after_taking_it(chain: Chain, node: LocalChain, open_manager: Open) -> None:
    down = False

    def answer(call: Call) -> Any:
        nonlocal down
        if any(one["method"] == "eth_sendRawTransaction" for one in call.each):
            call.forward()
            down = True
        return None if down else ...

    with odd_node(answer, upstream=node.url) as server:
        manager = open_manager(chain=through(server.url))
        key = manager.submit(GIFT)
        assert manager.run_once() == 1  # it may have been taken: the next round shows
        with pytest.raises(NodeError):
            manager.run_once()
    assert manager.status(key).state is State.SENT
    work_off(open_manager())
    assert chain.balance(SOMEBODY) == 1


# -- fees -------------------------------------------------------------------------------------------------------


def without_base_fee(call: Call) -> bytes:
    """The node of a chain before London."""
    said = json.loads(call.forward())
    for one in said if isinstance(said, list) else [said]:
        if isinstance(one["result"], dict):
            one["result"].pop("baseFeePerGas", None)
    return json.dumps(said).encode()


@pytest.mark.parametrize("legacy", [False, True], ids=["EIP-1559", "legacy"])
def test_late_transaction_is_replaced(chain: Chain, node: LocalChain, open_manager: Open, legacy: bool) -> None:
    swallow = deciding(Swallowing(2))
    after = without_base_fee if legacy else (lambda call: ...)
    sends = "eth_sendRawTransaction"
    with odd_node(lambda call: swallow(call) if call.method == sends else after(call), upstream=node.url) as server:
        manager = open_manager(chain=through(server.url), patience=0.0)
        key = manager.submit(GIFT)
        manager.run_once()
        manager.run_once()  # no block since then: paying more would change nothing
        assert len(manager.store.transaction(key).attempts) == 1
        rpc(chain, "evm_mine")
        manager.run_once()
        old, new = manager.store.transaction(key).attempts
        assert set(new.fees) == ({"gasPrice"} if legacy else {"maxFeePerGas", "maxPriorityFeePerGas"})
        assert all(new.fees[name] >= old.fees[name] * 1.125 for name in old.fees)
        (receipt,) = manager.wait([key])
    assert receipt.transaction == new.hash
    assert manager.counts()["replaced"] == 1
    assert chain.balance(SOMEBODY) == 1


def test_earlier_attempt_may_be_the_one_that_is_mined(chain: Chain, node: LocalChain, open_manager: Open) -> None:
    swallowing = Swallowing()
    with odd_node(deciding(swallowing), upstream=node.url) as server:
        manager = open_manager(chain=through(server.url), patience=0.0)
        key = manager.submit(GIFT)
        manager.run_once()
        rpc(chain, "evm_mine")
        manager.run_once()
        first, second = manager.store.transaction(key).attempts
        rpc(chain, "eth_sendRawTransaction", "0x" + first.raw.hex())
        (receipt,) = manager.wait([key])
    assert receipt.transaction == first.hash
    assert manager.status(key).transaction == first.hash
    assert chain.balance(SOMEBODY) == 1
    assert second.hash != first.hash


def test_sender_waits_for_what_replaced_its_transaction(chain: Chain, node: LocalChain, open_manager: Open) -> None:
    with odd_node(deciding(Swallowing(1)), upstream=node.url) as server:
        manager = open_manager(chain=through(server.url), patience=0.0)
        sender = manager.sender()
        sent = sender.send(GIFT)
        rpc(chain, "evm_mine")
        receipt = sender.wait(sent)
    assert receipt.transaction != sent
    assert chain.balance(SOMEBODY) == 1


def test_stuck_at_the_highest_fee(chain: Chain, node: LocalChain, open_manager: Open) -> None:
    swallowing = Swallowing()
    with odd_node(deciding(swallowing), upstream=node.url) as server:
        highest = chain.fees()["maxFeePerGas"] * 11 // 10
        manager = open_manager(chain=through(server.url), patience=0.0, highest_fee=highest)
        key = manager.submit(GIFT)
        manager.run_once()
        rpc(chain, "evm_mine")
        manager.run_once()
        assert [fate.key for fate in manager.stuck()] == [key]
        assert len(manager.store.transaction(key).attempts) == 1
        swallowing.left = 0
        work_off(manager)
    assert manager.stuck() == []


def test_only_the_first_of_an_account_is_replaced(chain: Chain, node: LocalChain, open_manager: Open) -> None:
    with odd_node(deciding(Swallowing()), upstream=node.url) as server:
        manager = open_manager(chain=through(server.url), patience=0.0, in_flight=2)
        keys = manager.submit_many([GIFT] * 3)
        manager.run_once()
        rpc(chain, "evm_mine")
        manager.run_once()
        assert [len(manager.store.transaction(key).attempts) for key in keys] == [2, 1, 0]
    work_off(open_manager())
    assert chain.balance(SOMEBODY) == 3


def test_clock_that_is_put_back(
    chain: Chain, node: LocalChain, open_manager: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    with odd_node(deciding(Swallowing(1)), upstream=node.url) as server:
        manager = open_manager(chain=through(server.url), patience=3600.0)
        key = manager.submit(GIFT)
        manager.run_once()
        rpc(chain, "evm_mine")
        monkeypatch.setattr("medproof.sending.following.time.time", lambda: 1_000_000_000.0)
        manager.run_once()
        attempts = manager.store.transaction(key).attempts
        assert len(attempts) == 2
        assert attempts[1].signed < attempts[0].signed
        (receipt,) = manager.wait([key])
    assert receipt.transaction == attempts[1].hash


def test_funds_that_vanish_before_the_node_takes_it(chain: Chain, node: LocalChain, open_manager: Open) -> None:
    refused = True

    def decide(method: str, parameters: list[Any]) -> Any:
        return refusing("insufficient funds for gas * price + value") if refused and "sendRaw" in method else ...

    with odd_node(deciding(decide), upstream=node.url) as server:
        manager = open_manager(chain=through(server.url))
        key = manager.submit(GIFT)
        for _ in range(2):
            with pytest.raises(SenderFundsError):
                manager.run_once()
            assert manager.status(key).state is State.SENT
        refused = False
        work_off(manager)
    assert len(manager.store.transaction(key).attempts) == 1
    assert chain.balance(SOMEBODY) == 1


# -- an account that others use ---------------------------------------------------------------------------------


@pytest.mark.parametrize("gives_up", [False, True], ids=["queued again", "given up"])
def test_nonce_that_another_transaction_took(
    chain: Chain, node: LocalChain, open_manager: Open, relayer: LocalSigner, gives_up: bool
) -> None:
    with odd_node(deciding(Swallowing()), upstream=node.url) as server:
        manager = open_manager(chain=through(server.url))
        key = manager.submit(GIFT)
        manager.run_once()
        lost = manager.status(key)
    chain.wait(chain.send({"to": relayer.address}, sender=relayer))  # takes the nonce
    again = open_manager(watcher=Diary(gives_up=gives_up))
    again.store.rows(Diary.TABLE)
    work_off(again)
    fate = again.status(key)
    assert again.counts()["lost"] == 1
    if gives_up:
        assert (fate.state, fate.nonce) == (State.LOST, None)
        assert diary(again) == ["lost"]
        with pytest.raises(TransactionRefusedError, match="Another transaction of its account took its nonce"):
            again.wait([key])
    else:
        assert (fate.state, fate.nonce) == (State.CONFIRMED, (lost.nonce or 0) + 1)
        assert diary(again) == ["lost", "mined 1", "settled confirmed"]
    assert chain.balance(SOMEBODY) == (0 if gives_up else 1)


class Absent:
    """Counts transactions of another program, which the node then loses."""

    def __init__(self, count: int) -> None:
        self.count: int | None = count
        self.holding = True

    def __call__(self, method: str, parameters: list[Any]) -> Any:
        if self.count is not None and method == "eth_getTransactionCount" and parameters[1] == "pending":
            return hex(self.count)
        return "0x" + "00" * 32 if self.holding and method == "eth_sendRawTransaction" else ...


def test_gap_is_filled_by_what_waits(chain: Chain, node: LocalChain, open_manager: Open, relayer: LocalSigner) -> None:
    first = chain.transaction_count(relayer.address)
    absent = Absent(first + 1)
    with odd_node(deciding(absent), upstream=node.url) as server:
        manager = open_manager(chain=through(server.url))
        late = manager.submit(GIFT)
        manager.run_once()
        assert manager.status(late).nonce == first + 1
        absent.count, absent.holding = None, False
        filler = manager.submit(GIFT)
        manager.run_once()
        assert manager.status(filler).nonce == first
        work_off(manager)
    assert chain.balance(SOMEBODY) == 2


def test_gap_that_nothing_fills_is_filled_by_nothing(
    chain: Chain, node: LocalChain, open_manager: Open, relayer: LocalSigner
) -> None:
    first = chain.transaction_count(relayer.address)
    absent = Absent(first + 3)
    with odd_node(deciding(absent), upstream=node.url) as server:
        manager = open_manager(chain=through(server.url), patience=0.0)
        late = manager.submit(GIFT)
        manager.run_once()
        assert manager.status(late).nonce == first + 3
        absent.count, absent.holding = None, False
        manager.run_once()  # no block since then
        assert len(manager.fates()) == 1
        rpc(chain, "evm_mine")
        work_off(manager)
    assert manager.status(late).state is State.CONFIRMED
    assert [fate.state for fate in manager.fates()] == [State.CONFIRMED] * 4
    assert chain.transaction_count(relayer.address) == first + 4
    assert chain.balance(SOMEBODY) == 1


@pytest.mark.parametrize("why", ["too dear", "not signed"])
def test_gap_that_cannot_be_filled_holds_up_no_other_account(
    chain: Chain, node: LocalChain, open_manager: Open, why: str
) -> None:
    user, other = Unwilling(funded(10)._account), funded(11)
    user.willing = True
    absent = Absent(chain.transaction_count(user.address) + 2)
    with odd_node(deciding(absent), upstream=node.url) as server:
        late = open_manager(chain=through(server.url), senders=[user], patience=0.0).submit(GIFT, account=user.address)
        open_manager(chain=through(server.url), senders=[user]).run_once()
    rpc(chain, "evm_mine")
    user.willing = why != "not signed"
    highest = chain.fees()["maxFeePerGas"] // (2 if why == "too dear" else 1)
    manager = open_manager(senders=[user, other], patience=0.0, highest_fee=highest)
    if why == "not signed":
        gift = manager.submit(GIFT, account=other.address)
        manager.wait([gift])
        assert chain.balance(SOMEBODY) == 1
    else:
        manager.run_once()
    assert [fate.key for fate in manager.fates(State.SENT)] == [late]  # and nothing fills the gap


# -- what the node will never take ------------------------------------------------------------------------------


def test_what_the_node_will_never_take_is_cancelled(chain: Chain, open_manager: Open, relayer: LocalSigner) -> None:
    first = chain.transaction_count(relayer.address)
    manager = open_manager(in_flight=1)  # Ganache does not answer to what is above a gap
    too_much = manager.submit({**GIFT, "gas": chain.gas_limit() + 1}, account=relayer.address)
    after = manager.submit(GIFT, account=relayer.address)
    work_off(manager)
    fate = manager.status(too_much)
    assert fate.state is State.REFUSED
    assert "exceeds block gas limit" in str(fate.reason)
    with pytest.raises(TransactionRefusedError, match="exceeds block gas limit"):
        manager.wait([too_much])
    assert manager.status(after).state is State.CONFIRMED
    assert chain.transaction_count(relayer.address) == first + 2  # the first of them did nothing
    assert chain.balance(SOMEBODY) == 1


@pytest.mark.parametrize(
    "said",
    [
        "txpool is full",
        "transaction gas price below minimum: gas tip cap 1, minimum needed 25000000",  # geth's
        "max fee per gas less than block base fee: address 0x42, maxFeePerGas: 1, baseFee: 7",
    ],
)
def test_what_the_node_may_take_later_is_not_cancelled(
    chain: Chain, node: LocalChain, open_manager: Open, said: str
) -> None:
    full = True

    def decide(method: str, parameters: list[Any]) -> Any:
        return refusing(said) if full and method == "eth_sendRawTransaction" else ...

    with odd_node(deciding(decide), upstream=node.url) as server:
        manager = open_manager(chain=through(server.url))
        key = manager.submit(GIFT)
        manager.run_once()
        manager.run_once()
        full = False
        manager.wait([key])
    assert len(manager.store.transaction(key).attempts) == 1
    assert chain.balance(SOMEBODY) == 1

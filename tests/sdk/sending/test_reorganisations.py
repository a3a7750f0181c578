"""What is in a block that vanishes is sent again, however deep it was, and whoever watches is told."""

from __future__ import annotations

import pytest

from medproof.chain import Chain
from medproof.sending import State
from medproof.signing import LocalSigner
from scripts.local_chain import LocalChain
from tests.sdk.conftest import funded, rpc
from tests.sdk.sending.conftest import Open
from tests.sdk.sending.diary import Diary, diary
from tests.sdk.sending.nodes import through
from tests.sdk.sending.test_following import GIFT, SOMEBODY, work_off


@pytest.fixture(scope="session")
def relayer() -> LocalSigner:
    """Whoever no other test sends from: what waits in Ganache's pool outlives a state that is put back."""
    return funded(17)


def test_reorganisation_below_it(chain: Chain, node: LocalChain, open_manager: Open) -> None:
    deep = through(node.url, confirmations=3)
    manager = open_manager(chain=deep, watcher=Diary())
    manager.store.rows(Diary.TABLE)
    before = chain.block_number()
    key = manager.submit(GIFT)
    snapshot = rpc(chain, "evm_snapshot")
    manager.run_once()
    manager.run_once()
    first = manager.status(key)
    assert (first.state, first.block) == (State.MINED, before + 1)
    rpc(chain, "evm_revert", snapshot)
    rpc(chain, "evm_mine")
    assert manager.run_once() == 1
    gone = manager.status(key)
    assert (gone.state, gone.block, gone.transaction) == (State.SENT, None, first.transaction)
    manager.run_once()
    again = manager.status(key)
    assert (again.state, again.block, again.transaction) == (State.MINED, before + 2, first.transaction)
    rpc(chain, "evm_mine")
    assert manager.run_once() == 1
    rpc(chain, "evm_mine")
    assert manager.run_once() == 0
    assert manager.status(key).state is State.CONFIRMED
    assert chain.balance(SOMEBODY) == 1
    assert diary(manager) == ["mined 1", "unmined", "mined 1", "settled confirmed"]


def test_reorganisation_into_another_block(chain: Chain, node: LocalChain, open_manager: Open) -> None:
    manager = open_manager(chain=through(node.url, confirmations=3), watcher=Diary())
    manager.store.rows(Diary.TABLE)
    key = manager.submit(GIFT)
    snapshot = rpc(chain, "evm_snapshot")
    manager.run_once()
    manager.run_once()
    first = manager.status(key)
    rpc(chain, "evm_revert", snapshot)
    rpc(chain, "evm_mine")
    rpc(chain, "eth_sendRawTransaction", "0x" + manager.store.transaction(key).latest.raw.hex())
    manager.run_once()
    again = manager.status(key)
    assert (again.state, again.block) == (State.MINED, (first.block or 0) + 1)
    assert diary(manager) == ["mined 1", "unmined", "mined 1"]


def test_reorganisation_deeper_than_was_asked_for(chain: Chain, open_manager: Open) -> None:
    manager = open_manager(watcher=Diary(), patience=0.0)
    manager.store.rows(Diary.TABLE)
    before = manager.submit(GIFT, key="before")
    manager.wait([before])
    snapshot = rpc(chain, "evm_snapshot")
    keys = manager.submit_many([GIFT] * 3)
    manager.wait(keys)
    stands = manager.status(before)
    rpc(chain, "evm_revert", snapshot)
    for _ in range(4):
        rpc(chain, "evm_mine")
    assert manager.run_once() == 3  # nothing was open: it looks now and then
    assert [manager.status(key).state for key in keys] == [State.SENT] * 3
    manager.wait(keys)
    assert manager.status(before) == stands
    assert chain.balance(SOMEBODY) == 4
    assert diary(manager)[2:] == [
        *["mined 1", "settled confirmed"] * 3,
        *["unmined"] * 3,
        *["mined 1", "settled confirmed"] * 3,
    ]


def test_watcher_is_told_of_what_is_renewed(chain: Chain, open_manager: Open) -> None:
    manager = open_manager(watcher=Diary())
    manager.store.rows(Diary.TABLE)
    snapshot = rpc(chain, "evm_snapshot")
    key = manager.submit(GIFT)
    manager.wait([key])
    rpc(chain, "evm_revert", snapshot)
    assert manager.renew(key)
    manager.wait([key])
    assert diary(manager) == ["mined 1", "settled confirmed", "unmined", "mined 1", "settled confirmed"]


@pytest.mark.parametrize("confirmations", [1, 3], ids=["final", "not final"])
def test_what_failed_in_a_block_that_is_gone_is_tried_again(
    chain: Chain, node: LocalChain, open_manager: Open, confirmations: int
) -> None:
    """Why it failed there is no reason to do nothing in its place."""
    manager = open_manager(chain=through(node.url, confirmations=confirmations))
    key = manager.submit({"data": "0xfe", "gas": 100_000})
    snapshot = rpc(chain, "evm_snapshot")
    manager.run_once()
    manager.run_once()
    assert manager.status(key).reason
    rpc(chain, "evm_revert", snapshot)
    manager.submit(GIFT)  # a round has something to do
    manager.run_once()
    for _ in range(confirmations):
        rpc(chain, "evm_mine")
        manager.run_once()
    (attempt,) = manager.store.transaction(key).attempts
    assert not attempt.cancels
    assert manager.status(key).state is State.FAILED


def test_why_it_was_cancelled_stays_known_through_a_reorganisation(
    chain: Chain, node: LocalChain, open_manager: Open
) -> None:
    manager = open_manager(chain=through(node.url, confirmations=3))
    key = manager.submit({**GIFT, "gas": chain.gas_limit() + 1})
    snapshot = rpc(chain, "evm_snapshot")
    for _ in range(3):
        manager.run_once()
    assert manager.status(key).state is State.MINED  # what does nothing in its place
    rpc(chain, "evm_revert", snapshot)
    for _ in range(4):
        manager.run_once()
        rpc(chain, "evm_mine")
    work_off(manager)
    fate = manager.status(key)
    assert fate.state is State.REFUSED
    assert "exceeds block gas limit" in str(fate.reason)
